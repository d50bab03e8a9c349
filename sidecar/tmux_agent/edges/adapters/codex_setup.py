"""Which hooks Codex's hooks.json gets, what its config.toml is to say, and what a person should know of it.

Owns the installed handlers, and where they stand. Must not own: putting them into the text (json_hooks.py,
codex_config.py), asking and writing (edges/verbs/setup.py), what the hooks say (codex.py).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from ...core import json_text
from ...core.errors import Failed, Unavailable
from .. import hook_command
from ..settings_file import SettingsFile
from . import codex, codex_config, codex_trust, json_hooks, mcp_server
from .json_hooks import RELAY, Handlers
from .setups import Change, Setup

# Seconds. When they are over Codex runs the tool, so the relay is always the first to give up: after 30 at most. It
# cuts those of Interrupt to 3.
TIMEOUTS = {"PreToolUse": 60, "PermissionRequest": 60, "Interrupt": 3}
TIMEOUT = 10


def handlers(python: str, relay: str) -> Handlers:
    """What is to be installed, by event. `python`, `relay`: absolute paths."""
    return {
        event: {
            "type": "command",
            "command": hook_command.line(python, relay, codex.AGENT, event),
            "timeout": TIMEOUTS.get(event, TIMEOUT),
        }
        for event in codex.EVENTS
    }


def home(environ: Mapping[str, str]) -> Path:
    """Codex's own folder."""
    folder = environ.get("CODEX_HOME")
    return Path(os.path.realpath(folder)) if folder else Path.home() / ".codex"


def _changes(environ: Mapping[str, str], uninstall: bool) -> list[Change]:
    hooks = home(environ) / "hooks.json"
    wanted = handlers(hook_command.interpreter(), hook_command.relay())
    return [json_hooks.change(hooks, wanted, uninstall), _config(hooks, uninstall)]


def _config(hooks: Path, uninstall: bool) -> Change:
    """config.toml: before, hooks may be run by a background server that serves all panes and knows none of them."""
    file = SettingsFile(hooks.with_name("config.toml"))
    text = file.text or ""
    try:
        if uninstall:
            left = codex_config.without_us(text, keys(SettingsFile(hooks).text, hooks))
            return Change(file, left if left or file.text == "" or file.before() is not None else None)
        changed = codex_config.own_daemon(text)
        return Change(file, changed if changed != text else file.text, keep=codex_config.MARK not in text)
    except ValueError as why:
        raise Failed(f"{file.path} cannot be used, nothing was changed: {why}; mend it and run this again") from None


def keys(text: str | None, hooks: Path) -> list[str]:
    """What Codex calls our handlers in its records of trust: file, event, number of the group, of the handler.

    Raises ValueError where the text is no JSON.
    """
    found = json_text.read(text).get("hooks") if text and text.strip() else None
    return [
        f"{hooks}:{re.sub(r'(?<!^)(?=[A-Z])', '_', event).lower()}:{at}:{number}"
        for event, groups in (found.items() if isinstance(found, dict) else ())
        for at, group in enumerate(groups if isinstance(groups, list) else ())
        for number, handler in enumerate(group.get("hooks", ()) if isinstance(group, dict) else ())
        if isinstance(handler, dict) and RELAY in str(handler.get("command", ""))
    ]


def untrusted(environ: Mapping[str, str]) -> list[str]:
    """Handlers of ours that config.toml has no record of trust in. Raises ValueError, Unavailable."""
    hooks = home(environ) / "hooks.json"
    known = codex_config.trusted(SettingsFile(hooks.with_name("config.toml")).text or "")
    return [key for key in keys(SettingsFile(hooks).text, hooks) if key not in known]


def _unfinished(environ: Mapping[str, str]) -> str:
    """Raises Unavailable."""
    if SETUP.found(environ) is None:
        return ""
    try:
        left = untrusted(environ)
    except ValueError:
        return ""
    return f"Codex does not trust {len(left)} of these hooks yet, and runs none that it does not trust" if left else ""


def _mcp(environ: Mapping[str, str], uninstall: bool) -> Change:
    """Codex gives its servers nothing of its environment but what is named here."""
    program, *arguments = mcp_server.command(environ)
    named = ["TMUX", "TMUX_PANE", "XDG_RUNTIME_DIR", "XDG_STATE_HOME", "TMUX_AGENT_SOCKET", "TMUX_AGENT_STATE_DIR"]
    entry = {
        "command": program,
        "args": arguments,
        "env_vars": named,
        "tool_timeout_sec": 3600,
        "default_tools_approval_mode": "approve",
    }
    return mcp_server.in_toml(home(environ) / "config.toml", entry, uninstall)


def _finish(environ: Mapping[str, str], uninstall: bool) -> Iterator[str]:
    """Codex runs a hook only once a person trusts it: their yes to these very lines is what we pass on."""
    program = SETUP.found(environ)
    if uninstall or program is None:
        return
    hooks = home(environ) / "hooks.json"
    try:
        count = codex_trust.trust(program, hooks, environ)
    except Unavailable as why:
        yield f"Codex does not trust the hooks yet ({why.message}): when it starts, choose 2, Trust all and continue"
        return
    if count < len(codex.EVENTS):
        yield f"Codex trusts {count} of {len(codex.EVENTS)} hooks: when it starts, choose 2, Trust all and continue"
    else:
        yield f"Codex trusts these hooks now (recorded in {hooks.with_name('config.toml')})"


SETUP = Setup(
    agent=codex.AGENT,
    title="Codex",
    program="codex",
    package="@openai/codex",
    tried=(0, 169, 0),
    changes=_changes,
    mcp=_mcp,
    unfinished=_unfinished,
    limits=(
        "the hook before a tool can only deny: what a rule asks about is held there for 25 s, then Codex is told to try"
        " again; what nothing matches is Codex's own to ask or to run in its sandbox",
        "Codex shows no dialog of its own while a hook waits: answer in the popup, or wait 25 s",
        "hooks of a background server know no pane: with `daemon_auto_start = false` Codex starts none; end one that"
        " runs with: codex app-server daemon stop",
    ),
    afterwards="sessions of Codex that run already know nothing of it: start them again",
    finish=_finish,
)
