"""Which hooks Claude Code's settings.json gets, and what a person should know of it.

Owns the installed handlers. Must not own: putting them into the text (json_hooks.py), asking and writing
(edges/verbs/setup.py), what the hooks say (claude.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from ...core import json_text
from .. import hook_command
from . import claude, json_hooks, mcp_server
from .json_hooks import Handlers
from .setups import Change, Setup

DAY = 86_400
# Seconds. Claude goes on as if we had no opinion when they are over, so the relay is always the first to give up. All
# other hooks only tell something: they run beside Claude (async) and never make it wait.
TIMEOUTS = {"PreToolUse": DAY, "PermissionRequest": DAY}  # either may wait for a person
ASYNC_TIMEOUT = 30


def handlers(python: str, relay: str) -> Handlers:
    """What is to be installed, by event. `python`, `relay`: absolute paths."""
    return {event: _handler(hook_command.line(python, relay, claude.AGENT, event), event) for event in claude.EVENTS}


def _handler(line: str, event: str) -> dict[str, object]:
    if event in TIMEOUTS:
        return {"type": "command", "command": line, "timeout": TIMEOUTS[event]}
    return {"type": "command", "command": line, "timeout": ASYNC_TIMEOUT, "async": True}


def settings(environ: Mapping[str, str]) -> Path:
    """The person's own settings file of Claude Code."""
    folder = environ.get("CLAUDE_CONFIG_DIR")
    return (Path(folder) if folder else Path.home() / ".claude") / "settings.json"


def _mcp(environ: Mapping[str, str], uninstall: bool) -> Change:
    """The servers of all projects, which `claude mcp add --scope user` writes."""
    folder = environ.get("CLAUDE_CONFIG_DIR")
    program, *arguments = mcp_server.command(environ)
    entry = {"type": "stdio", "command": program, "args": arguments, "env": {}}
    return mcp_server.in_json(
        (Path(folder) if folder else Path.home()) / ".claude.json", "mcpServers", entry, uninstall
    )


def _warnings(text: str | None) -> Iterator[str]:
    if text and json_text.read(text).get("disableAllHooks"):
        yield 'the settings say "disableAllHooks": true, so Claude Code runs none of them: take it out'


SETUP = Setup(
    agent=claude.AGENT,
    title="Claude Code",
    program="claude",
    package="@anthropic-ai/claude-code",
    tried=(2, 1, 197),
    changes=lambda environ, uninstall: [
        json_hooks.change(settings(environ), handlers(hook_command.interpreter(), hook_command.relay()), uninstall)
    ],
    warnings=_warnings,
    mcp=_mcp,
    limits=(
        "Claude shows its own dialog beside the popup, and either answers; what the policy allows shows neither",
        "several questions at once, or with several choices, are answered in Claude's dialog alone",
    ),
    afterwards="running sessions of Claude Code notice within seconds",
)
