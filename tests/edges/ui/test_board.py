"""Rows, selection and when a key counts."""

from __future__ import annotations

import msgspec
import pytest
from tests.edges.ui.scripted import ScriptedDesk, shell

from tmux_agent.core.model import ApprovalState, Shell, digest
from tmux_agent.edges.ui.board import SETTLE_S, Board


@pytest.fixture
def desk() -> ScriptedDesk:
    return ScriptedDesk([shell(f"echo {n}", n) for n in (1, 2, 3)])


@pytest.fixture
def board(desk: ScriptedDesk) -> Board:
    board = Board(desk)
    board.refresh()
    paint(board, 0)
    return board


def paint(board: Board, now: float) -> None:
    board.painted([row.id for row in board.rows], now, board.selected)


def test_oldest_first_and_selected(board: Board) -> None:
    """The oldest request is selected, and may be answered as soon as it was painted."""
    assert [row.id for row in board.rows] == ["01K00001", "01K00002", "01K00003"]
    assert board.selected == "01K00001"
    assert board.answerable(0)


def test_nothing_is_answered_before_the_first_paint(desk: ScriptedDesk) -> None:
    """What was never on the screen takes no answer."""
    board = Board(desk)
    board.refresh()
    assert not board.answerable(100)


def test_new_requests_append_and_the_selection_stays(desk: ScriptedDesk, board: Board) -> None:
    """A new request goes to the end and disturbs nothing."""
    board.move(1)
    paint(board, 1)
    desk.waiting.append(shell("new", 4))
    board.refresh()
    assert [row.id for row in board.rows][-1] == "01K00004"
    assert board.selected == "01K00002"
    assert board.answerable(1)


def test_a_withdrawn_row_stays_until_it_is_left(desk: ScriptedDesk, board: Board) -> None:
    """The selected row that ends is marked, takes no answer, and goes when the person moves on."""
    desk.end("01K00001", ApprovalState.WITHDRAWN, "answered in its own dialog")
    board.refresh()
    paint(board, 1)
    row = board.current()
    assert row is not None
    assert row.ended == "withdrawn: answered in its own dialog"
    assert board.targets() == []
    board.move(1)
    assert [one.id for one in board.rows] == ["01K00002", "01K00003"]
    assert board.selected == "01K00002"


def test_rows_above_do_not_vanish_under_the_finger(desk: ScriptedDesk, board: Board) -> None:
    """Another row that ends keeps its line until the person's next move."""
    board.move(2)
    desk.end("01K00001", ApprovalState.EXPIRED)
    board.refresh()
    assert [row.id for row in board.rows] == ["01K00001", "01K00002", "01K00003"]
    board.move(-1)
    assert [row.id for row in board.rows] == ["01K00002", "01K00003"]
    assert board.selected == "01K00002"


def test_a_row_that_changed_by_itself_settles_first(desk: ScriptedDesk, board: Board) -> None:
    """300 ms after the change was painted a key counts again; before, it does not."""
    action = Shell(text="rm -rf /", cwd="/")
    desk.waiting[0] = msgspec.structs.replace(desk.waiting[0], action=action, digest=digest(action))
    board.refresh()
    assert not board.answerable(10), "changed, not painted"
    paint(board, 10)
    assert not board.answerable(10 + SETTLE_S - 0.01)
    assert board.answerable(10 + SETTLE_S)
    assert board.digest() == digest(action)


def test_an_answer_carries_the_digest_that_was_painted(desk: ScriptedDesk, board: Board) -> None:
    """Between a change and its paint the old digest is sent, so that the sidecar can refuse it."""
    painted = board.digest()
    action = Shell(text="rm -rf /", cwd="/")
    desk.waiting[0] = msgspec.structs.replace(desk.waiting[0], action=action, digest=digest(action))
    board.refresh()
    assert [given for _, given in board.targets()] == [painted]


def test_the_persons_own_move_needs_no_settling(board: Board) -> None:
    """Moving is a choice: what is under the finger is what was moved to, once it is painted."""
    board.move(1)
    assert not board.answerable(0), "not painted yet"
    paint(board, 0)
    assert board.answerable(0)


def test_after_an_answer_the_next_is_selected_and_settles(board: Board) -> None:
    """The row that slid under the finger does not take the second half of a double press."""
    board.answered("01K00001")
    assert board.selected == "01K00002"
    paint(board, 5)
    assert not board.answerable(5)
    assert board.answerable(5 + SETTLE_S)


def test_after_the_last_the_one_before_is_selected(board: Board) -> None:
    """At the end of the list the selection steps back."""
    board.move_to(2)
    board.answered("01K00003")
    assert board.selected == "01K00002"


def test_marks_keep_the_digest_that_was_painted(desk: ScriptedDesk, board: Board) -> None:
    """A marked request that changes is not answered with the others."""
    for _ in range(2):
        board.toggle_mark()
        board.move(1)
        paint(board, 1)
    assert [row.id for row, _ in board.targets()] == ["01K00001", "01K00002"]
    action = Shell(text="other", cwd="/")
    desk.waiting[0] = msgspec.structs.replace(desk.waiting[0], action=action, digest=digest(action))
    board.refresh()
    paint(board, 2)
    assert [row.id for row, _ in board.targets()] == ["01K00002"]


def test_marks_out_of_sight_are_not_answered(board: Board) -> None:
    """Only what is on the screen is answered."""
    board.toggle_mark()
    board.painted(["01K00002", "01K00003"], 1, "01K00002")
    assert board.targets() == []


def test_the_first_request_of_an_empty_list_settles(desk: ScriptedDesk) -> None:
    """A request that appears where nothing was waiting did not come by the person's move."""
    first = desk.waiting
    desk.waiting = []
    board = Board(desk)
    board.refresh()
    board.painted([], 0)
    desk.waiting = first
    board.refresh()
    paint(board, 1)
    assert not board.answerable(1)
    assert board.answerable(1 + SETTLE_S)
