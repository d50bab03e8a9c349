"""`tmux-agent setup codex`: hooks.json and config.toml keep what is the person's; Codex itself is told to trust."""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmux_agent import cli
from tmux_agent.core.errors import Unavailable
from tmux_agent.edges.adapters import codex, codex_config, codex_setup, codex_trust, json_hooks

MINE = '{"hooks":{"PreToolUse":[{"hooks":[{"type":"command","command":"mine"}]}]}}'
CONFIG = '# mine\nmodel = "gpt-5.5"\n\n[features] # what I like\nin_app_updates = false\n\n[tui]\ntheme = "x"\n'
ODD = '[features]\n\n[x]\n"[features]" = """\n[features]\n"""\n'
TEXTS = [CONFIG, "", "model = 1", "model = 1\n", "a = 1\n\n\n", ODD]

# What stands in for Codex: it answers as the app-server of 0.169.0 does, and writes what it is told to.
SERVER = """#!{python}
import json, os, sys
folder = os.environ.get("CODEX_HOME") or os.environ["HOME"] + "/.codex"
file = folder + "/hooks.json"
trusted = set()
def hooks():
    found = []
    for event, groups in json.load(open(file))["hooks"].items():
        snake = "".join("_" + c.lower() if c.isupper() else c for c in event).lstrip("_")
        for at, group in enumerate(groups):
            for number, handler in enumerate(group["hooks"]):
                key = f"{file}:{snake}:{at}:{number}"
                status = "trusted" if key in trusted else "untrusted"
                found.append(dict(key=key, command=handler["command"], sourcePath=file, currentHash="sha256:" + snake,
                                  trustStatus=status))
    return found
for line in sys.stdin:
    asked = json.loads(line)
    if "id" not in asked:
        continue
    print(json.dumps({"method": "configWarning", "params": {}}))
    result = {"data": [{"hooks": hooks()}]} if asked["method"] == "hooks/list" else {}
    if asked["method"] == "config/batchWrite":
        (edit,) = asked["params"]["edits"]
        path = folder + "/config.toml"
        text = open(path).read() if os.path.exists(path) else ""
        text += ("\\n" if text else "") + "[hooks.state]\\n" if "[hooks.state]" not in text else ""
        for key, value in edit["value"].items():
            text += f'\\n[hooks.state."{key}"]\\ntrusted_hash = "{value["trusted_hash"]}"\\n'
            trusted.add(key)
        open(path, "w").write(text)
    print(json.dumps({"id": asked["id"], "result": result}), flush=True)
"""


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    folder = tmp_path / "home" / ".codex"
    folder.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(folder.parent))
    monkeypatch.delenv("CODEX_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return folder


@pytest.fixture
def installed(home: Path, tmp_path: Path) -> Path:
    """With a Codex on PATH."""
    import sys

    program = tmp_path / "bin" / "codex"
    program.parent.mkdir()
    program.write_text(SERVER.replace("{python}", sys.executable))
    program.chmod(0o755)
    return home


def run(*words: str) -> int:
    return cli.main(["setup", "codex", *words])


@pytest.mark.parametrize("config", [None, *TEXTS])
@pytest.mark.parametrize("hooks", [None, MINE, "{}"])
def test_uninstall_gives_every_byte_back(installed: Path, hooks: str | None, config: str | None) -> None:
    """Both files are as they were, Codex's records of trust in our hooks included, and no backup is left."""
    before = {name: text for name, text in (("hooks.json", hooks), ("config.toml", config)) if text is not None}
    for name, text in before.items():
        (installed / name).write_text(text)
    assert run("--yes") == 0
    assert set(json_hooks.installed(json.loads((installed / "hooks.json").read_text()))) == set(codex.EVENTS)
    said = tomllib.loads((installed / "config.toml").read_text())
    assert said["features"]["daemon_auto_start"] is False
    assert len(said["hooks"]["state"]) == len(codex.EVENTS)
    assert run("--uninstall", "--yes") == 0
    assert {file.name: file.read_text() for file in installed.iterdir()} == before


def test_what_codex_and_the_person_wrote_meanwhile_stays(installed: Path) -> None:
    """Records of other hooks, settings of later: only ours goes."""
    (installed / "hooks.json").write_text(MINE)
    (installed / "config.toml").write_text(CONFIG)
    run("--yes")
    config = installed / "config.toml"
    record = f'\n[hooks.state."{installed}/hooks.json:pre_tool_use:0:0"]\ntrusted_hash = "sha256:mine"\n'
    config.write_text(config.read_text().replace('"x"', '"y"') + record + "\n[tui.more]\na = 1\n")
    run("--uninstall", "--yes")
    assert config.read_text() == CONFIG.replace('"x"', '"y"') + "\n[hooks.state]\n" + record + "\n[tui.more]\na = 1\n"


def test_the_persons_hooks_keep_their_numbers(installed: Path) -> None:
    """Codex's records of trust name them by number: ours come after."""
    (installed / "hooks.json").write_text(MINE)
    run("--yes")
    groups = json.loads((installed / "hooks.json").read_text())["hooks"]["PreToolUse"]
    assert groups[0]["hooks"][0]["command"] == "mine"
    assert f"{installed}/hooks.json:pre_tool_use:1:0" in codex_config.trusted((installed / "config.toml").read_text())
    assert codex_setup.untrusted(dict(os.environ)) == []


def test_again_is_the_same_as_once(installed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A second run changes nothing and says so."""
    run("--yes")
    once = {file.name: file.read_text() for file in installed.iterdir()}
    capsys.readouterr()
    assert run("--yes") == 0
    assert "nothing to change" in capsys.readouterr().out
    assert {file.name: file.read_text() for file in installed.iterdir()} == once


def test_trust_that_is_missing_is_asked_for_again(installed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Somebody said no to Codex, or took its records out: the hooks are there and do nothing."""
    run("--yes")
    config = installed / "config.toml"
    text = config.read_text()
    config.write_text(text[: text.index("[hooks.state")])
    capsys.readouterr()
    assert run() == 1  # nobody to ask
    assert run("--dry-run") == 0
    assert f"Codex does not trust {len(codex.EVENTS)} of these hooks yet" in capsys.readouterr().out
    assert len(codex_setup.untrusted(dict(os.environ))) == len(codex.EVENTS)
    assert run("--yes") == 0
    assert "Codex trusts these hooks now" in capsys.readouterr().out
    assert codex_setup.untrusted(dict(os.environ)) == []


def test_without_codex_a_person_is_told_to_trust(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is trusted behind anybody's back; the doctor would say so."""
    assert run("--yes") == 0
    out = capsys.readouterr()
    assert "not on your PATH" in out.err
    assert "trusts these" not in out.out
    assert len(codex_setup.untrusted(dict(os.environ))) == len(codex.EVENTS)


def test_a_codex_that_is_not_understood_is_no_error(
    installed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The hooks are there; what is left to do is said."""
    (tmp_path / "bin" / "codex").write_text("#!/bin/sh\necho '{\"id\": 1, \"error\": {}}'\n")
    assert run("--yes") == 0
    assert "choose 2, Trust all and continue" in capsys.readouterr().out


def test_a_codex_that_says_nothing_is_left(installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is ended after a while, and that is told."""
    monkeypatch.setattr(codex_trust, "SECONDS", 0.2)
    (tmp_path / "bin" / "codex").write_text("#!/bin/sh\nread _ && read _\n")
    (installed / "hooks.json").write_text("{}")
    with pytest.raises(Unavailable, match="not understood"):
        codex_trust.trust(str(tmp_path / "bin" / "codex"), installed / "hooks.json", {})


def test_dry_run_writes_nothing(installed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both differences are shown and that is all."""
    assert run("--dry-run") == 0
    out = capsys.readouterr().out
    assert "PermissionRequest" in out
    assert "+daemon_auto_start = false" in out
    assert list(installed.iterdir()) == []


def test_the_persons_own_word_on_the_daemon_stands(installed: Path) -> None:
    """Who wants the background server keeps it."""
    (installed / "config.toml").write_text("[features]\ndaemon_auto_start = true\n")
    assert run("--yes") == 0
    said = tomllib.loads((installed / "config.toml").read_text())
    assert said["features"]["daemon_auto_start"] is True


@pytest.mark.parametrize("text", ["a = \n", "[x]\n[x]\n"])
def test_a_broken_config_is_refused(home: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    """The error says which file, and nothing is written."""
    (home / "config.toml").write_text(text)
    assert run("--yes") == 1
    assert "config.toml cannot be used" in capsys.readouterr().err
    assert [file.name for file in home.iterdir()] == ["config.toml"]


def test_what_is_installed() -> None:
    """Each hook's time-out is longer than the relay's own patience; Interrupt's is what Codex cuts it to."""
    found = codex_setup.handlers("/python", "/relay")
    assert list(found) == list(codex.EVENTS)
    assert found["PreToolUse"] == {"type": "command", "command": "/python -I -S /relay codex PreToolUse", "timeout": 60}
    assert found["Interrupt"]["timeout"] == 3


@pytest.mark.parametrize("text", ['features.x = 1\n', "features = {x = 1}\n", "features = 1\n"])
def test_features_in_another_form_are_left(text: str) -> None:
    """What cannot be extended by a line stays as it is."""
    assert codex_config.own_daemon(text) == text


_tomls = st.lists(
    st.sampled_from(
        ["a = 1", "[features]", "x = true", "[tui]", "", "# c", "[ features ] # d", '"""', "s = '''", "'''",
         "[features.y]", "[[z]]", "daemon_auto_start = true"]
    ),
    max_size=8,
)  # fmt: skip


@given(_tomls, st.booleans())
def test_put_in_and_taken_out_is_nothing(lines: list[str], ended: bool) -> None:
    """Whatever a config.toml looks like, it is there again, and between nothing else has changed its meaning."""
    text = "\n".join(lines) + ("\n" if ended else "")
    try:
        before = codex_config.read(text)
    except ValueError:
        return
    changed = codex_config.own_daemon(text)
    after = codex_config.read(changed)
    assert codex_config.without_us(changed, []) == text
    after.get("features", {}).pop("daemon_auto_start", None) if changed != text else None
    assert {name: value for name, value in after.items() if value or name in before} == before
