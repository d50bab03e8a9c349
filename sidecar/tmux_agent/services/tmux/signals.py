"""How tmux tells us of things: hooks and keys that run internal commands only, so that no process starts.

Owns the names that we take in a tmux server (variables, hook index, hidden session) and the commands that are put into
hooks. Must not own: connections (control.py), the key's binding (tmux-agent.tmux, which appends to the same variable in
the same words).

Each signal appends a word to a variable, which is read and emptied at once. Only the first word after that wakes us:
Enter, pressed in the hidden session's pane, whose terminal echoes it, which tmux tells our client (`%output`). No
control client ever waits in a command: tmux 3.2 crashes when one that died in `wait-for` is woken. The variable is cut
from the left: while nobody reads, neither it nor the pane grows.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from msgspec import Struct

from tmux_agent.core import control_mode

SESSION = "_tmux-agent"  # hidden session; the plugin's scripts know it too
EVENTS = "TMUX_AGENT_EVENTS"
ALIVE = "TMUX_AGENT_ALIVE"  # the sidecar's pid while it serves this server
TITLES = "TMUX_AGENT_TITLES"  # not empty: we were told that a title changed, and have not looked yet
ENSURE = "TMUX_AGENT_ENSURE"  # set by the plugin: the script that starts a sidecar
KEY = "TMUX_AGENT_KEY"  # set by the plugin: the popup's key
VARIABLES = (ALIVE, EVENTS, TITLES)
INDEX = 77  # our place in the hooks' arrays: the person's own hooks stay

CHANGES = (
    "client-attached", "client-detached", "client-session-changed",
    "session-created", "session-renamed", "session-closed",
    "window-linked", "window-unlinked", "window-renamed", "window-layout-changed",
    "pane-exited", "pane-died", "after-split-window", "after-new-window", "after-kill-pane",
)  # fmt: skip
TITLE_CHANGES = "pane-title-changed"
HOOKS = (*CHANGES, TITLE_CHANGES)

Argv = Sequence[str]


class Pressed(Struct, frozen=True):
    """A person pressed one of our keys (`key` is the word the plugin bound it to) at `client`."""

    key: str
    client: str


class Covered(Struct, frozen=True):
    """The popup of that number (popups.py) went over its client: presses there that are told later came after it."""

    number: int


class Chosen(Struct, frozen=True):
    """Item `index` of the menu of that number (menus.py) was chosen, by whomever: nothing is answered by it."""

    menu: str
    index: int


class Changed(Struct, frozen=True):
    """Clients, sessions, windows or panes are not what they were."""


class Retitled(Struct, frozen=True):
    """Some pane's title is another: told once, until watch_titles() or looked() is run."""


def push(word: str, *wake: str) -> str:
    """The tmux commands of a hook or key that tell us `word` (a format), by `wake` where the hidden pane is not it."""
    return text([_push(word, *wake)])


def _push(word: str, *wake: str) -> Argv:
    """Without a hidden session nothing is woken, and nothing is an error: the person would see it."""
    append = ("set-environment", "-gFh", EVENTS, f"#{{=-2000:{EVENTS}}} {word}")
    there = f"#{{m:* {SESSION} *, #{{S:#{{session_name}} }}}}"
    enter = ("if-shell", "-F", there, text([("send-keys", "-t", f"={SESSION}:", "Enter")]))
    return ("if-shell", "-F", f"#{{{EVENTS}}}", text([append]), text([append, wake or enter]))


def covering(number: int) -> Argv:
    """The command that goes before the `display-popup` of that number, in one line with it: tells Covered."""
    return _push(f"covered:{number}")


def choosing(menu: str, index: int) -> str:
    """The tmux commands of a menu's item that tell Chosen. tmux expands a menu's commands once when it is opened."""
    return push(f"chosen:{menu}:{index}").replace("#", "##")


def press_for_successor(client: str) -> Argv:
    """The command that presses the popup's key at `client` if another sidecar than this process serves by then."""
    other = f"#{{&&:#{{{ALIVE}}},#{{!=:#{{{ALIVE}}},{os.getpid()}}}}}"
    return ("if-shell", "-F", other, push(f"press:popup:{client}"))


def text(commands: Sequence[Argv]) -> str:
    """Commands as the text of a hook."""
    return control_mode.line(commands).decode().rstrip("\n")


def begin(pid: int) -> list[Argv]:
    """The commands, for one line, after which keys and hooks count on us. What was told before stays to be taken."""
    return [
        ("set-environment", "-gFh", EVENTS, f"#{{{EVENTS}}}"),
        ("set-environment", "-gh", ALIVE, str(pid)),
    ]


def listen(channel: str) -> list[Argv]:
    """The commands, for one line, that make tmux tell of new sessions on the `wait-for` channel `channel`."""
    return [
        ("set-environment", "-gh", EVENTS, ""),
        ("set-hook", "-g", f"session-created[{INDEX}]", push("changed", "wait-for", "-S", channel)),
    ]


def _exists(session: str) -> str:
    return f"#{{m:*{session} *,#{{S:#{{session_id}} }}}}"


def install(died: str, session: str) -> list[Argv]:
    """The commands that make tmux tell us, and notice when our client leaves the hidden `session` (id).

    Then the badge says `died` (tmux format), the plugin's script is run, and the session is killed. It is not left to
    `destroy-unattached`: where two clients leave such a session at once tmux 3.2 and 3.3 free it under the second
    (server_check_unattached, notify_client). A hook's commands fire no hooks: all of it stands in this one. 3.2 does
    not say whose leaving it was, so those left are counted.
    """
    # Once: while nobody reads, the variable is not filled with it, which would push presses out.
    changed = text([("if-shell", "-F", f"#{{m:* changed *,#{{{EVENTS}}} }}", "", push("changed"))])
    ensure = ("run-shell", "-b", f"#{{q:{ENSURE}}} died")
    attached = f"#{{S:#{{?#{{==:#{{session_id}},{session}}},#{{session_attached}},}}}}"
    gone = [
        *(("set-environment", "-gu", name) for name in VARIABLES if name != EVENTS),  # the next sidecar reads it
        watch_titles(on=False),
        ("set-environment", "-gh", "tmux_agent", died),
        ("set-environment", "-gh", "TMUX_AGENT_STATUS", died),
        ("set-environment", "-gu", "tmux_agent_pending"),
        ("set-environment", "-gu", "TMUX_AGENT_PENDING"),
        ("if-shell", "-F", f"#{{{ENSURE}}}", text([ensure])),
        ("if-shell", "-F", _exists(session), text([("kill-session", "-t", session)])),
    ]
    once = text([("if-shell", "-F", f"#{{{ALIVE}}}", text(gone))])
    left = text([("if-shell", "-F", f"#{{m:[1-9]*,{attached}}}", changed, once)])
    hooks = {**dict.fromkeys(CHANGES, changed), "client-detached": left}
    installed = [("set-hook", "-g", f"{name}[{INDEX}]", commands) for name, commands in hooks.items()]
    return [*installed, watch_titles(on=False)]


def watch_titles(*, on: bool) -> Argv:
    """The command that makes tmux tell of titles. A pane that writes thousands of them wakes us once."""
    if not on:
        return ("set-hook", "-gu", f"{TITLE_CHANGES}[{INDEX}]")
    once = text([("set-environment", "-gh", TITLES, "1")]) + " ; " + push("titles")
    return ("set-hook", "-g", f"{TITLE_CHANGES}[{INDEX}]", text([("if-shell", "-F", f"#{{?{TITLES},,1}}", once)]))


def looked() -> Argv:
    """The command after which the next title is told again."""
    return ("set-environment", "-gh", TITLES, "")


def leave(session: str) -> list[Argv]:
    """One line that ends the hidden session without anything being noticed."""
    return [("set-hook", "-gu", f"client-detached[{INDEX}]"), ("kill-session", "-t", session)]


def remove() -> list[Argv]:
    """The commands that undo listen() and install()."""
    hooks = [("set-hook", "-gu", f"{name}[{INDEX}]") for name in HOOKS]
    return [*hooks, *(("set-environment", "-gu", name) for name in VARIABLES)]


def take() -> list[Argv]:
    """One line that reads what happened and forgets it."""
    return [("show-environment", "-gh", EVENTS), ("set-environment", "-gh", EVENTS, "")]


def parse(line: str) -> Iterator[Pressed | Chosen | Covered | Changed | Retitled]:
    """The events in what take() read, keys, choices and popups in tmux's order; a word cut in half is dropped."""
    words = line.partition("=")[2].split()
    if "changed" in words:
        yield Changed()
    if "titles" in words:
        yield Retitled()
    for word in words:
        match word.split(":", 2):
            case ["press", key, client]:
                yield Pressed(key, client)
            case ["chosen", menu, index] if index.isascii() and index.isdecimal() and len(index) < 4:
                yield Chosen(menu, int(index))
            case ["covered", number] if number.isdecimal():
                yield Covered(int(number))
