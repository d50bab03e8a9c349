"""core/shell_arith, and which names shell text knows to be numbers."""

from __future__ import annotations

import pytest

from tmux_agent.core import shell_arith
from tmux_agent.core.shell import Opaque, Simple, parse
from tmux_agent.core.shell_parts import Word


@pytest.mark.parametrize(
    ("inner", "reads", "sets"),
    [
        ("1 + 2 * (3 - 4) % 5", "", ""),
        ("a + $b - ${c}", "a b c", ""),
        ("i++", "i", "i"),
        ("--i", "i", "i"),
        ("i += 2", "i", "i"),
        ("i = j", "j", "i"),
        ("i = i + 1", "i", "i"),
        ("a == b && a != c || !d", "a b c d", ""),
        ("a ? b : c, d <<= 1", "a b c d", "d"),
        ("${#x} + $# + $?", "", ""),
    ],
)
def test_what_is_read_and_set(inner: str, reads: str, sets: str) -> None:
    found = shell_arith.read(inner)
    assert found is not None
    assert (set(found.reads) - found.sets | (found.reads & found.sets), set(found.sets)) == (
        set(reads.split()),
        set(sets.split()),
    )


@pytest.mark.parametrize(
    "inner",
    [
        *("a[0]", "a[$(touch M)]", "x$n", "$a$b", "1$n", "a.b", "'1'", '"a"', "`ls`", "${a:-1}", "${!a}", "16#ff"),
        *("1;2", "$(ls)x", "$(ls", "\\1", "@"),
    ],
)
def test_what_may_be_computed_once_more_is_not_read(inner: str) -> None:
    """A subscript holds commands; text beside a variable makes another name of both."""
    assert shell_arith.read(inner) is None


def test_where_it_is_closed() -> None:
    """Only brackets that are closed side by side; else they are two subshells."""
    for text, end in (
        ("((1))x", 5),
        ("((a(b)))", 8),
        ("(($(ls ')'))) y", 13),
        ("((ls) | (ls))", -1),
        ("((ls); ls)", -1),
    ):
        assert shell_arith.closed(text, 0) == end
    for text in ("((1)", "(('a'))", "((a`b`))", "((a\\))", "((a # ))", "((a\n))"):
        assert shell_arith.closed(text, 0) == -1


def last(text: str) -> Word | None:
    """The last word of the last command; None where something of the text is opaque."""
    parts = parse(text)
    words = [word for part in parts if isinstance(part, Simple) for word in part.words]
    if any(isinstance(part, Opaque) for part in parts) or any(word.kind == "opaque" for word in words):
        return None
    return [part for part in parts if isinstance(part, Simple) and part.words][-1].words[-1]


def number(text: str) -> bool:
    """Whether the last word is known to be a number."""
    word = last(text)
    return word is not None and word.kind == "varying" and word.hole is not None and word.hole.number


@pytest.mark.parametrize(
    "text",
    [
        "echo $((1 + 2))",
        "a=5; b=7; echo $((a * b))",
        'n=0; n=$((n + 1)); echo "$n"',
        "n=0; for f in a b; do n=$((n + $(wc -l < $f))); done; echo $n",
        "i=3; until [ $i -eq 0 ]; do echo $i; ((i--)); done; echo $((i))",
        "for ((i=0; i<3; i++)); do echo $i; done",
        "seq 3 | while read n; do echo $((n * n)); done",
        "s=$(grep -n x a.txt | cut -d: -f1); echo $((s + 5))",
        "n=$(git ls-files | wc -l); echo $((n - 1))",
        "x=${#HOME}; n=1; n=$n; n=2; echo $((n))",
    ],
)
def test_numbers_by_construction(text: str) -> None:
    assert number(text)


@pytest.mark.parametrize(
    "text",
    [
        "echo $((n))",
        "n=$((n + 1)); echo $((n))",
        "((n++)); echo $((n))",
        "n='a[$(touch M)]'; echo $((n))",
        "n=1; n='a[$(touch M)]'; echo $((n))",
        "n=1; n+=a; echo $((n))",
        "n=1; read n < f; echo $((n))",
        "n=1; read -r x n <<< 'a b'; echo $((n))",
        "n=1; for n in 1 'a[$(touch M)]'; do echo $((n)); done",
        "n=1; unset n; echo $((n))",
        "n=1; printf -v n x; echo $((n))",
        "n=1; export n=a; echo $((n))",
        "n=1; declare n=a; echo $((n))",
        "n=1; mapfile n < f; echo $((n))",
        "n=1; wait -p n; echo $((n))",
        "n=1; builtin read n; echo $((n))",
        "x=n; n=1; read -r $x < f; echo $((n))",
        "x=n; n=1; unset $x; echo $((n))",
        "n=1; read -r {n,m} < f; echo $((n))",
        "x=n; n=1; \"read\" -r $x < f; echo $((n))",
        "x=n; n=1; command read -r \"$x\" < f; echo $((n))",
        "n=$(cat f); echo $((n))",
        "n=$(ls); n=1; echo $((n))",
        "m=$(ls); n=$m; echo $((n))",
        "m=$(ls); n=$((m)); echo $((n))",
        "if true; then n=1; fi; echo $((n))",
        "(n=1); echo $((n))",
        "n=1 | true; echo $((n))",
        "n=1 & echo $((n))",
        "false && n=1; echo $((n))",
        "n=1; echo $((x$n))",
        "echo $((PATH = 1))",
        "((PATH = 1)); echo $((1))",
        "for ((PATH=0; PATH<1; PATH++)); do echo $((1)); done",
        "while read n; do echo $((n)); done < f",
        "git ls-files | xargs wc -l | while read n _; do echo $((n)); done",
    ],
)
def test_what_is_not_known_to_be_a_number(text: str) -> None:
    """bash would compute whatever the name holds, and run the commands in a subscript."""
    assert not number(text)


def test_only_bash_has_it() -> None:
    """In dash `((ls))` is two subshells."""
    for text in ("((1))", "for ((i=0; i<1; i++)); do ls; done", "if ((1)); then ls; fi"):
        assert not any(isinstance(part, Opaque) for part in parse(text, "bash"))
        assert any(isinstance(part, Opaque) for part in parse(text, "sh"))
    assert not any(isinstance(part, Opaque) for part in parse("echo $((1 + 1))", "sh"))
