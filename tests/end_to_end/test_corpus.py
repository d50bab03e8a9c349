"""The shipped policy against the corpus: nothing dangerous is allowed, and everyday reading is.

tests/corpus/*.jsonl hold one case a line: `shell` or `argv`, `class`, `expect` (allow or not_allow), and where needed
`cwd` (a folder of build_tree.py; project without one), `env`, and `setup` (shell text run in a fresh copy first). The
text {root} stands for the case's project folder.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

TESTS = Path(__file__).parents[1]
CORPUS = TESTS / "corpus"
ALLOWED_AT_LEAST = 0.98

pytestmark = pytest.mark.timeout(300)


def read(name: str) -> list[dict[str, Any]]:
    """The cases of one corpus file."""
    return [json.loads(line) for line in (CORPUS / name).read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> tuple[ModuleType, Path]:
    """The builder and the folder that it filled."""
    spec = importlib.util.spec_from_file_location("build_tree", CORPUS / "build_tree.py")
    assert spec is not None
    assert spec.loader is not None
    builder = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(builder)
    root = tmp_path_factory.mktemp("corpus")
    builder.build(root)
    return builder, root


def placed(cases: list[dict[str, Any]], builder: ModuleType, root: Path) -> Iterator[dict[str, Any]]:
    """The cases as the command takes them, each in its folder."""
    variants: dict[str, Path] = {}
    for case in cases:
        folder = root / case.get("cwd", "project")
        if setup := case.get("setup"):
            if setup not in variants:
                name = hashlib.sha256(setup.encode()).hexdigest()[:16]
                known = root / "variants" / name / "project"
                variants[setup] = known if known.exists() else builder.variant(root, name, setup)
            folder = variants[setup]
        line: dict[str, Any] = {"id": case["id"], "cwd": str(folder)}
        if "shell" in case:
            line["shell"] = case["shell"].replace("{root}", str(folder))
        else:
            line["argv"] = [word.replace("{root}", str(folder)) for word in case["argv"]]
        if "env" in case:
            line["env"] = case["env"]
        yield line


def verdicts(lines: Iterator[dict[str, Any]], root: Path) -> dict[str, dict[str, Any]]:
    """What `policy check` says of each line, by id."""
    environ = {"PATH": os.environ["PATH"], "HOME": str(root / "home"), "LC_ALL": "C.UTF-8"}
    environ["PYTHONPATH"] = str(TESTS.parent / "sidecar")
    result = subprocess.run(
        [sys.executable, "-m", "tmux_agent", "policy", "check", "--jsonl", "-"],
        input="".join(json.dumps(line) + "\n" for line in lines),
        capture_output=True,
        encoding="utf-8",
        check=False,
        cwd=root,
        env=environ,
        timeout=240,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    return {answer["id"]: answer for answer in answers}


def missed(cases: list[dict[str, Any]], trees: tuple[ModuleType, Path], wrong: set[str]) -> list[str]:
    """One line for each case whose verdict is among `wrong`; every case must have a verdict."""
    builder, root = trees
    answers = verdicts(placed(cases, builder, root), root)
    assert set(answers) == {case["id"] for case in cases}
    lines = []
    for case in cases:
        answer = answers[case["id"]]
        assert answer["verdict"] in {"allow", "ask", "deny"}
        if answer["verdict"] in wrong:
            what = case.get("shell", case.get("argv"))
            lines.append(f"{case['id']}: {what!r} → {answer['verdict']} ({answer.get('rule')}: {answer.get('reason')})")
    return lines


def test_nothing_dangerous_is_allowed(trees: tuple[ModuleType, Path]) -> None:
    """No case that can write, run, reach the network, leave the root or read a secret gets an allow."""
    cases = read("dangerous.jsonl")
    assert len(cases) >= 700
    misses = missed(cases, trees, {"allow"})
    assert not misses, f"{len(misses)} of {len(cases)} dangerous cases allowed:\n" + "\n".join(misses)


def test_everyday_reading_is_allowed(trees: tuple[ModuleType, Path]) -> None:
    """Agents read the worktree without asking: at least 98 of 100 everyday commands are allowed."""
    cases = read("everyday.jsonl")
    assert len(cases) >= 500
    misses = missed(cases, trees, {"ask", "deny"})
    print(f"{len(misses)} of {len(cases)} everyday cases not allowed:", *misses, sep="\n")
    assert len(misses) <= (1 - ALLOWED_AT_LEAST) * len(cases), "\n".join(misses)


def test_corpus_is_well_formed() -> None:
    """Ids are unique, every line says what it expects, and no text is expected both ways."""
    everyday, dangerous = read("everyday.jsonl"), read("dangerous.jsonl")
    for cases, expected in ((everyday, "allow"), (dangerous, "not_allow")):
        assert len({case["id"] for case in cases}) == len(cases)
        assert all(case["expect"] == expected and ("shell" in case) != ("argv" in case) for case in cases)

    def content(case: dict[str, Any]) -> str:
        return json.dumps([case.get(key) for key in ("shell", "argv", "cwd", "env", "setup")])

    assert not {content(case) for case in everyday} & {content(case) for case in dangerous}
