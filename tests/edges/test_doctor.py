"""`tmux-agent doctor`: each thing that is wrong is found, with the command that mends it."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.patience import PATIENCE

from tmux_agent import cli
from tmux_agent.core.errors import Forbidden, Unavailable
from tmux_agent.edges import doctor_agents, upgraded
from tmux_agent.edges.adapters import codex_setup
from tmux_agent.edges.checks import Check
from tmux_agent.edges.verbs import setup
from tmux_agent.services.places import find

ROOT = Path(__file__).parents[2]
HEALTH: dict[str, Any] = {
    "pid": 7,
    "version": "0.1.0",
    "policy": {"rules": 30, "file": "policy.yaml"},
    "tmux": [],
    "audit": {"file": "/nowhere/audit.jsonl"},
    "warnings": [],
}


class FakeClient:
    """Stands for the socket client: replies by method, or an error."""

    replies: dict[str, Any] | Exception = Unavailable("away")
    panes: tuple[dict[str, Any], ...] = ()

    def __init__(self, **_: Any) -> None:
        pass

    def __enter__(self) -> FakeClient:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def call(self, method: str) -> Any:
        if isinstance(self.replies, Exception):
            raise self.replies
        return self.replies[method] if method != "sentry.panes" else {"panes": self.panes}


BWRAP = shutil.which("bwrap") or ""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with nothing but what a test puts there, and no sidecar."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr("tmux_agent.client.Client", FakeClient)
    monkeypatch.setattr(FakeClient, "replies", Unavailable("away"))
    monkeypatch.setattr(doctor_agents, "MANAGED", tmp_path / "managed.json")
    return folder


def program(folder: Path, name: str, says: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\necho '{says}'\n")
    (folder / name).chmod(0o755)


def found(capsys: pytest.CaptureFixture[str]) -> dict[str, list[Check]]:
    capsys.readouterr()
    code = cli.main(["doctor", "--json"])
    checks = [Check(**one) for one in json.loads(capsys.readouterr().out)]
    assert code == any(check.mark == "wrong" for check in checks)
    assert all(bool(check.mend) is (check.mark != "ok") for check in checks), checks
    return {area: [check for check in checks if check.area == area] for area in {check.area for check in checks}}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"version": "0.0.9"}, "is version 0.0.9, and"),
        ({"package": "/elsewhere/tmux_agent", "began": 1e12, "running": 0}, "of /elsewhere/tmux_agent"),
        ({"package": str(upgraded.PACKAGE), "began": 1.0, "running": 0}, "began before the files of"),
        ({"package": str(upgraded.PACKAGE), "began": 1e12, "running": 0}, ""),
    ],
)
def test_a_sidecar_of_other_code_is_told(
    more: dict[str, Any], said: str, programs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(FakeClient, "replies", {"health": HEALTH | more, "agent.list": {"agents": []}})
    (check,) = found(capsys)["sidecar"]
    assert (check.mark == "wrong") is bool(said)
    assert said in check.what
    assert check.mend == (upgraded.MEND if said else "")


def marks(checks: list[Check]) -> list[str]:
    return [check.mark for check in checks]


def test_nothing_is_there(programs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On a bare machine it says what to install and start, and does not fall over."""
    areas = found(capsys)
    assert marks(areas["tmux"]) == ["wrong"]
    assert marks(areas["claude"]) == ["warning"]
    assert areas["sidecar"][0].mend == "tmux-agent sidecar start"
    assert areas["hooks"][0].mend == "tmux-agent setup claude"


@pytest.mark.parametrize(("says", "mark"), [("tmux 3.1c", "wrong"), ("tmux 3.2", "ok"), ("tmux next-3.6", "ok")])
def test_tmux(programs: Path, capsys: pytest.CaptureFixture[str], says: str, mark: str) -> None:
    """Too old is said; what has an odd version is taken as it is."""
    program(programs, "tmux", says)
    assert marks(found(capsys)["tmux"]) == [mark]


@pytest.mark.parametrize(
    ("says", "mark"),
    [
        ("2.1.197 (Claude Code)", "ok"),
        ("2.1.300 (Claude Code)", "ok"),
        ("3.0 (Claude Code)", "warning"),
        ("1.0.1", "warning"),
        ("", "warning"),
    ],
)
def test_claude(programs: Path, capsys: pytest.CaptureFixture[str], says: str, mark: str) -> None:
    """Older than any that was tried is a warning, and so is what is unknown."""
    program(programs, "claude", says)
    assert marks(found(capsys)["claude"]) == [mark]


@pytest.mark.parametrize(
    ("says", "mark", "said"),
    [
        ("", "warning", "not on your PATH"),
        ("echo bubblewrap 0.4.0", "warning", "too old"),
        ('[ "$1" = --version ] && echo bubblewrap 0.9.0 && exit; echo setting up uid map: no permission >&2; exit 1',
         "warning", "cannot make one: setting up uid map"),
        (f'exec {BWRAP} "$@"', "ok", "bubblewrap"),
    ],
)  # fmt: skip
def test_the_sandbox(programs: Path, capsys: pytest.CaptureFixture[str], says: str, mark: str, said: str) -> None:
    if says:
        (programs / "bwrap").write_text(f"#!/bin/sh\n{says}\n")
        (programs / "bwrap").chmod(0o755)
    (check,) = found(capsys)["sandbox"]
    assert check.mark == mark
    assert said in check.what
    assert check.mark == "ok" or "sysctl" in check.mend or "install" in check.mend


def test_all_is_well(
    programs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Set up, running and heard of: nothing is wrong; for people it is one line a check."""
    program(programs, "tmux", "tmux 3.4")
    program(programs, "claude", "2.1.200 (Claude Code)")
    (programs / "bwrap").symlink_to(BWRAP)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("TMUX", f"{tmp_path}/tmux,1,0")
    servers = [{"socket": f"{tmp_path}/tmux", "panes": 1, "connected": True}]
    heard = [{"kind": "claude", "since": "2026", "why": "hook Stop", "place": "shop:1"}]
    monkeypatch.setattr(FakeClient, "replies", {"health": HEALTH | {"tmux": servers}, "agent.list": {"agents": heard}})
    assert cli.main(["setup", "claude", "--yes"]) == 0
    areas = found(capsys)
    assert {check.mark for checks in areas.values() for check in checks} == {"ok"}
    assert cli.main(["doctor"]) == 0
    assert all(line[0] in "✓o" for line in capsys.readouterr().out.splitlines())


def test_a_sidecar_that_is_unwell(
    programs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its own warnings and a broken policy are passed on; so is a refusal."""
    policy = {"rules": 3, "file": "p", "error": "policy.yaml:3: what"}
    health = HEALTH | {"policy": policy, "warnings": ["low"]}
    monkeypatch.setattr(FakeClient, "replies", {"health": health, "agent.list": {"agents": []}})
    areas = found(capsys)
    assert areas["policy"][0].mend == "tmux-agent policy lint"
    assert marks(areas["sidecar"]) == ["ok", "warning"]
    monkeypatch.setattr(FakeClient, "replies", Forbidden("not yours"))
    assert found(capsys)["sidecar"][0].what == "not yours"


def test_hooks(programs: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Another version, a relay that is gone, switched off, broken, or shut out by an administrator."""
    settings = tmp_path / "home" / ".claude" / "settings.json"
    cli.main(["setup", "claude", "--yes"])
    text = settings.read_text()
    assert marks(found(capsys)["hooks"]) == ["ok"]
    settings.write_text(text.replace('"timeout": 86400', '"timeout": 5'))
    assert marks(found(capsys)["hooks"]) == ["warning"]
    settings.write_text(text.replace("/tmux_agent/edges/hook_relay.py", "/gone/tmux_agent/edges/hook_relay.py"))
    assert "is gone" in found(capsys)["hooks"][0].what
    settings.write_text(text.replace("{", '{"disableAllHooks": true,', 1))
    assert "disableAllHooks" in found(capsys)["hooks"][0].what
    settings.write_text("{,}")
    assert "line 1" in found(capsys)["hooks"][0].what
    settings.write_text(text)
    doctor_agents.MANAGED.write_text('{"allowManagedHooksOnly": true}')
    assert marks(found(capsys)["hooks"]) == ["wrong", "ok"]


def test_hooks_of_codex(programs: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """It passes over what nobody trusted, so that is wrong; without it and without our hooks it is not spoken of."""
    assert "codex" not in found(capsys)
    program(programs, "codex", "codex-cli 0.169.0")
    assert marks(found(capsys)["codex"]) == ["ok"]
    cli.main(["setup", "codex", "--yes"])  # that codex is none, so nothing is trusted
    hooks = tmp_path / "home" / ".codex" / "hooks.json"
    assert any("Codex runs none that is not trusted" in check.what for check in found(capsys)["hooks"])
    config = hooks.with_name("config.toml")
    keys = codex_setup.keys(hooks.read_text(), hooks)
    config.write_text(config.read_text() + "".join(f'[hooks.state."{key}"]\ntrusted_hash = "x"\n' for key in keys))
    assert marks(found(capsys)["hooks"])[1:] == ["ok"]
    config.write_text("]")
    assert "config.toml cannot be used" in found(capsys)["hooks"][1].what


def test_who_was_heard_of(programs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Each agent that is connected and here: its newest hook, or that there was none."""
    for agent, says in (("claude", "2.1.197"), ("gemini", "0.61.0"), ("codex", "codex-cli 0.169.0")):
        program(programs, agent, says)
    for agent in ("claude", "gemini"):
        cli.main(["setup", agent, "--yes"])
    agents = [
        {"kind": "claude", "since": "2026-11-20T10:00:00Z", "why": "hook Stop", "place": "shop:1"},
        {"kind": "claude", "since": "2026-11-20T11:00:00Z", "why": "hook PreToolUse", "place": "shop:2"},
        {"kind": "claude", "since": "2026-11-20T12:00:00Z", "why": "registered", "place": "shop:3"},
    ]
    monkeypatch.setattr(FakeClient, "replies", {"health": HEALTH, "agent.list": {"agents": agents}})
    heard = found(capsys)["heard"]
    assert [(check.mark, check.what) for check in heard] == [
        ("ok", "Claude Code in shop:2, hook PreToolUse, 2026-11-20T11:00:00"),
        ("warning", "no hook of Gemini CLI was heard of since the sidecar runs"),
    ]


def test_the_bridge(programs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Where an agent was given it: its program is started, and has to answer as ours."""
    monkeypatch.setattr(doctor_agents, "SECONDS", PATIENCE)
    python = f'exec {sys.executable} -P -m tmux_agent "$@"'
    (programs / "tmux-agent").write_text(f"#!/bin/sh\nexport PYTHONPATH={ROOT / 'sidecar'}\n{python}\n")
    (programs / "tmux-agent").chmod(0o755)
    assert "mcp" not in found(capsys)
    for agent in setup.SETUPS:
        cli.main(["setup", agent, "--yes", "--mcp"])
    assert marks(found(capsys)["mcp"]) == ["ok"] * len(setup.SETUPS)
    (programs / "tmux-agent").write_text("#!/bin/sh\necho '{}'\n")
    checks = found(capsys)["mcp"]
    assert marks(checks) == ["wrong"] * len(setup.SETUPS)
    assert checks[0].mend == "tmux-agent setup claude --mcp"
    (programs / "tmux-agent").unlink()
    assert "does not answer" in found(capsys)["mcp"][0].what


def test_opencode_alone(programs: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """While the sidecar is away it runs everything, unless its own settings ask or ours deny then."""
    program(programs, "opencode", "1.18.33")
    assert marks(found(capsys)["opencode"]) == ["ok", "warning"]
    settings = tmp_path / "home" / ".config" / "opencode" / "opencode.json"
    settings.parent.mkdir(parents=True)
    settings.write_text('{"permission": {"bash": {"*": "ask"}, "edit": "ask"}}')
    assert marks(found(capsys)["opencode"]) == ["ok"]
    settings.write_text('{"permission": {"bash": "ask"}}')
    assert marks(found(capsys)["opencode"]) == ["ok", "warning"]
    state = tmp_path / "home" / ".local" / "state" / "tmux-agent"
    state.mkdir(parents=True, mode=0o700)
    (state / "on_unavailable").write_text("deny\n")
    assert marks(found(capsys)["opencode"]) == ["ok"]


def test_an_agent_that_was_never_tried(programs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Said as long as it is so."""
    program(programs, "cursor", "3.14.7")
    (check,) = found(capsys)["cursor"]
    assert (check.mark, "never tried" in check.what) == ("warning", True)


def test_a_broken_audit_log(programs: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A log that was tampered with is named, with the line."""
    state = tmp_path / "home" / ".local" / "state" / "tmux-agent"
    state.mkdir(parents=True, mode=0o700)
    (state / "audit.jsonl").write_text('{"seq":1}\n')
    assert found(capsys)["audit"][0].mend == "tmux-agent audit verify"


def test_an_open_state_folder(programs: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Others may look into it: said, with the chmod."""
    state = tmp_path / "home" / ".local" / "state" / "tmux-agent"
    state.mkdir(parents=True)
    state.chmod(0o755)
    assert any(check.mend.startswith("chmod 700") for check in found(capsys)["folders"])


def test_a_tmux_without_the_plugin(
    programs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Inside a server that has not loaded it, it says how to."""
    (programs / "tmux").write_text('#!/bin/sh\ncase "$*" in -V) echo tmux 3.4;; *) exit 1;; esac\n')
    (programs / "tmux").chmod(0o755)
    monkeypatch.setenv("TMUX", "/tmp/none,1,0")
    assert marks(found(capsys)["plugin"]) == ["wrong"]


def test_files_that_are_wrong(programs: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """config.yaml, a pipeline and a channel that lacks its variable: each is named, whether a sidecar runs or not."""
    config = find(os.environ).config
    (config / "pipelines").mkdir(parents=True)
    areas = found(capsys)
    assert marks(areas["config"]) == marks(areas["pipelines"]) == marks(areas["notify"]) == ["ok"]
    assert "no channels" in areas["notify"][0].what
    (config / "config.yaml").write_text("notify: {channels: {team: {kind: slack}, bus: {kind: local_bus}}}\n")
    bad = config / "pipelines" / "web app.yaml"
    bad.write_text("pipelines:\n- name: a\n  stages:\n  - {name: b, needs: c}\n")
    areas = found(capsys)
    assert marks(areas["config"]) == ["ok"]
    assert areas["pipelines"][0].mend == f"tmux-agent pipeline check '{bad}'"
    assert [check.what.partition(":")[0] for check in areas["notify"]] == ["team"]
    assert areas["notify"][0].mend.endswith("tmux-agent notify test team")
    (config / "config.yaml").write_text("http: {lissten: x}\n")
    assert marks(found(capsys)["config"]) == ["wrong"]


def test_what_the_sidecar_finds_unwell(
    programs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its warnings stand under what they are about; what another check has said is not said twice."""
    config = find(os.environ).config
    config.mkdir(parents=True)
    (config / "config.yaml").write_text("http: {listen: '127.0.0.1:8722'}\n")
    monkeypatch.setattr(FakeClient, "replies", {"health": HEALTH, "agent.list": {"agents": []}})
    areas = found(capsys)
    assert [check.what for check in areas["http"]] == ["listens on 127.0.0.1:8722"]
    assert [check.what for check in areas["watch"]] == ["0 panes are watched for markers"]
    warnings = ["http: cannot listen on 127.0.0.1:8722: Address already in use", "policy: p:3: what", "secrets: s"]
    health = HEALTH | {"warnings": warnings}
    monkeypatch.setattr(FakeClient, "replies", {"health": health, "agent.list": {"agents": []}})
    monkeypatch.setattr(FakeClient, "panes", ({"pane": "%1"}, {"pane": "%7", "invalid": ["### SENTRY {"]}))
    areas = found(capsys)
    assert [(check.mark, check.what) for check in areas["http"]] == [("warning", warnings[0][6:])]
    assert [check.mend for check in areas["watch"]] == ["tmux-agent watch"]
    assert marks(areas["sidecar"]) == marks(areas["secrets"]) == ["ok"]
