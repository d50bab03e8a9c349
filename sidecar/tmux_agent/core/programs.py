"""Which programs are agents, terminals, multiplexers and starters, by name, arguments and environment.

Owns the lists that identity rests on and the pure questions asked of them. Must not own: reading processes
(services/processes.py) or deciding a role (services/identity.py). A name proves nothing against somebody who sets out
to deceive; docs/security.md says so. Names are compared whole, after `base`, never as parts of a longer word.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal

Kind = Literal["terminal", "multiplexer", "init", "starter", ""]

# Program (or script) name → the agent's one name in origins, rules and screens.
_AGENTS = {
    "claude": "claude",
    "claude-code": "claude",
    "codex": "codex",
    "gemini": "gemini",
    "opencode": "opencode",
    "opencode.exe": "opencode",  # what npm calls it, on every system
    "opencode2": "opencode",
    "cursor-agent": "cursor",
    "aider": "aider",
    "goose": "goose",
    "amp": "amp",
    "qwen": "qwen",
    "copilot": "copilot",
    "crush": "crush",
    "cline": "cline",
    "auggie": "auggie",
    "droid": "droid",
    "kiro-cli": "kiro",
}
# Parts of a script's path: npm and pip packages whose script has a name that says nothing (cli.js, index.js).
_AGENT_PACKAGES = {
    "/@anthropic-ai/claude-code/": "claude",
    "/@openai/codex/": "codex",
    "/@google/gemini-cli/": "gemini",
    "/opencode-ai/": "opencode",
    "/@qwen-code/qwen-code/": "qwen",
    "/@github/copilot/": "copilot",
    "/cursor-agent/": "cursor",
    "/@sourcegraph/amp/": "amp",
    "/aider/__main__.py": "aider",
}
# Set by agents for the commands they run. Left out on purpose: settings that people export themselves (CODEX_HOME,
# OPENCODE_CONFIG) and what editors set in a person's terminal (CLAUDE_CODE_SSE_PORT, GEMINI_CLI_IDE_SERVER_PORT).
_AGENT_MARKS = (
    "CLAUDECODE",
    "CLAUDE_CODE_CHILD_SESSION",
    "CLAUDE_CODE_ENTRYPOINT",
    "AI_AGENT",
    "CODEX_SANDBOX",
    "CODEX_SANDBOX_NETWORK_DISABLED",
    "CODEX_THREAD_ID",
    "CODEX_CI",
    "CODEX_MANAGED_BY_NPM",
    "CODEX_MANAGED_BY_BUN",
    "GEMINI_CLI",
    "OPENCODE",
    "CURSOR_AGENT",
    "QWEN_CODE",
    "GOOSE_TERMINAL",
    "AUGMENT_AGENT",
    "CLINE_ACTIVE",
)
_INTERPRETERS = ("node", "bun", "deno", "python", "pypy", "ruby", "perl", "sh", "bash", "dash", "zsh")

# Programs that put a person in front of a shell: log-ins, remote log-ins, terminal emulators, editors with terminals.
# Programs that run any command for anybody (script, expect, socat, su, sudo) say nothing about who is there: not here.
_TERMINAL_WORDS = (
    # log-ins, here and from afar
    "sshd sshd-session dropbear login agetty getty mingetty fgetty telnetd mosh-server etterminal etserver ttyd gotty"
    " shellinaboxd cockpit-bridge xrdp-sesman xrdp-sesexec gdm-session-worker lightdm sddm sddm-helper xinit greetd"
    # terminal emulators
    " gnome-terminal gnome-terminal-server ptyxis ptyxis-agent kgx gnome-console kitty alacritty wezterm wezterm-gui"
    " wezterm-mux-server konsole yakuake xterm uxterm rxvt urxvt urxvtd st foot footserver tilix terminator guake tilda"
    " xfce4-terminal lxterminal qterminal mate-terminal terminology deepin-terminal cosmic-term ghostty rio contour"
    " hyper tabby warp warp-terminal sakura termite cool-retro-term zutty blackbox Terminal iTerm2 iTerm iTermServer"
    # editors that hold terminals
    " com.termux code code-insiders code-oss codium vscodium code-server cursor windsurf zed zed-editor idea pycharm"
    " webstorm goland clion rider rubymine phpstorm"
)
# The same, where the program is a bare `node`: remote halves of editors, by where they are installed.
_TERMINAL_PATHS = ("/.vscode-server", "/.cursor-server/", "/.windsurf-server/", "/code-server/")
# Keep terminals alive without anybody in front of them.
_MULTIPLEXERS = frozenset(("tmux", "screen", "SCREEN", "zellij", "dtach", "abduco"))
# Adopt orphans: being their child says nothing about who started it.
_INIT_WORDS = (
    "systemd init launchd tini dumb-init docker-init catatonit runit runsvdir runsv s6-svscan s6-supervise openrc-init"
    " busybox supervisord containerd-shim containerd-shim-runc-v2 conmon bwrap upstart"
)
# Start programs for whoever left word; an agent can.
_STARTERS = frozenset(("cron", "crond", "atd", "anacron", "fcron", "dcron", "dbus-daemon", "dbus-broker-launch"))
_TERMINALS, _INITS = frozenset(_TERMINAL_WORDS.split()), frozenset(_INIT_WORDS.split())

OURS = ("tmux-agent", "tmux_agent")  # the script, the module
_WITH_VALUE = ("--project",)  # options of `tmux-agent wrap` whose value is the next word
_NAME = 64  # characters of the name that a program without one in the lists gets
_COMM = 15  # the kernel cuts a process's name to 15 bytes (TASK_COMM_LEN in linux/sched.h)


def base(path: str) -> str:
    """Last component of a program's path, without what the kernel and package wrappers add to it."""
    name = path.removesuffix(" (deleted)").rpartition("/")[2]
    if name.startswith(".") and name.endswith("-wrapped"):  # Nix
        return name[1 : -len("-wrapped")]
    return name


def is_interpreter(exe: str) -> bool:
    """True where a program's arguments, not its name, say what runs (node, python3.11, bash)."""
    return base(exe).rstrip("0123456789.") in _INTERPRETERS


def known(agent: str) -> bool:
    """Whether it is the name of an agent in our lists."""
    return agent in _AGENTS.values()


def names() -> tuple[str, ...]:
    """Of all agents in our lists."""
    return tuple(sorted(set(_AGENTS.values())))


def wrapped(argv: Sequence[str]) -> tuple[str, ...]:
    """What `tmux-agent wrap` starts by these arguments of its interpreter; () where it is something else."""
    named = script(argv)
    if base(named) not in OURS:
        return ()
    words = list(argv[argv.index(named) + 1 :])
    if words[:1] != ["wrap"]:
        return ()
    at = 1
    while at < len(words) and words[at].startswith("-") and words[at] != "--":
        at += 2 if words[at] in _WITH_VALUE else 1
    return tuple(words[at + 1 :] if words[at : at + 1] == ["--"] else words[at:])


def script(argv: Sequence[str]) -> str:
    """Path of the script (or name of the `-m` module) that an interpreter's arguments name; "" for none."""
    words = iter(argv[1:])
    for word in words:
        if word in ("-r", "--require", "--import", "--loader", "-W", "-X"):  # node's and python's, with a value
            next(words, "")
            continue
        if word in ("-c", "-e", "--eval", "-p"):
            return ""
        if word == "-m":
            return next(words, "")
        if not word.startswith("-"):
            return word
    return ""


def called(exe: str, argv: Sequence[str]) -> str:
    """What people call the program that an interpreter runs: "deploy.py", the verb of ours; "" where it says none."""
    named = script(argv) if is_interpreter(exe) else ""
    if base(named) not in OURS:
        return base(named)[:_NAME]
    return ("".join(argv[argv.index(named) + 1 :][:1]) or "tmux-agent")[:_NAME]


def runs_script(exe: str, argv: Sequence[str]) -> bool:
    """Whether this is an interpreter that runs a script or text that it was given, not one that a person types to."""
    if not (is_interpreter(exe) or (argv and is_interpreter(argv[0]))):
        return False
    return bool(script(argv)) or any(re.fullmatch(r"-[A-Za-z]*[ce]|--eval", word) for word in argv[1:])


def tmux_socket(argv: Sequence[str], environ: Mapping[str, str], uid: int) -> str:
    """Path of the socket that a tmux client with these arguments and environment talks to, as tmux(1) finds it."""
    title = " ".join(argv)
    if title.startswith("tmux: "):  # "tmux: client (/tmp/tmux-0/default)", where tmux can set its title
        return title.rpartition("(")[2].rstrip(") ")
    path = environ.get("TMUX", "").partition(",")[0]
    folder = f"{environ.get('TMUX_TMPDIR') or '/tmp'}/tmux-{uid}"  # noqa: S108 (tmux's own place)
    words = iter(argv[1:])
    for word in words:
        if not word.startswith("-") or word == "--":
            break
        for place, letter in enumerate(word[1:], 2):
            if letter in "cfLST":  # options with a value, in this word or the next
                value = word[place:] or next(words, "")
                path = value if letter == "S" else f"{folder}/{value}" if letter == "L" else path
                break
    return path or f"{folder}/default"


def agent_of(name: str, exe: str, argv: Sequence[str] = ()) -> str | None:
    """The known agent that a process is, from its kernel name, executable and, for interpreters, arguments."""
    for word in (base(exe), name):
        if word in _AGENTS:
            return _AGENTS[word]
    if not is_interpreter(exe or name):
        return None
    if words := wrapped(argv):  # what was adopted from an agent is below its wrapper only
        named = script(words) if is_interpreter(words[0]) else ""
        return agent_of("", words[0], words) or base(named or words[0])[:_NAME]
    for part, agent in _AGENT_PACKAGES.items():
        if any(part in word for word in argv[1:]):
            return agent
    return _AGENTS.get(base(script(argv)).partition(".")[0])


def is_sandbox(exe: str) -> bool:
    """Whether a program only stands between the wrapper and the agent that it holds."""
    return base(exe) == "bwrap"


def serves_others(agent: str, argv: Sequence[str]) -> bool:
    """Whether an agent's process works for whichever of its windows asks, wherever those are.

    Codex's background server (`codex app-server --listen unix://…`): what it starts has nothing of the pane it is for.
    """
    return agent == "codex" and "app-server" in argv[1:] and any(word.startswith("--listen") for word in argv[1:])


def agent_mark(environ: Mapping[str, str]) -> str | None:
    """Name of the variable by which an environment shows that an agent made it; None for none."""
    return next((mark for mark in _AGENT_MARKS if environ.get(mark)), None)


def kind_of(name: str, exe: str, argv: Sequence[str] = (), *, terminals: frozenset[str] = frozenset()) -> Kind:
    """What a process between a terminal and process 1 is. `terminals`: further terminal programs, by name."""
    if name.startswith(("Relay(", "SessionLeader")):  # WSL's side of a Windows terminal
        return "terminal"
    names = {name, base(exe), name.partition(":")[0]}
    if is_interpreter(exe):
        path = script(argv)
        names.add(base(path))
        if any(part in place for place in (exe, path) for part in _TERMINAL_PATHS):
            return "terminal"
    if any(part in exe for part in _TERMINAL_PATHS):
        return "terminal"
    if names & _STARTERS:
        return "starter"
    if names & _MULTIPLEXERS:
        return "multiplexer"
    if names & _INITS:
        return "init"
    known = _TERMINALS | terminals
    return "terminal" if names & known or name in {word[:_COMM] for word in known if len(word) > _COMM} else ""
