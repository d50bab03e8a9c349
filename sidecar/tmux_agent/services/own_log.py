"""The sidecar's own log, on stderr: one safe line an event, and not more of them than a disk should hold.

Owns how lines look and how many there are. Must not own what is worth one. Names of programs and texts of tmux are in
them, which agents choose.
"""

from __future__ import annotations

import logging
import sys
import time
from typing import Any

from ..core import display, redact
from ..core.rate import Bucket

LINE = 2000  # characters of one message
BURST, PER_SECOND = 1000, 1.0  # lines; what is over is left out, and counted


def begin() -> None:
    """Once, before the first line."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Safe("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handler.addFilter(Few())
    logging.basicConfig(level=logging.INFO, handlers=[handler])


class Safe(logging.Formatter):
    """What a line shows of other people's text moves no cursor and begins no line."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        record.message = display.safe(redact.redact_text(record.message)[:LINE])
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        return display.safe(redact.redact_text(super().formatException(ei)), newlines=True)


class Few(logging.Filter):
    """Lets through what a sidecar that works has to say."""

    def __init__(self) -> None:
        super().__init__()
        self._bucket = Bucket(BURST, PER_SECOND, time.monotonic())
        self._left_out = 0

    def filter(self, record: logging.LogRecord) -> bool:
        if not self._bucket.take(time.monotonic()):
            self._left_out += 1
            return False
        if self._left_out:
            record.msg = f"({self._left_out} lines before this were left out) {record.msg}"
            self._left_out = 0
        return True
