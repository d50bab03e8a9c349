"""Persistent terminals: shell text typed into shells that live on, one after another, and what came of each.

Owns the executions and the terminals they run in; the typing; the mark that tmux keeps while one runs, by which the
next sidecar knows it. Must not own: whether it may be done (guard.py), how the end is noticed (persistent_terminal.py),
rows (execution_rows.py). `start` is for the toolbox alone.

Typed once: the text, Enter and the mark are one line of tmux commands, which tmux does whole. The row of an ended
execution is written before its mark is taken away.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from ..core import errors, redact, shell_changes
from ..core import execution as marks
from ..core.callers import family
from ..core.model import Event, Origin, Outcome, Shell
from ..core.pipeline_run import Place
from ..core.settings import Settings
from . import execution_marks, execution_rows, shell_prompt
from .changed_shells import ChangedShells
from .deaths import Deaths
from .execution_facts import Facts, Moved
from .foreground import foreground
from .journal import Journal
from .persistent_terminal import Execution, Terminal
from .processes import processes_here
from .shell_prompt import Shell as Front
from .tmux.control import TmuxServer
from .tmux.servers import Servers
from .tmux.snapshot import Pane, Session, is_id
from .tmux.watch import Watch
from .tmux.watched import place_of
from .tools.panes import can_type
from .watching import Watching

SESSION = "tmux-agent-shell"  # where neither a session nor a pane is named
KEPT = 128  # ended executions whose output is still known
TURN_SECONDS = 10.0  # for a turn after a person's yes
PROMPT_SECONDS, FIRST_SECONDS = 2.0, 15.0  # for the shell to prompt; for one that has just been started
LOOK_SECONDS = (0.002, 0.01, 0.05)  # between looks at it: of a prompt there is no event


class Executions:
    """Built by the system; used in the event loop only."""

    def __init__(
        self, journal: Journal, servers: Servers, watch: Watch, watching: Watching, settings: Callable[[], Settings],
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
        harmless: Callable[[], shell_changes.Harmless],
    ) -> None:  # fmt: skip
        self._journal, self._servers = journal, servers
        self._watch, self._watching = watch, watching
        self._settings, self._spawn = settings, spawn
        self._table = processes_here()
        self.changed_shells = ChangedShells(journal, self._table)
        self._harmless = harmless
        self._terminals: dict[Place, Terminal] = {}
        self._all: OrderedDict[str, Execution] = OrderedDict()  # by id, the oldest first
        self._asked: OrderedDict[str, str] = OrderedDict()  # request id → what a client calls it
        self._panes: dict[tuple[str, int, str], str] = {}  # of a session, the pane that is its terminal
        self._uses: dict[tuple[str, int, str], execution_rows.Use] = {}
        self._deaths = Deaths(self._shell_ended)
        self._before: dict[str, str] = {}  # what clients called their requests to an earlier sidecar → execution
        self._taken_up: dict[tuple[str, int], asyncio.Event] = {}  # servers, whose marks were read
        self._any_taken_up = asyncio.Event()

    async def recover(self) -> None:
        """Raises Unavailable."""
        found = await self._journal.read(execution_rows.uses)
        self._uses = {(one.server, one.server_pid, one.session): one for one in found}
        self._before = await self._journal.read(execution_rows.asked)
        await self.changed_shells.recover()

    # --- which terminal ---

    async def find(self, pane: str | None, session: str | None, server: TmuxServer) -> Pane | str:
        """The pane that is meant, or the name of a session that is not there. Raises NotFound, InvalidParams,
        Unavailable."""
        found = self._find(pane, session, server)
        if isinstance(found, Pane) and not found.dead and self._table.read(found.pid) is None:
            await server.refresh()  # of a respawned pane tmux tells nobody
            found = self._find(pane, session, server)
        return found

    def _find(self, pane: str | None, session: str | None, server: TmuxServer) -> Pane | str:
        if pane:
            if not is_id(pane, "%"):
                raise errors.InvalidParams(f"params.pane_id: {pane!r} is no pane's id, such as %7")
            return server.pane(pane)
        name = session or SESSION
        found = next((one for one in server.sessions if name in (one.id, one.name)), None)
        if found is None:
            return _new_name(name)
        return self._pane_of(server, found)

    def _pane_of(self, server: TmuxServer, session: Session) -> Pane:
        """Where a session's executions go: where its last one went, else its active pane."""
        here = [pane for pane in server.panes if pane.session == session.id]
        used = self._panes.get((server.socket, server.pid, session.id))
        active = {one.id for one in here if one.active}
        if found := next((one for one in here if one.id == used and not one.dead), None):
            return found
        windows = [one for one in here if one.id in active]
        if not windows:
            raise errors.NotFound(f"session {session.name!r} has no pane; tmux.panes lists them")
        return windows[0]

    async def action(self, text: str, found: Pane | str, server: TmuxServer, cwd: str) -> Shell:
        """What is to be judged: the text, in the folder of that shell. Raises Conflict where no shell prompts there."""
        if isinstance(found, str):
            option = await server.command("show-options", "-gv", "default-shell")
            kind = os.path.basename(os.path.realpath(option[0] if option else ""))
            if kind not in marks.SHELLS:
                raise errors.Conflict(
                    f"session {found!r} would be one of {kind or 'an unknown shell'}, which is not typed into: "
                    f"only {', '.join(marks.SHELLS)} are"
                )
            return Shell(text=text, cwd=cwd, dialect=kind, session=found, server=server.socket)
        front = self._shell(server, found)
        action = Shell(text=text, cwd=front.cwd, dialect=front.kind, pane=found.id, server=server.socket)
        change = self.changed_shells.of(front.pid)
        return msgspec.structs.replace(action, changed=change.what, changed_at=change.at) if change.at else action

    def _shell(self, server: TmuxServer, pane: Pane) -> Front:
        """The shell of a terminal, also while something runs in it. Raises Conflict."""
        terminal = self._terminals.get(place_of(server, pane))
        running = terminal.running if terminal else None
        front = shell_prompt.shell(self._table, running.shell.pid) if running else None
        front = front or shell_prompt.in_front(self._table, pane)
        if front is None:
            raise shell_prompt.why_not(self._table, pane)
        return front

    # --- turns ---

    async def turn(self, pane: Pane, server: TmuxServer, request_id: str, seconds: float) -> Terminal:
        """Wait for one's turn at a terminal; `leave` it, unless something was started. Raises Conflict (it did not
        come), LimitExceeded."""
        terminal = self._terminal(server, place_of(server, pane))
        try:
            await terminal.turns.take(request_id, seconds)
        except errors.TimedOut:
            one = terminal.running
            what = f"something still runs there ({one.id})" if one else "others wait, too"
            raise errors.Conflict(
                f"nothing was typed into pane {pane.id} ({pane.place}): {what}; wait longer, interrupt it, or name "
                "another session",
                execution_id=one.id if one else "",
            ) from None
        return terminal

    def leave(self, terminal: Terminal, request_id: str) -> None:
        """Give one's turn on, if nothing was started in it."""
        if terminal.running is None or terminal.running.id != request_id:
            terminal.turns.leave(request_id)

    def _terminal(self, server: TmuxServer, place: Place) -> Terminal:
        found = self._terminals.get(place)
        if found is None:
            limit = self._settings().limits.output_bytes
            found = self._terminals[place] = Terminal(server, place, self._table, limit, self._ended)
        return found

    # --- for the toolbox ---

    async def observe(self, action: Shell, server: TmuxServer) -> Facts:
        """What the text rests on, as it is now. Raises NotFound, Conflict, Unavailable."""
        await server.refresh()
        if action.session:
            if any(one.name == action.session for one in server.sessions):
                raise Moved(f"a session {action.session!r} has been made meanwhile")
            return Facts(server=server.socket, server_pid=server.pid, session=action.session)
        pane = server.pane(action.pane)
        can_type(pane.id, pane)
        front = self._shell(server, pane)
        return Facts(
            server=server.socket, server_pid=server.pid, pane=pane.id, pane_pid=pane.pid, shell_pid=front.pid,
            shell_started=front.started, cwd=front.cwd,
        )  # fmt: skip

    async def start(self, action: Shell, expected: Facts, origin: Origin, request_id: str) -> Outcome:
        """Type it. The outcome holds the id by which its end is asked for. Raises Conflict (nothing was typed)."""
        server = self._servers.choose(action.server, origin)
        if why := marks.unfit(action.text):
            raise errors.InvalidParams(f"command: {why}")
        place = await self._open(action, server) if action.session else _place(expected)
        terminal = self._terminal(server, place)
        at_once = terminal.turns.holder == request_id  # what was just observed still holds
        try:
            await terminal.turns.take(request_id, TURN_SECONDS)
        except errors.TimedOut:
            raise errors.Conflict(f"nothing was typed: something else still runs in pane {place.pane}") from None
        try:
            if not at_once:
                await server.refresh()
            one = await self._ready(action, expected, terminal, family(origin), request_id)
            if lasts := shell_changes.changes(action.text, action.dialect, self._harmless()):
                await self.changed_shells.note(one.shell.pid, redact.redact_text(lasts))
        except BaseException:
            terminal.turns.leave(request_id)
            raise
        await asyncio.shield(self._spawn(self._typed(terminal, one, action)))
        return Outcome(ok=True, data={"execution_id": one.id}, summary=f"typed into pane {place.pane}")

    async def _open(self, action: Shell, server: TmuxServer) -> Place:
        """Make the session that it is for."""
        folder = action.cwd.replace("#", "##")
        made = ("new-session", "-d", "-P", "-F", "#{session_id} #{pane_id}", "-s", action.session, "-c", folder)
        session, pane = (await server.command(*made))[0].split(" ")
        await self._servers.refresh(server)
        self._panes[(server.socket, server.pid, session)] = pane
        return place_of(server, server.pane(pane))

    async def _ready(
        self, action: Shell, expected: Facts, terminal: Terminal, owner: str, request_id: str
    ) -> Execution:
        """The execution, once its shell prompts and its output is heard. Raises Conflict."""
        place = terminal.place
        await self._listen(terminal)
        pane = terminal.pane()
        if pane is None:
            raise errors.Conflict(f"nothing was typed: pane {place.pane} runs another program than it did")
        can_type(pane.id, pane)
        front = await self._prompt(pane, new=bool(action.session))
        if terminal.touched and not action.session:
            await terminal.untype(pane, front.kind)
            front = await self._prompt(pane, new=False)
        if action.pane and (front.pid, front.started) != (expected.shell_pid, expected.shell_started):
            raise Moved(f"nothing was typed: pane {pane.id} has another shell than it had")
        if front.cwd != (os.path.realpath(action.cwd) if action.cwd else ""):
            folders = [one or "a folder that is not there" for one in (front.cwd, action.cwd)]
            raise Moved(f"nothing was typed: the shell of pane {pane.id} is in {folders[0]}, and not in {folders[1]}")
        if (change := self.changed_shells.of(front.pid)).at != action.changed_at:
            raise Moved(f"nothing was typed: the shell of pane {pane.id} has been changed meanwhile by {change.what}")
        if front.kind != action.dialect:
            raise Moved(f"nothing was typed: the shell of pane {pane.id} is {front.kind}, and not {action.dialect}")
        return Execution(
            request_id, place, pane.session_name, action.text, front, secrets.token_hex(16), _hash(owner),
            self._asked.get(request_id, ""), self._settings().limits.output_bytes, seen=not terminal.exact,
            started=time.time(),
        )  # fmt: skip

    async def _listen(self, terminal: Terminal) -> None:
        """Hear what a pane prints: raw, or where its pipe is somebody else's, from its screen."""
        if terminal.exact:
            return
        await self._watching.need(terminal.server, terminal.place)
        try:
            await self._watch.tap(terminal.place, terminal)
            terminal.exact = True
        except errors.Conflict:
            self._watch.screens(terminal.place, terminal.drew)

    async def _prompt(self, pane: Pane, *, new: bool) -> Front:
        """The shell in front, once it prompts. One that has just been started has its files to read first."""
        loop = asyncio.get_running_loop()
        late, looks = loop.time() + (FIRST_SECONDS if new else PROMPT_SECONDS), 0
        while True:
            front = shell_prompt.in_front(self._table, pane)
            if front is not None and shell_prompt.prompts(self._table, pane, front):
                return front
            if loop.time() > late or (front is None and not new):
                raise shell_prompt.why_not(self._table, pane)
            await asyncio.sleep(LOOK_SECONDS[min(looks // 10, len(LOOK_SECONDS) - 1)])
            looks += 1

    async def _typed(self, terminal: Terminal, one: Execution, action: Shell) -> None:
        pane, buffer = terminal.place.pane, f"tmux-agent-{secrets.token_hex(4)}"
        found = terminal.pane()
        leave = [("copy-mode", "-q", "-t", pane)] if found is not None and found.in_mode else []
        # What a person has begun to type is not to become part of it: editors keep it for C-y.
        erase = ("C-u",) if one.shell.kind == "dash" else ("C-e", "C-u")
        text = marks.line(action.text, one.shell.kind, one.nonce, seen=one.seen)
        self._all[one.id] = one
        terminal.begins(one)
        self._deaths.watch(_process(one))
        try:
            await terminal.server.line([
                *leave,
                ("send-keys", "-t", pane, *erase),
                ("set-buffer", "-b", buffer, "--", text),
                ("paste-buffer", "-d", "-p", "-r", "-b", buffer, "-t", pane),
                ("send-keys", "-t", pane, "Enter"),
                ("set-environment", "-gh", f"{execution_marks.NAME}{one.id}", execution_marks.written(one)),
            ])  # fmt: skip
        except BaseException:
            terminal.running = None
            self._deaths.unwatch(_process(one))
            del self._all[one.id]
            terminal.turns.leave(one.id)
            raise
        session = found.session if found is not None else ""
        self._panes[(terminal.place.server, terminal.place.server_pid, session)] = pane
        self._spawn(self._record_begin(one, session))

    async def _record_begin(self, one: Execution, session: str) -> None:
        """Not waited for: until it is written, tmux's mark tells of it."""
        key, row = (one.place.server, one.place.server_pid, session), _row(one)
        before = self._uses.get(key)
        self._uses[key] = execution_rows.Use(*key, before.commands + 1 if before else 1, one.started)

        await self._journal.commit(lambda db: execution_rows.put_new(db, row, key))

    def uses(self, server: TmuxServer, session: str) -> execution_rows.Use | None:
        """How often a session was used, and when last."""
        return self._uses.get((server.socket, server.pid, session))

    # --- what came of one ---

    def expects(self, request_id: str, asked: str) -> None:
        """What a client calls a request by, so that it is known when it comes again."""
        self._asked[request_id] = asked
        while len(self._asked) > KEPT * 8:
            self._asked.popitem(last=False)

    async def asked(self, asked: str, server: TmuxServer) -> str | None:
        """The execution that a client has asked for before under that name: of this sidecar, or of an earlier one, once
        it is known what that left running. Raises Unavailable."""
        if not asked:
            return None
        try:
            async with asyncio.timeout(TURN_SECONDS):
                await self._taken_up.setdefault((server.socket, server.pid), asyncio.Event()).wait()
        except TimeoutError:
            raise errors.Unavailable(f"tmux at {server.socket} does not tell what runs there: try again") from None
        found = next((one.id for one in self._all.values() if one.asked == asked), None)
        return found or self._before.get(asked)

    async def row(self, id_: str) -> execution_rows.Row:
        """What is kept of an execution whose output is not. Raises NotFound."""
        row = await self._journal.read(lambda db: execution_rows.one(db, id_))
        if row is None:
            raise errors.NotFound(f"no execution {id_!r} is known; tmux.executions lists them")
        return row

    async def rows(self, limit: int) -> list[execution_rows.Row]:
        """The newest first."""
        return await self._journal.read(lambda db: execution_rows.newest(db, limit))

    def get(self, id_: str) -> Execution | None:
        return self._all.get(id_)

    def of_caller(self, origin: Origin) -> int:
        """How many executions of a caller and its kin run."""
        owner = _hash(family(origin))
        return sum(one.owner == owner and not one.done.is_set() for one in self._all.values())

    async def taken_up(self) -> None:
        """Wait until it is known what an earlier sidecar left running, on one server at least; not for long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TURN_SECONDS):
                await self._any_taken_up.wait()

    def begun_by(self, origin: Origin) -> list[str]:
        """The ids of what a caller and its kin began, as far as its output is known."""
        return [one.id for one in self._all.values() if self.began(one, origin)]

    def began(self, one: Execution, origin: Origin) -> bool:
        """Whether it is this caller's, or its kin's."""
        return one.owner == _hash(family(origin))

    def running_in(self, server: TmuxServer, pane: Pane) -> str | None:
        """The id of what runs in a pane."""
        terminal = self._terminals.get(place_of(server, pane))
        return terminal.running.id if terminal is not None and terminal.running is not None else None

    def in_front(self, one: Execution) -> str:
        """The program that the terminal of a running execution belongs to."""
        program = foreground(self._table, one.place.pane_pid)
        return program.names[0] if program and program.names else ""

    def interrupted(self, one: Execution) -> None:
        """Ctrl-C was pressed where it runs."""
        one.interrupted = True
        if (terminal := self._terminals.get(one.place)) is not None and terminal.running is one:
            terminal.look_soon()

    def _ended(self, terminal: Terminal, one: Execution) -> None:
        self._deaths.unwatch(_process(one))
        while len(self._all) > KEPT and (old := next(iter(self._all.values()))).done.is_set():
            del self._all[old.id]
        self._spawn(self._record_end(terminal, one))

    async def _record_end(self, terminal: Terminal, one: Execution) -> None:
        row = _row(one)
        data = {"execution_id": one.id, "pane": one.place.pane, "server": one.place.server, "exit_code": one.code}
        event = Event(type="execution.ended", request_id=one.id, data={**data, "note": one.note})
        await self._journal.commit(lambda db: execution_rows.put(db, row), event)
        if terminal.server.connected.is_set():
            await terminal.server.command("set-environment", "-gu", f"{execution_marks.NAME}{one.id}")

    # --- panes that go, servers that come ---

    def close(self) -> None:
        self._deaths.close()

    def _shell_ended(self, process: str) -> None:
        """The shell that something was typed into has ended: with its pane, or a shell within another one."""
        for terminal in self._terminals.values():
            one = terminal.running
            if one is not None and _process(one) == process:
                terminal.ends(self._table.exit_code(one.shell.pid), "its shell ended with it (exit)")
                return

    def changed(self, server: TmuxServer) -> None:
        """Panes of a server may have gone."""
        for place, terminal in list(self._terminals.items()):
            if place.server != server.socket:
                continue
            pane = terminal.pane()
            if pane is None:
                del self._terminals[place]
            if pane is None or pane.dead:
                self._spawn(self._gone(terminal, pane))

    async def _gone(self, terminal: Terminal, pane: Pane | None) -> None:
        one, code = terminal.running, None
        if one is not None and pane is not None:
            status = await terminal.server.command("display-message", "-p", "-t", pane.id, "#{pane_dead_status}")
            code = int(status[0]) if status and status[0].isdigit() else None
        if terminal.running is one:
            terminal.ends(code, "its pane ended with it (exit, or it was killed)")

    def lost(self, socket: str) -> None:
        """A tmux server is gone, and all that ran in it."""
        for name in [name for name in self._taken_up if name[0] == socket]:
            del self._taken_up[name]
        for place in [place for place in self._terminals if place.server == socket]:
            self._terminals.pop(place).finish(note="its tmux server is gone")

    async def connected(self, server: TmuxServer) -> None:
        """Take up what an earlier sidecar left running on a server. Raises Unavailable."""
        for text in await server.command("show-environment", "-gh"):
            if (found := execution_marks.LINE.fullmatch(text)) and found[1] not in self._all:
                await self._take_up(server, found[1], found[2].split(" "))
        self._taken_up.setdefault((server.socket, server.pid), asyncio.Event()).set()
        self._any_taken_up.set()

    async def _take_up(self, server: TmuxServer, id_: str, words: list[str]) -> None:
        one = execution_marks.read(server, id_, words, self._settings().limits.output_bytes)
        if one is None:
            return
        row = await self._journal.read(lambda db: execution_rows.one(db, id_))
        if row is not None and row.ended is not None:  # its end was written, and the mark not taken away
            await server.command("set-environment", "-gu", f"{execution_marks.NAME}{id_}")
            return
        one.command, one.session = (row.command, row.session) if row else ("", "")
        terminal = self._terminal(server, one.place)
        self._all[id_] = terminal.running = one
        terminal.turns.holder = id_
        self._deaths.watch(_process(one))
        if terminal.pane() is None:
            terminal.finish(status="unknown", note="its pane ended while no sidecar ran: nobody can tell how")
            return
        await self._listen(terminal)
        found = marks.seen(await self._shown(server, one.place), one.nonce, self._settings().limits.output_bytes)
        one.before = found.output.text
        if found.ended:
            terminal.finish(code=found.code)
        else:
            terminal.look_soon()

    async def _shown(self, server: TmuxServer, place: Place) -> list[str]:
        lines = await server.foreign("capture-pane", "-p", "-J", "-S", "-2000", "-t", place.pane)
        return [line.rstrip() for line in lines]


def _new_name(name: str) -> str:
    """Raises InvalidParams where no session may be called so."""
    if not re.fullmatch(r"[\w][\w .@+,/~-]{0,63}", name) or "." in name:
        raise errors.InvalidParams(
            f"params.session: there is no session {name!r}, and none is made under such a name: letters, digits, "
            "blanks and -_@+,/~, at most 64"
        )
    return name


def _place(facts: Facts) -> Place:
    return Place(server=facts.server, server_pid=facts.server_pid, pane=facts.pane, pane_pid=facts.pane_pid)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def asked_name(origin: Origin, key: str, params: msgspec.Struct) -> str:
    """What a request is called, of whoever sent it, under the key that its client gave it."""
    return _hash(f"{origin.session} {key} {msgspec.json.encode(params).decode()}") if key else ""


def _process(one: Execution) -> str:
    return f"{one.shell.pid}:{one.shell.started}"


def _row(one: Execution) -> execution_rows.Row:
    ended = one.started + one.took if one.done.is_set() else None
    return execution_rows.Row(
        id=one.id, server=one.place.server, server_pid=one.place.server_pid, pane=one.place.pane,
        pane_pid=one.place.pane_pid, session=one.session, command=redact.redact_text(one.command), asked=one.asked,
        started=one.started, ended=ended, status=one.status if ended else "running", exit_code=one.code, note=one.note,
    )  # fmt: skip
