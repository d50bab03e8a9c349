"""`tmux-agent record` and `replay` with a real sidecar: what happened is there, and is judged anew."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.patience import PATIENCE
from tests.plugin.terminal import Server
from tests.sidecar import Sidecar, sidecar, until

from tmux_agent.core import recording as recording_module

ALLOWED = {"command": "allowed", "args": ["x"]}


@pytest.fixture
def world() -> Iterator[Sidecar]:
    with sidecar() as one:
        yield one.start()


def argv(*words: str) -> list[str]:
    return [sys.executable, "-m", "tmux_agent", *words]


class Recorder:
    """`tmux-agent record` at a terminal of its own, outside tmux: a person's."""

    def __init__(self, one: Sidecar, *words: str) -> None:
        self.pid, self._terminal = pty.fork()
        if self.pid == 0:
            os.execve(sys.executable, argv("record", *words), one.environ)
        self._code: int | None = None

    def ended(self) -> bool:
        if self._code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self._code = os.waitstatus_to_exitcode(status) if pid else None
        return self._code is not None

    def code(self) -> int | None:
        """Its exit code, once it has ended."""
        until(self.ended)
        return self._code

    def end(self, number: int = signal.SIGINT) -> int | None:
        os.kill(self.pid, number)
        return self.code()

    def close(self) -> None:
        if not self.ended():
            self.end(signal.SIGKILL)
        os.close(self._terminal)


@contextlib.contextmanager
def recording(one: Sidecar, file: Path, *words: str) -> Iterator[Recorder]:
    """A recorder, once it records."""
    recorder = Recorder(one, str(file), *words)
    try:
        until(lambda: recorder.ended() or (file.exists() and file.stat().st_size))
        yield recorder
    finally:
        recorder.close()


def entries(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]


def types(file: Path) -> list[str]:
    return [one["type"] for one in entries(file) if one["kind"] == "event"]


def run(one: Sidecar, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv(*words), env=one.environ, capture_output=True, text=True, check=False, timeout=PATIENCE)


def replay(one: Sidecar, *words: str) -> subprocess.CompletedProcess[str]:
    return run(one, "replay", *words)


def test_recorded_over_a_restart_and_judged_by_another_policy(world: Sidecar, tmp_path: Path) -> None:
    """Interrupted, it ends well; the same policy decides the same, another one does not, and says when and what."""
    file = tmp_path / "session.jsonl"
    with recording(world, file) as recorder:
        agent = world.agent()
        agent.call("command.run", ALLOWED)
        agent.error("command.run", {"command": "nc", "args": ["x"]})
        until(lambda: types(file).count("decision") == 2)
        world.kill()
        world.start()
        world.agent().call("command.run", ALLOWED)
        until(lambda: types(file).count("action.finished") == 2)
        assert recorder.end() == 0
    told = entries(file)
    assert (told[0]["kind"], told[-1]["kind"], told[-1]["why"]) == ("session", "end", "interrupted")
    times = [one["at"] for one in told[1:]]
    assert times == sorted(times)
    seqs = [one["seq"] for one in told if one.get("seq")]
    assert seqs == list(range(seqs[0], seqs[-1] + 1)), "nothing twice, nothing missing"
    assert oct(file.stat().st_mode & 0o777) == "0o600"

    same = replay(world, str(file))
    assert (same.returncode, same.stdout) == (0, "3 decisions judged anew, 0 would be others\n")
    other = tmp_path / "other.yaml"
    other.write_text((world.config / "policy.yaml").read_text().replace("[allowed, ...]", "[other, ...]"))
    other.write_text(other.read_text().replace('match: ["allowed x"]', 'match: ["other x"]').replace(
        'not_match: ["other x"]', 'not_match: ["allowed x"]', 1))  # fmt: skip
    differs = replay(world, str(file), "--policy", str(other), "--json")
    assert differs.returncode == 1, differs.stderr
    found = [json.loads(line) for line in differs.stdout.splitlines()]
    assert [(one["before"], one["now"], one["action"]) for one in found] == [("allow", "ask", "allowed x")] * 2
    decided = [one["at"] for one in told if one.get("type") == "decision"]
    assert [one["at"] for one in found] == [decided[0], decided[2]]
    shown = replay(world, str(file), "--show")
    assert shown.returncode == 0
    assert "allow · allowed x" in shown.stdout
    assert shown.stdout.splitlines()[-1].endswith("ended: interrupted")


def test_it_ends_when_it_is_full_or_its_time_is_over(world: Sidecar, tmp_path: Path) -> None:
    """Never more bytes than were said, but for the last line."""
    with recording(world, tmp_path / "full", "--bytes", "3000") as recorder:
        agent = world.agent()
        until(lambda: agent.call("command.run", ALLOWED) and recorder.ended())
        assert recorder.code() == 0
    assert entries(tmp_path / "full")[-1]["why"] == "full"
    assert (tmp_path / "full").stat().st_size < 3200
    with recording(world, tmp_path / "time", "--for", "0.5s") as recorder:
        assert recorder.code() == 0
    assert entries(tmp_path / "time")[-1]["why"] == "time"


def test_only_a_pane_or_a_type(world: Sidecar, tmp_path: Path) -> None:
    """What concerns no pane is left out with --pane."""
    with recording(world, tmp_path / "pane", "--pane", "%7") as panes, recording(
        world, tmp_path / "type", "--type", "decision"
    ) as kinds:  # fmt: skip
        world.agent().call("command.run", ALLOWED)
        until(lambda: types(tmp_path / "type") == ["decision"])
        for one in (panes, kinds):
            assert one.end(signal.SIGTERM) == 0
    assert types(tmp_path / "pane") == []
    assert entries(tmp_path / "pane")[0]["panes"] == ["%7"]


def test_what_goes_wrong_is_said(world: Sidecar, tmp_path: Path) -> None:
    """A file that is there, one that is no recording, no sidecar."""
    there = tmp_path / "there"
    there.write_text("mine\n")
    done = subprocess.run(
        argv("record", str(there)), env=world.environ, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 1
    assert "is there" in done.stderr
    assert there.read_text() == "mine\n"
    assert "line 1" in replay(world, str(there)).stderr
    assert "cannot be read" in replay(world, str(tmp_path / "none")).stderr
    world.kill()
    done = run(world, "record", "-")
    assert done.returncode == 1
    assert "no sidecar answers" in done.stderr


def test_what_a_watched_pane_prints(world: Sidecar, tmp_path: Path) -> None:
    """Whole lines, without secrets and colours; a subscriber that did not ask for them hears none."""
    token = "ghp_" + "a1" * 20
    file = tmp_path / "session"
    with Server() as tmux:
        tmux.run("new-session", "-d", "-s", "main", "-x", "100", "-y", "30", "env PS1='$ ' bash --norc --noprofile")
        agent, plain = world.agent(), world.operator()
        agent.call("tmux.attach", {"socket": tmux.socket})
        until(lambda: agent.request("tmux.panes").get("result", {}).get("data", {}).get("panes"))
        (pane,) = [one["id"] for one in agent.call("tmux.panes")["panes"]]
        plain.call("events.subscribe")
        world.operator().call("sentry.watch", {"pane_id": pane, "on": True})
        until(lambda: [one["how"] for one in agent.call("sentry.panes")["panes"]] not in ([], [""]))
        with recording(world, file, "--pane", pane) as recorder:
            tmux.run("send-keys", "-t", pane, f"printf '\\033[31mred\\033[0m\\n{token[:9]}''{token[9:]}\\n'", "Enter")
            until(lambda: "red\n" in "".join(one["text"] for one in entries(file) if one["kind"] == "output"))
            assert recorder.end() == 0
        world.agent().call("command.run", ALLOWED)
        kinds = []
        while "action.finished" not in kinds:
            kinds.append(plain.reply()["params"]["type"])
    assert recording_module.PRINTED not in kinds
    assert token not in file.read_text()
    assert "\x1b" not in file.read_text()
    assert {one["pane"] for one in entries(file) if one["kind"] == "output"} == {pane}
