"""What is kept by name until it is too much; then all of it is forgotten. Owns its bounds, not what is kept."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

COUNT = 1000
LETTERS = 1 << 19  # of all names: what is kept of a text grows with it

T = TypeVar("T")
Name = tuple[str, ...]


class Remembered(Generic[T]):
    """For one thread."""

    def __init__(self, count: int = COUNT) -> None:
        self._kept: dict[Hashable, T] = {}
        self._count = count
        self._letters = 0

    def get(self, name: Hashable) -> T | None:
        return self._kept.get(name)

    def put(self, name: Name, value: T) -> None:
        """Keep `value`, in place of what was kept by that name."""
        self.keep(name, value, sum(map(len, name)))

    def keep(self, name: Hashable, value: T, letters: int) -> None:
        """The same for a name that consists of other things, too, of so many letters."""
        if name not in self._kept:
            if len(self._kept) >= self._count or self._letters + letters > LETTERS:
                self.clear()
            self._letters += letters
        self._kept[name] = value

    def clear(self) -> None:
        self._kept.clear()
        self._letters = 0
