"""Texts with named places: `{title}` is replaced, `{{` and `}}` are braces, and nothing else means anything.

No code, attributes, formats or nesting: what is put in is never read as a template. Must not own:
which names there are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from .config import nearest

_PLACE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


def check(template: str, names: Iterable[str]) -> None:
    """Raises ValueError for a name that there is not, and for a brace that stands alone."""
    names = tuple(names)
    for found in _PLACE.finditer(template):
        if found[0] in ("{", "}"):
            raise ValueError(f"{template!r} has a {found[0]} by itself: write {found[0] * 2} for a brace")
        if found[1] is not None and found[1] not in names:
            near = nearest(found[1], names) or f" (there are {', '.join(names)})"
            raise ValueError(f"{template!r} names {found[0]}, which there is not{near}")


def fill(template: str, values: Mapping[str, str]) -> str:
    """The text, with each place filled once. `template` was checked for the names of `values`."""
    return _PLACE.sub(lambda found: values[found[1]] if found[1] is not None else found[0][:1], template)
