"""The popup as prompt_toolkit sees it: one canvas that is drawn line by line, and an editor laid over it.

Owns: the layout tree, what is drawn for the popup's present state. Must not own: keys (keyboard.py), wording.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prompt_toolkit.layout import Float, FloatContainer, Layout
from prompt_toolkit.layout.containers import DynamicContainer, Window
from prompt_toolkit.layout.controls import UIContent, UIControl

from tmux_agent.core import display
from tmux_agent.core.model import AgentState
from tmux_agent.core.screen_question import DOOR
from tmux_agent.edges.ui import compose, words
from tmux_agent.edges.ui.board import Row
from tmux_agent.edges.ui.detail import FOLDED, Detail
from tmux_agent.edges.ui.text import Line, cells, cut, fit, literal
from tmux_agent.edges.ui.together import Together

if TYPE_CHECKING:
    from tmux_agent.edges.ui.popup import Popup

LIST_KEYS: compose.Keys = [
    ("a", "approve"), ("d", "deny"), ("e", "edit"), ("g", "allow again"), ("o", "go there"), ("p", "peek"),
    ("space", "mark"), ("?", "more"),
]  # fmt: skip
QUESTION_KEYS: compose.Keys = [("a", "yes"), ("d", "no"), ("e", "answer in words"), *LIST_KEYS[4:]]
NARROW_KEYS: compose.Keys = [("a", "yes"), ("d", "no"), ("e", "edit"), ("j", "next"), ("?", "")]
IDLE_KEYS: compose.Keys = [("q", "close"), ("?", "keys")]
BLANK = "[transparent]"  # prompt_toolkit's style of an erased cell: need not be painted


class Canvas(UIControl):
    """Everything but the editor's text."""

    def __init__(self, popup: Popup) -> None:
        self._popup = popup
        self.visible: list[str] = []  # names of the rows that were drawn
        self.detailed = ""  # name of the row whose action was drawn
        self.detail: Detail | Together | None = None
        self.detail_height = 1
        self.inner = 1  # columns of the detail
        self.editor_at: tuple[int, int, int, int] = (0, 0, 1, 1)  # top, left, width, height
        self._made_of: tuple[object, ...] = ()
        self._list_top = 0

    def is_focusable(self) -> bool:
        return True

    def create_content(self, width: int, height: int) -> UIContent:
        lines: list[Line] = []
        self._popup.guarded(lambda: lines.extend(self.paint(width, height)))
        lines += [[] for _ in range(height - len(lines))]
        lines = [[(style or BLANK if text.isspace() else style, text) for style, text in line] for line in lines]
        return UIContent(get_line=lambda at: list(lines[at]), line_count=height, show_cursor=False)

    def paint(self, columns: int, rows: int) -> list[Line]:
        """Exactly `rows` lines of exactly `columns` cells."""
        popup = self._popup
        native = popup.attach.border == "native"
        shape = compose.plan(columns, rows, len(popup.board.rows), native, popup.whole)
        frame = compose.Frame(popup.lines, shape)
        self.inner, self.detail_height = shape.inner, shape.detail_rows
        self.visible, self.detailed = [], ""
        out = [self._title(frame)]
        if shape.list_rows:
            out += self._list(frame)
            out.append(frame.middle(*self._heading()))
        out += self._middle(frame)
        out += self._bottom(frame)
        return (out + [fit([], columns)] * rows)[:rows]

    # --- title ---

    def _title(self, frame: compose.Frame) -> Line:
        popup = self._popup
        dash = ("class:frame", f" {popup.lines.across} ")
        warnings = popup.desk.warnings()
        count = popup.board.waiting()
        row = popup.board.current()
        if frame.shape.wide or row is None or popup.page:
            left: Line = [("class:title", "tmux-agent")]
            if count:
                left = [*left, dash] if frame.shape.wide else []  # there is no room for both
                left += [("bold", f"{count} waiting")]
            working = sum(agent.state is AgentState.WORKING for agent in popup.desk.agents())
            right: Line = [("", f"{working} working"), dash] if working and not warnings else []
            right += [("class:faint", popup.clock().astimezone().strftime("%H:%M"))]
        else:
            left = [("bold", f"{popup.board.position() + 1} of {len(popup.board.rows)}")]
            age = (popup.clock() - row.approval.created).total_seconds()
            word = ("class:warn", "ended") if row.ended else words.risk_word(row.approval)
            right = [word, ("class:faint", f" {display.ago(age)}")]
            if row.several:
                left.append(("class:key", f"  {len(row.requests)}×"))
            if any(one.id in popup.board.marks for one in row.requests):
                left.append(("class:key", f" {popup.lines.mark}"))
        if warnings:
            more = f" and {len(warnings) - 1} more" if len(warnings) > 1 else ""
            room = max(10, frame.shape.columns - 4 - cells(left) - cells(right) - 8)
            told = cut(literal(f"{popup.lines.warn} {warnings[0]}{more}", "class:warn"), room)
            left = [*left, dash, *told]
        return frame.top(left, right)

    # --- list ---

    def _list(self, frame: compose.Frame) -> list[Line]:
        popup, shape = self._popup, frame.shape
        at, height = popup.board.position(), shape.list_rows
        self._list_top = min(max(self._list_top, at - height + 1), at)
        self._list_top = max(0, min(self._list_top, len(popup.board.rows) - height))
        drawn = compose.list_lines(popup.board, shape, popup.lines, popup.clock(), self._list_top)
        self.visible = [row.id for row in popup.board.rows[self._list_top : self._list_top + height]]
        bar = ("class:cursor", popup.lines.bar)
        out = []
        for line, chosen in drawn:
            if shape.framed:
                out.append(frame.row(line, bar if chosen else ("", " ")))
            else:
                out.append(fit([bar if chosen else ("", " "), *line[1:]], shape.columns))
        return out

    def _heading(self) -> tuple[Line, Line]:
        """What the line between list and detail says: the dialog, and where the list stands."""
        popup = self._popup
        total = len(popup.board.rows)
        shown = len(self.visible)
        place = f"{self._list_top + 1}-{self._list_top + shown} of {total}"
        where: Line = [("class:faint", place)] if shown < total else []
        return (popup.dialog.heading if popup.dialog else []), where

    # --- detail or dialog ---

    def _middle(self, frame: compose.Frame) -> list[Line]:
        popup, shape = self._popup, frame.shape
        height = shape.detail_rows
        if popup.dialog:
            content = self._dialog(frame, height)
        elif row := popup.board.current():
            content = self._request(row, frame, height)
            if row.ended and not row.several:
                told: Line = [("class:warn", display.safe(row.ended)), ("class:faint", "  nothing to answer")]
                content = [told, *content][:height]
            self.detailed = row.id
            self.visible = self.visible or [row.id]
        else:
            recent = popup.desk.recent(5)
            content = compose.idle_lines(popup.desk.agents(), recent, popup.clock(), shape.inner, height)
        content += [[] for _ in range(height - len(content))]
        return [frame.row(line) for line in content]

    def _request(self, row: Row, frame: compose.Frame, height: int) -> list[Line]:
        popup, width = self._popup, frame.shape.inner
        if row.several:
            self._make_together(row, width)
        else:
            plan = popup.desk.plan_for(row.approval)
            made_of = (row.approval, width, plan)
            if self._made_of != made_of:
                self.detail = Detail(row.approval, width, popup.lines, plan)
                self._made_of = made_of
        assert self.detail is not None
        return self.detail.view(popup.top, height, popup.clock())

    def _make_together(self, row: Row, width: int) -> None:
        marked = [one.id for one in row.requests if one.id in self._popup.board.marks]
        made_of = (width, *marked, *((one.id, one.approval.digest, one.ended) for one in row.requests))
        if self._made_of != made_of:
            self.detail = Together(row.requests, width, self._popup.lines, marked)
            self._made_of = made_of

    def painted(self) -> None:
        """What was drawn last is on the screen now."""
        whole = self.detail.drawn() if isinstance(self.detail, Together) and self.detailed else None
        self._popup.board.painted(self.visible, self._popup.now(), self.detailed, whole)

    def _dialog(self, frame: compose.Frame, height: int) -> list[Line]:
        dialog = self._popup.dialog
        assert dialog is not None
        shape = frame.shape
        head = [] if shape.list_rows else [cut(dialog.heading, shape.inner)]
        head += [[]] if shape.list_rows and height > 8 else []
        content = [*head, *dialog.lines(shape.inner, height - len(head))]
        if dialog.editor:
            top = min(1 + (shape.list_rows + 1 if shape.list_rows else 0) + len(content), shape.rows - 1)
            self.editor_at = (top, 2 if shape.framed else 0, shape.inner, max(1, height - len(content)))
        return content[:height]

    # --- keys ---

    def _keys(self, wide: bool) -> compose.Keys:
        popup = self._popup
        if popup.dialog:
            return popup.dialog.keys
        row = popup.board.current()
        if row is None:
            return IDLE_KEYS
        if row.several:
            return self._several_keys(row, wide)
        if row.approval.kind == "question":
            count = len(getattr(row.approval.action, "options", ()))
            plain = QUESTION_KEYS[:2] + QUESTION_KEYS[3:] if row.approval.origin.door == DOOR else QUESTION_KEYS
            return [(f"1-{min(count, 9)}", "choose"), ("d", "refuse"), *LIST_KEYS[4:]] if count else plain
        return LIST_KEYS

    def _several_keys(self, row: Row, wide: bool) -> compose.Keys:
        """They say how many each would answer: only what was shown is approved."""
        board = self._popup.board
        waiting = sum(not one.ended for one in row.requests)
        no = sum(not one.ended and not one.joined for one in row.requests)
        yes = len(board.shown(self.detail.coming() if isinstance(self.detail, Together) else None))
        shown = f"{yes} of {waiting}" if yes < waiting else f"all {waiting}"
        if board.marks:
            shown, no = f"{len(board.targets())} marked", len(board.targets())
        if not wide:
            return [("a", f"yes to {shown}"), ("d", "no"), ("x", "each"), *NARROW_KEYS[3:]]
        return [("a", f"approve {shown}"), ("d", f"deny {no}"), ("x", "one by one"), *LIST_KEYS[4:]]

    def _bottom(self, frame: compose.Frame) -> list[Line]:
        popup, shape = self._popup, frame.shape
        style, said = popup.flash
        flash: Line = [(style, said)] if said else []
        keys = self._keys(shape.wide)
        if not shape.wide and popup.dialog is None and keys is LIST_KEYS:
            keys = NARROW_KEYS
        if shape.wide:
            marked = len(popup.board.marks)
            note: Line = [("class:key", f"{marked} marked")] if marked else []
            if popup.dialog is None and popup.board.rows and self.detail and not note:
                whole = self.detail.whole(shape.detail_rows, popup.clock())
                note = [] if whole else [("class:faint", "PgDn more" if popup.top == FOLDED else "PgUp PgDn")]
            out = [frame.middle(flash, note), frame.row(compose.key_line(keys, shape.inner))]
            return [*out, frame.bottom([])] if shape.framed else out
        if shape.framed:
            return [frame.bottom(flash or compose.key_line(keys, shape.inner))]
        return [fit(flash or compose.key_line(keys, shape.columns), shape.columns)]


# --- prompt_toolkit's tree ---


def layout(popup: Popup) -> Layout:
    canvas = Window(popup.canvas, always_hide_cursor=True)
    empty = Window()
    floating = Float(
        DynamicContainer(lambda: popup.dialog.editor.window if popup.dialog and popup.dialog.editor else empty),
        left=0,
        top=0,
        width=lambda: popup.canvas.editor_at[2] if popup.dialog and popup.dialog.editor else 0,
        height=lambda: popup.canvas.editor_at[3] if popup.dialog and popup.dialog.editor else 0,
    )
    root = Placed(popup, canvas, floating)
    return Layout(root, focused_element=canvas)


class Placed(FloatContainer):
    """Draws the canvas, then the editor where the canvas left room for it."""

    def __init__(self, popup: Popup, canvas: Window, floating: Float) -> None:
        super().__init__(canvas, floats=[floating])
        self._popup = popup
        self._floating = floating

    def _draw_float(self, fl, screen, mouse_handlers, write_position, style, erase_bg, z_index):  # type: ignore[no-untyped-def]
        """The canvas is drawn by now, and knows the place."""
        if self._popup.dialog and self._popup.dialog.editor:
            fl.top, fl.left = self._popup.canvas.editor_at[:2]
            super()._draw_float(fl, screen, mouse_handlers, write_position, style, erase_bg, z_index)


def focus(popup: Popup) -> None:
    """Keys go to the editor where there is one."""
    target = popup.dialog.editor.window if popup.dialog and popup.dialog.editor else popup.canvas
    popup.app.layout.focus(target)
