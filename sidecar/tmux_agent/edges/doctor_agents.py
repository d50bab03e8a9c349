"""What `tmux-agent doctor` looks at of each agent: found, of a version that was tried, hooks there, trusted, heard of,
and the bridge where the agent was given it.

Owns these checks and their words. Starts nothing but the agent's `--version` and the bridge that it names. Must not
own: the order (doctor.py).
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core import json_text
from ..core.errors import TmuxAgentError
from .adapters import claude_setup, codex_setup, mcp_server, opencode_setup
from .adapters.claude_setup import SETUP as CLAUDE
from .adapters.codex_setup import SETUP as CODEX
from .adapters.json_hooks import RELAY
from .adapters.setups import Change, Setup
from .checks import SECONDS, Check, version
from .settings_file import SettingsFile

MANAGED = Path("/etc/claude-code/managed-settings.json")  # an administrator's, on Linux


def checks(setup: Setup, environ: Mapping[str, str], agents: Sequence[Mapping[str, Any]] | None) -> Iterator[Check]:
    """An agent that is neither here nor connected is passed over, but for the first of them: somebody has to be.

    `agents`: those that the sidecar knows; None where none answers.
    """
    program = setup.found(environ)
    try:
        wanted = [change for change in setup.changes(environ, False) if change.needed]
        ours = [change for change in setup.changes(environ, True) if change.needed]
    except TmuxAgentError as why:
        yield Check("hooks", "wrong", why.message, f"mend it, then: tmux-agent setup {setup.agent}")
        return
    if program is None and not ours and setup is not CLAUDE:
        return
    yield _program(setup, program)
    if setup is CLAUDE:
        yield from _claude(claude_setup.settings(environ))
    if setup is CODEX and ours:
        yield from _codex(environ)
    yield hooks(setup, wanted, ours)
    if ours and program and agents is not None:
        yield _heard(setup, agents)
    yield from _bridge(setup, environ)


def _program(setup: Setup, program: str | None) -> Check:
    if program is None:
        mend = f"npm install -g {setup.package}" if setup.package else f"install {setup.title}"
        return Check(setup.agent, "warning", f"{setup.program} is not on your PATH", mend)
    said, found = version(program, "--version")
    tried = ".".join(map(str, setup.tried))
    if not tried:
        what = f"{program} {said}: tmux-agent was never tried with it"
        return Check(setup.agent, "warning", what, "look whether a question of it reaches the popup")
    if not found:
        return Check(
            setup.agent, "warning", f"{program} tells no version; tried: {tried}", f"{setup.program} --version"
        )
    if found < setup.tried:
        return Check(setup.agent, "warning", f"{program} {said} is older than any tried", f"update it to {tried}")
    if found[:2] != setup.tried[:2]:
        what = f"{program} {said} is newer than what was tried ({tried})"
        return Check(setup.agent, "warning", what, "look whether a question of it reaches the popup")
    return Check(setup.agent, "ok", f"{program} {said}")


def hooks(setup: Setup, wanted: Sequence[Change], ours: Sequence[Change]) -> Check:
    """Of the changes that set-up, and that its uninstall, would make."""
    mend = f"tmux-agent setup {setup.agent}"
    paths = ", ".join(str(change.file.path) for change in ours or wanted)
    if not ours:
        return Check("hooks", "wrong", f"{paths} has no hook of ours: {setup.title} asks nobody here", mend)
    missing = [name for change in ours for name in _named(change.file.text or "") if not os.path.exists(name)]
    if missing:  # an interpreter that finds no script exits 2, which agents take for "block"
        return Check("hooks", "wrong", f"{missing[0]} is gone, so every tool of {setup.title} fails", mend)
    if wanted:
        return Check("hooks", "warning", f"{paths} has hooks of another version", mend)
    return Check("hooks", "ok", f"{setup.title}: all in {paths}")


def _named(text: str) -> list[str]:
    """The interpreters and relays that installed hooks name."""
    lines = re.findall(rf'"((?:[^"\\\\]|\\\\.)*{re.escape(RELAY)}(?:[^"\\\\]|\\\\.)*)"', text)
    words = {word for line in lines for word in shlex.split(json.loads(f'"{line}"'))}
    return sorted(word for word in words if word.startswith("/"))


def _claude(path: Path) -> Iterator[Check]:
    """What keeps Claude Code from running the hooks that are there."""
    settings = json_text.read(SettingsFile(path).text or "{}")
    if settings.get("disableAllHooks"):
        yield Check("hooks", "wrong", f'"disableAllHooks" in {path} switches them off', f"edit {path}")
    if _managed_only():
        yield Check("hooks", "wrong", f"{MANAGED} allows only its own hooks", "ask your administrator")


def _managed_only() -> bool:
    try:
        managed = json.loads(MANAGED.read_text())
    except (OSError, ValueError):
        return False
    return isinstance(managed, dict) and bool(managed.get("allowManagedHooksOnly"))


def _codex(environ: Mapping[str, str]) -> Iterator[Check]:
    """Codex passes over what nobody trusted, without a word."""
    try:
        left = codex_setup.untrusted(environ)
    except (ValueError, TmuxAgentError) as why:
        yield Check("hooks", "wrong", f"Codex's files cannot be read: {why}", "tmux-agent setup codex")
        return
    if left:
        what = f"Codex runs none that is not trusted, and {len(left)} of ours are not: {left[0]}"
        yield Check("hooks", "wrong", what, "tmux-agent setup codex")


def _heard(setup: Setup, agents: Sequence[Mapping[str, Any]]) -> Check:
    """Whether any hook of it has been heard of since the sidecar runs: the one proof that all of it works."""
    told = [one for one in agents if one.get("kind") == setup.agent and one.get("why", "").startswith("hook ")]
    if not told:
        mend = f"start {setup.program} in a tmux pane, again where it runs already"
        return Check("heard", "warning", f"no hook of {setup.title} was heard of since the sidecar runs", mend)
    newest = max(told, key=lambda one: str(one["since"]))
    place = newest.get("place") or "no pane"
    return Check("heard", "ok", f"{setup.title} in {place}, {newest['why']}, {str(newest['since'])[:19]}")


def _bridge(setup: Setup, environ: Mapping[str, str]) -> Iterator[Check]:
    """The MCP server that the agent was given by us, if it was: that its program is there, ours, and answers."""
    mend = f"tmux-agent setup {setup.agent} --mcp"
    try:
        command = mcp_server.named(setup.mcp(environ, True))
        stale = bool(command) and setup.mcp(environ, False).needed
    except TmuxAgentError as why:
        yield Check("mcp", "warning", why.message, f"mend it, then: {mend}")
        return
    if not command:
        return
    if not _answers(command):
        yield Check("mcp", "wrong", f"{setup.title} names {shlex.join(command)}, which does not answer", mend)
    elif stale:
        yield Check("mcp", "warning", f"{setup.title} names {shlex.join(command)}, which is not what runs here", mend)
    else:
        yield Check("mcp", "ok", f"{setup.title}: {shlex.join(command)} answers")


def _answers(command: Sequence[str]) -> bool:
    client = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "doctor", "version": "1"}}
    asked = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": client}) + "\n"
    try:
        done = subprocess.run(command, input=asked, capture_output=True, text=True, timeout=SECONDS, check=False)
        return bool(json.loads(done.stdout)["result"]["serverInfo"]["name"] == mcp_server.NAME)
    except (OSError, ValueError, LookupError, TypeError, subprocess.TimeoutExpired):
        return False


def opencode(environ: Mapping[str, str], state: Path) -> Iterator[Check]:
    """With its own defaults opencode runs everything while the sidecar is away, unless `on_unavailable` says deny."""
    path = opencode_setup.settings(environ)
    try:
        said = json_text.read(SettingsFile(path).text or "{}")
        away = (state / "on_unavailable").read_text().strip() if (state / "on_unavailable").exists() else "ask"
    except (OSError, ValueError, TmuxAgentError):
        return  # what it means is the person's
    own = said.get("permission") if isinstance(said, dict) else None
    asks = own in ("ask", "deny") or (isinstance(own, dict) and {"bash", "edit"} <= set(own))
    if away != "deny" and not asks:
        what = "while the sidecar is away opencode runs every tool: its own permissions allow them"
        mend = f'"permission": {{"bash": "ask", "edit": "ask"}} in {path}, or defaults: {{on_unavailable: deny}}'
        yield Check("opencode", "warning", what, f"{mend} in policy.yaml")
