"""What git ignores, copied and linked: as it is, within bounds, and nothing from or to elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tmux_agent.core import errors
from tmux_agent.services import fleet_ignored


@pytest.fixture
def trees(tmp_path: Path) -> tuple[Path, Path]:
    top, worktree = tmp_path / "top", tmp_path / "worktree"
    top.mkdir()
    worktree.mkdir()
    return top, worktree


def bring(trees: tuple[Path, Path], *copies: str, link: str = "") -> list[str]:
    top, worktree = trees
    return fleet_ignored.bring(str(top), str(worktree), copies, [link] if link else [])


def test_a_folder_is_copied_with_modes_and_links_and_without_what_is_no_file(trees: tuple[Path, Path]) -> None:
    top, worktree = trees
    deep = top / "node_modules" / "a" / ".bin"
    deep.mkdir(parents=True)
    (deep / "run").write_text("#!/bin/sh\n")
    (deep / "run").chmod(0o755)
    (deep / "link").symlink_to("run")
    os.mkfifo(deep / "fifo")
    assert bring(trees, "node_modules/") == []
    there = worktree / "node_modules" / "a" / ".bin"
    assert (there / "run").stat().st_mode & 0o777 == 0o755
    assert os.readlink(there / "link") == "run"
    assert sorted(os.listdir(there)) == ["link", "run"]


def test_what_is_missing_or_there_already_is_said(trees: tuple[Path, Path]) -> None:
    top, worktree = trees
    (top / ".env").write_text("theirs\n")
    (worktree / ".env").write_text("its own\n")
    assert bring(trees, ".env", "nothing", "no/where") == [
        ".env is in the worktree already", "nothing is not there", "no/where is not there"
    ]  # fmt: skip
    assert (worktree / ".env").read_text() == "its own\n"


def test_a_link_leads_to_the_repositorys_own(trees: tuple[Path, Path]) -> None:
    top, worktree = trees
    (top / "a" / "cache").mkdir(parents=True)
    bring(trees, link="a/cache")
    assert os.readlink(worktree / "a" / "cache") == str(top / "a" / "cache")
    assert not (worktree / "a").is_symlink()


def test_nothing_is_written_through_a_link_in_the_worktree(trees: tuple[Path, Path], tmp_path: Path) -> None:
    top, worktree = trees
    outside = tmp_path / "outside"
    outside.mkdir()
    (top / "a").mkdir()
    (top / "a" / "x").write_text("x\n")
    (worktree / "a").symlink_to(outside)
    for more in ({}, {"link": "a/x"}):
        with pytest.raises(errors.Conflict, match="no folder for it, or a symlink"):
            bring(trees, *([] if more else ["a/x"]), **more)
    assert list(outside.iterdir()) == []


def test_too_much_is_refused(trees: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    top, _ = trees
    (top / "many").mkdir()
    for number in range(5):
        (top / "many" / str(number)).write_text("0123456789")
    monkeypatch.setattr(fleet_ignored, "ENTRIES", 3)
    with pytest.raises(errors.LimitExceeded, match="more than 3 files"):
        bring(trees, "many")


def test_too_large_is_refused(trees: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    top, _ = trees
    (top / "large").write_bytes(b"x" * 100)
    monkeypatch.setattr(fleet_ignored, "BYTES", 99)
    with pytest.raises(errors.LimitExceeded, match="link it instead"):
        bring(trees, "large")


def test_what_is_neither_file_nor_folder_is_said_and_passed_by(trees: tuple[Path, Path]) -> None:
    os.mkfifo(trees[0] / "pipe")
    assert bring(trees, "pipe") == ["pipe is neither a file nor a folder"]
    assert bring(trees, link="pipe") == ["pipe is neither a file nor a folder"]
    assert os.listdir(trees[1]) == []
