"""tmux-agent as an MCP server in an agent's own configuration: its one entry put in and taken out.

Owns the entry's name and the command in it. Every other byte of a file stays. Must not own: writing files
(settings_file.py), where an agent keeps its servers and what else its entry says (claude_setup.py and its kin), the
bridge itself (edges/mcp).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ...core import json_text
from ...core.errors import Failed
from ..settings_file import SettingsFile
from .setups import Change

NAME = "tmux-agent"
MARK = "# by tmux-agent setup"
TABLE = f"[mcp_servers.{NAME}]"
_OURS = re.compile(rf"(?:^\n)?^{re.escape(TABLE)}  {re.escape(MARK)}\n(?:[^\[\n][^\n]*\n)*", re.MULTILINE)


def command(environ: Mapping[str, str]) -> list[str]:
    """The bridge's program and arguments, with a whole path: agents may have another PATH."""
    found = shutil.which(NAME, path=environ.get("PATH"))
    if found is None and os.path.basename(sys.argv[0]) == NAME:
        found = os.path.abspath(sys.argv[0])
    return [found, "mcp"] if found else [sys.executable, "-P", "-m", "tmux_agent", "mcp"]


def in_json(
    path: Path,
    servers: str,
    entry: Mapping[str, Any],
    uninstall: bool,
    *,
    shared: bool = False,
    beyond: json_text.Beyond = "",
) -> Change:
    """What a JSON file is to hold with our entry among its `servers`, or without it.

    `shared`: hooks of ours are in the file, too. `beyond`: what the agent takes that is no JSON. Raises Failed where
    what it holds cannot be used, Unavailable.
    """
    file = SettingsFile(path)
    had = f'"{servers}"' in (file.before() or "")

    def put(text: str) -> str:
        if text.strip():
            json_text.refuse(text, beyond)
        return _with(text, servers, entry)

    return _change(file, put, lambda text: _cut(text, servers, had), uninstall, shared)


def in_toml(path: Path, entry: Mapping[str, Any], uninstall: bool) -> Change:
    """The same for Codex's config.toml, which hooks of ours share; a table of that name of the person's own stays."""
    return _change(SettingsFile(path), lambda text: _with_table(text, entry), _without_table, uninstall, True)


def named(change: Change) -> list[str]:
    """The command of our entry in a file, [] where there is none; of a change that would take it out."""
    text = change.file.text
    if not text or not change.needed:
        return []
    said = tomllib.loads(text) if change.file.path.suffix == ".toml" else json_text.read(text)
    servers = next(said[name] for name in ("mcp_servers", "mcpServers", "mcp") if NAME in said.get(name, ()))
    entry = servers[NAME]
    command, arguments = entry.get("command"), entry.get("args", [])
    return [str(word) for word in (command if isinstance(command, list) else [command, *arguments])]


def _change(
    file: SettingsFile, put: Callable[[str], str], cut: Callable[[str], str], uninstall: bool, shared: bool
) -> Change:
    text = file.text or ""
    try:
        without = cut(text)
        if not uninstall:
            return Change(file, put(text), keep=not shared and without == text, shared=shared)
        before = None if shared or without == text else file.before()
        if before is not None and put(before) == text:
            without = before
        empty = not shared and before is None and without != text and without.strip() == "{}"
        return Change(file, None if file.text is None or empty else without, shared=shared)
    except ValueError as why:
        raise Failed(f"{file.path} cannot be used, nothing was changed: {why}; mend it and run this again") from None


# --- JSON --------------------------------------------------------------------------------------------


def _with(text: str, servers: str, entry: Mapping[str, Any]) -> str:
    text = text if text.strip() else "{}\n"
    held = _servers(text, servers)
    if held.get(NAME) == entry:
        return text
    text, indent = _cut(text, servers, True), json_text.indentation(text)
    if servers not in json_text.read(text):
        text = json_text.put(text, (servers,), {}, indent)
    return json_text.put(text, (servers, NAME), entry, indent)


def _cut(text: str, servers: str, had: bool) -> str:
    """Without our entry, and without the object that held nothing else, unless the person `had` it before."""
    if f'"{NAME}"' not in text or NAME not in _servers(text, servers):
        return text  # where we are not, it may be what we cannot read
    text = json_text.cut(text, (servers, NAME))
    return text if had or _servers(text, servers) else json_text.cut(text, (servers,))


def _servers(text: str, servers: str) -> dict[str, Any]:
    said = json_text.read(text)
    if not isinstance(said, dict):
        raise ValueError("it holds no JSON object")
    held = said.get(servers, {})
    if not isinstance(held, dict):
        raise ValueError(f"{servers!r} in it is no object")
    return held


# --- TOML --------------------------------------------------------------------------------------------


def _with_table(text: str, entry: Mapping[str, Any]) -> str:
    """Values are texts, numbers and lists of texts: JSON writes these as TOML does."""
    lines = [f"{name} = {json.dumps(value)}" for name, value in entry.items()]
    table = "\n".join([f"{TABLE}  {MARK}", *lines]) + "\n"
    if table in text:
        return text
    others = _without_table(text)
    held = tomllib.loads(others).get("mcp_servers", {})
    if not isinstance(held, dict) or NAME in held:
        return text  # the person's own
    changed = f"{others}{'' if others.endswith(chr(10)) or not others else chr(10)}{chr(10) if others else ''}{table}"
    tomllib.loads(changed)
    return changed


def _without_table(text: str) -> str:
    if MARK not in text:
        return text
    tomllib.loads(text)
    return _OURS.sub("", text, count=1)
