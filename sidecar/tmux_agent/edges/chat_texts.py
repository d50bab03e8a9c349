"""What a chat is told of things that were done: an execution, an output, a failure. Owns these words, no state."""

from __future__ import annotations

import base64

from ..core import chat, chat_text, errors
from ..core import replies_chat as r
from ..core.chat_text import code, plain
from ..core.model import Action, Outcome, Tmux
from ..core.replies_terminals import ExecutionData
from ..core.reply import Data
from ..core.wording import one_line
from ..services.chats import Speaker


def done(action: Action, outcome: Outcome) -> r.ChatData:
    """What was done to tmux."""
    match action:
        case Tmux(verb="create_session", name=name):
            return r.ChatData(text=f"✅ Created tmux session: {plain(name)}", did="create", data={"session": name})
        case Tmux(verb="kill_session", target=name):
            return r.ChatData(text=f"✅ Killed tmux session: {plain(name)}", did="kill", data={"session": name})
        case Tmux(verb="read", target=name, options=options):
            return printed(name, _text(outcome), int(options.get("last_n_lines") or chat_text.LINES))
    return r.ChatData(text=f"✅ Done: {code(one_line(action))}", did="interrupt")


def _text(outcome: Outcome) -> str:
    """What a read gave; kept ones are plain data."""
    found = outcome.data
    return str(found.get("text", "")) if isinstance(found, dict) else str(getattr(found, "text", ""))


def executed(one: Data) -> r.ChatData:
    """An execution, as a chat shows it."""
    assert isinstance(one, ExecutionData)
    where, command = f"tmux session '{plain(one.session or one.pane_id)}'", f"Command: {code(one.command)}"
    shown = chat_text.block(output_of(one))
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


def output_of(one: ExecutionData) -> str:
    return base64.b64decode(one.output).decode(errors="replace") if one.encoding == "base64" else one.output


def printed(session: str, text: str, lines: int, *, running: bool = False) -> r.ChatData:
    shown = chat_text.block(text, lines) or "(no output)"
    runs = ", which still runs" if running else ""
    text = f"📋 Output from '{plain(session)}'{runs}:\n{shown}"
    return r.ChatData(text=text, did="output", data={"session": session})


def failed(why: errors.TmuxAgentError) -> r.ChatData:
    return r.ChatData(text=f"❌ {plain(why.message, 600)}", did="refused", ok=False, data={"error": why.kind})


def help_for(by: Speaker) -> r.ChatData:
    looks = [chat.USAGE[verb] for verb in ("show", "list", "pending", "status", "help")]
    runs = [chat.USAGE[verb] for verb in ("run", "create", "kill", "interrupt")] if by.may("runner") else []
    answers = [chat.USAGE[verb] for verb in ("approve", "deny")] if by.may("approver") else []
    lines = [f"  • {usage}" for usage in (*runs, *answers, *looks)]
    return r.ChatData(text="\n".join([f"As {by.role} you may say:", *lines]), did="help")
