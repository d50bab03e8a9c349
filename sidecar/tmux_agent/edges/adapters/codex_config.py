"""Codex's config.toml as text: our one setting put in and taken out, its records of trust in our hooks taken out.

Owns those edits; every other byte stays, and a text whose meaning would change otherwise is left alone. Pure. Must not
own: files (codex_setup.py), writing trust (Codex does, codex_trust.py).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection
from typing import Any

MARK = "# by tmux-agent: hooks run below their own pane"
SETTING = f"daemon_auto_start = false  {MARK}\n"
TABLE = f"[features]  {MARK}\n"
_FEATURES = re.compile(r"^[ \t]*\[[ \t]*features[ \t]*\][ \t]*(#[^\n]*)?\n", re.MULTILINE)
_BLANK = r"(?:^\n)?^"  # Codex writes a blank line before a table
_STATES = re.compile(rf"{_BLANK}\[hooks\.state\]\n(?=\n*(\[|\Z))", re.MULTILINE)


def read(text: str) -> dict[str, Any]:
    """What a config.toml says. Raises ValueError where it is none."""
    return tomllib.loads(text)


def own_daemon(text: str) -> str:
    """The text with `daemon_auto_start = false`; the same text where it says something of it, or has no place for it.

    Raises ValueError where it is no TOML.
    """
    said = read(text)
    features = said.get("features", {})
    if not isinstance(features, dict) or "daemon_auto_start" in features:
        return text
    if found := _FEATURES.search(text):
        changed = text[: found.end()] + SETTING + text[found.end() :]
    elif "features" in said:
        return text  # in a line of its own kind, which is the person's to extend
    else:
        changed = f"{text}\n{TABLE}{SETTING}" if text else TABLE + SETTING
    return changed if _says(changed, said | {"features": features | {"daemon_auto_start": False}}) else text


def without_us(text: str, keys: Collection[str]) -> str:
    """The text without our setting, and without the records of trust by these keys. Raises ValueError: no TOML."""
    before, changed = read(text), text
    for key in keys:
        header = re.escape(f'[hooks.state."{key}"]')
        record = re.compile(rf"{_BLANK}{header}\n(trusted_hash = \"[^\"\n]*\"\n)+", re.MULTILINE)
        changed = record.sub("", changed, count=1)
    if keys and not trusted(changed):
        changed = _STATES.sub("", changed, count=1)
    for ours in (f"\n{TABLE}{SETTING}", f"{TABLE}{SETTING}", SETTING):
        changed = changed.replace(ours, "", 1)
    return changed if _others(read(changed)) == _others(before) else text


def trusted(text: str) -> dict[str, str]:
    """Key → hash of the hooks that a config.toml trusts. Raises ValueError where it is no TOML."""
    hooks = read(text).get("hooks")
    states = hooks.get("state") if isinstance(hooks, dict) else None
    found = states.items() if isinstance(states, dict) else ()
    return {key: str(one["trusted_hash"]) for key, one in found if isinstance(one, dict) and "trusted_hash" in one}


def _others(said: dict[str, Any]) -> dict[str, Any]:
    """What is never ours."""
    return {name: value for name, value in said.items() if name not in ("hooks", "features")}


def _says(text: str, wanted: dict[str, Any]) -> bool:
    try:
        return read(text) == wanted
    except ValueError:
        return False
