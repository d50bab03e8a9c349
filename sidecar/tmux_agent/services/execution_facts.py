"""What a text rests on that is to be typed into a persistent terminal: the shell that gets it, and its folder.

Owns these values and what makes them others. Must not own: looking (executions.py).
"""

from __future__ import annotations

from msgspec import Struct

from ..core import errors


class Moved(errors.Conflict):
    """The shell is in another folder than the text was judged for, or is another one."""


class Facts(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a text in a terminal rests on: the shell that gets it, or the session that is made for it."""

    server: str
    server_pid: int
    session: str = ""
    pane: str = ""
    pane_pid: int = 0
    shell_pid: int = 0
    shell_started: int = 0
    cwd: str = ""


def changed(before: Facts, now: Facts) -> str | None:
    """What is no longer as it was, in words; None where all holds."""
    if before.server_pid != now.server_pid:
        return "the tmux server was restarted"
    if (before.pane_pid, before.shell_pid, before.shell_started) != (now.pane_pid, now.shell_pid, now.shell_started):
        return f"pane {before.pane} has another shell than it had"
    return f"the shell is in {now.cwd} by now, and was in {before.cwd}" if before.cwd != now.cwd else None
