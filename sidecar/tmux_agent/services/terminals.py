"""Whether a process sits at a terminal that a person could be in front of, as far as its ancestry can tell.

Owns the evidence for one chain of processes: its terminal, its session, its environment, who stands above it. Must not
own: tmux panes, askers or roles (identity.py joins those in). "Why" functions answer None for "nothing against it" or
one sentence. docs/security.md names what this cannot see.
"""

from __future__ import annotations

from msgspec import Struct

from tmux_agent.core import programs
from tmux_agent.services.processes import Ancestry, Process, Processes

_STARTS = 4  # times that an agent starts itself again, at the most


class Below(Struct, frozen=True):
    """The terminal is held by a multiplexer: it is as much a person's as the terminal in front of that one."""

    multiplexer: Process


def agent_of(table: Processes, process: Process) -> str | None:
    """The known agent that a process is. Arguments are read only for interpreters: that is the hot path of hooks."""
    exe = table.exe(process.pid)
    argv = table.argv(process.pid) if programs.is_interpreter(exe or process.name) else ()
    return programs.agent_of(process.name, exe, argv)


def innermost(table: Processes, process: Process, agent: str) -> Process:
    """The process that an agent's work is known by: its child, where it is `tmux-agent wrap`, or starts itself again.

    A wrapper adopts what its agent leaves behind; the agent is its oldest child, for all others come from that one. So
    it is with bubblewrap, which stands between them twice.
    """
    for _ in range(_STARTS):
        argv = table.argv(process.pid) if programs.is_interpreter(table.exe(process.pid) or process.name) else ()
        children = [one for pid in table.children(process.pid) if (one := table.read(pid)) and not one.ended]
        if not programs.wrapped(argv) and not programs.is_sandbox(table.exe(process.pid) or process.name):
            children = [one for one in children if argv and agent_of(table, one) == agent]
        if not children:
            return process
        process = min(children, key=lambda one: (one.started, one.pid))
    return process


def leader(ancestry: Ancestry) -> int | str:
    """Index in the chain of the session leader whose terminal this is, or why there is none."""
    peer = ancestry.chain[0]
    if peer.tty is None:
        return "it has no terminal"
    for index, process in enumerate(ancestry.chain):
        if process.pid == peer.sid:
            if process.tty != peer.tty:
                return "the leader of its session has left the terminal"
            return index
    return "the shell of its terminal is not among its ancestors: it was left behind or hides"


def why_hidden(table: Processes, ancestry: Ancestry, uid: int) -> str | None:
    """Marks of an agent in the environments of a chain, or an environment that is kept from us."""
    for process in ancestry.chain:
        if process.pid == 1:
            break
        environ = table.environ(process.pid)
        if environ is None:
            # Other users' programs (sudo, the privileged sshd) cannot be read and need not be; one of ours that cannot
            # be read has made itself undumpable, as sshd's own half does.
            if table.real_uid(process.pid) == uid and not _kind(table, process):
                return f"{process.name}({process.pid}) hides its environment"
        elif mark := programs.agent_mark(environ):
            return f"{process.name}({process.pid}) has {mark} in its environment: an agent started it"
    return None


class Ground(Struct, frozen=True):
    """What is known of this machine. `before`: start of the oldest tmux server or agent; `adopters` take in orphans.

    An adopter that is no older than `before` counts for nothing: an agent can father a tmux server of its own.
    """

    before: int
    adopters: frozenset[int] = frozenset((1,))
    terminals: frozenset[str] = frozenset()  # further terminal programs, by name

    def adopts(self, process: Process) -> bool:
        return process.pid == 1 or (process.pid in self.adopters and process.started < self.before)


def anchor(table: Processes, ancestry: Ancestry, index: int, ground: Ground) -> str | Below | None:
    """Who stands above the session leader at `index`: None for somebody who vouches for a person.

    That is a terminal program or log-in, a process that is older than every tmux server (no pane can have made it), one
    in the very session of the adopter (whatever came out of a pane has lost that for good), or the edge of a container.
    What process 1 or another adopter took in proves nothing, nor does anything above an adopter: all orphans share it.
    """
    chain = ancestry.chain
    end = next((place for place, process in enumerate(chain) if ground.adopts(process)), len(chain))
    if end < index:
        return f"{chain[end].name}({chain[end].pid}) took it in: it was left behind or hides"
    if end in (index, len(chain)):
        return None  # the adopter's own terminal, or entered from outside this pid namespace
    for process in chain[index + 1 : end]:
        kind = _kind(table, process, ground.terminals)
        if kind == "starter":
            return f"{process.name}({process.pid}) started it, as it would for anybody"
        if kind == "multiplexer":
            return Below(process)
        if kind == "terminal" or (kind == "" and (process.started < ground.before or process.sid == chain[end].sid)):
            return None
    if chain[index].started < ground.before:
        return None
    return f"no terminal program, log-in or shell from before tmux stands above {chain[index].name}({chain[index].pid})"


def fronts(table: Processes, multiplexer: Process, uid: int) -> list[Process]:
    """Processes of this user that may show a multiplexer's screen: same program, on a terminal; tmux: same socket.

    The server's socket is what the kernel says, the client's what its arguments say: a person's client does not lie.
    Looks at every process: some milliseconds, for nested terminals only.
    """
    program = _program(table, multiplexer)
    sockets = table.listens(multiplexer.pid) if program == "tmux" else frozenset()
    found = []
    for pid in table.pids():
        process = table.read(pid)
        if process is None or process.tty is None or process.pid == multiplexer.pid or process.ended:
            continue
        if _program(table, process) != program or table.real_uid(pid) != uid:
            continue
        if program != "tmux" or programs.tmux_socket(table.argv(pid), table.environ(pid) or {}, uid) in sockets:
            found.append(process)
    return found


def _kind(table: Processes, process: Process, terminals: frozenset[str] = frozenset()) -> programs.Kind:
    exe = table.exe(process.pid)
    argv = table.argv(process.pid) if programs.is_interpreter(exe) else ()
    return programs.kind_of(process.name, exe, argv, terminals=terminals)


def _program(table: Processes, process: Process) -> str:
    name = programs.base(table.exe(process.pid)).lower() or process.name.partition(":")[0].lower()
    return "tmux" if "tmux" in name or process.name.startswith("tmux") else name
