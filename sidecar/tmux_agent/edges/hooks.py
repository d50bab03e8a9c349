"""`hook.event`: what an agent's hook says becomes a judgement, an approval, a state, and the answer its relay prints.

Owns what joins a hook to the approval of the same use of a tool: the owner that the kernel names, the agent's own ids,
the input's digest, the relay's id. A resend finds its approval again, also after a restart; a later hook withdraws it.
Must not own: any agent's forms (adapters/), rules, rows, or what is shown.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TypeVar

from msgspec.structs import replace

from ..core import display, errors
from ..core import protocol as p
from ..core import replies as r
from ..core.callers import family
from ..core.hooks import HookCall, HookKind, HookReply, scope
from ..core.model import (
    AgentState,
    Approval,
    ApprovalState,
    Ask,
    Decision,
    Event,
    File,
    Origin,
    Patch,
    Role,
    Shell,
    Verdict,
    digest,
)
from ..core.wording import one_line
from ..services.system import System
from ..services.wishes import Wish
from .adapters import ADAPTERS, Adapter

Key = TypeVar("Key")
Value = TypeVar("Value")

USES = 4096  # uses of tools that later hooks may name, the newest
ORPHANED = 40.0  # seconds after a restart until a relay that has not come back is taken for gone (it looks for 30)
NOTES = {
    "over": "it was answered in the agent's own dialog",
    "turn": "the agent's turn is over",
    "before": "the agent has a new prompt",
    "session": "the agent's session is over",
}
_LIVE = (ApprovalState.PENDING, ApprovalState.APPROVED, ApprovalState.DENIED)


class Waiting:
    """What is known of an approval while hooks wait for it: more than one where a relay asked again."""

    __slots__ = ("hooks", "tool_use")

    def __init__(self, tool_use: str) -> None:
        self.hooks = 0
        self.tool_use = tool_use  # the agent's id of the use it is about, "" where no hook told


class Hooks:
    """Built by the server; used in the event loop only."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._uses: dict[tuple[str, str], str] = {}  # (owner, tool_use) → key of what was about to run
        self._waiting: dict[str, Waiting] = {}  # by request_id
        # Key of what was about to run → the yes to it, by name or by a person, until the next hook of that use.
        self._said: dict[str, Decision | Approval | None] = {}
        self._late: dict[str, str] = {}  # key of what was about to run → key of the approval that its hook gave up

    async def handle(self, params: p.HookEvent, origin: Origin, request_id: str) -> r.HookData:
        """One hook, from the agent's raw input to what the agent is told.

        Raises InvalidParams for an agent that has no adapter. Cancelled (the relay is gone), the approval is withdrawn.
        """
        adapter = ADAPTERS.get(params.agent)
        if adapter is None:
            raise errors.InvalidParams(f"params.agent: hooks are known of {', '.join(ADAPTERS)}, not {params.agent!r}")
        call: HookCall = adapter.parse(params.event, params.input)
        call = replace(call, holds="any") if call.walled and origin.sandbox else call
        owner = origin.session if origin.agent else family(origin)
        session = self._system.agents.on_hook(call, origin)
        if call.limit:
            self._system.limits.noticed(session, call.limit, f"hook {call.event}")
        told = {"session": session, "process": origin.session if origin.agent else ""}
        origin = replace(origin, **told, role=Role.AGENT, why=f"a hook of {call.agent}", door="hook")
        await self._withdraw(call, owner)
        use = f"{owner} {call.key}"
        said, reply, asks = self._said.pop(use, None), HookReply(), False
        if call.kind is HookKind.JUDGE:
            self._remember(owner, call)
            earlier = _as_before(adapter, call, said) if call.again else HookReply()
            said = await self._judge(call, origin, request_id)
            asks = _holds(call, said) and not earlier.stdout
            alone = _unasked(said) if asks else said
            reply = earlier if _holds(call, said) and not asks else adapter.answer_judgement(call, alone)
        elif call.kind is HookKind.ASK:
            reply = _as_before(adapter, call, said)
            asks = call.action is not None and not reply.stdout
        if asks:
            said = await self._ask(call, origin, request_id, f"{use}:{params.relay_id or request_id}")
            reply = adapter.answer_approval(call, said) if said else reply
        if call.joins and not call.again and call.kind is HookKind.JUDGE and _is_yes(said):
            _put(self._said, use, said)
        return r.HookData(stdout=reply.stdout, stderr=reply.stderr, exit_code=reply.exit_code)

    async def drop_orphans(self) -> None:
        """Withdraw what waited before a restart and whose asker did not come back. The daemon runs it at start."""
        before = [one.request_id for one in self._system.approvals.pending()]
        await asyncio.sleep(ORPHANED)
        await self._system.approvals.withdraw_orphans(before)
        await self._system.approvals.drop_left()

    # --- about to run ---

    async def _judge(self, call: HookCall, origin: Origin, request_id: str) -> Decision | None:
        """None: it cannot be read, so there is nothing to decide. Either way it is recorded before it is answered."""
        try:
            if call.action is not None:
                return await self._system.guard.judge(Wish(action=call.action, origin=origin, request_id=request_id))
            if call.unreadable:
                told = "deny" if call.holds in ("named", "any") else "ask"
                data = {"verdict": told, "rule": "unreadable", "reason": call.unreadable, "tool": call.tool[:256]}
                event = Event(type="decision", request_id=request_id, origin=origin, data=data)
                await self._system.journal.publish(event)
        except errors.Unavailable as why:
            verdict = Verdict(self._system.judgement.policy.defaults.on_unavailable)
            named = verdict is not Verdict.ALLOW  # nothing that is not recorded is allowed by us: the agent's own rules
            return Decision(verdict=verdict, rule="on_unavailable", reason=why.message, named=named)
        return None

    def _remember(self, owner: str, call: HookCall) -> None:
        """Later hooks name this use by its id alone, or with an input that the person's answer has changed."""
        if call.tool_use:
            _put(self._uses, (owner, call.tool_use), call.key)

    # --- the agent's own dialog is about to show ---

    async def _ask(self, call: HookCall, origin: Origin, request_id: str, hook_key: str) -> Approval | None:
        """Open an approval, or find the one this relay waited for before, and wait; None: nothing could be opened."""
        agents, known = self._system.agents, self._known(hook_key)
        if known is not None and known.state is not ApprovalState.PENDING:
            return known
        request_id = known.request_id if known else request_id
        waiting = self._waiting.setdefault(request_id, Waiting(self._newest_use(hook_key)))
        waiting.hooks += 1
        agents.waits(origin.session, request_id, _words(call))
        after = AgentState.IDLE  # where the relay was ended: the person said no in the agent's dialog, or pressed Esc
        try:
            if known is None:
                await self._system.approvals.open(await self._approval(call, origin, request_id, hook_key))
            approval = await self._settled(call, request_id, hook_key, waiting)
            # The dialog of an agent that hides it while we wait shows now.
            shows = call.patience is not None and approval.state is ApprovalState.WITHDRAWN
            after = AgentState.WAITING if shows and call.kind is HookKind.ASK else AgentState.WORKING
        except (errors.LimitExceeded, errors.Unavailable):
            after = AgentState.WAITING
            return None  # the agent's own dialog is there for it
        finally:
            waiting.hooks -= 1
            if not waiting.hooks:
                del self._waiting[request_id]
                agents.waits_no_more(origin.session, request_id, after)
        return approval

    def _known(self, hook_key: str) -> Approval | None:
        """The approval that this relay waited for before, or that an earlier use of the very same could not wait for.

        An answer that came meanwhile counts for one use.
        """
        approvals = self._system.approvals
        late = approvals.find(self._late.pop(hook_key.rpartition(":")[0], ""))
        return late if late is not None and late.state in _LIVE else approvals.find(hook_key)

    async def _settled(self, call: HookCall, request_id: str, hook_key: str, waiting: Waiting) -> Approval:
        """The end of an approval. The last hook that waits for it takes it along, unless it is us who stop.

        Where the agent does not let the hook wait for so long it is still pending: then its own dialog asks, or, where
        it has none, the next use of the very same goes on waiting.
        """
        approvals = self._system.approvals
        try:
            return await approvals.wait(request_id, call.patience)
        except errors.TimedOut:
            if call.kind is HookKind.ASK and waiting.hooks == 1:
                self._system.screens.gave_up(
                    await approvals.withdraw(request_id, "its hook may wait no longer: the agent's own dialog asks")
                )
            elif call.kind is HookKind.JUDGE:
                _put(self._late, hook_key.rpartition(":")[0], approvals.get(request_id).hook_key or "")
            return approvals.get(request_id)
        except asyncio.CancelledError:
            if waiting.hooks == 1 and not self._system.approvals.stopping:
                await asyncio.shield(approvals.withdraw(request_id, "its hook has ended"))
            raise

    async def _approval(self, call: HookCall, origin: Origin, request_id: str, hook_key: str) -> Approval:
        action = call.action
        assert action is not None
        decision, rests_on = await self._system.guard.weighed(action, origin)
        preview = call.preview
        if isinstance(action, File):
            try:
                preview = await self._system.toolbox.preview(action, origin) or preview
            except errors.TmuxAgentError as why:
                preview = why.message  # the agent will run into it, too; a person may still say no
        return Approval(
            request_id=request_id,
            digest=digest(action),
            action=action,
            origin=origin,
            created=datetime.now(UTC),
            kind="hook",
            rule=decision.rule,
            reason=decision.reason,
            where=decision.where,
            risk=decision.risk,
            parts=decision.parts,
            preview=preview,
            rests_on=rests_on,
            step_up=decision.step_up,
            grants=decision.grants,
            hook_key=hook_key,
        )

    def _newest_use(self, hook_key: str) -> str:
        found = (use for (owner, use), key in reversed(self._uses.items()) if hook_key.startswith(f"{owner} {key}:"))
        return next(found, "")

    # --- no longer needed ---

    async def _withdraw(self, call: HookCall, owner: str) -> None:
        """End the open approvals that this event makes pointless."""
        if not call.withdraw:
            return
        for one in self._system.approvals.pending():
            if one.hook_key and self._pointless(call, owner, one):
                await self._system.approvals.withdraw(one.request_id, NOTES[call.withdraw])

    def _pointless(self, call: HookCall, owner: str, approval: Approval) -> bool:
        key = approval.hook_key or ""
        if call.withdraw == "over":
            waiting = self._waiting.get(approval.request_id)
            asked = waiting.tool_use if waiting else ""
            return any(
                key.startswith(f"{owner} {self._uses.get((owner, use), own)}:") and (not use or asked in ("", use))
                for use, own in call.over
            )
        if call.withdraw == "session":
            return key.startswith(f"{owner} {scope(call.session).removesuffix(':')}")
        same_turn = _turn(key) == f"{owner} {_turn(call.key + ':')}"
        return key.startswith(f"{owner} {call.scope}") and (not call.prompt or same_turn is (call.withdraw == "turn"))


def _holds(call: HookCall, decision: Decision | None) -> bool:
    """Whether a person is asked while this hook waits, as the agent cannot be told to ask by itself."""
    if decision is None or call.action is None or decision.verdict is not Verdict.ASK:
        return False
    if call.holds == "proof":
        return bool(decision.step_up)
    return call.holds == "any" or (call.holds == "named" and decision.named)


def _unasked(decision: Decision | None) -> Decision | None:
    """What the agent is told where nobody can be asked: without its proof it is no, and not the agent's dialog."""
    if decision is None or not decision.step_up:
        return decision
    return replace(decision, verdict=Verdict.DENY, reason="it demands a proof, and nobody can be asked for one now")


def _is_yes(said: Decision | Approval | None) -> bool:
    if isinstance(said, Approval):
        return said.state is ApprovalState.APPROVED
    return said is not None and said.named and said.verdict is Verdict.ALLOW


def _as_before(adapter: Adapter, call: HookCall, said: Decision | Approval | None) -> HookReply:
    """The answer by the yes that this use got when it was about to run; empty where none counts."""
    if not call.joins or said is None:
        return HookReply()
    return adapter.answer_approval(call, said) if isinstance(said, Approval) else adapter.answer_judgement(call, said)


def _put(kept: dict[Key, Value], key: Key, value: Value) -> None:
    """The newest stay."""
    kept[key] = value
    while len(kept) > USES:
        del kept[next(iter(kept))]


def _turn(hook_key: str) -> str:
    """ "owner session/helper:prompt" of "owner session/helper:prompt:digest:relay"."""
    return hook_key.rsplit(":", 2)[0]


def _words(call: HookCall) -> str:
    """What it wants, in a few words, for lists of agents."""
    match call.action:
        case Shell(text=text):
            words = text
        case File(verb=verb, path=path):
            words = f"{verb} {path}"
        case Ask(prompt=prompt):
            words = prompt
        case Patch() as patch:
            words = one_line(patch)
        case _:
            words = call.tool
    return display.safe(words[:200])
