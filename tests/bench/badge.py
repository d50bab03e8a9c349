"""From a request to the badge on an attached client's screen: time, bytes to the terminal, processes started."""

from __future__ import annotations

import time

from tests.bench import use
from tests.bench.world import Row, World, middle
from tests.plugin.terminal import Terminal

SETTLED = 0.02  # seconds without a byte: the terminal has all there is


def rows(quick: bool) -> list[Row]:
    rounds = 20 if quick else 100
    times, sizes = [], []
    with World(tmux=True) as world, world.asker() as asker:
        assert world.tmux
        world.tmux.run("set-option", "-g", "status-interval", "0")  # or its clock would count as ours
        terminal = world.tmux.attach()
        server = int(world.tmux.run("display-message", "-p", "#{pid}"))
        asker.put("the first")
        asker.when()
        terminal.wait_for("⏸1]")
        before = [use.of(pid) for pid in (world.pid, server)]
        for number in range(2, rounds + 2):
            settle(terminal)
            terminal.raw.clear()
            size = terminal.bytes
            asker.put(f"number {number}")
            terminal.wait_raw(f"⏸{number}".encode())
            seen = time.perf_counter()
            times.append(seen - asker.when())
            settle(terminal)
            sizes.append(terminal.bytes - size)
        started = [now.started(then) for now, then in zip(map(use.of, (world.pid, server)), before, strict=True)]
    none = not any(started)
    words = f"{middle(times) * 1e3:.2f} ms, {max(sizes)} bytes, {'none' if none else 'some'} started"
    held = middle(times) <= 0.010 and max(sizes) <= 300 and none
    return [Row(name="request → badge on a client's screen, p50", ours=words, bound="≤ 10 ms, ≤ 300, none", held=held)]


def settle(terminal: Terminal) -> None:
    while terminal.read(SETTLED):
        pass
