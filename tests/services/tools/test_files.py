"""services/tools/files.py with beneath, look, listing and replace: against real files."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import socket
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tmux_agent.core import errors
from tmux_agent.core.model import File, Outcome
from tmux_agent.core.settings import Files
from tmux_agent.services.tools import beneath, files, replace
from tmux_agent.services.tools.backups import Backups

LIMITS = Files(read_bytes=1000, write_bytes=10_000, list_entries=20)


class Box:
    """A root folder, a place outside it, backups, and the tool over them."""

    def __init__(self, tmp: Path) -> None:
        self.root = (tmp / "root").resolve()
        self.outside = (tmp / "outside").resolve()
        self.root.mkdir()
        self.outside.mkdir()
        self.backups = Backups(tmp / "backups")

    def do(self, verb: str, path: str, expected: files.FileFacts | None = None, **more: Any) -> Outcome:
        action = File(verb=verb, path=path, cwd=str(self.root), **more)  # type: ignore[arg-type]
        return asyncio.run(files.run(action, (str(self.root),), LIMITS, self.backups, expected, request_id="R1"))

    def facts(self, verb: str, path: str, **more: Any) -> files.FileFacts:
        return files.observe(File(verb=verb, path=path, cwd=str(self.root), **more), (str(self.root),), LIMITS)  # type: ignore[arg-type]

    def preview(self, verb: str, path: str, **more: Any) -> str:
        return files.preview(File(verb=verb, path=path, cwd=str(self.root), **more), (str(self.root),), LIMITS)  # type: ignore[arg-type]

    def leftovers(self) -> list[str]:
        return [name for _, _, names in os.walk(self.root) for name in names if name.startswith(".tmux-agent-")]


@pytest.fixture(params=["openat2", "walk"])
def box(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Box:
    """Every test runs both ways: with the kernel's openat2, and walking by ourselves."""
    if request.param == "walk":
        monkeypatch.setattr(beneath, "_openat2_works", lambda: False)
    elif not beneath._openat2_works():
        monkeypatch.setattr(beneath, "_openat2_works", lambda: False)  # an old kernel: the walk is what it would use
    return Box(tmp_path)


# --- reading ---------------------------------------------------------------------------------------


def test_read_whole_and_range(box: Box) -> None:
    """Content, number of lines and hash; a range counts from one and includes both ends."""
    (box.root / "a").write_bytes("één\r\nzwei\ndrei".encode())
    data = box.do("read", "a").data
    assert (data.content, data.lines, data.truncated, data.encoding) == ("één\r\nzwei\ndrei", 3, False, "utf-8")
    assert data.sha256 == hashlib.sha256("één\r\nzwei\ndrei".encode()).hexdigest()
    assert box.do("read", "a", start_line=2, end_line=2).data.content == "zwei\n"
    assert box.do("read", str(box.root / "a"), start_line=9).data.content == ""


def test_read_is_cut_at_a_line(box: Box) -> None:
    """More than the limit is cut after a whole line, and said so; one endless line is cut inside."""
    (box.root / "a").write_text("x" * 400 + "\n" + "y" * 400 + "\n" + "z" * 400 + "\n")
    data = box.do("read", "a").data
    assert data.truncated
    assert data.content.endswith("y\n")
    (box.root / "b").write_text("é" * 2000)
    assert box.do("read", "b").data.content == "é" * 500


@pytest.mark.parametrize(("start", "end"), [(0, None), (-1, 2), (3, 2), (None, 0)])
def test_read_bad_range(box: Box, start: int | None, end: int | None) -> None:
    """A range that cannot be is an error that says so."""
    (box.root / "a").write_text("x")
    with pytest.raises(errors.InvalidParams, match="_line"):
        box.do("read", "a", start_line=start, end_line=end)


@pytest.mark.parametrize(
    ("content", "said"), [(b"a\0b", "binary.*offset 1"), (b"ok\xff", "not UTF-8.*0xff at offset 2")]
)
def test_read_what_is_no_text(box: Box, content: bytes, said: str) -> None:
    """Binary and non-UTF-8 files are named as such."""
    (box.root / "a").write_bytes(content)
    with pytest.raises(errors.InvalidParams, match=said):
        box.do("read", "a")


def test_too_large(box: Box) -> None:
    """A file over the limit is an error that gives both numbers, for reading and for writing."""
    (box.root / "a").write_bytes(b"x" * 10_001)
    for verb in ("read", "delete"):
        with pytest.raises(errors.LimitExceeded, match=r"10001 bytes.*10000"):
            box.do(verb, "a")
    with pytest.raises(errors.LimitExceeded, match="10001"):
        box.do("write", "b", content="x" * 10_001)
    assert not (box.root / "b").exists()


def test_special_files_never_block(box: Box) -> None:
    """FIFO, socket, folder and device: named and refused at once by every verb, and nothing is opened."""
    os.mkfifo(box.root / "fifo")
    (box.root / "dir").mkdir()
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(box.root / "socket"))
        for name in ("fifo", "socket", "dir"):
            assert box.facts("edit", name).kind == name
            for verb, more in (
                ("read", {}), ("write", {"content": "x"}), ("edit", {"old_text": "a", "new_text": "b"}), ("delete", {}),
                ("copy", {"target": "new"}),
            ):  # fmt: skip
                with pytest.raises(errors.InvalidParams, match=f"is a {name}"):
                    box.do(verb, name, **more)
            assert "not a regular file" in box.preview("write", name, content="x")
    action = File(verb="read", path="/dev/zero", cwd="/")
    with pytest.raises(errors.InvalidParams, match="is a device"):
        asyncio.run(files.run(action, ("/dev",), LIMITS, box.backups))


def test_missing(box: Box) -> None:
    """What is not there is not_found, with the path."""
    for verb in ("read", "delete", "list", "edit"):
        with pytest.raises(errors.NotFound, match="nope"):
            box.do(verb, "nope", old_text="a", new_text="b")
    assert not box.facts("read", "nope").exists


@pytest.mark.parametrize("path", ["", "a\0b", "x" * 5000, "\ud800"])
def test_impossible_paths(box: Box, path: str) -> None:
    """A path that cannot be one is invalid_params, not a crash."""
    with pytest.raises(errors.InvalidParams):
        box.do("read", path)


@given(st.text(max_size=60) | st.lists(st.sampled_from(["..", ".", "a", "l", "o", "/", "~", "x" * 300])).map("/".join))
@settings(max_examples=300)
def test_any_path_stays_inside(tmp_path_factory: pytest.TempPathFactory, path: str) -> None:
    """Whatever the path: reading gives one of our errors, or the one file inside, never the one outside."""
    box = _shared_box(tmp_path_factory)
    try:
        data = box.do("read", path).data
    except errors.TmuxAgentError:
        return
    assert data.content == "inside"


_made: dict[int, Box] = {}


def _shared_box(factory: pytest.TempPathFactory) -> Box:
    if id(factory) not in _made:
        box = Box(factory.mktemp("paths"))
        (box.root / "a").mkdir()
        (box.root / "a" / "a").write_text("inside")
        (box.outside / "a").write_text("outside")
        (box.root / "l").symlink_to("a")
        (box.root / "o").symlink_to(box.outside)
        _made[id(factory)] = box
    return _made[id(factory)]


# --- where it leads --------------------------------------------------------------------------------


def test_symlink_inside_is_followed(box: Box) -> None:
    """A link that stays inside is read and written through; the link itself stays a link."""
    (box.root / "d").mkdir()
    (box.root / "d" / "f").write_text("old")
    (box.root / "l").symlink_to("d")
    (box.root / "k").symlink_to("l/f")
    assert box.do("read", "k").data.content == "old"
    assert box.facts("read", "k").real == str(box.root / "d" / "f")
    box.do("write", "k", content="new")
    assert (box.root / "k").is_symlink()
    assert (box.root / "d" / "f").read_text() == "new"


@pytest.mark.parametrize(
    "path", ["../outside/f", "l/f", "k", "sub/../../outside/f", "/proc/self/root{out}/f", "../root-evil/f"]
)
def test_leaving_the_roots(box: Box, path: str) -> None:
    """Dots, links, magic links and a root's name as a mere prefix: refused by every verb, nothing read or changed."""
    (box.outside / "f").write_text("secret")
    (box.root.parent / "root-evil").mkdir()
    (box.root.parent / "root-evil" / "f").write_text("secret")
    (box.root / "sub").mkdir()
    (box.root / "l").symlink_to(box.outside)
    (box.root / "k").symlink_to(box.outside / "f")
    path = path.replace("{out}", str(box.outside))
    for verb, more in (("read", {}), ("write", {"content": "x"}), ("edit", {"old_text": "secret", "new_text": "x"})):
        with pytest.raises(errors.Denied, match="outside"):
            box.do(verb, path, **more)
    with pytest.raises(errors.Denied):
        box.do("copy", path, target="mine")
    assert (box.outside / "f").read_text() == "secret"
    assert not (box.root / "mine").exists()


def test_dots_after_a_link_follow_the_kernel(box: Box) -> None:
    """`l/..` is the parent of the link's target, as the kernel has it, not the folder the link is in."""
    (box.root / "x" / "deep").mkdir(parents=True)
    (box.root / "x" / "f").write_text("kernel")
    (box.root / "f").write_text("normpath")
    (box.root / "l").symlink_to("x/deep")
    assert box.do("read", "l/../f").data.content == "kernel"


def test_a_link_put_in_between_is_a_conflict(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """The race: after the path was resolved a folder becomes a link to the outside. Nothing outside is touched."""
    (box.outside / "f").write_text("secret")
    (box.root / "d").mkdir()
    (box.root / "d" / "f").write_text("mine")
    real_place = beneath.place

    def swap_after(*args: Any, **more: Any) -> beneath.Place:
        found = real_place(*args, **more)
        if not (box.root / "d").is_symlink():
            (box.root / "d").rename(box.root / "moved")
            (box.root / "d").symlink_to(box.outside)
        return found

    for verb, more in (("read", {}), ("write", {"content": "x"}), ("delete", {})):
        monkeypatch.setattr(beneath, "place", swap_after)
        with pytest.raises((errors.Conflict, errors.InvalidParams)):
            box.do(verb, "d/f", **more)
        monkeypatch.setattr(beneath, "place", real_place)
        (box.root / "d").unlink()
        (box.root / "moved").rename(box.root / "d")
    assert (box.outside / "f").read_text() == "secret"


def test_open_beneath_refuses_dots(box: Box) -> None:
    """The walk itself never goes up, whatever it is given."""
    root = os.open(box.root, os.O_PATH)
    try:
        with pytest.raises(OSError, match=os.strerror(errno.EXDEV)):
            beneath.open_beneath(root, "../outside", os.O_RDONLY)
    finally:
        os.close(root)


# --- changing --------------------------------------------------------------------------------------


def test_write_new_and_again(box: Box) -> None:
    """A new file, then a new version of it: bytes, diff, backup; the mode stays, no temporary file does."""
    data = box.do("write", "a", content="één\n").data
    assert (data.bytes, data.backup) == (6, None)
    assert data.diff == f"--- /dev/null\n+++ {box.root}/a\n@@ -0,0 +1 @@\n+één\n"
    (box.root / "a").chmod(0o751)
    data = box.do("write", "a", content="zwei").data
    assert "-één\n+zwei\n\\ No newline at end of file\n" in data.diff
    assert stat.S_IMODE((box.root / "a").stat().st_mode) == 0o751
    assert box.backups.content(box.backups.find(data.backup)) == "één\n".encode()
    assert box.leftovers() == []


def test_new_file_gets_the_umask(box: Box) -> None:
    """A new file has the mode that any program would give it."""
    old = os.umask(0o027)
    try:
        box.do("write", "a", content="x")
    finally:
        os.umask(old)
    assert stat.S_IMODE((box.root / "a").stat().st_mode) == 0o640


def test_write_with_folders(box: Box) -> None:
    """Missing folders are made when asked for, and the error says how to ask."""
    with pytest.raises(errors.NotFound, match="create_dirs"):
        box.do("write", "p/q/a", content="x")
    assert not (box.root / "p").exists()
    box.do("write", "p/q/a", content="x", create_dirs=True)
    assert (box.root / "p" / "q" / "a").read_text() == "x"


def test_expected_sha256(box: Box) -> None:
    """A version that was read before must still be there: else conflict, nothing done."""
    (box.root / "a").write_text("one")
    old = hashlib.sha256(b"one").hexdigest()
    box.do("write", "a", content="two", expected_sha256=old)
    for verb, more in (("write", {"content": "x"}), ("edit", {"old_text": "two", "new_text": "x"}), ("delete", {})):
        with pytest.raises(errors.Conflict, match="changed since"):
            box.do(verb, "a", expected_sha256=old, **more)
    assert (box.root / "a").read_text() == "two"
    (box.root / "a").unlink()
    with pytest.raises(errors.Conflict, match="gone"):
        box.do("write", "a", content="x", expected_sha256=old)


def test_edit(box: Box) -> None:
    """One passage replaced; the diff shows it with its surroundings."""
    (box.root / "a").write_text("".join(f"line {n}\n" for n in range(1, 21)))
    data = box.do("edit", "a", old_text="line 9\n", new_text="nine\n").data
    assert (data.edited, data.replacements) == (True, 1)
    assert data.diff.splitlines()[2:] == [
        "@@ -6,7 +6,7 @@", " line 6", " line 7", " line 8", "-line 9", "+nine", " line 10", " line 11", " line 12",
    ]  # fmt: skip
    assert data.backup


def test_edit_refusals(box: Box) -> None:
    """Not found, found twice, empty, equal: each says what to do, and nothing is changed."""
    (box.root / "a").write_text("x\ny\nx\n")
    for old, new, error, said in (
        ("q", "z", errors.Conflict, "not found"),
        ("x", "z", errors.InvalidParams, r"2 times.*lines 1, 3.*replace_all"),
        ("", "z", errors.InvalidParams, "empty"),
        ("x", "x", errors.InvalidParams, "same"),
        (None, None, errors.InvalidParams, "both"),
    ):
        with pytest.raises(error, match=said):
            box.do("edit", "a", old_text=old, new_text=new)
    assert box.do("edit", "a", old_text="x", new_text="z", replace_all=True).data.replacements == 2
    assert (box.root / "a").read_text() == "z\ny\nz\n"


def test_edit_keeps_line_ends(box: Box) -> None:
    """In a CRLF file LF in the request means CRLF; a missing final newline stays missing."""
    (box.root / "a").write_bytes(b"one\r\ntwo\r\nthree")
    box.do("edit", "a", old_text="one\ntwo\n", new_text="1\n2\n2b\n")
    assert (box.root / "a").read_bytes() == b"1\r\n2\r\n2b\r\nthree"
    (box.root / "m").write_bytes(b"one\r\ntwo\nthree\r\nfour\r\n")
    box.do("edit", "m", old_text="three\nfour", new_text="3\n4")
    assert (box.root / "m").read_bytes() == b"one\r\ntwo\n3\r\n4\r\n"


def test_hard_links_are_not_broken(box: Box) -> None:
    """A file with a second name is not written: its other name may be anywhere. Deleting one name is fine."""
    (box.outside / "f").write_text("shared")
    os.link(box.outside / "f", box.root / "a")
    for verb, more in (("write", {"content": "x"}), ("edit", {"old_text": "shared", "new_text": "x"})):
        with pytest.raises(errors.Conflict, match="2 names"):
            box.do(verb, "a", **more)
    assert box.facts("write", "a").links == 2
    box.do("delete", "a")
    assert (box.outside / "f").read_text() == "shared"


def test_extended_attributes_are_kept(box: Box) -> None:
    """user.* attributes survive a new version, where the file system has them."""
    (box.root / "a").write_text("x")
    try:
        os.setxattr(box.root / "a", "user.note", b"kept")
    except OSError:
        assert box.do("write", "a", content="y").ok  # none to keep here; the write works all the same
        return
    box.do("write", "a", content="y")
    assert os.getxattr(box.root / "a", "user.note") == b"kept"


def test_an_owner_that_cannot_be_kept(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """A version that would belong to somebody else is refused; the old one stays."""
    (box.root / "a").write_text("x")
    real_fstat = os.fstat

    def other_owner(fd: int) -> os.stat_result:
        found = list(real_fstat(fd))
        found[4] += 1
        return os.stat_result(found)

    def refused(*_: int) -> None:
        raise PermissionError(errno.EPERM, "no")

    monkeypatch.setattr(replace.os, "fchown", refused)
    old = os.stat(box.root / "a")
    folder = os.open(box.root, os.O_RDONLY)
    monkeypatch.setattr(replace.os, "fstat", other_owner)
    try:
        with pytest.raises(errors.Failed, match="belongs to"):
            replace.replace(folder, "a", b"new", old)
    finally:
        monkeypatch.undo()
        os.close(folder)
    assert (box.root / "a").read_text() == "x"
    assert box.leftovers() == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_no_space(box: Box, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """A full disk: unavailable, the old version stands, nothing half-written is left. Here for the file itself."""
    (box.root / "a").write_text("old")
    real_write, own = os.write, {"saving": False}
    real_save = box.backups.save

    def save(*args: Any, **more: Any) -> Any:
        own["saving"] = True
        try:
            return real_save(*args, **more)
        finally:
            own["saving"] = False

    def full(fd: int, data: Any) -> int:
        if own["saving"]:
            return real_write(fd, data)
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(box.backups, "save", save)
    monkeypatch.setattr(replace.os, "write", full)
    with pytest.raises(errors.Unavailable, match="nothing was changed"):
        box.do("write", "a", content="new")
    with pytest.raises(errors.Unavailable):
        box.do("write", "p/q", content="new", create_dirs=True)
    monkeypatch.undo()
    assert (box.root / "a").read_text() == "old"
    assert sorted(os.listdir(box.root)) == ["a"]


def test_no_backup_no_change(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the backup cannot be kept, the change is not made."""
    (box.root / "a").write_text("old")

    def full(fd: int, data: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(replace.os, "write", full)
    for verb, more in (("write", {"content": "x"}), ("edit", {"old_text": "old", "new_text": "x"}), ("delete", {})):
        with pytest.raises(errors.Unavailable, match="backup"):
            box.do(verb, "a", **more)
    assert (box.root / "a").read_text() == "old"


def test_copy(box: Box) -> None:
    """A copy with its mode; an existing target needs `overwrite` and is backed up."""
    (box.root / "a").write_bytes(b"\0binary")
    (box.root / "a").chmod(0o750)
    box.do("copy", "a", target="b")
    assert (box.root / "b").read_bytes() == b"\0binary"
    assert stat.S_IMODE((box.root / "b").stat().st_mode) == 0o750
    (box.root / "c").write_text("old")
    with pytest.raises(errors.Conflict, match="overwrite"):
        box.do("copy", "a", target="c")
    assert box.do("copy", "a", target="c", overwrite=True).data["backup"]
    with pytest.raises(errors.InvalidParams, match=r"destination|path"):
        box.do("copy", "a")
    with pytest.raises(errors.Denied):
        box.do("copy", "a", target=str(box.outside / "x"))


def test_delete(box: Box) -> None:
    """Deleted with a backup; of a symlink the link goes, wherever it leads, and what it names stays."""
    (box.root / "a").write_text("x")
    backup = box.do("delete", "a").data["backup"]
    assert box.backups.content(box.backups.find(backup)) == b"x"
    (box.outside / "f").write_text("stays")
    (box.root / "l").symlink_to(box.outside / "f")
    box.do("delete", "l")
    assert not (box.root / "l").is_symlink()
    assert (box.outside / "f").read_text() == "stays"
    for path in (".", str(box.root)):
        with pytest.raises(errors.InvalidParams, match="root folder"):
            box.do("delete", path)


def test_list(box: Box) -> None:
    """Entries with type and size, sorted, links not followed, hostile names made text, bounded and said so."""
    (box.root / "d").mkdir()
    (box.root / "d" / "f").write_text("xy")
    (box.root / "l").symlink_to(box.outside)
    (Path(os.fsdecode(os.fsencode(box.root) + b"/\xff"))).write_text("")
    data = box.do("list", ".").data
    assert [(entry.name, entry.type) for entry in data["entries"]] == [
        ("d", "dir"),
        ("l", "symlink"),
        ("\\xff", "file"),
    ]
    data = box.do("list", ".", recursive=True).data
    assert ("d/f", 2) in [(entry.name, entry.size) for entry in data["entries"]]
    assert not data["truncated"]
    for n in range(30):
        (box.root / f"n{n}").write_text("")
    data = box.do("list", ".").data
    assert len(data["entries"]) == 20
    assert data["truncated"]
    with pytest.raises(errors.InvalidParams, match="not a folder"):
        box.do("list", "n1")


# --- what a person approved ------------------------------------------------------------------------


def test_expected_facts_bind(box: Box) -> None:
    """What was shown minutes ago and is no longer so is a conflict; the same bytes saved anew are not."""
    (box.root / "a").write_text("one\n")
    seen = box.facts("edit", "a", old_text="one", new_text="1")
    (box.root / "t").write_text("one\n")
    (box.root / "t").rename(box.root / "a")
    assert files.changed(seen, box.facts("edit", "a")) is None
    (box.root / "a").write_text("one\nmore\n")
    with pytest.raises(errors.Conflict, match="changed meanwhile"):
        box.do("edit", "a", seen, old_text="one", new_text="1")


def test_changed_says_what(box: Box) -> None:
    """Each way in which the world can move on has its words."""
    (box.root / "d").mkdir()
    (box.root / "a").write_text("x")
    (box.root / "d" / "b").write_text("x")
    (box.root / "l").symlink_to("a")
    gone, link, file = box.facts("write", "new"), box.facts("write", "l"), box.facts("write", "a")
    copy = box.facts("copy", "a", target="t")
    (box.root / "new").write_text("")
    (box.root / "l").unlink()
    (box.root / "l").symlink_to("d/b")
    assert "created" in (files.changed(gone, box.facts("write", "new")) or "")
    assert "leads to" in (files.changed(link, box.facts("write", "l")) or "")
    os.link(box.root / "a", box.root / "a2")
    assert "hard links" in (files.changed(file, box.facts("write", "a")) or "")
    (box.root / "a2").unlink()
    (box.root / "a").chmod(0o777)
    assert "mode" in (files.changed(file, box.facts("write", "a")) or "")
    (box.root / "a").unlink()
    assert "removed" in (files.changed(file, box.facts("write", "a")) or "")
    (box.root / "a").mkdir()
    assert "is a dir now" in (files.changed(file, box.facts("write", "a")) or "")
    assert files.changed(copy, copy) is None
    (box.root / "t").write_text("")
    assert "created" in (files.changed(copy.target, box.facts("copy", "d", target="t").target) or "")  # type: ignore[arg-type]


def test_outside_after_a_yes(box: Box) -> None:
    """What a person approved outside the roots runs with / as root, bound to the real path that was seen."""
    (box.outside / "f").write_text("old")
    action = File(verb="write", path=str(box.outside / "f"), cwd="/", content="new")
    seen = files.observe(action, (str(box.root),), LIMITS)
    assert (seen.root, seen.exists) == ("", True)
    asyncio.run(files.run(action, ("/",), LIMITS, box.backups, seen))
    assert (box.outside / "f").read_text() == "new"


def test_changed_between_reading_and_replacing(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody saves the file after we read it and before we replace it: conflict, their version stands."""
    (box.root / "a").write_text("old")
    real_save = box.backups.save

    def save(*args: Any, **more: Any) -> Any:
        (box.root / "a").write_text("theirs!")
        return real_save(*args, **more)

    monkeypatch.setattr(box.backups, "save", save)
    for verb, more in (("write", {"content": "x"}), ("edit", {"old_text": "o", "new_text": "x"}), ("delete", {})):
        (box.root / "a").write_text("old")
        with pytest.raises(errors.Conflict, match="changed meanwhile"):
            box.do(verb, "a", **more)
        assert (box.root / "a").read_text() == "theirs!"


def test_created_between(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that appears while ours is written is not overwritten."""
    real_link = os.link

    def link(*args: Any, **more: Any) -> None:
        (box.root / "a").write_text("theirs")
        real_link(*args, **more)

    monkeypatch.setattr(replace.os, "link", link)
    with pytest.raises(errors.Conflict, match="exists by now"):
        box.do("write", "a", content="x")
    assert (box.root / "a").read_text() == "theirs"


def test_edits_at_once_lose_none(box: Box) -> None:
    """Of many edits of one file at once each is either in it or was told conflict."""
    (box.root / "a").write_text("".join(f"<{n}>\n" for n in range(16)))

    async def edit(n: int) -> bool:
        action = File(verb="edit", path="a", cwd=str(box.root), old_text=f"<{n}>", new_text=f"[{n}]")
        try:
            await files.run(action, (str(box.root),), LIMITS, box.backups)
        except errors.Conflict:
            return False
        return True

    async def both() -> list[bool]:
        return await asyncio.gather(*(edit(n) for n in range(16)))

    done = asyncio.run(both())
    text = (box.root / "a").read_text()
    assert [f"[{n}]" in text for n in range(16)] == done
    assert any(done)


def test_preview(box: Box) -> None:
    """A person sees the diff of every change, bounded; what has none says why; reading shows nothing."""
    (box.root / "a").write_text("one\n")
    (box.root / "b").write_bytes(b"\0")
    assert box.preview("read", "a") == ""
    assert "-one\n+1\n" in box.preview("edit", "a", old_text="one", new_text="1")
    assert "+new\n" in box.preview("write", "n", content="new\n")
    assert box.preview("delete", "a").endswith("@@ -1 +0,0 @@\n-one\n")
    assert f"+++ {box.root}/c\n" in box.preview("copy", "a", target="c")
    assert "not found" in box.preview("edit", "a", old_text="zzz", new_text="1")
    assert "binary" in box.preview("write", "b", content="x")
    long = box.preview("write", "n", content="x\n" * 200_000)
    assert len(long) < 70_000
    assert "more lines" in long[-60:]


def test_no_permission() -> None:
    """What we may not read or write fails with words (by the error itself: as root no permission is missing)."""
    error = beneath.explain(PermissionError(errno.EACCES, "Permission denied"), "write", "a")
    assert isinstance(error, errors.Failed)
    assert "permission denied; nothing was changed" in error.message
