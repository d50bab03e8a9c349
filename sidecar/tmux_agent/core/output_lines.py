"""What a pane's programs printed, as plain text in whole lines, from raw bytes however they are cut.

Owns one pane's stream. Pure. Of a line that was drawn again and again (`\\r`) each drawing is a line: what a condition
of a pipeline looks for may have been in any of them. What a line editor shows while a command is typed is no output.
Must not own: what is looked for (pipeline.py).
"""

from __future__ import annotations

import re

_EDITS, _RUNS = b"\x1b[?2004h", b"\x1b[?2004l"  # bracketed paste is on exactly while a line is edited
_PASTED = b"\x1b[7m"  # line editors show what was pasted, until the next key
_DRAWN = re.compile(rb"(?:\A|(?<=[\r\n]))\x1b\[\d+C[^\r\n]*")  # put behind a prompt (fish says nothing else of editing)
LINE = 16 << 10  # bytes of a line that is not whole yet
_ESCAPES = re.compile(
    rb"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]"
    rb"|[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f]"
)


class OutputLines:
    """`feed` gives the text of all lines that a chunk completes, parted by line ends; "" where it completes none.

    `prompt`: it begins behind something in its line, perhaps at a prompt: the rest of that line was typed.
    """

    def __init__(self, *, prompt: bool = False) -> None:
        self._rest = b""
        self._first = prompt
        self._editing = False

    def feed(self, data: bytes) -> str:
        data = self._rest + data if self._rest else data
        if self._first:
            typed, ended, data = data.partition(b"\n")
            if not ended:
                self._rest = typed[:LINE]
                return ""
            self._first = False
            self._editing = _PASTED in typed and _RUNS not in typed
        end = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
        self._rest = data[end:][-LINE:]
        return plain(_DRAWN.sub(b"", self._printed(data[:end])))

    def _printed(self, data: bytes) -> bytes:
        """Without what is between a line editor's beginning and its end."""
        if not self._editing and _EDITS not in data:
            return data
        kept = []
        while data:
            if self._editing:
                _, found, data = data.partition(_RUNS)
                self._editing = not found
            else:
                before, found, data = data.partition(_EDITS)
                kept.append(before)
                self._editing = bool(found)
        return b"".join(kept)

    @property
    def unfinished(self) -> str:
        """The line that has no end yet, such as a prompt."""
        return plain(self._rest)


def plain(data: bytes) -> str:
    """Bytes without colours, cursor movements and controls; every kind of line end is one."""
    text = _ESCAPES.sub(b"", data).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return text.decode("utf-8", "replace")
