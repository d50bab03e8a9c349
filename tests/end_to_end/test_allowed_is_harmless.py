"""What the policy allows is run under strace, and must do no more than look (tests/corpus/oracle.py)."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tests.corpus import oracle
from tests.end_to_end import test_corpus as corpus

trees = corpus.trees  # the fixture
# Behind the names of languages there may be a version manager of this machine, which runs much.
VERSIONS = re.compile(r"-(-version|V|v|version)$|^(python|pip|cargo|node|npm|java)\S* --help$")
EVERY = 1 if os.environ.get("TMUX_AGENT_TEST_ALL") else 4  # of the everyday cases; all of them take some minutes
pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed"),
]
HARMFUL = (
    "touch M",
    "echo x > M",
    "cat .env",
    "cat ../outside",
    "grep -r KEY .",
    "rm README.md",
    "mv README.md M",
    "mkdir M",
    "git -c alias.x='!touch M' x",
    "find . -name README.md -exec env touch M \\;",
    "printf '%n' PATH; ls >/dev/null; cat < secrets/key.pem",
    "sort -o M README.md",
    "ln -s README.md M",
    "git diff --output=M HEAD~1",
)


def test_the_oracle_sees_harm(trees: tuple[ModuleType, Path]) -> None:
    """Each of these writes, starts something else or reads what is private, and the oracle says so."""
    builder, root = trees
    for number, text in enumerate(HARMFUL):
        folder = builder.variant(root, f"harm-{number}", "true")
        assert oracle.run(text, folder, root / "home"), text


def test_everyday_commands_that_are_allowed_only_look(trees: tuple[ModuleType, Path]) -> None:
    """Of the everyday cases those that the policy allows write nothing, start nothing else and read no secret."""
    builder, root = trees
    cases = [case for case in corpus.read("everyday.jsonl")[::EVERY] if "env" not in case]
    lines = list(corpus.placed(cases, builder, root))
    answers = corpus.verdicts(iter(lines), root)
    found = [
        f"{_text(line)!r}: {harm}"
        for line in lines
        if answers[line["id"]]["verdict"] == "allow" and not VERSIONS.search(_text(line))
        for harm in oracle.run(_text(line), Path(line["cwd"]), root / "home", seconds=2)
    ]
    assert not found, "\n".join(found)


def _text(line: dict[str, Any]) -> str:
    return str(line["shell"]) if "shell" in line else shlex.join(line["argv"])
