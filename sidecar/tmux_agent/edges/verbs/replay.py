"""`tmux-agent replay FILE`: a recorded session shown, or its actions judged anew by another policy.

Owns the arguments and what is shown. Judging and its report are those of `policy replay` (policy_replay.py); the times
are those of the recording, never of now. Must not own: the form of the file (core/recording.py).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ...core.recording import Entry, Happened, Output


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="what `tmux-agent record` wrote; - is standard input")
    parser.add_argument("--policy", metavar="FILE", help="the policy to try (default: your own as it is now)")
    parser.add_argument("--pipeline", metavar="FILE", help="tell it to the pipelines of this file; nothing is done")
    parser.add_argument("--pane", default="", metavar="%7", help="with --pipeline: only what this pane printed")
    parser.add_argument("--show", action="store_true", help="show what happened, moment by moment, and judge nothing")
    parser.add_argument(
        "--json", action="store_true", help="print JSON lines: differences, with --show entries"
    )


def main(args: argparse.Namespace) -> int:
    """0 nothing would be decided otherwise, 1 something would. Raises Failed for what is no recording."""
    with _entries(args.file) as entries:
        if args.show:
            for entry in entries:
                _show(entry, args.json)
            return 0
        if args.pipeline:
            return _pipelines(list(entries), args)
        return _judge(entries, args)


def _pipelines(entries: list[Entry], args: argparse.Namespace) -> int:
    from pathlib import Path

    import msgspec

    from ...core.display import safe
    from ...core.errors import Failed
    from ...core.pipeline_replay import replay
    from ...services.pipeline_files import read
    from .. import out

    file, wrong = read(Path(args.pipeline))
    if file is None:
        raise Failed(f"{args.pipeline} cannot be used: {'; '.join(map(str, wrong))}")
    for spec in file.pipelines:
        try:
            for step in replay(spec, entries, args.pane):
                if args.json:
                    print(msgspec.json.encode({"pipeline": spec.name, **msgspec.to_builtins(step)}).decode())
                else:
                    name = out.paint(f"{safe(step.stage or spec.name):<18}", "dim")
                    print(f"{_at(step.at)}  {name}  {safe(step.words)}")
        except ValueError as why:
            raise Failed(f"pipeline {spec.name}: {why}") from None
    return 0


@contextmanager
def _entries(name: str) -> Iterator[Iterator[Entry]]:
    """The entries of a file, one at a time. Raises Failed, also while they are read."""
    import sys

    from ...core import recording
    from ...core.errors import Failed

    try:
        with open(sys.stdin.fileno() if name == "-" else name, "rb", closefd=name != "-") as file:
            yield recording.read(iter(lambda: file.readline(MOST), b""))
    except recording.Damaged as why:
        raise Failed(f"{name} is no recording, or damaged: {why}") from None
    except OSError as why:
        raise Failed(f"{name} cannot be read: {why.strerror}") from None


MOST = 16 << 20  # bytes of one line: a record is at most 64 KiB, what a pane printed at once not much more


def _judge(entries: Iterator[Entry], args: argparse.Namespace) -> int:
    from ...core.recording import Happened
    from .policy import judgement_of
    from .policy_replay import compare

    judgement = judgement_of(args.policy)
    if judgement is None:
        return 1
    events = ({**_record(one), "at": one.at} for one in entries if isinstance(one, Happened))
    return compare(judgement, events, args.json)


def _record(entry: Happened) -> dict[str, Any]:
    """As the audit log has it."""
    import msgspec

    found: dict[str, Any] = msgspec.to_builtins(entry)
    return found


def _show(entry: Entry, as_json: bool) -> None:
    from ...core.recording import End, Output, Session, line

    if as_json:
        print(line(entry).decode(), end="")
    elif isinstance(entry, Session):
        print(f"recorded from {entry.started} on, by tmux-agent {entry.by}")
    elif isinstance(entry, Output):
        _show_output(entry)
    elif isinstance(entry, End):
        print(f"{_at(entry.at)}  ended: {entry.why}" + (f", {entry.lost} events lost" if entry.lost else ""))
    else:
        _show_event(entry)


def _show_output(entry: Output) -> None:
    from ...core.display import safe
    from .. import out

    for text in entry.text.splitlines():
        print(f"{_at(entry.at)}  {out.paint(f'{safe(entry.pane):<18}', 'dim')}  {safe(text)}")


def _show_event(entry: Happened) -> None:
    from ...core.display import safe
    from .. import out
    from ..audit_lines import in_words

    style, words = _state(entry.data) if entry.type == "agent.state" else in_words(entry)
    print(f"{_at(entry.at)}  {out.paint(f'{safe(entry.type):<18}', style)}  {words}".rstrip())


def _state(data: dict[str, Any]) -> tuple[str, str]:
    """Of an event that the audit log never has."""
    from ...core.display import safe

    agent = data.get("agent")
    told = agent if isinstance(agent, dict) else {}
    names = ("kind", "pane", "state", "waiting_on", "detail")
    words = " · ".join(safe(str(told[name]))[:80] for name in names if told.get(name))
    return str(told.get("state", "")), words or ("gone" if data.get("gone") else "")


def _at(seconds: float) -> str:
    return f"{seconds:>11.3f}"
