"""`tmux-agent chat`: the words of a chat at a terminal or through a pipe, a line in, an answer out (docs/chat.md).

For bots that can start a program, and for trying what people will type. Lines between ``` marks are one. The token,
where config.yaml sets one, is read from TMUX_AGENT_CHAT_TOKEN: arguments can be seen by everybody.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ...client import Client

TOKEN = "TMUX_AGENT_CHAT_TOKEN"  # noqa: S105 - the variable's name
MINUTES = 60.0  # seconds that one chat.follow waits


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sender", metavar="NAME", help="who says it, as in chat.senders (your login name)")
    parser.add_argument("--channel", default="", metavar="NAME", help="where it is said")
    parser.add_argument("--follow", action="store_true", help="wait for what takes longer, and print that, too")
    parser.add_argument("--json", action="store_true", help="print each answer as JSON, a line each")
    parser.add_argument("text", nargs="*", metavar="-- TEXT", help="one line; without it lines are read until the end")
    parser.epilog = "exit code: 0 done, 1 not, 3 refused; of many lines that of the last"


def main(args: argparse.Namespace) -> int:
    import getpass

    from ...client import Client

    # Named and empty it is nobody: a bot that knows no sender does not speak as the person whose program it is.
    said = {"sender": getpass.getuser() if args.sender is None else args.sender, "channel": args.channel}
    if token := os.environ.get(TOKEN):
        said["token"] = token
    code = 0
    with Client(name="chat") as client:
        for text in [" ".join(args.text)] if args.text else _lines(sys.stdin):
            _check(text)
            for answer in _answers(client, text, said, follow=args.follow):
                _print(answer, as_json=args.json)
                code = 0 if answer.get("ok", True) else 3 if answer["did"] == "refused" else 1
    return code


def _check(text: str) -> None:
    """Raises InvalidParams for what is no text: it could not be run as it was typed."""
    from ...core.errors import InvalidParams

    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidParams("a line is not UTF-8, and what it says cannot be told") from None


def _answers(client: Client, text: str, said: dict[str, str], *, follow: bool) -> Iterator[dict[str, Any]]:
    """What is said to a line, and then, one after the other, what came of it."""
    answer: dict[str, Any] = client.call("chat.say", {"text": text, **said})
    yield answer
    while follow and (id_ := answer.get("follow_up")):
        before, answer = answer, client.call("chat.follow", {"follow_up": id_, "wait_secs": MINUTES, **said})
        if answer != before:
            yield answer


def _lines(source: Iterable[str]) -> Iterator[str]:
    """Lines, with those between ``` marks as one; blank ones are passed over."""
    waiting = ""
    _prompt()
    for line in source:
        waiting += line
        if waiting.count("```") % 2:
            continue
        if waiting.strip():
            yield waiting.rstrip("\n")
        waiting = ""
        _prompt()
    if waiting.strip():
        yield waiting.rstrip("\n")


def _prompt() -> None:
    if sys.stdin.isatty() and sys.stdout.isatty():
        print("> ", end="", flush=True)


def _print(answer: dict[str, Any], *, as_json: bool) -> None:
    import msgspec

    print(msgspec.json.encode(answer).decode() if as_json else answer["text"], flush=True)
