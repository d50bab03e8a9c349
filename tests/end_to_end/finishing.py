"""The end of one agent, feature-x, in a repository whose person has a name: what tests of that share."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.end_to_end.fleet_world import World, tmux_of
from tests.sidecar import sidecar


@contextlib.contextmanager
def finishing() -> Iterator[World]:
    with sidecar() as one, tmux_of(one) as tmux:
        made = World(one, tmux)
        made.start()
        made.git("config", "user.name", "Ada")
        made.git("config", "user.email", "ada@example.org")
        yield made


def spawned(world: World) -> Path:
    """Its worktree."""
    return Path(world.spawn("feature/x")["worktree"])


def finish(world: World, **how: Any) -> list[str]:
    found: list[str] = world.person().call("fleet.finish", {"name": "feature-x", **how})["did"]
    return found


def refused(world: World, **how: Any) -> str:
    """What is said, and that its agent runs on."""
    said = str(world.person().error("fleet.finish", {"name": "feature-x", **how})["message"])
    assert world.agent("feature-x")["state"] == "running"
    assert world.sessions() == ["feature-x", "work"]
    return said
