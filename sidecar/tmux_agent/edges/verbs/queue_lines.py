"""What `tmux-agent queue` prints. Must not own: what is asked (queue.py), how lines look (edges/out.py)."""

from __future__ import annotations

import textwrap
from datetime import UTC, datetime
from typing import Any

import msgspec

from ...core import display
from ...core.replies_queue import AddedData, QueueData, QueueLogData, QueueRunData, StepData, TaskData, TryData
from .. import out

WIDE = 80  # columns; below, a task's name, its state and what it is about have room
STATE = 13  # cells of a state, with what is between columns
NAMES = {True: 28, False: 12}  # cells of a name
ORDER = (
    "waiting", "running", "checking", "closing", "starting", "retrying", "queued", "failed", "skipped", "cancelled",
    "done",
)  # fmt: skip
STYLES = {"running": "working", "checking": "working", "failed": "error", "waiting": "waiting", "done": "done"}


def show(what: str, data: Any, *, dry: bool = False) -> None:
    """Print the answer to `queue WHAT`."""
    if what in ("add", "load"):
        _added(msgspec.convert(data, AddedData, strict=False), dry=dry)
    elif what == "run" and dry:
        _steps(msgspec.convert(data, QueueRunData, strict=False).steps)
    elif what in ("list", "cancel") or "counts" in data:
        listed(msgspec.convert(data, QueueData, strict=False))
    elif what in ("run", "pause"):
        print("the queue is paused: nothing new begins" if data.get("paused") else "the queue goes on")
    elif what == "log":
        _log(msgspec.convert(data, QueueLogData, strict=False))
    else:
        one(msgspec.convert(data, TaskData, strict=False))


def listed(data: QueueData) -> None:
    """A table of tasks, those that need somebody first."""
    if data.counts:
        counted = [f"{data.counts[state]} {state}" for state in ORDER if state in data.counts]
        line = " · ".join((*counted, *(["paused"] if data.paused else [])))
        print(out.paint("\n".join(textwrap.wrap(line, max(out.columns(), 20))), "bold"))
    if not data.tasks:
        print("no task is in the queue: `tmux-agent queue add TEXT`, or `tmux-agent queue load tasks.yaml`")
        return
    wide = out.columns() >= WIDE
    tasks = sorted(data.tasks, key=lambda task: (ORDER.index(task.state), -task.priority, task.task_id))
    head = ["TASK", "STATE", "SINCE", "AGENT", "WHAT"] if wide else ["TASK", "STATE", "WHAT"]
    now = datetime.now(UTC)
    out.table(head, [_row(task, now, wide=wide) for task in tasks], [STYLES.get(task.state, "") for task in tasks])


def _row(task: TaskData, now: datetime, *, wide: bool) -> list[str]:
    name = display.middle(task.name, NAMES[wide])
    if not wide:  # the end can be done without
        return [name, task.state, display.cut(about(task), max(out.columns() - NAMES[wide] - STATE, 12))]
    return [name, task.state, display.ago((now - task.since).total_seconds()), task.agent, about(task)]


def about(task: TaskData) -> str:
    """What a task does, waits for or came to, on a line."""
    tried = task.tries[-1] if task.tries else None
    words: list[str] = []
    if task.attempt > 1:
        words.append(f"try {task.attempt}")
    if task.progress is not None and task.state in ("running", "waiting"):
        words.append(f"{task.progress:.0f} %")
    words += filter(None, (task.waits_for, "" if task.waits_for else task.reason))
    if tried is not None and task.state == "done":
        words += filter(None, (tried.diff, tried.branch))
    said = tried.message if tried else ""
    if said and said not in task.reason and task.state in ("running", "done", "failed"):
        words.append(f"“{said}”")
    return ", ".join(dict.fromkeys(words))


def one(task: TaskData) -> None:
    """A task with all of its tries."""
    print(out.paint(f"{task.name}  {task.state}", STYLES.get(task.state, "bold")))
    spec = task.spec
    rows: list[tuple[str, str]] = [("id", task.task_id), ("about", "" if task.state == "done" else about(task))]
    if spec is not None:
        check = spec.check if isinstance(spec.check, str) else " ".join(spec.check or ())
        rows += [("task", " ".join(spec.task.split())), ("needs", ", ".join(task.needs)), ("check", check)]
    rows += [("agent", task.agent), ("in", task.repository), ("added by", task.by)]
    for name, text in rows:
        if text:
            out.wrapped(name, text)
    for tried in task.tries:
        print()
        _try(tried)


def _try(tried: TryData) -> None:
    took = ((tried.ended or datetime.now(UTC)) - tried.started).total_seconds()
    head = f"try {tried.attempt}  {tried.state or 'under way'}  {display.ago(took)}"
    print(out.paint(head, STYLES.get(tried.state, "bold")))
    code = "" if tried.exit_code is None else f"exit code {tried.exit_code}"
    last = tried.output.rstrip().rpartition("\n")[2]
    for name, text in (
        ("why", tried.reason), ("said", tried.message), ("changed", tried.diff), ("branch", tried.branch),
        ("worktree", tried.worktree if tried.kept or not tried.ended else ""),
        ("check", ": ".join(filter(None, (code, last)))), ("note", tried.note), ("session", tried.agent),
    ):  # fmt: skip
        if text:
            out.wrapped(name, text)


def _added(data: AddedData, *, dry: bool) -> None:
    for wrong in data.errors:
        print(wrong)
    if data.errors:
        print(out.paint("nothing was added", "error"))
    elif dry:
        _steps(data.steps)
    else:
        for task in data.tasks:
            waits = f": {task.waits_for}" if task.waits_for else ""
            print(f"{task.name}  {task.state}{waits}")


def _steps(steps: tuple[StepData, ...]) -> None:
    if not steps:
        print("no task waits")
        return
    wide = out.columns() >= WIDE
    head = ["TURN", "TASK", "AGENT", "IN", "WHAT"] if wide else ["TURN", "TASK", "WHAT"]
    out.table(head, [_step(one, wide=wide) for one in steps])


def _step(one: StepData, *, wide: bool) -> list[str]:
    turn = str(one.turn) if one.turn else "–" if one.waits else "now"
    first = [turn, display.middle(one.name, NAMES[wide])]
    goes = one.waits or ("begins" if one.turn else "is under way")
    if not wide:
        return [*first, goes]
    what = "; ".join(filter(None, (goes, one.how)))
    return [*first, one.program, one.repository.rstrip("/").rpartition("/")[2], what]


def _log(data: QueueLogData) -> None:
    print(data.text.rstrip("\n") if data.text else f"nothing was kept of try {data.attempt} of {data.name}")
