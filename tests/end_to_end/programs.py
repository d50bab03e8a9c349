"""Where the real agents are, as scripts/test installs them. To be asked before any test changes the environment."""

from __future__ import annotations

import os
from pathlib import Path


def find(agent: str) -> str | None:
    """The program: by TMUX_AGENT_TEST_CLAUDE and its kin, else in the cache folder; None where it is not there."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tmux-agent-tests"
    named = os.environ.get(f"TMUX_AGENT_TEST_{agent.upper()}") or str(cache / "node_modules" / ".bin" / agent)
    return named if os.access(named, os.X_OK) else None
