"""Which tool does an action: one `match` for looking, previewing and running.

Owns the choice of tool and nothing else. Only services/guard.py may call `run`. Facts are plain values, because they
are kept with an approval: what a person saw is compared before it is done.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec

from ..core import errors
from ..core.model import Action, Command, File, Origin, Outcome, Tmux
from ..core.settings import Settings
from .judgement import Judgement
from .tmux.servers import Servers
from .tools import commands, files, panes
from .tools.backups import Backups


class Toolbox:
    """Built by the daemon."""

    def __init__(self, judgement: Judgement, servers: Servers, settings: Settings, backups: Path) -> None:
        self._judgement = judgement
        self._servers = servers
        self.settings = settings
        self._backups = Backups(backups, settings.files)

    async def observe(self, action: Action, origin: Origin) -> dict[str, Any]:
        """Facts of the world that the action rests on. Raises NotFound, Failed, … where it cannot be done at all."""
        match action:
            case File():
                facts: Any = await asyncio.to_thread(files.observe, action, self._judgement.roots(origin))
            case Command():
                facts = await asyncio.to_thread(commands.observe, action)
            case Tmux():
                facts = await panes.observe(action, self._servers.choose(action.server, origin))
            case _:
                return {}
        return dict(msgspec.to_builtins(facts))
