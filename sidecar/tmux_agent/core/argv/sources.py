"""Which file names a program prints, for xargs behind it: beneath which folders, of which kinds, how separated.

Owns what find, git ls-files, grep -l, rg -l, fd, ls, echo and line filters print. Must not own whether those
files may be read (reach.py). Nothing that is not known here is guessed: then the names are unknown.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from . import find, git_files, revisions
from .options import Arg, Fed, mentions

UNKNOWN = Fed(unknown=True)
_NAMES_OF_STATUS = frozenset(
    (
        *(("cut", "-c4-"), ("cut", "-c 4-"), ("cut", "-b4-"), ("awk", "{print $2}"), ("awk", "{ print $2 }")),
        *(("awk", "{print $NF}"), ("awk", "{ print $NF }"), ("sed", "s/^...//")),
    )
)
_STATUS_AWK = re.compile(r"(\$1 ?[!=]= ?\"[?AMDRCU]{1,2}\"|/[\w ?^\\.]*/) ?\{ ?print \$(2|NF) ?\}")
_FILTERS = frozenset(["head", "tail", "sort", "uniq", "tac", "cat", "shuf"])
_GREPS = frozenset(["grep", "egrep", "fgrep"])
_RECURSES = re.compile(r"-[a-zA-Z]*r[a-zA-Z]*|--recursive|--files-with-matches")
_ODD = re.compile(r"[\s'\"\\*?\[]|^-")  # in a folder to start from: its name would fall apart on the way
_UNCHANGED = frozenset(["cat", "tac"])  # with options they print other lines
_WITHOUT_END = re.compile(r"s/\\?\.[a-z.\\]+\$//")
_SOME = re.compile(r"[0-9]+(,([0-9]+|\$))?p")  # of the lines
# A format of printf's without values: words, and the ends of lines. (\055 is a dash.)
_LINES = re.compile(r"(?:[A-Za-z0-9_.,/@+:= -]|\\n)+|(?:[A-Za-z0-9_.,/@+:= -]|\\0(?![0-7]))+")
_PLAIN = re.compile(r"[A-Za-z0-9_.,/@%+:=][A-Za-z0-9_.,/@%+:=-]*")


def printed(program: str, args: Sequence[Arg], folder: str, feed: Fed | None) -> tuple[Fed, bool]:
    """What this run prints, if it prints names and nothing else, and whether they end in NUL. `feed`: the names that
    came in through standard input (or that xargs appended), None for none."""
    names, zero = _named(program, args, folder, feed)
    below = f"{folder.rstrip('/')}/"
    told = (start.removeprefix(below) for start in names.starts if start != folder)
    return (names, zero) if zero or not any(map(_ODD.search, told)) else (UNKNOWN, False)


def _named(program: str, args: Sequence[Arg], folder: str, feed: Fed | None) -> tuple[Fed, bool]:
    words = [word for word in args if isinstance(word, str)]
    fed = next((word for word in args if isinstance(word, Fed)), None)
    if program == "find":
        return _found(args, folder)
    if program == "git":
        return _git(args, words, folder)
    if program in _GREPS:
        return _grep(words, folder, fed, feed)
    if program == "rg":
        return _rg(words, folder, fed)
    if program in ("fd", "fdfind"):
        return _fd(words, folder)
    if program == "ls":
        return _ls(words, folder)
    if program in ("echo", "printf"):
        return _literal(program, words, folder)
    if feed is not None and fed is None:
        return _filtered(program, words, feed)
    return UNKNOWN, False


def _starts(words: Sequence[Arg], folder: str) -> tuple[str, ...]:
    return tuple(w if w.startswith("/") else f"{folder.rstrip('/')}/{w}" for w in words if isinstance(w, str)) or (
        folder,
    )


def found(search: find.Search, folder: str) -> Fed:
    """The names that a find command puts into its -exec, or prints."""
    if search.why or any(isinstance(word, Fed) for word in search.starts):
        return UNKNOWN
    return Fed(_starts(search.starts, folder), search.names, links=not search.files)


def _found(args: Sequence[Arg], folder: str) -> tuple[Fed, bool]:
    search = find.read(args)
    names = found(search, folder)
    if search.runs or search.formatted:
        names = UNKNOWN
    return msgspec.structs.replace(names, split=not search.zero), search.zero


def _git(args: Sequence[Arg], words: list[str], folder: str) -> tuple[Fed, bool]:
    named = revisions.printed(args)
    if named.revision:
        return named, False
    if len(words) != len(args):
        return UNKNOWN, False
    return git_files.printed(words, folder)


def _grep(words: list[str], folder: str, fed: Fed | None, feed: Fed | None) -> tuple[Fed, bool]:
    if "-" in words or mentions(words, ("--label",)):
        return UNKNOWN, False  # standard input, by any name
    zero = bool({"-Z", "--null"} & set(words)) or any(re.fullmatch(r"-[a-zA-Z]*Z[a-zA-Z]*", w) for w in words)
    listing = any(re.fullmatch(r"-[a-zA-Z]*[lL][a-zA-Z]*|--files-with(out)?-match(es)?", word) for word in words)
    if not listing:
        filtering = fed is None and feed is not None and len([w for w in words if not w.startswith("-")]) == 1
        passes = filtering and all(re.fullmatch(r"-[viEFPwxz]+", w) for w in words if w.startswith("-"))
        return (msgspec.structs.replace(feed, lines=()) if passes and feed is not None else UNKNOWN), False
    if fed is not None:
        return msgspec.structs.replace(fed, split=not zero), zero
    if not any(_RECURSES.fullmatch(word) for word in words) or mentions(words, ("-e", "-f", "--regexp", "--file")):
        return UNKNOWN, False
    starts = _operands(words, "ABCmdD")[1:]
    include = tuple(w.partition("=")[2] for w in words if w.startswith("--include="))
    return Fed(_starts(starts, folder), include or None, links=False, dashed=not starts, split=not zero), zero


def _operands(words: Sequence[str], valued: str) -> list[str]:
    """Words that are neither options nor values of the short options in `valued`."""
    found: list[str] = []
    skip = False
    for word in words:
        if skip:
            skip = False
        elif word.startswith("-") and word != "-":
            skip = not word.startswith("--") and word[-1] in valued
        else:
            found.append(word)
    return found


def _values(words: Sequence[str], options: Sequence[str]) -> list[str]:
    """Values of these options, in either spelling."""
    found = [words[index + 1] for index, word in enumerate(words[:-1]) if word in options]
    for word in words:
        name, equals, value = word.partition("=")
        if equals and name in options:
            found.append(value)
        elif word[:2] in options and len(word) > 2 and word[1] != "-":
            found.append(word[2:])
    return found


def _rg(words: list[str], folder: str, fed: Fed | None) -> tuple[Fed, bool]:
    listing = any(re.fullmatch(r"-[a-zA-Z]*l[a-zA-Z]*|--files-with-matches|--files", word) for word in words)
    zero = bool({"-0", "--null"} & set(words))
    if not listing or mentions(words, ("-e", "-f", "--regexp", "--file", "--path-separator")):
        return UNKNOWN, False
    if fed is not None:
        return msgspec.structs.replace(fed, split=not zero), zero
    plain = _operands(words, "gtTABCmdjMrE")
    starts = plain if "--files" in words else plain[1:]
    follows = mentions(words, ("-L", "--follow"))
    everything = mentions(words, ("-u", "--unrestricted")) or any(w.startswith("--no-ignore") for w in words)
    hidden = everything or mentions(words, ("--hidden", "-."))
    fed_names = Fed(
        _starts(starts, folder),
        hidden=hidden,
        links=follows,
        dashed=not starts,
        split=not zero,
        ignores=not everything,
    )
    include = tuple(value for value in _values(words, ("-g", "--glob", "--iglob")) if not value.startswith("!"))
    return msgspec.structs.replace(fed_names, names=include or None), zero


def _fd(words: list[str], folder: str) -> tuple[Fed, bool]:
    if mentions(
        words,
        (
            "-x",
            "-X",
            "--exec",
            "--exec-batch",
            "-l",
            "--list-details",
            "-L",
            "--follow",
            "--base-directory",
            "--format",
            "--path-separator",
        ),
    ):
        return UNKNOWN, False
    zero = bool({"-0", "--print0"} & set(words))
    plain = _operands(words, "etdEcjS")[1:]
    hidden = mentions(words, ("-H", "--hidden", "-u", "--unrestricted"))
    names = tuple(f"*.{words[i + 1].lstrip('.')}" for i, w in enumerate(words[:-1]) if w in ("-e", "--extension"))
    ignores = not hidden and not mentions(words, ("-I", "--no-ignore", "--no-ignore-vcs"))
    return Fed(
        _starts(plain, folder), names or None, hidden=hidden, dashed=not plain, split=not zero, ignores=ignores
    ), zero


def _ls(words: list[str], folder: str) -> tuple[Fed, bool]:
    """Names in this folder, or the operands themselves: then `files` has to hold, because of folders it
    tells what is in them."""
    plain = [word for word in words if not word.startswith("-")]
    if not all(re.fullmatch(r"-[1AtrSUvXd]+", word) for word in words if word.startswith("-")):
        return UNKNOWN, False
    if not plain:
        return Fed((folder,), dashed=True, split=True), False
    if not all(_PLAIN.fullmatch(word) for word in plain):
        return UNKNOWN, False
    return Fed(_starts(plain, folder), files=True, within=plain[0].rstrip("/") if len(plain) == 1 else ""), False


def _literal(program: str, words: list[str], folder: str) -> tuple[Fed, bool]:
    """Lines of the text itself: what echo prints, and printf with a few formats."""
    zero = False
    if program == "echo":
        lines = [" ".join(words)]
    elif len(words) == 1 and _LINES.fullmatch(words[0]):
        zero = r"\0" in words[0]
        lines = [line for line in re.split(r"\\0" if zero else r"\\n", words[0]) if line]
    elif words and words[0] in (r"%s\n", r"%s\0", "%s "):
        zero = words[0] == r"%s\0"
        lines = [" ".join(words[1:])] if words[0] == "%s " else words[1:]
    else:
        return UNKNOWN, False
    pieces = [piece for line in lines for piece in line.split()]
    if not pieces or not all(_PLAIN.fullmatch(piece) for piece in pieces):
        return UNKNOWN, False
    if any(line not in pieces for line in lines):
        return Fed(unknown=True, lines=tuple(lines)), zero
    return Fed(_starts(lines, folder), lines=tuple(lines)), zero


def _filtered(program: str, words: list[str], feed: Fed) -> tuple[Fed, bool]:
    if program == "tr" and words == ["\\n", "\\0"]:
        return msgspec.structs.replace(feed, split=True, lines=()), True
    if feed.column or feed.status:
        cut = _cut(program, words, feed)
        if cut is not None:
            return cut, False
    if program in _FILTERS and not mentions(words, ("-c", "--count", "--bytes", "-n" if program == "cat" else "-c")):
        operands = words if program in _UNCHANGED else _operands(words, "nktS")
        if not operands:
            return msgspec.structs.replace(feed, lines=()), "-z" in words
    if program == "sed" and words and _WITHOUT_END.fullmatch(words[-1]) and words[:-1] in ([], ["-E"]):
        return (msgspec.structs.replace(feed, lines=(), partial=True) if feed.starts else UNKNOWN), False
    some = program == "sed" and len(words) == 2 and words[0] == "-n" and _SOME.fullmatch(words[1])
    return (msgspec.structs.replace(feed, lines=()) if some and not feed.status else UNKNOWN), False


def _cut(program: str, words: list[str], feed: Fed) -> Fed | None:
    """What is left of lines that begin with a name, or (`git status`) with two letters and a blank in front of one."""
    text = " ".join(words)
    if feed.status:
        if (program, text) in _NAMES_OF_STATUS or (program == "awk" and _STATUS_AWK.fullmatch(text)):
            return msgspec.structs.replace(feed, status=False, split=True)
        if program == "sed" and re.fullmatch(r"(-n )?s/\^[ ?AMDRCU.]{2,3} ?/(/p?|/)", text):
            return msgspec.structs.replace(feed, status=False, split=True)
        return None
    at = re.escape(feed.column)
    first = r"\{ ?print \$1;? ?\}"
    form = rf"(/[\w .:^-]*/ ?)?{first}" if feed.column == " " else rf"-F ?{at} {first}"
    of_awk = program == "awk" and re.fullmatch(form, text) is not None
    of_cut = program == "cut" and (
        text in (f"-d{feed.column} -f1", f"-d {feed.column} -f1", f"-d{feed.column} -f 1", f"-d {feed.column} -f 1")
        or text in (f"-f1 -d{feed.column}", f"-f1 -d {feed.column}", f"-f 1 -d {feed.column}")
    )
    return msgspec.structs.replace(feed, column="") if of_awk or of_cut else None
