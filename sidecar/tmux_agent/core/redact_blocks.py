"""Secrets that stand below their name: YAML blocks and lists, triple quotes, here-documents.

Owns these forms only; what counts as a name is told by redact.py, which calls this. Pure, and linear in the text: what
was looked at once is not looked at again. Lines of a diff keep their first character.
"""

from __future__ import annotations

import re

_END = re.compile(r"\r?\n|\\r?\\n|\\n")  # also as it is written in a string of JSON or code
_INDENT = re.compile(r"[+-]?(?:[ \t]|-(?=[ \t]))*+")
_ALONE = re.compile(r"[+\- \t]*+[\"']?[\w.-]*+")
_TAGS = r"(?:[&!][^\s]{0,60}[ \t]{1,8}){0,2}"
_SCALAR = re.compile(r"[+\- \t]*+(?:\"[^\"]{0,4096}\"|'[^']{0,4096}'|[^\s:=\"'{}()\[\]#]{4,4096})[ \t]*,?[ \t]*")
_BEFORE = 200  # characters that may stand before a name on its line


class Blocks:
    """`label`: the pattern of a name that says a secret follows; `mark` is put in place of it."""

    def __init__(self, label: str, mark: str) -> None:
        self._mark = mark
        self._opens = re.compile(
            rf"{label}[\"']?[ \t]{{0,4}}[:=][ \t]{{0,8}}{_TAGS}"
            r"(?:(?P<block>[|>][-+0-9]{0,3})|(?P<list>[\[(])|<<[-~]?[\"']?(?P<word>\w{1,40})[\"']?"
            r"|(?P<quotes>\"\"\"|''')|(?P<bare>))[ \t]{0,200}(?:\#[^\n\\]{0,200})?(?P<end>\r?\n|\\r?\\n|\\n)",
            re.IGNORECASE,
        )

    def hide(self, text: str) -> str:
        """`text` with every such secret replaced by the mark, on a line of its own."""
        kept, done = [], 0
        for opened in self._opens.finditer(text):
            if opened.start() < done:
                continue
            start, end = opened.end(), self._until(text, opened)
            if end > start:
                indent = _INDENT.match(text, start)
                kept.append(text[done:start] + (indent[0] if indent else "") + self._mark)
                done = end
        return "".join([*kept, text[done:]]) if kept else text

    def _until(self, text: str, opened: re.Match[str]) -> int:
        """Where the secret ends."""
        at = opened.end()
        if stop := opened["word"] or opened["quotes"]:
            found = re.compile(_last(stop)).search(text, opened.start("end"))
            return found.start() if found else len(text)
        before = text[max(0, opened.start() - _BEFORE) : opened.start()]
        line = _END.split(before)[-1] + opened[0]
        if opened["bare"] is not None and not _ALONE.fullmatch(_END.split(before)[-1]):
            return at  # `if token:` and `class Token:` are code
        depth, end = _depth(line), at
        while at < len(text):
            found = _END.search(text, at)
            stop_at = found.start() if found else len(text)
            if _INDENT.sub("", text[at:stop_at], count=1).strip():
                if _depth(text[at:stop_at]) <= depth or not (opened["block"] or _SCALAR.fullmatch(text[at:stop_at])):
                    break
                end = stop_at
            at = found.end() if found else len(text)
        return end


def _last(stop: str) -> str:
    return stop if stop[0] in "\"'" else rf"(?:\r?\n|\\r?\\n|\\n)[+\- \t]{{0,200}}{stop}(?=\s|\\|\Z)"


def _depth(line: str) -> int:
    found = _INDENT.match(line)
    return found.end() if found else 0
