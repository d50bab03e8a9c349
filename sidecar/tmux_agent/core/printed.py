"""What a few commands print, as far as that is certain: folders, and words that are no patterns.

Owns the table of such commands, by their text as it stands in a `$(…)`. Must not own what follows from it (words.py),
nor names of files and revisions (feeds.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from .facts import Lookup
from .shell_numbers import is_count
from .shell_parts import Source, Value

_TOP = re.compile(r" *git rev-parse --show-toplevel( 2>/dev/null)? *")
_NAME = re.compile(r" *(basename|dirname) (\"?)(?:\$\{?(\w+)\}?|([\w./-]+))\2(?: '?(\.\w+)'?)? *", re.ASCII)
_PLAIN = re.compile(r"(?!-)[\w./@:+,=-]+", re.ASCII)
_HERE = re.compile(r" *pwd *")
_NAMES = re.compile(
    r" *git (?:branch --format='?%\(refname:short\)'?|tag(?: -l| --list)?|remote)(?: \| (?:head|tail) -[0-9]+)? *"
)
_PATHS = re.compile(r" *(?:realpath|readlink -f|dirname|basename) [\w./-]+(?: \.\w+)? *")
_INERT = re.compile(
    r" *(?:seq(?: [0-9]+){1,3}|date(?: -u)?(?: \+[\w%:.,/-]*)?|nproc|whoami|hostname|arch"
    r"|uname(?: -[a-z]+)?|id -[a-z]+) *"
)


def exactly(source: Source, folder: str, look: Lookup) -> str | None:
    """The very text that is printed by a command that runs in `folder`, or None."""
    if _HERE.fullmatch(source.text):
        return folder
    if named := _NAME.fullmatch(source.text):
        return _name(named, dict(source.given))
    if not _TOP.fullmatch(source.text):
        return None
    return look.repo(folder).top or None


def _name(found: re.Match[str], given: Mapping[str, Value]) -> str | None:
    """What basename and dirname print of a name that is in the text."""
    path = given.get(found[3]) if found[3] else found[4] or ""
    if not isinstance(path, str) or not _PLAIN.fullmatch(path):
        return None
    folder, _, last = path.rstrip("/").rpartition("/")
    if not last:
        return None
    if found[1] == "dirname":
        return (folder.rstrip("/") or ("/" if path.startswith("/") else ".")) if not found[5] else None
    end = found[5] or ""
    return last.removesuffix(end) if last != end else last


def is_inert(source: Source) -> bool:
    """Whether what is printed holds nothing that a shell takes for a pattern, and names no file."""
    return any(form.fullmatch(source.text) for form in (_INERT, _NAMES, _PATHS)) or is_count(source)
