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

# heading of --help → verb → (module, what it does, examples: a line each).
GROUPS = {
    "Approvals and agents": {
        "popup": ("popup", "open the popup on this tmux client", "tmux-agent popup"),
        "pending": ("pending", "approvals that wait for a person", "tmux-agent pending --json"),
        "approve": (
            "answer", "say yes to an approval (in a pane: opens the popup at it)",
            "tmux-agent approve 01HX4 --comment 'on staging only'",
        ),
        "deny": (
            "answer", "say no to an approval (in a pane: opens the popup at it)",
            "tmux-agent deny 01HX4 --reason 'use the staging database'",
        ),
        "grants": ("grants", "permissions given ahead; revoke them", "tmux-agent grants --revoke 01HX4"),
        "links": ("links", "a signed link to a request; a new key for them", "tmux-agent links show 01HX4"),
        "agents": ("agents", "agents that are known, and their state", "tmux-agent agents"),
        "facts": (
            "facts", "what is known of panes: program, processes, CPU, memory", "tmux-agent facts\ntmux-agent facts %7",
        ),
        "explain": ("explain", "why a pane has the state that it has, or is no agent", "tmux-agent explain %7"),
        "resume": (
            "resume", "have an agent go on: paused, ended, or after its usage limit",
            "tmux-agent resume feature-login\ntmux-agent resume %7",
        ),
    },
    "Agents in worktrees": {
        "spawn": (
            "spawn", "start an agent in a worktree and a session of its own",
            "tmux-agent spawn feature/login --task 'Write the login form'\n"
            "tmux-agent spawn fix/typo --agent codex --base release --attach",
        ),
        "sessions": ("sessions", "the agents of the fleet, and their state", "tmux-agent sessions --json"),
        "attach": (
            "attach", "go to an agent's session", "tmux-agent attach feature-login\ntmux-agent attach -r fix-typo",
        ),
        "read": ("read", "the last lines of an agent's pane", "tmux-agent read feature-login --lines 20"),
        "send": ("send", "type at an agent's prompt", "tmux-agent send feature-login 'And its test, please.'"),
        "pause": ("pause", "have an agent stand still, until `resume`", "tmux-agent pause feature-login"),
        "kill": ("kill", "end an agent's session; its worktree stays", "tmux-agent kill feature-login"),
        "finish": (
            "finish", "end an agent, merge or keep its branch, remove its worktree",
            "tmux-agent finish feature-login --merge\ntmux-agent finish fix-typo --discard",
        ),
        "init": ("init", "write a commented fleet.toml and a template into this repository", "tmux-agent init"),
        "templates": ("templates", "what can be typed at a new agent's prompt", "tmux-agent templates"),
    },
    "For scripts and agents": {
        "ask": (
            "ask", "ask a person, and wait for the answer",
            "tmux-agent ask 'Deploy 1.4?' && ./deploy\ntmux-agent ask 'Which region?' --option eu --option us",
        ),
        "run": ("run", "run one program, judged first", "tmux-agent run -- make deploy"),
        "exec": (
            "exec", "run shell text in a shell that lives on: folder and variables stay",
            "tmux-agent exec --session dev -- 'cd ~/shop && npm ci'\n"
            "tmux-agent exec --session dev --wait 10m -- npm test\ntmux-agent exec --id 01HX4",
        ),
        "wrap": (
            "wrap", "start an agent that tells by markers what it does",
            "tmux-agent wrap --project shop -- claude --continue",
        ),
        "chat": (
            "chat", "what people say in a chat: a line in, an answer out",
            "tmux-agent chat --sender alice -- run npm test in session dev wait 5s\n"
            "echo 'list sessions' | tmux-agent chat --sender alice --json",
        ),
        "plan": (
            "plan", "say what is going to be done, step by step",
            "tmux-agent plan create release 'run the tests' 'tag it' 'publish'",
        ),
        "call": (
            "call", "call any method of the socket",
            """tmux-agent call policy.check '{"shell": "git push"}'""",
        ),
        "mcp": ("mcp", "the guarded tools over MCP, for the agent that starts it", "tmux-agent mcp"),
    },
    "Queue": {
        "queue": (
            "queue", "tasks for agents, each in its own worktree: add, load, list, …",
            "tmux-agent queue add 'Make the login test pass' --check 'make test' --retries 1\n"
            "tmux-agent queue load tasks.yaml --dry-run\ntmux-agent queue list --watch\ntmux-agent queue run --wait",
        ),
    },
    "Pipelines": {
        "pipeline": (
            "pipeline", "stages that follow each other: list, show, start, check, …",
            "tmux-agent pipeline check pipelines/webapp.yaml\ntmux-agent pipeline dry-run webapp-ci --pane %7\n"
            "tmux-agent pipeline show webapp-ci",
        ),
        "watch": ("watch", "watch a pane for markers, or list those that are watched", "tmux-agent watch %7"),
        "emit": (
            "emit", "tell of a stage over the socket, as a marker would in the output",
            "tmux-agent emit STATUS stage=build ok=true\ntmux-agent emit ASK prompt='Deploy?' --wait",
        ),
        "check": (
            "check", "try an external check: GitHub, a container, an address, a command",
            "tmux-agent check http url=https://ci.example/api/jobs/7 'expect={json_path: ok}'\n"
            "tmux-agent check github_action repository=user/repo --since 10m",
        ),
    },
    "Rules and records": {
        "policy": (
            "policy", "check, explain, test, replay and trust policies",
            "tmux-agent policy explain --shell 'rm -rf build && npm ci'\ntmux-agent policy lint",
        ),
        "audit": (
            "audit", "verify, follow, show and export the audit log",
            "tmux-agent audit tail -f\ntmux-agent audit verify",
        ),
        "record": (
            "record", "record what happens from now on into a file",
            "tmux-agent record today.jsonl --pane %7 --for 10m",
        ),
        "replay": (
            "replay", "show a recording, or judge what it holds by another policy",
            "tmux-agent replay today.jsonl --policy stricter.yaml",
        ),
        "cast": (
            "cast", "record what a pane shows: start, stop, list, export, remove",
            "tmux-agent cast start %7 --mask\ntmux-agent cast stop %7\ntmux-agent cast export 01HX4 demo.cast",
        ),
        "play": (
            "play", "play a recording here, in a popup or in a new pane",
            "tmux-agent play 01HX4 --idle-limit 2\ntmux-agent play demo.cast --speed 4 --popup",
        ),
        "restore": ("restore", "bring a file back from its backup", "tmux-agent restore --diff src/db.py"),
    },
    "Set-up and upkeep": {
        "setup": ("setup", "connect an agent to tmux-agent", "tmux-agent setup claude --mcp\ntmux-agent setup all"),
        "doctor": ("doctor", "find what is wrong with the set-up, and say how to mend it", "tmux-agent doctor"),
        "sidecar": (
            "sidecar", "run, start, stop, reload the sidecar, or say how it is",
            "tmux-agent sidecar status\ntmux-agent sidecar reload",
        ),
        "notify": (
            "notify", "channels for messages: list and test them, forward the local bus",
            "tmux-agent notify list\ntmux-agent notify test phone",
        ),
        "secret": (
            "secret", "values that configuration names: set, get, list, rotate, remove",
            "tmux-agent secret set ntfy_url\npass show ntfy | tmux-agent secret set ntfy_url --stdin",
        ),
        "state": (
            "state", "back up, list, check and bring back the state database",
            "tmux-agent state check\ntmux-agent state restore",
        ),
        "completion": (
            "completion", "completion for bash, zsh or fish",
            'eval "$(tmux-agent completion bash)"        # in ~/.bashrc; of zsh in ~/.zshrc\n'
            "tmux-agent completion fish | source         # in config.fish",
        ),
    },
}  # fmt: skip
VERBS = {verb: told for group in GROUPS.values() for verb, told in group.items()}


def build(verbs: Sequence[str]) -> argparse.ArgumentParser:
    """The parser, with the arguments of `verbs` filled in (the others are only listed)."""
    parser = argparse.ArgumentParser(
        prog="tmux-agent",
        usage="%(prog)s [-h] [--version] VERB …",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="The approver's seat for AI coding agents in tmux:\none popup, one policy, one audit log.",
        epilog=f"{_listed()}\n\n`tmux-agent VERB --help` says more. Start with `tmux-agent doctor`.",
    )
    parser.add_argument("--version", action="version", version=f"tmux-agent {__version__}")
    under = parser.add_subparsers(dest="verb", metavar="VERB", required=True, prog=parser.prog, help=argparse.SUPPRESS)
    for verb, (module, about, examples) in VERBS.items():
        sub = under.add_parser(
            verb,
            description=about[0].upper() + about[1:] + ".",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if verb in verbs:
            _load(module).add(sub)
            shown = "\n".join(f"  {line}" for line in examples.splitlines())
            _describe(sub)
            sub.epilog = "\n\n".join(filter(None, [f"for example:\n{shown}", sub.epilog]))
    return parser


def _describe(parser: argparse.ArgumentParser) -> None:
    """`VERB WHAT --help` says what WHAT does: what `VERB --help` says of it."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for listed in action._choices_actions:
                under, about = action.choices[listed.dest], listed.help or ""
                under.description = under.description or about[:1].upper() + about[1:] + "."


def _listed() -> str:
    """Verbs under their headings, as --help shows them."""
    width = max(map(len, VERBS))
    groups = (
        "\n".join([f"{heading}:", *(f"  {verb:<{width}}  {about}" for verb, (_, about, _) in group.items())])
        for heading, group in GROUPS.items()
    )
    return "\n\n".join(groups)


def _load(module: str):  # type: ignore[no-untyped-def]
    return importlib.import_module(f".edges.verbs.{module}", __package__)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; gives the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    verb = next((word for word in words if not word.startswith("-")), "")
    args = build([verb]).parse_args(words)
    from .core.errors import TmuxAgentError

    try:
        code: int = _load(VERBS[args.verb][0]).main(args)
    except TmuxAgentError as error:
        from .edges.out import complain  # a quarter of the start of what prints nothing (wrap)

        return complain(error)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has gone (`| head`): nothing is wrong
        return 141
    except KeyboardInterrupt:
        return 130
    return code


if __name__ == "__main__":
    sys.exit(main())
