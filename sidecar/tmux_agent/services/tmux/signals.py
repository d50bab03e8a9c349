"""How tmux tells us of things: hooks and keys that run internal commands only, so that no process starts.

Owns the names that we take in a tmux server (variables, hook index, channel, hidden session) and the commands that
are put into hooks. Must not own: connections (control.py), the key's binding (tmux-agent.tmux, which appends to the
same variable in the same words).

Each signal appends a word to a variable, which is read and emptied at once. Only the first word after that wakes us:
tmux forgets a channel that is signalled twice with nobody waiting (cmd-wait-for.c, 3.2 to 3.6: the second signal undoes
the first). For the same reason every connection has a channel of its own, whose name stands in a variable too.
The variable is cut from the left: while nobody reads, it does not grow.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from tmux_agent.core import control_mode

SESSION = "_tmux-agent"  # hidden session; the plugin's scripts know it too
CHANNEL = "TMUX_AGENT_CHANNEL"  # name of the wait-for channel
EVENTS = "TMUX_AGENT_EVENTS"
ALIVE = "TMUX_AGENT_ALIVE"  # the sidecar's pid while it serves this server
ENSURE = "TMUX_AGENT_ENSURE"  # set by the plugin: the script that starts a sidecar
VARIABLES = (ALIVE, EVENTS, CHANNEL)
INDEX = 77  # our place in the hooks' arrays: the person's own hooks stay

HOOKS = (
    "client-attached", "client-detached", "client-session-changed",
    "session-created", "session-renamed", "session-closed",
    "window-linked", "window-unlinked", "window-renamed", "window-layout-changed",
    "pane-exited", "pane-died", "after-split-window", "after-new-window", "after-kill-pane",
)  # fmt: skip

Argv = Sequence[str]


class Pressed(Struct, frozen=True):
    """A person pressed one of our keys (`key` is the word the plugin bound it to) at `client`."""

    key: str
    client: str


class Changed(Struct, frozen=True):
    """Clients, sessions, windows or panes are not what they were."""


def push(word: str) -> str:
    """The tmux commands of a hook or key that tell us `word` (a format). While nobody listens they wake nobody."""
    append = ("set-environment", "-gFh", EVENTS, f"#{{=-2000:{EVENTS}}} {word}")
    wake = ("run-shell", "-C", f"wait-for -S #{{{CHANNEL}}}")  # expands the channel's name; starts no process
    quiet = f"#{{?{CHANNEL},#{{{EVENTS}}},quiet}}"
    return text([("if-shell", "-F", quiet, text([append]), text([append, wake]))])


def text(commands: Sequence[Argv]) -> str:
    """Commands as the text of a hook."""
    return control_mode.line(commands).decode().rstrip("\n")


def listen(channel: str) -> list[Argv]:
    """The commands, for one line, that open `channel` and make tmux tell of new sessions."""
    return [
        ("set-environment", "-gh", EVENTS, ""),
        ("set-environment", "-gh", CHANNEL, channel),
        ("set-hook", "-g", f"session-created[{INDEX}]", push("changed")),
    ]


def install(died: str, session: str) -> list[Argv]:
    """The commands that make tmux tell us, and notice when one of our two clients leaves the hidden `session` (id).

    Then the badge says `died` (tmux format), the plugin's script is run, and the session is killed. Two crashes of tmux
    are kept out of: it is not left to `destroy-unattached`, because where two clients leave such a session at once tmux
    3.2 and 3.3 free it under the second (server_check_unattached, notify_client); and nobody signals the channel once
    the client that waits on it is gone, because 3.2 would answer that client (cmdq_next, control_write). A hook's
    commands fire no hooks: all of it stands in this one. 3.2 does not say whose leaving it was,
    so those left are counted.
    """
    changed = push("changed")
    ensure = ("run-shell", "-b", f"#{{q:{ENSURE}}} died")
    attached = f"#{{S:#{{?#{{==:#{{session_id}},{session}}},#{{session_attached}},}}}}"
    gone = [
        *(("set-environment", "-gu", name) for name in VARIABLES),
        ("set-environment", "-gh", "tmux_agent", died),
        ("set-environment", "-gh", "TMUX_AGENT_STATUS", died),
        ("if-shell", "-F", f"#{{{ENSURE}}}", text([ensure])),
        ("if-shell", "-F", f"#{{m:*{session} *,#{{S:#{{session_id}} }}}}", text([("kill-session", "-t", session)])),
    ]
    once = text([("if-shell", "-F", f"#{{{ALIVE}}}", text(gone))])
    left = text([("if-shell", "-F", f"#{{m:[2-9]*,{attached}}}", changed, once)])
    hooks = {**dict.fromkeys(HOOKS, changed), "client-detached": left}
    return [("set-hook", "-g", f"{name}[{INDEX}]", commands) for name, commands in hooks.items()]


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


def parse(line: str) -> Iterator[Pressed | Changed]:
    """The events in what take() read. `Changed` at most once; a word that was cut in half is dropped."""
    words = line.partition("=")[2].split()
    if "changed" in words:
        yield Changed()
    for word in words:
        match word.split(":", 2):
            case ["press", key, client]:
                yield Pressed(key, client)
