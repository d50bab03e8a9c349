"""Our plugin file for opencode, and what a person should know of it.

Owns where it is put and what is filled into it. Must not own: what it does (opencode_plugin.js), asking and writing
(edges/verbs/setup.py), what is answered (opencode.py). opencode.json is touched for the MCP bridge alone.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from .. import hook_command
from ..settings_file import SettingsFile
from . import mcp_server, opencode
from .setups import Change, Setup

SOURCE = Path(__file__).with_name("opencode_plugin.js")
MARK = "// Asks tmux-agent about what opencode is about to do"  # how every version of the file begins


def plugin(python: str, relay: str) -> str:
    """The text of the plugin. `python`, `relay`: absolute paths."""
    line = hook_command.line(python, relay, opencode.AGENT, "EVENT")
    filled = {"@LINE@": line, "@PYTHON@": python, "@FOLDER@": os.path.dirname(relay)}
    text = SOURCE.read_text()
    for name, value in filled.items():
        text = text.replace(name, json.dumps(value), 1)
    return text


def path(environ: Mapping[str, str]) -> Path:
    """Where opencode loads plugins from for every project; OPENCODE_CONFIG_DIR is read besides, not instead."""
    folder = environ.get("XDG_CONFIG_HOME")
    return (Path(folder) if folder else Path.home() / ".config") / "opencode" / "plugins" / "tmux-agent.js"


def changes(environ: Mapping[str, str], uninstall: bool) -> Sequence[Change]:
    """A file of that name that is not ours is kept beside it, and left alone by the uninstall."""
    file = SettingsFile(path(environ))
    ours = (file.text or "").startswith(MARK)
    if uninstall:
        return [Change(file, (file.before() if ours else file.text))]
    return [Change(file, plugin(hook_command.interpreter(), hook_command.relay()), keep=not ours)]


def settings(environ: Mapping[str, str]) -> Path:
    """opencode's own settings, for every project: opencode.jsonc where the person has that one alone."""
    plain = path(environ).parents[1] / "opencode.json"
    commented = plain.with_suffix(".jsonc")
    return commented if commented.exists() and not plain.exists() else plain


def _mcp(environ: Mapping[str, str], uninstall: bool) -> Change:
    entry = {"type": "local", "command": mcp_server.command(environ), "enabled": True, "timeout": 3_600_000}
    return mcp_server.in_json(settings(environ), "mcp", entry, uninstall, beyond="comments and commas")


SETUP = Setup(
    agent=opencode.AGENT,
    title="opencode",
    program="opencode",
    package="opencode-ai",
    tried=(1, 18, 33),
    changes=changes,
    mcp=_mcp,
    limits=(
        "opencode runs what no rule names without asking, unless its own configuration says otherwise:"
        ' "permission": {"bash": "ask", "edit": "ask"} in opencode.json brings every such question into the popup',
        "while the sidecar is away opencode's own permissions decide; to refuse tools then: on_unavailable: deny",
        "opencode --pure, OPENCODE_PURE=1 and another XDG_CONFIG_HOME start it without the plugin; opencode 2 (beta)"
        " does not load it",
        "the first start with any plugin fetches opencode's own types from npm; without a network that takes a minute",
    ),
    afterwards="start opencode anew: it loads plugins only when it starts",
)
