"""Who is on the other end: peer → Origin, with its role.

Owns the one rule for roles. `operator` is (a) the relay of a popup that we opened on a person's client, (b) a terminal
outside every tmux pane that no agent or asker stands above. Everything else is `agent`, and so is everything unclear.
Must not own: reading processes (processes.py), what speaks for a terminal (terminals.py), nonces (whoever opens popups)
or tmux connections (they feed `add_server`). The server calls `identify` when a peer connects, and again for every
method that only an operator may use, for a peer changes its standing by asking. docs/security.md names what this
cannot see.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable

import msgspec
from msgspec import Struct

from tmux_agent.core import programs
from tmux_agent.core.errors import Forbidden
from tmux_agent.core.model import Origin, Role
from tmux_agent.services import terminals
from tmux_agent.services.processes import TICKS, Ancestry, Process, Processes, ancestry, processes_here, still_there
from tmux_agent.services.views import PopupGrant, TmuxView
from tmux_agent.services.worktree import locate

_GRANT_SECONDS = 2  # a popup's relay starts within this after the popup was asked for
_TYPED_SECONDS = 60.0  # between the last key at a terminal and an answer: a proof may take its time
_NESTED = 2  # multiplexers in front of each other that we look through
_ASKERS = 4096  # marks kept before the ended ones are dropped


class _Seen(Struct, frozen=True):
    """A peer's chain with what the registry knows of it. `under`: the known tmux server that it descends from."""

    ancestry: Ancestry
    agent: str | None = None
    agent_process: Process | None = None
    server: TmuxView | None = None
    pane: str | None = None
    under: TmuxView | None = None

    @property
    def peer(self) -> Process | None:
        return self.ancestry.chain[0] if self.ancestry.chain else None


class Identity:
    """The registry of tmux servers and askers, and the questions asked of it. For the event loop: it never waits."""

    def __init__(
        self, *, uid: int | None = None, table: Processes | None = None, terminals: frozenset[str] = frozenset()
    ) -> None:
        """`terminals`: names of terminal programs that the person uses and we do not know."""
        self._uid = os.getuid() if uid is None else uid
        self._table = table or processes_here()
        self._terminals = terminals
        self._servers: dict[str, TmuxView] = {}
        self._server_processes: dict[str, Process] = {}  # by socket
        self._adopters = frozenset((1,))
        self._pane_pids: dict[int, tuple[str, str]] = {}
        self._pane_ttys: dict[str, tuple[str, str]] = {}
        self._askers: dict[tuple[int, int], bool] = {}  # (pid, started) → counts against a popup, too
        self._oldest: int | None = None  # start of the oldest tmux server or agent ever seen

    # --- the registry --------------------------------------------------------------------------------

    def now(self) -> int:
        """The clock of process start times, for PopupGrant.issued."""
        return self._table.now()

    def add_server(self, view: TmuxView) -> None:
        """A server as it is now; replaces what was known of its socket."""
        self._servers[view.socket] = view
        if process := self._table.read(view.pid):
            self._server_processes[view.socket] = process
            self._note_start(process)
            # A server that made itself a daemon (it leads its session; `tmux -D` does not) is an orphan: its parent
            # is whoever adopts orphans here (init, systemd --user, a subreaper).
            if process.sid == process.pid:
                self._adopters |= {process.ppid}
        self._index()

    def remove_server(self, socket: str) -> None:
        if self._servers.pop(socket, None):
            self._server_processes.pop(socket, None)
            self._index()

    def note_asker(self, origin: Origin) -> None:
        """Whoever asked may not answer: it, what stands between it and its terminal's shell, and that terminal's CLI.

        The shell counts against the terminal's own CLI only: who tried `ask` by hand may still attach tmux there.
        """
        found = ancestry(self._table, origin.pid)
        if origin.agent or origin.pane or not found.chain or found.chain[0].started != origin.started:
            return  # refused for that already, or gone
        if len(self._askers) >= _ASKERS:
            self._askers = {key: value for key, value in self._askers.items() if self._lives(*key)}
        index = terminals.leader(found)
        last = index if isinstance(index, int) else 0
        for place, process in enumerate(found.chain[: last + 1]):
            key = (process.pid, process.started)
            self._askers[key] = self._askers.get(key, False) or place == 0 or place < last

    # --- the questions -------------------------------------------------------------------------------

    def lives(self, session: str) -> bool:
        """Whether the process of an Origin.session ("pid:started") runs."""
        pid, _, started = session.partition(":")
        return pid.isdecimal() and started.isdecimal() and self._lives(int(pid), int(started))

    def programs(self, tty: str) -> tuple[tuple[str, str | None], ...]:
        """What runs on a terminal, oldest first: "name(pid)", and the known agent that it is."""
        found = [one for one in map(self._table.read, self._table.pids()) if one and one.tty == tty and not one.ended]
        found.sort(key=lambda one: (one.started, one.pid))
        return tuple((f"{one.name}({one.pid})", terminals.agent_of(self._table, one)) for one in found)

    def identify(self, pid: int, uid: int, *, pidfd: int | None = None, door: str = "socket") -> Origin:
        """The origin of a socket's peer, as SO_PEERCRED gives it; `pidfd` from SO_PEERPIDFD, where the kernel has it.

        Raises Forbidden for another user. Whatever cannot be read or placed is an agent; `why` says what was missing.
        """
        if uid not in (self._uid, 0):
            raise Forbidden(f"uid {uid} may not use the socket of uid {self._uid}: each user has their own sidecar")
        seen = self._see(pid)
        against = self._gone(seen, pidfd) or self._root(uid) or self._against(seen, popup=False)
        role = Role.AGENT if against else Role.OPERATOR
        return self._origin(seen, pid, uid, role, against or "at a terminal of its own, outside tmux", door)

    def wrapped_by(self, origin: Origin) -> Origin:
        """The agent that a peer, as its `tmux-agent wrap`, has started; the peer itself where it is none."""
        peer = self._table.read(origin.pid)
        if peer is None or peer.started != origin.started or not programs.wrapped(self._table.argv(origin.pid)):
            return origin
        inner = terminals.innermost(self._table, peer, origin.agent or "")
        return origin if inner == peer else self.identify(inner.pid, origin.uid, door=origin.door)

    def relay(
        self, pid: int, uid: int, grant: PopupGrant | None, accepted: float, *, pidfd: int | None = None
    ) -> Origin:
        """The origin of a popup's relay: operator only if everything fits the popup that we opened.

        `grant`: what its nonce stood for, None for a nonce that is unknown, used or late. `accepted`: time.monotonic()
        when the connection was accepted; the server's view must have been read after that, or a new pane could pass for
        a popup.
        Ask `client_is_persons` again before each answer that comes through it. Raises Forbidden for another user.
        """
        plain = self.identify(pid, uid, pidfd=pidfd, door="popup")
        if plain.agent or plain.pane:
            return _as_agent(plain, plain.why)
        if grant is None:
            return _as_agent(plain, "its nonce is not one of ours, or was used, or came too late")
        against = self._root(uid) or self._not_our_popup(pid, grant, accepted)
        against = against or self.client_is_persons(grant.server, grant.client)
        if against:
            return _as_agent(plain, against)
        client = self._servers[grant.server].clients[grant.client]
        chain = ancestry(self._table, client.pid).words()
        return msgspec.structs.replace(
            plain,
            role=Role.OPERATOR,
            why=f"the popup that was opened on client {grant.client}",
            server=grant.server,
            client=grant.client,
            place=client.session,
            ancestry=(*plain.ancestry, *(f"client: {word}" for word in chain)),
        )

    def client_is_persons(self, server: str, client: str) -> str | None:
        """None where a person may sit in front of a tmux client, else one sentence why not."""
        view = self._servers.get(server)
        if view is None:
            return f"no tmux server is known at {server}"
        entry = view.clients.get(client)
        if entry is None:
            return f"client {client} is not attached any more"
        if not entry.tty:
            return f"client {client} has no terminal (control mode)"
        others = [other for name, other in view.clients.items() if name != client]
        if any(other.tty == entry.tty or other.pid == entry.pid for other in others):
            return f"another client claims the terminal or process of client {client}"
        seen = self._see(entry.pid)
        if seen.peer is None or seen.peer.ended or seen.peer.tty != entry.tty:
            return f"client {client} says it is process {entry.pid}, which is not on {entry.tty}"
        if "tmux" not in seen.peer.name and "tmux" not in self._table.exe(entry.pid):
            return f"client {client} says it is process {entry.pid}, which is no tmux"
        if self._table.connected(entry.pid, view.pid) is False:
            return f"client {client} says it is process {entry.pid}, which is not connected to the server at {server}"
        against = self._against(seen, popup=True)
        return f"client {client} may not answer: {against}" if against else None

    def around(self, server: str, client: str) -> str | None:
        """The pane ("session:window") in whose own terminal a client runs: tmux in tmux. None for every other."""
        view = self._servers.get(server)
        entry = view.clients.get(client) if view else None
        found = self._pane_on(entry.tty) if entry and entry.tty else None
        if found is None or found[0] == server:
            return None
        pane = self._servers[found[0]].panes[found[1]]
        return f"{pane.session}:{pane.window}"

    def nobody_types(self, server: str, client: str) -> str | None:
        """None where a key may have come from a client's terminal lately, else one sentence.

        tmux 3.6 types for anybody (`send-keys -K -c CLIENT`), and the popup cannot tell; the terminal can.
        """
        view = self._servers.get(server)
        entry = view.clients.get(client) if view else None
        typed = self._table.typed(entry.tty) if entry else None
        if typed is not None and abs(time.time() - typed) > _TYPED_SECONDS:
            return f"no key came from the terminal of client {client}: something else pressed it"
        return None

    def below_an_agent(self, pids: Iterable[int]) -> str | None:
        """None where none of these processes is an agent, an asker, or below one; else one sentence."""
        for pid in pids:
            seen = self._see(pid)
            if seen.agent and seen.agent_process:
                return f"it runs below {seen.agent} ({seen.agent_process.name}({seen.agent_process.pid}))"
            if asked := self._asked(seen.ancestry, popup=False):
                return asked
        return None

    # --- one chain -----------------------------------------------------------------------------------

    def _see(self, pid: int) -> _Seen:
        found = ancestry(self._table, pid)
        agent = agent_process = None
        for process in found.chain:
            if process.pid != 1 and (agent := terminals.agent_of(self._table, process)):
                agent_process = process
                self._note_start(process)
                if programs.wrapped(self._table.argv(process.pid)):
                    agent_process = terminals.innermost(self._table, process, agent)
                break
        socket_pane = self._pane_of(found)
        servers = {view.pid: view for view in self._servers.values()}
        under = next((servers[process.pid] for process in found.chain if process.pid in servers), None)
        view, pane = (self._servers[socket_pane[0]], socket_pane[1]) if socket_pane else (under, None)
        if agent and agent_process and programs.serves_others(agent, self._table.argv(agent_process.pid)):
            view = pane = None  # it was started in one, which says nothing of the one that it works for now
        return _Seen(found, agent, agent_process, view, pane, under)

    def _pane_of(self, found: Ancestry) -> tuple[str, str] | None:
        """(socket, pane id): by ancestor, else by session, else by terminal. The environment is never asked."""
        for process in found.chain:
            if process.pid in self._pane_pids:
                return self._pane_pids[process.pid]
        if not found.chain:
            return None
        peer = found.chain[0]
        return self._pane_pids.get(peer.sid) or (self._pane_on(peer.tty) if peer.tty else None)

    def _pane_on(self, tty: str) -> tuple[str, str] | None:
        """The pane of a terminal; none where its server has let go of that number, which another has by now."""
        found = self._pane_ttys.get(tty)
        held = found is not None and self._table.holds_terminal(self._servers[found[0]].pid, tty) is not False
        return found if held else None

    def _against(self, seen: _Seen, *, popup: bool, nested: int = 0) -> str | None:
        """Why a person does not sit in front of this chain; None where nothing speaks against it. First reason wins."""
        found = seen.ancestry
        if seen.agent and seen.agent_process:
            return f"it runs below {seen.agent} ({seen.agent_process.name}({seen.agent_process.pid}))"
        if seen.server and seen.pane:
            return f"it runs in pane {seen.pane} of the tmux server at {seen.server.socket}"
        if seen.under:
            return f"the tmux server at {seen.under.socket} started it, outside every pane"
        if found.broken:
            return found.broken
        index = terminals.leader(found)
        if isinstance(index, str):
            return index
        against = (
            self._asked(found, popup=popup)
            or terminals.why_hidden(self._table, found, self._uid)
            or self._left_a_pane(found)
        )
        if against:
            return against
        ground = terminals.Ground(self._before(), self._adopters, self._terminals)
        above = terminals.anchor(self._table, found, index, ground)
        if isinstance(above, terminals.Below):
            return self._in_front(above.multiplexer, nested)
        return above

    def _asked(self, found: Ancestry, *, popup: bool) -> str | None:
        """What is older than every tmux server asked from outside, and is not in a pane that a popup would cover."""
        for process in found.chain:
            counts = self._askers.get((process.pid, process.started))
            if counts is None or (popup and (not counts or process.started < self._before())):
                continue
            return f"{process.name}({process.pid}) asks, and who asks cannot answer"
        return None

    def _left_a_pane(self, found: Ancestry) -> str | None:
        """An environment from a pane that the ancestry does not lead to: an orphan, or started through a daemon."""
        sockets = set(self._servers) | {str(view.pid) for view in self._servers.values()}
        beside_tmux = any(process.name.startswith("tmux: server") for process in found.chain)
        for process in found.chain:
            environ = (self._table.environ(process.pid) if process.pid != 1 else None) or {}
            socket, _, rest = environ.get("TMUX", "").partition(",")
            pane = environ.get("TMUX_PANE", "")
            known = socket in sockets or rest.partition(",")[0] in sockets
            if known or (pane and not beside_tmux):
                return f"{process.name}({process.pid}) was started from pane {pane or '?'} and has left it"
        return None

    def _in_front(self, multiplexer: Process, nested: int) -> str | None:
        """A detached multiplexer is how a program types to itself: somebody must sit in front of it."""
        word = f"{multiplexer.name}({multiplexer.pid})"
        if nested == _NESTED:
            return f"more than {_NESTED} multiplexers are nested in front of it"
        for process in terminals.fronts(self._table, multiplexer, self._uid):
            if not self._against(self._see(process.pid), popup=True, nested=nested + 1):
                return None
        return f"it runs inside {word}, which no terminal of a person shows"

    def _not_our_popup(self, pid: int, grant: PopupGrant, accepted: float) -> str | None:
        view, peer = self._servers.get(grant.server), self._table.read(pid)
        if view is None or peer is None:
            return "its tmux server or the relay itself is gone"
        if view.read_at < accepted:
            return "the panes were not read again after it connected"
        known, server = self._server_processes.get(grant.server), self._table.read(view.pid)
        if not known or not server or server.started != known.started or peer.ppid != view.pid:
            return f"it is not a child of the tmux server at {grant.server}"
        if peer.tty is None or peer.sid != peer.pid:
            return "it does not lead the session of a terminal of its own"
        if self._table.holds_terminal(view.pid, peer.tty) is False:
            return f"the tmux server does not hold the other side of {peer.tty}: that is no popup"
        if not 0 <= peer.started - grant.issued <= _GRANT_SECONDS * TICKS:
            return "it was not started for this popup"
        return None

    # --- small facts ---------------------------------------------------------------------------------

    def _gone(self, seen: _Seen, pidfd: int | None) -> str | None:
        if seen.peer is None or seen.peer.ended or (pidfd is not None and not still_there(pidfd)):
            return "it ended before it could be looked at, or lives in another pid namespace"
        return None

    def _root(self, uid: int) -> str | None:
        return "it runs as root, and this sidecar does not" if uid != self._uid else None

    def _before(self) -> int:
        return self._table.now() if self._oldest is None else self._oldest

    def _note_start(self, process: Process) -> None:
        self._oldest = process.started if self._oldest is None else min(self._oldest, process.started)

    def _lives(self, pid: int, started: int) -> bool:
        process = self._table.read(pid)
        return process is not None and process.started == started and not process.ended

    def _index(self) -> None:
        self._pane_pids, self._pane_ttys = {}, {}
        for view in self._servers.values():
            for name, pane in view.panes.items():
                process = self._table.read(pane.pid)
                if process and process.ppid != view.pid:
                    continue  # tmux starts what is in a pane itself: that is somebody else's process
                self._pane_pids[pane.pid] = (view.socket, name)
                if process is None or process.tty == pane.tty:
                    self._pane_ttys[pane.tty] = (view.socket, name)

    def _origin(self, seen: _Seen, pid: int, uid: int, role: Role, why: str, door: str) -> Origin:
        peer = seen.peer or Process(pid, 0, 0, "")
        pane = seen.server.panes.get(seen.pane) if seen.server and seen.pane else None
        named = seen.agent_process or peer
        cwd, exe = self._table.cwd(pid), self._table.exe(pid)
        worktree, branch = locate(cwd)
        if seen.peer and not seen.server and (hint := (self._table.environ(pid) or {}).get("TMUX_PANE")):
            why = f"{why} (its environment says pane {hint[:16]}, which is not verified)"
        return Origin(
            role=role,
            why=why,
            uid=uid,
            pid=pid,
            started=peer.started,
            exe=exe,
            script=programs.called(exe, self._table.argv(pid)) if programs.is_interpreter(exe) else "",
            ancestry=seen.ancestry.words(),
            tty=peer.tty,
            server=seen.server.socket if seen.server else None,
            pane=seen.pane,
            place=f"{pane.session}:{pane.window}" if pane else "",
            pane_title=pane.title if pane else "",
            agent=seen.agent,
            session=f"{named.pid}:{named.started}",
            cwd=cwd,
            worktree=worktree,
            branch=branch,
            door=door,
        )


def _as_agent(origin: Origin, why: str) -> Origin:
    return msgspec.structs.replace(origin, role=Role.AGENT, why=why)
