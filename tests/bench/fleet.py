"""From wanting an agent to its program running in a worktree and a session of its own, beside the same by hand."""

from __future__ import annotations

import os
import subprocess
import time

from tests.bench.world import Row, middle
from tests.end_to_end.fleet_world import World, tmux_of
from tests.sidecar import Sidecar, sidecar

READY = '#!/bin/sh\necho ready > "$HOME/ready"\nexec cat\n'
FILES = 200  # of the repository
BOUND = 0.3  # seconds more than by hand


def rows(quick: bool) -> list[Row]:
    rounds = 5 if quick else 20
    with sidecar(Sidecar) as one, tmux_of(one) as tmux:
        world = World(one, tmux)
        one.program("goose", READY)
        for number in range(FILES):
            (world.repository / f"file-{number}").write_text(f"{number}\n" * 100)
        world.commit("files", "last", "x\n")
        os.mkfifo(world.home / "ready")
        with open(os.open(world.home / "ready", os.O_RDWR), "rb", buffering=0) as ready:
            world.start()
            floors, ours = [], []
            for number in range(rounds):  # turn about
                floors.append(by_hand(world, ready.fileno(), number))
                ours.append(spawned(world, ready.fileno(), number))
    more = middle(ours) - middle(floors)
    return [
        Row(
            name="spawn → the agent's program runs", floor=f"{middle(floors) * 1e3:.0f} ms",
            ours=f"{middle(ours) * 1e3:.0f} ms", ratio=f"+{more * 1e3:.0f} ms", bound=f"≤ +{BOUND * 1e3:.0f} ms",
            held=more <= BOUND,
        )
    ]  # fmt: skip


def by_hand(world: World, ready: int, number: int) -> float:
    folder = world.sidecar.root / f"hand-{number}"
    start = time.perf_counter()
    world.git("worktree", "add", "-q", "-b", f"hand-{number}", str(folder))
    world.tmux.run("new-session", "-d", "-s", f"hand-{number}", "-c", str(folder), "goose")
    os.read(ready, 64)
    took = time.perf_counter() - start
    world.tmux.run("kill-session", "-t", f"hand-{number}")
    subprocess.run(["git", "worktree", "remove", "--force", str(folder)], cwd=world.repository, check=True)
    return took


def spawned(world: World, ready: int, number: int) -> float:
    start = time.perf_counter()
    made = world.spawn(f"ours-{number}")
    os.read(ready, 64)
    took = time.perf_counter() - start
    world.person().call("fleet.finish", {"name": made["name"], "discard": True})
    return took
