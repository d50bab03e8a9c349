"""Having an agent go on whose usage limit is over: its menu left, the person's words typed, Enter; then looked at.

Owns the order: looked at, compared and pressed by tmux in one command, looked at again. What is not as it was when the
limit was noticed presses nothing: another program, no words of a limit at the end of the screen, a dialog, copy mode,
something typed at the prompt. Must not own: when, and how often (limits.py), whether it may be done (guard.py).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence

from ..core import errors
from ..core.model import Agent, Decision, Origin, Outcome, Role, Tmux, Verdict
from ..core.screen_limits import Reached
from .agents import Agents
from .guard import Guard
from .ids import new_id
from .limits import Limits
from .pane_view import View
from .screens import Place, Screens
from .tmux.keystrokes import press
from .tools.panes import typed
from .wishes import Wish

TRIES = 4  # a screen that is drawn at this very moment is compared again
SHOWN_SECONDS = (0.1, 0.2, 0.4, 0.8, 1.5, 2.5)  # waited, one after the other, for what was pressed to show
ENTER_SECONDS = 0.5  # agents take an Enter right after text for a line end in it
TEXT = 500  # characters
RULE = "resume in config.yaml"


class Resuming:
    """Built by the system; used in the event loop only. `text`: what is typed."""

    def __init__(self, screens: Screens, agents: Agents, limits: Limits, guard: Guard, text: Callable[[], str]) -> None:
        self._screens = screens
        self._agents = agents
        self._limits = limits
        self._guard = guard
        self._text = text

    @property
    def text(self) -> str:
        """What is typed, in one line."""
        return " ".join(typed(self._text()).split())[:TEXT]

    # --- who is meant ---

    def limited(self, target: str, server: str) -> Agent:
        """The limited agent in a pane of that tmux server, or of that session (its first characters do).

        Raises NotFound, Conflict (it has no usage limit).
        """
        agents = self._agents.list()
        if target.startswith("%"):
            found = [one for one in agents if (one.server, one.pane) == (server, target)]
        else:
            found = [one for one in agents if target and one.session.startswith(target)]
        if not found:
            raise errors.NotFound("no agent is known there: `tmux-agent agents` lists them")
        reached = [one for one in found if one.limit]
        if len(reached) != 1:
            several = "several agents there have reached a usage limit" if reached else "it has reached no usage limit"
            raise errors.Conflict(f"{several}: `tmux-agent agents` lists them")
        return reached[0]

    def action(self, agent: Agent) -> Tmux:
        """Raises Conflict where there is nothing to press, or no need to."""
        if not agent.pane or not agent.server:
            raise errors.Conflict("it is not known in which pane it runs: have it go on there")
        if agent.limit and agent.limit.alone:
            raise errors.Conflict("it goes on by itself when its limit ends")
        if not self.text:
            raise errors.Conflict("resume.text in config.yaml is empty: there is nothing to type")
        options = {"session": agent.session}
        return Tmux(verb="resume", target=agent.pane, text=self.text, enter=True, server=agent.server, options=options)

    # --- that it is done ---

    async def asked(self, agent: Agent, origin: Origin, request_id: str) -> Outcome:
        """A person wants it. Raises what Guard.told raises."""
        return await self._guard.told(Wish(action=self.action(agent), origin=origin, request_id=request_id))

    async def by_rule(self, agent: Agent) -> None:
        """The person's rule wants it. Raises what Guard.told raises."""
        origin = Origin(
            role=Role.AGENT, why=RULE, uid=os.getuid(), pid=os.getpid(), server=agent.server, pane=agent.pane,
            place=agent.place, agent=agent.kind, session=agent.session, cwd=agent.cwd, door="rule",
        )  # fmt: skip
        wish = Wish(action=self.action(agent), origin=origin, request_id=new_id())
        reason = "its usage limit is over" if agent.limit is None else f"its usage limit ended: {agent.limit.words}"
        await self._guard.told(wish, Decision(verdict=Verdict.ALLOW, rule=RULE, reason=reason))

    async def run(self, action: Tmux) -> Outcome:
        """Do it; for the toolbox alone. Raises Conflict where nothing was pressed, Failed where it had no effect."""
        place: Place = (action.server or "", action.target)
        self._screens.hold(place, on=True)
        try:
            return await self._run(place, action)
        finally:
            self._screens.hold(place, on=False)

    async def _run(self, place: Place, action: Tmux) -> Outcome:
        session = str(action.options["session"])
        view, reached = await self._press(place, session, ())
        if reached.menu:
            view, reached = await self._press(place, session, reached.keys)
            if reached.goes_on:
                return await self._went_on(
                    place, session, view, reached, f"pressed {' '.join(reached.keys)} in its menu"
                )
            reached = await self._until_prompt(place, session)
        if not reached.prompt:
            raise errors.Conflict("nothing can be typed: something stands at its prompt, or it shows something else")
        await self._press(place, session, (f"={action.text}",), lambda one: one.prompt)
        await self._until_typed(place, session, action.text)
        await asyncio.sleep(ENTER_SECONDS)
        view, reached = await self._press(place, session, ("Enter",), lambda one: not (one.prompt or one.menu))
        return await self._went_on(place, session, view, reached, f"typed {action.text!r}")

    # --- looking and pressing ---

    async def _fitting(self, place: Place, session: str) -> tuple[View, Reached]:
        """The pane as it is, with the words of the limit. Raises Conflict."""
        agent = self._agents.get(session)
        if agent is None or agent.limit is None:
            raise errors.Conflict("it has gone on, or is gone")
        if agent.waiting_on:
            raise errors.Conflict("it waits for an answer")
        view, program = await self._screens.view(place), self._limits.program(session)
        if view is None or not program or view.program.session != program:
            raise errors.Conflict("its pane has another program in front than when it reached its limit")
        if view.seen.limit is None:
            raise errors.Conflict("its pane does not show its usage limit any more")
        if hinders := view.shot.hinders():
            raise errors.Conflict(hinders)
        return view, view.seen.limit

    async def _press(
        self, place: Place, session: str, keys: Sequence[str], holds: Callable[[Reached], bool] = lambda _: True
    ) -> tuple[View, Reached]:
        """Presses (nothing, where there are no keys) if all fits at that very moment; how it was then."""
        for _ in range(TRIES):
            view, reached = await self._fitting(place, session)
            if not holds(reached):
                raise errors.Conflict("somebody types there, or its screen has changed")
            if not keys or await press(self._screens.server(place), place[1], view.shot, reached.rows, keys):
                return view, reached
        raise errors.Conflict("its pane does not stand still")

    async def _until_prompt(self, place: Place, session: str) -> Reached:
        for seconds in SHOWN_SECONDS:
            await asyncio.sleep(seconds)
            _, reached = await self._fitting(place, session)
            if not reached.menu:
                return reached
        raise errors.Failed("the key was pressed, but its menu is still there: look at its pane")

    async def _until_typed(self, place: Place, session: str, text: str) -> None:
        for seconds in SHOWN_SECONDS:
            await asyncio.sleep(seconds)
            view, reached = await self._fitting(place, session)
            below = view.shot.look.lines[reached.rows[0] + 1 : reached.rows[1] + 1]
            if not reached.prompt and any(line.rstrip().endswith(text) for line in below):
                return
        raise errors.Failed("its prompt does not show what was typed; no Enter was pressed: look at its pane")

    async def _went_on(self, place: Place, session: str, before: View, reached: Reached, how: str) -> Outcome:
        """Raises Failed where the agent does as before."""
        noticed = agent.limit.noticed if (agent := self._agents.get(session)) and agent.limit else None
        for seconds in SHOWN_SECONDS:
            await asyncio.sleep(seconds)
            agent = self._agents.get(session)
            if agent is None or agent.limit is None or agent.limit.noticed != noticed:
                return Outcome(ok=True, summary=f"{how}; it went on")
            view = await self._screens.view(place)
            now = view.seen.limit if view else None
            if now is None or now.rows[0] != reached.rows[0] or (view and view.shot.moved(before.shot)):
                return Outcome(ok=True, summary=f"{how}; its screen went on")
        raise errors.Failed(f"{how}, but it did not go on: look at its pane")
