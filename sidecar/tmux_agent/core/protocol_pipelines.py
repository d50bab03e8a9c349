"""Params of the methods `sentry.*` and `pipeline.*`: markers, and runs that they move. Must not own: what they do."""

from __future__ import annotations

from typing import Any

from .params import Params


class SentryEmit(Params, frozen=True):
    """A marker over the socket instead of in the output: `{"type": "STATUS", "stage": "build", "ok": true}`.

    It counts for the caller's own pane. Under an `id` in it, it counts once, however often it is sent.
    """

    marker: dict[str, Any]


class SentryWatch(Params, frozen=True):
    """Watch a pane for markers, besides those that pipelines and rules watch (`on` false: no longer)."""

    pane_id: str
    on: bool = True
    server: str | None = None


class SentryRegister(Params, frozen=True):
    """What `tmux-agent wrap` asks, in the process that becomes the agent: markers in its pane whose `run` has this
    SHA-256 are signed, as long as it lives. For its own process, or the wrapper's for the one that it started, once;
    `project` is the agent's name for people. `sandbox`: it is about to enter the sandbox, and wants to know what the
    person has set for it.
    """

    token_sha256: str
    project: str = ""
    sandbox: bool = False


class SentryPanes(Params, frozen=True):
    """Panes that are watched, how each is read, and lines that began as markers and were none."""


class PipelineList(Params, frozen=True):
    """The pipelines that the configuration declares, and what is wrong with it."""


class PipelineRuns(Params, frozen=True):
    """Runs, newest first: of one pipeline; only those under way where `active`; older than the run id `cursor`."""

    pipeline: str = ""
    active: bool = False
    limit: int = 50
    cursor: str | None = None


class PipelineShow(Params, frozen=True):
    """One run, with what each stage does and waits for."""

    run_id: str


class PipelineStart(Params, frozen=True):
    """Begin a run, in a pane where one is named. An agent's call is judged, as the next three are."""

    pipeline: str
    pane_id: str | None = None
    server: str | None = None


class PipelineRetry(Params, frozen=True):
    """Try a stage again that failed, or all that did."""

    run_id: str
    stage: str = ""


class PipelineSkip(Params, frozen=True):
    """Take a stage for done, so that what needs it goes on."""

    run_id: str
    stage: str


class PipelineCancel(Params, frozen=True):
    """End a run; what it waits for is withdrawn."""

    run_id: str
    why: str = ""


class PipelineDryRun(Params, frozen=True):
    """What a pipeline would do, stage by stage, and what the policy says of it. Does and records nothing."""

    pipeline: str
    pane_id: str | None = None
    server: str | None = None


METHODS: dict[str, type[Params]] = {
    "sentry.emit": SentryEmit,
    "sentry.register": SentryRegister,
    "sentry.watch": SentryWatch,
    "sentry.panes": SentryPanes,
    "pipeline.list": PipelineList,
    "pipeline.runs": PipelineRuns,
    "pipeline.show": PipelineShow,
    "pipeline.start": PipelineStart,
    "pipeline.retry": PipelineRetry,
    "pipeline.skip": PipelineSkip,
    "pipeline.cancel": PipelineCancel,
    "pipeline.dry_run": PipelineDryRun,
}
# Nobody can tell by the request whether it was done: a client does not send these again by itself.
ONCE: frozenset[type[Params]] = frozenset({PipelineStart, PipelineRetry, PipelineSkip, PipelineCancel})
