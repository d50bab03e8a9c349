"""Params of the methods `agent.*`: who is known, and what is told of them. Must not own: what they do."""

from __future__ import annotations

from typing import Literal

from .params import Params


class AgentRegister(Params, frozen=True):
    """Give the calling session a name and a kind."""

    name: str
    kind: str = ""


class AgentSetState(Params, frozen=True):
    """Report the calling session's state."""

    state: Literal["working", "waiting", "done", "error", "idle", "unknown"]
    detail: str = ""


class AgentList(Params, frozen=True):
    """Agents that are known, with pane, state and what they wait for."""

    limit: int = 500
    cursor: str | None = None


class AgentExplain(Params, frozen=True):
    """Why a pane has the state that it has, or why what runs there is no agent: what was told, by what, and when.

    What stands on the screen is told to operators and to the pane itself alone.
    """

    pane_id: str
    server: str | None = None


class AgentResume(Params, frozen=True):
    """Have an agent go on after its usage limit (operators only): its own menu is told to, or `resume.text` is typed at
    its prompt, if its pane still shows the limit and nothing else is typed there. `target`: a pane, or the first
    characters of a session's id.
    """

    target: str
    server: str | None = None


METHODS: dict[str, type[Params]] = {
    "agent.register": AgentRegister,
    "agent.state": AgentSetState,
    "agent.list": AgentList,
    "agent.explain": AgentExplain,
    "agent.resume": AgentResume,
}
OPERATOR_ONLY: frozenset[type[Params]] = frozenset({AgentResume})
# Nobody can tell by the request whether it was done: a client does not send these again by itself.
ONCE: frozenset[type[Params]] = frozenset({AgentResume})
