"""services/tools/environment.py: what a command may know, and git in a hostile repository."""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path

import pytest
from tests.patience import PATIENCE

from tmux_agent.core import errors
from tmux_agent.core.model import Command, Outcome
from tmux_agent.core.settings import Commands
from tmux_agent.services.tools import commands, environment

LIMITS = Commands(timeout=PATIENCE, timeout_max=PATIENCE, grace=0.3)


def run(cwd: Path, *argv: str, env: dict[str, str] | None = None, limits: Commands = LIMITS) -> Outcome:
    return asyncio.run(commands.run(Command(argv=argv, cwd=str(cwd), env=env or {}), limits))


HOSTILE = {
    "LD_PRELOAD": "./x.so",
    "LD_AUDIT": "x",
    "LD_LIBRARY_PATH": ".",
    "PYTHONPATH": ".",
    "PERL5OPT": "-Mp",
    "NODE_OPTIONS": "-r x",
    "RUBYOPT": "-rx",
    "JAVA_TOOL_OPTIONS": "x",
    "_JAVA_OPTIONS": "x",
    "BASH_ENV": "e",
    "ENV": "e",
    "BASH_FUNC_ls%%": "() { x; }",
    "SHELLOPTS": "xtrace",
    "PS4": "$(touch M)",
    "GIT_CONFIG_COUNT": "1",
    "GIT_DIR": "x",
    "GIT_EXTERNAL_DIFF": "x",
    "GIT_SSH_COMMAND": "touch M",
    "npm_config_script_shell": "x",
    "CARGO_BUILD_RUSTC_WRAPPER": "x",
    "MAKEFLAGS": "x",
    "GOFLAGS": "-toolexec=x",
    "PIP_INDEX_URL": "x",
    "PAGER": "touch M",
    "MANPAGER": "x",
    "EDITOR": "x",
    "VISUAL": "x",
    "PATH": ".",
    "TMUX": "x,1,0",
    "TMUX_PANE": "%1",
    "TMUX_AGENT_SOCKET": "x",
    "SSH_ASKPASS": "x",
    "LESSOPEN": "|x",
    "IFS": "x",
    "HOME": "/x",
    "XDG_CONFIG_HOME": "x",
    "RIPGREP_CONFIG_PATH": "x",
    "DOCKER_HOST": "x",
    "https_proxy": "x",
    "SUDO_ASKPASS": "x",
}


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_steering_variables(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request cannot set what decides what programs load; the sidecar's own is not handed on."""
    with pytest.raises(errors.InvalidParams, match=r"env"):
        run(tmp_path, "touch", "M", env={name: HOSTILE[name]})
    assert not (tmp_path / "M").exists()
    env = environment.clean({name: "from the sidecar"}, {}, (), "m")
    if name not in ("HOME", "XDG_CONFIG_HOME", "https_proxy"):  # kept, as the person's own
        assert env.get(name) != "from the sidecar"


def test_harmless_variables(tmp_path: Path) -> None:
    """Ordinary variables arrive, kept ones of the sidecar and those named in the settings too; others do not."""
    env = {"CI": "1", "NODE_ENV": "test", "GOOGLE_X": "y", "GIT_AUTHOR_NAME": "Bob"}
    said = run(tmp_path, "env", env=env).data.stdout.splitlines()
    assert {"CI=1", "NODE_ENV=test", "GOOGLE_X=y", "GIT_AUTHOR_NAME=Bob", "TERM=dumb"} <= set(said)
    inherited = {"SECRET_X": "s", "FOO": "f", "LC_ALL": "C", "HOME": "/h"}
    clean = environment.clean(inherited, {}, ("FOO",), "m")
    assert (clean.get("SECRET_X"), clean["FOO"], clean["LC_ALL"], clean["HOME"]) == (None, "f", "C", "/h")


@pytest.mark.parametrize("name", ["", "A=B", "a b", "1A", "A\0", "é", "A\n"])
def test_names_that_are_none(tmp_path: Path, name: str) -> None:
    """A name that is no variable's is an error."""
    with pytest.raises(errors.InvalidParams, match="env"):
        run(tmp_path, "true", env={name: "x"})


def test_search_path(tmp_path: Path) -> None:
    """Relative, empty, missing and world-writable folders are not searched; with none left, the system's are."""
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    assert environment.search_path({"PATH": f".::bin:/usr/bin:{tmp_path}/open:/nope:/usr/bin"}) == "/usr/bin"
    assert environment.search_path({"PATH": "."}) == environment.search_path({}) == "/usr/local/bin:/usr/bin:/bin"


# --- git -------------------------------------------------------------------------------------------


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one commit and a change, in a home without configuration of its own."""
    home = tmp_path / "git-home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home))
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "f").write_text("one\n")
    for argv in (
        ("init", "-q", "-b", "main"), ("config", "user.name", "Bob"), ("config", "user.email", "bob@example.com"),
        ("add", "f"), ("commit", "-qm", "first"),
    ):  # fmt: skip
        git(folder, *argv)
    (folder / "f").write_text("two\n")
    return folder


def git(folder: Path, *argv: str) -> None:
    subprocess.run(["git", *argv], cwd=folder, check=True, stdin=subprocess.DEVNULL)


def fired(folder: Path) -> bool:
    return (folder / "M").exists()


HOSTILE_CONFIG = [
    ("core.fsmonitor", "touch M; false", ("status",)),
    ("diff.external", "touch M; true", ("diff",)),
    ("diff.d.command", "touch M; true", ("diff",)),
    ("diff.d.textconv", "touch M; cat", ("diff",)),
    ("diff.d.textconv", "touch M; cat", ("log", "-p", "-1")),
    ("diff.d.textconv", "touch M; cat", ("-C", ".", "show")),
    ("diff.d.textconv", "touch M; cat", ("blame", "f")),
    ("filter.d.clean", "touch M; cat", ("diff",)),
    ("filter.d.clean", "touch M; cat", ("status",)),
    ("filter.d.smudge", "touch M; cat", ("checkout", "--", "f")),
    ("filter.d.process", "touch M", ("diff",)),
    ("core.sshCommand", "touch M; false", ("ls-remote", "ssh://localhost/x")),
    ("remote.x.url", "ext::sh -c touch% M", ("fetch", "x")),
    ("protocol.ext.allow", "always", ("ls-remote", "ext::sh -c touch% M")),
    ("protocol.allow", "always", ("ls-remote", "ext::sh -c touch% M")),
    ("alias.s", "!touch M", ("s",)),
    ("core.editor", "touch M; true", ("commit", "--allow-empty")),
    ("gpg.program", "./signer", ("commit", "--allow-empty", "-S", "-m", "x")),
    ("core.pager", "touch M; cat", ("--paginate", "log")),
    ("pager.log", "touch M; cat", ("log",)),
    ("man.v.cmd", "touch M", ("-c", "man.viewer=v", "--help", "log")),
    ("include.path", "../extra", ("status",)),
]


@pytest.mark.parametrize(("key", "value", "argv"), HOSTILE_CONFIG, ids=[f"{k} {a[0]}" for k, _, a in HOSTILE_CONFIG])
def test_repository_configuration_runs_nothing(repository: Path, key: str, value: str, argv: tuple[str, ...]) -> None:
    """Programs that the repository's own configuration names are not run, whatever the verb."""
    (repository / ".gitattributes").write_text("f diff=d filter=d\n")
    (repository / "signer").write_text("#!/bin/sh\ntouch M; false\n")
    (repository / "signer").chmod(0o755)
    (repository / "extra").write_text("[core]\n\tfsmonitor = touch M; false\n")
    git(repository, "config", key, value)
    outcome = run(repository, "git", *argv)
    assert not fired(repository)
    if argv == ("diff",):
        assert "-one\n+two\n" in outcome.data.stdout  # and reading still works


@pytest.mark.parametrize("name", ["uploadpack", "receivepack", "vcs"])
def test_what_cannot_be_switched_off(repository: Path, name: str) -> None:
    """A remote's own program cannot be overridden (git takes the first value): git is not run, unless it only reads."""
    git(repository, "config", "remote.o.url", ".")
    git(repository, "config", f"remote.o.{name}", "touch M;")
    for argv in (("ls-remote", "o"), ("fetch", "o"), ("push", "o"), ("remote", "update")):
        with pytest.raises(errors.Denied, match=f"remote.o.{name}"):
            run(repository, "git", *argv)
    assert run(repository, "git", "status").ok
    assert not fired(repository)


@pytest.mark.parametrize("argv", [("status",), ("log", "-p"), ("diff", "HEAD~1"), ("rev-list", "--objects", "HEAD")])
def test_what_a_partial_clone_has_not_is_got_by_no_program_of_its_own(repository: Path, argv: tuple[str, ...]) -> None:
    for key, value in (
        ("core.repositoryformatversion", "1"), ("extensions.partialClone", "o"), ("remote.o.promisor", "true"),
        ("remote.o.url", "."), ("remote.o.uploadpack", f"touch {repository}/M;false"),
    ):  # fmt: skip
        git(repository, "config", key, value)
    git(repository, "-c", "core.hooksPath=/dev/null", "commit", "-qm", "two", "--allow-empty")
    found = subprocess.run(["git", "rev-parse", "HEAD^{tree}"], cwd=repository, capture_output=True, text=True).stdout
    (repository / ".git" / "objects" / found[:2] / found.strip()[2:]).unlink()
    assert not run(repository, "git", *argv).ok
    assert not fired(repository)
    subprocess.run(["git", *argv], cwd=repository, check=False, capture_output=True)
    assert fired(repository)


@pytest.mark.parametrize("argv", [("status",), ("diff",), ("status", "--short")])
def test_submodules_run_nothing(repository: Path, argv: tuple[str, ...]) -> None:
    """A submodule has a configuration of its own: its work tree is not looked at, its commit still is."""
    inner = repository / "inner"
    git(repository, "clone", "-q", ".", "inner")
    git(repository, "add", "inner")
    git(repository, "-c", "core.hooksPath=/dev/null", "commit", "-qm", "inner")
    (inner / ".gitattributes").write_text("f filter=d\n")
    (inner / "f").write_text("two\n")  # of the same size: git has to look inside, through the filter
    git(inner, "config", "filter.d.clean", f"touch {repository}/M; cat")
    run(repository, "git", *argv)
    assert not fired(repository)
    subprocess.run(["git", *argv], cwd=repository, check=False, capture_output=True)
    assert fired(repository)


def test_the_cases_do_fire(repository: Path) -> None:
    """The test above tests something: git alone runs these."""
    for key, value, argv in HOSTILE_CONFIG:
        if key in ("core.fsmonitor", "diff.external", "filter.d.clean", "alias.s"):
            (repository / ".gitattributes").write_text("f diff=d filter=d\n")
            git(repository, "config", key, value)
            subprocess.run(["git", *argv], cwd=repository, check=False, capture_output=True)
            git(repository, "config", "--unset", key)
            assert fired(repository), key
            (repository / "M").unlink()


def test_git_still_works(repository: Path) -> None:
    """Reading, committing with the person's hooks and name, and a real diff are as they should be."""
    (repository / ".git" / "hooks" / "pre-commit").write_text("#!/bin/sh\ntouch hook-ran\n")
    (repository / ".git" / "hooks" / "pre-commit").chmod(0o755)
    assert "-one\n+two\n" in run(repository, "git", "diff").data.stdout
    assert run(repository, "git", "status", "--short").data.stdout == " M f\n"
    assert run(repository, "git", "commit", "-qam", "second").ok
    assert (repository / "hook-ran").exists()
    assert "second" in run(repository, "git", "log", "--oneline").data.stdout
    assert run(repository, "git", "--version").ok
    assert run(repository, "git").data.exit_code == 1


def test_hooks_do_not_run_where_git_only_reads(repository: Path) -> None:
    """`git status` writes the index back and would call post-index-change."""
    hook = repository / ".git" / "hooks" / "post-index-change"
    hook.write_text("#!/bin/sh\ntouch M\n")
    hook.chmod(0o755)
    os.utime(repository / "f", (1, 1))
    run(repository, "git", "status")
    run(repository, "git", "diff")
    assert not fired(repository)


def test_a_configuration_that_cannot_be_read(repository: Path) -> None:
    """Then nothing is known of what it names, and git is not run."""
    (repository / ".git" / "config").write_text("[core\n")
    for argv in (("status",), ("-C", "nope", "status")):
        with pytest.raises(errors.Failed, match="was not run"):
            run(repository, "git", *argv)


def test_git_below_another_program(repository: Path) -> None:
    """fsmonitor stays off for git that something else starts."""
    git(repository, "config", "core.fsmonitor", "touch M; false")
    run(repository, "sh", "-c", "git status")
    assert not fired(repository)


def test_sub_command() -> None:
    """Found behind git's own options, with and without values."""
    assert environment.sub_command(("git", "-C", "x", "--no-pager", "-c", "a=b", "diff")) == 6
    assert environment.sub_command(("git", "--git-dir=x", "log")) == 2
    assert environment.sub_command(("git", "-C")) == 2
    assert environment.sub_command(("git",)) == 1
