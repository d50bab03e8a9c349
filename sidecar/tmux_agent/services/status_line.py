"""What the status line has to say: how many agents work and wait, what is unwell, and the mark of each window.

Owns which state counts as what. Must not own: how it is drawn (tmux/badge.py), what is unwell (system.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ..core.model import Agent, AgentState, Approval
from .tmux.badge import Counts
from .tmux.control import TmuxServer


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
