"""The methods of persistent terminals: `tmux.execute`, `tmux.execution`, `tmux.executions`, `tmux.interrupt`. Called by
methods.py only.

Owns the order: whose turn, in which folder, judged, typed, waited for. Must not own: typing (services/executions.py),
judgement (services/guard.py).

A turn is held while the policy allows by itself; for as long as a person is asked, others have theirs. A text that was
judged in one folder is never typed in another: it is judged anew, or, where a person said yes, given up.
"""

from __future__ import annotations

import asyncio
from typing import Any

from ..core import errors, redact
from ..core import execution as marks
from ..core import protocol as p
from ..core import replies as r
from ..core.model import Decision, Origin, Outcome, Role, Shell, Tmux, Verdict
from ..services.execution_facts import Moved
from ..services.execution_rows import Row
from ..services.executions import asked_name
from ..services.persistent_terminal import Execution
from ..services.system import System
from ..services.tmux.control import TmuxServer
from ..services.tmux.snapshot import Pane
from ..services.wishes import Wish
from .connection import Call

MOST_SECONDS = 3600.0  # of one wait
AGAIN = 5  # times that it is judged anew because the shell is in another folder by then
OWN = Decision(verdict=Verdict.ALLOW, rule="your own execution", reason="it ends what the same caller began")


async def answer(system: System, params: p.Params, call: Call) -> r.Data:
    """What the four methods give back. Raises what the guard raises, Conflict (nothing was typed), NotFound."""
    match params:
        case p.TmuxExecute():
            return await _execute(system, params, call)
        case p.TmuxExecution(execution_id=id_, wait_ms=wait, capture_output=output):
            await _may_read(system, id_, call)
            return await told(system, id_, wait, output=output, caller=call.origin)
        case p.TmuxInterrupt():
            return await _interrupt(system, params, call)
        case p.TmuxExecutions():
            return await _list(system, params, call.origin)
    raise errors.Internal(f"{type(params).__name__} is no method of terminals")


# --- execute ---


async def _execute(system: System, params: p.TmuxExecute, call: Call) -> r.ExecutionData:
    if why := marks.unfit(params.command):
        raise errors.InvalidParams(f"params.command: {why}")
    if params.pane_id and params.session:
        raise errors.InvalidParams("params: give `session` or `pane_id`, not both")
    seconds = _seconds(params.wait_ms)
    asked = asked_name(call.origin, call.key, params)
    server = system.servers.choose(params.server, call.origin)
    id_ = await system.executions.asked(asked, server)
    if id_ is None:
        limit = system.settings.limits.executions_per_caller
        if system.executions.of_caller(call.origin) >= limit:
            raise errors.LimitExceeded(f"{limit} of your executions run: wait for one, or end it (tmux.interrupt)")
        id_ = await _started(system, params, call, server, asked, seconds)
    return await told(system, id_, params.wait_ms, output=params.capture_output, caller=call.origin)


async def _started(
    system: System, params: p.TmuxExecute, call: Call, server: TmuxServer, asked: str, seconds: float
) -> str:
    """The id of the execution, once it has been typed."""
    system.executions.expects(call.request_id, asked)
    for again in range(AGAIN):
        try:
            outcome = await _judged(system, params, call, server, seconds)
        except Moved:
            if again == AGAIN - 1:
                raise
        else:
            return str(outcome.data["execution_id"])
    raise AssertionError


async def _judged(
    system: System, params: p.TmuxExecute, call: Call, server: TmuxServer, seconds: float
) -> Outcome:
    found = await system.executions.find(params.pane_id, params.session, server)
    if isinstance(found, Pane):
        terminal = await system.executions.turn(found, server, call.request_id, seconds)
        try:
            wish = await _wish(system, params, call, server, found)
            decision = await system.guard.checked(wish.action, wish.origin)
            if decision.verdict is Verdict.ALLOW and not wish.origin.sandbox:  # for which a person is asked
                return await system.guard.perform(wish)
        finally:
            system.executions.leave(terminal, call.request_id)
    else:
        wish = await _wish(system, params, call, server, found)
    return await system.guard.perform(wish)


async def _wish(system: System, params: p.TmuxExecute, call: Call, server: TmuxServer, found: Pane | str) -> Wish:
    folder = call.origin.cwd or "/"
    action: Shell = await system.executions.action(params.command, found, server, folder)
    return Wish(action=action, origin=call.origin, request_id=call.request_id, key=call.key)


# --- what came of it ---


async def told(system: System, id_: str, wait_ms: int, *, output: bool, caller: Origin) -> r.ExecutionData:
    """An execution as it is, after so long at the most; whoever calls has seen that it may be told. Raises NotFound."""
    seconds = _seconds(wait_ms)
    one = system.executions.get(id_)
    if one is None:
        return _of_row(await system.executions.row(id_), caller)
    if seconds and not one.done.is_set():
        try:
            async with asyncio.timeout(seconds):
                await one.done.wait()
        except TimeoutError:
            pass  # it runs on, and the reply says so
    return _data(system, one, output=output, caller=caller)


def _seconds(wait_ms: int) -> float:
    if not 0 <= wait_ms <= MOST_SECONDS * 1000:
        raise errors.InvalidParams(f"params.wait_ms: 0 to {MOST_SECONDS * 1000:.0f}; ask again with tmux.execution")
    return wait_ms / 1000


def _data(system: System, one: Execution, *, output: bool, caller: Origin | None = None) -> r.ExecutionData:
    ended = one.done.is_set()
    found = one.output() if output else marks.Output(exact=one.exact)
    note = one.note
    try:
        if caller is not None:
            system.toolbox.made.reads(caller, len(found.text))
    except errors.LimitExceeded as why:  # it was run all the same: only its output has to wait
        found, note = marks.Output(exact=one.exact, truncated=True), f"no output: {why.message}"
    return r.ExecutionData(
        execution_id=one.id,
        status=one.status if ended else "running",
        session=one.session,
        pane_id=one.place.pane,
        server=one.place.server,
        command=redact.redact_text(one.command),
        exit_code=one.code,
        output=found.text,
        encoding=found.encoding,
        truncated=found.truncated,
        exact=found.exact and one.exact,
        duration_ms=round(one.took * 1000, 3) if ended else 0.0,
        started=one.started,
        note=note,
        in_front="" if ended else system.executions.in_front(one),
    )


async def _may_read(system: System, id_: str, call: Call) -> None:
    """What somebody else's execution prints is judged as a look at its pane."""
    one = system.executions.get(id_)
    if one is not None and not _may(system, one, call.origin):
        action = Tmux(verb="read", target=one.place.pane, server=one.place.server)
        await system.guard.perform(Wish(action=action, origin=call.origin, request_id=call.request_id))


def _of_row(row: Row, caller: Origin) -> r.ExecutionData:
    """Of one whose output is not kept any more."""
    lost = row.ended is None
    note = "it ran when the sidecar died, and nobody can tell what became of it" if lost else row.note
    return r.ExecutionData(
        execution_id=row.id,
        status="unknown" if lost else row.status,
        session=row.session,
        pane_id=row.pane,
        server=row.server,
        command=row.command if caller.role is Role.OPERATOR else "",
        exit_code=row.exit_code,
        truncated=True,
        exact=False,
        duration_ms=round(((row.ended or row.started) - row.started) * 1000, 3),
        started=row.started,
        note="; ".join(filter(None, [note, "its output is not kept any more"])),
    )


async def _list(system: System, params: p.TmuxExecutions, caller: Origin) -> r.ExecutionsData:
    """A person is told of all, anybody else of what is their own."""
    rows = await system.executions.rows(max(1, min(params.limit, 500)))
    found: list[Any] = []
    for row in rows:
        one = system.executions.get(row.id)
        if one is not None and _may(system, one, caller):
            found.append(_data(system, one, output=False))
        elif one is None and caller.role is Role.OPERATOR:
            found.append(_of_row(row, caller))
    return r.ExecutionsData(executions=tuple(found))


# --- interrupting ---


async def _interrupt(system: System, params: p.TmuxInterrupt, call: Call) -> r.ExecutionData:
    one = system.executions.get(params.execution_id)
    if one is not None and not one.done.is_set():
        action = Tmux(verb="send_keys", target=one.place.pane, keys=("C-c",), server=one.place.server)
        wish = Wish(action=action, origin=call.origin, request_id=call.request_id, key=call.key)
        if _may(system, one, call.origin):
            await system.guard.told(wish, OWN)
        else:
            await system.guard.perform(wish)
        system.executions.interrupted(one)
    return await told(system, params.execution_id, params.wait_ms, output=True, caller=call.origin)


def _may(system: System, one: Execution, origin: Origin) -> bool:
    return origin.role is Role.OPERATOR or system.executions.began(one, origin)
