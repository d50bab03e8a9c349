"""The person's time zone, and other zones by name. Owns the reading of zone files (zoneinfo); no zone is guessed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime, tzinfo
from functools import cache
from zoneinfo import ZoneInfo

LOCAL = "/etc/localtime"


def here(environ: Mapping[str, str]) -> tzinfo:
    """The zone of this machine's clock: TZ, else the system's; where neither can be read, today's distance from UTC."""
    if name := environ.get("TZ", "").removeprefix(":"):
        return named(name) or _today()
    try:
        with open(LOCAL, "rb") as file:
            return ZoneInfo.from_file(file)
    except (OSError, ValueError):
        return _today()


@cache
def mine() -> tzinfo:
    """The zone of this process, read once."""
    return here(os.environ)


def named(name: str) -> tzinfo | None:
    """The zone of an IANA name ("Europe/Berlin"); None where there is none."""
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):  # ZoneInfoNotFoundError is a KeyError
        return None


def _today() -> tzinfo:
    found = datetime.now().astimezone().tzinfo
    assert found
    return found
