"""What the status line says: text from counts (pure), and putting it there without a process or a repaint.

Owns the variables that themes place (docs/options.md): `tmux_agent`, `tmux_agent_pending`, `TMUX_AGENT_STATUS`,
`TMUX_AGENT_PENDING`, and `TMUX_AGENT_W_@3` for the window of that id. They are hidden environment variables: tmux
reads them in formats (3.2+) and expands their value no further, only its `#[styles]`. Must not own: counting, deciding
what is wrong (its caller), where the badge stands (the person's status-right).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence

from msgspec import Struct

from tmux_agent.core import display, errors
from tmux_agent.core.wording import SANDBOX
from tmux_agent.services.tmux.control import LEAVE_SECONDS, TmuxServer

NARROW = 80  # columns; below, only what waits and what is wrong has room
WARNING_CELLS = 24

_STYLE = re.compile(r"[a-zA-Z0-9#=, -]*")
_MARK = re.compile(r"TMUX_AGENT_W_@[0-9]+")


class Styles(Struct, frozen=True):
    """tmux styles of the parts; each an option `@tmux-agent-style-…` with these defaults."""

    working: str = "fg=green"
    waiting: str = "fg=red,bold"
    done: str = "fg=blue"
    error: str = "fg=red"
    limit: str = "fg=yellow"
    warning: str = "fg=yellow,bold"


class Counts(Struct, frozen=True):
    """What there is to say. `warning` is one word of what is unwell ("policy"), empty when all is well."""

    working: int = 0
    waiting: int = 0
    done: int = 0
    error: int = 0
    limit: int = 0
    warning: str = ""


_MARKS = {"working": "⏵", "waiting": "⏸", "done": "✓", "error": "✗", "limit": "◷", "warning": "⚠"}
_ASCII = {"working": ">", "waiting": "!", "done": "+", "error": "x", "limit": "~", "warning": "!"}


def render(counts: Counts, *, ascii_only: bool = False, styles: Styles | None = None, width: int = 200) -> str:
    """The badge as tmux text: `⏵4 ⏸3`, or `4> 3!` where the locale is not UTF-8; empty when there is nothing to say.

    `width` is the narrowest client's columns: with little room what waits comes first, and alone.
    """
    styles = styles or Styles()
    names = ["waiting", "error"] if width < NARROW else ["working", "waiting", "done", "error", "limit"]
    parts = [_part(name, getattr(counts, name), ascii_only, styles) for name in names if getattr(counts, name)]
    if counts.warning:
        mark = (_ASCII if ascii_only else _MARKS)["warning"]
        text = display.for_tmux(counts.warning, WARNING_CELLS)
        parts.append(_styled(f"tmux-agent {mark} {text}", styles.warning))
    return " ".join(parts)


def window_mark(state: str, *, ascii_only: bool = False, styles: Styles | None = None) -> str:
    """The mark before a window's name for the state of its agent ("working", "working sandbox"), with a space; empty
    for states without one."""
    state, _, walled = state.partition(" ")
    if state not in ("working", "waiting", "done", "error", "limit"):
        return ""
    wall = "" if not walled else "+" if ascii_only else SANDBOX
    return _styled((_ASCII if ascii_only else _MARKS)[state], getattr(styles or Styles(), state)) + f"{wall} "


def _part(name: str, count: int, ascii_only: bool, styles: Styles) -> str:
    text = f"{count}{_ASCII[name]}" if ascii_only else f"{_MARKS[name]}{count}"
    return _styled(text, getattr(styles, name))


def _styled(text: str, style: str) -> str:
    """`text` in `style`, after which the theme's own colours around it are as they were."""
    if not style or not _STYLE.fullmatch(style):
        return text
    return f"#[push-default]#[{style}]{text}#[default]#[pop-default]"


async def read_styles(server: TmuxServer) -> Styles:
    """The styles that the person has set on this server, defaults for the others."""
    names = Styles.__struct_fields__
    answers = await server.commands([("show-options", "-gqv", f"@tmux-agent-style-{name}") for name in names])
    chosen = {name: lines[0] for name, lines in zip(names, answers, strict=True) if lines}
    return Styles(**{name: style for name, style in chosen.items() if _STYLE.fullmatch(style)})


async def _marks(server: TmuxServer) -> dict[str, str]:
    """Windows' marks that stand there already, of a sidecar that was killed: what they said may be over."""
    lines = await server.foreign("show-environment", "-gh")
    return {name: "" for line in lines if _MARK.fullmatch(name := line.partition("=")[0])}


class Badge:
    """The badge of one server. show() may be called as often as things change: one write per turn of the loop."""

    def __init__(self, server: TmuxServer, *, ascii_only: bool = False) -> None:
        self._server = server
        self._ascii = ascii_only
        self.styles = Styles()
        self._wanted: tuple[Counts, Mapping[str, str]] = (Counts(), {})
        self._sent: dict[str, str] = {}
        self._task: asyncio.Task[None] | None = None

    def show(self, counts: Counts, windows: Mapping[str, str] | None = None) -> None:
        """What the badge says from now on. `windows`: state of the agent in a window, by window id ("@3")."""
        self._wanted = (counts, windows or {})
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._push())

    def forget(self) -> None:
        """The server was connected anew and knows nothing: everything is sent again, styles are read again."""
        self._sent = {}
        self.show(*self._wanted)

    async def close(self) -> None:
        """Takes the variables out of the server."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        unset = [("set-environment", "-gu", name) for name in self._sent]
        if unset and self._server.connected.is_set():
            await self._server.each([*unset, *self._refreshes()], timeout=LEAVE_SECONDS)
        self._sent = {}

    async def _push(self) -> None:
        try:
            if not self._sent and self._server.connected.is_set():
                self.styles = await read_styles(self._server)
                self._sent = await _marks(self._server)
            while self._server.connected.is_set() and (commands := self._changes()):
                await self._server.each([*commands, *self._refreshes()])
        except errors.Unavailable:
            self._sent = {}  # the connection ended: Connected follows, and with it forget()

    def _changes(self) -> list[Sequence[str]]:
        """The commands that bring the variables from what was sent to what is wanted; takes them as sent."""
        wanted = self._variables()
        commands: list[Sequence[str]] = [
            ("set-environment", "-gh", name, value) for name, value in wanted.items() if self._sent.get(name) != value
        ]
        commands += [("set-environment", "-gu", name) for name in self._sent if name not in wanted]
        self._sent = wanted
        return commands

    def _variables(self) -> dict[str, str]:
        counts, windows = self._wanted
        columns = [client.width for client in self._server.clients if not client.control and client.width]
        width = min(columns, default=NARROW)
        text = render(counts, ascii_only=self._ascii, styles=self.styles, width=width)
        pending = str(counts.waiting) if counts.waiting else ""
        marks = {
            f"TMUX_AGENT_W_{window}": window_mark(state, ascii_only=self._ascii, styles=self.styles)
            for window, state in windows.items()
        }
        return {
            "tmux_agent": text,
            "tmux_agent_pending": pending,
            "TMUX_AGENT_STATUS": text,
            "TMUX_AGENT_PENDING": pending,
            **{name: mark for name, mark in marks.items() if mark},
        }

    def _refreshes(self) -> list[Sequence[str]]:
        # Each its own line: a client may have left since. Only the status line is drawn again.
        return [("refresh-client", "-S", "-t", client.name) for client in self._server.clients if not client.control]


def died(*, ascii_only: bool = False, styles: Styles | None = None) -> str:
    """The badge that tmux itself shows once the sidecar is gone without a word (control.TmuxServer's `died`)."""
    return render(Counts(warning="sidecar"), ascii_only=ascii_only, styles=styles)
