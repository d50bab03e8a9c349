"""The audit log: records made durable in groups, and verifying; floors are the same bytes without us."""

from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile
import time
from pathlib import Path

from tests.bench.world import Row

from tmux_agent.core.model import Event, Origin, Role
from tmux_agent.services.audit_log import AuditLog
from tmux_agent.services.journal import Journal

CALLERS = 500  # that wait for their record at the same time
ORIGIN = Origin(role=Role.AGENT, why="descends from claude", uid=1000, pid=41, started=7, agent="claude", session="s1")
DATA = {"verdict": "allow", "rule": "read-only git", "action": {"type": "shell", "text": "git status", "cwd": "/src"}}


def rows(quick: bool) -> list[Row]:
    count = 20_000 if quick else 100_000
    with tempfile.TemporaryDirectory(prefix="ta-bench-", dir="/var/tmp") as name:
        folder = Path(name)
        took = asyncio.run(write(folder, count))
        log = AuditLog(folder / "audit.jsonl")
        size = sum(file.stat().st_size for file in log.files())
        start = time.perf_counter()
        checked = log.verify()
        verified = time.perf_counter() - start
        floor_write, floor_read = floors(folder, log.files())
    rate, speed = count / took, size / verified / 1e6
    return [
        Row(
            name=f"audit: records/s, {count} in groups",
            floor=f"{count / floor_write:.0f}/s", ours=f"{rate:.0f}/s", ratio=f"{took / floor_write:.2f}×",
            bound="≥ 20000/s", held=rate >= 20_000,
        ),
        Row(
            name="audit: verify" + ("" if checked.ok else " (BROKEN)"),
            floor=f"{size / floor_read / 1e6:.0f} MB/s", ours=f"{speed:.0f} MB/s",
            ratio=f"{verified / floor_read:.2f}×", bound="≥ 100 MB/s", held=checked.ok and speed >= 100,
        ),
    ]  # fmt: skip


async def write(folder: Path, count: int) -> float:
    """Seconds in which CALLERS callers have `count` records written, each waiting until its own is durable."""
    journal = Journal(folder / "state.db", folder / "audit.jsonl")
    await journal.start()
    event = Event(type="decision", request_id="01M7WCB3CA65APVAQ6GPE9PECZ", origin=ORIGIN, data=DATA)

    async def caller() -> None:
        for _ in range(count // CALLERS):
            await journal.publish(event)

    start = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    took = time.perf_counter() - start
    await journal.close()
    return took


def floors(folder: Path, files: list[Path]) -> tuple[float, float]:
    """Seconds to write the same lines with an fsync per CALLERS of them, and to read and hash them line by line."""
    lines = [line for file in files for line in file.read_bytes().splitlines(keepends=True)]
    start = time.perf_counter()
    with (folder / "floor").open("wb", buffering=0) as out:
        for at in range(0, len(lines), CALLERS):
            group = lines[at : at + CALLERS]
            for line in group:
                hashlib.sha256(line).digest()
            out.write(b"".join(group))
            os.fsync(out.fileno())
    written = time.perf_counter() - start
    start = time.perf_counter()
    for file in files:
        for line in file.read_bytes().splitlines():
            hashlib.sha256(line).digest()
    return written, time.perf_counter() - start
