"""Repository and branch from .git, without git: ordinary ones, worktrees, and hostile ones."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tmux_agent.services.worktree import locate


def git(folder: Path, *argv: str) -> None:
    who = ("-c", "user.name=x", "-c", "user.email=x@x", "-c", "init.defaultBranch=main")
    subprocess.run(["git", *who, *argv], cwd=folder, check=True, capture_output=True)


def test_branches_worktrees_and_detached_heads(tmp_path: Path) -> None:
    """What git makes: a fresh repository, a folder within, another branch, a linked worktree, a detached HEAD."""
    main, linked = tmp_path / "main", tmp_path / "linked"
    (main / "a" / "b").mkdir(parents=True)
    git(main, "init")
    assert locate(str(main / "a" / "b")) == (str(main), "main")
    git(main, "commit", "--allow-empty", "-m", "x")
    git(main, "checkout", "-b", "feature/one")
    assert locate(str(main)) == (str(main), "feature/one")
    git(main, "worktree", "add", "-b", "two", str(linked))
    assert locate(str(linked)) == (str(linked), "two")
    git(main, "checkout", "--detach")
    branch = locate(str(main))[1]
    assert branch.startswith("@")
    assert len(branch) == 13


def test_outside_a_repository(tmp_path: Path) -> None:
    """No repository, a folder that is gone, and a peer whose folder cannot be read."""
    assert locate(str(tmp_path)) == ("", "")
    assert locate(str(tmp_path / "gone")) == ("", "")
    assert locate("") == ("", "")


def test_a_hostile_repository_neither_blocks_nor_tells(tmp_path: Path) -> None:
    """A FIFO for HEAD, a pointer into /etc, a NUL, a huge or binary file: no branch, no waiting."""
    (tmp_path / ".git").mkdir()
    os.mkfifo(tmp_path / ".git" / "HEAD")
    assert locate(str(tmp_path)) == (str(tmp_path), "")
    for place, text in enumerate([b"gitdir: /etc\n", b"gitdir: \0\n", b"gitdir: ../../../../dev\n", b"\xff" * 99999]):
        folder = tmp_path / str(place)
        folder.mkdir()
        (folder / ".git").write_bytes(text)
        assert locate(str(folder))[1] == ""
    (tmp_path / "secret" / ".git").mkdir(parents=True)
    (tmp_path / "secret" / ".git" / "HEAD").write_text("root:x:0:0\n")
    assert locate(str(tmp_path / "secret"))[1] == ""
