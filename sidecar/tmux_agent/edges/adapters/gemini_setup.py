"""Which hooks Gemini's settings.json gets, which rules its policy gets, and what a person should know of it.

Owns the installed handlers and rules. Must not own: putting handlers into the text (json_hooks.py), asking and writing
(edges/verbs/setup.py), what the hooks say (gemini.py).
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path

from ...core import json_text
from ...core.errors import Failed
from .. import hook_command
from ..settings_file import SettingsFile
from . import gemini, json_hooks, mcp_server
from .json_hooks import Handlers
from .setups import Change, Setup

# Milliseconds. When they are over Gemini goes on as if we had no opinion, so the relay is always the first to give up.
DAY = 86_400_000
TIMEOUT = 10_000
TAKES: json_text.Beyond = "comments"  # in its settings.json
NAME = "tmux-agent"  # what Gemini shows while a hook of ours runs
HEAD = "# tmux-agent setup gemini --popup-only"
# Priority 0: the person's own rules go first, then these, then all that Gemini brings. Plan mode is left alone.
RULES = """\
{head}
# What the policy of tmux-agent, or a person in its popup, has approved carries this mark: Gemini does not ask again.
# Without the mark these rules do nothing, so where hooks are off or fail Gemini asks as ever. Keep it to yourself.

[[rule]]
toolName = "run_shell_command"
argsPattern = '"dir_path":"[^"]*{folder}{mark}/\\.\\."'
decision = "allow"
priority = 0
modes = ["default", "autoEdit"]
allowRedirection = true

[[rule]]
toolName = ["write_file", "replace", "web_fetch"]
argsPattern = '"{member}":"{mark}"'
decision = "allow"
priority = 0
modes = ["default", "autoEdit"]
"""


def handlers(python: str, relay: str, mark: str = "") -> Handlers:
    """What is to be installed, by event. `python`, `relay`: absolute paths; `mark`: of our rules, "" without any."""
    return {event: _handler(python, relay, event, mark) for event in gemini.EVENTS}


def _handler(python: str, relay: str, event: str, mark: str) -> dict[str, object]:
    judges = event == gemini.BEFORE
    command = hook_command.line(python, relay, gemini.AGENT, f"{event}:{mark}" if judges and mark else event)
    return {"type": "command", "name": NAME, "command": command, "timeout": DAY if judges else TIMEOUT}


def rules(mark: str) -> str:
    """The policy file of ours."""
    return RULES.format(head=HEAD, folder=gemini.FOLDER, member=gemini.MEMBER, mark=mark)


def home(environ: Mapping[str, str]) -> Path:
    """Gemini's own folder."""
    folder = environ.get("GEMINI_CLI_HOME")
    return (Path(folder) if folder else Path.home()) / ".gemini"


def _changes(environ: Mapping[str, str], uninstall: bool, *, popup_only: bool = False) -> list[Change]:
    """Without `popup_only` it stays as it was set up. Raises Failed where a file of that name is not ours."""
    settings, policy = home(environ) / "settings.json", SettingsFile(home(environ) / "policies" / "tmux-agent.toml")
    ours = (policy.text or "").startswith(HEAD)
    if popup_only and policy.text and not ours:
        raise Failed(f"{policy.path} is there and not from us, nothing was changed: look at it, and move it away")
    found = re.search(rf'"{gemini.MEMBER}":"([0-9a-f]{{16,}})"', policy.text or "") if ours else None
    mark = found[1] if found else secrets.token_hex(8) if popup_only or ours else ""
    wanted = handlers(hook_command.interpreter(), hook_command.relay(), mark)
    kept = None if ours else policy.text
    return [
        json_hooks.change(settings, wanted, uninstall, json_hooks.Form(beyond=TAKES)),
        Change(policy, kept if uninstall or not mark else rules(mark)),
    ]


def _mcp(environ: Mapping[str, str], uninstall: bool) -> Change:
    program, *arguments = mcp_server.command(environ)
    entry = {"command": program, "args": arguments, "timeout": 3_600_000, "trust": True}
    settings = home(environ) / "settings.json"
    return mcp_server.in_json(settings, "mcpServers", entry, uninstall, shared=True, beyond=TAKES)


def _warnings(text: str | None) -> Iterator[str]:
    said = json_text.read(text).get("hooksConfig") if text else None
    if not isinstance(said, dict):
        return
    if said.get("enabled") is False:
        yield 'the settings say "hooksConfig": {"enabled": false}, so Gemini runs no hook: take it out'
    if NAME in (said.get("disabled") or ()):
        yield f'the settings say that the hook {NAME!r} is disabled: take it out of "hooksConfig", "disabled"'


_LIMITS = (
    "Gemini runs no hooks in folders that it does not trust, and a project's own settings can turn them off",
    "questions of Gemini's own (ask_user, plans, skills) and tools of MCP servers are asked in Gemini's dialog",
)
_AFTERWARDS = "sessions of Gemini that run already know nothing of it: start them again"
POPUP_ONLY = Setup(
    agent=gemini.AGENT,
    title="Gemini CLI",
    program="gemini",
    package="@google/gemini-cli",
    tried=(0, 61, 0),
    changes=lambda environ, uninstall: _changes(environ, uninstall, popup_only=True),
    mcp=_mcp,
    warnings=_warnings,
    limits=(
        "commands, edits and fetches are asked about in the popup alone; Gemini still asks by itself about build files"
        " such as package.json, and about commands that it cannot parse",
        *_LIMITS,
    ),
    afterwards=_AFTERWARDS,
)
SETUP = Setup(
    agent=gemini.AGENT,
    title="Gemini CLI",
    program="gemini",
    package="@google/gemini-cli",
    tried=(0, 61, 0),
    changes=_changes,
    mcp=_mcp,
    warnings=_warnings,
    limits=(
        "hooks of Gemini cannot approve past its own prompt: the policy denies and asks, the rest is asked in Gemini's"
        " dialog; `tmux-agent setup gemini --popup-only` makes the popup the only prompt",
        *_LIMITS,
    ),
    afterwards=_AFTERWARDS,
    popup_only=POPUP_ONLY,
)
