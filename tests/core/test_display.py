"""Text made safe to show."""

from __future__ import annotations

import sys
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wcwidth import wcwidth

from tmux_agent.core import display

ANY = st.text(st.characters(codec=None), max_size=60)  # lone surrogates included
HOSTILE = "\x1b[31mred\x1b]0;t\x07 \u202eevil\u2066 zero\u200bwidth \ud800 tag\U000e0041 no\u00a0break \u2028"


def odd(char: str) -> bool:
    """A character that no terminal may ever get from us."""
    return char != " " and unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp", "Zs"}


def test_every_odd_character_is_named() -> None:
    """Over all of Unicode: controls, format characters, separators, private use and surrogates are never passed on."""
    passed = [hex(n) for n in range(sys.maxunicode + 1) if odd(chr(n)) and chr(n) in display.safe(f"a{chr(n)}b")]
    assert passed == []


def test_default_ignorable_characters_are_named() -> None:
    """What Unicode calls ignorable shows nothing at all, so it is named even where its category looks harmless."""
    for point in (0x034F, 0x115F, 0x1160, 0x17B4, 0x180B, 0x2800, 0x3164, 0xFE0F, 0xFFA0, 0xE0100, 0xE0041):
        assert f"⟨U+{point:04X}⟩" in display.safe(f"a{chr(point)}b")


def test_blocks_that_are_passed_over_hold_nothing_odd() -> None:
    """The fast path skips whole blocks; none of their characters is odd, combining or without width."""
    for point in range(sys.maxunicode + 1):
        char = chr(point)
        if display._TO_EXAMINE.match(char) is None:
            assert not odd(char), hex(point)
            assert unicodedata.category(char)[0] != "M", hex(point)
            assert display.width(char) > 0, hex(point)


@given(ANY)
def test_nothing_odd_comes_out(text: str) -> None:
    """Whatever goes in, what comes out holds no odd character."""
    assert not any(map(odd, display.safe(text)))
    assert not any(odd(char) for char in display.safe(text, newlines=True) if char not in "\n\t")


@given(ANY)
def test_segments_are_the_text(text: str) -> None:
    """Pieces that were not replaced stand in the text in this order, and replaced ones are names."""
    at = 0
    for piece, replaced in display.segments(text):
        if replaced:
            assert piece.startswith("⟨")
            assert piece.endswith("⟩")
        else:
            at = text.index(piece, at) + len(piece)


def test_names_that_people_know() -> None:
    """Newline, tab and return are short; everything else is its number."""
    assert display.safe("a\nb\tc\rd\x1be\u202e") == "a⟨\\n⟩b⟨\\t⟩c⟨\\r⟩d⟨U+001B⟩e⟨U+202E⟩"
    assert display.safe("a\nb\tc\r", newlines=True) == "a\nb\tc⟨\\r⟩"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cat /etc/p\u0430sswd", "cat /etc/p⟨U+0430⟩sswd"),
        ("\u0435tc", "⟨U+0435⟩tc"),
        ("r\u043e\u043et", "r⟨U+043E⟩⟨U+043E⟩t"),
        ("n\u03bfde", "n⟨U+03BF⟩de"),
        ("a\u2215b \u2044", "a⟨U+2215⟩b ⟨U+2044⟩"),
        ("ls \u037e rm", "ls ⟨U+037E⟩ rm"),
        ("a\u0430\u0301", "a⟨U+0430⟩⟨U+0301⟩"),
    ],
)
def test_letters_that_look_like_others_are_named(text: str, said: str) -> None:
    """A Cyrillic or Greek letter in a word of Latin ones, and marks that look like a slash, dot or semicolon."""
    assert display.safe(text) == said
    assert display.safe(said) == said


def test_plain_text_of_many_scripts_stays() -> None:
    """Nothing is done to what people write."""
    for text in (
        "rm -rf build && npm ci",
        "naïve café",
        "Ünïcödé",
        "日本語のテスト",
        "한국어",
        "ελληνικά",
        "русский",
        "🎉 ok",
        "हिन्दी",
    ):
        assert display.safe(text) == text


def test_a_flood_of_combining_marks_is_counted() -> None:
    """A few marks stay on their base, a flood cannot climb over other lines, and what has no base is named."""
    assert display.safe("é" + "x") == "éx"
    flooded = display.safe("e" + "\u0301" * 1000)
    assert flooded == "e" + "\u0301" * display.MARKS_PER_BASE + "⟨996 combining marks⟩"
    assert display.safe("\u0301x") == "⟨U+0301⟩x"
    assert display.safe("a \u0301") == "a ⟨U+0301⟩"


@given(ANY, st.integers(0, 80))
def test_cuts_fit(text: str, cells: int) -> None:
    """Every cut is at most as wide as asked."""
    shown = display.safe(text)
    for cut in (display.cut, display.middle, display.take, display.take_end):
        assert display.width(cut(shown, cells)) <= cells


def test_middle_keeps_beginning_length_and_end() -> None:
    """The end of a long command is never hidden, and the length left out is said."""
    shown = display.middle("rm -rf " + "x" * 5000 + " /home", 60)
    assert display.width(shown) <= 60
    assert shown.startswith("rm -rf xxx")
    assert shown.endswith("x /home")
    left_out = int(shown.split("⋯")[1].replace(" ", ""))
    assert left_out + len(shown.replace(shown[shown.index(" ⋯") : shown.rindex("⋯ ") + 2], "")) == 5013


@given(ANY, st.integers(1, 60))
def test_tmux_formats_expand_nothing(text: str, cells: int) -> None:
    """Every # is doubled and nothing odd is left, so `#(…)`, `#[…]` and `#{…}` are words."""
    out = display.for_tmux(text, cells)
    assert "#" not in out.replace("##", "")
    assert not any(map(odd, out))
    assert display.width(out.replace("##", "#")) <= cells


def test_tmux_messages_double_percent_too() -> None:
    """display-message also runs strftime over its argument."""
    assert display.for_tmux("#(touch f) %H", 40) == "##(touch f) %H"
    assert display.for_tmux_message("#(touch f) %H") == "##(touch f) %%H"
    assert display.for_tmux("x" * 1000, 5) == "xxxx…"
    assert display.for_tmux("\u200b" * 1000 + "end", 12).endswith("…")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-5, "0:00"), (12, "0:12"), (65, "1:05"), (599, "9:59"), (720, "12 min"), (7200, "2 h"), (200_000, "2 d")],
)
def test_durations(seconds: float, said: str) -> None:
    """Counting while it is short, rounded when it is long, never negative."""
    assert display.ago(seconds) == said


def test_width_is_in_cells() -> None:
    """Wide characters are two, combining ones none."""
    assert display.width("abc") == 3
    assert display.width("日本") == 4
    assert display.width("e\u0301") == 1


@pytest.mark.parametrize("piece", ["\x1b", "日", "e\u0301", "\u200b", "a", "\u0301"])
def test_speed_is_linear(piece: str) -> None:
    """A hundred thousand hostile characters hold nothing up, in every function: squared they would for minutes."""
    text = piece * 100_000
    started = time.process_time()
    shown = display.safe(text)
    display.middle(shown, 80)
    display.for_tmux(text, 80)
    assert time.process_time() - started < 20


def test_blanks_that_are_drawn_are_plain_ones_as_wide() -> None:
    assert display.blanks("❯\u00a0Try\u2003this\u3000now") == "❯ Try this  now"
    assert display.safe("a\u00a0b") == "a⟨U+00A0⟩b"  # where it may be read by a program it is named
    for code in range(0x110000):
        if unicodedata.category(chr(code)) == "Zs":
            drawn = display.blanks(chr(code))
            assert set(drawn) <= {" ", "\u1680"}  # that one is drawn as a line
            assert len(drawn) == max(1, wcwidth(chr(code)))
