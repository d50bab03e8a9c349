"""Which tool does an action: one `match` for looking, previewing and running.

Owns the choice of tool and nothing else. Only services/guard.py may call `run`. Facts are plain values, because they
are kept with an approval: what a person saw is compared before it is done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ..core import errors
from ..core.model import Action, Command, File, Origin, Outcome, Role, Shell, Tmux
from ..core.pipeline_run import Place
from ..core.settings import Settings
from . import execution_facts
from .judgement import Judgement
from .made import Made, Name
from .tmux.servers import Servers
from .tools import commands, files, panes
from .tools.backups import Backups

if TYPE_CHECKING:
    from .executions import Executions
    from .following import Following

_MAKES = {"create_session": "sessions", "create_pane": "panes"}
_TYPES = frozenset(("send_text", "send_keys"))
ANYWHERE = ("/",)  # for what a person has approved: the facts they saw bind the place


class Toolbox:
    """Built by the daemon; `settings` may be replaced at any time."""

    def __init__(self, judgement: Judgement, servers: Servers, settings: Settings, backups: Path) -> None:
        self._judgement = judgement
        self._servers = servers
        self.settings = settings
        self.made = Made(lambda: self.settings.limits)
        self.following: Following  # the system's, as the next two
        self.executions: Executions
        self.resume: Callable[[Tmux], Awaitable[Outcome]]
        self._backups = Backups(backups, count=settings.files.backups_keep, age=settings.files.backups_days * 86400)

    async def observe(self, action: Action, origin: Origin) -> dict[str, Any]:
        """Facts of the world that the action rests on. Raises InvalidParams, … where it cannot be looked at."""
        match action:
            case File():
                facts: Any = await asyncio.to_thread(files.observe, action, ANYWHERE, self.settings.files)
            case Command():
                facts = await asyncio.to_thread(commands.observe, action)
            case Tmux(verb="record_stop" | "record_remove" | "record_play"):
                return {}  # it is about a recording, whose pane may be gone
            case Tmux():
                facts = await panes.observe(action, self._servers.choose(action.server, origin))
            case Shell() if action.pane or action.session:
                facts = await self.executions.observe(action, self._servers.choose(action.server, origin))
            case _:
                return {}
        return dict(msgspec.to_builtins(facts))

    def resolved(self, action: Action, facts: dict[str, Any]) -> Action | None:
        """The action on the real paths that were observed, to be judged as well; None where that says nothing new."""
        if not isinstance(action, File):
            return None
        seen = msgspec.convert(facts, files.FileFacts)
        target = seen.target.real if seen.target else action.target
        return msgspec.structs.replace(action, path=seen.real, target=target)

    async def changed(self, action: Action, origin: Origin, before: dict[str, Any]) -> str | None:
        """What is no longer as it was when `before` was observed, in words; None where all holds."""
        try:
            now = await self.observe(action, origin)
        except errors.TmuxAgentError as why:
            return why.message
        match action:
            case File():
                return files.changed(msgspec.convert(before, files.FileFacts), msgspec.convert(now, files.FileFacts))
            case Command():
                return commands.changed(
                    msgspec.convert(before, commands.CommandFacts), msgspec.convert(now, commands.CommandFacts)
                )
            case Tmux():
                return panes.changed(msgspec.convert(before, panes.PaneFacts), msgspec.convert(now, panes.PaneFacts))
            case Shell() if before:
                return execution_facts.changed(
                    msgspec.convert(before, execution_facts.Facts), msgspec.convert(now, execution_facts.Facts)
                )
        return None

    async def preview(self, action: Action, origin: Origin) -> str:  # noqa: ARG002 - later tools need who asks
        """What a person is shown besides the action: the diff of a change to a file."""
        if isinstance(action, File):
            return await asyncio.to_thread(files.preview, action, ANYWHERE, self.settings.files)
        return ""

    async def run(self, action: Action, origin: Origin, facts: dict[str, Any], request_id: str) -> Outcome:
        """Do it, if `facts` still hold at the very moment. For services/guard.py alone."""
        match action:
            case File():
                expected = msgspec.convert(facts, files.FileFacts)
                return await files.run(
                    action, ANYWHERE, self.settings.files, self._backups, expected, request_id=request_id
                )
            case Command():
                expected_program = msgspec.convert(facts, commands.CommandFacts)
                return await commands.run(action, self.settings.commands, expected_program, request_id=request_id)
            case Tmux(verb="resume"):
                expected_pane = msgspec.convert(facts, panes.PaneFacts)
                now = msgspec.convert(await self.observe(action, origin), panes.PaneFacts)
                if why := panes.changed(expected_pane, now):
                    raise errors.Conflict(f"not done: {why}")
                return await self.resume(action)
            case Tmux():
                return await self._tmux(action, origin, msgspec.convert(facts, panes.PaneFacts), request_id)
            case Shell() if facts:
                if action.session:
                    self.made.check(origin, "sessions", self.lives)
                rests_on = msgspec.convert(facts, execution_facts.Facts)
                outcome = await self.executions.start(action, rests_on, origin, request_id)
                if action.session:
                    server = self._servers.choose(action.server, origin)
                    made = [one.id for one in server.sessions if one.name == action.session]
                    self.made.note(origin, "sessions", [(server.socket, server.pid, id_) for id_ in made])
                return outcome
        raise errors.Internal(f"no tool runs a {type(action).__name__}")

    async def _tmux(self, action: Tmux, origin: Origin, facts: panes.PaneFacts, request_id: str) -> Outcome:
        server = self._servers.choose(action.server, origin)
        kind = _MAKES.get(action.verb)
        if kind:
            self.made.check(origin, kind, self.lives)
        if action.verb in _TYPES and origin.role is Role.AGENT and action.keys != ("C-c",):
            await self.executions.changed_shells.note(facts.pane_pid, f"tmux.{action.verb}")
        outcome = await panes.run(action, server, facts, self.settings.panes.read_lines, request_id)
        if kind:
            made = outcome.data["session_id" if kind == "sessions" else "pane_id"]
            self.made.note(origin, kind, [(server.socket, server.pid, made)])
        since = action.options.get("since")
        if action.verb == "read" and since is not None:
            place = Place(
                server=facts.server, server_pid=facts.server_pid, pane=facts.pane, pane_pid=facts.pane_pid
            )
            new = await self.following.read(server, place, since, ansi=bool(action.options.get("ansi")))
            outcome = msgspec.structs.replace(outcome, data=outcome.data | new)
        if action.verb == "read":
            self.made.reads(origin, sum(map(len, outcome.data["lines"])))
        return outcome

    def lives(self, name: Name) -> bool:
        """Whether a session or pane that was made is still there."""
        socket, pid, id_ = name
        server = self._servers.get(socket)
        if server is None or server.pid != pid:
            return False
        return id_ in {one.id for one in server.sessions} | {one.id for one in server.panes}

    async def became(self, action: Action, origin: Origin, facts: dict[str, Any], request_id: str) -> Outcome | None:
        """What became of an action that was under way when the sidecar died; None where it was not begun.

        Raises errors.Conflict where nobody can tell.
        """
        if isinstance(action, Tmux) and action.options.get("once"):
            server = self._servers.choose(action.server, origin)
            return await panes.became(action, server, msgspec.convert(facts, panes.PaneFacts), request_id)
        raise errors.Conflict("it was running when the sidecar died, so it may or may not be done")

    async def forget(self, action: Action, origin: Origin, request_id: str) -> None:
        """Nobody asks any more what became of it."""
        if isinstance(action, Tmux) and action.options.get("once"):
            await panes.forget(self._servers.choose(action.server, origin), request_id)
