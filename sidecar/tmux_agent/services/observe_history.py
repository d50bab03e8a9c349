"""What a repository's history holds under secret names, and whether an object is part of that history.

Owns what is known of all that references, reflogs and git's own notes of where it was lead to: walked by a thread
(history_walk.py), kept as long as no reference has moved, and continued from where it was when one has. Must not own
repositories as such (observe_git.py) or what a secret in the history means (core/rules_git.py).
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from itertools import islice

from msgspec import Struct

from ..core.argv.git import NOTES
from ..core.facts import HistoryFact, ObjectFact
from ..core.paths import Secrets
from . import git_folders
from .git_objects import Names, beginning
from .history_walk import Unreadable, Walk, Walked
from .moment import Moment, stamp

_REPOSITORIES = 16
_WALKS = 8  # at once: each is two processes of git's
_PLACES = 5000  # that one history may rest on: they are looked at each time
_Stamps = tuple[tuple[str, tuple[int, ...]], ...]


class _Known(Struct, frozen=True):
    stamps: _Stamps
    walked: Walked


class Histories:
    """Histories of the repositories that were asked for last.

    `git`: the program to walk with ("": none). `background`: `look` never waits, but says `reading` while a thread
    walks; `reading` is for waiting. Otherwise it waits itself, as long as a walk may take.
    """

    def __init__(self, secrets: Secrets, git: Callable[[], str], *, background: bool = False) -> None:
        self._secrets = secrets
        self._git = git
        self._background = background
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._walks: dict[str, Future[None]] = {}
        self._room = threading.Semaphore(_WALKS)

    def look(self, top: str, moment: Moment) -> HistoryFact:
        """The history of the repository whose work tree begins at `top`, a real path."""
        moment.blind = True
        git = f"{top}/.git"
        known = self._fresh(git)
        if known is None:
            walk = self._walk(git)
            if self._background:
                return HistoryFact(reading=True)
            walk.result()
            known = self._fresh(git)
        return known.walked.fact if known is not None else HistoryFact()

    def object(self, top: str, name: str, moment: Moment) -> ObjectFact:
        """What may be meant by these hexadecimal digits. Only what `look` has walked counts as reached."""
        moment.blind = True
        git = f"{top}/.git"
        known = self._fresh(git)
        if known is None or not known.walked.fact.known:
            return ObjectFact("loose")
        walked, prefix = known.walked, name.lower()
        objects = f"{git_folders.common(git)}/objects"
        if len(prefix) > 2 * walked.width or os.path.lexists(f"{objects}/info/alternates"):
            return ObjectFact("loose")
        there = beginning(objects, prefix, walked.width)
        if there is None:
            return ObjectFact("loose")
        if not there:
            return ObjectFact("missing")
        commits = _with(walked.commits, prefix, walked.width)
        if there <= commits:
            return ObjectFact("commit")
        return ObjectFact("reached" if there <= commits | _with(walked.others, prefix, walked.width) else "loose")

    def reading(self) -> Sequence[Future[None]]:
        """The walks that are under way."""
        return tuple(self._walks.values())

    def _fresh(self, git: str) -> _Known | None:
        known = self._known.get(git)
        if known is None or any(stamp(path) != before for path, before in known.stamps):
            return None
        with suppress(KeyError):  # a thread has just made room
            self._known.move_to_end(git)
        return known

    def _walk(self, git: str) -> Future[None]:
        running = self._walks.get(git)
        if running is not None:
            return running
        done = self._walks[git] = Future()
        # A thread that does not hold up the end of the process: a walk is only read from.
        threading.Thread(target=self._thread, args=(git, done), name="history", daemon=True).start()
        return done

    def _thread(self, git: str, done: Future[None]) -> None:
        try:
            with self._room:
                self._known[git] = self._walked(git)
            while len(self._known) > _REPOSITORIES:
                self._known.popitem(last=False)
        finally:
            self._walks.pop(git, None)
            done.set_result(None)

    def _walked(self, git: str) -> _Known:
        before = self._known.get(git)
        places = tuple(islice(_rests_on(git), _PLACES + 1))
        stamps = tuple((path, stamp(path)) for path in places)
        try:
            if len(places) > _PLACES:
                raise Unreadable("its references lie in too many folders")
            walked = Walk(git, self._git(), self._secrets).walk(before.walked if before else None)
        except (Unreadable, OSError, ValueError):
            walked = Walked(HistoryFact())
        return _Known(stamps, walked)


def _with(runs: Sequence[bytes], prefix: str, width: int) -> frozenset[str]:
    names = (Names(run, len(run) // width, width=width) for run in runs)
    return frozenset(name for some in names for name in some.beginning(prefix))


def _rests_on(git: str) -> Iterator[str]:
    """All whose time changes when a reference does: references are renamed into their folders, reflogs appended to."""
    folder, common = git_folders.own(git), git_folders.common(git)
    yield from (git, f"{folder}/commondir")
    for place in dict.fromkeys((folder, common)):
        yield from (f"{place}/{name}" for name in ("HEAD", "packed-refs", "logs/HEAD", "shallow"))
        yield from (f"{place}/{name}" for name in NOTES)
        yield from (where for where, _, _ in os.walk(f"{place}/refs"))
        yield from (f"{place}/reftable", f"{place}/objects/info/alternates", f"{place}/logs/refs/stash")
    with suppress(OSError):
        yield f"{common}/worktrees"
        yield from (f"{common}/worktrees/{name}/HEAD" for name in os.listdir(f"{common}/worktrees"))
