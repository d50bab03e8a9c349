"""Which file names reach a part of a pipeline through its standard input.

Owns following a pipe backwards, from xargs to what prints the names. Must not own what each program prints
(argv/sources.py).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from .argv import sources, wrappers
from .argv.options import Fed
from .calls import call_of
from .folders import Folders
from .reach import Reach
from .shell_parts import Part, Simple
from .words import arguments

_DEPTH = 8


def feed_of(parts: Sequence[Part], index: int, places: Sequence[Folders], reach: Reach) -> Fed | None:
    """The names that come in through the pipe; None where there is no pipe. For any but xargs of no meaning."""
    part = parts[index]
    if not isinstance(part, Simple) or part.piped_from is None or not part.words:
        return None
    peeled = wrappers.peel(part.words[0].text.rpartition("/")[2], [word.text for word in part.words[1:]])
    if peeled is None or not peeled.reads_names:
        return None
    if peeled.cuts or places[index] != places[part.piped_from]:
        return sources.UNKNOWN
    names, zero = _printed(parts, part.piped_from, places, reach, 0)
    return msgspec.structs.replace(names, split=not (zero and peeled.zero))


def _printed(
    parts: Sequence[Part], index: int, places: Sequence[Folders], reach: Reach, depth: int
) -> tuple[Fed, bool]:
    """The names that a part prints, and whether they end in NUL."""
    part, folder = parts[index], places[index][0]
    if depth > _DEPTH or not isinstance(part, Simple) or len(places[index]) != 1 or folder is None:
        return sources.UNKNOWN, False
    args, doubts = arguments(part.words, folder, reach)
    if doubts or not args or any(word.kind == "varying" or word.runs for word in part.words):
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
        if any(fact is None or fact.kind != "file" for fact in facts):
            return sources.UNKNOWN, False
    return names, zero
