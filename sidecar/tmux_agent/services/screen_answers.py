"""Answers to dialogs in panes: pressed only if the dialog is still the one that was shown, and looked at after.

Owns the order: looked at, answered and recorded, compared and pressed, looked at. What does not fit presses nothing. No
text of a person ever goes to an agent that is in a dialog. Must not own: who may answer (answers.py).
"""

from __future__ import annotations

import asyncio
from typing import Any

from ..core import errors
from ..core.model import Approval, Event
from ..core.screen_question import chosen
from ..core.screen_reading import Choice, Dialog
from .journal import Journal
from .pane_view import View
from .screens import Screens, place_of
from .tmux.keystrokes import press

TRIES = 4  # a screen that is drawn at this very moment is compared again
EFFECT_SECONDS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 2.5)  # waited, one after the other, for the dialog to go


class ScreenAnswers:
    """Built by the system; used in the event loop only."""

    def __init__(self, screens: Screens, journal: Journal) -> None:
        self._screens = screens
        self._journal = journal

    async def check(self, approval: Approval, approved: bool, choice: str | None) -> None:
        """Before an answer is taken. Raises Conflict where the dialog is not there any more (then it is withdrawn) or
        no key would reach it, InvalidParams where it names no such answer."""
        try:
            await self._fitting(approval, approved, choice)
        except errors.Conflict as why:
            raise errors.Conflict(f"nothing was pressed: {why.message}") from None

    async def press(self, approval: Approval) -> None:
        """After the answer was taken. Raises Conflict where nothing was pressed, Failed where it had no effect."""
        self._screens.hold(place_of(approval.origin), on=True)
        try:
            await self._press(approval)
        finally:
            self._screens.hold(place_of(approval.origin), on=False)

    async def _press(self, approval: Approval) -> None:
        assert approval.answer
        asked = (approval.answer.approved, approval.answer.choice)
        try:
            _, _, choice = await self._fitting(approval, *asked)
            await self._record("action.started", approval, keys=list(choice.keys), pane=approval.origin.pane)
            pressed = await self._compare(approval, choice.keys, asked)
        except errors.TmuxAgentError as why:
            await self._record("action.skipped", approval, why=why.message)
            raise errors.Conflict(f"answered, but nothing was pressed: {why.message}") from None
        if not await self._took(pressed, approval):
            error = "the keys were pressed, but its dialog is still there"
            await self._record("action.finished", approval, outcome={"ok": False, "error": error})
            raise errors.Failed(f"{error}: look at its pane")
        await self._record("action.finished", approval, outcome={"ok": True, "summary": f"pressed {choice.label!r}"})

    async def _fitting(self, approval: Approval, approved: bool, choice: str | None) -> tuple[View, Dialog, Choice]:
        """The pane as it is, with the dialog that was shown and the choice that is meant."""
        view = await self._screens.view(place_of(approval.origin))
        if view is None or not _same(view, approval) or view.seen.dialog is None:
            await self._screens.stale(approval)
            raise errors.Conflict("its pane does not show what you saw any more")
        if hinders := view.shot.hinders():
            raise errors.Conflict(f"{hinders}; answer it in its pane")
        found = chosen(view.seen.dialog, approved, choice)
        if found is None:
            raise errors.InvalidParams("the dialog names no key for that: answer it in its pane")
        return view, view.seen.dialog, found

    async def _compare(self, approval: Approval, keys: tuple[str, ...], asked: tuple[bool, str | None]) -> View:
        """Presses, if all is as it is seen at that very moment; how it was then. Raises Conflict, Unavailable."""
        place = place_of(approval.origin)
        for _ in range(TRIES):
            view, dialog, choice = await self._fitting(approval, *asked)
            if choice.keys != keys:
                raise errors.Conflict("the dialog names other keys now; answer it in its pane")
            if await press(self._screens.server(place), place[1], view.shot, dialog.rows, keys):
                return view
        raise errors.Conflict("its pane does not stand still; answer it there")

    async def _took(self, pressed: View, approval: Approval) -> bool:
        """Whether the dialog goes, or has moved up and the same is asked again."""
        for seconds in EFFECT_SECONDS:
            await asyncio.sleep(seconds)
            view = await self._screens.view(place_of(approval.origin))
            if view is None or not _same(view, approval) or view.shot.moved(pressed.shot):
                return True
        return False

    async def _record(self, kind: str, approval: Approval, **data: Any) -> None:
        told = {"digest": approval.digest, **data}
        await self._journal.publish(Event(type=kind, request_id=approval.request_id, origin=approval.origin, data=told))


def _same(view: View, approval: Approval) -> bool:
    return view.asks() == (approval.origin.session, approval.digest)
