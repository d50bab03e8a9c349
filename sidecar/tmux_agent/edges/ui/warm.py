"""A rehearsal of the popup at the sidecar's start.

Owns: `warm`, and the stand-ins that it paints. Must not own: anything that a person sees.
"""

from __future__ import annotations

from typing import cast

from tmux_agent.core.model import Approval, Origin, Role, Shell
from tmux_agent.edges.ui import highlight
from tmux_agent.edges.ui.desk import Desk
from tmux_agent.edges.ui.popup import Popup, now_utc
from tmux_agent.edges.ui.wire import Attach


class _Rehearsal:
    """One harmless request and nobody to answer it: what `warm` draws."""

    def pending(self) -> list[Approval]:
        origin = Origin(role=Role.AGENT, why="rehearsal", uid=0, pid=0, agent="agent", place="a:1", branch="main")
        action = Shell(text="git status && echo 'x'  # y\n", cwd="/")
        return [
            Approval(request_id="0", digest="0", action=action, origin=origin, created=now_utc(), rule="r", reason="r")
        ]

    def nothing(self, *_: object) -> None:
        return None

    def none(self, *_: object) -> list[object]:
        return []

    find = plan_for = nothing
    recent = agents = warnings = none


def warm() -> None:
    """Paints one popup to nobody, so that the first person does not wait for imports, styles and tables.

    Call once at the sidecar's start; takes about 50 ms beyond the import.
    """
    popup = Popup(cast(Desk, _Rehearsal()), Attach(columns=100, rows=24))
    popup.app.renderer.render(popup.app, popup.app.layout)
    highlight.diff("@@ -1 +1 @@\n-a\n+b\n", "a.py")
