"""`tmux-agent setup gemini`: the person's files keep what is theirs, the popup becomes the only prompt when asked."""

from __future__ import annotations

import json
import os
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tmux_agent import cli
from tmux_agent.edges import doctor_agents, hook_command
from tmux_agent.edges.adapters import gemini, gemini_setup, json_hooks

ODD = '{\n  "ui": {"hideTips": true},\n  "hooks": {"BeforeTool": [{"matcher": "x", "hooks": []}]}\n}'


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The person's ~/.gemini, empty."""
    found = tmp_path / "home" / ".gemini"
    found.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(found.parent))
    monkeypatch.delenv("GEMINI_CLI_HOME", raising=False)
    return found


def run(*words: str) -> int:
    return cli.main(["setup", "gemini", *words])


def installed(folder: Path) -> dict[str, dict[str, Any]]:
    return json_hooks.installed(json.loads((folder / "settings.json").read_text()))


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("mode", [(), ("--popup-only",)])
@pytest.mark.parametrize("text", [None, "{}", ODD])
def test_uninstall_gives_every_byte_back(folder: Path, mode: tuple[str, ...], text: str | None) -> None:
    """In both modes: what was there before is there again, to the byte, and nothing else is left."""
    if text is not None:
        (folder / "settings.json").write_text(text)
    before = files(folder)
    assert run("--yes", *mode) == 0
    assert set(installed(folder)) == set(gemini.EVENTS)
    assert run("--uninstall", "--yes") == 0
    assert files(folder) == before


def test_what_is_installed(folder: Path) -> None:
    """Names and milliseconds as Gemini takes them; only the hook before a tool may take a day."""
    assert run("--yes") == 0
    for event, handler in installed(folder).items():
        assert handler["name"] == "tmux-agent"
        assert handler["timeout"] == (86_400_000 if event == "BeforeTool" else 10_000)
        words = shlex.split(handler["command"])
        assert words == [hook_command.interpreter(), "-I", "-S", hook_command.relay(), "gemini", event]
    assert not (folder / "policies").exists()


def test_popup_only_puts_rules_that_nothing_but_our_mark_meets(folder: Path) -> None:
    """The mark in the hook's command line is that of the rules; what carries it is met, what does not is not."""
    assert run("--yes", "--popup-only") == 0
    mark = shlex.split(installed(folder)["BeforeTool"]["command"])[-1].removeprefix("BeforeTool:")
    assert re.fullmatch("[0-9a-f]{16}", mark)
    shell, others = tomllib.loads((folder / "policies" / "tmux-agent.toml").read_text())["rule"]
    assert {one["decision"] for one in (shell, others)} == {"allow"}
    for rule, member in ((shell, f'"dir_path":"approved-by-tmux-agent-{mark}/.."'), (others, f'"tmux_agent":"{mark}"')):
        assert re.search(rule["argsPattern"], f'{{"command":"x",{member}}}')
        assert not re.search(rule["argsPattern"], f'{{"command":"x",{member.replace(mark, "0" * 16)}}}')
        assert not re.search(rule["argsPattern"], f'{{"command":{json.dumps(member)}}}')
        assert "plan" not in rule["modes"]


def test_the_mark_stays(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Again, in either way, changes nothing: sessions that run go on, and the doctor is content."""
    assert run("--yes", "--popup-only") == 0
    once = files(folder)
    assert run("--yes", "--popup-only") == 0
    assert run("--yes") == 0
    assert files(folder) == once
    assert "nothing to change" in capsys.readouterr().out
    checks = [one for one in doctor_agents.checks(gemini_setup.SETUP, os.environ, None) if one.area == "hooks"]
    assert [one.mark for one in checks] == ["ok"]


def test_two_people_have_two_marks(folder: Path) -> None:
    """It is a secret, made anew at every set-up."""
    assert run("--yes", "--popup-only") == 0
    first = files(folder)["policies/tmux-agent.toml"]
    assert run("--uninstall", "--yes") == 0
    assert run("--yes", "--popup-only") == 0
    assert files(folder)["policies/tmux-agent.toml"] != first


def test_a_policy_file_of_the_persons_own_stays(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One of that name that is not from us is neither changed nor removed."""
    mine = folder / "policies" / "tmux-agent.toml"
    mine.parent.mkdir()
    mine.write_text("# mine\n")
    assert run("--yes", "--popup-only") == 1
    assert "not from us" in capsys.readouterr().err
    assert files(folder) == {"policies/tmux-agent.toml": b"# mine\n"}
    assert run("--yes") == 0
    assert run("--uninstall", "--yes") == 0
    assert files(folder) == {"policies/tmux-agent.toml": b"# mine\n"}


def test_popup_only_is_geminis(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of another agent it is refused, before anything is written."""
    for agent in ("claude", "all"):
        assert cli.main(["setup", agent, "--popup-only", "--yes"]) == 1
        assert "--popup-only is for gemini" in capsys.readouterr().err
    assert files(folder.parent) == {}


@pytest.mark.parametrize("said", ['{"enabled": false}', '{"disabled": ["tmux-agent"]}'])
def test_hooks_that_are_off_are_told(folder: Path, capsys: pytest.CaptureFixture[str], said: str) -> None:
    """Settings that keep ours from running are pointed at."""
    (folder / "settings.json").write_text(f'{{"hooksConfig": {said}}}')
    assert run("--yes") == 0
    assert "take it out" in capsys.readouterr().err


def test_the_configured_folder(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """GEMINI_CLI_HOME is Gemini's word for where its folder is."""
    monkeypatch.setenv("GEMINI_CLI_HOME", str(tmp_path / "elsewhere"))
    assert run("--yes") == 0
    assert (tmp_path / "elsewhere" / ".gemini" / "settings.json").exists()
    assert files(folder) == {}
