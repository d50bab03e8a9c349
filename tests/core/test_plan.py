"""Tests of core/plan.py: a plan's transitions and bounds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tmux_agent.core import plan
from tmux_agent.core.errors import Conflict, InvalidParams, LimitExceeded
from tmux_agent.core.model import Origin, Plan, Role

NOW = datetime(2026, 11, 20, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)
AGENT = Origin(role=Role.AGENT, why="", uid=1, pid=1, session="s1", agent="claude")


def deploy() -> Plan:
    return plan.create("P1", "Deploy", ["test", "build", "push"], "", AGENT, NOW)


def states(of: Plan) -> list[str]:
    return [step.status for step in of.steps]


def test_a_new_plan_is_at_its_first_step() -> None:
    """It belongs to its asker and its first step is in progress."""
    made = deploy()
    assert (made.session, made.agent, made.current, made.status) == ("s1", "claude", 0, "active")
    assert states(made) == ["in_progress", "pending", "pending"]


def test_advance_goes_through_all_steps() -> None:
    """Each advance completes one step; after the last the plan is completed and takes no more."""
    one = plan.advance(deploy(), "fine", LATER)
    assert (states(one), one.current, one.steps[0].notes) == (["completed", "in_progress", "pending"], 1, "fine")
    done = plan.advance(plan.advance(one, None, LATER), None, LATER)
    assert (done.status, done.updated) == ("completed", LATER)
    with pytest.raises(Conflict):
        plan.advance(done, None, LATER)


def test_advance_passes_over_skipped_steps() -> None:
    """A step that was skipped is not gone back to."""
    skipped = plan.update(deploy(), 1, "skipped", None, NOW)
    assert plan.advance(skipped, None, LATER).current == 2


def test_update_keeps_what_is_not_given() -> None:
    """Only notes, only status; the last step that ends completes the plan."""
    noted = plan.update(deploy(), 0, None, "half way", LATER)
    assert (noted.steps[0].status, noted.steps[0].notes) == ("in_progress", "half way")
    failed = noted
    for step in range(3):
        failed = plan.update(failed, step, "failed", None, LATER)
    assert (failed.status, failed.steps[0].notes) == ("completed", "half way")


def test_abort_ends_it() -> None:
    """With its reason, once."""
    gone = plan.abort(deploy(), "not needed", LATER)
    assert (gone.status, gone.reason) == ("aborted", "not needed")
    with pytest.raises(Conflict):
        plan.abort(gone, "", LATER)


@pytest.mark.parametrize(
    ("name", "steps", "error"),
    [
        ("", ["a"], InvalidParams),
        ("n", [], InvalidParams),
        ("n" * 257, ["a"], LimitExceeded),
        ("n", ["a"] * 201, LimitExceeded),
        ("n", ["a" * 4097], LimitExceeded),
    ],
)
def test_sizes_are_bounded(name: str, steps: list[str], error: type[Exception]) -> None:
    """No plan without name or steps, none that is too large."""
    with pytest.raises(error):
        plan.create("P1", name, steps, "", AGENT, NOW)


@pytest.mark.parametrize("step", [-1, 3])
def test_there_is_no_other_step(step: int) -> None:
    """A step is named by its number from 0."""
    with pytest.raises(InvalidParams):
        plan.update(deploy(), step, "completed", None, NOW)
