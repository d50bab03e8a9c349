"""Recordings on the disk: names, bounds, and what a kill leaves."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tmux_agent.core import cast, errors
from tmux_agent.core.pipeline_run import Place
from tmux_agent.core.settings import Casts
from tmux_agent.services.cast_files import CastFiles, Note, read_file, read_head
from tmux_agent.services.ids import Ids

HEADER = b'{"version":2,"width":80,"height":24}\n'
PLACE = Place(server="/tmp/s", server_pid=1, pane="%1", pane_pid=2)


@pytest.fixture
def files(tmp_path: Path) -> CastFiles:
    found = CastFiles(tmp_path / "casts")
    found.ready()
    return found


def recording(files: CastFiles, ids: Ids, *sizes: int, ended: float = 1.0) -> Note:
    note = Note(id=ids(), place=PLACE, started=0.0, ended=ended)
    files.put(note)
    for size in sizes:
        _, part = files.next_part(note.id)
        with part:
            part.write(HEADER + b'[0.0,"o","' + b"x" * (size - len(HEADER) - 13) + b'"]\n')
    return note


def sizes(files: CastFiles, note: Note) -> list[int]:
    return [path.stat().st_size for path in files.get(note.id).parts]


def test_the_oldest_go_first_and_what_is_written_to_stays(files: CastFiles) -> None:
    ids = Ids()
    running = recording(files, ids, 1000, 1000, ended=0.0)
    old, new = recording(files, ids, 1000, 1000), recording(files, ids, 1000)
    bounds = Casts(total_bytes=3000, files=8)
    files.prune(bounds, frozenset((running.id,)))
    assert [one.note.id for one in files.all()] == [running.id, new.id]
    files.prune(Casts(total_bytes=1, files=8), frozenset((running.id,)))
    assert [one.note.id for one in files.all()] == [running.id]
    assert sizes(files, running) == [1000], "never the part that is written to"
    assert old.id not in [path.name[:26] for path in files.folder.iterdir()]


def test_of_one_recording_the_newest_parts_are_kept(files: CastFiles) -> None:
    note = recording(files, Ids(), 200, 300, 400)
    files.prune(Casts(files=2), frozenset())
    assert sizes(files, note) == [300, 400]
    number, part = files.next_part(note.id)
    part.close()
    assert number == 4, "numbers go on"
    assert oct((files.folder / f"{note.id}.0004.cast").stat().st_mode & 0o777) == "0o600"


def test_a_part_that_a_kill_left_without_its_header_is_passed_over(files: CastFiles) -> None:
    note = recording(files, Ids(), 200)
    for text in (b"", HEADER[:20]):
        _, part = files.next_part(note.id)
        with part:
            part.write(text)
    assert len(files.read(files.get(note.id)).events) == 1
    only = recording(files, Ids())
    with pytest.raises(errors.Failed, match="every part"):
        files.read(files.get(only.id))


def test_an_id_may_be_cut_and_must_be_clear(files: CastFiles) -> None:
    ids = Ids(lambda: 1_700_000_000.0)
    one, two = recording(files, ids, 200), recording(files, ids, 200)
    assert files.get(one.id.lower()).note == one
    with pytest.raises(errors.InvalidParams, match="2 recordings"):
        files.get(one.id[:10])
    for wrong in ("", "01ZZ", "../x"):
        with pytest.raises(errors.NotFound):
            files.get(wrong)
    files.remove(files.get(two.id))
    assert [kept.note for kept in files.all()] == [one]


def test_what_is_no_note_of_ours_is_left_alone(files: CastFiles) -> None:
    """And nothing is followed or read that is no regular file."""
    name = Ids()()
    (files.folder / f"{name}.json").write_text('{"id": 7}')
    (files.folder / "mine.txt").write_text("mine")
    (files.folder / f"{Ids()()}.json").write_bytes(b'{"id": "\xff"}')
    os.mkfifo(files.folder / f"{Ids()()}.json")
    (files.folder / f"{Ids()()}.json").symlink_to("/dev/zero")
    files.prune(Casts(total_bytes=1), frozenset())
    assert files.all() == []
    assert len(list(files.folder.iterdir())) == 5
    with pytest.raises(errors.Failed, match="no regular file"):
        read_file(Path("/dev/zero"))
    os.mkfifo(files.folder / "pipe.cast")
    with pytest.raises(errors.Failed, match="no regular file"):
        read_file(files.folder / "pipe.cast")
    (files.folder / "huge.cast").write_bytes(HEADER)
    os.truncate(files.folder / "huge.cast", cast.FILE_BYTES + 1)
    for reads in (read_file, read_head):
        with pytest.raises(errors.Failed, match="has more than"):
            reads(files.folder / "huge.cast")
    (files.folder / "long.cast").write_bytes(HEADER + b"x" * (17 << 20))
    with pytest.raises(errors.Failed, match="a line of more than"):
        read_file(files.folder / "long.cast")
