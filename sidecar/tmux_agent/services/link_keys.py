"""The keys that links are signed with: one in use, and earlier ones for as long as links of theirs may be open.

Owns the file (mode 0600 in the secrets' folder, which no agent's tool may read), their rotation, and a key of the
person's own (`APPROVAL_SECRET`). Must not own: links (links.py).
"""

from __future__ import annotations

import base64
import binascii
import secrets as random
from pathlib import Path

import msgspec
from msgspec import Struct

from ..core import link
from ..core.errors import Conflict, Unavailable
from . import private_files
from .secrets import Secrets

OWN = "APPROVAL_SECRET"
OWN_CHARS = 16


class _Key(Struct, frozen=True, forbid_unknown_fields=True):
    """`until`: seconds since 1970 to which its links are taken; None: new links are signed with it."""

    secret: str  # base64
    until: int | None = None


class _KeyFile(Struct, frozen=True, forbid_unknown_fields=True):
    keys: tuple[_Key, ...]
    version: int = 1


class LinkKeys:
    """Of one sidecar, which alone writes the file. `load` comes first, and again where anything may have changed."""

    def __init__(self, file: Path, secrets: Secrets) -> None:
        self.file = file
        self._secrets = secrets
        self._keys: tuple[_Key, ...] = ()
        self._own: bytes | None = None

    def load(self) -> None:
        """Read the keys. Raises Unavailable saying what is wrong with them; then there are none."""
        self._keys, self._own = (), None
        own = self._secrets.find(OWN)
        if own is not None and len(own) < OWN_CHARS:
            raise Unavailable(f"{OWN} has fewer than {OWN_CHARS} characters, so it can be guessed: use a longer one")
        self._keys = self._read()
        self._own = link.derived(own) if own else None

    def _read(self) -> tuple[_Key, ...]:
        try:
            data = private_files.read(self.file)
            found = msgspec.json.decode(data, type=_KeyFile).keys
            if any(len(base64.b64decode(one.secret, validate=True)) != link.KEY_BYTES for one in found):
                raise ValueError
        except FileNotFoundError:
            return ()
        except (msgspec.MsgspecError, binascii.Error, ValueError):
            raise Unavailable(f"{self.file} is damaged: remove it, and links that are open with it") from None
        return found

    def signing(self) -> bytes:
        """The key for new links; made where there is none. Raises Unavailable."""
        if self._own is not None:
            return self._own
        if not any(one.until is None for one in self._keys):
            self._replace((*self._keys, _new()))
        return next(base64.b64decode(one.secret) for one in self._keys if one.until is None)

    def all(self, now: float) -> dict[str, bytes]:
        """Every key whose links are taken, by its name."""
        open_ = [base64.b64decode(one.secret) for one in self._keys if one.until is None or now < one.until]
        return {link.name_of(one): one for one in (*open_, *([self._own] if self._own else []))}

    def rotate(self, now: float, overlap: float) -> int:
        """A new key; links of earlier ones are taken for `overlap` more seconds. How many earlier ones that is.

        Raises Conflict where the key is the person's own, Unavailable.
        """
        if self._own is not None:
            raise Conflict(f"the key is your own {OWN}: change that where you set it, then `tmux-agent sidecar reload`")
        until = int(now + overlap)
        old = [_Key(one.secret, min(until, one.until or until)) for one in self._keys]
        kept = tuple(one for one in old if one.until is not None and now < one.until)
        self._replace((*kept, _new()))
        return len(kept)

    def _replace(self, keys: tuple[_Key, ...]) -> None:
        try:
            private_files.make_folder(self.file.parent)
        except OSError as why:
            raise Unavailable(f"{self.file.parent} cannot be made: {why.strerror}") from None
        private_files.replace(self.file, msgspec.json.encode(_KeyFile(keys)) + b"\n")
        self._keys = keys


def _new() -> _Key:
    return _Key(base64.b64encode(random.token_bytes(link.KEY_BYTES)).decode())
