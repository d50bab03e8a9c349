"""Roles and places with real processes, real terminals and a real tmux: every attack that is known, and the people.

A peer is a real program that connects to a real socket; the desk on the other end does what the server does
(SO_PEERCRED, SO_PEERPIDFD, views read after the connection was accepted) and keeps the origins by the peer's token.
"""

from __future__ import annotations

import contextlib
import os
import queue
import shlex
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.patience import PATIENCE
from tests.plugin.terminal import TMUX, Server, Terminal

from tmux_agent.core.errors import Forbidden
from tmux_agent.core.model import Origin, Role
from tmux_agent.services.identity import Identity
from tmux_agent.services.views import ClientView, PaneView, PopupGrant, TmuxView

PY = f"{sys.executable} -I -S"
_SO_PEERPIDFD = 77  # asm-generic/socket.h; kernel 6.5

# argv: socket, verb, token. Stays until it is answered, then until it is killed or its terminal goes.
_PEER = """
import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
s.sendall((sys.argv[2] + " " + sys.argv[3] + "\\n").encode())
s.recv(4096)
if len(sys.argv) > 4: s.recv(1)
"""
# argv: command…; runs it twice removed, in a session of its own, once its parent is really gone.
_ORPHAN = """
import os, sys
r, w = os.pipe()
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
os.close(w); os.read(r, 1)
os.execvp(sys.argv[1], sys.argv[1:])
"""
# argv: command…; runs it as an orphan that keeps session and terminal.
_LEFT = """
import os, sys
r, w = os.pipe()
if os.fork(): os._exit(0)
os.close(w); os.read(r, 1)
os.execvp(sys.argv[1], sys.argv[1:])
"""
# argv: command…; runs it on a pty of its own, as a terminal emulator would, and reads its screen until it ends.
_PTY = """
import os, pty, sys
pid, fd = pty.fork()
if pid == 0: os.execvp(sys.argv[1], sys.argv[1:])
try:
    while os.read(fd, 65536): pass
except OSError: pass
"""
# argv: command…; makes itself look like a popup: a session and a terminal of its own, in one process.
_OWN_TTY = """
import fcntl, os, sys, termios
m, s = os.openpty()
try: os.setsid()
except PermissionError: pass
fcntl.ioctl(s, termios.TIOCSCTTY, 0)
os.set_inheritable(m, True)
os.execvp(sys.argv[1], sys.argv[1:])
"""
SCRUB = "env -i SHELL=/bin/sh PATH=/usr/local/bin:/usr/bin:/bin TERM=xterm LC_ALL=C.UTF-8"


def view_of(server: Server) -> TmuxView:
    """What the tmux edge feeds: both lists, read now."""
    read_at = time.monotonic()
    panes, clients = {}, {}
    form = "#{pane_id}\t#{pane_pid}\t#{pane_tty}\t#{session_name}\t#{window_index}\t#{window_id}\t#{pid}"
    pid = 0
    for line in server.run("list-panes", "-a", "-F", form).splitlines():
        name, pane_pid, tty, session, window, window_id, server_pid = line.split("\t")
        panes[name] = PaneView(int(pane_pid), tty, session, int(window), window_id)
        pid = int(server_pid)
    form = "#{client_name}\t#{client_pid}\t#{client_tty}\t#{client_session}"
    for line in server.run("list-clients", "-F", form).splitlines():
        name, client_pid, tty, session = line.split("\t")
        clients[name] = ClientView(int(client_pid), tty, session)
    return TmuxView(server.socket, pid, panes, clients, read_at)


class Desk:
    """The listening end. `grant` is what the next relay's nonce stands for."""

    def __init__(self, folder: Path, server: Server, identity: Identity) -> None:
        self.path, self.server, self.identity = str(folder / "d"), server, identity
        self.grant: PopupGrant | None = None
        self.folder = folder
        self._origins: queue.Queue[tuple[str, Origin | Exception]] = queue.Queue()
        self._connections: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        scripts = {"peer": _PEER, "orphan": _ORPHAN, "left": _LEFT, "pty": _PTY, "owntty": _OWN_TTY}
        for name, text in scripts.items():
            (folder / name).write_text(text)

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            accepted = time.monotonic()
            self._connections.append(connection)
            pid, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
            verb, _, token = connection.makefile().readline().strip().partition(" ")
            if verb == "stop":
                return
            self._origins.put((token, self._judge(connection, pid, uid, verb, accepted)))
            with contextlib.suppress(BrokenPipeError):  # its terminal was closed meanwhile
                connection.sendall(b"ok\n")

    def _judge(self, connection: socket.socket, pid: int, uid: int, verb: str, accepted: float) -> Origin | Exception:
        try:
            pidfd = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERPIDFD)
        except OSError:
            pidfd = None
        try:
            if verb == "stale":
                return self.identity.relay(pid, uid, self.grant, accepted, pidfd=pidfd)
            if self.server.run("list-sessions", check=False):
                self.identity.add_server(view_of(self.server))
            if verb == "relay":
                return self.identity.relay(pid, uid, self.grant, accepted, pidfd=pidfd)
            return self.identity.identify(pid, uid, pidfd=pidfd)
        except (Forbidden, AssertionError, OSError, ValueError, LookupError) as error:  # handed to the test
            return error
        finally:
            if pidfd is not None:
                os.close(pidfd)

    def peer(self, token: str, verb: str = "identify", *, stay: bool = False) -> str:
        """Shell text of a peer."""
        return f"{PY} {self.folder}/peer {self.path} {verb} {token}{' stay' if stay else ''}"

    def orphan(self, command: str) -> str:
        return f"{PY} {self.folder}/orphan {command}"

    def own_pty(self, command: str) -> str:
        return f"{PY} {self.folder}/pty {command}"

    def origin(self, token: str) -> Origin:
        """The origin of the peer that sent `token`."""
        end = time.monotonic() + PATIENCE
        while True:
            sent, found = self._origins.get(timeout=max(end - time.monotonic(), 0.01))
            if isinstance(found, Exception):
                raise found
            if sent == token:
                return found

    def close(self) -> None:
        with socket.socket(socket.AF_UNIX) as last:
            last.connect(self.path)
            last.sendall(b"stop\n")
            self._thread.join()
        for connection in (*self._connections, self._listener):
            connection.close()


@pytest.fixture
def tmux() -> Iterator[Server]:
    with Server() as server:
        server.run("new-session", "-d", "-s", "work", "-x", "100", "-y", "30", "exec sh")
        yield server


@pytest.fixture
def identity() -> Identity:
    return Identity()


@pytest.fixture
def desk(tmux: Server, tmp_path: Path, identity: Identity) -> Iterator[Desk]:
    folder = tmp_path
    found = Desk(folder, tmux, identity)
    identity.add_server(view_of(tmux))
    yield found
    found.close()


@pytest.fixture
def me(tmux: Server, desk: Desk, identity: Identity) -> Terminal:
    """A person's terminal, attached."""
    terminal = tmux.attach()
    identity.add_server(view_of(tmux))
    return terminal


def only_client(identity: Identity, tmux: Server) -> str:
    view = view_of(tmux)
    identity.add_server(view)
    (name,) = [name for name, client in view.clients.items() if client.tty]
    return name


# --- the attacks: whatever an agent in a pane can start ---------------------------------------------


def in_pane(tmux: Server, command: str) -> None:
    """What an agent in a pane runs: a window of its own with a shell that stays in front of it."""
    tmux.run("new-window", "-d", "-t", "work:", f"{command}; exec cat")


ATTACKS = {
    "direct": ("{peer}", "runs in pane"),
    "background": ("{peer} & wait", "runs in pane"),
    "left behind in the pane's session": ("({peer} &)", "runs in pane"),
    "setsid": ("setsid {peer}", "runs in pane"),
    "setsid --fork": ("setsid -f {peer}", "has no terminal"),
    "double fork": ("{orphan_peer}", "has no terminal"),
    "double fork, own pty": ("{orphan_pty_peer}", "was started from pane"),
    "double fork, own pty, TMUX unset": ("env -u TMUX {orphan_pty_peer}", "was started from pane"),
    "double fork, own pty, clean environment": ("{scrub} {orphan_pty_peer}", "no terminal program"),
    "spoofed TMUX_PANE": ("TMUX_PANE=%77 {peer}", "runs in pane"),
    "own pty below the pane": ("{pty_peer}", "runs in pane"),
    "run-shell": ("tmux run-shell -b {quoted_peer}", "started it, outside every pane"),
    "if-shell": ("tmux if-shell -b {quoted_peer} ''", "started it, outside every pane"),
    "new-window": ("tmux new-window -d {quoted_peer}", "runs in pane"),
    "pipe-pane": ("tmux pipe-pane {quoted_peer}; echo x", "started it, outside every pane"),
}


@pytest.mark.parametrize("verb", ["identify", "relay"])
@pytest.mark.parametrize("name", ATTACKS)
def test_an_agent_in_a_pane_never_becomes_operator(desk: Desk, tmux: Server, name: str, verb: str) -> None:
    """Every way of starting a peer from a pane is an agent's, whether it calls itself a terminal or a popup's relay."""
    peer = desk.peer("attack", verb)
    command, why = ATTACKS[name]
    in_pane(
        tmux,
        command.format(
            peer=peer,
            quoted_peer=shlex.quote(peer),
            orphan_peer=desk.orphan(peer),
            orphan_pty_peer=desk.orphan(desk.own_pty(peer)),
            pty_peer=desk.own_pty(peer),
            scrub=SCRUB,
        ),
    )
    origin = desk.origin("attack")
    assert origin.role is Role.AGENT
    if verb == "identify":
        assert why in origin.why


def test_a_pane_is_found_by_ancestry_whatever_the_environment_says(desk: Desk, tmux: Server) -> None:
    """TMUX_PANE=%77 changes nothing: the pane, its place and its server come from tmux and the kernel."""
    pane = tmux.run("new-window", "-d", "-P", "-F", "#{pane_id}", f"TMUX_PANE=%77 {desk.peer('x')}; exec cat")
    origin = desk.origin("x")
    assert (origin.pane, origin.server, origin.place) == (pane, tmux.socket, "work:1")
    assert origin.tty is not None
    assert origin.ancestry[0].startswith("python")


@pytest.mark.parametrize(
    ("arguments", "known"), [("exec", True), ("app-server --listen unix:// --managed-daemon", False)]
)
def test_a_server_behind_several_windows_has_no_pane(desk: Desk, tmux: Server, arguments: str, known: bool) -> None:
    """Codex's background server was started in one pane and works for all: its hooks' pane is unknown, not that one."""
    script = desk.folder / "codex"
    script.write_text(f"import os\nos.system({desk.peer('x')!r})\n")
    pane = tmux.run("new-window", "-d", "-P", "-F", "#{pane_id}", f"{PY} {script} {arguments}; exec cat")
    origin = desk.origin("x")
    assert (origin.agent, origin.role) == ("codex", Role.AGENT)
    assert (origin.pane, origin.server) == ((pane, tmux.socket) if known else (None, None))


def test_a_hidden_peers_pane_is_a_hint_only(desk: Desk, tmux: Server) -> None:
    """Where ancestry, session and terminal say nothing, the environment's pane is told as unverified and not used."""
    in_pane(tmux, f"TMUX_PANE=%77 {desk.orphan(desk.peer('x'))}")
    origin = desk.origin("x")
    assert origin.pane is None
    assert "%77" in origin.why
    assert "not verified" in origin.why


def test_keys_typed_into_a_persons_shell_are_an_agents(desk: Desk, tmux: Server, me: Terminal) -> None:
    """send-keys into the shell that the person sees: its pane's peers ask, they never answer."""
    tmux.run("send-keys", "-t", "work:0", desk.peer("typed"), "Enter")
    assert desk.origin("typed").role is Role.AGENT


def test_an_agents_popup_on_a_persons_client_is_an_agents(
    desk: Desk, tmux: Server, me: Terminal, identity: Identity
) -> None:
    """display-popup by an agent looks like ours to the kernel; without our nonce it answers nothing."""
    client = only_client(identity, tmux)
    in_pane(tmux, f"tmux display-popup -c {client} -E {shlex.quote('exec ' + desk.peer('popup', 'relay'))}")
    origin = desk.origin("popup")
    assert origin.role is Role.AGENT
    assert "nonce" in origin.why


def test_keys_sent_to_a_pane_do_not_reach_the_popup_over_it(
    desk: Desk, tmux: Server, me: Terminal, identity: Identity
) -> None:
    """What an agent sends with send-keys goes to the pane; what the person types goes to the popup."""
    client = only_client(identity, tmux)
    command = f"echo ready; read word; {desk.peer('got-$word')}"
    popup = subprocess.Popen(tmux.argv("display-popup", "-c", client, "-E", command))
    me.wait_for("ready")
    tmux.run("send-keys", "-t", "work:0", "agent", "Enter")
    me.press("person\r")
    assert desk.origin("got-person").role is Role.AGENT
    assert popup.wait(PATIENCE) == 0


STOLEN = {
    "new-window": ("tmux new-window -d {relay}", "runs in pane"),
    "run-shell": ("tmux run-shell -b {relay}", "terminal of its own"),
    "run-shell with a terminal of its own": ("tmux run-shell -b {owntty}", "does not hold the other side"),
    "double fork with a terminal of its own": ("{orphan}", "not a child of the tmux server"),
}


@pytest.mark.parametrize("name", STOLEN)
def test_a_stolen_nonce_does_not_help_outside_a_popup(
    desk: Desk, tmux: Server, me: Terminal, identity: Identity, name: str
) -> None:
    """Whoever reads the nonce from the popup's arguments still has to be that server's child on a pty that it holds."""
    desk.grant = PopupGrant(tmux.socket, only_client(identity, tmux), identity.now())
    relay = desk.peer("stolen", "relay")
    command, why = STOLEN[name]
    own_tty = f"exec {PY} {desk.folder}/owntty {relay}"
    orphan = f"{SCRUB} {desk.orphan(desk.own_pty(relay))}"
    in_pane(tmux, command.format(relay=shlex.quote("exec " + relay), owntty=shlex.quote(own_tty), orphan=orphan))
    origin = desk.origin("stolen")
    assert origin.role is Role.AGENT
    assert why in origin.why


def test_a_pane_that_we_have_not_heard_of_is_no_popup(
    desk: Desk, tmux: Server, me: Terminal, identity: Identity
) -> None:
    """A new window is a child of the server on its own pty, too: lists that are older than it say nothing."""
    desk.grant = PopupGrant(tmux.socket, only_client(identity, tmux), identity.now())
    tmux.run("new-window", "-d", "exec " + desk.peer("new", "stale"))
    origin = desk.origin("new")
    assert origin.role is Role.AGENT
    assert "not read again" in origin.why


OWN_CLIENTS = {
    "below the pane": ("{pty}", "runs in pane"),
    "double fork": ("{orphan}", "was started from pane"),
    "double fork, clean environment": ("{scrub} {orphan}", "no terminal program"),
    "a detached tmux, clean environment": (
        "{scrub} tmux -f /dev/null -S {other} new-session -d {attach}",
        "no terminal of a",
    ),
}


@pytest.mark.parametrize("name", OWN_CLIENTS)
def test_an_agents_own_client_is_no_persons(desk: Desk, tmux: Server, identity: Identity, name: str) -> None:
    """An agent that attaches a client of its own and types into it gets a popup that cannot answer."""
    attach = f"env -u TMUX tmux -S {tmux.socket} attach -t work"
    other = f"{Path(tmux.socket).parent}/o"
    command, why = OWN_CLIENTS[name]
    tmux.run("set-hook", "-g", "client-attached", "wait-for -S attached")
    in_pane(
        tmux,
        command.format(
            pty=desk.own_pty(attach),
            orphan=desk.orphan(desk.own_pty(attach)),
            scrub=SCRUB,
            attach=shlex.quote(attach),
            other=other,
        ),
    )
    tmux.run("wait-for", "attached")
    against = identity.client_is_persons(tmux.socket, only_client(identity, tmux))
    if "detached" in name:
        tmux.run("-S", other, "kill-server", check=False)
    assert against is not None
    assert why in against


# --- the people --------------------------------------------------------------------------------------


def open_popup(desk: Desk, tmux: Server, identity: Identity, token: str, **changed: int | str) -> Origin:
    """What the sidecar does after prefix + A; `changed` alters the grant."""
    client = only_client(identity, tmux)
    grant = {"server": tmux.socket, "client": client, "issued": identity.now(), **changed}
    desk.grant = PopupGrant(str(grant["server"]), str(grant["client"]), int(grant["issued"]))
    tmux.run("display-popup", "-c", client, "-E", "exec " + desk.peer(token, "relay"))
    return desk.origin(token)


def test_our_popup_on_a_persons_client_answers(desk: Desk, tmux: Server, me: Terminal, identity: Identity) -> None:
    """The popup that was opened for a nonce, on a client below an ordinary chain of shells, is the person's."""
    origin = open_popup(desk, tmux, identity, "popup")
    assert origin.role is Role.OPERATOR, origin.why
    assert origin.client == me.tty
    assert origin.place == "work"
    assert any(word == f"client: tmux: client({me.process.pid})" for word in origin.ancestry)


def test_a_popup_for_another_time_or_client_answers_nothing(
    desk: Desk, tmux: Server, me: Terminal, identity: Identity
) -> None:
    """A relay that started long after, or before, its nonce, or for a client that left, is an agent."""
    for changed in ({"issued": identity.now() + 1000}, {"issued": identity.now() - 1000}, {"client": "/dev/pts/9999"}):
        assert open_popup(desk, tmux, identity, "popup", **changed).role is Role.AGENT


def test_a_terminal_outside_tmux_answers(desk: Desk) -> None:
    """A program on a terminal of its own, below an ordinary chain and in no pane, is the person's."""
    with Terminal(["sh", "-c", desk.peer("cli") + "; exit"]):
        origin = desk.origin("cli")
    assert origin.role is Role.OPERATOR, origin.why
    assert origin.pane is None


def test_without_a_terminal_nobody_answers(desk: Desk) -> None:
    """The same program without a terminal (a script, a service) is an agent."""
    child = os.spawnlp(os.P_NOWAIT, "setsid", "setsid", "sh", "-c", desk.peer("service"))
    assert desk.origin("service").role is Role.AGENT
    os.waitpid(child, 0)


def test_a_process_left_behind_in_a_persons_terminal_asks_only(desk: Desk) -> None:
    """`(cmd &)` keeps the terminal and loses its ancestors: nobody can say any more who started it."""
    with Terminal(["sh", "-c", f"{PY} {desk.folder}/left {desk.peer('left')}; exec cat"]):
        origin = desk.origin("left")
    assert origin.role is Role.AGENT
    assert "left behind" in origin.why


def test_a_terminal_below_a_known_agent_asks_only(desk: Desk, tmp_path: Path) -> None:
    """An agent above the peer, native or a script, makes it that agent's, with the session of the agent's process."""
    native = shutil.copy(os.path.realpath("/bin/sh"), tmp_path / "claude")
    script = tmp_path / "gemini"
    script.write_text(f"import os; os.system({desk.peer('gemini')!r})")
    for agent, argv in (("claude", f"{native} -c '{desk.peer('claude')}; true'"), ("gemini", f"{PY} {script}")):
        with Terminal(["sh", "-c", f"{argv}; exec cat"]):
            origin = desk.origin(agent)
        assert (origin.role, origin.agent) == (Role.AGENT, agent)
        assert f"below {agent}" in origin.why
        assert origin.session != f"{origin.pid}:{origin.started}"


@pytest.mark.parametrize("mark", ["CLAUDECODE=1", "AI_AGENT=x", "CODEX_THREAD_ID=1", "GEMINI_CLI=1", "OPENCODE=1"])
def test_a_terminal_that_an_agent_opened_asks_only(desk: Desk, mark: str) -> None:
    """An agent's marks in the environment count where the agent itself has left the ancestry."""
    with Terminal(["sh", "-c", f"{mark} sh -c {shlex.quote(desk.peer('marked') + '; true')}"]):
        origin = desk.origin("marked")
    assert origin.role is Role.AGENT
    assert mark.partition("=")[0] in origin.why


def test_who_asks_cannot_answer_from_there(desk: Desk, identity: Identity) -> None:
    """After a question from a terminal that terminal's own programs only ask; every other terminal still answers."""
    shell = f"{desk.peer('asker', stay=True)} & read go; {desk.peer('again')}; exec cat"
    with Terminal(["sh", "-c", shell]) as terminal:
        first = desk.origin("asker")
        assert first.role is Role.OPERATOR, first.why
        identity.note_asker(first)
        assert identity.identify(first.pid, first.uid).role is Role.AGENT
        terminal.press("\n")
        again = desk.origin("again")
        assert again.role is Role.AGENT
        assert "asks" in again.why
        with Terminal(["sh", "-c", desk.peer("other") + "; exec cat"]):
            assert desk.origin("other").role is Role.OPERATOR


def test_who_tried_ask_by_hand_may_attach_tmux_there(desk: Desk, tmux: Server, identity: Identity) -> None:
    """A shell in front of an asker is not below it: a popup on a client that is attached from there answers."""
    shell = f"{desk.peer('asker', stay=True)} & read go; tmux -S {tmux.socket} attach"
    tmux.run("set-hook", "-g", "client-attached", "wait-for -S attached")
    with Terminal(["sh", "-c", shell]) as terminal:
        identity.note_asker(desk.origin("asker"))
        terminal.press("\n")
        tmux.run("wait-for", "attached")
        assert identity.client_is_persons(tmux.socket, only_client(identity, tmux)) is None


def test_a_harness_that_asks_may_drive_a_client_but_not_its_own_cli(
    desk: Desk, tmux: Server, me: Terminal, identity: Identity
) -> None:
    """What is older than tmux and asks from outside still may own the terminal that tmux is attached in."""
    identity.note_asker(identity.identify(os.getpid(), os.getuid()))
    assert open_popup(desk, tmux, identity, "popup").role is Role.OPERATOR
    with Terminal(["sh", "-c", desk.peer("cli") + "; true"]):
        origin = desk.origin("cli")
    assert origin.role is Role.AGENT
    assert "asks" in origin.why


# argv: socket, gate (a fifo), command…; is the parent of a tmux server of its own, then runs the command.
_ADOPTS = """
import os, sys
if os.fork() == 0:
    os.setsid()
    os.execvp("tmux", ["tmux", "-D", "-f", "/dev/null", "-S", sys.argv[1]])
open(sys.argv[2]).read()
os.execvp(sys.argv[3], sys.argv[3:])
"""


def test_the_parent_of_a_tmux_server_that_an_agent_made_vouches_for_nobody(
    desk: Desk, tmux: Server, identity: Identity, tmp_path: Path
) -> None:
    """Whoever adopts orphans is learnt from tmux servers; an agent that fathers one does not become such a one."""
    gate, script, evil = tmp_path / "gate", tmp_path / "adopts", Path(tmux.socket).parent / "e"
    os.mkfifo(gate)
    script.write_text(_ADOPTS)
    father = f"{PY} {script} {evil} {gate} {desk.peer('father')}"
    in_pane(tmux, f"{SCRUB} {desk.orphan(desk.own_pty(father))}")
    pid = served(tmux, evil)
    try:
        identity.add_server(TmuxView(str(evil), pid, {}, {}, time.monotonic()))
        gate.write_text("")
        origin = desk.origin("father")
        assert origin.role is Role.AGENT, origin.why
    finally:
        os.kill(pid, 15)


def served(tmux: Server, socket: Path) -> int:
    """The pid of the tmux server at `socket`, once it answers."""
    argv = [tmux.tmux, "-N", "-S", str(socket), "display-message", "-p", "#{pid}"]
    end = time.monotonic() + PATIENCE
    while not (said := subprocess.run(argv, capture_output=True, text=True).stdout):
        assert time.monotonic() < end
    return int(said)


# --- nested tmux ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("front", "known", "answers"), [(True, False, True), (False, False, False), (True, True, False)]
)
def test_a_nested_client_is_a_persons_if_the_outer_one_is(
    desk: Desk, tmux: Server, identity: Identity, front: bool, known: bool, answers: bool
) -> None:
    """Inside another tmux: somebody must sit in front of that one; where we serve it too, its own popup is the way."""
    with Server() as outer, Server() as another:
        another.run("new-session", "-d")
        another.attach()  # somebody in front of another tmux is not in front of this one
        tmux.run("set-hook", "-g", "client-attached", "wait-for -S attached")
        command = f"exec env -u TMUX tmux -S {tmux.socket} attach -t work"
        outer.run("new-session", "-d", "-s", "outer", command)
        tmux.run("wait-for", "attached")
        if front:
            outer.attach()
        if known:
            identity.add_server(view_of(outer))
        against = identity.client_is_persons(tmux.socket, only_client(identity, tmux))
    assert (against is None) == answers, against


def test_a_tmux_by_another_name_is_a_tmux(identity: Identity, tmp_path: Path) -> None:
    """Who looks at one server is not in front of another one, whatever the program's file is called."""
    copy = tmp_path / "tmux"
    copy.symlink_to(shutil.copy(os.path.realpath(shutil.which(TMUX) or TMUX), tmp_path / "tmux-9"))
    with Server(tmux=str(copy)) as server, Server(tmux=str(copy)) as detached:
        server.run("new-session", "-d", "-s", "work")
        person = server.attach()
        server.run("set-hook", "-g", "client-attached", "wait-for -S attached")
        detached.run("new-session", "-d", f"exec env -u TMUX {copy} -S {server.socket} attach -t work")
        server.run("wait-for", "attached")
        view = view_of(server)
        identity.add_server(view)
        (nested,) = set(view.clients) - {person.tty}
        assert identity.client_is_persons(server.socket, person.tty) is None
        assert identity.client_is_persons(server.socket, nested) is not None


# --- odd peers --------------------------------------------------------------------------------------


def test_another_user_is_refused_and_root_only_asks() -> None:
    """A sidecar is one user's: other uids get an error; root, who can do anything anyway, gets no say by it."""
    identity = Identity(uid=1000)
    with pytest.raises(Forbidden, match="uid 65534"):
        identity.identify(os.getpid(), 65534)
    assert "root" in identity.identify(os.getpid(), 0).why


def test_a_peer_that_ended_is_an_agent() -> None:
    """Gone before it was looked at, and gone while its number lives on in a pidfd: nothing can be said for it."""
    child = os.spawnlp(os.P_NOWAIT, "true", "true")
    pidfd = os.pidfd_open(child)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    zombie = Identity().identify(child, os.getuid())
    assert (zombie.role, "ended" in zombie.why) == (Role.AGENT, True)
    os.waitpid(child, 0)
    assert Identity().identify(child, os.getuid()).role is Role.AGENT
    reused = Identity().identify(os.getpid(), os.getuid(), pidfd=pidfd)
    assert "ended" in reused.why
    os.close(pidfd)


def test_clients_that_lie_about_themselves_answer_nothing(
    desk: Desk, tmux: Server, me: Terminal, identity: Identity
) -> None:
    """tmux believes a client's pid and terminal; we hold them against the kernel and against each other."""
    view = view_of(tmux)
    (name,) = view.clients
    true = view.clients[name]

    def judged(**clients: ClientView) -> str:
        identity.add_server(TmuxView(view.socket, view.pid, view.panes, clients, view.read_at))
        return identity.client_is_persons(view.socket, "c") or ""

    assert judged(c=true) == ""
    assert "control mode" in judged(c=ClientView(true.pid, "", "work"))
    assert "another client claims" in judged(c=true, d=ClientView(os.getpid(), true.tty, "work"))
    assert "is not on" in judged(c=ClientView(os.getpid(), true.tty, "work"))
    with Terminal(["cat"]) as cat:
        assert "no tmux" in judged(c=ClientView(cat.process.pid, cat.tty, "work"))
    assert "not attached" in judged()
    identity.remove_server(view.socket)
    assert "no tmux server" in (identity.client_is_persons(view.socket, "c") or "")


def test_a_client_of_another_server_cannot_be_borrowed(
    desk: Desk, tmux: Server, me: Terminal, identity: Identity
) -> None:
    """An agent's own tmux server may claim a person's client as its own: the kernel says who is connected."""
    (true,) = view_of(tmux).clients.values()
    with Server() as evil:
        evil.run("new-session", "-d")
        own = view_of(evil)
        identity.add_server(TmuxView(own.socket, own.pid, own.panes, {"c": true}, own.read_at))
        against = identity.client_is_persons(own.socket, "c")
    assert against is not None
    assert "not connected" in against
    assert identity.client_is_persons(tmux.socket, only_client(identity, tmux)) is None


def test_what_calls_itself_a_tmux_server_cannot_take_others_for_its_panes(
    desk: Desk, tmux: Server, me: Terminal, identity: Identity
) -> None:
    """A server that lists a person's client or terminal as a pane would lock the person out: panes are its children."""
    (true,) = view_of(tmux).clients.values()
    with Server() as evil:
        evil.run("new-session", "-d")
        own = view_of(evil)
        (child,) = own.panes.values()
        panes = {"%1": PaneView(true.pid, true.tty, "x", 0, "@0"), "%2": PaneView(child.pid, true.tty, "x", 0, "@0")}
        identity.add_server(TmuxView(own.socket, own.pid, panes, {}, own.read_at))
        assert identity.client_is_persons(tmux.socket, only_client(identity, tmux)) is None


def test_keys_that_no_terminal_sent_are_nobodys(desk: Desk, tmux: Server, me: Terminal, identity: Identity) -> None:
    """Where nobody has typed at a client's terminal for long, a key in its popup came from elsewhere."""
    client = only_client(identity, tmux)
    os.utime(me.tty, (1000, 1000))
    assert "no key came" in (identity.nobody_types(tmux.socket, client) or "")
    tmux.run("send-keys", "-t", "work:0", "x")
    assert "no key came" in (identity.nobody_types(tmux.socket, client) or "")
    me.press("echo typed\r")
    me.wait_for("typed")
    assert identity.nobody_types(tmux.socket, client) is None
    assert identity.nobody_types(tmux.socket, "gone") is None  # client_is_persons says why
