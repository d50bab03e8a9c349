"""The sidecar that test_kill.py kills: ask → answer → running → effect → finished, over and over, in one state folder.

`kill_worker.py FOLDER FIRST COUNT` forks COUNT children, one after the other. Each recovers, checks what it finds,
works and dies: those with an even number at a random instant (a timer whose signal nobody handles: the kernel ends
the process as SIGKILL does), the odd ones by SIGKILL at a random one of the steps that touch the disk (half-written
lines too). Prints one line per broken promise; exit status 0 where there was none.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.services.sidecar_values import ACTION, PERSON, question

from tmux_agent.core.errors import NotFound
from tmux_agent.core.model import Approval, ApprovalState, Outcome, digest
from tmux_agent.services import audit_file, restoring, schema
from tmux_agent.services.approvals import Approvals
from tmux_agent.services.audit_log import AuditLog
from tmux_agent.services.grants import Grants
from tmux_agent.services.journal import Journal

BROKEN = 3  # exit status of a child that found a broken promise


class Steps:
    """Counts the steps that touch the disk, and dies at number `last`."""

    def __init__(self, last: int) -> None:
        self.left = last

    def step(self, *_: Any) -> None:
        self.left -= 1
        if self.left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def stepped(*arguments: Any, **named: Any) -> Any:
            self.step()
            result = real(*arguments, **named)
            self.step()
            return result

        return stepped

    def torn_write(self, fd: int, data: memoryview) -> int:
        self.step()
        written = os.write(fd, data[: max(len(data) // 2, 1)])
        self.step()
        return written

    def install(self) -> None:
        """Put a step before and after every system call of the audit file, and at every SQL statement."""

        class Os:
            def __getattr__(_, name: str) -> Any:  # noqa: N805
                real = getattr(os, name)
                return self.around(real) if name in ("open", "fdatasync", "ftruncate", "fsync") else real

            write = staticmethod(self.torn_write)

        audit_file.os = Os()  # type: ignore[attr-defined]
        opened = schema.open_database

        def traced(*arguments: Any) -> Any:
            database = opened(*arguments)
            database.set_trace_callback(self.step)
            return database

        restoring.open_database = traced  # type: ignore[attr-defined]


class Promises:
    """What must hold after every death; reads files that were written around the sidecar, with plain appends."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.effects = os.open(folder / "effects", os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        self.asked = os.open(folder / "asked", os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)

    def told_open(self, request_id: str) -> None:
        os.write(self.asked, f"{request_id}\n".encode())

    def effect(self, request_id: str) -> None:
        os.write(self.effects, f"{request_id}\n".encode())

    async def check(self, approvals: Approvals, journal: Journal) -> list[str]:
        broken = []
        log = AuditLog(self.folder / "audit.jsonl")
        verified = log.verify()
        if not verified.ok:
            broken.append(f"the chain does not verify: {verified}")
        if verified.head != journal.head:
            broken.append(f"log ends at {verified.head}, database at {journal.head}")
        recent = log.tail(400)
        answered = {record.request_id for record in recent if record.type == "approval.answered"}
        asked = (self.folder / "asked").read_text().split()
        for request_id in asked[-20:]:
            try:
                one = await approvals.stored(request_id)
                if one.state is not ApprovalState.PENDING and request_id not in answered:
                    broken.append(f"a question became {one.state} without a record: {request_id}")
            except NotFound as error:
                broken.append(f"a question that was open is lost: {request_id}: {error}")
        done = (self.folder / "effects").read_text().split()
        if len(done) != len(set(done)):
            broken.append("an effect was there twice")
        started = {record.request_id for record in recent if record.type == "action.started"}
        broken += [f"an effect without its record: {one}" for one in done[-10:] if one not in started]
        return broken


async def work(journal: Journal, approvals: Approvals, promises: Promises, waiting: tuple[Approval, ...]) -> None:
    """What the guard does, without a policy: until killed."""

    async def run(one: Approval) -> None:
        if await approvals.running(one.request_id):
            promises.effect(one.request_id)
            await approvals.finished(one.request_id, Outcome(ok=True))

    async def through(one: Approval) -> None:
        await approvals.answer(one.request_id, one.digest, True, PERSON)
        await run(one)

    for request_id in (promises.folder / "asked").read_text().split()[-3:]:
        one = await approvals.stored(request_id)  # as an asker that came back with its id
        if one.state is ApprovalState.APPROVED:
            await run(one)
    for one in waiting:
        await through(one)

    async def ask() -> None:
        while True:
            one = await approvals.open(question(digest=digest(ACTION)))
            promises.told_open(one.request_id)
            await through(one)

    await asyncio.gather(ask(), ask())


async def live(folder: Path, kill: Callable[[], None]) -> int:
    promises = Promises(folder)
    kill()
    journal = Journal(folder / "state.db", folder / "audit.jsonl", rotate_bytes=300_000)
    await journal.start()
    approvals = Approvals(journal, Grants(journal))
    waiting = await approvals.recover()
    broken = await promises.check(approvals, journal)
    for one in broken:
        print(one, flush=True)
    if broken:
        return BROKEN
    await work(journal, approvals, promises, waiting)
    return 0


def child(folder: Path, number: int) -> int:
    chance = random.Random(number)

    def kill() -> None:
        if number % 2:
            Steps(chance.randrange(1, 250)).install()
        else:
            signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.001, 0.06))

    return asyncio.run(live(folder, kill))


def main() -> int:
    folder, first, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    bad = 0
    for number in range(first, first + count):
        pid = os.fork()
        if pid == 0:
            try:
                os._exit(child(folder, number))
            except BaseException:  # noqa: BLE001  shown, and the child ends
                traceback.print_exc(file=sys.stdout)
                sys.stdout.flush()
                os._exit(BROKEN)
        _, status = os.waitpid(pid, 0)
        if not os.WIFSIGNALED(status):
            print(f"child {number} was not killed: it ended with {os.waitstatus_to_exitcode(status)}", flush=True)
            bad += 1
    return min(bad, 100)


if __name__ == "__main__":
    sys.exit(main())
