"""Recordings of real panes: what was shown is played as it was, over restarts and kills, and within its bounds."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pyte
import pytest
from tests.patience import PATIENCE
from tests.plugin.terminal import Server, Terminal
from tests.sidecar import Sidecar, sidecar, until

from tmux_agent.core.cast_safe import Safe

COLUMNS, ROWS = 100, 30
TOKEN = "ghp_" + "a1" * 20


class World:
    """A sidecar, a tmux server with a shell, and a person at a terminal of their own."""

    def __init__(self, one: Sidecar, tmux: Server) -> None:
        self.sidecar, self.tmux = one, tmux
        tmux.run("new-session", "-d", "-s", "main", "-x", str(COLUMNS), "-y", str(ROWS), "env PS1='$ ' bash --norc")
        self.attach()

    def attach(self) -> None:
        """As the plugin does; gives nobody control back before its panes are known."""
        self.person = self.sidecar.operator()
        self.sidecar.agent().call("tmux.attach", {"socket": self.tmux.socket})
        until(lambda: self.person.request("tmux.panes").get("result", {}).get("data", {}).get("panes"))

    def start(self, pane: str = "%0", **more: Any) -> str:
        found: str = self.person.call("cast.start", {"pane_id": pane, **more})["id"]
        return found

    def stop(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.person.call("cast.stop", {"id": name})
        return found

    def type(self, text: str, pane: str = "%0") -> None:
        self.tmux.run("send-keys", "-t", pane, text, "Enter")

    def window(self, command: str) -> str:
        """Another window; its pane, once the sidecar knows of it."""
        pane = self.tmux.run("new-window", "-d", "-P", "-F", "#{pane_id}", "-t", "main:", command)
        until(lambda: pane in [one["id"] for one in self.person.call("tmux.panes")["panes"]])
        return pane

    def cli(self, *words: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "tmux_agent", *words]
        environ = self.sidecar.environ
        return subprocess.run(argv, env=environ, capture_output=True, text=True, check=False, timeout=PATIENCE)

    def exported(self, name: str, kind: str = "cast") -> str:
        done = self.cli("cast", "export", "--format", kind, name, "-")
        assert done.returncode == 0, done.stderr
        return done.stdout

    def events(self, name: str) -> list[Any]:
        return [json.loads(line) for line in self.exported(name).splitlines()]

    def parts(self, name: str) -> list[Path]:
        return sorted((self.sidecar.state / "casts").glob(f"{name}.*.cast"))

    def written(self, name: str, text: str) -> None:
        """Wait until that stands in the recording's file."""
        until(lambda: any(text in path.read_text() for path in self.parts(name)))

    def shows(self, pane: str = "%0") -> list[str]:
        lines = self.tmux.run("capture-pane", "-p", "-t", pane).split("\n")
        return [line.rstrip() for line in lines if line.rstrip()]


@pytest.fixture
def world() -> Iterator[World]:
    with sidecar() as one, Server() as tmux:
        yield World(one.start(), tmux)


def screen(events: list[Any]) -> list[str]:
    """What a terminal shows at the end of a recording."""
    header, *happened = events
    terminal = pyte.Screen(header["width"], header["height"])
    stream = pyte.Stream(terminal)
    safe = Safe(header["height"])  # pyte knows no alternate screen
    for _, code, data in happened:
        if code == "o":
            stream.feed(safe.feed(data))
        elif code == "r":
            columns, rows = map(int, data.split("x"))
            terminal.resize(rows, columns)
            stream.feed(safe.resized(rows))
    return [line.rstrip() for line in terminal.display if line.rstrip()]


def test_a_shell_is_recorded_from_what_it_shows_already(world: World) -> None:
    """The recording begins with what stood there, and ends with what stands there, in asciinema's form."""
    world.type("echo before")
    until(lambda: "before" in world.shows())
    name = world.start()
    assert world.tmux.run("display-message", "-p", "-t", "%0", "#{pane_pipe}") == "1"
    world.type("printf 'gr\\303\\274n \\342\\202\\254\\n'; echo after")
    until(lambda: "after" in world.shows())
    world.written(name, "after")
    said = world.stop(name)
    assert (said["state"], said["why"], said["parts"]) == ("ended", "stopped", 1)
    until(lambda: world.tmux.run("display-message", "-p", "-t", "%0", "#{pane_pipe}") == "0")
    events = world.events(name)
    assert {"version": 2, "width": COLUMNS, "height": ROWS}.items() <= events[0].items()
    assert events[0]["title"] == "main:0 %0"
    assert events[0]["timestamp"] > 1.7e9
    assert events[0]["env"]["TERM"] == world.tmux.run("show-options", "-gv", "default-terminal")
    times = [one[0] for one in events[1:]]
    assert times == sorted(times)
    assert {one[1] for one in events[1:]} == {"o"}
    assert screen(events) == world.shows()
    assert screen(events[:2])[-2:] == ["before", "$"]
    assert "grün €" in world.exported(name, "txt").splitlines()
    assert "�" not in "".join(str(one) for one in events)
    for path in (world.sidecar.state / "casts").iterdir():
        assert oct(path.stat().st_mode & 0o777) == "0o600"


def test_a_full_screen_program_is_recorded_from_its_raw_output(world: World) -> None:
    """Also what lay under it when the recording began, which is there again at its end."""
    world.type("echo under")
    until(lambda: "under" in world.shows())
    world.type("seq 1 200 | LESS= less")
    until(lambda: "1" in world.shows())
    name = world.start()
    world.tmux.run("send-keys", "-t", "%0", "G")
    until(lambda: "200" in world.shows())
    world.written(name, "200")
    lines = world.shows()
    assert screen(world.events(name))[:-1] == lines[:-1]
    assert "(END)" in screen(world.events(name))[-1]
    world.tmux.run("send-keys", "-t", "%0", "q")
    world.type("echo done")
    until(lambda: "done" in world.shows())
    world.written(name, "done")
    world.stop(name)
    before = world.shows()
    assert screen(world.events(name)) == before
    raw = world.sidecar.folder / "raw"
    raw.write_text("".join(data for _, code, data in world.events(name)[1:] if code == "o"))
    pane = world.window(f"cat {raw}; exec cat")
    until(lambda: world.shows(pane) == before)


def test_an_agent_that_is_read_from_its_screen_is_recorded_as_it_draws(world: World) -> None:
    """The watch goes on to read its screen; the recording has what it wrote."""
    draws = "printf '\\033[2J\\033[3;5H\\033[32mthinking\\033[m'; read x; printf '\\033[3;5Hready   '; read x"
    world.sidecar.program("claude", f"#!/bin/sh\n{draws}\n")
    pane = world.window(f"{world.sidecar.bin}/claude")
    world.person.call("sentry.watch", {"pane_id": pane, "on": True})
    until(lambda: [one["how"] for one in world.person.call("sentry.panes")["panes"]] == ["from its screen"])
    name = world.start(pane)
    world.type("", pane)
    world.written(name, "\\u001b[3;5Hready")
    assert [one["how"] for one in world.person.call("sentry.panes")["panes"]] == ["from its screen"]
    world.stop(name)
    assert screen(world.events(name)) == world.shows(pane) == ["    ready"]


def test_a_persons_pipe_is_left_alone_and_that_is_said(world: World, tmp_path: Path) -> None:
    """Before, and where it is taken later: then the recording has ended well."""
    world.tmux.run("pipe-pane", "-t", "%0", f"exec cat >{tmp_path}/theirs")
    error = world.person.error("cast.start", {"pane_id": "%0"})
    assert error["data"]["kind"] == "conflict"
    assert "tmux pipe-pane -t %0" in error["message"]
    assert world.person.call("cast.list")["casts"] == []
    assert world.tmux.run("display-message", "-p", "-t", "%0", "#{pane_pipe}") == "1"
    world.tmux.run("pipe-pane", "-t", "%0")
    name = world.start()
    world.tmux.run("pipe-pane", "-t", "%0", f"exec cat >{tmp_path}/theirs")
    until(lambda: state(world, name) == "ended")
    assert "piped elsewhere" in world.person.call("cast.list")["casts"][0]["why"]
    assert world.tmux.run("display-message", "-p", "-t", "%0", "#{pane_pipe}") == "1"


def state(world: World, name: str) -> str:
    found = {one["id"]: one["state"] for one in world.person.call("cast.list")["casts"]}
    return str(found.get(name, ""))


def test_another_size_is_noticed_and_drawn(world: World) -> None:
    world.type("echo wide")
    until(lambda: "wide" in world.shows())
    name = world.start()
    world.tmux.run("resize-window", "-t", "main", "-x", "60", "-y", "20")
    world.written(name, '"r","60x20"')
    world.type("echo narrow")
    until(lambda: "narrow" in world.shows())
    world.written(name, "narrow")
    world.stop(name)
    assert screen(world.events(name)) == world.shows()


def test_a_pane_that_closes_ends_it_with_its_last_words(world: World) -> None:
    pane = world.window("env PS1='$ ' bash --norc")
    name = world.start(pane)
    world.type("echo last words; exit", pane)
    until(lambda: state(world, name) == "ended")
    (told,) = world.person.call("cast.list")["casts"]
    assert told["why"] == "its pane was closed"
    assert "last words" in world.exported(name, "txt").splitlines()


@pytest.mark.parametrize("mask", [False, True])
def test_it_goes_on_after_kill_9(world: World, mask: bool) -> None:
    """In a new part with a keyframe of its own; the part before is whole, and so is all of it together."""
    name = world.start(mask=mask)
    world.type("echo first; cat")
    if not mask:
        world.written(name, "first")
    until(lambda: "first" in world.shows())
    world.sidecar.kill()
    world.type("meanwhile")
    until(lambda: world.shows().count("meanwhile") == 2)
    with world.parts(name)[0].open("ab") as part:
        part.write(b'[12.5,"o","to')  # as a write that was cut short
    world.sidecar.start()
    world.attach()
    until(lambda: len(world.parts(name)) == 2)
    assert state(world, name) == "recording"
    world.type("second")
    until(lambda: world.shows().count("second") == 2)
    if not mask:
        world.written(name, "second")
    world.stop(name)
    events = world.events(name)
    assert screen(events) == world.shows()
    times = [one[0] for one in events[1:]]
    assert times == sorted(times)
    second = [json.loads(line) for line in world.parts(name)[1].read_text().splitlines()]
    assert screen(second) == world.shows()


def test_a_pane_that_is_gone_meanwhile_ends_it(world: World) -> None:
    pane = world.window("cat")
    name = world.start(pane)
    assert world.sidecar.stop() == 0
    world.tmux.run("kill-pane", "-t", pane)
    world.sidecar.start()
    world.attach()
    until(lambda: state(world, name) == "ended")
    assert "while no sidecar ran" in world.person.call("cast.list")["casts"][0]["why"]
    assert world.events(name)[0]["version"] == 2


def test_parts_follow_each_other_and_the_oldest_go(tmp_path: Path) -> None:
    """Each part can be played by itself; all that is kept joins to what the pane shows."""
    with sidecar() as one, Server() as tmux:
        (one.config / "config.yaml").write_text("casts: {file_bytes: 65536, files: 3}\n")
        world = World(one.start(), tmux)
        name = world.start()
        world.type("seq -f 'line %06g of many, many lines' 1 20000")
        until(lambda: "line 020000 of many, many lines" in world.shows())
        world.written(name, "020000")
        world.stop(name)
        parts = world.parts(name)
        assert len(parts) == 3
        assert int(parts[0].name.split(".")[1]) > 3
        assert all(path.stat().st_size <= 66000 for path in parts)
        assert screen(world.events(name)) == world.shows()
        for path in parts:
            assert path.read_text().startswith('{"version":2,')


def test_it_ends_when_it_is_as_large_as_it_was_to_become(world: World) -> None:
    name = world.start(max_bytes=20_000)
    world.type("seq 1 10000")
    until(lambda: state(world, name) == "ended")
    (told,) = world.person.call("cast.list")["casts"]
    assert "as large as" in told["why"]
    assert 10_000 < told["bytes"] <= 20_000
    assert world.events(name)


def test_secrets_are_masked_on_request(world: World) -> None:
    """In pieces, in colours, in a title, wrapped at the right margin as it is typed; nothing else is touched."""
    name = world.start(mask=True)
    halves = f"printf 'a {TOKEN[:9]}'; printf '\\033[31m{TOKEN[9:20]}'; sleep 0.1; printf '{TOKEN[20:]}\\033[m b\\n'"
    world.type(halves.replace(TOKEN[:9], "ghp_''" + TOKEN[4:9]))
    until(lambda: f"a {TOKEN} b" in world.shows())
    world.type(f"printf '\\033]0;{TOKEN}\\007'; echo titled")
    until(lambda: "titled" in world.shows())
    world.type(f": {'x' * 70} {TOKEN}; echo typed")
    until(lambda: "typed" in world.shows())
    world.stop(name)
    text = world.exported(name)
    assert TOKEN not in re.sub(r"\\u001b\[[0-9;?]*[a-zA-Z]", "", text)
    shown = screen(world.events(name))
    assert f"a {'*' * len(TOKEN)} b" in shown
    assert TOKEN[10:] not in "".join(shown)
    assert "typed" in shown
    kept = [line for line in world.shows() if "a1a1" not in line]
    assert all(line in shown for line in kept)


# --- who may ---


def test_another_pane_is_recorded_only_after_a_yes(world: World) -> None:
    """As tmux.read is judged. What a rule allows or denies for reading holds for recording."""
    agent = world.sidecar.agent()
    number = agent.start("cast.start", {"pane_id": "%0"})
    until(lambda: world.person.call("human.pending")["approvals"])
    (question,) = world.person.call("human.pending")["approvals"]
    assert question["action"]["verb"] == "record"
    assert question["reason"] == "records what %0 shows"
    assert world.person.call("cast.list")["casts"] == []
    answer(world, question, approved=False)
    assert agent.reply_to(number)["error"]["data"]["kind"] == "denied"
    assert world.person.call("cast.list")["casts"] == []
    number = agent.start("cast.start", {"pane_id": "%0"})
    until(lambda: world.person.call("human.pending")["approvals"])
    answer(world, world.person.call("human.pending")["approvals"][0], approved=True)
    name = agent.reply_to(number)["result"]["data"]["id"]
    assert state(world, name) == "recording"
    assert agent.call("cast.list")["casts"] == []


def answer(world: World, question: dict[str, Any], *, approved: bool) -> None:
    said = {"request_id": question["request_id"], "digest": question["digest"], "approved": approved}
    world.person.call("human.respond", said)


@pytest.mark.parametrize(("verdict", "kind"), [("allow", ""), ("deny", "denied")])
def test_rules_for_reading_hold_for_recording(world: World, verdict: str, kind: str) -> None:
    policy = world.sidecar.config / "policy.yaml"
    policy.write_text(policy.read_text() + f"\n  - {{name: reading, when: {{tmux: [read]}}, verdict: {verdict}}}\n")
    world.person.call("policy.reload")
    reply = world.sidecar.agent().request("cast.start", {"pane_id": "%0"})
    assert reply.get("error", {}).get("data", {}).get("kind", "") == kind


@pytest.mark.parametrize("method", ["cast.stop", "cast.remove", "cast.play"])
def test_an_agent_ends_removes_and_plays_nothing_by_itself(world: World, method: str) -> None:
    """A person is asked."""
    name = world.start()
    if method == "cast.remove":
        world.stop(name)
    agent = world.sidecar.agent()
    agent.start(method, {"what": name} if method == "cast.play" else {"id": name})
    until(lambda: world.person.call("human.pending")["approvals"])
    (question,) = world.person.call("human.pending")["approvals"]
    assert question["action"]["verb"] == method.replace("cast.", "record_")
    assert question["action"]["name"] == name
    assert world.parts(name)
    assert state(world, name) in ("recording", "ended")


def test_a_pane_records_itself_and_ends_it(world: World) -> None:
    """Without anybody being asked: it shows nothing that its programs do not know."""
    environ = {key: value for key, value in world.sidecar.environ.items() if key not in ("PATH", "HOME")}
    said = " ".join(f"{key}={value}" for key, value in environ.items())
    run = f"env {said} {sys.executable} -m tmux_agent cast"
    world.type(f"clear; {run} start && {run} stop && echo do''ne")
    until(lambda: "done" in world.shows())
    (told,) = world.person.call("cast.list")["casts"]
    assert (told["state"], told["why"]) == ("ended", "stopped")
    assert world.person.call("human.pending")["approvals"] == []
    types = [one["type"] for one in world.sidecar.records()]
    assert types.count("cast.started") == types.count("cast.ended") == 1


def test_a_recording_is_no_watching(world: World) -> None:
    """Markers of a pane that is only recorded are nobody's; of one that is watched they go on to be heard."""
    marker = """printf '%s\\n' '### SEN''TRY {"type":"STATUS","stage":"x","ok":true}'"""
    name = world.start()
    world.type(marker)
    world.written(name, "### SENTRY")
    assert world.person.call("sentry.panes")["panes"] == []
    world.person.call("sentry.watch", {"pane_id": "%0", "on": True})
    world.type(marker)
    until(lambda: [one["type"] for one in world.sidecar.records()].count("marker") == 1)
    world.stop(name)
    world.type(marker)
    until(lambda: [one["type"] for one in world.sidecar.records()].count("marker") == 2)


# --- the command line ---


def test_by_the_command_line(world: World, tmp_path: Path) -> None:
    """As a person does at a terminal of their own, outside tmux."""
    with at_terminal(world, "cast", "start", "%0", "--mask", "--max-size", "1M") as terminal:
        terminal.wait_for("records main:0 %0")
    (told,) = world.person.call("cast.list")["casts"]
    assert (told["masked"], told["max_bytes"]) == (True, 1 << 20)
    with at_terminal(world, "cast", "list") as terminal:
        text = terminal.wait_for("main:0 %0")
        assert "recording, masked" in text
    with at_terminal(world, "cast", "remove", told["id"][:12]) as terminal:
        terminal.wait_for("goes on")
    with at_terminal(world, "cast", "stop", "%0") as terminal:
        terminal.wait_for(f"tmux-agent play {told['id']}")
    file = tmp_path / "demo.cast"
    assert world.cli("cast", "export", told["id"], str(file)).returncode == 0
    assert oct(file.stat().st_mode & 0o777) == "0o600"
    again = world.cli("cast", "export", told["id"], str(file))
    assert (again.returncode, "is there" in again.stderr) == (1, True)
    assert "no recording" in world.cli("cast", "export", "01ZZZ", "-").stderr
    (tmp_path / "other").write_text("{}\n")
    assert "asciicast version" in world.cli("play", str(tmp_path / "other")).stderr
    assert "plays at a terminal" in world.cli("play", str(file)).stderr
    with at_terminal(world, "cast", "remove", told["id"]) as terminal:
        until(lambda: not world.parts(told["id"]))
    assert list((world.sidecar.state / "casts").iterdir()) == []


def at_terminal(world: World, *words: str, columns: int = 100, rows: int = 30) -> Terminal:
    argv = [sys.executable, "-m", "tmux_agent", *words]
    return Terminal(argv, columns=columns, rows=rows, env=world.sidecar.environ)


# --- playing ---


HOSTILE = (
    "\x1b]52;c;cHduZWQ=\x07\x1b]0;title\x07\x1b]2;t\x1b\\\x1bPq#0\x1b\\\x1b_G\x1b\\\x1b^x\x1b\\\x1bX\x1b\\\x1bkname\x1b\\"
    "\x1b[c\x1b[>c\x1b[=c\x1b[5n\x1b[6n\x1b[?6n\x1b[18t\x1b[21t\x1b[x\x1bZ\x05\x07\x1b[?2004h\x1b[?1000;1006h\x1b[>1u\x1b[>4;2m"
    "\x1b[5i\x1b[?5i\x1b[4i\x1b[3J\x1b[8;1;1t\x1b[?1004h\x1b[$p\x1b[?25$p\x9d52;c;eA==\x9c\x9bc\x90x\x9c\x1b]8;;http://x\x07link\x1b]8;;\x07"
    "\x1b[\"q\x1b[2\"q\x1b[?69h\x1b=\x1b>\x1b[20h\x1b[?3h\x1b[!p"
)
ALLOWED = re.compile(
    r"\x1b\[[0-9;:]*[ABCDEFGHIJKLMPSTXZ@`abdefgmru]|\x1b\[\?(?:6|7|25|1049)[hl]|\x1b\[4[hl]|\x1b[78DEMH]|\x1b[()][0AB]|[\r\n\t\b\x0e\x0f]"
)


def cast_file(path: Path, *events: Any, **header: Any) -> Path:
    lines = [{"version": 2, "width": 80, "height": 20, **header}, *events]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_keys_and_a_terminal_left_as_it_was(world: World, tmp_path: Path) -> None:
    """Pause, forward, back, speed, the end, quit: the main screen, the cursor and the line discipline are as before."""
    events = [[n, "o", f"second {n}\r\n"] for n in range(60)]
    file = cast_file(tmp_path / "f.cast", *events)
    play = f"{sys.executable} -m tmux_agent play {file}"
    shell = f"echo before; {play}; echo after $?; stty -a | grep -o '.echo '; read x"
    with Terminal(["/bin/sh", "-c", shell], columns=80, rows=24, env=world.sidecar.environ) as terminal:
        terminal.wait_for("second 0")
        terminal.press(" ")
        terminal.wait(lambda text: "paused" in text and "space goes on" in text)
        terminal.press("\x1b[C", "\x1b[C")
        terminal.wait(lambda text: "second 10" in text and "paused" in text)
        terminal.press("\x1b[D")
        terminal.wait(lambda text: "second 5" in text and "second 9" not in text)
        terminal.press("+", "+")
        terminal.wait_for("×4")
        terminal.resize(60, 12)
        terminal.wait(lambda text: "second 5" in text and "paused" in text and len(text.split("\n")) == 12)
        terminal.press(*["\x1b[C"] * 12)
        terminal.wait(lambda text: "the end" in text or "second 59" in text)
        terminal.press("q")
        text = terminal.wait_for("after 0")
        terminal.wait_for(" echo")
        terminal.press("\n")
    raw = bytes(terminal.raw)
    assert raw.index(b"\x1b[?1049h") < raw.index(b"second 0") < raw.rindex(b"\x1b[?1049l") < raw.rindex(b"after")
    assert raw[: raw.rindex(b"after")].rfind(b"\x1b[?25h") > raw.rfind(b"\x1b[?25l")
    assert text


def test_it_ends_by_itself_and_faster_without_pauses(world: World, tmp_path: Path) -> None:
    file = cast_file(tmp_path / "f.cast", [0.1, "o", "one"], [3600.0, "o", "two"], [7200, "o", "three"])
    with at_terminal(world, "play", str(file), "--idle-limit", "0.2", "--speed", "4") as terminal:
        assert terminal.process.wait(PATIENCE) == 0
        terminal.text()
        assert b"three" in terminal.raw


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_told_to_end_it_leaves_the_terminal_as_it_was(world: World, tmp_path: Path, number: int) -> None:
    file = cast_file(tmp_path / "f.cast", [0.0, "o", "there\x1b[?25l"], [3600, "o", "x"])
    with at_terminal(world, "play", str(file)) as terminal:
        terminal.wait_for("there")
        terminal.process.send_signal(number)
        assert terminal.process.wait(PATIENCE) == 0
        terminal.text()
        assert bytes(terminal.raw).endswith(b"\x1b[?25h\x1b[?1049l")


def test_a_hostile_recording_only_draws(world: World, tmp_path: Path) -> None:
    """Nothing reaches the terminal but characters, moves, colours and the like; nothing is typed back."""
    file = cast_file(tmp_path / "f.cast", [0.0, "o", f"a{HOSTILE}b\r\n"], *[
        [0.1, "o", piece] for piece in HOSTILE
    ], [0.2, "o", "\x1b\\\r\ndrawn"])  # fmt: skip
    with at_terminal(world, "play", str(file), "--hold") as terminal:
        terminal.wait_for("drawn")
        terminal.press("q")
        assert terminal.process.wait(PATIENCE) == 0
        terminal.text()
    shown = bytes(terminal.raw).decode()
    assert "alinkb" in shown
    left = ALLOWED.sub("", shown)
    assert not re.search(r"[\x00-\x1f\x7f-\x9f]", left), left


def test_in_a_popup_and_in_a_pane(world: World, tmp_path: Path) -> None:
    """The popup says that it shows a recording; in both q closes it."""
    file = cast_file(tmp_path / "f.cast", [0.0, "o", "as recorded"], title="the #{pid} #(x) demo")
    client = world.tmux.attach(columns=100, rows=30)
    world.person.call("cast.play", {"what": str(file)})
    client.wait(lambda text: "as recorded" in text and "a recording of the #{pid} #(x) demo" in text)
    client.wait_for("the end")
    client.press("q")
    client.wait_gone("as recorded")
    said = " ".join(f"{key}={value}" for key, value in world.sidecar.environ.items() if key not in ("PATH", "HOME"))
    world.type(f"clear; env {said} {sys.executable} -m tmux_agent play --pane {file}")
    until(lambda: world.person.call("human.pending")["approvals"])
    (question,) = world.person.call("human.pending")["approvals"]
    assert question["action"]["verb"] == "create_pane"
    answer(world, question, approved=True)
    client.wait_for("the end")
    world.tmux.run("send-keys", "-t", "{bottom}", "q")
    client.wait_gone("the end")


# --- much output ---


def test_a_pane_that_never_stops_neither_blocks_nor_fills_the_sidecar(tmp_path: Path) -> None:
    """5 MB a second and more for some seconds: answers come at once, memory stays, and the files keep their bounds."""
    with sidecar() as one, Server() as tmux:
        (one.config / "config.yaml").write_text("casts: {file_bytes: 4000000, files: 2, total_bytes: 8000000}\n")
        world = World(one.start(), tmux)
        assert one.process is not None
        process = psutil.Process(one.process.pid)
        name = world.start()
        line = "x" * 200
        world.type(f"while :; do for i in $(seq 500); do echo {line}; done; done")
        until(lambda: len(world.parts(name)) == 2)
        before = process.memory_info().rss
        first = int(world.parts(name)[-1].name.split(".")[1])
        slowest = 0.0
        while int(world.parts(name)[-1].name.split(".")[1]) < first + 8:  # 32 MB
            asked = time.monotonic()
            world.person.call("cast.list")
            slowest = max(slowest, time.monotonic() - asked)
        assert process.memory_info().rss - before < 48 << 20
        assert slowest < 2.0
        world.tmux.run("send-keys", "-t", "%0", "C-c")
        world.stop(name)
        assert sum(path.stat().st_size for path in world.parts(name)) <= 8_200_000
