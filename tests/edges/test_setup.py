"""`tmux-agent setup claude`: the person's file keeps what is theirs."""

from __future__ import annotations

import json
import os
import shlex
import stat
from pathlib import Path

import pytest

from tmux_agent import cli
from tmux_agent.core.errors import Conflict
from tmux_agent.edges import hook_command
from tmux_agent.edges.adapters import claude, claude_setup, json_hooks
from tmux_agent.edges.settings_file import SettingsFile

ODD = """{
    "model": "opus", "env": {"A":"1"},
    "hooks": {"PreToolUse": [ {"matcher":"Bash","hooks":[{"type":"command","command":"mine"}]} ], "Other": []}
}"""


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    folder = tmp_path / "home" / ".claude"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder.parent))
    return folder / "settings.json"


def run(*words: str) -> int:
    return cli.main(["setup", "claude", *words])


def hooks_of(path: Path) -> dict[str, list[dict[str, list[dict[str, object]]]]]:
    found: dict[str, list[dict[str, list[dict[str, object]]]]] = json.loads(path.read_text())["hooks"]
    return found


@pytest.mark.parametrize("text", [ODD, "{}", "", '{"a":1}', '{\n\t"hooks": {}\n}\n', '{"hooks":{"Stop":[]}}  \n\n'])
def test_uninstall_gives_every_byte_back(settings: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What was there before is there again, to the byte, and no backup is left."""
    settings.write_text(text)
    assert run("--yes") == 0
    assert set(json_hooks.installed(json.loads(settings.read_text()))) == set(claude.EVENTS)
    assert run("--uninstall", "--yes") == 0
    assert settings.read_text() == text
    assert os.listdir(settings.parent) == ["settings.json"]


def test_a_file_of_ours_alone_is_removed(settings: Path) -> None:
    """Where there was no file there is none afterwards."""
    assert run("--yes") == 0
    assert stat.S_IMODE(settings.stat().st_mode) == 0o600
    assert run("--uninstall", "--yes") == 0
    assert os.listdir(settings.parent) == []


def test_the_persons_changes_survive_the_uninstall(settings: Path) -> None:
    """What was edited after the set-up stays, only our hooks go."""
    settings.write_text(ODD)
    run("--yes")
    settings.write_text(settings.read_text().replace('"opus"', '"sonnet"'))
    run("--uninstall", "--yes")
    assert json.loads(settings.read_text()) == json.loads(ODD.replace("opus", "sonnet"))


def test_again_is_the_same_as_once(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A second run changes nothing and says so; another interpreter replaces the old lines."""
    settings.write_text(ODD)
    run("--yes")
    once = settings.read_bytes()
    capsys.readouterr()
    assert run("--yes") == 0
    assert "nothing to change" in capsys.readouterr().out
    assert settings.read_bytes() == once
    settings.write_bytes(once.replace(hook_command.interpreter().encode(), b"/old/python3"))
    run("--yes")
    assert settings.read_bytes() == once
    assert hooks_of(settings)["PreToolUse"][0]["hooks"] == [{"type": "command", "command": "mine"}]
    run("--uninstall", "--yes")
    assert settings.read_text() == ODD


def test_what_is_installed() -> None:
    """Absolute interpreter, -I -S, relay, agent, event; a day for the dialog, a minute to judge, others async."""
    found = claude_setup.handlers("/opt/my python/bin/python3", "/home/o'neill/tmux_agent/edges/hook_relay.py")
    assert set(found) == set(claude.EVENTS)
    for event, handler in found.items():
        words = shlex.split(str(handler["command"]))
        assert words == [
            "/opt/my python/bin/python3", "-I", "-S", "/home/o'neill/tmux_agent/edges/hook_relay.py", "claude", event,
        ]  # fmt: skip
        assert handler.get("async", False) is (event not in ("PreToolUse", "PermissionRequest"))
    assert found["PermissionRequest"]["timeout"] == 86_400


def test_dry_run_writes_nothing(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The difference is shown and that is all."""
    settings.write_text(ODD)
    assert run("--dry-run") == 0
    assert '+        "PermissionRequest": [' in capsys.readouterr().out
    assert settings.read_text() == ODD


def test_without_a_terminal_it_wants_yes(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is written unasked."""
    assert run() == 1
    assert "--yes" in capsys.readouterr().err
    assert not settings.exists()


@pytest.mark.parametrize("answer", ["n", "", "y"])
def test_it_asks(settings: Path, monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    """Only a yes writes."""
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: answer)
    assert run() == (0 if answer == "y" else 1)
    assert settings.exists() is (answer == "y")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{\n "a": 1,\n}', "line 3, column 1"),
        ("// mine\n{}", "line 1, column 1"),
        ("[]", "no JSON object"),
        ('{"hooks": []}', '"hooks" in it is no object'),
        ('{"hooks": {"Stop": {}}}', "is no list"),
        ('{"hooks": {}, "hooks": {}}', "twice"),
    ],
)
def test_broken_settings_are_refused(settings: Path, capsys: pytest.CaptureFixture[str], text: str, says: str) -> None:
    """The error says where, and the file stays as it is."""
    settings.write_text(text)
    assert run("--yes") == 1
    assert says in capsys.readouterr().err
    assert settings.read_text() == text


def test_not_text(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A binary file is refused."""
    settings.write_bytes(b'{"a":"\xff"}')
    assert run("--yes") == 1
    assert "UTF-8" in capsys.readouterr().err


def test_a_symlink_is_written_through(settings: Path, tmp_path: Path) -> None:
    """Dotfiles keep their link, and the mode of what it points to."""
    target = tmp_path / "dotfiles" / "claude.json"
    target.parent.mkdir()
    target.write_text(ODD)
    target.chmod(0o640)
    settings.symlink_to(target)
    assert run("--yes") == 0
    assert settings.is_symlink()
    assert json_hooks.installed(json.loads(target.read_text()))
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert run("--uninstall", "--yes") == 0
    assert settings.is_symlink()
    assert target.read_text() == ODD


def test_read_only_is_respected(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that its owner may not write is not replaced behind their back."""
    settings.write_text(ODD)
    settings.chmod(0o444)
    assert run("--yes") == 1
    assert "read-only" in capsys.readouterr().err
    assert settings.read_text() == ODD


def test_a_change_meanwhile_is_a_conflict(settings: Path) -> None:
    """Whoever edits while we ask is not overwritten."""
    settings.write_text(ODD)
    file = SettingsFile(settings)
    settings.write_text("{}")
    with pytest.raises(Conflict):
        file.write("x", keep=True)
    assert settings.read_text() == "{}"
    assert not file.backup.exists()


def test_warnings(settings: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Claude not on PATH and disabled hooks are said, and are no error."""
    monkeypatch.setenv("PATH", "/nowhere")
    settings.write_text('{"disableAllHooks": true}')
    assert run("--yes") == 0
    err = capsys.readouterr().err
    assert "not on your PATH" in err
    assert "disableAllHooks" in err


def test_the_configured_folder(settings: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """CLAUDE_CONFIG_DIR says where, and is made if it is missing."""
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "elsewhere"))
    assert run("--yes") == 0
    assert (tmp_path / "elsewhere" / "settings.json").exists()
    assert not settings.exists()


def test_the_interpreter_is_no_script() -> None:
    """No shim: it begins as a program does."""
    assert os.path.isabs(hook_command.interpreter())
    assert Path(hook_command.interpreter()).read_bytes()[:2] != b"#!"
    assert Path(hook_command.relay()).is_file()
