"""services/tools/backups.py: what is kept, how long, and getting it back."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from tmux_agent.core import errors
from tmux_agent.services.tools.backups import Backup, Backups


class Clock:
    def __init__(self) -> None:
        self.now = 1_790_000_000.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


def keep(backups: Backups, path: Path, content: bytes, **more: Any) -> Backup:
    fields = {"kind": "file", "mode": 0o640, "request_id": "R1", "verb": "edit", **more}
    return backups.save(content, path=str(path), **fields)


def test_saved_and_listed(tmp_path: Path) -> None:
    """Newest first, of all or of one path, with everything that a restore needs; the folder is private."""
    backups = Backups(tmp_path / "b", now=Clock())
    assert backups.entries() == ()
    first, second = keep(backups, tmp_path / "x", b"1"), keep(backups, tmp_path / "y", b"2")
    assert backups.entries() == (second, first)
    assert backups.entries(str(tmp_path / "x")) == (first,)
    assert (first.mode, first.request_id, first.size, first.verb) == (0o640, "R1", 1, "edit")
    assert stat.S_IMODE((tmp_path / "b").stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "b").iterdir()} == {0o600}
    assert backups.find(str(tmp_path / "y")) == second
    with pytest.raises(errors.NotFound, match="--list"):
        backups.find("nope")


def test_bounds(tmp_path: Path) -> None:
    """The oldest go, by count, by bytes and by age; the newest stays whatever the bounds."""
    clock = Clock()
    few = Backups(tmp_path / "few", count=2, now=clock)
    for n in range(5):
        keep(few, tmp_path / "x", b"%d" % n)
    assert [few.content(one) for one in few.entries()] == [b"4", b"3"]
    small = Backups(tmp_path / "small", size=10, now=clock)
    for content in (b"12345", b"1234", b"12"):
        keep(small, tmp_path / "x", content)
    assert [one.size for one in small.entries()] == [2, 4]
    with pytest.raises(errors.LimitExceeded, match="more than all backups"):
        keep(small, tmp_path / "x", b"x" * 11)
    young = Backups(tmp_path / "young", age=100, now=clock)
    keep(young, tmp_path / "x", b"old")
    clock.now += 1000
    keep(young, tmp_path / "x", b"new")
    assert [young.content(one) for one in young.entries()] == [b"new"]
    assert len(os.listdir(tmp_path / "young")) == 2


def test_restore_changed(tmp_path: Path) -> None:
    """The file is as it was, mode included, and what stood there is kept so that the restore can be undone."""
    backups = Backups(tmp_path / "b")
    path = tmp_path / "x"
    path.write_text("new")
    path.chmod(0o600)
    backup = keep(backups, path, b"old\n")
    assert backups.diff(backup).splitlines()[2:] == ["@@ -1 +1 @@", "-new", "\\ No newline at end of file", "+old"]
    before = backups.restore(backup)
    assert path.read_text() == "old\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert before is not None
    backups.restore(before)
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_restore_deleted(tmp_path: Path) -> None:
    """A deleted file comes back, its folder with it; a deleted symlink as the link it was."""
    backups = Backups(tmp_path / "b")
    assert backups.restore(keep(backups, tmp_path / "p" / "q" / "x", b"\0old")) is None
    assert (tmp_path / "p" / "q" / "x").read_bytes() == b"\0old"
    backups.restore(keep(backups, tmp_path / "l", b"some/where", kind="symlink"))
    assert os.readlink(tmp_path / "l") == "some/where"


def test_restore_over_a_link(tmp_path: Path) -> None:
    """Where a symlink took the file's place, the link goes (and is kept), never the file it names."""
    backups = Backups(tmp_path / "b")
    (tmp_path / "other").write_text("other")
    (tmp_path / "x").symlink_to("other")
    before = backups.restore(keep(backups, tmp_path / "x", b"old"))
    assert (tmp_path / "x").read_text() == "old"
    assert (tmp_path / "other").read_text() == "other"
    assert before is not None
    assert before.kind == "symlink"


def test_restore_refusals(tmp_path: Path) -> None:
    """A folder in its place, a folder above that leads elsewhere now, damaged or missing data: nothing is changed."""
    backups = Backups(tmp_path / "b")
    (tmp_path / "x").mkdir()
    with pytest.raises(errors.Conflict, match="is a dir"):
        backups.restore(keep(backups, tmp_path / "x", b"old"))
    (tmp_path / "real").mkdir()
    backup = keep(backups, tmp_path / "d" / "f", b"old")
    (tmp_path / "d").symlink_to("real")
    with pytest.raises(errors.Conflict, match="leads to"):
        backups.restore(backup)
    assert os.listdir(tmp_path / "real") == []
    damaged = keep(backups, tmp_path / "y", b"old")
    (tmp_path / "b" / f"{damaged.id}.data").write_bytes(b"bad")
    with pytest.raises(errors.Failed, match="damaged"):
        backups.restore(damaged)
    (tmp_path / "b" / f"{damaged.id}.data").unlink()
    with pytest.raises(errors.NotFound):
        backups.diff(damaged)


def test_diff_of_what_is_no_text(tmp_path: Path) -> None:
    """A binary backup is described by its size."""
    backups = Backups(tmp_path / "b")
    assert "would become 2 bytes" in backups.diff(keep(backups, tmp_path / "x", b"\0\1"))


def test_a_damaged_entry_hides_no_other(tmp_path: Path) -> None:
    """Rubbish in the folder is passed over."""
    backups = Backups(tmp_path / "b")
    good = keep(backups, tmp_path / "x", b"1")
    (tmp_path / "b" / "zzz.json").write_text("{")
    (tmp_path / "b" / "note").write_text("hello")
    assert backups.entries() == (good,)


def test_a_folder_that_others_can_read(tmp_path: Path) -> None:
    """Backups hold private files: an open folder, or a symlink in its place, is refused."""
    (tmp_path / "b").mkdir(mode=0o755)
    (tmp_path / "b").chmod(0o755)
    with pytest.raises(errors.Unavailable, match="0700"):
        keep(Backups(tmp_path / "b"), tmp_path / "x", b"1")
    (tmp_path / "l").symlink_to("b")
    with pytest.raises(errors.Unavailable):
        keep(Backups(tmp_path / "l"), tmp_path / "x", b"1")
