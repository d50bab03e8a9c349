"""Which keys reach the popup, by name; an editor keeps those that it needs.

Owns: key names. Must not own: what a key does (popup.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prompt_toolkit.filters import Condition
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.key_binding.key_processor import KeyPressEvent
from prompt_toolkit.keys import Keys

if TYPE_CHECKING:
    from tmux_agent.edges.ui.popup import Popup

_NAMED = {
    "enter": Keys.Enter, "escape": Keys.Escape, "down": Keys.Down, "up": Keys.Up, "home": Keys.Home, "end": Keys.End,
    "pageup": Keys.PageUp, "pagedown": Keys.PageDown, "c-c": Keys.ControlC,
}  # fmt: skip


def bindings(popup: Popup) -> KeyBindings:
    """Every key goes to popup.press; an editor keeps what it needs for editing."""
    keys = KeyBindings()
    editing = Condition(lambda: popup.dialog is not None and popup.dialog.editor is not None)
    one_line = Condition(lambda: bool(popup.dialog and popup.dialog.editor and not popup.dialog.editor.multiline))

    def send(name: str) -> None:
        popup.guarded(lambda: popup.press(name))

    for name, key in _NAMED.items():

        @keys.add(key, filter=~editing, eager=True)
        def _(_event: KeyPressEvent, name: str = name) -> None:
            send(name)

    for char in "adefgopqrsxjkyzS? 123456789":

        @keys.add(char, filter=~editing, eager=True)
        def _(_event: KeyPressEvent, char: str = char) -> None:
            send(char)

    @keys.add(Keys.Any, filter=~editing, eager=True)
    def _(_event: KeyPressEvent) -> None:
        """Any other key does nothing."""

    @keys.add(Keys.Enter, filter=editing & one_line, eager=True)
    def _(_event: KeyPressEvent) -> None:
        send("enter")

    for name, key in (("up", Keys.Up), ("down", Keys.Down), ("tab", Keys.Tab), ("s-tab", Keys.BackTab)):

        @keys.add(key, filter=editing & one_line, eager=True)
        def _(_event: KeyPressEvent, name: str = name) -> None:
            send(name)

    for name in ("c-s", "f10"):

        @keys.add(name, filter=editing, eager=True)
        def _(_event: KeyPressEvent, name: str = name) -> None:
            send(name)

    @keys.add(Keys.Escape, filter=editing, eager=True)
    @keys.add(Keys.ControlC, filter=editing, eager=True)
    def _(_event: KeyPressEvent) -> None:
        send("escape")

    return keys
