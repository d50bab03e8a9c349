"""What the status lines have to say: how many agents work and wait, what is unwell, and the mark of each window.

Owns which state counts as what, and the badge of each server. Must not own: how it is drawn (tmux/badge.py), what is
unwell (system.py).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from ..core.model import Agent, AgentState, Approval
from .agents import Agents
from .approvals import Approvals
from .tmux.badge import Badge, Counts
from .tmux.control import TmuxServer
from .tmux.servers import Servers


class StatusLines:
    """Built by the system; used in the event loop only. `warnings` tells what is unwell."""

    def __init__(
        self,
        servers: Servers,
        agents: Agents,
        approvals: Approvals,
        warnings: Callable[[], Sequence[str]],
        *,
        ascii_only: bool,
    ) -> None:
        self._servers = servers
        self._agents = agents
        self._approvals = approvals
        self._warnings = warnings
        self._ascii = ascii_only
        self._badges: dict[str, Badge] = {}

    def connected(self, server: TmuxServer) -> None:
        """It knows nothing, or its person's options were read again."""
        self._badges.setdefault(server.socket, Badge(server, ascii_only=self._ascii)).forget()

    def lost(self, server: TmuxServer) -> None:
        self._badges.pop(server.socket, None)

    def show(self) -> None:
        """Put what there is to say on every status line."""
        pending, agents = self._approvals.pending(), self._agents.list()
        said = counts(agents, pending, self._warnings())
        for server in self._servers.all():
            if one := self._badges.get(server.socket):
                one.show(said, windows(server, agents, pending))

    async def close(self) -> None:
        await asyncio.gather(*(one.close() for one in self._badges.values()))


def ascii_only(environ: Mapping[str, str]) -> bool:
    """Whether the locale says another encoding than UTF-8; a sidecar without any locale takes it that terminals do."""
    locale = environ.get("LC_ALL") or environ.get("LC_CTYPE") or environ.get("LANG") or "UTF-8"
    return "utf" not in locale.lower()


def counts(agents: tuple[Agent, ...], pending: tuple[Approval, ...], warnings: Sequence[str]) -> Counts:
    """Of all agents; a question that waits is worth an agent that waits. The first warning's word is shown."""
    states = Counter(_state(agent) for agent in agents)
    return Counts(
        working=states["working"],
        waiting=max(len(pending), states["waiting"]),
        done=states["done"],
        error=states["error"],
        limit=states["limit"],
        warning=next((warning.partition(":")[0] for warning in warnings), ""),
    )


def _state(agent: Agent) -> str:
    """Its state for the status line: a usage limit is an error that needs patience, not a person."""
    return "limit" if agent.limit and agent.state is AgentState.ERROR else agent.state.value


_URGENT = ("limit", "error", "working", "done", "waiting")  # the last of these that is in a window is its mark


def windows(server: TmuxServer, agents: tuple[Agent, ...], pending: tuple[Approval, ...]) -> dict[str, str]:
    """State of the agent in each window, by window id; where there are several, the most urgent. Behind it " sandbox"
    where one of the window's is in the sandbox."""
    windows = {pane.id: pane.window for pane in server.panes}
    found: dict[str, str] = {}
    states = [(one.pane, _state(one)) for one in agents if one.server == server.socket]
    states += [(one.origin.pane, "waiting") for one in pending if one.origin.server == server.socket]
    for pane, state in states:
        window = windows.get(pane or "")
        if window and state in _URGENT and _URGENT.index(state) >= _URGENT.index(found.get(window, "limit")):
            found[window] = state
    walled = {windows.get(one.pane or "") for one in agents if one.server == server.socket and one.tier == "sandbox"}
    return {window: f"{state} sandbox" if window in walled else state for window, state in found.items()}
