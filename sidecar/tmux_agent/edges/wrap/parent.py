"""The process above a wrapped agent: it starts the agent on its own terminal, waits, and gives its exit code back.

Owns the child, its process group, the foreground of the terminal, signals, reaping, and that the sidecar is told of the
agent. The agent has the terminal itself, not a pty that we would copy: keys, sizes and modes are the kernel's business,
as without us. It leads a group of its own, which is in the foreground while it runs, so that tmux and job control see
the agent and not us. As "child subreaper" (prctl(2)) this process adopts whatever the agent leaves behind: the kernel
then says whose it is.
Must not own: what is said to the agent (instruction.py), the sidecar.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import termios
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...core.sandbox import Refused

_SET_PDEATHSIG, _SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h
# Sent to us alone (kill PID): handed on. What the terminal makes of keys goes to the foreground, which the agent is.
HANDED_ON = (
    signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP, signal.SIGUSR1, signal.SIGUSR2,
    signal.SIGWINCH,
)  # fmt: skip
WAITED = (*HANDED_ON, signal.SIGCHLD, signal.SIGCONT)
BLOCKED = (*WAITED, signal.SIGTTOU, signal.SIGTTIN)  # so that we may give the terminal away from the background
# What programs that draw switch on, off again: alternate screen, hidden cursor, reports of mouse, paste and focus, keys
PLAIN = (
    b"\x1b[?1049l\x1b[?25h\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1004l\x1b[?1006l\x1b[?2004l\x1b[?2026l\x1b[<u\x1b[>4m"
    b"\x1b[?1l\x1b>\x1b[0m\r\n"
)
AGAIN_SECONDS = 5.0  # until a sidecar that was not there is looked for again
NOT_FOUND, NOT_RUN = 127, 126  # as shells say it


Start = Callable[[], tuple[str, Sequence[str], Mapping[str, str]]]


def run(start: Start, tell: Callable[[bool], bool], begun: Callable[[int], None] | None = None) -> int:
    """Run a program until it ends; its exit code, or 128 and the number of the signal that ended it.

    `tell` runs in the child before it becomes the agent, with True; then `start`, which gives its program, arguments
    and environment. Where `tell` gives False it is called here with False, now and then, until it gives True. `begun`
    runs here and is given the child's number.
    Raises OSError where the system has no processes left, Refused as `begun` does.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, BLOCKED)
    try:
        _prctl(_SET_CHILD_SUBREAPER, 1)
        terminal = _Terminal()
        above = os.getpid()
        heard, told = os.pipe()
        pid = os.fork()
        if pid == 0:
            _become(start, terminal, before, above, lambda: _note(told, tell(True)))
        os.close(told)
        if begun is not None:
            _begin(pid, begun)
        return _Parent(pid, terminal, _Telling(heard, tell)).wait()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(pid: int, begun: Callable[[int], None]) -> None:
    """Where it is refused, nothing of the child stays."""
    try:
        begun(pid)
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise


def _become(start: Start, terminal: _Terminal, mask: set[Any], above: int, tell: Callable[[], None]) -> None:
    """In the child: become the agent. Never returns."""
    code = NOT_RUN
    program = "the agent"
    try:
        os.setpgid(0, 0)
        _prctl(_SET_PDEATHSIG, signal.SIGTERM)  # where we are killed the agent would have lost its terminal
        if os.getppid() != above:
            os._exit(128 + signal.SIGTERM)
        tell()
        program, argv, environ = start()
        terminal.give(os.getpid())
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        for number in (signal.SIGPIPE, signal.SIGXFSZ):  # which Python ignores, and a program that is started inherits
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.execvpe(program, list(argv), dict(environ))  # noqa: S606 - no shell is wanted
    except FileNotFoundError:
        code = NOT_FOUND
        os.write(2, f"tmux-agent wrap: there is no program {program!r} on your PATH\n".encode())
    except Refused as why:
        os.write(2, f"tmux-agent wrap: no sandbox, so nothing was started: {why}\n".encode(errors="replace"))
    except OSError as why:
        os.write(2, f"tmux-agent wrap: {program!r} cannot be started: {why.strerror}\n".encode())
    except Exception as why:  # noqa: BLE001 - nobody above hears of it
        os.write(2, f"tmux-agent wrap: nothing was started, by a defect of ours: {why!r}\n".encode(errors="replace"))
    finally:
        os._exit(code)


def _note(told: int, done: bool) -> None:
    """In the child: tell the process above whether the sidecar knows. The pipe ends as the agent begins."""
    if done:
        os.write(told, b"+")


class _Telling:
    """Whether the sidecar has been told of the agent, as the child says at the other end of `heard`, else tells it."""

    def __init__(self, heard: int, tell: Callable[[bool], bool]) -> None:
        self._heard, self._tell = heard, tell
        os.set_blocking(heard, False)
        self.over = False

    def again(self) -> None:
        """Once the child has become the agent without having been heard."""
        try:
            self.over = os.read(self._heard, 1) == b"+" or self._tell(False)
        except BlockingIOError:
            return  # it is still at it
        except OSError:
            return  # no descriptor is free, for example: whatever it is, the agent goes on


class _Parent:
    """Waits for the agent, and reaps what it left behind."""

    def __init__(self, pid: int, terminal: _Terminal, telling: _Telling) -> None:
        self._telling = telling
        self._pid = pid
        self._terminal = terminal
        with contextlib.suppress(OSError):  # it did so itself, or is gone
            os.setpgid(pid, pid)

    def wait(self) -> int:
        """The exit code."""
        while True:
            number = self._signal()
            if number is None:
                self._telling.again()
            elif number == signal.SIGCHLD:
                if (code := self._children()) is not None:
                    return code
            elif number == signal.SIGCONT:
                self._go_on()
            else:
                self._send(number)

    def _signal(self) -> int | None:
        """The next signal; None where it is time to tell the sidecar again: one that starts tells nobody."""
        if self._telling.over:
            return signal.sigwait(WAITED)
        found = signal.sigtimedwait(WAITED, AGAIN_SECONDS)
        return found.si_signo if found else None

    def _children(self) -> int | None:
        """What has become of our children; the exit code once the agent has ended."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
            except ChildProcessError:
                return NOT_RUN  # somebody else has waited for it
            if pid == 0:
                return None
            if pid != self._pid:
                continue  # an orphan of the agent's has ended
            if os.WIFSTOPPED(status):
                self._stopped(os.WSTOPSIG(status))
                continue
            self._terminal.take_back(self._pid, killed=os.WIFSIGNALED(status))
            return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)

    def _stopped(self, by: int) -> None:
        """The agent has stopped: so do we, that the shell goes on; or it has the terminal to itself from now on."""
        if by in (signal.SIGTTIN, signal.SIGTTOU) and self._terminal.is_ours():
            self._go_on()
            return
        if os.getpgid(os.getppid()) != os.getpgrp() and os.getsid(os.getppid()) != os.getsid(0):
            self._send(signal.SIGCONT)  # no shell waits above us: nobody would ever continue us
            return
        os.kill(0, signal.SIGSTOP)  # our whole group: a job is stopped once all of it is

    def _go_on(self) -> None:
        """We were continued: the agent, too, and in front of the terminal where we stand there."""
        self._terminal.give(self._pid)
        self._send(signal.SIGCONT)

    def _send(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._pid, number)


class _Terminal:
    """The terminal that we stand in front of, as it was found; none where we do not."""

    def __init__(self) -> None:
        self._file = next((number for number in (0, 2, 1) if os.isatty(number)), None)
        self._ours = os.getpgrp()
        self._found = self._modes() if self.is_ours() else None

    def is_ours(self) -> bool:
        """Whether our group is in the foreground."""
        with contextlib.suppress(OSError):
            return self._file is not None and os.tcgetpgrp(self._file) == self._ours
        return False

    def give(self, group: int) -> None:
        """Put a group in front, where ours is."""
        if self._file is not None and self.is_ours():
            with contextlib.suppress(OSError):  # it hung up, or the group has ended
                os.tcsetpgrp(self._file, group)

    def take_back(self, group: int, *, killed: bool) -> None:
        """The agent has ended: our group in front again, the terminal as it was found."""
        if self._file is None or self._found is None:
            return
        with contextlib.suppress(OSError):
            front = os.tcgetpgrp(self._file)
            if front not in (self._ours, group) and not _gone(front):
                return  # somebody else stands there: a shell, after bg
            os.tcsetpgrp(self._file, self._ours)
            self._set(self._found)
            if killed:
                os.write(self._file, PLAIN)

    def _modes(self) -> list[Any] | None:
        with contextlib.suppress(termios.error):
            return termios.tcgetattr(self._file) if self._file is not None else None
        return None

    def _set(self, modes: list[Any]) -> None:
        with contextlib.suppress(termios.error):
            if self._file is not None and self._modes() != modes:
                termios.tcsetattr(self._file, termios.TCSADRAIN, modes)


def _gone(group: int) -> bool:
    """Whether a process group has nobody in it."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _prctl(option: int, value: int) -> None:
    """Linux only; elsewhere orphans are init's, and the agent outlives us."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, ctypes.c_ulong(int(value)), 0, 0, 0)
