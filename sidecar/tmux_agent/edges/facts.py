"""The method `tmux.facts`: all that is known of panes and sessions. Called by methods.py only.

Must not own: what tmux holds (services/tmux/snapshot.py), processes (services/psutil_processes.py).
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from ..core import errors, redact
from ..core import protocol as p
from ..core import replies_terminals as r
from ..core.model import Origin
from ..services.psutil_processes import Usage, trees
from ..services.system import System
from ..services.tmux.control import TmuxServer
from ..services.tmux.snapshot import Pane, is_id
from . import sight

PROCESSES = 200  # of one pane
PANES = 100  # of one reply: who has more names one
MEASURED_SECONDS = 0.1  # in which CPU time is measured
COMMAND = 200  # characters of a process's arguments
_ASKED = "#{pane_id}\t#{pane_dead_status}\t#{history_size}\t#{history_limit}"


async def facts(system: System, params: p.TmuxFacts, origin: Origin) -> r.FactsData:
    """Raises NotFound, InvalidParams, LimitExceeded (too many panes), Unavailable."""
    server = system.servers.choose(params.server, origin)
    await server.refresh()
    panes = _meant(server, params.target)
    if len(panes) > PANES:
        raise errors.LimitExceeded(f"{len(panes)} panes: name one of them, or a session")
    shown = {pane["id"]: pane for pane in await sight.panes(system, server)}
    asked = [line.split("\t") for line in await server.command("list-panes", "-a", "-F", _ASKED)]
    further = {row[0]: row for row in asked if len(row) == 4}
    alive = [pane.pid for pane in panes if not pane.dead]
    used = await asyncio.to_thread(trees, alive, PROCESSES, MEASURED_SECONDS)
    sessions = {pane.session for pane in panes}
    return r.FactsData(
        server=server.socket,
        server_pid=server.pid,
        version=f"{server.version[0]}.{server.version[1]}",
        sessions=tuple(_session(system, server, one) for one in server.sessions if one.id in sessions),
        panes=tuple(
            _pane(system, server, pane, shown.get(pane.id, {}), further.get(pane.id), used.get(pane.pid, ([], 0)))
            for pane in panes
        ),
    )


def _meant(server: TmuxServer, target: str | None) -> list[Pane]:
    """Only what tmux tells of is found: what was named goes nowhere else. Raises NotFound."""
    if not target:
        return list(server.panes)
    if is_id(target, "%"):
        return [server.pane(target)]
    found = [one.id for one in server.sessions if target in (one.id, one.name)]
    if not found:
        raise errors.NotFound(f"no pane or session {target!r} on tmux at {server.socket}; tmux.sessions lists them")
    return [pane for pane in server.panes if pane.session == found[0]]


def _session(system: System, server: TmuxServer, session: Any) -> r.SessionFactsData:
    use = system.executions.uses(server, session.id)
    data = msgspec.to_builtins(session) | ({"commands": use.commands, "last_command": use.last} if use else {})
    return msgspec.convert(data, r.SessionFactsData)


def _pane(
    system: System, server: TmuxServer, pane: Pane, shown: dict[str, Any], further: list[str] | None,
    used: tuple[list[Usage], int],
) -> r.PaneFactsData:  # fmt: skip
    processes, left_out = used
    _, status, lines, most = further or ["", "", "", ""]
    return r.PaneFactsData(
        id=pane.id,
        place=pane.place,
        session=pane.session,
        session_name=pane.session_name,
        window=pane.window,
        window_name=pane.window_name,
        title=pane.title,
        active=pane.active,
        alive=not pane.dead,
        pane_pid=pane.pid,
        tty=pane.tty,
        width=pane.width,
        height=pane.height,
        current_path=str(shown.get("current_path", "")),
        current_command=str(shown.get("current_command", "")),
        in_mode=pane.in_mode,
        alternate=pane.alternate,
        input_off=pane.input_off,
        synchronized=pane.synchronized,
        exit_code=int(status) if pane.dead and status.isdigit() else None,
        history_lines=int(lines) if lines.isdigit() else 0,
        history_limit=int(most) if most.isdigit() else 0,
        agent=shown.get("agent"),
        state=shown.get("state"),
        execution=system.executions.running_in(server, pane),
        processes=tuple(_process(one) for one in processes),
        processes_left_out=left_out,
        cpu_percent=round(sum(one.cpu_percent for one in processes), 1),
        memory_bytes=sum(one.memory_bytes for one in processes),
    )


def _process(one: Usage) -> r.ProcessData:
    command = redact.redact_text(one.command)
    cut = command if len(command) <= COMMAND else command[: COMMAND - 1] + "…"
    return r.ProcessData(
        pid=one.pid, parent=one.parent, depth=one.depth, name=one.name, command=cut, state=one.state,
        started=one.started, cpu_percent=one.cpu_percent, cpu_seconds=one.cpu_seconds, memory_bytes=one.memory_bytes,
    )  # fmt: skip
