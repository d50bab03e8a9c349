"""Tests of services/state_backups.py and backup_times.py: copies that count are whole, few, and in time."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.patience import PATIENCE
from tests.services.sidecar_values import in_loop, question, started
from tests.services.test_journal import files_limited_to
from tests.sidecar import ROOT

from tmux_agent.core.errors import Conflict, Unavailable
from tmux_agent.core.model import Event
from tmux_agent.core.settings import State
from tmux_agent.services import state_backups, store
from tmux_agent.services.backup_times import BackupTimes
from tmux_agent.services.journal import Journal
from tmux_agent.services.schema import Damaged

NOW = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)


async def filled(folder: Path, count: int = 3) -> Journal:
    """A journal with so many questions."""
    journal = await started(folder)
    for _ in range(count):
        one = question()
        event = Event(type="approval.opened", request_id=one.request_id)
        await journal.commit(lambda db, one=one: store.add_approval(db, one), event)  # type: ignore[misc]
    return journal


@in_loop
async def test_a_copy_is_of_one_instant_while_others_write(tmp_path: Path) -> None:
    """Made in a thread from a connection of its own; nobody who writes waits for it, and it is sound."""
    journal = await filled(tmp_path)
    made = asyncio.create_task(asyncio.to_thread(state_backups.make, tmp_path / "state.db", NOW))
    number = 0
    while not made.done():
        await journal.publish(Event(type="refused", data={"n": number}))
        number += 1
    copy = await made
    assert state_backups.check(copy.path) == copy
    assert 3 <= copy.head.seq <= journal.head.seq
    assert copy.name == f"20261120T103000Z-{copy.head.seq:012}.db"
    assert [oct(one.stat().st_mode & 0o777) for one in (copy.path.parent, copy.path)] == ["0o700", "0o600"]
    await journal.close()


@in_loop
async def test_the_oldest_go(tmp_path: Path) -> None:
    """By number, and by what they take together; the newest stays whatever its size."""
    journal = await filled(tmp_path)
    database = tmp_path / "state.db"
    for hour in range(5):
        size = state_backups.make(database, NOW + timedelta(hours=hour), keep=3).size
    assert [one.name[:11] for one in state_backups.listed(database)] == ["20261120T14", "20261120T13", "20261120T12"]
    state_backups.make(database, NOW + timedelta(hours=6), keep=3, room=2 * size)
    assert len(state_backups.listed(database)) == 2
    await journal.close()


@in_loop
async def test_a_database_over_the_bound_is_not_copied(tmp_path: Path) -> None:
    journal = await filled(tmp_path)
    await journal.close()
    with pytest.raises(Unavailable, match=r"state\.backups_bytes"):
        state_backups.make(tmp_path / "state.db", NOW, room=1000)
    assert state_backups.listed(tmp_path / "state.db") == []


@in_loop
async def test_a_full_disk_leaves_no_half_copy_and_takes_no_old_one(tmp_path: Path) -> None:
    journal = await filled(tmp_path)
    database = tmp_path / "state.db"
    old = state_backups.make(database, NOW)
    with files_limited_to(8192), pytest.raises(Unavailable, match="no backup could be made"):
        state_backups.make(database, NOW + timedelta(hours=1), keep=1)
    assert [one.name for one in state_backups.folder_of(database).iterdir()] == [old.name]
    await journal.close()


def test_without_a_database_there_is_no_copy(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="start the sidecar once"):
        state_backups.make(tmp_path / "state.db", NOW)


@in_loop
async def test_only_one_at_a_time(tmp_path: Path) -> None:
    """Whichever process makes the other."""
    journal = await filled(tmp_path)
    state_backups.make(tmp_path / "state.db", NOW)
    with state_backups._alone(tmp_path / "state-backups"), pytest.raises(Conflict, match="another backup"):
        state_backups.make(tmp_path / "state.db", NOW)
    await journal.close()


def overwrite(path: Path) -> None:
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(4096)
        file.write(b"\xa5" * (size - 4096))


def other_head(path: Path) -> None:
    database = sqlite3.connect(path)
    with database:
        database.execute("UPDATE meta SET value = json_set(value, '$[1]', 'f00') WHERE name = 'head'")
    database.close()


def other_schema(path: Path) -> None:
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 99")
    database.close()


@pytest.mark.parametrize("harm", [overwrite, other_head, other_schema, lambda path: os.truncate(path, 9000)])
@in_loop
async def test_what_is_not_sound_does_not_count(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    """A page, the chain's head, the schema, the end."""
    journal = await filled(tmp_path, 40)
    old = state_backups.make(tmp_path / "state.db", NOW)
    new = state_backups.make(tmp_path / "state.db", NOW + timedelta(hours=1))
    harm(new.path)
    with pytest.raises(Damaged):
        state_backups.check(new.path)
    assert state_backups.newest_sound(tmp_path / "state.db") == old
    await journal.close()


@in_loop
async def test_a_damaged_database_gives_no_copy(tmp_path: Path) -> None:
    """And none of the old ones goes for it."""
    journal = await filled(tmp_path, 40)
    old = state_backups.make(tmp_path / "state.db", NOW)
    await journal.close()
    overwrite(tmp_path / "state.db")
    with pytest.raises(Damaged):
        state_backups.make(tmp_path / "state.db", NOW + timedelta(hours=1), keep=1)
    assert state_backups.listed(tmp_path / "state.db") == [old.path]


SLOW = """
import os, sqlite3, sys
from datetime import UTC, datetime
from pathlib import Path
from tmux_agent.services import state_backups
at = sys.argv[2]
real = {"copy": state_backups._copy, "check": state_backups.check, "prune": state_backups._prune}
def tell(*arguments):
    if at == "copied":
        real["copy"](*arguments)
    print("there", flush=True)
    sys.stdin.read()
if at == "copied":
    state_backups._copy = tell
elif at == "check":
    state_backups.check = tell
else:
    state_backups._prune = tell
state_backups.make(Path(sys.argv[1]), datetime.now(UTC))
"""


def _making(database: Path, at: str) -> subprocess.Popen[bytes]:
    """A process that stops at this step of making a copy, and says so."""
    return subprocess.Popen(
        [sys.executable, "-c", SLOW, str(database), at],
        env={**os.environ, "PYTHONPATH": str(ROOT / "sidecar")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


@pytest.mark.parametrize("at", ["copied", "check", "prune"])
@in_loop
async def test_killed_while_it_is_made(tmp_path: Path, at: str) -> None:
    """SIGKILL before it counts: nothing counts, and the next one takes away what was left."""
    journal = await filled(tmp_path)
    database = tmp_path / "state.db"
    child = _making(database, at)
    assert child.stdout
    assert await asyncio.to_thread(child.stdout.readline) == b"there\n"
    child.send_signal(signal.SIGKILL)
    child.communicate()
    counted = 1 if at == "prune" else 0
    assert len(state_backups.listed(database)) == counted
    state_backups.make(database, NOW)
    assert len(list(state_backups.folder_of(database).iterdir())) == counted + 1
    await journal.close()


# --- when ------------------------------------------------------------------------------------------


class Times:
    """BackupTimes over a journal, and what it told."""

    def __init__(self, journal: Journal, folder: Path, every: float) -> None:
        self.changed = asyncio.Event()
        self.settings = State(backup_every=every, backups_keep=2)
        self.database = folder / "state.db"
        self.times = BackupTimes(journal, self.database, lambda: self.settings, self.changed.set)
        self.made = asyncio.Event()  # a copy, or none as nothing was to be copied
        self._real = self.times._made
        self.times._made = self._made  # type: ignore[method-assign]

    def _made(self, task: asyncio.Task[None]) -> None:
        self._real(task)
        self.made.set()

    async def until(self, holds: Callable[[], object]) -> None:
        """Look again after each try to make one."""
        async with asyncio.timeout(PATIENCE):
            while not holds():
                self.made.clear()
                await self.made.wait()

    async def copies(self, count: int) -> list[Path]:
        """The copies, once there are so many."""
        await self.until(lambda: len(state_backups.listed(self.database)) >= count and not self.times._making)
        return state_backups.listed(self.database)


@in_loop
async def test_one_is_made_when_it_is_due(tmp_path: Path) -> None:
    """The first as there is none; then only after something was recorded."""
    journal = await filled(tmp_path)
    times = Times(journal, tmp_path, 0.05)
    times.times.start()
    (first,) = await times.copies(1)
    times.made.clear()
    async with asyncio.timeout(PATIENCE):
        await times.made.wait()
    assert state_backups.listed(times.database) == [first], "nothing was recorded since"
    await journal.publish(Event(type="refused"))
    assert len(await times.copies(2)) == 2
    await times.times.close()
    await journal.close()


@in_loop
async def test_none_is_made_before_its_time_or_where_it_is_off(tmp_path: Path) -> None:
    """A copy of an hour ago: the next one in five; one of the future: the clock was set back, so at once."""
    journal = await filled(tmp_path)
    times = Times(journal, tmp_path, 6 * 3600)
    state_backups.make(times.database, datetime.now(UTC) - timedelta(hours=1))
    assert 4.9 * 3600 < times.times._due(6 * 3600) <= 5 * 3600
    state_backups.make(times.database, datetime.now(UTC) + timedelta(days=1))
    assert times.times._due(6 * 3600) == 0
    times.settings = State(backup_every=0)
    times.times.start()
    assert times.times._timer is None
    await journal.close()


@in_loop
async def test_a_failure_is_a_warning_until_one_can_be_made(tmp_path: Path) -> None:
    journal = await filled(tmp_path)
    times = Times(journal, tmp_path, 0.05)
    (tmp_path / "state-backups").write_text("in the way")
    times.times.start()
    async with asyncio.timeout(PATIENCE):
        await times.changed.wait()
        assert "state-backups" in times.times.wrong
        times.changed.clear()
        (tmp_path / "state-backups").unlink()
        await times.changed.wait()
    assert times.times.wrong == ""
    await times.times.close()
    assert len(state_backups.listed(times.database)) == 1
    await journal.close()


@in_loop
async def test_damage_that_a_copy_finds_stops_the_journal(tmp_path: Path) -> None:
    """What the writer has in memory it would not find for long."""
    journal = await filled(tmp_path, 60)
    await journal.close()
    journal = await started(tmp_path)
    with (tmp_path / "state.db").open("r+b") as file:
        file.seek(3 * 4096)
        file.write(b"\xa5" * 40_000)
    times = Times(journal, tmp_path, 0.05)
    times.times.start()
    await times.until(lambda: journal.damaged)
    await times.times.close()
    with pytest.raises(Unavailable, match="is damaged"):
        await journal.publish(Event(type="refused"))
    await journal.close()
