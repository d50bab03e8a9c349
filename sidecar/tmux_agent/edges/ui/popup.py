"""The popup of prefix + A: a prompt_toolkit application per relay, inside the sidecar's loop.

Owns: one popup's life, its keys, and what they do. Must not own: who may answer (the Desk is bound to that), the
services, layout, the relay's connection (serving.py).
A failure in here ends that popup (serving.py says so in it) and never reaches the sidecar's loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

from prompt_toolkit.application import Application, create_app_session
from prompt_toolkit.data_structures import Size
from prompt_toolkit.input.typeahead import clear_typeahead

from tmux_agent.core import display
from tmux_agent.core.errors import TmuxAgentError
from tmux_agent.edges.ui import actions, agent_pages, changes, keyboard, view
from tmux_agent.edges.ui.board import Board
from tmux_agent.edges.ui.desk import Desk
from tmux_agent.edges.ui.detail import FOLDED
from tmux_agent.edges.ui.dialogs import FAR, Dialog
from tmux_agent.edges.ui.pages import Spot
from tmux_agent.edges.ui.styles import STYLE, Lines
from tmux_agent.edges.ui.wire import Attach, Drain, Typed, clamp, output

QUIET_S = 1.0  # without a key, before an unbidden popup takes one
LEAVING = (b"q", b"\x1b", b"\x03")
CLOSING_S = 5.0  # answers that are on their way when the popup closes get this long


def now_utc() -> datetime:
    return datetime.now(UTC)


class Popup:
    """One popup's state and keys."""

    def __init__(self, desk: Desk, attach: Attach, clock: Callable[[], datetime] = now_utc) -> None:
        self.desk = desk
        self.attach = attach
        self.clock = clock
        self.lines = Lines(attach.utf8)
        self.board = Board(desk, start_at=attach.at or "")
        self.dialog: Dialog | None = None
        self.page = attach.page  # what is shown instead of requests
        self.whole = self.page is not None  # the detail takes the list's place
        self.top: Spot = FOLDED
        self.flash: tuple[str, str] = ("", "")  # style, safe text
        self.drafts: dict[str, str] = {}  # request id → text of an editor that was left
        self.stale = True
        self.failure: BaseException | None = None
        self.size = clamp(attach.columns, attach.rows)
        self.typed = Typed()
        # Whoever called for a form goes on typing: that acts on nothing.
        form = attach.page is not None and attach.page.what == "spawn" and not attach.unbidden
        self.drain = Drain(attach.utf8, typed_ahead=form)
        self._tasks: set[asyncio.Task[None]] = set()
        self.canvas = view.Canvas(self)
        self.app: Application[None] = Application(
            layout=view.layout(self),
            key_bindings=keyboard.bindings(self),
            style=STYLE,
            include_default_pygments_style=False,
            full_screen=True,
            refresh_interval=1.0,  # the times count; no other timer runs
            input=self.typed,
            output=output(self.drain, lambda: self.size, attach),
        )
        self.app.ttimeoutlen = 0.05
        self.app.before_render += lambda _: self.guarded(self._before_render)
        self.app.after_render += lambda _: self.guarded(self._after_render)

        self._main: asyncio.Task[None] | None = None
        self._quiet_from: float | None = None  # of an unbidden popup: its first paint, or a key that came too soon
        if self.page:
            agent_pages.begin(self, self.page)

    # --- life ---

    def start(self) -> asyncio.Task[None]:
        """Begins to paint, once; what is painted is kept until `connect`. The task ends when the popup closes."""
        if self._main is None:
            clear_typeahead(self.typed)  # nothing that was typed into an earlier popup may answer in this one
            self._main = asyncio.get_running_loop().create_task(self._live())
        return self._main

    async def _live(self) -> None:
        with create_app_session():  # else all popups share one, and the first to close takes the editors' keys along
            await self.app.run_async(set_exception_handler=False, handle_sigint=False)

    def connect(self, writer: asyncio.StreamWriter) -> None:
        """Shows what is painted so far, then what has changed since."""
        self.drain.connect(writer)
        self._shown()
        asyncio.get_running_loop().call_soon(self._catch_up)  # events are heard by then: nothing falls between
        if self.page:
            self.spawn(agent_pages.fill(self, self.page))

    def _catch_up(self) -> None:
        if self.board.behind():
            self.refresh()

    def drop(self) -> None:
        """Ends a popup that no relay has seen."""
        if self._main is not None:
            self._main.cancel()

    def guarded(self, step: Callable[[], None]) -> None:
        """Runs `step`; a failure ends this popup and nothing else."""
        try:
            step()
        except Exception as error:  # noqa: BLE001 - whatever it is, it must stop here
            self.fail(error)

    def fail(self, error: BaseException) -> None:
        self.failure = self.failure or error
        self.close()

    def close(self) -> None:
        if self.app.is_running and self.app.future and not self.app.future.done():
            self.app.exit()

    def resize(self, size: Size) -> None:
        if size != self.size:
            self.size = size
            self.app.renderer.erase(leave_alternate_screen=False)
            self.refresh()

    def refresh(self) -> None:
        self.stale = True
        self.app.invalidate()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Does something that waits for a service; its refusal is shown, its defect ends the popup."""

        async def run() -> None:
            try:
                await work
            except TmuxAgentError as error:
                self.say(error.message, "class:warn")
            except Exception as error:  # noqa: BLE001 - as in guarded
                self.fail(error)
            self.refresh()

        task = asyncio.get_running_loop().create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def settle(self) -> None:
        """Lets answers that are on their way arrive: closing must not leave one half done."""
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=CLOSING_S)

    # --- painting ---

    def _before_render(self) -> None:
        if self.stale:
            self.stale = False
            before = self.board.current()
            self.board.refresh()
            if self.board.current() is not before:
                self.top = FOLDED
            if self.dialog:
                self.dialog.refresh()

    def _after_render(self) -> None:
        self.drain.open()
        self._shown()

    def _shown(self) -> None:
        """Only what was sent can have been seen."""
        if not self.drain.flows:
            return
        if self._quiet_from is None:
            self._quiet_from = self.now()
        self.canvas.painted()
        if self.dialog:
            self.dialog.seen = True

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def say(self, text: str, style: str = "class:flash") -> None:
        """One line that stays until the next key."""
        self.flash = (style, display.safe(text[:1000]))
        self.app.invalidate()

    # --- dialogs ---

    def open(self, dialog: Dialog) -> None:
        self.dialog = dialog
        view.focus(self)

    def leave(self) -> None:
        """Back to the list, or to the dialog that this one was opened from; an editor's text is kept for the next time.
        A page of a menu has no list behind it."""
        behind = self.dialog.behind if self.dialog else None
        if self.page and behind is None:
            self.close()
            return
        self.dialog = behind
        view.focus(self)

    def show_request(self, request_id: str) -> None:
        """Leaves the page for the list, at that request; False in words where it does not wait any more."""
        self.board.refresh()
        if not self.board.select(request_id):
            self.say("it does not wait any more", "class:medium")
            return
        self.page, self.whole, self.dialog, self.top = None, False, None, FOLDED
        view.focus(self)
        self.refresh()

    # --- keys ---

    def feed(self, data: bytes) -> None:
        """Typed bytes. A popup that came by itself takes none but those that close it until its person has seen it:
        whoever was typing when it came types on, without a pause."""
        if self.attach.unbidden and data not in LEAVING:
            now, since = self.now(), self._quiet_from
            if since is None or now - since < QUIET_S:
                self._quiet_from = now
                self.say("this came by itself: look, then press again", "class:medium")
                return
            self._quiet_from = 0.0
        self.typed.feed(data)

    def press(self, key: str) -> None:
        """One key that no editor takes."""
        self.flash = ("", "")
        if self.dialog is None:
            self._press_list(key)
        elif key == "escape" or (key == "q" and self.dialog.editor is None):
            changes.back(self)
        elif self.dialog.seen:
            self.dialog.press(key)
        self.app.invalidate()

    def _press_list(self, key: str) -> None:
        if key in ("q", "c-c") or (key == "escape" and not self.whole):
            self.close()
        elif key == "?":
            actions.show_help(self)
        elif key in ("enter", "escape"):
            self.whole = not self.whole and key == "enter" and bool(self.board.rows)
            self.top = FOLDED
        elif key in MOVES:
            self._move(key)
        elif key in ANSWERS or key.isdigit():
            self._press_answer(key)
        elif key == "x":
            actions.regroup(self)
        elif key == "o":
            actions.jump(self)
        elif key == "p":
            actions.peek(self)

    def _move(self, key: str) -> None:
        page = max(1, self.canvas.detail_height - 1)
        if key.startswith("page"):
            self.scroll(page if key == "pagedown" else -page)
        elif self.whole and key in ("up", "down", "home", "end"):
            self.scroll({"up": -1, "down": 1, "home": -FAR, "end": FAR}[key])
        elif key in ("home", "end"):
            self.board.move_to(0 if key == "home" else len(self.board.rows) - 1)
            self.top = FOLDED
        else:
            self.board.move(1 if key in ("down", "j") else -1)
            self.top = FOLDED

    def scroll(self, delta: int) -> None:
        if self.canvas.detail:
            self.top = self.canvas.detail.move(self.top, delta, self.clock())
            self.board.looked()

    def _press_answer(self, key: str) -> None:
        if not self.board.rows:
            return
        if not self.board.answerable(self.now()):
            self.say("new under your finger: look, then press again", "class:medium")
        elif key.isdigit():
            actions.choose(self, int(key))
        else:
            ANSWERS[key](self)


MOVES = {"up", "down", "j", "k", "home", "end", "pageup", "pagedown"}
ANSWERS: dict[str, Callable[[Popup], None]] = {
    "a": actions.approve,
    "d": actions.deny,
    "e": changes.edit,
    "g": changes.allow_again,
    " ": actions.mark,
}
