"""Colours for code: shell text, files by their name, unified diffs.

Owns: Pygments, and that colouring changes nothing of the text. Must not own: wrapping, what is shown.
The text is an agent's: it is bounded before a lexer sees it, only lexers that are listed here run, and where a lexer
does not give back the very text it was given, the text is shown plain.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.token import Token

from tmux_agent.core.blocks import language
from tmux_agent.core.display import lookalikes
from tmux_agent.edges.ui.text import Line, shown

CODE_LIMIT = 8192  # characters; above, plain
LINE_LIMIT = 1000  # a longer line is data, and what makes lexers slow

_STYLES = (
    (Token.Comment.Hashbang, "class:code.comment"),
    (Token.Comment, "class:code.comment"),
    (Token.Keyword.Constant, "class:code.number"),
    (Token.Keyword, "class:code.keyword"),
    (Token.Operator.Word, "class:code.keyword"),
    (Token.Literal.String, "class:code.string"),
    (Token.Literal.Number, "class:code.number"),
    (Token.Name.Builtin, "class:code.name"),
    (Token.Name.Function, "class:code.name"),
    (Token.Name.Class, "class:code.name"),
    (Token.Name.Tag, "class:code.keyword"),
    (Token.Operator, "class:code.operator"),
)


@lru_cache(maxsize=256)
def _style(token: Any) -> str:
    return next((style for kind, style in _STYLES if token in kind), "")


@lru_cache(maxsize=64)
def _lexer(name: str) -> Lexer:
    return get_lexer_by_name(name)


def code(text: str, name: str, style: str = "") -> Line:
    """`text` as safe fragments, newlines kept, coloured by lexer `name` where that is possible."""
    if not name or len(text) > CODE_LIMIT or max(map(len, text.split("\n"))) > LINE_LIMIT:
        return shown(text, style)
    if lookalikes(text):  # told by whole words, which tokens take apart
        return shown(text, style)
    tokens = [(kind, value) for _, kind, value in _lexer(name).get_tokens_unprocessed(text)]
    if "".join(value for _, value in tokens) != text:
        return shown(text, style)
    out: Line = []
    for kind, value in tokens:
        out.extend(shown(value, f"{style} {_style(kind)}".strip()))
    return out


def diff(text: str, path: str) -> Line:
    """A unified diff: signs and changed lines in colour, the code between in its own language's."""
    name = language(path) if len(text) <= CODE_LIMIT else ""
    out: Line = []
    for at, line in enumerate(text.split("\n")):
        if at:
            out.append(("", "\n"))
        if line.startswith(("diff ", "index ", "*** ")):  # "+++ x" may be a line "++ x"; the path stands above
            out.extend(shown(line, "class:faint"))
        elif line.startswith("@@"):
            out.extend(shown(line, "class:hunk"))
        elif line[:1] in ("+", "-"):
            sign = "class:plus" if line[0] == "+" else "class:minus"
            out.append((f"{sign} bold", line[0]))
            out.extend(code(line[1:], name, sign))
        else:
            out.append(("", line[:1]))
            out.extend(code(line[1:], name))
    return out
