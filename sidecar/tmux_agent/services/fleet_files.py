"""fleet.toml and templates on disk: the person's own, and the repository's, which count only as they were trusted.

Owns where they are, reading each once, and that what is trusted is what was read. Of a repository no symlink is
followed: it could lead to what whoever asks may not read. Must not own: their form (core/fleet_file.py), the list of
what is trusted (trusted.py).
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from msgspec import Struct

from ..core import errors, fleet_file
from ..core.config import nearest
from ..core.fleet_file import FleetFile
from .observe import read_regular
from .tools import beneath
from .trusted import Trusted

FOLDER = ".tmuxagent"
FILE = "fleet.toml"
TEMPLATES = "templates"
_LIMIT = 256 << 10  # bytes of a file
_MOST = 200  # templates of a folder


class Template(Struct, frozen=True, kw_only=True):
    """`trusted`: it may be typed. `about`: its first line, where it is trusted."""

    name: str
    path: str
    own: bool  # of the person, not of the repository
    trusted: bool
    about: str = ""
    text: str = ""


class FleetFiles:
    """`config`: the person's folder, `trusted`: what they trust of repositories."""

    def __init__(self, config: Path, trusted: Trusted) -> None:
        self._config = config
        self._trusted = trusted

    def read(self, top: str, *, plain: bool) -> FleetFile:
        """What counts in a repository. `plain`: nothing of its own file. Raises InvalidParams (a file is wrong),
        Conflict (the repository's is not trusted)."""
        own = _load(self._config / FILE, _bytes(self._config / FILE))
        path = Path(top) / FOLDER / FILE
        data = None if plain else _inside(top, f"{FOLDER}/{FILE}")
        if data is None:
            return own
        if not self._trusted.holds(path, data):
            raise errors.Conflict(
                f"{path} is not trusted as it is now: read it, then run `tmux-agent policy trust` there; or spawn with"
                " --plain, without it"
            )
        return fleet_file.on_top(own, _load(path, data))

    def templates(self, top: str) -> list[Template]:
        """The repository's, and the person's own whose name it does not have."""
        theirs = {path: _inside(top, f"{FOLDER}/{TEMPLATES}/{path.name}") for path in _listed(Path(top) / FOLDER)}
        found = {
            path.stem: _template(path, data, own=False, trusted=self._trusted.holds(path, data))
            for path, data in theirs.items()
            if data is not None
        }
        for path in _listed(self._config):
            if (data := _bytes(path)) is not None:
                found.setdefault(path.stem, _template(path, data, own=True, trusted=True))
        return list(found.values())

    def template(self, top: str, name: str) -> str:
        """A template's text. Raises NotFound, Conflict (it is not trusted)."""
        known = {one.name: one for one in self.templates(top)}
        if (one := known.get(name)) is None:
            near = nearest(name, known)
            raise errors.NotFound(f"there is no template {name!r}{near}: `tmux-agent templates` lists them")
        if not one.trusted:
            raise errors.Conflict(f"{one.path} is not trusted as it is: read it, then run `tmux-agent policy trust`")
        return one.text

    def of(self, top: str) -> list[Path]:
        """The files of a repository that have to be trusted before they count."""
        folder = Path(top) / FOLDER
        found = [folder / FILE, *_listed(folder)]
        return [path for path in found if _inside(top, str(path.relative_to(top))) is not None]


def _template(path: Path, data: bytes, *, own: bool, trusted: bool) -> Template:
    text = data.decode("utf-8", "replace")
    shown = fleet_file.prompt(text, {}).strip().partition("\n")[0][:200] if trusted else ""
    return Template(name=path.stem, path=str(path), own=own, trusted=trusted, about=shown, text=text)


def _listed(folder: Path) -> list[Path]:
    return sorted((folder / TEMPLATES).glob("*.md"))[:_MOST]


def _inside(top: str, relative: str) -> bytes | None:
    """A regular file's bytes, below a repository; None where there is none. Raises InvalidParams for a symlink, on the
    way or at its end, and for what cannot be read."""
    root = os.open(top, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        file = beneath.open_beneath(root, relative, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as why:
        raise errors.InvalidParams(f"{top}/{relative}: cannot be read, or is a symlink: {why.strerror}") from None
    finally:
        os.close(root)
    with os.fdopen(file, "rb") as opened:
        whole = stat.S_ISREG(os.fstat(file).st_mode)
        data = opened.read(_LIMIT + 1) if whole else b""
    if not whole or len(data) > _LIMIT:
        raise errors.InvalidParams(f"{top}/{relative}: is no file of at most {_LIMIT >> 10} KiB")
    return data


def _bytes(path: Path) -> bytes | None:
    """A regular file's bytes; None where there is none. Raises InvalidParams for one that cannot be read."""
    data = read_regular(str(path), _LIMIT)
    if data is None and os.path.lexists(path):
        raise errors.InvalidParams(f"{path}: cannot be read as a file of at most {_LIMIT >> 10} KiB")
    return data


def _load(path: Path, data: bytes | None) -> FleetFile:
    if data is None:
        return FleetFile()
    try:
        text = data.decode()
    except UnicodeDecodeError as why:
        raise errors.InvalidParams(f"{path}: is not UTF-8 at byte {why.start}") from None
    file, wrong = fleet_file.load(text, str(path))
    if file is None:
        raise errors.InvalidParams("; ".join(map(str, wrong)))
    return file
