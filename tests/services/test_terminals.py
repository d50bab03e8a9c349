"""What stands above a terminal: people's real set-ups, and what looks like them, as tables of processes."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tmux_agent.core.model import Role
from tmux_agent.services.identity import Identity
from tmux_agent.services.processes import Process, ancestry
from tmux_agent.services.views import ClientView, PaneView, TmuxView

TTY = "/dev/pts/5"
UID = 1000
SERVER_STARTED = 1000  # ticks; what is older cannot come from a pane


class Table:
    """Processes from rows: (name, started), peer first; each row's parent is the next one; the last is process 1.

    Options of a row: sid, tty, exe, argv, env (None: unreadable), uid, pid.
    """

    def __init__(self) -> None:
        self.processes: dict[int, Process] = {}
        self.facts: dict[int, dict[str, object]] = {}

    def add(self, pid: int, ppid: int, name: str, started: int, **facts: object) -> None:
        sid, tty = facts.pop("sid", 0), facts.pop("tty", None)
        assert isinstance(sid, int)
        assert tty is None or isinstance(tty, str)
        self.processes[pid] = Process(pid, ppid, started, name, sid, tty)
        self.facts[pid] = facts

    def read(self, pid: int) -> Process | None:
        return self.processes.get(pid)

    def exe(self, pid: int) -> str:
        return str(self.facts[pid].get("exe", "/usr/bin/" + self.processes[pid].name))

    def argv(self, pid: int) -> tuple[str, ...]:
        found = self.facts[pid].get("argv", ())
        assert isinstance(found, tuple)
        return found

    def environ(self, pid: int) -> dict[str, str] | None:
        found = self.facts[pid].get("env", {})
        assert found is None or isinstance(found, dict)
        return found

    def real_uid(self, pid: int) -> int | None:
        found = self.facts[pid].get("uid", UID)
        assert isinstance(found, int)
        return found

    def cwd(self, pid: int) -> str:
        return "/"

    def pids(self) -> Iterator[int]:
        return iter(tuple(self.processes))

    def holds_terminal(self, pid: int, tty: str) -> bool | None:
        return None

    def typed(self, tty: str) -> float | None:
        return None

    def exit_code(self, pid: int) -> int | None:
        return None

    def image(self, pid: int) -> str:
        return ""

    def connected(self, pid: int, other: int) -> bool | None:
        return None

    def listens(self, pid: int) -> frozenset[str]:
        return frozenset({"/tmp/tmux-1000/default"})

    def now(self) -> int:
        return 10_000


Row = tuple[str, int] | tuple[str, int, dict[str, object]]


def at_a_terminal(*above: Row, top: bool = True) -> Table:
    """A peer (pid 100) below a shell (101, the session leader on TTY) below `above` (102 …) below process 1."""
    table = Table()
    rows: list[Row] = [("tmux-agent", 5000), ("bash", 4000), *above]
    for place, row in enumerate(rows):
        facts: dict[str, object] = dict(row[2]) if len(row) == 3 else {}
        last = place == len(rows) - 1
        parent = (1 if top else 0) if last else 101 + place
        mine = {"sid": 101, "tty": TTY} if place < 2 else {"sid": 102}
        table.add(100 + place, parent, row[0], row[1], **{**mine, **facts})
    if top:
        table.add(1, 0, "systemd", 0, uid=0, env=None, sid=1)
    return table


def judged(table: Table, *, server: bool = True, terminals: frozenset[str] = frozenset()) -> tuple[Role, str]:
    identity = Identity(uid=UID, table=table, terminals=terminals)
    if server:
        table.add(50, 1, "tmux: server", SERVER_STARTED, sid=50, exe="/usr/bin/tmux")
        panes = {"%0": PaneView(51, "/dev/pts/1", "work", 0, "@0")}
        identity.add_server(TmuxView("/tmp/tmux-1000/default", 50, panes, {}))
    origin = identity.identify(100, UID)
    return origin.role, origin.why


ROOT: dict[str, object] = {"uid": 0, "env": None, "exe": ""}
HIDES: dict[str, object] = {"env": None, "exe": ""}
PEOPLE: dict[str, tuple[Row, ...]] = {
    "ssh": (("sshd", 3900, HIDES), ("sshd", 3899, ROOT), ("sshd", 1, ROOT)),
    "ssh, newer OpenSSH": (("sshd-session", 3900, HIDES), ("sshd-session", 3899, ROOT), ("sshd", 1, ROOT)),
    "console": (("login", 3000, ROOT),),
    "gnome-terminal": (("gnome-terminal-", 3000), ("systemd", 10)),
    "kitty from i3, adopted by init": (("kitty", 3000),),
    "kitty of one's own": (("kitty", 3000, {"exe": "/home/u/.local/kitty.app/bin/kitty"}),),
    "kitty on Nix": (("kitty", 3000, {"exe": "/nix/store/x/bin/.kitty-wrapped"}),),
    "alacritty": (("alacritty", 3000), ("sway", 20), ("login", 15, ROOT)),
    "wezterm": (("wezterm-gui", 3000), ("systemd", 10)),
    "konsole": (("konsole", 3000), ("systemd", 10)),
    "terminator, a script": (
        ("python3", 3000, {"exe": "/usr/bin/python3.11", "argv": ("python3", "/usr/bin/terminator")}),
    ),
    "VS Code": (("code", 3000), ("code", 2900), ("systemd", 10)),
    "VS Code from afar": (("node", 3000, {"exe": "/home/u/.vscode-server/bin/0a/node"}), ("sh", 2999)),
    "mosh": (("mosh-server", 3000),),
    "WSL": (("Relay(42)", 3000, {"uid": 0, "env": None, "exe": "/init"}), ("SessionLeader", 2999, ROOT)),
    "su inside ssh": (("su", 3950, ROOT), ("bash", 3920, {"uid": 7, "env": None}), ("sshd", 3900, ROOT)),
    "a script under a CI runner": (("python3", 4000), ("bash", 3990), ("Runner.Worker", 900), ("Runner.Listener", 800)),
    "unknown terminal from before tmux": (("myterm", 900),),
}  # fmt: skip


@pytest.mark.parametrize("name", PEOPLE)
def test_people_at_their_terminals_answer(name: str) -> None:
    """Ordinary log-ins, terminal emulators, editors and script chains are a person's."""
    assert judged(at_a_terminal(*PEOPLE[name])) == (Role.OPERATOR, "at a terminal of its own, outside tmux")


def test_a_shell_entered_from_outside_the_container_answers() -> None:
    """`docker exec` and `kubectl exec`: the chain ends at parent 0 and not at process 1, which no orphan can do."""
    assert judged(at_a_terminal(top=False))[0] is Role.OPERATOR


def test_the_terminal_of_process_one_answers() -> None:
    """`docker run -it IMAGE bash`: the session leader is process 1 itself."""
    table = Table()
    table.add(100, 1, "tmux-agent", 5000, sid=1, tty=TTY)
    table.add(1, 0, "bash", 10, sid=1, tty=TTY)
    assert judged(table)[0] is Role.OPERATOR


def test_an_exec_in_the_session_of_process_one_answers() -> None:
    """What never left process 1's session never was in a pane: machines whose init starts programs itself."""
    assert judged(at_a_terminal(("python3", 3000, {"sid": 102}), ("runner", 2900, {"sid": 1})))[0] is Role.OPERATOR
    assert judged(at_a_terminal(("python3", 3000, {"sid": 102}), ("runner", 2900, {"sid": 103})))[0] is Role.AGENT


def test_the_person_may_name_a_terminal_of_theirs() -> None:
    """An unknown terminal program that init adopted is refused, by name, until it is told to us."""
    table = at_a_terminal(("myterm", 3000))
    assert judged(table)[0] is Role.AGENT
    assert judged(table, terminals=frozenset({"myterm"}))[0] is Role.OPERATOR


IMPOSTORS: dict[str, tuple[tuple[Row, ...], str]] = {
    "a driver left to init": ((("python3", 3000),), "no terminal program"),
    "a driver left to systemd --user": ((("python3", 3000), ("systemd", 10)), "no terminal program"),
    "a shell chain left to init": ((("python3", 3000), ("bash", 2999), ("bash", 2998)), "no terminal program"),
    "cron": ((("python3", 3000), ("sh", 2999), ("cron", 2998, ROOT), ("cron", 5, ROOT)), "as it would for anybody"),
    "D-Bus activation": ((("python3", 3000), ("dbus-daemon", 5)), "as it would for anybody"),
    "script, left to init": ((("script", 3000),), "no terminal program"),
    "a detached screen": ((("SCREEN", 3000),), "which no terminal of a person shows"),
    "claude outside tmux": ((("claude", 3000), ("bash", 2900), ("sshd", 1, ROOT)), "below claude"),
    "codex's node wrapper": (
        (("node", 3000, {"argv": ("node", "/usr/lib/node_modules/@openai/codex/bin/codex.js")}), ("sshd", 1, ROOT)),
        "below codex",
    ),
    "gemini, a node script": (
        (("node", 3000, {"argv": ("node", "--max-old-space-size=9", "/usr/bin/gemini")}), ("sshd", 1, ROOT)),
        "below gemini",
    ),
    "an environment that is hidden": ((("python3", 3000, HIDES), ("bash", 900)), "hides its environment"),
    "an agent's mark further up": ((("bash", 3000, {"env": {"CLAUDECODE": "1"}}), ("sshd", 1, ROOT)), "CLAUDECODE"),
    "a pane's environment": (
        (("bash", 3000, {"env": {"TMUX_PANE": "%3", "TMUX": "/tmp/tmux-1000/default,50,0"}}), ("kitty", 2900)),
        "was started from pane %3",
    ),
    "a detached tmux": ((("tmux: server", 3000),), "which no terminal of a person shows"),
}


@pytest.mark.parametrize("name", IMPOSTORS)
def test_what_only_looks_like_a_terminal_asks(name: str) -> None:
    """Orphans, schedulers, detached multiplexers and what agents left in ancestry or environment may not answer."""
    above, why = IMPOSTORS[name]
    role, said = judged(at_a_terminal(*above))
    assert role is Role.AGENT
    assert why in said


def test_nothing_above_an_adopter_counts() -> None:
    """Where a subreaper below somebody's log-in takes orphans in, that log-in stands above them all: no proof."""
    rows: tuple[Row, ...] = (("python3", 3000), ("runner", 20, {"sid": 90}), ("bash", 15), ("sshd", 1, ROOT))
    assert judged(at_a_terminal(*rows))[0] is Role.OPERATOR
    table = at_a_terminal(*rows)
    identity = Identity(uid=UID, table=table)
    table.add(50, 103, "tmux: server", SERVER_STARTED, sid=50)  # the runner took the tmux server in
    identity.add_server(TmuxView("/tmp/s", 50, {}, {}))
    origin = identity.identify(100, UID)
    assert (origin.role, "no terminal program" in origin.why) == (Role.AGENT, True)


def test_an_orphan_below_its_own_terminal_is_refused() -> None:
    """A subreaper inside a person's terminal takes in what was left behind there: the shell above it proves nothing."""
    table = at_a_terminal(("sshd", 1, ROOT))
    table.add(100, 90, "tmux-agent", 5000, sid=101, tty=TTY)
    table.add(90, 101, "runner", 4100, sid=101, tty=TTY)
    identity = Identity(uid=UID, table=table)
    assert identity.identify(100, UID).role is Role.OPERATOR
    table.add(50, 90, "tmux: server", 4500, sid=50)
    identity.add_server(TmuxView("/tmp/s", 50, {}, {}))
    origin = identity.identify(100, UID)
    assert (origin.role, "took it in" in origin.why) == (Role.AGENT, True)


def test_screen_with_somebody_in_front_answers() -> None:
    """A multiplexer is as much a person's as the terminal that shows it."""
    table = at_a_terminal(("SCREEN", 3000, {"exe": "/usr/bin/screen"}))
    table.add(200, 201, "screen", 4500, sid=201, tty="/dev/pts/9")
    table.add(201, 202, "bash", 4400, sid=201, tty="/dev/pts/9")
    table.add(202, 1, "sshd", 4300, sid=202, uid=0, env=None, exe="")
    assert judged(table)[0] is Role.OPERATOR


def test_a_reused_number_breaks_the_chain() -> None:
    """A parent that is younger than its child is another process under the same number: the chain proves nothing."""
    table = at_a_terminal(("sshd", 4500, ROOT), ("sshd", 1, ROOT))
    assert "younger than its child" in ancestry(table, 100).broken
    assert judged(table)[0] is Role.AGENT


def test_a_parent_that_ends_while_we_look_breaks_the_chain() -> None:
    """What could not be read to its end is not a person's."""
    table = at_a_terminal(("bash", 3000), ("sshd", 1, ROOT))
    del table.processes[102]
    role, why = judged(table)
    assert (role, "ended while its ancestry was read" in why) == (Role.AGENT, True)


def test_endless_ancestry_is_cut() -> None:
    """A chain deeper than people make is not followed, and not a person's."""
    role, why = judged(at_a_terminal(*(("sh", 3000) for _ in range(200)), ("sshd", 1, ROOT)))
    assert (role, "deeper than" in why) == (Role.AGENT, True)


def test_without_the_session_leader_above_it_nobody_answers() -> None:
    """An orphan that kept its terminal, or a process whose shell has hung up, could be anybody's."""
    table = at_a_terminal(("sshd", 1, ROOT))
    table.processes[100] = Process(100, 102, 5000, "tmux-agent", 101, TTY)
    assert "not among its ancestors" in judged(table)[1]
    table = at_a_terminal(("sshd", 1, ROOT))
    table.processes[101] = Process(101, 102, 4000, "bash", 101, None)
    assert "left the terminal" in judged(table)[1]


def test_codexs_shared_daemon_is_codex_without_a_pane() -> None:
    """Hooks of codex's daemon have its name in their ancestry, init above it and some other pane's TMUX_PANE."""
    table = Table()
    table.add(100, 101, "python3", 5000, sid=100, env={"TMUX_PANE": "%4"})
    table.add(101, 1, "codex", 2000, sid=101, argv=("codex", "app-server"))
    table.add(1, 0, "systemd", 0, sid=1)
    origin = Identity(uid=UID, table=table).identify(100, UID)
    assert (origin.agent, origin.pane, origin.session) == ("codex", None, "101:2000")
    assert "%4" in origin.why


def test_panes_are_found_by_session_and_terminal_too() -> None:
    """Where the ancestors are gone, the session's leader or the terminal may still be a pane's."""
    for sid, tty in ((51, None), (7, "/dev/pts/1")):
        table = Table()
        table.add(100, 1, "python3", 5000, sid=sid, tty=tty)
        table.add(1, 0, "systemd", 0, sid=1)
        identity = Identity(uid=UID, table=table)
        panes = {"%3": PaneView(51, "/dev/pts/1", "work", 2, "@0")}
        identity.add_server(TmuxView("/tmp/s", 50, panes, {"c": ClientView(9, "/dev/pts/2", "work")}))
        origin = identity.identify(100, UID)
        assert (origin.pane, origin.place, origin.role) == ("%3", "work:2", Role.AGENT)


def test_a_peer_without_a_number_here_is_an_agent() -> None:
    """SO_PEERCRED says pid 0 for a peer in a pid namespace that we cannot see."""
    assert "another pid namespace" in Identity(uid=os.getuid()).identify(0, os.getuid()).why


class Letting(Table):
    """tmux servers hold the terminals named in `held` and no other."""

    held: frozenset[str] = frozenset()

    def holds_terminal(self, pid: int, tty: str) -> bool | None:
        return tty in self.held


@pytest.mark.parametrize(("held", "role"), [(frozenset({TTY}), Role.AGENT), (frozenset(), Role.OPERATOR)])
def test_a_terminal_whose_number_is_anothers_by_now_is_no_pane(held: frozenset[str], role: Role) -> None:
    """A pane of which we hear late that it is gone does not claim who sits at the next terminal of that number; one
    whose program has ended while its terminal is still tmux's does."""
    table = Letting()
    table.held = held
    table.add(100, 101, "tmux-agent", 5000, sid=101, tty=TTY)
    table.add(101, 103, "bash", 4000, sid=101, tty=TTY)
    table.add(103, 1, "sshd", 900, sid=103)
    table.add(1, 0, "systemd", 0, uid=0, env=None, sid=1)
    table.add(50, 1, "tmux: server", SERVER_STARTED, sid=50, exe="/usr/bin/tmux")
    identity = Identity(uid=UID, table=table)
    identity.add_server(TmuxView("/tmp/s", 50, {"%0": PaneView(51, TTY, "work", 0, "@0")}, {}))
    assert identity.identify(100, UID).role is role


def test_tmux_in_a_pane_is_known_by_its_terminal() -> None:
    """Only a client in a pane's own terminal is one tmux in another: not one beside it, nor on a pty of its own."""
    table = Letting()
    table.held = frozenset({TTY, "/dev/pts/6"})
    table.add(50, 1, "tmux: server", SERVER_STARTED, sid=50, exe="/usr/bin/tmux")
    table.add(60, 1, "tmux: server", SERVER_STARTED, sid=60, exe="/usr/bin/tmux")
    identity = Identity(uid=UID, table=table)
    identity.add_server(TmuxView("/tmp/out", 50, {"%0": PaneView(51, TTY, "work", 2, "@0")}, {}))
    clients = {name: ClientView(70, f"/dev/pts/{name}", "in") for name in ("5", "7")}
    identity.add_server(TmuxView("/tmp/in", 60, {"%0": PaneView(61, "/dev/pts/6", "in", 0, "@0")}, clients))
    assert identity.around("/tmp/in", "5") == "work:2"
    assert identity.around("/tmp/in", "7") is None
    assert identity.around("/tmp/in", "gone") is None
    assert identity.around("/tmp/none", "5") is None
