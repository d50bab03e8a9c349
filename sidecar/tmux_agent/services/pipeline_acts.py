"""What a pipeline's stage has done: each action through the guard, once, over restarts.

Owns turning an action of the file into one that the guard knows. The key of a wish (run, stage, try, number) makes it
the same wish after a restart (once.py). Must not own: what follows (core/pipeline.py), typing (typist.py), who is asked
(guard.py).
"""

from __future__ import annotations

import os
from typing import Any

import msgspec

from ..core import errors
from ..core.message import Message
from ..core.model import Action, Approval, ApprovalState, Ask, Command, Origin, Outcome, Role, Tmux
from ..core.pipeline_file import Asking, Running, Spawning, Telling, Typing, Words, argv
from ..core.pipeline_look import variables
from ..core.pipeline_run import Acted, Do, Place, Run, Tell
from .guard import Guard
from .ids import new_id
from .notify import Notify
from .once import FOREVER, ONCE, Once, Unsure
from .tmux.servers import Servers
from .typist import Typist
from .wishes import Wish

SIGNS = "TMUX_AGENT_RUN"  # variable with what signs the markers of what is started


class Acts:
    """Built by the system; used in the event loop only."""

    def __init__(
        self, guard: Guard, servers: Servers, notify: Notify, once: Once, typist: Typist
    ) -> None:
        self._guard = guard
        self._servers = servers
        self._notify = notify
        self._once = once
        self._typist = typist

    async def do(self, run: Run, do: Do) -> Acted:
        """Do one action to its end. Raises Unavailable where it cannot be recorded (nothing was done)."""
        place = next(one.place for one in run.stages if one.name == do.stage)
        key = f"{run.run_id}/{do.stage}/{do.attempt}/{'later-' if do.later else ''}{do.index}"
        try:
            outcome = await self._outcome(run, do, place, key)
        except errors.Unavailable:
            raise
        except Unsure as why:
            return _acted(do, None, why.message)
        except errors.TmuxAgentError as why:
            return _acted(do, False, why.message)
        code = _exit_code(outcome.data)
        return _acted(do, outcome.ok, outcome.error or (f"exit code {code}" if code else outcome.summary), code)

    async def look(self, run: Run, do: Do, command: Command) -> Outcome:
        """Run a check's program once. Raises what the guard raises."""
        place = next(one.place for one in run.stages if one.name == do.stage)
        here = await self._typist.folder(place) if place and not command.cwd else command.cwd or os.path.expanduser("~")
        action = msgspec.structs.replace(command, cwd=here, env=variables(run, do.stage))
        wish = Wish(action=action, origin=self.origin(run, place), request_id=new_id(), timeout=FOREVER)
        return await self._guard.declared(wish, approved=do.approved)

    async def tell(self, run: Run, told: Tell) -> None:
        """Put a message into the queue of notifications, once."""
        place = run.place
        message = Message(
            title=told.title,
            body=told.body,
            severity=told.severity,  # type: ignore[arg-type]  # a Literal of the same words
            key=f"pipeline {run.run_id} {told.key}",
            source=f"pipeline:{run.spec.name}",
            server=place.server if place else None,
            pane=place.pane if place else None,
        )
        await self._notify.post(message, told.channels)

    async def approve(self, run: Run, stage: str, action: Action) -> Approval:
        """Ask a person about a stage, and wait for the answer. Raises Denied, Unavailable, LimitExceeded."""
        attempt = next(one.attempt for one in run.stages if one.name == stage)
        key = f"{run.run_id}/{stage}/{attempt}/approval"
        place = next(one.place for one in run.stages if one.name == stage)
        wish = Wish(action=action, origin=self.origin(run, place), request_id=new_id(), key=key, timeout=FOREVER)
        return await self._guard.settled(await self._guard.ask(wish, "require_approval"))

    def origin(self, run: Run, place: Place | None) -> Origin:
        """Who acts: the pipeline of the person's own file, in a pane."""
        server = self._servers.get(place.server) if place else None
        pane = next((one for one in server.panes if one.id == place.pane), None) if server and place else None
        return Origin(
            role=Role.AGENT,
            why=f"the pipeline {run.spec.name!r} of your configuration",
            uid=os.getuid(),
            pid=os.getpid(),
            server=place.server if place else None,
            pane=place.pane if place else None,
            place=pane.place if pane else "",
            name=run.spec.name,
            session=f"pipeline:{run.run_id}",
            door="pipeline",
        )

    # --- one action ---

    async def _outcome(self, run: Run, do: Do, place: Place | None, key: str) -> Outcome:
        what = do.action
        if what.notify is not None:
            return await self._post(run, what.notify, key)
        origin = self.origin(run, place)
        if what.ask is not None:
            return await self._ask(what.ask, origin, key)
        if what.send_keys is not None:
            typing = what.send_keys if isinstance(what.send_keys, Typing) else Typing(text=what.send_keys)
            return await self._type(typing, _needed(place), origin, key, approved=do.approved)
        if what.spawn is not None:
            window = self._spawned(run, do, what.spawn, _needed(place))
            return await self._once.do(window, origin, key, approved=do.approved, place=place)
        assert what.run is not None
        return await self._once.do(await self._command(run, do, what.run, place), origin, key, approved=do.approved)

    async def _post(self, run: Run, what: str | Telling, key: str) -> Outcome:
        told = what if isinstance(what, Telling) else Telling(channels=what)
        title = told.title or f"{run.spec.name}: {key.split('/')[1]}"
        await self.tell(run, Tell(key=key, channels=told.channels, title=title, body=told.body, severity=told.severity))
        return Outcome(ok=True)

    async def _ask(self, what: str | Asking, origin: Origin, key: str) -> Outcome:
        asked = what if isinstance(what, Asking) else Asking(prompt=what)
        action = Ask(prompt=asked.prompt, options=asked.options, details=asked.details)
        wish = Wish(action=action, origin=origin, request_id=new_id(), key=key, timeout=asked.timeout or FOREVER)
        approval = await self._guard.settled(await self._guard.ask(wish))
        ok = approval.state is ApprovalState.APPROVED
        answer = approval.answer
        said = (answer.choice or answer.comment if answer else "") or ("yes" if ok else "no")
        return Outcome(ok=ok, summary=said, error="" if ok else f"the answer was: {said}")

    async def _type(self, what: Typing, place: Place, origin: Origin, key: str, *, approved: bool) -> Outcome:
        await self._typist.free(place)
        outcome = Outcome(ok=True)
        if what.keys:
            keys = Tmux(verb="send_keys", target=place.pane, server=place.server, keys=what.keys, options=ONCE)
            outcome = await self._once.do(keys, origin, f"{key}/keys", approved=approved, place=place)
        if what.text or not what.keys:
            outcome = await self._typist.typed(what.text, place, origin, key, enter=what.enter, approved=approved)
        return outcome

    async def _command(self, run: Run, do: Do, what: str | Words | Running, place: Place | None) -> Command:
        running = what if isinstance(what, Running) else Running(command=what)
        here = await self._typist.folder(place) if place else os.path.expanduser("~")
        return Command(
            argv=tuple(argv(running.command)),
            cwd=os.path.join(here, os.path.expanduser(running.cwd)) if running.cwd else here,
            env={**variables(run, do.stage), SIGNS: run.token, **running.env},
            timeout=running.timeout,
        )

    def _spawned(self, run: Run, do: Do, what: str | Words | Spawning, place: Place) -> Tmux:
        spawning = what if isinstance(what, Spawning) else Spawning(command=what)
        return Tmux(
            verb="create_pane",
            target=place.pane,
            server=place.server,
            argv=tuple(argv(spawning.command)),
            cwd=os.path.expanduser(spawning.cwd),
            options={"new_window": True, "env": {**variables(run, do.stage), SIGNS: run.token, **spawning.env}, **ONCE},
        )


def _needed(place: Place | None) -> Place:
    if place is None:
        raise errors.InvalidParams("it needs a pane, and the run has none: start it with --pane")
    return place


def _acted(do: Do, ok: bool | None, detail: str, exit_code: int | None = None) -> Acted:
    return Acted(
        stage=do.stage, attempt=do.attempt, index=do.index, ok=ok, detail=detail, exit_code=exit_code, later=do.later
    )


def _exit_code(data: Any) -> int | None:
    found = data.get("exit_code") if isinstance(data, dict) else getattr(data, "exit_code", None)
    return found if isinstance(found, int) else None
