"""One walk through a repository's history: each commit with what it changed, as git tells it.

Owns running `git rev-list` and `git diff-tree` with nothing of the person's, the machine's or the repository's own
configuration that could run anything, bounded in time and size, and reading what they print. Must not own when a walk
is made or kept (observe_history.py).
"""

from __future__ import annotations

import os
import re
import subprocess
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from msgspec import Struct

from ..core.argv.git import NOTES
from ..core.facts import WHOLE, HistoryFact
from ..core.paths import Secrets
from . import git_folders

SECONDS = 20.0  # that one walk may take
_OBJECTS = 3_000_000
_BYTES = 256 << 20  # of one answer of git's
_PIECE = 1 << 20  # bytes: no path is so long
_SECRETS = 200
_BACK = 40  # commits behind HEAD that are looked at one by one
_TOKEN = re.compile(rb"[0-9a-f]{40}(?:[0-9a-f]{24})?\b")
_ENVIRON = {
    "PATH": os.defpath,
    "HOME": "/nonexistent",
    "LC_ALL": "C",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_PROTOCOL_FROM_USER": "0",
    "GIT_ALLOW_PROTOCOL": "none",
}


class Unreadable(Exception):
    """The history cannot be walked; the text says why."""


class Walked(Struct, frozen=True):
    """One whole walk and what was walked after it. `commits` and `others`: of each the sorted names of objects."""

    fact: HistoryFact
    tips: tuple[str, ...] = ()
    commits: tuple[bytes, ...] = ()
    others: tuple[bytes, ...] = ()
    width: int = 20


def goes_on(before: Walked) -> bool:
    """Whether only what is new has to be walked: a secret may be gone by now, and many pieces make looking up slow."""
    return before.fact.known and not before.fact.secrets and len(before.commits) < 30 and len(before.tips) < 50_000


class _Found:
    """What a walk comes by."""

    def __init__(self) -> None:
        self.commits = bytearray()
        self.others = bytearray()
        self.secrets: dict[str, None] = {}

    def names(self) -> tuple[str, ...]:
        return ("*",) if len(self.secrets) > _SECRETS else tuple(self.secrets)


class Walk:
    """One walk through one repository: each commit with all that it changes, by `git diff-tree`.

    A merge is seen where it differs from all its parents; what it took over from one of them was seen there.
    """

    def __init__(self, git: str, program: str, secrets: Secrets) -> None:
        if not program:
            raise Unreadable("git is not where it should be")
        self._program = program
        self._secrets = secrets
        self._top = os.path.dirname(git)
        self._folder = git_folders.own(git)
        self._common = git_folders.common(git)
        self._environ = _ENVIRON | {"GIT_DIR": git}
        self._known: dict[str, bool] = {}

    def walk(self, before: Walked | None) -> Walked:
        """All of it; only what is new where an earlier walk found no secret. Raises Unreadable."""
        notes = self._noted()
        found = self._run("rev-list", "--all", "--reflog", "--no-walk", "--ignore-missing", "--stdin", feed=notes)
        tips = tuple(found.decode("ascii").split())
        if before is None or not goes_on(before):
            before = Walked(HistoryFact(known=True), width=32 if tips and len(tips[0]) == 64 else 20)
        seen = self._changes(("--all", "--reflog"), [*notes, *(f"^{tip}" for tip in before.tips)], before.width)
        self._trees(seen)
        clean = self._clean(before.width) if seen.secrets else 0
        return Walked(
            HistoryFact(known=True, secrets=seen.names(), clean=clean),
            tips,
            (*before.commits, _sorted(seen.commits, before.width)),
            (*before.others, _sorted(seen.others, before.width)),
            before.width,
        )

    def _noted(self) -> list[str]:
        """What FETCH_HEAD and its kin name."""
        found: dict[str, None] = {}
        for place in dict.fromkeys((self._folder, self._common)):
            for name in NOTES:
                with suppress(FileNotFoundError), open(f"{place}/{name}", "rb") as file:
                    found |= {match.decode(): None for match in _TOKEN.findall(file.read(1 << 20))}
        return list(found)

    def _changes(self, start: Sequence[str], feed: Iterable[str], width: int) -> _Found:
        """All that the commits changed which are to be found from `start` and `feed`. Raises Unreadable."""
        found = _Found()
        parents, is_file = 0, False
        for piece in self._diffs(start, feed):
            token = piece if parents else piece.strip(b"\n")
            if parents:
                parents = 0
                path = token.decode("utf-8", "surrogateescape")
                if is_file and len(found.secrets) <= _SECRETS and self._is_secret(path):
                    found.secrets[path] = None
            elif token.startswith(b":"):
                parents = len(token) - len(token.lstrip(b":"))
                fields = token[parents:].split(b" ")
                is_file = not {b"040000", b"160000"}.intersection(fields[: parents + 1])
                if fields[parents] != b"160000":
                    found.others.extend(_binary(fields[2 * parents + 1], width))
            elif token:
                commit, _, tree = token.partition(b" ")
                found.commits.extend(_binary(commit, width))
                found.others.extend(_binary(tree, width))
            if len(found.commits) + len(found.others) > _OBJECTS * width:
                raise Unreadable("it holds too much")
        return found

    def _trees(self, found: _Found) -> None:
        """A tag may name a folder without any commit."""
        kinds = self._run("for-each-ref", "--format=%(objecttype) %(*objecttype) %(refname)").decode("utf-8", "replace")
        names = [line.rpartition(" ")[2] for line in kinds.splitlines() if "tree" in line.split(" ")[:2]]
        if len(names) > 20:
            raise Unreadable("more tags than are looked at name no commit")
        for name in names:
            self._note_tree(f"{name}^{{tree}}", found)

    def _note_tree(self, name: str, found: _Found) -> None:
        listed = self._run("ls-tree", "-r", "-z", "--full-tree", "--name-only", name).split(b"\0")
        paths = (path.decode("utf-8", "surrogateescape") for path in listed if path)
        found.secrets |= {path: None for path in paths if self._is_secret(path)}

    def _is_secret(self, path: str) -> bool:
        known = self._known.get(path)
        if known is None:
            folder, _, name = path.rpartition("/")
            place = f"{self._top}/{folder}"
            known = f"{self._top}/{path}" in self._secrets if self._secrets.near(place) else self._secrets.by_name(name)
            known = known or self._secrets.beneath(path)
            if len(self._known) < 100_000:
                self._known[path] = known
        return known

    def _clean(self, width: int) -> int:
        """How many commits back from HEAD, each with one parent at most, hold no secret and change none; WHOLE where
        no commit that it leads to does."""
        if not self._changes(("HEAD",), (), width).secrets:
            return WHOLE
        found = _Found()
        self._note_tree("HEAD", found)
        if found.secrets:
            return 0
        back = self._run("rev-list", "--first-parent", "--parents", f"--max-count={_BACK}", "HEAD").decode("ascii")
        line_of = [line.split() for line in back.splitlines()]
        straight = next((at for at, names in enumerate(line_of) if len(names) > 2), len(line_of))
        for at, names in enumerate(line_of[:straight]):
            if self._changes(("--no-walk", names[0]), (), width).secrets:
                return at
        return straight

    # --- git ---

    def _start(self, arguments: Sequence[str], stdin: Any = subprocess.PIPE) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [self._program, "--no-pager", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", *arguments],
            cwd="/",
            env=self._environ,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def _run(self, *arguments: str, feed: Iterable[str] = ()) -> bytes:
        said = bytearray()
        for piece in _output([self._start(arguments)], feed):
            said += piece
            if len(said) > _BYTES:
                raise Unreadable("it holds too much")
        return bytes(said)

    def _diffs(self, start: Sequence[str], feed: Iterable[str]) -> Iterator[bytes]:
        """What `git diff-tree -z` says of these commits, piece by piece. Raises Unreadable."""
        commits = self._start(("rev-list", *start, "--ignore-missing", "--stdin"))
        how = ("--stdin", "-r", "-t", "--root", "-c", "--no-renames", "--raw", "-z", "--no-abbrev")
        diffs = self._start(("diff-tree", *how, "--pretty=tformat:%H %T%x00"), commits.stdout)
        assert commits.stdout is not None
        commits.stdout.close()  # it is the other's now
        rest = b""
        for piece in _output([diffs, commits], feed):
            *tokens, rest = (rest + piece).split(b"\0")
            if len(rest) > _PIECE:
                raise Unreadable("what git prints is not understood")
            yield from tokens
        yield rest


def _output(processes: Sequence[subprocess.Popen[bytes]], feed: Iterable[str]) -> Iterator[bytes]:
    """What the first one prints while the last one is fed. Raises Unreadable where one fails or takes too long."""

    def kill() -> None:
        for process in processes:
            process.kill()

    out, fed = processes[0].stdout, processes[-1].stdin
    assert out is not None
    assert fed is not None
    late = threading.Timer(SECONDS, kill)
    late.daemon = True  # it holds up the end of the process no more than the walk does
    late.start()
    try:
        with suppress(BrokenPipeError):
            fed.write("".join(f"{line}\n" for line in feed).encode("ascii"))
            fed.close()
        while piece := out.read(1 << 16):
            yield piece
        for process in processes:
            process.wait()
    finally:
        late.cancel()
        kill()
        out.close()
        with suppress(BrokenPipeError):
            fed.close()
        for process in processes:
            process.wait()
    if any(process.returncode for process in processes):
        raise Unreadable("git failed or took too long")


def _binary(name: bytes, width: int) -> bytes:
    """An object's name in bytes. Raises Unreadable for anything else."""
    try:
        found = bytes.fromhex(name.decode("ascii"))
    except ValueError:
        found = b""
    if len(found) != width:
        raise Unreadable("what git prints is not understood")
    return found


def _sorted(names: bytearray, width: int) -> bytes:
    """Sorted, each name once. In small pieces: one long sort would hold up every other thread."""
    begin: list[set[bytes]] = [set() for _ in range(256)]
    for at in range(0, len(names), width):
        begin[names[at]].add(bytes(names[at : at + width]))
    return b"".join(name for some in begin for name in sorted(some))
