"""What everybody shares and nobody may take whole: connections, and tmux servers, counted by families of processes.

Owns who counts as one, and how much is kept free for people. Must not own: who somebody is (services/identity.py), what
one process may send (admission.py).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, Protocol, TypeVar

from ..core import errors
from ..core.callers import family
from ..core.model import Origin, Role
from ..core.settings import Limits

RESERVED = 32  # connections beyond `limits.connections`: so many for people, and for what may become a popup's relay
RELAY_SECONDS = 5.0  # in which such a one has to have become it
SERVERS = 8  # tmux servers that one family may have attached


class Held(Protocol):
    """A connection, as far as it is counted."""

    @property
    def origin(self) -> Origin: ...
    def close(self) -> None: ...


T = TypeVar("T", bound=Held)


class Connections(Generic[T]):
    """Those that are open. `limits` are asked for each time, for they may be replaced."""

    def __init__(self, limits: Callable[[], Limits]) -> None:
        self._limits = limits
        self._open: dict[T, tuple[str, str]] = {}  # with kind and family, as they were at the start
        self._kinds: Counter[str] = Counter()
        self._families: Counter[str] = Counter()

    def __iter__(self) -> Iterator[T]:
        return iter(tuple(self._open))

    def add(self, one: T) -> None:
        """Raises LimitExceeded."""
        kind, kin, limits = _kind(one.origin), family(one.origin), self._limits()
        full = self._kinds["agent"] >= limits.connections if kind == "agent" else self._kinds[kind] >= RESERVED
        if full and (kind == "agent" or len(self._open) >= limits.connections):
            raise errors.LimitExceeded(f"{limits.connections} connections are open already: close some")
        if kind == "agent" and self._families[kin] >= limits.connections_per_origin:
            raise errors.LimitExceeded(
                f"{limits.connections_per_origin} connections of yours and your kin are open already: close some"
            )
        self._open[one] = (kind, kin)
        self._kinds[kind] += 1
        self._families[kin] += 1
        if kind == "relay" and len(self._open) > limits.connections:
            asyncio.get_running_loop().call_later(RELAY_SECONDS, self._end, one)

    def remove(self, one: T) -> None:
        """It has closed, or is a popup's from now on."""
        if one in self._open:
            kind, kin = self._open.pop(one)
            self._kinds[kind] -= 1
            self._families[kin] -= 1
            if not self._families[kin]:
                del self._families[kin]

    def _end(self, one: T) -> None:
        if one in self._open:
            one.close()


def _kind(origin: Origin) -> str:
    if origin.role is Role.OPERATOR:
        return "person"
    return "relay" if origin.server and not origin.pane and not origin.agent else "agent"


class Attached:
    """Which family has attached which tmux server."""

    def __init__(self) -> None:
        self._by: dict[str, str] = {}  # real path of the socket → family

    def add(self, socket: str, origin: Origin, served: Iterable[str]) -> None:
        """Note that `origin` attaches `socket`; `served` are those that are. Raises LimitExceeded."""
        present = set(served)
        self._by = {path: kin for path, kin in self._by.items() if path in present}
        if socket in present or origin.role is Role.OPERATOR:
            return
        kin = family(origin)
        if sum(other == kin for other in self._by.values()) >= SERVERS:
            raise errors.LimitExceeded(f"you have attached {SERVERS} tmux servers already: end one first")
        self._by[socket] = kin
