"""Runs the program with a wall clock that a test sets: seconds ahead of the real one, as the file CLOCK says.

jumping_clock.py ARGS: as `tmux-agent ARGS`. The monotonic clock stays what it is, as where a person sets the time.
"""

from __future__ import annotations

import os
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tmux_agent.cli import main
from tmux_agent.edges import connection, hooks
from tmux_agent.services import guard, ids, journal


def ahead() -> float:
    return float(Path(os.environ["CLOCK"]).read_text())


class Clock:
    """The datetime class, with another now."""

    def now(self, zone: Any = None) -> datetime:
        return datetime.now(zone) + timedelta(seconds=ahead())

    def __getattr__(self, name: str) -> Any:
        return getattr(datetime, name)


if __name__ == "__main__":
    for module in (connection, hooks, guard, journal):
        module.datetime = Clock()  # type: ignore[attr-defined]
    ids.new_id._now = lambda: time.time() + ahead()
    sys.exit(main(sys.argv[1:]))
