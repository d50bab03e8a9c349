"""What a run says when it is asked: what it waits for, what is under way, what its stages type. Nothing changes by it.

Pure. Must not own: what follows from what (pipeline.py).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from .pipeline_conditions import conditions, files_wanted
from .pipeline_file import StageFile
from .pipeline_run import (
    ACTIVE,
    ActionState,
    AskPerson,
    Do,
    Place,
    Run,
    RunState,
    StageRun,
    StageState,
    Wanted,
)
from .pipeline_texts import filled


def next_due(run: Run) -> datetime | None:
    """When the run wants to hear of the clock at the latest."""
    times = []
    for one in run.stages:
        if one.state not in ACTIVE:
            continue
        times += [time for time in (one.due, one.again) if time is not None]
        spec = stage_of(run, one)
        if one.state in (StageState.APPROVAL, StageState.RUNNING) and one.escalated < len(spec.escalation):
            times.append(since(one) + timedelta(seconds=spec.escalation[one.escalated].after))
    return min(times, default=None) if run.state is RunState.RUNNING else None


def wants_output(run: Run, place: Place) -> bool:
    """Whether what is printed there may matter to the run."""
    return any(
        one.state is StageState.RUNNING
        and one.place == place
        and any(item.log_regex or item.reading for item in conditions(stage_of(run, one)))
        for one in run.stages
    )


def wanted_files(run: Run) -> frozenset[str]:
    """Paths that stages under way wait for."""
    return frozenset(
        path for one in run.stages if one.state is StageState.RUNNING for path in files_wanted(stage_of(run, one), one)
    )


def under_way(run: Run) -> tuple[Wanted, ...]:
    """What is wanted still of a run that was under way when the sidecar ended: each has been begun, or not."""
    wanted: list[Wanted] = list(run.telling)
    for one in run.stages:
        spec = stage_of(run, one)
        known = variables(run, one.name)
        if one.state is StageState.APPROVAL:
            wanted.append(AskPerson(one.name))
        ours = spec.actions_on_start, one.actions, False
        later = (spec.on_failure, one.after, True) if not isinstance(spec.on_failure, str) else ((), (), True)
        for specs, actions, after in (ours, later):
            if not after and one.state is not StageState.RUNNING:
                continue
            for index, action in enumerate(actions):
                if action.state is ActionState.DOING:
                    what = filled(specs[index], known)
                    approved = one.approved and not after
                    wanted.append(
                        Do(
                            stage=one.name,
                            attempt=one.attempt,
                            index=index,
                            action=what,
                            later=after,
                            approved=approved,
                        )
                    )
    return tuple(wanted)


def variables(run: Run, name: str) -> dict[str, str]:
    """What `${…}` in the texts of a stage's actions stands for; in the environment of what it runs, too."""
    one = next(one for one in run.stages if one.name == name)
    return {**run.spec.env, **stage_of(run, one).env, **one.variables}


def typed(run: Run, one: StageRun) -> tuple[str, ...]:
    """The last lines of what a stage types: a terminal shows them as they are typed."""
    known = variables(run, one.name)
    texts = [filled(action, known).send_keys for action in stage_of(run, one).actions_on_start]
    lines = [text if isinstance(text, str) else text.text for text in texts if text is not None]
    return tuple(line.rstrip("\n").rpartition("\n")[2].strip() for line in lines if line.strip())


def without_echo(text: str, typed: tuple[str, ...]) -> str:
    """Lines of a pane without those that show what was typed."""
    if not any(line in text for line in typed):
        return text
    return "".join(line for line in text.splitlines(keepends=True) if not line.rstrip().endswith(typed))


def after_echo(text: str, typed: tuple[str, ...]) -> str:
    """What follows the last line that shows what was typed; "" where none does, since all of it may be older."""
    lines = text.splitlines(keepends=True)
    at = [index for index, line in enumerate(lines) if line.rstrip().endswith(typed)] if typed else []
    return "".join(lines[at[-1] + 1 :]) if at else ""


def stage_of(run: Run, one: StageRun) -> StageFile:
    """What the file says of it."""
    return next(stage for stage in run.spec.stages if stage.name == one.stage)


def since(one: StageRun) -> datetime:
    """When it came into the state that it is in."""
    assert one.since is not None
    return one.since
