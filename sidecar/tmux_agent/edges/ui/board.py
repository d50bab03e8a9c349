"""What the popup shows and what may be answered: rows, selection, marks, and when a key counts.

Owns: that nothing moves under the finger. Rows keep their order, the selection follows its request, an ended request
stays until it is left, and an answer goes only to what was painted long enough ago to be seen. Many alike requests are
one row; each is approved only if it was shown whole. Must not own: drawing, what is alike (core/shapes.py), the
services, real time (the caller passes monotonic seconds).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tmux_agent.core.model import Approval, ApprovalState
from tmux_agent.core.shapes import Shape, shape
from tmux_agent.edges.ui import words
from tmux_agent.edges.ui.desk import Desk

SETTLE_S = 0.3  # a row that changed by itself takes no answer before it was on the screen this long
MANY = 4  # alike requests that come into sight together are one row from this number on


@dataclass(eq=False)
class Request:
    """One request in the list."""

    approval: Approval
    ended: str = ""  # how it ended without us, in words; empty while it waits
    shape: Shape | None = None
    joined: bool = False  # came to the others of its row, or changed, since the person looked

    @property
    def id(self) -> str:
        return self.approval.request_id


@dataclass(eq=False)
class Row:
    """One line of the list: one request, or several alike ones, oldest first. It has the name of its oldest."""

    requests: list[Request]

    def __post_init__(self) -> None:
        self.shape = self.requests[0].shape

    @property
    def id(self) -> str:
        return self.requests[0].id

    @property
    def approval(self) -> Approval:
        return self.requests[0].approval

    @property
    def ended(self) -> str:
        """How all of it ended; empty while one still waits."""
        return self.requests[0].ended if all(one.ended for one in self.requests) else ""

    @property
    def several(self) -> bool:
        return len(self.requests) > 1


Target = tuple[Request, str]  # a request and the digest that was painted


@dataclass
class Board:
    """The popup's state. `refresh` before each paint, `painted` after it."""

    desk: Desk
    start_at: str = ""  # request to select first, if it waits
    rows: list[Row] = field(default_factory=list)
    marks: dict[str, str] = field(default_factory=dict)  # request id → digest that was on the screen
    sending: set[str] = field(default_factory=set)  # answered by us, reply not here yet
    _row: Row | None = None  # the selected one
    _answered: set[str] = field(default_factory=set)
    _apart: set[Shape | None] = field(default_factory=set)  # shown one by one, as the person wished
    _listed: dict[str, str] = field(default_factory=dict)  # in the rows as last painted: request id → digest
    _shown: dict[str, str] = field(default_factory=dict)  # whole, while their row has been selected
    _detail: str = ""  # row whose requests `_shown` is about
    _opened: bool = False  # painted at least once
    _changed: bool = False  # the selected row changed by itself and is not painted yet
    _settled_at: float = 0.0

    # --- what there is ---

    def refresh(self) -> None:
        """Takes over what the desk knows now."""
        waiting = {approval.request_id: approval for approval in self.desk.pending()}
        for row in self.rows:
            for request in row.requests:
                self._update(row, request, waiting.pop(request.id, None))
        self._add([Request(one, shape=shape(one)) for one in waiting.values() if one.request_id not in self._answered])
        if self._row is None and self.rows:
            wanted = (row for row in self.rows if any(one.id == self.start_at for one in row.requests))
            self._row = next(wanted, self.rows[0])
            self._changed = self._opened

    def behind(self) -> bool:
        """Whether other requests wait than the rows say."""
        waiting = {approval.request_id: approval.digest for approval in self.desk.pending()}
        return waiting != {one.id: one.approval.digest for one in self._requests() if not one.ended}

    def _requests(self) -> Iterable[Request]:
        return (one for row in self.rows for one in row.requests)

    def _add(self, new: list[Request]) -> None:
        """To the row of those that are alike, else as rows at the end: what stands in the list stays where it is."""
        rows = {row.shape: row for row in self.rows if row.several}
        loose: dict[object, list[Request]] = {}
        for request in new:
            row = rows.get(request.shape) if request.shape is not None else None
            if row is not None:
                request.joined = self._opened
                row.requests.append(request)
            else:
                loose.setdefault(request.shape or request.id, []).append(request)
        made: list[Row] = []
        for alike in loose.values():
            one_row = len(alike) >= MANY and alike[0].shape not in self._apart
            made += [Row(alike)] if one_row else [Row([request]) for request in alike]
        place = {request.id: at for at, request in enumerate(new)}
        self.rows += sorted(made, key=lambda row: place[row.id])

    def _update(self, row: Row, request: Request, current: Approval | None) -> None:
        if current is not None:
            changed = current.digest != request.approval.digest or bool(request.ended)
            if changed:
                request.shape, request.joined = shape(current), row.several
                row.shape = row.shape if row.several else request.shape
            request.approval, request.ended = current, ""
        elif request.id in self.sending or request.ended:
            return
        else:
            found = self.desk.find(request.id)
            request.ended = words.ending(found)
            if found is not None and found.state is not ApprovalState.PENDING:
                request.approval = found
            self.marks.pop(request.id, None)
            changed = True
        if changed and row is self._row:
            self._changed = True

    def current(self) -> Row | None:
        return self._row

    @property
    def selected(self) -> str:
        """Name of the selected row; empty where there is none."""
        return self._row.id if self._row is not None else ""

    def position(self) -> int:
        """Index of the selected row; 0 where there is none."""
        return self.rows.index(self._row) if self._row in self.rows else 0

    def waiting(self) -> int:
        return sum(not one.ended for one in self._requests())

    # --- moving: only the person does ---

    def move_to(self, index: int) -> None:
        """Selects a row; requests that ended meanwhile leave the list now."""
        if self.rows:
            self._select(self.rows[min(max(index, 0), len(self.rows) - 1)])
            self._drop_ended()

    def move(self, delta: int) -> None:
        self.move_to(self.position() + delta)

    def select(self, request_id: str) -> bool:
        """Selects the row of a request, by a key that was not pressed in this list: it takes no answer at once. False:
        it does not wait."""
        row = next((one for one in self.rows if any(each.id == request_id for each in one.requests)), None)
        if row is not None:
            self._select(row)
            self._changed = True
        return row is not None

    def looked(self) -> None:
        """The person moved within the row: what joined it counts from the next paint on."""
        for one in self._row.requests if self._row is not None else ():
            one.joined = False

    def _select(self, row: Row) -> None:
        if row is not self._row:
            self._row, self._shown, self._detail = row, {}, ""
        self._changed = False
        self.looked()

    def _drop_ended(self) -> None:
        for row in self.rows:
            if row is not self._row:
                row.requests = [one for one in row.requests if not one.ended]
        self.rows = [row for row in self.rows if row.requests]

    def regroup(self) -> bool:
        """A row of several becomes a row for each; a row of one takes in all that are alike. False: there are none."""
        row = self._row
        if row is None or (row.ended and not row.several):
            return False
        at = self.rows.index(row)
        if row.several:
            self._apart.add(row.shape)
            self.rows[at : at + 1] = [Row([request]) for request in row.requests]
        else:
            alike = [one for one in self.rows if one.shape == row.shape and row.shape is not None and not one.ended]
            if len(alike) < 2:
                return False
            self._apart.discard(row.shape)
            gathered = Row([request for one in alike for request in one.requests])
            self.rows = [gathered if one is row else one for one in self.rows if one is row or one not in alike]
            at = self.rows.index(gathered)
        self._select(self.rows[at])
        return True

    # --- painting ---

    def painted(
        self, visible: Iterable[str], now: float, detail: str = "", whole: Mapping[str, str] | None = None
    ) -> None:
        """The rows `visible` were drawn and the action of row `detail`, at monotonic `now`. `whole`: of a row of
        several, each request of which everything was drawn by now, with the digest it had."""
        self._opened = True
        drawn = set(visible)
        self._listed = {one.id: one.approval.digest for row in self.rows if row.id in drawn for one in row.requests}
        if detail != self._detail or self._row is None or detail != self._row.id:
            self._shown = {}
        self._detail = detail
        row = self._row
        if row is not None and row.id == detail:
            digests = {row.id: row.approval.digest} if whole is None or not row.several else whole
            counts = {one.id for one in row.requests if not one.joined}
            self._shown |= {id_: digest for id_, digest in digests.items() if id_ in counts}
            if self._changed:
                self._changed = False
                self._settled_at = now + SETTLE_S

    def answerable(self, now: float) -> bool:
        """Whether a key may answer or mark the selected row: it was painted, and did not just change by itself."""
        seen = bool(self.selected) and self._detail == self.selected
        return seen and not self._changed and now >= self._settled_at

    def shown(self, coming: Mapping[str, str] | None = None) -> list[Target]:
        """What was shown whole of the selected row and still waits; with what is being painted: `coming`."""
        row, whole = self._row, {**self._shown, **(coming or {})}
        if row is None:
            return []
        counts = [one for one in row.requests if not one.ended and not one.joined and one.shape == row.shape]
        return [(one, whole[one.id]) for one in counts if one.id in whole]

    def digest(self) -> str:
        """Of the selected request, as it was painted."""
        return self._shown.get(self.selected, "")

    # --- marks and answers ---

    def toggle_mark(self) -> None:
        """Of what was shown of the selected row: all, or none where all are marked."""
        shown = {request.id: digest for request, digest in self.shown()}
        if shown and all(self.marks.get(id_) == digest for id_, digest in shown.items()):
            for id_ in shown:
                del self.marks[id_]
        else:
            self.marks |= shown

    def targets(self) -> list[Target]:
        """What a yes goes to, each with its painted digest: what is marked and on the screen, else what was shown of
        the selected row."""
        return self._marked() if self.marks else self.shown()

    def refusable(self) -> list[Target]:
        """What a no goes to: the same, but of a row of several also what was not shown whole, for a no does nothing."""
        row = self._row
        if self.marks or row is None or not row.several:
            return self.targets()
        waiting = [one for one in row.requests if not one.ended and not one.joined]
        return [(one, self._listed[one.id]) for one in waiting if one.id in self._listed]

    def _marked(self) -> list[Target]:
        marked = [(one, self.marks[one.id]) for one in self._requests() if one.id in self.marks and not one.ended]
        return [(one, digest) for one, digest in marked if self._listed.get(one.id) == digest]

    def answered(self, request_id: str) -> None:
        """Our answer counted: the request leaves, and where its row is empty the next one is selected."""
        self.sending.discard(request_id)
        self.marks.pop(request_id, None)
        self._answered.add(request_id)
        for at, row in enumerate(self.rows):
            left = [one for one in row.requests if one.id != request_id]
            if len(left) == len(row.requests):
                continue
            if row is self._row:
                self._changed = True
                self._detail = ""
            if not all(one.ended for one in left):
                row.requests = left
            else:
                del self.rows[at]
                if row is self._row:
                    after = [one for one in self.rows[at:] if not one.ended]
                    before = [one for one in self.rows[:at] if not one.ended]
                    self._row = next(iter((*after[:1], *before[-1:])), None)
                    self._shown = {}
            break
        self._drop_ended()
