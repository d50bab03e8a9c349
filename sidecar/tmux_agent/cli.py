"""`tmux-agent`: one verb → one module, imported only when it is called.

Owns the list of verbs. A module of a verb has `add(parser)`, which adds its arguments, and `main(args) -> exit code`.
Exit codes: 0 done, 1 an error, 2 wrong usage, 3 a person or the policy said no (or nobody answered).
Must not own: any work.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from . import __version__

# verb → (module, what it does). In the order of --help.
VERBS = {
    "sidecar": ("edges.verbs.sidecar", "run, start, stop, reload the sidecar, or say how it is"),
    "popup": ("edges.verbs.popup", "open the popup on this tmux client"),
    "pending": ("edges.verbs.pending", "approvals that wait for a person"),
    "approve": ("edges.verbs.answer", "say yes to an approval (in a pane: opens the popup at it)"),
    "deny": ("edges.verbs.answer", "say no to an approval (in a pane: opens the popup at it)"),
    "ask": ("edges.verbs.ask", "ask a person, and wait for the answer"),
    "run": ("edges.verbs.run", "run one program, judged first"),
    "check": ("edges.verbs.check", "try an external check: a build on GitHub, a container, an address, a command"),
    "call": ("edges.verbs.call", "call any method of the socket"),
    "mcp": ("edges.verbs.mcp", "the guarded tools for an agent that speaks MCP; the agent starts it"),
    "plan": ("edges.verbs.plan", "say what is going to be done, step by step"),
    "agents": ("edges.verbs.agents", "agents that are known, and their state"),
    "explain": ("edges.verbs.explain", "why a pane has the state that it has, or is no agent"),
    "resume": ("edges.verbs.resume", "have an agent go on after its usage limit (in a pane: asks in the popup)"),
    "pipeline": ("edges.verbs.pipeline", "stages that follow each other: list, show, start, retry, skip, cancel"),
    "watch": ("edges.verbs.watch", "watch a pane for markers, or list those that are watched"),
    "emit": ("edges.verbs.emit", "tell of a stage over the socket, as a marker would in the output"),
    "grants": ("edges.verbs.grants", "permissions given ahead; revoke them"),
    "links": ("edges.verbs.links", "a signed link to a request; a new key for them"),
    "policy": ("edges.verbs.policy", "check, explain, test, replay and trust policies"),
    "audit": ("edges.verbs.audit", "verify, follow, show and export the audit log"),
    "record": ("edges.verbs.record", "record what happens from now on into a file"),
    "replay": ("edges.verbs.replay", "show a recording, or judge what it holds by another policy"),
    "state": ("edges.verbs.state", "back up, list, check and bring back the state database"),
    "restore": ("edges.verbs.restore", "bring a file back from its backup"),
    "notify": ("edges.verbs.notify", "channels for messages: list and test them, forward the local bus"),
    "secret": ("edges.verbs.secret", "values that configuration names: set, get, list, rotate, remove"),
    "setup": ("edges.verbs.setup", "connect an agent (claude) to tmux-agent"),
    "doctor": ("edges.verbs.doctor", "find what is wrong with the set-up, and say how to mend it"),
    "completion": ("edges.verbs.completion", "completion for bash, zsh or fish"),
}


def build(verbs: Sequence[str]) -> argparse.ArgumentParser:
    """The parser, with the arguments of `verbs` filled in (the others are only listed)."""
    parser = argparse.ArgumentParser(
        prog="tmux-agent",
        description="The approver's seat for AI coding agents in tmux: one popup, one policy, one audit log.",
        epilog="`tmux-agent VERB --help` says more. Start with `tmux-agent doctor`.",
    )
    parser.add_argument("--version", action="version", version=f"tmux-agent {__version__}")
    under = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for verb, (module, about) in VERBS.items():
        sub = under.add_parser(verb, help=about, description=about[0].upper() + about[1:] + ".")
        if verb in verbs:
            _load(module).add(sub)
    return parser


def _load(module: str):  # type: ignore[no-untyped-def]
    return importlib.import_module(f".{module}", __package__)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; gives the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    verb = next((word for word in words if not word.startswith("-")), "")
    args = build([verb]).parse_args(words)
    from .core.errors import TmuxAgentError
    from .edges.out import complain

    try:
        code: int = _load(VERBS[args.verb][0]).main(args)
    except TmuxAgentError as error:
        return complain(error)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has gone (`| head`): nothing is wrong
        return 141
    except KeyboardInterrupt:
        return 130
    return code


if __name__ == "__main__":
    sys.exit(main())
