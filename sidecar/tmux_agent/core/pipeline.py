"""How a pipeline goes on: `advance(run, what happened, now)` gives the run as it is then, and what is to be done.

Owns every rule of it: when a stage begins, what is success and what failure, tries, what needs what. Pure: the same
happenings give the same run. Must not own: doing anything (services/pipelines.py).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from msgspec.structs import replace

from . import markers
from .pipeline_conditions import conditions, failure, heard, success
from .pipeline_file import Approval, after_failure, found, needs, retries
from .pipeline_look import since, typed, variables, without_echo
from .pipeline_run import (
    ACTIVE,
    ENDED,
    Acted,
    ActionRun,
    ActionState,
    Answered,
    AskPerson,
    Cancel,
    Checked,
    Clock,
    Do,
    FileSeen,
    Gone,
    Happening,
    Place,
    Printed,
    Retry,
    Run,
    RunState,
    Said,
    Skip,
    StageRun,
    StageState,
    Tell,
    Told,
    Wanted,
    Withdraw,
)
from .pipeline_texts import filled
from .readings import UNKNOWN, last

GOOD = (StageState.SUCCESS, StageState.SKIPPED)


def advance(run: Run, event: Happening, now: datetime) -> tuple[Run, tuple[Wanted, ...]]:
    """The run after `event`, and what is wanted then, in order. An event that is none of the run's changes nothing."""
    step = _Step(run, now)
    step.take(event)
    step.settle()
    return step.run(), tuple(step.wanted)


class _Step:
    """One event's way through a run."""

    def __init__(self, run: Run, now: datetime) -> None:
        self._run = run
        self._now = now
        self._stages = {one.name: one for one in run.stages}
        files = {stage.name: stage for stage in run.spec.stages}
        self._file = {one.name: files[one.stage] for one in run.stages}
        self._instances: dict[str, list[str]] = {}
        for one in run.stages:
            self._instances.setdefault(one.stage, []).append(one.name)
        self.wanted: list[Wanted] = []

    def run(self) -> Run:
        return replace(self._run, stages=tuple(self._stages.values()))

    def _put(self, name: str, **changes: Any) -> StageRun:
        one = replace(self._stages[name], **changes)
        if one.state is not self._stages[name].state:
            one = replace(one, since=self._now, escalated=0)
        self._stages[name] = one
        return one

    # --- what happened ---

    def take(self, event: Happening) -> None:
        match event:
            case Retry(stage=stage):
                self._retry(stage)
            case Skip(stage=stage) if self._run.state in (RunState.RUNNING, RunState.FAILED):
                self._skip(stage)
            case Told(key=key):
                left = tuple(one for one in self._run.telling if one.key != key)
                self._run = replace(self._run, telling=left)
            case Acted(later=True) as acted:
                self._acted(acted)
            case _ if self._run.state is not RunState.RUNNING:
                pass
            case Said() as said:
                self._said(said)
            case Printed(place=place) as printed:
                for one in self._running(place):
                    self._printed(one, printed)
            case Acted() as acted:
                self._acted(acted)
            case Checked() as checked:
                self._checked(checked)
            case Answered() as answered:
                self._answered(answered)
            case FileSeen() as seen:
                for one in self._running(None):
                    self._hears(one, heard(self._file[one.name], file=seen, variables=one.variables))
            case Clock():
                self._clock()
            case Gone(place=place, why=why):
                self._gone(place, why)
            case Cancel(why=why):
                self._cancel(why)

    def _running(self, place: Place | None) -> list[StageRun]:
        return [
            one
            for one in self._stages.values()
            if one.state is StageState.RUNNING and (place is None or one.place == place)
        ]

    def _hears(self, one: StageRun, keys: tuple[str, ...]) -> None:
        if new := tuple(key for key in keys if key not in one.heard):
            self._put(one.name, heard=(*one.heard, *new))

    def _said(self, said: Said) -> None:
        if self._run.spec.markers == "signed" and not said.signed:
            return
        marker = said.marker
        here = self._running(said.place)
        about = [one for one in here if marker.stage in (one.name, one.stage)] if marker.stage else here
        for one in about:
            self._hears(one, heard(self._file[one.name], marker=marker))
        if len(about) > 1 and not marker.stage:
            return  # which of them it is about cannot be known
        for one in about:
            match marker:
                case markers.Progress(percent=percent):
                    self._put(one.name, progress=percent)
                case markers.Status(ok=False) | markers.Failure() | markers.Done(ok=False):
                    self._hears(one, ("told.failure",))
                    self._put(one.name, reason=marker.message or "its program said so (marker)")
                case markers.Status(ok=True) | markers.Done(ok=True):
                    self._hears(one, ("told.success",))

    def _printed(self, one: StageRun, printed: Printed) -> None:
        spec = self._file[one.name]
        text = without_echo(printed.text, typed(self._run, one))
        reads = any(item.reading for item in conditions(spec))
        self._hears(one, heard(spec, text=text, reading=last(text, printed.notices) if reads else UNKNOWN))

    def _acted(self, acted: Acted) -> None:
        one = self._stages.get(acted.stage)
        if one is None or one.attempt != acted.attempt:
            return
        state = {True: ActionState.DONE, False: ActionState.FAILED, None: ActionState.UNKNOWN}[acted.ok]
        ended = ActionRun(state=state, detail=acted.detail, exit_code=acted.exit_code)
        if acted.later:
            self._put(one.name, after=_with(one.after, acted.index, ended))
        elif acted.index < len(one.actions):
            self._put(one.name, actions=_with(one.actions, acted.index, ended))

    def _checked(self, checked: Checked) -> None:
        one = self._stages.get(checked.stage)
        if one is None or one.attempt != checked.attempt or one.state is not StageState.RUNNING:
            return
        state = ActionState.DONE if checked.final else ActionState.DOING
        said = ActionRun(state=state, detail=checked.detail, reading=checked.reading)
        self._put(one.name, actions=_with(one.actions, checked.index, said))

    def _answered(self, answered: Answered) -> None:
        one = self._stages.get(answered.stage)
        if one is None or one.state is not StageState.APPROVAL:
            return
        if answered.ok:
            self._begin(self._put(one.name, approved=True))
        else:
            self._fail(one, answered.comment or "a person said no", final=True)

    def _clock(self) -> None:
        for one in list(self._stages.values()):
            if one.state in ACTIVE and one.due is not None and one.due <= self._now:
                waited = "nobody approved it in time" if one.state is StageState.APPROVAL else "its time ran out"
                self._fail(one, waited, final=one.state is StageState.APPROVAL)
            elif one.state is StageState.RETRYING and one.again is not None and one.again <= self._now:
                self._begin(one)
        for one in list(self._stages.values()):
            self._escalate(one)

    def _escalate(self, one: StageRun) -> None:
        steps = self._file[one.name].escalation
        while one.state in (StageState.APPROVAL, StageState.RUNNING) and one.escalated < len(steps):
            step = steps[one.escalated]
            if since(one) + timedelta(seconds=step.after) > self._now:
                return
            what = "waits for approval" if one.state is StageState.APPROVAL else "still runs"
            key = f"escalation-{one.escalated}-{one.state.value}"
            self._tell(one, key, step.notify, step.title or f"{one.name} {what}", "", "warning")
            one = self._put(one.name, escalated=one.escalated + 1)

    def _gone(self, place: Place, why: str) -> None:
        for one in list(self._stages.values()):
            if one.place == place and one.state not in ENDED:
                if one.state in ACTIVE:
                    self._fail(one, why or "its pane is gone", final=True)
                else:
                    self._end(one, StageState.CANCELLED, "its pane is gone")

    # --- what a person wants ---

    def _retry(self, name: str) -> None:
        failed = (StageState.FAILED, StageState.UNKNOWN, StageState.CANCELLED)
        named = [one for one in self._stages.values() if name in ("", one.name, one.stage)]
        again = [one for one in named if one.state in failed]
        if not again:
            return
        for one in again:
            self._reset(one)
        self._reopen()

    def _reopen(self) -> None:
        """The run goes on, and what was given up because of stages that are others now."""
        self._run = replace(self._run, state=RunState.RUNNING, ended=None, note="")
        for one in list(self._stages.values()):
            if one.state is StageState.SKIPPED and one.reason.startswith(NEEDS):
                self._reset(one)

    def _reset(self, one: StageRun) -> None:
        self._put(one.name, state=StageState.WAITING, reason="", ended=None, due=None, again=None, heard=(), after=())

    def _skip(self, name: str) -> None:
        for one in list(self._stages.values()):
            if name in (one.name, one.stage) and one.state not in (StageState.SUCCESS, StageState.SKIPPED):
                if one.state in ACTIVE:
                    self.wanted.append(Withdraw(one.name))
                self._end(one, StageState.SKIPPED, "skipped by a person")
                self._reopen()

    def _cancel(self, why: str) -> None:
        for one in list(self._stages.values()):
            if one.state not in ENDED:
                if one.state in ACTIVE:
                    self.wanted.append(Withdraw(one.name))
                self._end(one, StageState.CANCELLED, why)
        self._run = replace(self._run, state=RunState.CANCELLED, ended=self._now, note=why)

    # --- what follows ---

    def settle(self) -> None:
        """All that follows from it, until nothing more does."""
        if self._run.state is not RunState.RUNNING:
            return
        before = None
        while before != self._stages:
            before = dict(self._stages)
            for name, one in before.items():
                if one.state not in ENDED:
                    self._next(self._stages[name])
        self._finish()

    def _next(self, one: StageRun) -> None:
        if one.state is StageState.WAITING:
            self._ready(one)
        elif one.state is StageState.RUNNING:
            self._go_on(one)

    def _ready(self, one: StageRun) -> None:
        """Begin a stage all of whose needs are met; give it up where they cannot be met any more."""
        for wanted, good in ((needs(self._file[one.name]), True), (after_failure(self._file[one.name]), False)):
            for name in wanted:
                others = [self._stages[other] for other in self._instances[name]]
                if not all(other.state in ENDED for other in others):
                    return
                fine = all(map(self._fine, others))
                if fine is not good:
                    said = "did not succeed" if good else "did not fail"
                    self._end(one, StageState.SKIPPED, f"{NEEDS} {name}, which {said}")
                    return
        if why := self._unwanted(one):
            self._end(one, StageState.SKIPPED, why)
        else:
            self._admit(one)

    def _fine(self, one: StageRun) -> bool:
        """Whether what needs it may begin."""
        if one.state is StageState.FAILED:
            return self._file[one.name].on_failure == "continue"
        return one.state in GOOD and not one.reason.startswith(NEEDS)

    def _unwanted(self, one: StageRun) -> str:
        """Why the stage's `when` does not hold; "" where it does."""
        when = self._file[one.name].when
        if when is None:
            return ""
        known, values = self._run.facts, self._variables(one)
        held = [("branch", when.branch, known.get("branch", "")), ("command", when.command, known.get("command", ""))]
        held += [(name, pattern, values.get(name, "")) for name, pattern in when.env.items()]
        missed = [name for name, pattern, text in held if pattern and not found(pattern, text)]
        return f"when: {', '.join(missed)} does not match" if missed else ""

    def _admit(self, one: StageRun) -> None:
        spec = self._file[one.name]
        if spec.require_approval and not one.approved:
            wait = spec.require_approval.timeout if isinstance(spec.require_approval, Approval) else None
            due = self._now + timedelta(seconds=wait) if wait is not None else None
            self._put(one.name, state=StageState.APPROVAL, due=due)
            self.wanted.append(AskPerson(one.name))
            self._tell(one, "approval", self._channels(one), f"{one.name} waits for your approval", "", "warning")
        else:
            self._begin(one)

    def _begin(self, one: StageRun) -> None:
        spec = self._file[one.name]
        due = self._now + timedelta(seconds=spec.timeout) if spec.timeout is not None else None
        self._put(
            one.name,
            state=StageState.RUNNING,
            attempt=one.attempt + 1,
            started=self._now,
            ended=None,
            reason="",
            actions=tuple(ActionRun() for _ in spec.actions_on_start),
            heard=(),
            due=due,
            again=None,
            progress=None,
        )

    def _go_on(self, one: StageRun) -> None:
        """The next action, or the end."""
        spec = self._file[one.name]
        for index, action in enumerate(one.actions):
            if action.state is ActionState.UNKNOWN:
                self._end(one, StageState.UNKNOWN, action.detail)
                self._tell(one, "unknown", self._channels(one), f"{one.name}: look at it", one.reason, "failure")
                return
            checks = spec.actions_on_start[index].external_check is not None
            if action.state is ActionState.PENDING:
                if failure(spec, one):
                    break
                self._put(one.name, actions=_with(one.actions, index, ActionRun(state=ActionState.DOING)))
                wanted = filled(spec.actions_on_start[index], self._variables(one))
                self.wanted.append(
                    Do(stage=one.name, attempt=one.attempt, index=index, action=wanted, approved=one.approved)
                )
                return
            if action.state is ActionState.DOING and not checks:
                return
        if why := failure(spec, one):
            self._fail(one, one.reason or why)
        elif success(spec, one):
            self._end(one, StageState.SUCCESS, "")

    def _variables(self, one: StageRun) -> dict[str, str]:
        return variables(self._run, one.name)

    def _fail(self, one: StageRun, why: str, *, final: bool = False) -> None:
        self.wanted.append(Withdraw(one.name))
        tries = retries(self._file[one.name])
        if not final and one.attempt <= tries.max:
            wait = timedelta(seconds=tries.backoff * 2 ** (one.attempt - 1))
            self._put(one.name, state=StageState.RETRYING, reason=why, again=self._now + wait, due=None)
            if not tries.backoff:
                self._begin(self._stages[one.name])
            return
        spec = self._file[one.name]
        self._end(one, StageState.FAILED, why)
        self._tell(one, "failed", self._channels(one), f"{one.name} failed", why, "failure")
        if not isinstance(spec.on_failure, str):
            self._put(one.name, after=tuple(ActionRun(state=ActionState.DOING) for _ in spec.on_failure))
            for index, action in enumerate(spec.on_failure):
                wanted = filled(action, self._variables(one))
                self.wanted.append(Do(stage=one.name, attempt=one.attempt, index=index, action=wanted, later=True))

    def _end(self, one: StageRun, state: StageState, why: str) -> None:
        self._put(one.name, state=state, reason=why, ended=self._now, due=None, again=None)

    def _finish(self) -> None:
        stages = self._stages.values()
        if any(one.state not in ENDED for one in stages):
            return
        if any(action.state is ActionState.DOING for one in stages for action in one.after):
            return
        bad = [
            one
            for one in stages
            if one.state in (StageState.FAILED, StageState.UNKNOWN, StageState.CANCELLED)
            and self._file[one.name].on_failure != "continue"
        ]
        state = RunState.FAILED if bad else RunState.SUCCESS
        note = "; ".join(f"{one.name}: {one.reason or one.state.value}" for one in bad[:5])
        self._run = replace(self._run, state=state, ended=self._now, note=note)
        severity, word = ("failure", "failed") if bad else ("success", "succeeded")
        title = f"{self._run.spec.name} {word}"
        self._post(f"ended-{self._now.timestamp():.6f}", self._run.spec.notify, title, note, severity)

    # --- telling ---

    def _channels(self, one: StageRun) -> str:
        return self._file[one.name].notify or self._run.spec.notify

    def _tell(self, one: StageRun, key: str, channels: str, title: str, body: str, severity: str) -> None:
        self._post(f"{one.name}-{one.attempt}-{key}", channels, f"{self._run.spec.name}: {title}", body, severity)

    def _post(self, key: str, channels: str, title: str, body: str, severity: str) -> None:
        if channels:
            told = Tell(key=key, channels=channels, title=title, body=body, severity=severity)
            self._run = replace(self._run, telling=(*self._run.telling, told))
            self.wanted.append(told)


NEEDS = "needs"  # begins the reason of a stage that was given up because of another


def _with(actions: tuple[ActionRun, ...], index: int, one: ActionRun) -> tuple[ActionRun, ...]:
    return (*actions[:index], one, *actions[index + 1 :])
