"""Whether a shell waits at its prompt in a pane, so that a command can be typed there and nothing else gets it.

Owns the evidence: which program the terminal belongs to, how that has set the terminal, and where it sleeps. Must not
own: typing (executions.py), what programs are called (core/programs.py). A shell with a line editor (bash, zsh, fish)
takes keys one by one and echoes them itself only while it prompts; dash has none, so its own `read` looks like its
prompt. Source: termios(3).
"""

from __future__ import annotations

import os
import termios

from msgspec import Struct

from ..core import errors, programs
from ..core.execution import SHELLS, is_prompting
from . import foreground
from .processes import Processes
from .tmux.snapshot import Pane

_READS = ("wait_woken", "n_tty_read", "tty_read", "read_chan")  # where the kernel lets a reader of a terminal sleep


class Shell(Struct, frozen=True):
    """A shell that a pane's terminal belongs to. `image` is another one after it has replaced itself (exec)."""

    pid: int
    started: int
    kind: str  # one of execution.SHELLS
    cwd: str
    image: str


class Mode(Struct, frozen=True):
    """How a terminal is set: whole lines or single keys, echoed by the kernel or not."""

    lines: bool
    echo: bool


def mode(tty: str) -> Mode | None:
    """How a terminal is set; None where it cannot be asked."""
    try:
        fd = os.open(tty, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        flags = termios.tcgetattr(fd)[3]
    except termios.error:
        return None
    finally:
        os.close(fd)
    return Mode(bool(flags & termios.ICANON), bool(flags & termios.ECHO))


def shell(table: Processes, pid: int) -> Shell | None:
    """The shell that a process is, where it is one that people type to."""
    process = table.read(pid)
    if process is None or process.ended:
        return None
    kind = programs.base(table.exe(pid))
    if kind not in SHELLS or not is_prompting(table.argv(pid)):
        return None
    return Shell(pid, process.started, kind, table.cwd(pid), table.image(pid))


def in_front(table: Processes, pane: Pane) -> Shell | None:
    """The shell that a pane's terminal belongs to at this moment; None where it belongs to something else."""
    return shell(table, table.foreground(pane.pid))


def prompts(table: Processes, pane: Pane, one: Shell) -> bool:
    """Whether the shell in front waits for a command."""
    if table.foreground(pane.pid) != one.pid:
        return False
    how = mode(pane.tty)
    if how is None:
        return False
    if one.kind != "dash":
        return not how.lines and not how.echo
    return how.lines and how.echo and (table.sleeps_in(one.pid).startswith(_READS) or not table.sleeps_in(one.pid))


def why_not(table: Processes, pane: Pane) -> errors.Conflict:
    """That a pane takes no command, and what is in front of it instead of a prompt."""
    process = foreground.in_front(table, pane.pid)
    where = f"pane {pane.id} ({pane.place})"
    how = mode(pane.tty)
    if process is None:
        return errors.Conflict(f"{where} takes no command: which program its terminal belongs to cannot be known")
    exe = programs.base(table.exe(process.pid)) or process.name
    if how is not None and how.lines and not how.echo:
        return errors.Conflict(
            f"{where} takes no command: {exe} in front of its shell asks for a password; answer it there", program=exe
        )
    if shell(table, process.pid) is not None:
        return errors.Conflict(
            f"{where} takes no command: its shell ({exe}) is not at its prompt: it runs or asks something; look there",
            program=exe,
        )
    known = ", ".join(SHELLS)
    return errors.Conflict(
        f"{where} takes no command: {exe} is in front of it, and no shell ({known}) that prompts; end it, or name "
        "another pane or session",
        program=exe,
    )
