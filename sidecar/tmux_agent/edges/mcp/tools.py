"""The tools of the MCP bridge: methods of the socket, and `request` and `wait` for people who take their time.

Owns names, schemas and hints, and what a result and an error look like to a model. Schemas are made from the Structs of
core/protocol.py. Pure. Must not own: sending (bridge.py), what a method does.
"""

from __future__ import annotations

import difflib
import functools
from typing import Any

import msgspec
from msgspec import Struct

from ...core import errors
from ...core import protocol as p
from ...core.requests import Request
from .messages import Refused

WAIT_SECONDS = 3600.0  # the longest that `wait` waits at once


class Later(p.Params, frozen=True):
    """Begin a call that may have to wait for a person, and return at once with a request_id for `wait`.

    A question outlives this server; any other request is withdrawn when this server ends.
    """

    tool: str
    arguments: dict[str, Any] = msgspec.field(default_factory=dict)


class Wait(p.Params, frozen=True):
    """Wait for what `request` began, up to wait_secs. While its state is pending, call it again."""

    request_id: str
    wait_secs: float = 25.0


class Hints(Struct, frozen=True):
    """MCP's annotations: what a client may show or rely on. They are hints; the policy decides."""

    title: str
    reads: bool = False  # changes nothing
    destroys: bool = False  # may change or remove what is there
    repeatable: bool = False  # done twice, it is as done once
    open: bool = False  # may reach beyond this machine


class Tool(Struct, frozen=True):
    name: str
    params: type[p.Params]
    hints: Hints
    method: str = ""  # of the socket; empty: the bridge's own

    @property
    def may_wait(self) -> bool:
        """Whether a person may be asked about it: what `request` can begin."""
        return self.params in p.KEYED

    def request(self, arguments: dict[str, Any]) -> Request[msgspec.Raw]:
        """What is asked of the sidecar. Raises InvalidParams."""
        return Request(self.method, convert(self, arguments), msgspec.Raw)


_HINTS = {
    "file.read": Hints("Read a file", reads=True),
    "file.list": Hints("List a folder", reads=True),
    "file.write": Hints("Write a file", destroys=True, repeatable=True),
    "file.edit": Hints("Edit a file", destroys=True),
    "file.copy": Hints("Copy a file", destroys=True, repeatable=True),
    "file.delete": Hints("Delete a file", destroys=True),
    "command.run": Hints("Run a program", destroys=True, open=True),
    "command.allowed": Hints("Rules for commands", reads=True),
    "tmux.sessions": Hints("tmux sessions", reads=True),
    "tmux.windows": Hints("tmux windows", reads=True),
    "tmux.panes": Hints("tmux panes", reads=True),
    "tmux.read": Hints("Read a pane", reads=True),
    "tmux.switch": Hints("Show a pane", repeatable=True),
    "tmux.create_session": Hints("New tmux session", open=True),
    "tmux.create_pane": Hints("New tmux pane", open=True),
    "tmux.send_keys": Hints("Press keys in a pane", destroys=True, open=True),
    "tmux.send_text": Hints("Type into a pane", destroys=True, open=True),
    "tmux.execute": Hints("Run text in a shell that lives on", destroys=True, open=True),
    "tmux.execution": Hints("What became of it", reads=True, repeatable=True),
    "tmux.executions": Hints("What was run there", reads=True),
    "tmux.interrupt": Hints("Interrupt what runs", destroys=True),
    "tmux.facts": Hints("Processes of panes", reads=True),
    "tmux.kill_session": Hints("End a tmux session", destroys=True),
    "tmux.kill_pane": Hints("End a tmux pane", destroys=True),
    "human.ask": Hints("Ask the person", reads=True),
    "plan.create": Hints("Show a plan"),
    "plan.list": Hints("List plans", reads=True),
    "plan.get": Hints("Look at a plan", reads=True),
    "plan.update": Hints("Update a plan's step", repeatable=True),
    "plan.advance": Hints("Next step of a plan"),
    "plan.abort": Hints("End a plan", repeatable=True),
}
REQUEST = Tool("request", Later, Hints("Begin a call that may wait for the person", destroys=True, open=True))
WAIT = Tool("wait", Wait, Hints("Wait for a request", reads=True, repeatable=True))

_FOLLOW = [Tool(name.replace(".", "_"), p.METHODS[name], hints, name) for name, hints in _HINTS.items()]
TOOLS = {tool.name: tool for tool in [*_FOLLOW, REQUEST, WAIT]}

# What a member's name does not say. Of every tool that has it.
_NOTES = {
    "action_type": "a word for the person's rules: destructive, deploy, …",
    "arguments": "those of the tool",
    "cwd": "a folder, absolute or from this server's own; by default that one",
    "command": "a program, or of tmux_execute shell text",
    "details": "more to read, below the prompt",
    "dry_run": "say what would happen, and do nothing",
    "execution_id": "as tmux_execute gave it",
    "expected_sha256": "of the file as you know it: refused where it has changed",
    "from_history": "from what has scrolled away, too",
    "keys": "tmux names of keys: Enter, C-c, Up, …",
    "options": "choices, of which the person takes one",
    "pane_id": "%N, as tmux_panes gives it",
    "path": "absolute, or from this server's own folder",
    "request_id": "as `request` gave it",
    "server": "the socket of a tmux server, where there are several",
    "since": "the cursor of the last reply; empty: begin",
    "step": "from 0",
    "target": "a pane, window or session",
    "timeout": "seconds that it may run",
    "timeout_secs": "seconds after which nobody need answer any more",
    "wait_ms": "milliseconds to wait for its end, at most an hour",
    "wait_secs": f"at most {WAIT_SECONDS:g}",
}


def find(name: str) -> Tool:
    """Raises Refused."""
    if (tool := TOOLS.get(name)) is not None:
        return tool
    near = difflib.get_close_matches(name[:100], TOOLS, n=1, cutoff=0.5)
    raise Refused(-32602, f"Unknown tool: {name[:100]!r}{f'; did you mean {near[0]!r}?' if near else ''}")


def convert(tool: Tool, arguments: dict[str, Any]) -> p.Params:
    """Raises InvalidParams, with the path of what is wrong and what the tool takes."""
    try:
        return msgspec.convert(arguments, tool.params)
    except (msgspec.ValidationError, RecursionError) as why:
        reason = str(why).replace("`$", "`arguments")
        takes = ", ".join(tool.params.__struct_fields__) or "no arguments"
        raise errors.InvalidParams(f"{tool.name}: {reason}; it takes {takes}") from None


# --- the list ------------------------------------------------------------------------------------


@functools.cache
def listed() -> list[dict[str, Any]]:
    """All tools as `tools/list` gives them."""
    return [_described(tool) for tool in TOOLS.values()]


def _described(tool: Tool) -> dict[str, Any]:
    hints = tool.hints
    about = tool.params.__doc__ or ""
    return {
        "name": tool.name,
        "title": hints.title,
        "description": " ".join(about.split()),
        "inputSchema": _schema(tool),
        "annotations": {
            "title": hints.title,
            "readOnlyHint": hints.reads,
            "destructiveHint": hints.destroys,
            "idempotentHint": hints.repeatable,
            "openWorldHint": hints.open,
        },
    }


def _schema(tool: Tool) -> dict[str, Any]:
    """Of its arguments: JSON Schema 2020-12, flat, which every client reads."""
    _, parts = msgspec.json.schema_components([tool.params])
    whole = parts[tool.params.__name__]
    members = {
        name: {**member, "description": _NOTES[name]} if name in _NOTES else member
        for name, member in whole["properties"].items()
    }
    if tool is REQUEST:
        members["tool"] = {**members["tool"], "enum": [one.name for one in TOOLS.values() if one.may_wait]}
    return {"type": "object", "properties": members, "required": whole["required"], "additionalProperties": False}


# --- what came of it -----------------------------------------------------------------------------

# What a model should do about an error whose own words do not say it.
_ADVICE = {
    "denied": "Nothing was done. Act on the reason, or ask the person with human_ask; do not try it by another way.",
    "expired": "Ask again when the person may be there; `request` and `wait` with a longer timeout_secs are for that.",
    "conflict": "Look at it as it is now before you try again.",
    "limit": "Do less at once, or wait a little.",
    "unavailable": "Tell the person, to whom `tmux-agent doctor` says what is wrong; then try again.",
}


def done(data: msgspec.Raw | dict[str, Any], structured: bool) -> dict[str, Any]:
    """The result of a call, with its data word for word."""
    text = (bytes(data) if isinstance(data, msgspec.Raw) else msgspec.json.encode(data)).decode()
    body = {"content": [{"type": "text", "text": text}], "isError": False}
    return {**body, "structuredContent": data} if structured else body


def failed(why: errors.TmuxAgentError, structured: bool) -> dict[str, Any]:
    """A call that was refused or went wrong: words that a model can act on, never an error of the protocol."""
    text = why.message if why.message.startswith(why.kind) else f"{why.kind}: {why.message}"
    if advice := _ADVICE.get(why.kind):
        text = f"{text.rstrip('.')}. {advice}"
    body = {"content": [{"type": "text", "text": text}], "isError": True}
    return (
        {**body, "structuredContent": {"kind": why.kind, "message": text, **_plain(why.data)}} if structured else body
    )


def _plain(data: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name not in ("kind", "message")}
