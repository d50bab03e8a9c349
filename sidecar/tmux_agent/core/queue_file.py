"""tasks.yaml: every key, what it means, its default, and what is wrong with a file. docs/queue.md tells it to people.

Owns the typed file (core/config.py reads it), its defaults, and what types cannot say: names that are not there,
circles, sizes. Pure. Must not own: how a task goes on (queue.py), where files are and who trusts them
(services/queue_files.py).
"""

from __future__ import annotations

import graphlib
import posixpath
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec
from msgspec import Struct

from .config import ConfigError, nearest
from .pipeline_file import Retries, Words, argv, words

TASKS = 1000  # of one file, and of those in the queue that have not ended
TEXT = 32 << 10  # characters of a task
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,200}")
RETRIES = 100
WAITS = 30 * 86400.0  # seconds: longest time-out and back-off
TEXT_WORD = "{task}"  # in a command: what the agent is told, which is typed at its prompt otherwise
OF_TASK = "task:"  # begins a base that is the branch of another task


class Common(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a task may say and `defaults` may say for all tasks of a file."""

    agent: str = ""  # claude, codex, …; that of the template where there is one
    template: str = ""  # of the repository's fleet.toml
    command: str | Words | None = None  # what is started in place of the agent's own program; {task} is the text
    repository: str = ""  # a folder, from the file's own on
    base: str = ""  # what the branch begins at; task:NAME is the branch of a task that it needs
    priority: int | None = None  # the highest begins first; 0
    timeout: float | None = None  # seconds of one try, without those in which it waits for a person
    timeout_waiting: bool | None = None  # the time runs on while it waits for a person
    retries: int | Retries | None = None
    done: Literal["any", "hook", "marker", "exit", "check"] | None = None  # what says that it is done
    markers: Literal["any", "signed"] | None = None
    check: str | Words | None = None  # a program that ends with 0 where the work is good, run in the worktree; no shell
    check_timeout: float | None = None  # seconds
    sandbox: bool | None = None
    env: dict[str, str] = {}


class TaskFile(Common, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One task."""

    name: str
    task: str  # what the agent is told
    needs: str | Words = ()  # tasks that have to be done before it
    branch: str = ""  # empty: one of its own
    line: int = 0


class TasksFile(Struct, frozen=True, kw_only=True, omit_defaults=True):
    version: Literal["1"] | int = 1
    defaults: Common = Common()
    tasks: tuple[TaskFile, ...] = ()


def filled(task: TaskFile, defaults: Common) -> TaskFile:
    """The task with what it does not say itself. Variables of both are joined."""
    given = {
        field.name: getattr(defaults, field.name)
        for field in msgspec.structs.fields(Common)
        if getattr(task, field.name) in (None, "")
    }
    return msgspec.structs.replace(task, **{**given, "env": {**defaults.env, **task.env}})


def retries(task: Common) -> Retries:
    if isinstance(task.retries, Retries):
        return task.retries
    return Retries(max=task.retries or 0)


def kind(task: Common) -> str:
    """The kind of agent that a task counts for, where a limit is one of kinds: of a program of its own, that."""
    own = argv(task.command or ())
    return task.agent or (posixpath.basename(own[0]) if own else "claude")


def is_typed(task: TaskFile) -> bool:
    """Whether what the agent is told is typed at its prompt; else it is a word of its command."""
    return not any(TEXT_WORD in word for word in argv(task.command or ()))


def problems(
    tasks: Sequence[TaskFile], label: str, known: Collection[str] = (), open_names: Collection[str] = ()
) -> tuple[ConfigError, ...]:
    """Everything that is wrong with tasks whose form is right. `known`: names of the queue that may be needed, too;
    `open_names`: of tasks there that have not ended, whose names are taken."""
    wrong = _wrong(tasks, known, open_names)
    return tuple(ConfigError(label, line, f"tasks.{path}" if path else "tasks", said) for line, path, said in wrong)


_Wrong = Iterator[tuple[int, str, str]]


def _wrong(tasks: Sequence[TaskFile], known: Collection[str], open_names: Collection[str]) -> _Wrong:
    if not 0 < len(tasks) <= TASKS:
        yield 1, "", f"has to be 1 to {TASKS} tasks"
        return
    names = [one.name for one in tasks]
    twice = {name for name in names if names.count(name) > 1}
    for one in tasks:
        if one.name in twice:
            yield one.line, one.name, "is the name of two tasks"
        if one.name in open_names:
            yield one.line, one.name, "is in the queue already: cancel that task first, or call this one otherwise"
        yield from _wrong_needs(one, {*names, *known})
        yield from _wrong_task(one)
    needs = {one.name: [name for name in words(one.needs) if name != one.name] for one in tasks}
    if circle := circle_of(needs):
        line = next(one.line for one in tasks if one.name == circle[0])
        yield line, circle[0], f"need each other in a circle: {' → '.join(circle)}"


def _wrong_needs(one: TaskFile, known: Collection[str]) -> _Wrong:
    for name in words(one.needs):
        if name == one.name:
            yield one.line, one.name, f"need each other in a circle: {name} → {name}"
        elif name not in known:
            yield one.line, f"{one.name}.needs", f"there is no task {name!r}{nearest(name, known)}"
    if one.base.startswith(OF_TASK) and one.base.removeprefix(OF_TASK) not in words(one.needs):
        yield one.line, f"{one.name}.base", f"{one.base!r} is not a task that it needs: add it to needs"


def _wrong_task(one: TaskFile) -> _Wrong:
    if not NAME.fullmatch(one.name) or ".." in one.name:
        said = "begins with a letter or digit, and has letters, digits, single '.', '_' and '-', at most 64"
        yield one.line, "name", f"a task's name {said}, which {one.name[:80]!r} has not"
    if not one.task.strip() or len(one.task) > TEXT:
        yield one.line, f"{one.name}.task", f"has to be 1 to {TEXT} characters of text"
    yield from _wrong_commands(one)
    for name, value in one.env.items():
        if not VARIABLE.fullmatch(name) or "\0" in value:
            yield one.line, f"{one.name}.env", f"{name[:80]!r} is no name of a variable, or its value holds a NUL"
    if one.done == "check" and not one.check:
        yield one.line, f"{one.name}.done", "is check, and there is no check"
    tries = retries(one)
    if not 0 <= tries.max <= RETRIES or not 0 <= tries.backoff <= WAITS:
        yield one.line, f"{one.name}.retries", f"has to be 0 to {RETRIES}, and its backoff at most 30d"
    for key in ("timeout", "check_timeout"):
        seconds = getattr(one, key)
        if seconds is not None and not 0 < seconds <= WAITS:
            yield one.line, f"{one.name}.{key}", "has to be more than 0, and at most 30d"


def _wrong_commands(one: TaskFile) -> _Wrong:
    for key in ("check", "command"):
        try:
            own = argv(getattr(one, key) or ())
        except ValueError as why:
            yield one.line, f"{one.name}.{key}", str(why)
            continue
        if getattr(one, key) and not own:
            yield one.line, f"{one.name}.{key}", "names no program"
        if any("\0" in word for word in own):
            yield one.line, f"{one.name}.{key}", "holds a NUL, which no argument can"


def circle_of(needs: Mapping[str, Sequence[str]]) -> list[str]:
    """Names that need each other, the first one twice, each before what it needs; empty where there is none."""
    sorter: graphlib.TopologicalSorter[Any] = graphlib.TopologicalSorter(needs)
    try:
        sorter.prepare()
    except graphlib.CycleError as why:
        return list(reversed(why.args[1]))
    return []
