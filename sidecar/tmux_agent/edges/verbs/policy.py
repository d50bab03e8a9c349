"""`tmux-agent policy`: check, explain, test, lint, init, replay and trust policies, without a sidecar.

Owns the arguments and what is printed. Must not own judging (services/judgement.py). Commands are judged as
the person's
own worktree would be: {worktree} is the top of the repository around the case's cwd, else that folder.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from ...core import config, fleet_file, operands, policy_build, queue_file
from ...core.config import ConfigError
from ...core.model import Action, Command, Decision, Risk, Shell, Verdict
from ...core.policy_build import Layer
from ...core.policy_file import PolicyFile
from ...services import places, queue_files
from ...services.fleet_files import FleetFiles
from ...services.judgement import Judgement, worktree_of
from ...services.policy_files import PROJECT_FILE, not_for_repositories, shipped_text
from ...services.trusted import Trusted
from .policy_stream import Case, answer_all, case_action

_COLOURS = {Verdict.ALLOW: "32", Verdict.ASK: "33", Verdict.DENY: "31"}
_RISKS = {Risk.LOW: "2", Risk.MEDIUM: "33", Risk.HIGH: "31"}


def add(parser: argparse.ArgumentParser) -> None:
    """The arguments of `tmux-agent policy`."""
    under = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    for name, about in (
        ("check", "the verdict on one command, or on a stream of them"),
        ("explain", "every rule that speaks of a command, and why"),
    ):
        sub = under.add_parser(name, help=about)
        sub.add_argument("--shell", metavar="TEXT", help="shell text, as an agent's shell tool gets it")
        sub.add_argument("--cwd", default=None, help="folder it would run in (default: this one)")
        sub.add_argument("--policy", metavar="FILE", help="another policy file instead of your own")
        sub.add_argument("--json", action="store_true", help="the whole decision as JSON")
        sub.add_argument("argv", nargs="*", metavar="-- COMMAND", help="a program with its arguments, without a shell")
        if name == "check":
            sub.add_argument(
                "--jsonl",
                metavar="FILE",
                help='cases {"id", "shell" or "argv", "cwd"?, "env"?}, one per line; - is standard input',
            )
    test = under.add_parser("test", help="try every rule on its examples, and case files with an expected verdict")
    test.add_argument("--policy", metavar="FILE")
    test.add_argument(
        "cases", nargs="*", metavar="CASES.jsonl", help='lines {"shell" or "argv", "cwd"?, "expect": "allow|ask|deny"}'
    )
    lint = under.add_parser("lint", help="every error of your policy files, and rules that do nothing")
    lint.add_argument("--policy", metavar="FILE")
    lint.add_argument("--kinds", action="store_true", help="list the kinds of operands that rules can name")
    init = under.add_parser("init", help="write the shipped policy to your own policy.yaml, to change it")
    init.add_argument("--force", action="store_true", help="replace the one that is there")
    init.add_argument("--print", action="store_true", dest="show", help="print it instead")
    replay = under.add_parser("replay", help="judge the audit log anew by another policy: what would have changed")
    replay.add_argument("--policy", metavar="FILE", help="the policy to try (default: your own as it is now)")
    replay.add_argument("--since", default="", metavar="7d", help="only records of the last 7d, 12h, 30m, …")
    replay.add_argument("--audit", metavar="FILE", help="another audit log")
    replay.add_argument("--json", action="store_true")
    trust = under.add_parser(
        "trust", help="let a repository's .tmuxagent/ (policy, fleet.toml, templates) or a tasks.yaml count, as it is"
    )
    trust.add_argument("folder", nargs="?", default=".", help="the repository (this folder's), or tasks.yaml")


def main(args: argparse.Namespace) -> int:
    """Run one of them; gives the exit code (check: 0 allow, 3 ask or deny)."""
    verbs = {
        "check": _check,
        "explain": _explain,
        "test": _test,
        "lint": _lint,
        "init": _init,
        "replay": _replay,
        "trust": _trust,
    }
    return verbs[args.what](args)


# --- judging -----------------------------------------------------------------------------------------


def judgement_of(policy: str | None, *, shipped: bool = False, tried: bool = False) -> Judgement | None:
    """The policy to use; None with its errors on stderr where it has any. `tried`: as for Judgement."""
    where = places.find(os.environ)
    home = os.environ.get("HOME") or str(Path.home())
    judgement = Judgement(
        folder=where.config,
        state=where.state,
        home=home,
        environ=os.environ,
        protected=[str(where.socket), str(where.data), str(where.config)],
        hidden=where.hidden,
        policy_file=Path(policy) if policy else None,
        own_files=not shipped and policy is None,
        tried=tried,
    )
    errors = judgement.load()
    for error in errors:
        print(error, file=sys.stderr)
    return None if errors else judgement


def _action(args: argparse.Namespace) -> Action | None:
    cwd = os.path.abspath(args.cwd or ".")
    if (args.shell is None) == (not args.argv):
        print("give either --shell TEXT or -- COMMAND", file=sys.stderr)
        return None
    return Shell(text=args.shell, cwd=cwd) if args.shell is not None else Command(argv=tuple(args.argv), cwd=cwd)


def _decide(judgement: Judgement, action: Action) -> Decision:
    cwd = str(getattr(action, "cwd", "/"))
    return judgement.judge_at(action, worktree_of(cwd)).decision


def _decision(args: argparse.Namespace) -> Decision | None:
    """What the policy says of what was given; None where that was said on stderr to be wrong."""
    action = _action(args)
    judgement = judgement_of(args.policy, tried=True) if action is not None else None
    return None if action is None or judgement is None else _decide(judgement, action)


def _stream(args: argparse.Namespace) -> int:
    judgement = judgement_of(args.policy, shipped=args.policy is None, tried=True)
    if judgement is None:
        return 2
    gc.freeze()  # the policy stays: collections need not walk it
    source = sys.stdin.buffer if args.jsonl == "-" else open(args.jsonl, "rb")  # noqa: SIM115  closed at exit
    answer_all(source, sys.stdout.buffer, judgement, os.path.abspath(args.cwd or "."))
    return 0


def _check(args: argparse.Namespace) -> int:
    if args.jsonl:
        return _stream(args)
    decision = _decision(args)
    if decision is None:
        return 2
    if args.json:
        print(msgspec.json.encode(decision).decode())
    else:
        print(f"{decision.verdict.value}  {decision.rule}{'  ' + decision.reason if decision.reason else ''}")
    return 0 if decision.verdict is Verdict.ALLOW else 3


# --- for people --------------------------------------------------------------------------------------


def _explain(args: argparse.Namespace) -> int:
    decision = _decision(args)
    if decision is None:
        return 2
    if args.json:
        print(msgspec.json.encode(decision).decode())
        return 0
    for line in _explained(decision, colour=sys.stdout.isatty() and not os.environ.get("NO_COLOR")):
        print(line)
    return 0


def _explained(decision: Decision, *, colour: bool) -> Iterator[str]:
    from ...core.display import safe

    def paint(text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if colour else text

    verdict = paint(f"{decision.verdict.value:5}", f"1;{_COLOURS[decision.verdict]}")
    yield f"{verdict} {decision.rule}{paint('  ' + decision.where, '2')}"
    if decision.reason:
        yield f"      {safe(decision.reason)}"
    yield f"      risk {paint(decision.risk.value, _RISKS[decision.risk])}"
    if decision.parts:
        yield ""
        yield "parts"
        for part in decision.parts:
            yield f"  {paint(f'{part.verdict.value:5}', _COLOURS[part.verdict])} {safe(part.source)}"
            yield paint(f"        {part.rule}{': ' + safe(part.reason) if part.reason else ''}", "2")
    yield ""
    yield "everything that applies"
    width = max(len(match.rule) for match in decision.matched)
    for match in decision.matched:
        place = paint(match.where, "2")
        verdict = paint(f"{match.verdict.value:5}", _COLOURS[match.verdict])
        yield f"  {verdict} {match.rule:{width}}  {place}  {safe(match.reason)}".rstrip()


# --- files -------------------------------------------------------------------------------------------


def _test(args: argparse.Namespace) -> int:
    judgement = judgement_of(args.policy)
    if judgement is None:
        return 1
    rules = judgement.policy.rules
    examples = sum(len(rule.file.match) + len(rule.file.not_match) for rule in rules)
    print(f"{len(rules)} rules hold on their {examples} examples")
    wrong = 0
    for path in args.cases:
        total = 0
        for number, case, expected in _expected(path):
            total += 1
            decision = _decide(judgement, case_action(case, os.getcwd()))
            if decision.verdict.value != expected:
                wrong += 1
                said = decision.reason or decision.rule
                print(f"{path}:{number}: {decision.verdict.value}, not {expected}: {case.shell or case.argv}  ({said})")
        print(f"{path}: {total} cases")
    return 1 if wrong else 0


def _expected(path: str) -> Iterator[tuple[int, Case, str]]:
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                data = msgspec.json.decode(line)
                yield number, msgspec.convert(data, Case), str(data.get("expect", ""))


def _lint(args: argparse.Namespace) -> int:
    if args.kinds:
        for kind, (about, _) in operands.KINDS.items():
            print(f"{kind:16} {about}")
        for kind, about in operands.SPECIAL.items():
            print(f"{kind:16} {about}")
        return 0
    judgement = judgement_of(args.policy)
    if judgement is None:
        return 1
    found = list(_doubts(judgement))
    for line in found:
        print(line)
    print(f"{judgement.file}: {len(judgement.policy.rules)} rules, no errors, {len(found)} remarks")
    return 0


def _doubts(judgement: Judgement) -> Iterator[str]:
    for rule in judgement.policy.rules:
        if rule.verdict is Verdict.ALLOW and not rule.file.match:
            yield f"{rule.where}: {rule.name!r} has no `match` example"
        if rule.verdict is Verdict.ALLOW and rule.open_end:
            yield f"{rule.where}: {rule.name!r} allows any option of {', '.join(sorted(rule.programs))}"
        if rule.verdict is Verdict.ALLOW and rule.programs & operands_wrappers():
            yield f"{rule.where}: {rule.name!r} allows a program that runs others"


def operands_wrappers() -> frozenset[str]:
    """Programs of which an allow rule is seldom what is meant."""
    from ...core.argv.wrappers import NAMES

    return NAMES - {"command", "bash", "sh", "dash", "env", "xargs", "timeout", "nice", "time", "zsh"}


def _init(args: argparse.Namespace) -> int:
    if args.show:
        print(shipped_text(), end="")
        return 0
    path = places.find(os.environ).config / "policy.yaml"
    if path.exists() and not args.force:
        print(f"{path} is there already; --force replaces it", file=sys.stderr)
        return 1
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.write_text(shipped_text(), "utf-8")
    print(f"{path} now stands in place of the shipped policy; change it, then run `tmux-agent policy lint`")
    return 0


def _trust(args: argparse.Namespace) -> int:
    if any(os.environ.get(mark) for mark in ("CLAUDECODE", "AI_AGENT", "CODEX_SANDBOX", "GEMINI_CLI", "OPENCODE")):
        print("an agent cannot trust a policy; run this in a terminal of your own", file=sys.stderr)
        return 1
    named = Path(os.path.abspath(args.folder))
    top = worktree_of(str(named.parent if named.is_file() else named))
    judgement = judgement_of(None)
    if judgement is None:
        return 1
    policy = Path(top) / PROJECT_FILE
    trusted = Trusted(places.find(os.environ).state)
    fleet = FleetFiles(places.find(os.environ).config, trusted)
    files = [named] if named.is_file() else [*([policy] if policy.is_file() else []), *fleet.of(top)]
    if not files:
        print(f"there is no {policy}, and no {policy.parent}/fleet.toml", file=sys.stderr)
        return 1
    others = (policy, *fleet.of(top))
    errors = [wrong for path in files for wrong in _wrong_with(path, judgement.home, tasks=path not in others)]
    for error in errors:
        print(error, file=sys.stderr)
    if errors:
        return 1
    for path in files:
        found = judgement.trust(path) if path == policy else trusted.add(path)
        print(f"{path} is trusted as it is now ({found[:16]}…); a change to it needs this again")
    return 0


def _wrong_with(path: Path, home: str, *, tasks: bool) -> Sequence[ConfigError]:
    """What is wrong with a file of a repository that is to be trusted; `tasks`: one for the queue."""
    if tasks:
        found, wrong = queue_files.read(path)
        return wrong or queue_file.problems(found, str(path))
    text = path.read_bytes().decode("utf-8", "replace")
    if path.suffix == ".toml":
        return fleet_file.load(text, str(path))[1]
    if path.suffix != ".yaml":
        return ()
    file, errors = config.load(text, str(path), PolicyFile)
    if file is not None and not errors:
        _, errors = policy_build.build([Layer(file=file, label=str(path))], home)
        errors = (*errors, *not_for_repositories(file, str(path)))
    return errors


def _replay(args: argparse.Namespace) -> int:
    from .policy_replay import replay

    judgement = judgement_of(args.policy)
    return replay(judgement, args) if judgement is not None else 1
