"""Tests of services/grants.py: made as offered, counted, ended."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace
from tests.services.sidecar_values import AGENT, PERSON, in_loop, question, started

from tmux_agent.core.errors import Conflict, InvalidParams, NotFound
from tmux_agent.core.model import Decision, Event, Grant, Match, Verdict
from tmux_agent.services import store
from tmux_agent.services.audit_log import AuditLog
from tmux_agent.services.grants import Grants
from tmux_agent.services.journal import utc_now

ALL = ("once", "exact", "shape", "30m", "always")


@asynccontextmanager
async def sidecar(folder: Path, **options: Any) -> AsyncIterator[Grants]:
    journal = await started(folder)
    grants = Grants(journal, **options)
    await grants.recover()
    try:
        yield grants
    finally:
        await journal.close()


async def make(grants: Grants, wish: str | dict[str, Any]) -> Grant:
    """A grant that is in force."""
    grant = grants.prepare(question(grants=ALL), wish, PERSON)
    assert grant is not None
    await grants._journal.commit(
        lambda db: store.add_grant(db, grant), grants.made_event(grant, ""), then=lambda _: grants.remember(grant)
    )
    return grant


def rests_on(*grants: Grant) -> Decision:
    """An allow because of these grants."""
    matched = tuple(Match(rule="g", verdict=Verdict.ALLOW, where=f"grant {one.id}") for one in grants)
    return Decision(verdict=Verdict.ALLOW, rule="g", reason="", matched=matched)


@in_loop
async def test_scopes_reach_as_far_as_they_say(tmp_path: Path) -> None:
    """exact: this action of this session; shape: its rule; always: every session of the agent; 30m: until then."""
    async with sidecar(tmp_path) as grants:
        exact = await make(grants, "exact")
        always = await make(grants, {"scope": "always", "rule": {"command": ["npm", "ci"]}, "text": "npm ci"})
        half = await make(grants, "30m")
        assert (exact.digest, exact.session) == (question().digest, "s1")
        assert (always.digest, always.session, always.agent, always.text) == (None, None, "claude", "npm ci")
        assert half.expires == half.created + timedelta(minutes=30)
        assert grants.active(AGENT) == (exact, always, half)
        assert grants.active(replace(AGENT, session="s2")) == (always,)
        assert grants.active(replace(AGENT, session="s2", agent="codex")) == ()
        assert grants.prepare(question(grants=ALL), "once", PERSON) is None


@in_loop
@pytest.mark.parametrize(
    "wish",
    ["always", "forever", {"scope": "shape"}, {"scope": "exact", "uses": "many"}, {"scope": ["exact"]}, {}],
)
async def test_what_is_not_offered_or_not_whole_is_refused(tmp_path: Path, wish: Any) -> None:
    """Only offered scopes; a rule where one is needed; typed members."""
    async with sidecar(tmp_path) as grants:
        with pytest.raises(InvalidParams):
            grants.prepare(question(grants=("once", "exact", "shape")), wish, PERSON)


@in_loop
async def test_uses_are_counted_and_run_out(tmp_path: Path) -> None:
    """At once or one by one, over a restart: never one use more; the loser's records are not written."""
    async with sidecar(tmp_path) as grants:
        grant = await make(grants, {"scope": "exact", "uses": 3})
        await grants.used(rests_on(grant), Event(type="decision", request_id="r1"))
    async with sidecar(tmp_path) as grants:
        assert grants.active(AGENT)[0].uses_left == 2
        decision, event = rests_on(grant), Event(type="decision")
        done = await asyncio.gather(*(grants.used(decision, event) for _ in range(3)), return_exceptions=True)
        assert [type(one) for one in done] == [type(None), type(None), Conflict]
        assert grants.active(AGENT) == ()
    kinds = [record.type for record in AuditLog(tmp_path / "audit.jsonl").records()]
    assert kinds == ["grant.made", *["decision", "grant.used"] * 3]


@in_loop
async def test_a_decision_without_grants_is_only_recorded(tmp_path: Path) -> None:
    """Nothing is counted for a deny, or for what rules allowed."""
    async with sidecar(tmp_path) as grants:
        grant = await make(grants, {"scope": "exact", "uses": 3})
        await grants.used(replace(rests_on(grant), verdict=Verdict.DENY), Event(type="decision"))
        await grants.used(rests_on(), Event(type="decision"))
        assert grants.active(AGENT)[0].uses_left == 3


@in_loop
async def test_a_revoked_grant_is_gone(tmp_path: Path) -> None:
    """For good, once, and a decision that still rests on it fails."""
    async with sidecar(tmp_path) as grants:
        grant = await make(grants, "exact")
        stale = rests_on(grant)
        assert (await grants.revoke(grant.id, PERSON)).revoked
        assert grants.active(AGENT) == ()
        await grants.used(stale, Event(type="decision"))  # no longer in force: nothing left to count
        with pytest.raises(NotFound):
            await grants.revoke(grant.id, PERSON)
    async with sidecar(tmp_path) as grants:
        assert grants.all() == ()


@in_loop
async def test_time_ends_a_grant_and_a_clock_set_back_does_not_revive_it(tmp_path: Path) -> None:
    """Outside the half hour, on either side, it is not in force."""
    ahead = [timedelta()]
    async with sidecar(tmp_path, now=lambda: utc_now() + ahead[0]) as grants:
        await make(grants, "30m")
        for minutes, count in ((29, 1), (31, 0), (-1, 0)):
            ahead[0] = timedelta(minutes=minutes)
            assert len(grants.active(AGENT)) == count


@in_loop
async def test_half_an_hour_is_no_longer_where_the_clock_is_set_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After 30 minutes of the monotonic clock it is over, also where the wall clock stands where it stood."""
    ticks = time.monotonic()
    monkeypatch.setattr("tmux_agent.services.grants.time", SimpleNamespace(monotonic=lambda: ticks))
    async with sidecar(tmp_path) as grants:
        half = await make(grants, "30m")
        assert grants.all() == (half,)
        ticks += 1801
        assert grants.all() == ()
