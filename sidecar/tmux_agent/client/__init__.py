"""The Python client: `Client` for ordinary code, `AsyncClient` for asyncio. Speaks docs/protocol.md.

    from tmux_agent.client import Client
    with Client(name="deploy-bot") as agent:
        if agent.ask("Deploy 1.4 to staging?", urgency="high").approved:
            agent.run("make", "deploy")

Both have the same methods (core/requests.py), typed; AsyncClient's are awaited. Both reconnect by themselves when the
sidecar restarts: a request that was in flight is sent again with the same key, under which the sidecar asks nothing
anew and runs nothing twice. Errors of the sidecar are raised as the classes of tmux_agent.core.errors; a sidecar that
stays away for `patience` seconds is errors.Unavailable. Must not own: anything the sidecar decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .blocking import Client
from .talking import PATIENCE

if TYPE_CHECKING:
    from .awaited import AsyncClient

__all__ = ["PATIENCE", "AsyncClient", "Client"]


def __getattr__(name: str) -> Any:
    """AsyncClient is imported by whoever asks for it: asyncio is a fifth of what the command line imports."""
    if name != "AsyncClient":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .awaited import AsyncClient

    return AsyncClient
