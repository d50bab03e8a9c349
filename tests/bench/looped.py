"""`python looped.py sidecar run`: the sidecar, which notes each call of its event loop that took long
(in the file TMUX_AGENT_BENCH_CALLS).

A line holds the moment (time.monotonic), how long it took, and how much of that it had to wait for a processor, in
seconds (schedstat), and what was called. For tests/bench/watching.py.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time

LONG = 0.002  # seconds
_file = open(os.environ["TMUX_AGENT_BENCH_CALLS"], "w", buffering=1)  # noqa: SIM115  # as long as the process
_schedstat = os.open(f"/proc/self/task/{threading.get_native_id()}/schedstat", os.O_RDONLY)
_run = asyncio.Handle._run  # asyncio has no public place for this


def _waited() -> float:
    return int(os.pread(_schedstat, 64, 0).split()[1]) / 1e9


def _timed(handle: asyncio.Handle) -> None:
    waited, start = _waited(), time.monotonic()
    _run(handle)
    if (took := time.monotonic() - start) > LONG:
        print(start, took, _waited() - waited, repr(handle)[:200], file=_file)


asyncio.Handle._run = _timed  # type: ignore[method-assign, assignment]

if __name__ == "__main__":
    from tmux_agent.cli import main

    sys.exit(main())
