"""services/own_log.py: what agents choose does nothing in the log, and fills no disk."""

from __future__ import annotations

import json
import logging
import sys

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


def test_json_lines_are_objects_whatever_is_in_them() -> None:
    """Line ends and quotes of others stay in their member; the request and the traceback have one of their own."""
    token = own_log.request.set("01K")
    try:
        raise ValueError('"\x1b[2J')
    except ValueError:
        one = record("dropped %s", 'a\n"}\x1b[2J ghp_' + "a1" * 20)
        one.exc_info = sys.exc_info()
        text = own_log.Lines().format(one)
    finally:
        own_log.request.reset(token)
    assert "\n" not in text
    assert "\x1b" not in text
    line = json.loads(text)
    assert (line["level"], line["logger"], line["request"]) == ("warning", "x", "01K")
    assert "ghp_" not in line["message"]
    assert "Traceback" in line["exception"]


def test_a_request_stands_at_the_end_of_its_lines() -> None:
    token = own_log.request.set("01K")
    try:
        assert own_log.Safe("%(message)s").format(record("x")) == "x request=01K"
    finally:
        own_log.request.reset(token)
    assert own_log.Safe("%(message)s").format(record("x")) == "x"


def test_libraries_never_debug() -> None:
    """They would tell addresses with the tokens in them."""
    root, ours = logging.getLogger(), logging.getLogger("tmux_agent")
    before = root.level, ours.level
    try:
        own_log.use("debug", "text")
        assert not logging.getLogger("some_library").isEnabledFor(logging.DEBUG)
        assert logging.getLogger("tmux_agent.daemon").isEnabledFor(logging.DEBUG)
        own_log.use("error", "json")
        assert not logging.getLogger("some_library").isEnabledFor(logging.WARNING)
        assert not logging.getLogger("tmux_agent.daemon").isEnabledFor(logging.WARNING)
    finally:
        root.setLevel(before[0])
        ours.setLevel(before[1])
