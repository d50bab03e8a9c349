"""A jq (or yq) filter: does it only transform its input? jq can neither write nor run anything, but it can tell the
environment and load other files.

Owns the words of jq that reach beyond the input, and where its strings, which may hold filters, begin and end.
Source: jq 1.7 manual; yq v4 operators.
"""

from __future__ import annotations

import re

_WORD = re.compile(r"(\.[ \t]*)?(\$?[A-Za-z_][A-Za-z0-9_]*)(\s*:)?")
# env and $ENV tell secrets; import, include and modulemeta read files; the rest is of yq or of later versions.
_REFUSED = frozenset(
    [
        "env",
        "$ENV",
        "$__prog_args",
        "import",
        "include",
        "modulemeta",
        "get_search_list",
        "strenv",
        "envsubst",
        "eval",
        "system",
        "exec",
        "shell",
    ]
)
# yq's ways to read a file, in all of their spellings: load, load_str, strload, str_load, xmlload, load_base64, …
_FORMAT = "str|xml|props|properties|base64|csv|tsv|json|yaml|toml|ini|lua|hcl|kyaml|uri"
_LOADS = re.compile(rf"load(_?({_FORMAT}))?|({_FORMAT})_?load", re.IGNORECASE)
_PAIRS = {")": "(", "]": "[", "}": "{"}


def why_not(program: str) -> str:
    """ "" where the filter only transforms what it reads; else what it holds that does more, or is not understood."""
    open_: list[str] = []  # brackets; \\( where a string was left for a filter within it
    at = 0
    in_string = False
    while at < len(program):
        char = program[at]
        if in_string:
            if program.startswith("\\(", at):
                open_.append("\\(")
                in_string = False
                at += 1
            elif char == "\\":
                at += 1
            elif char == '"':
                in_string = False
        elif char == '"':
            in_string = True
        elif char == "#":
            return "a filter with a comment, which versions of jq end in different places"
        elif char in "([{":
            open_.append(char)
        elif char in _PAIRS:
            opener = open_.pop() if open_ else ""
            in_string = opener == "\\(" and char == ")"
            if not in_string and opener != _PAIRS[char]:
                return "a filter whose brackets do not match"
        elif found := _WORD.match(program, at):
            if _is_refused(found[2]) and not _is_field(found, open_):
                return f"a filter with {found[2]}"
            at = found.end(2) - 1
        at += 1
    return "a filter whose quotes or brackets do not match" if in_string or open_ else ""


def _is_refused(word: str) -> bool:
    return word in _REFUSED or word.lower() in _REFUSED or _LOADS.fullmatch(word) is not None


def _is_field(found: re.Match[str], open_: list[str]) -> bool:
    """Whether a word names a field: behind a dot, or as a key where an object is made (not a bound of a slice)."""
    return not found[2].startswith("$") and bool(found[1] or (found[3] and open_[-1:] == ["{"]))
