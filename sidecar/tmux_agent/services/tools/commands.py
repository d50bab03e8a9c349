"""The command tool: one program with arguments, no shell.

Owns: which file a name means, the folder it runs in, and what came of it as an outcome. Must not own: whether it is
allowed (guard.py), the environment (environment.py), the life of the process (process.py).
"""

from __future__ import annotations

import asyncio
import errno
import math
import os
import signal
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager

from msgspec import Struct

from ...core import errors
from ...core.model import Command, Outcome
from ...core.replies import CommandData
from ...core.settings import Commands
from . import beneath, environment, process


class CommandFacts(Struct, frozen=True, kw_only=True):
    """What a command would run, and where: what a person's yes is bound to besides the words.

    `program` is the absolute path that is started, `real` where its symlinks lead; the numbers are those of stat(2).
    """

    program: str
    real: str
    ino: int
    dev: int
    size: int
    mtime_ns: int
    ctime_ns: int = 0  # unlike mtime it cannot be set back; 0: kept by a version that did not look
    cwd: str
    cwd_ino: int
    cwd_dev: int


def observe(action: Command) -> CommandFacts:
    """The file and folder that `action` means now. Cheap, starts nothing.

    Raises InvalidParams (no command, no such folder), NotFound (no such program), Failed (it cannot be run).
    """
    if not action.argv or not action.argv[0] or any("\0" in word for word in action.argv):
        raise errors.InvalidParams("command: must name a program, and no argument may hold a NUL")
    if not os.path.isabs(action.cwd):
        raise errors.InvalidParams(f"cwd: must be an absolute path, not {action.cwd!r}")
    with _folder(action.cwd) as (fd, cwd):
        folder = os.fstat(fd)
    program = _find(action.argv[0], cwd)
    found = os.stat(program)
    return CommandFacts(
        program=program, real=os.path.realpath(program), ino=found.st_ino, dev=found.st_dev, size=found.st_size,
        mtime_ns=found.st_mtime_ns, ctime_ns=found.st_ctime_ns, cwd=cwd, cwd_ino=folder.st_ino, cwd_dev=folder.st_dev,
    )  # fmt: skip


def changed(before: CommandFacts, after: CommandFacts) -> str | None:
    """What a person saw and is no longer so, in words; None where it all still holds."""
    if (before.program, before.real) != (after.program, after.real):
        return f"the name meant {before.real} and means {after.real} now"
    if (before.cwd, before.cwd_ino, before.cwd_dev) != (after.cwd, after.cwd_ino, after.cwd_dev):
        return f"the folder {before.cwd} is another one now"
    if before != after:
        return f"{before.real} was changed meanwhile"
    return None


async def run(
    action: Command, limits: Commands, expected: CommandFacts | None = None, *, request_id: str = ""
) -> Outcome:
    """Runs `action` to its end; `data` is a CommandData, `ok` says whether it ended with 0.

    `expected` are the facts that were judged or shown: where they hold no longer, Conflict and nothing is run.
    Cancelled, it ends the command and everything it started first. Raises TimedOut (the output so far in its data),
    Conflict, InvalidParams, NotFound, Failed and Unavailable (it was not started).
    """
    timeout = _timeout(action, limits)
    facts = await asyncio.to_thread(observe, action)
    if expected is not None and (why := changed(expected, facts)):
        raise errors.Conflict(f"{why}; nothing was run")
    # Unlike a request's own id this cannot be guessed by, or left over from, another command.
    mark = f"{request_id}-{os.urandom(8).hex()}"
    env = environment.clean(os.environ, action.env, limits.keep_env, mark)
    with _folder(facts.cwd) as (fd, _):
        # A child enters the folder that was looked at, by descriptor, whatever its path means by then.
        cwd = f"/proc/self/fd/{fd}"
        argv = action.argv
        if os.path.basename(facts.program) == "git":
            argv, env = await asyncio.to_thread(environment.git, argv, env, facts.program, cwd)
        start = time.monotonic()
        try:
            ended = await process.run(
                process.Plan(
                    program=facts.program,
                    argv=argv,
                    env={**env, "PWD": facts.cwd},
                    cwd=cwd,
                    stdin=None if action.stdin is None else action.stdin.encode("utf-8", "surrogateescape"),
                    timeout=timeout,
                    grace=limits.grace,
                    output_bytes=limits.output_bytes,
                    mark=f"{environment.MARKER}={mark}",
                )
            )
        except (OSError, ValueError) as error:
            raise _not_started(action, error) from None
    return _outcome(action, ended, timeout, (time.monotonic() - start) * 1000)


def _timeout(action: Command, limits: Commands) -> float:
    seconds = limits.timeout if action.timeout is None else action.timeout
    if not math.isfinite(seconds) or not 0 < seconds <= limits.timeout_max:
        raise errors.InvalidParams(f"timeout: must be more than 0 and at most {limits.timeout_max:g} seconds")
    return seconds


@contextmanager
def _folder(path: str) -> Iterator[tuple[int, str]]:
    """A folder by descriptor, and its real path."""
    where = beneath.place(path, "/", ("/",))
    try:
        with beneath.opened(where, os.O_PATH | os.O_DIRECTORY) as fd:
            yield fd, where.real
    except (FileNotFoundError, NotADirectoryError):
        raise errors.InvalidParams(f"cwd: {path} is not a folder") from None
    except OSError as error:
        raise beneath.explain(error, "enter", path) from None


def _find(name: str, cwd: str) -> str:
    """The absolute path of a program: as given where it holds a slash, else on the cleaned PATH."""
    if "/" in name:
        path = os.path.join(cwd, name)
        if not os.path.exists(path):
            raise errors.NotFound(f"there is no program {path}; nothing was run")
        if not _runnable(path):
            raise errors.Failed(f"{path} is not an executable file; nothing was run")
        return path
    search = environment.search_path(os.environ)
    for folder in search.split(":"):
        if _runnable(path := os.path.join(folder, name)):
            return path
    raise errors.NotFound(f"there is no program {name!r} on the PATH {search}; give its full path or install it")


def _runnable(path: str) -> bool:
    try:
        return stat.S_ISREG(os.stat(path).st_mode) and os.access(path, os.X_OK)
    except (OSError, ValueError):
        return False


def _not_started(action: Command, error: OSError | ValueError) -> errors.TmuxAgentError:
    what = f"{action.argv[0]} could not be started"
    if isinstance(error, ValueError):
        return errors.InvalidParams(f"{what}: {error}")
    if error.errno == errno.E2BIG:
        return errors.InvalidParams(f"{what}: its arguments and environment are longer than the kernel takes")
    return beneath.explain(error, "start", action.argv[0])


def _outcome(action: Command, ended: process.Ended, timeout: float, duration_ms: float) -> Outcome:
    code = ended.returncode
    stderr = ended.stderr.text()
    if ended.left_behind:
        stderr += "\n… something it left running held its output open, and was ended …\n"
    data = CommandData(
        exit_code=code if code is not None and code >= 0 else None,
        signal=_signal_name(-code) if code is not None and code < 0 else None,
        stdout=ended.stdout.text(),
        stderr=stderr,
        truncated=bool(ended.stdout.left_out or ended.stderr.left_out),
        duration_ms=round(duration_ms, 3),
    )
    if ended.timed_out:
        gone = "it and what it had started were ended" if code is not None else "it could not be ended"
        raise errors.TimedOut(
            f"{action.argv[0]} did not end within {timeout:g} seconds; {gone}",
            timed_out=True, exit_code=None, signal=data.signal, stdout=data.stdout, stderr=data.stderr,
            truncated=data.truncated, duration_ms=data.duration_ms,
        )  # fmt: skip
    how = f"exit {data.exit_code}" if data.signal is None else data.signal
    return Outcome(ok=code == 0, data=data, summary=f"{how} after {duration_ms:.0f} ms", duration_ms=data.duration_ms)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"  # a real-time one has no name
