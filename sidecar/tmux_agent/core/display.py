"""Text made safe to show: nothing that an agent wrote reaches a terminal or a tmux format as anything but visible text.

Owns: which characters are shown as themselves, how the others are named (⟨U+202E⟩), how text is measured in terminal
cells, how it is cut, and how durations are said. Must not own: colours, layout, any terminal or tmux call.
Anyone may call; every function is pure and linear in its input.

Shown as themselves are characters that are visible and take the cells that they are measured at. Named instead are
controls (C0, C1, DEL), format and bidi controls, zero-width and other default-ignorable characters (Unicode's
Default_Ignorable_Code_Point), tag characters, private use, unassigned, lone surrogates, line and paragraph separators,
every space but U+0020, letters of other scripts that look like Latin ones in a word with Latin ones (p⟨U+0430⟩ypal),
and marks that look like those that paths and commands are made of. Combining marks stay on a base, a few per base; a
flood is counted, not shown.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from wcwidth import wcwidth

MARKS_PER_BASE = 4  # real scripts stack three at most; what is above is decoration that climbs over other lines

# Blocks whose every assigned character is plainly visible: they are passed over at the speed of a regex.
# Anything outside is looked at one by one. A test compares this list with unicodedata.
_PLAIN = " -~¡-¬®-ʯͰ-҂Ҋ-ԯ‐-‧‰-⁞℀-⏿①-⟿⤀-⯿、-〩ぁ-ゖ゛-ヿ㐀-䶿一-鿿가-힣！-～\U0001f300-\U0001faff"
_TO_EXAMINE = re.compile(f"[^{_PLAIN}]+|⠀")  # U+2800 is inside a plain block and looks like a space
_TO_EXAMINE_LINES = re.compile(f"[^{_PLAIN}\n\t]+|⠀")

_BAD_CATEGORIES = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"}
# Default_Ignorable_Code_Point (DerivedCoreProperties.txt) that no bad category covers, and the blank of Braille.
_INVISIBLE = {0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0}
_INVISIBLE |= {*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)}
_CUT_NAME_END = re.compile(r"⟨[^⟩]{0,24}$")  # the first half of a name such as ⟨U+202E⟩
_CUT_NAME_START = re.compile(r"^[^⟨⟩ ]{0,8}⟩")
_BLANKS = {0xA0: " ", **dict.fromkeys(range(0x2000, 0x200B), " "), 0x202F: " ", 0x205F: " ", 0x3000: "  "}
_SHORT = {"\n": "⟨\\n⟩", "\t": "⟨\\t⟩", "\r": "⟨\\r⟩"}

_CYRILLIC = "аАеЕіІјЈоОрРсСѕЅхХуУһԁԛԝВКМНТ"
_GREEK = "οΟνΑΒΕΖΗΙΚΜΝΤΥΧΡρ"
_LIKE_LATIN = f"{_CYRILLIC}{_GREEK}ıɡɩѵⅼⅰⅴⅹⅽⅾⅿ"
_LIKE_MARKS = "\u037e\u2024\u2044\u2215\u29f8"  # ; . / / /
_LOOKALIKE = re.compile(f"[{_LIKE_LATIN}{_LIKE_MARKS}]")
_WORD_PIECES = re.compile(rf"[{_LIKE_MARKS}]|\w+")


@lru_cache(maxsize=4096)
def _kind(char: str) -> str:
    """ "keep", "mark" (combines with the character before it) or "name" (is shown by its name)."""
    category = unicodedata.category(char)
    if category in _BAD_CATEGORIES or ord(char) in _INVISIBLE:
        return "name"
    if category[0] == "M" or wcwidth(char) <= 0:
        return "mark"
    return "keep"


def _name(char: str) -> str:
    return _SHORT.get(char) or f"⟨U+{ord(char):04X}⟩"


def _examine(run: str, has_base: bool) -> Iterator[tuple[str, bool]]:
    """Pieces of a run of doubtful characters; `has_base`: a visible character stands right before it."""
    marks = 0
    at = 0
    while at < len(run):
        char = run[at]
        kind = _kind(char)
        if kind == "mark" and has_base and marks >= MARKS_PER_BASE:
            end = at
            while end < len(run) and _kind(run[end]) == "mark":
                end += 1
            yield f"⟨{end - at} combining marks⟩", True
            at, has_base = end, False
            continue
        if kind == "keep" or (kind == "mark" and has_base):
            yield char, False
            marks = marks + 1 if kind == "mark" else 0
            has_base = True
        else:
            yield _name(char), True
            has_base = False
        at += 1


def segments(text: str, *, newlines: bool = False) -> list[tuple[str, bool]]:
    """`text` as (piece, replaced) pairs, in order; replaced pieces are names such as ⟨U+202E⟩, to be shown in reverse.

    With `newlines` U+000A and U+0009 stay as they are (the caller lays lines out); else they are ⟨\\n⟩ and ⟨\\t⟩.
    """
    places = lookalikes(text)
    if not places:
        return _segments(text, newlines)
    out, at = [], 0
    for place in places:
        out += [*_segments(text[at:place], newlines), (_name(text[place]), True)]
        at = place + 1
    return out + _segments(text[at:], newlines)


def blanks(text: str) -> str:
    """Blanks that programs draw with as plain ones, as wide: for what a screen shows. Where a program reads what a
    person is shown, it matters which one it is."""
    return text if text.isascii() else text.translate(_BLANKS)


def lookalikes(text: str) -> list[int]:
    """Where in `text` a character stands that looks like another one there."""
    if text.isascii() or not _LOOKALIKE.search(text):
        return []
    found: list[int] = []
    for word in _WORD_PIECES.finditer(text):
        if word[0] in _LIKE_MARKS or any("a" <= char <= "z" or "A" <= char <= "Z" for char in word[0]):
            found += [word.start() + at for at, char in enumerate(word[0]) if _LOOKALIKE.match(char)]
    return found


def _segments(text: str, newlines: bool) -> list[tuple[str, bool]]:
    out: list[tuple[str, bool]] = []
    kept: list[str] = []
    at = 0
    for match in (_TO_EXAMINE_LINES if newlines else _TO_EXAMINE).finditer(text):
        start = match.start()
        kept.append(text[at:start])
        for piece, replaced in _examine(match.group(), start > 0 and text[start - 1] not in " \n\t⠀"):
            if not replaced:
                kept.append(piece)
                continue
            if joined := "".join(kept):
                out.append((joined, False))
            kept = []
            out.append((piece, True))
        at = match.end()
    kept.append(text[at:])
    if joined := "".join(kept):
        out.append((joined, False))
    return out


def safe(text: str, *, newlines: bool = False) -> str:
    """`text` with everything odd named in place; what comes out holds no control character (but \\n, \\t if asked)."""
    return "".join(piece for piece, _ in segments(text, newlines=newlines))


@lru_cache(maxsize=8192)
def _cells(char: str) -> int:
    return max(0, wcwidth(char))


def width(text: str) -> int:
    """Terminal cells that `text` takes, character by character, as prompt_toolkit measures."""
    return len(text) if text.isascii() else sum(map(_cells, text))


def take(text: str, cells: int) -> str:
    """The longest beginning of `text` that fits `cells`."""
    if text.isascii():
        return text[: max(0, cells)]
    used = 0
    for at, char in enumerate(text):
        used += _cells(char)
        if used > cells:
            return text[:at]
    return text


def take_end(text: str, cells: int) -> str:
    """The longest end of `text` that fits `cells`; does not begin with a combining mark."""
    used = 0
    at = len(text)
    while at > 0 and used + _cells(text[at - 1]) <= cells:
        used += _cells(text[at - 1])
        at -= 1
    while at < len(text) and _cells(text[at]) == 0:
        at += 1
    return text[at:]


def cut(text: str, cells: int) -> str:
    """`text` if it fits `cells`, else its beginning and `…`."""
    if len(text) <= 4 * cells + 16 and width(text) <= cells:
        return text
    return take(text, cells - 1) + "…" if cells > 0 else ""


def number(count: int) -> str:
    """12480 → "12 480": a count for people."""
    return f"{count:,}".replace(",", " ")


def middle(text: str, cells: int) -> str:
    """Safe text in `cells`: whole, or its beginning, how many characters are left out, and its end."""
    if len(text) <= 4 * cells + 16 and width(text) <= cells:
        return text
    gap = f" ⋯{number(len(text))}⋯ "
    for _ in range(3):  # the number's own length changes what is left out
        room = cells - len(gap)
        if room < 8:
            return cut(text, cells)
        head = _CUT_NAME_END.sub("", take(text, room - room // 3))
        tail = _CUT_NAME_START.sub("", take_end(text, room - width(head)))
        gap = f" ⋯{number(len(text) - len(head) - len(tail))}⋯ "
    return cut(head + gap + tail, cells)


def for_tmux(text: str, cells: int) -> str:
    """Text for a tmux format or option value: safe, at most `cells` wide, every `#` doubled so that nothing expands."""
    bounded = text[: 4 * max(cells, 0) + 16]
    shown = cut(safe(bounded), cells)
    if len(bounded) < len(text) and not shown.endswith("…"):
        shown = take(shown, cells - 1) + "…"
    return shown.replace("#", "##")


def for_tmux_message(text: str, cells: int = 500) -> str:
    """As `for_tmux`, for arguments that tmux also sends through strftime (display-message): every `%` doubled too."""
    return for_tmux(text, cells).replace("%", "%%")


def ago(seconds: float) -> str:
    """A duration in at most six cells: 0:12, 9:59, 12 min, 3 h, 2 d. Negative (the clock jumped) is 0:00."""
    whole = max(0, int(seconds))
    if whole < 600:
        return f"{whole // 60}:{whole % 60:02d}"
    if whole < 3600:
        return f"{whole // 60} min"
    if whole < 86400:
        return f"{whole // 3600} h"
    return f"{whole // 86400} d"


def ahead(seconds: float) -> str:
    """How long it is until something, as people say it: 40 s, 12 min, 2 h 9 min, 6 d 3 h. Rounded up to a minute."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes = -(-whole // 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    days, rest = divmod(hours, 24)
    return f"{days} d {rest} h" if rest else f"{days} d"
