"""Names: what is an agent, a terminal, a multiplexer or an adopter of orphans, and what only resembles one."""

from __future__ import annotations

import pytest

from tmux_agent.core.programs import (
    agent_mark,
    agent_of,
    base,
    called,
    kind_of,
    runs_script,
    script,
    serves_others,
    tmux_socket,
    wrapped,
)


@pytest.mark.parametrize(
    ("name", "exe", "argv", "agent"),
    [
        ("claude", "/home/u/.local/share/claude/versions/2.1.197", (), "claude"),
        ("node-MainThread", "/usr/bin/node", ("node", "/usr/bin/claude", "-p", "x"), "claude"),
        ("node", "/usr/bin/node", ("node", "/x/@anthropic-ai/claude-code/cli.js"), "claude"),
        ("codex", "/home/u/.codex/packages/codex", ("codex", "app-server"), "codex"),
        ("node", "/usr/bin/node", ("node", "--no-warnings", "/usr/bin/gemini"), "gemini"),
        ("node", "/usr/bin/node", ("node", "-r", "/x/y.js", "/usr/bin/gemini"), "gemini"),
        ("opencode", "/home/u/.opencode/bin/opencode", (), "opencode"),
        ("aider", "/usr/bin/python3.12", ("python3", "/usr/bin/aider"), "aider"),
        ("python3", "/usr/bin/python3.12", ("python3", "-m", "aider"), "aider"),
        ("sh", "/bin/dash", ("/bin/sh", "/usr/local/bin/codex"), "codex"),
        ("bash", "/bin/bash", ("-bash",), None),
        ("bash", "/bin/bash", ("bash", "-c", "claude -p hi"), None),
        ("vim", "/usr/bin/vim", ("vim", "claude"), None),
        ("sshd", "", ("sshd: claude@pts/0",), None),
        ("python3", "/usr/bin/python3.12", ("python3", "claude_notes.py"), None),
    ],
)
def test_agents_are_known_by_program_or_script(name: str, exe: str, argv: tuple[str, ...], agent: str | None) -> None:
    """An agent is a program, or the script that an interpreter runs; a word in somebody's arguments is neither."""
    assert agent_of(name, exe, argv) == agent


@pytest.mark.parametrize(
    ("words", "started", "agent"),
    [
        ("-P -m tmux_agent wrap --project shop -- /x/claude --continue", "/x/claude --continue", "claude"),
        ("/usr/bin/tmux-agent wrap --project=shop claude", "claude", "claude"),
        ("/usr/bin/tmux-agent wrap --plain -- node /x/@google/gemini-cli/bundle/gemini.js", None, "gemini"),
        ("/usr/bin/tmux-agent wrap -- python3 -u bots/deploy.py", "python3 -u bots/deploy.py", "deploy.py"),
        ("/usr/bin/tmux-agent wrap -- python3 -c pass", "python3 -c pass", "python3"),
        ("/usr/bin/tmux-agent wrap --project claude", "", None),
        ("/usr/bin/tmux-agent run -- claude", "", None),
        ("/usr/bin/other wrap -- claude", "", None),
    ],
)
def test_a_wrapper_counts_as_what_it_starts(words: str, started: str | None, agent: str | None) -> None:
    argv = ("python3", *words.split())
    assert agent_of("python3", "/usr/bin/python3.12", argv) == agent
    assert started is None or wrapped(argv) == tuple(started.split())


@pytest.mark.parametrize(
    ("argv", "serves"),
    [
        (("codex", "app-server", "--listen", "unix://", "--managed-daemon"), True),
        (("codex", "app-server", "--listen=unix:///x"), True),
        (("codex", "app-server"), False),
        (("codex", "--listen"), False),
        (("codex",), False),
    ],
)
def test_a_server_behind_several_windows_is_known(argv: tuple[str, ...], serves: bool) -> None:
    """Codex's background server; not the one that talks to whoever started it."""
    assert serves_others("codex", argv) is serves
    assert not serves_others("claude", argv)


def test_marks_are_what_agents_set_and_people_do_not() -> None:
    """A person who exports CODEX_HOME, or works in an editor with an agent's extension, is still a person."""
    assert agent_mark({"CLAUDECODE": "1"}) == "CLAUDECODE"
    assert agent_mark({"CLAUDECODE": ""}) is None
    assert agent_mark({"CODEX_HOME": "/x", "CLAUDE_CODE_SSE_PORT": "1", "ANTHROPIC_API_KEY": "x"}) is None


@pytest.mark.parametrize(
    ("name", "exe", "kind"),
    [
        ("gnome-terminal-", "/usr/libexec/gnome-terminal-server", "terminal"),
        ("gnome-terminal-", "", "terminal"),
        ("sshd", "", "terminal"),
        ("tmux: server", "/usr/bin/tmux", "multiplexer"),
        ("tmux: server", "/usr/bin/tmux (deleted)", "multiplexer"),
        ("SCREEN", "/usr/bin/screen", "multiplexer"),
        ("systemd", "/usr/lib/systemd/systemd", "init"),
        ("cron", "", "starter"),
        ("node", "/home/u/.vscode-server/bin/x/node", "terminal"),
        ("Relay(33)", "/init", "terminal"),
        ("python3", "/usr/bin/python3", ""),
        ("script", "/usr/bin/script", ""),
        ("mykitty", "/usr/bin/mykitty", ""),
    ],
)
def test_kinds(name: str, exe: str, kind: str) -> None:
    """Whole names only, whether the kernel cut them, a package wrapped them or an upgrade removed their file."""
    assert kind_of(name, exe) == kind


def test_a_person_may_name_their_terminal() -> None:
    """Also one whose name the kernel cuts to 15 bytes."""
    assert kind_of("my-very-own-ter", "", terminals=frozenset({"my-very-own-terminal"})) == "terminal"


def test_the_script_of_an_interpreter() -> None:
    """Options, their values and inline code are not scripts."""
    assert script(("python3", "-W", "error", "-m", "http.server")) == "http.server"
    assert script(("node", "-e", "code", "x.js")) == ""
    assert base("/nix/store/x/bin/.kitty-wrapped") == "kitty"


@pytest.mark.parametrize(
    ("line", "environ", "path"),
    [
        ("tmux attach", {}, "/tmp/tmux-7/default"),
        ("tmux -L one attach -t x", {}, "/tmp/tmux-7/one"),
        ("tmux -u2Lone attach", {"TMUX_TMPDIR": "/run/x"}, "/run/x/tmux-7/one"),
        ("tmux -f /dev/null -S /x/s attach", {}, "/x/s"),
        ("tmux attach -S /x/s", {"TMUX": "/y/s,12,0"}, "/y/s"),
        ("tmux: client (/tmp/tmux-0/default)", {}, "/tmp/tmux-0/default"),
    ],
)
def test_the_socket_of_a_tmux_client(line: str, environ: dict[str, str], path: str) -> None:
    """As tmux(1) finds it: -S, -L, TMUX, TMUX_TMPDIR; options after the command are the command's."""
    assert tmux_socket(line.split(" "), environ, 7) == path


@pytest.mark.parametrize(
    ("argv", "runs"),
    [
        (["/bin/sh", "deploy.sh"], True),
        (["bash", "-c", "read x"], True),
        (["bash", "-lc", "read x"], True),
        (["python3", "-m", "aider"], True),
        (["node", "--eval", "1"], True),
        (["-bash"], False),
        (["bash", "-l"], False),
        (["python3"], False),
        (["cat", "deploy.sh"], False),
        ([], False),
    ],
)
def test_who_runs_a_script(argv: list[str], runs: bool) -> None:
    """Not the interpreter that a person types to, and not another program that has a script among its arguments."""
    assert runs_script(argv[0].lstrip("-") if argv else "", argv) is runs


@pytest.mark.parametrize(
    ("exe", "argv", "name"),
    [
        ("/usr/bin/python3.11", ("python3", "/srv/deploy.py", "--now"), "deploy.py"),
        ("/usr/bin/python3.11", ("python3", "-P", "-m", "tmux_agent", "spawn", "feature/x"), "spawn"),
        ("/usr/bin/python3.11", ("python3", "-I", "/home/u/.local/bin/tmux-agent", "queue", "add"), "queue"),
        ("/usr/bin/python3.11", ("python3", "-m", "tmux_agent"), "tmux-agent"),
        ("/usr/bin/python3.11", ("python3", "-c", "print()"), ""),
        ("/usr/bin/node", ("node", f"/x/{'y' * 100}"), "y" * 64),
        ("/usr/bin/make", ("make", "deploy"), ""),
    ],
)
def test_what_an_interpreter_runs_is_what_people_call_it(exe: str, argv: tuple[str, ...], name: str) -> None:
    assert called(exe, argv) == name
