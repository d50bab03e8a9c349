"""What no rule and no grant lifts: denied outright, or at least asked.

Owns the list of policy.md, "Guardrails". Must not own rules of the policy file (rules.py). Everything here
is careful in
the strict direction: names are compared by their last component, options in any spelling, paths by every
name they have.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from msgspec import Struct

from . import guardrail_lists as lists
from . import paths
from .argv import tmux as tmux_argv
from .argv.options import Arg, mentions
from .calls import Invocation
from .model import Action, Command, Fetch, Match, Mcp, Risk, Shell, Tmux, Tool, Verdict
from .rules import Touch

DENY, ASK = Verdict.DENY, Verdict.ASK
_PACKAGES = re.compile("|".join(map(re.escape, lists.AGENT_PACKAGES)))
ANSWERING = "answering for a person"  # the rule whose denial is a warning to people, too


class Protected(Struct, frozen=True):
    """Real paths that are nobody's but ours and the person's: policy, state, audit log, socket, the plugin.
    With patterns."""

    places: tuple[str, ...] = ()
    home: str = ""
    hidden: tuple[str, ...] = ()  # files that are not to be read


def _match(rule: str, verdict: Verdict, reason: str, risk: Risk) -> Match:
    return Match(rule=rule, verdict=verdict, reason=reason, where="guardrail", risk=risk)


# --- files -------------------------------------------------------------------------------------------


def touch(done: Touch, protected: Protected) -> Iterable[Match]:
    """Guardrails for one thing done to one file; `use` is an operand of a program that nobody knows."""
    names = dict.fromkeys((done.real, paths.normal(done.path), done.path))
    if kept := next(filter(None, (_near(name, protected.hidden, whole=False) for name in names)), ""):
        yield _match("our secrets", DENY, f"touches {kept}, where tmux-agent keeps secrets or their key", Risk.HIGH)
        return
    if done.verb not in lists.WRITES and done.verb != "use":
        return
    yes = DENY if done.verb in lists.WRITES else ASK
    verb = {"use": "may change", "delete": "removes"}.get(done.verb, "changes")
    for name in names:
        ours = _near(name, protected.places, whole=done.verb == "delete")
        if ours:
            yield _match(
                "our own files", yes, f"{verb} {ours}, which belongs to tmux-agent or decides what it allows", Risk.HIGH
            )
            return
        if paths.matches(name, lists.AGENT_SETTINGS, protected.home):
            yield _match("agents' settings", yes, f"{verb} {name}, where an agent's hooks are set", Risk.HIGH)
            return
    if done.verb == "use":
        return
    for why, patterns in lists.ASKED_PATHS:
        found = next((name for name in names if paths.matches(name, patterns, protected.home)), None)
        if found:
            yield _match("files that decide what runs", ASK, f"{why}: {found}", Risk.HIGH)
            return


def beneath(done: Touch, protected: Protected) -> Iterable[Match]:
    """Guardrail for a folder that is read, perhaps with all beneath it."""
    names = (done.real, paths.normal(done.path))
    if kept := next((one for one in protected.hidden for name in names if paths.inside(one, (name,))), ""):
        yield _match("our secrets", ASK, f"may read {kept}, where tmux-agent keeps secrets or their key", Risk.HIGH)


@lru_cache(maxsize=16)
def _folded(places: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    return tuple((place, place.casefold()) for place in places)


def _near(name: str, places: Sequence[str], *, whole: bool) -> str:
    folded = name.casefold()
    for place, lower in _folded(tuple(places)):
        if paths.inside(folded, (lower,)) or (whole and paths.inside(lower, (folded,))):
            return place
    return ""


# --- programs ----------------------------------------------------------------------------------------


def command(call: Invocation, *, body: bool = False) -> Iterable[Match]:
    """Guardrails for one program run. `body`: its standard input is in the text (here-document or here-string)."""
    program = call.program
    args = call.args
    plain = [word for word in args if isinstance(word, str)]
    if plain in (["--version"], ["--help"], ["-V"]):
        return
    if program == "tmux":
        yield from _tmux(args)
    if program in lists.OURS or "tmux_agent" in plain[:2] or "tmux_agent.cli" in plain[:2]:
        yield from _ours(plain)
    if program in lists.AGENTS or _PACKAGES.search("\0".join(plain)):
        yield _match("another agent", ASK, f"starts {program}, an agent of its own, perhaps without hooks", Risk.HIGH)
    if program in lists.PRIVILEGE or (
        program in ("chmod",) and any(re.fullmatch(r"[0-7]?[2-7][0-7]{3}|[ugo]*\+[rwx]*s[rwx]*", w) for w in plain)
    ):
        yield _match("privileges", ASK, f"{program} changes privileges", Risk.HIGH)
    yield from _code(call, plain, body)
    yield from _network(program, plain)
    if (
        program in lists.LATER
        and not (program == "crontab" and plain == ["-l"])
        and not (program == "systemctl" and plain[:1] == ["status"])
    ):
        yield _match(
            "runs later or elsewhere", ASK, f"{program} runs things outside of what is watched here", Risk.HIGH
        )
    if program in lists.CLOUD and not _only_reads(plain):
        yield _match("containers and clouds", ASK, f"{program} can change containers or servers", Risk.HIGH)
    if program == "gh" and len(plain) > 1 and plain[1] not in ("view", "list", "status", "diff", "checks", "watch"):
        yield _match("containers and clouds", ASK, "gh can change the repository on the server", Risk.HIGH)


def _tmux(args: Sequence[Arg]) -> Iterable[Match]:
    for named in tmux_argv.read(args):
        if named.denied:
            yield _match("tmux commands of agents", DENY, named.denied, Risk.HIGH)


def _ours(plain: Sequence[str]) -> Iterable[Match]:
    words = [word for word in plain if not word.startswith("-") and not word.startswith("tmux_agent")]
    verb = words[0] if words else ""
    refused = verb in lists.OURS_REFUSED or tuple(words[:2]) in lists.OURS_REFUSED_WORDS
    refused = refused or (verb == "policy" and (words[1:2] or [""])[0] not in lists.OURS_READING)
    if verb == "call":
        told = ("respond", "reload", "revoke", "link", "stop", "audit", "hook", "chat")
        refused = any(word in (words[1:2] or [""])[0] for word in told)
    if verb == "sidecar" and words[1:2] == ["status"]:
        refused = False
    if verb == "grants" and len(words) == 1:
        refused = False
    if refused:
        yield _match(ANSWERING, DENY, "agents do not answer approvals or change tmux-agent", Risk.HIGH)
    elif verb == "wrap":
        yield _match("another agent", ASK, "starts an agent of its own, or any other program", Risk.HIGH)
    elif verb == "play" or words[:2] == ["cast", "export"]:
        yield _match("recordings", ASK, "shows what panes showed while they were recorded", Risk.MEDIUM)


def _code(call: Invocation, plain: Sequence[str], body: bool) -> Iterable[Match]:
    program = call.program
    fed = call.piped or body
    if program in lists.SHELLS and "-c" not in plain and not any(re.fullmatch(r"-[a-z]*c", w) for w in plain):
        operands = [word for word in plain if not word.startswith("-")]
        if fed and (not operands or "-s" in plain):
            yield _match("pipe into a shell", ASK, f"{program} runs whatever it is sent", Risk.HIGH)
    elif lists.INTERPRETERS.fullmatch(program):
        files = [word for word in plain if not word.startswith("-")]
        if _is_inline(program, plain):
            yield _match("inline code", ASK, f"{program} runs code from its arguments", Risk.MEDIUM)
        elif not files and fed:
            yield _match("pipe into a shell", ASK, f"{program} runs whatever it is sent", Risk.HIGH)
    elif program == "eval":
        yield _match("inline code", ASK, "eval runs text as shell commands", Risk.MEDIUM)


def _is_inline(program: str, plain: Sequence[str]) -> bool:
    """True where the options in front of the first file hand over code, or it is to come from standard input."""
    name = program.rstrip("0123456789.").lower()
    letters = lists.CODE_LETTERS.get(name, "eE")
    for word in plain:
        if word in ("-", "eval") or any(word.partition("=")[0] == option for option in lists.CODE_WORDS):
            return True
        if not word.startswith("-"):
            return False
        if not word.startswith("--") and set(letters) & set(word[1:]):
            return True
        if word == "-m":
            return False
    return False


def _network(program: str, plain: Sequence[str]) -> Iterable[Match]:
    if program in ("curl", "wget", "http", "https", "xh", "httpie"):
        sends = (
            "-d",
            "--data",
            "--data-raw",
            "--data-binary",
            "--data-urlencode",
            "-F",
            "--form",
            "-T",
            "--upload-file",
            "--json",
            "--post-data",
            "--post-file",
            "--body-data",
            "--body-file",
        )
        verbs = any(
            re.fullmatch(r"(-X|--request=|--method=)?(POST|PUT|PATCH|DELETE)", word, re.IGNORECASE) for word in plain
        )
        if mentions(plain, sends) or verbs:
            yield _match("uploads", ASK, f"{program} sends data to another machine", Risk.HIGH)
    elif program in lists.SENDS or (program == "rsync" and any(re.match(r"[^/]+:", word) for word in plain)):
        yield _match("uploads", ASK, f"{program} talks to another machine", Risk.HIGH)
    elif program in lists.SHELL_FOR and program == "ssh":
        yield _match("uploads", ASK, "ssh runs things on another machine", Risk.HIGH)


def _only_reads(plain: Sequence[str]) -> bool:
    words = [word for word in plain if not word.startswith("-")][:3]
    if not words:
        return True
    return any(w in lists.READING_WORDS or w.startswith(("describe-", "list-", "get-")) for w in words[:3]) and not any(
        w
        in ("apply", "delete", "create", "run", "exec", "rm", "set", "use", "push", "edit", "scale", "patch", "import")
        for w in words
    )


_LINK = re.compile(r"tal1_[A-Za-z0-9_-]{20,}")  # core/link.py
_SPEAKING = re.compile(
    r"\b(tmux|tmux-agent|tmux_agent|sudo|doas|claude|codex|gemini|opencode|ssh|scp|curl|wget|nc|socat|rm|mkfs|dd|shutdown|reboot"
    r"|kubectl|docker|terraform|settings\.json|policy\.yaml|\.tmuxagent|\.git/hooks|\.git/config|/dev/tcp|authorized_keys)\b"
)


def unread(source: str, *, whole: bool = True) -> Iterable[Match]:
    """Text that nobody could read: asked by name where it speaks of something that is guarded, or may: `source` is not
    the `whole` of it."""
    found = _SPEAKING.search(source)
    if not whole:
        yield _match("cannot be read", ASK, "it is too long to be read, whatever it holds", Risk.HIGH)
    elif found:
        yield _match("cannot be read", ASK, f"it cannot be read, and it mentions {found[0]}", Risk.HIGH)


def links(action: Action) -> Iterable[Match]:
    """Signed links (link.py) are for people: a program that opens one would answer with it."""
    match action:
        case Shell(text=text):
            texts: Iterable[str] = (text,)
        case Command(argv=argv, stdin=stdin):
            texts = (*argv, stdin or "")
        case Tmux(text=text, keys=keys, argv=argv):
            texts = (text, "".join(keys), *argv)
        case Fetch(url=url):
            texts = (url,)
        case Mcp(arguments=arguments) | Tool(arguments=arguments):
            texts = (str(arguments),)
        case _:
            return
    if any(_LINK.search(text) for text in texts):
        yield _match(ANSWERING, DENY, "it uses a signed link, which is for a person to open", Risk.HIGH)


def network_redirect() -> Match:
    return _match("uploads", ASK, "bash opens a network connection for this redirection", Risk.HIGH)


def far_removal(what: str) -> Match:
    return _match(
        "removes a folder outside the worktree",
        ASK,
        f"removes {what} with all beneath, outside the worktree",
        Risk.HIGH,
    )
