"""What the audit log tells of the time that a state database has lost, brought back into it.

Owns what each record means for rows that do not know of it. It only ever takes away: a revoked grant stays revoked, a
use stays counted, what was begun is never begun again; a grant that was made meanwhile, or a yes to something that had
not ended, is not given back. Must not own: which records these are (restoring.py, recovery.py), SQL (store.py).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ..core.chain import Record
from ..core.errors import NotFound
from ..core.model import Action, Answer, Approval, ApprovalState, Event, Origin, Outcome, Plan, Role, Tool
from ..core.pipeline_file import PipelineFile
from ..core.pipeline_run import ACTIVE, ENDED, Place, Run, RunState, StageRun, StageState
from ..core.queue_task import ENDED as TASK_ENDED
from ..core.queue_task import TaskState
from . import pipeline_rows, queue_rows, store

STOPPED = "the state database was lost meanwhile, and what this run has done since is not known: start it again"
LOST = "the state database was lost meanwhile, and what became of it is not known: look, and retry it"
TOLD = 20  # ids or texts of a kind that the record of a loss names; beyond, their number says it


class Loss(Struct, kw_only=True):
    """What the loss concerns, for the record of it."""

    records: int = 0  # that the database did not know
    settled: int = 0  # questions whose end was taken from the log
    grants_ended: int = 0  # revoked since
    grants_lost: list[str] = []  # made since: to be given again
    unknown: list[str] = []  # requests of which nobody can say what became of them
    pipelines: list[str] = []  # runs that were under way, and are not gone on with
    tasks: list[str] = []  # of the queue, which is paused because of them

    def told(self) -> dict[str, Any]:
        """As the members of a record, in bounds."""
        found: dict[str, Any] = {"records": self.records, "settled": self.settled, "grants_ended": self.grants_ended}
        for name in ("grants_lost", "unknown", "pipelines", "tasks"):
            if all_of_it := getattr(self, name):
                found |= {name: all_of_it[:TOLD], f"{name}_count": len(all_of_it)}
        return found


def bring_back(db: store.Connection, records: Iterable[Record]) -> Loss:
    """Bring in records that the database does not know, oldest first. For one transaction."""
    loss = Loss()
    for record in records:
        loss.records += 1
        if take := _TAKES.get(record.type):
            take(db, record, loss)
    _stop_pipelines(db, loss)
    _hold_queue(db, loss)
    running = [one.request_id for one in store.open_approvals(db) if one.phase == "running"]
    loss.unknown = sorted({*running, *(one.request_id for one in store.runs(db))})
    return loss


def be_careful(db: store.Connection, records: Iterable[Record]) -> None:
    """Bring in only what takes away, of records that perhaps nobody was told of."""
    for record in records:
        if record.type in ("grant.revoked", "grant.used", "action.started"):
            _TAKES[record.type](db, record, Loss())


def trust_nothing(db: store.Connection, loss: Loss) -> None:
    """What became of the lost time cannot be known: no grant holds, and nothing that was open can go on."""
    loss.grants_ended += store.end_grants(db)
    for one in (*store.open_approvals(db), *store.startable(db)):
        _keep(db, replace(one, state=ApprovalState.APPROVED, phase="running"))  # the sidecar's start: unknown
        loss.unknown.append(one.request_id)


# --- what a record means ---------------------------------------------------------------------------


def _opened(db: store.Connection, record: Record, _: Loss) -> None:
    """A question that came since. What was asked stands redacted in the log, so that nobody can answer it."""
    _keep(db, _approval(record, record.data))


def _decided(db: store.Connection, record: Record, _: Loss) -> None:
    """A rule allowed it, under a key of the client's: sent again, it must not be run again."""
    if key := record.data.get("once"):
        _keep(db, _approval(record, {**record.data, "hook_key": key, "kind": "run"}))


def _answered(db: store.Connection, record: Record, loss: Loss) -> None:
    if (old := _row(db, record)) is None:
        return
    answer = _fit({**record.data, "by": record.origin}, Answer)
    if record.data.get("approved") is not False:  # not ended yet: nobody can say what came of it
        _keep(db, replace(old, state=ApprovalState.APPROVED, phase="running", answer=answer))
        return
    loss.settled += 1
    _keep(db, replace(old, state=ApprovalState.DENIED, phase="", answer=answer))


def _ended(db: store.Connection, record: Record, loss: Loss) -> None:
    if (old := _row(db, record)) is not None:
        loss.settled += 1
        state = ApprovalState(record.type.partition(".")[2])
        phase = "done" if state is ApprovalState.UNKNOWN else ""
        _keep(db, replace(old, state=state, phase=phase, note=str(record.data.get("note", ""))))


def _started(db: store.Connection, record: Record, _: Loss) -> None:
    if (old := _row(db, record)) is not None:
        _keep(db, replace(old, state=ApprovalState.APPROVED, phase="running"))
    else:
        origin = _fit(record.origin, Origin)
        store.add_run(db, Event(type=record.type, request_id=record.request_id, origin=origin, data=record.data))


def _finished(db: store.Connection, record: Record, loss: Loss) -> None:
    store.end_run(db, record.request_id)
    if (old := _row(db, record)) is not None:
        loss.settled += 1
        outcome = _fit(record.data.get("outcome"), Outcome)
        _keep(db, replace(old, state=ApprovalState.APPROVED, phase="done"), outcome)


def _no_longer_runs(db: store.Connection, record: Record, _: Loss) -> None:
    store.end_run(db, record.request_id)


def _made(_db: store.Connection, record: Record, loss: Loss) -> None:
    loss.grants_lost.append(str(record.data.get("text") or record.data.get("id", "")))


def _used(db: store.Connection, record: Record, _: Loss) -> None:
    store.lower_grant(db, str(record.data.get("grant", "")))


def _revoked(db: store.Connection, record: Record, loss: Loss) -> None:
    loss.grants_ended += store.end_grants(db, str(record.data.get("grant", "")))


def _planned(db: store.Connection, record: Record, _: Loss) -> None:
    if plan := _fit(record.data.get("plan"), Plan):
        store.put_plan(db, plan)


def _run_told(db: store.Connection, record: Record, loss: Loss) -> None:
    """A pipeline's run that the database does not know: it has begun in that pane, and does not begin again."""
    run_id, place = str(record.data.get("run_id", "")), _fit(record.data.get("place"), Place)
    if not run_id or pipeline_rows.run(db, run_id) is not None:
        return
    loss.pipelines.append(run_id)
    at = msgspec.convert(record.timestamp, datetime)
    spec = PipelineFile(name=str(record.data.get("pipeline", "")), stages=())
    stub = Run(run_id=run_id, spec=spec, created=at, stages=(), place=place, state=RunState.CANCELLED, ended=at)
    pipeline_rows.put(db, replace(stub, note=STOPPED))


def _stop_pipelines(db: store.Connection, loss: Loss) -> None:
    """Which of their actions were done since, not even the log tells: a run that went on might do one again."""
    for run in pipeline_rows.open_runs(db):
        loss.pipelines.append(run.run_id)
        stages = tuple(_stopped(one) for one in run.stages)
        pipeline_rows.put(db, replace(run, state=RunState.CANCELLED, stages=stages, note=STOPPED))


def _task_told(db: store.Connection, record: Record, _: Loss) -> None:
    """What became of a task since; one that was worked on is not worked on again by itself."""
    one = queue_rows.task(db, str(record.data.get("task_id", "")))
    if one is None:
        return
    ended = {state.value: state for state in TASK_ENDED}
    state = ended.get(str(record.data.get("state", "")), TaskState.FAILED)
    why = str(record.data.get("reason", "")) if state.value == record.data.get("state") else LOST
    after = replace(one, state=state, reason=why, ends=None, due=None, again=None, place=None)
    queue_rows.put(db, [after], (), paused=False)


def _hold_queue(db: store.Connection, loss: Loss) -> None:
    """What was in the queue stays there, and begins when a person has looked."""
    loss.tasks = [one.task_id for one in queue_rows.load(db).tasks.values() if one.state not in TASK_ENDED]
    if loss.tasks:
        queue_rows.pause(db)


def _stopped(stage: StageRun) -> StageRun:
    if stage.state in ENDED:
        return stage
    state = StageState.UNKNOWN if stage.state in ACTIVE else StageState.CANCELLED
    return replace(stage, state=state, reason=STOPPED, due=None, again=None)


_TAKES: dict[str, Callable[[store.Connection, Record, Loss], None]] = {
    "approval.opened": _opened,
    "approval.answered": _answered,
    "approval.expired": _ended,
    "approval.withdrawn": _ended,
    "approval.unknown": _ended,
    "decision": _decided,
    "action.started": _started,
    "action.finished": _finished,
    "action.unknown": _no_longer_runs,
    "grant.made": _made,
    "grant.used": _used,
    "grant.revoked": _revoked,
    "plan.changed": _planned,
    "pipeline.run": _run_told,
    "queue.task": _task_told,
}


# --- rows ------------------------------------------------------------------------------------------


def _row(db: store.Connection, record: Record) -> Approval | None:
    try:
        return store.approval(db, record.request_id)
    except NotFound:
        return None


def _keep(db: store.Connection, approval: Approval, outcome: Outcome | None = None) -> None:
    store.keep_approval(db, approval, outcome)


def _approval(record: Record, data: dict[str, Any]) -> Approval:
    """What was opened, as if it ran: nobody answers it, nobody starts it, and the next start calls it unknown."""
    state = {"request_id": record.request_id, "origin": record.origin, "state": "approved", "phase": "running"}
    known = {name: value for name, value in data.items() if name in Approval.__struct_fields__}
    found: Approval | None = _fit({"created": record.timestamp, **known, **state}, Approval)
    if found is not None:
        return found
    nobody = Origin(role=Role.AGENT, why="the record was too long to be kept whole", uid=os.getuid(), pid=0)
    return Approval(
        request_id=record.request_id,
        digest=str(data.get("digest", "")),
        action=_fit(data.get("action"), Action) or Tool(name="an action that the log does not tell"),
        origin=nobody,
        created=msgspec.convert(record.timestamp, datetime),
        state=ApprovalState.APPROVED,
        phase="running",
    )


def _fit(value: Any, kind: Any) -> Any:
    """A record's member as a value; None where it is none: it was shortened, or an older version wrote it."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return None
