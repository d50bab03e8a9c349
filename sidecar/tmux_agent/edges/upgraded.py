"""Whether the sidecar that runs is of other code than what is installed: it goes on with what it read when it began.

Owns the comparison and its words, for doctor, `sidecar status` and the plugin. Must not own: restarting
(verbs/sidecar.py).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import __version__

PACKAGE = Path(__file__).parents[1]
MEND = "tmux-agent sidecar restart"


def difference(health: Mapping[str, Any], package: Path = PACKAGE) -> str:
    """How the sidecar of this `health` differs from this command's package, in a sentence; "" where it does not."""
    pid, version = health["pid"], health["version"]
    if health.get("package", str(package)) != str(package):
        return f"the sidecar (pid {pid}) is {version} of {health['package']}, this command {__version__} of {package}"
    if version != __version__:
        return f"the sidecar (pid {pid}) is version {version}, and {__version__} is installed"
    if changed(health, package):
        return f"the sidecar (pid {pid}) began before the files of {package} were changed: it runs what they were"
    return ""


def changed(health: Mapping[str, Any], package: Path = PACKAGE) -> bool:
    """Whether it began from this package, and that is another by now."""
    if health.get("package") != str(package):
        return False
    now = time.time()  # a clock that was wrong must not make it old for ever
    newer = any(health["began"] < file.stat().st_mtime <= now for file in package.rglob("*.py"))
    return newer or health["version"] != __version__
