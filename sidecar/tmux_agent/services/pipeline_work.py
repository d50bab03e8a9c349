"""What runs of pipelines want, while it is under way: begun, waited for, taken back; its end is told to the run.

Owns the tasks of each stage. Must not own: doing it (pipeline_acts.py), following it outside (pipeline_watch.py), what
follows from its end (core/pipeline.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from ..core import errors
from ..core.model import ApprovalState, Stage
from ..core.pipeline_look import stage_of
from ..core.pipeline_run import Answered, AskPerson, Do, Happening, Run, Tell, Told, Wanted, Withdraw
from ..core.pipeline_words import does
from .pipeline_acts import Acts
from .pipeline_watch import Followers

log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0  # until what could not be done or recorded is tried again: there is no event for a freed disk


class Work:
    """Used in the event loop only. `tell` tells a run, by its id, what has happened to it."""

    def __init__(
        self,
        acts: Acts,
        followers: Followers,
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
        tell: Callable[[str, Happening], None],
    ) -> None:
        self._acts = acts
        self._followers = followers
        self._spawn = spawn
        self._tell = tell
        self._tasks: dict[tuple[str, str], set[asyncio.Task[None]]] = {}

    def goes_on(self, run: Run, stage: str) -> bool:
        """Whether something of that stage is under way."""
        return bool(self._tasks.get((run.run_id, stage)))

    def do(self, run: Run, wanted: Wanted) -> None:
        """Begin it, or take it back."""
        match wanted:
            case Do() as do:
                check = do.action.external_check
                work = self._act(run, do) if check is None else self._followers.follow(run, do, self._tell)
                self._under_way(run, do.stage, work)
            case AskPerson(stage=stage):
                self._under_way(run, stage, self._ask(run, stage))
            case Withdraw(stage=stage):
                for task in self._tasks.pop((run.run_id, stage), ()):
                    task.cancel()
            case Tell() as told:
                self._spawn(self._post(run, told))

    def _under_way(self, run: Run, stage: str, work: Coroutine[Any, Any, None]) -> None:
        key = (run.run_id, stage)
        task = self._spawn(work)
        self._tasks.setdefault(key, set()).add(task)
        task.add_done_callback(lambda done: self._tasks.get(key, set()).discard(done))

    async def _act(self, run: Run, do: Do) -> None:
        while True:
            try:
                acted = await self._acts.do(run, do)
                break
            except errors.Unavailable as why:  # nothing was done
                log.warning("%s of run %s waits: %s", do.stage, run.run_id, why.message)
                await asyncio.sleep(RETRY_SECONDS)
        self._tell(run.run_id, acted)

    async def _ask(self, run: Run, stage: str) -> None:
        one = next(each for each in run.stages if each.name == stage)
        action = Stage(pipeline=run.spec.name, stage=stage, run_id=run.run_id, does=does(stage_of(run, one), run, one))
        try:
            approval = await self._acts.approve(run, stage, action)
        except errors.Denied as why:
            self._tell(run.run_id, Answered(stage, ok=False, comment=why.message))
            return
        answer = approval.answer
        comment = (answer.comment if answer else "") or approval.note
        self._tell(run.run_id, Answered(stage, approval.state is ApprovalState.APPROVED, comment))

    async def _post(self, run: Run, told: Tell) -> None:
        with contextlib.suppress(errors.Unavailable):  # it stays in `telling`, and is told after a restart
            try:
                await self._acts.tell(run, told)
            except errors.InvalidParams as why:
                log.warning("pipeline %s: %s", run.spec.name, why.message)
            self._tell(run.run_id, Told(told.key))
