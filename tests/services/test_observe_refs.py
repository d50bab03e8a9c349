"""services/observe_refs: names of references in real repositories."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tmux_agent.core.facts import RefsFact
from tmux_agent.services.moment import Moment
from tmux_agent.services.observe_detours import Detours
from tmux_agent.services.observe_refs import look


def git(folder: Path, *words: str) -> str:
    given = ["-c", "user.name=n", "-c", "user.email=e@x"]
    return subprocess.run(["git", *given, *words], cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "x")
    git(tmp_path, "tag", "v1.0")
    git(tmp_path, "branch", "feature/some-thing_2")
    return tmp_path


def odd(repo: Path) -> tuple[str, ...]:
    return look(str(repo), Moment()).odd


def test_usual_names_are_plain(repo: Path) -> None:
    """Loose and packed ones, and those of a linked work tree."""
    assert odd(repo) == ()
    git(repo, "pack-refs", "--all")
    assert odd(repo) == ()
    git(repo, "worktree", "add", "-q", str(repo / "wt"), "-b", "other")
    assert odd(repo / "wt") == ()


@pytest.mark.parametrize(
    "name", ["--output=x", "a/-x", "a'b", 'a"b', "$(x)", "%GS", "rebase-merge/x", "STASHED", "a!b", ".x/y"]
)
def test_names_that_may_be_something_else(repo: Path, name: str) -> None:
    head = git(repo, "rev-parse", "HEAD").strip()
    place = repo / ".git" / "refs" / "tags" / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(head + "\n")
    assert odd(repo) == (f"refs/tags/{name}",)


def test_packed_names_and_the_one_that_is_not_born(repo: Path) -> None:
    git(repo, "update-ref", "refs/heads/--output=x", "HEAD")
    git(repo, "pack-refs", "--all")
    assert odd(repo) == ("refs/heads/--output=x",)
    git(repo, "update-ref", "-d", "refs/heads/--output=x")
    git(repo, "symbolic-ref", "HEAD", "refs/heads/-x")
    assert odd(repo) == ("refs/heads/-x",)


def test_where_a_remote_points(repo: Path) -> None:
    place = repo / ".git" / "refs" / "remotes" / "origin"
    place.mkdir(parents=True)
    (place / "HEAD").write_text("ref: refs/remotes/origin/--x\n")
    assert odd(repo) == ("refs/remotes/origin/--x",)


def test_what_cannot_be_told(repo: Path) -> None:
    """Links among the references, other ways of keeping them, more than are looked at."""
    (repo / ".git" / "refs" / "heads" / "l").symlink_to("main")
    assert odd(repo) != ()
    (repo / ".git" / "refs" / "heads" / "l").unlink()
    (repo / ".git" / "reftable").mkdir()
    assert look(str(repo), Moment()) == RefsFact(("*",))
    (repo / ".git" / "reftable").rmdir()
    (repo / ".git" / "packed-refs").write_text("".join(f"{'0' * 40} refs/tags/t{n}\n" for n in range(5001)))
    assert look(str(repo), Moment()) == RefsFact(("*",))


def test_what_git_tracks_by_name(repo: Path) -> None:
    """A file or a folder of files that is tracked may be a link by now; what was added since counts at once."""
    (repo / "a").mkdir()
    (repo / "a" / "b").write_text("x")
    detours = Detours()
    assert not detours.tracked(str(repo), "a/b", Moment()).tracked
    git(repo, "add", "a/b")
    tracked = {path: detours.tracked(str(repo), path, Moment()).tracked for path in ("a", "a/b", "b", "a/c")}
    assert tracked == {"a": True, "a/b": True, "b": False, "a/c": False}
    (repo / ".git" / "index").write_bytes(b"no index")
    assert detours.tracked(str(repo), "b", Moment()).tracked
