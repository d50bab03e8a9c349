"""What `tmux-agent doctor` looks at: each check says how it is, and the command that mends it.

Owns the checks and their words. Only looks: nothing is started, written or mended. Must not own: how they are printed
(verbs/doctor.py).
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

from ..core.errors import TmuxAgentError, Unavailable
from ..services import places as places_
from ..services.audit_log import AuditLog, database_head
from .adapters import claude_setup, codex_setup
from .adapters.claude_setup import SETUP as CLAUDE
from .adapters.codex_setup import SETUP as CODEX
from .adapters.json_hooks import RELAY
from .adapters.setups import Change, Setup
from .settings_file import SettingsFile
from .verbs import setup

OLDEST_TMUX = (3, 2)
MANAGED = Path("/etc/claude-code/managed-settings.json")  # an administrator's, on Linux
SECONDS = 5.0  # that another program may take to tell its version

Mark = Literal["ok", "warning", "wrong"]


class Check(Struct, frozen=True):
    """`mend`: what to do, a command where there is one; empty where all is well."""

    area: str
    mark: Mark
    what: str
    mend: str = ""


def checks(environ: Mapping[str, str]) -> Iterator[Check]:
    """All of them, in the order in which they build on each other."""
    places = places_.find(environ)
    yield Check("python", "ok", f"{sys.executable} {sys.version.split()[0]}")
    yield _tmux()
    yield from _folders(places, environ)
    health = _health()
    yield from _sidecar(places, health)
    yield from _audit(places, health)
    yield _plugin(environ, health)
    for one in setup.SETUPS.values():
        yield from _agent(one, environ)
    if isinstance(health, dict):
        yield _heard()


# --- what we stand on --------------------------------------------------------------------------------


def _version(*command: str) -> tuple[str, tuple[int, ...]]:
    """What a program says of itself, and the first version number in it; ("", ()) where it says nothing."""
    try:
        out = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return "", ()
    found = re.search(r"\d+(\.\d+)*", out)
    return out.partition("\n")[0], tuple(map(int, found[0].split("."))) if found else ()


def _tmux() -> Check:
    program = shutil.which("tmux")
    if program is None:
        return Check("tmux", "wrong", "tmux is not on your PATH", "install tmux 3.2 or newer")
    said, version = _version(program, "-V")
    if version and version < OLDEST_TMUX:
        return Check("tmux", "wrong", f"{said} is too old", "install tmux 3.2 or newer")
    return Check("tmux", "ok", said or program)


def _folders(places: places_.Places, environ: Mapping[str, str]) -> Iterator[Check]:
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    if "TMUX_AGENT_SOCKET" not in environ and not os.path.isdir(runtime):
        what = "XDG_RUNTIME_DIR is not set" if not runtime else f"XDG_RUNTIME_DIR={runtime} is no folder"
        yield Check("folders", "warning", f"{what}; the socket is {places.socket}", "log in through systemd/elogind")
    try:
        if os.path.lexists(places.socket.parent):
            places_.check_socket(places.socket, places.chosen)
    except TmuxAgentError as why:
        what, _, mend = why.message.rpartition(": ")
        yield Check("folders", "wrong", what or why.message, mend)
    if places.state.exists() and (places.state.is_symlink() or places.state.stat().st_mode & 0o077):
        mend = f"chmod 700 {shlex.quote(str(places.state))}"
        yield Check("folders", "wrong", f"others may look into {places.state}", mend)
    else:
        yield Check("folders", "ok", f"state {places.state}, configuration {places.config}")


# --- the sidecar -------------------------------------------------------------------------------------


def _health() -> dict[str, Any] | str:
    """The sidecar's own report, or what it says instead; "" where none answers."""
    from ..client import Client

    try:
        with Client(patience=0.2) as client:
            found: dict[str, Any] = client.call("health")
            return found
    except Unavailable:
        return ""
    except TmuxAgentError as why:
        return why.message


def _sidecar(places: places_.Places, health: dict[str, Any] | str) -> Iterator[Check]:
    if isinstance(health, str):
        yield Check("sidecar", "wrong", health or f"none answers at {places.socket}", "tmux-agent sidecar start")
        return
    yield Check("sidecar", "ok", f"pid {health['pid']}, version {health['version']}")
    policy = health["policy"]
    if policy.get("error"):
        yield Check("policy", "wrong", f"{policy['error']}; the last good one is in force", "tmux-agent policy lint")
    else:
        yield Check("policy", "ok", f"{policy['rules']} rules, {policy['file']}")
    for warning in health.get("warnings", ()):
        yield Check("sidecar", "warning", warning, "tmux-agent sidecar status")


def _audit(places: places_.Places, health: dict[str, Any] | str) -> Iterator[Check]:
    file = Path(health["audit"]["file"]) if isinstance(health, dict) else places.audit("")
    if not file.exists():
        yield Check("audit", "ok", f"nothing is recorded yet, {file}")
        return
    try:
        found = AuditLog(file).verify(head=database_head(places.database))
    except OSError as why:
        yield Check("audit", "wrong", f"{file} cannot be read: {why.strerror}", f"ls -l {shlex.quote(str(file))}")
        return
    if found.ok:
        yield Check("audit", "ok", f"{found.records} records, the chain holds")
    else:
        where = f"{found.file}:{found.line}" if found.file else str(file)
        yield Check("audit", "wrong", f"the chain is broken at {where}: {found.why}", "tmux-agent audit verify")


def _plugin(environ: Mapping[str, str], health: dict[str, Any] | str) -> Check:
    socket = environ.get("TMUX", "").partition(",")[0]
    if not socket:
        return Check("plugin", "warning", "not inside tmux, so the plugin was not looked at", "run this in a pane")
    command = ["tmux", "-S", socket, "show-environment", "-gh", "TMUX_AGENT_ENSURE"]
    try:
        loaded = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        loaded = False
    if not loaded:
        mend = "add `set -g @plugin '…/tmux-agent'` to tmux.conf and press prefix + I, or run-shell tmux-agent.tmux"
        return Check("plugin", "wrong", f"the tmux server at {socket} has not loaded the plugin", mend)
    servers = health["tmux"] if isinstance(health, dict) else []
    if not any(os.path.realpath(one["socket"]) == os.path.realpath(socket) and one["connected"] for one in servers):
        return Check("plugin", "warning", "loaded, but the sidecar is not connected to it", "tmux-agent sidecar status")
    return Check("plugin", "ok", f"loaded, connected to {socket}")


# --- agents ------------------------------------------------------------------------------------------


def _agent(setup: Setup, environ: Mapping[str, str]) -> Iterator[Check]:
    """An agent that is neither here nor connected is passed over, but for the first of them: somebody has to be."""
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
    yield _hooks(setup, wanted, ours)


def _program(setup: Setup, program: str | None) -> Check:
    if program is None:
        mend = f"npm install -g {setup.package}" if setup.package else f"install {setup.title}"
        return Check(setup.agent, "warning", f"{setup.program} is not on your PATH", mend)
    said, version = _version(program, "--version")
    if version and version < setup.tried:
        newer = ".".join(map(str, setup.tried))
        return Check(setup.agent, "warning", f"{program} {said} is older than any tried", f"update it to {newer}")
    return Check(setup.agent, "ok", f"{program} {said}")


def _hooks(setup: Setup, wanted: Sequence[Change], ours: Sequence[Change]) -> Check:
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
    settings = json.loads(SettingsFile(path).text or "{}")
    if settings.get("disableAllHooks"):
        yield Check("hooks", "wrong", f'"disableAllHooks" in {path} switches them off', f"edit {path}")
    if _managed_only():
        yield Check("hooks", "wrong", f"{MANAGED} allows only its own hooks", "ask your administrator")


def _codex(environ: Mapping[str, str]) -> Iterator[Check]:
    """Codex passes over what nobody trusted, without a word."""
    try:
        left = codex_setup.untrusted(environ)
    except (ValueError, TmuxAgentError) as why:
        yield Check("hooks", "wrong", f"Codex's files cannot be read: {why}", "tmux-agent setup codex")
        return
    if left:
        what = f"Codex runs none that is not trusted, and {len(left)} of ours are not: {left[0]}"
        yield Check("hooks", "wrong", what, "start codex and choose: Trust all and continue")


def _managed_only() -> bool:
    try:
        managed = json.loads(MANAGED.read_text())
    except (OSError, ValueError):
        return False
    return isinstance(managed, dict) and bool(managed.get("allowManagedHooksOnly"))


def _heard() -> Check:
    """Whether any hook has been heard of since the sidecar runs: the one proof that all of it works."""
    from ..client import Client

    try:
        with Client(patience=0.2) as client:
            agents = client.call("agent.list")["agents"]
    except TmuxAgentError as why:
        return Check("heard", "wrong", why.message, "tmux-agent sidecar status")
    heard = [one for one in agents if one.get("why", "").startswith("hook ")]
    if not heard:
        return Check("heard", "warning", "no hook was heard of since the sidecar runs", "start claude in a tmux pane")
    newest = max(heard, key=lambda one: str(one["since"]))
    return Check("heard", "ok", f"{newest['kind']} in {newest.get('place') or 'no pane'}, {newest['why']}")
