"""What `tmux-agent doctor` looks at: each check says how it is, and the command that mends it.

Owns the checks of what all agents stand on, and the order of all. Only looks: nothing is written or mended. Must not
own: each agent's checks (doctor_agents.py), those of the person's files (doctor_settings.py), the sandbox's
(doctor_sandbox.py), how they are printed (verbs/doctor.py).
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..core.errors import TmuxAgentError, Unavailable
from ..services import places as places_
from ..services.audit_log import AuditLog, database_head
from ..services.config_file import read_settings
from ..services.secrets import Secrets
from . import doctor_agents, doctor_sandbox, doctor_settings, upgraded
from .checks import SECONDS, Check, version
from .verbs import setup

OLDEST_TMUX = (3, 2)


def checks(environ: Mapping[str, str]) -> Iterator[Check]:
    """All of them, in the order in which they build on each other."""
    places = places_.find(environ)
    yield Check("python", "ok", f"{sys.executable} {sys.version.split()[0]}")
    yield _tmux()
    yield doctor_sandbox.check()
    yield from _folders(places, environ)
    secrets = Secrets(places, environ)
    of_files = [*_secrets(places, secrets), *doctor_settings.checks(places, environ, secrets)]
    yield from of_files
    health = _health()
    yield from _sidecar(places, health)
    if isinstance(health, dict):
        listen = read_settings(places.config / "config.yaml", environ)[0].http.listen
        told = {check.what for check in of_files}
        yield from doctor_settings.running(health, _called("sentry.panes", "panes"), listen, told)
    yield from _audit(places, health)
    yield _plugin(environ, health)
    heard = _called("agent.list", "agents") if isinstance(health, dict) else None
    for one in setup.SETUPS.values():
        yield from doctor_agents.checks(one, environ, heard)
    if setup.SETUPS["opencode"].found(environ):
        yield from doctor_agents.opencode(environ, places.state)


# --- what we stand on --------------------------------------------------------------------------------


def _tmux() -> Check:
    program = shutil.which("tmux")
    if program is None:
        return Check("tmux", "wrong", "tmux is not on your PATH", "install tmux 3.2 or newer")
    said, found = version(program, "-V")
    if found and found < OLDEST_TMUX:
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


def _secrets(places: places_.Places, secrets: Secrets) -> Iterator[Check]:
    problems = secrets.problems()
    for problem in problems:
        what, _, mend = problem.rpartition(": ")
        yield Check("secrets", "wrong", what, mend)
    if not problems:
        stored = len(secrets.store.names())
        yield Check("secrets", "ok", f"{stored} in {places.secrets}, the key is in {places.secrets_key}")


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
    if said := upgraded.difference(health):
        yield Check("sidecar", "wrong", said, upgraded.MEND)
    else:
        yield Check("sidecar", "ok", f"pid {health['pid']}, version {health['version']}")
    policy = health["policy"]
    if policy.get("error"):
        yield Check("policy", "wrong", f"{policy['error']}; the last good one is in force", "tmux-agent policy lint")
    else:
        yield Check("policy", "ok", f"{policy['rules']} rules, {policy['file']}")


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


def _called(method: str, member: str) -> list[dict[str, Any]]:
    """A list that the sidecar gives: the agents it knows, the panes it watches."""
    from ..client import Client

    try:
        with Client(patience=0.2) as client:
            found: list[dict[str, Any]] = client.call(method)[member]
            return found
    except TmuxAgentError:
        return []
