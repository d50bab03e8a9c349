"""Where agents' worktrees come from: sub-folders, bare repositories, submodules, odd names, hostile configuration."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.end_to_end.fleet_world import World, tmux_of
from tests.sidecar import sidecar

ODD = "my shop 'ü$(touch x)"


@pytest.fixture
def world() -> Iterator[World]:
    with sidecar() as one, tmux_of(one) as tmux:
        made = World(one, tmux, ODD)
        made.start()
        yield made


def test_from_a_sub_folder_with_an_odd_branch(world: World) -> None:
    below = world.repository / "sub folder"
    below.mkdir()
    made = world.spawn("größe/ü-1'x$(id)", repository=str(below))
    assert made["name"] == "größe-ü-1-x-id"
    assert world.git("symbolic-ref", "--short", "HEAD", cwd=Path(made["worktree"])) == "größe/ü-1'x$(id)"
    world.shows(made["pane"], "ready in")
    world.person().call("fleet.finish", {"name": made["name"]})
    world.nothing_left()


def test_a_bare_repository(world: World) -> None:
    bare = world.repository.parent / "bare.git"
    world.git("clone", "-q", "--bare", str(world.repository), str(bare))
    made = world.spawn("feature/x", repository=str(bare))
    assert (Path(made["worktree"]) / "prices.txt").exists()
    assert Path(made["worktree"]).parent.name == "bare-worktrees"
    world.person().call("fleet.finish", {"name": made["name"]})
    assert world.git("branch", "--format=%(refname:short)", cwd=bare) == "main"
    assert not Path(made["worktree"]).parent.exists()


def test_from_a_worktree_of_another_agent(world: World) -> None:
    first = world.spawn("one")
    second = world.spawn("two", repository=first["worktree"])
    assert second["repository"] == str(world.repository)
    assert Path(second["worktree"]).parent == Path(first["worktree"]).parent


def test_with_a_submodule_that_has_changes(world: World) -> None:
    library = world.sidecar.root / "library"
    library.mkdir()
    world.git("init", "-q", "-b", "main", cwd=library)
    world.commit("first", "a", "a\n", cwd=library)
    world.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(library), "lib")
    world.git("commit", "-q", "-m", "with a library")
    made = world.spawn("feature/x")
    folder = Path(made["worktree"])
    world.git("-c", "protocol.file.allow=always", "submodule", "update", "--init", "-q", cwd=folder)
    (folder / "lib" / "a").write_text("changed\n")
    said = world.person().error("fleet.finish", {"name": made["name"], "keep_branch": True})["message"]
    assert "not committed in the submodule lib: " in said
    world.commit("second", "a", "changed\n", cwd=folder / "lib")
    world.git("add", "lib", cwd=folder)
    world.git("commit", "-q", "-m", "moved", cwd=folder)
    said = world.person().error("fleet.finish", {"name": made["name"], "keep_branch": True})["message"]
    assert "not pushed in the submodule lib: " in said
    assert folder.is_dir()
    world.person().call("fleet.finish", {"name": made["name"], "discard": True})
    world.nothing_left()


def test_what_is_no_branch_is_refused(world: World) -> None:
    for branch in ("", "-b", "a..b", "a b", "HEAD", "x.lock", "a\nb", "@{-1}", "/a", "a/", "ab" * 20):
        assert "is no name that git takes" in world.error(branch), branch
    assert "more than 200 characters" in world.error("x" * 300)
    world.nothing_left()


def test_a_hostile_repository_runs_nothing(world: World) -> None:
    """Its configuration and hooks name programs: git runs none of them for us."""
    flag = world.sidecar.folder / "flag"
    world.commit("attributes", ".gitattributes", "*.txt filter=x\n")
    hook = world.repository / ".git" / "hooks" / "post-checkout"
    hook.write_text(f"#!/bin/sh\ntouch '{flag}'\n")
    hook.chmod(0o755)
    for key in ("core.fsmonitor", "filter.x.smudge", "filter.x.process", "diff.external", "core.sshCommand"):
        world.git("config", key, f"touch '{flag}'")
    world.git("status", check=False)
    assert flag.exists()  # it is a trap
    flag.unlink()
    made = world.spawn("feature/x")
    world.person().call("fleet.get", {"name": made["name"]})
    (Path(made["worktree"]) / "prices.txt").write_text("changed\n")
    world.person().call("fleet.get", {"name": made["name"]})
    world.person().call("fleet.finish", {"name": made["name"], "discard": True})
    assert not flag.exists()


@pytest.mark.parametrize("missing", ["HEAD^{tree}", "HEAD", "HEAD~1"])
def test_nothing_is_fetched_by_a_program_of_the_repository(world: World, missing: str) -> None:
    """It says that it is a partial clone: what is missing in it git gets by a program that its configuration names."""
    flag = world.sidecar.folder / "flag"
    made = world.spawn("feature/x")
    worktree = Path(made["worktree"])
    for name in ("a.txt", "b.txt"):
        world.commit(name, name, name, cwd=worktree)
    for key, value in (
        ("core.repositoryformatversion", "1"), ("extensions.partialClone", "evil"), ("remote.evil.promisor", "true"),
        ("remote.evil.url", str(world.repository)), ("remote.evil.uploadpack", f"touch '{flag}';false"),
    ):  # fmt: skip
        world.git("config", key, value)
    name = world.git("rev-parse", missing, cwd=worktree)
    (world.repository / ".git" / "objects" / name[:2] / name[2:]).unlink()
    world.git("log", "--stat", cwd=worktree, check=False)
    assert flag.exists()  # it is a trap
    flag.unlink()
    for method, params in (
        ("fleet.get", {}), ("fleet.list", {}), ("fleet.finish", {"merge": True}), ("fleet.finish", {}),
        ("fleet.finish", {"discard": True}),
    ):  # fmt: skip
        world.person().request(method, params if method == "fleet.list" else {"name": made["name"], **params})
    world.person().request("fleet.spawn", {"branch": "y", "base": "feature/x", "repository": str(world.repository)})
    assert not flag.exists()


def test_a_branch_that_is_there_is_used_and_never_deleted(world: World) -> None:
    world.git("branch", "mine")
    made = world.spawn("mine")
    world.person().call("fleet.finish", {"name": made["name"], "discard": True})
    assert world.branches() == ["main", "mine"]
    assert "is checked out in" in world.error("main")
    (world.sidecar.config / "fleet.toml").write_text('setup = ["exit 1"]\n')
    assert "exit code 1" in world.error("mine")
    assert world.branches() == ["main", "mine"]


def test_a_repository_without_a_commit_is_said(world: World) -> None:
    empty = world.sidecar.root / "empty"
    empty.mkdir()
    world.git("init", "-q", cwd=empty)
    assert "has no commit yet" in world.error("feature/x", repository=str(empty))
