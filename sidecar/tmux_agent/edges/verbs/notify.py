"""`tmux-agent notify list|test|bridge`: channels, whether each works, and the local bus handed on. Needs no sidecar.

Owns what is printed. Must not own: how the bus is followed (edges/bridge.py), how channels are reached.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ...core import channels
    from ...services.places import Places
    from ...services.secrets import Secrets

INTERVAL = 2.0  # seconds between two looks at the bus


def add(parser: argparse.ArgumentParser) -> None:
    under = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    shown = under.add_parser("list", help="the channels, what each lacks, and what became of its messages")
    shown.add_argument("--json", action="store_true", help="print them as JSON")
    test = under.add_parser("test", help="send a message by each channel now, and say what came of it")
    test.add_argument("channels", nargs="*", metavar="CHANNEL", help="names or tags; none: the default")
    test.add_argument("--json", action="store_true", help="print the results as JSON")
    bridge = under.add_parser("bridge", help="follow the local bus and hand its messages on, until Ctrl-C")
    bridge.add_argument("--channel", required=True, metavar="A,B", help="names or tags of channels to hand on to")
    bridge.add_argument("--once", action="store_true", help="hand on what is there, and end")
    bridge.add_argument("--new", action="store_true", help="the first time, leave out what is there already")
    bridge.add_argument(
        "--interval", type=_seconds, default=INTERVAL, metavar="S", help=f"seconds between looks (default {INTERVAL:g})"
    )


def _seconds(text: str) -> float:
    value = float(text)
    if not 0.1 <= value <= 3600:
        raise argparse.ArgumentTypeError("0.1 to 3600 seconds")
    return value


def main(args: argparse.Namespace) -> int:
    from ...services.places import find
    from ...services.secrets import Secrets

    places = find(os.environ)
    secrets = Secrets(places, os.environ)
    wanted = settings(places)
    match args.what:
        case "list":
            return _list(places, secrets, wanted, json=args.json)
        case "test":
            return _test(places, secrets, wanted, ",".join(args.channels), json=args.json)
        case _:
            from ...services.senders import Senders
            from ..bridge import Bridge

            senders = Senders(places, secrets, lambda line: print(line, flush=True))
            bridge = Bridge(senders, wanted, args.channel, places.bus)
            return bridge.run(once=args.once, new=args.new, interval=args.interval)


def settings(places: Places) -> channels.Notify:
    """`notify` as a sidecar has it: of the policy, else of config.yaml. Raises InvalidParams where a file is wrong."""
    from ...core.errors import InvalidParams
    from ...services.config_file import read_settings
    from ...services.judgement import Judgement

    found, wrong = read_settings(places.config / "config.yaml", os.environ)
    home = os.environ.get("HOME") or str(Path.home())
    judgement = Judgement(folder=places.config, state=places.state, home=home, environ=os.environ)
    problems = [*wrong, *map(str, judgement.load())]
    if problems:
        raise InvalidParams("\n".join(problems))
    return judgement.policy.notify or found.notify


def named_by_default(wanted: channels.Notify, secrets: Secrets) -> str:
    """Names and tags for what names no channels."""
    from ...core import channels

    return channels.default(wanted, {"NOTIFICATION_CHANNELS": secrets.variable("NOTIFICATION_CHANNELS")})


def _list(places: Places, secrets: Secrets, wanted: channels.Notify, *, json: bool) -> int:
    from ...core import display
    from .. import out

    rows = _rows(places, secrets, wanted)
    if json:
        out.as_json(rows)
        return 0
    if not rows:
        print("no channels: `notify` in config.yaml, or NOTIFICATION_CHANNELS (docs/notifications.md)")
        return 0
    cells = []
    for row in rows:
        numbers = [str(row[key]) for key in ("waiting", "sent", "failed")]
        default, state = "yes" if row["default"] else "–", display.safe(row["lacks"] or row["why"] or "ok")
        cells.append([row["name"], row["kind"], ",".join(row["tags"]) or "–", default, *numbers, state])
    out.table(["NAME", "KIND", "TAGS", "DEFAULT", "WAIT", "SENT", "FAILED", "STATE"], cells)
    return 0


def _rows(places: Places, secrets: Secrets, wanted: channels.Notify) -> list[dict[str, Any]]:
    """Each channel: what it is, what it lacks, what became of its messages."""
    from ...core import channels
    from ...services import notice_rows
    from ...services.schema import look
    from ...services.senders import Senders

    default = named_by_default(wanted, secrets)
    traffic = look(places.database, notice_rows.traffic) or {}
    senders = Senders(places, secrets, print)
    rows = []
    for name, one in channels.all_of(wanted, default).items():
        seen = traffic.get(name, notice_rows.Traffic())
        rows.append(
            {
                "name": name,
                "kind": one.kind or ("command" if one.command else "url"),
                "tags": one.tags,
                "default": name in channels.named(wanted, default),
                "lacks": senders.lacks(one),
                "waiting": seen.waiting,
                "sent": seen.sent,
                "failed": seen.failed,
                "last": seen.last,
                "why": seen.why,
            }
        )
    return rows


def _test(places: Places, secrets: Secrets, wanted: channels.Notify, names: str, *, json: bool) -> int:
    from ...core import channels, display, redact
    from ...core.errors import InvalidParams, TmuxAgentError
    from ...core.message import Message
    from ...services.senders import Senders, within
    from .. import out

    if wrong := channels.unknown(wanted, names):
        raise InvalidParams(channels.known_words(wanted, wrong))
    default = named_by_default(wanted, secrets)
    senders = Senders(places, secrets, print)
    message = Message(title="tmux-agent: a test", body="If you read this, the channel works.", source="test")
    results = []
    for name in channels.named(wanted, names or default):
        channel = channels.channel(wanted, name)
        assert channel is not None
        try:
            why = within(senders.sender(channel, (message,)), channel.timeout)
        except TmuxAgentError as error:
            why = error.message
        why = display.safe(redact.redact_text(why))
        results.append({"channel": name, "delivered": not why, "why": why})
        if not json:
            mark = out.paint("delivered", "allow") if not why else out.paint("failed", "deny")
            print(f"{mark}  {name}" + (f": {why}" if why else ""))
            if why:
                print(f"           {_advice(why)}")
    if json:
        out.as_json(results)
    elif not results:
        print("no channels: `notify` in config.yaml, or NOTIFICATION_CHANNELS (docs/notifications.md)")
    return 0 if results and all(result["delivered"] for result in results) else 1


def _advice(why: str) -> str:
    """What to do about a failure, by what was said of it."""
    low = why.lower()
    if "is not set" in low or "there is no secret" in low or "chmod" in low or "https address" in low:
        return "then run this again"
    if "connection" in low or "not reached" in low or "resolve" in low or "takes over" in low:
        return "is the address right, and is there a way to it from this machine (proxy, firewall)?"
    if any(word in low for word in ("401", "403", "404", "unauthorized", "forbidden", "refuses", "invalid", "auth")):
        return "the service is there and says no: is the key, token or webhook the right one?"
    return "docs/notifications.md says what each channel needs"
