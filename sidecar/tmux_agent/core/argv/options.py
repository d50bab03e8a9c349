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

from msgspec import Struct


class Fed(Struct, frozen=True):
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
    committed: bool = False  # with `tracked`: or that some commit has tracked, whatever lies there now
    from_top: bool = False  # git names them from the top of the repository: true only there
    files: bool = False  # holds only if all of `starts` are plain files
    single: bool = False  # one of them at a time
    partial: bool = False  # only a piece of the word is such a name (`-I{} x/{}`)
    globbed: bool = False  # a shell takes them for patterns on the way
    absent: bool = False  # there may be none at all, and the program runs without them

    @property
    def loose(self) -> bool:
        """Whether a word of it may be taken for an option."""
        return self.unknown or self.dashed or self.split


Arg = str | Fed


class Spec(Struct, frozen=True):
    name: str
    kinds: tuple[str, ...] = ()
    attached: bool = False  # the value is optional and counts only if attached
    alone: bool = False  # never one of several letters behind one dash


class Parsed(Struct, frozen=True):
    """`options` in order with their values; `operands` with the index at which `--` stood (or their number)."""

    options: tuple[tuple[Spec, tuple[str, ...]], ...]
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


def parse(args: Sequence[Arg], known: dict[str, Spec], *, stop: bool = False) -> Parsed | str:
    """Options and operands, or a sentence about the first word that the list does not cover.

    `stop`: the program takes no options behind its first operand (env, xargs, awk).
    """
    options: list[tuple[Spec, tuple[str, ...]]] = []
    operands: list[Arg] = []
    index, count = 0, len(args)
    while index < count:
        word = args[index]
        index += 1
        if isinstance(word, Fed) or word == "-" or not word.startswith(("-", "+")):
            operands.append(word)
        elif word == "--":
            return Parsed(tuple(options), (*operands, *args[index:]), len(operands))
        else:
            taken = _option(word, args, index, known)
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


def _option(
    word: str, args: Sequence[Arg], index: int, known: dict[str, Spec]
) -> tuple[list[tuple[Spec, tuple[str, ...]]], int] | str:
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
    found: list[tuple[Spec, tuple[str, ...]]] = []
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
    spec: Spec, values: list[str], args: Sequence[Arg], index: int
) -> tuple[list[tuple[Spec, tuple[str, ...]]], int] | str:
    if spec.attached and not values:
        return [(spec, ())], index
    while len(values) < len(spec.kinds):
        if index >= len(args):
            return f"{spec.name} lacks its value"
        word = args[index]
        if isinstance(word, Fed):
            return f"the value of {spec.name} is not in the text"
        values.append(word)
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
