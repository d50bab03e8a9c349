"""A hostile agent does its worst, with and without the sandbox. Inside, every attack fails; outside, what comes of each
is what docs/security.md says: an attack that would not work anywhere proves nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.attack.attacks import ATTACKS, Attack
from tests.attack.table import BEGIN, END, table
from tests.attack.world import World
from tests.plugin.terminal import Server
from tests.sidecar import sidecar

DOCS = Path(__file__).parents[2] / "docs" / "security.md"
pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module", params=["baseline", "sandbox"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with sidecar() as one, Server() as tmux:
        found = World(one, tmux, sandbox=request.param == "sandbox")
        try:
            yield found
        finally:
            found.close()


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: re.sub(r"[^a-z-]+", "-", attack.does))
def test_attack(world: World, attack: Attack) -> None:
    before = len(world.records("refused"))
    said = world.attack(attack.function, *attack.words(world))
    works = attack.works(world)
    if world.sandbox:
        assert not works, said
    elif attack.baseline in ("refused", "popup"):
        assert not works, said
        assert (len(world.records("refused")) > before) is (attack.baseline == "refused"), said
    else:
        assert works, said


def test_the_table_in_the_docs_is_this_list() -> None:
    text = DOCS.read_text()
    assert text[text.index(BEGIN) + len(BEGIN) : text.index(END)].strip() == table().strip()
