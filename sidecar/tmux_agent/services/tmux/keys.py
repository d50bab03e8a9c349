"""What a terminal sends for a key of tmux's naming.

Owns that one translation (man tmux, KEY BINDINGS), for keys that every terminal sends alike. Must not own: which keys.
"""

from __future__ import annotations

import re

_KEY = re.compile(r"(?P<control>C-)?(?P<meta>M-)?(?P<key>[ -~]|Space)")


def typed(name: str) -> str:
    """The characters of the key `name` ("A", "C-b", "M-Space"); "" for one whose characters are not known."""
    found = _KEY.fullmatch(name)
    if found is None:
        return ""
    key = " " if found["key"] == "Space" else found["key"]
    if found["control"]:
        key = chr(ord(key.upper()) & 0x1F) if key == " " or key.upper() >= "@" else ""
    return "\x1b" + key if found["meta"] and key else key
