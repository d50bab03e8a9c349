"""What the popup shows and what may be answered: rows, selection, marks, and when a key counts.

Owns: that nothing moves under the finger. Rows keep their order, the selection follows its request, an ended request
stays until it is left, and an answer goes only to what was painted long enough ago to be seen. Must not own: drawing,
the services, real time (the caller passes monotonic seconds).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tmux_agent.core.model import Approval, ApprovalState
from tmux_agent.edges.ui import words
from tmux_agent.edges.ui.desk import Desk

SETTLE_S = 0.3  # a row that changed by itself takes no answer before it was on the screen this long


@dataclass
class Row:
    approval: Approval
    ended: str = ""  # how it ended without us, in words; empty while it waits

    @property
    def id(self) -> str:
        return self.approval.request_id


@dataclass
class Board:
    """The popup's state. `refresh` before each paint, `painted` after it."""

    desk: Desk
    start_at: str = ""  # request to select first, if it waits
    rows: list[Row] = field(default_factory=list)
    selected: str = ""
    marks: dict[str, str] = field(default_factory=dict)  # request id → digest that was on the screen
    sending: set[str] = field(default_factory=set)  # answered by us, reply not here yet
    _answered: set[str] = field(default_factory=set)
    _seen: dict[str, str] = field(default_factory=dict)  # as last painted: request id → digest
    _seen_detail: tuple[str, str] = ("", "")
    _opened: bool = False  # painted at least once
    _changed: bool = False  # the selected row changed by itself and is not painted yet
    _settled_at: float = 0.0

    # --- what there is ---

    def refresh(self) -> None:
        """Takes over what the desk knows now."""
        waiting = {approval.request_id: approval for approval in self.desk.pending()}
        for row in self.rows:
            self._update(row, waiting.pop(row.id, None))
        self.rows += [Row(approval) for id_, approval in waiting.items() if id_ not in self._answered]
        self.rows = [row for row in self.rows if row.id not in self._answered or row.id == self.selected]
        if not self.selected and self.rows:
            wanted = (row.id for row in self.rows if row.id == self.start_at)
            self.selected = next(wanted, self.rows[0].id)
            self._changed = self._opened

    def behind(self) -> bool:
        """Whether other requests wait than the rows say."""
        waiting = {approval.request_id: approval.digest for approval in self.desk.pending()}
        return waiting != {row.id: row.approval.digest for row in self.rows if not row.ended}

    def _update(self, row: Row, current: Approval | None) -> None:
        if current is not None:
            changed = current.digest != row.approval.digest or bool(row.ended)
            row.approval, row.ended = current, ""
        elif row.id in self.sending or row.ended:
            return
        else:
            found = self.desk.find(row.id)
            row.ended = words.ending(found)
            if found is not None and found.state is not ApprovalState.PENDING:
                row.approval = found
            self.marks.pop(row.id, None)
            changed = True
        if changed and row.id == self.selected:
            self._changed = True

    def current(self) -> Row | None:
        return next((row for row in self.rows if row.id == self.selected), None)

    def position(self) -> int:
        """Index of the selected row; 0 where there is none."""
        return next((at for at, row in enumerate(self.rows) if row.id == self.selected), 0)

    def waiting(self) -> int:
        return sum(not row.ended for row in self.rows)

    # --- moving: only the person does ---

    def move_to(self, index: int) -> None:
        """Selects a row; requests that ended meanwhile leave the list now."""
        if not self.rows:
            return
        self.selected = self.rows[min(max(index, 0), len(self.rows) - 1)].id
        self._changed = False
        self._drop_ended()

    def move(self, delta: int) -> None:
        self.move_to(self.position() + delta)

    def _drop_ended(self) -> None:
        self.rows = [row for row in self.rows if not row.ended or row.id == self.selected]

    # --- painting ---

    def painted(self, visible: list[str], now: float, detail: str = "") -> None:
        """`visible` rows were drawn, `detail` in full, at monotonic `now`."""
        self._opened = True
        digests = {row.id: row.approval.digest for row in self.rows}
        self._seen = {id_: digests[id_] for id_ in visible if id_ in digests}
        self._seen_detail = (detail, digests.get(detail, ""))
        if self._changed and detail == self.selected:
            self._changed = False
            self._settled_at = now + SETTLE_S

    def answerable(self, now: float) -> bool:
        """Whether a key may answer or mark the selected row: it was painted, and did not just change by itself."""
        seen = bool(self.selected) and self._seen_detail[0] == self.selected
        return seen and not self._changed and now >= self._settled_at

    def digest(self) -> str:
        """Of the selected action, as it was painted."""
        return self._seen_detail[1]

    # --- marks and answers ---

    def toggle_mark(self) -> None:
        row = self.current()
        if row is None or row.ended:
            return
        if self.marks.pop(row.id, None) is None:
            self.marks[row.id] = self.digest()

    def targets(self) -> list[tuple[Row, str]]:
        """What an answer goes to, each with its painted digest: marked rows on the screen, else the selected one."""
        if self.marks:
            marked = [(row, self.marks[row.id]) for row in self.rows if row.id in self.marks]
            return [(row, digest) for row, digest in marked if self._seen.get(row.id) == digest and not row.ended]
        row = self.current()
        return [(row, self.digest())] if row and not row.ended else []

    def answered(self, request_id: str) -> None:
        """Our answer counted: its row leaves, and the next one is selected."""
        self.sending.discard(request_id)
        self.marks.pop(request_id, None)
        self._answered.add(request_id)
        at = next((at for at, row in enumerate(self.rows) if row.id == request_id), None)
        if at is None:
            return
        del self.rows[at]
        if request_id == self.selected:
            after = [row.id for row in self.rows[at:] if not row.ended]
            before = [row.id for row in self.rows[:at] if not row.ended]
            self.selected = (after[:1] or before[-1:] or [""])[0]
            self._changed = True
        self._drop_ended()
