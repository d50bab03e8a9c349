"""For commands that wait while a person is asked: the popup comes up at the question, on the client that looks at their
pane, so that whoever typed the command has not to look for it.

Owns listening for one's own questions. Must not own: the question, the answer.
"""

from __future__ import annotations

import contextlib
import sys
import threading

from ..client import Client
from ..core import errors


def popup_at_questions(client: Client) -> None:
    """From now on, a question that this process raises opens the popup; not where nobody sits at a terminal."""
    if not sys.stderr.isatty() or client.hello().origin.role.value == "operator":
        return
    with Client(patience=2) as other:
        since = other.call("events.subscribe", {"types": ["approval.opened"]})["seq"]
    threading.Thread(target=_open, args=(since,), daemon=True).start()


def _open(since: int) -> None:
    with contextlib.suppress(OSError, errors.TmuxAgentError):  # the popup is a convenience: its question waits anyway
        for event in Client(patience=2).events("approval.opened", since=since):
            print("a person is asked: answer in the popup (prefix + A)", file=sys.stderr)
            with Client(patience=2) as other:
                other.call("popup.open", {"request_id": event.request_id})
