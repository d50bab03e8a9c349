"""chat.say and chat.follow: what each word of a chat does, and what is said of it.

Owns what was asked for in a chat and has not ended, and the words of answers. Must not own: the grammar (core/chat.py),
who may what (services/chats.py), judging: whatever acts goes through the guard as its sender's. What waits for a person
is not waited for: the answer says so, and `follow` (a bot) or `status` (a person) asks again.
"""

from __future__ import annotations

import asyncio
import base64
import copy
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from ..core import chat, chat_text, errors
from ..core import protocol as p
from ..core import replies_chat as r
from ..core.chat_text import code, plain
from ..core.model import Approval
from ..core.replies_terminals import ExecutionData
from ..core.reply import Data
from ..core.wording import one_line
from ..services.chats import TOO_LONG, Speaker
from ..services.system import System
from ..services.wishes import Wish
from . import actions, executions, sight
from .connection import Call

WAIT_MS = 1000  # for a command's end, where nothing is said of it
FOLLOW_SECONDS = 3600.0  # the longest that chat.follow waits at once
KEPT = 500  # of what was asked for, with what came of it
LISTED = 10  # requests in one answer
LISTED_CHARS = 400  # of one that is shown whole in a list
ACTS = (chat.Run, chat.Create, chat.Kill, chat.Interrupt)  # a viewer may say anything but these


class Job:
    """One thing that somebody in a chat asked for, and what came of it."""

    def __init__(self, id_: str, by: Speaker) -> None:
        self.id = id_
        self.session = by.asks.session
        self.ended = asyncio.Event()
        self.result: r.ChatData | None = None


class Chat:
    """Built by the server; used in the event loop only."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._jobs: OrderedDict[str, Job] = OrderedDict()  # by id, the oldest first
        self._used: dict[str, str] = {}  # sender → the session of their last word

    async def call(self, params: p.ChatSay | p.ChatFollow, call: Call) -> r.ChatData:
        """Raises Forbidden where the program does not speak for a chat, InvalidParams."""
        chats = self._system.chats
        call.origin = call.connection.identify()
        chats.check_bot(params.sender, params.channel, params.token, call.origin)
        try:
            by = chats.speaker(params.sender, params.channel, call.origin)
        except (errors.Forbidden, errors.LimitExceeded) as why:
            return r.ChatData(text=why.message, did="refused", ok=False)
        try:
            if isinstance(params, p.ChatFollow):
                return await self._follow(by, params.follow_up, params.wait_secs, call)
            return await self._do(chat.read(params.text, chats.name), by, call)
        except errors.TmuxAgentError as why:
            return _failed(why)

    async def _do(self, said: chat.Said, by: Speaker, call: Call) -> r.ChatData:
        if isinstance(said, ACTS) and not by.may("runner"):
            raise errors.Forbidden(f"a {by.role} may only look: chat.senders in config.yaml says who is a runner")
        match said:
            case chat.Run():
                return await self._run(said, by, call)
            case chat.Create(session=name):
                return await self._act(by, call, p.TmuxCreateSession(session_name=name), "create", name)
            case chat.Kill(session=name):
                return await self._act(by, call, p.TmuxKillSession(session=name), "kill", name)
            case chat.Output():
                return await self._output(said, by, call)
            case chat.Sessions():
                return await self._sessions(by)
            case chat.Interrupt(id=id_):
                return await self._interrupt(by, id_, call)
            case chat.Pending():
                return self._pending(by)
            case chat.Status(id=id_):
                return await self._status(by, id_, call)
            case chat.Answer():
                return await self._answer(by, said, call)
            case chat.Help():
                return _help(by)
            case chat.Unclear(why=why):
                return r.ChatData(text=f"🤔 {plain(why, 600)}", did="unclear", ok=False)
        raise errors.Internal(f"{type(said).__name__} is read and not done")

    # --- what acts ---

    async def _run(self, said: chat.Run, by: Speaker, call: Call) -> r.ChatData:
        name = said.session or self._used.get(by.sender) or self._system.chats.session
        self._used[by.sender] = name
        wait = WAIT_MS if said.wait_ms is None else said.wait_ms
        params = p.TmuxExecute(command=said.command, session=name, wait_ms=wait)
        mine = _as(call, by, params)

        async def work() -> r.ChatData:
            return _executed(await executions.answer(self._system, params, mine))

        return await self._begin(by, mine, work)

    async def _act(self, by: Speaker, call: Call, params: p.Params, did: str, name: str) -> r.ChatData:
        """Make or end a session."""
        mine = _as(call, by, params)
        self._used[by.sender] = name if did == "create" else self._system.chats.session

        async def work() -> r.ChatData:
            wish = Wish(action=actions.tmux(params), origin=by.asks, request_id=mine.request_id)
            await self._system.guard.perform(wish)
            text = f"✅ {'Created' if did == 'create' else 'Killed'} tmux session: {plain(name)}"
            return r.ChatData(text=text, did=did, data={"session": name})

        return await self._begin(by, mine, work)

    async def _output(self, said: chat.Output, by: Speaker, call: Call) -> r.ChatData:
        """What the last command printed that a chat ran there; else what is in the pane, if that may be read."""
        name = said.session or self._used.get(by.sender) or self._system.chats.session
        lines = max(1, min(said.lines or chat_text.LINES, chat_text.LINES))
        newest = next((one for one in reversed(self._jobs.values()) if _ran(one) == name), None)
        if newest is not None:
            # Said in the chat, it is told in the chat, whoever of it began it.
            one = await executions.told(self._system, newest.id, 0, output=True, caller=by.asks)
            return _printed(name, _output_of(one), lines, running=one.status == "running")
        params = p.TmuxRead(session=name, last_n_lines=lines)
        mine = _as(call, by, params)

        async def work() -> r.ChatData:
            wish = Wish(action=actions.tmux(params), origin=by.asks, request_id=mine.request_id)
            found = (await self._system.guard.perform(wish)).data
            return _printed(name, found.text, lines)

        return await self._begin(by, mine, work)

    async def _begin(self, by: Speaker, call: Call, work: Callable[[], Coroutine[Any, Any, r.ChatData]]) -> r.ChatData:
        """Do it, until it is done or a person is asked; from then on it goes on by itself."""
        job = self._jobs[call.request_id] = Job(call.request_id, by)
        while len(self._jobs) > KEPT:
            self._jobs.popitem(last=False)
        heard = await self._system.journal.subscribe(["approval.opened"])
        doing = self._system.spawn(self._end(job, work()))

        async def asked() -> None:
            async for one in heard:
                if one.event.request_id == job.id:
                    return

        asking = asyncio.ensure_future(asked())
        try:
            await asyncio.wait({doing, asking}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            asking.cancel()
            heard.close()
        return job.result or self._waits(job)

    async def _end(self, job: Job, work: Coroutine[Any, Any, r.ChatData]) -> None:
        try:
            job.result = await work
        except errors.TmuxAgentError as why:
            job.result = _failed(why)
        except Exception:
            text = "❌ a defect of tmux-agent: it may or may not be done"
            job.result = r.ChatData(text=text, did="refused", ok=False)
            raise
        finally:
            job.ended.set()

    def _waits(self, job: Job) -> r.ChatData:
        short = self._system.chats.short(job.id)
        text = f"⏸ Somebody has to say yes first: approve {short}, or deny {short}. What came of it: status {short}"
        return r.ChatData(text=text, did="waits", follow_up=job.id, data={"request_id": job.id})

    # --- what came of it ---

    async def _follow(self, by: Speaker, id_: str, seconds: float, call: Call) -> r.ChatData:
        """Raises NotFound where this sender asked for no such thing, or that is forgotten."""
        job = self._jobs.get(id_)
        if job is None or job.session != by.asks.session:
            raise errors.NotFound(f"nothing is known of {plain(id_, 40)}: say it again")
        loop = asyncio.get_running_loop()
        late = loop.time() + max(0.0, min(seconds, FOLLOW_SECONDS))
        try:
            async with asyncio.timeout_at(late):
                await job.ended.wait()
        except TimeoutError:
            pass  # the answer says that it waits
        if job.result is None:
            return self._waits(job)
        if job.result.follow_up:
            wait = int(max(0.0, late - loop.time()) * 1000)
            params = p.TmuxExecution(execution_id=job.result.follow_up, wait_ms=wait)
            job.result = _executed(await executions.answer(self._system, params, _as(call, by, params)))
        return job.result

    async def _status(self, by: Speaker, text: str, call: Call) -> r.ChatData:
        mine = [one.id for one in self._jobs.values() if one.session == by.asks.session]
        waiting = {one.request_id: one for one in self._system.chats.visible(by)}
        if not text:
            return await self._follow(by, mine[-1], 0.0, call) if mine else self._pending(by)
        id_ = _meant(text, {*mine, *waiting})
        return self._shown(by, waiting[id_]) if id_ in waiting else await self._follow(by, id_, 0.0, call)

    async def _interrupt(self, by: Speaker, text: str, call: Call) -> r.ChatData:
        id_ = _meant(text, {one.id for one in self._jobs.values() if one.session == by.asks.session})
        params = p.TmuxInterrupt(execution_id=id_, wait_ms=WAIT_MS)
        mine = _as(call, by, params)

        async def work() -> r.ChatData:
            return _executed(await executions.answer(self._system, params, mine))

        return await self._begin(by, mine, work)

    async def _sessions(self, by: Speaker) -> r.ChatData:
        found = await sight.tmux(self._system, p.TmuxSessions(), by.asks)
        rows = msgspec.to_builtins(found)["sessions"]
        said = [f"  • {plain(one['name'], 64)} ({_count(one.get('commands', 0), 'command')} executed)" for one in rows]
        text = "\n".join(["📺 Active tmux sessions:", *said[:40]]) if said else "📺 There are no tmux sessions"
        names = [{"name": one["name"], "commands": one.get("commands", 0)} for one in rows]
        return r.ChatData(text=text, did="sessions", data={"sessions": names})

    # --- requests ---

    def _pending(self, by: Speaker) -> r.ChatData:
        waiting = self._system.chats.visible(by)
        lines = [self._line(by, one) for one in waiting[:LISTED]]
        if len(waiting) > LISTED:
            lines.append(f"… and {len(waiting) - LISTED} more")
        text = "\n".join([f"⏸ {_count(len(waiting), 'request')} waiting:", *lines]) if lines else "✅ Nothing waits"
        return r.ChatData(text=text, did="pending", data={"requests": [one.request_id for one in waiting]})

    def _line(self, by: Speaker, approval: Approval) -> str:
        """A request in a list: whole where it is short, and then it may be answered from here; else its beginning."""
        chats = self._system.chats
        short, (told, whole) = chats.short(approval.request_id), chats.look(approval)
        if not whole or len(whole) > LISTED_CHARS or told.options:
            line = plain(one_line(approval.action), 120)
            return f"  • {short}  {plain(told.title)}: {line} – all of it: status {short}"
        chats.shown(by, approval, told, whole)
        facts = dict(told.facts)
        where = f" in {plain(facts['folder'], 120)}" if "folder" in facts else ""
        only_no = f" (no yes from here: {plain(told.only_no)})" if told.only_no else ""
        return f"  • {short}  {plain(told.title)}, {facts['risk']} risk{where}{only_no}:\n{whole}"

    def _shown(self, by: Speaker, approval: Approval) -> r.ChatData:
        """All of a request."""
        chats = self._system.chats
        told, whole = chats.look(approval)
        chats.shown(by, approval, told, whole)
        short = chats.short(approval.request_id)
        told_of = [(label, what) for label, what in told.facts if label not in ("request", "digest")]
        facts = [f"{label}: {plain(what, 200)}" for label, what in told_of[:12]]
        options = [f"{at}. {plain(one, 100)}" for at, one in enumerate(told.options, 1)]
        no_yes = told.only_no or ("" if whole else TOO_LONG)
        ends = f"No yes from here: {plain(no_yes)}" if no_yes else f"approve {short}{' NUMBER' * bool(options)}"
        body = whole or chat_text.block(told.body)
        text = "\n".join([f"⏸ {short}  {plain(told.title)}:", body, *options, *facts, f"{ends} · deny {short}"])
        return r.ChatData(text=text, did="status", data={"request_id": approval.request_id, "options": told.options})

    async def _answer(self, by: Speaker, said: chat.Answer, call: Call) -> r.ChatData:
        chats = self._system.chats
        waiting = {one.request_id: one for one in chats.visible(by)}
        approval = waiting[_meant(said.id, set(waiting))]
        settled = await chats.answer(by, call.origin, approval, said.approved, said.rest)
        word = "✅ Approved" if said.approved else "🚫 Denied"
        text = f"{word} {chats.short(settled.request_id)}: {code(one_line(settled.action))}"
        data = {"request_id": settled.request_id, "approved": said.approved}
        return r.ChatData(text=text, did="answer", data=data)


def _as(call: Call, by: Speaker, params: p.Params) -> Call:
    """The call as its sender's, of something else."""
    mine = copy.copy(call)
    mine.params, mine.origin, mine.key = params, by.asks, ""
    return mine


def _meant(text: str, ids: set[str]) -> str:
    """The one id that is, or ends in, what was typed. Raises NotFound, Conflict."""
    found = [one for one in ids if one.endswith(text)]
    if not found:
        raise errors.NotFound(f"nothing that waits, or that you asked for, ends in {text}: say pending")
    if len(found) > 1:
        raise errors.Conflict(f"{len(found)} requests end in {text}: type more of the id")
    return found[0]


def _executed(one: Data) -> r.ChatData:
    """An execution, as a chat shows it."""
    assert isinstance(one, ExecutionData)
    where, command = f"tmux session '{plain(one.session or one.pane_id)}'", f"Command: {code(one.command)}"
    shown = chat_text.block(_output_of(one))
    short = one.execution_id[-6:]
    data = {"execution_id": one.execution_id, "status": one.status, "exit_code": one.exit_code, "session": one.session}
    if one.status == "running":
        front = f" ({plain(one.in_front, 60)} is in front)" if one.in_front else ""
        shown = shown or "(No output captured - command may still be running)"
        ways = f"What came of it: status {short}; to end it: interrupt {short}"
        text = f"⏳ Runs in {where}{front}. {ways}\n{command}\n{shown}"
        return r.ChatData(text=text, did="run", follow_up=one.execution_id, data=data)
    note = f" – {plain(one.note)}" if one.note else ""
    ended = "" if one.exit_code is None else f" (exit code {one.exit_code})"
    sign = "✅ Executed in" if one.exit_code == 0 else "⚠️ Ended in"
    text = f"{sign} {where}{ended}{note}:\n{command}\n{shown or '(no output)'}"
    return r.ChatData(text=text, did="run", ok=one.exit_code == 0, data=data)


def _output_of(one: ExecutionData) -> str:
    return base64.b64decode(one.output).decode(errors="replace") if one.encoding == "base64" else one.output


def _ran(job: Job) -> str:
    """The session that it ran a command in; "" where it has not, or something else."""
    found = job.result.data if job.result is not None and job.result.did == "run" else None
    return str(found["session"]) if found else ""


def _printed(session: str, text: str, lines: int, *, running: bool = False) -> r.ChatData:
    shown = chat_text.block(text, lines) or "(no output)"
    runs = ", which still runs" if running else ""
    text = f"📋 Output from '{plain(session)}'{runs}:\n{shown}"
    return r.ChatData(text=text, did="output", data={"session": session})


def _failed(why: errors.TmuxAgentError) -> r.ChatData:
    return r.ChatData(text=f"❌ {plain(why.message, 600)}", did="refused", ok=False, data={"error": why.kind})


def _help(by: Speaker) -> r.ChatData:
    looks = [chat.USAGE[verb] for verb in ("show", "list", "pending", "status", "help")]
    runs = [chat.USAGE[verb] for verb in ("run", "create", "kill", "interrupt")] if by.may("runner") else []
    answers = [chat.USAGE[verb] for verb in ("approve", "deny")] if by.may("approver") else []
    lines = [f"  • {usage}" for usage in (*runs, *answers, *looks)]
    return r.ChatData(text="\n".join([f"As {by.role} you may say:", *lines]), did="help")


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
