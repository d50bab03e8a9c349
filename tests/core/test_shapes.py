"""core/shapes.py: what may be approved with one key, and what never may."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tmux_agent.core import shell
from tmux_agent.core.calls import Invocation
from tmux_agent.core.effects import describe, touched
from tmux_agent.core.facts import Lookup
from tmux_agent.core.model import (
    Action,
    Approval,
    Ask,
    Command,
    Fetch,
    File,
    JudgedPart,
    Mcp,
    Origin,
    Patch,
    Risk,
    Role,
    Shell,
    Stage,
    Tmux,
    Tool,
    Verdict,
    digest,
)
from tmux_agent.core.shapes import shape
from tmux_agent.core.shell_parts import Simple

HOME = "/home/ana/shop"
AGENT = Origin(
    role=Role.AGENT, why="test", uid=1000, pid=7, started=9, agent="claude", session="s", cwd=HOME, worktree=HOME,
    pane="%7", server="/tmp/t", branch="main",
)  # fmt: skip


def asked(action: Action, **more: Any) -> Approval:
    given = {"origin": AGENT, "rule": "unmatched", "where": "default", "risk": Risk.MEDIUM, **more}
    return Approval(
        request_id="01K", digest=digest(action), action=action, created=datetime(2026, 11, 20, tzinfo=UTC), **given
    )


def sh(text: str) -> Shell:
    return Shell(text=text, cwd=HOME)


def run(*argv: str) -> Command:
    return Command(argv=argv, cwd=HOME)


def file(verb: str, path: str, **more: Any) -> File:
    return File(verb=verb, path=path, cwd=HOME, **more)  # type: ignore[arg-type]


def alike(one: Action, other: Action) -> bool:
    return shape(asked(one)) == shape(asked(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (run("touch", "a"), run("touch", "b")),
        (run("rm", "-rf", "build"), run("rm", "-rf", "dist", "out")),
        (sh("rm -rf build"), sh("rm -rf dist")),
        (sh("mkdir -p a/b && touch a/b/c"), sh("mkdir -p x && touch x/y")),
        (sh("echo one > a.txt"), sh("echo two > b.txt")),
        (sh("sed -i s/a/b/ one.py"), sh("sed -i s/a/b/ two.py three.py")),
        (run("chmod", "644", "a"), run("chmod", "644", "b")),
        (run("cp", "a", "out/"), run("cp", "b", "out/")),
        (file("edit", f"{HOME}/a.py", old_text="x"), file("edit", f"{HOME}/src/b.py", old_text="y")),
        (file("delete", "a"), file("delete", "b")),
        (Fetch(url="https://example.org/a?b=1"), Fetch(url="https://example.org/c")),
        (Ask(prompt="Go on?"), Ask(prompt="Go on?")),
        (run("make", "deploy"), run("make", "deploy")),
    ],
)
def test_alike(one: Action, other: Action) -> None:
    """Only names of files in the asker's folder differ, or a text that is printed, or nothing."""
    assert alike(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (run("rm", "a"), run("touch", "a")),
        (run("rm", "a"), run("rm", "-r", "a")),
        (run("rm", "a"), run("/tmp/rm", "a")),
        (run("rm", "a"), run("rm", "/etc/passwd")),
        (run("rm", "/etc/hosts"), run("rm", "/etc/passwd")),
        (run("rm", "a"), run("rm", "../a")),
        (run("rm", "a"), run("rm", "a/../../b")),
        (run("rm", "-r", "a"), run("rm", "-r", ".")),
        (run("rm", "a"), run("rm", ".git/index")),
        (run("ls"), run("ls", "a")),
        (run("mkdir", "-m", "700", "a"), run("mkdir", "-m", "777", "a")),
        (run("chmod", "644", "a"), run("chmod", "777", "a")),
        (run("cp", "a", "out/"), run("cp", "a", "bin/")),
        (run("sed", "-i", "s/a/b/", "x"), run("sed", "-i", "s/a/b/e", "x")),
        (run("git", "add", "a"), run("git", "rm", "a")),
        (run("git", "-C", "x", "add", "a"), run("git", "-C", "y", "add", "a")),
        (run("make", "test"), run("make", "deploy")),
        (run("npm", "install", "left-pad"), run("npm", "install", "right-pad")),
        (run("python", "a.py"), run("python", "b.py")),
        (run("kill", "12"), run("kill", "1")),
        (run("touch", "a"), sh("touch a")),
        (run("touch", "a"), Command(argv=("touch", "b"), cwd="/srv")),
        (run("touch", "a"), Command(argv=("touch", "b"), cwd=HOME, env={"LD_PRELOAD": "x"})),
        (Command(argv=("cat",), cwd=HOME, stdin="a"), Command(argv=("cat",), cwd=HOME, stdin="b")),
        (sh("touch a"), sh("touch a; touch b")),
        (sh("touch a && touch b"), sh("touch a || touch b")),
        (sh("touch a"), sh("X=1 touch b")),
        (sh("touch a"), sh("touch $b")),
        (sh("touch a"), sh("touch *")),
        (sh("touch a"), sh("touch ~/b")),
        (sh("touch a"), sh("touch $(rm -rf /)")),
        (sh("cat a"), sh("cat <(rm b)")),
        (sh("echo a"), sh("echo b | sh")),
        (sh("echo a"), sh("echo a > b")),
        (sh("echo a > b.txt"), sh("echo a > Makefile")),
        (sh("echo a > b.txt"), sh("echo a > c.sh")),
        (sh("echo a 2> /dev/null"), sh("echo a 2> /dev/sda")),
        (sh("cat << E\na\nE"), sh("cat << E\nb\nE")),
        (file("edit", "a.md"), file("edit", "a.sh")),
        (file("edit", "a.md"), file("write", "a.md")),
        (file("write", "a.py"), file("write", "b.py", overwrite=True)),
        (file("write", "Makefile"), file("write", "Dockerfile")),
        (file("write", "a.py"), file("write", "/etc/a.py")),
        (file("write", "a.yml"), file("write", ".github/a.yml")),
        (file("copy", "a", target="b.md"), file("copy", "a", target="b.sh")),
        (Fetch(url="https://example.org/a"), Fetch(url="https://example.com/a")),
        (Fetch(url="https://example.org/a"), Fetch(url="http://example.org/a")),
        (Fetch(url="https://example.org/a"), Fetch(url="https://x@example.org/a")),
        (Fetch(url="https://example.org/a"), Fetch(url="https://example.org/a", method="DELETE")),
        (Fetch(url="https://example.org/a", method="POST"), Fetch(url="https://example.org/b", method="POST")),
        (Mcp(server="s", tool="t", arguments={"do": "list"}), Mcp(server="s", tool="t", arguments={"do": "drop"})),
        (Tool(name="Agent", arguments={"a": 1}), Tool(name="Agent", arguments={"a": 2})),
        (Tmux(verb="send_text", target="%1", text="ls"), Tmux(verb="send_text", target="%1", text="rm")),
        (Tmux(verb="kill_pane", target="%1"), Tmux(verb="kill_pane", target="%2")),
        (Stage(pipeline="p", stage="a"), Stage(pipeline="p", stage="b")),
        (Ask(prompt="Delete staging?"), Ask(prompt="Delete production?")),
        (Patch(text="a", changes=(file("edit", "a.py"),), cwd=HOME),
         Patch(text="b", changes=(file("edit", "a.py"), file("delete", "b")), cwd=HOME)),
    ],
)  # fmt: skip
def test_not_alike(one: Action, other: Action) -> None:
    """Another program, option, place, machine, text, or anything that is not known to be harmless to confuse."""
    assert not alike(one, other)


CHANGES: dict[str, Callable[[Approval], Approval]] = {
    "kind": lambda one: replace(one, kind="hook"),
    "rule": lambda one: replace(one, rule="another"),
    "where": lambda one: replace(one, where="policy.yaml:4"),
    "risk": lambda one: replace(one, risk=Risk.HIGH),
    "on_timeout": lambda one: replace(one, on_timeout=Verdict.ALLOW),
    "parts": lambda one: replace(one, parts=(JudgedPart(source="touch b", verdict=Verdict.ASK, risk=Risk.HIGH),)),
    "step_up": lambda one: replace(one, step_up=("true",)),
    **{
        name: lambda one, name=name, value=value: replace(one, origin=replace(one.origin, **{name: value}))  # type: ignore[misc]
        for name, value in {
            "agent": "codex", "session": "t", "pane": "%8", "server": "/tmp/u", "worktree": "/home/ana",
            "cwd": "/home/ana/shop/x", "branch": "dev", "uid": 1, "door": "hook",
            "process": "8:1",
        }.items()
    },
}  # fmt: skip


@pytest.mark.parametrize("what", CHANGES)
def test_another_asker_or_judgement_is_another_shape(what: str) -> None:
    """Never across agents, sessions, panes, roots, rules, risks."""
    one, other = asked(run("touch", "a")), asked(run("touch", "b"))
    assert shape(one) == shape(other)
    assert shape(one) != shape(CHANGES[what](other))


def test_what_an_asker_calls_itself_says_nothing() -> None:
    """The kernel shows who it is; a name is a claim, and comes when it likes."""
    one, other = asked(run("touch", "a")), asked(run("touch", "b"), origin=replace(AGENT, name="somebody"))
    assert shape(one) == shape(other)


def test_some_are_answered_alone() -> None:
    """What wants a proof of the person, or a choice, or keys in a pane."""
    assert shape(asked(run("touch", "a"), origin=replace(AGENT, door="screen"))) is None
    assert shape(asked(run("touch", "a"), step_up=("true",))) is None
    assert shape(asked(Ask(prompt="Which?", options=("a", "b")), kind="question")) is None


def test_without_a_folder_of_its_own_names_do_not_vary() -> None:
    """An asker that works in the root, or right below it: all of the machine would be its own."""
    for home in ("/", "/root", ""):
        origin = replace(AGENT, cwd=home, worktree="")
        one = asked(Command(argv=("rm", f"{home}/a"), cwd=home), origin=origin)
        other = asked(Command(argv=("rm", f"{home}/b"), cwd=home), origin=origin)
        assert shape(one) != shape(other)


# --- effects -----------------------------------------------------------------------------------------

_PROGRAMS = st.sampled_from(
    [
        *("rm", "rmdir", "touch", "mkdir", "cat", "head", "tail", "ls", "wc", "stat", "chmod", "chown", "cp", "mv"),
        *("ln", "sed", "echo", "tee", "dd", "git", "npm", "find", "sort", "curl", "sh", "python", "kill", "truncate"),
        *("shred", "xargs", "env", "sudo"),
    ]
)
_WORDS = st.sampled_from(
    [
        *("a", "b", "src/c", "x.py", "y.sh", ".git/config", "/etc/passwd", "../up", ".", "/", "-r", "-rf", "-i", "-p"),
        *("-v", "-m", "-o", "-t", "-exec", "-delete", "add", "rm", "push", "config", "install", "--hard", "--force"),
        *("--", "777", "+x", "s/a/b/", "s/a/b/w", "of=a", "if=b", ">", ">>", "2>", "|", "&&", ";", "$X", "$(id)", "*"),
        *("~", "https://example.org"),
    ]
)
_LINES = st.lists(st.tuples(_PROGRAMS, st.lists(_WORDS, max_size=4)), min_size=1, max_size=2)


def line(parts: list[tuple[str, list[str]]]) -> str:
    return " && ".join(" ".join([program, *words]) for program, words in parts)


def effects(text: str) -> object:
    """What a text does, by the module that tells people so: an account that shapes know nothing of."""
    found: list[object] = []
    for part in shell.parse(text):
        if not isinstance(part, Simple) or any(word.kind != "literal" or word.tilde for word in part.words):
            return text
        if part.words:
            program, *args = [word.text for word in part.words]
            args = [] if program == "echo" else args  # which only prints them
            call = Invocation(program, program, tuple(args), HOME)
            verbs = {verb for verb, _ in touched(call)}
            outside = {word for _, word in touched(call) if word.startswith(("/", "..", "."))} - {"."}
            options = {word for word in args if word.startswith("-")}
            said, risk = describe(call, Lookup({}), (HOME,))
            found.append((program, verbs, outside, options, risk, said.partition(" ")[0]))
        found.append([(one.op, one.target is not None and one.target.text.startswith("/")) for one in part.redirects])
    return found


@given(_LINES, _LINES)
def test_texts_of_different_effects_never_share_a_shape(
    one: list[tuple[str, list[str]]], other: list[tuple[str, list[str]]]
) -> None:
    """By the sentences that people read: which verb on which files, which options, how bad, where out of the folder."""
    first, second = line(one), line(other)
    if alike(sh(first), sh(second)):
        assert effects(first) == effects(second)


@given(_PROGRAMS.filter(lambda one: one != "echo"), st.lists(_WORDS, max_size=4), st.lists(_WORDS, max_size=4))
def test_commands_of_one_program_with_different_effects(program: str, one: list[str], other: list[str]) -> None:
    """The same without a shell, and with the same program, where shapes are nearest."""
    first, second = run(program, *one), run(program, *other)
    if alike(first, second) and first != second:
        calls = [Invocation(program, program, action.argv[1:], HOME) for action in (first, second)]
        assert {verb for verb, _ in touched(calls[0])} == {verb for verb, _ in touched(calls[1])}
        assert describe(calls[0], Lookup({}), (HOME,))[1] == describe(calls[1], Lookup({}), (HOME,))[1]
        plain = [{word for word in action.argv if word.startswith("-")} for action in (first, second)]
        assert plain[0] == plain[1]


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_text_has_a_shape(one: str, other: str) -> None:
    """Whatever an agent writes: no failure, and different texts of unknown programs are never alike."""
    assert shape(asked(sh(one))) is not None
    if one != other:
        assert not alike(run("frobnicate", one), run("frobnicate", other))


@pytest.mark.parametrize(
    ("words", "writes"),
    [
        ("core.pager", False),
        ("--global core.pager", False),
        ("--get core.pager", False),
        ("-f a core.pager", False),
        ("core.pager x", True),
        ("core.pager --type=;x", True),  # behind the name it is the value
        ("core.pager --get", True),
        ("--unset core.pager", True),
    ],
)
def test_what_git_config_writes(words: str, writes: bool) -> None:
    call = Invocation("git", "git", ("config", *words.split()), "/r")
    assert bool(touched(call)) is writes
