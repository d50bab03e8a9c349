"""`tmux-agent templates`: what can be typed at a new agent's prompt by `tmux-agent spawn --template NAME`."""

from __future__ import annotations

import argparse


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print them as JSON")


def main(args: argparse.Namespace) -> int:
    import os

    from ...client import Client
    from .. import out

    with Client(patience=2) as client:
        data = client.call("fleet.templates", {"repository": os.getcwd()})
    if args.json:
        out.as_json(data)
        return 0
    if data.get("wrong"):
        print(out.paint(data["wrong"], "error"))
    if not data["templates"]:
        print("no template: `tmux-agent init` writes one into .tmuxagent/templates of this repository")
        return 0
    rows = [
        [one["name"], "yours" if one["own"] else "trusted" if one["trusted"] else "not trusted", one.get("about", "")]
        for one in data["templates"]
    ]
    out.table(["NAME", "FROM", "ABOUT"], rows, ["" if one["trusted"] else "dim" for one in data["templates"]])
    return 0
