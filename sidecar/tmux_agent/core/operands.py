"""The kinds of words that a rule may name for operands and values of options, and the check of each.

Owns the table of kinds, which is also the documentation of `operands` in the policy file. Must not own rules
(rules.py), places (reach.py), or the scripts' grammars (argv/).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import msgspec
from msgspec import Struct

from . import paths
from .argv import awk, git, jq, sed
from .argv.options import Arg, Fed, Parsed
from .reach import Miss, Narrow, Reach, first
from .shell_names import is_local


class Place(Struct):
    """Where one program runs: what operands are judged against."""

    reach: Reach
    folder: str
    narrow: Narrow = Narrow()
    harmless_options: bool = False  # whatever stands where a word is expected, the program does nothing bad


Check = Callable[[str, Place], Miss | None]


def _text(word: str, _: Place) -> Miss | None:
    return Miss("a word with a NUL") if "\0" in word else None


def _number(word: str, _: Place) -> Miss | None:
    return None if re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?[a-zA-Z]{0,3}", word) else Miss(f"{word} is no number")


def _path(word: str, place: Place) -> Miss | None:
    return None if word == "-" else place.reach.content(word, place.folder)


# What gzip and its kin try behind a name that is not there by itself (gzip(1), xz(1), zstd(1)).
_PACKED = (
    *("", ".gz", ".z", "-gz", ".Z", "-z", "_z", ".tgz", ".taz", ".bz2", ".bz", ".tbz", ".tbz2", ".xz", ".lzma"),
    *(".txz", ".tlz", ".zst", ".tzst"),
)


def _packed(word: str, place: Place) -> Miss | None:
    if "\n" in word:
        return Miss("a name over several lines, which zgrep and its kin take for commands of sed")
    return None if word == "-" else first(*(place.reach.content(word + end, place.folder) for end in _PACKED))


def _name(word: str, place: Place) -> Miss | None:
    return place.reach.name(word, place.folder)


def _tree(word: str, place: Place) -> Miss | None:
    return None if word == "-" else place.reach.tree(word, place.folder, place.narrow)


def _plain_tree(word: str, place: Place) -> Miss | None:
    wide = git.is_wide(word)
    return Miss(f"the pathspec {word} may stand for other files", 2) if wide else _tree(word, place)


def _visible_tree(word: str, place: Place) -> Miss | None:
    narrow = place.narrow
    visible = msgspec.structs.replace(narrow, hidden=False, ignores=True)
    return None if word == "-" else place.reach.tree(word, place.folder, visible)


def _unignored_tree(word: str, place: Place) -> Miss | None:
    unignored = msgspec.structs.replace(place.narrow, ignores=True)
    return None if word == "-" else place.reach.tree(word, place.folder, unignored)


def _followed_tree(word: str, place: Place) -> Miss | None:
    narrow = place.narrow
    followed = msgspec.structs.replace(narrow, follow=True)
    return None if word == "-" else place.reach.tree(word, place.folder, followed)


def _rev(word: str, place: Place) -> Miss | None:
    """A revision, or a path: git takes what exists as a path where both are possible, so both are judged."""
    for path in git.paths_in(word):
        if place.reach.is_secret("/" + path):
            return Miss(f"{path} holds secrets", 3)
    words = {word}
    if "../" not in word and not word.endswith(".."):
        words.update(piece for piece in re.split(r"\.\.\.?", word) if piece)
    return first(*(place.reach.content(piece, place.folder) for piece in words))


def _format(word: str, _: Place) -> Miss | None:
    sets = word.startswith("-v") or re.search(r"%[^%a-zA-Z]*[hlqjztL]*n", word.replace("%%", ""))
    return Miss(f"{word} may set a variable") if sets else None


_EXCLUSION = re.compile(r":([!^]|\(exclude\))")


def _pathspec(word: str, place: Place) -> Miss | None:
    if not git.is_wide(word):
        miss = place.reach.content(word, place.folder)
        secret = place.reach.is_secret(paths.normal(paths.absolute(place.folder, word)))
        return miss or (Miss(f"{word} holds secrets", 3) if secret else None)
    if _EXCLUSION.match(word):
        return None
    if ".." in word or word.startswith("/"):
        return Miss(f"the pathspec {word} may reach out of the folder", 2)
    named = "/" + re.sub(r"^:(\([a-z,:=]*\)|/)?", "", word)
    return Miss(f"{word} holds secrets", 3) if place.reach.is_secret(named) else None


def _range(word: str, place: Place) -> Miss | None:
    path = git.range_path(word)
    return _path(path, place) if path else None


def _script(why_not: Callable[[str], str]) -> Check:
    def check(word: str, _: Place) -> Miss | None:
        why = why_not(word)
        return Miss(why) if why else None

    return check


def _like(pattern: str, what: str) -> Check:
    expression = re.compile(pattern, re.DOTALL)

    def check(word: str, _: Place) -> Miss | None:
        return None if expression.fullmatch(word) else Miss(f"{word} is not {what}")

    return check


def _entry(word: str, place: Place) -> Miss | None:
    return place.reach.entry(word, place.folder)


def _object(word: str, place: Place) -> Miss | None:
    return Miss(f"{word} would be read for options", 2) if word.startswith("@") else _path(word, place)


def _condition(word: str, place: Place) -> Miss | None:
    if re.fullmatch(r"-[vR]", word) or re.search(r"\$[({\[]|`", word):
        return Miss(f"{word} may be computed by the shell")
    return place.reach.name(word, place.folder) if "/" in word else None


def _local(word: str, _: Place) -> Miss | None:
    return None if is_local(word) or word == "_" else Miss(f"{word} may mean something to the shell or to programs")


_YQ_WORDS = frozenset(("e", "ea", "eval", "eval-all", "completion", "shell-completion", "help"))


def _yq(word: str, place: Place) -> Miss | None:
    """A filter; but yq takes a first word that exists for a file, and some for a sub-command of its own."""
    why = jq.why_not(word)
    if why or word in _YQ_WORDS:
        return Miss(why or f"{word}, behind which yq takes a filter")
    fact = place.reach.look.path(paths.absolute(place.folder, word))
    return None if fact.kind in ("missing", "folder") else place.reach.content(word, place.folder)


def _archive(word: str, place: Place) -> Miss | None:
    return Miss(f"{word} names another machine") if ":" in word else _path(word, place)


def _glob(_: str, __: Place) -> Miss | None:
    return None


_KEY = r"(?!(?i:.*(header|passw|token|secret|credential|smtp|proxy|cookie|apikey)))[A-Za-z][A-Za-z0-9-]*\.[^=\n]+"
_KEY_PATTERN = r"\^?(remote|branch|user|core|alias|submodule|diff|merge|color|pull|push|init|status|log)\b(?!.*\|).*"
_UNSIGNED = r"(?!.*(%[-+ ]*G|%\(\*?signature)).*"  # %+G? and the like: git looks behind the sign
_INERT = r"(?!.*(\$[({\[]|`|%[^%a-zA-Z]*[hlqjztL]*n)).*"
# Of ripgrep's own types those whose files are source code or documents, whatever they are called.
_SOURCE_TYPES = (
    r"asm|awk|c|clojure|cmake|coffeescript|cpp|cs|csharp|css|cuda|cython|d|dart|elisp|elixir|elm|erlang|fortran|fsharp|go"
    r"|graphql|h|haskell|hs|html|jl|js|julia|kotlin|less|lisp|lua|make|markdown|md|nim|objc|objcpp|ocaml|perl|php"
    r"|protobuf|purs|py|python|qml|r|racket|readme|rst|rust|sass|scala|svelte|svg|swift|tex|thrift|ts|twig|typescript"
    r"|verilog|vhdl|vim|vue|zig"
)
_VARIABLE = (
    r"HOME|PATH|PWD|USER|LOGNAME|SHELL|LANG|LC_[A-Z]+|TERM|COLUMNS|LINES|TZ|EDITOR|PAGER|VIRTUAL_ENV|TMPDIR|HOSTNAME"
    r"|OSTYPE|CI|NODE_ENV|GOPATH|GOROOT|CARGO_HOME|XDG_[A-Z_]+|DISPLAY|SHLVL"
)

# kind → (what it is, check). A kind with an s takes any number of words; the others take one. `!` behind it:
# it must be there.
KINDS: dict[str, tuple[str, Check]] = {
    "text": ("any literal word, which the program only prints or computes with", _text),
    "pattern": ("a regular expression or other pattern; not expected where an option has given it", _text),
    "number": ("a number, with a sign or unit", _number),
    "path": ("a file whose content is read: inside the roots and no secret; - is standard input", _path),
    "packed": ("like path, for programs that also try NAME.gz and the like", _packed),
    "pattern_file": ("a file with patterns, read like `path`; stands for `pattern`", _path),
    "name": ("a file or folder of which names, sizes and dates are shown, not contents; inside the roots", _name),
    "tree": ("a file, or a folder of which everything beneath is read: no secret may be there", _tree),
    "plain_tree": ("like tree, where git would take patterns and words with a colon for something else", _plain_tree),
    "visible_tree": (
        "like tree, for programs that skip what begins with a dot and what .gitignore names",
        _visible_tree,
    ),
    "unignored_tree": ("like tree, for programs that skip what .gitignore names", _unignored_tree),
    "followed_tree": ("like tree, for programs that follow the links beneath", _followed_tree),
    "digits": ("a whole number without a unit", _like(r"[0-9]+", "a whole number")),
    "word": (
        "like text, but no option, nor @FILE, from which some programs take options",
        _like(r"(?![@-]).*", "plain"),
    ),
    "sort_key": (
        "a key that git sorts by: no signatures, which would run gpg",
        _like(r"(?!.*signature).*", "without signatures"),
    ),
    "rev": ("a git revision, range or REV:PATH; also judged as a path", _rev),
    "pathspec": ("a git pathspec", _pathspec),
    "range": ("git's -L start,end:file", _range),
    "sed": ("a sed script that only prints", _script(sed.why_not)),
    "awk": ("an awk program that only computes and prints", _script(awk.why_not)),
    "jq": ("a jq or yq filter that reads nothing but its input", _script(jq.why_not)),
    "yq": ("a filter of yq, which may also be the name of a file that it reads then", _yq),
    "include": ("a glob: of all beneath, only such files are read", _glob),
    "exclude": ("a glob: such files are not read", _glob),
    "exclude_folder": ("a glob: such folders are not entered", _glob),
    "glob": ("a glob that limits what is read, with ! in front one that excludes", _glob),
    "date": ("+FORMAT; anything else would set the clock", _like(r"\+.*", "+FORMAT")),
    "process": (
        "ps's letters without a dash, but not e, which shows environments; or a process id",
        _like(r"[afhjlmnrsuvwxT]+|[0-9,]+", "harmless"),
    ),
    "pids": ("numbers of processes", _like(r"[0-9]+([, ][0-9]+)*", "a list of process numbers")),
    "columns": ("ps's column names, except environments", _like(r"(?!.*env)[a-zA-Z_%,=: ]+", "harmless")),
    "key": ("the name of one git setting that holds no secret", _like(_KEY, "such a setting")),
    "plain_key": (
        "like key, but not user.email, by which agents have tried whose repository they are in: that stays a question",
        _like(rf"(?!(?i:user\.email)\Z){_KEY}", "such a setting"),
    ),
    "key_pattern": ("a pattern for git settings that begins with a harmless section", _like(_KEY_PATTERN, "harmless")),
    "git_format": ("a format of git's without signatures, which would run gpg", _like(_UNSIGNED, "without signatures")),
    "source_type": (
        "one of ripgrep's names for files of source code and documents, none of which is a secret",
        _like(_SOURCE_TYPES, "a type of source code"),
    ),
    "entry": ("a file, folder or link shown by its own name; the folder that holds it is inside the roots", _entry),
    "object": ("like path, but not @FILE, from which some programs take options", _object),
    "variable": ("the name of one environment variable that holds no secret", _like(_VARIABLE, "known to be harmless")),
    "tmux_format": (
        "a tmux format of plain variables (a #(…) would run a command)",
        _like(r"(?:[^#]|#\{[a-z_@]+\})*", "a format of plain variables"),
    ),
    "condition": ("a word of test(1): what looks like a path has to be inside the roots", _condition),
    "local": ("the name of a variable that means nothing to the shell and to programs", _local),
    "format": ("printf's format: neither -v nor %n, which set variables", _format),
    "inert": (
        "a word without $( or a backtick, which some shells would compute, and without %n",
        _like(_INERT, "inert"),
    ),
    "archive": ("an archive to read; a name with a colon would be on another machine", _archive),
    "tar_letters": ("tar's letters without a dash: only listing", _like(r"[vzjJ]*t[vzjJ]*f", "only listing")),
    "any": ("anything at all; only for rules of your own", _text),
}
_MANY = {kind + "s": kind for kind in KINDS if kind != "any"} | {
    "any": "any",
    "processes": "process",
    "entries": "entry",
}
_SUPPLIED = {"pattern": ("pattern", "pattern_file"), "sed": ("sed",), "awk": ("awk",), "jq": ("jq",)}
_FED = frozenset(
    (
        "condition",
        "packed",
        "path",
        "tree",
        "visible_tree",
        "unignored_tree",
        "followed_tree",
        "name",
        "pathspec",
        "object",
        "entry",
    )
)
_HARMLESS_FED = frozenset(("text", "pattern"))
# With 0 for each number of which nothing more is known. In sed only lines that are shown.
_NUMERIC = {
    "number": re.compile(r"[+-]?0"),
    "digits": re.compile(r"0"),
    "pids": re.compile(r"0([, ]0)*"),
    "range": re.compile(r"[0-9]+(,[+-]?[0-9]*)?|,[+-]?[0-9]+"),
    "sed": re.compile(r"([0-9]+|\$)(,(\+?[0-9]+|\$))? ?[pdq=](; ?([0-9]+|\$)(,(\+?[0-9]+|\$))? ?[pdq=])*"),
}
_DEFAULT_FOLDER = frozenset(("name", "tree", "plain_tree", "visible_tree", "unignored_tree", "followed_tree"))
SPECIAL = {"none": "no operand at all", "find": "a find command line that only looks"}


def known(kind: str) -> bool:
    """True where a rule may use this kind."""
    kind = kind.removesuffix("!")
    return kind in KINDS or kind in _MANY or kind in SPECIAL or "|" in kind or kind.startswith("=")


def one(kind: str) -> str:
    """The kind of a single word: names → name."""
    return _MANY.get(kind, kind)


def check(kind: str, word: Arg, place: Place) -> Miss | None:
    """None where `word` is of this kind and may be used."""
    kind = one(kind)
    if isinstance(word, Fed):
        return _fed(kind, word, place)
    if kind.startswith("="):
        return None if word == kind[1:] else Miss(f"{word} is not {kind[1:]}")
    if kind in KINDS:
        return KINDS[kind][1](word, place)
    return None if word in kind.split("|") else Miss(f"{word} is not one of {kind}")


def _fed(kind: str, word: Fed, place: Place) -> Miss | None:
    """The same for words that are not in the text."""
    if kind in _HARMLESS_FED:
        if word.loose and word.single and word.starts and not word.unknown:  # then their names tell
            return place.reach.fed(msgspec.structs.replace(word, partial=False, within=""), contents=False)
        if word.loose and not place.harmless_options:
            return Miss("a word that only running will tell, which may be an option", 2)
        return place.reach.fed(word, contents=False) if word.globbed and not word.revision else None
    if word.pieces and kind in _NUMERIC:
        fits = _NUMERIC[kind].fullmatch("0".join(word.pieces)) is not None and not word.absent
        fits = fits and (kind == "sed" or not word.loose)
        return None if fits else Miss("a number that only running will tell", 2)
    if word.revision and kind in ("rev", "git_format"):
        loose = Miss("a revision that may be an option", 2) if word.loose else None
        return loose or check(kind, word.revision, place)
    if kind not in _FED or (kind == "object" and word.dashed):
        return Miss("an operand that only running will tell", 2)
    if word.indexed and kind.endswith("tree"):
        word = msgspec.structs.replace(word, ignores=False)  # git names whole folders, and what it ignores is in them
    return place.reach.fed(word, contents=kind not in ("name", "entry", "condition"))


def settled(parsed: Parsed) -> Parsed:
    """The same with revisions that only running will tell as such that show no less."""
    operands = tuple(w.revision if isinstance(w, Fed) and w.revision else w for w in parsed.operands)
    return msgspec.structs.replace(parsed, operands=operands)


_ALL = Narrow()


def narrowed(parsed: Parsed) -> Narrow:
    """What the options say about which files beneath a folder are read."""
    if not parsed.options:
        return _ALL
    found: dict[str, list[str]] = {"include": [], "exclude": [], "exclude_folder": []}
    first_kind = next((k for spec, _ in parsed.options for k in spec.kinds if k in ("include", "exclude")), "")
    for spec, values in parsed.options:
        for kind, value in zip(spec.kinds, values, strict=False):
            if isinstance(value, Fed):
                continue  # of another kind, else parse would not take it
            if kind == "glob":
                target = "exclude" if value.startswith("!") else "include"
                found[target].append(value.removeprefix("!"))
            elif kind in found:
                found[kind].append(value)
    if first_kind == "exclude" and found["include"]:
        # grep reads what no glob fits unless the first is an --include, and of those that fit the last one counts.
        found["include"], found["exclude"] = [], []
    return Narrow(tuple(found["include"]), tuple(found["exclude"]), tuple(found["exclude_folder"]))


def check_all(kinds: Sequence[str], parsed: Parsed, place: Place, *, piped: bool = False) -> Miss | None:
    """Operands and the values of options against a rule's kinds. `piped`: with no operand, standard input is read."""
    values = [
        check(kind, value, place)
        for spec, words in parsed.options
        for kind, value in zip(spec.kinds, words, strict=False)
    ]
    return first(*values) or _operands(_still_expected(kinds, parsed), parsed, place, piped=piped)


def _still_expected(kinds: Sequence[str], parsed: Parsed) -> Sequence[str]:
    if kinds and kinds[0] in _SUPPLIED:
        given = {kind for spec, _ in parsed.options for kind in spec.kinds}
        if given & set(_SUPPLIED[kinds[0]]):
            return kinds[1:]
    return kinds


def _operands(kinds: Sequence[str], parsed: Parsed, place: Place, *, piped: bool) -> Miss | None:
    if "revs" in kinds or "rev" in kinds:
        return _git_operands(kinds, parsed, place)
    words = [*parsed.operands[: parsed.dashes], *map(_held, parsed.operands[parsed.dashes :])]
    misses: list[Miss | None] = []
    at = 0
    for listed in kinds:
        kind = listed.removesuffix("!")
        if kind != listed and at >= len(words):
            return Miss(f"without {kind}")
        if kind in _MANY:
            rest = [word for word in words[at:] if not (isinstance(word, Fed) and word.absent)]
            misses += [check(kind, word, place) for word in words[at:]]
            at = len(words)
            if (
                not rest
                and one(kind) in _DEFAULT_FOLDER
                and not (piped and one(kind) in ("visible_tree", "unignored_tree"))
            ):
                misses.append(check(kind, ".", place))
        elif kind in KINDS or "|" in kind or kind.startswith("="):
            if at < len(words):
                word = words[at]
                if isinstance(word, Fed) and word.absent and one(kind) in _DEFAULT_FOLDER:
                    misses.append(check(kind, ".", place))
                many = isinstance(word, Fed) and not word.single
                misses.append(Miss("several names where one is expected", 2) if many else check(kind, word, place))
                at += 1
            elif one(kind) in _DEFAULT_FOLDER:
                misses.append(check(kind, ".", place))
    if at < len(words):
        extra = words[at]
        return Miss(f"{extra if isinstance(extra, str) else 'a further operand'} is more than the rule allows")
    return first(*misses)


def _held(word: Arg) -> Arg:
    """A word behind `--`."""
    return msgspec.structs.replace(word, held=True) if isinstance(word, Fed) else word


def _git_operands(kinds: Sequence[str], parsed: Parsed, place: Place) -> Miss | None:
    """git: in front of -- revisions and paths in any order, behind it only paths."""
    single = "rev" in kinds
    plain = [k for k in kinds if k not in ("rev", "revs", "paths", "pathspecs")]
    words = parsed.operands[len(plain) :]
    misses = [check(kind, word, place) for kind, word in zip(plain, parsed.operands, strict=False)]
    dashes = max(parsed.dashes - len(plain), 0)
    paths_too = "paths" in kinds or "pathspecs" in kinds
    many = len(words[:dashes]) > 1 or any(isinstance(word, Fed) and not word.single for word in words[:dashes])
    if single and many and not paths_too:
        return Miss("more than the one revision that the rule allows")
    if words[dashes:] and not paths_too:
        return Miss("paths behind --")
    for word in words[:dashes]:
        if isinstance(word, str) and word.startswith(":") and paths_too and not re.match(r":[0-3/]", word):
            misses.append(check("pathspec", word, place))
        else:
            of_git = isinstance(word, str) or word.revision
            misses.append(check("rev" if of_git else "path", word, place))
    return first(*misses, *(check("pathspec", word, place) for word in words[dashes:]))
