"""Recordings on the disk: a folder of ours with a note and the parts of each (ID.json, ID.0001.cast, …), mode 0600.

Owns names, notes, what is kept within the bounds, and reading a recording back. The command line uses it without a
sidecar. Must not own: writing output (cast_writer.py), which panes are recorded (casts.py), the form of a part
(core/cast.py). Everything here may wait for the disk: call it in a thread where that matters.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TypeVar

import msgspec
from msgspec import Struct

from ..core import cast, errors
from ..core.pipeline_run import Place
from ..core.settings import Casts as Bounds
from . import places as places_

_NAME = re.compile(r"([0-9A-HJKMNP-TV-Z]{26})\.(?:json|([0-9]{4})\.cast)")
_PARTS = 9999
_NOTE_BYTES = 64 << 10
T = TypeVar("T")


class Note(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known of a recording. `ended` is 0 while it goes on; `by` is who began it: "operator", or a pane."""

    id: str
    place: Place
    started: float  # seconds since the epoch
    title: str = ""
    mask: bool = False
    max_bytes: int = 0  # of all its parts; 0: only the bounds of all recordings
    by: str = ""
    ended: float = 0.0
    why: str = ""  # of the end


class Kept(Struct, frozen=True):
    """A recording with what there is of it."""

    note: Note
    parts: tuple[Path, ...]
    bytes: int
    last: float  # when it was written to, seconds since the epoch


class CastFiles:
    """Of one folder, which `ready` makes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def ready(self) -> None:
        """Raises Unavailable."""
        places_.ready_folder(self.folder)

    # --- notes ---

    def put(self, note: Note) -> None:
        """Raises Unavailable."""
        places_.write_whole(self.folder / f"{note.id}.json", msgspec.json.encode(note).decode())

    def all(self) -> list[Kept]:
        """Every recording, the oldest first."""
        notes: dict[str, Note] = {}
        parts: dict[str, list[Path]] = {}
        with contextlib.suppress(FileNotFoundError):
            for path in sorted(self.folder.iterdir()):
                if not (found := _NAME.fullmatch(path.name)):
                    continue
                if found[2]:
                    parts.setdefault(found[1], []).append(path)
                elif note := _note(path):
                    notes[found[1]] = note
        return [_kept(notes[name], parts.get(name, [])) for name in sorted(notes)]

    def get(self, name: str) -> Kept:
        """The recording whose id begins so. Raises NotFound, InvalidParams."""
        found = [one for one in self.all() if name and one.note.id.startswith(name.upper())]
        if not found:
            raise errors.NotFound(f"no recording {name!r}: `tmux-agent cast list` lists them")
        if len(found) > 1:
            raise errors.InvalidParams(f"{len(found)} recordings begin with {name!r}: give more of the id")
        return found[0]

    def remove(self, kept: Kept) -> None:
        """Its note last: cut short, it can be removed again. Raises Unavailable."""
        try:
            for path in (*kept.parts, self.folder / f"{kept.note.id}.json"):
                path.unlink(missing_ok=True)
        except OSError as why:
            raise errors.Unavailable(f"{why.filename} cannot be removed: {why.strerror}") from None

    # --- parts ---

    def next_part(self, name: str) -> tuple[int, IO[bytes]]:
        """A new part, and its number. Raises Unavailable."""
        taken = [int(path.name[-9:-5]) for path in self.folder.glob(f"{name}.*.cast")]
        number = max(taken, default=0) + 1
        if number > _PARTS:
            raise errors.Unavailable(f"recording {name} has {_PARTS} parts: begin a new one")
        path = self.folder / f"{name}.{number:04d}.cast"
        try:
            return number, open(path, "xb", buffering=0, opener=_private)
        except OSError as why:
            raise errors.Unavailable(f"{path} cannot be written: {why.strerror}") from None

    def prune(self, bounds: Bounds, running: frozenset[str]) -> None:
        """Take away what is over the bounds: parts of one recording, and then the oldest of all; never the last part of
        one that is `running`. A recording without parts goes, unless it runs."""
        kept = self.all()
        for one in kept:
            for path in one.parts[: max(0, len(one.parts) - max(1, bounds.files))]:
                path.unlink(missing_ok=True)
        kept = self.all()
        total = sum(one.bytes for one in kept)
        for one in sorted(kept, key=lambda one: one.note.id in running):
            goes = one.parts[:-1] if one.note.id in running else one.parts
            for path in goes:
                if total <= bounds.total_bytes:
                    return
                total -= _size(path)
                path.unlink(missing_ok=True)
            if one.note.id not in running:
                self.remove(one)

    def head(self, kept: Kept) -> cast.Header:
        """Of its first part. Raises Failed where it cannot be read."""
        begun = [path for path in kept.parts if _begun(path)]
        return read_head(begun[0]) if begun else _joined([], kept.note.id).header

    def read(self, kept: Kept) -> cast.Cast:
        """Raises Failed where it cannot be read."""
        return _joined([read_file(path) for path in kept.parts if _begun(path)], kept.note.id)


def _begun(path: Path) -> bool:
    """Whether its header is there: a part's recorder may have been killed before it was, or the part been removed."""
    try:
        with open(path, "rb", opener=_reading) as lines:
            return lines.readline(cast.LINE_BYTES).endswith(b"\n")
    except OSError:
        return False


def _joined(parts: list[cast.Cast], name: str) -> cast.Cast:
    try:
        return cast.joined(parts)
    except cast.Damaged as why:
        raise errors.Failed(f"recording {name} cannot be played: {why}") from None


def read_file(path: Path) -> cast.Cast:
    """A file in asciinema's form, anybody's. Raises Failed."""
    return _read(path, cast.read)


def read_head(path: Path) -> cast.Header:
    """The same, of which only the header is read. Raises Failed."""
    return _read(path, lambda lines: cast.read_header(next(lines, b"")))


def _read(path: Path, form: Callable[[Iterator[bytes]], T]) -> T:
    try:
        with open(path, "rb", opener=_reading) as lines:
            info = os.fstat(lines.fileno())
            if not stat.S_ISREG(info.st_mode):
                raise errors.Failed(f"{path} is no regular file")
            if info.st_size > cast.FILE_BYTES:
                raise errors.Failed(f"{path} has more than {cast.FILE_BYTES} bytes")
            return form(_lines(lines))
    except OSError as why:
        raise errors.Failed(f"{path} cannot be read: {why.strerror}") from None
    except cast.Damaged as why:
        raise errors.Failed(f"{path} cannot be played: {why}") from None


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    while text := file.readline(cast.LINE_BYTES):
        if len(text) == cast.LINE_BYTES:
            raise cast.Damaged(f"a line of more than {cast.LINE_BYTES} bytes")
        yield text


def _note(path: Path) -> Note | None:
    """None for what is none of ours: a recording of which nobody knows where it is from is played by its file."""
    try:
        with open(path, "rb", opener=_reading) as file:
            regular = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
            return msgspec.json.decode(file.read(_NOTE_BYTES), type=Note) if regular else None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def _kept(note: Note, parts: list[Path]) -> Kept:
    known = [info for info in map(_info, parts) if info is not None]
    last = max((info.st_mtime for info in known), default=note.started)
    return Kept(note, tuple(parts), sum(info.st_size for info in known), last)


def _info(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except FileNotFoundError:  # removed meanwhile
        return None


def _size(path: Path) -> int:
    info = _info(path)
    return info.st_size if info else 0


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def _reading(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
