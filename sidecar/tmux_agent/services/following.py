"""Panes whose output somebody reads bit by bit: what is new since the last time, nothing lost and nothing twice.

Owns the panes that are followed and the cursors that are handed out. Must not own: reading a pane (tmux/watch.py),
which bytes are kept (core/output_log.py).
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from ..core import errors
from ..core.output_lines import plain
from ..core.output_log import OutputLog
from ..core.pipeline_run import Place
from ..core.settings import Settings
from .tmux.control import TmuxServer
from .tmux.watch import Watch
from .watching import Watching

FOLLOWED = 64  # panes; the one that was read longest ago goes
READ_BYTES = 256 << 10  # of one reply
_CURSOR = re.compile(r"(\d{1,15})-([0-9a-f]{16})")


class _Followed:
    """One pane (tmux.watch.Tap)."""

    def __init__(self, limit: int) -> None:
        self.log = OutputLog(limit)
        self.over = ""  # why no more comes

    def came(self, data: bytes) -> None:
        self.log.add(data)

    def cut(self) -> None:
        self.log.gap()

    def ended(self, why: str) -> None:
        self.over = why


class Following:
    """Built by the system; used in the event loop only."""

    def __init__(self, watch: Watch, watching: Watching, settings: Callable[[], Settings]) -> None:
        self._watch, self._watching, self._settings = watch, watching, settings
        self._panes: OrderedDict[Place, _Followed] = OrderedDict()
        self._secret = secrets.token_bytes(16)

    async def read(self, server: TmuxServer, place: Place, since: str, *, ansi: bool) -> dict[str, Any]:
        """What is new since a cursor, and the next one; of "" the first cursor, and nothing else.

        Raises InvalidParams (no cursor), Conflict (one of another pane, or of an earlier sidecar; or the pane's pipe is
        somebody else's), NotFound.
        """
        at = self._offset(place, since) if since else None
        one = await self._follow(server, place)
        self._panes.move_to_end(place)
        if at is None:
            return {"cursor": self._cursor(place, one.log.next)}
        if at > one.log.next:
            raise errors.Conflict(_AGAIN)
        data, next_, lost, missed = one.log.read(at, READ_BYTES)
        text = data.replace(b"\r\n", b"\n").decode("utf-8", "replace") if ansi else plain(data)
        return {
            "lines": text.split("\n") if text else [],
            "truncated": next_ < one.log.next and len(data) >= READ_BYTES // 2,
            "cursor": self._cursor(place, next_),
            "lost": lost,
            "missed": missed,
            "note": one.over,
        }

    async def _follow(self, server: TmuxServer, place: Place) -> _Followed:
        found = self._panes.get(place)
        if found is not None and not found.over:
            return found
        one = found or _Followed(self._settings().limits.output_bytes)
        await self._watching.need(server, place)
        try:
            await self._watch.tap(place, one)
        except errors.TmuxAgentError:
            if found is not None:
                return found  # what it has heard is still to be had
            raise
        if found is not None:
            one.over = ""
            one.log.gap()
        self._panes[place] = one
        while len(self._panes) > FOLLOWED:
            gone, old = self._panes.popitem(last=False)
            self._watch.untap(gone, old)
        return one

    def _cursor(self, place: Place, offset: int) -> str:
        return f"{offset}-{self._sign(place, offset)}"

    def _offset(self, place: Place, cursor: str) -> int:
        found = _CURSOR.fullmatch(cursor)
        if found is None:
            raise errors.InvalidParams(f"params.since: {cursor[:40]!r} is no cursor; an empty one begins")
        offset = int(found[1])
        if found[2] != self._sign(place, offset):
            raise errors.Conflict(_AGAIN)
        return offset

    def _sign(self, place: Place, offset: int) -> str:
        text = f"{place.server} {place.server_pid} {place.pane} {place.pane_pid} {offset}".encode()
        return hashlib.blake2b(text, key=self._secret, digest_size=8).hexdigest()


_AGAIN = (
    "params.since: this cursor is of another pane, another program in it, or an earlier sidecar: what was printed since"
    " cannot be told; begin again with an empty one"
)
