"""core/config.py: every error of a file at once, and no file that costs more than reading it."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from tmux_agent.core import config
from tmux_agent.core.secret import Secret


class Inner(Struct, frozen=True, kw_only=True):
    size: int = 3
    wait: float = 1.0


class Outer(Struct, frozen=True, kw_only=True):
    name: str = ""
    colour: Literal["red", "green"] = "red"
    inner: Inner = Inner()
    words: tuple[str, ...] = ()
    either: str | tuple[str, ...] = ()
    table: dict[str, int] = {}
    needed: int
    line: int = 0


def errors(text: str) -> list[str]:
    return [str(error) for error in config.load(text, "f.yaml", Outer)[1]]


def test_a_good_file_becomes_the_struct() -> None:
    """Every kind of field arrives typed; `line` is where the mapping begins."""
    value, wrong = config.load(
        "# head\nneeded: 1\ninner: {size: 4, wait: 5m}\nwords: [a, b]\neither: x\ntable: {a: 1}\n", "f.yaml", Outer
    )
    assert wrong == ()
    assert value == Outer(
        needed=1, inner=Inner(size=4, wait=300.0), words=("a", "b"), either="x", table={"a": 1}, line=2
    )


def test_all_errors_come_at_once_with_their_lines() -> None:
    """Unknown key, wrong type, wrong choice, missing key: four errors, each with line, path and a hint."""
    found = errors("nam: x\ninner:\n  size: big\ncolour: gren\n")
    assert "lacks the key needed" in " ".join(found)
    text = "\n".join(found)
    assert "f.yaml:1: nam: is not a known key, did you mean name?" in text
    assert "f.yaml:3: inner.size: has to be a whole number, not 'big'" in text
    assert "did you mean green?" in text
    assert len(found) == 4


def test_a_number_in_place_of_text_says_quote_it() -> None:
    """`words: [5]` is the commonest slip in lists of options; the error says how to write it."""
    assert errors("needed: 1\nwords: [5]\n") == ['f.yaml:2: words[0]: has to be text: write "5" in quotes']


def test_one_word_stands_for_a_list_of_it() -> None:
    """A word without blanks; one with blanks may be meant for several, and the error shows them as a list."""
    value, _ = config.load("needed: 1\nwords: any\n", "f.yaml", Outer)
    assert value is not None
    assert value.words == ("any",)
    assert errors("needed: 1\nwords: git push\n") == [
        'f.yaml:2: words: has to be a list ([git, push] or ["git push"], or lines with a dash)'
    ]
    assert errors("needed: 1\nwords: 5\n") == ["f.yaml:2: words: has to be a list ([a, b] or lines with a dash)"]


def test_duplicate_keys_are_errors() -> None:
    """YAML lets the last one win silently; here both are looked at."""
    assert "is there twice" in errors("needed: 1\nneeded: 2\n")[0]


def test_alias_bombs_and_depth_end_quickly() -> None:
    """Nine levels of nine aliases would be 387 million words; a hundred thousand brackets would be as many frames."""
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9))
    assert errors(bomb + "needed: 1\nwords: *a8\n")
    assert "nested deeper" in errors("[" * 100_000)[0]
    assert "more than" in errors("a" * 2_000_000)[0]


@given(st.text(max_size=200))
def test_no_text_makes_it_raise(text: str) -> None:
    """Whatever the file holds, the answer is a value or errors, never both and never an exception."""
    value, wrong = config.load(text, "f.yaml", Outer)
    assert (value is None) == bool(wrong)


class Keyed(Struct, frozen=True, kw_only=True):
    url: str | Secret = ""
    name: str = ""
    urls: tuple[str | Secret, ...] = ()
    table: dict[str, str | Secret] = {}
    inner: Inner = Inner()
    anything: Any = None


def keyed(text: str) -> tuple[Keyed | None, list[str]]:
    value, wrong = config.load(text, "f.yaml", Keyed)
    return value, [str(one) for one in wrong]


def test_a_secret_is_named_where_the_type_takes_one() -> None:
    """By its canonical name, also in lists, as a list, and in mappings."""
    token = Secret("NTFY_URL")
    assert keyed("url: !secret ntfy_url\nurls: [a, !secret NTFY_URL]\ntable: {x: !secret Ntfy_Url}\n") == (
        Keyed(url=token, urls=("a", token), table={"x": token}), []
    )  # fmt: skip
    assert keyed("urls: !secret ntfy_url\n") == (Keyed(urls=(token,)), [])


@pytest.mark.parametrize("text", [
    "name: !secret x", "inner: !secret x", "inner: {size: !secret x}", "anything: !secret x"
])
def test_a_key_that_takes_no_secret_says_which_do(text: str) -> None:
    """With file, line and path."""
    found, wrong = keyed(text)
    assert found is None
    assert "takes no secret; keys that do: url, urls[], table.*" in wrong[0], wrong
    assert wrong[0].startswith("f.yaml:1: ")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("url: !secret a-b", "'a-b' is no name of a secret"),
        ("url: !secret", "'' is no name of a secret"),
        ("url: !secret [a]", "has to be !secret and one name"),
        ("url: !env X", "has the tag !env"),
        ("url: !!python/name:os.system x", "python/name"),
        ("name: !!binary aGk=", "has the tag"),
        ("url: {name: X}", "has to be text"),
    ],
)
def test_no_other_tag_and_no_other_name(text: str, said: str) -> None:
    """A tag is never taken for text, and a mapping never for a secret."""
    found, wrong = keyed(text)
    assert found is None
    assert said in wrong[0]


class Circle(Struct, frozen=True, kw_only=True, tag="circle"):
    radius: float
    line: int = 0

    def __post_init__(self) -> None:
        if self.radius < 0:
            raise ValueError("a radius cannot be negative")


class Square(Struct, frozen=True, kw_only=True, tag="square"):
    side: float


class Shapes(Struct, frozen=True, kw_only=True):
    shape: Circle | Square
    more: tuple[Circle | Square | str, ...] = ()
    only: Square | None = None


def test_the_key_type_tells_structs_apart() -> None:
    """Also in lists, beside texts, and where there is only one."""
    text = "shape: {type: circle, radius: 2}\nmore: [x, {side: 1, type: square}]\nonly: {type: square, side: 3}\n"
    value, wrong = config.load(text, "f.yaml", Shapes)
    assert wrong == ()
    assert value == Shapes(shape=Circle(radius=2.0, line=1), more=("x", Square(side=1.0)), only=Square(side=3.0))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("shape: {radius: 2}", "f.yaml:1: shape: lacks the key type"),
        ("shape:\n  type: circel\n  radius: 2", "f.yaml:2: shape.type: has to be one of circle, square, not 'circel'"),
        ("shape: {type: circel, radius: 2}", "did you mean circle?"),
        ("shape: {type: circle, side: 2}", "shape.side: is not a known key (known: radius)"),
        ("shape: {type: circle, type: square, side: 2}", "shape: has more than once the key type"),
        ("shape: {type: [circle], side: 2}", "shape.type: has to be one of"),
        ("shape: {type: circle, radius: -1}", "shape: a radius cannot be negative"),
        ("shape: circle", "shape: has to be a mapping"),
    ],
)
def test_what_is_no_such_struct_is_said(text: str, said: str) -> None:
    """With the line, and nothing raised; what __post_init__ refuses is an error of the file."""
    value, wrong = config.load(text, "f.yaml", Shapes)
    assert value is None
    assert any(said in str(error) for error in wrong), wrong
