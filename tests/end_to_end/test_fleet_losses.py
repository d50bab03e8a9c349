"""What an agent's worktree holds that git status or its branch alone do not tell of: none of it is thrown away."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator

import pytest
from tests.end_to_end.finishing import finish, finishing, refused, spawned
from tests.end_to_end.fleet_world import World

HOWS: list[dict[str, bool]] = [{}, {"merge": True}, {"keep_branch": True}]


@pytest.fixture
def world() -> Iterator[World]:
    with finishing() as made:
        yield made


@pytest.mark.parametrize("how", HOWS)
def test_commits_on_no_branch_are_not_thrown_away(world: World, how: dict[str, bool]) -> None:
    """An agent that has checked out a commit, and works on from there."""
    folder = spawned(world)
    world.git("checkout", "-q", "--detach", cwd=folder)
    world.commit("found nowhere else", "x.txt", "x\n", cwd=folder)
    assert "on no branch: " in refused(world, **how)
    world.git("branch", "kept", "HEAD", cwd=folder)
    finish(world, **how)
    assert "found nowhere else" in world.git("log", "-1", "--format=%s", "kept")


@pytest.mark.parametrize("how", HOWS)
def test_new_files_count_also_where_git_is_told_not_to_show_them(world: World, how: dict[str, bool]) -> None:
    folder = spawned(world)
    world.git("config", "status.showUntrackedFiles", "no")
    (folder / "new.txt").write_text("new\n")
    assert "not committed: ?? new.txt" in refused(world, **how)


def test_a_rebase_that_is_under_way_is_not_thrown_away(world: World) -> None:
    folder = spawned(world)
    world.commit("mine", "mine.txt", "mine\n", cwd=folder)
    env = {"PATH": os.environ["PATH"], "HOME": str(world.home), "GIT_SEQUENCE_EDITOR": "sed -i s/^pick/edit/"}
    subprocess.run(["git", "rebase", "-q", "-i", "HEAD~1"], cwd=folder, env=env, check=True, capture_output=True)
    assert "not committed: a rebase is under way" in refused(world, keep_branch=True)


def test_an_index_of_many_files_is_looked_through_to_its_end(world: World) -> None:
    """A repository within the worktree, whose commits are nowhere else; it comes after thousands of files."""
    folder = spawned(world)
    for number in range(4000):
        (folder / f"a-file-with-a-name-of-some-length-{number:04}.txt").write_text("")
    inner = folder / "z-inner"
    inner.mkdir()
    world.git("init", "-q", "-b", "main", cwd=inner)
    world.commit("only here", "a", "a\n", cwd=inner)
    world.git("add", "-A", cwd=folder)
    world.git("commit", "-q", "-m", "many", cwd=folder)
    assert "not pushed in the submodule z-inner: " in refused(world, keep_branch=True)


def test_a_worktree_that_is_locked_is_told_before_anything_ends(world: World) -> None:
    folder = spawned(world)
    world.git("worktree", "lock", "--reason", "on a stick", str(folder))
    for how in ({}, {"discard": True}):
        assert "is locked: on a stick" in refused(world, **how)
    world.git("worktree", "unlock", str(folder))
    finish(world)
    world.nothing_left()


def test_what_is_no_worktree_any_more_is_not_removed(world: World) -> None:
    """Git would look at the repository around it, or at one that its agent has put there."""
    folder = spawned(world)
    (folder / ".git").unlink()
    (folder / "precious.txt").write_text("precious\n")
    for again in range(2):
        for how in ({}, {"discard": True}):
            assert "is no worktree of" in refused(world, **how), again
        world.git("init", "-q", cwd=folder)
    assert (folder / "precious.txt").exists()
    shutil.rmtree(folder)
    finish(world)


def test_a_worktree_that_was_moved_keeps_its_branch(world: World) -> None:
    folder = spawned(world)
    moved = world.repository.parent / "moved"
    world.git("worktree", "move", str(folder), str(moved))
    (moved / "new.txt").write_text("new\n")
    assert f"checked out in {moved}" in refused(world, discard=True)
    world.git("worktree", "move", str(moved), str(folder))
    assert "not committed: ?? new.txt" in refused(world)


@pytest.mark.parametrize("ignored", [False, True])
def test_a_merge_writes_over_nothing_that_git_does_not_know(world: World, ignored: bool) -> None:
    """Also not over a file that git ignores, where git itself would."""
    if ignored:
        world.commit("ignores", ".gitignore", ".env\n")
    folder = spawned(world)
    (folder / ".env").write_text("the agent's\n")
    world.git("add", "-f", ".env", cwd=folder)
    world.git("commit", "-q", "-m", "an env of mine", cwd=folder)
    (world.repository / ".env").write_text("the person's\n")
    assert "would write over" in refused(world, merge=True)
    world.commit("main goes on", "other.txt", "other\n") if ignored else None
    assert "would write over" in refused(world, merge=True)
    assert (world.repository / ".env").read_text() == "the person's\n"
    (world.repository / ".env").unlink()
    finish(world, merge=True)
    assert (world.repository / ".env").read_text() == "the agent's\n"


def test_an_agent_whose_repository_is_gone_is_forgotten(world: World) -> None:
    folder = spawned(world)
    shutil.rmtree(world.repository)
    assert "--discard forgets feature-x" in refused(world)
    assert finish(world, discard=True) == [f"left {folder}: its repository {world.repository} is gone"]
    assert (world.sessions(), world.agents(), folder.is_dir()) == (["work"], [], True)


def test_a_branch_is_not_deleted_from_under_another_worktree(world: World) -> None:
    folder = spawned(world)
    world.git("checkout", "-q", "--detach", cwd=folder)
    world.git("worktree", "add", "-q", str(world.repository.parent / "other"), "feature/x")
    assert "checked out elsewhere" in finish(world)[-1]
    assert "feature/x" in world.branches()


def test_a_tag_called_like_the_base_is_not_the_base(world: World) -> None:
    world.git("tag", "main")
    world.commit("second", "second.txt", "2\n")
    folder = spawned(world)
    assert (folder / "second.txt").exists()
    assert world.person().call("fleet.get", {"name": "feature-x"}).get("ahead", 0) == 0
