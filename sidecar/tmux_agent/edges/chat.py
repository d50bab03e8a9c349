"""chat.say and chat.follow: what each word of a chat does, and what is said of it.

Owns what each word does, and how requests are shown. Must not own: the grammar (core/chat.py), who may what
(services/chats.py), what becomes of what was asked for (chat_jobs.py), judging: whatever acts goes through the guard as
its sender's.
"""

from __future__ import annotations

import copy

import msgspec

from ..core import chat, chat_text, errors
from ..core import protocol as p
from ..core import replies_chat as r
from ..core.chat_text import code, plain
from ..core.model import Approval
from ..core.wording import one_line
from ..services.approval_records import too_late
from ..services.chats import TOO_LONG, Speaker
from ..services.system import System
from ..services.wishes import Wish
from . import actions, chat_texts, executions, sight
from .chat_jobs import WAIT_MS, Jobs, meant
from .connection import Call

LISTED = 10  # requests in one answer
LISTED_CHARS = 400  # of one that is shown whole in a list
ACTS = (chat.Run, chat.Create, chat.Kill, chat.Interrupt)  # a viewer may say anything but these


class Chat:
    """Built by the server; used in the event loop only."""

    def __init__(self, system: System) -> None:
        self._system = system
        self.jobs = Jobs(system)
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
                return await self.jobs.follow(by, params.follow_up, params.wait_secs)
            return await self._do(chat.read(params.text, chats.name), by, call)
        except errors.TmuxAgentError as why:
            return chat_texts.failed(why)

    async def _do(self, said: chat.Said, by: Speaker, call: Call) -> r.ChatData:
        if isinstance(said, ACTS) and not by.may("runner"):
            raise errors.Forbidden(f"a {by.role} may only look: chat.senders in config.yaml says who is a runner")
        match said:
            case chat.Run():
                return await self._run(said, by, call)
            case chat.Create(session=name):
                self._used[by.sender] = name
                return await self._act(by, call, p.TmuxCreateSession(session_name=name))
            case chat.Kill(session=name):
                self._used.pop(by.sender, None)
                return await self._act(by, call, p.TmuxKillSession(session=name))
            case chat.Output():
                return await self._output(said, by, call)
            case chat.Sessions():
                return await self._sessions(by)
            case chat.Interrupt(id=id_):
                return await self._interrupt(by, id_, call)
            case chat.Pending():
                return self._pending(by)
            case chat.Status(id=id_):
                return await self._status(by, id_)
            case chat.Answer():
                return await self._answer(by, said, call)
            case chat.Help():
                return chat_texts.help_for(by)
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
            return chat_texts.executed(await executions.answer(self._system, params, mine))

        return await self.jobs.begin(by, mine, work)

    async def _act(self, by: Speaker, call: Call, params: p.Params) -> r.ChatData:
        """Do something to tmux."""
        mine = _as(call, by, params)
        wish = Wish(action=actions.tmux(params), origin=by.asks, request_id=mine.request_id)

        async def work() -> r.ChatData:
            return chat_texts.done(wish.action, await self._system.guard.perform(wish))

        return await self.jobs.begin(by, mine, work)

    async def _output(self, said: chat.Output, by: Speaker, call: Call) -> r.ChatData:
        """What the last command printed that a chat ran there; else what is in the pane, if that may be read."""
        name = said.session or self._used.get(by.sender) or self._system.chats.session
        lines = max(1, min(said.lines or chat_text.LINES, chat_text.LINES))
        if newest := self.jobs.ran_in(name):
            # Said in the chat, it is told in the chat, whoever of it began it.
            one = await executions.told(self._system, newest, 0, output=True, caller=by.asks)
            return chat_texts.printed(name, chat_texts.output_of(one), lines, running=one.status == "running")
        return await self._act(by, call, p.TmuxRead(session=name, last_n_lines=lines))

    # --- what came of it ---

    async def _status(self, by: Speaker, text: str) -> r.ChatData:
        mine = self.jobs.ids(by.asks)
        waiting = {one.request_id: one for one in self._system.chats.visible(by)}
        if not text:
            return await self.jobs.follow(by, mine[-1], 0.0) if mine else self._pending(by)
        id_ = await self.jobs.meant(text, by.asks, waiting)
        return self._shown(by, waiting[id_]) if id_ in waiting else await self.jobs.follow(by, id_, 0.0)

    async def _interrupt(self, by: Speaker, text: str, call: Call) -> r.ChatData:
        id_ = await self.jobs.meant(text, by.asks)
        if self._system.approvals.waits(id_):
            await self._system.approvals.withdraw(id_, f"{by.sender} took it back")
            return r.ChatData(text=f"🚫 Taken back: {self._system.chats.short(id_)}", did="interrupt")
        params = p.TmuxInterrupt(execution_id=id_, wait_ms=WAIT_MS)
        mine = _as(call, by, params)

        async def work() -> r.ChatData:
            return chat_texts.executed(await executions.answer(self._system, params, mine))

        return await self.jobs.begin(by, mine, work)

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
        chats.check_answering(by, call.origin)
        waiting = {one.request_id: one for one in chats.visible(by)}
        id_ = meant(said.id, {*waiting, *chats.seen(by)})
        if id_ not in waiting:
            raise too_late(await self._system.approvals.stored(id_))
        approval = waiting[id_]
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


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
