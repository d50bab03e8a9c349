"""The sidecar's own log, on stderr: one safe line an event, and not more of them than a disk should hold.

Owns how lines look, how many there are, and which request they belong to. Must not own what is worth one. Names of
programs and texts of tmux are in them, which agents choose; secrets are taken out by their shape.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Iterator
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

import msgspec

from ..core import display, redact
from ..core.rate import Bucket

LINE = 2000  # characters of one message
BURST, PER_SECOND = 1000, 1.0  # lines; what is over is left out, and counted
DEBUG_PER_SECOND = 50.0  # a person looks on
OURS = __name__.partition(".")[0]

request: ContextVar[str] = ContextVar("request", default="")  # the id of the one that is being answered


@contextlib.contextmanager
def about(request_id: str) -> Iterator[None]:
    """Lines from in here, and from tasks that begin in here, belong to this request."""
    token = request.set(request_id)
    try:
        yield
    finally:
        request.reset(token)


def begin() -> None:
    """Once, before the first line."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(Few())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    use("info", "text")


def use(level: str, form: str) -> None:
    """From now on lines of this level and above, as `text` or `json`.

    Libraries never say more than `info`: what they tell beyond that are addresses with their tokens.
    """
    root, wanted = logging.getLogger(), logging.getLevelNamesMapping()[level.upper()]
    logging.getLogger(OURS).setLevel(wanted)
    root.setLevel(max(wanted, logging.INFO))
    for handler in root.handlers:
        handler.setFormatter(Lines() if form == "json" else Safe("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        for few in handler.filters:
            if isinstance(few, Few):
                few.pace(DEBUG_PER_SECOND if wanted <= logging.DEBUG else PER_SECOND)


class Safe(logging.Formatter):
    """What a line shows of other people's text moves no cursor and begins no line; its request stands at its end."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        record.message = display.safe(redact.redact_text(record.message)[:LINE])
        line = super().formatMessage(record)
        return f"{line} request={about}" if (about := request.get()) else line

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        return display.safe(redact.redact_text(super().formatException(ei)), newlines=True)


class Lines(Safe):
    """The same as one JSON object a line: time, level, logger, message, request and exception where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": display.safe(redact.redact_text(record.getMessage())[:LINE]),
        }
        if about := request.get():
            line["request"] = about
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


class Few(logging.Filter):
    """Lets through what a sidecar that works has to say."""

    def __init__(self) -> None:
        super().__init__()
        self.pace(PER_SECOND)
        self._left_out = 0

    def pace(self, per_second: float) -> None:
        """So many lines a second in the long run."""
        self._bucket = Bucket(BURST, per_second, time.monotonic())

    def filter(self, record: logging.LogRecord) -> bool:
        if not self._bucket.take(time.monotonic()):
            self._left_out += 1
            return False
        if self._left_out:
            record.msg = f"({self._left_out} lines before this were left out) {record.msg}"
            self._left_out = 0
        return True
