"""What a person may allow ahead: scopes that may be offered for an action, and the rule that each would make.

Owns the shapes. Nothing of a shape is ever offered for wrappers, shells, inline code or what cannot be read; what an
interpreter or package manager runs is offered only exactly, bound to the hash of the file or script. Must not own how a
grant is kept (services/grants.py) or how it counts (policy.py).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal

from msgspec import Struct

from . import paths, shell
from .argv import git, wrappers
from .facts import Facts, Lookup
from .model import Action, Command, Decision, Fetch, File, Mcp, Shell, Tool, Verdict
from .shell_parts import Simple

Scope = Literal["once", "exact", "shape", "30m", "always"]
_ALL: tuple[str, ...] = ("once", "exact", "shape", "30m", "always")
_EXACT: tuple[str, ...] = ("once", "exact")
_INTERPRETERS = re.compile(
    r"(python|pypy|perl|ruby|node|nodejs|deno|bun|php|lua|luajit|tclsh|Rscript|julia|tsx|ts-node|java|make|gmake|just|task)[0-9.]*"
)
_PACKAGERS = frozenset(
    [
        "npm",
        "pnpm",
        "yarn",
        "bun",
        "npx",
        "cargo",
        "go",
        "pip",
        "pip3",
        "uv",
        "poetry",
        "pipenv",
        "pytest",
        "tox",
        "nox",
        "mvn",
        "gradle",
        "bundle",
        "rake",
        "composer",
        "mix",
        "dotnet",
        "swift",
    ]
)
_SCRIPT_COMMANDS = {"run", "run-script", "test", "t", "start", "stop", "restart"}


# Programs whose first word says what they do; for all others it is something that they do it to.
_WITH_COMMANDS = frozenset(
    (
        *("git", "hg", "svn", "jj", "gh", "glab", "tmux", "docker", "podman", "kubectl", "helm", "terraform", "aws"),
        *("gcloud", "az", "brew", "apt", "apt-get", "dnf", "pacman", "systemctl", "ruff", "pre-commit", "alembic"),
        *("conda", "mamba", "rustup", "asdf", "mise", "hatch", "pdm", "rye", "pixi", "vagrant", "ansible-galaxy"),
        *("flutter", "dart", "gem", "openssl", "buf", "sqlc", "atlas", "hugo", "zig", "nix", "dvc"),
    )
)


class GrantProposal(Struct, frozen=True, kw_only=True):
    """One thing a person may choose. `rule` is as in the policy file; None for an exact action. `bound`:
    path → sha256."""

    scope: Scope
    text: str
    rule: dict[str, Any] | None = None
    bound: dict[str, str] = {}
    matches: tuple[str, ...] = ()
    not_matches: tuple[str, ...] = ()


def scopes(action: Action, decision: Decision, look: Lookup) -> tuple[str, ...]:
    """Scopes that may be offered; facts they need are asked for. () where only a yes to this once is possible."""
    asked = [match for match in decision.matched if match.verdict is not Verdict.ALLOW]
    if any(match.where != "default" for match in asked):
        return ("once",)  # a grant lifts the default and nothing else
    if isinstance(action, (File, Fetch, Mcp, Tool)):
        return _ALL
    argv = _argv(action)
    if argv is None or not argv:
        return ("once",)
    program = argv[0].rpartition("/")[2]
    if program in wrappers.NAMES or program == "export" or (isinstance(action, Command) and action.env):
        return ("once",)
    if _runs_files(program):
        return _EXACT if _bound(argv, _cwd(action), look) else ("once",)
    return _ALL


def propose(action: Action, decision: Decision, facts: Facts) -> tuple[GrantProposal, ...]:
    """The proposals for the popup, each with the rule it would make and what that would and would not match."""
    look = Lookup(facts)
    found: list[GrantProposal] = []
    for scope in scopes(action, decision, look):
        if scope in ("once", "exact"):
            text = {"once": "this once", "exact": "exactly this, for this agent's session"}[scope]
            bound = _bound(_argv(action) or (), _cwd(action), look) if scope == "exact" else {}
            if bound:
                text += ", as long as what it runs does not change"
            found.append(GrantProposal(scope="exact" if scope == "exact" else "once", text=text, bound=bound))
        else:
            rule, yes, no = _shape(action)
            kinds: dict[str, Scope] = {"shape": "shape", "30m": "30m", "always": "always"}
            what = {
                "shape": "this session",
                "30m": "30 minutes",
                "always": "always, written to policy.d/50-grants.yaml",
            }[scope]
            found.append(
                GrantProposal(
                    scope=kinds[scope], text=f"{rule['name']} ({what})", rule=rule, matches=yes, not_matches=no
                )
            )
    return tuple(found)


def _argv(action: Action) -> tuple[str, ...] | None:
    """The one plain command of an action; None where there are several parts or anything that is not literal."""
    if isinstance(action, Command):
        return action.argv
    if not isinstance(action, Shell):
        return None
    parts = shell.parse(action.text, action.dialect)
    if len(parts) != 1 or not isinstance(parts[0], Simple):
        return None
    part = parts[0]
    if part.assignments or part.redirects or any(word.kind != "literal" or word.tilde for word in part.words):
        return None
    return tuple(word.text for word in part.words)


def _cwd(action: Action) -> str:
    return getattr(action, "cwd", "") or "/"


# --- what an interpreter or package manager would run ------------------------------------------------


def _runs_files(program: str) -> bool:
    return bool(_INTERPRETERS.fullmatch(program)) or program in _PACKAGERS or program.startswith("./")


def _bound(argv: Sequence[str], folder: str, look: Lookup) -> dict[str, str]:
    """What an exact grant is bound to; {} where that cannot be told. For programs that are no interpreters: {}."""
    if not argv or not _runs_files(argv[0].rpartition("/")[2]):
        return {}
    program = argv[0].rpartition("/")[2]
    plain = [word for word in argv[1:] if not word.startswith("-")]
    if program in ("npm", "pnpm", "yarn", "bun") and plain and plain[0] in _SCRIPT_COMMANDS:
        script = (
            plain[1] if plain[0] in ("run", "run-script") and len(plain) > 1 else {"t": "test"}.get(plain[0], plain[0])
        )
        package = look.package(folder, script)
        return {f"{package.path}#scripts.{script}": package.sha256} if package.sha256 else {}
    names = (
        [plain[0]]
        if plain and _INTERPRETERS.fullmatch(program) and program not in ("make", "gmake", "just", "task")
        else []
    )
    names = names or {
        "make": ["Makefile", "makefile", "GNUmakefile"],
        "gmake": ["Makefile", "GNUmakefile"],
        "just": ["justfile"],
        "task": ["Taskfile.yml"],
    }.get(program, [])
    if program not in ("make", "gmake", "just", "task") and any(word in ("-m", "-c", "-e") for word in argv[1:]):
        return {}
    bound = {}
    for name in names:
        path = paths.absolute(folder, name)
        fact = look.hash(path)
        if fact.sha256:
            bound[path] = fact.sha256
    return bound


# --- shapes ------------------------------------------------------------------------------------------


def _shape(action: Action) -> tuple[dict[str, Any], tuple[str, ...], tuple[str, ...]]:
    """(rule, examples that match, examples that do not)."""
    if isinstance(action, File):
        return _file_shape(action)
    if isinstance(action, Fetch):
        host = re.sub(r"^[a-z]+://([^/@]*@)?([^/:]+).*$", r"\2", action.url)
        when: dict[str, Any] = {"fetch": {"host": [host], "method": [action.method]}}
        return (
            {"name": f"{action.method} from {host}", "when": when, "verdict": "allow"},
            (action.url,),
            ("any other host",),
        )
    if isinstance(action, Mcp):
        when = {"mcp": {"server": [action.server], "tool": [action.tool]}}
        return (
            {"name": f"{action.tool} of {action.server}", "when": when, "verdict": "allow"},
            (action.tool,),
            ("any other tool",),
        )
    if isinstance(action, Tool):
        return (
            {"name": f"tool {action.name}", "when": {"tool": [action.name]}, "verdict": "allow"},
            (action.name,),
            ("any other tool",),
        )
    return _command_shape(_argv(action) or ())


def _file_shape(action: File) -> tuple[dict[str, Any], tuple[str, ...], tuple[str, ...]]:
    folder = paths.normal(paths.absolute(action.cwd or "/", action.path)).rpartition("/")[0] or "/"
    when = {"file": [action.verb], "inside": [folder]}
    rule = {"name": f"{action.verb} in {folder}", "when": when, "verdict": "allow"}
    return (
        rule,
        (f"{action.verb} {folder}/another-file",),
        (f"{action.verb} {folder.rpartition('/')[0] or '/'}/file", f"{action.verb} {folder}/.env"),
    )


def _command_shape(argv: Sequence[str]) -> tuple[dict[str, Any], tuple[str, ...], tuple[str, ...]]:
    """Program, sub-command and options as they are; further words stay literal, so that a shape never grows
    by itself."""
    program = argv[0].rpartition("/")[2]
    rest = list(argv[1:])
    if program == "git":
        call = git.read(tuple(rest))
        rest = [word for word in (call.command, *call.rest) if isinstance(word, str) and word]
    fixed = [program]
    if program in _WITH_COMMANDS and rest and re.fullmatch(r"[a-z][a-z0-9-]*", rest[0]):
        fixed.append(rest.pop(0))
    if fixed == ["git", "commit"]:
        rest = _joined(rest, ("-m", "--message"))
    options = [_option(word) for word in rest if word.startswith("-") and word != "-" and word != "--"]
    words = [word for word in rest if not word.startswith("-") or word == "-"]
    operands = [f"={word}" for word in words]
    if (
        program in ("mkdir", "touch", "cp", "mv", "git")
        and words
        and fixed[1:2] != ["push"]
        and fixed[-1] not in ("remote", "config")
    ):
        operands = ["paths"]
    when: dict[str, Any] = {
        "command": list(fixed),
        "options": list(dict.fromkeys(options)),
        "operands": operands or ["none"],
    }
    literal = words if operands != ["paths"] else []
    rule = {"name": " ".join([*fixed, *dict.fromkeys(options), *literal]), "when": when, "verdict": "allow"}
    other = [f"{argv[0]} another-command" if len(fixed) > 1 else "another program"]
    if operands == ["paths"]:
        other.append(" ".join([*fixed, "/outside/the/roots"]))
    elif words:
        other.append(" ".join([*fixed, *options, "another-word"]))
    return rule, (" ".join(argv),), (" ".join([*fixed, "--another-option", *words[:1]]), *other)


def _joined(rest: Sequence[str], names: Sequence[str]) -> list[str]:
    """Each of these options and the word behind it as one word, so that the word is taken for its value."""
    found: list[str] = []
    words = iter(rest)
    for word in words:
        found.append(f"{word}={next(words, '')}" if word in names else word)
    return found


def _option(word: str) -> str:
    name, equals, _ = word.partition("=")
    return f"{name}=text" if equals else name


__all__ = ["GrantProposal", "propose", "scopes"]
