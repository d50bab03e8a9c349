"""What the methods `sentry.*` and `pipeline.*` give back. Owns only shapes, as replies.py, whose REPLIES names them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from .replies_agents import ReadingData
from .reply import Data, Nothing
from .settings import Sandbox


class Registered(Data, frozen=True):
    """`sandbox`: the settings of that name, where they were asked for."""

    sandbox: Sandbox | None = None


class Emitted(Data, frozen=True):
    """`first`: whether it was new. `request_id`: of the question that an ASK became."""

    first: bool
    request_id: str = ""


class WatchedPane(Data, frozen=True):
    server: str
    pane: str
    place: str
    how: str  # "its output", "from its screen", "not yet"
    invalid: tuple[str, ...] = ()  # lines that began as markers and were none, with why
    reading: ReadingData = ReadingData()


class WatchedData(Data, frozen=True):
    panes: tuple[WatchedPane, ...]


class PipelineData(Data, frozen=True):
    name: str
    stages: tuple[str, ...]
    start: str  # match, manual
    match: dict[str, Any] = msgspec.field(default_factory=dict)


class PipelinesData(Data, frozen=True):
    pipelines: tuple[PipelineData, ...]
    errors: tuple[str, ...] = ()


class StageData(Data, frozen=True):
    """One stage of a run, or one instance of it. `does`: its actions, a line each; `did`: what came of each so far;
    `waits_for`: in words. `pane`: where it is another than the run's."""

    name: str
    state: str
    attempt: int = 0
    since: datetime | None = None
    started: datetime | None = None
    ended: datetime | None = None
    reason: str = ""
    progress: float | None = None
    waits_for: str = ""
    does: tuple[str, ...] = ()
    did: tuple[str, ...] = ()  # "", "doing", "done", "failed: exit code 2", "unknown"
    verdicts: tuple[str, ...] = ()  # of a dry run: what the policy says of each action
    pane: str | None = None


class RunData(Data, frozen=True):
    run_id: str
    pipeline: str
    state: str
    created: datetime
    stages: tuple[StageData, ...]
    ended: datetime | None = None
    note: str = ""
    server: str | None = None
    pane: str | None = None
    place: str = ""


class RunsData(Data, frozen=True):
    runs: tuple[RunData, ...]
    cursor: str | None = None


REPLIES: dict[str, Any] = {
    "sentry.emit": Emitted,
    "sentry.register": Registered,
    "sentry.watch": Nothing,
    "sentry.panes": WatchedData,
    "pipeline.list": PipelinesData,
    "pipeline.runs": RunsData,
    "pipeline.show": RunData,
    "pipeline.start": RunData,
    "pipeline.retry": RunData,
    "pipeline.skip": RunData,
    "pipeline.cancel": RunData,
    "pipeline.dry_run": RunData,
}
