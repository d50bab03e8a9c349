"""`tmux-agent queue …`: tasks that agents work on, each in a worktree of its own: add, load, list, run, pause, …"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from typing import Any


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")
    under = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    _add_arguments(under.add_parser("add", help="put a task into the queue"))
    load = under.add_parser("load", help="put the tasks of a file into the queue, all or none")
    load.add_argument("file", metavar="FILE", help="tasks.yaml")
    check = under.add_parser("check", help="read files of tasks, and say what is wrong with them; no sidecar is needed")
    check.add_argument("files", nargs="+", metavar="FILE")
    listed = under.add_parser("list", help="tasks, what each does or waits for")
    listed.add_argument("--all", action="store_true", help="also all that have ended and are kept")
    listed.add_argument("--watch", action="store_true", help="draw it again whenever something changes, until Ctrl-C")
    show = under.add_parser("show", help="one task: its tries, what came of each")
    run = under.add_parser("run", help="let the queue go on after a pause")
    run.add_argument("--wait", action="store_true", help="until no task can go on; ends with 1 where one was not done")
    under.add_parser("pause", help="let nothing new begin; what is under way goes on")
    retry = under.add_parser("retry", help="try a task again that failed, was cancelled or skipped")
    cancel = under.add_parser("cancel", help="end tasks; branches stay, and worktrees with work that is not committed")
    cancel.add_argument("tasks", nargs="*", metavar="TASK", help="ids or names")
    cancel.add_argument("--all", action="store_true", help="every task that has not ended")
    cancel.add_argument("--why", default="", help="kept with them")
    log = under.add_parser("log", help="what the pane of a task printed")
    log.add_argument("--try", dest="attempt", type=int, metavar="N", help="of this try (the newest)")
    for sub in (show, retry, log):
        sub.add_argument("task", metavar="TASK", help="its id, or its name for the newest of that name")
    for sub in (load, run):
        sub.add_argument("--dry-run", action="store_true", help="say what would begin in which order, and do nothing")
    for sub in under.choices.values():
        if sub is not check:
            sub.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print the answer as JSON")


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("task", metavar="TEXT", help="what the agent is told; - reads it from the input")
    parser.add_argument("--name", default="", help="(default: the first words of the text)")
    parser.add_argument("--agent", default="", metavar="KIND", help="claude, codex, … (claude)")
    parser.add_argument("--template", default="", metavar="T", help="of the repository's fleet.toml")
    parser.add_argument("--repository", default=".", metavar="DIR", help="(default: this folder's)")
    parser.add_argument("--branch", default="", help="(default: one of its own)")
    parser.add_argument("--base", default="", metavar="REF", help="what the branch begins at; task:NAME is a task's")
    parser.add_argument("--needs", default=[], action="append", metavar="TASK", help="to be done before it; repeatable")
    parser.add_argument("--priority", type=int, metavar="N", help="the highest begins first (0)")
    parser.add_argument("--timeout", metavar="TIME", help="of one try: 90s, 30m, 2h")
    parser.add_argument("--retries", type=int, metavar="N", help="further tries after the first (0)")
    parser.add_argument("--check", default="", metavar="COMMAND", help="ends with 0 where the work is good")
    parser.add_argument("--done", choices=("any", "hook", "marker", "exit", "check"), help="what says that it is done")
    parser.add_argument("--sandbox", action="store_true", help="in the sandbox")
    parser.add_argument("--server", metavar="SOCKET", help="the tmux server, where there are several")
    parser.add_argument("--dry-run", action="store_true", help="say when it would begin, and do nothing")


def main(args: argparse.Namespace) -> int:
    if args.what == "check":
        return _check(args.files)
    from ...client import Client
    from .. import out
    from . import queue_lines

    with Client() as client:
        if getattr(args, "watch", False):
            return _watch(client, args)
        data = _call(client, args)
        if args.what == "run" and args.wait:
            data = _wait(client)
    if args.json:
        out.as_json(data)
    else:
        queue_lines.show(args.what, data, dry=getattr(args, "dry_run", False))
    if args.what == "run" and args.wait:
        return int(any(one["state"] in ("failed", "skipped", "cancelled") for one in data["tasks"]))
    return int(bool(data.get("errors")))


def _call(client: Any, args: argparse.Namespace) -> Any:
    from . import asked

    match args.what:
        case "add":
            return asked.call(client, "queue.add", _added(args))
        case "load":
            return asked.call(client, "queue.load", {"file": os.path.abspath(args.file), "dry_run": args.dry_run})
        case "list":
            return _all(client, whole=args.all)
        case "run":
            return asked.call(client, "queue.run", {"dry_run": args.dry_run})
        case "pause":
            return asked.call(client, "queue.pause", {})
        case "cancel":
            return asked.call(client, "queue.cancel", {"tasks": args.tasks, "all": args.all, "why": args.why})
        case "log":
            return client.call("queue.log", {"task": args.task, "attempt": args.attempt})
    return asked.call(client, f"queue.{args.what}", {"task": args.task})


def _all(client: Any, *, whole: bool) -> Any:
    """Every page as one."""
    data = client.call("queue.list", {"all": whole})
    while cursor := data.pop("cursor", None):
        more = client.call("queue.list", {"all": whole, "cursor": cursor})
        data = {**more, "tasks": [*data["tasks"], *more["tasks"]]}
    return data


def _added(args: argparse.Namespace) -> dict[str, Any]:
    text = sys.stdin.read() if args.task == "-" else args.task
    task: dict[str, Any] = {"name": args.name or _name(text), "task": text, "needs": args.needs}
    for key in ("agent", "template", "branch", "base"):
        task[key] = getattr(args, key)
    task["check"] = args.check or None
    task |= {key: getattr(args, key) for key in ("priority", "retries", "done")}
    task["sandbox"] = args.sandbox or None
    task["timeout"] = _seconds(args.timeout) if args.timeout else None
    params = {"tasks": [task], "repository": os.path.abspath(args.repository), "dry_run": args.dry_run}
    return params | ({"server": args.server} if args.server else {})


def _name(text: str) -> str:
    """The first words, as a task may be called."""
    import re

    return re.sub(r"[^A-Za-z0-9]+", "-", " ".join(text.split()[:5])).strip("-").lower()[:40].rstrip("-") or "task"


def _seconds(text: str) -> float:
    """Raises InvalidParams."""
    from ...core import config, errors
    from ...core.queue_file import Common

    found, wrong = config.load(f"timeout: {text}", "--timeout", Common)
    if found is None or found.timeout is None:
        raise errors.InvalidParams(f"--timeout {text}: {wrong[0].message if wrong else 'names no time'}")
    return found.timeout


def _check(files: list[str]) -> int:
    from pathlib import Path

    from ...core.queue_file import problems
    from ...services.queue_files import read, texts

    bad = 0
    for name in files:
        tasks, wrong = read(Path(name))
        wrong = wrong or (*problems(tasks, name), *texts(tasks, name))
        for one in sorted(wrong, key=lambda one: one.line):
            print(one)
        bad += bool(wrong)
        if not wrong:
            print(f"{name}: {', '.join(one.name for one in tasks)}")
    return int(bool(bad))


# --- following ---

EVENTS = ("queue.task", "queue.paused")
ENDED = ("done", "failed", "cancelled", "skipped")


def _wait(client: Any) -> Any:
    """Until no task can go on: all have ended, or nothing begins because the queue was paused meanwhile."""
    changes = _changes(client, whole=True)
    while True:
        data = next(changes)
        left = [one for one in data["tasks"] if one["state"] not in ENDED]
        if not left or (data.get("paused") and all(one["state"] in ("queued", "retrying") for one in left)):
            return data


def _watch(client: Any, args: argparse.Namespace) -> int:
    from . import queue_lines

    try:
        for data in _changes(client, whole=args.all):
            sys.stdout.write("\x1b[H\x1b[2J")
            queue_lines.show("list", data)
            sys.stdout.flush()
    except KeyboardInterrupt:
        pass
    return 0


def _changes(client: Any, *, whole: bool) -> Iterator[Any]:
    """The queue as it is, and again after each change."""
    since = client.call("health")["audit"]["records"]
    heard = client.events(*EVENTS, since=since)
    while True:
        yield _all(client, whole=whole)
        next(heard)
