"""What a person at a client does at this moment, as far as tmux tells: read on demand, through the open connection.

Owns the questions and what the answers mean. Must not own: what is done about them (services/attention.py).
"""

from __future__ import annotations

import time

from msgspec import Struct

from tmux_agent.core import errors
from tmux_agent.services.tmux.control import TmuxServer
from tmux_agent.services.tmux.snapshot import Client, is_id

PROMPTS = (3, 3)  # first version that tells of a prompt: its command-prompt has types, and checks them

_SEATS = (
    "list-clients",
    "-F",
    "#{pane_id}\t#{client_activity}\t#{client_flags}\t#{pane_in_mode}\t#{client_prefix}\t"
    "#{?#{==:#{client_key_table},#{key-table}},1,0}\t#{client_termname}\t#{client_name}",
)


class Seat(Struct, frozen=True, kw_only=True):
    """One client: the pane it shows as its active one, and what its person does there."""

    client: Client
    pane: str  # "%7"
    idle: float  # seconds since its last key, or click; tmux counts whole seconds, so it may be one more
    focused: bool  # its terminal's window is the one in front; where that does not tell, True
    in_mode: bool  # copy mode and its kin
    pressing: bool  # the prefix was pressed, or another key of a table
    term: str  # TERM of its terminal
    utf8: bool


async def seats(server: TmuxServer) -> tuple[Seat, ...]:
    """Every client of a person, by tmux's word now. Raises Unavailable, Failed."""
    known = {client.name: client for client in server.clients if not client.control}
    found = []
    for line in await server.command(*_SEATS):
        row = line.split("\t")
        if len(row) != 8 or row[7] not in known or not is_id(row[0], "%"):
            continue
        pane, activity, flags, mode, prefix, root, term, name = row
        found.append(
            Seat(
                client=known[name],
                pane=pane,
                idle=max(0.0, time.time() - int(activity)) if activity.isdecimal() else 0.0,
                focused="focused" in flags.split(","),
                in_mode=mode not in ("", "0"),
                pressing=prefix == "1" or root != "1",
                term=term,
                utf8="UTF-8" in flags.split(","),
            )
        )
    return tuple(found)


async def seat(server: TmuxServer, client: str) -> Seat:
    """Raises errors.NotFound, Unavailable."""
    for one in await seats(server):
        if one.client.name == client:
            return one
    raise errors.NotFound(f"no client {client!r} is attached to tmux at {server.socket}")


async def covered(server: TmuxServer, client: str) -> bool:
    """Whether a popup or menu, of whomever, lies over the client. Raises Unavailable.

    tmux has no format for it. A menu of one word is wrong, and that is said only where nothing lies there already
    (cmd-display-menu.c: the first thing that is looked at, in 3.2 to 3.6).
    """
    return not await _complains(server, "not enough arguments", "display-menu", "-c", client, "x")


async def prompting(server: TmuxServer, client: str) -> bool:
    """Whether a question of tmux (command-prompt, confirm-before) stands in its status line. Raises Unavailable.

    As above: a prompt of no known type is wrong, and that is said only where there is no other. Not before 3.3.
    """
    return not await _complains(server, "unknown type", "command-prompt", "-t", client, "-T", "none", "x")


async def _complains(server: TmuxServer, of: str, *argv: str) -> bool:
    try:
        await server.command(*argv)
    except errors.Failed as why:
        return of in why.message
    return False
