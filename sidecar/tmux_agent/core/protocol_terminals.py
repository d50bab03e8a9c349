"""Params of persistent terminals: text typed into shells that live on, its end, and the facts of panes and sessions.

Owns only shapes, as protocol.py.
"""

from __future__ import annotations

from .params import Params


class TmuxExecute(Params, frozen=True):
    """Run shell text in the shell of a pane, or of a session, which is made if it is not there: its folder, variables
    and functions stay for the next one. Judged as shell text in that shell's folder; what is judged is what is typed.

    `wait_ms`: how long to wait for its turn, and then for its end (at most an hour). `capture_output` false: only the
    exit code is wanted. One of `session` and `pane_id`; with neither, the session `tmux-agent-shell`.
    """

    command: str
    session: str | None = None
    pane_id: str | None = None
    wait_ms: int = 1000
    capture_output: bool = True
    server: str | None = None


class TmuxExecution(Params, frozen=True):
    """What became of an execution; waits up to `wait_ms` for its end. Of another caller's, it is judged as a look at
    its pane.
    """

    execution_id: str
    wait_ms: int = 0
    capture_output: bool = True


class TmuxInterrupt(Params, frozen=True):
    """Press Ctrl-C where an execution runs, and wait up to `wait_ms` for its end. Who began it needs no yes."""

    execution_id: str
    wait_ms: int = 1000


class TmuxFacts(Params, frozen=True):
    """All that is known of a pane, of a session with its panes (`target`: an id or a session's name), or of every pane:
    its program, whether that lives or how it ended, and the processes below it with their CPU time and memory.
    """

    target: str | None = None
    server: str | None = None


class TmuxExecutions(Params, frozen=True):
    """Executions, newest first: those that run, and the last that ended. An agent is told of its own."""

    limit: int = 50


METHODS: dict[str, type[Params]] = {
    "tmux.execute": TmuxExecute,
    "tmux.execution": TmuxExecution,
    "tmux.executions": TmuxExecutions,
    "tmux.interrupt": TmuxInterrupt,
    "tmux.facts": TmuxFacts,
}
# Sent again with the same `key`, these are the same request: nothing is asked or run twice.
KEYED: frozenset[type[Params]] = frozenset({TmuxExecute, TmuxInterrupt})
