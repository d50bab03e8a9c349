"""tmux's own command line: which of its commands an agent names, abbreviated or by alias, and what they do.

Owns the table of tmux commands. Source: tmux(1) 3.6, cmd-*.c (names, aliases) and cmd_find: an exact name or
alias wins, else any unambiguous prefix; commands are separated by words that end in `;`.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from .options import Arg

# command → alias, as tmux 3.2 to 3.6 have them.
_COMMANDS: dict[str, str] = {
    "attach-session": "attach",
    "bind-key": "bind",
    "break-pane": "breakp",
    "capture-pane": "capturep",
    "choose-buffer": "",
    "choose-client": "",
    "choose-tree": "",
    "clear-history": "clearhist",
    "clear-prompt-history": "clearphist",
    "clock-mode": "",
    "command-prompt": "",
    "confirm-before": "confirm",
    "copy-mode": "",
    "customize-mode": "",
    "delete-buffer": "deleteb",
    "detach-client": "detach",
    "display-menu": "menu",
    "display-message": "display",
    "display-panes": "displayp",
    "display-popup": "popup",
    "find-window": "findw",
    "has-session": "has",
    "if-shell": "if",
    "join-pane": "joinp",
    "kill-pane": "killp",
    "kill-server": "",
    "kill-session": "",
    "kill-window": "killw",
    "last-pane": "lastp",
    "last-window": "last",
    "link-window": "linkw",
    "list-buffers": "lsb",
    "list-clients": "lsc",
    "list-commands": "lscm",
    "list-keys": "lsk",
    "list-panes": "lsp",
    "list-sessions": "ls",
    "list-windows": "lsw",
    "load-buffer": "loadb",
    "lock-client": "lockc",
    "lock-server": "lock",
    "lock-session": "locks",
    "move-pane": "movep",
    "move-window": "movew",
    "new-session": "new",
    "new-window": "neww",
    "next-layout": "nextl",
    "next-window": "next",
    "paste-buffer": "pasteb",
    "pipe-pane": "pipep",
    "previous-layout": "prevl",
    "previous-window": "prev",
    "refresh-client": "refresh",
    "rename-session": "rename",
    "rename-window": "renamew",
    "resize-pane": "resizep",
    "resize-window": "resizew",
    "respawn-pane": "respawnp",
    "respawn-window": "respawnw",
    "rotate-window": "rotatew",
    "run-shell": "run",
    "save-buffer": "saveb",
    "select-layout": "selectl",
    "select-pane": "selectp",
    "select-window": "selectw",
    "send-keys": "send",
    "send-prefix": "",
    "server-access": "",
    "set-buffer": "setb",
    "set-environment": "setenv",
    "set-hook": "",
    "set-option": "set",
    "set-window-option": "setw",
    "show-buffer": "showb",
    "show-environment": "showenv",
    "show-hooks": "",
    "show-messages": "showmsgs",
    "show-options": "show",
    "show-prompt-history": "showphist",
    "show-window-options": "showw",
    "source-file": "source",
    "split-pane": "splitp",
    "split-window": "splitw",
    "start-server": "start",
    "suspend-client": "suspendc",
    "swap-pane": "swapp",
    "swap-window": "swapw",
    "switch-client": "switchc",
    "unbind-key": "unbind",
    "unlink-window": "unlinkw",
    "wait-for": "wait",
}
# They run shell text in another place, type for a person, put something in front of a person, or change what keys do.
_DENIED = frozenset(
    [
        "run-shell",
        "if-shell",
        "set-hook",
        "bind-key",
        "unbind-key",
        "respawn-pane",
        "respawn-window",
        "pipe-pane",
        "source-file",
        "send-keys",
        "send-prefix",
        "paste-buffer",
        "load-buffer",
        "set-buffer",
        "display-popup",
        "display-menu",
        "confirm-before",
        "command-prompt",
        "set-option",
        "set-window-option",
        "set-environment",
        "customize-mode",
        "server-access",
        "choose-tree",
        "choose-client",
        "choose-buffer",
    ]
)
# Refused only with a command to run.
_STARTERS = frozenset(["new-session", "new-window", "split-window", "split-pane"])
_STARTER_VALUES = frozenset("ceFlntsxyfRe")
_GLOBAL_VALUES = frozenset("cfLST")


class Named(Struct, frozen=True):
    """One command of a tmux command line. `denied`: an agent may not do this at all, and why."""

    name: str
    denied: str = ""


def read(args: Sequence[Arg]) -> tuple[Named, ...]:
    """The commands of a tmux command line, with global options judged too."""
    found: list[Named] = []
    index = 0
    while index < len(args) and isinstance(word := args[index], str) and word.startswith("-") and word != "--":
        index += 1
        found += _global(word)
        if word[-1] in _GLOBAL_VALUES and len(word) == 2:
            index += 1
    words: list[str] = []
    for arg in args[index:]:
        word = arg if isinstance(arg, str) else ""
        ends = word.endswith(";") and not word.endswith("\\;")
        bare = word[:-1] if ends else word
        if bare or not ends:
            words.append(bare)
        if (ends or word == "\\;") and words:
            found.append(_command(words))
            words = []
    if words:
        found.append(_command(words))
    return tuple(found)


def _global(word: str) -> list[Named]:
    if "C" in word[1:2]:
        return [Named("control mode", "control mode takes any tmux command")]
    if word[1:2] == "c":
        return [Named("shell command", "tmux -c runs shell text")]
    if word[1:2] == "f":
        return [Named("configuration", "a tmux configuration can run anything")]
    return []


def _command(words: Sequence[str]) -> Named:
    word = words[0]
    names = [name for name, alias in _COMMANDS.items() if word in (name, alias)]
    names = names or [name for name in _COMMANDS if word and name.startswith(word)]
    for name in names:
        if name in _DENIED:
            return Named(name, f"tmux {name} runs, types or shows something in another place")
        if name in _STARTERS and _runs(words[1:]):
            return Named(name, f"tmux {name} with a command runs it in another place")
    return Named(names[0] if names else word)


def _runs(words: Sequence[str]) -> bool:
    """True where new-session and its kin are given a command (an operand)."""
    skip = False
    for word in words:
        if skip:
            skip = False
        elif word.startswith("-") and len(word) > 1:
            skip = word[-1] in _STARTER_VALUES and word != "--"
        else:
            return True
    return False
