"""What is known of sessions and panes: output since a cursor, processes, exit codes, limits of one caller."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

import pytest
from tests.end_to_end.terminal_world import Approver, Terminals, terminals
from tests.sidecar import until


def read(world: Terminals, since: str, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = world.peer.call("tmux.read", {"session": "main", "since": since, **more})
    return found


def follow(world: Terminals, cursor: str, end: str) -> tuple[str, str, int]:
    """All that comes until `end`; the next cursor; how much was lost."""
    text, lost = "", 0
    while end not in text:
        found = read(world, cursor)
        text, cursor, lost = text + "\n".join(found["lines"]), found["cursor"], lost + found.get("lost", 0)
    return text, cursor, lost


# --- since a cursor ---------------------------------------------------------------------------------------


def test_what_is_new_comes_once_over_scrolling_clearing_resizing_and_full_screens() -> None:
    with terminals() as world:
        world.tmux.run("set", "-g", "history-limit", "50")
        cursor = read(world, "")["cursor"]
        world.execute("seq 1 3000; echo E''ND1")
        text, cursor, lost = follow(world, cursor, "END1")
        numbers = [int(line) for line in text.split("\n") if line.isdigit()]
        assert (numbers, lost) == (list(range(1, 3001)), 0)
        world.tmux.run("clear-history", "-t", "main")
        world.tmux.run("resize-window", "-t", "main", "-x", "31", "-y", "9")
        world.execute("echo af''ter clear; echo E''ND2")
        text, cursor, _ = follow(world, cursor, "END2")
        assert text.count("after clear") == 1
        assert "3000" not in text
        world.execute("printf '\\033[?1049h'; echo dra''wn; printf '\\033[?1049l'; echo E''ND3")
        text, cursor, _ = follow(world, cursor, "END3")
        assert text.count("drawn") == 1
        assert read(world, cursor)["lines"] == [] or "END3" not in "\n".join(read(world, cursor)["lines"])


def test_what_no_longer_was_kept_is_told() -> None:
    with terminals() as world:
        (world.sidecar.config / "config.yaml").write_text("limits: {output_bytes: 10000}\n")
        world.sidecar.operator().call("policy.reload")
        cursor = read(world, "")["cursor"]
        world.execute("seq 1 20000; echo E''ND")
        text, _, lost = follow(world, cursor, "END")
        assert lost > 50_000
        numbers = [int(line) for line in text.split("\n")[1:] if line.isdigit()]
        assert numbers == list(range(numbers[0], 20001))


def test_a_cursor_is_checked() -> None:
    with terminals() as world:
        cursor = read(world, "")["cursor"]
        world.open("bash", "other")
        until(lambda: len(world.peer.call("tmux.panes")["panes"]) == 2)
        for bad in ("x", "1", "-1-0123456789abcdef", cursor + "0"):
            assert world.peer.error("tmux.read", {"session": "main", "since": bad})["code"] == -32602
        number, _, sign = cursor.partition("-")
        forged = f"{int(number) + 1}-{sign}"
        assert world.peer.error("tmux.read", {"session": "main", "since": forged})["data"]["kind"] == "conflict"
        assert world.peer.error("tmux.read", {"session": "other", "since": cursor})["data"]["kind"] == "conflict"
        world.sidecar.kill()
        world.sidecar.start()
        world.attach()
        world.approver = Approver(world.sidecar)
        error = world.peer.error("tmux.read", {"session": "main", "since": cursor})
        assert "begin again" in error["message"]


def test_a_pipe_of_the_persons_own_is_said() -> None:
    with terminals() as world:
        world.tmux.run("pipe-pane", "-t", "main", "cat > /dev/null")
        error = world.peer.error("tmux.read", {"session": "main", "since": ""})
        assert error["data"]["kind"] == "conflict"
        assert "pipe" in error["message"]


def test_all_of_the_history_is_read() -> None:
    with terminals() as world:
        world.execute("seq 1 500")
        shown = world.peer.call("tmux.read", {"session": "main"})["lines"]
        lines = world.peer.call("tmux.read", {"session": "main", "all": True})["lines"]
        assert "1" not in shown
        assert [line for line in lines if line.isdigit()] == [str(number) for number in range(1, 501)]


# --- facts ------------------------------------------------------------------------------------------------


def test_the_processes_of_a_pane_are_told_with_what_they_use() -> None:
    with terminals() as world:
        world.execute("python3 -c 'while 1: pass' & sleep 600 & true")
        (pane,) = world.peer.call("tmux.facts", {"target": "main"})["panes"]
        names = {one["name"]: one for one in pane["processes"]}
        try:
            assert pane["processes"][0]["pid"] == pane["pane_pid"]
            assert names["python3"]["depth"] > names["bash"]["depth"]
            assert names["python3"]["memory_bytes"] > 1 << 20
            busy = lambda: world.peer.call("tmux.facts", {"target": pane["id"]})["panes"][0].get("cpu_percent", 0)  # noqa: E731
            until(lambda: busy() > 5)
            assert (pane["alive"], pane["place"], pane["current_path"]) == (True, "main:0", str(world.home))
        finally:
            for name in ("python3", "sleep"):  # jobs in the background do not end with their shell
                os.kill(names[name]["pid"], signal.SIGKILL)


def test_how_a_program_ended_is_told() -> None:
    with terminals() as world:
        world.tmux.run("set", "-w", "-t", "main", "remain-on-exit", "on")
        world.tmux.run("respawn-pane", "-k", "-t", "main", "exit 5")
        facts = lambda: world.peer.call("tmux.facts", {"target": "main"})["panes"][0]  # noqa: E731
        until(lambda: not facts()["alive"])
        assert facts().get("exit_code") in (5, None)  # tmux 3.3a sometimes never hears of it
        assert facts().get("processes", []) == []


@pytest.mark.parametrize("target", ["#(touch fired)", "main:0", "%x", "%99", "nope; ls", "=main", "$0;"])
def test_what_is_named_is_found_among_what_tmux_tells_or_not_at_all(target: str) -> None:
    with terminals() as world:
        for method, params in (
            ("tmux.facts", {"target": target}),
            ("tmux.read", {"session": target}),
            ("tmux.kill_session", {"session": target}),
        ):
            assert world.peer.error(method, params)["data"]["kind"] == "not_found", method
        assert "fired" not in [path.name for path in world.home.iterdir()]
        assert "main" in world.tmux.run("list-sessions")


@pytest.mark.parametrize("name", ["#(touch fired)", "a#{pid}", "#[bg=red]"])
def test_the_name_of_a_new_session_is_no_format_of_tmux(name: str) -> None:
    with terminals() as world:
        fired = world.home / "fired"
        name = name.replace("fired", str(fired))
        assert world.peer.error("tmux.create_session", {"session_name": name})["code"] == -32602
        world.peer.call("tmux.create_session", {"session_name": "issue #5"})
        assert "issue #5" in world.tmux.run("list-sessions", "-F", "#{session_name}").split("\n")
        assert not fired.exists()


def test_the_verb_prints_a_table_that_fits_into_40_columns() -> None:
    with terminals() as world:
        argv = [sys.executable, "-m", "tmux_agent", "facts"]
        done = subprocess.run([*argv, "main"], env=world.sidecar.environ, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0
        assert "bash --norc" in done.stdout
        environ = [f"{name}={value}" for name, value in world.sidecar.environ.items()]
        narrow = ["sh", "-c", '"$@"; exec cat', "sh", "env", *environ, *argv, "main"]
        world.tmux.run("new-session", "-d", "-s", "narrow", "-x", "40", "-y", "30", *narrow)
        until(lambda: "bash" in world.tmux.run("capture-pane", "-p", "-t", "narrow"))
        wrapped = world.tmux.run("capture-pane", "-p", "-J", "-t", "narrow").splitlines()
        assert max(map(len, wrapped)) <= 40


# --- limits -----------------------------------------------------------------------------------------------


def test_one_caller_may_not_make_sessions_and_panes_without_end() -> None:
    with terminals() as world:
        (world.sidecar.config / "config.yaml").write_text("limits: {sessions_per_caller: 2, panes_per_caller: 1}\n")
        world.sidecar.operator().call("policy.reload")
        for name in ("a", "b"):
            world.peer.call("tmux.create_session", {"session_name": name})
        error = world.peer.error("tmux.create_session", {"session_name": "c"})
        assert (error["code"], "tmux.kill_session" in error["message"]) == (-32007, True)
        error = world.peer.error("tmux.execute", {"session": "d", "command": "true"})
        assert error["code"] == -32007
        world.peer.call("tmux.kill_session", {"session": "a"})
        until(lambda: "a" not in [one["name"] for one in world.peer.call("tmux.sessions")["sessions"]])
        world.peer.call("tmux.create_session", {"session_name": "c"})
        world.peer.call("tmux.create_pane", {"target": "c"})
        error = world.peer.error("tmux.create_pane", {"target": "c"})
        assert (error["code"], "tmux.kill_pane" in error["message"]) == (-32007, True)


def test_one_caller_may_not_read_without_end() -> None:
    with terminals() as world:
        (world.sidecar.config / "config.yaml").write_text("limits: {output_per_minute: 3000}\n")
        world.sidecar.operator().call("policy.reload")
        found = world.execute("seq 1 2000")
        assert (found["exit_code"], found.get("output", "")) == (0, "")
        assert "output_per_minute" in found["note"]
        assert world.execute("echo little")["output"] == "little\n"
        error = world.peer.error("tmux.read", {"session": "main", "all": True})
        assert (error["code"], "since a cursor" in error["message"]) == (-32007, True)
