"""A popup about one pane, opened from a menu: its last lines, its log, whether to pause, interrupt or kill what runs.

Owns: what these pages say and their keys. Must not own: requests, whether it may be done (the Desk decides), the pages
of pipelines and of the fleet. Leaving a page closes its popup, and leaving one does nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from tmux_agent.core import display
from tmux_agent.core.menus import Page
from tmux_agent.edges.ui import fleet, pipelines, spawning
from tmux_agent.edges.ui.dialogs import Sure, Text
from tmux_agent.edges.ui.text import Line, literal

if TYPE_CHECKING:
    from tmux_agent.edges.ui.popup import Popup

LINES = 500

_ASKED = {
    "resume": ("have it go on", ""),
    "pause": ("pause", "All that it runs stands still, at once, until you let it go on. What it has asked waits."),
    "unpause": ("let it go on", "All that stands still there goes on where it stood."),
    "interrupt": ("interrupt", "It gets {keys}, as if you pressed that in its pane. What it has begun stays as it is."),
    "kill": ("kill", "Its pane is closed, and what runs in it ends at once."),
}


def begin(popup: Popup, page: Page) -> None:
    """Shows the page before the first paint; what has to be read comes after it."""
    if page.what in PAGES:
        PAGES[page.what](popup, page)
        return
    where = display.safe(f"{page.who} ({page.pane})")
    if page.what in _ASKED:
        verb, text = _ASKED[page.what]
        heading: Line = [("class:title", verb), ("", f"  {where}")]
        keys = " ".join(popup.desk.interrupts_with(page))
        text = popup.desk.resumes_with(page) if page.what == "resume" else text.format(keys=keys)
        popup.open(Sure(heading, text, popup.now, lambda: popup.spawn(_do(popup, page))))
    else:
        about = "its last lines" if page.what == "read" else "its last records in the audit log"
        popup.open(Text([("class:title", where), ("", f"  {about}")], [[("class:faint", "reading …")]], at_end=True))


async def fill(popup: Popup, page: Page) -> None:
    """Reads what the page shows. Raises what the Desk raises."""
    if isinstance(popup.dialog, pipelines.Overview | fleet.Overview | spawning.Form):
        await popup.dialog.fill()
        return
    reads: dict[str, Callable[[Page, int], Awaitable[list[str]]]] = {"read": popup.desk.read, "log": popup.desk.log}
    if page.what not in reads or popup.dialog is None:
        return
    content = [literal(line[:2000]) for line in await reads[page.what](page, LINES)]
    popup.open(Text(popup.dialog.heading, content or [[("class:faint", "There is nothing.")]], at_end=True))


PAGES = {"pipelines": pipelines.begin, "fleet": fleet.begin, "spawn": spawning.begin}


async def _do(popup: Popup, page: Page) -> None:
    await popup.desk.tell(page)
    popup.close()
