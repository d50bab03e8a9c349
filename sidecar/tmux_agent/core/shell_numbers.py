"""Which commands print nothing but a number, by their text as it stands in a `$(…)`.

Owns the table of such commands. Must not own what follows from it (shell_word, words). bash computes with what it
finds in arithmetic, commands in subscripts included: each form here has to print digits whatever the files hold.
"""

from __future__ import annotations

import re

from .shell_parts import Source, Value

NUMBER = Source("", number=True, sure=True)
_COUNT = re.compile(
    r"[^;&|#\\\n(){}]+(?:\|[^;&|#\\\n(){}]+)*\| *(?:wc -[lwcm]|grep -c [\w.-]+) *"
    r"| *wc -[lwcm] *< *[\w./$\"{}-]+ *"
    r"| *git rev-list(?: --no-merges)? --count (?:[\w./~^@ -]|\"[\w./~^@-]*(?:\$\w+[\w./~^@-]*)+\")+ *"
    r"| *grep -c[iEFwxv]* (?:'(?!-)[^'\n]*'|\"(?!-)[^\"$`\\\n]+\"|(?!-)[\w.:=-]+) (?!-)[\w./-]+ *"
    r"| *date (?:-u )?\+'?%[sjmdHMSYuy]'? *| *nproc *| *git log -1 --format=%[ca]t(?: [\w./-]+)? *"
    r"| *stat -c '?%[sYXug]'? (?!-)[\w./-]+ *"
)
_FLAGS = r"(?: -[inEFwxvo]+)*"  # of grep: without names of files in front of what it prints
_SOUGHT = r"(?:'(?!-)[^'\n]*'|\"(?!-)[^\"$`\\\n]+\"|(?!-)[\w.:=/-]+)"
_ENDS = r"(?: *\| *(?:head|tail) (?:-n ?)?-?[0-9]+)*"
# Numbers of lines; of a file that is not text grep says so instead, in words.
_PLACES = re.compile(
    rf" *grep{_FLAGS} -[inEFwxm]*n[inEFwx]*(?: -m ?[0-9]+)?{_FLAGS} {_SOUGHT} (?!-)[\w./-]+(?: 2>/dev/null)?"
    rf"{_ENDS} *\| *cut (?:-d: -f ?1|-f ?1 -d ?:|-d ':' -f ?1){_ENDS} *"
)
_SEQUENCE = re.compile(r" *seq(?: +-?[0-9]+){1,3} *")
_DIGITS = re.compile(r"[+-]?[0-9]{1,18}")


def is_number(value: Value) -> bool:
    """Whether arithmetic with this value computes nothing but numbers."""
    if isinstance(value, str):
        return _DIGITS.fullmatch(value) is not None
    return value is not None and (is_count(value) or _PLACES.fullmatch(value.text) is not None)


def are_numbers(source: Source) -> bool:
    """Whether each line that is printed is a number."""
    return _SEQUENCE.fullmatch(source.text) is not None


def is_count(source: Source) -> bool:
    """Whether a text prints one number and nothing else, or nothing at all."""
    return source.number or _COUNT.fullmatch(source.text) is not None
