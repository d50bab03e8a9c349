"""Typing into a pane for the person: when its program takes it, as one bracketed paste, and looked at afterwards.

Owns the wait for a free prompt, and Enter once more where an agent that starts has lost it. Must not own: what is typed
and whether it may be (pipeline_acts.py, fleet.py), doing it once (once.py), screens (screens.py).
"""

from __future__ import annotations

import asyncio

from ..core import errors
from ..core.model import AgentState, Origin, Outcome, Shell, Tmux
from ..core.pipeline_run import Place
from .agents import Agents
from .foreground import foreground, started
from .once import ONCE, Once
from .processes import processes_here
from .screens import Screens
from .tmux.servers import Servers

SHELL_SECONDS = 2.0  # for a command that has said all and is about to end; what runs longer is typed into
LOOK_SECONDS = {False: 0.05, True: 0.5}  # between two looks: at a shell, at an agent
STILL = 2  # looks at which an agent's prompt has to wait: one that starts draws it before it takes keys
SHOWN_SECONDS, ENTERS = 1.0, 3  # until an agent has taken what was typed, and how often Enter is pressed again
PROMPTS = ("idle", "new")  # states of a screen whose prompt waits (core/screen_reading.py)
PROMPT_LINES, LAST = 8, 40  # lines at the end of a screen, and characters, by which its prompt is known


class Typist:
    """Built by the system; used in the event loop only."""

    def __init__(self, once: Once, servers: Servers, agents: Agents, screens: Screens) -> None:
        self._once = once
        self._servers = servers
        self._agents = agents
        self._screens = screens
        self._table = processes_here()

    async def typed(
        self, text: str, place: Place, origin: Origin, key: str, *, enter: bool, approved: bool, shell: bool = True
    ) -> Outcome:
        """Type now. `shell`: a shell may be there, so that it is judged as its text, too. Raises as Once.do does."""
        action = _typing(text, place.server, place.pane, enter=enter)
        also = Shell(text=text, cwd=await self.folder(place)) if shell else None
        outcome = await self._once.do(action, origin, key, approved=approved, also=also, place=place)
        if enter and self._program(place)[0]:
            await self._sent(place, text, origin, key)
        return outcome

    async def begun(self, text: str, server: str, pane: str, origin: Origin, key: str) -> bool:
        """Whether this was typed, with Enter, or begun to be, at any time. Raises Unavailable."""
        return await self._once.begun(_typing(text, server, pane, enter=True), origin, key)

    async def free(self, place: Place, *, starts: bool = False) -> None:
        """Wait a moment for the command before to end, so that the shell takes what is typed; and for an agent there
        until its prompt waits: a dialog would take the text for its answer. `starts`: the pane's own program and a
        wrapper start the agent, and take nothing. Of none of these there is an event."""
        loop = asyncio.get_running_loop()
        late, still = loop.time() + SHELL_SECONDS, 0
        while still < STILL:
            agent, runs = self._program(place)
            if starts and not started(self._table, place.pane_pid):
                still = 0
            elif not agent:
                still = STILL if not runs or loop.time() > late else 0
            else:
                still = still + 1 if await self._prompts(place) and not self._asks(place) else 0
            await asyncio.sleep(0 if still >= STILL else LOOK_SECONDS[bool(agent)])

    async def folder(self, place: Place) -> str:
        """The pane's working folder. Raises Conflict, Unavailable."""
        server = self._servers.get(place.server)
        if server is None:
            raise errors.Conflict("its tmux server is gone")
        path = await server.foreign("display-message", "-p", "-t", place.pane, "#{pane_current_path}")
        return "\n".join(path)

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
        return view is None or view.seen.state in PROMPTS

    async def _sent(self, place: Place, text: str, origin: Origin, key: str) -> None:
        """Press Enter again where an agent's prompt still holds what was typed: one that starts loses keys."""
        last = text.rstrip().rpartition("\n")[2][-LAST:]
        for again in range(ENTERS):
            await asyncio.sleep(SHOWN_SECONDS)
            view = await self._screens.view((place.server, place.pane))
            lines = [line for line in view.shot.look.lines if line.strip()][-PROMPT_LINES:] if view else []
            holds = any(line.rstrip().endswith(last) for line in lines)
            if view is None or view.seen.state not in PROMPTS or not holds:
                return
            enter = Tmux(verb="send_keys", target=place.pane, server=place.server, keys=("Enter",), options=ONCE)
            await self._once.do(enter, origin, f"{key}/enter-{again}", approved=True, place=place)


def _typing(text: str, server: str, pane: str, *, enter: bool) -> Tmux:
    return Tmux(verb="send_text", target=pane, server=server, text=text, enter=enter, options=ONCE)
