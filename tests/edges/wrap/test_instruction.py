"""How each agent is told: what is added, and that what its user said stays. (That the real ones take it:
tests/end_to_end/test_wrap_agents.py.)"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from tmux_agent.core import marker_screen
from tmux_agent.edges.verbs import wrap
from tmux_agent.edges.wrap.instruction import start

TEXT = 'Say "SENTRY".\nIn lines, with ü.'


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, and above it nothing of anybody's."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ours").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("own", "kept", "before"),
    [
        (["--continue", "fix it"], ["--continue", "fix it"], ""),
        (["--append-system-prompt", "Be brief.", "-p", "x"], ["-p", "x"], "Be brief.\n\n"),
        (["--append-system-prompt=Be brief."], [], "Be brief.\n\n"),
        (["--append-system-prompt-file", "own.md"], [], "From the file.\n\n"),
        (["--", "--append-system-prompt"], ["--", "--append-system-prompt"], ""),
    ],
)
def test_claude_gets_a_file_with_what_was_appended(home: Path, own: list[str], kept: list[str], before: str) -> None:
    (home / "own.md").write_text("From the file.")
    found = start("claude", ["claude", *own], {}, TEXT, home / "ours")
    program, option, file, *rest = found.argv
    assert (program, option, rest) == ("claude", "--append-system-prompt-file", kept)
    assert Path(file).read_text() == before + TEXT


def test_codex_gets_it_behind_what_its_config_says(home: Path) -> None:
    (home / ".codex").mkdir()
    (home / "elsewhere").mkdir()
    (home / "elsewhere" / "config.toml").write_text('developer_instructions = """Be\nbrief."""\n')
    (home / "elsewhere" / "fast.config.toml").write_text('developer_instructions = "Be fast."\n')

    def said(environ: dict[str, str], *own: str) -> str:
        found = start("codex", ["codex", *own], environ, TEXT, home / "ours")
        assert found.argv[:2] == ("codex", "-c")
        assert found.argv[3:] == own
        value = tomllib.loads(found.argv[2])["developer_instructions"]
        assert isinstance(value, str)
        return value

    assert said({"HOME": str(home)}, "exec", "x") == TEXT
    assert said({"CODEX_HOME": str(home / "elsewhere")}) == f"Be\nbrief.\n\n{TEXT}"
    assert said({"CODEX_HOME": str(home / "elsewhere")}, "-p", "fast") == f"Be fast.\n\n{TEXT}"


@pytest.mark.parametrize("own", [["-c", "developer_instructions='x'"], ["--config=developer_instructions=x"],
                                 ["-cdeveloper_instructions=x"]])  # fmt: skip
def test_codex_whose_user_says_otherwise_is_left_alone(home: Path, own: list[str]) -> None:
    found = start("codex", ["codex", *own], {"HOME": str(home)}, TEXT, home / "ours")
    assert found.argv == ("codex", *own)
    assert "option" in found.why


def test_codex_in_a_project_that_says_otherwise_is_left_alone(home: Path) -> None:
    (home / ".codex").mkdir()
    (home / ".codex" / "config.toml").write_text('developer_instructions = "of the project"\n')
    found = start("codex", ["codex"], {"CODEX_HOME": str(home / "none")}, TEXT, home / "ours")
    assert found.argv == ("codex",)
    assert str(home) in found.why


def test_gemini_gets_a_context_file_under_the_names_that_it_looks_for(home: Path) -> None:
    (home / ".gemini").mkdir()
    (home / ".gemini" / "settings.json").write_text('{"context": {/* mine */ "fileName": ["AGENTS.md", "../evil"]}}')
    found = start("gemini", ["gemini", "-m", "x", "--", "do it"], {"HOME": str(home)}, TEXT, home / "ours")
    folder = home / "ours" / "gemini"
    assert found.argv == ("gemini", "-m", "x", f"--include-directories={folder}", "--", "do it")
    assert {path.name: path.read_text() for path in folder.iterdir()} == {"GEMINI.md": TEXT, "AGENTS.md": TEXT}
    assert (folder / "GEMINI.md").samefile(folder / "AGENTS.md")  # so that it reads it once
    assert start("gemini", ["gemini", "mcp", "list"], {}, TEXT, home / "ours").argv == ("gemini", "mcp", "list")


def test_opencode_gets_it_beside_its_own_configuration(home: Path) -> None:
    own = json.dumps({"theme": "x", "instructions": ["mine.md"]})
    found = start("opencode", ["opencode"], {"OPENCODE_CONFIG_CONTENT": own}, TEXT, home / "ours")
    config = json.loads(found.environ["OPENCODE_CONFIG_CONTENT"])
    mine, ours = config["instructions"]
    assert (config["theme"], mine, Path(ours).read_text()) == ("x", "mine.md", TEXT)
    found = start("opencode", ["opencode"], {"OPENCODE_CONFIG_CONTENT": "{// mine\n}"}, TEXT, home / "ours")
    assert not found.environ
    assert "OPENCODE_CONFIG_CONTENT" in found.why


def test_whoever_takes_none_is_started_as_it_is(home: Path) -> None:
    found = start("", ["./bot", "x"], {}, TEXT, home / "ours")
    assert found.argv == ("./bot", "x")
    assert "bot" in found.why


@pytest.mark.parametrize("columns", [30, 60, 78, 200])
def test_the_instruction_itself_is_no_marker_on_any_screen(columns: int) -> None:
    text = wrap.instruction_text("0123456789abcdef", "shop")
    assert "0123456789abcdef, copied exactly" in text
    assert 'project "shop"' in text
    lines = [line[at : at + columns] for line in text.splitlines() for at in range(0, max(len(line), 1), columns)]
    assert marker_screen.find(lines) == []
