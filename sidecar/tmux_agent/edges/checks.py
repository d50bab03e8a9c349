"""One check of the doctor, and what a program says of its version."""

from __future__ import annotations

import re
import subprocess
from typing import Literal

from msgspec import Struct

SECONDS = 10.0  # that another program may take to answer

Mark = Literal["ok", "warning", "wrong"]


class Check(Struct, frozen=True):
    """`mend`: what to do, a command where there is one; empty where all is well."""

    area: str
    mark: Mark
    what: str
    mend: str = ""


def version(*command: str) -> tuple[str, tuple[int, ...]]:
    """What a program says of itself, and the first version number in it; ("", ()) where it says nothing."""
    try:
        out = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return "", ()
    found = re.search(r"\d+(\.\d+)*", out)
    return out.partition("\n")[0], tuple(map(int, found[0].split("."))) if found else ()
