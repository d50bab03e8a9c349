"""The texts that an action consists of, for everybody who shows it whole: the popup, approval files, pages of links.

Owns: which texts those are, in which order, and of what kind each is. Must not own: colours, layout.
"""

from __future__ import annotations

import re
import shlex

import msgspec

from . import wording
from .model import Action, Ask, Command, Fetch, File, Fleet, Mcp, Patch, Shell, Stage, Tmux, Tool

Block = tuple[str, str]  # text, and "diff:PATH", "code:LANGUAGE", "plain" or "prose"

_SIGNS = re.compile(r"tar1_[A-Za-z0-9_-]{16,}")  # random, and a secret of a pipeline's run (redact.py)
_SUFFIXES = {
    "bash": "sh bash zsh",
    "python": "py pyi",
    "javascript": "js mjs jsx",
    "typescript": "ts tsx",
    "yaml": "yaml yml",
    "ini": "ini cfg",
    "c": "c h",
    "cpp": "cc cpp hpp",
    "rust": "rs",
    "ruby": "rb",
    "make": "makefile mk",
    "docker": "dockerfile",
    **{name: name for name in ("json", "toml", "go", "java", "sql", "css", "html", "lua", "php")},
}
_BY_SUFFIX = {suffix: name for name, suffixes in _SUFFIXES.items() for suffix in suffixes.split()}


def language(path: str) -> str:
    """The language of a file's name, or "" for none."""
    base = path.rsplit("/", 1)[-1].lower()
    return _BY_SUFFIX.get(base.rsplit(".", 1)[-1], "")


def blocks(action: Action, preview: str, folder: str, home: str = "") -> list[Block]:
    """The texts that are the action, in order; each is to be shown whole. Raw: whoever shows them makes them safe."""
    match action:
        case Shell(text=text):
            where = wording.typed_into(action)
            return [(text, "code:bash"), *([("", "plain"), (where, "plain")] if where else [])]
        case Command(argv=argv, env=env, stdin=stdin):
            given = [(shlex.join(argv), "code:bash")]
            given += [(_SIGNS.sub("…", f"with {name}={value}"), "plain") for name, value in env.items()]
            return given + ([(f"stdin:\n{stdin}", "plain")] if stdin is not None else [])
        case File():
            return file_blocks(action, preview, folder, home)
        case Patch(text=text, changes=changes):
            return [(text.removesuffix("\n"), f"diff:{changes[0].path if len(changes) == 1 else ''}")]
        case Tmux():
            return [
                (wording.tmux_line(action), "plain"),
                *named(options=action.options or None, folder=action.cwd or None),
            ]
        case Fetch(url=url, method=method):
            return [(f"{method} {url}", "plain")]
        case Mcp(server=server, tool=tool, arguments=arguments):
            return [(f"{server} {tool}", "plain"), (wording.json_text(arguments), "code:json")]
        case Ask(prompt=prompt, details=details):
            return [(prompt, "prose"), *([("", "plain"), (details, "prose")] if details else [])]
        case Stage(does=does):
            return [(wording.stage_line(action), "plain"), *((line, "code:bash") for line in does)]
        case Fleet(verb="queue", text=text, does=does):
            return [*((line, "prose") for line in does), *([("", "plain"), (text, "prose")] if text else [])]
        case Fleet(text=text, does=does):
            head = wording.fleet_line(msgspec.structs.replace(action, text=""))
            worktree = wording.tilde(action.worktree, home)
            told = {"base": action.base, "worktree": worktree, "template": action.template, "tier": action.tier}
            facts: list[Block] = [(f"{name:<8}  {value}", "plain") for name, value in told.items() if value]
            said: list[Block] = [("", "plain"), (text, "prose")] if text else []
            return [(head, "plain"), *facts, *((line, "code:bash") for line in does), *said]
        case Tool(name=name, arguments=arguments):
            return [(name, "plain"), (wording.json_text(arguments), "code:json")]


def named(**values: object) -> list[Block]:
    texts = [(name, _SIGNS.sub("…", wording.json_text(value))) for name, value in values.items() if value]
    return [(f"{name}: {text}", "plain") for name, text in texts]


def file_blocks(action: File, preview: str, folder: str, home: str) -> list[Block]:
    path = action.path
    head: list[Block] = [(wording.file_line(action, folder, home).removeprefix(f"{action.verb} "), "plain")]
    flags = ["every occurrence"] * action.replace_all + ["and all below it"] * action.recursive
    flags += ["over what is there"] * action.overwrite + ["making folders"] * action.create_dirs
    head += [(", ".join(flags), "plain")] if flags else []
    if action.verb not in ("write", "edit"):
        return head
    if wording.diff_counts(preview):
        hunks = preview[preview.find("\n@@") + 1 :] if preview.startswith("--- ") else preview  # the path stands above
        whole = [("all of it:", "plain"), *_whole(action)] if _is_cut(hunks) else []
        return [*head, ("", "plain"), (hunks.removesuffix("\n"), f"diff:{path}"), *whole]
    return [*head, ("", "plain"), *_whole(action)]


def _is_cut(diff: str) -> bool:
    """Whether the diff leaves something out at its end, which services/tools/texts.py says in a line of its own."""
    return diff.rstrip("\n").rpartition("\n")[2].startswith("…")


def _whole(action: File) -> list[Block]:
    path = action.path
    if action.verb == "write":
        return [(action.content or "", f"code:{language(path)}")]
    removed = "\n".join("-" + line for line in (action.old_text or "").split("\n"))
    added = "\n".join("+" + line for line in (action.new_text or "").split("\n"))
    return [(f"{removed}\n{added}", f"diff:{path}")]
