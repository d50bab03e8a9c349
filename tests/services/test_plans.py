"""Tests of services/plans.py: kept over restarts, changed by their owner only, bounded."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.services.sidecar_values import AGENT, PERSON, in_loop, started

from tmux_agent.core.errors import Forbidden, LimitExceeded, NotFound
from tmux_agent.services import plans as module
from tmux_agent.services.audit_log import AuditLog
from tmux_agent.services.plans import Plans

OTHER = replace(AGENT, session="s2")


@in_loop
async def test_a_plan_survives_a_restart(tmp_path: Path) -> None:
    """With every change, and each change is a record with the whole plan."""
    journal = await started(tmp_path)
    plans = Plans(journal)
    made = await plans.create("Deploy", ["test", "push"], AGENT)
    await plans.advance(made.plan_id, AGENT, "green")
    changed = await plans.update(made.plan_id, 1, AGENT, notes="slow")
    await journal.close()
    journal = await started(tmp_path)
    plans = Plans(journal)
    await plans.recover()
    assert plans.get(made.plan_id) == changed == plans.current(AGENT)
    assert (await plans.abort(made.plan_id, PERSON, "no")).reason == "no"
    assert plans.current(AGENT) is None
    await journal.close()
    found = list(AuditLog(tmp_path / "audit.jsonl").records())
    assert [one.type for one in found] == ["plan.changed"] * 4
    assert found[-1].data["plan"]["status"] == "aborted"


@in_loop
async def test_a_plan_is_its_owners(tmp_path: Path) -> None:
    """Another agent sees it but changes nothing; a person may."""
    journal = await started(tmp_path)
    plans = Plans(journal)
    made = await plans.create("Deploy", ["test", "push"], AGENT)
    with pytest.raises(Forbidden):
        await plans.advance(made.plan_id, OTHER)
    with pytest.raises(NotFound):
        await plans.advance("01NOSUCH", AGENT)
    assert (await plans.advance(made.plan_id, PERSON)).current == 1
    await journal.close()


@in_loop
async def test_lists_go_by_pages_newest_first(tmp_path: Path) -> None:
    """A cursor is the last id that was seen; a session shows only its own."""
    journal = await started(tmp_path)
    plans = Plans(journal)
    ids = [(await plans.create(f"p{n}", ["a"], AGENT)).plan_id for n in range(4)]
    await plans.create("other", ["a"], OTHER)
    first = plans.list("s1", limit=3)
    rest = plans.list("s1", cursor=first[-1].plan_id)
    assert [one.plan_id for one in (*first, *rest)] == ids[::-1]
    await journal.close()


@in_loop
async def test_plans_do_not_grow_without_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many active ones are refused; ended ones make room for new ones, oldest first, in the database too."""
    monkeypatch.setattr(module, "KEEP", 3)
    monkeypatch.setattr(module, "ACTIVE_PER_ASKER", 2)
    journal = await started(tmp_path)
    plans = Plans(journal)
    one, two = [await plans.create("p", ["a"], AGENT) for _ in range(2)]
    with pytest.raises(LimitExceeded):
        await plans.create("p", ["a"], AGENT)
    await plans.abort(one.plan_id, AGENT)
    three = await plans.create("p", ["a"], AGENT)
    four = await plans.create("p", ["a"], OTHER)
    with pytest.raises(LimitExceeded):
        await plans.create("p", ["a"], replace(AGENT, session="s3"))
    await journal.close()
    journal = await started(tmp_path)
    kept = Plans(journal)
    await kept.recover()
    assert {plan.plan_id for plan in kept.list()} == {two.plan_id, three.plan_id, four.plan_id}
    await journal.close()


@in_loop
async def test_changes_at_once_are_all_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """None is computed from what another is just about to change, and no limit is passed by asking at once."""
    monkeypatch.setattr(module, "ACTIVE_PER_ASKER", 2)
    journal = await started(tmp_path)
    plans = Plans(journal)
    made = await plans.create("Deploy", ["test", "push", "tell"], AGENT)
    await asyncio.gather(*(plans.update(made.plan_id, step, AGENT, notes=f"n{step}") for step in range(3)))
    assert [step.notes for step in plans.get(made.plan_id).steps] == ["n0", "n1", "n2"]
    done = await asyncio.gather(*(plans.create("p", ["a"], AGENT) for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(one, LimitExceeded) for one in done) == 4
    await journal.close()
