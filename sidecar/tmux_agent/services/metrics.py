"""Metrics for Prometheus: as a page (edges/http.py), or in a file that node_exporter reads. Off unless switched on.

Owns names and labels of metrics (docs/metrics.md), the only use of prometheus_client, the file and its timer. Must not
own: counting (counts.py). What is told is told by whoever looks: nothing is measured in between.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct

from ..core.errors import Unavailable
from ..core.protocol import METHODS, Params
from .counts import BUCKETS, Counts, Waits

log = logging.getLogger(__name__)

PREFIX = "tmux_agent"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Now(Struct, frozen=True, kw_only=True):
    """What is so at this moment."""

    version: str
    pending: int
    agents: Counter[tuple[str, str]]  # agent, state
    tasks: Counter[tuple[str]]  # of the queue, by state
    paused: bool  # the queue
    records: int  # in the audit log
    unwell: bool  # nothing can be recorded
    warnings: int
    lost: int  # events that were not counted
    backup: float  # when the newest copy of the state database was made, seconds since 1970; 0: there is none


class Metrics:
    """Built by the system where it is wanted. Raises Unavailable where prometheus_client is not installed."""

    def __init__(self, counts: Counts, now: Callable[[], Now]) -> None:
        try:
            import prometheus_client
            from prometheus_client import core
        except ImportError:
            raise Unavailable(
                "metrics are wanted, and prometheus-client is not installed: pip install 'tmux-agent[metrics]'"
            ) from None
        self._text = prometheus_client.generate_latest
        self._families = core
        self._counts = counts
        self._now = now
        self._lag = 0.0
        self._registry = prometheus_client.CollectorRegistry()
        self._registry.register(self)
        prometheus_client.ProcessCollector(registry=self._registry)

    async def text(self) -> bytes:
        """All of them, as Prometheus reads them."""
        loop = asyncio.get_running_loop()
        before = loop.time()
        await asyncio.sleep(0)  # a turn of the loop: what waits in it is done first
        self._lag = loop.time() - before
        return self._text(self._registry)

    def collect(self) -> Iterator[Any]:
        """For the registry."""
        counts, now = self._counts, self._now()
        counter, gauge = self._counter, self._gauge
        yield gauge("info", "Which version runs.", {(now.version,): 1}, "version")
        yield counter("approvals_opened", "Questions put to a person.", counts.opened, "kind", "risk")
        yield counter(
            "approvals_settled", "Questions that ended, and by which door.", counts.settled, "outcome", "door"
        )
        yield self._waits("approval_wait", "How long questions waited for a person's answer.", counts.waits)
        yield gauge("approvals_pending", "Questions that wait.", {(): now.pending})
        yield counter("decisions", "Decisions of the policy, and what decided.", counts.decisions, "verdict", "source")
        yield counter("runs", "Actions that the sidecar ran, and how they ended.", counts.runs, "outcome")
        yield counter("grants", "Permissions given ahead.", counts.grants, "event")
        yield counter("refusals", "Tries to act as the operator by somebody who may not.", {(): counts.refusals})
        yield counter("notification_failures", "Messages given up after the last try.", {(): counts.notify_failures})
        yield gauge("agents", "Agents that are known.", now.agents, "agent", "state")
        yield gauge("queue_tasks", "Tasks of the queue.", now.tasks, "state")
        yield gauge("queue_paused", "1 while no task of the queue begins.", {(): int(now.paused)})
        yield counter("queue_tasks_ended", "Tasks of the queue that ended.", counts.tasks, "outcome")
        yield self._waits("queue_task", "How long the last try of a task took.", counts.tries)
        yield counter("requests", "Requests on the socket.", _by_method(counts.requests), "method")
        yield counter("request_errors", "Requests that were answered with an error.", counts.errors, "kind")
        yield counter("audit_records", "Records in the audit log, of all runs.", {(): now.records})
        yield gauge("unwell", "1 while nothing can be recorded, and so nothing done.", {(): int(now.unwell)})
        yield gauge("warnings", "What is wrong, as `tmux-agent sidecar status` says it.", {(): now.warnings})
        yield counter("events_lost", "Events that came too fast to be counted.", {(): now.lost})
        yield gauge("state_backup_timestamp_seconds", "When the state database was last copied.", {(): now.backup})
        yield gauge("loop_lag_seconds", "How long a turn of the event loop took just now.", {(): self._lag})

    def _counter(self, name: str, about: str, values: Any, *labels: str) -> Any:
        return _filled(self._families.CounterMetricFamily(f"{PREFIX}_{name}", about, labels=labels), values)

    def _gauge(self, name: str, about: str, values: Any, *labels: str) -> Any:
        return _filled(self._families.GaugeMetricFamily(f"{PREFIX}_{name}", about, labels=labels), values)

    def _waits(self, name: str, about: str, waits: Waits) -> Any:
        total, buckets = 0, []
        for most, count in zip((*map(str, BUCKETS), "+Inf"), waits.counts, strict=True):
            total += count
            buckets.append((most, total))
        full = f"{PREFIX}_{name}_seconds"
        return self._families.HistogramMetricFamily(full, about, buckets=buckets, sum_value=waits.sum)


def _by_method(requests: Counter[type[Params]]) -> dict[tuple[str], int]:
    return {(name,): requests[kind] for name, kind in METHODS.items() if kind in requests}


def _filled(family: Any, values: Any) -> Any:
    for labels, value in sorted(values.items()):
        family.add_metric(labels, value)
    return family


class MetricsFile:
    """Writes the metrics into `path` every so many seconds; `wrong` says why it could not, else "".

    Whoever reads a file is not heard of, so this is a slow timer (docs/architecture.md), on only where it is wanted.
    """

    def __init__(self, metrics: Metrics, path: Path, every: float, changed: Callable[[], object]) -> None:
        """`changed` is called when `wrong` has become another."""
        self._metrics = metrics
        self._path = path
        self._every = every
        self._changed = changed
        self.wrong = ""

    async def run(self) -> None:
        """For ever."""
        while True:
            before = self.wrong
            try:
                await asyncio.to_thread(_put, self._path, await self._metrics.text())
                self.wrong = ""
            except OSError as why:
                self.wrong = f"{self._path} cannot be written: {why.strerror}"
            if self.wrong != before:
                if self.wrong:
                    log.warning("%s", self.wrong)
                self._changed()
            await asyncio.sleep(self._every)


def _put(path: Path, text: bytes) -> None:
    """Replace the file whole: whoever reads sees the old one or the new one. node_exporter is another user: 0644."""
    fresh = path.with_name(f".{path.name}.new")  # node_exporter reads *.prom and no others
    try:
        with open(fresh, "wb", opener=_readable) as out:
            os.fchmod(out.fileno(), 0o644)
            out.write(text)
        fresh.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            fresh.unlink()
        raise


def _readable(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
