"""What a secret's name stands for: the encrypted store, else the environment, else the person's `.env` file.

Owns that order, and that every value handed out is one that core/redact.py hides from then on. Looked at anew each
time, so that a change counts at once. Must not own: encryption and files (secret_store.py), who needs a value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from msgspec import Struct

from ..core import dotenv, redact
from ..core.errors import NotFound, Unavailable
from ..core.secret import Secret
from . import private_files
from .places import Places
from .secret_store import SecretStore

_LIKE_A_TOKEN = re.compile(r"(?=.*[0-9])[^/]{12,}")  # of the parts of an address; words such as "notifications" stay


class Listed(Struct, frozen=True):
    """A secret that there is, and where its value comes from."""

    name: str
    where: Literal["store", "environment", ".env"]


class Secrets:
    """Built by the daemon and by the command line; holds no value."""

    def __init__(self, places: Places, environ: Mapping[str, str]) -> None:
        self.store = SecretStore(places.secrets, places.secrets_key)
        self.env_file = places.env_file
        self._environ = environ

    def value(self, secret: Secret | str) -> str:
        """The value of a secret (a text is its name). Raises NotFound saying where it was looked for, Unavailable."""
        secret = Secret.of(secret) if isinstance(secret, str) else secret
        found = self.find(secret)
        if found is None:
            raise NotFound(
                f"there is no secret {secret.name}: `tmux-agent secret set {secret.name}`, or a variable of that name "
                f"in the sidecar's environment or {self.env_file}"
            )
        return found

    def find(self, secret: Secret | str) -> str | None:
        """As `value`; None where there is none, or an empty one. Raises Unavailable."""
        secret = Secret.of(secret) if isinstance(secret, str) else secret
        stored = self.store.values()
        _hide(stored.values())
        found = stored.get(secret.name) or self.variable(secret.name)
        if found:
            _hide([found])
        return found or None

    def setting(self, value: str | Secret) -> str:
        """What a setting that may be a secret comes to. Raises as `value`."""
        return self.value(value) if isinstance(value, Secret) else value

    def variable(self, name: str) -> str:
        """A variable that is no secret, of the environment or the `.env` file; "" where there is none.

        Raises Unavailable where the file may not be read.
        """
        return self._environ.get(name) or self._env().get(name, "")

    def listed(self) -> tuple[Listed, ...]:
        """What there is in the store and the `.env` file, and which of these names the environment has.

        Raises Unavailable.
        """
        stored, env = self.store.names(), self._env()
        found = [Listed(name, "store") for name in stored]
        for name in sorted({name.upper() for name in env} - set(stored)):
            found.append(Listed(name, "environment" if self._environ.get(name) else ".env"))
        return tuple(found)

    def problems(self) -> tuple[str, ...]:
        """What is wrong with the store, its key or the `.env` file: a sentence each, with what to do about it.

        Called at the start, it also makes every stored value one that is hidden.
        """
        found = list(self.store.problems())
        try:
            if not found:
                _hide(self.store.values().values())
            _, wrong = self._read_env()
            found += [f"{self.env_file}: {one}" for one in wrong]
        except Unavailable as why:
            found.append(why.message)
        return tuple(found)

    def _env(self) -> dict[str, str]:
        return self._read_env()[0]

    def _read_env(self) -> tuple[dict[str, str], tuple[str, ...]]:
        try:
            data = private_files.read(self.env_file)
        except FileNotFoundError:
            return {}, ()
        return dotenv.parse(data.decode(errors="replace"))


def _hide(values: Iterable[str]) -> None:
    """From now on these are written down nowhere; of an address, neither is what looks like a token."""
    for value in values:
        redact.know([value])
        if "://" in value:
            try:
                parts = urlsplit(value)
                password = parts.password or ""
            except ValueError:
                continue  # no address after all
            words = [*parts.path.split("/"), *(word for _, word in parse_qsl(parts.query))]
            redact.know([unquote(password), *filter(_LIKE_A_TOKEN.fullmatch, words)])
