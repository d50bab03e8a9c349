"""The documents say what is there: tables made from the code, every option, every reason, every file that is named."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from tests.docs.render import DOCS, documents, filled

SOURCE = DOCS.parent / "sidecar" / "tmux_agent"


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.name)
def test_tables_are_those_of_the_code(path: Path) -> None:
    """After a change to messages, settings, options or the head of a module they are to be written again."""
    text = path.read_text()
    assert filled(path.name, text) == text, "PYTHONPATH=sidecar python -m tests.docs.render writes them"


PAGES = sorted(path.name for path in DOCS.glob("*.md"))


@pytest.mark.parametrize("name", ["../README.md", *PAGES])
def test_links_lead_somewhere(name: str) -> None:
    """Headings and files that a document links to are there."""
    page = DOCS / name
    text = page.read_text()
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, heading = target.partition("#")
        if path.startswith("https://"):
            continue
        there = page.parent / path if path else page
        assert there.exists(), target
        assert not heading or heading in headings(there.read_text()), target


def headings(text: str) -> set[str]:
    """As links name them."""
    lines = re.findall(r"^#+ .*$", text, re.M)
    return {re.sub(r"[^\w -]", "", line.lstrip("# ").lower()).replace(" ", "-") for line in lines}


def constant_texts(path: Path) -> str:
    """All texts of a module, those of f-strings with … for what is put in."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.JoinedStr):
            found.append("".join(str(v.value) if isinstance(v, ast.Constant) else "…" for v in node.values))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append(node.value)
    return "\n".join(found)


def test_messages_in_troubleshooting_are_real() -> None:
    """Each message that is quoted there (in a heading or a table's first column) is one that the code says."""
    text = (DOCS / "troubleshooting.md").read_text()
    quoted = re.findall(r"^\| `([^`]+)` \|", text, re.M) + re.findall(r"^### `([^`]+)`$", text, re.M)
    code = "\n".join(constant_texts(path) for path in SOURCE.rglob("*.py"))
    assert len(quoted) > 20
    for message in quoted:
        for part in filter(None, (part.strip() for part in message.split("…"))):
            assert part in code, message
