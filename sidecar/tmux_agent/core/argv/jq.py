"""A jq (or yq) filter: does it only transform its input? jq can neither write nor run anything, but it can tell the
environment and load other files.

Owns the words of jq that reach beyond the input. Source: jq 1.7 manual; yq v4 operators.
"""

from __future__ import annotations

import re

_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_INTERPOLATION = re.compile(r"\\\(")
_WORD = re.compile(r"(\.\s*)?(\$?[A-Za-z_][A-Za-z0-9_]*)(\s*:)?")
# env and $ENV tell secrets; import, include and modulemeta read files; the rest is of yq or of later versions.
_REFUSED = frozenset(
    [
        "env",
        "$ENV",
        "$__prog_args",
        "input_filename",
        "import",
        "include",
        "modulemeta",
        "get_search_list",
        "strenv",
        "envsubst",
        "load",
        "load_str",
        "load_xml",
        "load_props",
        "load_base64",
        "eval",
        "system",
        "exec",
        "shell",
    ]
)


def why_not(program: str) -> str:
    """ "" where the filter only transforms what it reads; else what it holds that does more, or is not understood."""
    code = _STRING.sub(lambda m: " " + m[1] + " " if _INTERPOLATION.search(m[1]) else ' "" ', program)
    for dot, word, colon in _WORD.findall(code):
        field = (dot or colon) and not word.startswith("$")
        if word in _REFUSED and not field:
            return f"a filter with {word}"
    if code.count('"') % 2:
        return "a filter whose quotes do not match"
    return ""
