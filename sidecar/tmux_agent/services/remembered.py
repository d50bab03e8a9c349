"""What is kept by name until it is too much; then all of it is forgotten. Owns its bounds, not what is kept."""

from __future__ import annotations

from typing import Generic, TypeVar

COUNT = 1000
LETTERS = 1 << 19  # of all names: what is kept of a text grows with it

T = TypeVar("T")
Name = tuple[str, ...]


class Remembered(Generic[T]):
    """For one thread."""

    def __init__(self) -> None:
        self._kept: dict[Name, T] = {}
        self._letters = 0

    def get(self, name: Name) -> T | None:
        return self._kept.get(name)

    def put(self, name: Name, value: T) -> None:
        """Keep `value`, in place of what was kept by that name."""
        if name not in self._kept:
            letters = sum(map(len, name))
            if len(self._kept) >= COUNT or self._letters + letters > LETTERS:
                self.clear()
            self._letters += letters
        self._kept[name] = value

    def clear(self) -> None:
        self._kept.clear()
        self._letters = 0
