"""edges/sight.py: events go to who may see them when they happen."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from tmux_agent.core.model import Event, Origin, Role
from tmux_agent.edges import sight
from tmux_agent.services.ledger import Heard

PERSON = Origin(role=Role.OPERATOR, why="", uid=0, pid=1, session="1:1")
OTHER = Origin(role=Role.AGENT, why="", uid=0, pid=2, session="2:1")


class Events:
    """A subscription that hears `told` and ends."""

    lost = 0

    def __init__(self, told: list[Event]) -> None:
        self._told = told

    async def __aiter__(self) -> AsyncIterator[Heard]:
        for number, event in enumerate(self._told):
            yield Heard(number, "t", event)


def test_who_is_no_operator_any_more_hears_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A subscription of an operator that has become an asker goes on as an agent's."""
    monkeypatch.setattr(sight, "ROLE_SECONDS", -1.0)
    roles = iter((Role.OPERATOR, Role.AGENT))
    sent: list[dict[str, Any]] = []
    connection = SimpleNamespace(
        send=lambda line: sent.append(json.loads(line)), identify=lambda: replace(PERSON, role=next(roles))
    )
    told = [Event(type="approval.opened", request_id=name, origin=OTHER) for name in ("a", "b", "c")]
    told.append(Event(type="approval.opened", request_id="mine", origin=PERSON))
    call: Any = SimpleNamespace(connection=connection, origin=PERSON)
    heard: Any = Events(told)
    asyncio.run(sight._forward(heard, call))
    assert [one["params"]["request_id"] for one in sent] == ["a", "mine"]
