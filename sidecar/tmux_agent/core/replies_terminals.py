"""What the methods of persistent terminals give back. Owns only shapes, as replies.py, whose REPLIES names them."""

from __future__ import annotations

from typing import Any

from .reply import Data


class ExecutionData(Data, frozen=True):
    """One text that was typed into a persistent terminal.

    `status`: `running`, `done`, or `unknown` (the sidecar died meanwhile, and nobody can tell what became of it).
    `exit_code` is null where the shell told none; `note` says why. `output` is byte for byte what was printed, unless
    `exact` is false: then it is what a person sees. `encoding` is "base64" where it is no UTF-8. `truncated`: only its
    beginning and end were kept. `in_front`: the program that the terminal belongs to while it runs.
    """

    execution_id: str
    status: str
    session: str
    pane_id: str
    server: str
    command: str
    exit_code: int | None = None
    output: str = ""
    encoding: str = "utf-8"
    truncated: bool = False
    exact: bool = True
    duration_ms: float = 0.0
    started: float = 0.0  # seconds since the epoch
    note: str = ""
    in_front: str = ""


class ProcessData(Data, frozen=True):
    """A process below a pane. `depth`: 0 is the pane's own program. `cpu_percent` of one core, over the moment that it
    was looked at; `cpu_seconds` since it began; `memory_bytes`: resident. `command`: cut, and without secrets."""

    pid: int
    parent: int
    depth: int
    name: str
    command: str = ""
    state: str = ""  # running, sleeping, stopped, zombie, …
    started: float = 0.0  # seconds since the epoch
    cpu_percent: float = 0.0
    cpu_seconds: float = 0.0
    memory_bytes: int = 0


class PaneFactsData(Data, frozen=True):
    """A pane. `exit_code` of its program, where that has ended and the pane stays. `processes`: its tree, parents
    before children, cut at 200 (`processes_left_out`); `cpu_percent` and `memory_bytes` are sums of what is there."""

    id: str
    place: str
    session: str
    session_name: str
    window: str
    window_name: str
    title: str
    active: bool
    alive: bool
    pane_pid: int
    tty: str
    width: int
    height: int
    current_path: str
    current_command: str
    in_mode: bool = False
    alternate: bool = False
    input_off: bool = False
    synchronized: bool = False
    exit_code: int | None = None
    history_lines: int = 0
    history_limit: int = 0
    agent: str | None = None
    state: str | None = None
    execution: str | None = None  # the id of what runs there (tmux.execute)
    processes: tuple[ProcessData, ...] = ()
    processes_left_out: int = 0
    cpu_percent: float = 0.0
    memory_bytes: int = 0


class SessionFactsData(Data, frozen=True):
    """A session, as tmux.sessions tells of it."""

    id: str
    name: str
    created: int
    attached: int
    windows: int
    activity: int
    commands: int = 0
    last_command: float | None = None


class FactsData(Data, frozen=True):
    server: str
    server_pid: int
    version: str
    sessions: tuple[SessionFactsData, ...]
    panes: tuple[PaneFactsData, ...]


class ExecutionsData(Data, frozen=True):
    executions: tuple[ExecutionData, ...]


REPLIES: dict[str, Any] = {
    "tmux.execute": ExecutionData,
    "tmux.execution": ExecutionData,
    "tmux.executions": ExecutionsData,
    "tmux.interrupt": ExecutionData,
    "tmux.facts": FactsData,
}
