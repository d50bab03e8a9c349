"""A hostile agent does its worst, with and without the sandbox. Inside, every attack fails; outside, what comes of each
is what docs/security.md says: an attack that would not work anywhere proves nothing."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.attack.attacks import ATTACKS, Attack
from tests.attack.table import BEGIN, END, table
from tests.attack.world import OPERATORS, World
from tests.plugin.terminal import Server
from tests.sidecar import sidecar

from tmux_agent.core import protocol as p

DOCS = Path(__file__).parents[2] / "docs" / "security.md"
pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module", params=["baseline", "sandbox", "user_namespaces"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    settings = "sandbox: {user_namespaces: on}\n" if request.param == "user_namespaces" else ""
    with sidecar() as one, Server() as tmux:
        found = World(one, tmux, sandbox=request.param != "baseline", settings=settings)
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
        assert works or (attack.root and os.getuid() != 0), said


def test_operators_methods_are_all_tried() -> None:
    assert {p.METHODS[name] for name in OPERATORS} == p.OPERATOR_ONLY - {p.HumanRespond}


def test_the_table_in_the_docs_is_this_list() -> None:
    text = DOCS.read_text()
    assert text[text.index(BEGIN) + len(BEGIN) : text.index(END)].strip() == table().strip()
