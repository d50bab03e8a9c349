"""The tables of docs/protocol.md, options.md, policy.md, mcp.md and modules.md, made from what they describe.

`python -m tests.docs.render` (with PYTHONPATH=sidecar) writes them between their markers; test_docs.py holds the
documents against them.
"""

from __future__ import annotations

import ast
import enum
import re
import types
import typing
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import NODEFAULT, Struct

from tmux_agent.core import channels, errors, operands, protocol, replies, settings
from tmux_agent.core.model import Action
from tmux_agent.core.secret import Secret
from tmux_agent.edges.mcp import tools

DOCS = Path(__file__).parents[2] / "docs"
SIMPLE = {str: "string", int: "integer", float: "number", bool: "boolean", datetime: "time", type(None): "null"}


def words(kind: Any, seen: dict[str, Any]) -> str:
    """A type as the document writes it; the Structs in it are added to `seen`."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return "any"
    if kind == Action:
        seen.update({one.__name__: one for one in inner})
        return "[Action](#action)"
    if kind in SIMPLE:
        return SIMPLE[kind]
    if kind is Secret:
        return "`!secret`"
    if origin is typing.Literal:
        return " · ".join(f"`{one}`" for one in inner)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(words(one, seen) for one in inner if one is not type(None))
    if origin is tuple:
        return f"list of {words(inner[0], seen)}"
    if origin is dict or kind is dict:
        return "object"
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return " · ".join(f"`{one.value}`" for one in kind)
    seen[kind.__name__] = kind
    return f"[{kind.__name__}](#{kind.__name__.lower()})"


def default(field: Any) -> str:
    if field.default_factory is not NODEFAULT:
        return f"`{msgspec.json.encode(field.default_factory()).decode()}`"
    if field.default is NODEFAULT:
        return "required"
    value = field.default.value if isinstance(field.default, enum.Enum) else field.default
    return "–" if value is None else f"`{msgspec.json.encode(value).decode()}`"


def table(kind: type[Struct], seen: dict[str, Any]) -> str:
    """Members of a Struct, one row each."""
    fields = msgspec.structs.fields(kind)
    rows = [f"| `{one.encode_name}` | {words(one.type, seen)} | {default(one)} |" for one in fields]
    return "\n".join(["| member | type | default |", "|---|---|---|", *rows]) if rows else "No members."


def about(kind: type) -> str:
    """A Struct's docstring, on one line; "" for what msgspec or Struct put there."""
    text = kind.__doc__ or ""
    return "" if text == Struct.__doc__ or text.startswith(f"{kind.__name__}(") else " ".join(text.split())


def methods() -> str:
    """Every method, then every value that they speak of."""
    seen: dict[str, Any] = {"EventData": replies.EventData}
    parts = [method(name, kind, seen) for name, kind in protocol.METHODS.items()]
    tags = [f"`{one.__struct_config__.tag}` ({words(one, seen)})" for one in typing.get_args(Action)]
    parts.append(f"## Values\n\n### Action\n\nOne of these, told apart by the member `type`: {', '.join(tags)}.")
    done: set[str] = set()
    while left := sorted(seen.keys() - done):
        for name in left:
            done.add(name)
            parts.append("\n\n".join(filter(None, [f"### {name}", about(seen[name]), table(seen[name], seen)])))
    return "\n\n".join(parts)


def method(name: str, kind: type[protocol.Params], seen: dict[str, Any]) -> str:
    lines = [f"### `{name}`", about(kind)]
    if kind in protocol.OPERATOR_ONLY:
        lines.append("Operators only.")
    if msgspec.structs.fields(kind):
        lines.append(table(kind, seen))
    reply = replies.REPLIES[name]
    if reply is not None:
        also = f", with `dry_run` {words(replies.DryRun, seen)}" if name == "command.run" else ""
        lines.append(f"Gives {words(reply, seen)}{also}." if reply is not replies.Nothing else "Gives `{}`.")
    return "\n\n".join(filter(None, lines))


def error_table() -> str:
    """Codes, kinds and meanings."""
    kinds = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, errors.TmuxAgentError)]
    told = [one for one in kinds if one not in (errors.TmuxAgentError, errors.NotText)]
    rows = [f"| {one.code} | `{one.kind}` | {MEANINGS[one.kind]} |" for one in told]
    return "\n".join(["| code | `kind` | meaning |", "|---|---|---|", *rows])


MEANINGS = {
    "parse": "the line is not JSON",
    "invalid_request": "JSON, but no request: a batch, no `method`, an `id` that is neither string nor integer, "
    "or one that is in flight; or a line that is too long or not UTF-8 (then the connection is closed)",
    "unknown_method": "the message suggests the nearest",
    "invalid_params": "the message gives the path of the member; unknown members are named",
    "internal": "a defect of tmux-agent: its log has it under the request's id",
    "denied": "the policy or a person said no; with `rule`, and `comment` where a person gave one",
    "expired": "nobody answered in time",
    "withdrawn": "the request was cancelled, or whoever asked went away",
    "forbidden": "the caller's role may not do this",
    "not_found": "there is no such request, plan, file, pane, program, …",
    "conflict": "something changed since it was read or shown, or it was answered or run already",
    "limit": "over a rate, size or count; the connection stays",
    "timeout": "it did not end in time",
    "unavailable": "something that is needed is away (tmux gone, disk full, log not writable): nothing was done",
    "failed": "it was done, and failed",
}


def setting_table() -> str:
    """config.yaml: every key with its default, its variable, and the comment beside it in settings.py."""
    source = Path(settings.__file__).read_text() + Path(channels.__file__).read_text()
    rows = []
    for name, path in settings.variables().items():
        owner: Any = settings.Settings if len(path) == 1 else type(getattr(settings.Settings(), path[0]))
        field = next(one for one in msgspec.structs.fields(owner) if one.name == path[-1])
        body = source.partition(f"class {owner.__name__}(")[2].partition("\nclass ")[0]
        comment = re.search(rf"^    {path[-1]}: [^#\n]*(?:# (.*))?$", body, re.MULTILINE)
        key = ".".join(path)
        note = (comment[1] or "") if comment else ""
        rows.append(f"| `{key}` | {words(field.type, {})} | {default(field)} | `{name}` | {note} |")
    return "\n".join(["| key | type | default | variable | |", "|---|---|---|---|---|", *rows])


def option_table() -> str:
    """Options of the plugin, from scripts/variables.sh."""
    text = (DOCS.parent / "scripts" / "variables.sh").read_text()
    rows = []
    for name, option, note in re.findall(r'^option_(\w+)="(@[\w-]+)"(?: # (.*))?$', text, re.MULTILINE):
        value = re.search(rf'^default_{name}="(.*)"$', text, re.MULTILINE)
        assert value, f"{option} has no default in variables.sh"
        rows.append(f"| `{option}` | {f'`{value[1]}`' if value[1] else 'empty'} | {note} |")
    for option, value_ in re.findall(r"(@tmux-agent-[\w-]+) +(\S+)", "\n".join(re.findall(r"^#   (.*)$", text, re.M))):
        rows.append(f"| `{option}` | `{value_}` | read by the sidecar |")
    return "\n".join(["| option | default | |", "|---|---|---|", *rows])


def kind_table() -> str:
    """Kinds of operands, from core/operands.py."""
    named = {kind: about for kind, (about, _) in operands.KINDS.items()} | operands.SPECIAL
    return "\n".join(["| kind | |", "|---|---|", *(f"| `{kind}` | {about} |" for kind, about in named.items())])


def tool_table() -> str:
    """Tools of the MCP bridge, with what they tell of themselves."""
    rows = []
    for tool in tools.TOOLS.values():
        hints = tool.hints
        told = {"reads": hints.reads, "may destroy": hints.destroys, "open world": hints.open}
        words_ = ", ".join(word for word, holds in told.items() if holds) or "–"
        rows.append(f"| `{tool.name}` | {about(tool.params)} | {words_} |")
    return "\n".join(["| tool | | hints |", "|---|---|---|", *rows])


def module_tables() -> str:
    """Every module by folder, with the first sentence of its docstring."""
    root = Path(settings.__file__).parents[1]
    folders: dict[str, list[str]] = {}
    for path in sorted(root.rglob("*.py")):
        told = ast.get_docstring(ast.parse(path.read_text()))
        if told:
            first = re.split(r"(?<=[.!?])\s", " ".join(told.partition("\n\n")[0].split()))[0].replace("|", "\\|")
            folders.setdefault(path.parent.relative_to(root).as_posix(), []).append(f"| `{path.name}` | {first} |")
    parts = [
        "\n".join([f"## {'tmux_agent' if name == '.' else name}", "", "| module | |", "|---|---|", *rows])
        for name, rows in sorted(folders.items())
    ]
    return "\n\n".join(parts)


TABLES = {
    ("protocol.md", "methods"): methods,
    ("protocol.md", "errors"): error_table,
    ("options.md", "settings"): setting_table,
    ("options.md", "options"): option_table,
    ("policy.md", "kinds"): kind_table,
    ("mcp.md", "tools"): tool_table,
    ("modules.md", "modules"): module_tables,
}


def filled(name: str, text: str) -> str:
    """A document with its tables made anew."""
    for (document, mark), render in TABLES.items():
        if document == name:
            begin, end = f"<!-- {mark} -->", f"<!-- end of {mark} -->"
            before, _, rest = text.partition(begin)
            _, _, after = rest.partition(end)
            text = f"{before}{begin}\n\n{render()}\n\n{end}{after}"
    return text


def documents() -> list[Path]:
    return sorted({DOCS / name for name, _ in TABLES})


if __name__ == "__main__":
    for path in documents():
        path.write_text(filled(path.name, path.read_text()))
