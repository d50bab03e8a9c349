"""The rules of docs/architecture.md that a program can hold: who may import whom, and that core is pure."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "sidecar" / "tmux_agent"
LAYERS = {"core": 0, "services": 1, "edges": 2}

# What each heavy library may be imported by.
HOMES = {
    "yaml": {"core/config.py"},
    "sqlite3": {"services/store.py", "services/schema.py", "services/journal.py", "services/ledger.py",
                "services/recovery.py", "services/restoring.py", "services/state_backups.py", "services/approvals.py",
                "services/grants.py", "services/plans.py", "services/notice_rows.py",
                "services/watch_rows.py", "services/pipeline_rows.py", "services/fleet_rows.py",
                "services/queue_rows.py", "services/execution_rows.py"},
    "apprise": {"services/apprise_channels.py"},
    "requests": {"services/apprise_channels.py"},
    "prometheus_client": {"services/metrics.py"},
    "psutil": {"services/psutil_processes.py"},
    "asyncinotify": {"services/folders.py"},
    "re2": {"core/patterns.py"},
    "cryptography": {"services/secret_store.py"},
    "platformdirs": {"services/places.py"},
    "libtmux": {"services/tmux/layout.py"},
}  # fmt: skip
PREFIXES = {
    "tree_sitter": "core/shell",
    "tree_sitter_bash": "core/shell",
    "prompt_toolkit": "edges/ui/",
    "pygments": "edges/ui/",
}
IMPURE = {
    "asyncio", "logging", "os", "socket", "subprocess", "threading", "time", "pathlib", "shutil", "tempfile", "random",
    "secrets", "signal", "select", "io", "glob", "fcntl", "sqlite3",
}  # fmt: skip
LINES = 360
FUNCTION = 60
# Files that are longer, and how long they may be. A row here is to be made smaller or to go, never to be added.
LONG = {
    "core/argv/wrappers.py": 390,
    "core/config.py": 390,
    "core/effects.py": 380,
    "core/facts.py": 390,
    "core/judging.py": 380,
    "core/model.py": 460,
    "core/operands.py": 460,
    "core/pipeline.py": 440,
    "core/redact.py": 410,
    "core/shell_grammar.py": 410,
    "core/shell_lex.py": 490,
    "edges/connection.py": 440,
    "services/agents.py": 390,
    "services/approvals.py": 500,
    "services/executions.py": 520,
    "services/guard.py": 410,
    "services/identity.py": 420,
    "services/judgement.py": 390,
    "services/observe_git.py": 420,
    "services/pipelines.py": 410,
    "services/system.py": 390,
    "services/tmux/watch.py": 410,
    "services/tools/panes.py": 400,
}


def sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Dotted names that a module imports, relative ones made absolute."""
    here = ["tmux_agent", *path.relative_to(PACKAGE).with_suffix("").parts]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level] if node.level else []
            stem = ".".join([*base, *([node.module] if node.module else [])])
            yield stem
            yield from (f"{stem}.{alias.name}" for alias in node.names)


def layer(dotted: str) -> str | None:
    parts = dotted.split(".")
    return parts[1] if parts[0] == "tmux_agent" and len(parts) > 1 and parts[1] in LAYERS else None


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_one_way(path: Path) -> None:
    """core ← services ← edges ← daemon and cli: nothing imports a layer above its own. The client is for everybody."""
    own = path.relative_to(PACKAGE).parts[0]
    if own not in LAYERS:
        return
    for name in imports(path):
        other = layer(name)
        assert other is None or LAYERS[other] <= LAYERS[own], f"{own} imports {name}"


@pytest.mark.parametrize("path", sorted((PACKAGE / "core").glob("*.py")), ids=lambda path: path.name)
def test_core_is_pure(path: Path) -> None:
    """core takes values and gives values: no clock, files, sockets, environment, asyncio or logging."""
    for name in imports(path):
        assert name.split(".")[0] not in IMPURE, f"core/{path.name} imports {name}"
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in {"open", "print", "input", "exec", "eval"}, f"core/{path.name}: {node.func.id}()"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            assert node.func.attr not in {"now", "utcnow", "today"}, f"core/{path.name}: .{node.func.attr}()"


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_heavy_libraries_have_one_home(path: Path) -> None:
    """Each heavy library is imported by the module that owns it and by no other."""
    here = path.relative_to(PACKAGE).as_posix()
    for name in imports(path):
        top = name.split(".")[0]
        if top in HOMES:
            assert here in HOMES[top], f"{here} imports {name}"
        if top in PREFIXES:
            assert here.startswith(PREFIXES[top]), f"{here} imports {name}"


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_is_one_thing(path: Path) -> None:
    """Long files are usually two things, and long functions are several."""
    here, text = path.relative_to(PACKAGE).as_posix(), path.read_text()
    lines = text.count("\n")
    assert lines <= LONG.get(here, LINES), f"{here} has {lines} lines: is it two things?"
    assert here not in LONG or lines > LINES, f"{here} is short by now: take it out of LONG"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= FUNCTION, f"{here}: {node.name} has {length} lines"


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_says_what_it_is(path: Path) -> None:
    """At its head; docs/modules.md is made of that. Files that only make a folder a package say nothing."""
    tree = ast.parse(path.read_text())
    assert not tree.body or ast.get_docstring(tree), f"{path.relative_to(PACKAGE)} has no docstring"


def test_what_stands_in_a_table_is_there() -> None:
    """A module that was moved takes its row along."""
    there = {path.relative_to(PACKAGE).as_posix() for path in sources()}
    assert there >= LONG.keys() | {name for names in HOMES.values() for name in names}


@pytest.mark.parametrize("path", sorted((PACKAGE / "client").glob("*.py")), ids=lambda path: path.name)
def test_the_client_knows_no_service(path: Path) -> None:
    """It is for other programs: it may know where a sidecar listens, and nothing else of ours but core."""
    allowed = {"tmux_agent.services.places", "tmux_agent.services.places.find"}
    for name in imports(path):
        assert layer(name) in (None, "core") or name in allowed, f"client/{path.name} imports {name}"


def test_the_blocking_client_does_not_wait_for_asyncio() -> None:
    """Nor does whatever imports it: the command line."""
    look = "import sys; from tmux_agent.client import Client; sys.exit('asyncio' in sys.modules)"
    done = subprocess.run([sys.executable, "-P", "-c", look], env={"PYTHONPATH": str(PACKAGE.parent)}, check=False)
    assert done.returncode == 0


def test_hook_relays_use_only_the_standard_library() -> None:
    """What runs for every tool call of every agent, and in every popup, imports nothing but C modules at its start."""
    for path in (PACKAGE / "edges/hook_relay.py", PACKAGE / "edges/ui/relay.py"):
        for name in imports(path):
            assert name.split(".")[0] in sys.stdlib_module_names, f"{path.name} imports {name}"
