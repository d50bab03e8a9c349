"""What the panes of tasks printed, a file for each try in the state folder, bounded, without secrets.

Owns the files and what is printed until they are written. Must not own: which panes (queue_panes.py), when (queue.py).
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable
from pathlib import Path

from ..core import redact

Key = tuple[str, int]  # task, try


class QueueLogs:
    """`folder` need not exist. `add` is for the event loop; the others block."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._printed: dict[Key, tuple[deque[str], int]] = {}

    def add(self, key: Key, text: str, limit: int) -> None:
        """A pane printed this; the last `limit` characters are kept."""
        lines, size = self._printed.get(key) or (deque(), 0)
        lines.append(text[-limit:])
        size += len(lines[-1])
        while size > limit:
            size -= len(lines.popleft())
        self._printed[key] = lines, size

    def printed(self, key: Key) -> str:
        """What a pane has printed since the sidecar began."""
        return "".join(self._printed.get(key, ((), 0))[0])

    def write(self, key: Key, shown: str, limit: int) -> None:
        """Keep what was printed, or what the pane `shows` with its history where that is more. Raises OSError."""
        lines, _ = self._printed.pop(key, ((), 0))
        text = redact.redact_text(max("".join(lines), shown, key=len)[-limit:])
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = self._path(key).with_suffix(".new")
        with open(fresh, "w", opener=_private, encoding="utf-8", errors="replace") as out:
            out.write(text)
        fresh.replace(self._path(key))

    def read(self, key: Key) -> str | None:
        """None: nothing was kept."""
        try:
            return self._path(key).read_text("utf-8", "replace")
        except FileNotFoundError:
            return None

    def drop(self, task_ids: Iterable[str]) -> None:
        """Forget all tries of these tasks."""
        for task_id in task_ids:
            for path in self._folder.glob(f"{task_id}-*"):
                path.unlink(missing_ok=True)

    def _path(self, key: Key) -> Path:
        return self._folder / f"{key[0]}-{key[1]}.log"


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
