"""`tmux-agent explain %7`: why a pane has the state that it has, or why what runs there is no agent."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...core.replies import ExplainData


WATCHED = {
    "": "no: no pipeline and no rule is about it, and nobody named it (`tmux-agent watch PANE`)",
    "its output": "for markers, in all that it prints",
    "from its screen": "for markers, on its screen: a program draws there, or the pane's pipe is somebody else's",
    "not yet": "for markers, from a moment on: it is about to be read",
}


def add(parser: argparse.ArgumentParser) -> None:
    here = os.environ.get("TMUX_PANE")
    parser.add_argument("pane", nargs="?", default=here, help="its id (%%7); without one, the pane it is typed in")
    parser.add_argument("--server", metavar="SOCKET", help="the tmux server, where there are several")
    parser.add_argument("--json", action="store_true", help="print it as JSON")


def main(args: argparse.Namespace) -> int:
    import msgspec

    from ...client import Client
    from ...core import errors
    from ...core.replies import ExplainData
    from .. import out

    if not args.pane:
        raise errors.InvalidParams("which pane? name one: tmux-agent explain %7 (`tmux-agent agents` lists them)")
    params = {"pane_id": args.pane} | ({"server": args.server} if args.server else {})
    with Client(patience=2) as client:
        found = client.call("agent.explain", params)
    if args.json:
        out.as_json(found)
    else:
        _show(msgspec.convert(found, ExplainData, strict=False))
    return 0


def _show(found: ExplainData) -> None:
    from datetime import UTC, datetime

    from ...core import display, limits
    from ...services import local_time
    from .. import out

    now = datetime.now(UTC)

    def line(name: str, text: str, style: str = "") -> None:
        out.wrapped(name, text, style)

    line(found.pane, found.because, found.agents[0].state.value if found.agents else "")
    line("where", found.place)
    line("runs", ", ".join(found.programs) or "nothing")
    for one in found.agents:
        line("session", f"{one.session}, {one.state.value} for {display.ago((now - one.since).total_seconds())}")
        if one.limit:
            line("limit", limits.said(one.limit, now, local_time.mine()))
        if one.waiting_on or one.detail:
            line("", one.waiting_on or one.detail)
    if found.reading and found.reading.state != "unknown":
        output = found.reading
        text = f": {output.text}" if output.text else ""
        line("output", f"{output.state} ({output.confidence:.0%}, {output.strategy}){text}")
    if found.screen:
        text = f": {found.screen.text}" if found.screen.text else ""
        rule = f" by the rule {found.screen.rule!r}" if found.screen.rule else ""
        line("screen", f"{found.screen.state}{rule} for {found.screen.agent}{text}")
    for question in found.questions:
        age = display.ago((now - question.since).total_seconds())
        line("waits for", f"{question.what} ({question.request_id}, {age}; {question.rule or 'no rule'})")
    if found.decision:
        line("policy", f"{found.decision.verdict.value} by {found.decision.rule!r} {found.decision.reason}".rstrip())
    line("watched", WATCHED.get(found.watched.how, found.watched.how))
    if found.watched.withheld:
        line("", "what it printed is told in that pane, and in a terminal outside tmux")
    for said in found.watched.markers:
        line("marker", said)
    for said in found.watched.invalid:
        line("no marker", said, "error")
    for told in found.told:
        note = f" ({told.note})" if told.note else ""
        says = f" → {told.state}" if told.state else ""
        line(told.at.astimezone().strftime("%H:%M:%S"), f"{told.what}{says}{note}")
