"""services/own_log.py: what agents choose does nothing in the log, and fills no disk."""

from __future__ import annotations

import logging

import pytest

from tmux_agent.services import own_log


def record(text: str, *arguments: object) -> logging.LogRecord:
    return logging.LogRecord("x", logging.WARNING, "x.py", 1, text, arguments, None)


def test_hostile_names_stay_in_their_line() -> None:
    """Line ends, colours and turned text in a program's name are shown, and a long one is cut."""
    line = own_log.Safe("%(levelname)s %(message)s").format(record("dropped %s", "a\n\x1b[2J\u202e" + "x" * 100_000))
    assert line.startswith("WARNING dropped a")
    assert not {"\n", "\x1b", "\u202e"}.intersection(line)
    assert len(line) < 2 * own_log.LINE


def test_a_traceback_keeps_its_lines_only() -> None:
    """It is ours, what was raised need not be."""
    try:
        raise ValueError("\x1b[2J")
    except ValueError as why:
        text = own_log.Safe().formatException((type(why), why, why.__traceback__))
    assert "Traceback" in text
    assert "\n" in text
    assert "\x1b" not in text


def test_a_flood_is_left_out_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first lines are all there; then one a second, which says how many were not."""
    now = [100.0]
    monkeypatch.setattr(own_log.time, "monotonic", lambda: now[0])
    few = own_log.Few()
    assert sum(few.filter(record("flood")) for _ in range(10_000)) == own_log.BURST
    now[0] += 1.0
    last = record("at last %s", "this")
    assert few.filter(last)
    assert last.getMessage() == f"({10_000 - own_log.BURST} lines before this were left out) at last this"
