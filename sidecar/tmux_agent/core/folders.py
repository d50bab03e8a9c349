"""In which folders a part of shell text may run, after every `cd` before it.

Owns following cd through lists, pipes and subshells. Must not own whether the folders are allowed. Where it
is not certain
that a cd happened, both folders are possible; where its target is not in the text, the folder is not known (None).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from . import paths, printed
from .facts import Lookup
from .shell_parts import Opaque, Part, Simple, Word

_LIMIT = 16
_MOVES = 16  # behind more of them the folder is not known: each part is held against each
Folders = tuple[str | None, ...]


def folders_of(parts: Sequence[Part], text: str, start: Sequence[str | None], home: str, look: Lookup) -> list[Folders]:
    """For each part the folders it may run in. `start`: those in which the text itself may run."""
    if not any(_moves(part) for part in parts[:-1]):
        return [tuple(start)] * len(parts)
    found: list[Folders] = []
    moves: list[int] = []
    straight = _is_straight(parts, text)
    first = re.match(r"\s*cd\s", text) is not None  # nothing decides whether it runs
    for index, part in enumerate(parts):
        folders: Folders = tuple(start)
        if len(moves) > _MOVES:
            found.append((None,))
            continue
        for move in moves:
            mover = parts[move]
            if _is_known(part) and isinstance(mover, Simple) and part.scope[: len(mover.scope)] != mover.scope:
                continue
            after = _left(found[: move + 1]) if _is_popd(mover) else _after(mover, found[move], home, look)
            alone = (straight and _stands_alone(parts[move])) or (first and move == 0)
            alone = alone and not _shares_doubt(parts, move, index)
            certain = _follows(parts, move, index) or (alone and _exist(after, look))
            before = () if certain else folders
            folders = tuple(dict.fromkeys((*before, *after)))
            if len(folders) > _LIMIT:
                folders = (None,)
        found.append(folders)
        if _moves(part):
            moves.append(index)
    return found


def _moves(part: Part) -> bool:
    return isinstance(part, Opaque) or _target(part) is not None


def _is_known(part: Part) -> bool:
    """Whether it is known where in the text this stands."""
    return isinstance(part, Simple) or bool(part.turns)


def _words(part: Simple) -> Sequence[Word]:
    """The words of a command, without `command`, `builtin` and `time` in front."""
    words = part.words
    while len(words) > 1 and words[0].text in ("command", "builtin", "time"):
        words = words[1:]
        while len(words) > 1 and words[0].text in ("-p", "--"):
            words = words[1:]
    return words


def _target(part: Part) -> Sequence[Word] | None:
    """The words behind cd and its kin; None for any other part."""
    if isinstance(part, Opaque):
        return None
    words = _words(part)
    return words[1:] if words and words[0].text in ("cd", "chdir", "pushd", "popd") else None


def _after(mover: Part, folders: Folders, home: str, look: Lookup) -> Folders:
    """Where a cd leads from each of the folders it may run in."""
    if isinstance(mover, Opaque):
        return (*folders, None) if _mentions_cd(mover) else folders
    target = [word for word in _target(mover) or () if word.text not in ("-P", "-L", "-e", "--")]
    if not target:
        return (home,)
    word = target[0]
    if len(target) == 1 and word.hole is not None and word.around == ("", ""):
        return tuple(printed.exactly(word.hole, folder, look) if folder else None for folder in folders)
    if len(target) > 1 or word.kind != "literal" or word.text.startswith(("-", "+")) or not word.text:
        return (None,)
    path = word.text
    if word.tilde:
        if path != "~" and not path.startswith("~/"):
            return (None,)
        path = home + path[1:]
    return tuple(place for folder in folders for place in _seen_from(folder, path))


def _is_popd(mover: Part) -> bool:
    return isinstance(mover, Simple) and _words(mover)[0].text == "popd"


def _left(found: Sequence[Folders]) -> Folders:
    """Where popd may lead: to what some pushd has left, so that a part in front ran there; with none it fails."""
    return tuple(dict.fromkeys(folder for folders in found for folder in folders))


def _mentions_cd(part: Opaque) -> bool:
    return any(word in part.source for word in ("cd", "pushd", "popd"))


def _seen_from(folder: str | None, path: str) -> Folders:
    if folder is None and not path.startswith("/"):
        return (None,)
    whole = paths.absolute(folder or "/", path)
    # A shell takes `..` away by text, the kernel by following links: both are possible.
    return (whole, paths.normal(whole)) if ".." in path.split("/") else (whole.rstrip("/") or "/",)


def _chain_start(parts: Sequence[Part], index: int) -> int:
    """Where the list of && and pipes that ends with this part begins; -1 where || or anything unread is in it."""
    while index > 0:
        part = parts[index]
        if part.joined == "||" or not _is_known(part):
            return -1
        if part.joined in ("", ";", "&"):
            return index
        index -= 1
    return 0 if _is_known(parts[0]) else -1


def _follows(parts: Sequence[Part], move: int, index: int) -> bool:
    """True where the part runs only if the cd succeeded."""
    start = _chain_start(parts, index)
    mover = parts[move]
    return 0 <= start <= move and isinstance(mover, Simple) and not mover.negated


def _is_straight(parts: Sequence[Part], text: str) -> bool:
    """True where all that decides whether a part runs is in the parts. Groups and loops are not in them, so none may be
    in the text."""
    if "{" in text or "(" in text or any(isinstance(part, Opaque) for part in parts):
        return False
    return not {"if", "then", "else", "for", "do"} & set(text.split())


def _stands_alone(mover: Part) -> bool:
    """True where nothing in front decides whether the cd runs, in a text that is straight."""
    return isinstance(mover, Simple) and not mover.negated and mover.joined in ("", ";")


def _shares_doubt(parts: Sequence[Part], move: int, index: int) -> bool:
    """True where cd and part stand in one list with a || in it: the part may run because the cd failed."""
    joins = [part.joined for part in parts[move + 1 : index + 1]]
    last = max((at for at, joined in enumerate(joins) if joined in (";", "&")), default=-1)
    return last < 0 and "||" in joins


def _exist(folders: Folders, look: Lookup) -> bool:
    return all(folder is not None and look.path(folder).kind == "folder" for folder in folders)
