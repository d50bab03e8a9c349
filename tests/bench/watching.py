"""Watched panes: from a marker's print to its event, fifty that print a lot, two hundred that are silent."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct
from tests.bench import use
from tests.bench.world import Row, middle
from tests.plugin.terminal import Server
from tests.sidecar import Peer, Sidecar, sidecar, until

LOUD, RATE, EACH = 50, 200_000, 100_000  # panes, bytes a second of one, bytes from marker to marker
BLOCKED = 0.020  # seconds
SILENT = 200

# argv: ttys. Each line on stdin (a number) is a marker printed in each, with the moment.
PRINTER = """
import sys, time
ttys = [open(path, "wb", buffering=0) for path in sys.argv[1:]]
for line in sys.stdin:
    for tty in ttys:
        text = '### SENTRY {"type":"PROGRESS","id":"%s","message":"%.6f"}\\n' % (line.strip(), time.monotonic())
        tty.write(text.encode())
"""
# argv: seconds, bytes a second, bytes from marker to marker, ttys. Says how many seconds it took.
WRITER = """
import sys, time
seconds, rate, each = map(int, sys.argv[1:4])
ttys = [open(path, "wb", buffering=0) for path in sys.argv[4:]]
line = b"\\x1b[32m[ 42%] \\x1b[1mBuilding CXX object\\x1b[0m src/core/CMakeFiles/core.dir/part.cpp.o\\n"
part = line * (rate // 20 // len(line))
start, marked, sent, at = time.monotonic(), 0, 0, 0
while at < seconds * 20:
    sent += len(part)
    for number, tty in enumerate(ttys):
        tty.write(part)
        if sent >= each:
            tty.write(b'### SENTRY {"type":"PROGRESS","id":"%d-%d-%d"}\\n' % (start, number, marked))
    if sent >= each:
        sent, marked = sent - each, marked + 1
    at += 1
    time.sleep(max(0.0, start + at / 20 - time.monotonic()))
print(marked * len(ttys), time.monotonic() - start, flush=True)
"""


class World(Struct):
    """A sidecar that watches all panes of a tmux server, and a subscriber to its markers."""

    sidecar: Sidecar
    tmux: Server
    marks: Peer
    calls: Path  # of its loop that took long (looped.py)

    def ttys(self) -> list[str]:
        return self.tmux.run("list-panes", "-s", "-t", "bench", "-F", "#{pane_tty}").splitlines()

    def marked(self) -> str:
        """The next marker's id."""
        while True:
            message = self.marks.reply()
            if message.get("method") == "event":
                return str(message["params"]["data"]["id"])


@contextlib.contextmanager
def world(panes: int) -> Iterator[World]:
    with sidecar(Sidecar) as one, Server() as tmux:
        calls = one.folder / "calls"
        (one.config / "pipelines").mkdir()
        (one.config / "pipelines" / "watch.yaml").write_text('watch: [{session: "^bench$"}]\n')
        one.program_file = Path(__file__).with_name("looped.py")
        tmux.run("new-session", "-d", "-s", "bench", "-x", "120", "-y", "40")
        for _ in range(panes - 1):
            tmux.run("new-window", "-d", "-t", "bench:")
        one.start(TMUX_AGENT_BENCH_CALLS=str(calls))
        peer = one.operator()
        peer.call("tmux.attach", {"socket": tmux.socket})
        until(lambda: [each["how"] for each in peer.call("sentry.panes")["panes"]] == ["its output"] * panes)
        peer.call("events.subscribe", {"types": ["marker"]})
        yield World(one, tmux, peer, calls)


def rows(quick: bool) -> list[Row]:
    return [_latency(quick), *_flood(quick), *_silence(quick)]


def _latency(quick: bool) -> Row:
    rounds = 20 if quick else 200
    with world(1) as one:
        fifo = one.sidecar.folder / "floor"
        os.mkfifo(fifo)
        floor = os.open(fifo, os.O_RDWR)
        one.tmux.run("new-session", "-d", "-s", "floor")
        one.tmux.run("pipe-pane", "-O", "-t", "floor:", f"exec cat >{fifo}")
        tty = one.tmux.run("display-message", "-p", "-t", "floor:", "#{pane_tty}")
        ttys = [one.tmux.run("display-message", "-p", "-t", "bench:", "#{pane_tty}"), tty]
        printers = [_python(PRINTER, path) for path in ttys]
        times: tuple[list[float], list[float]] = ([], [])
        for number in range(rounds):
            _line(printers[0], f"m{number}")
            event = one.marks.reply()
            times[0].append(time.monotonic() - float(event["params"]["data"]["message"]))
            _line(printers[1], "f")
            text = os.read(floor, 4096)
            while not text.endswith(b"\n"):
                text += os.read(floor, 4096)
            now = time.monotonic()
            times[1].append(now - float(json.loads(text[text.index(b"{") :])["message"]))
        for printer in printers:
            _end(printer)
        os.close(floor)
    ours, bare = map(middle, times)
    return Row(
        name="marker printed → event, p50", floor=f"{bare * 1e3:.2f} ms",
        ours=f"{ours * 1e3:.2f} ms (p90 {sorted(times[0])[rounds * 9 // 10] * 1e3:.2f} ms)",
        ratio=f"{ours / bare:.2f}×", bound="≤ 5 ms", held=ours <= 0.005,
    )  # fmt: skip


def _flood(quick: bool) -> list[Row]:
    seconds = 3 if quick else 10
    with world(LOUD) as one:
        tmux_pid = int(one.tmux.run("display-message", "-p", "#{pid}"))
        ttys = one.ttys()
        # Every pane's history fills first, or its growth would be what is measured.
        _heard(one, _run_writer(3, ttys)[0])
        before, own, begun = use.of(tmux_pid), use.of(_pid(one)), time.monotonic()
        sent, took = _run_writer(seconds, ttys)
        peak = use.of(tmux_pid).rss
        heard = _heard(one, sent)
        after = use.of(_pid(one))
        long = _calls(one, begun)
    name = f"{LOUD} panes, {RATE // 1000} kB/s each, {seconds} s"
    grown = (peak - before.rss) / 1e6
    worst = max(long, key=lambda call: call[0] - call[1], default=(0.0, 0.0, ""))
    blocked = max(worst[0] - worst[1], 0.0)
    share = 100 * (after.cpu - own.cpu) / (after.at - own.at)
    return [
        Row(name=f"{name}: markers heard", floor=str(sent), ours=f"{heard} ({took:.1f} s)", bound="all",
            held=heard == sent),
        Row(name=f"{name}: the loop's longest call", ours=f"{blocked * 1e3:.1f} ms ({share:.0f} % of a core)",
            bound="≤ 20 ms", held=blocked <= BLOCKED),
        Row(name=f"{name}: tmux grew by", ours=f"{grown:.1f} MB (of {before.rss / 1e6:.0f} MB)", bound="flat (< 10 MB)",
            held=grown < 10),
    ]  # fmt: skip


def _silence(quick: bool) -> list[Row]:
    seconds = 10 if quick else 60
    with world(SILENT) as one:
        pids = (_pid(one), int(one.tmux.run("display-message", "-p", "#{pid}")))
        time.sleep(2)  # what was started settles
        then = [use.of(pid) for pid in pids]
        time.sleep(seconds)
        now = [use.of(pid) for pid in pids]
    none = not any(after.started(before) for after, before in zip(now, then, strict=True))
    shares = [100 * (after.cpu - before.cpu) / (after.at - before.at) for after, before in zip(now, then, strict=True)]
    name = f"{SILENT} watched panes, silent, {seconds} s"
    return [
        Row(name=f"{name}: processes started", ours="none" if none else "some", bound="none", held=none),
        Row(name=f"{name}: of a core (tmux)", ours=f"{shares[0]:.3f} % ({shares[1]:.3f} %)", bound="< 0.3 %",
            held=sum(shares) < 0.3),
    ]  # fmt: skip


def _pid(one: World) -> int:
    assert one.sidecar.process
    return one.sidecar.process.pid


def _calls(one: World, since: float) -> list[tuple[float, float, str]]:
    """Calls of the loop that took long: seconds, seconds of them without a processor, what it was."""
    found = []
    for line in one.calls.read_text().splitlines():
        at, took, waited, what = line.split(" ", 3)
        if float(at) >= since:
            found.append((float(took), float(waited), what))
    return found


def _heard(one: World, sent: int) -> int:
    """How many of the markers that were sent are told, each once."""
    return len({one.marked() for _ in range(sent)})


def _run_writer(seconds: int, ttys: list[str]) -> tuple[int, float]:
    argv = [sys.executable, "-c", WRITER, str(seconds), str(RATE), str(EACH), *ttys]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    sent, took = done.stdout.split()
    return int(sent), float(took)


def _python(text: str, *argv: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-u", "-c", text, *argv], stdin=subprocess.PIPE, text=True, bufsize=1)


def _line(process: subprocess.Popen[str], text: str) -> None:
    assert process.stdin
    process.stdin.write(text + "\n")


def _end(process: subprocess.Popen[str]) -> None:
    assert process.stdin
    process.stdin.close()
    process.wait()
