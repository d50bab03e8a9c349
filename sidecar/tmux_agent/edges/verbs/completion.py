"""`tmux-agent completion bash|zsh|fish`: a script for the shell's start-up file.

The script asks `tmux-agent completion words` for the candidates, which reads them off the argument parsers: a new verb
or option is completed without anything being listed twice.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

BASH = """_tmux_agent() {
	local IFS=$'\\n'
	COMPREPLY=($(compgen -W "$(tmux-agent completion words -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)" \\
		-- "${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _tmux_agent tmux-agent
"""
ZSH = """#compdef tmux-agent
_tmux_agent() {
	local -a found
	found=("${(@f)$(tmux-agent completion words -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
	compadd -a found || _files
}
compdef _tmux_agent tmux-agent
"""
FISH = """function __tmux_agent_words
	tmux-agent completion words -- (commandline -opc)[2..] (commandline -ct) 2>/dev/null
end
complete -c tmux-agent -a '(__tmux_agent_words)'
"""
SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=[*SCRIPTS, "words"], metavar="bash|zsh|fish")
    parser.add_argument("typed", nargs="*", help=argparse.SUPPRESS)


def main(args: argparse.Namespace) -> int:
    if args.shell != "words":
        print(SCRIPTS[args.shell], end="")
        return 0
    from ...cli import build

    typed = args.typed or [""]
    verb = next((word for word in typed[:-1] if not word.startswith("-")), "")
    for word in sorted(candidates(build([verb]), typed)):
        print(word)
    return 0


def candidates(parser: argparse.ArgumentParser, typed: list[str]) -> set[str]:
    """What may stand at the end of `typed`, whose last word is the one being completed."""
    for word in typed[:-1]:
        parser = _under(parser).get(word, parser)
    found: Iterator[str] = (name for action in parser._actions for name in action.option_strings)
    words = set(found) if typed[-1].startswith("-") else set(_under(parser)) or set(_choices(parser))
    return {word for word in words if word.startswith(typed[-1])}


def _under(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def _choices(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        if not action.option_strings and action.choices and action.help != argparse.SUPPRESS:
            yield from (str(choice) for choice in action.choices)
