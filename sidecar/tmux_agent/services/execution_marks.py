"""The mark that tmux keeps of an execution while it runs: a hidden variable of its global environment, by which the
next sidecar knows what this one has typed.

Owns its name and form. Must not own: when it is set and taken away (executions.py). Whatever can reach the tmux server
can write one, so what it says is only ever shown: nothing is typed or allowed by it.
"""

from __future__ import annotations

import re

from ..core import execution as marks
from ..core.pipeline_run import Place
from .persistent_terminal import Execution
from .shell_prompt import Shell
from .tmux.control import TmuxServer
from .tmux.snapshot import is_id

NAME = "TMUX_AGENT_RUNS_"  # and the execution's id
LINE = re.compile(r"TMUX_AGENT_RUNS_([0-9A-Z]{26})=(.*)")  # as show-environment prints it


def written(one: Execution) -> str:
    shell = one.shell
    words = (one.place.pane, one.place.pane_pid, shell.pid, shell.started, shell.kind, shell.image or "-", one.nonce,
             one.owner, one.asked or "-", int(one.seen), one.started)  # fmt: skip
    return " ".join(map(str, words))


def read(server: TmuxServer, id_: str, words: list[str], limit: int) -> Execution | None:
    """The execution that a mark tells of; None where it is none of ours."""
    try:
        pane, pane_pid, pid, started, kind, image, nonce, owner, asked, seen, when = words
        place = Place(server=server.socket, server_pid=server.pid, pane=pane, pane_pid=int(pane_pid))
        shell = Shell(int(pid), int(started), kind, "", "" if image == "-" else image)
        began = float(when)
    except ValueError:
        return None
    if not is_id(pane, "%") or kind not in marks.SHELLS or not re.fullmatch(r"[0-9a-f]{32}", nonce):
        return None
    one = Execution(
        id_, place, "", "", shell, nonce, owner, "" if asked == "-" else asked, limit, seen=seen == "1", started=began
    )
    one.exact, one.before, one.reader.began = False, "", True
    return one
