"""`tmux-agent setup AGENT`: puts our hooks into an agent's settings after showing what changes, and takes them out.

Owns asking and telling. Must not own: which hooks (adapters/claude_setup.py), replacing files (settings_file.py).
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import shutil
import sys
from pathlib import Path

from ...core.errors import Failed, InvalidParams
from ..adapters import claude_setup
from ..settings_file import SettingsFile


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("agent", choices=["claude"], help="the agent to connect")
    parser.add_argument("--yes", "-y", action="store_true", help="write without asking")
    parser.add_argument("--dry-run", action="store_true", help="show what would change, write nothing")
    parser.add_argument("--uninstall", action="store_true", help="take our hooks out again")


def main(args: argparse.Namespace) -> int:
    file = SettingsFile(claude_settings())
    old = file.text
    new = _without(file) if args.uninstall else _with(file)
    for warning in _warnings(new, uninstall=args.uninstall):
        print(f"warning: {warning}", file=sys.stderr)
    if new == old:
        print(f"{file.path}: nothing to change, {'no hook of ours is' if args.uninstall else 'all hooks are'} there")
        return 0
    print(_diff(file.path, old, new))
    if args.dry_run:
        return 0
    if not args.yes and not _agreed():
        print("nothing was written", file=sys.stderr)
        return 1
    _write(file, new, uninstall=args.uninstall)
    return 0


def claude_settings() -> Path:
    """The person's own settings file of Claude Code."""
    folder = os.environ.get("CLAUDE_CONFIG_DIR")
    return (Path(folder) if folder else Path.home() / ".claude") / "settings.json"


def interpreter() -> str:
    """An absolute Python that is no shim: what runs us, outside any virtual environment, which may be made anew."""
    found = os.path.abspath(getattr(sys, "_base_executable", None) or sys.executable)
    with open(found, "rb") as file:
        script = file.read(2) == b"#!"
    return os.path.realpath("/proc/self/exe") if script else found


def relay() -> str:
    """The absolute path of the hook relay of this installation."""
    return str(Path(__file__).resolve().parents[1] / "hook_relay.py")


def _with(file: SettingsFile) -> str:
    try:
        return claude_setup.install(_or_empty(file.text), claude_setup.handlers(interpreter(), relay()))
    except ValueError as why:
        raise Failed(f"{file.path} cannot be used, nothing was changed: {why}; mend it and run this again") from None


def _without(file: SettingsFile) -> str | None:
    """What the file holds without us: its very bytes from before where nothing else changed, None where it was ours."""
    if file.text is None or not file.text.strip():
        return file.text
    try:
        handlers = claude_setup.installed(json.loads(file.text))
        removed = claude_setup.remove(file.text)
        before = file.before()
        if handlers and before is not None and claude_setup.install(_or_empty(before), handlers) == file.text:
            return before
    except ValueError as why:
        raise Failed(f"{file.path} cannot be used, nothing was changed: {why}; mend it and run this again") from None
    return None if handlers and before is None and removed.strip() == "{}" else removed


def _or_empty(text: str | None) -> str:
    return text if text and text.strip() else "{}\n"


def _write(file: SettingsFile, new: str | None, *, uninstall: bool) -> None:
    if uninstall:
        if new is None:
            file.delete()
        else:
            file.write(new, keep=False)
        file.drop_backup()
        print(f"our hooks are gone from {file.path}; running sessions of Claude Code notice within seconds")
        return
    assert new is not None
    ours_before = bool(file.text and file.text.strip() and claude_setup.installed(json.loads(file.text)))
    file.write(new, keep=not ours_before)
    kept = f"; as it was before: {file.backup}" if file.backup.exists() else ""
    print(f"written {file.path}{kept}\nrunning sessions of Claude Code take the hooks up within seconds")


def _warnings(text: str | None, *, uninstall: bool) -> list[str]:
    found = []
    if not uninstall and shutil.which("claude") is None:
        found.append("claude is not on your PATH; the hooks are there for when it is")
    if not uninstall and text and json.loads(text).get("disableAllHooks"):
        found.append('the settings say "disableAllHooks": true, so Claude Code runs none of them: take it out')
    return found


def _diff(path: Path, old: str | None, new: str | None) -> str:
    lines = difflib.unified_diff(
        (old or "").splitlines(), (new or "").splitlines(), str(path), str(path) if new is not None else "", lineterm=""
    )
    return "\n".join(lines)


def _agreed() -> bool:
    if not sys.stdin.isatty():
        raise InvalidParams("there is no terminal to ask on: add --yes to write this, or --dry-run to only look")
    return input("Write this? [y/N] ").strip().lower() in ("y", "yes")
