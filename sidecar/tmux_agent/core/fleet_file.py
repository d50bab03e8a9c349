"""fleet.toml: what comes with an agent that is spawned. Its form, two of them on top of each other, and templates.

Pure. Owns what the file may say and what is wrong with one. Must not own: where it is, whether it is trusted
(services/fleet_files.py).
"""

from __future__ import annotations

import re
import tomllib
from typing import Any, Literal

import msgspec
from msgspec import Struct

from . import templates
from .config import ConfigError, nearest

Line = str | tuple[str, ...]  # a string is text for sh -c, a list a program with its arguments

PLACES = ("repo", "name", "branch")  # in `worktree`
IN_TEMPLATES = ("task", "branch", "base", "name", "repo")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,100}\Z")


class AgentFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"continues": "continue"}):
    """How an agent is started, and what it is given besides to go on with what was said before."""

    command: tuple[str, ...] = ()
    continues: tuple[str, ...] | None = None


class WindowFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A window beside the agent's: a pane for each command; an empty one is a shell."""

    name: str
    panes: tuple[str, ...] = ("",)
    layout: str = "tiled"  # even-horizontal, even-vertical, main-horizontal, main-vertical, tiled
    cwd: str = ""  # below the worktree


class FleetFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is not given is as the person's own file says, or the default."""

    agent: str | None = None
    base: str | None = None
    worktree: str | None = None  # relative ones begin at the repository
    template: str | None = None
    sandbox: bool | None = None
    submodules: bool | None = None
    record: Literal["plain", "masked", "no"] | None = None
    copy: tuple[str, ...] | None = None
    link: tuple[str, ...] | None = None
    setup: tuple[Line, ...] | None = None
    setup_timeout: float | None = None  # seconds, of each command
    teardown: tuple[Line, ...] | None = None
    teardown_timeout: float | None = None
    env: dict[str, str] = {}
    agents: dict[str, AgentFile] = {}
    windows: tuple[WindowFile, ...] | None = None


LAYOUTS = ("even-horizontal", "even-vertical", "main-horizontal", "main-vertical", "tiled")


def load(text: str, label: str) -> tuple[FleetFile | None, tuple[ConfigError, ...]]:
    """The file's content, or None and what is wrong with it."""
    try:
        file = msgspec.convert(tomllib.loads(text), FleetFile, strict=False)
    except tomllib.TOMLDecodeError as why:
        line = re.search(r"at line (\d+)", str(why))
        return None, (ConfigError(label, int(line[1]) if line else 0, "", str(why)),)
    except msgspec.ValidationError as why:
        return None, (_wrong(text, label, str(why)),)
    found = tuple(ConfigError(label, _line(text, path), path, said) for path, said in _problems(file))
    return (None if found else file), found


def _wrong(text: str, label: str, said: str) -> ConfigError:
    """What msgspec says, with the line of the key that it is about."""
    message, _, path = said.partition(" - at `$")
    path = path.removesuffix("`").removeprefix(".")
    if unknown := re.search(r"unknown field `([^`]+)`", message):
        kinds: dict[str, Any] = {"agents": AgentFile, "windows": WindowFile}
        fields = kinds.get(re.split(r"[.\[]", path)[0], FleetFile).__struct_encode_fields__
        message = f"is no key of this file{nearest(unknown[1], fields)}"
        path = f"{path}.{unknown[1]}".lstrip(".")
    return ConfigError(label, _line(text, path), path, message[:1].lower() + message[1:])


def _line(text: str, path: str) -> int:
    """Of the last key that a path names; 0 where it is not found."""
    names = re.findall(r"[A-Za-z_][\w-]*", path)
    for number, line in enumerate(text.splitlines(), 1):
        if names and re.match(rf"\s*\[*\s*(?:[\w.\"-]+\.)?\"?{re.escape(names[-1])}\"?\s*(?:=|\])", line):
            return number
    return 0


def _problems(file: FleetFile) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    if file.worktree is not None:
        try:
            templates.check(file.worktree, PLACES)
        except ValueError as why:
            found.append(("worktree", str(why)))
    for key, paths in (("copy", file.copy), ("link", file.link)):
        found += [(key, said) for path in paths or () if (said := _bad_path(path))]
    for key, lines in (("setup", file.setup), ("teardown", file.teardown)):
        found += [(key, "a command is empty") for line in lines or () if not line or not line[0]]
    for key, seconds in (("setup_timeout", file.setup_timeout), ("teardown_timeout", file.teardown_timeout)):
        if seconds is not None and not 0 < seconds <= 86400:
            found.append((key, "more than 0 and at most 86400 seconds"))
    found += [(f"env.{name}", "is no name of a variable") for name in file.env if not _NAME.match(name)]
    for window in file.windows or ():
        if window.layout not in LAYOUTS:
            found.append(("windows.layout", f"{window.layout} is none of {', '.join(LAYOUTS)}"))
        if window.cwd and (said := _bad_path(window.cwd)):
            found.append(("windows.cwd", said))
        if not 0 < len(window.panes) <= 16:
            found.append(("windows.panes", "1 to 16 panes"))
    return found


def _bad_path(path: str) -> str:
    """What is wrong with a path below the repository; "" for nothing."""
    parts = path.rstrip("/").split("/")
    if path.startswith(("/", "~")) or not path.strip() or "\0" in path:
        return f"{path!r} is no path below the repository"
    if any(part in ("", ".", "..") for part in parts) or parts[0].lower() == ".git":
        return f"{path!r} may hold no '.', '..' or .git"
    return ""


def on_top(below: FleetFile, above: FleetFile) -> FleetFile:
    """The two as one: what `above` gives counts; variables and agents of both."""
    given = {
        name: value for name in FleetFile.__struct_fields__
        if (value := getattr(above, name)) is not None and name not in ("env", "agents")
    }  # fmt: skip
    return msgspec.structs.replace(below, **given, env=below.env | above.env, agents=below.agents | above.agents)


def prompt(template: str, values: dict[str, str]) -> str:
    """What is typed: the template with its places filled; a task that it has no place for stands below it.

    A template is prose: braces that name nothing are left as they are.
    """
    text = re.sub(r"<!--.*?-->\n?", "", template, flags=re.DOTALL)  # comments are for people
    filled = re.sub(r"\{(\w+)\}", lambda found: values.get(found[1], found[0]), text).strip()
    if "{task}" not in text and values.get("task", ""):
        filled = f"{filled}\n\n{values['task']}".strip()
    return filled


FLEET_TOML = '''\
# What comes with an agent that `tmux-agent spawn BRANCH` starts in this repository. Every line here is optional.
# Nothing of it is used before you say so: read it, then run `tmux-agent policy trust` (again after each change).
# Your own ~/.config/tmux-agent/fleet.toml has the same form, counts for all repositories, and needs no trust.

# agent = "claude"            # claude, codex, gemini, opencode, …, or one of [agents] below
# base = "main"               # where new branches begin; default: the branch that is checked out
# worktree = "../{repo}-worktrees/{name}"   # {repo}, {name}, {branch}; relative to the repository
# template = "feature"        # .tmuxagent/templates/feature.md, typed at the agent's prompt
# sandbox = false             # start every agent in a sandbox (docs/sandbox.md)
# record = "plain"            # record its pane from its first byte; "masked": without secrets (docs/casts.md)
# submodules = false          # git submodule update --init --recursive in the new worktree

# Files that git ignores, brought into the new worktree: copied, or linked to the repository's own.
# copy = [".env"]
# link = ["node_modules"]

# Run in the new worktree before the agent starts, one after the other. Text is for sh -c, a list is a program with its
# arguments. They know TMUX_AGENT_NAME, TMUX_AGENT_BRANCH, TMUX_AGENT_BASE, TMUX_AGENT_WORKTREE, TMUX_AGENT_REPOSITORY.
# setup = ["npm ci", ["make", "database"]]
# setup_timeout = 600         # seconds, of each
# teardown = ["docker compose down"]        # before the worktree is removed
# teardown_timeout = 60

# Variables of the session.
# [env]
# PORT = "3001"

# How an agent is started, and what it is given to go on after a restart.
# [agents.claude]
# command = ["claude", "--permission-mode", "acceptEdits"]
# continue = ["--continue"]

# Windows beside the agent's. A pane for each command; "" is a shell.
# [[windows]]
# name = "server"
# panes = ["npm run dev", ""]
# layout = "even-horizontal"  # even-vertical, main-horizontal, main-vertical, tiled
'''

TEMPLATE = """\
<!-- A template: `tmux-agent spawn BRANCH --template feature --task '…'` types it at the agent's prompt. Comments like
this one are left out. Places: {task}, {branch}, {base}, {name}, {repo}. -->
You work on the branch {branch}, which began at {base}, in a git worktree of your own.

{task}

Run the tests before you say that you are done, and commit what belongs together.
"""
