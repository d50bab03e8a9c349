"""asciinema's form, whole characters, what a recording may do to a terminal, secrets in it, and its text."""

from __future__ import annotations

import json
import re
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmux_agent.core import cast, cast_frame, cast_text
from tmux_agent.core.cast import Cast, Damaged, Happened, Header, Part
from tmux_agent.core.cast_mask import WINDOW, Mask
from tmux_agent.core.cast_safe import MAIN, Safe
from tmux_agent.core.cast_stream import HELD, Stream
from tmux_agent.core.sequences import TOKEN

TOKEN_ = "ghp_" + "a1" * 20
# Of the form's documentation (docs.asciinema.org, asciicast v2).
EXAMPLE = b"""{"version": 2, "width": 80, "height": 24, "timestamp": 1504467315, "title": "Demo", "env": {"TERM": "x"}}
[0.248848, "o", "\\u001b[1;31mHello \\u001b[32mWorld!\\u001b[0m\\n"]
[1.001376, "o", "That was ok\\rThis is better."]
[1.500000, "m", ""]
[2.143733, "o", "Now... "]
[4.050000, "r", "80x24"]
[6.541828, "o", "Bye!"]
"""


def lines(text: bytes) -> list[bytes]:
    return text.splitlines(keepends=True)


def test_what_asciinema_documents_is_read_and_written() -> None:
    found = cast.read(lines(EXAMPLE))
    assert (found.header.width, found.header.height, found.header.title) == (80, 24, "Demo")
    assert [one.code for one in found.events] == ["o", "o", "m", "o", "r", "o"]
    assert found.seconds == 6.541828
    again = [json.loads(line) for line in cast.written(found)]
    assert again == [json.loads(line) for line in EXAMPLE.splitlines()]
    assert list(again[0])[:3] == ["version", "width", "height"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "line 1"),
        (b"{}\n", "version None"),
        (b'{"version":1,"width":80,"height":24,"stdout":[]}\n', "version 1"),
        (b'{"version":3,"term":{}}\n', "version 3"),
        (b'{"version":2}\n', "line 1"),
        (b'{"version":2,"width":0,"height":24}\n', "no terminal"),
        (b'{"version":2,"width":80,"height":99999}\n', "no terminal"),
        (b'{"version":2,"width":80,"height":24}\n[1,"o"]\n', "line 2"),
        (b'{"version":2,"width":80,"height":24}\n[1e300,"o",""]\n', "line 2"),
        (b'{"version":2,"width":80,"height":24}\n[1,"o","x"\n[2,"o","y"]\n', "line 2"),
        (b"[" * 100_000, "line 1"),
        (b'{"version":2,"width":80,"height":24,"title":"\xff"}\n', "line 1"),
        (b'{"version":2,"width":80,"height":24}\n[1,"o","\xff"]\n', "line 2"),
        (b'{"version":2,"width":80,"height":24}\n[1,"o","\\ud800"]\n', "line 2"),
    ],
)
def test_what_is_no_recording_says_where(text: bytes, why: str) -> None:
    with pytest.raises(Damaged, match=why):
        cast.read(lines(text))


@given(st.integers(0, len(EXAMPLE)))
def test_cut_anywhere_behind_the_header_it_is_read_as_far_as_it_goes(at: int) -> None:
    first = EXAMPLE.index(b"\n") + 1
    found = cast.read(lines(EXAMPLE[: max(first, at)]))
    whole = cast.read(lines(EXAMPLE)).events
    assert found.events == whole[: len(found.events)]
    assert len(found.events) >= EXAMPLE[first : max(first, at)].count(b"\n")


def test_parts_follow_each_other_in_time() -> None:
    """Each where it began; a size that changed between is said; what ran late pushes the next part."""

    def part(number: int, at: float, width: int, *times: float) -> Cast:
        header = Header(version=2, width=width, height=24, tmux_agent=Part(id="x", part=number, at=at))
        return Cast(header, tuple(Happened(time, "o", f"{number}") for time in times))

    found = cast.joined([part(3, 100.0, 80, 0.0, 5.0), part(4, 103.0, 80, 1.0), part(5, 120.0, 90, 0.5)])
    assert [(one.at, one.code, one.data) for one in found.events] == [
        (0.0, "o", "3"), (5.0, "o", "3"), (6.0, "o", "4"), (20.0, "r", "90x24"), (20.5, "o", "5"),
    ]  # fmt: skip
    with pytest.raises(Damaged):
        cast.joined([])


@pytest.mark.parametrize("data", ["", "80", "80x", "x24", "-1x5", "80x24x", "８x2", "99999x1", "1e3x2"])
def test_a_size_that_is_none(data: str) -> None:
    assert cast.size_of(data) is None
    assert cast.size_of("80x24") == (80, 24)
    assert cast.size_of("9999x1") == (2000, 1)


# --- bytes to text ---

SAID = "grün \x1b[1;31m€\x1b[0m \x1b]0;títle\x1b\\ \x1b(B😀\x1bPx\x1b\\ end"


@given(st.lists(st.integers(0, len(SAID.encode())), max_size=12))
def test_text_is_the_same_however_it_is_cut(cuts: list[int]) -> None:
    """And each piece ends with a whole character and a whole sequence."""
    data, stream, found = SAID.encode(), Stream(), []
    ends = sorted({*cuts, len(data)})
    for begin, end in zip([0, *ends], ends, strict=False):
        found.append(stream.feed(data[begin:end]))
    assert "".join(found) + stream.rest() == SAID
    for piece in found:
        assert "�" not in piece
        for token in TOKEN.finditer(piece):
            assert token[0] != "\x1b"
            assert token.lastgroup != "string" or token["end"]


def test_what_never_ends_is_not_kept_for_ever() -> None:
    stream = Stream()
    out = stream.feed(b"\x1b]0;" + b"x" * (2 * HELD))
    assert len(out) + len(stream.rest()) == 2 * HELD + 4
    assert stream.feed(b"\xff\xfeok") == "��ok"


# --- what may reach a terminal ---

HARMLESS = re.compile(
    r"\x1b\[[0-9;:]*[ABCDEFGHIJKLMPSTXZ@`abdefgmr]|\x1b\[[su]|\x1b\[\?(?:6|7|25)[hl]|\x1b\[4[hl]|\x1b[78DEMH]"
    r"|\x1b[()][0AB]|[\n\r\t\b\v\f\x0e\x0f]"
)
PIECES = st.sampled_from([
    "text ", "\x1b", "[", "]", "52;c;eA==", "\x07", "\x1b\\", "\\", "P", "\x9c", "\x9b", "\x90", "\x9d", "c", "6n",
    "?1049h", "?1049l", "31m", "?2004h", ">1u", "3J", "2J", "r", "5;10r", "t", "\x05", "Z", "\x18", "\x1a", "8;;http://x",
    "k", "_G", "^", "X", "\n", "$p", "!p", "1;2;3;4;5T", "2T", "5i", "999999999b", "(0", "s", "5s", "\x7f", "\x00",
    "0;", ";", "?", "é", "#8", "=", " q", "20h", "?6;1000;25h",
])  # fmt: skip


@given(st.lists(PIECES, max_size=40), st.booleans())
def test_nothing_but_drawing_passes(pieces: list[str], whole: bool) -> None:
    """In whatever pieces it comes."""
    safe = Safe(24)
    out = safe.begin() + "".join(map(safe.feed, ["".join(pieces)] if whole else pieces))
    left = HARMLESS.sub("", out)
    assert not re.search(r"[\x00-\x1f\x7f-\x9f]", left)
    assert "\x1b[3J" not in out


@pytest.mark.parametrize(
    "text",
    ["\x1b]52;c;eA==\x07", "\x1b]0;x\x1b\\", "\x1b[c", "\x1b[6n", "\x1b[>c", "\x1bPq\x1b\\", "\x1b[3J",
     "\x1bc\x1b[?2004h", "\x1b[8;1;1t", "\x1b[5i", "\x1b[?1000h", "\x1b[>4;2m", "\x1b[1;2;3;4;5T", "\x1b[999999b",
     "\x1b[ q", "\x9d0;x\x9c", "\x1b]8;;http://x\x07"],
)  # fmt: skip
def test_what_acts_is_left_out(text: str) -> None:
    shown = Safe(24).feed(f"a{text}b")
    assert shown.replace("\x1b(B\x0f\x1b[m\x1b[?6l\x1b[4l\x1b[?7h\x1b[?25h\x1b[1;24r\x1b[2J\x1b[H", "") == "ab"


def test_what_lay_under_the_alternate_screen_is_drawn_again() -> None:
    safe = Safe(24)
    assert safe.feed("main\x1b[?1049htui") == "main\x1b[2Jtui"
    assert safe.feed("x\x1b[?1049l$ ").endswith("\x1b[2J\x1b[Hmain$ ")
    for _ in range(100):
        safe.feed("y" * (MAIN // 10))
    assert len(safe.feed("\x1b[?1049h\x1b[?1049l")) < MAIN + 1000


# --- secrets ---


def fed(mask: Mask, one: Happened) -> list[Happened]:
    return [done for given in mask.feed(one) for done in given]


def masked(*pieces: str) -> str:
    mask = Mask()
    given_ = [done for number, piece in enumerate(pieces) for done in fed(mask, Happened(float(number), "o", piece))]
    given_ += mask.end()
    assert [one.at for one in given_] == sorted(one.at for one in given_)
    return "".join(one.data for one in given_)


@given(st.lists(st.integers(0, len(TOKEN_)), max_size=6))
def test_a_secret_in_pieces_is_one(cuts: list[int]) -> None:
    ends = sorted({*cuts, len(TOKEN_)})
    pieces = [TOKEN_[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]
    assert masked("a ", *pieces, " b\r\n") == f"a {'*' * len(TOKEN_)} b\r\n"
    coloured = masked("a " + "\x1b[31m".join(pieces) + " b\r\n")
    assert coloured.replace("\x1b[31m", "") == f"a {'*' * len(TOKEN_)} b\r\n"
    assert coloured.count("\x1b[31m") == len(pieces) - 1


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (f"x\x1b[5;1H{TOKEN_[:20]}\x1b[6;1H{TOKEN_[20:]}\x1b[7;1H y", "x\x1b[5;1H{20}\x1b[6;1H{24}\x1b[7;1H y"),
        (f"some words\r\n{TOKEN_[:20]}\x1b[6;1H{TOKEN_[20:]}\r\n", "some words\r\n{20}\x1b[6;1H{24}\r\n"),
        (f"$ a {TOKEN_[:30]} \r{TOKEN_[30:]}\r\n", "$ a {30} \r{14}\r\n"),
        (f"a\r\n$ a {TOKEN_[:30]} \r{TOKEN_[30:]}\r\n", "a\r\n$ a {30} \r{14}\r\n"),
        (f"\x1b]0;curl {TOKEN_}\x07ls\r\n", "ls\r\n"),
        ("password=hunter2hunter\r\nok", "password={13}\r\nok"),
        ("nothing \x1b[1mof\x1b[m the kind\r\n", "nothing \x1b[1mof\x1b[m the kind\r\n"),
        ("[redacted] stands here, token: " + TOKEN_, None),
    ],
)
def test_what_is_masked(said: str, shown: str | None) -> None:
    found = masked(said)
    if shown is None:
        assert TOKEN_ not in found
    else:
        assert found == re.sub(r"\{(\d+)\}", lambda count: "*" * int(count[1]), shown)


def test_a_key_of_many_lines() -> None:
    body = "\r\n".join("MIIE" + "Ab3" * 20 for _ in range(40))
    found = masked("-----BEGIN RSA PRIVATE KEY-----\r\n", *body, "\r\n-----END RSA PRIVATE KEY-----\r\nend\r\n")
    assert "Ab3" not in found
    assert found.count("\r\n") == 43
    assert found.endswith("end\r\n")


@given(st.integers(WINDOW // 2 - 100, WINDOW // 2 + 100))
def test_a_secret_at_the_edge_of_what_is_held(before: int) -> None:
    filler = "word " * (before // 5)
    found = masked(filler, TOKEN_, " ", filler, filler, filler)
    assert "a1a1" not in found
    assert len(found) == 4 * len(filler) + len(TOKEN_) + 1


@pytest.mark.parametrize("line", ["y\r\n", "src/a.ts: token ok, 12 files\r\n", "\x1b[32mok\x1b[m it passes (3 ms)\r\n"])
def test_a_flood_is_looked_through_in_short_steps(line: str) -> None:
    """While it looks nobody else has the processor: no look takes long, and a second's flood takes about a second."""
    mask, text, looks = Mask(), line * (500_000 // len(line)), [time.process_time()]
    for _ in mask.feed(Happened(0.0, "o", text)):
        looks.append(time.process_time())
    assert looks[-1] - looks[0] < 2
    steps = sorted(after - before for before, after in pairwise(looks))
    assert steps[len(steps) // 2] < 0.05


def test_what_it_holds_is_bounded_and_lines_that_are_over_settle() -> None:
    mask = Mask()
    for number in range(200):
        fed(mask, Happened(float(number), "o", "words and words " * 100))
        assert sum(len(one.data) for one in mask._held) <= WINDOW + 1600
    mask = Mask()
    assert fed(mask, Happened(0.0, "o", "a\r\n$ tok")) == []
    fed(mask, Happened(1.0, "r", "80x24"))
    assert [one.data for one in mask.settle()] == ["a\r\n$ tok", "80x24"]
    fed(mask, Happened(2.0, "o", "en"))
    assert mask.settle() == []
    assert mask.holds


# --- text, keyframes ---


def test_a_line_as_it_stood_at_its_end() -> None:
    said = [
        "$ lx\b\x1b[Ks -l\r\nfile\r\n", " 10%\r 55%\r100%\x1b[K\r\n", "\x1b[?1049hin vim\r\n\x1b[?1049l",
        "a\tb\r\n", "abc\x1b[2Dx\x1b[1P\r\n", "row\x1b[5;1Hother\x1b]0;t\x07", "\x1b[1;1H", cast_frame.BEGINS + "again",
    ]  # fmt: skip
    found = list(cast_text.lines(Happened(0.0, "o", text) for text in said))
    assert found == ["$ ls -l", "file", "100%", "a       b", "ax", "row", "other"]


def test_a_keyframe_asks_and_draws() -> None:
    state = "80\t24\t5\t2\t0\t1\t0\t0\t0\t23\t1\t3\t9\ttmux-256color"
    frame = cast_frame.frame([[state], ["\x1b[31mtui", "  ", "x"], ["under"]])
    assert frame is not None
    drawn = cast_frame.drawn(frame)
    assert drawn.startswith(cast_frame.BEGINS)
    assert drawn.index("under") < drawn.index("\x1b[10;4H\x1b[?1049h") < drawn.index("\x1b[1;1H\x1b[31mtui")
    assert drawn.endswith("\x1b[3;6H\x1b[?25l")
    assert cast_frame.frame([["no"], [], []]) is None
    assert cast_frame.frame([[], [], []]) is None
