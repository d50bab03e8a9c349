"""Fixtures that many modules share: the world of most tests of pipelines; of a world with the plugin, a server and a
client. A module whose world is another has a `world` of its own, which these two take.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.end_to_end import plugin_world
from tests.end_to_end.pipeline_world import World
from tests.plugin.terminal import Server, Terminal
from tests.sidecar import sidecar


@pytest.fixture
def world() -> Iterator[World]:
    """A sidecar that is not started yet, and a tmux server without a window."""
    with sidecar() as one, Server() as tmux:
        yield World(one, tmux)


@pytest.fixture
def server(world: plugin_world.World) -> Server:
    return world.server()


@pytest.fixture
def terminal(server: Server) -> Terminal:
    return server.attach()
