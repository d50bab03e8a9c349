"""Variables, substitutions and loops against bash itself: it runs no command that was not read, word for word."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.core.shell_oracle import bash_runs

from tmux_agent.core.shell import Opaque, Simple, parse, runs_of
from tmux_agent.core.shell_parts import Given, Word

FILES = ("a", "b c", "-d", "x.m", "y.m", "[z]", ".h")
GLOBS = {"*.m": ("x.m", "y.m"), "*": ("-d", "[z]", "a", "b c", "f", "x.m", "y.m"), "?": ("a", "f"), "n*": ("n*",)}
VALUES = [
    "1", "'p q'", "'*'", '"$b"', "$b", "$(echo p q)", '"$(echo r)"', "`echo s`", "", "$HOME", '"${b%1}"', "x$b",
    "$((1 + 2))", "'q[$(c z)]'", "$((a + 1))", "$((b))", "$(echo 5 | wc -l)", "7",
]  # fmt: skip
WORDS = [
    "$a", '"$a"', '"${b}"', "$b", "w", "'$a'", '"v$a"', "$(echo $a)", '"$(c "$a")"', "${a%m}", "*.m", "$(seq 2)",
    '"$b$a"', '"$((a))"', "$((b + 1))", "$((a++))", '"${a%.*}"', '"${b##*/}"', "${a^^}", '"${b:0:1}"',
]  # fmt: skip
STARTS = [
    "for a in 1 'p q'; do ", "for a in *.m; do ", "for a in *; do ", "for b in ?; do ", "for b in n*; do ",
    "for b in $(echo p '*'); do ", "for a in $b; do ", "for b in {1..2}; do ", "for a in $(c); do ",
    "while read -r a; do ", "while IFS= read -r a; do ", "while read -r a b; do ", "while read a; do ",
    'if [ -n "$a" ]; then ', "if [[ $a == 1 && -f a ]]; then ", "if c; then ", "{ ", "( ", "until [ -f a ]; do ",
    "case $a in 1) c;; p*|x) ", "case x in *) ", "for ((a=0; a<2; a++)); do ", "for ((b=a; b<2; b++)); do ",
    "if ((a > 0)); then ",
]  # fmt: skip
OTHERS = [
    "read -r a < f", "unset a", "echo $a", '[[ "$a" =~ p ]]', '! c "$b"', "a=1 c $a", "true", "break", "b=2 b=3",
    "((a++))", "((b = a + 1))", "c <<E\n$(c $b)$((a))\nE\n", "read -r a <<< 'q[$(c z)]'",
]  # fmt: skip
JOINS = ["; ", " && ", " || ", "\n", " | ", " & "]


def _simple() -> st.SearchStrategy[str]:
    setting = st.builds("{}={}".format, st.sampled_from("ab"), st.sampled_from(VALUES))
    command = st.lists(st.sampled_from(WORDS), max_size=3).map(lambda words: " ".join(["c", *words]))
    other = st.sampled_from(OTHERS)
    return command | setting | other


def _block(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    def block(start: str, body: str, end: str, feed: str) -> str:
        closed = {"f": "done", "w": "done", "u": "done", "i": "fi", "{": "}", "(": ")", "c": "esac"}[start[0]]
        return f"{feed}{start}{body}; {closed}{end}"

    ends = st.sampled_from(["", "", " < f", " < <(echo n; echo o)", " <<< m", " | c"])
    feeds = st.sampled_from(["", "", "", "echo k | ", "echo k l | cat | ", "c | ", "! "])
    return st.builds(block, st.sampled_from(STARTS), inner, ends, feeds)


def _joined(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds(lambda first, join, second: f"{first}{join}{second}", inner, st.sampled_from(JOINS), inner)


programs = st.recursive(_simple(), lambda inner: _block(inner) | _joined(inner), max_leaves=8)


def _patterns(text: str, given: Given = ()) -> list[re.Pattern[str]] | None:
    """What is said of each command's words; None where something of the text is not read."""
    turns: dict[tuple[int, tuple[str, ...]], tuple[str, ...]] = {}
    for _ in range(5):
        parts = parse(text, "bash", given, turns)
        for part in parts:
            if isinstance(part, Opaque) and part.turns:
                values = [v for word in part.turns for v in (GLOBS[word.text] if word.kind == "glob" else (word.text,))]
                turns[part.start, tuple(word.text for word in part.turns)] = tuple(values)
    found: list[re.Pattern[str]] = []
    for part in parts:
        if not isinstance(part, Simple):
            return None
        words = [*part.words, *(a.value for a in part.assignments), *(r.target for r in part.redirects if r.target)]
        if any(word.kind == "opaque" for word in words):
            return None
        for run in runs_of(part):
            inner = _patterns(run.text, run.given)
            if inner is None:
                return None
            found += inner
        found.append(re.compile("".join(map(_pattern, part.words)), re.DOTALL))
    return found


def _pattern(word: Word) -> str:
    if word.kind == "glob":
        return "".join(re.escape(name) + "\x1f" for name in GLOBS[word.text])
    if word.kind == "literal":
        return re.escape(word.text) + "\x1f"
    if word.splits:
        return "(?:[^\x1f]*\x1f)*"
    before, behind = word.around
    return f"{re.escape(before)}[^\x1f]*{re.escape(behind)}\x1f"


def _is_said(command: Sequence[str], patterns: Sequence[re.Pattern[str]]) -> bool:
    record = "".join(word + "\x1f" for word in command)
    return any(pattern.fullmatch(record) for pattern in patterns)


@settings(
    max_examples=int(os.environ.get("TMUX_AGENT_TEST_EXAMPLES", "100")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much, HealthCheck.too_slow],
)
@given(text=programs)
@example('for a in *; do c "$a"; done')
@example('b=1; for a in $b; do c $a; done; c "$b"')
@example('echo k l | while read -r a; do b=$a; c "$b" "$a"; done')
def test_every_command_is_one_that_was_read(tmp_path: Path, text: str) -> None:
    """Whatever commands end with, their words are those that were said, or stand where anything may."""
    folder = tmp_path / "work"
    folder.mkdir(exist_ok=True)
    for name in FILES:
        (folder / name).write_text("")
    (folder / "f").write_text("one two\n* \n")
    patterns = _patterns(text)
    if patterns is None or re.search(r"\b(while|until)\b(?! (IFS= )?read)", text):
        return
    for answer in (0, 1):
        for command in bash_runs(text, folder, answer):
            if command[0] not in ("seq", "cat"):
                assert _is_said(command, patterns), (text, command, patterns)
