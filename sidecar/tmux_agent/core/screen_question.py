"""A dialog on an agent's screen as a question to a person, and what an answer presses.

Pure. Must not own: finding the dialog (screen_reading.py), whether it is still there, pressing (services/).
"""

from __future__ import annotations

from .model import Ask
from .screen_reading import Choice, Dialog

DOOR = "screen"  # Origin.door of whoever asks so


def question(dialog: Dialog, agent: str) -> Ask:
    """A dialog as a question to a person. What may be chosen besides a plain yes are its options."""
    asked = dialog.question or f"{agent} waits for an answer"
    yes = [one for one in dialog.choices if not one.deny]
    begun = "" if not dialog.cut else "(it begins above the screen: look at the pane)\n"
    return Ask(
        prompt=f"{asked}  ({dialog.about})" if dialog.about else asked,
        action_type=DOOR,
        details=begun + dialog.text,
        options=tuple(one.label for one in yes) if len(yes) > 1 else (),
    )


def presses(dialog: Dialog) -> str:
    """What an answer presses, in words."""
    told = [f"{one.label!r} presses {' '.join(map(_named, one.keys))}" for one in dialog.choices]
    return f"read from its screen; {', '.join(told)}"


def _named(key: str) -> str:
    return key.removeprefix("=")


def chosen(dialog: Dialog, approved: bool, choice: str | None) -> Choice | None:
    """The choice that an answer means; None where the dialog names none for it."""
    fitting = (one for one in dialog.choices if one.deny is not approved and choice in (None, one.label))
    return next(fitting, None)
