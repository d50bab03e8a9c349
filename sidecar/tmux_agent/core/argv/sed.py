"""A sed script: does it only print? Reads the whole script with GNU's grammar and lists what is known to be harmless.

Owns the commands, addresses and flags of sed. Refused: w W r R e, the w and e flags of s, and whatever GNU sed and
others read differently. Source: sed(1) 4.9, POSIX sed.
"""

from __future__ import annotations

import re

_LABEL = re.compile(r"[ \t]*([A-Za-z0-9_]*)[ \t]*(?=[;\n}]|\Z)")
_NUMBER = re.compile(r"[0-9]+(~[0-9]+)?|\$")
_AFTER = re.compile(r"[ \t]*(?=[;\n}#]|\Z)")
_PLAIN = frozenset("=dDgGhHnNpPxzF")


class _Refused(Exception):
    pass


class _Script:
    def __init__(self, text: str) -> None:
        self.text = text
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

    def _delimited(self, delimiter: str) -> str:
        """Skip to behind the next unescaped delimiter. A bracket expression with the delimiter in it is read one way by
        GNU and another by BSD, so it is refused."""
        if not delimiter or delimiter in "\n\\":
            raise _Refused("a delimiter that is not known")
        start = self.at
        while True:
            char = self.peek()
            if not char or char == "\n":
                raise _Refused("a pattern that does not end")
            if char == "\\":
                self.at += 2
                continue
            self.at += 1
            if char == delimiter:
                break
        body = self.text[start : self.at - 1]
        if _open_bracket(body):
            raise _Refused("brackets that seds read differently")
        return body

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
            self._delimited(delimiter)
            self._delimited(delimiter)
        elif char in ("a", "i", "c") and char:
            self._text_block()
            return
        else:
            raise _Refused(f"the command {char or 'at the end'}, which does more than print")
        after = _AFTER.match(self.text, self.at)
        if not after:
            raise _Refused("text behind a command")
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


def _open_bracket(body: str) -> bool:
    """True where a `[` in the pattern has no `]`: then the delimiter that ended it may have stood inside brackets."""
    index = 0
    while index < len(body):
        if body[index] == "\\":
            index += 2
            continue
        if body[index] == "[":
            start = index + 1
            if body[start : start + 1] == "^":
                start += 1
            end = body.find("]", start + 1)
            while end > 0 and (opened := re.search(r"\[[:.=]", body[start:end])):
                inner = body[start + opened.start() + 1]
                closed = body.find(inner + "]", start + opened.end())
                if closed < 0:
                    return True
                start = closed + 2
                end = body.find("]", start)
            if end < 0:
                return True
            index = end
        index += 1
    return False


def why_not(script: str) -> str:
    """ "" where the script only prints; else what it holds that does not, or that is not understood."""
    reader = _Script(script)
    try:
        reader.run()
    except _Refused as why:
        return f"a sed script with {why}"
    return ""
