"""edges/shares.py: who counts as one, and that nobody takes all."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from msgspec.structs import replace

from tmux_agent.core.callers import family
from tmux_agent.core.errors import LimitExceeded
from tmux_agent.core.model import Origin, Role
from tmux_agent.core.settings import Limits
from tmux_agent.edges import shares
from tmux_agent.edges.shares import RESERVED, SERVERS, Attached, Connections

PEER = Origin(
    role=Role.AGENT, why="", uid=1, pid=9, session="9:1", tty="/dev/pts/3",
    ancestry=("a b(9)", "sh(8)", "bash(7)", "systemd(1)"),
)  # fmt: skip
CLAUDE = replace(PEER, agent="claude", session="8:1")
PANE = replace(PEER, server="/tmp/t 1", pane="%3")
RELAY = replace(PEER, server="/tmp/t", tty="/dev/pts/9")
PERSON = replace(PEER, role=Role.OPERATOR)
LIMITS = Limits(connections=6, connections_per_origin=4)
numbers = itertools.count()


class One:
    """A connection."""

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.closed = asyncio.Event()

    def close(self) -> None:
        self.closed.set()


def fill(connections: Connections[One], origin: Origin) -> list[One]:
    """As many as get in."""
    inside: list[One] = []
    try:
        while True:
            one = One(origin)
            connections.add(one)
            inside.append(one)
    except LimitExceeded:
        return inside


def orphan() -> Origin:
    number = next(numbers)
    return replace(PEER, pid=1000 + number, tty=None, ancestry=(f"x({1000 + number})", "init(1)"))


def test_a_family_is_an_agent_a_pane_or_what_is_below_one_ancestor() -> None:
    """Further processes of the same kin are the same family; others are not; no name has a blank."""
    child = replace(PEER, pid=10, session="10:1", ancestry=("c(10)", *PEER.ancestry))
    assert family(PEER) == family(child)
    assert family(CLAUDE) == family(replace(CLAUDE, pid=10))
    assert family(PANE) == family(replace(PANE, pid=10, session="10:1"))
    others = (PEER, CLAUDE, PANE, replace(PEER, tty="/dev/pts/4"), replace(PANE, pane="%4"), orphan(), orphan())
    assert len({family(one) for one in others}) == len(others)
    assert not any(" " in family(one) for one in others)


def test_one_family_does_not_take_all() -> None:
    """Its limit is its own; another family still gets in; when one has gone, the next gets in."""
    connections: Connections[One] = Connections(lambda: LIMITS)
    mine = fill(connections, CLAUDE)
    assert len(mine) == LIMITS.connections_per_origin
    assert len(fill(connections, PANE)) == LIMITS.connections - len(mine)
    connections.remove(mine.pop())
    connections.remove(One(CLAUDE))
    assert len(fill(connections, CLAUDE)) == 1


def test_people_get_in_where_all_is_full() -> None:
    """However many families there are, so many connections are for people, and so many for relays of popups."""
    connections: Connections[One] = Connections(lambda: LIMITS)
    for _ in range(LIMITS.connections):
        connections.add(One(orphan()))
    with pytest.raises(LimitExceeded):
        connections.add(One(orphan()))

    async def people() -> None:
        assert len(fill(connections, RELAY)) == RESERVED
        assert len(fill(connections, PERSON)) == RESERVED

    asyncio.run(people())


def test_a_reserved_place_is_for_relays_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """What came in as a relay may, and has not become one, is closed; what has become one is not."""
    monkeypatch.setattr(shares, "RELAY_SECONDS", 0.0)
    connections: Connections[One] = Connections(lambda: LIMITS)

    async def relays() -> None:
        for _ in range(LIMITS.connections):
            connections.add(One(orphan()))
        stays, goes = One(RELAY), One(RELAY)
        connections.add(stays)
        connections.add(goes)
        connections.remove(stays)  # handed over
        await goes.closed.wait()
        assert not stays.closed.is_set()

    asyncio.run(relays())


def test_one_family_attaches_few_tmux_servers() -> None:
    """What has gone, and what is served already, does not count; people have no such limit."""
    attached, served = Attached(), [f"/s{number}" for number in range(SERVERS)]
    for number in range(SERVERS):
        attached.add(served[number], CLAUDE, served[:number])
    attached.add(served[0], CLAUDE, served)
    with pytest.raises(LimitExceeded, match=str(SERVERS)):
        attached.add("/more", CLAUDE, served)
    attached.add("/more", PANE, served)
    attached.add("/mine", PERSON, [*served, "/more"])
    attached.add("/more", CLAUDE, served[1:])
