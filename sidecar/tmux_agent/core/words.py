"""Shell words to the arguments that a program gets: home folders, and patterns as the names that they match.

Owns what the shell does to a word that was read (shell_parts.Word). Must not own what the arguments mean.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from .argv.options import Arg, Fed
from .reach import Reach
from .shell_parts import Part, Word

_MOST = 20_000
_UNKNOWN = Fed(unknown=True)
_ONLY_TEXT = re.compile(r"(?!-)(?:[^%]|%%|%-?[0-9]{0,4}s)*", re.DOTALL)
_SHOWY_COMMENT = re.compile(r"#[^\n]*['\"][^\n]*[;&|`]")
Doubts = list[tuple[str, str]]  # (why a word is not known, its source)


def arguments(words: Sequence[Word], folder: str | None, reach: Reach) -> tuple[list[Arg], Doubts]:
    """The arguments that the words become in `folder`, and what stands against knowing them."""
    args: list[Arg] = []
    doubts: Doubts = []
    printed_from = _printed_from(words)
    for index, word in enumerate(words):
        if word.kind == "varying" and index >= printed_from:
            args.append(_UNKNOWN if printed_from == 1 else "varying")
            continue
        found = _argument(word, folder, reach, first=index == 0)
        if isinstance(found, str):
            doubts.append((found, word.source))
            args.append(_UNKNOWN)
        else:
            args += found
    return args, doubts


def _printed_from(words: Sequence[Word]) -> int:
    """From which word on the program only prints what it gets, whatever that is: all of echo, and what printf puts in
    place of %s (for others it computes)."""
    program = words[0].text if words and words[0].kind == "literal" else ""
    if program == "printf" and len(words) > 1 and words[1].kind == "literal" and not words[1].tilde:
        return 2 if _ONLY_TEXT.fullmatch(words[1].text) else len(words)
    return 1 if program == "echo" else len(words)


def _argument(word: Word, folder: str | None, reach: Reach, *, first: bool) -> Sequence[Arg] | str:
    text = word.text
    if word.kind in ("opaque", "varying"):
        return f"{word.source} is known only when it runs: {word.why}"
    if word.tilde:
        if text != "~" and not text.startswith("~/"):
            return f"{word.source} is another person's folder, or a shell's own"
        text = reach.home + text[1:]
    if word.kind != "glob":
        return (text,)
    if first:
        return f"{word.source}: a pattern in place of a program"
    found = _globbed(text, folder, reach)
    return f"{word.source}: {found}" if isinstance(found, str) else found


def _globbed(pattern: str, folder: str | None, reach: Reach) -> Sequence[Arg] | str:
    """What the shell puts in place of a pattern, or why that is not known."""
    if folder is None and not pattern.startswith("/"):
        return "the folder is not known"
    if ".." in pattern.split("/"):
        return "a pattern with .. in it"
    special = _first_special(pattern)
    front = pattern[:special].rpartition("/")[0] if "/" in pattern[:special] else "."
    here = folder or "/"
    miss = reach.name(front or "/", here)
    if miss is not None and not miss.pending:
        return miss.text
    fact = reach.look.glob(here, pattern)
    if miss is not None or fact is None:
        return ()
    if not fact.complete or len(fact.matches) > _MOST:
        return "it matches more names than are looked at"
    if "/" in pattern[special:].rstrip("/"):  # it looks into folders, which may be links that lead out
        misses = (reach.name(name, here) for name in fact.matches)
        out = next((miss for miss in misses if miss is not None and not miss.pending), None)
        if out is not None:
            return out.text
    return fact.matches or (re.sub(r"\\(.)", r"\1", pattern, flags=re.DOTALL),)


def _first_special(pattern: str) -> int:
    index = 0
    while index < len(pattern) and pattern[index] not in "*?[":
        index += 2 if pattern[index] == "\\" else 1
    return min(index, len(pattern))


def has_showy_comment(parts: Sequence[Part], text: str) -> bool:
    """True where a comment has a quote and then an operator: some shell, or a person, may take it for a command."""
    if "#" not in text:
        return False
    at, gaps = 0, []
    for part in parts:
        gaps.append(text[at : part.start])
        at = max(at, part.end)
    return any(_SHOWY_COMMENT.search(gap) for gap in (*gaps, text[at:]))
