"""A call that a person may be asked about first: what it waits for is said at once, and where to answer.

Owns that, and in a pane the popup that opens at the question. A pane cannot answer, because an agent could type there,
too (docs/security.md). Must not own: the call.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ...client import Client

LOOK_SECONDS = 0.25  # between two looks for the question; most calls have ended by the first
QUICK_LOOKS = 40
LATER_SECONDS = 2.0  # between two looks after those: git, or a large folder, may take long before it is asked
WHAT = 200  # characters


def call(client: Client, method: str, params: dict[str, Any]) -> Any:
    """What the method gives back; the popup opens at the question. Raises what the method raises."""
    given = {name: value for name, value in params.items() if value}
    if client.hello().origin.role.value == "operator":
        return client.call(method, given)
    with waiting(client, opens=True):
        return client.call(method, given)


@contextmanager
def waiting(client: Client, *, opens: bool = False) -> Iterator[None]:
    """Says on stderr what is asked while this lasts; `opens` the popup at it."""
    done = threading.Event()
    looking = threading.Thread(target=_look, args=(done, _pending(client).keys(), opens), daemon=True)
    looking.start()
    try:
        yield
    finally:
        done.set()


def _pending(client: Client) -> dict[str, dict[str, Any]]:
    return {one["request_id"]: one for one in client.call("human.pending")["approvals"]}


def _look(done: threading.Event, before: Any, opens: bool) -> None:
    from ...client import Client
    from ...core.errors import TmuxAgentError

    looks = 0
    try:
        with Client(patience=2) as client:
            while not done.wait(LOOK_SECONDS if looks < QUICK_LOOKS else LATER_SECONDS):
                looks += 1
                if asked := [one for request_id, one in _pending(client).items() if request_id not in before]:
                    print(said(asked[0]), file=sys.stderr, flush=True)
                    if opens:
                        client.call("popup.open", {"request_id": asked[0]["request_id"]})
                    return
    except TmuxAgentError as why:
        print(f"  no popup opens here: {why.message}", file=sys.stderr, flush=True)


def said(asked: dict[str, Any]) -> str:
    """What waits, and where it is answered, in two lines."""
    from datetime import UTC, datetime

    import msgspec

    from ...core import display
    from ...core.model import Approval
    from ...core.wording import one_line

    one = msgspec.convert(asked, Approval, strict=False)
    what = display.middle(display.safe(one_line(one.action, one.origin.cwd)[:4000]), WHAT)
    left = f", for {display.ago((one.expires - datetime.now(UTC)).total_seconds())}" if one.expires else ""
    where = f"answer it in the popup (prefix + A), or outside tmux: tmux-agent approve {one.request_id}"
    return f"waits for a person{left}: {what}\n  {where}"
