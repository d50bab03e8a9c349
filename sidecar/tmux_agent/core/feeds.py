"""Which file names reach a part of a pipeline through its standard input, or a word through a substitution.

Owns following a pipe backwards, from who takes the names to what prints them. Must not own what each program prints
(argv/sources.py).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from . import shell
from .argv import sources, wrappers
from .argv.options import Fed
from .calls import call_of
from .folders import Folders, folders_of
from .reach import Reach
from .shell_parts import Part, Redirect, Simple, Source
from .words import Names, arguments

_DEPTH = 8


def feed_of(parts: Sequence[Part], index: int, places: Sequence[Folders], reach: Reach) -> Fed | None:
    """The names that come in through the pipe; None where there is no pipe. For any but xargs of no meaning."""
    part = parts[index]
    if not isinstance(part, Simple) or part.piped_from is None or not part.words:
        return None
    peeled = wrappers.peel(part.words[0].text.rpartition("/")[2], [word.text for word in part.words[1:]])
    if peeled is None or not peeled.reads_names:
        return None
    if peeled.cuts or part.joined == "|&" or places[index] != places[part.piped_from]:
        return sources.UNKNOWN
    names, zero = _printed(parts, part.piped_from, places, reach, 0)
    if names.column or names.status or (peeled.zero and not zero):
        return sources.UNKNOWN
    lines = names.lines if zero == peeled.zero else ()
    return msgspec.structs.replace(names, lines=lines, split=not (names.revision or (zero and peeled.zero)))


def names_in(reach: Reach, depth: int = 0) -> Names:
    """Which files or revisions what a text prints names, in the folder in which it runs."""

    def named(source: Source, folder: str) -> Fed:
        parts = shell.parse(source.text, "bash", source.given)
        piped = all(isinstance(part, Simple) and part.joined in ("", "|") for part in parts)
        if not parts or not piped or depth > _DEPTH:
            return sources.UNKNOWN
        places = folders_of(parts, source.text, (folder,), reach.home, reach.look)
        names, zero = _printed(parts, len(parts) - 1, places, reach, depth)
        if names.status:
            return sources.UNKNOWN
        return sources.UNKNOWN if zero != source.zero else msgspec.structs.replace(names, globbed=source.globbed)

    return named


def _prints_more(redirect: Redirect) -> bool:
    """Whether other than names may come out: what a program complains of holds words that it was given."""
    target = redirect.target.text if redirect.target is not None else ""
    return redirect.op not in ("<", "<<<", "<<", "<<-") and not (redirect.fd == 2 and target == "/dev/null")


def _printed(
    parts: Sequence[Part], index: int, places: Sequence[Folders], reach: Reach, depth: int
) -> tuple[Fed, bool]:
    """The names that a part prints, and whether they end in NUL."""
    part, folder = parts[index], places[index][0]
    if depth > _DEPTH or not isinstance(part, Simple) or len(places[index]) != 1 or folder is None:
        return sources.UNKNOWN, False
    if any(_prints_more(redirect) for redirect in part.redirects):
        return sources.UNKNOWN, False
    varies = any(word.kind == "varying" or word.runs for word in part.words)
    if varies and part.words[0].text != "git":
        return sources.UNKNOWN, False
    args, doubts = arguments(part.words, folder, reach, names_in(reach, depth + 1))
    if doubts or not args:
        return sources.UNKNOWN, False
    feed = None if part.piped_from is None else _printed(parts, part.piped_from, places, reach, depth + 1)[0]
    call = call_of(args, folder, reach, in_shell=True, piped=feed is not None)
    if call.folder != folder:
        return sources.UNKNOWN, False  # the names are seen from another folder than where they are read
    peeled = wrappers.peel(call.program, call.args)
    if peeled is not None:
        if not peeled.reads_names or peeled.cuts or not peeled.argv or isinstance(peeled.argv[0], Fed):
            return sources.UNKNOWN, False
        call = call_of(wrappers.feed(peeled, feed or sources.UNKNOWN), folder, reach, in_shell=False, piped=False)
    names, zero = sources.printed(call.program, call.args, call.folder, feed)
    if names.files:
        facts = [reach.look.path(start) for start in names.starts]
        if names.within and facts[0].kind == "folder":
            names = msgspec.structs.replace(names, files=False, dashed=True, split=True)
        elif any(fact.kind != "file" for fact in facts):
            return sources.UNKNOWN, False
        else:
            names = msgspec.structs.replace(names, within="")
    if varies and not names.revision:
        return sources.UNKNOWN, False
    return (msgspec.structs.replace(names, refs=False) if _are_plain(names, folder, reach) else sources.UNKNOWN), zero


def _are_plain(names: Fed, folder: str, reach: Reach) -> bool:
    """Whether all references have names that are taken for nothing else, where it comes to that."""
    if not names.refs:
        return True
    top = reach.look.repo(folder).top
    return bool(top) and not reach.look.refs(top).odd
