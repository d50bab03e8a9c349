"""What pipelines wait for outside: files that come or go, and external checks.

Owns the inotify watches of the files, and following a check to its end. Must not own: what a reading means (core).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.checks import Reading
from ..core.pipeline_run import Checked, Do, FileSeen, Run
from .folders import Folders, Watch
from .pipeline_acts import Acts

if TYPE_CHECKING:
    from .checks.follow import Checks


class Files:
    """Tells of files that some stage waits for: as they are when they are first wanted, and at each change."""

    def __init__(self, tell: Callable[[FileSeen], None]) -> None:
        self._tell = tell
        self._folders = Folders()
        self._wanted: frozenset[str] = frozenset()

    def want(self, paths: frozenset[str]) -> None:
        """Watch exactly these from now on."""
        if paths == self._wanted:
            return
        new = paths - self._wanted
        self._wanted = paths
        self._folders.start(Watch(folder, None, self._look) for folder in _folders(paths))
        for path in sorted(new):
            self._tell(FileSeen(path, _exists(path)))

    def close(self) -> None:
        self._folders.close()

    def _look(self) -> None:
        self._folders.start(Watch(folder, None, self._look) for folder in _folders(self._wanted))
        for path in sorted(self._wanted):
            self._tell(FileSeen(path, _exists(path)))


def _exists(path: str) -> bool:
    return os.path.lexists(os.path.expanduser(path))


def _folders(paths: frozenset[str]) -> set[Path]:
    """The folder of each file, or the nearest one above it that is there: it tells when the next one comes."""
    found = set()
    for path in paths:
        folder = Path(os.path.expanduser(path)).parent  # Path's own raise: for no such user, too long, not allowed
        while not os.path.isdir(folder) and folder != folder.parent:
            folder = folder.parent
        found.add(folder)
    return found


class Followers:
    """Follows external checks. `checks` is asked for by the first who waits for one."""

    def __init__(self, checks: Callable[[], Checks], acts: Acts) -> None:
        self._checks = checks
        self._acts = acts

    async def follow(self, run: Run, do: Do, tell: Callable[..., None]) -> None:
        """Tell each reading of a check until its last: what is older than this try of the stage does not count."""
        spec = do.action.external_check
        assert spec is not None
        one = next(each for each in run.stages if each.name == do.stage)
        since = one.started or run.created
        key = f"{run.spec.name}/{do.stage}"
        found = self._checks().follow(spec, since=since, key=key, run=lambda command: self._acts.look(run, do, command))
        last = Reading(state="failure", detail="it said nothing")
        async with contextlib.aclosing(found):
            async for last in found:
                tell(run.run_id, _checked(do, last, final=False))
        tell(run.run_id, _checked(do, last, final=True))


def _checked(do: Do, reading: Reading, *, final: bool) -> Checked:
    return Checked(
        stage=do.stage, attempt=do.attempt, index=do.index, reading=reading.state, detail=reading.detail, final=final
    )
