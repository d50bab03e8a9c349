"""What the file tool does to text once it has it: decode, cut to lines, replace, compare. Pure.

Owns: which bytes count as text, line ends, unified diffs with a bound on their cost and length. Must not own: files.
"""

from __future__ import annotations

import difflib

from ...core import errors

_COMPARED = 1_000_000  # lines × lines beyond which a difference is shown as one block: difflib is quadratic
_CONTEXT = 3


def decode(content: bytes, path: str) -> str:
    """`content` as UTF-8 text. Raises InvalidParams that says what it is instead and where."""
    if b"\0" in content:
        raise errors.InvalidParams(
            f"{path} is binary (a NUL byte at offset {content.index(0)}); only UTF-8 text can be read or edited"
        )
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise errors.InvalidParams(
            f"{path} is not UTF-8 text (byte 0x{content[error.start]:02x} at offset {error.start});"
            " only UTF-8 text can be read or edited"
        ) from None


def split(text: str) -> list[str]:
    """Lines with their ends. Only LF ends a line: form feeds and U+2028 are text, as editors and diff see it."""
    lines = text.split("\n")
    return [line + "\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])


def cut(lines: list[str], start: int | None, end: int | None, limit: int) -> tuple[str, bool]:
    """Lines `start` to `end` (from 1, both included; None: from the first, to the last) and whether `limit` cut them.

    `limit` counts UTF-8 bytes; whole lines are kept where the first one fits. Raises InvalidParams for a bad range.
    """
    if start is not None and start < 1:
        raise errors.InvalidParams("start_line: lines are counted from 1")
    if end is not None and end < (start or 1):
        raise errors.InvalidParams("end_line: must not be before start_line")
    kept: list[str] = []
    room = limit
    for line in lines[(start or 1) - 1 : end]:
        size = len(line.encode("utf-8"))
        if size > room:
            first = line.encode("utf-8")[:room].decode("utf-8", "ignore") if not kept else ""
            return "".join(kept) + first, True
        kept.append(line)
        room -= size
    return "".join(kept), False


def edit(text: str, old: str, new: str, *, every: bool, path: str) -> tuple[str, int]:
    """`text` with `old` replaced by `new`, and how often. Line ends of the file win over those that were sent.

    Raises InvalidParams (empty, equal, found more than once without `every`), Conflict (not found).
    """
    if not old:
        raise errors.InvalidParams("old_text: must not be empty; use file.write for a new file")
    if old == new:
        raise errors.InvalidParams("new_text: is the same as old_text, so nothing would change")
    returns = text.count("\r\n")
    if returns and (returns == text.count("\n") or old not in text):
        old, new = _with_returns(old), _with_returns(new)
    count = text.count(old)
    if count == 0:
        raise errors.Conflict(
            f"old_text was not found in {path}; read it again, it must match exactly, blanks included"
        )
    if count > 1 and not every:
        where = ", ".join(str(number) for number in _line_numbers(text, old, 5))
        raise errors.InvalidParams(
            f"old_text: found {count} times in {path} (lines {where}{', …' if count > 5 else ''});"
            " give more of the text around it, or replace_all"
        )
    return text.replace(old, new), count


def _with_returns(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\n", "\r\n")


def _line_numbers(text: str, part: str, most: int) -> list[int]:
    numbers: list[int] = []
    at = text.find(part)
    while at >= 0 and len(numbers) < most:
        numbers.append(text.count("\n", 0, at) + 1)
        at = text.find(part, at + len(part))
    return numbers


def diff(before: str | None, after: str | None, path: str, limit: int) -> str:
    """Unified diff for people; None stands for a file that is not there. At most about `limit` characters.

    A cut one ends in a line that says how much more there is. "" where nothing changed.
    """
    if before == after:
        return ""
    old, new = split(before or ""), split(after or "")
    out = [f"--- {'/dev/null' if before is None else path}\n", f"+++ {'/dev/null' if after is None else path}\n"]
    out += [_whole(line) for line in _hunks(old, new)]
    if before is not None and after is not None and len(out) == 2:
        return ""
    return shorten(out, limit)


def shorten(lines: list[str], limit: int) -> str:
    """`lines` joined, cut after about `limit` characters, saying how many lines were left out."""
    room = limit
    for index, line in enumerate(lines):
        room -= len(line)
        if room < 0:
            start = "".join(lines[:index]) + line[: max(0, room + len(line))].rstrip("\n")
            return f"{start}\n… {len(lines) - index} more lines, {sum(map(len, lines[index:]))} characters …\n"
    return "".join(lines)


def _whole(line: str) -> str:
    return line if line.endswith("\n") else line + "\n\\ No newline at end of file\n"


def _hunks(old: list[str], new: list[str]) -> list[str]:
    """The diff's lines. The equal beginning and end are set aside first: most edits are small, most files are not."""
    head = 0
    while head < min(len(old), len(new)) and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < min(len(old), len(new)) - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    before, after = old[head : len(old) - tail], new[head : len(new) - tail]
    if len(before) * len(after) > _COMPARED:
        groups = [[("replace", 0, len(before), 0, len(after))]]
    else:
        matcher = difflib.SequenceMatcher(None, before, after, autojunk=True)
        groups = [list(group) for group in matcher.get_grouped_opcodes(_CONTEXT)]
    out: list[str] = []
    for group in groups:
        out += _hunk(old, new, [(tag, a + head, b + head, c + head, d + head) for tag, a, b, c, d in group])
    return out


def _hunk(old: list[str], new: list[str], group: list[tuple[str, int, int, int, int]]) -> list[str]:
    """One hunk, with context from the whole file around the part that was compared."""
    before = min(_CONTEXT, group[0][1]) if group[0][0] != "equal" else 0
    first, last = group[0], group[-1]
    after = min(_CONTEXT, len(old) - last[2]) if last[0] != "equal" else 0
    a, b = first[1] - before, last[2] + after
    c, d = first[3] - before, last[4] + after
    lines = [f"@@ -{_range(a, b)} +{_range(c, d)} @@\n", *(" " + line for line in old[a : first[1]])]
    for tag, i, j, k, m in group:
        if tag == "equal":
            lines += [" " + line for line in old[i:j]]
        else:
            lines += ["-" + line for line in old[i:j]] + ["+" + line for line in new[k:m]]
    return lines + [" " + line for line in old[last[2] : b]]


def _range(start: int, end: int) -> str:
    """As diff(1) writes it: from 1, the length left out where it is one, an empty range names the line before it."""
    length = end - start
    if length == 1:
        return str(start + 1)
    return f"{start + 1 if length else start},{length}"
