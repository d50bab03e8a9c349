"""Values that many tests of services need: origins, approvals, a journal in a folder."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ParamSpec

from tmux_agent.core.model import Approval, Command, Origin, Role, digest
from tmux_agent.services.ids import new_id
from tmux_agent.services.journal import Journal

P = ParamSpec("P")

AGENT = Origin(role=Role.AGENT, why="descends from claude", uid=1000, pid=41, started=7, agent="claude", session="s1")
PERSON = Origin(role=Role.OPERATOR, why="the popup", uid=1000, pid=99, started=8, client="/dev/pts/1", door="popup")
ACTION = Command(argv=("git", "push"), cwd="/src/shop")


def question(**changes: Any) -> Approval:
    """A new approval of AGENT for ACTION, with `changes`."""
    values: dict[str, Any] = {
        "request_id": new_id(), "digest": digest(ACTION), "action": ACTION, "origin": AGENT,
        "created": datetime.now(UTC),
    }  # fmt: skip
    return Approval(**{**values, **changes})


async def started(folder: Path, **options: Any) -> Journal:
    """A running journal whose files are in `folder`."""
    journal = Journal(folder / "state.db", folder / "audit.jsonl", **options)
    await journal.start()
    return journal


def in_loop(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run an asynchronous test in an event loop of its own."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run(test(*args, **kwargs))

    return run
