"""A disk that is full: a small one of its own for a state folder, filled and freed while a sidecar runs."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import subprocess
from pathlib import Path


class Disk:
    """The disk of a state folder: a small one of its own where we may mount, else a limit on what a process writes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        mount = ("mount", "-t", "tmpfs", "-o", "size=2m,mode=700", "tmpfs", os.fspath(folder))
        self._own = bool(shutil.which("mount")) and subprocess.run(mount, capture_output=True).returncode == 0

    def fill(self, pid: int) -> None:
        if not self._own:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
            return
        with contextlib.suppress(OSError), (self._folder / "rest").open("wb", buffering=0) as file:
            while file.write(bytes(1 << 12)):
                pass

    def free(self, pid: int) -> None:
        if self._own:
            (self._folder / "rest").unlink()
        else:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    def close(self) -> None:
        if self._own:
            subprocess.run(("umount", "-l", os.fspath(self._folder)), check=True)
