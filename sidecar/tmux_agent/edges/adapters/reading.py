"""What all adapters have in common: how a hook's input is decoded, how tools become actions, how reasons are worded.

Pure. Must not own: any agent's names and forms, what an agent makes of an answer (claude.py and its kin).
"""

from __future__ import annotations

import os.path
from collections.abc import Callable, Collection, Iterable
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import Struct

from ...core import display
from ...core.hooks import KEY_PART, HookCall, HookKind
from ...core.model import Action, AgentState, Approval, Ask, Decision, Fetch, File, Shell

TEXT = 2000  # characters of a reason; Claude itself cuts at 10 000
DETAIL = 200

Form = TypeVar("Form", bound=Struct)


class Told(Struct, frozen=True):
    """What an event tells: how it is answered, the state after it, which open approvals it makes pointless."""

    kind: HookKind
    state: AgentState | None = None
    withdraw: Literal["", "over", "turn", "before", "session"] = ""
    detail: str = ""  # the members that say more, by blanks


class Shape(Struct, frozen=True):
    """How a tool's input becomes an action: the action's members by the input's, and members that never change."""

    make: type[Shell | File | Fetch]
    members: dict[str, str]
    always: dict[str, Any] = {}

    def values(self, given: dict[str, Any]) -> dict[str, Any]:
        """The action's members as the input has them, not checked yet."""
        named = {name: given[member] for name, member in self.members.items() if given.get(member) is not None}
        return named | self.always

    def put(self, given: dict[str, Any], action: Action) -> dict[str, Any]:
        """The input with what an action of this kind says, where it had such members."""
        wanted = {member: getattr(action, name) for name, member in self.members.items() if member in given}
        return given | wanted


# --- reading -----------------------------------------------------------------------------------------


def decode(data: bytes | str | dict[str, Any], form: type[Form]) -> tuple[dict[str, Any], Form]:
    """A hook's input, whole and as far as `form` knows it; what is null counts as missing. Raises ValueError."""
    try:
        raw = data if isinstance(data, dict) else msgspec.json.decode(data)
        return raw, msgspec.convert({name: value for name, value in raw.items() if value is not None}, form)
    except (msgspec.MsgspecError, UnicodeError, RecursionError, AttributeError) as why:
        raise ValueError(f"the hook's input cannot be read: {why}") from None


class Common(Struct, frozen=True):
    """What every event of Claude Code, and of those that do as it does, may carry. Anything else is ignored."""

    session_id: str = ""
    agent_id: str = ""
    cwd: str = ""
    permission_mode: str = ""
    tool_name: str = ""
    tool_use_id: str = ""
    tool_input: dict[str, Any] = {}


def common_call(
    agent: str, event: str, told: Told, raw: dict[str, Any], common: Common, *, prompt: str = "", **more: Any
) -> HookCall:
    """The call without what it is about; `prompt`: the turn, `more`: members that are this agent's own."""
    return HookCall(
        agent=agent,
        event=event,
        kind=told.kind,
        session=common.session_id[:KEY_PART],
        subagent=common.agent_id[:KEY_PART],
        prompt=prompt[:KEY_PART],
        tool=common.tool_name,
        tool_use=common.tool_use_id[:KEY_PART],
        tool_input=common.tool_input,
        cwd=common.cwd,
        mode=common.permission_mode,
        withdraw=told.withdraw,
        detail=": ".join(filter(None, (line(raw.get(name)) for name in told.detail.split()))),
        begins=event == "SessionStart" and raw.get("source") != "compact",
        ended=event == "SessionEnd",
        **more,
    )


def line(value: Any) -> str:
    """The first line of a text, cut; "" of anything else."""
    return value.strip().partition("\n")[0][:DETAIL] if isinstance(value, str) else ""


def noted(given: dict[str, Any], names: Iterable[str]) -> list[str]:
    """Members of a tool's input that no action has, and that are shown beside it."""
    return [f"{name}: {line(str(given[name]))}" for name in names if given.get(name)]


def with_action(call: HookCall, read: Callable[[], Action | None], notes: Collection[str] = ()) -> HookCall:
    """The call with the action that `read` finds it to be about, or with why there is none."""
    try:
        if not os.path.isabs(call.cwd):
            raise ValueError("the folder that it works in is missing")
        action = read()
    except (ValueError, RecursionError) as why:
        return msgspec.structs.replace(call, unreadable=f"the input of {call.tool or 'a tool'} cannot be read: {why}")
    return msgspec.structs.replace(call, action=action, preview="\n".join(notes) or call.preview)


def tool(call: HookCall) -> str:
    """The name of the tool that is used. Raises ValueError where none is told."""
    if not call.tool:
        raise ValueError("the tool's name is missing")
    return call.tool


def searched(path: str, pattern: Any) -> str:
    """The folder a search begins in. A pattern of paths is a path of its own, and may lead out of `path`."""
    if not isinstance(pattern, str):
        raise ValueError("the pattern is no text")
    parts = pattern.split("/")[:-1]
    literal = next((at for at, part in enumerate(parts) if set(part) & set("*?[{(\\")), len(parts))
    if any(".." in part for part in parts[literal:]):
        raise ValueError("the pattern leads back up behind a wildcard")
    if parts[:1] == ["~"]:
        raise ValueError("the pattern may begin in the home folder")
    return os.path.join(path, "/".join(parts[:literal]) or ("/" if pattern.startswith("/") else "")).rstrip("/") or "/"


def several_edits(path: str, cwd: str, edits: Any, old: str, new: str) -> File:
    """Several edits of one file as one, its texts one after the other; `old`, `new`: their names in each edit."""
    each = msgspec.convert(edits, list[dict[str, Any]])
    olds = msgspec.convert([edit.get(old) for edit in each], list[str])
    news = msgspec.convert([edit.get(new) for edit in each], list[str])
    return File(verb="edit", path=path, cwd=cwd, old_text="\n".join(olds), new_text="\n".join(news))


def question(given: Any, several: str) -> Ask | None:
    """A list of questions to the person; `several`: the member by which one takes more than one choice.

    One question of single choice can be answered here; None: only in the agent's own dialog.
    """
    questions = msgspec.convert(given, list[dict[str, Any]])
    if len(questions) != 1 or questions[0].get(several):
        return None
    options = msgspec.convert(questions[0].get("options") or [], list[dict[str, Any]])
    labels = msgspec.convert([option.get("label") for option in options], tuple[str, ...])
    details = "\n".join(f"{option['label']}: {option.get('description', '')}" for option in options)
    prompt = msgspec.convert(questions[0].get("question"), str)
    return Ask(prompt=prompt, action_type="question", options=labels, details=details)


# --- answering ---------------------------------------------------------------------------------------


def ruled(decision: Decision) -> str:
    """Which rule decided, and why, in words."""
    return f"rule {decision.rule!r}{': ' if decision.reason else ''}{decision.reason}"


def refusal(approval: Approval) -> str:
    """A person's no, with what they said."""
    comment = approval.answer.comment if approval.answer else ""
    return f"a person said no{': ' + comment if comment else ''}"


def said(text: str) -> str:
    """A reason as the model and the person read it: whose it is, made safe, not endless."""
    return f"tmux-agent: {display.safe(text[:TEXT], newlines=True)}"
