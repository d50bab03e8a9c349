"""YAML text to typed values, with every error at once: file, line, path and the nearest known word.

Owns YAML (PyYAML is imported here and nowhere else) and its bounds: size, depth, number of nodes, no anchors that
multiply, no duplicate keys, no tags but `!secret NAME` where the type takes a Secret. Must not own what a file may say:
that is the Struct it is given.
A Struct field `line: int` is filled with the line at which its mapping begins, and cannot be set from the file. A float
may be written as a duration (300s, 5m, 1h, 2d), a list of texts that has one without blanks as that text alone. Of
tagged Structs the one is taken that the key `type` (or another tag field) names. What a Struct's own __post_init__
refuses by a ValueError is an error of the line at which its mapping begins.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import msgspec
import yaml
from msgspec import Struct, inspect

from .secret import Secret

MAX_CHARS = 1 << 20
MAX_DEPTH = 32
MAX_NODES = 200_000
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_STANDARD = {
    f"tag:yaml.org,2002:{name}"
    for name in ("str", "int", "float", "bool", "null", "seq", "map", "timestamp", "merge", "value")
}
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_T = TypeVar("_T")


class ConfigError(Struct, frozen=True):
    """One thing that is wrong with a file. `line` counts from 1 (0: the whole file); `path` is
    rules[3].when.options."""

    file: str
    line: int
    path: str
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.path + ': ' if self.path else ''}{self.message}"


def load(text: str, file: str, kind: type[_T]) -> tuple[_T | None, tuple[ConfigError, ...]]:
    """The file's content as `kind` (a Struct), or None and every error in it. Never raises. An empty file is
    all defaults."""
    info = inspect.type_info(kind)
    reader = _Reader(file, info)
    node = reader.compose(text)
    value = None
    if not reader.errors:
        value = reader.value(node, info, "") if node is not None else reader.struct_of([], info, "", 1)
    if reader.errors:
        return None, tuple(sorted(reader.errors, key=lambda error: error.line))
    return value, ()


def nearest(word: str, words: Iterable[str]) -> str:
    """ ", did you mean X?" where a known word is near, else ""."""
    close = difflib.get_close_matches(word, list(words), n=1, cutoff=0.6)
    return f", did you mean {close[0]}?" if close else ""


class _Reader:
    def __init__(self, file: str, whole: Any) -> None:
        self.file = file
        self._whole = whole
        self.errors: list[ConfigError] = []
        self._nodes = 0

    def _error(self, line: int, path: str, message: str) -> None:
        if len(self.errors) < 1000:
            self.errors.append(ConfigError(self.file, line, path, message))

    # --- YAML ---

    def compose(self, text: str) -> Any:
        if len(text) > MAX_CHARS:
            self._error(0, "", f"has {len(text)} characters, more than {MAX_CHARS}: split it into files of policy.d")
            return None
        try:
            self._bounds(text)
            return None if self.errors else yaml.compose(text, Loader=_Loader)
        except yaml.MarkedYAMLError as why:
            mark = why.problem_mark or why.context_mark
            self._error(mark.line + 1 if mark else 0, "", f"is not YAML: {why.problem or why}")
        except (yaml.YAMLError, ValueError) as why:  # a character that YAML does not allow
            self._error(0, "", f"is not YAML: {' '.join(str(why).split())}")
        return None

    def _bounds(self, text: str) -> None:
        """Count events before anything is built, so that neither depth nor aliases cost more than reading the text."""
        depth = 0
        for nodes, event in enumerate(yaml.parse(text, Loader=_Loader)):
            if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
                depth += 1
            elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
                depth -= 1
            line = event.start_mark.line + 1 if event.start_mark else 0
            if depth > MAX_DEPTH or nodes > MAX_NODES:
                self._error(line, "", f"is nested deeper than {MAX_DEPTH} or has more than {MAX_NODES} values")
                return

    def _count(self, node: Any, path: str) -> bool:
        """Aliases repeat nodes; what they come to is bounded like the file itself."""
        self._nodes += 1
        if self._nodes == MAX_NODES:
            self._error(node.start_mark.line + 1, path, "aliases make this file too large")
        return self._nodes < MAX_NODES and path.count(".") + path.count("[") <= MAX_DEPTH

    # --- types ---

    def value(self, node: Any, info: Any, path: str) -> Any:
        """The node as the type that `info` (msgspec.inspect) describes; None with an error noted where it
        does not fit."""
        if not self._count(node, path):
            return None
        line = node.start_mark.line + 1
        if node.tag not in _STANDARD:
            return self._secret(node, info, path, line)
        if isinstance(info, inspect.UnionType):
            return self._union(node, info, path, line)
        if isinstance(info, inspect.StructType):
            if isinstance(node, yaml.MappingNode):
                return self._tagged(node, (info,), path, line)
            return self._error(line, path, "has to be a mapping (key: value)")
        if isinstance(info, (inspect.ListType, inspect.VarTupleType)):
            return self._sequence(node, info, path, line)
        if isinstance(info, inspect.DictType):
            return self._mapping(node, info, path, line)
        if isinstance(info, inspect.AnyType):
            return self._anything(node, path)
        if not isinstance(node, yaml.ScalarNode):
            return self._error(line, path, f"has to be {_expected(info)}, not a list or mapping")
        return self._scalar(node, info, path, line)

    def _secret(self, node: Any, info: Any, path: str, line: int) -> Any:
        """A value with a tag of its own: `!secret NAME`, where the type takes one (or a list of them)."""
        if node.tag != "!secret":
            return self._error(line, path, f"has the tag {node.tag}: the only one there is is !secret NAME")
        if not _takes_secret(info):
            taking = ", ".join(_secret_keys(self._whole)) or "none in this file"
            return self._error(line, path, f"takes no secret; keys that do: {taking}")
        if not isinstance(node, yaml.ScalarNode):
            return self._error(line, path, "has to be !secret and one name")
        try:
            secret = Secret.of(node.value)
        except ValueError as why:
            return self._error(line, path, str(why))
        return secret if _takes_secret(info, in_lists=False) else (secret,)

    def _union(self, node: Any, info: Any, path: str, line: int) -> Any:
        kinds = [kind for kind in info.types if not _is_secret(kind)]  # which is never written as a mapping
        fitting = [kind for kind in kinds if _fits(node, kind)] or [
            kind for kind in kinds if _fits_as_item(node, kind)
        ]
        if not fitting:
            wanted = " or ".join(dict.fromkeys(_expected(kind) for kind in kinds))
            return self._error(line, path, f"has to be {wanted}")
        if isinstance(fitting[0], inspect.StructType):
            structs = tuple(kind for kind in fitting if isinstance(kind, inspect.StructType))
            return self._tagged(node, structs, path, line)
        return self.value(node, fitting[0], path)

    def _tagged(self, node: Any, kinds: tuple[Any, ...], path: str, line: int) -> Any:
        """The mapping as the one of `kinds` that its tag names; where they have no tags, as the only one."""
        by = kinds[0].tag_field
        if by is None:
            return self.struct_of(node.value, kinds[0], path, line)
        named = [item for key, item in node.value if key.value == by]
        tags = {kind.tag: kind for kind in kinds}
        if len(named) != 1:
            return self._error(line, path, f"{'lacks' if not named else 'has more than once'} the key {by}")
        tag = named[0].value if isinstance(named[0], yaml.ScalarNode) else "a list or mapping"
        if tag not in tags:
            wanted = f"has to be one of {', '.join(tags)}, not {tag!r}{nearest(tag, tags)}"
            return self._error(named[0].start_mark.line + 1, f"{path}.{by}".lstrip("."), wanted)
        pairs = [(key, item) for key, item in node.value if key.value != by]
        return self.struct_of(pairs, tags[tag], path, line)

    def struct_of(self, pairs: Any, info: Any, path: str, line: int) -> Any:
        fields = {field.encode_name: field for field in info.fields if field.name != "line"}
        values: dict[str, Any] = {}
        before = len(self.errors)
        for key, node in pairs:
            name = key.value if isinstance(key, yaml.ScalarNode) else "?"
            at, where = key.start_mark.line + 1, f"{path}.{name}" if path else str(name)
            if name not in fields:
                self._error(at, where, f"is not a known key{nearest(str(name), fields) or _choices(fields)}")
            elif fields[name].name in values:
                self._error(at, where, "is there twice")
            else:
                values[fields[name].name] = self.value(node, fields[name].type, where)
        for name, field in fields.items():
            if field.required and field.name not in values:
                self._error(line, path, f"lacks the key {name}")
        if any(field.name == "line" for field in info.fields):
            values["line"] = line
        if len(self.errors) > before:
            return None
        try:
            return info.cls(**values)
        except ValueError as why:
            return self._error(line, path, str(why))

    def _sequence(self, node: Any, info: Any, path: str, line: int) -> Any:
        if _fits_as_item(node, info):
            values = [self.value(node, info.item_type, path)]
        elif not isinstance(node, yaml.SequenceNode):
            words = node.value.split() if isinstance(node, yaml.ScalarNode) else ()
            shown = f'[{", ".join(words)}] or ["{node.value}"],' if len(words) > 1 else "[a, b]"
            return self._error(line, path, f"has to be a list ({shown} or lines with a dash)")
        else:
            values = [self.value(item, info.item_type, f"{path}[{index}]") for index, item in enumerate(node.value)]
        return tuple(values) if isinstance(info, inspect.VarTupleType) else values

    def _mapping(self, node: Any, info: Any, path: str, line: int) -> Any:
        if not isinstance(node, yaml.MappingNode):
            return self._error(line, path, "has to be a mapping (key: value)")
        found: dict[Any, Any] = {}
        for key, item in node.value:
            name = self.value(key, info.key_type, path)
            if name in found:
                self._error(key.start_mark.line + 1, f"{path}.{name}", "is there twice")
            found[name] = self.value(item, info.value_type, f"{path}.{name}")
        return found

    def _anything(self, node: Any, path: str) -> Any:
        if isinstance(node, yaml.ScalarNode):
            return _plain(node)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, inspect.AnyType(), f"{path}[{index}]") for index, item in enumerate(node.value)]
        return {str(key.value): self.value(item, inspect.AnyType(), f"{path}.{key.value}") for key, item in node.value}

    def _scalar(self, node: Any, info: Any, path: str, line: int) -> Any:
        text = node.value
        plain = _plain(node)
        if isinstance(info, inspect.StrType):
            if isinstance(plain, str):
                return plain
            return self._error(line, path, f'has to be text: write "{text}" in quotes')
        if isinstance(info, (inspect.LiteralType, inspect.EnumType)):
            return self._choice(node, info, path, line)
        duration = _DURATION.fullmatch(text) if isinstance(info, inspect.FloatType) else None
        if duration:
            return float(duration[1]) * _UNITS[duration[2]]
        if _fits(node, info):
            return float(plain) if isinstance(info, inspect.FloatType) else plain
        return self._error(line, path, f"has to be {_expected(info)}, not {text!r}")

    def _choice(self, node: Any, info: Any, path: str, line: int) -> Any:
        words = info.values if isinstance(info, inspect.LiteralType) else [member.value for member in info.cls]
        if node.value not in words:
            near = nearest(str(node.value), map(str, words))
            return self._error(line, path, f"has to be one of {', '.join(map(str, words))}, not {node.value!r}{near}")
        return info.cls(node.value) if isinstance(info, inspect.EnumType) else node.value


def _is_secret(info: Any) -> bool:
    return isinstance(info, inspect.StructType) and info.cls is Secret


def _takes_secret(info: Any, *, in_lists: bool = True) -> bool:
    if isinstance(info, inspect.UnionType):
        return any(_takes_secret(kind, in_lists=in_lists) for kind in info.types)
    if in_lists and isinstance(info, (inspect.ListType, inspect.VarTupleType)):
        return _takes_secret(info.item_type, in_lists=False)
    return _is_secret(info)


def _secret_keys(info: Any, path: str = "", above: tuple[type, ...] = ()) -> Iterator[str]:
    """Paths of the keys beneath a type that take secrets: notify.channels.*.url."""
    if isinstance(info, inspect.UnionType):
        if any(map(_is_secret, info.types)):
            yield path
        for kind in info.types:
            yield from () if _is_secret(kind) else _secret_keys(kind, path, above)
    elif isinstance(info, inspect.StructType) and info.cls not in above:
        for field in info.fields:
            yield from _secret_keys(field.type, f"{path}.{field.encode_name}".lstrip("."), (*above, info.cls))
    elif isinstance(info, (inspect.ListType, inspect.VarTupleType)):
        yield from _secret_keys(info.item_type, f"{path}[]", above)
    elif isinstance(info, inspect.DictType):
        yield from _secret_keys(info.value_type, f"{path}.*", above)


def _plain(node: Any) -> Any:
    """A scalar with YAML's own types: text, whole number, number, true/false, nothing."""
    kind = node.tag.rpartition(":")[2]
    try:
        if kind == "int":
            return int(node.value.replace("_", ""), 0)
        if kind == "float":
            return float(node.value.replace("_", ""))
    except ValueError:
        return node.value
    if kind == "bool":
        return node.value.lower() in ("true", "yes", "on")
    return None if kind == "null" else node.value


def _fits(node: Any, info: Any) -> bool:
    if isinstance(info, (inspect.StructType, inspect.DictType)):
        return isinstance(node, yaml.MappingNode)
    if isinstance(info, (inspect.ListType, inspect.VarTupleType)):
        return isinstance(node, yaml.SequenceNode)
    if isinstance(info, inspect.AnyType):
        return True
    if not isinstance(node, yaml.ScalarNode):
        return False
    plain = _plain(node)
    if isinstance(info, (inspect.LiteralType, inspect.EnumType)):
        return isinstance(plain, str)
    if isinstance(info, inspect.FloatType):
        return (isinstance(plain, (int, float)) and not isinstance(plain, bool)) or bool(
            _DURATION.fullmatch(node.value)
        )
    kinds: dict[Any, type] = {
        inspect.StrType: str,
        inspect.IntType: int,
        inspect.BoolType: bool,
        inspect.NoneType: type(None),
    }
    wanted = next((kind for named, kind in kinds.items() if isinstance(info, named)), None)
    return wanted is not None and type(plain) is wanted


def _fits_as_item(node: Any, info: Any) -> bool:
    """Whether a word stands for a list of it. One with blanks does not: it may be meant for several."""
    if not isinstance(info, (inspect.ListType, inspect.VarTupleType)) or not isinstance(node, yaml.ScalarNode):
        return False
    kinds = info.item_type.types if isinstance(info.item_type, inspect.UnionType) else (info.item_type,)
    texts = any(isinstance(kind, (inspect.StrType, inspect.LiteralType)) for kind in kinds)
    return texts and isinstance(_plain(node), str) and len(node.value.split()) == 1


def _expected(info: Any) -> str:
    names: dict[Any, str] = {
        inspect.StrType: "text",
        inspect.IntType: "a whole number",
        inspect.FloatType: "a number or duration (300s, 5m)",
        inspect.BoolType: "true or false",
        inspect.NoneType: "nothing",
        inspect.ListType: "a list",
        inspect.VarTupleType: "a list",
        inspect.DictType: "a mapping",
        inspect.StructType: "a mapping",
    }
    if isinstance(info, (inspect.LiteralType, inspect.EnumType)):
        words = info.values if isinstance(info, inspect.LiteralType) else [m.value for m in info.cls]
        return "one of " + ", ".join(map(str, words))
    return next((name for named, name in names.items() if isinstance(info, named)), "something else")


def _choices(fields: Iterable[str]) -> str:
    return f" (known: {', '.join(fields)})"


def dump(value: Any) -> str:
    """A value as YAML, as it is written to policy.d. Builtins and Structs only."""
    text: str = yaml.safe_dump(msgspec.to_builtins(value), sort_keys=False, allow_unicode=True, width=120)
    return text


__all__ = ["ConfigError", "dump", "load", "nearest"]
