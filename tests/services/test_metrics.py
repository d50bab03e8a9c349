"""Tests of services/counts.py, metrics.py, measuring.py: numbers that Prometheus' own parser reads, under few names."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from tests.docs.render import DOCS
from tests.patience import PATIENCE
from tests.services.sidecar_values import AGENT, PERSON, in_loop

from tmux_agent.core.errors import Unavailable
from tmux_agent.core.model import Event
from tmux_agent.core.protocol import Hello
from tmux_agent.services.counts import Counts
from tmux_agent.services.metrics import Metrics, MetricsFile, Now

AT = "2026-11-20T10:30:00.000000Z"
LATER = "2026-11-20T10:30:07.000000Z"


def now() -> Now:
    agents = Counter({("claude", "waiting"): 2})
    tasks = Counter({("running",): 2, ("done",): 7})
    return Now(
        version="1", pending=3, agents=agents, tasks=tasks, paused=True, records=41, unwell=False, warnings=1, lost=0,
        backup=5.0,
    )  # fmt: skip


def read(text: bytes) -> dict[str, float]:
    """Every sample as Prometheus names it."""
    found = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


async def told(counts: Counts) -> dict[str, float]:
    return read(await Metrics(counts, now).text())


@in_loop
async def test_a_question_from_begin_to_end() -> None:
    """Opened, answered through a door after seven seconds; another that nobody answers."""
    counts = Counts()
    for request_id in ("r1", "r2"):
        data = {"kind": "hook", "risk": "high", "rule": "push"}
        counts.take(Event(type="approval.opened", request_id=request_id, origin=AGENT, data=data), AT)
    counts.take(Event(type="approval.answered", request_id="r1", origin=PERSON, data={"approved": True}), LATER)
    counts.take(Event(type="approval.expired", request_id="r2", origin=AGENT), LATER)
    found = await told(counts)
    assert found["tmux_agent_approvals_opened_total{kind=hook,risk=high}"] == 2
    assert found["tmux_agent_approvals_settled_total{door=popup,outcome=approved}"] == 1
    assert found["tmux_agent_approvals_settled_total{door=none,outcome=expired}"] == 1
    assert found["tmux_agent_approval_wait_seconds_bucket{le=5.0}"] == 0
    assert found["tmux_agent_approval_wait_seconds_bucket{le=10.0}"] == 1
    assert found["tmux_agent_approval_wait_seconds_count"] == 1
    assert found["tmux_agent_approval_wait_seconds_sum"] == 7
    assert not counts._since


@in_loop
async def test_tasks_of_the_queue() -> None:
    """Those that end are counted, with how long their last try took."""
    counts = Counts()
    for state, seconds in (("starting", {}), ("done", {"seconds": 7.0}), ("skipped", {}), ("made-up", {"seconds": 1})):
        counts.take(Event(type="queue.task", data={"state": state, **seconds}), AT)
    found = await told(counts)
    assert found["tmux_agent_queue_tasks{state=running}"] == 2
    assert found["tmux_agent_queue_paused"] == 1
    assert found["tmux_agent_queue_tasks_ended_total{outcome=done}"] == 1
    assert found["tmux_agent_queue_tasks_ended_total{outcome=skipped}"] == 1
    assert "tmux_agent_queue_tasks_ended_total{outcome=made-up}" not in found
    assert found["tmux_agent_queue_task_seconds_sum"] == 7
    assert found["tmux_agent_queue_task_seconds_count"] == 1


@in_loop
async def test_what_is_so_at_this_moment() -> None:
    counts = Counts()
    counts.requests[Hello] += 2
    counts.errors[("denied",)] += 1
    found = await told(counts)
    assert found["tmux_agent_approvals_pending"] == 3
    assert found["tmux_agent_agents{agent=claude,state=waiting}"] == 2
    assert found["tmux_agent_audit_records_total"] == 41
    assert found["tmux_agent_state_backup_timestamp_seconds"] == 5
    assert found["tmux_agent_requests_total{method=hello}"] == 2
    assert found["tmux_agent_request_errors_total{kind=denied}"] == 1
    assert found["process_resident_memory_bytes"] > 1 << 20
    assert found["process_cpu_seconds_total"] > 0
    assert 0 <= found["tmux_agent_loop_lag_seconds"] < PATIENCE


@in_loop
async def test_decisions_runs_grants() -> None:
    """By what decided, never by a rule's name."""
    counts = Counts()
    for where in ("policy.yaml:41", "guardrail", "grant 01K", "default", "/home/me/policy.d/50-grants.yaml:3", ""):
        data = {"verdict": "allow", "rule": "mine", "where": where}
        counts.take(Event(type="decision", data=data), AT)
    counts.take(Event(type="decision", data={"verdict": "allow", "rule": "a person"}), AT)
    counts.take(Event(type="action.finished", data={"outcome": {"ok": True}}), AT)
    counts.take(Event(type="action.finished", data={"outcome": {"ok": False}}), AT)
    counts.take(Event(type="action.unknown"), AT)
    counts.take(Event(type="grant.made", data={"text": "npm ci"}), AT)
    counts.take(Event(type="notify.failed"), AT)
    counts.take(Event(type="refused"), AT)
    found = await told(counts)
    sources = {name: value for name, value in found.items() if "decisions" in name}
    assert sources == {
        f"tmux_agent_decisions_total{{source={source},verdict=allow}}": number
        for source, number in (("rule", 2), ("guardrail", 1), ("grant", 1), ("default", 1), ("other", 1), ("person", 1))
    }
    assert found["tmux_agent_runs_total{outcome=done}"] == found["tmux_agent_runs_total{outcome=failed}"] == 1
    assert found["tmux_agent_runs_total{outcome=unknown}"] == 1
    assert found["tmux_agent_grants_total{event=made}"] == 1
    assert found["tmux_agent_notification_failures_total"] == found["tmux_agent_refusals_total"] == 1


TYPES = ("approval.opened", "approval.answered", "approval.expired", "decision", "action.finished", "grant.used", "x.y")
HOSTILE = st.one_of(st.text(), st.integers(), st.none(), st.lists(st.text()))
NAMES = ("kind", "risk", "verdict", "where", "rule", "approved", "outcome")


@given(st.lists(st.tuples(st.sampled_from(TYPES), st.dictionaries(st.sampled_from(NAMES), HOSTILE)), max_size=30))
def test_no_text_of_others_becomes_a_label(events: list[tuple[str, dict[str, object]]]) -> None:
    """However an event looks, the names are those of the first page of docs/metrics.md."""
    counts = Counts()
    for number, (kind, data) in enumerate(events):
        origin = AGENT if number % 2 else None
        counts.take(Event(type=kind, request_id=str(number), origin=origin, data=data), AT)
    words = {"hook", "run", "question", "low", "medium", "high", "other", "allow", "ask", "deny", "guardrail", "grant"}
    words |= {"default", "environment", "rule", "person", "approved", "denied", "expired", "socket", "none"}
    words |= {"done", "failed", "used"}
    for counted in (counts.opened, counts.settled, counts.decisions, counts.runs, counts.grants):
        assert {word for labels in counted for word in labels} <= words


def test_questions_that_never_end_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their begin is all that is kept, and of so many only."""
    from tmux_agent.services import counts as module

    monkeypatch.setattr(module, "KEEP", 10)
    counts = Counts()
    for number in range(100):
        counts.take(Event(type="approval.opened", request_id=str(number), origin=AGENT), AT)
    assert len(counts._since) == 10


# --- the file --------------------------------------------------------------------------------------


@in_loop
async def test_a_file_for_node_exporter(tmp_path: Path) -> None:
    """Whole at every instant, readable for another user; where it cannot be written, that is a warning until it can."""
    told_of = asyncio.Event()
    path = tmp_path / "metrics" / "tmux_agent.prom"
    file = MetricsFile(Metrics(Counts(), now), path, 0.01, told_of.set)
    task = asyncio.create_task(file.run())
    async with asyncio.timeout(PATIENCE):
        await told_of.wait()
        assert "cannot be written" in file.wrong
        told_of.clear()
        path.parent.mkdir()
        await told_of.wait()
    assert file.wrong == ""
    assert read(path.read_bytes())["tmux_agent_approvals_pending"] == 3
    assert oct(path.stat().st_mode & 0o777) == "0o644"
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert [one.name for one in path.parent.iterdir() if one.suffix == ".prom"] == [path.name]


@in_loop
async def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    """The folder may be one that others write to."""
    victim = tmp_path / "victim"
    victim.write_text("mine")
    os.symlink(victim, tmp_path / ".m.prom.new")
    told_of = asyncio.Event()
    file = MetricsFile(Metrics(Counts(), now), tmp_path / "m.prom", 60, told_of.set)
    task = asyncio.create_task(file.run())
    async with asyncio.timeout(PATIENCE):
        await told_of.wait()
    task.cancel()
    assert file.wrong
    assert victim.read_text() == "mine"


@pytest.fixture
def without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("prometheus_client")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "prometheus_client", None)


@pytest.mark.usefixtures("without_the_library")
def test_without_the_library_it_says_what_to_install() -> None:
    with pytest.raises(Unavailable, match=r"tmux-agent\[metrics\]"):
        Metrics(Counts(), now)


@in_loop
async def test_each_is_described() -> None:
    """In docs/metrics.md, by the name that Prometheus shows."""
    text = (DOCS / "metrics.md").read_text()
    for family in text_string_to_metric_families((await Metrics(Counts(), now).text()).decode()):
        assert family.name in text or family.name.startswith("process_"), family.name
        assert family.documentation
