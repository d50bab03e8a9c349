"""Params of the methods `cast.*`: recordings of panes. Declared to the socket by protocol.py."""

from __future__ import annotations

from .params import Params


class CastStart(Params, frozen=True):
    """Record what a pane shows, from now on: the caller's own, or the one that is named.

    A person's call is done and recorded, and so is one for the caller's own pane; any other is judged, as tmux.read is.
    `max_bytes`: of the whole recording; 0: only the bounds of all recordings (`casts` in config.yaml).
    """

    pane_id: str | None = None
    mask: bool = False
    max_bytes: int = 0
    server: str | None = None


class CastStop(Params, frozen=True):
    """End a recording: by its id, or that of a pane (the caller's own where none is named).

    What was begun in a pane may be ended there; any other call than a person's is judged.
    """

    id: str = ""
    pane_id: str | None = None
    server: str | None = None


class CastList(Params, frozen=True):
    """Recordings, the oldest first. An operator is told of all, anybody else of those of their own pane."""


class CastRemove(Params, frozen=True):
    """Remove a recording that has ended, by the first characters of its id. Judged as cast.stop is."""

    id: str


class CastPlay(Params, frozen=True):
    """Play a recording in a popup over the tmux client that looks at the caller's pane: `what` is the beginning of an
    id, or the absolute path of a file. A person's call is done; any other is judged.
    """

    what: str
    speed: float = 1.0
    idle_limit: float = 0.0
    server: str | None = None


METHODS: dict[str, type[Params]] = {
    "cast.start": CastStart,
    "cast.stop": CastStop,
    "cast.list": CastList,
    "cast.remove": CastRemove,
    "cast.play": CastPlay,
}
# Nobody can tell by the request whether it was done: a client does not send these again by itself.
ONCE: frozenset[type[Params]] = frozenset({CastStart, CastStop, CastRemove, CastPlay})
