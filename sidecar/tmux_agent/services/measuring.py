"""Whether numbers are counted at all, what is so at this moment, and who may have it: joins counts.py and metrics.py
with what they are about. Must not own: numbers, names (metrics.py), the page (edges/metrics_page.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from .. import __version__
from ..core.errors import Unavailable
from ..core.queue_task import Queue
from ..core.settings import Metrics as MetricsSettings
from . import state_backups
from .agents import Agents
from .approvals import Approvals
from .counts import AGENTS, Counts, known
from .journal import Journal
from .ledger import Heard
from .metrics import Metrics, MetricsFile, Now
from .subscription import Subscription


class Measuring:
    """Built by the system; used in the event loop only. `start` once all is read that an earlier sidecar left.

    `metrics` is None where they are not wanted, or cannot be had: `wrong` says why, else "".
    """

    def __init__(
        self, settings: MetricsSettings, journal: Journal, agents: Agents, approvals: Approvals, database: Path,
        warnings: Callable[[], list[str]],
    ) -> None:  # fmt: skip
        self._settings = settings
        self._journal, self._agents, self._approvals = journal, agents, approvals
        self._database = database
        self._warnings = warnings
        self._heard: Subscription | None = None
        self._file: MetricsFile | None = None
        self._missing = ""
        self.counts = Counts()
        self.queue: Callable[[], Queue] = Queue  # the system's, which is built after it
        self.metrics: Metrics | None = None

    @property
    def wrong(self) -> str:
        return self._missing or (self._file.wrong if self._file else "")

    def start(
        self, heard: Subscription, spawn: Callable[[Coroutine[Any, Any, None]], object], changed: Callable[[], object]
    ) -> None:
        """Count from now on, where it is wanted.

        `heard` is where that comes from which `take` is given; `changed` is called when `wrong` has become another.
        """
        wanted = self._settings
        if not (wanted.http or wanted.file):
            return
        self._heard = heard
        try:
            self.metrics = Metrics(self.counts, self._now)
        except Unavailable as why:
            self._missing = why.message
            return
        for approval in self._approvals.pending():
            self.counts.waiting(approval.request_id, approval.created)
        if wanted.file:
            path = Path(wanted.file).expanduser()
            self._file = MetricsFile(self.metrics, path, max(wanted.every, 1.0), changed)
            spawn(self._file.run())

    def take(self, heard: Heard) -> None:
        """Count an event."""
        if self.metrics is not None:
            self.counts.take(heard.event, heard.timestamp)

    def _now(self) -> Now:
        queue = self.queue()
        copies = state_backups.listed(self._database)
        return Now(
            version=__version__,
            pending=len(self._approvals.pending()),
            agents=Counter((known(one.kind, AGENTS), one.state.value) for one in self._agents.list()),
            tasks=Counter((one.state.value,) for one in queue.tasks.values()),
            paused=queue.paused,
            records=self._journal.head.seq,
            unwell=bool(self._journal.unwell),
            warnings=len(self._warnings()),
            lost=self._heard.lost if self._heard else 0,
            backup=state_backups.made_at(copies[0]).timestamp() if copies else 0.0,
        )
