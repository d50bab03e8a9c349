"""A tmux server that we serve: its connection, what is in it, and who lands where.

Owns the control client (commands; signals come on it as output of the hidden pane), the hidden session it sits on,
reconnecting, and the snapshot that is kept fresh by tmux's own events. Must not own: the server while we are not
attached (unattached.py), meaning of keys, badges (badge.py), popups (popups.py).

The hidden session is made only once another session exists: made first it would take session number 0. When our
process dies, however it dies, its client leaves, and a hook closes the session: that is how tmux notices. It never
keeps a server alive: as the last session it is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Sequence

from msgspec import Struct

from tmux_agent.core import control_mode, errors
from tmux_agent.services.tmux import signals, snapshot
from tmux_agent.services.tmux.comparison import Comparison
from tmux_agent.services.tmux.connection import ANSWER_SECONDS, Argv, Connection
from tmux_agent.services.tmux.signals import Changed, Chosen, Covered, Pressed, Retitled
from tmux_agent.services.tmux.snapshot import Client, Pane, Session, Window
from tmux_agent.services.tmux.unattached import Unattached

RETRY_SECONDS = (0.05, 0.2, 1.0, 5.0)
WAITED_SECONDS = 10.0  # after their last key, people have turned to something else
LEAVE_SECONDS = 2.0  # for a tmux that does not answer is not waited when we go
RESYNC_SECONDS = 30.0  # respawn-pane changes a pane's pid and tells nobody


class Connected(Struct, frozen=True):
    """Commands work from now on; whatever was set on the server before has to be set again."""


class Dropped(Struct, frozen=True):
    """The connection ended; it is being made again."""

    why: str


class Lost(Struct, frozen=True):
    """The server is gone. This object is of no more use but for close()."""


class Compared(Struct, frozen=True):
    """The format that is watched (TmuxServer.watch) has another value now."""

    value: str


Event = Connected | Dropped | Lost | Pressed | Chosen | Covered | Changed | Compared | Retitled


class TmuxServer:
    """One tmux server, by its socket. `on_event` is called in the event loop and must not block.

    Everybody may read the attributes; `panes` and `clients` leave out what is ours.
    """

    def __init__(
        self, socket: str, on_event: Callable[[TmuxServer, Event], None], *, tmux: str = "tmux", died: str = ""
    ) -> None:
        self.socket = socket
        self.tmux = tmux
        self.pid = 0  # of the tmux server, as the kernel says
        self.version = (0, 0)
        self.connected = asyncio.Event()
        self.clients: tuple[Client, ...] = ()
        self.sessions: tuple[Session, ...] = ()
        self.panes: tuple[Pane, ...] = ()
        self.all_panes: tuple[Pane, ...] = ()  # ours too: whoever runs in one of those is no popup (identity.py)
        self.read_at = 0.0  # time.monotonic() just before tmux was asked for the three
        self._unattached = Unattached(socket, tmux)
        self._on_event = on_event
        self._died = died
        self._session = ""
        self._commands: Connection | None = None
        self._comparison: Comparison | None = None
        self._task: asyncio.Task[None] | None = None
        self._moved = asyncio.Event()
        self._woken = asyncio.Event()

    # --- life ------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Learns what server this is and begins to serve it; `connected` is set once a session exists.

        Raises errors.Unavailable where no tmux answers, or one that is too old.
        """
        self.pid, self.version = await self._unattached.probe()
        self._task = asyncio.create_task(self._serve(), name=f"tmux {self.socket}")

    async def close(self) -> None:
        """Takes everything of ours out of the server and leaves."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        commands = self._commands
        if commands is not None and not commands.closed.is_set():
            kill = ("kill-session", "-t", self._session)
            with contextlib.suppress(errors.Unavailable):
                await commands.lines([*signals.remove(), kill], timeout=LEAVE_SECONDS)
        await self._disconnect()

    async def _serve(self) -> None:
        failures = 0
        while True:
            try:
                await self._unattached.wait_for_session()
                await self._connect()
                failures = 0
                self._emit(Connected())
                why = await self._attend()
            except errors.TmuxAgentError as error:
                why = error.message
            was_connected = self.connected.is_set()
            await self._disconnect()
            if await self._unattached.leaves():  # told at once: its panes' terminals are soon others'
                self._emit(Lost())
                return
            if was_connected:
                self._emit(Dropped(why))
            await asyncio.sleep(RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)])
            failures += 1
            try:
                self.pid, self.version = await self._unattached.probe()
            except errors.Unavailable:
                self._emit(Lost())
                return

    def _emit(self, event: Event) -> None:
        self._on_event(self, event)

    def _foreign(self, sessions: Sequence[Session]) -> tuple[Session, ...]:
        return tuple(session for session in sessions if session.name != signals.SESSION and session.id != self._session)

    # --- connecting --------------------------------------------------------------------------------

    async def _connect(self) -> None:
        self._moved.clear()
        self._woken.set()  # what was told before we came has woken nobody
        await self._unattached.clear_leftover()
        # Several words: tmux starts `dd` itself, without a shell. It reads what we press and writes nothing.
        self._commands = await Connection.open(
            [
                self.tmux, "-N", "-u", "-S", self.socket, "-C", "new-session", "-s", signals.SESSION, "-n", "sidecar",
                "-x", "80", "-y", "24", "-c", "/", "-f", "ignore-size", "dd", "of=/dev/null",
            ],
            self._notified,
        )  # fmt: skip
        self._comparison = Comparison(self._commands.line, lambda value: self._emit(Compared(value)))
        self._session = (await self._commands.line([("display-message", "-p", "#{session_id}")]))[0][0]
        options = [
            # A person's `on` could crash tmux (signals.install).
            ("set-option", "-t", self._session, "destroy-unattached", "off"),
            # A person's `off` would move us into their session when somebody kills ours.
            ("set-option", "-t", self._session, "detach-on-destroy", "on"),
            # What wakes us is nobody's activity.
            ("set-option", "-w", "-t", f"{self._session}:", "monitor-activity", "off"),
            *signals.begin(os.getpid()),
        ]
        await self._commands.line(options)
        # One line would stop at the first hook that this version does not know.
        await self._commands.lines(signals.install(self._died, self._session))
        await self._refresh()
        self.connected.set()

    def _notified(self, notification: control_mode.Notification) -> None:
        if notification.name == "session-changed" and self._session:
            session = notification.args.split(b" ", 1)[0].decode("ascii", "replace")
            if session != self._session:
                self._moved.set()
        elif notification.name == "session-renamed":
            session, _, name = notification.args.decode("utf-8", "replace").partition(" ")
            if session == self._session and name != signals.SESSION:
                self._moved.set()  # keys and hooks know it by its name
        elif notification.name == "output":
            self._woken.set()

    async def _disconnect(self) -> None:
        self.connected.clear()
        self.clients, self.sessions, self.panes, self.all_panes = (), (), (), ()
        if self._commands is not None:
            await self._commands.close()
        self._commands = self._comparison = None
        self._session = ""

    # --- attending ---------------------------------------------------------------------------------

    async def _attend(self) -> str:
        """Serves signals until the connection ends; returns why it did."""
        assert self._commands is not None
        assert self._comparison is not None
        ends = {
            asyncio.create_task(self._commands.closed.wait()): "tmux closed the connection",
            asyncio.create_task(self._moved.wait()): "tmux moved us into another session",
            asyncio.create_task(self._signals(self._commands, self._comparison)): "tmux stopped signalling",
            asyncio.create_task(self._comparison.run()): "tmux stopped comparing",
            asyncio.create_task(self._resync()): "tmux stopped answering",
        }
        try:
            done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in ends:
                task.cancel()
            await asyncio.gather(*ends, return_exceptions=True)
        return ends[done.pop()]

    async def _signals(self, commands: Connection, comparison: Comparison) -> None:
        first = True  # what was told before we came is among it
        while True:
            await self._woken.wait()
            self._woken.clear()
            told, _ = await commands.line(signals.take())
            for event in signals.parse(told[0] if told else ""):
                if isinstance(event, Changed | Pressed if first else Changed):
                    await self._refresh()
                if first and isinstance(event, Pressed) and not self._waits(event.client):
                    continue
                if not isinstance(event, Pressed | Chosen | Covered):
                    comparison.look()
                self._emit(event)
            first = False

    def _waits(self, client: str) -> bool:
        """Whether somebody who pressed a key there may still wait for what it does."""
        since = time.time() - WAITED_SECONDS
        return any(one.name == client and one.activity >= since for one in self.clients)

    async def _resync(self) -> None:
        while True:
            await asyncio.sleep(RESYNC_SECONDS)
            self._woken.set()  # somebody in the hidden pane may have stopped its terminal
            await self.line([("clear-history", "-t", f"{self._session}:")])
            before = (self.clients, self.all_panes)
            await self._refresh()
            if before != (self.clients, self.all_panes):
                self._emit(Changed())

    async def watch(self, format_: str) -> None:
        """Emits Compared with the value of `format_` within a second, and when a changed title or pane changes it.

        One format at a time, which a reconnection forgets; "" ends it. Raises errors.Unavailable.
        """
        self._connection()
        assert self._comparison is not None
        await self._comparison.watch(format_)

    async def refresh(self) -> None:
        """Reads clients, sessions and panes anew: for a peer that descends from this server and is in no known pane."""
        await self._refresh()

    async def _refresh(self) -> None:
        asked = time.monotonic()
        clients, sessions, panes = await self.commands([snapshot.CLIENTS, snapshot.SESSIONS, snapshot.PANES])
        self.read_at = asked
        everyone = snapshot.clients(clients)
        self.sessions = self._foreign(snapshot.sessions(sessions))
        self.all_panes = snapshot.panes(panes)
        self.panes = tuple(pane for pane in self.all_panes if pane.session != self._session)
        self.clients = tuple(one for one in everyone if one.session != self._session)
        await self._send_home([one for one in everyone if one.session == self._session and not one.control])

    async def _send_home(self, strangers: Sequence[Client]) -> None:
        """Nobody stays in the hidden session, and it does not outlive the others."""
        if not self.sessions:
            await self.line(signals.leave(self._session))
            return
        home = max(self.sessions, key=lambda session: session.activity)
        if strangers:
            assert self._commands is not None
            await self._commands.lines([("switch-client", "-c", one.name, "-t", home.id) for one in strangers])

    # --- commands ----------------------------------------------------------------------------------

    def _connection(self) -> Connection:
        if self._commands is None or self._commands.closed.is_set():
            raise errors.Unavailable(f"no connection to tmux at {self.socket}: it has no session yet, or is gone")
        return self._commands

    async def command(self, *argv: str) -> list[str]:
        """Runs one command and returns the lines it printed. Calls at the same time share one write's worth of work.

        Raises errors.Failed with tmux's words, errors.Unavailable where there is no connection.
        """
        return (await self._connection().line([argv]))[0]

    async def commands(self, commands: Sequence[Argv]) -> list[list[str]]:
        """Runs each of `commands`, all in one write. Raises the first failure, after all have run."""
        answers = await self._connection().lines(commands)
        for answer in answers:
            if isinstance(answer, errors.TmuxAgentError):
                raise answer
        return [answer for answer in answers if isinstance(answer, list)]

    async def each(
        self, commands: Sequence[Argv], *, timeout: float = ANSWER_SECONDS
    ) -> list[list[str] | errors.TmuxAgentError]:
        """As commands(), but a failure is returned in its place."""
        return await self._connection().lines(commands, timeout=timeout)

    async def line(self, commands: Sequence[Argv]) -> list[list[str]]:
        """Runs `commands` with nothing of others between them; the first failure skips the rest and is raised."""
        return await self._connection().line(commands)

    async def foreign(self, *argv: str) -> list[str]:
        """As command(), for an answer that holds other people's text: a capture, a folder, a program's name."""
        return (await self._connection().foreign(argv))[0]

    async def foreign_line(self, commands: Sequence[Argv]) -> list[list[str]]:
        """As line(), for such answers."""
        return await self._connection().foreign(*commands)

    async def foreign_choice(
        self, first: Argv, pane: str, condition: str, yes: Sequence[Argv], no: Sequence[Argv]
    ) -> tuple[list[str], list[list[str]]]:
        """`first`, whose answer holds other people's text, and then as choice(): with nothing between the two."""
        assert len(yes) == len(no)
        look = ("if-shell", "-F", "-t", pane, condition, signals.text(yes), signals.text(no))
        text, _, *answers = await self._connection().foreign(first, look, inner=len(yes))
        return text, answers

    async def choice(self, pane: str, condition: str, yes: Sequence[Argv], no: Sequence[Argv]) -> list[list[str]]:
        """Runs `yes` where the format `condition` holds of the pane, else `no`: with nothing between the look and what
        follows, not a byte that a program writes. Both have to be the same number of commands, as tmux answers each.
        """
        assert len(yes) == len(no)
        look = ("if-shell", "-F", "-t", pane, condition, signals.text(yes), signals.text(no))
        return (await self._connection().line([look], inner=len(yes)))[1:]

    # --- asking ------------------------------------------------------------------------------------

    async def windows(self) -> tuple[Window, ...]:
        """Every window of every session but ours; a linked one once per session."""
        found = snapshot.windows(await self.command(*snapshot.WINDOWS))
        return tuple(window for window in found if window.session != self._session)

    def pane(self, pane_id: str) -> Pane:
        """The pane of that id as last seen. Raises errors.NotFound."""
        for pane in self.panes:
            if pane.id == pane_id:
                return pane
        raise errors.NotFound(f"no pane {pane_id!r} on the tmux server at {self.socket}; tmux.panes lists them")
