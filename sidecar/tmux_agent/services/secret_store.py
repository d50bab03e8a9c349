"""secrets.yaml and its key: values encrypted each under its own name, and the rotation of the key.

Owns cryptography (imported only here, and only where there is something to decrypt or encrypt). AES-256-GCM, a fresh
nonce a value, the name as associated data: a value that is moved to another name does not open. Must not own: which
value counts where several have one (secrets.py).

Rotation is three replacements, each whole and on the disk before the next: key file "old, new" → secrets.yaml under the
new key → key file "new". The store names the key that it is under, so what is left by a crash at any point opens, and
the next change drops the key that opens nothing. Writers hold a lock; readers hold none, and look again where they met
a rotation.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import fcntl
import hashlib
import os
import secrets as random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from ..core import config
from ..core.errors import InvalidParams, NotFound, Unavailable
from ..core.secret import Secret
from . import private_files

VALUE_BYTES = 64 << 10  # of one value
_NONCE = 12
_PURPOSE = b"tmux-agent secret v1\0"
_HEAD = b"# Encrypted by `tmux-agent secret`, which is how to change it. The key is elsewhere.\n"


class SecretsFile(Struct, frozen=True, kw_only=True):
    """secrets.yaml. `key` names the key, and tells nothing of it."""

    key: str
    secrets: dict[str, str]  # canonical name → base64 of nonce and ciphertext
    version: int = 1


class SecretStore:
    """One store and its key. `store` and `key` are their files, which need not be there yet."""

    def __init__(self, store: Path, key: Path) -> None:
        self.store = store
        self.key = key

    # --- reading ---

    def problems(self) -> tuple[str, ...]:
        """What is wrong with the files or who may come at them: a sentence each, with what to do about it."""
        if not os.path.lexists(self.store):
            return ()  # then it does not matter what the key's file is: the variable may be another program's
        found = [private_files.file_problem(self.store), private_files.file_problem(self.key)]
        if os.path.lexists(self.key):
            found.append(private_files.folder_problem(self.key.parent))
        if not any(found):
            try:
                self.values()
                if len(self._keys()) > 1:
                    found.append("a rotation of the secrets' key was cut off: run `tmux-agent secret rotate` again")
            except Unavailable as why:
                found.append(why.message)
        return tuple(filter(None, found))

    def names(self) -> tuple[str, ...]:
        """Raises Unavailable."""
        return tuple(sorted(self._file().secrets))

    def values(self) -> dict[str, str]:
        """Every value by its name; none where there is no store. Raises Unavailable: nothing can be told."""
        for _ in range(3):
            file = self._file()
            if not file.secrets:
                return {}
            keys = self._keys()
            if file.key in keys:
                return {name: self._open(keys[file.key], name, text) for name, text in file.secrets.items()}
        if not keys:
            raise Unavailable(f"the key {self.key} of {self.store} is gone: put it back, or set the secrets anew")
        raise Unavailable(f"{self.store} is under another key than {self.key}: put the right key there")

    def _file(self) -> SecretsFile:
        try:
            data = private_files.read(self.store)
        except FileNotFoundError:
            return SecretsFile(key="", secrets={})
        file, wrong = config.load(data.decode(errors="replace"), str(self.store), SecretsFile)
        if file is None:
            raise Unavailable(f"{wrong[0]}: mend the file, or move it away and set the secrets anew")
        return file

    def _keys(self) -> dict[str, bytes]:
        """By name, the one that counts first; empty where there is none."""
        if not os.path.lexists(self.key):
            return {}
        if problem := private_files.folder_problem(self.key.parent):
            raise Unavailable(problem)
        try:
            lines = private_files.read(self.key).split()
            keys = [base64.b64decode(line, b"-_", validate=True) for line in lines]
        except FileNotFoundError:
            return {}
        except binascii.Error:
            keys = []
        if not keys or any(len(key) != 32 for key in keys):
            raise Unavailable(f"{self.key} is no key (32 bytes in base64, as one line): put the right file there")
        return {_name(key): key for key in keys}

    def _open(self, key: bytes, name: str, text: str) -> str:
        cipher, refused = _cipher(key)
        try:
            sealed = base64.b64decode(text, validate=True)
            value: bytes = cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], _PURPOSE + name.encode())
            return value.decode()
        except (refused, ValueError):
            raise Unavailable(f"{name} in {self.store} was changed or moved there: set it anew") from None

    # --- changing ---

    def put(self, secret: Secret, value: str) -> bool:
        """Keep a value, in place of one of that name; whether there was one. Raises InvalidParams, Unavailable."""
        if not value or len(value.encode()) > VALUE_BYTES or "\0" in value:
            raise InvalidParams(f"a secret has 1 to {VALUE_BYTES} bytes and no NUL: {secret.name} was not changed")
        return self._change(lambda values: values | {secret.name: value}, secret.name)

    def remove(self, secret: Secret) -> None:
        """Raises NotFound, Unavailable."""
        if not self._change(lambda values: {k: v for k, v in values.items() if k != secret.name}, secret.name):
            raise NotFound(f"there is no secret {secret.name} in {self.store}")

    def rotate(self) -> int:
        """Encrypt everything under a new key and forget the old one; how many. Raises NotFound, Unavailable."""
        with self._locked():
            values = self.values()
            if not values:
                raise NotFound(f"there is no secret in {self.store}: nothing to rotate")
            old, new = self._keys()[self._file().key], random.token_bytes(32)
            self._write_keys(old, new)
            self._write(new, values)
            self._write_keys(new)
        return len(values)

    def _change(self, change: Callable[[dict[str, str]], dict[str, str]], name: str) -> bool:
        with self._locked():
            values = self.values()
            changed = change(values)
            if changed != values:
                keys = self._keys()
                key = keys.get(self._file().key) or next(iter(keys.values()), b"") or random.token_bytes(32)
                if list(keys.values()) != [key]:
                    self._write_keys(key)
                self._write(key, changed)
            return name in values

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        folder = self.key.parent
        try:
            private_files.make_folder(folder)
            if problem := private_files.folder_problem(folder):
                raise Unavailable(problem)
            private_files.make_folder(self.store.parent)
            lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as why:
            raise Unavailable(f"the key's folder {folder} cannot be used: {why.strerror}") from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _write_keys(self, *keys: bytes) -> None:
        private_files.replace(self.key, b"".join(base64.urlsafe_b64encode(key) + b"\n" for key in keys))

    def _write(self, key: bytes, values: Mapping[str, str]) -> None:
        sealed = {name: _seal(key, name, value) for name, value in sorted(values.items())}
        text = config.dump(SecretsFile(key=_name(key), secrets=sealed)).encode()
        if len(text) > private_files.LIMIT:
            raise InvalidParams(f"{self.store} would be larger than 1 MiB, nothing was changed: keep fewer secrets")
        private_files.replace(self.store, _HEAD + text)


def _name(key: bytes) -> str:
    return hashlib.sha256(b"tmux-agent key\0" + key).hexdigest()[:16]


def _seal(key: bytes, name: str, value: str) -> str:
    nonce = random.token_bytes(_NONCE)
    sealed: bytes = _cipher(key)[0].encrypt(nonce, value.encode(), _PURPOSE + name.encode())
    return base64.b64encode(nonce + sealed).decode()


def _cipher(key: bytes) -> tuple[Any, type[Exception]]:
    """AES-256-GCM under a key, and what it raises for what was not sealed so."""
    try:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError:
        raise Unavailable("secrets need `cryptography`: pip install 'tmux-agent[secrets]'") from None
    return AESGCM(key), InvalidTag
