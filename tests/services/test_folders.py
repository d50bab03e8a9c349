"""Changes in folders are told by the kernel: once for many, also after a folder went and came back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.patience import PATIENCE

from tmux_agent.services.folders import Folders, Watch


class Told:
    """Counts calls, and waits for the next."""

    def __init__(self) -> None:
        self.count = 0
        self._news = asyncio.Event()

    def __call__(self) -> None:
        self.count += 1
        self._news.set()

    async def next(self) -> None:
        async with asyncio.timeout(PATIENCE):
            await self._news.wait()
        self._news.clear()


def run(work: Callable[[Folders], object]) -> None:
    async def main() -> None:
        folders = Folders()
        try:
            await work(folders)  # type: ignore[misc]
        finally:
            folders.close()

    asyncio.run(main())


def test_many_changes_are_told_once_and_only_names_that_matter(tmp_path: Path) -> None:
    """A burst is one call; a file of another name is none."""

    async def work(folders: Folders) -> None:
        told, all_ = Told(), Told()
        folders.start([Watch(tmp_path, frozenset(("a",)), told), Watch(tmp_path, None, all_)])
        for _ in range(20):
            (tmp_path / "b").write_text("x")
        await all_.next()
        assert (told.count, all_.count) == (0, 1)
        (tmp_path / "a").write_text("x")
        await told.next()

    run(work)


def test_a_folder_that_went_and_came_back_is_watched_again(tmp_path: Path) -> None:
    """Its parent tells that it is there again; watched anew, changes in it are told."""

    async def work(folders: Folders) -> None:
        folder, told = tmp_path / "folder", Told()
        watches = [Watch(folder, None, told), Watch(tmp_path, frozenset(("folder",)), told)]
        folders.start(watches)
        for _ in range(3):
            folder.mkdir()
            await told.next()
            folders.start(watches)
            (folder / "file").write_text("x")
            await told.next()
            (folder / "file").unlink()
            await told.next()
            folder.rmdir()
            await told.next()

    run(work)


def test_what_is_due_survives_a_change_of_watches(tmp_path: Path) -> None:
    """Watching another folder as well loses nothing that was noticed before."""

    async def work(folders: Folders) -> None:
        told, other, noticed = Told(), tmp_path / "other", asyncio.Event()
        other.mkdir()
        heard = folders._heard

        def hear(event: Any) -> None:
            heard(event)
            noticed.set()

        folders._heard = hear  # type: ignore[method-assign]
        folders.start([Watch(tmp_path, None, told)])
        (tmp_path / "a").write_text("x")
        await noticed.wait()
        folders.start([Watch(tmp_path, None, told), Watch(other, None, Told())])
        await told.next()

    run(work)


def test_one_folder_by_two_names(tmp_path: Path) -> None:
    """The kernel watches it once: both are told, and either may end before the other, or come back."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")

    async def work(folders: Folders) -> None:
        one, two = Told(), Told()
        real, link = Watch(tmp_path / "real", None, one), Watch(tmp_path / "link", None, two)
        folders.start([real, link])
        (tmp_path / "real" / "a").touch()
        await one.next()
        await two.next()
        folders.start([link])
        (tmp_path / "real" / "b").touch()
        await two.next()
        folders.start([])
        folders.start([real, link])
        (tmp_path / "real" / "c").touch()
        await one.next()
        await two.next()

    run(work)
