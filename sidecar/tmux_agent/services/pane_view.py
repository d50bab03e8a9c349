"""What there is in a pane at one moment: its program, its screen, and what that says by the rules for that program.

Owns that the three belong together. Must not own: when to look, what follows (screens.py).
"""

from __future__ import annotations

from msgspec import Struct

from ..core import errors, programs
from ..core.model import digest
from ..core.screen_question import question
from ..core.screen_reading import Seen, read
from .foreground import Program, foreground
from .processes import Processes
from .screen_files import ScreenFiles
from .tmux.control import TmuxServer
from .tmux.keystrokes import Shot, shoot


class View(Struct, frozen=True):
    """What was found in a pane at one moment."""

    shot: Shot
    program: Program
    agent: str  # as the rules call it
    seen: Seen

    def asks(self) -> tuple[str, str] | None:
        """Names the question: who asks, and what stands on the screen."""
        dialog = self.seen.dialog
        return (self.program.session, digest(question(dialog, self.agent))) if dialog else None


async def view(server: TmuxServer, pane_id: str, table: Processes, files: ScreenFiles) -> View | None:
    """None where no rules are about the pane's program, or it is gone."""
    try:
        pane = server.pane(pane_id)
        program = foreground(table, pane.pid)
        if program is None or (not program.agent and set(programs.OURS) & set(program.names)):
            return None  # what a verb of ours asks is asked of whoever typed it
        rules = files.of(program.names, script=program.script and program.reads)
        if rules is None:
            return None
        shot = await shoot(server, pane.id, styled=rules.styled)
    except errors.TmuxAgentError:
        return None
    after = foreground(table, pane.pid)
    if shot.pid != pane.pid or after is None or after.session != program.session:
        return None
    return View(shot, program, program.agent or rules.agent, read(rules, shot.look))
