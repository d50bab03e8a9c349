"""Repositories' own policy files: the policy with each on top, for as long as the file stays as it is.

Owns which of them are kept. Must not own reading them (policy_files.py), or what they add up to (core/policy_build.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from ..core import policy_build
from ..core.config import ConfigError
from ..core.policy_build import Layer
from ..core.situation import Policy
from .moment import Moment, Stamp
from .observe import follow
from .policy_files import PROJECT_FILE, PolicyFiles

PROJECTS = 64  # repositories whose own policy is kept; the oldest go
ERRORS = 20  # that are told of each


class _Project(Struct, frozen=True):
    """A repository's own file, as it was with that stamp: the policy with it, and what is wrong with it."""

    stamp: Stamp
    base: Policy
    policy: Policy
    errors: tuple[ConfigError, ...]


class ProjectPolicies:
    """For the thread that judges. `background`: files are read by others (Moment.left)."""

    def __init__(self, files: PolicyFiles, home: str, *, background: bool) -> None:
        self._files = files
        self._home = home
        self._background = background
        self._known: dict[str, _Project] = {}

    def policy_at(self, worktree: str, base: Policy, layers: Sequence[Layer], moment: Moment) -> Policy | None:
        """`base`, which is made of `layers`, with what the repository's file adds; `base` itself where it has none.

        None: its file has to be read first, which takes longer than everybody can wait: it is `moment.left`.
        """
        path = f"{worktree}/{PROJECT_FILE}"
        stamp = moment.stamp(follow(path, moment).real)
        if not stamp:
            return base
        made = self._as_of(worktree, stamp, base)
        if made is not None:
            return made.policy

        def read() -> tuple[str, _Project]:
            there = self._as_of(worktree, stamp, base)
            return path, there or self._made(Path(path), stamp, base, layers)

        found = moment.walked.get(path)
        if not isinstance(found, _Project) or found.stamp != stamp or found.base is not base:
            if self._background and moment.spare is not None:
                moment.left.append(read)
                return None
            _, found = read()
        self._known.pop(worktree, None)
        while len(self._known) >= PROJECTS:
            del self._known[next(iter(self._known))]
        self._known[worktree] = found
        return found.policy

    def _as_of(self, worktree: str, stamp: Stamp, base: Policy) -> _Project | None:
        known = self._known.get(worktree)
        return known if known is not None and known.stamp == stamp and known.base is base else None

    def _made(self, path: Path, stamp: Stamp, base: Policy, layers: Sequence[Layer]) -> _Project:
        """The policy with a repository's file on top; without it (and with its errors) where it has some."""
        layer, found = self._files.project(path)
        errors = list(found)
        policy = None
        if layer is not None:
            policy, wrong = policy_build.build([*layers, layer], self._home, examples=False)
            errors += wrong
        policy = policy or msgspec.structs.replace(base, defaults=base.defaults)
        return _Project(stamp, base, policy, tuple(errors[:ERRORS]))

    def policies(self) -> Iterator[Policy]:
        """Those that are kept."""
        return (one.policy for one in self._known.values())

    def errors(self) -> Iterable[ConfigError]:
        """What is wrong with the files that are kept."""
        return (error for one in self._known.values() for error in one.errors)

    def clear(self) -> None:
        """What they were built on is another."""
        self._known.clear()
