"""Shell text to parts: the one entry to the shell reader. Pure; what is not fully understood comes back as Opaque.

Owns limits, dialects and the rule that two readings must agree (shell_lex with shell_grammar, and tree-sitter through
shell_tree). Must not own what any command means (policy).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence, Set

from . import shell_tree
from .remembered import Remembered
from .shell_drafts import Turns
from .shell_grammar import Grammar
from .shell_lex import Lexer, Token
from .shell_parts import Assignment, Given, Opaque, Part, Redirect, Run, Simple, Source, Word
from .shell_word import WordDraft

__all__ = ["Assignment", "Opaque", "Part", "Redirect", "Simple", "Word", "parse", "read_ahead", "runs_of"]

MAX_BYTES = 256 * 1024
_OWN_NAMES = frozenset({"zsh", "fish"})  # shells in which also lower-case names mean something
_DIALECTS = frozenset({"bash", "sh", "dash", "ksh", "zsh", "fish"})
# Words that another shell reads differently although bash takes them as plain text.
_ZSH_WORD = re.compile(r"=|.*[\^#]|.*<[0-9]*-[0-9]*>|.*[:=]=|.*\*\*", re.DOTALL)
_ZSH_RESERVED = frozenset({"repeat", "foreach", "end", "nocorrect", "noglob", "always", "-", "do", "done"})
_FISH_WORD = re.compile(r"[\^%]|.*[\[\]{}?]|.*\*\*", re.DOTALL)
# In fish a backslash escapes inside single quotes too, but only another one and the quote.
_FISH_BACKSLASH = re.compile(r"'[^'\\]*(?:\\[^'\\][^'\\]*)+'")
_FISH_RESERVED = frozenset(
    {"begin", "end", "if", "for", "while", "switch", "case", "function", "and", "or", "not", "else", "!", "time"}
)
_FISH_OPERATORS = frozenset({"&&", "||", "|", ";", ">", ">>", "<", ">&"})
_NOT_IN_SH = frozenset(
    {"[[", "time", "pushd", "popd", "source", "builtin", "caller", "compgen", "declare", "dirs", "disown", "help"}
    | {"history", "let", "mapfile", "readarray", "shopt", "typeset"}
)
_POSIX_LACKS = frozenset({"|&", "&>", "&>>", "<<<", ";&", ";;&"})
_META_IN_COMMENT = re.compile(r"[;&|<>()$`\\'\"!{}*?\[]")
_NO_NUMBERS = re.compile(r"(?:[^%]|%%|%-?[0-9]*s)*", re.DOTALL)
_MOVES = frozenset({"cd", "chdir", "pushd", "popd"})
_SUBSTITUTIONS = 4  # within one
TOO_LONG = "too long to read (over 256 KiB)"  # why an Opaque is, of whose source the beginning is kept
_CACHED = 4096  # texts: 7 MB of such as agents run
_CACHED_LENGTH = 4096  # characters; longer texts are rare, and a cache of them would be an agent's to fill


def parse(text: str, dialect: str = "bash", given: Given = (), turns: Turns | None = None) -> tuple[Part, ...]:
    """The commands of `text` in order, as a shell of that dialect would run them.

    The result accounts for every character: what is neither part, separator, comment nor blank is covered by an Opaque.
    A text whose parts hold no Opaque and no opaque word is exactly what its parts say. Never raises. `given`: variables
    that the text sees. `turns`: what patterns in the headers of for loops become, by the loop's Opaque (`start`, and
    the texts of its `turns`).
    """
    if turns or len(text) > _CACHED_LENGTH:
        return _read(text, dialect, given, turns)
    name = (text, dialect, given)
    parts = _remembered.get(name)
    if parts is None:
        parts = _read(text, dialect, given)
        told = sum(len(value.text if isinstance(value, Source) else value) for _, value in given if value is not None)
        _remembered.keep(name, parts, len(text) + told)
    return parts


def read_ahead(text: str, dialect: str) -> None:
    """Read what is to be parsed soon, where it is remembered until then."""
    if len(text) <= _CACHED_LENGTH:
        parse(text, dialect)


def _read(text: str, dialect: str, given: Given = (), turns: Turns | None = None) -> tuple[Part, ...]:
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        return (Opaque(TOO_LONG, text[:200], 0, len(text)),)
    if dialect not in _DIALECTS:
        return (Opaque(f"the language of {dialect or 'an unknown shell'}", text, 0, len(text)),)
    if "\0" in text:
        return (Opaque("a NUL character", text, 0, len(text)),)
    lexer = Lexer(text, ansi_quotes=dialect == "bash")
    tokens = lexer.run()
    grammar = Grammar(text, tokens, given, turns)
    parts = grammar.run()
    if not all(_is_plain(part) for part in parts):
        return parts
    runs = [run for part in parts if isinstance(part, Simple) for run in runs_of(part)]
    why = (
        _foreign(text, tokens, parts, dialect)
        or _unread(runs, dialect)
        or _unseen_patterns(grammar.plain, runs)
        or shell_tree.disagreement(text, tokens, lexer.heredocs, grammar.command_starts)
    )
    return (*parts, Opaque(why, text, 0, len(text))) if why else parts


_remembered: Remembered[tuple[Part, ...]] = Remembered(_CACHED)


def _is_plain(part: Part) -> bool:
    if isinstance(part, Opaque):
        return False
    return not any(word.kind == "opaque" for word in _words_of(part))


def _words_of(part: Simple) -> Sequence[Word]:
    if not part.assignments and not part.redirects:
        return part.words
    targets = (redirect.target for redirect in part.redirects if redirect.target is not None)
    return (*part.words, *targets, *(assignment.value for assignment in part.assignments))


def runs_of(part: Simple) -> Iterable[Run]:
    """The texts that run in shells of their own before one command does."""
    return [run for word in _words_of(part) for run in word.runs]


def _unread(runs: Iterable[Run], dialect: str) -> str:
    """Why a substitution may be something else than was taken for it, or "". One that is read whole, without comments
    and here-documents, ends where its bracket is closed."""
    for run in runs:
        text = run.text
        if text.count("$(") + text.count("`") + text.count("<(") > _SUBSTITUTIONS:
            return "substitutions nested too deeply"
        inner = () if _has_comments(text, dialect) else parse(text, dialect, run.given)
        if not inner or not all(_is_plain(part) for part in inner):
            return "a substitution that cannot be read before it runs"
    return ""


def _unseen_patterns(plain: Set[str], runs: Iterable[Run]) -> str:
    """Why patterns may mean something else, or "": what shopt sets holds in substitutions, too, and these are read by
    themselves."""
    if "shopt" not in plain:
        return ""
    return "patterns in a substitution, and a shopt" if any(re.search(r"[*?\[]", run.text) for run in runs) else ""


def _has_comments(text: str, dialect: str) -> bool:
    """Or here-documents."""
    if "#" not in text and "<<" not in text:
        return False
    lexer = Lexer(text, ansi_quotes=dialect == "bash")
    return any(token.kind in ("comment", "lost") for token in lexer.run()) or bool(lexer.heredocs)


# --- other shells ------------------------------------------------------------------------------------


def _foreign(text: str, tokens: Iterable[Token], parts: Iterable[Part], dialect: str) -> str:
    """Why a shell of this dialect may read `text` otherwise than bash, or ""."""
    if dialect == "bash":
        return ""
    if any(token.draft is not None and _is_bash_only(token.draft) for token in tokens):
        return f"a word that {dialect} reads otherwise"
    if (
        any(isinstance(part, Simple) and part.assignments and not part.words for part in parts)
        and dialect in _OWN_NAMES
    ):
        return f"a variable that {dialect} may know"
    if any(isinstance(part, Simple) and _prints_numbers(part) for part in parts):
        return f"a number that {dialect} may compute"
    if dialect == "zsh":
        return _foreign_to_zsh(text, tokens, parts)
    if dialect == "fish":
        return _foreign_to_fish(text, tokens)
    if any(isinstance(part, Simple) and part.words and part.words[0].text in _NOT_IN_SH for part in parts):
        return f"a command that is none in {dialect}"
    if any(token.draft is not None and "[^" in token.draft.bare for token in tokens):
        return f"a pattern that {dialect} reads otherwise"
    lacking = next((token.text for token in tokens if token.kind == "op" and token.text in _POSIX_LACKS), "")
    return f"{lacking} means something else in {dialect}" if lacking else ""


def _prints_numbers(part: Simple) -> bool:
    """Whether printf makes numbers of words that nobody knows: ksh and zsh compute these, subscripts and all."""
    program = part.words[0].text if part.words else ""
    plain = len(part.words) > 1 and part.words[1].kind == "literal" and _NO_NUMBERS.fullmatch(part.words[1].text)
    return program == "printf" and not plain and any(word.kind == "varying" for word in part.words[1:])


def _is_bash_only(draft: WordDraft) -> bool:
    """Braces, and `<(…)`: other shells have none, or others."""
    braces = "{" in draft.bare and "}" in draft.bare and "{}" not in draft.bare
    return braces or draft.pipe is not None or draft.arith is not None


def _foreign_to_zsh(text: str, tokens: Iterable[Token], parts: Iterable[Part]) -> str:
    for token in tokens:
        source = text[token.start : token.end]
        if token.draft is not None and (_ZSH_WORD.match(token.draft.bare) or source in _ZSH_RESERVED):
            return "a word that zsh reads otherwise"
        if token.kind == "op" and text[token.end : token.end + 1] in {"!", "|", "&"}:
            return "an operator that only zsh has"
        if token.kind == "comment" and _META_IN_COMMENT.search(source):
            return "a comment that an interactive zsh would run"
    # zsh runs the last command of a pipeline in the shell itself.
    commands = [part for part in parts if isinstance(part, Simple)]
    moved = any(part.scope and part.words and part.words[0].text in _MOVES for part in commands)
    if moved and any(part.joined in {"|", "|&"} for part in commands):
        return "a folder changed in a pipeline"
    return ""


def _foreign_to_fish(text: str, tokens: Iterable[Token]) -> str:
    for token in tokens:
        source = text[token.start : token.end]
        if token.kind == "op" and token.text not in _FISH_OPERATORS:
            return f"{token.text} in fish"
        if token.kind == "op" and text[token.end : token.end + 1] in {"|", "?", "&"}:
            return "an operator that only fish has"
        if token.draft is not None and _differs_in_fish(source, token.draft.bare):
            return "a word that fish reads otherwise"
    return ""


def _differs_in_fish(source: str, bare: str) -> bool:
    if source in _FISH_RESERVED or _FISH_WORD.match(bare):
        return True
    if "\\" in source and not _FISH_BACKSLASH.fullmatch(source):
        return True
    return "$" in source and "'" not in source
