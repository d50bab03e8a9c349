"""JSON text edited in place."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmux_agent.core import json_text

_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(max_size=4), _values, max_size=4), _values, st.sampled_from([None, 2, "\t"]))
def test_put_then_cut_gives_the_bytes_back(settings: dict[str, Any], value: Any, indent: Any) -> None:
    """A new member is there, everything else is as it was; without it the text is the same, byte for byte."""
    settings.pop("ours", None)
    text = json.dumps(settings, indent=indent)
    new = json_text.put(text, ("ours",), value, json_text.indentation(text))
    assert json.loads(new) == settings | {"ours": value}
    assert json_text.cut(new, ("ours",)) == text


@given(st.lists(_values, min_size=1, max_size=4), st.data())
def test_elements_are_cut_one_by_one(listed: list[Any], data: st.DataObject) -> None:
    """Taking out an element takes out that one."""
    text = json.dumps({"a": listed}, indent=data.draw(st.sampled_from([None, 1])))
    at = data.draw(st.integers(0, len(listed) - 1))
    assert json.loads(json_text.cut(text, ("a", at))) == {"a": listed[:at] + listed[at + 1 :]}


_notes = ["// a, {note}\n", '/* "b", */', "/* c\n * d */\r\n", "//\n"]
_gaps = st.lists(st.sampled_from([" ", "\n", "\t", *_notes]), max_size=3)


@st.composite
def _commented(draw: st.DrawFn, value: Any) -> str:
    """A value as a person may write it: blanks and comments wherever they may stand, a comma before a bracket."""

    def gap() -> str:
        return "".join(draw(_gaps))

    def many(parts: list[str], brackets: str) -> str:
        if not parts:  # what is nothing but blanks there is not kept
            return brackets[0] + (gap() + "/**/" + gap() if draw(st.booleans()) else "") + brackets[1]
        last = "," if draw(st.booleans()) else ""
        return brackets[0] + ",".join(f"{gap()}{part}{gap()}" for part in parts) + last + gap() + brackets[1]

    if isinstance(value, dict):
        parts = [f"{json.dumps(name)}{gap()}:{gap()}{draw(_commented(one))}" for name, one in value.items()]
        return many(parts, "{}")
    if isinstance(value, list):
        return many([draw(_commented(one)) for one in value], "[]")
    return json.dumps(value)


@given(st.dictionaries(st.text(max_size=4), _values, max_size=3), st.data())
def test_comments_stay(settings: dict[str, Any], data: st.DataObject) -> None:
    """What is put in is there, and every comment; taken out, the text is the same, byte for byte."""
    settings = {"in": {"a": 1}, "list": []} | settings
    settings.pop("ours", None)
    text = data.draw(_gaps.map("".join)) + data.draw(_commented(settings))
    assert json_text.read(text) == settings
    for path in (("ours",), ("in", "ours"), ("list", 0)):
        if isinstance(settings.get(path[0], {}), list if path[0] == "list" else dict):
            at = (path[0], len(settings["list"])) if path[0] == "list" else path
            new = json_text.put(text, at, {"x": [1]}, json_text.indentation(text))
            held = json_text.read(new)
            rest = {"in": None, "list": None, "ours": None}
            assert held | rest == settings | rest
            assert all(note in new for note in ("// a", '/* "b"', "/* c") if note in text)
            assert json_text.cut(new, at) == text


@pytest.mark.parametrize(
    ("text", "put"),
    [
        ('{\n  "a": 1 // one\n  // the end\n}', '{\n  "a": 1, // one\n  "b": 2\n  // the end\n}'),
        ('{\n  "a": 1, // one\n}', '{\n  "a": 1, // one\n  "b": 2,\n}'),
        ('{\n  "a": 1,\n}', '{\n  "a": 1,\n  "b": 2,\n}'),
        ("{\n  // nothing yet\n}", '{\n  // nothing yet\n  "b": 2\n}'),
        ('{"a": "// no, }" /* x */}', '{"a": "// no, }", /* x */\n  "b": 2}'),
    ],
)
def test_a_comment_stays_behind_what_it_is_about(text: str, put: str) -> None:
    """And a comma before the bracket is kept, as the person has them."""
    assert json_text.put(text, ("b",), 2, "  ") == put
    assert json_text.cut(put, ("b",)) == text


@pytest.mark.parametrize(
    ("text", "taken"),
    [("// x\n{}", ("comments", "comments and commas")), ('{"a": 1,}', ("comments and commas",)),
     ('{"a": "// ,}"}', ("", "comments", "comments and commas")), ("{,}", ("comments and commas",)),
     ("/* open {}", ()), ("{} // x\n}", ())],
)  # fmt: skip
def test_what_an_agent_does_not_take_is_refused(text: str, taken: tuple[str, ...]) -> None:
    """Each program's own form of JSON."""
    for beyond in ("", "comments", "comments and commas"):
        if beyond in taken:
            json_text.refuse(text, beyond)
        else:
            with pytest.raises(ValueError, match=r"line [12]"):
                json_text.refuse(text, beyond)


def test_odd_formatting_stays() -> None:
    """Spaces, tabs and one-line lists of the person are left alone."""
    text = '{ "a" :[1,  2],\n\t"b"\t: {} }\n'
    assert json_text.indentation(text) == "\t"
    new = json_text.put(text, ("b", "c"), [1], "\t")
    assert new.startswith('{ "a" :[1,  2],\n\t"b"\t: {')
    assert json.loads(new) == {"a": [1, 2], "b": {"c": [1]}}


@pytest.mark.parametrize(
    ("text", "says"),
    [('{\n "a": 1,\n "b"}', "line 3, column 5"), ("", "line 1"), ('{"a":1,"a":2}', "'a' is there twice"),
     ("//", "line 1"), ("/*", "line 1")],
)  # fmt: skip
def test_what_is_no_json_is_said(text: str, says: str) -> None:
    """The error names the place."""
    with pytest.raises(ValueError, match=says):
        json_text.read(text)


def test_deep_nesting_is_an_error() -> None:
    """A text nested without end is refused, not a crash."""
    with pytest.raises(ValueError, match="deeply"):
        json_text.read("[" * 100_000)


def test_missing_places_are_an_error() -> None:
    """There is nothing to put into or to cut."""
    with pytest.raises(LookupError):
        json_text.put("{}", ("a", "b"), 1, "  ")
    with pytest.raises(LookupError):
        json_text.cut("{}", ("a",))
