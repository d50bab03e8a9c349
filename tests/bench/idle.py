"""A minute with 50 panes in which nothing happens: what the sidecar and tmux use."""

from __future__ import annotations

import time

from tests.bench import use
from tests.bench.world import Row, World

PANES = 50
QUIET = 0.5  # seconds without a byte to the terminal: what was started has settled


def rows(quick: bool) -> list[Row]:
    seconds = 10 if quick else 60
    with World(tmux=True) as world, world.asker() as asker:
        assert world.tmux
        for _ in range(PANES - 1):
            world.tmux.run("new-window", "-d")
        terminal = world.tmux.attach()
        asker.put("Is it well?")
        asker.when()
        terminal.wait_for("⏸1]")
        while terminal.read(QUIET):
            pass
        pids = (world.pid, int(world.tmux.run("display-message", "-p", "#{pid}")))
        then = [use.of(pid) for pid in pids]
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            terminal.read(left)
        now = [use.of(pid) for pid in pids]
    none = not any(after.started(before) for after, before in zip(now, then, strict=True))
    shares = [100 * (after.cpu - before.cpu) / (after.at - before.at) for after, before in zip(now, then, strict=True)]
    rss = now[0].rss / 1e6
    return [
        Row(
            name=f"idle, {PANES} panes, {seconds} s: processes started",
            ours="none" if none else "some", bound="none", held=none,
        ),
        Row(
            name="idle: of a core, the sidecar (tmux)",
            ours=f"{shares[0]:.3f} % ({shares[1]:.3f} %)", bound="< 0.3 %", held=sum(shares) < 0.3,
        ),
        Row(name="idle: memory of the sidecar (RSS)", ours=f"{rss:.1f} MB", bound="< 90 MB", held=rss < 90),
    ]  # fmt: skip
