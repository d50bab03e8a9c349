"""Names, folders and commands of the fleet, and what fleet.toml may say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmux_agent.core import fleet_file
from tmux_agent.core.fleet import command, continued, slug, unique, worktree_folder
from tmux_agent.core.fleet_file import FLEET_TOML, AgentFile, FleetFile, load, on_top, prompt


@pytest.mark.parametrize(
    ("branch", "name"),
    [("feature/login", "feature-login"), ("größe/ü", "größe-ü"), ("a..b--c", "a-b-c"), ("$(x)", "x"), ("'\"", "agent")],
)
def test_a_name_is_made_of_the_branch(branch: str, name: str) -> None:
    assert slug(branch) == name


@given(st.text(max_size=300))
def test_a_name_means_nothing_to_tmux_or_a_folder(branch: str) -> None:
    name = slug(branch)
    assert 0 < len(name) <= 48
    assert not set(name) & set(":./\\ \t\n\0$%@=\"'#{}~")
    assert not name.startswith("-")


def test_a_name_that_is_taken_gets_a_number() -> None:
    assert unique("x", {"y"}) == "x"
    assert unique("x", {"x", "x-2"}) == "x-3"


@pytest.mark.parametrize(
    ("pattern", "folder"),
    [
        ("../{repo}-worktrees/{name}", "/src/shop-worktrees/a-b"),
        (".trees/{name}", "/src/shop/.trees/a-b"),
        ("~/trees/{repo}/{branch}", "/home/me/trees/shop/a-b"),
        ("/tmp/{name}", "/tmp/a-b"),
    ],
)
def test_a_pattern_says_the_folder(pattern: str, folder: str) -> None:
    assert worktree_folder(pattern, "/src/shop", "a-b", "a/b", "/home/me") == folder


@pytest.mark.parametrize("pattern", ["", ".", "..", "/", "../..", ".git/{name}", "{what}", "x\0"])
def test_a_pattern_that_means_the_repository_or_nothing_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"means|knows"):
        worktree_folder(pattern, "/src/shop", "a-b", "a/b", "/home/me")


def test_what_a_repository_is_called_is_no_pattern() -> None:
    assert worktree_folder("../{repo}/{name}", "/src/{branch} {x}", "n", "b", "/") == "/src/{branch} {x}/n"


def test_how_agents_start_and_go_on() -> None:
    assert command("cursor") == ("cursor-agent",)
    assert command("claude", ("claude", "-x")) == ("claude", "-x")
    assert continued("claude", ("claude", "-x")) == ("claude", "--continue", "-x")
    assert continued("codex", ("codex", "-x")) == ("codex", "resume", "--last", "-x")
    assert continued("mine", ("mine",)) == ("mine",)
    assert continued("claude", ("claude",), ()) == ("claude",)


# --- fleet.toml ---


def test_the_file_that_init_writes_is_sound_commented_and_uncommented() -> None:
    assert load(FLEET_TOML, "f") == (FleetFile(), ())
    keys = [line[2:] for line in FLEET_TOML.split("\n") if line.startswith("# [") or " = " in line]
    file, wrong = load("\n".join(keys), "f")
    assert wrong == ()
    assert file is not None
    assert file.setup == ("npm ci", ("make", "database"))
    assert file.agents["claude"].continues == ("--continue",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("agent = 3", "f:1: agent: expected `str | null`, got `int`"),
        ("x = 1", "f:1: x: is no key of this file"),
        ("\n\nsetpu = []", "f:3: setpu: is no key of this file, did you mean setup?"),
        ("[agents.claude]\ncomand = []", "f:2: agents[...].comand: is no key of this file, did you mean command?"),
        ("copy = ['/etc/passwd']", "f:1: copy: '/etc/passwd' is no path below the repository"),
        ("link = ['a/../../b']", "f:1: link: 'a/../../b' may hold no '.', '..' or .git"),
        ("copy = ['.git/config']", "f:1: copy: '.git/config' may hold no '.', '..' or .git"),
        ("setup = ['']", "f:1: setup: a command is empty"),
        ("setup_timeout = 0", "f:1: setup_timeout: more than 0 and at most 86400 seconds"),
        ("worktree = '{nmae}'", "f:1: worktree: '{nmae}' names {nmae}, which there is not, did you mean name?"),
        ("[env]\n'A B' = '1'", "is no name of a variable"),
        ("[[windows]]\nname = 'x'\nlayout = 'wide'", "f:3: windows.layout: wide is none of"),
        ("a = [", "f:"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str, said: str) -> None:
    file, wrong = load(text, "f")
    assert file is None
    assert said in str(wrong[0])


def test_a_repositorys_file_counts_before_the_persons_own() -> None:
    own = FleetFile(agent="codex", copy=(".env",), env={"A": "1", "B": "1"}, agents={"mine": AgentFile(command=("m",))})
    theirs = FleetFile(copy=(), setup=("x",), env={"B": "2"})
    both = on_top(own, theirs)
    assert (both.agent, both.copy, both.setup, both.env) == ("codex", (), ("x",), {"A": "1", "B": "2"})
    assert list(both.agents) == ["mine"]


def test_a_template_is_filled_once() -> None:
    assert prompt("<!-- note -->\nOn {branch}: {task} {unknown}", {"branch": "x", "task": "{branch}"}) == (
        "On x: {branch} {unknown}"
    )
    assert prompt("Be kind.", {"task": "Do it."}) == "Be kind.\n\nDo it."
    assert prompt(fleet_file.TEMPLATE, {"task": "T", "branch": "b", "base": "m"}).startswith("You work on the branch b")
