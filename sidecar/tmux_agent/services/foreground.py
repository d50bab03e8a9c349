"""Which program a pane's terminal belongs to at this moment: an agent, a script, or something else.

Owns finding it among processes. The kernel says which group of processes is in the foreground; names prove nothing
against somebody who sets out to deceive (core/programs.py). Must not own: /proc (processes.py), screens.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from ..core import programs
from .processes import Process, Processes
from .terminals import agent_of

_GROUP = 32  # processes of a group that are looked at
# Where the kernel lets a process sleep that waits for input (/proc/PID/wchan): reading a terminal, select, poll, epoll.
_INPUT = ("wait_woken", "n_tty_read", "tty_read", "do_select", "core_sys_select", "poll_schedule", "do_sys_poll",
          "do_poll", "ep_poll", "do_epoll_wait")  # fmt: skip


class Program(Struct, frozen=True):
    """`process`: the agent, else the one that reads. `names`: what rules may call it, the most telling first."""

    process: Process
    agent: str | None
    names: tuple[str, ...]
    script: bool  # an interpreter runs it
    reads: bool  # it, or a process of its group, waits for input, or that cannot be known

    @property
    def session(self) -> str:
        """As Origin.session of whoever has no id of its own."""
        return f"{self.process.pid}:{self.process.started}"


def foreground(table: Processes, pane_pid: int) -> Program | None:
    """The program in the foreground of a pane; None where the system does not tell."""
    leader = in_front(table, pane_pid)
    if leader is None:
        return None
    group = [leader, *_others(table, leader)]
    kinds = [agent_of(table, process) for process in group]
    if agent := next(filter(None, kinds), None):
        # The innermost: agents start themselves again, and hooks are children of that one.
        process = [one for one, kind in zip(group, kinds, strict=True) if kind == agent][-1]
        return Program(process, agent, (agent,), script=False, reads=True)
    sleeps = [table.sleeps_in(process.pid) for process in group]
    readers = [process for process, where in zip(group, sleeps, strict=True) if where.startswith(_INPUT)]
    # Who reads is who asks: `cat` in a script is not the script. Where the kernel does not say: the last one started.
    process = readers[-1] if readers else leader if any(sleeps) else group[-1]
    exe, argv = table.exe(process.pid) or process.name, table.argv(process.pid)
    script = programs.runs_script(exe, argv)
    names = (programs.base(programs.script(argv)) if script else "", process.name, programs.base(exe))
    reads = bool(readers) or not any(sleeps)
    return Program(process, None, tuple(filter(None, dict.fromkeys(names))), script, reads)


def in_front(table: Processes, pane_pid: int) -> Process | None:
    """The leader of the group in the foreground; where that has ended (the first of a pipeline), one of the others."""
    number = table.foreground(pane_pid)
    leader = table.read(number) if number > 0 else None
    if leader is not None or number <= 0:
        return leader
    left = list(table.children(pane_pid))
    for _ in range(_GROUP):
        process = table.read(left.pop(0)) if left else None
        if process is not None:
            if process.group == number and not process.ended:
                return process
            left += table.children(process.pid)
    return None


def started(table: Processes, pane_pid: int) -> bool:
    """Whether something else is in front of a pane than its own program and what starts an agent there; True as well
    where the system does not tell."""
    top = table.read(pane_pid)
    if top is None or top.ended or top.tty is None:  # tmux has forked, and not yet made it what it is to be
        return False
    if table.foreground(pane_pid) <= 0:
        return True
    program = foreground(table, pane_pid)
    # An agent leads a group of its own (edges/wrap/parent.py): what is in the pane's is the shell that starts it.
    if program is None or program.process.group == top.group:
        return False
    argv = table.argv(program.process.pid)  # of one that has just ended there are none
    return bool(argv) and not programs.wrapped(argv) and not programs.is_sandbox(table.exe(program.process.pid))


def _others(table: Processes, leader: Process) -> Iterator[Process]:
    """The leader's descendants in its own group."""
    left = list(table.children(leader.pid))
    for _ in range(_GROUP):
        if not left:
            return
        process = table.read(left.pop(0))
        if process is not None and process.group == leader.group and not process.ended:
            yield process
            left += table.children(process.pid)
