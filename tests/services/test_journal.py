"""Tests of services/journal.py, ledger.py, recovery.py and audit_file.py: durable in both places, or in neither."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import resource
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.services.sidecar_values import AGENT, in_loop, question, started

from tmux_agent.core import chain
from tmux_agent.core.errors import Internal, NotFound, Unavailable
from tmux_agent.core.model import Event
from tmux_agent.services import store
from tmux_agent.services.audit_log import AuditLog, database_head
from tmux_agent.services.journal import Journal


def event(kind: str = "refused", **data: Any) -> Event:
    return Event(type=kind, origin=AGENT, data=data)


def log(folder: Path) -> AuditLog:
    return AuditLog(folder / "audit.jsonl")


def kinds(folder: Path) -> list[str]:
    return [record.type for record in log(folder).records()]


def aside(folder: Path) -> list[Path]:
    """Databases that were set aside."""
    return list(folder.glob("state.db.damaged-*"))


async def fill(folder: Path, count: int = 5, **options: Any) -> chain.Head:
    """A journal that wrote `count` records and was closed; its head."""
    journal = await started(folder, **options)
    for number in range(count):
        await journal.publish(event(n=number))
    await journal.close()
    return journal.head


async def reopened(folder: Path, **options: Any) -> Journal:
    """A journal on the same files, closed again after one more record."""
    journal = await started(folder, **options)
    await journal.publish(event("sidecar.started"))
    await journal.close()
    return journal


# --- commit ----------------------------------------------------------------------------------------


@in_loop
async def test_a_change_and_its_record_are_both_there(tmp_path: Path) -> None:
    """After commit returns, the row, the line and the head agree; files are for their owner alone."""
    journal = await started(tmp_path / "state")
    one = question()
    await journal.commit(lambda db: store.add_approval(db, one), event("approval.opened"))
    assert await journal.read(lambda db: store.approval(db, one.request_id)) == one
    assert database_head(tmp_path / "state/state.db") == journal.head == log(tmp_path / "state").verify().head
    modes = [oct((tmp_path / "state" / name).stat().st_mode & 0o777) for name in ("", "state.db", "audit.jsonl")]
    assert modes == ["0o700", "0o600", "0o600"]
    await journal.close()


@in_loop
async def test_a_change_that_raises_undoes_only_itself(tmp_path: Path) -> None:
    """In one group: the others are done, its own row and records are not, and its error comes out at its caller."""
    journal = await started(tmp_path)
    good, bad = question(), question()

    def fails(db: sqlite3.Connection) -> None:
        store.add_approval(db, bad)
        raise KeyError("mine")

    done = await asyncio.gather(
        journal.commit(lambda db: store.add_approval(db, good), event("good")),
        journal.commit(fails, event("bad")),
        journal.commit(lambda db: db.execute("SELECT * FROM nowhere"), event("bad")),
        journal.publish(event("good")),
        return_exceptions=True,
    )
    assert [type(one) for one in done] == [type(None), KeyError, Unavailable, type(None)]
    assert kinds(tmp_path) == ["good", "good"]
    with pytest.raises(NotFound):
        await journal.read(lambda db: store.approval(db, bad.request_id))
    assert log(tmp_path).verify().ok
    await journal.close()


@in_loop
async def test_what_cannot_be_recorded_is_not_done(tmp_path: Path) -> None:
    """Data without a finite plain form fails its own caller; the chain goes on."""
    journal = await started(tmp_path)
    endless: dict[str, Any] = {}
    endless["again"] = endless
    one = question()
    with pytest.raises(Unavailable, match="cannot be recorded"):
        await journal.commit(lambda db: store.add_approval(db, one), event(endless=endless))
    with pytest.raises(NotFound):
        await journal.read(lambda db: store.approval(db, one.request_id))
    await journal.publish(event())
    assert log(tmp_path).verify().records == 1
    await journal.close()


@in_loop
async def test_secrets_do_not_reach_the_log_or_the_listeners(tmp_path: Path) -> None:
    """Redaction is before sealing."""
    journal = await started(tmp_path)
    heard = await journal.subscribe()
    await journal.publish(event(password="hunter2-hunter2", n=1))
    assert "hunter2" not in str((await anext(heard)).event)
    assert b"hunter2" not in (tmp_path / "audit.jsonl").read_bytes()
    await journal.close()


# --- listeners -------------------------------------------------------------------------------------


@in_loop
async def test_listeners_hear_in_order_and_after_what_is_kept_in_memory(tmp_path: Path) -> None:
    """Numbers rise by one, only wanted types come, and `then` ran before anybody heard."""
    journal = await started(tmp_path)
    every, some = await journal.subscribe(), await journal.subscribe(types=["b"])
    kept: list[int] = []

    async def listen() -> list[tuple[int, int]]:
        return [((await anext(every)).seq, len(kept)) for _ in range(3)]

    listening = asyncio.create_task(listen())
    await asyncio.gather(
        *(journal.commit(lambda db: None, event(kind), then=lambda _: kept.append(1)) for kind in "abc")
    )
    assert await listening == [(1, 3), (2, 3), (3, 3)]
    assert (await anext(some)).seq == 2
    journal.note(event("agent.state"))
    assert (await anext(every)).seq == 0
    assert kinds(tmp_path) == ["a", "b", "c"]
    await journal.close()


@in_loop
async def test_a_late_listener_is_replayed_without_gap_or_repeat(tmp_path: Path) -> None:
    """From the record after `since`, while others go on writing; what is no longer kept is counted as lost."""
    journal = await started(tmp_path, keep_lines=50)
    await journal.publish(*[event(n=n) for n in range(40)])
    writing = [asyncio.create_task(journal.publish(event())) for _ in range(5)]
    heard = await journal.subscribe(since=30)
    await asyncio.gather(*writing)
    assert [(await anext(heard)).seq for _ in range(15)] == list(range(31, 46))
    assert heard.lost == 0
    await journal.publish(*[event() for _ in range(60)])
    assert (await journal.subscribe(since=10)).lost == 45
    await journal.close()


@in_loop
async def test_a_listener_that_does_not_read_loses_the_oldest(tmp_path: Path) -> None:
    """Its queue is bounded, it is told how much it lost, and nobody waits for it."""
    journal = await started(tmp_path)
    slow = await journal.subscribe(limit=3)
    await journal.publish(*[event() for _ in range(10)])
    slow.close()
    assert ([one.seq async for one in slow], slow.lost) == ([8, 9, 10], 7)
    await journal.close()


@in_loop
async def test_closed_means_closed(tmp_path: Path) -> None:
    """What was queued is done; what comes later is told; iterations end."""
    journal = await started(tmp_path)
    heard = await journal.subscribe()
    last = asyncio.create_task(journal.publish(event()))
    await asyncio.wait([last], timeout=0)  # it is queued, if it is not done
    await journal.close()
    await last
    assert [one.seq async for one in heard] == [1]
    with pytest.raises(Unavailable):
        await journal.publish(event())


# --- a log that cannot be written --------------------------------------------------------------------


@contextlib.contextmanager
def files_limited_to(size: int) -> Iterator[None]:
    """Every write beyond `size` bytes of a file fails with EFBIG after a part of it: as on a full disk."""
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)


@in_loop
async def test_health_is_told_when_it_changes(tmp_path: Path) -> None:
    """Once when nothing can be written any more, once when it can again: an event could not tell of it."""
    told: list[bool] = []
    journal = Journal(tmp_path / "state.db", tmp_path / "audit.jsonl", health=lambda: told.append(bool(journal.unwell)))
    await journal.start()
    await journal.publish(Event(type="first"))
    with files_limited_to((tmp_path / "audit.jsonl").stat().st_size):
        for _ in range(2):
            with pytest.raises(Unavailable):
                await journal.publish(Event(type="second"))
    for _ in range(2):
        await journal.publish(Event(type="third"))
    assert told == [True, False]
    await journal.close()


@in_loop
async def test_a_full_disk_stops_everything_and_leaves_no_trace(tmp_path: Path) -> None:
    """The record that does not fit takes its change with it; with space again all goes on, and the chain is whole."""
    (tmp_path / "log").mkdir()
    journal = Journal(tmp_path / "state.db", tmp_path / "log/audit.jsonl", rotate_bytes=1 << 30)
    await journal.start()
    while (tmp_path / "log/audit.jsonl").stat().st_size < 5_500_000:
        await journal.publish(*[event(text="word " * 2000) for _ in range(100)])
    size = (tmp_path / "log/audit.jsonl").stat().st_size
    one = question()
    with files_limited_to(size + 1000):  # the database's files are smaller, so it is the log that is full
        with pytest.raises(Unavailable, match="nothing was done"):
            await journal.commit(lambda db: store.add_approval(db, one), event(text="word " * 2000))
        assert "File too large" in journal.unwell
        with pytest.raises(NotFound):
            await journal.read(lambda db: store.approval(db, one.request_id))
        assert (tmp_path / "log/audit.jsonl").stat().st_size == size
    await journal.commit(lambda db: store.add_approval(db, one), event())
    assert journal.unwell == ""
    await journal.close()
    assert AuditLog(tmp_path / "log/audit.jsonl").verify(head=journal.head).ok


@in_loop
async def test_a_database_that_cannot_grow_stops_everything_too(tmp_path: Path) -> None:
    """What SQLite cannot write is in the log neither, nor half in either; afterwards all goes on."""
    journal = await started(tmp_path)
    await journal.publish(event())
    one = question(preview="x" * 100_000)
    with files_limited_to(50_000):
        with pytest.raises(Unavailable, match="nothing was done"):
            await journal.commit(lambda db: store.add_approval(db, one), event())
        assert log(tmp_path).verify(head=journal.head).records == 1
    await journal.commit(lambda db: store.add_approval(db, one), event())
    await journal.close()
    assert log(tmp_path).verify(head=journal.head).ok


@pytest.mark.parametrize("failing", ["write", "fdatasync", "open"])
@in_loop
async def test_an_input_output_error_does_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """EIO at any step: unavailable, the change is undone, and later groups mend what is left."""
    from tmux_agent.services import audit_file

    await fill(tmp_path)
    broken = [True]

    class Os:
        def __getattr__(self, name: str) -> Any:
            real = getattr(os, name)
            if name not in (failing, "ftruncate"):
                return real

            def fails(*arguments: Any) -> Any:
                if broken:
                    raise OSError(5, "Input/output error")
                return real(*arguments)

            return fails

    one = question()
    with monkeypatch.context() as patch:
        patch.setattr(audit_file, "os", Os())
        journal = await started(tmp_path)
        with pytest.raises(Unavailable):
            await journal.commit(lambda db: store.add_approval(db, one), event())
        with pytest.raises(NotFound):
            await journal.read(lambda db: store.approval(db, one.request_id))
        assert "Input/output error" in journal.unwell
        broken.clear()
        await journal.publish(event("after"))
        assert journal.unwell == ""
        await journal.close()
    assert log(tmp_path).verify(head=journal.head).ok
    assert kinds(tmp_path)[-1] == "after"


@in_loop
async def test_an_unwritable_log_is_no_reason_not_to_start(tmp_path: Path) -> None:
    """The sidecar is there to say what is wrong; it does nothing until the log can be written."""
    (tmp_path / "audit.jsonl").mkdir()
    journal = await started(tmp_path)
    assert "audit.jsonl" in journal.unwell
    with pytest.raises(Unavailable, match=r"audit\.jsonl"):
        await journal.publish(event())
    (tmp_path / "audit.jsonl").rmdir()
    await journal.publish(event())
    assert log(tmp_path).verify().records == 1
    await journal.close()


@in_loop
async def test_a_log_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    """Nobody gets the sidecar to write elsewhere."""
    (tmp_path / "audit.jsonl").symlink_to(tmp_path / "other")
    journal = await started(tmp_path)
    with pytest.raises(Unavailable):
        await journal.publish(event())
    assert not (tmp_path / "other").exists()
    await journal.close()


# --- what a crash or somebody else left --------------------------------------------------------------


@in_loop
async def test_a_defect_behind_one_record_is_its_callers_alone(tmp_path: Path) -> None:
    """Who shares a group with it is answered; the caller hears that it is recorded and not taken in."""
    journal = await started(tmp_path)

    def broken(_: object) -> None:
        raise ZeroDivisionError

    ends = await asyncio.gather(
        journal.commit(lambda db: 1, event("a"), then=broken),
        journal.commit(lambda db: 2, event("b")),
        journal.read(lambda db: 3),
        return_exceptions=True,
    )
    assert isinstance(ends[0], Internal)
    assert ends[1:] == [2, 3]
    await journal.close()
    assert kinds(tmp_path) == ["a", "b"]


@in_loop
async def test_a_torn_last_line_is_cut_and_said(tmp_path: Path) -> None:
    """The next record tells how many bytes went."""
    await fill(tmp_path)
    with (tmp_path / "audit.jsonl").open("ab") as file:
        file.write(b'{"seq":6,"time')
    journal = await reopened(tmp_path)
    found = list(log(tmp_path).records())[5]
    assert (found.type, found.data) == ("sidecar.recovered", {"torn_bytes": 14})
    assert log(tmp_path).verify(head=journal.head).ok
    assert journal.warnings == ()


@in_loop
async def test_records_before_their_commit_are_void(tmp_path: Path) -> None:
    """Whole lines that the database never heard of stay in the chain, and a record says that nothing came of them."""
    head = await fill(tmp_path)
    orphan = chain.seal(6, "2026-11-20T10:30:00.000000Z", event("approval.answered"), head.hash)
    with (tmp_path / "audit.jsonl").open("ab") as file:
        file.write(orphan)
    journal = await reopened(tmp_path)
    found = list(log(tmp_path).records())
    assert [record.type for record in found[5:]] == ["approval.answered", "sidecar.recovered", "sidecar.started"]
    assert found[6].data == {"void": [6, 6]}
    assert log(tmp_path).verify(head=journal.head).ok


@in_loop
async def test_a_cut_end_is_put_back(tmp_path: Path) -> None:
    """The database knows the head and has the newest lines; that somebody cut the log is a record and a warning."""
    await fill(tmp_path)
    lines = (tmp_path / "audit.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "audit.jsonl").write_bytes(b"".join(lines[:3]))
    assert not log(tmp_path).verify(head=database_head(tmp_path / "state.db")).ok
    journal = await reopened(tmp_path)
    assert kinds(tmp_path)[5:] == ["audit.damaged", "sidecar.recovered", "sidecar.started"]
    assert log(tmp_path).verify(head=journal.head).records == 8
    assert "cut off" in journal.warnings[0]


@in_loop
async def test_a_cut_end_that_is_gone_is_named(tmp_path: Path) -> None:
    """Beyond what the database keeps the chain stays broken there, and says so; the sidecar goes on."""
    await fill(tmp_path, 9, keep_lines=2)
    lines = (tmp_path / "audit.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "audit.jsonl").write_bytes(b"".join(lines[:3]))
    journal = await reopened(tmp_path)
    damaged = next(record for record in log(tmp_path).records() if record.type == "audit.damaged")
    assert damaged.data["missing"] == [4, 9]
    checked = log(tmp_path).verify()
    assert (checked.ok, checked.line, checked.records) == (False, 4, 3)
    assert journal.warnings


@in_loop
async def test_foreign_lines_are_left_and_named(tmp_path: Path) -> None:
    """What somebody wrote behind the head is evidence; verify stops exactly there."""
    await fill(tmp_path)
    with (tmp_path / "audit.jsonl").open("ab") as file:
        file.write(b'{"hello":1}\n')
    journal = await reopened(tmp_path)
    assert "foreign lines" in journal.warnings[0]
    checked = log(tmp_path).verify()
    assert (checked.ok, checked.line) == (False, 6)
    assert kinds(tmp_path)[-2:] == ["audit.damaged", "sidecar.started"]


@in_loop
async def test_a_lost_database_goes_on_behind_the_log(tmp_path: Path) -> None:
    """With or without rotated files: numbers and hashes continue, and a record says from where."""
    for name in ("audit.jsonl", "audit-000000000006.jsonl"):
        head = await fill(tmp_path, 5 if name == "audit.jsonl" else 0)
        (tmp_path / "state.db").unlink()
        (tmp_path / "audit.jsonl").rename(tmp_path / name)
        journal = await reopened(tmp_path)
        assert list(log(tmp_path).records())[head.seq].data["continued"] == head.seq
        assert log(tmp_path).verify(head=journal.head).ok


@in_loop
async def test_a_log_that_never_was_one_is_named(tmp_path: Path) -> None:
    """Somebody's file under our name: it is left as it is, and verify says where."""
    (tmp_path / "audit.jsonl").write_text("my notes\n")
    journal = await reopened(tmp_path)
    assert "no record" in journal.warnings[0]
    assert log(tmp_path).verify().line == 1
    assert (tmp_path / "audit.jsonl").read_text().startswith("my notes\n")


@pytest.mark.parametrize("how", ["delete", "move", "cut", "write"])
@in_loop
async def test_a_log_disturbed_while_running_is_noticed(tmp_path: Path, how: str) -> None:
    """Before the next record: a record and a warning say what happened, and recording goes on."""
    journal = await started(tmp_path)
    await journal.publish(*[event(n=n) for n in range(5)])
    path = tmp_path / "audit.jsonl"
    match how:
        case "delete":
            path.unlink()
        case "move":
            path.rename(tmp_path / "audit.jsonl.1")
        case "cut":
            os.truncate(path, path.stat().st_size // 2)
        case "write":
            with path.open("ab") as file:
                file.write(b"boo\n")
    await journal.publish(event("after"))
    assert "audit.damaged" in kinds(tmp_path)
    assert kinds(tmp_path)[-1] == "after"
    assert journal.warnings
    assert log(tmp_path).verify().ok is (how != "write")  # what was removed is put back from the database
    await journal.close()


@in_loop
async def test_rotation_continues_the_chain(tmp_path: Path) -> None:
    """The new file's first record names the old one and its last hash; verify goes through all in order."""
    journal = await started(tmp_path, rotate_bytes=3000)
    for number in range(60):
        await journal.publish(event(n=number))
    await journal.close()
    files = log(tmp_path).files()
    assert len(files) > 3
    for old, new in itertools.pairwise(files):
        first = chain.read(new.read_bytes().splitlines()[0])
        last = chain.read(old.read_bytes().splitlines()[-1])
        assert first.type == "audit.rotated"
        assert first.data == {"previous": old.name, "seq": last.seq, "hash": last.hash}
    assert log(tmp_path).verify(head=journal.head).records == journal.head.seq
    files[1].unlink()
    checked = log(tmp_path).verify()
    assert (checked.ok, checked.file, checked.line) == (False, str(files[2]), 1)


# --- the database ------------------------------------------------------------------------------------


@in_loop
async def test_a_damaged_database_is_set_aside_and_the_loss_said(tmp_path: Path) -> None:
    """A new one begins, the chain goes on from the log, and the old file is kept."""
    await fill(tmp_path, 50)
    (tmp_path / "state.db").write_bytes(b"not a database, for sure" * 999)
    journal = await reopened(tmp_path)
    assert len(aside(tmp_path)) == 1
    assert "damaged" in journal.losses[0]
    found = [record.data for record in log(tmp_path).records() if record.type == "sidecar.recovered"]
    assert found[0]["set_aside"] == str(aside(tmp_path)[0])
    assert found[0]["continued"] == 50
    assert "no sound backup" in found[0]["why"]
    assert log(tmp_path).verify(head=journal.head).ok


@in_loop
async def test_a_newer_database_is_not_touched(tmp_path: Path) -> None:
    """The sidecar does not start, says why, and leaves it as it was."""
    await fill(tmp_path)
    database = sqlite3.connect(tmp_path / "state.db")
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(Unavailable, match="newer version"):
        await started(tmp_path)
    assert not aside(tmp_path)


@in_loop
async def test_a_database_that_cannot_be_opened_says_so(tmp_path: Path) -> None:
    """Not a crash, not a new database elsewhere."""
    (tmp_path / "state.db").mkdir()
    with pytest.raises(Unavailable, match=r"state\.db"):
        await started(tmp_path)
