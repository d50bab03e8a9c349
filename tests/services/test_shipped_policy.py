"""The shipped policy in a real folder: what an agent does all day is allowed, and nothing else is.

Lists of commands are in policy_cases/; tests/corpus holds a larger collection by another hand.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.services.policy_world import World

from tmux_agent.core.model import Shell, Verdict

CASES = Path(__file__).parent / "policy_cases"
EVERYDAY: list[str] = json.loads((CASES / "everyday.json").read_text(encoding="utf-8"))
NEVER: list[str] = json.loads((CASES / "never.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"))


@pytest.mark.parametrize("text", EVERYDAY)
def test_everyday(world: World, text: str) -> None:
    """Reading in the worktree is allowed without a question."""
    decision = world.shell(text)
    assert decision.verdict is Verdict.ALLOW, decision.reason


@pytest.mark.parametrize("text", NEVER)
def test_never(world: World, text: str) -> None:
    """Writing, running, reaching out, leaving the roots and reading secrets are not."""
    assert world.shell(text).verdict is not Verdict.ALLOW


# Section 10 of the collected bypasses: data that looks dangerous. Those that change something ask, but are not denied.
DATA = (
    ("grep", "-rn", "eval(", "src"),
    ("bash", "-c", "echo 'touch M; $(x)'"),
    ("git", "log", "--format=%H;%s"),
    ("jq", ".a | .b", "data.json"),
    ("rg", "foo|bar", "src"),
    ("find", ".", "-name", "*.py"),
    ("sed", "-n", "1,20p", "README.md"),
    ("awk", "{print $1}", "README.md"),
    ("xargs", "--help"),
)


@pytest.mark.parametrize("argv", DATA)
def test_data_that_looks_dangerous(world: World, argv: tuple[str, ...]) -> None:
    """Operators and code inside quoted data are data."""
    assert world.argv(*argv).verdict is Verdict.ALLOW


@pytest.mark.parametrize(
    "text", ["git commit -m 'fix: rm -rf handling'", "git commit -F - <<'E'\nfix: sudo rm -rf / handling\nE"]
)
def test_commit_messages_are_data(world: World, text: str) -> None:
    """A commit asks as any change does, by no guardrail, whatever its message says."""
    decision = world.shell(text)
    assert (decision.verdict, decision.named) == (Verdict.ASK, False)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GIT_CONFIG_COUNT", "1"),
        ("PATH", ".:/usr/bin"),
        ("LD_PRELOAD", "./x.so"),
        ("GIT_EXTERNAL_DIFF", "x"),
        ("GIT_PAGER", "touch M"),
        ("LC_ALL", "../x"),
        ("HOME", "."),
        ("BASH_ENV", "x"),
        ("TZ", "/etc/passwd"),
        ("RIPGREP_CONFIG_PATH", "x"),
        ("LESSOPEN", "|x"),
        ("IFS", "x"),
    ],
)
def test_environment(world: World, name: str, value: str) -> None:
    """The same argument list with another environment is another command."""
    assert world.argv("git", "status").verdict is Verdict.ALLOW
    assert world.argv("git", "status", **{name: value}).verdict is Verdict.ASK
    assert world.shell(f"{name}='{value}' git status").verdict is Verdict.ASK


def test_paths_to_programs(world: World) -> None:
    """A full path is fine where it is the program that the name means, and only there."""
    (world.tree / "ls").write_text("#!/bin/sh\n")
    (world.tree / "ls").chmod(0o755)
    assert world.shell("/bin/ls src").verdict is Verdict.ALLOW
    assert world.shell("./ls src").verdict is Verdict.ASK
    assert world.shell(f"{world.tree}/ls src").verdict is Verdict.ASK
    (world.tree / "ls").unlink()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rm -rf src", "removes a folder, 3 files, inside the worktree"),
        ("npm ci", "runs package scripts, reaches the network"),
        ("cat .env", "holds secrets"),
        ("cat ../x", "outside the roots"),
        ("git -C traps/hostile status", "core.fsmonitor runs a program"),
        ("sed -i s/a/b/ README.md", "edits files in place"),
        ("mkdir -p a/b", "makes folders: a/b, inside the worktree"),
        ("grep --frobnicate x README.md", "--frobnicate is not among the options"),
    ],
)
def test_reasons_are_for_people(world: World, text: str, words: str) -> None:
    """The reason says what it does, how much of it, and where."""
    decision = world.shell(text)
    assert words in " ".join([decision.reason, *(part.reason for part in decision.parts)])


def test_a_folder_in_a_request_is_no_root(world: World) -> None:
    """An agent that names another cwd does not move its own worktree there."""

    decision = world.decide(Shell(text="cat private.txt", cwd=str(world.outside)), str(world.tree))
    assert decision.verdict is Verdict.ASK


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("a b", Verdict.ALLOW),
        ("x /etc/passwd", Verdict.ASK),
        ("x -delete", Verdict.ASK),
        ("x .env", Verdict.ASK),
        ("x 'y", Verdict.ASK),
        ("x ..", Verdict.ASK),
        ("a\n/etc/passwd", Verdict.ASK),
        ("my secrets/t", Verdict.ASK),
        ("-x", Verdict.ALLOW),
    ],
)
def test_names_that_fall_apart(tmp_path: Path, name: str, verdict: Verdict) -> None:
    """A file name can carry a path or an option through xargs; with NUL between the names it cannot."""
    folder = tmp_path / "t"
    (folder / name).parent.mkdir(parents=True)
    (folder / name).write_text("x")
    world = World(tmp_path / "w")
    text = "find . -type f | xargs cat"
    assert world.decide(Shell(text=text, cwd=str(folder)), str(folder)).verdict is verdict
    safe = Shell(text="find . -type f -print0 | xargs -0 cat", cwd=str(folder))
    assert world.decide(safe, str(folder)).verdict is (Verdict.ASK if name == "x .env" else Verdict.ALLOW)
