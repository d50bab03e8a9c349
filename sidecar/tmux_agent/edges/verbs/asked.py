"""A call that a person may be asked about first: in a pane, the popup opens at the question while it waits.

Owns that. A pane cannot answer, because an agent could type there too (docs/security.md). Must not own: the call.
"""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ...client import Client

LOOK_SECONDS = 0.25  # between two looks for the question; most calls have ended by the first
LOOKS = 40


def call(client: Client, method: str, params: dict[str, Any]) -> Any:
    """What the method gives back. Raises what it raises."""
    given = {name: value for name, value in params.items() if value not in (None, "")}
    if client.hello().origin.role.value == "operator":
        return client.call(method, given)
    done = threading.Event()
    looking = threading.Thread(target=_open, args=(done, _pending(client)), daemon=True)
    looking.start()
    try:
        return client.call(method, given)
    finally:
        done.set()


def _pending(client: Client) -> set[str]:
    return {one["request_id"] for one in client.call("human.pending")["approvals"]}


def _open(done: threading.Event, before: set[str]) -> None:
    """Open the popup at the question once it is asked."""
    from ...client import Client
    from ...core.errors import TmuxAgentError

    asked = ""
    try:
        with Client(patience=2) as client:
            for _ in range(LOOKS):
                if done.wait(LOOK_SECONDS):
                    return
                for request_id in _pending(client) - before:
                    print("answer it in the popup: a pane cannot, since an agent could type there", file=sys.stderr)
                    asked = request_id
                    client.call("popup.open", {"request_id": request_id})
                    return
    except TmuxAgentError as why:
        how = f"answer it by prefix + A, or by `tmux-agent approve {asked}` in a terminal outside of tmux; it waits"
        print(f"no popup: {why.message}; {how if asked else 'a question waits all the same'}", file=sys.stderr)
