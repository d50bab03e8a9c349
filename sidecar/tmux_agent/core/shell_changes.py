"""What of a shell text lasts in the shell that runs it, so that a later text may mean something else than it says: an
alias, a function, a variable that the shell or programs know, an option, a trap, a redirection of the shell itself.

Pure. Owns which commands change a shell. Must not own what follows from it (judging.py, services/changed_shells.py).
What cannot be read is taken for a change. Not changed is a shell by programs, which are processes of their own, by what
stands in brackets or in the background, by `cd` (where a shell is, the kernel says), and by variables that nothing but
a text itself uses: what such a one holds is not known to who judges the next.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from .shell import Opaque, Simple, parse
from .shell_names import is_local

Harmless = Mapping[str, re.Pattern[str]]  # variables that the policy lets anybody set, and their values

# Builtins of bash, dash, zsh and fish, and functions that come with them.
_CHANGES = frozenset(
    (
        *("alias", "unalias", "eval", "source", ".", "exec", "trap", "enable", "disable", "hash", "unhash"),
        *("rehash", "declare", "typeset", "local", "readonly", "private", "integer", "float", "let", "getopts"),
        *("shopt", "setopt", "unsetopt", "emulate", "umask", "bind", "bindkey", "complete", "compopt", "compctl"),
        *("compdef", "fc", "r", "coproc", "function", "functions", "unfunction", "autoload", "zmodload"),
        *("zcompile", "zle", "vared", "zstyle", "zformat", "zparseopts", "zregexparse", "sched", "ttyctl"),
        *("getln", "pushln", "mapfile", "readarray", "stty", "abbr", "argparse", "funced", "funcsave"),
        *("fish_add_path", "fish_config", "commandline", "switch", "fish_vi_key_bindings"),
        *("fish_default_key_bindings", "fish_hybrid_key_bindings", "select", "foreach"),
    )
)
# Behind these stands another command, or may.
_BEFORE = frozenset(
    (
        *("command", "builtin", "time", "noglob", "nocorrect", "-", "!", "repeat", "jobs", "and", "or", "not"),
        *("else", "begin", "if", "while", "end"),
    )
)
# These only tell, where they stand alone.
_TELLS = frozenset(("alias", "umask", "hash", "shopt", "stty", "declare", "typeset", "trap", "bind", "setopt"))
# Functions that people have from their own files, and words behind which these set a PATH.
_FUNCTIONS = frozenset(("conda", "mamba", "micromamba", "nvm", "fnm", "rvm", "sdk", "asdf", "mise", "module", "ml"))
_USES = frozenset(("activate", "deactivate", "use", "shell", "load", "swap", "switch", "env"))
_ALONE = frozenset(("workon", "deactivate", "nvm-use"))
# In which dash keeps what is assigned before them, as POSIX says.
_SPECIAL = frozenset((":", "break", "continue", "exit", "return", "shift", "times", "export", "set", "unset"))
_SET = re.compile(r"[-+][eux]*o?|pipefail|errexit|nounset|xtrace")
_FISH_OWN = re.compile(r"fish_\w*|history|status|pipestatus|argv|umask|version|hostname")
_ZSH_OWN = re.compile(
    r"(?:dis_)?(?:aliases|galiases|saliases|functions|builtins|reswords|patchars|functions_source)|\w+_functions|zle_\w+"
    r"|path|cdpath|fpath|manpath|mailpath|module_path|fignore|psvar|watch|prompt|histchars|commands|options|modules"
    r"|parameters|dirstack|nameddirs|userdirs|keymaps|widgets|mapfile|termcap|terminfo|argv|status|pipestatus"
)
_SETS_IN_PLACE = re.compile(r"\$\{[^}]*=|\(\([^)]*(?:=|\+\+|--)|\$\[")
_COUNTS = re.compile(r"%[^%A-Za-z]*[hlLjzt]*n")  # in bash it sets the variable that the next word names
_LOOP = re.compile(r"\bfor\s+(\w+)")
_SUBSHELL_ONLY = "a substitution that cannot be read before it runs"  # which is a process of its own
_SHOWN = 80  # characters


def changes(text: str, dialect: str, harmless: Harmless) -> str:
    """The first part of a text that changes a shell of this dialect, cut for people; "" where none does."""
    parts = parse(text, dialect)
    simple = [part for part in parts if isinstance(part, Simple)]
    odd = False
    for part in parts:
        if isinstance(part, Opaque) and not _is_harmless(part, text, dialect, bool(simple)):
            return _cut(part.source or text)
        odd = odd or isinstance(part, Opaque)
    # zsh runs the last of a pipeline itself, fish all of it; dash and bash run none.
    within = dialect == "fish" or (dialect == "zsh" and any(part.joined in ("|", "|&") for part in simple))
    for part in simple:
        if (within or not part.scope) and _lasts(part, dialect, harmless, odd=odd):
            return _cut(part.source)
    return ""


def _is_harmless(part: Opaque, text: str, dialect: str, seen: bool) -> bool:
    """Whether what of a text cannot be read lets its other parts be taken for what they are read as. A loop over files
    is followed by what it does; of what another shell reads otherwise (`==`, `do`) all words are looked at."""
    if part.why == "a for loop":
        names = _LOOP.findall(part.source)
        return bool(names) and "((" not in part.source and all(_is_plain(name, dialect) for name in names)
    if part.why == _SUBSHELL_ONLY:
        return seen
    return seen and dialect != "bash" and (part.source == text) and part.why.endswith((" otherwise", " may know"))


def _lasts(part: Simple, dialect: str, harmless: Harmless, *, odd: bool) -> bool:
    words = [word.text if word.kind == "literal" else None for word in part.words]
    if _SETS_IN_PLACE.search(part.source) and any(word.kind != "literal" for word in part.words):
        return True
    if not words or words[0] in _SPECIAL:
        pairs = [(one.name, one.value.text if one.value.kind == "literal" else None) for one in part.assignments]
        if not all(_may_set(name, value, dialect, harmless) for name, value in pairs):
            return True
    if not words:
        return False
    return _runs(words, dialect, harmless) or (odd and any(word in _CHANGES for word in words))


def _runs(words: Sequence[str | None], dialect: str, harmless: Harmless) -> bool:
    """Whether a command with these words changes the shell. A word that is None is known only when it runs."""
    first, rest = words[0], words[1:]
    if first in _TELLS and not rest:
        return False
    if first is None or first in _CHANGES or first in _ALONE or "=" in first or "{" in first:
        return True
    if first in _BEFORE:
        return any(word in _CHANGES for word in rest) or (
            first in ("command", "builtin") and bool(rest) and _runs(rest, dialect, harmless)
        )
    if first in _FUNCTIONS:
        return any(word in _USES for word in rest)
    match first:
        case "export":
            return not all(_exports(word, dialect, harmless) for word in rest)
        case "set":
            return not (_fish_sets(rest) if dialect == "fish" else all(word and _SET.fullmatch(word) for word in rest))
        case "read" | "unset" | "for":
            return not all(word and (_is_option(word) or _is_plain(word, dialect)) for word in rest)
        case "print" | "wait":
            return any(word is None or re.match(r"-\w*[vzsSp]", word) for word in rest[:3])
        case "printf":
            options = [word for word in rest if word is not None and word.startswith("-v")]
            form = next((word for word in rest if word != "--"), "")
            return bool(options) or form is None or _COUNTS.search(form) is not None
    return False


def _is_option(word: str) -> bool:
    return re.fullmatch(r"-[rsenu]+", word) is not None


def _exports(word: str | None, dialect: str, harmless: Harmless) -> bool:
    name, given, value = (word or "").partition("=")
    return _may_set(name, value if given else None, dialect, harmless)


def _may_set(name: str, value: str | None, dialect: str, harmless: Harmless) -> bool:
    """Whether a variable changes nothing; a value that is None is known only when it runs."""
    fits = harmless.get(name)
    return _is_plain(name, dialect) or (fits is not None and value is not None and bool(fits.fullmatch(value)))


def _is_plain(name: str, dialect: str) -> bool:
    own = {"zsh": _ZSH_OWN, "fish": _FISH_OWN}.get(dialect)
    return is_local(name) and not (own is not None and own.fullmatch(name))


def _fish_sets(words: Sequence[str | None]) -> bool:
    """Whether fish's own `set` names a variable that changes nothing."""
    options = [word for word in words if word and word.startswith("-")]
    names = [word for word in words if word is None or not word.startswith("-")][:1]
    return all(re.fullmatch(r"-[lgxfqe]+", word) for word in options) and all(
        name is not None and _is_plain(name, "fish") for name in names
    )


def _cut(source: str) -> str:
    line = " ".join(source.split())
    return line if len(line) <= _SHOWN else line[: _SHOWN - 1] + "…"
