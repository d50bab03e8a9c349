"""An argument list against a closed list of options, the way getopt reads it.

Owns the notation for options in the policy file and the reading of bundles (-rn5), values (-n 5, -n5, --name=v,
--name v), numbers (-5) and `--`. Abbreviated long options are not in the list, so they do not match. Must not own what
a value may be (operands.py).

Notation: `-a` and `--all` are flags; `-n=KIND` and `--lines=KIND` take a value, as the next word or
attached; `-U~KIND` and
`--color~KIND` take one only if it is attached; `--arg=KIND,KIND` takes several words; `-NUM` stands for -1, -20, ….
KIND is one of operands.KINDS, or the words that are allowed: `always|never`. A `!` behind the name (`-e!`): the letter
stands by itself, never in a bundle.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
from msgspec import Struct


class Fed(Struct, frozen=True, gc=False):
    """Operands that are not in the text: the names that another program prints, appended by xargs or find.

    `starts` are absolute folders (or files) beneath which all of them lie; `names` are globs of which each
    name fits one
    (None: any). `hidden`: names below a leading dot may be among them. `links`: symbolic links may be. `dashed`: a name
    may begin with a dash. `split`: names with blanks or quotes fall apart on the way. None for all of it: `unknown`.
    """

    starts: tuple[str, ...] = ()
    names: tuple[str, ...] | None = None
    hidden: bool = True
    links: bool = True
    dashed: bool = False
    split: bool = False
    unknown: bool = False
    ignores: bool = False  # what .gitignore names is not among them
    tracked: bool = False  # only files that git tracks
    indexed: bool = False  # with `ignores`: but what git tracks is, also if .gitignore names it
    committed: bool = False  # with `tracked`: or that some commit has tracked, whatever lies there now
    from_top: bool = False  # git names them from the top of the repository: true only there
    files: bool = False  # holds only if all of `starts` are plain files
    single: bool = False  # one of them at a time
    partial: bool = False  # only a piece of the word is such a name (`-I{} x/{}`)
    globbed: bool = False  # a shell takes them for patterns on the way
    absent: bool = False  # there may be none at all, and the program runs without them
    revision: str = ""  # git's name of something that shows no more than this revision
    refs: bool = False  # holds only if all references of the repository have plain names
    column: str = ""  # only what stands in front of this character, and in front of blanks
    status: bool = False  # behind two letters of `git status`
    lines: tuple[str, ...] = ()  # exactly these lines
    within: str = ""  # names are seen from this folder, as the text names it
    pieces: tuple[str, ...] = ()  # text around numbers, of which nothing more is known
    sure: bool = False  # with `pieces`: there are digits
    held: bool = False  # it stands where no option is looked for
    before: str = ""  # text that the word begins with

    @property
    def loose(self) -> bool:
        """Whether a word of it may be taken for an option."""
        if self.held:
            return False
        if self.single and self.before:
            return self.before.startswith(("-", "+"))
        return self.unknown or self.dashed or self.split


Arg = str | Fed
# Kinds that a value may be of although only running will tell it: any text is of the first, any number of the others.
_TEXTS = frozenset(("text", "pattern"))
_NUMBERS = frozenset(("number", "digits", "range", "pids"))
_FORMATS = frozenset(("git_format",))  # names of revisions have no % in them


class Spec(Struct, frozen=True, gc=False):
    name: str
    kinds: tuple[str, ...] = ()
    attached: bool = False  # the value is optional and counts only if attached
    alone: bool = False  # never one of several letters behind one dash


class Parsed(Struct, frozen=True, gc=False):
    """`options` in order with their values; `operands` with the index at which `--` stood (or their number)."""

    options: tuple[tuple[Spec, tuple[Arg, ...]], ...]
    operands: tuple[Arg, ...]
    dashes: int

    def names(self) -> frozenset[str]:
        return frozenset(spec.name for spec, _ in self.options)


class BadNotation(ValueError):
    """An option in the policy file that cannot be read; the text says why."""


def specs(texts: Iterable[str]) -> dict[str, Spec]:
    """The options of a rule by name. Raises BadNotation."""
    found: dict[str, Spec] = {}
    for text in texts:
        mark = min((text.index(c) for c in "=~" if c in text), default=len(text))
        name, kind = text[:mark], text[mark + 1 :]
        if not name.startswith(("-", "+")) or name in ("-", "--", "+"):
            raise BadNotation(f"{text!r} is no option: it has to begin with a dash")
        if mark < len(text) and not kind:
            raise BadNotation(f"{text!r} names no kind of value behind the {text[mark]!r}")
        alone = name.endswith("!")
        name = name.removesuffix("!")
        found[name] = Spec(name, tuple(kind.split(",")) if kind else (), text[mark : mark + 1] == "~", alone)
    return found


def parse(args: Sequence[Arg], known: dict[str, Spec], *, stop: bool = False, told: bool = False) -> Parsed | str:
    """Options and operands, or a sentence about the first word that the list does not cover.

    `stop`: the program takes no options behind its first operand (env, xargs, awk). `told`: values of options may be
    such as only running will tell, where their kind allows it.
    """
    options: list[tuple[Spec, tuple[Arg, ...]]] = []
    operands: list[Arg] = []
    index, count = 0, len(args)
    while index < count:
        word = args[index]
        index += 1
        if isinstance(word, str) and not word.startswith(("-", "+")):
            operands.append(word)
        elif isinstance(word, Fed) and word.single and word.before.startswith("-"):
            given = _fed_option(word, known) if told else f"{word.before} with a value that only running will tell"
            if isinstance(given, str):
                return given
            options.append(given)
        elif isinstance(word, Fed) or word == "-":
            operands.append(word)
        elif word == "--":
            return Parsed(tuple(options), (*operands, *args[index:]), len(operands))
        else:
            taken = _option(word, args, index, known)
            if not told and not isinstance(taken, str) and any(isinstance(v, Fed) for _, vs in taken[0] for v in vs):
                taken = f"the value of {taken[0][-1][0].name} is not in the text"
            if isinstance(taken, str):
                if word.startswith("+"):  # an option only where the list says so
                    operands.append(word)
                    taken = [], index
                else:
                    return taken
            options.extend(taken[0])
            index = taken[1]
        if stop and operands:
            return Parsed(tuple(options), (*operands, *args[index:]), len(operands) + count - index)
    return Parsed(tuple(options), tuple(operands), len(operands))


def _fed_option(word: Fed, known: dict[str, Spec]) -> tuple[Spec, tuple[Arg, ...]] | str:
    """`--name=` or `-x` with a value behind it that only running will tell."""
    name, equals, front = word.before.partition("=")
    if not (word.before.startswith("--") and equals):
        name, front = word.before[:2], word.before[2:]
        if not front and not (word.pieces and word.sure):
            return f"{word.before} with a value that only running will tell"  # without one it takes the next word
    spec = known.get(name)
    if name == "-" and "-NUM" in known and word.pieces == ("-", "") and word.sure:
        return known["-NUM"], (msgspec.structs.replace(word, before="", pieces=("", "")),)
    if spec is None or spec.alone or len(spec.kinds) != 1 or not _takes(spec, word):
        return f"{word.before} with a value that only running will tell"
    cut = len(word.before) - len(front)
    pieces = (word.pieces[0][cut:], *word.pieces[1:]) if word.pieces else ()
    return spec, (msgspec.structs.replace(word, before=front, pieces=pieces, revision=word.revision[cut:], held=True),)


def _takes(spec: Spec, word: Fed) -> bool:
    kinds = _TEXTS | (_NUMBERS if word.pieces else frozenset()) | (_FORMATS if word.revision else frozenset())
    return word.single and not word.absent and all(kind in kinds for kind in spec.kinds)


def _option(
    word: str, args: Sequence[Arg], index: int, known: dict[str, Spec]
) -> tuple[list[tuple[Spec, tuple[Arg, ...]]], int] | str:
    name, equals, value = word.partition("=")
    if word.startswith("--"):
        spec = known.get(name)
        if spec is None:
            return f"{name} is not among the options of the rule"
        if equals and not spec.kinds:
            return f"{name} takes no value"
        return _with_values(spec, [value] if equals else [], args, index)
    if word in known:
        return _with_values(known[word], [], args, index)
    if equals and len(name) > 2 and name in known and known[name].kinds:  # -out=x, of programs with one dash for all
        return _with_values(known[name], [value], args, index)
    if word[1:].isdigit() and "-NUM" in known:
        return [(known["-NUM"], (word[1:],))], index
    found: list[tuple[Spec, tuple[Arg, ...]]] = []
    for place, char in enumerate(word[1:], 1):
        spec = known.get(word[0] + char)
        if spec is None or spec.alone:
            return f"{word[0] + char if len(word) > 2 else word} is not among the options of the rule"
        if spec.kinds:
            rest = word[place + 1 :]
            taken = _with_values(spec, [rest] if rest else [], args, index)
            return taken if isinstance(taken, str) else (found + taken[0], taken[1])
        found.append((spec, ()))
    return found, index


def _with_values(
    spec: Spec, values: list[Arg], args: Sequence[Arg], index: int
) -> tuple[list[tuple[Spec, tuple[Arg, ...]]], int] | str:
    if spec.attached and not values:
        return [(spec, ())], index
    while len(values) < len(spec.kinds):
        if index >= len(args):
            return f"{spec.name} lacks its value"
        word = args[index]
        if isinstance(word, Fed) and not _takes(spec, word):
            return f"the value of {spec.name} is not in the text"
        values.append(msgspec.structs.replace(word, held=True) if isinstance(word, Fed) else word)
        index += 1
    return [(spec, tuple(values))], index


def mentions(args: Sequence[Arg], options: Iterable[str]) -> bool:
    """True where one of `options` may be among `args`: also abbreviated, bundled or with a value. For stricter rules,
    where a wrong yes only asks once too often."""
    words = [word for word in args if isinstance(word, str)]
    if "--" in words:
        words = words[: words.index("--")]
    return any(_mentions(word, option) for word in words for option in options)


def _mentions(word: str, option: str) -> bool:
    name = word.partition("=")[0]
    if word == option or name == option:
        return True
    if option.startswith("--"):
        return len(name) > 3 and name.startswith("--") and option.startswith(name)
    bundle = word.startswith("-") and not word.startswith("--")
    return len(option) == 2 and option.startswith("-") and bundle and option[1] in word[1:]
