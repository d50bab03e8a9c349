"""A settings file of another program: read, and written so that nothing of the person's is lost.

Owns symbolic links (written through, the link stays), backups, and noticing that the file changed meanwhile. Must not
own: what is in it.
"""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from ..core.errors import Conflict, Unavailable

SUFFIX = ".before-tmux-agent"


class SettingsFile:
    """One file. `text` is what it held when this was made, None where there is none.

    Raises Unavailable where it is there and cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.target = Path(os.path.realpath(path))
        self._bytes = self._read(self.target)
        self.text = self._decode(self._bytes)

    @property
    def backup(self) -> Path:
        """Where the file is kept as it was before us, beside it."""
        return self.target.with_name(self.target.name + SUFFIX)

    def before(self) -> str | None:
        """What the backup holds, None where there is none."""
        return self._decode(self._read(self.backup))

    def write(self, text: str, *, keep: bool) -> None:
        """Replace the content; with `keep`, what was there before goes to the backup.

        Raises Conflict (changed since it was read: nothing is written), Unavailable (read-only, no room, …).
        """
        self._check()
        try:
            self.target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            mode = stat.S_IMODE(self.target.stat().st_mode) if self._bytes is not None else 0o600
            if keep and self._bytes is not None:
                self._put(self.backup, self._bytes, mode)
            self._put(self.target, text.encode(), mode)
        except OSError as why:
            raise Unavailable(f"{self.target} cannot be written: {why.strerror}") from None

    def delete(self) -> None:
        """Remove the file (it was made by us). Raises as `write`."""
        self._check()
        try:
            self.target.unlink()
        except OSError as why:
            raise Unavailable(f"{self.target} cannot be removed: {why.strerror}") from None

    def drop_backup(self) -> None:
        self.backup.unlink(missing_ok=True)

    def _check(self) -> None:
        if Path(os.path.realpath(self.path)) != self.target or self._read(self.target) != self._bytes:
            raise Conflict(f"{self.path} was changed meanwhile, nothing was written: look at it and run this again")
        if self._bytes is not None and not self.target.stat().st_mode & 0o200:
            raise Unavailable(f"{self.target} is read-only: chmod u+w it, or put the lines in where it is made from")

    def _put(self, path: Path, content: bytes, mode: int) -> None:
        """Whole or not at all: written beside it, then renamed over it."""
        handle, name = tempfile.mkstemp(prefix=path.name, dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(name, mode)
            os.replace(name, path)
        except OSError:
            os.unlink(name)
            raise

    def _read(self, path: Path) -> bytes | None:
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as why:
            raise Unavailable(f"{path} cannot be read: {why.strerror}") from None

    def _decode(self, content: bytes | None) -> str | None:
        try:
            return None if content is None else content.decode()
        except UnicodeDecodeError as why:
            raise Unavailable(f"{self.path} is not UTF-8 (byte {why.start}), nothing was changed: mend it") from None
