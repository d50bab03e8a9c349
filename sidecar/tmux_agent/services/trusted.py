"""Which files of repositories the person trusts: by path and content, so that a file that changed is not any more.

Owns the list in the state folder. Must not own: what a file may do (policy_files.py, fleet_files.py).
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from .observe import follow, read_regular

_FILE_LIMIT = 1 << 20


class Trusted:
    """`state`: the folder that holds trusted.json."""

    def __init__(self, state: Path) -> None:
        self._file = state / "trusted.json"

    def holds(self, path: Path, data: bytes | None = None) -> bool:
        """Whether the person trusted this file with just this content: that of the file, where none is given."""
        data = read_regular(str(path), _FILE_LIMIT) if data is None else data
        return data is not None and self._known().get(follow(str(path)).real) == hashlib.sha256(data).hexdigest()

    def add(self, path: Path) -> str:
        """Trust a file as it is now; gives its hash. Raises OSError. Only for the person's own use."""
        data = read_regular(str(path), _FILE_LIMIT)
        if data is None:
            raise FileNotFoundError(2, "no readable file", str(path))
        known = self._known() | {follow(str(path)).real: hashlib.sha256(data).hexdigest()}
        self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = self._file.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(known))
        fresh.replace(self._file)
        return hashlib.sha256(data).hexdigest()

    def _known(self) -> dict[str, str]:
        data = read_regular(str(self._file), _FILE_LIMIT)
        try:
            return msgspec.json.decode(data or b"{}", type=dict[str, str])
        except (msgspec.DecodeError, UnicodeDecodeError):
            return {}
