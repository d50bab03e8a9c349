"""Popups: opened by us on a person's client, each with a number that is good for one relay, once, for two seconds.

Owns which popups are open and which nonces are out. Must not own: what is drawn in them (edges/ui/popup.py), whether a
relay is what it says (services/identity.py).

`display-popup` holds up whoever runs it until the popup closes, so each is run by a tmux process of its own; while that
process lives, the popup is open, or has just closed: tmux takes keys again before the process has ended. No key fires
under a popup, so a press that tmux tells after the popup was put there means that it is gone, and wants another.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import re
import secrets
import time
from collections.abc import Callable, Sequence

import msgspec
from msgspec import Struct

from tmux_agent.core import errors
from tmux_agent.core.menus import Page
from tmux_agent.services.tmux import keys, signals
from tmux_agent.services.tmux.connection import environment, said
from tmux_agent.services.tmux.control import TmuxServer
from tmux_agent.services.tmux.snapshot import Client
from tmux_agent.services.views import PopupGrant

_SIZE = re.compile(r"[1-9][0-9]{0,3}|[1-9][0-9]?%|100%")
_PLAIN = re.compile(r"[^A-Za-z0-9_+.-]")  # as relay.py says it

log = logging.getLogger(__name__)

NONCE_SECONDS = 2.0
SMALL_COLUMNS, SMALL_ROWS = 100, 30  # a client below either gives the popup all its room
SIZES = (("@tmux-agent-popup-width", "90%"), ("@tmux-agent-popup-height", "80%"))
BORDERLESS = (3, 3)  # first version with display-popup -B: our own frame is drawn instead


class Terminal(Struct, frozen=True, kw_only=True):
    """What a program in a popup is told of its terminal, as far as the tmux server says beforehand."""

    term: str = "screen"
    colorterm: str = ""
    utf8: bool = True
    no_color: bool = False


class Opening(Struct, frozen=True, kw_only=True):
    """A popup on its way. `at`: the request to show first, None for the oldest; `page`: what to show instead of any.
    `columns` and `rows` are what its relay will find, if tmux reckons as we do. `bordered`: tmux draws the frame.
    `unbidden`: no key called for it.
    """

    nonce: str
    server: str
    at: str | None
    page: Page | None = None
    unbidden: bool = False
    columns: int
    rows: int
    bordered: bool
    terminal: Terminal = Terminal()  # a guess, of a server's first popup only


class Wanted(Struct, frozen=True):
    """What a popup is to show, as Opening says it."""

    at: str | None = None
    page: Page | None = None
    unbidden: bool = False


class _Open(Struct):
    """A popup that is open. `number` names it to tmux; `covered`: it went over its client; `again`: and is wanted anew,
    for a key was pressed there since.
    """

    task: asyncio.Task[None]
    number: int
    covered: bool = False
    again: bool = False


class Claim(Struct, frozen=True):
    """What a nonce stood for."""

    grant: PopupGrant
    opening: Opening


class Popups:
    """`relay` is what runs in the popup, without its nonce: (python, "-I", "-S", relay.py, socket).

    `now` is the clock of PopupGrant.issued (Identity.now). `begun` is called with each popup once its process runs,
    while its relay starts. Sizes are the person's `@tmux-agent-popup-…` options.
    """

    def __init__(
        self, relay: Sequence[str], now: Callable[[], int], begun: Callable[[Opening], object] = lambda _: None
    ) -> None:
        self._relay = tuple(relay)
        self._now = now
        self._begun = begun
        self._out: dict[str, tuple[float, Claim]] = {}
        self._claimed: dict[str, bool] = {}  # nonces of open popups → claimed once, or again within their time
        self._until: dict[str, float] = {}  # when their time is over
        self._open: dict[tuple[str, str], _Open] = {}
        self._known: set[str] = set()  # servers that had a popup
        self._numbers = itertools.count(1)

    def is_open(self, server: TmuxServer, client: str) -> bool:
        return (server.socket, client) in self._open

    def open(self, server: TmuxServer, client: str, wanted: Wanted = Wanted()) -> bool:  # noqa: B008 - frozen
        """Opens a popup on `client`; False where ours is open there already. Returns at once.

        Raises errors.NotFound where the server has no such client of a person.
        """
        key = (server.socket, client)
        if key in self._open:
            return False
        seen = next((one for one in server.clients if one.name == client and not one.control), None)
        if seen is None:
            raise errors.NotFound(f"no client {client!r} is attached to tmux at {server.socket}")
        number = next(self._numbers)
        task = asyncio.get_running_loop().create_task(self._run(server, seen, number, wanted))
        self._open[key] = _Open(task, number)
        return True

    def pressed(self, server: TmuxServer, client: str) -> None:
        """The key was pressed at `client`: opens a popup, after the one whose process is about to end. A second press
        before the first popup is there is the same wish. In the order of tmux's signals, as covered(). Raises NotFound.
        """
        one = self._open.get((server.socket, client))
        if one is None:
            self.open(server, client)
        elif one.covered:
            one.again = True

    async def typed_after(self, server: TmuxServer, client: str, typed: str) -> None:
        """What went into the popup on `client` after its end, for tmux took it down later: the key may be among it.

        Raises Unavailable, NotFound.
        """
        session = next((one.session for one in server.clients if one.name == client), "")
        asked = ("display-message", "-p", "-t", session, f"#{{prefix}} #{{prefix2}} #{{{signals.KEY}}}")
        *prefixes, key = [keys.typed(name) for name in " ".join(await server.command(*asked)).split(" ")]
        if not key or not any(prefix and prefix + key in typed for prefix in prefixes):
            return
        if one := self._open.get((server.socket, client)):
            one.again = True
        else:
            self.open(server, client)

    def covered(self, server: TmuxServer, number: int) -> None:
        """tmux put the popup of that number over its client."""
        for (socket, _), one in self._open.items():
            if (socket, one.number) == (server.socket, number):
                one.covered = True

    def claim(self, nonce: str) -> Claim | None:
        """What `nonce` was made for, once; None for what is unknown, used, or older than two seconds."""
        now = time.monotonic()
        self._out = {one: (until, claim) for one, (until, claim) in self._out.items() if until > now}
        _, claim = self._out.pop(nonce, (0.0, None))
        if claim is not None:
            self._claimed[nonce] = True
        elif self._until.get(nonce, 0.0) > now and nonce in self._claimed:
            self._claimed[nonce] = False  # two know it: the faster one need not be ours
        return claim

    def in_doubt(self, nonce: str) -> str | None:
        """Why what came with a claimed nonce may not be our popup's relay; None where nothing speaks against it."""
        if nonce not in self._claimed:
            return "the popup that it was made for has closed"
        return None if self._claimed[nonce] else "its nonce came twice: somebody else has read it"

    def moved(self, relay: Sequence[str]) -> None:
        """What runs in popups that are opened from now on; those that are open go on."""
        self._relay = tuple(relay)

    async def close(self) -> None:
        """Forgets every nonce and ends the processes that hold popups open."""
        self._out.clear()
        self._claimed.clear()
        tasks = [one.task for one in self._open.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _issue(self, grant: PopupGrant, opening: Opening) -> None:
        self._until[opening.nonce] = time.monotonic() + NONCE_SECONDS
        self._out[opening.nonce] = (self._until[opening.nonce], Claim(grant, opening))

    def _argv(self, server: TmuxServer, client: str, number: int, size: tuple[str, str], nonce: str) -> list[str]:
        width, height = size
        frame = ("-B",) if server.version >= BORDERLESS else ()
        popup = ("display-popup", "-c", client, "-EE", *frame, "-w", width, "-h", height)
        # Several words: tmux starts the program itself, so no shell, and nothing to quote for one.
        shown = (*signals.covering(number), ";", *popup, *self._relay, nonce)
        # Where we died under it, its relay closes it once another sidecar is there, and that one hears of a press.
        return [server.tmux, "-N", "-u", "-S", server.socket, *shown, ";", *signals.press_for_successor(client)]

    async def _run(self, server: TmuxServer, client: Client, number: int, wanted: Wanted) -> None:
        try:
            size = await _size(server, client)
            opening = _opening(server, client, size, wanted)
            if server.socket not in self._known:
                self._known.add(server.socket)
                opening = msgspec.structs.replace(opening, terminal=await _terminal(server))
            self._issue(PopupGrant(server=server.socket, client=client.name, issued=self._now()), opening)
            argv = self._argv(server, client.name, number, size, opening.nonce)
            try:
                await self._hold_open(client.name, argv, opening)
            finally:
                for known in (self._out, self._claimed, self._until):
                    known.pop(opening.nonce, None)
        except (errors.TmuxAgentError, OSError) as why:
            log.warning("no popup on %s: %s", client.name, why)
        finally:
            ended = self._open.pop((server.socket, client.name))
        if ended.again:
            with contextlib.suppress(errors.NotFound):  # has left since
                self.open(server, client.name)

    async def _hold_open(self, client: str, argv: Sequence[str], opening: Opening) -> None:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env=environment(),
        )
        try:
            self._begun(opening)
            _, err = await said(process)
            if process.returncode:
                text = err.decode("utf-8", "replace").strip()
                log.warning("popup on %s ended with %s: %s", client, process.returncode, text)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


def _opening(server: TmuxServer, client: Client, size: tuple[str, str], wanted: Wanted) -> Opening:
    bordered = server.version < BORDERLESS
    columns, rows = (
        min(_cells(wanted, room), room) - 2 * bordered
        for wanted, room in zip(size, (client.width, client.height), strict=True)
    )
    return Opening(
        nonce=secrets.token_hex(16), server=server.socket, at=wanted.at, page=wanted.page, unbidden=wanted.unbidden,
        columns=columns, rows=rows, bordered=bordered,
    )  # fmt: skip


def _cells(wanted: str, room: int) -> int:
    """As tmux reckons (args_percentage)."""
    return room * int(wanted[:-1]) // 100 if wanted.endswith("%") else int(wanted)


async def _terminal(server: TmuxServer) -> Terminal:
    """From the default-terminal and the global environment, which a session's own rarely differs from."""
    default, environ = await server.commands([("show-options", "-gqv", "default-terminal"), ("show-environment", "-g")])
    known = dict(line.split("=", 1) for line in environ if "=" in line)
    locale = known.get("LC_ALL") or known.get("LC_CTYPE") or known.get("LANG") or ""
    return Terminal(
        term=_PLAIN.sub("", default[0] if default else "") or "screen",
        colorterm=_PLAIN.sub("", known.get("COLORTERM", "")),
        utf8="utf" in locale.lower(),
        no_color=bool(known.get("NO_COLOR")),
    )


async def _size(server: TmuxServer, client: Client) -> tuple[str, str]:
    """Width and height as tmux takes them: all there is on a small client, else what the person chose."""
    if client.width < SMALL_COLUMNS or client.height < SMALL_ROWS:
        return ("100%", "100%")
    answers = await server.commands([("show-options", "-gqv", name) for name, _ in SIZES])
    chosen = [lines[0] if lines else "" for lines in answers]
    width, height = (
        value if _SIZE.fullmatch(value) else default for value, (_, default) in zip(chosen, SIZES, strict=True)
    )
    return (width, height)
