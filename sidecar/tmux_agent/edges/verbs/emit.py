"""`tmux-agent emit TYPE …`: a marker over the socket instead of in the output, counted once."""

from __future__ import annotations

import argparse

TYPES = ("STATUS", "PROGRESS", "ASK", "ERROR", "ARTIFACT", "DONE")


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("type", help=f"{', '.join(TYPES)}, or a type of your own")
    parser.add_argument("fields", nargs="*", metavar="NAME=VALUE", help="stage=build, ok=true, percent=40, message=…")
    parser.add_argument("--id", default="", help="under which it counts once (one of its own, unless given)")
    parser.add_argument("--wait", action="store_true", help="for ASK: wait for the answer and print it")
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")


def main(args: argparse.Namespace) -> int:
    import os
    import uuid

    from ...client import Client
    from .. import out

    marker = {"type": args.type.upper(), "id": args.id or uuid.uuid4().hex, **dict(map(_field, args.fields))}
    if run := os.environ.get("TMUX_AGENT_RUN"):
        marker.setdefault("run", run)
    with Client(name="emit") as client:
        data = client.call("sentry.emit", {"marker": marker})
        if args.wait and data.get("request_id"):
            data = _answer(client, data["request_id"])
    if args.json:
        out.as_json(data)
    elif "state" in data:
        answer = data.get("answer") or {}
        print(answer.get("choice") or answer.get("comment") or data["state"])
    return 3 if data.get("state", "approved") != "approved" else 0


def _answer(client, request_id: str):  # type: ignore[no-untyped-def]
    data = {"state": "pending"}
    while data["state"] == "pending":
        data = client.call("human.status", {"request_id": request_id, "wait_secs": 3600})
    return data


def _field(text: str) -> tuple[str, object]:
    """NAME=VALUE, where a value that is JSON is that, and everything else text."""
    import json

    from ...core.errors import InvalidParams

    name, equals, value = text.partition("=")
    if not equals or not name:
        raise InvalidParams(f"{text!r} is no NAME=VALUE: stage=build, for example")
    try:
        return name, value if value in ("NaN", "Infinity", "-Infinity") else json.loads(value)  # these are no JSON
    except ValueError:
        return name, value
