"""An awk program: does it only compute and print? Tokens are enough: what could do more has a token of its own.

Owns awk's lexical grammar as far as gawk, mawk, BWK awk and busybox agree. Refused: system, getline, pipes, output
redirection, @ directives, changing ARGV, reading the environment, and any `/` of which it is not plain whether it
divides or begins a pattern. Source: POSIX awk, gawk manual 5.2.
"""

from __future__ import annotations

import re

_REFUSED = frozenset(
    [
        "system",
        "getline",
        "ENVIRON",
        "PROCINFO",
        "ARGV",
        "ARGC",
        "SYMTAB",
        "FUNCTAB",
        "extension",
        "readfile",
        "writefile",
    ]
)
_BEFORE_REGEX = frozenset(["print", "printf", "return", "in", "else", "do", "BEGIN", "END"])
_UNCLEAR = frozenset(
    [
        "length",
        "case",
        "exit",
        "delete",
        "next",
        "nextfile",
        "default",
        "BEGINFILE",
        "ENDFILE",
        "func",
        "function",
        "getline",
    ]
)
_GOES_ON = frozenset((",", "&&", "||", "{", "do", "else", "?", ":"))  # a new line behind these ends no statement
_CONTROLS = frozenset(("if", "while", "for", "switch"))
_TOKEN = re.compile(
    r"""(?P<blank>[ \t\r]+|\\\r?\n)|(?P<comment>\#[^\n]*)|(?P<newline>\n)
    |(?P<number>(?:0[xX][0-9a-fA-F]+|[0-9]+\.?[0-9]*(?:[eE][+-]?[0-9]+)?|\.[0-9]+(?:[eE][+-]?[0-9]+)?))
    |(?P<string>"(?:[^"\\\n]|\\.)*")
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<op>\|\||&&|\+\+|--|\*\*=|[-+*%^]=|==|!=|<=|>=|>>|!~|\*\*|\|&|[-+*%^!<>|?:~$=,;(){}\[\]])""",
    re.VERBOSE | re.DOTALL,
)
_REGEX = re.compile(r"/((?:[^/\\\n\[]|\\.|\[\^?\]?(?:[^\]\\/\n]|\\.)*\])*)/")
_UNBALANCED = "an awk program whose parentheses do not match"
_STREAMS = ('"/dev/stderr"', '"/dev/stdout"')


def why_not(program: str) -> str:
    """ "" where the program only computes and prints; else what it holds that does not, or that is not understood."""
    if re.search(r"\w\\\r?\n", program):
        return "an awk program with a word that goes over lines"
    return _Reading(program).why_not()


class _Reading:
    """One pass over a program, token by token."""

    def __init__(self, program: str) -> None:
        self._program = program
        self._at = 0
        self._before = ""  # the last token: "" (start), a name, an operator, "0" for a number, '"' for a string
        self._open: list[str] = []  # token in front of each open parenthesis or brace
        self._printing: int | None = None  # depth of parentheses at which a print statement began

    def why_not(self) -> str:
        while self._at < len(self._program):
            if why := self._slashed() if self._program[self._at] == "/" else self._token():
                return why
        return "" if not self._open else _UNBALANCED

    def _slashed(self) -> str:
        kind = _slash(self._before)
        if kind == "?":
            return "an awk program with a / that can be read in two ways"
        if kind == "regex":
            found = _REGEX.match(self._program, self._at)
            if not found:
                return "an awk program with a pattern that is not plain"
            self._at, self._before = found.end(), "/re/"
        else:
            self._at += 2 if self._program.startswith("/=", self._at) else 1
            self._before = "/"
        return ""

    def _token(self) -> str:
        match = _TOKEN.match(self._program, self._at)
        if not match:
            return f"an awk program with {self._program[self._at]!r}, which is not understood"
        self._at, text, kind = match.end(), match[0], match.lastgroup or ""
        if kind == "newline":
            self._newline()
        elif kind == "number":
            self._before = "0"
        elif kind == "string":
            self._before = '"'
        elif kind == "name":
            return self._name(text)
        elif kind == "op":
            return self._operator(text)
        return ""

    def _newline(self) -> None:
        if self._before not in _GOES_ON and not (self._printing is not None and len(self._open) > self._printing):
            self._printing = None
            self._before = "\n"

    def _name(self, text: str) -> str:
        if text in _REFUSED:
            return f"an awk program with {text}"
        if text in ("print", "printf"):
            self._printing = len(self._open)
        self._before = text
        return ""

    def _operator(self, text: str) -> str:
        if text in ("|", "|&"):
            return "an awk program that pipes"
        if text in (">", ">>") and self._writes():
            return "an awk program that writes to a file"
        if text in "({[":
            self._open.append(self._before)
            self._before = text
        elif text in ")}]":
            if not self._open:
                return _UNBALANCED
            opener = self._open.pop()
            self._before = "if)" if text == ")" and opener in _CONTROLS else text
        else:
            self._before = text
        if text in (";", "{", "}"):
            self._printing = None
        return ""

    def _writes(self) -> bool:
        """Whether what stands here redirects a print, to something else than a stream."""
        if self._printing is None or len(self._open) > self._printing:
            return False
        behind = self._program[self._at :].lstrip(" \t")
        stream = next((one for one in _STREAMS if behind.startswith(one)), "")
        rest = behind[len(stream) :].lstrip(" \t")
        return not stream or (rest != "" and rest[0] not in ";}\n")


def _slash(before: str) -> str:
    """What a `/` is behind this token: "divide", "regex", or "?" where awks may differ."""
    if before in ("++", "--", "$", "/re/") or before in _UNCLEAR:
        return "?"
    if before in _BEFORE_REGEX or before == "if)":
        return "regex"
    if before in ("0", '"', "]", ")") or before[:1].isalpha() or before[:1] == "_":
        return "divide"
    return "regex"
