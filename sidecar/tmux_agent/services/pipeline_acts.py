"""What a pipeline's stage has done: each action through the guard, once, over restarts.

Owns turning an action of the file into one that the guard knows, and learning after a kill whether it was done. The key
of a wish (run, stage, try, number) makes it the same wish after a restart. Must not own: what follows
(core/pipeline.py), who is asked (guard.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
from typing import Any

import msgspec

from ..core import errors
from ..core.message import Message
from ..core.model import Action, AgentState, Approval, ApprovalState, Ask, Command, Origin, Outcome, Role, Shell, Tmux
from ..core.pipeline_file import Asking, Running, Spawning, Telling, Typing, Words, argv
from ..core.pipeline_look import variables
from ..core.pipeline_run import Acted, Do, Place, Run, Tell
from .agents import Agents
from .approvals import Approvals
from .foreground import foreground
from .guard import Guard
from .ids import new_id
from .notify import Notify
from .processes import processes_here
from .screens import Screens
from .tmux.servers import Servers
from .tmux.watch import place_of
from .toolbox import Toolbox
from .wishes import Wish

AGAIN = 8  # times that an action which was not begun before a kill is begun anew
ONCE = {"once": True}
SHELL_SECONDS = 2.0  # for a command that has said all and is about to end; what runs longer is typed into
LOOK_SECONDS = {False: 0.05, True: 0.5}  # between two looks: at a shell, at an agent
STILL = 2  # looks at which an agent's prompt has to wait: one that starts draws it before it takes keys
SHOWN_SECONDS, ENTERS = 1.0, 3  # until an agent has taken what was typed, and how often Enter is pressed again
PROMPT_LINES, LAST = 8, 40  # lines at the end of a screen, and characters, by which its prompt is known
SIGNS = "TMUX_AGENT_RUN"  # variable with what signs the markers of what is started
FOREVER = math.inf  # the stage's own time-out ends the wait


class Unsure(errors.Conflict):
    """It was under way when the sidecar died, and nobody can tell whether it was done."""


class Acts:
    """Built by the system; used in the event loop only."""

    def __init__(
        self, guard: Guard, approvals: Approvals, toolbox: Toolbox, servers: Servers, notify: Notify, agents: Agents,
        screens: Screens,
    ) -> None:  # fmt: skip
        self._agents = agents
        self._screens = screens
        self._table = processes_here()
        self._guard = guard
        self._approvals = approvals
        self._toolbox = toolbox
        self._servers = servers
        self._notify = notify

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
        here = await self._folder(place) if place and not command.cwd else command.cwd or os.path.expanduser("~")
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
            return await self._once(window, origin, key, approved=do.approved, place=place)
        assert what.run is not None
        return await self._once(await self._command(run, do, what.run, place), origin, key, approved=do.approved)

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
        await self._free(place)
        outcome = Outcome(ok=True)
        if what.keys:
            keys = Tmux(verb="send_keys", target=place.pane, server=place.server, keys=what.keys, options=ONCE)
            outcome = await self._once(keys, origin, f"{key}/keys", approved=approved, place=place)
        if what.text or not what.keys:
            text = Tmux(
                verb="send_text", target=place.pane, server=place.server, text=what.text, enter=what.enter, options=ONCE
            )
            shell = Shell(text=what.text, cwd=await self._folder(place))
            outcome = await self._once(text, origin, key, approved=approved, also=shell, place=place)
            if what.enter and self._program(place)[0]:
                await self._sent(place, what.text, origin, key)
        return outcome

    async def _free(self, place: Place) -> None:
        """Wait a moment for the command before to end, so that the shell takes what is typed; and for an agent there
        until its prompt waits: a dialog would take the text for its answer. Of none of these there is an event."""
        loop = asyncio.get_running_loop()
        late, still = loop.time() + SHELL_SECONDS, 0
        while still < STILL:
            agent, runs = self._program(place)
            if not agent:
                still = STILL if not runs or loop.time() > late else 0
            else:
                still = still + 1 if await self._prompts(place) and not self._asks(place) else 0
            await asyncio.sleep(0 if still >= STILL else LOOK_SECONDS[bool(agent)])

    def _program(self, place: Place) -> tuple[bool, bool]:
        """Whether an agent is in front, and whether something else is than the pane's own program."""
        program = foreground(self._table, place.pane_pid)
        if program is None:
            return False, False
        return program.agent is not None, program.process.pid != place.pane_pid

    def _asks(self, place: Place) -> bool:
        here = (one for one in self._agents.list() if (one.server, one.pane) == (place.server, place.pane))
        return any(one.state is AgentState.WAITING for one in here)

    async def _prompts(self, place: Place) -> bool:
        """Whether an agent's prompt waits; True as well where no rule can read its screen."""
        view = await self._screens.view((place.server, place.pane))
        return view is None or view.seen.state == "idle"

    async def _sent(self, place: Place, text: str, origin: Origin, key: str) -> None:
        """Press Enter again where an agent's prompt still holds what was typed: one that starts loses keys."""
        last = text.rstrip().rpartition("\n")[2][-LAST:]
        for again in range(ENTERS):
            await asyncio.sleep(SHOWN_SECONDS)
            view = await self._screens.view((place.server, place.pane))
            lines = [line for line in view.shot.look.lines if line.strip()][-PROMPT_LINES:] if view else []
            if view is None or view.seen.state != "idle" or not any(line.rstrip().endswith(last) for line in lines):
                return
            enter = Tmux(verb="send_keys", target=place.pane, server=place.server, keys=("Enter",), options=ONCE)
            await self._once(enter, origin, f"{key}/enter-{again}", approved=True, place=place)

    async def _command(self, run: Run, do: Do, what: str | Words | Running, place: Place | None) -> Command:
        running = what if isinstance(what, Running) else Running(command=what)
        here = await self._folder(place) if place else os.path.expanduser("~")
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

    async def _folder(self, place: Place) -> str:
        server = self._servers.get(place.server)
        if server is None:
            raise errors.Conflict("its tmux server is gone")
        path = await server.foreign("display-message", "-p", "-t", place.pane, "#{pane_current_path}")
        return "\n".join(path)

    # --- once ---

    async def _once(
        self, action: Action, origin: Origin, key: str, *, approved: bool, also: Action | None = None,
        place: Place | None = None,
    ) -> Outcome:  # fmt: skip
        """Do it, or learn what came of it before a kill. One that was not begun then is begun now, if in `place` there
        is still what was there when the run began."""
        for again in range(AGAIN):
            this = f"{key}/{again}" if again else key
            wish = Wish(action=action, origin=origin, request_id=new_id(), key=this, timeout=FOREVER)
            if place is not None and await self._approvals.asked_before(wish.resume_key or "") is None:
                await self._still(place)
            try:
                outcome = await self._guard.declared(wish, approved=approved, also=also)
            except errors.Conflict:
                before = await self._approvals.asked_before(wish.resume_key or "")
                if before is None or before.state is not ApprovalState.UNKNOWN:
                    raise
                found = await self._became(action, origin, before)
                if found is None:
                    continue
                outcome = found
            if done := await self._approvals.asked_before(wish.resume_key or ""):
                with contextlib.suppress(errors.TmuxAgentError):  # the pane's server may have gone with it
                    await self._toolbox.forget(action, origin, done.request_id)
            return outcome
        raise Unsure(f"the sidecar died each of {AGAIN} times that it was begun; look before you retry")

    async def _still(self, place: Place) -> None:
        """Raises Conflict where the pane has been given another program (respawn-pane): it was not meant."""
        server = self._servers.get(place.server)
        if server is None:
            raise errors.Conflict("its tmux server is gone")
        await server.refresh()
        if place_of(server, server.pane(place.pane)) != place:
            raise errors.Conflict("its pane has been given another program since the run began")

    async def _became(self, action: Action, origin: Origin, before: Approval) -> Outcome | None:
        try:
            return await self._toolbox.became(action, origin, before.facts, before.request_id)
        except errors.TmuxAgentError as why:
            raise Unsure(why.message) from None


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
