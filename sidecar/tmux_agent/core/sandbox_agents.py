"""What each agent needs of its person's home inside the sandbox.

Owns the lists. An agent's folder is empty and private inside, but for what is named here: what says how it works (with
our hooks in it) can be read, credentials are the person's own files, what it keeps beside that is a copy or new, and
gone with the sandbox. So nothing that an agent outside would take for an instruction, or run, is written from inside.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple


class Kept(NamedTuple):
    """Absolute paths."""

    private: tuple[str, ...] = ()  # folders, new and empty
    read_only: tuple[str, ...] = ()
    copied: tuple[str, ...] = ()  # files: what is changed is thrown away
    credentials: tuple[str, ...] = ()  # files, copied as well: what is renewed, here or there, is so in both
    folders: tuple[str, ...] = ()  # the person's own, written: made where they are missing
    believed: tuple[str, ...] = ()  # folders in these that agents outside believe: read only, made where missing


_CODEX_MODES = re.compile(r"read-only|workspace-write|--full-auto")  # in which it makes a sandbox of its own
_CODEX_SAYS = re.compile(r"-s\b|--sandbox\b|(?:-c ?|--config=)?sandbox_mode\b|--dangerously-bypass|--full-auto|--yolo")
_CLAUDE = "settings.json settings.local.json CLAUDE.md commands agents skills plugins output-styles rules hooks"
_CODEX = "config.toml hooks.json AGENTS.md AGENTS.override.md prompts skills rules requirements.toml"
_GEMINI = "settings.json GEMINI.md commands extensions policies skills agents trustedFolders.json .env"
_CURSOR = "hooks.json mcp.json cli-config.json rules commands agents"
_OPENCODE = (
    "opencode.json opencode.jsonc config.json tui.json AGENTS.md plugin plugins agent agents command commands mode"
    " modes skill skills tool tools themes node_modules package.json package-lock.json bun.lock .gitignore"
)
_CACHED = "node_modules package.json models.json version"
KINDS = ("claude", "codex", "gemini", "opencode", "cursor")


def of(agent: str, home: str, environ: Mapping[str, str], cwd: str) -> Kept:
    """What an agent needs; nothing for one that nobody knows."""

    def place(variable: str, otherwise: str) -> str:
        value = environ.get(variable, "")
        return value.rstrip("/") if value.startswith("/") else f"{home}/{otherwise}"

    config, data = place("XDG_CONFIG_HOME", ".config"), place("XDG_DATA_HOME", ".local/share")
    cache, state = place("XDG_CACHE_HOME", ".cache"), place("XDG_STATE_HOME", ".local/state")
    match agent:
        case "claude":
            return _claude(place("CLAUDE_CONFIG_DIR", ".claude"), home, cwd)
        case "codex":
            codex = place("CODEX_HOME", ".codex")
            copied = _in(codex, "version.json internal_storage.json models_cache.json")
            return Kept((codex,), _in(codex, _CODEX), copied, _in(codex, "auth.json"))
        case "gemini":
            gemini = f"{place('GEMINI_CLI_HOME', '')}/.gemini".replace("//", "/")
            copied = _in(gemini, "projects.json state.json installation_id user_id")
            credentials = _in(gemini, "oauth_creds.json google_accounts.json mcp-oauth-tokens.json")
            return Kept((gemini,), _in(gemini, _GEMINI), copied, credentials)
        case "opencode":
            private = (f"{config}/opencode", f"{data}/opencode", f"{state}/opencode", f"{cache}/opencode")
            shown = (*_in(f"{config}/opencode", _OPENCODE), *_in(f"{cache}/opencode", _CACHED))
            return Kept(private, shown, (), _in(f"{data}/opencode", "auth.json mcp-auth.json"))
        case "cursor":
            cursor = f"{home}/.cursor"
            return Kept((cursor,), _in(cursor, _CURSOR), (), (f"{config}/cursor/auth.json",))
    return Kept()


def started(agent: str, argv: Sequence[str]) -> tuple[str, ...]:
    """An agent's command where it can make no sandbox of its own: Codex runs nothing without, unless it is told that
    this one stands in its place. What the person has told it stays."""
    if agent != "codex" or any(_CODEX_SAYS.match(word) for word in argv[1:]):
        return tuple(argv)
    return (argv[0], "-c", 'sandbox_mode="danger-full-access"', *argv[1:])


def warning(agent: str, argv: Sequence[str]) -> str:
    """What a person is to know before the agent begins, where it can make no sandbox of its own; "" for nothing."""
    said = [f"{word} {after}" for word, after in pairwise((*argv[1:], "")) if _CODEX_SAYS.match(word)]
    if agent != "codex" or not any(map(_CODEX_MODES.search, said)):
        return ""
    return (
        "Codex is told to make a sandbox of its own, which it cannot in this one, so that it will run no command: leave"
        " its mode to us, or set sandbox.user_namespaces: on"
    )


def named(agent: str, argv: Sequence[str], home: str, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Files of the person's that the command names by less than their path: Codex's profiles."""
    if agent != "codex":
        return ()
    folder, words = of(agent, home, environ, "").private[0], argv[1:]
    after = [word for before, word in pairwise(words) if before in ("-p", "--profile")]
    after += [word.partition("=")[2] for word in words if word.startswith("--profile=")]
    return tuple(f"{folder}/{name}.config.toml" for name in after if "/" not in name)


def _claude(claude: str, home: str, cwd: str) -> Kept:
    """Its conversations of this folder are kept, by the name that it gives their folder; what it remembers there, other
    Claudes take for instructions."""
    here = re.sub(r"[^A-Za-z0-9]", "-", cwd)
    return Kept(
        private=(claude,),
        read_only=_in(claude, _CLAUDE),
        copied=(f"{home}/.claude.json", f"{claude}/.claude.json"),
        credentials=(f"{claude}/.credentials.json",),
        folders=(f"{claude}/projects/{here}",),
        believed=(f"{claude}/projects/{here}/memory",),
    )


def _in(folder: str, names: str) -> tuple[str, ...]:
    return tuple(f"{folder}/{name}" for name in names.split())
