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


def test_odd_formatting_stays() -> None:
    """Spaces, tabs and one-line lists of the person are left alone."""
    text = '{ "a" :[1,  2],\n\t"b"\t: {} }\n'
    assert json_text.indentation(text) == "\t"
    new = json_text.put(text, ("b", "c"), [1], "\t")
    assert new.startswith('{ "a" :[1,  2],\n\t"b"\t: {')
    assert json.loads(new) == {"a": [1, 2], "b": {"c": [1]}}


@pytest.mark.parametrize(
    ("text", "says"),
    [('{\n "a": 1,\n}', "line 3, column 1"), ("", "line 1"), ('{"a":1,"a":2}', "'a' is there twice"), ("//", "line 1")],
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
