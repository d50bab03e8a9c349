"""Puts the popup together: title, list, detail, keys, for any size from 20x6 up.

Owns: which part gets which lines, and the frame. Must not own: state, keys, what a part says.
Everything returned is exactly as wide and as high as asked; the caller paints it as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tmux_agent.core import display, limits
from tmux_agent.core.model import Agent, AgentState
from tmux_agent.edges.ui import words
from tmux_agent.edges.ui.board import Board, Row
from tmux_agent.edges.ui.desk import Finished
from tmux_agent.edges.ui.styles import Lines
from tmux_agent.edges.ui.text import Fragment, Line, cells, cut, fit, literal, sides
from tmux_agent.services import local_time

WIDE = 72  # columns from which list and detail fit above each other
Keys = list[tuple[str, str]]  # key, word


@dataclass(frozen=True)
class Plan:
    """Where things go in one size."""

    columns: int
    rows: int
    framed: bool  # we draw a border; else tmux does, or there is no room
    wide: bool  # list above detail; else one request at a time
    list_rows: int
    detail_rows: int

    @property
    def inner(self) -> int:
        return self.columns - 4 if self.framed else self.columns


def plan(columns: int, rows: int, waiting: int, native: bool, whole: bool) -> Plan:
    """`native`: tmux draws the border. `whole`: the detail takes the list's place."""
    framed = not native and columns >= 24 and rows >= 7
    wide = columns >= WIDE and rows >= 14
    list_rows = 0
    if wide and not whole and waiting:
        list_rows = min(waiting, max(3, (rows - 5) // 3), max(1, rows - 11))
    bottom = (2 if framed else 1) + (1 if wide else 0) - (0 if wide or not framed else 1)
    detail_rows = rows - 1 - (list_rows + 1 if list_rows else 0) - bottom
    return Plan(columns, rows, framed, wide, list_rows, max(1, detail_rows))


class Frame:
    """Borders around lines."""

    def __init__(self, lines: Lines, shape: Plan) -> None:
        self.lines = lines
        self.shape = shape

    def rule(self, left: Line, right: Line, corners: tuple[str, str]) -> Line:
        """A horizontal line with words in it. Where tmux draws the border, the first one is only words."""
        across = self.lines.across
        room = self.shape.columns
        inside = room - 2 * (1 if self.shape.framed else 0)
        left = [("class:frame", across * 0), ("", " "), *left, ("", " ")] if left else []
        right = [("", " "), *right, ("", " ")] if right else []
        right = right if cells(right) + 6 <= inside else []
        left = cut(left, inside - cells(right))
        line: Line = [*left, ("class:frame", across * max(0, inside - cells(left) - cells(right))), *right]
        if not self.shape.framed:
            return line
        return [("class:frame", corners[0]), *line, ("class:frame", corners[1])]

    def top(self, left: Line, right: Line) -> Line:
        return self.rule(left, right, (self.lines.top_left, self.lines.top_right))

    def middle(self, left: Line, right: Line) -> Line:
        return self.rule(left, right, (self.lines.tee_left, self.lines.tee_right))

    def bottom(self, left: Line) -> Line:
        return self.rule(left, [], (self.lines.bottom_left, self.lines.bottom_right))

    def row(self, line: Line, lead: Fragment = ("", " ")) -> Line:
        """A line of content; `lead` is the cell left of it (the selection's bar)."""
        if not self.shape.framed:
            return fit([lead, *line] if lead[1].strip() else line, self.shape.columns)
        side = ("class:frame", self.lines.down)
        return [side, lead, *fit(line, self.shape.inner), ("", " "), side]


# --- the list ---


def list_lines(board: Board, shape: Plan, lines: Lines, now: datetime, top: int) -> list[tuple[Line, bool]]:
    """The visible rows as (line, selected); columns are as wide as what is in them."""
    visible = board.rows[top : top + shape.list_rows]
    room = shape.inner
    who = min(12, max(display.width(display.safe(words.who(row.approval.origin))) for row in visible))
    place = min(room // 7, max(display.width(display.safe(row.approval.origin.place[:200])) for row in visible))
    branch = min(room // 7, max(display.width(display.safe(row.approval.origin.branch[:200])) for row in visible))
    gaps = 2 * bool(place) + 2 * bool(branch)  # a column that nobody has anything in is left out
    out = []
    for row in visible:
        chosen = row.id == board.selected
        flex = room - who - place - branch - gaps - 21  # mark, gaps, risk and age
        origin = row.approval.origin
        strong = "class:chosen" if chosen else ""
        line: Line = [
            _state(row, board, lines),
            *fit(literal(words.who(origin)[:200], strong), who), ("", "  "),
            *fit(literal(origin.place[:200], "class:faint" if not chosen else ""), place), ("", "  " * bool(place)),
            *fit(literal(origin.branch[:200] or "-", "class:faint" if not chosen else ""), branch),
            ("", "  " * bool(branch)),
            *fit(_what(row, flex, strong), flex), ("", "  "),
            *fit(_risk(row), 8), ("", " "),
            *fit([("class:faint", _age(row, now))], 6, right=True),
        ]  # fmt: skip
        out.append((line, chosen))
    return out


def _state(row: Row, board: Board, lines: Lines) -> Fragment:
    if any(one.id in board.marks for one in row.requests):
        return ("class:key", f"{lines.mark} ")
    return ("class:faint", f"{lines.no if row.ended else ' '} ")


def _what(row: Row, room: int, strong: str) -> Line:
    if row.ended:
        was = literal(words.one_line(row.approval.action)[:200], "class:gone")
        return [("class:warn", display.safe(row.ended)), ("", "  "), *was]
    if row.several:
        return _alike(row, room, strong)
    return [(f"{strong} {style}".strip(), text) for style, text in words.summary(row.approval, room)]


def _alike(row: Row, room: int, strong: str) -> Line:
    """How many, and what they have in common."""
    waiting = [one.approval for one in row.requests if not one.ended]
    lines = [words.one_line(one.action, one.origin.cwd)[: words.SUMMARY_LIMIT] for one in waiting]
    count: Line = [("class:key", f"{len(waiting)}× "), ("", " ")]
    return [*count, (strong, display.middle(display.safe(words.in_common(lines)), room - cells(count)))]


def _risk(row: Row) -> Line:
    return [("class:faint", "ended")] if row.ended else [words.risk_word(row.approval)]


def _age(row: Row, now: datetime) -> str:
    return display.ago((now - row.approval.created).total_seconds())


# --- nothing waiting ---

_MARKS = {AgentState.ERROR: "class:warn", AgentState.WAITING: "class:medium", AgentState.WORKING: "class:good"}


def idle_lines(agents: list[Agent], recent: list[Finished], now: datetime, room: int, height: int) -> list[Line]:
    """What the agents do and how the last questions ended."""
    air: list[Line] = [[]] if height > 12 else []
    out: list[Line] = [*air, [("bold", "Nothing waits for you.")], []]
    narrow = room < WIDE
    past = recent[: 5 if height >= 14 else 3]
    left = max(1, height - len(out) - (len(past) + 2 if past else 0))
    shown = agents if len(agents) <= left else agents[: max(1, left - 1)]
    out += [_agent_line(agent, now, narrow) for agent in shown] or [[("class:faint", "No agent runs.")]]
    if len(shown) < len(agents):
        out.append([("class:faint", f"and {len(agents) - len(shown)} more")])
    if past:
        out += [[], [("class:label", "last decisions")]]
        out += [_finished_line(done, now, room, narrow) for done in past]
    return [cut(line, room) for line in out][:height]


def _agent_line(agent: Agent, now: datetime, narrow: bool) -> Line:
    since = display.ago((now - agent.since).total_seconds())
    line: Line = [*fit(literal(agent.name[:40] or agent.kind[:40]), 9), ("", " ")]
    state = (_MARKS.get(agent.state, "class:faint"), f"{'limit' if agent.limit else agent.state.value:<8}")
    line += [state, ("class:faint", f"{since:>6}  ")]
    if narrow:
        return [*line, *literal(agent.place[:80])]
    about = limits.line(agent, now, local_time.mine()) or agent.branch
    what = literal(about[:300], "class:faint")
    return [*line, *fit(literal(agent.place[:80]), 12), ("", "  "), *what]


def _finished_line(done: Finished, now: datetime, room: int, narrow: bool) -> Line:
    good = done.verdict in ("approved", "allowed")
    lead: Line = [("class:good" if good else "class:bad", f"{done.verdict:<9}"), ("", " ")]
    age = f"{display.ago((now - done.at).total_seconds()):>6}  "
    lead += [] if narrow else [*fit(literal(done.agent[:40]), 8), ("class:faint", age)]
    by = [] if narrow else [("", "  "), *literal(done.by[:60], "class:faint")]
    left = max(8, room - cells(lead) - cells(by))
    what = display.middle(display.safe(words.one_line(done.action)[: words.SUMMARY_LIMIT]), left)
    return sides([*lead, ("", what)], by, room)


# --- keys ---


def key_line(keys: Keys, room: int) -> Line:
    """As many keys with their words as fit; the last (help) always."""
    out: Line = []
    *most, last = keys
    gap = "   " if room >= WIDE else "  "
    tail: Line = [("class:key", last[0]), ("", f" {last[1]}" if last[1] else "")]
    for key, word in most:
        piece: Line = [("class:key", key), ("", f" {word}{gap}")]
        if cells(out) + cells(piece) + cells(tail) > room:
            break
        out += piece
    return [*out, *tail]
