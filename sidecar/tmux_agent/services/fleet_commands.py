"""Set-up and tear-down commands of a worktree: run one after the other, each within its time, its output kept.

Owns their environment and what is said of one that fails. They come from a file that the person wrote or trusts. Must
not own: when they run (fleet_spawn.py, fleet_finish.py), the life of a process (tools/process.py).
"""

from __future__ import annotations

import asyncio
import os
import shlex
from collections.abc import Iterable

from ..core import errors, redact
from ..core.fleet import FleetAgent
from ..core.fleet_file import Line
from .tools import environment, process

OUTPUT = 64 << 10  # bytes of each command
SHOWN = 20  # lines of output that an error tells
GRACE = 2.0
SET_UP, TEAR_DOWN = "set-up", "tear-down"


def words(line: Line) -> tuple[str, ...]:
    """A command as a program with its arguments."""
    return ("/bin/sh", "-c", line) if isinstance(line, str) else line


def shown(line: Line) -> str:
    """A command as people read it."""
    return line if isinstance(line, str) else shlex.join(line)


def _mark(one: FleetAgent, what: str) -> str:
    """What is in the environment of all that such commands start."""
    return f"fleet-{one.fleet_id}-{what}"


async def set_up(one: FleetAgent, lines: Iterable[Line], timeout: float) -> None:
    """Raises Failed, TimedOut: of the first that does not go well, with the end of its output."""
    await _run(one, lines, timeout, SET_UP)


async def tear_down(one: FleetAgent) -> None:
    """Run its tear-down commands, and then end what is left running of all of them: a server that set-up has started
    lives until here. Raises Failed, TimedOut, as `set_up`."""
    await _end_left(one, TEAR_DOWN)  # of a sidecar that was killed meanwhile
    try:
        await _run(one, one.teardown, one.teardown_timeout, TEAR_DOWN)
    finally:
        await end_left(one)


async def _run(one: FleetAgent, lines: Iterable[Line], timeout: float, what: str) -> None:
    mark = _mark(one, what)
    env = environment.clean(os.environ, {}, (), mark) | one.env | variables(one)
    for line in lines:
        argv = words(line)
        plan = process.Plan(
            program=argv[0], argv=argv, env={**env, "PWD": one.worktree}, cwd=one.worktree, stdin=None, timeout=timeout,
            grace=GRACE, output_bytes=OUTPUT, mark=f"{environment.MARKER}={mark}",
        )  # fmt: skip
        try:
            ended = await process.run(plan)
        except (OSError, ValueError) as why:
            raise errors.Failed(f"the {what} command {shown(line)!r} could not be started: {why}") from None
        output = _end_of(ended)
        if ended.timed_out:
            raise errors.TimedOut(f"the {what} command {shown(line)!r} did not end within {timeout:g} seconds{output}")
        if ended.returncode != 0:
            raise errors.Failed(f"the {what} command {shown(line)!r} ended with exit code {ended.returncode}{output}")


async def end_left(one: FleetAgent) -> None:
    """End what such commands have left running: also those of a sidecar that was killed meanwhile."""
    await _end_left(one, SET_UP)
    await _end_left(one, TEAR_DOWN)


async def _end_left(one: FleetAgent, what: str) -> None:
    await asyncio.to_thread(process.end_marked, f"{environment.MARKER}={_mark(one, what)}")


def variables(one: FleetAgent) -> dict[str, str]:
    """What commands and panes of a worktree know of it."""
    return {
        "TMUX_AGENT_NAME": one.name,
        "TMUX_AGENT_BRANCH": one.branch,
        "TMUX_AGENT_BASE": one.base,
        "TMUX_AGENT_WORKTREE": one.worktree,
        "TMUX_AGENT_REPOSITORY": one.repository,
    }


def _end_of(ended: process.Ended) -> str:
    text = redact.redact_text(ended.stdout.text() + ended.stderr.text())
    lines = [line for line in text.splitlines() if line.strip()][-SHOWN:]
    return "".join(["; its output ends:", *(f"\n  {line[:500]}" for line in lines)]) if lines else ""
