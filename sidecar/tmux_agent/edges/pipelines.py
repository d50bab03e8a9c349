"""The methods `pipeline.*` and `sentry.*`. Called by methods.py only.

Owns who may, and how runs are shown. A person's call is done; anybody else's is judged like every other action. Must
not own: what follows (services/pipelines.py).
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import Any

import msgspec

from ..core import display, errors, markers, programs, readings, redact
from ..core import protocol as p
from ..core import replies as r
from ..core.chain import Record
from ..core.model import Command, Origin, Role, Shell, Stage, Tier, Verdict
from ..core.pipeline_begin import begin
from ..core.pipeline_file import ActionFile, PipelineFile, Typing, argv
from ..core.pipeline_look import stage_of, variables
from ..core.pipeline_order import awaited, ordered
from ..core.pipeline_run import ActionRun, ActionState, Cancel, Place, Retry, Run, Skip, StageRun
from ..core.pipeline_texts import filled
from ..core.pipeline_words import does, waits_for
from ..services.audit_log import AuditLog, Filter
from ..services.journal import utc_now
from ..services.system import System
from ..services.tmux.control import TmuxServer
from ..services.tmux.snapshot import Pane
from ..services.tmux.watched import place_of
from ..services.wishes import Wish
from .allowed import allowed

Acting = p.PipelineStart | p.PipelineRetry | p.PipelineSkip | p.PipelineCancel


Saying = p.SentryEmit | p.SentryWatch | p.SentryPanes | p.SentryRegister


async def sentry(system: System, params: Saying, origin: Origin) -> Any:
    """Raises InvalidParams, NotFound, Forbidden, Denied, LimitExceeded, Unavailable."""
    match params:
        case p.SentryRegister(sandbox=sandbox):
            await _register(system, origin, params)
            return r.Registered(sandbox=system.settings.sandbox if sandbox else None)
        case p.SentryEmit(marker=data):
            said = markers.of(data)
            if isinstance(said, markers.Invalid):
                raise errors.InvalidParams(f"params.marker: {said.why}")
            first, request_id = await system.sentry.emit(said, origin)
            return r.Emitted(first=first, request_id=request_id if isinstance(said, markers.Ask) else "")
        case p.SentryWatch() if origin.sandbox:
            raise errors.Forbidden("sentry.watch: which panes are watched is not said from the sandbox")
        case p.SentryWatch(pane_id=pane_id, on=on, server=server):
            await system.watching.name(system.servers.choose(server, origin), pane_id, on=on)
            return r.Nothing()
    places = sorted(system.watch.places, key=_order)
    return r.WatchedData(panes=tuple([await _watched(system, place, origin) for place in places]))


async def reading(system: System, place: tuple[str, str], *, sees: bool) -> r.ReadingData:
    """What a watched pane's output says besides markers: an agent's by its screen, another's by its words."""
    view = await system.screens.view(place)
    found = system.watch.reading(*place)
    if view is not None:
        written = [line for line in view.shot.look.lines if line.strip()]
        found = readings.of_screen(view.seen, written[-1] if written else "")
    text = display.safe(redact.redact_text(found.text)) if sees else ""
    return r.ReadingData(state=found.state, confidence=found.confidence, text=text, strategy=found.strategy)


async def _register(system: System, origin: Origin, params: p.SentryRegister) -> None:
    """A pane may be so new that nobody has told of it yet: then tmux is asked. A wrapper speaks for its agent."""
    tier: Tier = "sandbox" if params.sandbox or origin.sandbox else "baseline"
    origin = system.identity.wrapped_by(origin)
    if origin.pane is None:
        for server in system.servers.all():
            await system.servers.refresh(server)
        found = system.identity.identify(origin.pid, origin.uid)
        origin = found if found.started == origin.started else origin
    await system.wraps.register(origin, params.token_sha256, params.project, tier)
    if not programs.known(origin.agent or ""):  # nothing else tells of it
        system.agents.register(origin, params.project, origin.agent or "")
    if there := system.servers.get(origin.server) if origin.server else None:
        await system.watching.look(there)


def _order(place: Place) -> tuple[str, int]:
    return place.server, int(place.pane[1:])


async def _watched(system: System, place: Place, origin: Origin) -> r.WatchedPane:
    """Agents are not told what another pane's program has printed: reading a pane is judged (tmux.read)."""
    sees = origin.role is Role.OPERATOR or (origin.server, origin.pane) == (place.server, place.pane)
    broken = system.watch.invalid(place.server, place.pane) if sees else ()
    return r.WatchedPane(
        server=place.server,
        pane=place.pane,
        place=_place(system, place),
        how=system.watch.how(place.server, place.pane),
        invalid=tuple(display.safe(f"{one.text}: {one.why}") for one in broken),
        reading=await reading(system, (place.server, place.pane), sees=sees),
    )


def _place(system: System, place: Place | None) -> str:
    server = system.servers.get(place.server) if place else None
    panes = server.panes if server else ()
    return next((pane.place for pane in panes if place and pane.id == place.pane), "")


async def last_markers(system: System, wanted: Filter, count: int) -> list[Record]:
    """The last of what `wanted` (a pane, a time) has in the audit log of markers, good and broken, oldest first."""
    wanted = msgspec.structs.replace(wanted, types=MARKERS)
    log = AuditLog(system.journal.audit)
    return (await asyncio.to_thread(log.newest, wanted, None, count))[::-1]


MARKERS = frozenset(("marker", "marker.invalid"))

# --- looking ---


async def look(
    system: System, params: p.PipelineList | p.PipelineRuns | p.PipelineShow | p.PipelineDryRun, origin: Origin
) -> Any:
    """Raises NotFound, InvalidParams, Unavailable."""
    pipelines = system.pipelines
    match params:
        case p.PipelineList():
            found = tuple(map(declared, pipelines.files.all()))
            return r.PipelinesData(pipelines=found, errors=tuple(map(str, pipelines.files.errors)))
        case p.PipelineRuns(active=True):
            return r.RunsData(runs=tuple(shown(system, run) for run in reversed(pipelines.runs())))
        case p.PipelineRuns(pipeline=pipeline, limit=limit, cursor=cursor):
            if not 0 < limit <= 500:
                raise errors.InvalidParams("params.limit: 1 to 500")
            runs = await pipelines.history(limit + 1, pipeline, cursor or "")
            page = r.page([shown(system, run) for run in runs[:limit]], limit)
            return r.RunsData(runs=page, cursor=page[-1].run_id if len(page) < len(runs) else None)
        case p.PipelineShow(run_id=run_id):
            return shown(system, await pipelines.get(run_id))
        case p.PipelineDryRun():
            return await _dry_run(system, params, origin)


def declared(spec: PipelineFile) -> r.PipelineData:
    """A pipeline of the configuration, as it is shown."""
    return r.PipelineData(
        name=spec.name,
        stages=tuple(stage.name for stage in spec.stages),
        start=spec.start if spec.match else "manual",
        match=msgspec.to_builtins(spec.match) if spec.match else {},
    )


def shown(system: System, run: Run, *, brief: bool = False) -> r.RunData:
    """A run as it is shown: without its token. `brief`: and without what its stages do, which takes long to say."""
    waits = awaited(run)
    return r.RunData(
        run_id=run.run_id,
        pipeline=run.spec.name,
        state=run.state.value,
        created=run.created,
        ended=run.ended,
        note=display.safe(run.note),
        server=run.place.server if run.place else None,
        pane=run.place.pane if run.place else None,
        place=_place(system, run.place),
        stages=tuple(_stage(run, one, waits.get(one.name, ""), brief=brief) for one in ordered(run)),
    )


def _stage(run: Run, one: StageRun, waits: str, *, brief: bool) -> r.StageData:
    spec = stage_of(run, one)
    elsewhere = one.place is not None and one.place != run.place
    return r.StageData(
        name=one.name,
        state=one.state.value,
        attempt=one.attempt,
        since=one.since,
        started=one.started,
        ended=one.ended,
        reason=display.safe(one.reason),
        progress=one.progress,
        waits_for=display.safe(waits_for(spec, one) or waits),
        does=() if brief else tuple(map(display.safe, does(spec, run, one))),
        did=() if brief else tuple(map(_became, spec.actions_on_start, one.actions)),
        pane=one.place.pane if one.place and elsewhere else None,
    )


def _became(spec: ActionFile, action: ActionRun) -> str:
    """What came of an action, in a few words; "" where it has not begun."""
    if action.state is ActionState.PENDING:
        return ""
    tells = action.state is not ActionState.DONE or not (spec.send_keys or spec.spawn)
    detail = (action.detail or action.reading) if tells else ""
    return f"{action.state.value}: {display.safe(detail)}" if detail else str(action.state.value)


async def _dry_run(system: System, params: p.PipelineDryRun, origin: Origin) -> r.RunData:
    spec = system.pipelines.files.get(params.pipeline)
    place, facts, panes = _where(system, spec, params, origin)
    run = _begun(spec, place, facts, panes)
    acting = system.acts.origin(run, place)
    whole = shown(system, run)
    stages = []
    for data, one in zip(whole.stages, ordered(run), strict=True):
        acts = [filled(action, variables(run, one.name)) for action in stage_of(run, one).actions_on_start]
        says = tuple([await _verdict(system, action, acting, facts.get("cwd", "/")) for action in acts])
        stages.append(msgspec.structs.replace(data, verdicts=says))
    return msgspec.structs.replace(whole, stages=tuple(stages))


async def _verdict(system: System, action: ActionFile, origin: Origin, cwd: str) -> str:
    """What the policy says of an action of the person's own file: what would be done, asked or denied."""
    if action.send_keys is not None:
        text = action.send_keys.text if isinstance(action.send_keys, Typing) else action.send_keys
        what: Shell | Command = Shell(text=text, cwd=cwd)
    elif action.run is not None:
        command = action.run if isinstance(action.run, str | tuple) else action.run.command
        what = Command(argv=tuple(argv(command)), cwd=cwd)
    else:
        return "done"
    decision = await system.guard.checked(what, origin)
    if decision.verdict is Verdict.DENY:
        return f"denied by {decision.rule!r}"
    rule = system.guard.asking_rule(decision)
    return f"asked, by {rule!r}" if rule else "done"


# --- acting ---


def wanted(params: Acting) -> Stage:
    """What is wanted, as an action that can be judged and shown."""
    match params:
        case p.PipelineStart(pipeline=pipeline):
            return Stage(pipeline=pipeline, verb="start")
        case p.PipelineRetry(run_id=run_id, stage=stage):
            return Stage(pipeline="", run_id=run_id, stage=stage, verb="retry")
        case p.PipelineSkip(run_id=run_id, stage=stage):
            return Stage(pipeline="", run_id=run_id, stage=stage, verb="skip")
        case p.PipelineCancel(run_id=run_id):
            return Stage(pipeline="", run_id=run_id, verb="cancel")


async def act(system: System, params: Acting, wish: Wish) -> r.RunData:
    """Raises NotFound, InvalidParams, Conflict, Denied, Expired, Withdrawn, LimitExceeded, Unavailable."""
    pipelines, origin = system.pipelines, wish.origin
    if isinstance(params, p.PipelineStart):
        spec = pipelines.files.get(params.pipeline)
        place, facts, panes = _where(system, spec, params, origin)
        run = _begun(spec, place, facts, panes)
        lines = tuple(line for one in run.stages for line in (f"# {one.name}", *does(stage_of(run, one), run, one)))
        expecting = system.watching.expecting({one.place for one in run.stages if one.place})
        async with _allowed(system, wish, does=lines), expecting:
            return shown(system, await pipelines.start(spec, place, facts, panes))
    run = await pipelines.get(params.run_id)
    event: Retry | Skip | Cancel = Cancel(getattr(params, "why", "") or "a person cancelled it")
    if isinstance(params, p.PipelineRetry):
        event = Retry(params.stage)
    elif isinstance(params, p.PipelineSkip):
        event = Skip(params.stage)
    async with _allowed(system, wish, pipeline=run.spec.name):
        return shown(system, await pipelines.want(params.run_id, event))


def _allowed(system: System, wish: Wish, **more: Any) -> AbstractAsyncContextManager[None]:
    """Raises as allowed() does."""
    wish = msgspec.structs.replace(wish, action=msgspec.structs.replace(wish.action, **more))
    return allowed(system, wish, "a person wants it of a pipeline")


_Where = tuple[Place | None, dict[str, str], dict[str, tuple[Place, ...]]]


def _where(system: System, spec: PipelineFile, params: p.PipelineStart | p.PipelineDryRun, origin: Origin) -> _Where:
    """The pane of a run, what is known of it, and those of stages over panes. Raises NotFound, InvalidParams."""
    named = params.pane_id or (origin.pane if spec.match is None else None)
    needs_pane = named or spec.match or any(stage.panes for stage in spec.stages)
    if not needs_pane and not system.servers.all():
        return None, {}, {}
    server = system.servers.choose(params.server, origin)
    panes = system.watching.of(spec, server)
    pane = server.pane(named) if named else _matching(system, spec, server)
    if pane is None:
        return None, {}, panes
    return place_of(server, pane), system.watching.facts(server, pane), panes


def _matching(system: System, spec: PipelineFile, server: TmuxServer) -> Pane | None:
    if spec.match is None:
        return None
    found = [pane for pane in server.panes if system.watching.fits(spec, server, pane)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise errors.NotFound(f"no pane matches pipeline {spec.name!r}: name one (--pane %7)")
    raise errors.InvalidParams(f"{len(found)} panes match pipeline {spec.name!r}: name one (--pane {found[0].id})")


def _begun(spec: PipelineFile, place: Place | None, facts: dict[str, str], panes: dict[str, tuple[Place, ...]]) -> Run:
    try:
        return begin(spec, "", place, utc_now(), facts=facts, panes=panes)
    except ValueError as why:
        raise errors.InvalidParams(str(why)) from None
