"""services/observe_history.py, history_walk.py, observe_detours.py, git_objects.py, on real repositories."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from concurrent.futures import wait
from pathlib import Path

import pytest

from tmux_agent.core.facts import WHOLE, HistoryFact
from tmux_agent.core.model import Shell, Verdict
from tmux_agent.core.paths import Secrets
from tmux_agent.services import git_objects, history_walk
from tmux_agent.services.judgement import Judgement
from tmux_agent.services.moment import Moment
from tmux_agent.services.observe_detours import Detours, swapped
from tmux_agent.services.observe_history import Histories

GIT = ("git", "-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "init.defaultBranch=main")
KEY = "KEY=not-a-real-key\n"
PROGRAM = "/usr/bin/git"
PATIENCE = 60


def git(folder: Path, *argv: str, feed: str = "") -> str:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    quiet = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    done = subprocess.run(
        [*GIT, *argv], cwd=folder, check=True, capture_output=True, text=True, input=feed, env=environ | quiet
    )
    return done.stdout.strip()


def commit(folder: Path, name: str, text: str) -> str:
    """One more commit that changes one file; its name."""
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    git(folder, "add", "-f", name)
    git(folder, "commit", "-qm", name)
    return git(folder, "rev-parse", "HEAD")


def remove(folder: Path, name: str) -> None:
    git(folder, "rm", "-q", "-f", name)
    git(folder, "commit", "-qm", "gone")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path.resolve() / "t"
    folder.mkdir()
    git(folder, "init", "-q", ".")
    commit(folder, "a.py", "a\n")
    return folder


def look(folder: Path) -> HistoryFact:
    return Histories(Secrets(), lambda: PROGRAM).look(str(folder), Moment())


def test_an_ordinary_history_is_clean(tree: Path) -> None:
    """Nothing secret anywhere: known, and nothing found."""
    commit(tree, "src/b.py", "b\n")
    assert look(tree) == HistoryFact(known=True)


def by_deletion(tree: Path) -> None:
    commit(tree, ".env", KEY)
    remove(tree, ".env")


def by_branch(tree: Path) -> None:
    git(tree, "checkout", "-qb", "side")
    commit(tree, ".env", KEY)
    git(tree, "checkout", "-q", "main")


def by_stash(tree: Path) -> None:
    (tree / ".env").write_text(KEY)
    git(tree, "add", "-f", ".env")
    git(tree, "stash", "-q")


def by_amending(tree: Path) -> None:
    commit(tree, ".env", KEY)
    git(tree, "rm", "-q", "--cached", ".env")
    git(tree, "commit", "-q", "--amend", "--allow-empty", "-m", "gone")


def by_renaming(tree: Path) -> None:
    commit(tree, ".env", KEY)
    git(tree, "mv", ".env", "config.txt")
    git(tree, "commit", "-qm", "renamed")


def by_tag_of_a_folder(tree: Path) -> None:
    blob = git(tree, "hash-object", "-w", "--stdin", feed=KEY)
    made = git(tree, "mktree", feed=f"100644 blob {blob}\t.env\n")
    git(tree, "tag", "keys", made)


def by_fetching(tree: Path) -> None:
    other = tree.parent / "other"
    git(tree, "clone", "-q", ".", str(other))
    commit(other, ".env", KEY)
    git(tree, "fetch", "-q", str(other), "main")


def by_an_odd_merge(tree: Path) -> None:
    git(tree, "checkout", "-qb", "side")
    commit(tree, "b.py", "b\n")
    git(tree, "checkout", "-q", "main")
    commit(tree, "c.py", "c\n")
    git(tree, "merge", "-q", "--no-ff", "--no-commit", "side")
    commit(tree, ".env", KEY)


@pytest.mark.parametrize(
    "hide",
    [by_deletion, by_branch, by_stash, by_amending, by_renaming, by_tag_of_a_folder, by_fetching, by_an_odd_merge],
)
def test_a_secret_is_found_wherever_git_keeps_it(tree: Path, hide: Callable[[Path], None]) -> None:
    """Deleted, on another branch, stashed, amended away, renamed, tagged without a commit, fetched, slipped into a
    merge."""
    hide(tree)
    assert look(tree).secrets == (".env",)


def test_in_a_linked_work_tree(tree: Path) -> None:
    """Its .git is a file, its references are its own and those of the repository."""
    by_branch(tree)
    git(tree, "worktree", "add", "-q", "../linked")
    assert look(tree.parent / "linked").secrets == (".env",)


def test_how_far_back_it_is_clean(tree: Path) -> None:
    """Commits behind HEAD count while they neither hold nor change a secret, and have one parent."""
    by_deletion(tree)
    assert look(tree).clean == 0
    commit(tree, "b.py", "b\n")
    commit(tree, "c.py", "c\n")
    assert look(tree).clean == 2


def test_head_itself_may_be_wholly_clean(tree: Path) -> None:
    """The secret is on another branch only."""
    by_branch(tree)
    assert look(tree).clean == WHOLE


def test_what_comes_later_is_seen(tree: Path) -> None:
    """A walk is kept until a reference moves, then goes on from there."""
    histories = Histories(Secrets(), lambda: PROGRAM)
    assert histories.look(str(tree), Moment()) == HistoryFact(known=True)
    last = commit(tree, "b.py", "b\n")
    assert histories.look(str(tree), Moment()) == HistoryFact(known=True)
    assert histories.object(str(tree), last[:8], Moment()).kind == "commit"
    by_deletion(tree)
    assert histories.look(str(tree), Moment()).secrets == (".env",)


def test_what_was_removed_for_good_is_forgotten(tree: Path) -> None:
    """After the branch with the secret is gone, and the reflogs, the history is clean again."""
    histories = Histories(Secrets(), lambda: PROGRAM)
    by_branch(tree)
    assert histories.look(str(tree), Moment()).secrets
    git(tree, "branch", "-qD", "side")
    git(tree, "reflog", "expire", "--expire=now", "--all")
    assert histories.look(str(tree), Moment()).secrets == ()


def test_objects(tree: Path) -> None:
    """A name or its beginning: of a commit, of something in the history, of nothing, of what nothing leads to."""
    histories = Histories(Secrets(), lambda: PROGRAM)
    loose = git(tree, "hash-object", "-w", "--stdin", feed=KEY)
    histories.look(str(tree), Moment())

    def kind(name: str) -> str:
        return histories.object(str(tree), name, Moment()).kind

    for packed in (False, True):
        if packed:
            git(tree, "repack", "-adkq")
        assert kind(git(tree, "rev-parse", "HEAD")) == "commit"
        assert kind(git(tree, "rev-parse", "HEAD")[:7].upper()) == "commit"
        assert kind(git(tree, "rev-parse", "HEAD:a.py")) == "reached"
        assert kind(git(tree, "rev-parse", "HEAD^{tree}")) == "reached"
        assert kind("0123456789") == "missing"
        assert kind(loose) == "loose"
        assert kind(loose[:6]) == "loose"


def test_a_pack_index_that_is_not_understood(tmp_path: Path) -> None:
    """Then it cannot be told what is there."""
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "pack-1.idx").write_bytes(b"\377tOc\0\0\0\x09" + bytes(2000))
    assert git_objects.beginning(str(tmp_path), "1234", 20) is None


def test_in_the_background_nobody_waits(tree: Path) -> None:
    """`look` says at once that it is being read; after that it is known."""
    histories = Histories(Secrets(), lambda: PROGRAM, background=True)
    assert histories.look(str(tree), Moment()) == HistoryFact(reading=True)
    wait(histories.reading(), PATIENCE)
    assert histories.look(str(tree), Moment()) == HistoryFact(known=True)


def test_a_walk_that_fails_says_so(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No git, a damaged repository, or one that holds too much: not known, and so never taken for clean."""
    assert not Histories(Secrets(), lambda: "").look(str(tree), Moment()).known
    monkeypatch.setattr(history_walk, "_OBJECTS", 1)
    assert not look(tree).known
    monkeypatch.undo()
    (tree / ".git" / "refs" / "heads" / "bad").write_text("1" * 40 + "\n")
    commit(tree, "b.py", "b\n")
    blob = git(tree, "rev-parse", "HEAD^{tree}")
    (tree / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    assert not look(tree).known


def test_a_walk_that_takes_too_long_is_ended(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A git that never ends is killed, and the history is not known."""
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\nexec tail -f /dev/null\n")
    slow.chmod(0o755)
    monkeypatch.setattr(history_walk, "SECONDS", 0.2)
    assert not Histories(Secrets(), lambda: str(slow)).look(str(tree), Moment()).known


def test_the_walk_runs_nothing_of_the_repository(tree: Path, tmp_path: Path) -> None:
    """Configuration, hooks and filters that would run something are not used."""
    mark = tmp_path / "ran"
    for name in ("core.fsmonitor", "core.pager", "diff.external", "filter.x.smudge", "diff.x.textconv", "gpg.program"):
        git(tree, "config", name, f"touch {mark}; false")
    git(tree, "config", "log.showSignature", "true")
    (tree / ".gitattributes").write_text("* filter=x diff=x\n")
    assert look(tree).known
    assert not mark.exists()


def test_folders_that_became_links(tree: Path) -> None:
    """A tracked folder in whose place a link lies is named; one that is a folder is not."""
    commit(tree, "src/deep/b.py", "b\n")
    detours = Detours()
    assert detours.look(str(tree), Moment()).folders == ()
    (tree / "src" / "deep" / "b.py").unlink()
    (tree / "src" / "deep").rmdir()
    (tree / "src" / "deep").symlink_to("/etc")
    assert detours.look(str(tree), Moment()).folders == ("src/deep",)


def test_objects_that_others_stand_in_for(tree: Path) -> None:
    """git replace, also packed, and grafts."""
    assert not swapped(str(tree), Moment())
    git(tree, "replace", git(tree, "rev-parse", "HEAD:a.py"), git(tree, "hash-object", "-w", "--stdin", feed=KEY))
    assert swapped(str(tree), Moment())
    git(tree, "pack-refs", "--all")
    assert swapped(str(tree), Moment())


def test_the_policy_waits_for_nothing_and_asks_meanwhile(tree: Path) -> None:
    """In the background a first judgement asks, says what is being read, and is allowed once that is done."""
    judgement = Judgement(
        folder=tree.parent / "config",
        state=tree.parent / "state",
        home=str(tree.parent),
        environ={"PATH": "/usr/bin:/bin"},
        background=True,
    )
    action = Shell(text="git log -p", cwd=str(tree))
    first = judgement.judge_at(action, str(tree))
    assert first.decision.verdict is Verdict.ASK
    assert "ask again" in first.decision.reason
    wait(judgement.reading(first), PATIENCE)
    second = judgement.judge_at(action, str(tree))
    assert second.decision.verdict is Verdict.ALLOW
    assert judgement.reading(second) == ()
