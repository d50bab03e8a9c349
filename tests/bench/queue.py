"""A hundred tasks that need each other, through worktrees and sessions, while the sidecar is killed three times."""

from __future__ import annotations

import functools
import time

from tests.bench.world import Row
from tests.end_to_end.fleet_world import tmux_of
from tests.end_to_end.queue_world import World
from tests.end_to_end.test_queue_kills import KILLED_AT, TASKS, did, in_order, tasks
from tests.sidecar import Sidecar, sidecar, until

AT_ONCE = 8


def rows(quick: bool) -> list[Row]:
    with sidecar(Sidecar) as one, tmux_of(one) as tmux:
        world = World(one, tmux, f"queue: {{machine: {AT_ONCE}}}")
        begun = time.perf_counter()
        world.start()
        world.person().call("queue.add", {"tasks": tasks(), "repository": str(world.repository)})
        for count in KILLED_AT[:1] if quick else KILLED_AT:
            until(functools.partial(_came, world, count))
            world.sidecar.kill()
            world.start()
        world.ended()
        took = time.perf_counter() - begun
        order = did(world)
    kills = 1 if quick else len(KILLED_AT)
    return [
        Row(
            name=f"{TASKS} tasks, {AT_ONCE} at once, over {kills} kills", ours=f"{len(order)} done in {took:.0f} s",
            bound="each once, in order", held=in_order(order),
        )
    ]  # fmt: skip


def _came(world: World, count: int) -> bool:
    return len(did(world)) >= count
