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
_STREAMS = ('"/dev/stderr"', '"/dev/stdout"')


def why_not(program: str) -> str:
    """ "" where the program only computes and prints; else what it holds that does not, or that is not understood."""
    if re.search(r"\w\\\r?\n", program):
        return "an awk program with a word that goes over lines"
    at = 0
    before = ""  # the last token: "" (start), a name, an operator, "0" for a number, '"' for a string
    open_: list[str] = []  # token in front of each open parenthesis or brace
    printing: int | None = None  # depth of parentheses at which a print statement began
    while at < len(program):
        if program[at] == "/":
            kind = _slash(before)
            if kind == "?":
                return "an awk program with a / that can be read in two ways"
            if kind == "regex":
                found = _REGEX.match(program, at)
                if not found:
                    return "an awk program with a pattern that is not plain"
                at, before = found.end(), "/re/"
            else:
                at += 2 if program.startswith("/=", at) else 1
                before = "/"
            continue
        match = _TOKEN.match(program, at)
        if not match:
            return f"an awk program with {program[at]!r}, which is not understood"
        at, text, kind = match.end(), match[0], match.lastgroup or ""
        if kind in ("blank", "comment"):
            continue
        if kind == "newline":
            if before in _GOES_ON or (printing is not None and len(open_) > printing):
                continue
            printing = None
            before = "\n"
        elif kind == "number":
            before = "0"
        elif kind == "string":
            before = '"'
        elif kind == "name":
            if text in _REFUSED:
                return f"an awk program with {text}"
            if text in ("print", "printf"):
                printing = len(open_)
            before = text
        else:
            if text in ("|", "|&"):
                return "an awk program that pipes"
            if text in (">", ">>") and printing is not None and len(open_) <= printing:
                stream = next((s for s in _STREAMS if program[at:].lstrip(" \t").startswith(s)), "")
                rest = program[at:].lstrip(" \t")[len(stream) :].lstrip(" \t")
                if not stream or (rest and rest[0] not in ";}\n"):
                    return "an awk program that writes to a file"
            if text in "({[":
                open_.append(before)
                before = text
            elif text in ")}]":
                if not open_:
                    return "an awk program whose parentheses do not match"
                opener = open_.pop()
                before = "if)" if text == ")" and opener in _CONTROLS else text
            else:
                before = text
            if text in (";", "{", "}"):
                printing = None
    return "" if not open_ else "an awk program whose parentheses do not match"


def _slash(before: str) -> str:
    """What a `/` is behind this token: "divide", "regex", or "?" where awks may differ."""
    if before in ("++", "--", "$", "/re/") or before in _UNCLEAR:
        return "?"
    if before in _BEFORE_REGEX or before == "if)":
        return "regex"
    if before in ("0", '"', "]", ")") or before[:1].isalpha() or before[:1] == "_":
        return "divide"
    return "regex"
