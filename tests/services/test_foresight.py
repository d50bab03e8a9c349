"""services/foresight.py, changes.py, moment.py: an answer that is kept ends with anything it rests on.

Each case was seen failing: those about what was missing without the watch (`Changes.count` held still), those about
what is there without it and the second look (`same` always true), the shared mapping without the second look alone.
"""

from __future__ import annotations

import mmap
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tmux_agent.core.model import Origin, Role, Shell, Verdict
from tmux_agent.services import changes
from tmux_agent.services.changes import Changes
from tmux_agent.services.judgement import Judgement

PATIENCE = 30.0

pytestmark = pytest.mark.skipif(not Path("/proc/self/mountinfo").exists(), reason="only Linux keeps watch")


class Place:
    """A repository, a person's home, a PATH of folders of which one is a link; `looks` counts judgements made anew."""

    def __init__(self, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.base, self.home, self.tree = base, base / "h", base / "h" / "proj"
        self.tree.mkdir(parents=True)
        (base / "early").mkdir()
        (base / "real").mkdir()
        (base / "other").mkdir()
        (base / "link").symlink_to("real")
        self.bin = base / "bin"
        self.bin.mkdir()
        for name in ("git", "cat"):
            (self.bin / name).write_text("#!/bin/sh\n")
            (self.bin / name).chmod(0o755)
        (self.tree / "a").write_text("x")
        (self.tree / "sub").mkdir()
        (self.tree / "sub" / "b").write_text("x")
        (self.tree / "sub" / "config").write_text("[remote]\nurl = https://me:secret@host/x\n")
        clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        for argv in (["init", "-q"], ["add", "-A"]):
            subprocess.run(["git", *argv], cwd=self.tree, env={**clean, "HOME": str(self.home)}, check=True)
        (self.tree / ".git" / "info" / "attributes").unlink(missing_ok=True)
        path = f"{base}/early:{base}/link:{self.bin}"
        self.judgement = Judgement(
            folder=base / "config", state=base / "state", home=str(self.home), environ={"PATH": path}
        )
        self.judgement.load()
        self.origin = Origin(role=Role.AGENT, why="test", uid=1, pid=1, cwd=str(self.tree), agent="claude")
        self.looks = 0
        before = self.judgement._judge_now

        def counted(*args: Any, **more: Any) -> Any:
            self.looks += 1
            return before(*args, **more)

        monkeypatch.setattr(self.judgement, "_judge_now", counted)

    def ask(self, text: str) -> tuple[Verdict, bool]:
        """The verdict, and whether the world was looked at for it."""
        before = self.looks
        verdict = self.judgement.foresee(Shell(text=text, cwd=str(self.tree)), self.origin).verdict
        return verdict, self.looks > before

    def until_kept(self, text: str) -> None:
        until = time.monotonic() + PATIENCE
        while self.ask(text)[1]:
            assert time.monotonic() < until, "never kept"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    return Place(tmp_path, monkeypatch)


def in_place(file: Path, old: bytes, new: bytes) -> None:
    """Same size, same file, same time of writing."""
    assert len(old) == len(new)
    times = file.stat()
    data = file.read_bytes()
    assert old in data
    with file.open("r+b") as opened:
        opened.write(data.replace(old, new))
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))


def program(folder: Path, name: str = "git") -> None:
    (folder / name).write_text("#!/bin/sh\n")
    (folder / name).chmod(0o755)


def replaced(path: Path) -> None:
    fresh = path.with_name("fresh")
    fresh.write_bytes(path.read_bytes())
    fresh.chmod(path.stat().st_mode)
    fresh.rename(path)


def swapped(link: Path, target: str) -> None:
    fresh = link.with_name("fresh-link")
    fresh.symlink_to(target)
    fresh.rename(link)


def written(path: Path, text: str = "x\n") -> None:
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text(text)


def turned_to_link(path: Path) -> None:
    path.rename(path.with_name("was"))
    path.symlink_to("was")


def moved_away_and_new(folder: Path) -> None:
    folder.rename(folder.with_name("was"))
    folder.mkdir()


STATUS, CAT = "git status --short", "cat a sub/b"
CHANGES: dict[str, tuple[str, Callable[[Place], object]]] = {
    "a program earlier in PATH": (STATUS, lambda at: program(at.base / "early")),
    "a program behind a folder of PATH that is a link": (STATUS, lambda at: program(at.base / "real")),
    "a folder of PATH that is swapped": (STATUS, lambda at: swapped(at.base / "link", "other")),
    "a program that is replaced": (STATUS, lambda at: replaced(at.bin / "git")),
    "a program that anybody may write": (STATUS, lambda at: (at.bin / "git").chmod(0o777)),
    "a folder of programs that anybody may write to": (STATUS, lambda at: at.bin.chmod(0o777)),
    "a program that is gone": (STATUS, lambda at: (at.bin / "git").unlink()),
    "a setting, same size and time": (
        STATUS,
        lambda at: in_place(at.tree / ".git" / "config", b"filemode", b"fsmonito"),
    ),
    "the index": (STATUS, lambda at: replaced(at.tree / ".git" / "index")),
    "an attributes file": (STATUS, lambda at: written(at.tree / ".git" / "info" / "attributes")),
    "a hook": (STATUS, lambda at: written(at.tree / ".git" / "hooks" / "post-index-change")),
    "a configuration of the worktree": (STATUS, lambda at: written(at.tree / ".git" / "config.worktree")),
    "other repositories' objects": (STATUS, lambda at: written(at.tree / ".git" / "objects" / "info" / "alternates")),
    "settings of the person": (STATUS, lambda at: written(at.home / ".gitconfig")),
    "settings of the person, deeper": (STATUS, lambda at: written(at.home / ".config" / "git" / "config")),
    "the repository": (STATUS, lambda at: moved_away_and_new(at.tree / ".git")),
    "the worktree": (STATUS, lambda at: moved_away_and_new(at.tree)),
    "a folder around it": (STATUS, lambda at: moved_away_and_new(at.home)),
    "the repository's policy": (STATUS, lambda at: written(at.tree / ".tmuxagent" / "policy.yaml", "rules: []\n")),
    "a file turned to a link": (CAT, lambda at: turned_to_link(at.tree / "a")),
    "a folder turned to a link": (CAT, lambda at: turned_to_link(at.tree / "sub")),
    "a file that gets a second name": (CAT, lambda at: os.link(at.tree / "a", at.base / "second")),
    "a file that is gone": (CAT, lambda at: (at.tree / "a").unlink()),
    "a file beside which a repository's come": (
        "cat sub/config",
        lambda at: [written(at.tree / "sub" / name) for name in ("HEAD", "objects/x")],
    ),
    "a repository in a folder": (f"cd sub && {STATUS}", lambda at: written(at.tree / "sub" / ".git" / "HEAD")),
    "a bare repository around a folder": (
        f"cd sub && {STATUS}",
        lambda at: [written(at.tree / "sub" / name) for name in ("HEAD", "commondir")],
    ),
    "a secret in a tree": ("cat -r sub; grep -r x sub", lambda at: written(at.tree / "sub" / ".env")),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_is_noticed(place: Place, what: str) -> None:
    """Each time the world is looked at anew, and the answer is the one that judging anew gives."""
    text, change = CHANGES[what]
    place.until_kept(text)
    change(place)
    verdict, looked = place.ask(text)
    assert looked
    fresh = place.judgement.judge(Shell(text=text, cwd=str(place.tree)), place.origin)
    assert verdict is fresh.decision.verdict


def test_what_is_written_through_a_mapping_is_noticed(place: Place) -> None:
    """No event tells of it: the file's times do."""
    config = place.tree / ".git" / "config"
    with config.open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapping:
        file.close()
        place.until_kept(STATUS)
        at = mapping.find(b"filemode")
        mapping[at : at + 8] = b"fsmonito"
        assert place.ask(STATUS)[1]


def test_a_missing_file_that_comes(place: Place) -> None:
    """What was not there, in a folder that was not there, is noticed when it comes."""
    text = "cat new/deep/file"
    place.until_kept(text)
    written(place.tree / "new" / "deep" / "file")
    assert place.ask(text)[1]


def test_what_is_beside_it_does_not_matter(place: Place) -> None:
    """Files that nothing rests on come and go without a look."""
    place.until_kept(CAT)
    written(place.tree / "other")
    (place.tree / "other").unlink()
    assert not place.ask(CAT)[1]


def test_another_policy_is_another_answer(place: Place) -> None:
    """Nothing that was kept outlives the policy, nor stands for another asker's place."""
    place.until_kept(CAT)
    written(place.base / "config" / "policy.yaml", "rules: []\n")
    place.judgement.load()
    assert place.ask(CAT) == (Verdict.ASK, True)
    place.until_kept(CAT)
    place.judgement.roots = (str(place.base),)
    assert place.ask(CAT)[1]


def test_judging_always_looks(place: Place) -> None:
    """`judge`, on which things are run, takes nothing from what is kept."""
    place.until_kept(CAT)
    before = place.looks
    place.judgement.judge(Shell(text=CAT, cwd=str(place.tree)), place.origin)
    assert place.looks == before + 1


# --- the watch itself --------------------------------------------------------------------------------


def test_what_others_may_change_is_not_watched() -> None:
    """/proc, and any file system of which this kernel need not hear."""
    assert not Changes().watch({"/proc/self/status": True})
    kinds = changes._file_systems(
        b"1 0 8:1 / / rw - ext4 /dev/x rw\n2 1 0:9 / /net\\040s rw - nfs4 host:/ rw\n"
        b"3 1 8:2 / /a rw - ext4 /dev/y rw\n4 1 0:8 / /a rw - fuse.sshfs z rw\n"
    )
    assert kinds == {"/": {"ext4"}, "/net s": {"nfs4"}, "/a": {"ext4", "fuse.sshfs"}}


def test_more_events_than_are_kept_are_a_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where more happened than is read at once, anything may have."""
    monkeypatch.setattr(changes, "_READ", 4096)
    watch = Changes()
    assert watch.watch({str(tmp_path / "x"): False})
    before = watch.count()
    for index in range(100):
        (tmp_path / f"other-{index}").write_text("")
    assert watch.count() > before


def test_watches_do_not_pile_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the bound all are given back, which counts as a change."""
    monkeypatch.setattr(changes, "_WATCHES", changes._LOOKS + 20)
    watch = Changes()
    for index in range(60):
        (tmp_path / str(index)).write_text("")
        before = watch.count()
        assert watch.watch({str(tmp_path / str(index)): True})
        assert len(watch._names) <= 40
    assert before > 0
