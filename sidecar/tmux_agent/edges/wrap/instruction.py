"""How each agent takes an instruction beside what its user has told it, found out with the real programs:

    claude    --append-system-prompt-file FILE; what the user appends is in the same file, before ours
    codex     -c developer_instructions=TEXT; what the user's config.toml says there comes first
    gemini    --include-directories FOLDER with a context file, which it reads at its start
    opencode  OPENCODE_CONFIG_CONTENT with "instructions": [FILE], beside what the user has there

Owns the arguments and variables that are added, and that nothing of the user's is lost. An agent that takes none is
started as it is (`why` says so): the run's token is in its environment all the same. Must not own: what is said
(defaults/sentry.md), where the files are (folder.py). docs/wrap.md is its page.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

_FILE = "sentry.md"
_TEXT = 64 << 10  # bytes of a user's own file that are taken over
_GEMINI_VERBS = ("mcp", "extensions", "extension", "skills", "skill", "hooks", "hook", "gemma")
_CODEX_SAYS = re.compile(r"(?:-c|--config)[= ]?developer_instructions\b")
_CLAUDE_APPENDS = re.compile(r"(--append-system-prompt(?:-file)?)(?:=(.*))?", re.S)


class Start(NamedTuple):
    """How to start an agent. `why`: why it is not told of markers; "" where it is."""

    argv: tuple[str, ...]
    environ: Mapping[str, str] = {}  # what is added
    why: str = ""


def start(agent: str, argv: Sequence[str], environ: Mapping[str, str], text: str, folder: Path) -> Start:
    """The start of an agent with this text as an instruction; `folder` is ours, for files. Raises OSError."""
    ways: dict[str, Callable[[Sequence[str], Mapping[str, str], str, Path], Start]] = {
        "claude": _claude, "codex": _codex, "gemini": _gemini, "opencode": _opencode,
    }  # fmt: skip
    if agent in ways:
        return ways[agent](argv, environ, text, folder)
    return Start(tuple(argv), why=f"nobody knows how {os.path.basename(argv[0])} takes instructions")


def _claude(argv: Sequence[str], _environ: Mapping[str, str], text: str, folder: Path) -> Start:
    program, *rest = argv
    kept, said = [], []
    while rest:
        word = rest.pop(0)
        if word == "--":
            kept += [word, *rest]
            break
        found = _CLAUDE_APPENDS.fullmatch(word)
        if found is None:
            kept.append(word)
            continue
        name, value = found.groups()
        value = value if value is not None else rest.pop(0) if rest else ""
        said.append(_read(Path(value)) if name.endswith("-file") else value)
    file = _write(folder, "\n\n".join((*said, text)))
    return Start((program, "--append-system-prompt-file", file, *kept))


def _codex(argv: Sequence[str], environ: Mapping[str, str], text: str, _folder: Path) -> Start:
    """Whoever gives developer_instructions by an option of their own has the last word: ours would be lost in it."""
    import tomllib

    program, *rest = argv
    home = Path(environ.get("CODEX_HOME") or Path(environ.get("HOME", "/")) / ".codex")
    files = [home / "config.toml"]
    for before, word in zip(argv, rest, strict=False):
        if before in ("-p", "--profile"):
            files.append(home / f"{word}.config.toml")
        if _CODEX_SAYS.match(word if word.startswith("-") else f"{before}={word}"):
            return Start(tuple(argv), why="its developer_instructions are given as an option")
    own = ""
    for file in files:
        try:
            said = tomllib.loads(_read(file)).get("developer_instructions", own)
        except (FileNotFoundError, tomllib.TOMLDecodeError):
            continue  # none, or Codex itself will say what is wrong with it
        own = said if isinstance(said, str) else own
    if (project := _of_project()) is not None:
        return Start(tuple(argv), why=f"{project} has developer_instructions of its own")
    whole = f"{own}\n\n{text}" if own else text
    # JSON's strings are TOML's; the other characters stand for themselves.
    return Start((program, "-c", f"developer_instructions={json.dumps(whole, ensure_ascii=False)}", *rest))


def _of_project() -> Path | None:
    """A project's own file that Codex may take developer_instructions from, where it trusts that project."""
    here = Path.cwd()
    for file in (folder / ".codex/config.toml" for folder in (here, *here.parents)):
        try:
            if "developer_instructions" in _read(file):
                return file
        except OSError:
            continue
    return None


def _gemini(argv: Sequence[str], environ: Mapping[str, str], text: str, folder: Path) -> Start:
    program, *rest = argv
    if next((word for word in rest if not word.startswith("-")), "") in _GEMINI_VERBS:
        return Start(tuple(argv))
    inside = folder / "gemini"
    inside.mkdir(mode=0o700)
    names = {"GEMINI.md"}
    for settings in (Path(environ.get("HOME", "/")) / ".gemini/settings.json", Path(".gemini/settings.json")):
        names |= _context_files(settings)
    first, *others = sorted(names)
    _write(inside, text, first)
    for name in others:  # each name that its settings may look for; one file, which is read once
        os.link(inside / first, inside / name)
    at = rest.index("--") if "--" in rest else len(rest)  # at the end: a prompt behind it would be taken for a folder
    return Start((program, *rest[:at], f"--include-directories={inside}", *rest[at:]))


def _context_files(settings: Path) -> set[str]:
    """The names of context files by Gemini's settings, which may hold comments."""
    try:
        found = re.search(r'"(?:fileName|contextFileName)"\s*:\s*(\[[^\]]*\]|"[^"]*")', _read(settings))
    except FileNotFoundError:
        return set()
    names = re.findall(r'"([^"/\\\0]+)"', found[1]) if found else ()
    return {name for name in names if name not in (".", "..")}


def _opencode(argv: Sequence[str], environ: Mapping[str, str], text: str, folder: Path) -> Start:
    own = environ.get("OPENCODE_CONFIG_CONTENT", "")
    try:
        config = json.loads(own or "{}")
        listed = [*config.get("instructions", ()), _write(folder, text)]
    except (ValueError, AttributeError, TypeError):
        return Start(tuple(argv), why="the OPENCODE_CONFIG_CONTENT in your environment is no JSON object")
    return Start(tuple(argv), {"OPENCODE_CONFIG_CONTENT": json.dumps({**config, "instructions": listed})})


def _write(folder: Path, text: str, name: str = _FILE) -> str:
    path = folder / name
    with open(path, "x", opener=lambda where, flags: os.open(where, flags, 0o600), encoding="utf-8") as file:
        file.write(text)
    return str(path)


def _read(path: Path) -> str:
    with open(path, "rb") as file:
        return file.read(_TEXT).decode("utf-8", "replace")
