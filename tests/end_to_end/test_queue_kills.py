"""100 tasks that need each other, in real worktrees and sessions, while the sidecar is killed three times."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from tests.end_to_end.fleet_world import tmux_of
from tests.end_to_end.queue_world import World
from tests.sidecar import Sidecar, sidecar, until

TASKS = 100
KILLED_AT = (15, 45, 75)  # tasks whose agents have done theirs by then


def tasks() -> list[dict[str, Any]]:
    return [
        {"name": name, "task": f'echo {name} >> "$HOME/did"; ok', "agent": "goose", "needs": before}
        for name, before in graph(7).items()
    ]


def in_order(order: list[str]) -> bool:
    """Whether each was done once, and after all that it needs."""
    needs = graph(7)
    return sorted(order) == sorted(needs) and all(
        order.index(other) < order.index(name) for name, before in needs.items() for other in before
    )


@pytest.fixture
def world() -> Iterator[World]:
    with sidecar(Sidecar) as one, tmux_of(one) as tmux:
        yield World(one, tmux, "queue: {machine: 8}")


def graph(seed: int) -> dict[str, list[str]]:
    """Each needs up to two of the twelve before it."""
    dice = random.Random(seed)
    names = [f"t{number:03}" for number in range(TASKS)]
    earlier = {name: names[max(0, at - 12) : at] for at, name in enumerate(names)}
    return {name: dice.sample(before, min(len(before), dice.randint(0, 2))) for name, before in earlier.items()}


@pytest.mark.timeout(400)
def test_a_hundred_tasks_are_done_once_and_in_order_over_three_kills(world: World) -> None:
    world.start()
    world.person().call("queue.add", {"tasks": tasks(), "repository": str(world.repository)})
    for count in KILLED_AT:
        until(lambda count=count: len(did(world)) >= count)
        world.sidecar.kill()
        world.start()
    world.ended()
    bad = [world.task(name) for name, state in world.states().items() if state != "done"]
    assert not bad, "\n".join(f"{one['name']} {one['reason']} {one.get('tries')}" for one in bad)
    assert in_order(did(world))
    listed = world.person().call("queue.list", {"all": True})["tasks"]
    assert Counter(one["attempt"] for one in listed) == {1: TASKS}
    assert world.sessions() == ["work"]
    recovered = [one for one in world.sidecar.records() if one["type"] == "sidecar.started"]
    assert len(recovered) == 1 + len(KILLED_AT)


def did(world: World) -> list[str]:
    path = world.home / "did"
    return path.read_text().split() if path.exists() else []
