"""The methods `queue.*`. Called by methods.py only.

Owns who may, and how tasks are shown. A person's call is done; anybody else's is judged like every other action. Must
not own: what follows (services/queue.py), what tasks mean (services/queue_files.py).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

from ..core import display, errors, replies
from ..core import protocol as p
from ..core import replies_queue as r
from ..core.model import File, Fleet, Origin, Role, Verdict
from ..core.pipeline_file import words
from ..core.queue_file import kind
from ..core.queue_task import ENDED, Queue, Task, TaskState, Try
from ..core.queue_words import plan, waits_for, would
from ..core.reply import Nothing
from ..services import queue_files
from ..services.journal import utc_now
from ..services.system import System
from ..services.wishes import Wish
from .allowed import allowed

LAST = 10  # tasks that have ended, and are shown where not all are wanted
PERSON = "a person wants it of the queue"
NO_TASK = Fleet(verb="queue")


async def look(system: System, params: Any, origin: Origin) -> Any:
    """Raises NotFound, InvalidParams."""
    sees = origin.role is Role.OPERATOR
    match params:
        case p.QueueList():
            return _listed(system, params, sees=sees)
        case p.QueueShow(task=word):
            return shown(system, system.queue.find(word), sees=sees, whole=True)
        case p.QueueLog(task=word, attempt=attempt):
            return await _log(system, system.queue.find(word), attempt)
        case p.QueueEnded(exit_code=code):
            system.task_panes.exited(origin.server, origin.pane, code)
            return Nothing()


async def act(system: System, params: Any, wish: Wish) -> Any:
    """Raises NotFound, InvalidParams, Conflict, Denied, Expired, Withdrawn, LimitExceeded, Unavailable."""
    queue = system.queue
    match params:
        case p.QueueAdd() | p.QueueLoad():
            return await _add(system, params, wish)
        case p.QueueRun(dry_run=True):
            return r.QueueRunData(paused=queue.state.paused, steps=await _steps(system, queue.state))
        case p.QueueRun() | p.QueuePause():
            pauses = isinstance(params, p.QueuePause)
            async with allowed(system, _wished(wish, "pause the queue" if pauses else "let the queue go on"), PERSON):
                await queue.pause(on=pauses)
            return r.QueueRunData(paused=queue.state.paused)
        case p.QueueRetry(task=word):
            one = queue.find(word)
            async with allowed(system, _wished(wish, f"try {one.name} again: {would(one)}", one), PERSON):
                return shown(system, await queue.retry(one), sees=wish.origin.role is Role.OPERATOR)
        case p.QueueCancel():
            return await _cancel(system, params, wish)


# --- looking ---


def _listed(system: System, params: p.QueueList, *, sees: bool) -> r.QueueData:
    if not 0 < params.limit <= 1000:
        raise errors.InvalidParams("params.limit: 1 to 1000")
    state = system.queue.state
    tasks = sorted(state.tasks.values(), key=lambda one: one.task_id)
    if not params.all:
        last = sorted((one for one in tasks if one.state in ENDED), key=lambda one: one.since)[-LAST:]
        tasks = [one for one in tasks if one.state not in ENDED or one in last]
    after = [one for one in tasks if one.task_id > (params.cursor or "")]
    found = replies.page([shown(system, one, sees=sees) for one in after[: params.limit]], params.limit)
    return r.QueueData(
        tasks=found,
        paused=state.paused,
        counts=dict(Counter(one.state.value for one in state.tasks.values())),
        cursor=found[-1].task_id if len(found) < len(after) else None,
    )


def shown(system: System, one: Task, *, sees: bool, whole: bool = False) -> r.TaskData:
    """A task as it is shown; `sees`: to somebody who may read what other panes have printed."""
    queue = system.queue
    waits = waits_for(queue.state, one, queue.room(), utc_now()) or queue.held_up.get(one.task_id, "")
    if one.state is TaskState.RETRYING and not sees:
        waits = waits.partition(":")[0]  # the rest may be what its agent said
    return r.TaskData(
        task_id=one.task_id,
        name=one.name,
        state=one.state.value,
        since=one.since,
        created=one.created,
        by=one.by,
        agent=(one.last.kind if one.last else "") or kind(one.spec),
        repository=one.spec.repository,
        priority=one.spec.priority or 0,
        needs=words(one.spec.needs),
        attempt=one.attempt,
        waits_for=display.safe(waits),
        reason=display.safe(one.reason) if sees else "",
        progress=one.progress,
        due=one.due,
        server=one.place.server if one.place else None,
        pane=one.place.pane if one.place else None,
        tries=tuple(_try(each, sees=sees) for each in (one.tries if whole else one.tries[-1:])),
        spec=one.spec if whole and sees else None,
    )


def _try(one: Try, *, sees: bool) -> r.TryData:
    given = msgspec.structs.asdict(one)
    for name in ("message", "output", "note", "reason"):
        given[name] = display.safe(given[name], newlines=name == "output") if sees else ""
    return r.TryData(**given)


async def _log(system: System, one: Task, attempt: int | None) -> r.QueueLogData:
    kept = tuple(each.attempt for each in one.tries)
    wanted = attempt if attempt is not None else one.attempt
    if wanted not in kept:
        had = f"it has {', '.join(map(str, kept))}" if kept else "it has had none"
        raise errors.NotFound(f"{one.name} has no try {wanted}: {had}")
    text = await system.task_acts.output(one, wanted)
    return r.QueueLogData(
        task_id=one.task_id, name=one.name, attempt=wanted, text=display.safe(text or "", newlines=True), attempts=kept
    )


async def _steps(system: System, state: Queue) -> tuple[r.StepData, ...]:
    """In a thread: of a thousand tasks that need each other it takes a second."""
    steps = await asyncio.to_thread(plan, state, system.queue.room(), utc_now())
    return tuple(r.StepData(**msgspec.structs.asdict(one)) for one in steps)


# --- acting ---


async def _add(system: System, params: p.QueueAdd | p.QueueLoad, wish: Wish) -> r.AddedData:
    queue, origin = system.queue, wish.origin
    server = system.servers.choose(params.server, origin).socket
    tasks, wrong = await _wanted(system, params, origin)
    if wrong and isinstance(params, p.QueueAdd):
        raise errors.InvalidParams("; ".join(f"{one.path}: {one.message}" for one in wrong))
    if wrong:
        return r.AddedData(errors=tuple(map(str, wrong)))
    made = queue.made(tasks, "", server)
    if params.dry_run:
        trial = Queue({**queue.state.tasks, **{one.task_id: one for one in made}}, queue.state.paused)
        return r.AddedData(steps=await _steps(system, trial))
    action = Fleet(
        verb="queue",
        repository=", ".join(sorted({one.repository for one in tasks})),
        agent=", ".join(sorted({kind(one) for one in tasks})),
        text="\n\n".join(f"{one.name}: " * (len(tasks) > 1) + one.task.strip() for one in tasks),
        does=tuple(f"{one.name}: {line}" for one in made for line in (would(one), *_variables(one, origin))),
    )
    async with allowed(system, msgspec.structs.replace(wish, action=action), PERSON):
        if await _wanted(system, params, origin) != (tasks, ()):  # it may have waited for a person
            raise errors.Conflict("the tasks, or the queue, have changed since this was asked: ask again")
        added = await queue.add(tasks, _who(origin), server)
    sees = origin.role is Role.OPERATOR
    return r.AddedData(tasks=tuple(shown(system, queue.state.tasks[one.task_id], sees=sees) for one in added))


async def _wanted(system: System, params: p.QueueAdd | p.QueueLoad, origin: Origin) -> queue_files.Found:
    known, open_names = system.queue.names()
    files = system.fleet.files
    if isinstance(params, p.QueueAdd):
        folder = params.repository or origin.cwd
        if not folder.startswith("/"):
            raise errors.InvalidParams("params.repository: an absolute path")
        return await queue_files.placed(params.tasks, "params", folder, files, known, open_names)
    path = Path(params.file)
    if not path.is_absolute():
        raise errors.InvalidParams("params.file: an absolute path")
    if origin.role is not Role.OPERATOR:  # what is wrong with a file tells what is in it
        decision = await system.guard.checked(File(verb="read", path=params.file), origin)
        if decision.verdict is not Verdict.ALLOW or origin.sandbox:
            raise errors.Denied(f"no rule lets you read {params.file}: use queue.add", rule=decision.rule)
    tasks, wrong = await asyncio.to_thread(queue_files.read, path, system.trusted)
    if wrong:
        return (), wrong
    return await queue_files.placed(tasks, params.file, str(path.parent), files, known, open_names)


async def _cancel(system: System, params: p.QueueCancel, wish: Wish) -> r.QueueData:
    queue = system.queue
    if params.all == bool(params.tasks):
        raise errors.InvalidParams("params.tasks: name some, or say all: true")
    tasks = [queue.find(word) for word in params.tasks]
    if params.all:
        tasks = [one for one in queue.state.tasks.values() if one.state not in ENDED]
    if over := [one for one in tasks if one.state in ENDED]:
        raise errors.Conflict(f"{over[0].name} has ended ({over[0].state.value}): there is nothing to cancel")
    names = ", ".join(one.name for one in tasks)
    kills = Fleet(verb="kill", name=names, does=("cancel these tasks of the queue, and end their sessions",))
    who = "a person" if wish.origin.role is Role.OPERATOR else "an agent, which was allowed to,"
    async with allowed(system, msgspec.structs.replace(wish, action=kills), PERSON):
        await queue.cancel(tasks, params.why or f"{who} cancelled it")
    sees = wish.origin.role is Role.OPERATOR
    after = [queue.state.tasks[one.task_id] for one in tasks if one.task_id in queue.state.tasks]
    return r.QueueData(tasks=tuple(shown(system, one, sees=sees) for one in after), paused=queue.state.paused)


def _wished(wish: Wish, does: str, one: Task | None = None) -> Wish:
    spec = one.spec if one else None
    action = Fleet(
        verb="queue", does=(does,), name=one.name if one else "", repository=spec.repository if spec else "",
        text=spec.task if spec else "", agent=kind(spec) if spec else "",
    )  # fmt: skip
    return msgspec.structs.replace(wish, action=action)


def _variables(one: Task, origin: Origin) -> list[str]:
    """What its agent is to find in its environment: whoever says yes to another's task sees the values, which may
    decide what is run; a person's own may be secrets."""
    shows = origin.role is not Role.OPERATOR
    return [f"set {name}={value}" if shows else f"set {name}" for name, value in one.spec.env.items()]


def _who(origin: Origin) -> str:
    """Who adds, in words."""
    if origin.role is Role.OPERATOR:
        return "you"
    return display.safe(f"{origin.agent or 'somebody'} in {origin.place or origin.pane or 'no pane'}")
