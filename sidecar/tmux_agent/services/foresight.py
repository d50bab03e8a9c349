"""What would be decided, kept for as long as nothing that it rests on has changed; the kernel tells (changes.py).

Owns which decisions are kept, and the order that makes it sound: watched first, then looked at, then kept. Files whose
contents count are looked at again each time all the same (one can be written to without a word, through a shared
mapping); what the kernel's watch saves is looking for all else, which is most of it, and following links. Must not own
judging. Nothing is run on what is recalled here: before that the world itself is looked at (judgement.py).
"""

from __future__ import annotations

from ..core.model import Decision
from ..core.remembered import Name, Remembered
from .changes import Changes
from .moment import Marks, Moment, same

_PLACES = 100  # that a kept decision may rest on
_ASKED_AGAIN = 2  # so often with the same answer, it is worth watching what it rests on

Rests = tuple[object, ...]


class _Foreseen:
    """One decision. `held`: the count of changes at which it is known to hold."""

    __slots__ = ("decision", "held", "looks", "marks", "rests", "seen", "watched")

    def __init__(self, rests: Rests, decision: Decision) -> None:
        self.rests = rests
        self.decision = decision
        self.looks: dict[str, bool] = {}
        self.marks: Marks = ()
        self.seen = 0
        self.watched = self.held = -1


class Foresight:
    """For one thread. `name` says what is judged, `rests` all that it depends on besides policy and file system."""

    def __init__(self) -> None:
        self._changes = Changes()
        self._known: Remembered[_Foreseen] = Remembered()

    def now(self) -> int:
        """Of this moment; for the two others."""
        return self._changes.count()

    def recall(self, name: Name, rests: Rests, now: int) -> Decision | None:
        known = self._known.get(name)
        if known is None or known.held != now or known.rests != rests or not same(known.marks):
            return None
        return known.decision

    def note(self, name: Name, rests: Rests, decision: Decision, moment: Moment, now: int) -> None:
        """Just decided, by what was looked at in `moment`, which began after `now`."""
        known = self._known.get(name)
        if known is None or known.rests != rests or known.decision is not decision:
            self._known.put(name, _Foreseen(rests, decision))
        elif moment.blind or len(moment.looks) > _PLACES:
            known.seen = 0
        elif known.watched == now and known.looks == moment.looks:
            known.held, known.marks = now, moment.marks()
        else:
            self._watch(known, moment)

    def _watch(self, known: _Foreseen, moment: Moment) -> None:
        known.seen += 1
        if known.seen < _ASKED_AGAIN:
            return
        known.seen = 0
        before = self._changes.count()
        if self._changes.watch(moment.looks) and self._changes.count() == before:
            known.looks, known.watched = moment.looks, before

    def clear(self) -> None:
        """The policy is another, or may be."""
        self._known.clear()
