"""A secret by its name: what configuration holds in place of the value (`!secret NAME` in YAML).

Owns which names there are, and which variable of the environment stands for one. Must not own: values, where they are
kept (services/secrets.py). A Secret may be logged, compared and kept: nothing in it is secret.
"""

from __future__ import annotations

import re

from msgspec import Struct

NAMES = "letters, digits and _, a letter first, at most 64"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")


class Secret(Struct, frozen=True):
    """A reference to a value. `name` is canonical (`of` makes it so): upper and lower case are one name."""

    name: str

    @classmethod
    def of(cls, name: str) -> Secret:
        """The secret that a person calls `name`. Raises ValueError saying what names look like."""
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name[:80]!r} is no name of a secret: {NAMES}")
        return cls(name.upper())

    def __str__(self) -> str:
        return f"!secret {self.name}"
