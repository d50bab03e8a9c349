"""`tmux-agent init`: write .tmuxagent/fleet.toml and a template into this repository, all of it commented."""

from __future__ import annotations

import argparse
import sys


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", nargs="?", default=".", metavar="DIR", help="in the repository (default: here)")
    parser.add_argument("--force", action="store_true", help="write over what is there")
    parser.add_argument("--json", action="store_true", help="print what was written as JSON")


def main(args: argparse.Namespace) -> int:
    import os
    from pathlib import Path

    from ...core.fleet_file import FLEET_TOML, TEMPLATE
    from ...services.fleet_files import FILE, FOLDER, TEMPLATES
    from ...services.worktree import locate
    from .. import out

    top = locate(os.path.realpath(args.folder))[0]
    if not top:
        print(f"{os.path.abspath(args.folder)} is in no git repository: run `git init` first", file=sys.stderr)
        return 1
    folder = Path(top) / FOLDER
    wanted = {folder / FILE: FLEET_TOML, folder / TEMPLATES / "feature.md": TEMPLATE}
    there = [str(path) for path in wanted if os.path.lexists(path) and not args.force]
    written = [str(path) for path in wanted if str(path) not in there]
    for path, text in wanted.items():
        if str(path) in written:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
    if args.json:
        out.as_json({"written": written, "there": there})
        return 0
    for line in (*(f"wrote {path}" for path in written), *(f"{path} is there already" for path in there)):
        print(line)
    print("change them as you like, then run `tmux-agent policy trust`: until then nothing of them is used")
    return 0
