"""Tests of services/audit_log.py: the log is read and checked from its files alone."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.services.sidecar_values import AGENT, in_loop, started

from tmux_agent.core import chain
from tmux_agent.core.model import Event
from tmux_agent.services import audit_log
from tmux_agent.services.audit_log import AuditLog, Filter, database_head


async def write(folder: Path, count: int = 60, rotate_bytes: int = 6000) -> AuditLog:
    """A log of `count` refusals r0, r1, …, with others and rotations between; even ones are codex's."""
    journal = await started(folder, rotate_bytes=rotate_bytes)
    for number in range(count):
        origin = AGENT if number % 2 else replace(AGENT, agent="codex")
        await journal.publish(Event(type="refused", request_id=f"r{number}", origin=origin, data={"n": number}))
    await journal.close()
    return AuditLog(folder / "audit.jsonl")


@in_loop
async def test_verify_starts_where_it_is_told(tmp_path: Path) -> None:
    """From any record on, over files; a start behind the end finds nothing wrong and nothing there."""
    log = await write(tmp_path)
    whole = log.verify()
    assert whole.ok
    assert len(log.files()) > 2
    for start in (2, 30, whole.records):
        assert log.verify(start).records == whole.records - start + 1
        assert log.verify(start).head == whole.head
    assert log.verify(10_000).records == 0


@in_loop
async def test_the_bad_line_is_named_by_file_line_and_number(tmp_path: Path) -> None:
    """One changed byte in a middle file; from behind it all is well, from before it is not."""
    log = await write(tmp_path)
    file = log.files()[1]
    lines = file.read_bytes().splitlines(keepends=True)
    seq = chain.read(lines[4]).seq
    lines[4] = lines[4].replace(b'"n":', b'"n":1', 1)
    file.write_bytes(b"".join(lines))
    for start in (1, seq - 1, seq):
        found = log.verify(start)
        assert (found.ok, found.file, found.line, found.seq) == (False, str(file), 5, seq)
        assert "changed" in found.why
    assert log.verify(seq + 1).ok


@in_loop
async def test_a_cut_log_does_not_match_the_database(tmp_path: Path) -> None:
    """The chain alone cannot show that its end is missing; the database's head can. Newer records are no harm."""
    log = await write(tmp_path, 5, rotate_bytes=1 << 20)
    head = database_head(tmp_path / "state.db")
    assert log.verify(head=head).ok
    assert log.verify(head=chain.Head(3, list(log.records())[2].hash)).ok
    assert not log.verify(head=chain.Head(3, "0" * 64)).ok
    lines = (tmp_path / "audit.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "audit.jsonl").write_bytes(b"".join(lines[:-1]))
    assert log.verify().ok
    found = log.verify(head=head)
    assert (found.ok, found.seq) == (False, 5)
    assert "cut" in found.why
    assert database_head(tmp_path / "nothing.db") is None


@in_loop
async def test_a_line_that_is_being_written_is_no_damage(tmp_path: Path) -> None:
    """At the very end it is only counted; in a file before the last it is damage."""
    log = await write(tmp_path)
    for file in (log.files()[-1], log.files()[0]):
        with file.open("ab") as opened:
            opened.write(b'{"seq":')
    found = log.verify()
    assert (found.ok, found.file) == (False, str(log.files()[0]))
    assert AuditLog(tmp_path / "audit.jsonl", log.files()[:0]).verify().records == 0
    log.files()[0].write_bytes(log.files()[0].read_bytes()[:-7])
    found = log.verify()
    assert (found.ok, found.torn_bytes) == (True, 7)


@pytest.mark.parametrize("block", [100, 700, 1 << 18])
def test_both_directions_read_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    """Whatever the size of the pieces: newest first is oldest first, reversed; pages join without gap."""
    in_loop(write)(tmp_path)
    monkeypatch.setattr(audit_log, "BLOCK", block)
    log = AuditLog(tmp_path / "audit.jsonl")
    every = list(log.records())
    assert [one.seq for one in every] == list(range(1, len(every) + 1))
    assert log.newest(limit=10_000) == every[::-1]
    assert log.tail(7) == every[-7:]
    page = log.newest(limit=10)
    assert log.newest(before=page[-1].seq, limit=3) == every[-11:-14:-1]
    assert list(log.records(after=20)) == every[20:]
    assert log.verify().records == len(every)


@in_loop
async def test_filters(tmp_path: Path) -> None:
    """By type and family of types, request, agent and time."""
    log = await write(tmp_path)
    every = list(log.records())
    assert {one.type for one in log.records(Filter(types=frozenset(["audit."])))} == {"audit.rotated"}
    assert len(list(log.records(Filter(types=frozenset(["refused", "audit.rotated"]))))) == len(every)
    assert [one.data["n"] for one in log.records(Filter(request_id="r7"))] == [7]
    assert {one.data["n"] % 2 for one in log.records(Filter(agent="codex"))} == {0}
    middle = every[30].timestamp
    assert [one.seq for one in log.records(Filter(since=middle))] == list(range(31, len(every) + 1))
    assert [one.seq for one in log.records(Filter(until=middle))] == list(range(1, 31))


def test_lines_that_are_no_records_are_passed_over(tmp_path: Path) -> None:
    """A reader shows what can be read; saying what is wrong is verify's."""
    in_loop(write)(tmp_path, 3)
    with (tmp_path / "audit.jsonl").open("ab") as opened:
        opened.write(b"\xff\n[]\n\n" + b"[" * 100_000 + b"\n")
    log = AuditLog(tmp_path / "audit.jsonl")
    assert len(list(log.records())) == len(log.newest()) == 3
    assert AuditLog(tmp_path / "nothing.jsonl").newest() == []


def test_following_misses_nothing_over_rotations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A follower that begins before there is a file gets every record once, in order, from all files."""
    monkeypatch.setattr(audit_log, "FOLLOW_SECONDS", 0.001)
    seen: list[int] = []
    done = threading.Event()

    def follow() -> None:
        for record in AuditLog(tmp_path / "audit.jsonl").follow(0):
            seen.append(record.seq)
            if record.request_id == "r199":
                done.set()
                return

    follower = threading.Thread(target=follow, daemon=True)
    follower.start()
    in_loop(write)(tmp_path, 200, 20_000)
    assert done.wait(30)
    assert seen == list(range(1, len(seen) + 1))
