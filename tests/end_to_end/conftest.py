"""The world that most tests of pipelines share. A module about something else has a `world` of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.end_to_end.pipeline_world import World
from tests.plugin.terminal import Server
from tests.sidecar import sidecar


@pytest.fixture
def world() -> Iterator[World]:
    """A sidecar that is not started yet, and a tmux server without a window."""
    with sidecar() as one, Server() as tmux:
        yield World(one, tmux)
