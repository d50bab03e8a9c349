"""Popups that paint while their relay starts, so that a person waits for the longer of the two and not for both.

Owns: popups that no relay has come for yet, and the guess at the terminal that one will come with. Must not own: who
may have one (popups.py asks identity first), drawing (ui/popup.py). Nothing that is painted here leaves the sidecar.
The server's only way to the popup's modules: they are a quarter of all imports, and are imported once it serves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import msgspec

from ..core import protocol as p
from ..core.model import Origin
from ..services.system import System
from ..services.tmux.popups import NONCE_SECONDS, Opening
from .desk import ServiceDesk
from .ui.popup import Popup
from .ui.serving import serve
from .ui.wire import Attach

SPARE_S = 1.0  # after a relay came, when its person looks rather than types


class Openings:
    """By nonce. `begin` is called for each popup that is opened, `show` for each relay that may have one."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._ahead: dict[str, tuple[ServiceDesk, Popup]] = {}
        self._spare: tuple[ServiceDesk, Popup] | None = None  # made beforehand, of what the last one was made of
        self._last: dict[str, Attach] = {}  # by server: what its last relay said; the next will say the same

    def begin(self, opening: Opening) -> None:
        """Starts to paint; dropped after the time that a nonce has."""
        known = self._last.get(opening.server) or Attach(columns=0, rows=0, **msgspec.structs.asdict(opening.terminal))
        attach = _placed(known, opening, opening.columns, opening.rows)
        if self._spare is None or self._spare[1].attach != attach:
            self._make_spare(attach)
        assert self._spare is not None
        (desk, popup), self._spare = self._spare, None
        popup.start()
        self._ahead[opening.nonce] = (desk, popup)
        asyncio.get_running_loop().call_later(NONCE_SECONDS, self._drop, opening.nonce)

    def show(
        self,
        opening: Opening,
        said: p.PopupAttach,
        operator: Origin,
        stream: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> Coroutine[Any, Any, str]:
        """The popup of a relay whose identity is checked, at the other end of `stream`. It answers as `operator`, and
        gives what was typed after its end (ui/serving.py).
        """
        desk, attach, ahead = self.take(opening, said, operator)
        return serve(*stream, attach, desk, ahead=ahead)

    def take(self, opening: Opening, said: p.PopupAttach, operator: Origin) -> tuple[ServiceDesk, Attach, Popup | None]:
        """A desk that answers as `operator`, what to make a popup of, and the one that was made of the same already."""
        told = Attach(
            columns=said.columns,
            rows=said.rows,
            term=said.term or "screen",
            colorterm=said.colorterm,
            utf8=said.utf8,
            no_color=said.no_color,
        )
        self._last[opening.server] = told
        attach = _placed(told, opening, said.columns, said.rows)
        desk, popup = self._ahead.pop(opening.nonce, (ServiceDesk(self._system), None))
        desk.bind(operator, opening.nonce)
        plain = msgspec.structs.replace(attach, at=None, page=None, unbidden=False)
        asyncio.get_running_loop().call_later(SPARE_S, self._make_spare, plain)
        if popup is not None and popup.attach != attach:
            popup.drop()
            popup = None
        return desk, attach, popup

    def _make_spare(self, attach: Attach) -> None:
        """Of 13 ms until a popup has painted, 4 are for making it: before anybody waits."""
        desk = ServiceDesk(self._system)
        self._spare = (desk, Popup(desk, attach))

    def close(self) -> None:
        for nonce in list(self._ahead):
            self._drop(nonce)

    def _drop(self, nonce: str) -> None:
        if nonce in self._ahead:
            _, popup = self._ahead.pop(nonce)
            popup.drop()


def _placed(attach: Attach, opening: Opening, columns: int, rows: int) -> Attach:
    border = "native" if opening.bordered else ""
    return msgspec.structs.replace(
        attach,
        columns=columns,
        rows=rows,
        at=opening.at,
        page=opening.page,
        unbidden=opening.unbidden,
        border=border,
    )
