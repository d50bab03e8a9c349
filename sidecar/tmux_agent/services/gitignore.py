"""Whether .gitignore files name a path, for tools that skip what they name (ripgrep, fd).

Owns reading the .gitignore files of one repository from its top down to a path. Careful in one direction: what is not
plainly ignored counts as read; .ignore and .rgignore files, which may bring things back, end it. Source: gitignore(5).
"""

from __future__ import annotations

import os
import re

_LIMIT = 1 << 20
_FILES = (".gitignore", ".ignore", ".rgignore", ".fdignore", ".git/info/exclude")
_Patterns = list[tuple[bool, bool, re.Pattern[str]]]  # (brings back, folders only, over the path below the file)


class Ignores:
    """Answers for many paths; `files` are all that the answers rest on, there or not."""

    def __init__(self) -> None:
        self.files: dict[str, None] = {}
        self._read: dict[str, _Patterns | None] = {}
        self._tops: dict[str, str | None] = {}

    def names(self, path: str, start: str) -> bool:
        """True where a search that begins in the folder `start` skips the file at this absolute path.

        A folder that was named outright is searched although it is ignored itself: only what lies beneath counts.
        """
        folder = os.path.dirname(path)
        top = self._top(folder)
        if top is None:
            return False
        parts = path[len(top) :].strip("/").split("/")
        begun = len(start[len(top) :].strip("/").split("/")) if len(start) > len(top) else 0
        for depth in range(begun + 1, len(parts) + 1):
            ignored = self._names(top, parts[:depth], is_folder=depth < len(parts))
            if ignored is None:
                return False
            if ignored:
                return True
        return False

    def may_show(self, path: str) -> bool:
        """Whether an ignore file may bring back an entry (or a folder around it) whose name begins with a dot: what a
        `!` pattern fits is searched although it is hidden. Careful in the other direction: what is not plain may."""
        parts = path.strip("/").split("/")
        for depth in range(len(parts)):
            folder = "/" + "/".join(parts[:depth])
            tails = ["/".join(parts[depth:end]) for end in range(depth + 1, len(parts) + 1)]
            if any(self._brings_back(f"{folder.rstrip('/')}/{name}", tails) for name in _FILES):
                return True
        return False

    def _brings_back(self, file: str, tails: list[str]) -> bool:
        from .observe import read_regular

        self.files[file] = None
        if not os.path.lexists(file):
            return False
        data = read_regular(file, _LIMIT)
        if data is None:
            return True
        lines = [line.lstrip("\ufeff") for line in data.decode("utf-8", "replace").splitlines()]
        try:
            patterns = [pattern for line in lines if line.startswith("!") and (pattern := _pattern(line))]
        except re.error:
            return True
        unclear = any(line.startswith("!") and set(line) & set("[{\\") for line in lines)
        return unclear or any(expression.fullmatch(tail) for _, _, expression in patterns for tail in tails)

    def _top(self, folder: str) -> str | None:
        if folder not in self._tops:
            git = f"{folder}/.git"
            self.files[git] = None
            above = os.path.dirname(folder)
            self._tops[folder] = folder if os.path.lexists(git) else None if above == folder else self._top(above)
        return self._tops[folder]

    def _names(self, top: str, parts: list[str], *, is_folder: bool) -> bool | None:
        """Whether the entry itself is named, by the last pattern that fits; None where it cannot be told."""
        verdict = False
        folder = top
        for depth in range(len(parts)):
            patterns = self._patterns(folder)
            if patterns is None:
                return None
            below = "/".join(parts[depth:])
            for brings_back, folders_only, expression in patterns:
                if (is_folder or not folders_only) and expression.fullmatch(below):
                    verdict = not brings_back
            folder = f"{folder}/{parts[depth]}"
        return verdict

    def _patterns(self, folder: str) -> _Patterns | None:
        if folder not in self._read:
            self._read[folder] = self._load(folder)
        return self._read[folder]

    def _load(self, folder: str) -> _Patterns | None:
        from .observe import read_regular

        for name in (".ignore", ".rgignore", ".fdignore"):
            self.files[f"{folder}/{name}"] = None
            if os.path.lexists(f"{folder}/{name}"):
                return None
        path = f"{folder}/.gitignore"
        self.files[path] = None
        if not os.path.lexists(path):
            return []
        data = read_regular(path, _LIMIT)
        if data is None:
            return None
        try:
            return [pattern for line in data.decode("utf-8", "replace").splitlines() if (pattern := _pattern(line))]
        except re.error:
            return None


def _pattern(line: str) -> tuple[bool, bool, re.Pattern[str]] | None:
    text = re.sub(r"(?<!\\)[ \t]+$", "", line)
    if not text or text.startswith("#"):
        return None
    brings_back = text.startswith("!")
    text = text.removeprefix("!")
    folders_only = text.endswith("/")
    text = text.rstrip("/")
    anchored = "/" in text
    text = text.removeprefix("/")
    if not text:
        return None
    return brings_back, folders_only, re.compile(("" if anchored else "(?:.*/)?") + _expression(text), re.DOTALL)


def _expression(text: str) -> str:
    out, at = [], 0
    while at < len(text):
        char = text[at]
        if text.startswith("**/", at):
            out.append("(?:.*/)?")
            at += 3
            continue
        if text.startswith("/**", at) and at + 3 == len(text):
            out.append("/.*")
            at += 3
            continue
        if char == "\\" and at + 1 < len(text):
            out.append(re.escape(text[at + 1]))
            at += 2
            continue
        end = text.find("]", at + 2) if char == "[" else -1
        if end > 0:
            inner = text[at + 1 : end].replace("\\", "\\\\").replace("[", "\\[")
            out.append("[" + ("^" + inner[1:] if inner[0] in "!^" else inner) + "]")
            at = end + 1
            continue
        out.append({"*": "[^/]*", "?": "[^/]"}.get(char, re.escape(char)))
        at += 1
    return "".join(out)
