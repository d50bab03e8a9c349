"""The end of an agent's worktree: nothing is lost that was not said; what does not merge touches nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.end_to_end.finishing import finish, finishing, refused, spawned
from tests.end_to_end.fleet_world import World
from tests.sidecar import until


@pytest.fixture
def world() -> Iterator[World]:
    with finishing() as made:
        yield made


@pytest.mark.parametrize("how", [{}, {"merge": True}, {"keep_branch": True}])
def test_what_is_not_committed_is_not_thrown_away(world: World, how: dict[str, bool]) -> None:
    folder = spawned(world)
    (folder / "prices.txt").write_text("apples 4\n")
    (folder / "new.txt").write_text("new\n")
    said = refused(world, **how)
    assert "not committed:  M prices.txt" in said
    assert "not committed: ?? new.txt" in said
    assert (folder / "new.txt").exists()
    finish(world, discard=True)
    world.nothing_left()


def test_commits_that_nobody_else_has_are_not_thrown_away(world: World) -> None:
    folder = spawned(world)
    world.commit("raise prices", "prices.txt", "apples 4\n", cwd=folder)
    assert "neither merged nor pushed: " in (said := refused(world))
    assert "raise prices" in said
    did = finish(world, keep_branch=True)
    assert did[-1] == "kept the branch feature/x"
    assert world.git("show", "feature/x:prices.txt") == "apples 4"
    assert world.worktrees() == [str(world.repository)]


def test_what_was_pushed_may_go(world: World) -> None:
    remote = world.sidecar.root / "remote.git"
    world.git("init", "-q", "--bare", str(remote))
    world.git("remote", "add", "origin", str(remote))
    folder = spawned(world)
    world.commit("raise prices", "prices.txt", "apples 4\n", cwd=folder)
    world.git("push", "-q", "origin", "feature/x", cwd=folder)
    finish(world)
    world.nothing_left()


def test_a_merge_moves_the_base_and_its_worktree(world: World) -> None:
    folder = spawned(world)
    world.commit("raise prices", "prices.txt", "apples 4\n", cwd=folder)
    (world.repository / "notes").write_text("of the person, not in git\n")
    assert "fast-forward" in finish(world, merge=True)[0]
    assert (world.repository / "prices.txt").read_text() == "apples 4\n"
    assert world.git("status", "--porcelain") == "?? notes"
    assert world.branches() == ["main"]


def test_what_is_committed_after_a_person_was_asked_is_not_merged(world: World) -> None:
    """A yes to a merge is one to the commit that was shown: an agent may not put another on top meanwhile."""
    folder = spawned(world)
    world.commit("raise prices", "prices.txt", "apples 4\n", cwd=folder)
    shown = world.git("rev-parse", "feature/x")
    asker = world.sidecar.agent()
    number = asker.start("fleet.finish", {"name": "feature-x", "merge": True})
    until(lambda: world.person().call("human.pending")["approvals"])
    (question,) = world.person().call("human.pending")["approvals"]
    assert shown[:12] in str(question)
    world.commit("and more", "prices.txt", "apples 400\n", cwd=folder)
    answer = {"request_id": question["request_id"], "digest": question["digest"], "approved": True}
    world.person().call("human.respond", answer)
    error = asker.reply_to(number)["error"]
    assert error["data"]["kind"] == "conflict"
    assert shown[:12] in error["message"]
    assert (world.repository / "prices.txt").read_text() == "apples 3\n"
    assert world.agent("feature-x")["state"] == "running"


def test_a_merge_commit_where_both_have_moved(world: World) -> None:
    folder = spawned(world)
    world.commit("raise prices", "prices.txt", "apples 4\n", cwd=folder)
    world.commit("elsewhere", "other.txt", "other\n")
    assert "a merge commit" in finish(world, merge=True)[0]
    assert world.git("log", "-1", "--format=%s %an %p").startswith("Merge branch 'feature/x' into main Ada ")
    assert (world.repository / "prices.txt").read_text() == "apples 4\n"
    assert (world.repository / "other.txt").exists()
    assert world.git("status", "--porcelain") == ""


def test_a_branch_that_nobody_is_on_is_merged_into_as_well(world: World) -> None:
    world.git("branch", "release")
    folder = spawned(world)
    world.commit("raise prices", "prices.txt", "apples 4\n", cwd=folder)
    finish(world, merge=True, into="release")
    assert world.git("show", "release:prices.txt") == "apples 4"
    assert (world.repository / "prices.txt").read_text() == "apples 3\n"


def test_a_conflict_touches_nothing_and_is_said(world: World) -> None:
    folder = spawned(world)
    world.commit("raise prices", "prices.txt", "apples 4\n", cwd=folder)
    world.commit("lower prices", "prices.txt", "apples 2\n")
    before = world.git("rev-parse", "main", "feature/x")
    said = refused(world, merge=True)
    assert "does not merge into main" in said
    assert "prices.txt" in said
    assert world.git("rev-parse", "main", "feature/x") == before
    assert world.git("status", "--porcelain") == ""
    assert not (world.repository / ".git" / "MERGE_HEAD").exists()


def test_nothing_is_merged_into_a_worktree_with_changes(world: World) -> None:
    folder = spawned(world)
    world.commit("raise prices", "prices.txt", "apples 4\n", cwd=folder)
    (world.repository / "prices.txt").write_text("apples 9\n")
    assert "where something is not committed" in refused(world, merge=True)
    assert (world.repository / "prices.txt").read_text() == "apples 9\n"


def test_a_worktree_that_somebody_removed_is_finished_all_the_same(world: World) -> None:
    folder = spawned(world)
    world.person().call("fleet.kill", {"name": "feature-x"})
    world.git("worktree", "remove", "--force", str(folder))
    finish(world)
    assert world.branches() == ["main"]
    assert world.agents() == []


def test_commits_of_a_worktree_that_somebody_removed_are_kept(world: World) -> None:
    folder = spawned(world)
    world.commit("raise prices", "prices.txt", "apples 4\n", cwd=folder)
    world.person().call("fleet.kill", {"name": "feature-x"})
    world.git("worktree", "remove", "--force", str(folder))
    said = world.person().error("fleet.finish", {"name": "feature-x"})["message"]
    assert "neither merged nor pushed: " in said
    finish(world, merge=True)
    assert (world.repository / "prices.txt").read_text() == "apples 4\n"
    assert world.branches() == ["main"]


@pytest.mark.parametrize("how", [{}, {"merge": True}, {"discard": True}])
def test_what_is_committed_while_it_is_finished_is_kept(world: World, how: dict[str, bool]) -> None:
    """Nobody has looked at it: the branch stays, and that is said."""
    commit = "git -c user.name=a -c user.email=a@b.example commit -q --allow-empty -m late"
    (world.sidecar.config / "fleet.toml").write_text(f'teardown = ["{commit}"]\n')
    spawned(world)
    assert finish(world, **how)[-1] == "kept the branch feature/x: it moved meanwhile, or is checked out elsewhere"
    assert world.git("log", "-1", "--format=%s", "feature/x") == "late"
