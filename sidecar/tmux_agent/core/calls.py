"""An argument list as one program run, in the form that rules speak of.

Owns the Invocation and what comes off before rules see it: git's global options. Must not own wrappers
(argv/wrappers.py).
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from . import paths
from .argv import git
from .argv.options import Arg, Fed
from .reach import Reach


class Invocation(Struct, frozen=True, gc=False):
    """One program run: `program` its name, `word` as written, `args` behind it (for git: from the sub-command on)."""

    program: str
    word: str
    args: tuple[Arg, ...]
    folder: str
    piped: bool = False  # standard input comes from the part before it
    in_shell: bool = True  # the shell's own commands are meant where it has them
    why: str = ""  # something about it that no allow rule covers (git -c …)


def call_of(argv: Sequence[Arg], folder: str | None, reach: Reach, *, in_shell: bool, piped: bool) -> Invocation:
    """The run of argv[0], which is text, in `folder` (None: not known)."""
    word = str(argv[0])
    program = word.rpartition("/")[2]
    args: tuple[Arg, ...] = tuple(argv[1:])
    place, why = folder or "/", "" if folder else "the folder is not known"
    if program == "git":
        read = git.read(args)
        args, why = ((read.command, *read.rest) if read.command else read.rest), why or read.why
        for step in read.folders:
            place = paths.absolute(place, step) if step else place
        if read.folders:
            fact = reach.look.path(place)
            why = why or ("" if fact.kind == "folder" else f"{place} is no folder yet")
            if any(isinstance(word, Fed) for word in args):
                why = why or "names that are seen from another folder"
    return Invocation(program, word, args, place, piped, in_shell, why)
