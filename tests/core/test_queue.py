"""How the queue goes on: every rule by itself, and for whatever happens in whatever order what always has to hold."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tmux_agent.core import config
from tmux_agent.core.queue import RESTS, advance
from tmux_agent.core.queue_file import TaskFile, TasksFile, filled, problems, words
from tmux_agent.core.queue_room import next_due, under_way
from tmux_agent.core.queue_task import (
    ENDED,
    TAKEN,
    Added,
    Cancel,
    Checked,
    Clock,
    Closed,
    Dropped,
    Ended,
    Happening,
    NotStarted,
    Pause,
    Queue,
    Rests,
    Retry,
    Said,
    Spawn,
    Started,
    Task,
    TaskState,
    Waits,
    Wanted,
    Works,
)
from tmux_agent.core.queue_words import plan, waits_for, would
from tmux_agent.core.settings import Queue as Room

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
S = TaskState


def file(text: str) -> TasksFile:
    found, wrong = config.load(text, "tasks.yaml", TasksFile)
    assert not wrong
    assert found is not None
    return found


def wrong(text: str, **known: Any) -> list[str]:
    found, said = config.load(text, "tasks.yaml", TasksFile)
    return [str(one) for one in (problems(found.tasks, "tasks.yaml", **known) if found else said)]


class World:
    """A queue, and what it wanted, in order."""

    def __init__(self, text: str = "", **room: Any) -> None:
        self.now = NOW
        self.room = Room(**room)
        self.queue = Queue()
        self.wanted: list[Wanted] = []
        if text:
            self.add(text)

    def add(self, text: str) -> None:
        found = file(text)
        assert not problems(found.tasks, "tasks.yaml")
        tasks = [filled(one, found.defaults) for one in found.tasks]
        self.tell(Added(tuple(task(number, one) for number, one in enumerate(tasks))))

    def tell(self, event: Happening) -> None:
        self.queue, wanted = advance(self.queue, event, self.now, self.room)
        self.wanted += wanted

    def passes(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.tell(Clock())

    def of(self, name: str) -> Task:
        return next(one for one in self.queue.tasks.values() if one.name == name)

    def __getitem__(self, name: str) -> TaskState:
        return self.of(name).state

    def take(self) -> list[str]:
        """What is wanted since the last look: "spawn a"."""
        found = [f"{type(one).__name__.lower()} {self.queue.tasks[one.task_id].name}" for one in self.wanted]
        self.wanted = []
        return found

    def start(self, *names: str) -> None:
        for name in names:
            one = self.of(name)
            self.tell(Started(task_id=one.task_id, attempt=one.attempt, agent=name, branch=f"b-{name}", worktree="/w"))

    def said(self, name: str, ok: bool | None = True, by: str = "marker", **more: Any) -> None:
        one = self.of(name)
        self.tell(Said(task_id=one.task_id, attempt=one.attempt, by=by, ok=ok, **more))

    def of_try(self, kind: Any, name: str, *more: Any) -> None:
        one = self.of(name)
        self.tell(kind(one.task_id, one.attempt, *more))

    def close(self, *names: str, **more: Any) -> None:
        for name in names:
            one = self.of(name)
            self.tell(Closed(task_id=one.task_id, attempt=one.attempt, **more))


def task(number: int, spec: TaskFile) -> Task:
    return Task(task_id=spec.name, spec=spec, needs=words(spec.needs), created=NOW, since=NOW)


ONE = "tasks: [{name: a, task: do it}]"


def one(**keys: str) -> str:
    more = "".join(f", {key}: {value}" for key, value in keys.items())
    return f"tasks: [{{name: a, task: do it{more}}}]"


def test_a_task_is_spawned_says_that_it_is_done_is_closed_and_is_done() -> None:
    world = World(ONE)
    assert (world.take(), world["a"]) == (["spawn a"], S.STARTING)
    world.start("a")
    assert world["a"] is S.RUNNING
    world.said("a", None, message="half of it", progress=50.0)
    assert (world["a"], world.of("a").progress) == (S.RUNNING, 50.0)
    world.said("a", message="all of it")
    assert (world.take(), world["a"], world.of("a").ends) == (["close a"], S.CLOSING, S.DONE)
    world.close("a", diff="1 file, +2 −1", kept=True)
    ended = world.of("a")
    assert (ended.state, ended.place, world.take()) == (S.DONE, None, [])
    (tried,) = ended.tries
    assert (tried.branch, tried.message, tried.diff, tried.state) == ("b-a", "all of it", "1 file, +2 −1", "done")
    assert tried.kept


def test_what_it_needs_comes_first_and_of_the_rest_what_has_priority() -> None:
    world = World(
        "tasks: [{name: a, task: t}, {name: b, task: t, needs: a, priority: 9}, {name: c, task: t, priority: 1}]",
        machine=1,
    )
    assert world.take() == ["spawn c"]
    world.start("c")
    world.said("c")
    assert world.take() == ["close c"]
    world.close("c")
    assert world.take() == ["spawn a"]
    world.start("a")
    world.said("a")
    world.close("a")
    assert world.take() == ["close a", "spawn b"]


def test_what_needs_something_that_failed_is_skipped_and_a_retry_brings_all_of_it_back() -> None:
    world = World("tasks: [{name: a, task: t}, {name: b, task: t, needs: a}, {name: c, task: t, needs: [b]}]")
    world.start("a")
    world.said("a", False, message="I cannot")
    world.close("a")
    assert [world[name] for name in "abc"] == [S.FAILED, S.SKIPPED, S.SKIPPED]
    assert (world.of("b").reason, world.of("c").reason) == ("needs a, which is failed", "needs b, which is skipped")
    world.tell(Retry("a"))
    assert [world[name] for name in "abc"] == [S.STARTING, S.QUEUED, S.QUEUED]
    assert world.of("a").attempt == 2


@pytest.mark.parametrize("by", ["marker", "hook"])
def test_done_is_what_the_file_says_and_all_else_only_rests(by: str) -> None:
    world = World(one(done=by))
    world.start("a")
    world.said("a", by="hook" if by == "marker" else "marker")
    assert (world["a"], world.of("a").reason) == (S.WAITING, RESTS)
    world.said("a", by=by)
    assert world["a"] is S.CLOSING


def test_unsigned_markers_move_nothing_where_signed_ones_are_wanted() -> None:
    world = World(one(markers="signed"))
    world.start("a")
    world.said("a", False)
    world.said("a")
    assert world["a"] is S.RUNNING
    world.said("a", signed=True)
    assert world["a"] is S.CLOSING


def test_a_check_decides_what_an_agent_says() -> None:
    world = World(one(check="make test", retries="1"))
    world.start("a")
    world.said("a")
    assert world.take() == ["spawn a", "check a"]
    world.of_try(Checked, "a", 2, "2 failed")
    assert (world["a"], world.of("a").ends, world.take()) == (S.CLOSING, S.RETRYING, ["close a"])
    world.close("a")
    assert (world.take(), world.of("a").attempt) == (["spawn a"], 2)
    world.start("a")
    world.said("a")
    world.of_try(Checked, "a", 0)
    world.close("a")
    assert world["a"] is S.DONE
    first, second = world.of("a").tries
    assert (first.exit_code, first.output, first.reason) == (2, "2 failed", "its check failed: exit code 2")
    assert (second.exit_code, second.state) == (0, "done")


def test_an_agent_that_rests_is_asked_by_its_check_and_goes_on_where_it_fails() -> None:
    world = World(one(done="check", check="make test"))
    world.start("a")
    world.of_try(Rests, "a")
    assert world["a"] is S.RUNNING  # it has not worked yet
    world.of_try(Works, "a")
    world.of_try(Rests, "a")
    assert world["a"] is S.CHECKING
    world.of_try(Checked, "a", 1, "no")
    assert world["a"] is S.WAITING
    assert "exit code 1" in world.of("a").reason
    world.of_try(Works, "a")
    assert world["a"] is S.RUNNING
    world.of_try(Rests, "a")
    world.of_try(Checked, "a", 0)
    assert world.of("a").ends is S.DONE


def test_a_program_that_ended_during_such_a_check_does_not_go_on() -> None:
    world = World(one(check="make test"))
    world.start("a")
    world.of_try(Works, "a")
    world.of_try(Rests, "a")
    world.of_try(Ended, "a", 0)
    world.of_try(Checked, "a", 1, "no")
    assert world.of("a").ends is S.FAILED


@pytest.mark.parametrize(
    ("keys", "code", "state"),
    [
        ({}, 0, S.DONE),
        ({}, 3, S.FAILED),
        ({}, None, S.FAILED),
        ({"done": "marker"}, 0, S.FAILED),
        ({"done": "exit"}, 0, S.DONE),
        ({"check": "make test"}, None, None),
        ({"check": "make test"}, 0, None),
        ({"check": "make test"}, 3, S.FAILED),
    ],
)
def test_a_program_that_ends(keys: dict[str, str], code: int | None, state: TaskState | None) -> None:
    world = World(one(**keys))
    world.start("a")
    world.of_try(Ended, "a", code)
    assert world.of("a").ends is state
    assert (world["a"] is S.CHECKING) == (state is None)


def test_time_runs_only_while_the_agent_does_not_wait_for_a_person() -> None:
    world = World(one(timeout="100s"))
    world.start("a")
    world.passes(60)
    world.of_try(Waits, "a", "Bash: rm")
    world.passes(3600)
    assert (world["a"], world.of("a").reason, next_due(world.queue)) == (S.WAITING, "Bash: rm", None)
    world.of_try(Works, "a")
    world.passes(39)
    assert world["a"] is S.RUNNING
    world.passes(2)
    assert (world["a"], world.of("a").reason) == (S.CLOSING, "its time ran out")


def test_time_runs_on_where_the_file_says_so() -> None:
    world = World(one(timeout="100s", timeout_waiting="true"))
    world.start("a")
    world.of_try(Waits, "a", "Bash: rm")
    world.passes(101)
    assert world.of("a").ends is S.FAILED


def test_tries_wait_twice_as_long_each_time_and_a_persons_retry_counts_anew() -> None:
    world = World(one(retries="{max: 2, backoff: 10s}"))
    for wait in (10, 20):
        world.of_try(NotStarted, "a", "no space")
        assert (world["a"], world.of("a").again) == (S.RETRYING, world.now + timedelta(seconds=wait))
        world.passes(wait)
        assert world["a"] is S.STARTING
    world.of_try(NotStarted, "a", "no space")
    assert (world["a"], world.of("a").reason) == (S.FAILED, "it could not be started: no space")
    world.tell(Retry("a"))
    world.of_try(NotStarted, "a", "no space")
    assert (world["a"], world.of("a").attempt, len(world.of("a").tries)) == (S.RETRYING, 4, 4)


def test_a_cancelled_task_is_closed_first_wherever_it_is() -> None:
    world = World("tasks: [{name: a, task: t}, {name: b, task: t}, {name: c, task: t}]", machine=2)
    world.start("a")
    for name in "abc":
        world.tell(Cancel(name, "enough"))
    assert [world[name] for name in "abc"] == [S.CLOSING, S.CLOSING, S.CANCELLED]
    assert world.take() == ["spawn a", "spawn b", "close a", "close b"]
    world.start("b")  # too late
    world.close("a", "b")
    assert [world[name] for name in "abc"] == [S.CANCELLED] * 3


def test_what_is_said_of_an_earlier_try_changes_nothing() -> None:
    world = World(one(retries="1"))
    world.start("a")
    world.said("a", False)
    world.close("a")
    world.start("a")
    world.tell(Said(task_id="a", attempt=1, by="marker", ok=True))
    world.tell(Closed(task_id="a", attempt=1))
    assert (world["a"], world.of("a").attempt) == (S.RUNNING, 2)


def test_a_paused_queue_begins_nothing_and_ends_what_it_has() -> None:
    world = World("tasks: [{name: a, task: t}, {name: b, task: t}]", machine=1)
    world.tell(Pause(True))
    world.start("a")
    world.said("a")
    world.close("a")
    assert (world["a"], world["b"]) == (S.DONE, S.QUEUED)
    assert waits_for(world.queue, world.of("b"), world.room, NOW) == "the queue is paused"
    world.tell(Pause(False))
    assert world["b"] is S.STARTING


def test_room_is_counted_by_machine_agent_and_repository_and_the_full_ones_hold_up_nobody_else() -> None:
    text = """
    tasks:
    - {name: a, task: t, agent: claude, repository: /r}
    - {name: b, task: t, agent: claude, repository: /s}
    - {name: c, task: t, agent: codex, repository: /r}
    - {name: d, task: t, agent: codex, repository: /s}
    """
    world = World(text, machine=3, per_agent={"claude": 1}, per_repository={"/r": 1, "*": 5})
    assert world.take() == ["spawn a", "spawn d"]
    why = {name: waits_for(world.queue, world.of(name), world.room, NOW) for name in "abcd"}
    assert why == {"a": "", "b": "no room: 1 of 1 claude", "c": "no room: 1 of 1 in its repository", "d": ""}


def test_the_plan_says_what_begins_when_and_why_the_rest_waits() -> None:
    text = """
    defaults: {repository: /r, check: make test}
    tasks:
    - {name: a, task: t, retries: {max: 1, backoff: 5m}}
    - {name: b, task: t, needs: a, base: "task:a", template: fix}
    - {name: c, task: t, needs: [a, b], branch: mine, sandbox: true}
    - {name: d, task: t, agent: codex}
    """
    world = World(text, machine=1)
    world.tell(Pause(True))
    steps = plan(world.queue, world.room, NOW)
    assert [(one.turn, one.name, one.program, one.how, one.waits) for one in steps] == [
        (0, "a", "claude", "", ""),
        (1, "b", "template fix", "on a branch of its own, from the branch of a, then check: make test", "needs a"),
        (2, "c", "claude", "on mine, in the sandbox, then check: make test", "needs a, b"),
        (3, "d", "codex", "on a branch of its own, then check: make test", "the queue is paused"),
    ]
    assert would(world.of("d")) == "spawn codex in /r on a branch of its own, then check: make test"
    world.tell(NotStarted("a", 1, "no"))
    assert plan(world.queue, world.room, NOW)[0].waits == "again in 5 min: it could not be started: no"


def test_what_is_wrong_with_a_file_is_told_with_its_line_and_the_nearest_word() -> None:
    text = """
tasks:
- {name: lint, task: t, needs: tset}
- {name: test, task: t, needs: lint, retries: 101}
- {name: lint, task: "", check: "make | tee"}
- {name: "a b", task: t, done: check}
- {name: x, task: t, base: "task:test", timeout: 0s}
"""
    assert wrong(text) == [
        "tasks.yaml:3: tasks.lint: is the name of two tasks",
        "tasks.yaml:3: tasks.lint.needs: there is no task 'tset', did you mean test?",
        "tasks.yaml:4: tasks.test.retries: has to be 0 to 100, and its backoff at most 30d",
        "tasks.yaml:5: tasks.lint: is the name of two tasks",
        "tasks.yaml:5: tasks.lint.task: has to be 1 to 32768 characters of text",
        "tasks.yaml:5: tasks.lint.check: needs a shell: use send_keys, or write [sh, -c, '…']",
        "tasks.yaml:6: tasks.name: a task's name begins with a letter or digit, and has letters, digits, single '.', "
        "'_' and '-', at most 64, which 'a b' has not",
        "tasks.yaml:6: tasks.a b.done: is check, and there is no check",
        "tasks.yaml:7: tasks.x.base: 'task:test' is not a task that it needs: add it to needs",
        "tasks.yaml:7: tasks.x.timeout: has to be more than 0, and at most 30d",
    ]
    assert wrong("tasks: [{name: a, task: t, nedes: b}]") == [
        "tasks.yaml:1: tasks[0].nedes: is not a known key, did you mean needs?"
    ]
    assert wrong("tasks: [{name: a, task: t, needs: b}]", known=["b"]) == []
    assert "is in the queue already" in wrong("tasks: [{name: a, task: t}]", open_names=["a"])[0]


def test_a_circle_is_named_also_a_very_long_one() -> None:
    text = "tasks:\n- {name: a, task: t, needs: c}\n- {name: b, task: t, needs: a}\n- {name: c, task: t, needs: b}"
    (said,) = wrong(text)
    assert said.endswith("need each other in a circle: a → c → b → a")
    assert wrong("tasks: [{name: a, task: t, needs: a}]")[0].endswith("in a circle: a → a")
    two = wrong("tasks: [{name: a, task: t, needs: b}, {name: b, task: t, needs: a}, {name: c, task: t, needs: c}]")
    assert [one.partition(": ")[2].partition(":")[0] for one in two] == ["tasks.c", "tasks.a"]
    long = "".join(f"- {{name: t{n}, task: t, needs: t{(n + 1) % 1000}}}\n" for n in range(1000))
    assert "circle" in wrong(f"tasks:\n{long}")[0]


# --- whatever happens ---


EVENTS = ("started", "not", "done", "failed", "waits", "works", "rests", "ended", "check ok", "check bad", "closed")


@st.composite
def queues(draw: st.DrawFn) -> tuple[World, list[TaskFile]]:
    count = draw(st.integers(1, 8))
    specs = []
    for number in range(count):
        needs = tuple(f"t{other}" for other in range(number) if draw(st.booleans()))
        specs.append(
            TaskFile(
                name=f"t{number}", task="t", needs=needs, agent=draw(st.sampled_from(["claude", "codex"])),
                repository=draw(st.sampled_from(["/r", "/s"])), priority=draw(st.integers(0, 2)),
                retries=draw(st.integers(0, 2)), timeout=draw(st.sampled_from([None, 5.0])),
                check=draw(st.sampled_from(["", "make"])), done=draw(st.sampled_from([None, "marker", "exit"])),
            )
        )  # fmt: skip
    room = Room(machine=draw(st.integers(1, 4)), per_agent={"claude": draw(st.integers(1, 2))},
                per_repository={"*": draw(st.integers(1, 3))})  # fmt: skip
    world = World()
    world.room = room
    return world, draw(st.permutations(specs))


def happen(world: World, one: Task, what: str) -> None:
    name = one.name
    match what:
        case "started":
            world.start(name)
        case "not":
            world.of_try(NotStarted, name, "why")
        case "done" | "failed":
            world.said(name, what == "done")
        case "waits":
            world.of_try(Waits, name, "why")
        case "works" | "rests":
            world.of_try(Works if what == "works" else Rests, name)
        case "ended":
            world.of_try(Ended, name, 0)
        case "check ok" | "check bad":
            world.of_try(Checked, name, 0 if what == "check ok" else 1)
        case "closed":
            world.close(name)


def holds(world: World) -> None:
    """What always has to hold."""
    tasks = world.queue.tasks
    taken = [one for one in tasks.values() if one.state in TAKEN]
    assert len(taken) <= world.room.machine
    assert sum(one.spec.agent == "claude" for one in taken) <= world.room.per_agent["claude"]
    for folder in ("/r", "/s"):
        assert sum(one.spec.repository == folder for one in taken) <= world.room.per_repository["*"]
    for each in tasks.values():
        if each.attempt:
            assert all(tasks[need].attempt for need in each.needs)
        if each.state in TAKEN or each.state is S.DONE:
            assert all(tasks[need].state is S.DONE for need in each.needs)
        assert each.attempt - each.before <= 1 + (each.spec.retries or 0)  # type: ignore[operator]  # a number here
        assert (each.ends is not None) == (each.state is S.CLOSING)
    spawned = [one for one in world.wanted if isinstance(one, Spawn)]
    assert len(spawned) == len(set(spawned))  # no try begins twice


@settings(max_examples=300, deadline=None)
@given(queues(), st.data())
def test_whatever_happens_room_and_needs_hold_and_every_task_ends(
    made: tuple[World, list[TaskFile]], data: st.DataObject
) -> None:
    world, specs = made
    world.tell(Added(tuple(task(number, spec) for number, spec in enumerate(specs))))
    holds(world)
    for _ in range(data.draw(st.integers(0, 60))):
        name = data.draw(st.sampled_from(sorted(world.queue.tasks)))
        what = data.draw(st.sampled_from([*EVENTS, "time", "pause", "go", "cancel", "retry", "restart"]))
        if what == "time":
            world.passes(3)
        elif what in ("pause", "go"):
            world.tell(Pause(what == "pause"))
        elif what == "cancel":
            world.tell(Cancel(name, "why"))
        elif what == "retry":
            world.tell(Retry(name))
        elif what == "restart":
            again = under_way(world.queue)
            assert {one.task_id for one in again} == {
                key for key, one in world.queue.tasks.items() if one.state in (S.STARTING, S.CHECKING, S.CLOSING)
            }
        else:
            happen(world, world.queue.tasks[name], what)
        holds(world)
    world.tell(Pause(False))
    for _ in range(1000):  # from here on everything answers, one way or the other
        if all(one.state in ENDED for one in world.queue.tasks.values()):
            break
        world.passes(1)
        for each in list(world.queue.tasks.values()):
            answer = {
                S.STARTING: ("started", "not"), S.RUNNING: ("done", "failed", "ended"), S.WAITING: ("works", "ended"),
                S.CHECKING: ("check ok", "check bad"), S.CLOSING: ("closed",),
            }.get(each.state)  # fmt: skip
            if answer:
                happen(world, each, data.draw(st.sampled_from(answer)))
                holds(world)
    assert all(one.state in ENDED for one in world.queue.tasks.values())
    steps = plan(world.queue, world.room, world.now)
    assert steps == []
    world.tell(Dropped(tuple(world.queue.tasks)))
    assert world.queue.tasks == {}


@settings(max_examples=100, deadline=None)
@given(queues())
def test_the_plan_is_what_happens_where_all_goes_well(made: tuple[World, list[TaskFile]]) -> None:
    world, specs = made
    world.queue = Queue({}, paused=True)
    world.tell(Added(tuple(task(number, spec) for number, spec in enumerate(specs))))
    steps = plan(world.queue, world.room, world.now)
    assert sorted(one.name for one in steps) == sorted(one.name for one in specs)
    assert all(one.turn > 0 for one in steps)
    world.tell(Pause(False))
    begun: list[list[str]] = []
    while now := [one for one in world.wanted if isinstance(one, Spawn)]:
        begun.append([one.task_id for one in now])
        world.wanted = []
        tasks = world.queue.tasks.items()
        world.queue = Queue({key: replace(one, state=S.DONE) if one.state in TAKEN else one for key, one in tasks})
        world.tell(Clock())
    assert begun == [[one.name for one in steps if one.turn == turn + 1] for turn in range(len(begun))]
