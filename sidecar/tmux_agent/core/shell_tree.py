"""The second opinion: does the tree-sitter grammar for bash see the same words and operators as our lexer?

tree-sitter-bash is a real grammar but not bash (it attaches `a && b 2>&1 | c` in the wrong place, and reads some
quoting differently), and our lexer is small; text is taken as understood only where both agree. Owns tree-sitter: no
other module imports it. Must not own what becomes of a disagreement (shell).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence

import tree_sitter
import tree_sitter_bash

from .shell_lex import REDIRECTS, Heredoc, Token

_parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_bash.language()))
_NON_ASCII = re.compile(r"[^\x00-\x7f]")
_COMMANDS = frozenset({"command", "declaration_command", "unset_command", "test_command", "variable_assignments"})
_WORDS = frozenset(
    {"word", "number", "string", "raw_string", "ansi_c_string", "concatenation", "command_name", "test_operator"}
    | {"variable_assignment", "variable_name", "special_variable_name", "regex", "extglob_pattern"}
    | {"simple_expansion", "expansion", "brace_expression", "process_substitution", "arithmetic_expansion"}
    | {"command_substitution"}
)
_INNER = _COMMANDS | frozenset(
    {"program", "list", "pipeline", "redirected_statement", "negated_command", "subshell", "compound_statement"}
    | {"file_redirect", "herestring_redirect", "if_statement", "elif_clause", "else_clause"}
    | {"for_statement", "while_statement", "do_group", "case_statement", "case_item"}
    | {"unary_expression", "binary_expression", "parenthesized_expression"}
)
_OPERATORS = frozenset({"&&", "||", "|", "|&", "&", ";", "(", ")", ";;", ";&", ";;&"}) | REDIRECTS
_CLOSING = frozenset({">&-", "<&-"})  # our lexer sees the - as a word

MAX_CHECKED = 8 * 1024  # characters; where tree-sitter mends errors its time grows with the square of the length


def disagreement(text: str, tokens: Iterable[Token], heredocs: Sequence[Heredoc], starts: set[int]) -> str:
    """Why the two readings of `text` differ, as a phrase for people; "" if they agree.

    `tokens` and `heredocs` are the lexer's, `starts` the offsets at which the grammar saw commands begin.
    """
    if len(text) - sum(doc.end - doc.start for doc in heredocs) > MAX_CHECKED:
        return "too long to check (over 8 KiB without its here-documents)"
    tree = _parser.parse(_masked(text, tokens, heredocs).encode())
    if tree.root_node.has_error:
        return "the bash grammar does not read it"
    seen = _Seen()
    unknown = seen.walk(tree.root_node)
    if unknown:
        return f"the bash grammar sees a {unknown}"
    words = {(token.start, token.end) for token in tokens if token.kind == "word"}
    operators = {token.end for token in tokens if token.kind == "op"}
    breaks = [token.start for token in tokens if token.kind == "newline"]
    if words != seen.words or operators != seen.operators:
        return "the bash grammar divides it into other words"
    if starts != set(seen.commands) or any(_holds(breaks, start, end) for start, end in seen.commands.items()):
        return "the bash grammar divides it into other commands"
    return ""


def _holds(places: list[int], start: int, end: int) -> bool:
    """Whether one of the ascending `places` lies strictly between."""
    after = bisect_right(places, start)
    return after < len(places) and places[after] < end


def _masked(text: str, tokens: Iterable[Token], heredocs: Sequence[Heredoc]) -> str:
    """The same text with every character one byte, and here-documents as input redirections without a body.

    tree-sitter-bash hangs what follows `<<E` on its line below the redirection, so those are the lexer's alone.
    """
    text = text if text.isascii() else _NON_ASCII.sub("x", text)
    if not heredocs and not any(token.draft is not None and token.draft.arith is not None for token in tokens):
        return text
    pieces = list(text)
    for token in tokens:
        if token.draft is not None and token.draft.arith is not None:
            pieces[token.start : token.end] = "x" * (token.end - token.start)
        if token.heredoc is not None:
            pieces[token.end - len(token.text) : token.end] = "<".rjust(len(token.text))
    for doc in heredocs:
        pieces[doc.start : doc.end] = " " * (doc.end - doc.start)
    return "".join(pieces)


class _Seen:
    """What the tree holds, in character offsets. `commands` maps start to end."""

    def __init__(self) -> None:
        self.words: set[tuple[int, int]] = set()
        self.operators: set[int] = set()
        self.commands: dict[int, int] = {}

    def walk(self, root: tree_sitter.Node) -> str:
        """Collects everything below `root`; the type of the first node that is not known here, or ""."""
        stack = [root]
        while stack:
            node = stack.pop()
            kind = node.type
            if kind in _WORDS:
                self.words.add((node.start_byte, node.end_byte))
                self._command_of_its_own(node, kind)
            elif kind in _INNER:
                self._command_of_its_own(node, kind)
                stack.extend(node.children)
            elif node.is_named:
                if kind not in {"comment", "file_descriptor"}:
                    return kind
            elif kind in _OPERATORS:
                self.operators.add(node.end_byte)
            elif kind in _CLOSING:
                self.operators.add(node.end_byte - 1)
                self.words.add((node.end_byte - 1, node.end_byte))
            else:
                self.words.add((node.start_byte, node.end_byte))
        return ""

    def _command_of_its_own(self, node: tree_sitter.Node, kind: str) -> None:
        alone = (kind == "variable_assignment" and _standing_alone(node)) or (
            kind == "redirected_statement" and node.child_by_field_name("body") is None
        )
        if alone or kind in _COMMANDS:
            self.commands[node.start_byte] = node.end_byte


def _standing_alone(node: tree_sitter.Node) -> bool:
    inside = {"command", "declaration_command", "variable_assignments"}
    return node.parent is not None and node.parent.type not in inside
