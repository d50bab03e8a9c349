"""Pressing keys in a pane only while its screen is what was looked at: compare and swap, inside tmux.

Owns a shot of a pane (its screen and all that could change without us) and the one command line that compares and
presses: between the two tmux reads no byte of any program. Must not own: what a screen says, which keys.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import Struct

from ...core import errors
from ...core.screen_reading import Look
from .control import TmuxServer

# All that tells whether keys would go where they are meant to go.
_FIELDS = ("pane_pid", "pane_dead", "pane_in_mode", "pane_synchronized", "pane_input_off", "cursor_x", "cursor_y",
           "history_size", "alternate_on", "pane_width", "pane_height")  # fmt: skip
_STATE = "|".join(f"#{{{name}}}" for name in _FIELDS)
_COMMAND = "#{pane_current_command}"
_PLAIN = re.compile(r"[^A-Za-z0-9 _./-]")  # everything else could mean something in a format or a pattern
LINES = 24  # of a dialog that tmux compares itself
_LINE = 200  # characters of each


class Shot(Struct, frozen=True):
    """A pane at one moment. `state`: the values of _FIELDS, as tmux wrote them."""

    look: Look
    state: str
    command: str  # of the program in the foreground, as tmux calls it

    def _number(self, name: str) -> int:
        return int(self.state.split("|")[_FIELDS.index(name)] or 0)

    @property
    def pid(self) -> int:
        return self._number("pane_pid")

    def moved(self, before: Shot) -> bool:
        """Whether the screen has scrolled, or the cursor is in another line."""
        return any(self._number(name) != before._number(name) for name in ("history_size", "cursor_y"))

    def hinders(self) -> str:
        """Why keys would not reach the program, or not it alone; "" where they would."""
        if self._number("pane_dead"):
            return "its program has ended"
        if self._number("pane_in_mode"):
            return "the pane is in copy mode"
        if self._number("pane_synchronized"):
            return "its panes are synchronized: the keys would go to all of them"
        return "the pane takes no input" if self._number("pane_input_off") else ""


async def shoot(server: TmuxServer, pane: str, *, styled: bool) -> Shot:
    """The pane as it is now. Raises errors.Unavailable, Failed (it is gone)."""
    capture = ("capture-pane", "-p", "-t", pane)
    commands = [("display-message", "-p", "-t", pane, _STATE), ("display-message", "-p", "-t", pane, _COMMAND), capture]
    if styled:
        commands.append((*capture, "-e"))
    state, command, lines, *more = await server.foreign_line(commands)
    words = state[0].split("|") if state else []
    if len(words) != len(_FIELDS) or not all(word.isdecimal() or not word for word in words):
        raise errors.Failed(f"tmux does not tell the state of pane {pane}")
    at = (int(words[_FIELDS.index("cursor_x")] or 0), int(words[_FIELDS.index("cursor_y")] or 0))
    look = Look(lines=tuple(lines), cursor=at, styled=tuple(more[0]) if more else ())
    return Shot(look, state[0], "\n".join(command))


async def press(server: TmuxServer, pane: str, shot: Shot, rows: tuple[int, int], keys: Sequence[str]) -> bool:
    """Presses `keys` if the pane is as in `shot`, with the lines of `rows` on its screen; False where it is not.

    A key is tmux's name for it, or "=text", typed as it is. Raises errors.Unavailable, Failed (the pane is gone).
    """
    pressed = [_argv(pane, key) for key in keys]
    yes = [*pressed, ("display-message", "-p", "pressed")]
    no = [("display-message", "-p", "changed")] * len(yes)
    return (await server.choice(pane, _condition(shot, rows), yes, no))[-1] == ["pressed"]


def _argv(pane: str, key: str) -> tuple[str, ...]:
    return ("send-keys", "-t", pane, "-l", "--", key[1:]) if key.startswith("=") else ("send-keys", "-t", pane, key)


def _condition(shot: Shot, rows: tuple[int, int]) -> str:
    """A tmux format that holds while nothing has changed. Texts stand in it as patterns of plain characters alone."""
    lines = [line.strip() for line in shot.look.lines[rows[0] : rows[1] + 1] if line.strip()][-LINES:]
    found = "".join(f"#{{?#{{C:{_PLAIN.sub('?', line[:_LINE])}}},1,0}}" for line in lines)
    same = f"#{{==:{_STATE}|{found},{shot.state}|{'1' * len(lines)}}}"
    return f"#{{&&:{same},#{{m:{_PLAIN.sub('?', shot.command[:_LINE])},{_COMMAND}}}}}"
