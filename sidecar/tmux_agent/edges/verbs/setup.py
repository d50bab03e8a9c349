"""`tmux-agent setup AGENT`: puts our hooks into an agent's settings after showing what changes, and takes them out.

Owns asking and telling. Must not own: which files and hooks (adapters/…_setup.py), replacing files (settings_file.py).
"""

from __future__ import annotations

import argparse
import difflib
import os
import sys
from collections.abc import Mapping, Sequence

from ...core.errors import InvalidParams, TmuxAgentError
from .. import out
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
    parser.add_argument("--mcp", action="store_true", help="give it the guarded tools over MCP, too (docs/mcp.md)")
    parser.add_argument(
        "--popup-only", action="store_true", help="gemini: ask in the popup alone, not in the agent's dialog as well"
    )
    parser.add_argument(
        "--uninstall", action="store_true", help="take all of ours out again; with --mcp only the tools over MCP"
    )


def main(args: argparse.Namespace) -> int:
    if args.popup_only and (args.agent == ALL or SETUPS[args.agent].popup_only is None):
        raise InvalidParams(f"--popup-only is for {', '.join(one.agent for one in SETUPS.values() if one.popup_only)}")
    if args.agent != ALL:
        chosen = SETUPS[args.agent]
        return _connect(chosen.popup_only if args.popup_only and chosen.popup_only else chosen, args)
    present = [one for one in SETUPS.values() if args.uninstall or one.found(os.environ)]
    missing = [one for one in SETUPS.values() if one not in present]
    if missing:
        print(f"not on your PATH: {', '.join(one.program for one in missing)}", file=sys.stderr)
    return max((_each(one, args) for one in present), default=1)


def _each(setup: Setup, args: argparse.Namespace) -> int:
    """One of all: what is wrong with it keeps no other from being connected."""
    print(out.paint(f"{setup.title}: {setup.found(os.environ) or 'not installed'}", "bold"))
    try:
        return _connect(setup, args)
    except InvalidParams:
        raise  # nobody to ask: the same for every agent
    except TmuxAgentError as why:
        print(f"{setup.title}: {why.message}", file=sys.stderr)
        return 1


def _connect(setup: Setup, args: argparse.Namespace) -> int:
    """Hooks, then the bridge; the other way round when they are taken out, since they may share a file."""
    if args.uninstall:
        status = _bridge(setup, args)
        return status if args.mcp else max(status, _hooks(setup, args))
    status = _hooks(setup, args)
    return _bridge(setup, args) if args.mcp and not status else status


def _hooks(setup: Setup, args: argparse.Namespace) -> int:
    every = setup.changes(os.environ, args.uninstall)
    for warning in () if args.uninstall else _warnings(setup, every[0].new):
        print(f"warning: {warning}", file=sys.stderr)
    left = setup.unfinished(os.environ) if setup.unfinished and not args.uninstall else ""
    if not any(change.needed for change in every):
        if not left:
            there = "no hook of ours is" if args.uninstall else "all hooks are"
            print(f"{setup.title}: nothing to change, {there} there")
            return 0
        print(left)
    if not _write_all(every, args, "Repeat that step" if left else ""):
        return 0 if args.dry_run else 1
    for line in setup.finish(os.environ, args.uninstall) if setup.finish else ():
        print(line)
    for limit in () if args.uninstall else setup.limits:
        print(f"note: {limit}")
    print(setup.afterwards)
    return 0


def _bridge(setup: Setup, args: argparse.Namespace) -> int:
    change = setup.mcp(os.environ, args.uninstall)
    if not change.needed:
        if args.mcp:
            there = "it is not" if args.uninstall else "it is"
            print(f"{setup.title}: nothing to change, {there} in {change.file.path} as an MCP server")
        return 0
    if not _write_all([change], args):
        return 0 if args.dry_run else 1
    if not args.uninstall:
        print(f"note: {setup.title} may ask about these tools by itself: docs/mcp.md says how you are asked once")
    return 0


def _write_all(every: Sequence[Change], args: argparse.Namespace, otherwise: str = "") -> bool:
    """Show, ask, write; whether there was a yes. `otherwise`: what is asked where no file changes."""
    changes = [change for change in every if change.needed]
    for change in changes:
        print(_diff(change))
    if args.dry_run:
        return False
    what = otherwise if not changes else "Write this" if len(changes) == 1 else f"Write these {len(changes)} files"
    if not args.yes and not _agreed(what):
        print("nothing was written", file=sys.stderr)
        return False
    for change in changes:
        _write(change, uninstall=args.uninstall)
    return True


def _write(change: Change, *, uninstall: bool) -> None:
    file = change.file
    if change.new is None:
        file.delete()
    else:
        file.write(change.new, keep=change.keep and not uninstall)
    if uninstall:
        if not change.shared:
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


def _agreed(what: str) -> bool:
    if not sys.stdin.isatty():
        raise InvalidParams("there is no terminal to ask on: add --yes to write this, or --dry-run to only look")
    try:
        return input(f"{what}? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False
