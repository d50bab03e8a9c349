"""Which hooks Cursor's hooks.json gets, and what a person should know of it.

Owns the installed handlers, and where they stand. Must not own: putting them into the text (json_hooks.py), asking and
writing (edges/verbs/setup.py), what the hooks say (cursor.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ...core import json_text
from ...core.hooks import HookKind
from .. import hook_command
from . import cursor, json_hooks, mcp_server
from .json_hooks import Form, Handlers
from .setups import Change, Setup

# Seconds. Hooks before a tool wait for a person. When their time is over, or they fail, Cursor blocks the tool
# (failClosed), whatever it allows its hooks at most.
DAY = 86_400
TIMEOUT = 10
TAKES: json_text.Beyond = "comments and commas"  # as VS Code's own settings
FORM = Form(empty='{\n  "version": 1\n}\n', flat=True, beyond=TAKES)


def handlers(python: str, relay: str) -> Handlers:
    """What is to be installed, by event. `python`, `relay`: absolute paths."""
    return {event: _handler(hook_command.line(python, relay, cursor.AGENT, event), event) for event in cursor.EVENTS}


def _handler(line: str, event: str) -> dict[str, object]:
    if cursor.EVENTS[event].kind is HookKind.JUDGE:
        return {"command": line, "timeout": DAY, "failClosed": True}
    return {"command": line, "timeout": TIMEOUT}


def settings() -> Path:
    """The person's own hooks of Cursor, for its editor and cursor-agent."""
    return Path.home() / ".cursor" / "hooks.json"


def _mcp(environ: Mapping[str, str], uninstall: bool) -> Change:
    program, *arguments = mcp_server.command(environ)
    entry = {"command": program, "args": arguments}
    return mcp_server.in_json(settings().with_name("mcp.json"), "mcpServers", entry, uninstall, beyond=TAKES)


SETUP = Setup(
    agent=cursor.AGENT,
    title="Cursor",
    program="cursor-agent",
    others=("cursor",),
    package="",
    tried=(),
    changes=lambda _, uninstall: [
        json_hooks.change(settings(), handlers(hook_command.interpreter(), hook_command.relay()), uninstall, FORM)
    ],
    mcp=_mcp,
    limits=(
        "this was written after Cursor's documentation and never tried with the real program: look whether it does"
        " what it should",
        "Cursor runs what no rule names as its own settings have it, and does not tell when its own dialog asks",
        "a hook that fails or runs out of time blocks the tool (failClosed); --uninstall takes the hooks out",
        "Cursor's cloud agents and Tab do not run these hooks; it may also load Claude Code's hooks (its setting for"
        " third-party hooks): a use is judged twice then",
    ),
    afterwards="start Cursor anew, and look at its settings under Hooks",
)
