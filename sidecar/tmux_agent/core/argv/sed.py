"""A sed script: does it only print? Reads the whole script with GNU's grammar and lists what is known to be harmless.

Owns the commands, addresses and flags of sed. Refused: w W r R e, the w and e flags of s, and whatever GNU sed and
others read differently. Source: sed(1) 4.9, POSIX sed.
"""

from __future__ import annotations

import re

_LABEL = re.compile(r"[ \t]*([A-Za-z0-9_]*)[ \t]*(?=[;\n}]|\Z)")
_NUMBER = re.compile(r"[0-9]+(~[0-9]+)?|\$")
_AFTER = re.compile(r"[ \t]*(?=[;\n}#]|\Z)")
_BRACKET = re.compile(r"\[\^?\]?(?:\[[:.=][^\n\]]*[:.=]\]|[^\]\n])*\]")
_PLAIN = frozenset("=dDgGhHnNpPxzF")


class _Refused(Exception):
    """`harmful`: what was found writes, runs or reads; otherwise sed itself would refuse the script."""

    def __init__(self, what: str, *, harmful: bool = False) -> None:
        super().__init__(what)
        self.harmful = harmful


class _Script:
    """`brackets`: a delimiter inside a bracket expression does not end the pattern (POSIX, GNU since 4.3)."""

    def __init__(self, text: str, *, brackets: bool) -> None:
        self.text = text
        self.brackets = brackets
        self.at = 0
        self.depth = 0

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def skip(self, chars: str) -> None:
        while self.peek() and self.peek() in chars:
            self.at += 1

    def run(self) -> None:
        while True:
            self.skip(" \t\n;")
            char = self.peek()
            if not char:
                break
            if char == "}":
                self.depth -= 1
                self.at += 1
                continue
            if char == "#":
                self._line()
                continue
            self._addresses()
            self._command()
        if self.depth:
            raise _Refused("braces that do not match")

    def _line(self) -> None:
        end = self.text.find("\n", self.at)
        self.at = len(self.text) if end < 0 else end

    def _addresses(self) -> None:
        if self._address():
            self.skip(" \t")
            if self.peek() == ",":
                self.at += 1
                self.skip(" \t")
                if self.peek() in ("+", "~") and self.peek():
                    self.at += 1
                if not self._address():
                    raise _Refused("an address that is not known")
        self.skip(" \t")
        while self.peek() == "!":
            self.at += 1
            self.skip(" \t")

    def _address(self) -> bool:
        found = _NUMBER.match(self.text, self.at)
        if found:
            self.at = found.end()
            return True
        if self.peek() == "/":
            self.at += 1
            self._delimited("/")
        elif self.peek() == "\\":
            delimiter = self.text[self.at + 1 : self.at + 2]
            self.at += 2
            self._delimited(delimiter)
        else:
            return False
        while self.peek() and self.peek() in "IM":
            self.at += 1
        return True

    def _delimited(self, delimiter: str, *, pattern: bool = True) -> None:
        """Skip to behind the next delimiter that ends the pattern or text."""
        if not delimiter or delimiter in "\n\\":
            raise _Refused("a delimiter that is not known")
        while True:
            char = self.peek()
            if not char or char == "\n":
                raise _Refused("a pattern that does not end")
            if char == "[" and pattern and self.brackets and delimiter != "[":
                self._bracket()
                continue
            self.at += 2 if char == "\\" else 1
            if char == delimiter:
                return

    def _bracket(self) -> None:
        """Skip a bracket expression; [:class:] and a leading ] are part of it."""
        found = _BRACKET.match(self.text, self.at)
        if not found:
            raise _Refused("brackets that do not end")
        self.at = found.end()

    def _command(self) -> None:
        char = self.peek()
        self.at += 1
        if char == "{":
            self.depth += 1
            return
        if char in _PLAIN and char:
            pass
        elif char in ("l", "q", "Q") and char:
            self.skip(" \t0123456789")
        elif char in ("b", "t", "T", ":") and char:
            self._label(char)
            return
        elif char == "s":
            self._substitute()
        elif char == "y":
            delimiter = self.peek()
            self.at += 1
            self._delimited(delimiter, pattern=False)
            self._delimited(delimiter, pattern=False)
        elif char in ("a", "i", "c") and char:
            self._text_block()
            return
        else:
            raise _Refused(f"the command {char or 'at the end'}, which does more than print", harmful=char in "wWrRev")
        after = _AFTER.match(self.text, self.at)
        if not after:
            raise _Refused("text behind a command", harmful=self.peek() in "we")
        self.at = after.end()

    def _label(self, command: str) -> None:
        found = _LABEL.match(self.text, self.at)
        if not found or (command == ":" and not found[1]):
            raise _Refused("a label that is not plain")
        self.at = found.end()

    def _substitute(self) -> None:
        delimiter = self.peek()
        self.at += 1
        self._delimited(delimiter)
        # The replacement may go over lines behind a backslash.
        while True:
            char = self.peek()
            if not char or char == "\n":
                raise _Refused("a substitution that does not end")
            self.at += 2 if char == "\\" else 1
            if char == delimiter:
                break
        while self.peek() and self.peek() in "gpiIM0123456789":
            self.at += 1

    def _text_block(self) -> None:
        """a, i and c take the rest of the line, and further lines behind a backslash."""
        while self.at < len(self.text):
            char = self.peek()
            self.at += 2 if char == "\\" else 1
            if char == "\n":
                return


def why_not(script: str) -> str:
    """ "" where the script only prints; else what it holds that does not, or that is not understood."""
    why = _try(script, brackets=True)
    if why is None and "[" in script:
        why = _try(script, brackets=False)
        why = why if why is not None and why.harmful else None
    return f"a sed script with {why}" if why is not None else ""


def _try(script: str, *, brackets: bool) -> _Refused | None:
    try:
        _Script(script, brackets=brackets).run()
    except _Refused as why:
        return why
    return None
