"""Tests of services/restoring.py, aftermath.py, recovery.py: real damage, and what is there afterwards."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.services.sidecar_values import AGENT, PERSON, in_loop, question, started
from tests.services.test_journal import files_limited_to

from tmux_agent.core.errors import Unavailable
from tmux_agent.core.model import Approval, ApprovalState, Command, Event, Grant, Outcome, digest
from tmux_agent.core.pipeline_file import PipelineFile
from tmux_agent.core.pipeline_run import Place, Run, RunState, StageRun, StageState
from tmux_agent.core.queue_file import TaskFile
from tmux_agent.core.queue_task import Task, TaskState
from tmux_agent.services import pipeline_rows, queue_rows, restoring, state_backups, store
from tmux_agent.services.approvals import Approvals
from tmux_agent.services.audit_log import AuditLog
from tmux_agent.services.grants import Grants
from tmux_agent.services.ids import new_id
from tmux_agent.services.runs import Runs


class World:
    """A journal with what rests on it; `stop` closes it, `kill` leaves the files as a SIGKILL does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = folder / "state.db"

    async def start(self) -> World:
        self.journal = await started(self.folder)
        self.grants = Grants(self.journal)
        self.approvals = Approvals(self.journal, self.grants)
        self.runs = Runs(self.journal)
        await self.grants.recover()
        self.waiting = [one.request_id for one in await self.approvals.recover()]
        await self.runs.recover()
        return self

    async def stop(self) -> None:
        await self.approvals.close()
        await self.journal.close()

    async def kill(self) -> None:
        """The files as they are while it runs, in place of those that a clean end leaves."""
        kept = self.folder / "killed"
        kept.mkdir()
        for path in self.folder.glob("state.db*"):
            shutil.copy2(path, kept / path.name)
        await self.stop()
        for path in kept.iterdir():
            path.replace(self.folder / path.name)
        kept.rmdir()

    async def ask(self, **changes: Any) -> Approval:
        return await self.approvals.open(question(**changes))

    async def grant(self, **changes: Any) -> Grant:
        values: dict[str, Any] = {"id": new_id(), "scope": "exact", "created": datetime.now(UTC), "by": PERSON}
        made = Grant(**{**values, "session": "s1", "digest": "d", "text": "git push", **changes})
        event = Grants.made_event(made, "r")
        await self.journal.commit(
            lambda db: store.add_grant(db, made), event, then=lambda _: self.grants.remember(made)
        )
        return made

    def back_up(self) -> state_backups.Backup:
        return state_backups.make(self.database, datetime.now(UTC))

    def records(self, kind: str) -> list[Any]:
        return [one for one in AuditLog(self.folder / "audit.jsonl").records() if one.type == kind]

    def recovered(self) -> dict[str, Any]:
        """The last record of a loss."""
        return next(one.data for one in reversed(self.records("sidecar.recovered")) if "lost" in one.data)

    def verified(self) -> bool:
        return AuditLog(self.folder / "audit.jsonl").verify(head=self.journal.head).ok


def ruin(path: Path) -> None:
    path.write_bytes(b"no database, for sure" * 999)


@in_loop
async def test_the_newest_sound_backup_is_used(tmp_path: Path) -> None:
    """What waited at the backup waits again; the record says what was damaged, what is used, where the old one is."""
    world = await World(tmp_path).start()
    one = await world.ask()
    older = world.back_up()
    await world.ask()
    newest = world.back_up()
    await world.stop()
    ruin(world.database)
    ruin(newest.path)
    await world.start()
    assert world.waiting == [one.request_id]
    told = world.recovered()
    assert told["backup"] == older.name
    assert "file is not a database" in told["why"]
    assert Path(told["set_aside"]).read_bytes().startswith(b"no database")
    assert world.journal.losses == (told["why"],)
    assert world.verified()
    await world.stop()
    await world.start()
    assert not world.journal.losses, "it is told once"
    await world.stop()


@in_loop
async def test_a_revoked_grant_does_not_come_back(tmp_path: Path) -> None:
    """Nor a use that was counted; and one that was made since is lost, and named."""
    world = await World(tmp_path).start()
    revoked, used, kept = await world.grant(), await world.grant(uses_left=2), await world.grant()
    world.back_up()
    await world.grants.revoke(revoked.id, PERSON)
    uses = Event(type="grant.used", request_id="r", data={"grant": used.id})
    for _ in range(2):
        await world.journal.commit(lambda db: store.use_grant(db, used.id), uses)
    await world.grant(text="made since")
    await world.stop()
    ruin(world.database)
    await world.start()
    assert [one.id for one in world.grants.all()] == [kept.id]
    assert world.recovered()["grants_lost"] == ["made since"]
    assert world.recovered()["grants_ended"] == 1
    await world.stop()


@in_loop
async def test_what_was_answered_since_is_not_asked_or_run_again(tmp_path: Path) -> None:
    """A no stays a no; a yes that has not ended is unknown; what ended has its outcome."""
    world = await World(tmp_path).start()
    no, yes, done, waits = [await world.ask() for _ in range(4)]
    world.back_up()
    await world.approvals.answer(no.request_id, no.digest, False, PERSON, comment="not today")
    for one in (yes, done):
        await world.approvals.answer(one.request_id, one.digest, True, PERSON)
        assert await world.approvals.running(one.request_id)
    await world.approvals.finished(done.request_id, Outcome(ok=True, summary="pushed"))
    await world.stop()
    ruin(world.database)
    await world.start()
    assert world.waiting == [waits.request_id]
    ended = await world.approvals.stored(no.request_id)
    assert ended.state is ApprovalState.DENIED
    assert ended.answer
    assert (ended.answer.comment, ended.answer.by) == ("not today", PERSON)
    assert (await world.approvals.stored(yes.request_id)).state is ApprovalState.UNKNOWN
    assert [one.request_id for one in world.records("approval.unknown")] == [yes.request_id]
    outcome = await world.approvals.outcome(done.request_id)
    assert outcome
    assert outcome.summary == "pushed"
    for one in (no, yes, done):
        assert not await world.approvals.running(one.request_id), "nothing runs a second time"
    await world.stop()


@in_loop
async def test_what_was_asked_since_is_unknown_and_its_key_is_not_run_again(tmp_path: Path) -> None:
    """Its text stands redacted in the log, so nobody may answer it; whoever sends it again is told."""
    world = await World(tmp_path).start()
    world.back_up()
    asked = await world.ask(hook_key="s1:k:d")
    settled = await world.ask()
    await world.approvals.withdraw(settled.request_id, "gone")
    await world.stop()
    ruin(world.database)
    await world.start()
    assert world.waiting == []
    assert (await world.approvals.stored(asked.request_id)).state is ApprovalState.UNKNOWN
    again = await world.approvals.asked_before("s1:k:d")
    assert again
    assert again.request_id == asked.request_id
    assert (await world.approvals.stored(settled.request_id)).state is ApprovalState.WITHDRAWN
    assert world.recovered()["unknown"] == [asked.request_id]
    await world.stop()


@in_loop
async def test_what_a_rule_allowed_under_a_key_is_not_run_again(tmp_path: Path) -> None:
    """It has no question, only its decision in the log."""
    world = await World(tmp_path).start()
    world.back_up()
    action = Command(argv=("make",), cwd="/src")
    data = {"action": msgspec.to_builtins(action), "digest": digest(action), "verdict": "allow", "once": "s1:key:d"}
    decision = Event(type="decision", request_id=new_id(), origin=AGENT, data=data)
    begun = Event(type="action.started", request_id=new_id(), origin=AGENT, data={"digest": "d"})
    await world.journal.publish(decision)
    await world.journal.commit(lambda db: world.runs.begin(db, begun), begun)
    await world.stop()
    ruin(world.database)
    await world.start()
    again = await world.approvals.asked_before("s1:key:d")
    assert again
    assert (again.state, again.action) == (ApprovalState.UNKNOWN, action)
    assert [one.request_id for one in world.records("action.unknown")] == [begun.request_id]
    await world.stop()


@in_loop
async def test_where_the_log_does_not_tell_nothing_is_trusted(tmp_path: Path) -> None:
    """Every grant is revoked, and nothing that was open goes on: it may have been answered."""
    world = await World(tmp_path).start()
    await world.grant()
    waits, said_yes = await world.ask(), await world.ask()
    await world.approvals.answer(said_yes.request_id, said_yes.digest, True, PERSON)
    world.back_up()
    await world.journal.publish(Event(type="refused"))
    await world.journal.publish(Event(type="refused"))
    await world.stop()
    ruin(world.database)
    log = tmp_path / "audit.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join([*lines[:-2], lines[-1]]))  # one record is cut out
    await world.start()
    assert world.grants.all() == ()
    assert world.waiting == []
    for one in (waits, said_yes):
        assert (await world.approvals.stored(one.request_id)).state is ApprovalState.UNKNOWN
        assert not await world.approvals.running(one.request_id)
    assert "every permission is revoked" in world.recovered()["why"]
    await world.stop()


@in_loop
async def test_a_log_that_is_gone_is_trusted_as_little(tmp_path: Path) -> None:
    world = await World(tmp_path).start()
    await world.grant()
    world.back_up()
    await world.stop()
    ruin(world.database)
    (tmp_path / "audit.jsonl").unlink()
    await world.start()
    assert world.grants.all() == ()
    await world.stop()


# --- every kind of damage --------------------------------------------------------------------------


def overwritten(path: Path, seed: int) -> None:
    """Random bytes over random pages."""
    chance = random.Random(seed)
    data = bytearray(path.read_bytes())
    for _ in range(chance.randrange(1, 6)):
        page = chance.randrange(0, max(len(data) // 4096, 1)) * 4096
        start, size = page + chance.randrange(0, 1024), chance.randrange(16, 2048)
        data[start : start + size] = chance.randbytes(min(size, len(data) - start))
    path.write_bytes(data)


def cut(path: Path, seed: int) -> None:
    size = path.stat().st_size
    os.truncate(path, random.Random(seed).randrange(1, size))


def emptied(path: Path, _: int) -> None:
    os.truncate(path, 0)


def removed(path: Path, _: int) -> None:
    path.unlink()


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("harm", [overwritten, cut, emptied, removed])
@in_loop
async def test_damage_never_gives_anything_back(tmp_path: Path, harm: Callable[[Path, int], None], seed: int) -> None:
    """However it is damaged, killed or stopped: it starts, the chain goes on, no revoked grant and no second run."""
    world = await World(tmp_path).start()
    revoked, kept = await world.grant(), await world.grant()
    ran, waits = await world.ask(), await world.ask()
    for _ in range(40):
        await world.ask(preview="x" * 900)
    world.back_up()
    await world.grants.revoke(revoked.id, PERSON)
    await world.approvals.answer(ran.request_id, ran.digest, True, PERSON)
    assert await world.approvals.running(ran.request_id)
    await world.approvals.finished(ran.request_id, Outcome(ok=True))
    await (world.kill() if seed % 2 else world.stop())
    harm(world.database, seed)
    await world.start()
    assert revoked.id not in [one.id for one in world.grants.all()]
    assert kept.id in [one.id for one in world.grants.all()]
    assert waits.request_id in world.waiting
    assert ran.request_id not in world.waiting
    assert not await world.approvals.running(ran.request_id)
    assert world.verified()
    await world.stop()


@pytest.mark.parametrize("how", ["cut", "overwritten", "removed"])
@in_loop
async def test_a_damaged_wal_loses_no_revocation(tmp_path: Path, how: str) -> None:
    """SQLite drops what is behind the damage without a word; the log tells it."""
    world = await World(tmp_path).start()
    revoked = await world.grant()
    yes, waits = await world.ask(), await world.ask()
    await world.stop()
    await world.start()  # all before is in the file itself
    await world.grants.revoke(revoked.id, PERSON)
    await world.approvals.answer(yes.request_id, yes.digest, True, PERSON)
    assert await world.approvals.running(yes.request_id)
    since = await world.ask()
    await world.kill()
    wal = tmp_path / "state.db-wal"
    if how == "cut":
        os.truncate(wal, 100)
    elif how == "overwritten":
        data = bytearray(wal.read_bytes())
        data[200:400] = random.Random(1).randbytes(200)
        wal.write_bytes(data)
    else:
        wal.unlink()
        (tmp_path / "state.db-shm").unlink(missing_ok=True)
    await world.start()
    assert world.grants.all() == ()
    assert world.waiting == [waits.request_id]
    for one in (yes, since):
        assert (await world.approvals.stored(one.request_id)).state is ApprovalState.UNKNOWN
    assert "had lost its last changes" in world.recovered()["why"]
    assert world.verified()
    await world.stop()


@in_loop
async def test_a_wal_that_lost_more_than_a_file_of_the_log(tmp_path: Path) -> None:
    """The database's head is in an older file of the log."""
    world = World(tmp_path)
    await world.start()
    revoked = await world.grant()
    await world.stop()
    shutil.copy(world.database, tmp_path / "old")
    world.journal = await started(tmp_path, rotate_bytes=2000)
    world.grants = Grants(world.journal)
    await world.grants.recover()
    await world.grants.revoke(revoked.id, PERSON)
    for number in range(30):
        await world.journal.publish(Event(type="refused", data={"n": number}))
    await world.journal.close()
    assert len(list(tmp_path.glob("audit-*.jsonl"))) > 1
    (tmp_path / "old").replace(world.database)
    await world.start()
    assert world.grants.all() == ()
    assert world.verified()
    await world.stop()


@in_loop
async def test_a_missing_shm_is_nothing(tmp_path: Path) -> None:
    world = await World(tmp_path).start()
    one = await world.ask()
    await world.kill()
    (tmp_path / "state.db-shm").unlink()
    await world.start()
    assert world.waiting == [one.request_id]
    assert not world.journal.losses
    await world.stop()


@in_loop
async def test_a_question_that_was_changed_in_the_file_is_damage(tmp_path: Path) -> None:
    """A sound file with another action in it: its digest tells."""
    world = await World(tmp_path).start()
    one = await world.ask()
    world.back_up()
    await world.stop()
    database = sqlite3.connect(world.database)
    with database:
        database.execute("UPDATE approvals SET body = CAST(replace(CAST(body AS TEXT), 'push', 'pull') AS BLOB)")
    database.close()
    await world.start()
    assert "is not what its digest says" in world.recovered()["why"]
    assert (await world.approvals.stored(one.request_id)).action == one.action
    await world.stop()


@in_loop
async def test_files_that_were_set_aside_are_few(tmp_path: Path) -> None:
    """The newest stay, with the side files they had."""
    world = await World(tmp_path).start()
    await world.stop()
    for number in range(restoring.DAMAGED + 3):
        ruin(world.database)
        now = datetime(2026, 1, 1, number, tzinfo=UTC)
        restoring.restore(world.database, tmp_path / "audit.jsonl", now, "tried")
    names = [one.name for one in restoring.set_aside(world.database)]
    assert len(names) == restoring.DAMAGED
    assert names[-1] == "state.db.damaged-20260101T070000Z"


# --- killed on the way -----------------------------------------------------------------------------


@in_loop
async def test_killed_at_every_step_of_a_restore(tmp_path: Path) -> None:
    """SIGKILL before and after each system call and statement: the next start has it all, revoked grants too."""
    world = await World(tmp_path / "a").start()
    revoked, waits = await world.grant(), await world.ask()
    world.back_up()
    await world.grants.revoke(revoked.id, PERSON)
    await world.kill()
    ruin(world.database)
    steps = 0
    while True:
        shutil.copytree(tmp_path / "a", tmp_path / "b")
        killed = _dies_restoring(tmp_path / "b", steps)
        again = await World(tmp_path / "b").start()
        assert again.waiting == [waits.request_id], steps
        assert again.grants.all() == (), steps
        assert again.verified()
        await again.stop()
        shutil.rmtree(tmp_path / "b")
        if not killed:
            break
        steps += 1
    assert steps > 20, "the steps were not counted"


def _dies_restoring(folder: Path, steps: int) -> bool:
    """Restore in a child that kills itself after so many steps; whether it did."""
    pid = os.fork()
    if pid == 0:
        left = steps

        def step(*_: Any) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

        class Steps:
            def __getattr__(self, name: str) -> Any:
                step()
                return getattr(os, name)

        real_rename, real_open = Path.rename, restoring.open_database

        def traced(path: Path) -> sqlite3.Connection:
            step()
            database = real_open(path)
            database.set_trace_callback(step)
            return database

        def rename(self: Path, to: Path) -> Path:
            step()
            renamed = real_rename(self, to)
            step()
            return renamed

        restoring.open_database = traced  # type: ignore[attr-defined]
        restoring.os = Steps()  # type: ignore[attr-defined]
        Path.rename = rename  # type: ignore[method-assign,assignment]
        try:
            restoring.restore(folder / "state.db", folder / "audit.jsonl", datetime.now(UTC), "damaged")
            os._exit(0)
        except BaseException:  # noqa: BLE001
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status) or os.waitstatus_to_exitcode(status) == 0
    return os.WIFSIGNALED(status)


@in_loop
async def test_no_room_for_a_restore_touches_nothing(tmp_path: Path) -> None:
    """The sidecar does not start, says so, and the damaged file is where it was."""
    world = await World(tmp_path).start()
    await world.ask(preview="x" * 100_000)
    world.back_up()
    await world.stop()
    ruin(world.database)
    before = world.database.read_bytes()
    with files_limited_to(30_000), pytest.raises(Unavailable, match="no other could be put in its place"):
        await started(tmp_path)
    assert world.database.read_bytes() == before
    assert not list(tmp_path.glob("state.db.restored*"))
    await world.start()
    assert len(world.waiting) == 1
    await world.stop()


@in_loop
async def test_a_page_found_damaged_in_use_stops_everything(tmp_path: Path) -> None:
    """Nothing is done from then on; the next start uses the backup."""
    world = await World(tmp_path).start()
    for _ in range(30):
        await world.ask(preview="x" * 150_000)  # more than SQLite holds in memory
    world.back_up()
    await world.stop()
    await world.start()
    harmed(world.database)
    told: list[int] = []
    world.journal._health = lambda: told.append(1)
    with pytest.raises(Unavailable):
        await world.journal.read(store.open_approvals)
    assert "malformed" in world.journal.damaged
    with pytest.raises(Unavailable, match="is damaged"):
        await world.journal.publish(Event(type="refused"))
    assert told
    await world.journal.close()
    await world.start()
    assert len(world.waiting) == 30
    assert world.journal.losses
    await world.stop()


def harmed(database: Path) -> None:
    """Overwrite all pages but the first, behind the back of whoever has it open."""
    with database.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(4096)
        file.write(random.Random(2).randbytes(size - 4096))


# --- pipelines -------------------------------------------------------------------------------------

HERE = Place(server="/tmp/t", server_pid=4, pane="%7", pane_pid=41)


def run(run_id: str) -> Run:
    """One stage that runs, one that waits, one that has ended."""
    spec = PipelineFile(name="build", stages=())
    states = (StageState.RUNNING, StageState.WAITING, StageState.SUCCESS)
    stages = tuple(StageRun(name=one.value, stage=one.value, state=one, attempt=1) for one in states)
    return Run(run_id=run_id, spec=spec, created=datetime.now(UTC), stages=stages, place=HERE, token="t")


async def told(world: World, one: Run) -> None:
    """A run as pipelines.py keeps and records it."""
    place = msgspec.to_builtins(HERE)
    event = Event(type="pipeline.run", data={"run_id": one.run_id, "pipeline": "build", "place": place})
    await world.journal.commit(lambda db: pipeline_rows.put(db, one), event)


@in_loop
async def test_a_pipeline_does_nothing_twice(tmp_path: Path) -> None:
    """What was under way at the backup is stopped, as its actions may have been done since; what began since does not
    begin again in its pane."""
    world = await World(tmp_path).start()
    await told(world, run("r1"))
    world.back_up()
    await told(world, msgspec.structs.replace(run("r2"), spec=PipelineFile(name="build", stages=())))
    await world.stop()
    ruin(world.database)
    await world.start()
    assert await world.journal.read(pipeline_rows.open_runs) == []
    stopped = await world.journal.read(lambda db: pipeline_rows.run(db, "r1"))
    assert stopped
    assert [one.state.value for one in stopped.stages] == ["unknown", "cancelled", "success"]
    assert stopped.state is RunState.CANCELLED
    assert stopped.note.startswith("the state database was lost meanwhile")
    lost = await world.journal.read(lambda db: pipeline_rows.run(db, "r2"))
    assert lost
    assert (lost.state, lost.place) == (RunState.CANCELLED, HERE)
    assert await world.journal.read(lambda db: pipeline_rows.has_run(db, "build", HERE))
    assert world.recovered()["pipelines"] == ["r2", "r1"]
    await world.stop()


# --- the queue -------------------------------------------------------------------------------------


def task(name: str, state: TaskState) -> Task:
    now = datetime.now(UTC)
    return Task(task_id=name, spec=TaskFile(name=name, task="t"), created=now, since=now, state=state)


@in_loop
async def test_no_task_is_done_a_second_time_and_the_queue_waits_for_a_person(tmp_path: Path) -> None:
    world = await World(tmp_path).start()
    before = [task(name, TaskState.QUEUED) for name in ("done", "begun", "still")]
    await world.journal.commit(lambda db: queue_rows.put(db, before, (), paused=False))
    world.back_up()
    for name, state in (("done", "running"), ("done", "done"), ("begun", "starting")):
        await world.journal.publish(Event(type="queue.task", data={"task_id": name, "state": state}))
    await world.stop()
    ruin(world.database)
    await world.start()
    queue = await world.journal.read(queue_rows.load)
    assert {one.name: one.state.value for one in queue.tasks.values()} == {
        "done": "done", "begun": "failed", "still": "queued"
    }  # fmt: skip
    assert queue.tasks["begun"].reason.startswith("the state database was lost meanwhile")
    assert queue.paused
    assert world.recovered()["tasks"] == ["still"]
    await world.stop()
