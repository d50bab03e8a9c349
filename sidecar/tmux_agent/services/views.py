"""A tmux server as identity sees it: plain snapshots, fed by the connection to that server.

Owns the shapes only. Must not own: asking tmux (services/tmux/) or judging anybody by them (identity.py).
"""

from __future__ import annotations

from msgspec import Struct


class PaneView(Struct, frozen=True):
    """A pane as tmux lists it. `window`: its index. `title`: whatever the programs in it set."""

    pid: int
    tty: str
    session: str
    window: int
    window_id: str
    cwd: str = ""
    title: str = ""


class ClientView(Struct, frozen=True):
    """A client as tmux lists it; control clients have no tty. Its pid is its own claim: checked, not believed."""

    pid: int
    tty: str
    session: str


class TmuxView(Struct, frozen=True):
    """One tmux server at one moment: panes by id, clients by name.

    `read_at`: time.monotonic() just before tmux was asked for both lists.
    """

    socket: str
    pid: int
    panes: dict[str, PaneView]
    clients: dict[str, ClientView]
    read_at: float = 0.0


class PopupGrant(Struct, frozen=True):
    """What a popup's nonce stood for. `issued`: Identity.now() before tmux was asked to open the popup."""

    server: str
    client: str
    issued: int
