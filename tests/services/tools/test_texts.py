"""services/tools/texts.py: line ends, edits and diffs, as values."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tmux_agent.core import errors
from tmux_agent.services.tools import texts

LINES = st.lists(st.sampled_from(["a\n", "b\n", "c\n", "d\r\n", "\n", "x\x0cy\n", "u\u2028v\n"]), max_size=40).map(
    "".join
)
TEXTS = st.tuples(LINES, st.sampled_from(["", "end", "a"])).map("".join)


@given(st.text())
def test_split_keeps_everything(text: str) -> None:
    """Lines joined are the text, and only LF ends one."""
    lines = texts.split(text)
    assert "".join(lines) == text
    assert all(line.index("\n") == len(line) - 1 for line in lines if "\n" in line)


@given(TEXTS, TEXTS)
@settings(max_examples=400)
def test_a_diff_is_one(before: str, after: str) -> None:
    """Applied to the old text, a diff gives the new one: what a person approves is what is written."""
    shown = texts.diff(before, after, "f", 1 << 20)
    assert (shown == "") == (before == after)
    assert _patched(before, shown) == after


def test_a_large_diff_is_one_too() -> None:
    """Past the bound the difference is one block, and still true."""
    before = "".join(f"{n}\n" for n in range(3000))
    after = "".join(f"{n}\n" for n in range(0, 6000, 2))
    start = time.process_time()
    assert _patched(before, texts.diff(before, after, "f", 1 << 20)) == after
    assert time.process_time() - start < 5


def _patched(before: str, diff: str) -> str:
    """A plain patch(1): every context and removed line must be where the hunk says."""
    old, new, at = texts.split(before), [], 0
    lines = texts.split(diff)[2:]
    body = [
        line[:-1] if index + 1 < len(lines) and lines[index + 1].startswith("\\") else line
        for index, line in enumerate(lines)
        if not line.startswith("\\")
    ]
    for line in body:
        if line.startswith("@@ "):
            match = re.fullmatch(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@\n", line)
            assert match
            start = int(match[1]) - (match[2] != "0")
            new += old[at:start]
            at = start
            assert len(new) == int(match[3]) - (match[4] != "0")
        elif line[0] == "+":
            new.append(line[1:])
        else:
            assert old[at] == line[1:]
            at += 1
            new += [line[1:]] if line[0] == " " else []
    return "".join(new + old[at:])


def test_a_cut_diff_says_so() -> None:
    """Cut near the limit, with how much is missing."""
    shown = texts.diff(None, "x\n" * 1000, "f", 200)
    assert len(shown) < 280
    assert re.search(r"… \d+ more lines, \d+ characters …\n\Z", shown)
    assert "characters" in texts.diff(None, "x" * 10_000, "f", 200)


@given(TEXTS, st.sampled_from(["a\n", "a\nb", "b\n\n", "end"]), st.text(alphabet="q\n", max_size=4))
def test_edit_changes_nothing_else(text: str, old: str, new: str) -> None:
    """An edit of every passage in a file of one line end keeps that line end and all other text."""
    for end in ("\n", "\r\n"):
        whole = text.replace("\r", "").replace("\n", end)
        if end not in whole:
            continue  # a text of one line has no line end to keep
        want = whole.replace(old.replace("\n", end), new.replace("\n", end))
        try:
            got, _ = texts.edit(whole, old, new, every=True, path="f")
        except errors.TmuxAgentError:
            assert want == whole or old == new
            continue
        assert got == want


def test_mixed_line_ends() -> None:
    """In a file of both ends an exact passage is taken as it is; else LF is tried as CRLF."""
    assert texts.edit("a\r\nb\nc\n", "b\nc", "x\ny", every=False, path="f")[0] == "a\r\nx\ny\n"
    assert texts.edit("a\r\nb\r\nc\n", "a\nb", "x\ny", every=False, path="f")[0] == "x\r\ny\r\nc\n"
    with pytest.raises(errors.Conflict):
        texts.edit("a\r\nb\n", "a\nc", "x", every=False, path="f")


@given(TEXTS, st.integers(1, 50), st.integers(1, 50), st.integers(0, 60))
def test_cut_is_bounded(text: str, start: int, length: int, limit: int) -> None:
    """A range is a part of the text, never over the limit, and truncated exactly when something is missing."""
    lines = texts.split(text)
    whole = "".join(lines[start - 1 : start - 1 + length])
    got, truncated = texts.cut(lines, start, start + length - 1, limit)
    assert whole.startswith(got)
    assert len(got.encode()) <= limit
    assert truncated == (got != whole)
