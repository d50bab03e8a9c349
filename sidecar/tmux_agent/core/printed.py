"""What a few commands print, as far as that is certain: folders, and revisions of git.

Owns the table of such commands, by their text as it stands in a `$(…)`. Must not own what follows from it (words.py).
Names of branches and tags are not certain: they may begin with a dash, and then are options.
"""

from __future__ import annotations

import re

from .argv import git
from .facts import Lookup
from .shell_parts import Source
from .shell_word import is_count

_TOP = re.compile(r" *git rev-parse --show-toplevel( 2>/dev/null)? *")
_HERE = re.compile(r" *pwd *")
_REV = r"[A-Za-z0-9_][A-Za-z0-9_./@{}^~-]*"
_MEANT = re.compile(rf" *git rev-parse (?:--verify |-q |--quiet |--short )*({_REV})( 2>/dev/null)? *")
_BASE = re.compile(rf" *git merge-base ({_REV}) ({_REV})( 2>/dev/null)? *")
_PLAIN = (
    r"(?: -[0-9]+| -n ?[0-9]+| --max-count=[0-9]+| --reverse| --no-merges| --merges| --first-parent"
    r"| --max-parents=0)*"
)
_HASH = r" (?:--format=|--pretty=)(?:format:)?(?:%[Hh]|'%[Hh]'|\"%[Hh]\")"
_COMMITS = re.compile(
    rf" *git (?:log{_PLAIN}{_HASH}{_PLAIN}(?: HEAD)?|rev-list{_PLAIN} HEAD)(?: -- [\w./-]+)?( 2>/dev/null)? *"
)
_NAMES = re.compile(
    r" *git (?:branch --format='?%\(refname:short\)'?|tag(?: -l| --list)?|remote)(?: \| (?:head|tail) -[0-9]+)? *"
)
_PATHS = re.compile(r" *(?:realpath|readlink -f|dirname|basename) [\w./-]+(?: \.\w+)? *")
_BRANCH = re.compile(r" *git (?:branch --show-current|rev-parse --abbrev-ref HEAD|symbolic-ref --short HEAD) *")
_INERT = re.compile(
    r" *(?:seq(?: [0-9]+){1,3}|date(?: -u)?(?: \+[\w%:.,/-]*)?|nproc|whoami|hostname|arch"
    r"|uname(?: -[a-z]+)?|id -[a-z]+) *"
)
_FAR = "~99999"  # behind a revision: any commit of its history, as far as secrets in it go


def exactly(source: Source, folder: str, look: Lookup) -> str | None:
    """The very text that is printed by a command that runs in `folder`, or None. "" where it is not looked up yet."""
    if _HERE.fullmatch(source.text):
        return folder
    if not _TOP.fullmatch(source.text):
        return None
    repo = look.repo(folder)
    if repo is None:
        return ""
    return repo.top or None


def is_inert(source: Source) -> bool:
    """Whether what is printed holds nothing that a shell takes for a pattern, and names no file."""
    known = any(form.fullmatch(source.text) for form in (_INERT, _NAMES, _PATHS)) or is_count(source)
    return known or revision(source, behind=True) is not None


def revision(source: Source, *, behind: bool) -> str | None:
    """A revision that shows at least as much as the one that is printed; None where it is none. `behind`: other text
    stands in front of it, so that a name cannot be an option."""
    if meant := _MEANT.fullmatch(source.text):
        return None if git.is_elsewhere(meant[1]) else meant[1]
    if base := _BASE.fullmatch(source.text):
        return None if ":" in base[1] or ".." in base[1] else base[1] + _FAR
    if _COMMITS.fullmatch(source.text) or (behind and _BRANCH.fullmatch(source.text)):
        return "HEAD" + _FAR
    return None
