"""Markers: what they may say, raw and rendered, in every way a terminal can spoil them."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmux_agent.core import marker_screen, markers
from tmux_agent.core.marker_stream import LINE, MarkerStream
from tmux_agent.core.output_lines import OutputLines

CAPTURES = Path(__file__).parents[1] / "corpus" / "markers"
BUILD = '### SENTRY {"type":"STATUS","stage":"build","ok":true}'
RAW = BUILD.encode()
EDITS, RUNS = b"\x1b[?2004h", b"\x1b[?2004l\r"


def stream(data: bytes, size: int = 1 << 20) -> list[markers.Marker | markers.Invalid]:
    scanner = MarkerStream()
    found = []
    for at in range(0, len(data), size):
        found += [one.marker for one in scanner.feed(data[at : at + size])]
    return found


def test_every_type_is_read() -> None:
    said = {
        '{"type":"STATUS","stage":"build","ok":false,"message":"2 failed"}': markers.Status(
            stage="build", ok=False, message="2 failed"
        ),
        '{"type":"PROGRESS","stage":"build","percent":40}': markers.Progress(stage="build", percent=40.0),
        '{"type":"progress","value":40}': markers.Progress(percent=40.0),
        '{"type":"ASK","prompt":"Deploy?","options":["yes","no"]}': markers.Ask(
            prompt="Deploy?", options=("yes", "no")
        ),
        '{"type":"ASK","question":"Deploy?"}': markers.Ask(prompt="Deploy?"),
        '{"type":"ERROR","message":"out of disk"}': markers.Failure(message="out of disk"),
        '{"type":"ARTIFACT","path":"dist/app.tgz"}': markers.Artifact(path="dist/app.tgz"),
        '{"type":"DONE"}': markers.Done(),
        '{"type":"COFFEE","cups":2}': markers.Other(type="COFFEE", data={"cups": 2}),
        '{"type":"STATUS","stage":"b","ok":true,"later":[1]}': markers.Status(stage="b", ok=True),
    }
    for text, expected in said.items():
        assert markers.read(f"### SENTRY {text}") == (expected, "")
        assert markers.read(markers.line(expected)) == (expected, "")


@pytest.mark.parametrize(
    "text",
    ["{", "{]", '{"stage":"x"}', '{"type":1}', '{"type":""}', '{"type":"STATUS","ok":"yes"}', "{}",
     '{"type":"ASK","options":1}', json.dumps({"type": "ASK", "options": ["x"] * 51}),
     json.dumps({"type": "ASK", "options": ["x" * 257]}), json.dumps({"type": "ASK", "action_type": "x" * 257}),
     '{"type":"X","a":' + "[" * 30 + "]" * 30 + "}",
     '{"type":"X","a":' + "[" * 9000 + "]" * 9000 + "}",
     '{"type":"X","a":"' + "x" * markers.TEXT + '"}', r'{"type":"X","a":"\ud800"}', r'{"type":"\ud800"}',
     r'{"type":"STATUS","stage":"\udfff"}', r'{"type":"X","\ud800":1}', '{"type":"PROGRESS","percent":1e999}',
     '{"type":"PROGRESS","percent":NaN}'],
)  # fmt: skip
def test_what_begins_as_a_marker_and_is_none_is_told(text: str) -> None:
    said = markers.read(f"### SENTRY {text}")
    assert said is not None
    assert isinstance(said[0], markers.Invalid)
    assert markers.payload(said[0])
    found = stream(f"### SENTRY {text}\r\n{BUILD}\r\n".encode())
    assert [type(one) for one in found] == [markers.Invalid, markers.Status]
    assert said[0].why


@pytest.mark.parametrize(
    "line",
    ["", "SENTRY", "## SENTRY {}", "### SENTRYX {}", "echo '### SENTRY {}'", "a ### SENTRY {}", "### SENTRY later"],
)
def test_other_lines_are_no_markers(line: str) -> None:
    assert markers.read(line) is None


PRINTED = {
    "plain": (RAW + b"\n", 1),
    "crlf": (RAW + b"\r\n", 1),
    "indented": (b"  " + RAW + b"\r\n", 1),
    "coloured": (b"\x1b[1m##\x1b[0m# SEN\x1b[38;5;9mTRY\x1b[0m " + RAW[11:25] + b"\x1b[K" + RAW[25:] + b"\r\n", 1),
    "reset inside the word": (b"###\x1b(B\x1b[m SEN\x1b(B\x1b[mTRY" + RAW[10:] + b"\r\n", 1),
    "a part of the word found by grep": (b"### S\x1b[01;31m\x1b[KENT\x1b[m\x1b[KRY" + RAW[10:] + b"\r\n", 1),
    "twice": ((RAW + b"\r\n") * 2, 2),
    "drawn again in its line": ((b"\r\x1b[2K" + RAW) * 5 + b"\r\n", 1),
    "drawn again with the lines above": (RAW + b"\r\n1 of 2\r\n\x1b[2A\x1b[2K" + RAW + b"\r\n2 of 2\r\n", 1),
    "shown again on the alternate screen": (RAW + b"\r\n\x1b[?1049h\x1b[H" + RAW + b"\r\n\x1b[?1049l", 1),
    "again after clear": (RAW + b"\r\n\x1b[H\x1b[2J\x1b[3J" + RAW + b"\r\n", 2),
    "again after a prompt": (RAW + b"\r\n" + EDITS + b"$ \x1b[Amake\r\n" + RUNS + RAW + b"\r\n", 2),
    "without a line end, before a prompt": (RAW + EDITS + b"$ ", 1),
    "echoed with its command": (b"$ echo '" + RAW + b"'\r\n" + RAW + b"\r\n", 1),
    "pasted into a line editor": (EDITS + b"$ cat <<X\r\n" + RAW + b"\r\nX\r\n" + RUNS + RAW + b"\r\n", 1),
    "at a second prompt": (b"> " + RAW + b"\r\n", 0),
    "in the middle of a line": (b"[12:00] " + RAW + b"\r\n", 0),
    "behind what was too long to keep": (b"x" * (LINE + 9000) + RAW + b"\r\n", 0),
    "broken": (b"### SENTRY {oops}\r\n" * 3, 1),
    "two in one write": (RAW + b"\r\n" + RAW.replace(b"build", b"test") + b"\r\n", 2),
    "under an id, again": (b'### SENTRY {"type":"DONE","id":"a"}\r\n' * 3, 1),
    "in a title": (b"\x1b]2;" + RAW + b"\x07\r\n", 0),
    "in a title of several lines": (b"\x1b]2;x\r\n" + RAW + b"\r\n\x07" + RAW + b"\r\n", 1),
    "in a string for the terminal": (b"\x1bPx\r\n" + RAW + b"\r\n\x1b\\" + RAW + b"\r\n", 1),
    "behind a title without an end": (b"\x1b]2;x\x1b[m\r\n" + RAW + b"\r\n", 1),
    "long after a title without an end": (b"\x1b]2;x\r\n" + (b"y" * 99 + b"\r\n") * 700 + RAW + b"\r\n", 1),
    "not UTF-8 around it": (b"\xff\xfe\r\n" + RAW + b"\r\n\xc3", 1),
}


@pytest.mark.parametrize("name", PRINTED)
@pytest.mark.parametrize("size", [1, 2, 7, 17, 1000, 1 << 20])
def test_raw_output_tells_each_marker_once_however_it_is_cut(name: str, size: int) -> None:
    printed, count = PRINTED[name]
    assert len(stream(printed, max(size, len(printed) // 2000))) == count


def test_what_nearly_begins_the_word_over_and_over_costs_no_more_than_its_length() -> None:
    """Colours that end in the word's first letter, each of which could be its beginning."""
    for near in (b"S\x1b[0S", b"S\x1b[m", b"S\x1b[", b"S\x1b(", b"SE\x1b[1m\x1b[K"):
        scanner = MarkerStream()
        begun = time.process_time()
        for _ in range(8):
            scanner.feed(near * (60_000 // len(near)) + b"\n")
        assert time.process_time() - begun < 2.0, near  # a quadratic search takes minutes


@given(st.lists(st.binary(max_size=200), max_size=8), st.integers(1, 64))
def test_no_output_is_a_crash_and_memory_is_bounded(parts: list[bytes], size: int) -> None:
    scanner = MarkerStream()
    data = (b"### SENTRY {").join(parts)
    for at in range(0, len(data), size):
        scanner.feed(data[at : at + size])
    assert len(scanner._line) <= LINE


@given(
    st.dictionaries(st.text(max_size=8), st.text(max_size=30), max_size=4),
    st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=9),
)
def test_what_is_printed_is_what_is_read(fields: dict[str, str], name: str) -> None:
    marker = markers.of({**fields, "type": name})
    if not isinstance(marker, markers.Invalid):
        assert stream(markers.line(marker).encode() + b"\n") == [marker]


TYPED = {  # at a prompt that nobody has heard: before the watch began
    "abandoned": (RAW + b"^C\x1b[?2004l\r\x1b[?2004h\x1b[?2004l\r\r\n" + EDITS + b"$ ", 0),
    "pasted, bash": (
        b"\x1b[7mcat <<X\x1b[27m\r\n\r\x1b[7m" + RAW + b"\x1b[27m\r\n\r\x1b[7mX\x1b[27m"
        b"\x1bM\x1bM\x1b[Ccat <<X\r\n\r" + RAW + b"\r\n\rX\r\n" + RUNS + RAW + b"\r\n" + EDITS + b"$ ", 1,
    ),
    "pasted, zsh": (b"\x1b[7mecho 1\x1b[27m\r\r\n\x1b[7m" + RAW + b"\x1b[27m\x1b[K\r\r\n" + RUNS + b"1\r\n", 0),
    "in color": (b"echo \x1b[7m" + RAW + b"\x1b[27m\r\n" + RUNS + RAW + b"\r\n", 1),
    "run without a word of the editor": (b"make\r\n" + RAW + b"\r\n$ ", 1),
}  # fmt: skip


@pytest.mark.parametrize("name", TYPED)
@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_what_is_typed_at_a_prompt_that_stood_there_is_no_marker(name: str, size: int) -> None:
    printed, count = TYPED[name]
    scanner, lines, found = MarkerStream(prompt=True), OutputLines(prompt=True), []
    text = ""
    for at in range(0, len(printed), size):
        found += scanner.feed(printed[at : at + size])
        text += lines.feed(printed[at : at + size])
    assert len(found) == count
    assert text.count(BUILD) == count


FISH = (
    b"\r\x1b[K\x1b]0;/src\x07# \x1b[K\r\x1b[2C### \r\x1b[6CSENTRY \r\x1b[13C" + RAW[11:] + b"\r\x1b[55C"
    b"\x1b[53D" + RAW + b"\r\x1b[55C\r\n\x1b[30m\x1b[m\x0f\x1b]0;x\x07\r"
)


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_what_fish_puts_behind_its_prompt_is_no_output(size: int) -> None:
    scanner, lines, found, text = MarkerStream(), OutputLines(), [], ""
    for data in (FISH, FISH, RAW + b"\r\n"):
        for at in range(0, len(data), size):
            found += scanner.feed(data[at : at + size])
            text += lines.feed(data[at : at + size])
    assert len(found) == 1
    assert text.count(BUILD) == 1


def test_a_full_screen_program_is_noticed() -> None:
    scanner = MarkerStream()
    scanner.feed(b"\x1b[?1049h\x1b[H")
    assert scanner.full_screen
    scanner.feed(b"\x1b[?1049l")
    assert not scanner.full_screen


# --- rendered ---


def test_a_screen_tells_what_an_agent_said_and_not_what_it_was_told() -> None:
    lines = [
        "> When a stage ends, print",
        f"  {BUILD}",
        "",
        f"⏺ {BUILD}",
        "  Done with the build.",
        '⏺ SENTRY {"type":"DONE"}',
        f"$ echo '{BUILD}'",
        f"❯ {BUILD}",
    ]
    assert [one.marker for one in marker_screen.find(lines)] == [markers.Status(stage="build", ok=True), markers.Done()]


@pytest.mark.parametrize("width", range(20, 90, 7))
def test_what_a_program_wrapped_is_put_together(width: int) -> None:
    value = {"type": "STATUS", "stage": "build", "ok": True, "message": "all of the 12 tests passed, at long last"}
    words, lines = f"### SENTRY {json.dumps(value)}".split(" "), [""]
    for word in words:
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append("")
        lines[-1] += (" " if lines[-1] else "") + word
    lines = [f"  {line}" for line in lines]
    assert [one.marker for one in marker_screen.find(["⏺ Hello", *lines, "", "more"])] == [markers.of(value)]


def test_what_was_cut_inside_a_word_is_put_together() -> None:
    text = '### SENTRY {"type":"STATUS","stage":"a-rather-long-name-of-a-stage","ok":true}'
    lines = [text[at : at + 40] for at in range(0, len(text), 40)]
    assert [one.marker for one in marker_screen.find(lines)] == [
        markers.Status(stage="a-rather-long-name-of-a-stage", ok=True)
    ]


STATUS = markers.Status(stage="build", ok=True, run="k7d2m9q4x1c8", message="all 42 tests pass")
PROGRESS = markers.Progress(stage="build", percent=40, run="k7d2m9q4x1c8")


@pytest.mark.parametrize("agent", ["claude", "codex", "gemini", "opencode"])
def test_the_agents_own_screens_tell_what_they_said_also_where_they_are_narrow(agent: str) -> None:
    """Captures of the real ones at 60 columns: as inline code, and two in a block of code (Gemini numbers its lines,
    as it numbers those of a file that it shows: that is none)."""
    lines = (CAPTURES / f"{agent}.txt").read_text().splitlines()
    told = [STATUS] if agent == "gemini" else [STATUS, STATUS, PROGRESS]
    assert [one.marker for one in marker_screen.find(lines)] == told


def test_inline_code_that_is_shown_as_it_was_written() -> None:
    assert [one.marker for one in marker_screen.find([f"  `{BUILD}`"])] == [markers.Status(stage="build", ok=True)]


def test_only_what_is_new_on_a_screen_is_told() -> None:
    def looks(*stages: str) -> list[marker_screen.Found]:
        return marker_screen.find([f'### SENTRY {{"type":"STATUS","stage":"{stage}"}}' for stage in stages])

    def names(found: list[marker_screen.Found]) -> list[str]:
        return [one.marker.stage for one in found if isinstance(one.marker, markers.Status)]

    def seen(found: list[marker_screen.Found]) -> list[bytes]:
        return [markers.payload(one.marker) for one in found]

    first = looks("a", "b")
    assert names(marker_screen.new((), first)) == ["a", "b"]
    assert names(marker_screen.new(seen(first), first)) == []
    assert names(marker_screen.new(seen(first), looks("b", "c"))) == ["c"]
    assert names(marker_screen.new(seen(first), looks("a", "b", "b"))) == ["b"]
    assert names(marker_screen.new(seen(looks("a", "b", "c")), looks("a", "c", "d"))) == ["d"]


# --- text for conditions ---


@pytest.mark.parametrize("size", [1, 3, 50])
def test_lines_are_plain_and_whole(size: int) -> None:
    data = b"\x1b[32m0 problems\x1b[0m\r\n10%\r20%\r\n\x1b]2;title\x07caf\xc3\xa9\nrest"
    lines = OutputLines()
    text = "".join(lines.feed(data[at : at + size]) for at in range(0, len(data), size))
    assert [line for line in text.split("\n") if line] == ["0 problems", "10%", "20%", "café"]
    assert lines.unfinished == "rest"
