"""core/shell: what is known of variables, substitutions and loops, and what is not."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tmux_agent.core.argv import conditions
from tmux_agent.core.argv.options import Fed
from tmux_agent.core.shell import Opaque, Simple, parse
from tmux_agent.core.shell_names import is_local
from tmux_agent.core.shell_numbers import is_count
from tmux_agent.core.shell_parts import Source, Word


def last(text: str) -> Word:
    """The last word of the last command of a text that holds nothing opaque."""
    parts = parse(text)
    assert not any(isinstance(part, Opaque) for part in parts), parts
    command = [part for part in parts if isinstance(part, Simple) and part.words][-1]
    return command.words[-1]


@pytest.mark.parametrize(
    "text",
    [
        'x=$(ls); echo "$x"',
        'x=`ls`; echo "$x"',
        'x=1; x=2; echo "$x"',
        'for f in $(ls); do echo "$f"; done',
        'while read -r a b; do echo "$b"; done < f',
        'while read a; do if true; then echo "$a"; fi; done',
        'for f in $(ls); do n=$(wc -l < "$f"); echo "$n"; done',
        'x=$(ls) && echo "${x%.py}"',
        'echo "${#HOME}"',
    ],
)
def test_what_a_text_sets_may_be_shown(text: str) -> None:
    """Nobody knows the value, but it comes from what is judged itself."""
    word = last(text)
    assert (word.kind, word.splits) == ("varying", False)


@pytest.mark.parametrize(
    "text",
    [
        'echo "$x"; x=1; x=2',
        'if true; then x=$(ls); fi; echo "$x"',
        'false && x=$(ls); echo "$x"',
        'true || x=$(ls); echo "$x"',
        '(x=$(ls)); echo "$x"',
        'x=$(ls) | cat; echo "$x"',
        'x=$(ls) & echo "$x"',
        '! x=$(ls); echo "$x"',
        'x=$(ls); unset x; echo "$x"',
        'read x < nowhere; echo "$x"',
        'while ! read x; do echo "$x"; done',
        'while read x; true; do echo "$x"; done',
        'while read x; do true; done; echo "$x"',
        'for x in $(ls); do true; done; echo "$x"',
        'x=$(ls) y=$(ls) echo "$x"',
        'http_proxy=$(ls); echo "$http_proxy"',
        'PATH=$(ls); echo "$IFS"',
        'echo "${!x}"',
        'x=a; printf -v x b; echo "$x"',
        'x=a; read "x"; echo "$x"',
        'bash -c "x=1" && echo "$x"',
    ],
)
def test_what_may_come_from_elsewhere_is_not_known(text: str) -> None:
    """A variable that the text has not set for certain may be one of the person's own, with a password in it."""
    parts = parse(text)
    words = [word for part in parts if isinstance(part, Simple) for word in part.words[1:]]
    assert any(isinstance(part, Opaque) for part in parts) or words[-1].kind == "opaque"


def test_a_substitution_tells_what_it_prints() -> None:
    """Alone in a word, through a variable, a loop or a pipe; the shell makes patterns of what is not quoted."""
    assert last("wc $(git ls-files)").hole == Source("git ls-files", (), True)
    assert last('wc "$(git ls-files)"').hole == Source("git ls-files")
    assert last('x=$(ls); wc "$x"').hole == Source("ls")
    assert last('for f in $(ls); do wc "$f"; done').hole == Source("ls", (), True)
    assert last('ls | sort | while read -r f; do wc "$f"; done').hole == Source("ls | sort ")
    assert last('while read -r f; do wc "$f"; done < <(ls)').hole == Source("ls")
    assert last('ls | while read -r f g; do wc "$f"; done').hole == Source("ls  | awk '{print $1}'")
    assert last('find . -print0 | while IFS= read -r -d "" f; do wc "$f"; done').hole == Source(
        "find . -print0 ", zero=True
    )
    inner = last('d=src; echo "$(ls $d)"').runs[0]
    assert (inner.text, inner.given) == ("ls $d", (("d", "src"),))
    assert last('git diff "$(git merge-base a b)"..HEAD').around == ("", "..HEAD")


@pytest.mark.parametrize(
    "text",
    [
        'ls | while read -r f; do wc "$f"; done < names',
        'ls | while read -r f; do wc "$f"; done <<< names',
        'ls | while read -r f; do wc "$f"; done < <(ls) < names',
        'ls |& while read -r f; do wc "$f"; done',
        'ls | while read -r f g; do wc "$g"; done',
        'ls | while IFS=, read -r f g; do wc "$f"; done',
        'ls | while IFS=/ read -r f; do wc "$f"; done',
        'ls | while read -r f; do head -c 3; wc "$f"; done',
        'ls | while read -r f; do read g; wc "$f"; done',
        'ls | { while read -r f; do wc "$f"; done; }',
        'cd a; x=$(ls); cd ..; wc "$x"',
        'for f in $(ls) b; do wc "$f"; done',
        'x=a; x=$(ls); wc "$x"',
    ],
)
def test_whose_lines_a_loop_reads(text: str) -> None:
    """Where the input is another, or cut on the way, the names are not those of the pipe."""
    assert last(text).hole is None


def test_patterns_of_loops_are_asked_for() -> None:
    """Which names a pattern becomes comes from outside; then the body is read for each, exactly."""
    text = 'for f in *.c; do wc "$f"; done'
    (asked, *_) = parse(text)
    assert isinstance(asked, Opaque)
    known = {(asked.start, tuple(word.text for word in asked.turns)): ("a.c", "-b c.c")}
    parts = parse(text, turns=known)
    assert [[word.text for word in part.words] for part in parts if isinstance(part, Simple)] == [
        ["wc", "a.c"],
        ["wc", "-b c.c"],
    ]


@pytest.mark.parametrize("text", ["[[ -f a && ! $HOME == b* ]]", "[[ 1 -lt $? ]]", '[[ -n "$(ls)" || a =~ ^b+$ ]]'])
def test_brackets_that_are_read(text: str) -> None:
    """Files, texts, and numbers that are numbers."""
    assert not isinstance(parse(text)[0], Opaque)


@pytest.mark.parametrize(
    "text",
    [
        "[[ a[$(touch M)] -eq 1 ]]",
        "[[ 'a[$(touch M)]' -eq 1 ]]",
        "[[ x -eq 1 ]]",
        "[[ $SECONDS -eq 1 ]]",
        "[[ $(cat f) -eq 1 ]]",
        "[[ $(echo a; ls | wc -l) -eq 1 ]]",
        "[[ -v x ]]",
        "[[ -R x ]]",
        "[[ -o x ]]",
        "[[ a < b ]]",
        "[[ ( a == b ) ]]",
        "[[ a ]]",
        "[[ -f a &&\n-f b ]]",
        "[[ == == == ]]",
        "[[ a == b ]] > f",
    ],
)
def test_brackets_that_compute_are_not_read(text: str) -> None:
    """bash evaluates what it compares as numbers, subscripts and all."""
    assert any(isinstance(part, Opaque) for part in parse(text))


def test_words_that_are_tested_as_text() -> None:
    """An unknown word may only stand where it is a text, whatever it is."""
    text, names = Fed(unknown=True, single=True), Fed(("/w/a",), single=True)
    assert conditions.known("[", ["-n", text, "]"]) == ["text"]
    assert conditions.known("test", [text, "=", "a"]) == ["text", "=", "a"]
    assert conditions.known("[", ["!", text, "-gt", "3", "]"]) == ["text", "-gt", "3"]
    assert conditions.known("[", ["-f", names, "]"]) == ["-f", names]
    assert conditions.known("[", [text, "]"]) == ["text"]
    assert conditions.known("test", ["!", text]) == ["text"]
    assert conditions.known("test", [Fed(unknown=True)]) is None
    for words in ([text, "a"], [text, text], [text, "-a", "b"], ["-v", text], ["a", "-nt", text], ["-o", text]):
        assert conditions.known("[", [*words, "]"]) is None
    assert conditions.known("[", [text, "=", "a", "-a", "-v", "x", "]"]) is None
    assert conditions.known("[", ["-n", Fed(unknown=True), "]"]) is None
    assert conditions.known("[[", ["-n", text, "&&", "a", "==", text, "]]"]) == ["text", "a", "==", "text"]


@pytest.mark.parametrize(("text", "counts"), [
    ("git ls-files | wc -l", True), ("a|b|grep -c x", True), ("wc -l < a.txt", True),
    ("git rev-list --count HEAD", True),
    ("wc -l a.txt", False), ("a; b | wc -l", False), ("a || b | wc -l", False), ("a \\| wc -l", False),
    ("a # | wc -l", False), ("echo $(a | wc -l) x", False), ("grep -c x a b", False),
    ("grep -rc x a", False), ("grep -c x -r", False), ('grep -c x "$f"', False), ("grep -c x a", True),
    ("date +%s", True), ("git rev-list --count HEAD --header", True), ('git rev-list --count "$a"..b', True),
    ("git rev-list --count $a", False), ("git ls-files | xargs wc -l", False), ("grep -n x a | cut -d: -f1", False),
])  # fmt: skip
def test_what_prints_one_number(text: str, counts: bool) -> None:
    """Only what surely ends with a count, and prints nothing else."""
    assert is_count(Source(text)) is counts


def test_names_that_mean_nothing() -> None:
    """Others may change what programs do."""
    assert all(map(is_local, ("f", "line", "F", "BRANCH", "VERSION", "my_file")))
    others = ("PATH", "IFS", "http_proxy", "npm_config_x", "histchars", "GIT_DIR", "LD_PRELOAD", "ENV")
    assert not any(map(is_local, others))


PRINTED = ['"$a"', '"$b"', '"${a}x"', '"-$b-"', "c", "'$a'", '"${b%c}"', '"${#a}"', '"$(echo "$a")"', '"$(echo q)"']
STEPS = [
    "a=1; ", "b=c; ", "a=$(echo p q); ", "b=$(echo '*'); ", 'a="$b"; ', "a=1 && ", "b=$(false) || ", "done; ",
    "for a in 1 2; do ", "for b in $(echo x y); do ", "for a in *; do ", "while read -r b; do ", "done < f; ",
    "done < <(echo n; echo m); ", "echo 1 | ", "{ ", "}; ", "(", "); ", "if true; then ", "else ", "fi; ",
    'if [ -n "$a" ]; then ', "unset a; ", "read b < f; ", "[[ $a == 1 ]] && ", "true; ", "! ", "false && ", "& ",
]  # fmt: skip
SECRET = "hidden-in-the-environment"
programs = st.lists(
    st.sampled_from(STEPS) | st.lists(st.sampled_from(PRINTED), max_size=3).map(lambda w: f"echo {' '.join(w)}; "),
    min_size=1,
    max_size=9,
).map("".join)


def understood(text: str) -> bool:
    """Whether a text is read and every echo in it prints only what it may."""
    for part in parse(text, turns={(at, ("*",)): ("f",) for at in range(len(text))}):
        if isinstance(part, Opaque):
            return False
        for word in (*part.words, *(assignment.value for assignment in part.assignments)):
            if word.kind == "opaque" or word.splits:
                return False
    return True


@settings(max_examples=int(os.environ.get("TMUX_AGENT_TEST_EXAMPLES", "150")), deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much])  # fmt: skip
@given(text=programs)
def test_nothing_of_the_environment_is_shown(tmp_path: Path, text: str) -> None:
    """Of what is read no variable that the person has set shows, however it is nested: bash itself is asked."""
    if not understood(text):
        return
    (tmp_path / "f").write_text("one\ntwo\n")
    environ = {"PATH": "/usr/bin:/bin", "a": SECRET, "b": SECRET, "LC_ALL": "C.UTF-8"}
    limit = "ulimit -t 2; "
    result = subprocess.run(
        ["timeout", "5", "/bin/bash", "-c", limit + text],
        cwd=tmp_path,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    assert SECRET.encode() not in result.stdout, text
