"""`tmux-agent setup opencode`: one file of ours, nothing of the person's."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from tmux_agent import cli
from tmux_agent.edges import doctor_agents, hook_command
from tmux_agent.edges.adapters import opencode_setup


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    (tmp_path / "home" / ".config" / "opencode").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    return tmp_path / "home" / ".config" / "opencode" / "plugins" / "tmux-agent.js"


def run(*words: str) -> int:
    return cli.main(["setup", "opencode", *words])


def test_what_is_installed(plugin: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The interpreter and the relay are filled in; what opencode cannot do is said; its settings are not touched."""
    settings = plugin.parents[1] / "opencode.json"
    settings.write_text('{"permission": {}}')
    assert run("--yes") == 0
    text = plugin.read_text()
    assert f'const PYTHON = "{hook_command.interpreter()}"' in text
    assert f'const FOLDER = "{os.path.dirname(hook_command.relay())}"' in text
    assert not {"@LINE@", "@PYTHON@", "@FOLDER@"} & set(text.split())
    assert stat.S_IMODE(plugin.stat().st_mode) == 0o600
    said = capsys.readouterr().out
    for word in ("--pure", "OPENCODE_PURE", "opencode 2", "on_unavailable", '"permission"', "start opencode anew"):
        assert word in said, word
    assert settings.read_text() == '{"permission": {}}'
    assert os.listdir(plugin.parent) == ["tmux-agent.js"]


@pytest.mark.skipif(shutil.which("node") is None, reason="node is missing (it comes with npm)")
def test_any_path_is_written_as_javascript(tmp_path: Path) -> None:
    """Quotes, blanks, backslashes and line ends of every kind in a path end neither a string nor a comment."""
    odd = '/o\'neill "x"/\\n\n\u2028/${1}/*/'
    file = tmp_path / "plugin.mjs"
    file.write_text(opencode_setup.plugin(f"{odd}/python3", f"{odd}/tmux_agent/edges/hook_relay.py"))
    code = f"const found = await import('{file}'); if (Object.keys(found) != 'TmuxAgent') throw new Error('exports')"
    done = subprocess.run(["node", "--input-type=module", "-e", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_again_is_the_same_as_once(plugin: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A second run changes nothing and says so; another version is replaced, and is no backup."""
    run("--yes")
    once = plugin.read_bytes()
    capsys.readouterr()
    assert run("--yes") == 0
    assert "nothing to change" in capsys.readouterr().out
    plugin.write_bytes(once.replace(b"const AT_ONCE = 32", b"const AT_ONCE = 1"))
    run("--yes")
    assert plugin.read_bytes() == once
    assert os.listdir(plugin.parent) == ["tmux-agent.js"]


def test_uninstall_removes_it(plugin: Path) -> None:
    """Nothing is left but what was there."""
    (plugin.parent).mkdir()
    (plugin.parent / "mine.js").write_text("mine")
    run("--yes")
    assert run("--uninstall", "--yes") == 0
    assert os.listdir(plugin.parent) == ["mine.js"]
    assert run("--uninstall", "--yes") == 0


def test_a_file_of_that_name_that_is_not_ours(plugin: Path) -> None:
    """It is kept, put back by the uninstall, and left alone where we are not installed."""
    plugin.parent.mkdir()
    plugin.write_text("mine")
    assert run("--uninstall", "--yes") == 0
    assert plugin.read_text() == "mine"
    run("--yes")
    assert plugin.read_text().startswith(opencode_setup.MARK)
    run("--uninstall", "--yes")
    assert plugin.read_text() == "mine"
    assert os.listdir(plugin.parent) == ["tmux-agent.js"]


def test_dry_run_writes_nothing(plugin: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The difference is shown and that is all."""
    assert run("--dry-run") == 0
    assert "+import { spawn }" in capsys.readouterr().out
    assert not plugin.exists()


def test_the_configured_folder(plugin: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """XDG_CONFIG_HOME says where, as for opencode; what OPENCODE_CONFIG_DIR names is read besides."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("OPENCODE_CONFIG_DIR", str(tmp_path / "other"))
    assert run("--yes") == 0
    assert (tmp_path / "xdg" / "opencode" / "plugins" / "tmux-agent.js").exists()
    assert not plugin.exists()
    assert not (tmp_path / "other").exists()


def test_read_only_is_respected(plugin: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that its owner may not write is not replaced behind their back."""
    run("--yes")
    text = plugin.read_text()
    plugin.write_text(text + "\n")
    plugin.chmod(0o444)
    assert run("--yes") == 1
    assert "read-only" in capsys.readouterr().err
    assert plugin.read_text() == text + "\n"


def test_a_broken_plugin_is_named(plugin: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is no text is not replaced."""
    plugin.parent.mkdir()
    plugin.write_bytes(b"\xff")
    assert run("--yes") == 1
    assert "UTF-8" in capsys.readouterr().err


def test_the_doctor_looks_at_it(plugin: Path) -> None:
    """Installed, of another version, and with a relay that is gone."""
    setup = opencode_setup.SETUP
    assert run("--yes") == 0

    def mark() -> str:
        wanted = [change for change in setup.changes(os.environ, False) if change.needed]
        ours = [change for change in setup.changes(os.environ, True) if change.needed]
        return doctor_agents.hooks(setup, wanted, ours).what

    text = plugin.read_text()
    assert "opencode: all in" in mark()
    plugin.write_text(text + "// older\n")
    assert "another version" in mark()
    plugin.write_text(text.replace("/tmux_agent/edges/hook_relay.py", "/gone/tmux_agent/edges/hook_relay.py"))
    assert "is gone" in mark()
