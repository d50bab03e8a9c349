"""`tmux-agent setup AGENT`: puts our hooks into an agent's settings after showing what changes, and takes them out.

Owns asking and telling. Must not own: which files and hooks (adapters/…_setup.py), replacing files (settings_file.py).
"""

from __future__ import annotations

import argparse
import difflib
import os
import sys
from collections.abc import Mapping, Sequence

from ...core.errors import InvalidParams
from ..adapters.claude_setup import SETUP as CLAUDE
from ..adapters.codex_setup import SETUP as CODEX
from ..adapters.cursor_setup import SETUP as CURSOR
from ..adapters.gemini_setup import SETUP as GEMINI
from ..adapters.opencode_setup import SETUP as OPENCODE
from ..adapters.setups import Change, Setup

SETUPS: Mapping[str, Setup] = {one.agent: one for one in (CLAUDE, CODEX, GEMINI, OPENCODE, CURSOR)}
ALL = "all"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("agent", choices=[*SETUPS, ALL], help=f"the agent to connect; {ALL}: those that are installed")
    parser.add_argument("--yes", "-y", action="store_true", help="write without asking")
    parser.add_argument("--dry-run", action="store_true", help="show what would change, write nothing")
    parser.add_argument(
        "--popup-only", action="store_true", help="gemini: ask in the popup alone, not in the agent's dialog as well"
    )
    parser.add_argument("--uninstall", action="store_true", help="take our hooks out again")


def main(args: argparse.Namespace) -> int:
    if args.popup_only and (args.agent == ALL or SETUPS[args.agent].popup_only is None):
        raise InvalidParams(f"--popup-only is for {', '.join(one.agent for one in SETUPS.values() if one.popup_only)}")
    if args.agent != ALL:
        chosen = SETUPS[args.agent]
        return _connect(chosen.popup_only if args.popup_only and chosen.popup_only else chosen, args)
    present = [one for one in SETUPS.values() if args.uninstall or one.found(os.environ)]
    if not present:
        print(f"none is on your PATH: {', '.join(one.program for one in SETUPS.values())}", file=sys.stderr)
        return 1
    return max(_connect(one, args) for one in present)


def _connect(setup: Setup, args: argparse.Namespace) -> int:
    every = setup.changes(os.environ, args.uninstall)
    changes = [change for change in every if change.needed]
    for warning in () if args.uninstall else _warnings(setup, every[0].new):
        print(f"warning: {warning}", file=sys.stderr)
    if not changes:
        there = "no hook of ours is" if args.uninstall else "all hooks are"
        print(f"{setup.title}: nothing to change, {there} there")
        return 0
    for change in changes:
        print(_diff(change))
    if args.dry_run:
        return 0
    if not args.yes and not _agreed(changes):
        print("nothing was written", file=sys.stderr)
        return 1
    for change in changes:
        _write(change, uninstall=args.uninstall)
    for line in setup.finish(os.environ, args.uninstall) if setup.finish else ():
        print(line)
    for limit in () if args.uninstall else setup.limits:
        print(f"note: {limit}")
    print(setup.afterwards)
    return 0


def _write(change: Change, *, uninstall: bool) -> None:
    file = change.file
    if change.new is None:
        file.delete()
    else:
        file.write(change.new, keep=change.keep and not uninstall)
    if uninstall:
        file.drop_backup()
        print(f"ours is gone from {file.path}")
        return
    kept = f"; as it was before: {file.backup}" if file.backup.exists() else ""
    print(f"written {file.path}{kept}")


def _warnings(setup: Setup, text: str | None) -> list[str]:
    found = []
    if setup.found(os.environ) is None:
        found.append(f"{setup.program} is not on your PATH; the hooks are there for when it is")
    return [*found, *setup.warnings(text)]


def _diff(change: Change) -> str:
    old, new, path = change.file.text, change.new, str(change.file.path)
    lines = difflib.unified_diff(
        (old or "").splitlines(), (new or "").splitlines(), path, path if new is not None else "", lineterm=""
    )
    return "\n".join(lines)


def _agreed(changes: Sequence[Change]) -> bool:
    if not sys.stdin.isatty():
        raise InvalidParams("there is no terminal to ask on: add --yes to write this, or --dry-run to only look")
    what = "this" if len(changes) == 1 else f"these {len(changes)} files"
    return input(f"Write {what}? [y/N] ").strip().lower() in ("y", "yes")
