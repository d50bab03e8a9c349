"""services/local_bus.py: whole lines and no gap in their numbers, whoever writes, rotates, dies or reads meanwhile."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.patience import PATIENCE
from tests.sidecar import ROOT

from tmux_agent.core.message import Message
from tmux_agent.services.local_bus import Follower, LocalBus

SMALL = 2000  # bytes of a part


def message(number: int) -> Message:
    return Message(title=f"message {number}", body="x" * 100)


def test_lines_are_numbered_and_ours_alone(tmp_path: Path) -> None:
    """Over instances, with the time and without secrets; the folder has mode 0700, the file 0600."""
    for number in (1, 2):
        assert (
            LocalBus(tmp_path / "bus").add([message(number), Message(title="token=ghp_0123456789abcdefghij01234")])
            == ""
        )
    lines = [json.loads(line) for line in (tmp_path / "bus" / "messages.jsonl").read_text().splitlines()]
    assert [line["seq"] for line in lines] == [1, 2, 3, 4]
    assert lines[0]["at"].endswith("Z")
    assert "ghp_" not in json.dumps(lines)
    assert [(tmp_path / "bus" / name).stat().st_mode & 0o777 for name in ("", "messages.jsonl")] == [0o700, 0o600]
    assert LocalBus(tmp_path / "bus").last() == 4


def test_rotation_is_bounded_and_keeps_numbers(tmp_path: Path) -> None:
    """Parts are named after their first number; the oldest go."""
    bus = LocalBus(tmp_path, SMALL, parts=3)
    for number in range(100):
        assert bus.add([message(number)]) == ""
    assert len(list(tmp_path.glob("messages.*.jsonl"))) == 3
    assert sum(path.stat().st_size for path in tmp_path.glob("messages*")) < 4 * SMALL + 400
    for first, path in bus.parts():
        assert json.loads(path.read_text().splitlines()[0])["seq"] == first
    late = Follower(bus, 10)
    seen = [line.seq for line in late.lines()]
    assert seen == list(range(seen[0], 101))
    assert late.missed == seen[0] - 11
    late.close()


@pytest.mark.parametrize("every", [1, 3, 40])
def test_a_follower_gets_every_line_once_over_rotations(tmp_path: Path, every: int) -> None:
    """However seldom it looks, as long as what it needs is kept."""
    bus = LocalBus(tmp_path, SMALL, parts=20)
    follower = Follower(bus, 0)
    seen: list[int] = []
    for number in range(120):
        bus.add([message(number)])
        if number % every == 0:
            seen += [line.seq for line in follower.lines()]
    seen += [line.seq for line in follower.lines()]
    follower.close()
    assert seen == list(range(1, 121))
    assert follower.missed == 0


def test_half_a_line_is_nobodys(tmp_path: Path) -> None:
    """What a crash left is not read, is taken out by the next writer, and its number is given again."""
    bus = LocalBus(tmp_path)
    bus.add([message(1)])
    follower = Follower(bus, 0)
    with open(bus.file, "ab") as file:
        file.write(b'{"seq":2,"at":"x","title":"half')
        file.flush()
        assert [line.seq for line in follower.lines()] == [1]
    bus.add([message(2), message(3)])
    assert [(line.seq, line.message.title) for line in follower.lines()] == [(2, "message 2"), (3, "message 3")]
    follower.close()


def test_a_file_of_somebody_else_is_said(tmp_path: Path) -> None:
    """Lines that are none of ours: nothing is written behind them, readers leave them out; loose folders, too."""
    bus = LocalBus(tmp_path / "bus")
    bus.add([message(1)])
    with open(bus.file, "ab") as file:
        file.write(b"not ours\n")
    assert "is none of ours" in bus.add([message(2)])
    follower = Follower(bus, 0)
    assert [line.seq for line in follower.lines()] == [1]
    follower.close()
    bus.folder.chmod(0o777)
    assert "chmod 700" in bus.add([message(2)])


WRITES = """
import sys
from pathlib import Path
from tmux_agent.core.message import Message
from tmux_agent.services.local_bus import LocalBus
bus = LocalBus(Path(sys.argv[1]), 2000, 100)
print("ready", flush=True)
number = 0
while len(sys.argv) < 3 or number < int(sys.argv[2]):
    assert bus.add([Message(title=f"{number}", body="y" * 100)]) == ""
    number += 1
"""


def writer(folder: Path, *argv: str) -> subprocess.Popen[bytes]:
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "sidecar")}
    process = subprocess.Popen([sys.executable, "-c", WRITES, str(folder), *argv], env=environ, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


def test_several_writers_and_a_reader_at_once(tmp_path: Path) -> None:
    """No number twice or left out, no line torn."""
    writers = [writer(tmp_path, "60") for _ in range(3)]
    follower = Follower(LocalBus(tmp_path, SMALL, 100), 0)
    seen: list[int] = []
    while any(one.poll() is None for one in writers):
        seen += [line.seq for line in follower.lines()]
    assert [one.wait(PATIENCE) for one in writers] == [0, 0, 0]
    seen += [line.seq for line in follower.lines()]
    follower.close()
    assert seen == list(range(1, 181))


def test_writers_that_are_killed(tmp_path: Path) -> None:
    """kill -9 at ten random moments: the numbers go on, and every line that anybody read stays."""
    bus = LocalBus(tmp_path, SMALL, 100_000)
    follower = Follower(bus, 0)
    seen: list[int] = []
    for _ in range(10):
        process = writer(tmp_path)
        before = len(seen)
        while len(seen) < before + 5:
            seen += [line.seq for line in follower.lines()]
        process.kill()
        process.wait(PATIENCE)
    bus.add([message(0)])
    seen += [line.seq for line in follower.lines()]
    follower.close()
    assert seen == list(range(1, len(seen) + 1))
    again = Follower(bus, 0)
    assert [line.seq for line in again.lines()] == seen
    again.close()
