"""Shell words to the arguments that a program gets: home folders, and patterns as the names that they match.

Owns what the shell does to a word that was read (shell_parts.Word). Must not own what the arguments mean.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import msgspec

from . import globs, printed
from .argv.options import Arg, Fed
from .reach import Reach
from .shell_numbers import is_count, is_number
from .shell_parts import Part, Source, Word

_MOST = 20_000
_UNKNOWN = Fed(unknown=True)
_READS_FILES = frozenset(("cat", "head", "tail", "wc", "echo", "printf", "md5sum", "sha256sum"))
_WHOLE = re.compile(r"[A-Za-z0-9_./:@%+,-]+")
_ONLY_TEXT = re.compile(r"(?!-)(?:[^%]|%%|%[-+ 0#]*[0-9]{0,4}(?:\.[0-9]{0,4})?[sbdiuxXofgeEGc])*", re.DOTALL)
_SHOWY_COMMENT = re.compile(r"#[^\n]*['\"][^\n]*[;&|`]")
Names = Callable[[Source, str], Fed]
Doubts = list[tuple[str, str]]  # (why a word is not known, its source)


def arguments(words: Sequence[Word], folder: str | None, reach: Reach, names: Names) -> tuple[list[Arg], Doubts]:
    """The arguments that the words become in `folder`, and what stands against knowing them. `names`: which files are
    named by what a text prints."""
    args: list[Arg] = []
    doubts: Doubts = []
    printed_from = _printed_from(words)
    for index, word in enumerate(words):
        if word.kind == "literal" and not word.tilde:
            args.append(word.text)
            continue
        if word.kind == "varying" and index >= printed_from and not word.splits:
            args.append(_UNKNOWN if printed_from == 1 else "varying")
            continue
        if word.kind == "varying" and index and folder is not None:
            args += _printed(word, words, folder, reach, names)
            continue
        found = _argument(word, folder, reach, first=index == 0)
        if isinstance(found, str):
            doubts.append((found, word.source))
            args.append(_UNKNOWN)
        else:
            args += found
            if word.kind == "glob" and not _shows_no_folder(words):
                args += _parents(word.text)
    return args, doubts


def _shows_no_folder(words: Sequence[Word]) -> bool:
    """Whether a folder among the arguments shows nothing but its name, if that."""
    program = words[0].text
    options = "".join(word.text for word in words[1:] if word.text.startswith("-"))
    return program in _READS_FILES or (program == "ls" and "d" in options and "R" not in options)


def _parents(pattern: str) -> list[Arg]:
    """The folder above, where the last piece of a pattern (`.*`) matches it too: in bash before 5.2, and in dash."""
    front, slash, last = pattern.rstrip("/").rpartition("/")
    if not last.startswith((".", "\\.")) or not globs.perhaps("..", last) or _first_special(front) < len(front):
        return []
    return [f"{front}{slash}.."]


def _printed_from(words: Sequence[Word]) -> int:
    """From which word on the program only prints what it gets, whatever that is: all of echo, and what printf puts in
    place of %s (for others it computes)."""
    program = words[0].text if words and words[0].kind == "literal" else ""
    if program == "printf" and len(words) > 1 and words[1].kind == "literal" and not words[1].tilde:
        return 2 if _ONLY_TEXT.fullmatch(words[1].text) else len(words)
    return 1 if program == "echo" else len(words)


def _printed(word: Word, words: Sequence[Word], folder: str, reach: Reach, names: Names) -> Sequence[Arg]:
    """What a word with expansions in it is for a program: one text, a number, names of files or of revisions, or nobody
    knows."""
    before = str(word.pieces[0]) if word.pieces else ""
    unknown = Fed(unknown=True, single=not word.splits, globbed=word.splits, absent=word.vanishes)
    if not word.splits:
        unknown = msgspec.structs.replace(unknown, before=before)
    exact = _exactly(word, folder, reach)
    if exact is not None:
        return (exact,)
    if _is_number(word):
        sure = any(isinstance(piece, Source) and piece.sure for piece in word.pieces)
        texts = tuple(str(piece) for piece in word.pieces[::2])
        unknown = msgspec.structs.replace(unknown, pieces=texts, sure=sure)
    told = [names(piece, folder) if isinstance(piece, Source) else None for piece in word.pieces[1::2]]
    of_git = words[0].text == "git" and words[0].kind == "literal" and not any(w.text == "-C" for w in words)
    if of_git and (revision := _revision(word, told)):
        return (msgspec.structs.replace(unknown, unknown=False, globbed=False, absent=word.splits, revision=revision),)
    source, around = word.hole, word.around
    if source is None:
        return (unknown,)
    if printed.is_inert(source) or (told[0] is not None and told[0].revision):
        return (msgspec.structs.replace(unknown, single=True, globbed=False),)
    if told[0] is not None and told[0].within and around == (f"{told[0].within}/", "") and not word.splits:
        return (msgspec.structs.replace(told[0], single=True, split=False, within="", dashed=False),)
    if around != ("", "") or told[0] is None or told[0].unknown or told[0].revision:
        return (msgspec.structs.replace(unknown, partial=around != ("", "")),)
    globbed = told[0].globbed or source.globbed
    return (msgspec.structs.replace(told[0], single=not word.splits, split=True, globbed=globbed, absent=word.splits),)


def _exactly(word: Word, folder: str, reach: Reach) -> str | None:
    """The very text, where it is certain and stays one word."""
    texts: list[str] = []
    for piece in word.pieces:
        exact = printed.exactly(piece, folder, reach.look) if isinstance(piece, Source) else piece
        if exact is None or (word.splits and piece != exact and not _WHOLE.fullmatch(exact)):
            return None
        texts.append(exact)
    return "".join(texts) or None


def _is_number(word: Word) -> bool:
    """Whether all that is not known are numbers."""
    return bool(word.pieces) and all(
        isinstance(piece, str) or (piece is not None and (is_count(piece) or (not word.splits and is_number(piece))))
        for piece in word.pieces
    )


def _revision(word: Word, told: Sequence[Fed | None]) -> str:
    """A revision that shows no less than the one that the word becomes; "" where it may be anything else."""
    text = str(word.pieces[0])
    if text.startswith("-") and word.splits:
        return ""
    behind = text != "" and not text.startswith("-")
    for fed, source, after in zip(told, word.pieces[1::2], word.pieces[2::2], strict=True):
        if isinstance(source, Source) and is_count(source) and text.endswith(("~", "^", "@{")):
            text += "99999"
        elif fed is not None and fed.revision and not fed.column and not fed.status and (behind or not fed.loose):
            text += fed.revision
        else:
            return ""
        text += str(after)
    return text


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
    found = _globbed(word, text, folder, reach)
    return f"{word.source}: {found}" if isinstance(found, str) else found


def _globbed(word: Word, pattern: str, folder: str | None, reach: Reach) -> Sequence[Arg] | str:
    """What the shell puts in place of a pattern, or why that is not known."""
    if folder is None and not pattern.startswith("/"):
        return "the folder is not known"
    *folders, _ = pattern.rstrip("/").split("/")
    if ".." in pattern.split("/") or any(_is_upward(folder) for folder in folders):
        return "a pattern with .. in it"
    special = _first_special(pattern)
    front = pattern[:special].rpartition("/")[0] if "/" in pattern[:special] else "."
    here = folder or "/"
    miss = reach.name(front or "/", here)
    if miss is not None:
        return miss.text
    fact = reach.look.glob(here, pattern)
    if word.vanishes and pattern.startswith("-"):
        return "a pattern of which nothing may be left"
    if not fact.complete or len(fact.matches) > _MOST:
        return "it matches more names than are looked at"
    if "/" in pattern[special:].rstrip("/"):  # it looks into folders, which may be links that lead out
        misses = (reach.name(name, here) for name in fact.matches)
        out = next(filter(None, misses), None)
        if out is not None:
            return out.text
    return fact.matches or (() if word.vanishes else (re.sub(r"\\(.)", r"\1", pattern, flags=re.DOTALL),))


def _is_upward(folder: str) -> bool:
    """Whether a piece of a pattern that is a folder may be the one above."""
    return _first_special(folder) < len(folder) and folder[:1] == "." and globs.perhaps("..", folder)


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
    for part in sorted(parts, key=lambda part: part.start):
        gaps.append(text[at : part.start])
        at = max(at, part.end)
    return any(_SHOWY_COMMENT.search(gap) for gap in (*gaps, text[at:]))
