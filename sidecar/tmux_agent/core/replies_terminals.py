"""What the methods of persistent terminals give back. Owns only shapes, as replies.py, whose REPLIES names them."""

from __future__ import annotations

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


class ExecutionsData(Data, frozen=True):
    executions: tuple[ExecutionData, ...]
