"""docs/policy.md knows every key, kind and guardrail, and its files load."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import msgspec
import pytest
from tests.docs.render import DOCS

from tmux_agent.core import channels, config, operands, policy_build, policy_file
from tmux_agent.core import guardrails as rails
from tmux_agent.core.policy_build import Layer
from tmux_agent.core.policy_file import PolicyFile

TEXT = (DOCS / "policy.md").read_text()
CORE = DOCS.parent / "sidecar" / "tmux_agent" / "core"
BLOCKS = re.findall(r"^```yaml\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def keys() -> Iterator[str]:
    kinds = [one for one in vars(policy_file).values() if isinstance(one, type) and issubclass(one, msgspec.Struct)]
    assert channels.Notify in kinds
    for kind in kinds:
        if kind is not msgspec.Struct:
            yield from (field.encode_name for field in msgspec.structs.fields(kind) if field.name != "line")


def text_of(node: ast.expr) -> str:
    """A text that stands there, or in a constant of guardrails.py; "" for one that is computed."""
    value = node.value if isinstance(node, ast.Constant) else vars(rails).get(getattr(node, "id", ""))
    return value if isinstance(value, str) else ""


def guardrails() -> set[str]:
    """Names of all matches that say they are guardrails: Match(rule=…, where="guardrail"), and guardrails._match(…)."""
    found = set()
    for path in CORE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                named = {one.arg: one.value for one in node.keywords}
                if node.func.id == "_match" and path.name == "guardrails.py":
                    named |= {"rule": node.args[0], "where": ast.Constant("guardrail")}
                where = named.get("where")
                if isinstance(where, ast.Constant) and where.value == "guardrail":
                    found.add(text_of(named["rule"]))
    return found - {""}


def test_every_key_and_kind_is_told() -> None:
    """Keys of the file stand in code marks, alone or in a mapping; so do kinds of operands."""
    marked = set(re.findall(r"\w+", " ".join(re.findall(r"`[^`\n]+`", TEXT))))
    assert {*keys(), *operands.KINDS, *operands.SPECIAL} - marked == set()


def test_every_guardrail_is_told_and_no_other() -> None:
    """The first column of the table of guardrails is just what the code names."""
    section = TEXT.partition("\n## Guardrails\n")[2].partition("\n## ")[0]
    told = set(re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE))
    assert len(told) > 10
    assert told == guardrails()


@pytest.mark.parametrize("text", BLOCKS)
def test_every_file_that_is_shown_loads(text: str) -> None:
    """Without an error, its examples tried."""
    file, wrong = config.load(text, "docs/policy.md", PolicyFile)
    assert wrong == ()
    assert file is not None
    assert policy_build.build([Layer(file=file, label="docs/policy.md")], "/home/me")[1] == ()


def test_there_are_files() -> None:
    """The blocks were found."""
    assert len(BLOCKS) >= 8
