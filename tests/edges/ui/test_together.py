"""Many alike requests: one row, each shown whole, and one key for those that were; through the popup's byte stream."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.edges.ui.real_tmux import Client, Sidecar, Tmux
from tests.edges.ui.scripted import DIFF, NOW, ScriptedDesk, Terminal, approval, origin, shell
from tests.edges.ui.test_popup import HOSTILE, assert_only_ours, no_settling, play

from tmux_agent.core.model import Approval, ApprovalState, Command, File, JudgedPart, Risk, Shell, Verdict, digest
from tmux_agent.core.shapes import shape
from tmux_agent.edges.ui import words
from tmux_agent.edges.ui.board import SETTLE_S, Board, Request
from tmux_agent.edges.ui.styles import Lines
from tmux_agent.edges.ui.text import cells
from tmux_agent.edges.ui.together import Together

__all__ = ["no_settling"]
PAGE_DOWN, END = "\x1b[6~", "\x1b[F"


def touch(number: int, name: str = "", **more: Any) -> Approval:
    return shell(f"touch {name or f'made{number}'}", number, **more)


def touches(count: int) -> ScriptedDesk:
    return ScriptedDesk([touch(number) for number in range(1, count + 1)])


async def scrolled(terminal: Terminal | Client, sign: str) -> None:
    """Page by page, as somebody reads, until the screen says so. Two keys at once would skip a page."""
    while sign not in terminal.text():
        before = terminal.text()
        terminal.type(PAGE_DOWN)
        await terminal.until(lambda text, before=before: text != before)  # type: ignore[misc]


def answered(desk: ScriptedDesk) -> list[tuple[str, str, bool]]:
    return [(one["id"], one["digest"], one["approved"]) for one in desk.answers]


def named(*numbers: int) -> list[tuple[str, str, bool]]:
    made = [touch(number) for number in numbers]
    return [(one.request_id, one.digest, True) for one in made]


# --- the board ---------------------------------------------------------------------------------------


def board_of(desk: ScriptedDesk) -> Board:
    board = Board(desk)
    board.refresh()
    return board


def paint(board: Board, *shown: int, now: float = 0) -> None:
    """All rows are on the screen, and of the selected one these requests were drawn whole."""
    row = board.current()
    assert row is not None
    whole = {one.id: one.approval.digest for one in row.requests if int(one.id[3:]) in shown}
    board.painted([one.id for one in board.rows], now, row.id, whole if row.several else None)


def test_four_alike_are_one_row_and_others_keep_their_place() -> None:
    """From four on they are one row, where the oldest of them stood; three are three."""
    mixed = [touch(1), shell("make", 2), touch(3), touch(4), shell("make a", 5)]
    assert [len(row.requests) for row in board_of(ScriptedDesk(mixed)).rows] == [1] * 5
    board = board_of(ScriptedDesk([*mixed, touch(6)]))
    assert [[int(one.id[3:]) for one in row.requests] for row in board.rows] == [[1, 3, 4, 6], [2], [5]]
    assert board.waiting() == 6


def test_only_what_was_shown_whole_is_approved() -> None:
    """Of five in a row, those whose every line was painted, each with its own digest; a no goes to all of them."""
    board = board_of(touches(5))
    paint(board, 1, 2)
    assert [request.id for request, _ in board.targets()] == ["01K00001", "01K00002"]
    paint(board, 1, 2, 3)
    assert [digest_ for _, digest_ in board.targets()] == [touch(number).digest for number in (1, 2, 3)]
    assert len(board.refusable()) == 5


def test_who_joins_a_painted_row_is_not_in_its_answer() -> None:
    """Not even where its line was painted: not before the person looks at the row again."""
    desk = touches(4)
    board = board_of(desk)
    paint(board, 1, 2, 3, 4)
    desk.waiting.append(touch(5))
    board.refresh()
    paint(board, 1, 2, 3, 4, 5, now=10)
    assert len(board.rows) == 1
    assert [request.id[-1] for request, _ in board.targets()] == ["1", "2", "3", "4"]
    assert [request.id[-1] for request, _ in board.refusable()] == ["1", "2", "3", "4"]
    assert board.answerable(10), "nothing under the finger has changed"
    board.looked()
    paint(board, 1, 2, 3, 4, 5, now=11)
    assert len(board.targets()) == 5


def test_a_row_settles_without_who_changed_or_ended() -> None:
    """What became of another shape, or waits no more, is left out; the rest settles before it can be answered."""
    desk = touches(5)
    board = board_of(desk)
    paint(board, 1, 2, 3, 4, 5)
    action = Shell(text="rm -rf /", cwd="/home/ana/src/shop")
    desk.waiting[1] = msgspec.structs.replace(desk.waiting[1], action=action, digest=digest(action))
    desk.end("01K00004", ApprovalState.WITHDRAWN, "answered elsewhere")
    board.refresh()
    assert not board.answerable(5)
    paint(board, 1, 2, 3, 4, 5, now=5)
    assert not board.answerable(5)
    assert board.answerable(5 + SETTLE_S)
    assert [request.id[-1] for request, _ in board.targets()] == ["1", "3", "5"]
    board.looked()
    paint(board, 1, 2, 3, 4, 5, now=6)
    assert [request.id[-1] for request, _ in board.targets()] == ["1", "3", "5"], "seen, and of another shape still"


def test_a_row_is_left_with_its_last_answer() -> None:
    """What ended meanwhile stays struck out in it for as long as the others wait, and goes with them."""
    desk = ScriptedDesk([*touches(4).waiting, shell("make", 5)])
    board = board_of(desk)
    paint(board, 1, 2, 3, 4)
    desk.end("01K00002", ApprovalState.EXPIRED)
    board.refresh()
    for number in (1, 3):
        board.answered(f"01K0000{number}")
    assert [one.id[-1] for one in board.rows[0].requests] == ["2", "4"]
    board.answered("01K00004")
    assert [row.id[-1] for row in board.rows] == ["5"]
    assert board.selected == "01K00005"


def test_marks_are_the_same_thing() -> None:
    """space marks what was shown of a row; marks of two rows are answered together."""
    desk = ScriptedDesk([*touches(4).waiting, shell("make", 5)])
    board = board_of(desk)
    paint(board, 1, 3)
    board.toggle_mark()
    assert sorted(board.marks) == ["01K00001", "01K00003"]
    board.move(1)
    paint(board)
    board.toggle_mark()
    assert [request.id[-1] for request, _ in board.targets()] == ["1", "3", "5"]
    board.toggle_mark()
    board.move(-1)
    paint(board, 1, 3)
    board.toggle_mark()
    assert board.marks == {}


def test_one_by_one_and_back() -> None:
    """A row comes apart where it stands, and together again; what comes then stays apart until the person says so."""
    desk = ScriptedDesk([shell("make", 1), *[touch(number) for number in (2, 3, 4, 5)], shell("make a", 6)])
    board = board_of(desk)
    board.move(1)
    assert board.regroup()
    assert [row.id[-1] for row in board.rows] == ["1", "2", "3", "4", "5", "6"]
    assert board.selected == "01K00002"
    assert not board.answerable(0), "it is painted first"
    desk.waiting += [touch(number) for number in (7, 8, 9, 10)]
    board.refresh()
    assert len(board.rows) == 10
    board.move(1)
    assert board.regroup()
    assert [len(row.requests) for row in board.rows] == [1, 8, 1]
    board.move_to(0)
    assert not board.regroup(), "nothing is like it"


def test_what_wants_a_proof_is_never_with_others() -> None:
    """Nor is it brought together by hand."""
    board = board_of(ScriptedDesk([touch(number, step_up=("true",)) for number in range(1, 7)]))
    assert len(board.rows) == 6
    assert not board.regroup()


@given(st.lists(st.sampled_from(["touch a", "touch b", "rm a", "rm b", "make", "echo x"]), max_size=20), st.data())
def test_no_row_ever_holds_two_shapes(texts: list[str], data: st.DataObject) -> None:
    """However requests come, go, and are grouped: one shape a row, each request in one row, oldest first."""
    desk = ScriptedDesk([])
    board = Board(desk)
    for number, text in enumerate(texts):
        desk.waiting.append(shell(text, number))
        if data.draw(st.booleans()):
            board.refresh()
            board.painted([row.id for row in board.rows], 0, board.selected, {})
        match data.draw(st.sampled_from(["", "move", "regroup", "end"])):
            case "move":
                board.move(data.draw(st.sampled_from([-1, 1])))
            case "regroup":
                board.regroup()
            case "end" if desk.waiting:
                desk.end(data.draw(st.sampled_from([one.request_id for one in desk.waiting])), ApprovalState.EXPIRED)
    board.refresh()
    assert all(len({shape(one.approval) for one in row.requests}) == 1 for row in board.rows)
    assert all([one.id for one in row.requests] == sorted(one.id for one in row.requests) for row in board.rows)
    ids = [one.id for row in board.rows for one in row.requests if not one.ended]
    assert sorted(ids) == [one.request_id for one in desk.waiting]


# --- the layout --------------------------------------------------------------------------------------


def laid_out(asked: list[Approval], width: int = 96) -> Together:
    return Together([Request(one, shape=shape(one)) for one in asked], width, Lines(True), ())


def seen(together: Together, height: int) -> list[str]:
    """Ids that count as drawn, after each page from the top to the end."""
    found, top = [], (0, 0)
    while True:
        together.view(top, height, NOW)
        found.append(",".join(sorted(id_[-1] for id_ in together.drawn())))
        after = together.move(top, height, NOW)
        if after == top:
            return found
        top = after


def test_every_line_has_to_be_painted() -> None:
    """A request that is longer than the screen counts when all its lines were painted, not where some were skipped."""
    long = approval(Command(argv=("cat",), cwd="/home/ana/src/shop", stdin="x\n" * 30), 2)
    other = approval(Command(argv=("cat",), cwd="/home/ana/src/shop", stdin="x\n" * 30), 3)
    assert seen(laid_out([long, other]), 10)[-1] == "2,3"
    together = laid_out([long, other])
    together.view((0, 0), 10, NOW)
    together.drawn()
    together.view(together.move((0, 0), 1 << 30, NOW), 10, NOW)
    assert together.drawn() == {}, "the middle of both was never there"
    assert seen(laid_out([touch(number) for number in (1, 2, 3)]), 5)[0] == "1,2"


@pytest.mark.parametrize("width", [96, 56, 36, 20])
def test_each_is_whole_at_any_width(width: int) -> None:
    """Every character of each action is in the lines, and no line is wider than it may be."""
    texts = [f"touch src/{'長い名前' * 9}/{number}-{'x' * 70}" for number in range(1, 6)]
    together = laid_out([shell(text, number) for number, text in enumerate(texts, 1)], width)
    lines = together.view((0, 0), 500, NOW)
    assert all(cells(line) <= width for line in lines)
    text = "".join("".join(piece for style, piece in line if "faint" not in style).strip() for line in lines)
    assert all(one.replace(" ", "") in text.replace(" ", "") for one in texts)


def test_what_differs_is_marked() -> None:
    """And nothing else; what is known of one and not of the others stands beside it."""
    asked = [
        shell(f"rm -rf {name}", number, rule="recursive delete", reason=f"removes {number} files")
        for number, name in enumerate(("build", "dist"), 1)
    ]
    lines = laid_out(asked).view((0, 0), 20, NOW)
    marked = [text for line in lines for style, text in line if "differs" in style]
    assert marked == ["build", "dist"]
    text = "\n".join("".join(piece for _, piece in line) for line in lines)
    assert "rm -rf build   removes 1 files" in text
    assert "recursive delete" in text


def test_what_they_have_in_common() -> None:
    """The list's line: words of all, folders that all names begin with, … for the rest."""
    assert words.in_common(["rm -rf src/a/x", "rm -rf src/a/y", "rm -rf src/b"]) == "rm -rf src/…"
    assert words.in_common(["touch a", "touch b c", "touch d"]) == "touch …"
    assert words.in_common(["make", "make"]) == "make"
    assert words.in_common(["touch /a", "touch /b"]) == "touch /…"


# --- the popup ---------------------------------------------------------------------------------------


def test_one_key_for_all_that_were_shown() -> None:
    """Six alike: one row, six lines, one `a`, six answers with six digests, oldest first."""

    async def scene(desk: ScriptedDesk, terminal: Terminal) -> None:
        text = await terminal.until("approve all 6")
        assert "6×  touch …" in text
        assert all(f"touch made{number}" in text for number in range(1, 7))
        terminal.type("a")
        await terminal.until("approved  6 requests")

    assert answered(play(scene, touches(6))) == named(*range(1, 7))


def test_a_long_queue_is_approved_as_far_as_it_was_scrolled() -> None:
    """The key line says how many; the rest waits and is approved once it was on the screen."""

    async def scene(desk: ScriptedDesk, terminal: Terminal) -> None:
        text = await terminal.until("of 40")
        first = int(text.split("approve ")[1].split(" of")[0])
        assert 3 <= first < 20
        terminal.type("a")
        await terminal.until(f"approved  {first} requests")
        assert len(desk.answers) == first
        await terminal.until(lambda text: f"of {40 - first}" in text)
        await scrolled(terminal, "approve all")
        terminal.type("a")
        await terminal.until(f"approved  {40 - first} requests")

    assert answered(play(scene, touches(40))) == named(*range(1, 41))


def test_the_end_key_skips_what_it_skips() -> None:
    """What was jumped over was not shown, so it is not approved."""

    async def scene(desk: ScriptedDesk, terminal: Terminal) -> None:
        text = await terminal.until("of 60")
        first = int(text.split("approve ")[1].split(" of")[0])
        terminal.type("\r" + END)
        text = await terminal.until("touch made60")
        text = await terminal.until(lambda text: f"approve {first} of" not in text)
        assert "approve all" not in text
        terminal.type("a")
        await terminal.until("approved")

    ids = [id_ for id_, *_ in answered(play(scene, touches(60)))]
    assert "01K00001" in ids
    assert "01K00060" in ids
    assert "01K00030" not in ids


def test_one_no_for_all() -> None:
    """`d` asks once and denies each, with the same words; also what did not fit on the screen."""

    async def scene(desk: ScriptedDesk, terminal: Terminal) -> None:
        await terminal.until("deny 30")
        terminal.type("d")
        await terminal.until("for each of the 30")
        terminal.type("not now\r")
        await terminal.until("denied  30 requests")

    desk = play(scene, touches(30))
    assert [(one["approved"], one["comment"]) for one in desk.answers] == [(False, "not now")] * 30


def test_one_that_conflicts_is_told_and_the_others_stand() -> None:
    """Somebody else answered one of them in between: five are approved, and the sixth is said to be not."""

    async def scene(desk: ScriptedDesk, terminal: Terminal) -> None:
        await terminal.until("approve all 6")
        gone = desk.waiting.pop(2)
        terminal.type("a")
        await terminal.until("approved  5 requests; 1 not")
        assert gone.request_id not in {one["id"] for one in desk.answers}

    assert answered(play(scene, touches(6))) == named(1, 2, 4, 5, 6)


def test_a_newcomer_is_said_and_waits() -> None:
    """It is appended to the row; `a` goes to those that were there, the next `a` to it once it was looked at."""

    async def scene(desk: ScriptedDesk, terminal: Terminal) -> None:
        await terminal.until("approve all 4")
        desk.waiting.append(touch(5))
        desk.tell("approval.opened")
        await terminal.until("approve 4 of 5")
        terminal.type("a")
        await terminal.until("approved  4 requests")
        await terminal.until("1 waiting")

    assert answered(play(scene, touches(4))) == named(1, 2, 3, 4)


def test_a_newcomer_counts_once_it_was_looked_at() -> None:
    """Any key that scrolls is a look."""

    async def scene(desk: ScriptedDesk, terminal: Terminal) -> None:
        await terminal.until("approve all 4")
        desk.waiting.append(touch(5))
        desk.tell("approval.opened")
        await terminal.until("approve 4 of 5")
        terminal.type(PAGE_DOWN)
        await terminal.until("approve all 5")

    assert play(scene, touches(4)).answers == []


def test_unlike_marks_are_not_approved_together() -> None:
    """Two shapes: a sentence and no answer; a no goes to both."""
    desk = ScriptedDesk([shell("make", 1), shell("rm x", 2)])

    async def scene(desk: ScriptedDesk, terminal: Terminal) -> None:
        await terminal.until("wants to run")
        terminal.type(" ")
        await terminal.until("1 marked")
        terminal.type("j")
        await terminal.until("▌  claude  shop:1  feat/login  rm x")
        terminal.type(" ")
        await terminal.until("2 marked")
        terminal.type("a")
        await terminal.until("only alike requests are approved together")
        assert desk.answers == []
        terminal.type("d")
        await terminal.until("for each of the 2")
        terminal.type("\r")
        await terminal.until("denied  2 requests")

    assert [one["approved"] for one in play(scene, desk).answers] == [False, False]


def test_x_shows_them_one_by_one() -> None:
    """And what is for one request says so before."""

    async def scene(desk: ScriptedDesk, terminal: Terminal) -> None:
        await terminal.until("approve all 4")
        for key in ("e", "g", "1"):
            terminal.type(key)
            await terminal.until("x shows these 4 one by one")
            terminal.type("k")
            await terminal.until(lambda text: "x shows" not in text)
        terminal.type("x")
        await terminal.until("▌  claude  shop:1  feat/login  touch made1")
        await terminal.until("a approve   d deny   e edit")
        terminal.type("j")
        await terminal.until("▌  claude  shop:1  feat/login  touch made2")
        terminal.type("a")
        await terminal.until("approved  touch made2")

    assert answered(play(scene, touches(4))) == named(2)


def test_diffs_one_below_the_other() -> None:
    """Edits of several files: each path and each diff whole before its `a` counts."""
    folder = "/home/ana/src/shop"
    edits = [
        approval(File(verb="edit", path=f"{folder}/src/{name}.py", cwd=folder, old_text="x", new_text="y"), number,
                 preview=DIFF, risk=Risk.MEDIUM)
        for number, name in enumerate("abcd", 1)
    ]  # fmt: skip

    async def scene(desk: ScriptedDesk, terminal: Terminal) -> None:
        text = await terminal.until("4×  edit src/…")
        assert "src/a.py" in text
        await terminal.until("approve 1 of 4")
        terminal.type("\r")
        await scrolled(terminal, "approve all 4")

    assert play(scene, ScriptedDesk(edits)).answers == []


@pytest.mark.parametrize("size", [(100, 24), (72, 14), (40, 14), (24, 10), (20, 6)])
def test_every_size_shows_the_first_of_them(size: tuple[int, int]) -> None:
    """Down to the smallest: one after the other comes into sight and is counted."""

    async def scene(desk: ScriptedDesk, terminal: Terminal) -> None:
        await terminal.until("touch made1")
        terminal.type("\r")
        for number in (2, 3, 4, 5):
            await scrolled(terminal, f"touch made{number}")
        terminal.type("a")
        await terminal.until("approved")

    desk = play(scene, touches(5), *size)
    assert answered(desk) == named(*range(1, 6))


@given(HOSTILE)
def test_hostile_text_in_alike_requests(text: str) -> None:
    """Shown, never obeyed, in the row, the lines, and what became of them."""
    part = JudgedPart(source=text, verdict=Verdict.ASK, rule=text, reason=text)
    who = origin(text, text, text, exe=text)
    asked = [
        shell(text, number, origin=who, rule=text, where=text, reason=f"{text}{number}", parts=(part, part))
        for number in range(1, 6)
    ]
    desk = ScriptedDesk(asked)

    async def scene(desk: ScriptedDesk, terminal: Terminal) -> None:
        await terminal.until(lambda screen: "one by one" in screen.splitlines()[-2])
        desk.end("01K00002", ApprovalState.WITHDRAWN, text)
        terminal.type("\r" + END + " ")
        terminal.type("\x03")
        await terminal.end()
        assert_only_ours(bytes(terminal.bytes))

    assert play(scene, desk).answers == []


def test_in_a_real_tmux(tmp_path: Path) -> None:
    """The whole way: a popup on a client at a pty, 40 columns, scrolled, approved."""

    async def scene() -> None:
        desk = touches(12)
        async with Sidecar(str(tmp_path), desk) as sidecar, Tmux(str(tmp_path)) as tmux, Client(tmux, 40, 14) as client:
            popup = await client.popup(sidecar)
            await client.until("12×")
            await scrolled(client, "yes to all 12")
            client.type("a")
            await client.until("Nothing waits for you")
            client.type("q")
            assert await popup.wait() == 0
            assert answered(desk) == named(*range(1, 13))

    asyncio.run(scene())


def test_its_time_is_told() -> None:
    """Where they expire, the first that does."""
    asked = [touch(number, expires=NOW + timedelta(seconds=90 + number)) for number in range(1, 5)]

    async def scene(desk: ScriptedDesk, terminal: Terminal) -> None:
        await terminal.until("the first expires in")

    play(scene, ScriptedDesk(asked))
