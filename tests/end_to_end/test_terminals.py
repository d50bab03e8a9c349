"""Persistent terminals: real shells in a real tmux, a real sidecar: what was typed, printed, and how it ended."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from tests.end_to_end.terminal_world import PROGRAMS, Approver, Terminals, terminals
from tests.sidecar import until

from tmux_agent.client import Client
from tmux_agent.core import errors
from tmux_agent.services.persistent_terminal import SETTLE_SECONDS

SHELLS = [shell for shell in PROGRAMS if shutil.which(shell)]


def prompting(world: Terminals, pane: str = "main") -> None:
    until(lambda: world.tmux.run("display-message", "-p", "-t", pane, "#{cursor_x}") != "0")


def waits(world: Terminals, text: str, pane: str = "main") -> None:
    """Until the screen of a pane shows it."""
    until(lambda: text in world.tmux.run("capture-pane", "-p", "-t", pane))


# --- exact, on every shell -----------------------------------------------------------------------------


@pytest.mark.parametrize("shell", SHELLS)
def test_exit_code_and_output_are_exact_and_state_stays(shell: str) -> None:
    with terminals(shell) as world:

        def output(text: str, code: int = 0) -> str:
            found = world.execute(text)
            assert (found["status"], found["exit_code"], found.get("exact", True)) == ("done", code, True), found
            return str(found.get("output", ""))

        folder = world.home / "deep" / "folder with blanks"
        folder.mkdir(parents=True)
        assert output(f"cd '{folder}'") == ""
        assert output("pwd") == f"{folder}\n"
        assert output("set here 1" if shell == "fish" else "here=1") == ""
        assert output("echo \"kept: $here\"; echo 'it'\"'\"'s'") == "kept: 1\nit's\n"
        assert output("sh -c 'exit 7'", 7) == ""
        assert output("printf 'no line end'") == "no line end"
        assert output("printf 'a\\n\\n\\tb  \\n\\n'") == "a\n\n\tb  \n\n"
        assert output("echo ünïcödé → 漢字 🙂") == "ünïcödé → 漢字 🙂\n"
        assert output(f"echo {'x' * 300}") == "x" * 300 + "\n"
        assert output(f"echo {'é' * 4500}") == "é" * 4500 + "\n"
        assert output("seq 2000") == "".join(f"{number}\n" for number in range(1, 2001))
        three = "if true\n\techo three; end" if shell == "fish" else "if true; then\techo three; fi"
        assert output(f"echo one\n\necho two # a comment\n{three}") == "one\ntwo\nthree\n"
        assert output("printf '%s\\n' '!! !x' \"a$(echo b)c\"") == "!! !x\nabc\n"
        assert output("printf 'to stderr' >&2") == "to stderr"
        assert output("sleep 30 &\necho at once").endswith("at once\n")
        assert output("true") == ""


@pytest.mark.parametrize("shell", SHELLS)
def test_two_dots_lead_where_they_were_judged_to_also_behind_a_link(shell: str) -> None:
    with terminals(shell) as world:
        real = world.home / "real" / "inner"
        real.mkdir(parents=True)
        (world.home / "link").symlink_to(real)
        world.execute(f"cd {world.home}/link")
        assert world.execute("echo $PWD")["output"] == f"{world.home}/link\n"
        assert world.execute("cd .. && pwd")["output"] == f"{world.home}/real\n"
        assert world.approver.asked[-1]["action"]["cwd"] == str(real)


@pytest.mark.parametrize("shell", SHELLS)
def test_output_that_is_no_text_comes_as_it_is(shell: str) -> None:
    with terminals(shell) as world:
        (world.home / "data").write_bytes(data := bytes(range(1, 256)) * 40)
        found = world.execute("stty -onlcr; cat data; stty onlcr")
        raw = base64.b64decode(found["output"])
        assert found["encoding"] == "base64"
        assert raw == data.replace(b"\r\n", b"\n")


@pytest.mark.parametrize("shell", SHELLS)
def test_errors_of_syntax_have_an_exit_code_and_the_next_text_runs(shell: str) -> None:
    with terminals(shell) as world:
        found = world.execute("echo (" if shell == "fish" else "for in (")
        assert found["status"] == "done"
        assert found["exit_code"] not in (0, None)
        assert world.execute("echo after")["output"] == "after\n"


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_that_replaces_itself_is_told_and_goes_on(shell: str) -> None:
    with terminals(shell) as world:
        found = world.execute(f"exec {PROGRAMS[shell]}")
        assert (found["status"], found.get("exit_code")) == ("done", None)
        assert "replaced itself" in found["note"]
        assert world.execute("echo after")["output"] == "after\n"


@pytest.mark.parametrize("shell", SHELLS)
def test_exit_ends_the_pane_and_that_is_told(shell: str) -> None:
    with terminals(shell) as world:
        world.open("dash", "other")
        found = world.execute("exit 3")
        assert found["status"] == "done"
        assert found.get("exit_code") in (None, 3)  # tmux reaps it: only sometimes the kernel can still be asked
        assert "ended with it" in found["note"]
        until(lambda: "main" not in [one["name"] for one in world.peer.call("tmux.sessions")["sessions"]])


def test_the_exit_code_of_a_pane_that_stays_is_told() -> None:
    with terminals() as world:
        world.tmux.run("set", "-w", "-t", "main", "remain-on-exit", "on")
        assert world.execute("exit 3")["exit_code"] == 3
        error = world.peer.error("tmux.execute", {"session": "main", "command": "true"})
        assert error["data"]["kind"] == "conflict"


@pytest.mark.parametrize("shell", SHELLS)
def test_an_interrupt_ends_it_and_the_shell_goes_on(shell: str) -> None:
    with terminals(shell) as world:
        found = world.execute("sleep 600", wait_ms=0)
        assert found["status"] == "running"
        until(lambda: world.told(found["execution_id"], 0).get("in_front") == "sleep")
        asked = len(world.approver.asked)
        ended = world.peer.call("tmux.interrupt", {"execution_id": found["execution_id"], "wait_ms": 60_000})
        assert (ended["status"], ended["exit_code"]) == ("done", 130)
        assert len(world.approver.asked) == asked  # who began it needs no yes
        assert world.execute("echo after")["output"] == "after\n"


def test_what_another_caller_ran_is_not_told_without_a_yes() -> None:
    with terminals() as world:
        found = world.execute("echo private")
        asked = len(world.approver.asked)
        environ = [f"{name}={value}" for name, value in world.sidecar.environ.items()]
        other = ["env", *environ, sys.executable, "-m", "tmux_agent", "exec"]
        world.tmux.run("new-session", "-d", "-s", "other", "sh", "-c", '"$@"; exec cat', "sh", *other, "--list")
        waits(world, "nothing was run yet", "other")
        look = ["sh", "-c", '"$@"; exec cat', "sh", *other, "--id", found["execution_id"]]
        world.tmux.run("new-session", "-d", "-s", "look", *look)
        waits(world, "private", "look")
        assert [one["action"]["verb"] for one in world.approver.asked[asked:]] == ["read"]


def test_a_program_that_takes_the_interrupt_tells_its_own_exit_code() -> None:
    with terminals() as world:
        found = world.execute("sh -c 'trap \"echo caught; exit 9\" INT; echo ready; sleep 600'", wait_ms=0)
        waits(world, "ready")
        until(lambda: "ready" in world.told(found["execution_id"], 0).get("output", ""))
        ended = world.peer.call("tmux.interrupt", {"execution_id": found["execution_id"], "wait_ms": 60_000})
        assert (ended["exit_code"], "caught" in ended["output"]) == (9, True) or ended["exit_code"] == 130


def test_an_interrupt_of_another_caller_is_judged() -> None:
    with terminals() as world:
        found = world.execute("sleep 600", wait_ms=0)
        asked = len(world.approver.asked)
        environ = [f"{name}={value}" for name, value in world.sidecar.environ.items()]
        interrupt = [sys.executable, "-m", "tmux_agent", "exec", "--interrupt", found["execution_id"]]
        world.tmux.run("new-session", "-d", "-s", "other", "env", *environ, *interrupt)
        assert world.told(found["execution_id"])["exit_code"] == 130
        assert [one["action"]["keys"] for one in world.approver.asked[asked:]] == [["C-c"]]


@pytest.mark.parametrize("shell", [shell for shell in SHELLS if shell in ("bash", "zsh")])
def test_an_error_that_drops_the_line_does_not_hang(shell: str) -> None:
    with terminals(shell) as world:
        found = world.execute("echo ${nothing?is set}")
        assert found["status"] == "done"
        assert found.get("exit_code") != 0
        assert world.execute("echo after")["output"] == "after\n"


ALIASES = {
    "bash": "alias builtin='echo B' printf='echo P' eval='echo E'",
    "dash": "alias command='echo C' printf='echo P' eval='echo E'",
    "zsh": "alias -g builtin='echo B' printf='echo P' eval='echo E'",
}


@pytest.mark.parametrize("shell", [shell for shell in ALIASES if shell in SHELLS])
def test_aliases_of_what_is_typed_around_a_text_count_for_nothing(shell: str) -> None:
    with terminals(shell) as world:
        assert world.execute(ALIASES[shell])["exit_code"] == 0
        found = world.execute("echo it; sh -c 'exit 5'")
        assert (found["exit_code"], found["output"], found.get("exact", True)) == (5, "it\n", True)


@pytest.mark.parametrize("where", [">{home}/out", ">&-"])
@pytest.mark.parametrize("shell", [shell for shell in SHELLS if shell != "fish"])  # which cannot do that
def test_a_shell_whose_output_goes_elsewhere_tells_exit_codes_all_the_same(shell: str, where: str) -> None:
    with terminals(shell) as world:
        world.execute("set -C")
        assert world.execute("exec " + where.format(home=world.home))["exit_code"] == 0
        found = world.execute("sh -c 'echo hidden; exit 5'")
        assert found["exit_code"] == 5
        assert "hidden" not in found.get("output", "")
        assert world.execute("exec >/dev/tty")["exit_code"] == 0
        assert world.execute("echo shown")["output"] == "shown\n"


@pytest.mark.skipif("fish" not in SHELLS, reason="needs fish")
def test_in_every_mode_of_fishs_vi_keys_a_text_is_run_once_and_alone() -> None:
    with terminals("fish") as world:
        world.tmux.run("new-session", "-d", "-s", "vi", "-x", "100", "-y", "30", f"exec env HOME={world.home} fish")
        waits(world, "Welcome", "vi")
        (victim := world.home / "victim").write_text("")
        assert world.execute("fish_vi_key_bindings", session="vi")["exit_code"] == 0
        for keys in ((), ("Escape",), ("Escape", "0", "v"), ("Escape", "0", "R"), ("Escape", "r"), ("Escape", "d")):
            begins = time.monotonic() + 2 * SETTLE_SECONDS  # nobody types that fast
            until(lambda begins=begins: time.monotonic() > begins)
            world.tmux.run("send-keys", "-t", "vi", "-l", f"i; rm {victim}; true begun")  # in whatever mode it is
            waits(world, "begun", "vi")
            for key in keys:
                world.tmux.run("send-keys", "-t", "vi", key)
            found = world.execute("echo mine", session="vi")
            assert (found["exit_code"], found["output"]) == (0, "mine\n"), keys
            assert victim.exists()


@pytest.mark.skipif("fish" not in SHELLS, reason="needs fish")
def test_a_shell_that_takes_nothing_of_what_is_typed_does_not_hang() -> None:
    with terminals("fish") as world:
        world.execute("bind --erase --all; bind --erase --all --preset")
        found = world.execute("echo lost")
        assert (found["status"], found.get("exit_code"), found.get("output", "")) == ("done", None, "")
        assert "did not take" in found["note"]


@pytest.mark.parametrize("shell", SHELLS)
def test_a_folder_that_has_been_deleted_is_none_that_is_judged_in(shell: str) -> None:
    with terminals(shell) as world:
        (gone := world.home / "gone").mkdir()
        world.execute(f"cd {gone}")
        gone.rmdir()
        (world.home / "gone (deleted)").mkdir()
        assert world.execute("ls -l")["status"] == "done"  # and it is asked about: where is it?
        assert world.approver.asked[-1]["action"].get("cwd", "") == ""
        assert world.execute("cd /; pwd")["output"] == "/\n"


def test_still_running_is_told_and_asked_again() -> None:
    with terminals() as world:
        found = world.execute("echo begun; read line; echo got $line", wait_ms=300)
        assert (found["status"], found["output"]) == ("running", "begun\n")
        world.tmux.run("send-keys", "-t", "main", "it", "Enter")
        ended = world.told(found["execution_id"])
        assert (ended["exit_code"], ended["output"]) == (0, "begun\nit\ngot it\n")


def test_what_clears_the_screen_or_draws_one_is_read_all_the_same() -> None:
    with terminals() as world:
        found = world.execute("printf '\\033[2J\\033[H'; printf '\\033[?1049hdrawn\\033[?1049l'; echo end; false")
        assert (found["exit_code"], found["output"]) == (1, "\x1b[2J\x1b[H\x1b[?1049hdrawn\x1b[?1049lend\n")


def test_of_very_much_the_ends_are_kept() -> None:
    with terminals() as world:
        found = world.execute("seq 100000")
        assert found["truncated"]
        assert found["output"].startswith("1\n2\n")
        assert found["output"].endswith("99999\n100000\n")
        assert len(found["output"]) < (256 << 10) + 100


# --- who is in front --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("program", "shows", "named"),
    [
        ("python3 -i -c 'print(\"repl is up\")'", "repl is up", "python3"),
        ("seq 500 | less", ":", "less"),
        ("read -s -p 'Password: ' x", "Password: ", "password"),
        ("read -p 'name? ' x", "name? ", "bash"),
        ("cat", "", "cat"),
        ("bash -c 'read -p \"script asks \" x'", "script asks", "bash"),
    ],
)
def test_what_is_in_front_of_the_shell_is_not_typed_into(program: str, shows: str, named: str) -> None:
    with terminals() as world:
        prompting(world)
        world.tmux.run("send-keys", "-t", "main", "-l", program)
        world.tmux.run("send-keys", "-t", "main", "Enter")
        waits(world, shows)
        until(lambda: world.tmux.run("display-message", "-p", "-t", "main", "#{pane_current_command}") != "")
        until(lambda: "main" in world.tmux.run("list-sessions"))
        before = world.tmux.run("capture-pane", "-p", "-t", "main")
        error = world.peer.error("tmux.execute", {"session": "main", "command": "echo typed"})
        assert error["data"]["kind"] == "conflict", error
        assert named in error["message"]
        assert "echo typed" not in world.tmux.run("capture-pane", "-p", "-t", "main")
        assert "echo typed" not in before


def test_what_a_person_has_begun_to_type_does_not_become_part_of_it() -> None:
    with terminals() as world:
        prompting(world)
        world.tmux.run("send-keys", "-t", "main", "-l", "echo spoiled; exit ")
        waits(world, "spoiled")
        assert world.execute("echo mine")["output"] == "mine\n"
        world.tmux.run("send-keys", "-t", "main", "C-y")
        waits(world, "$ echo spoiled; exit")  # and it can be had back


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("shell", SHELLS)
def test_a_text_means_what_it_was_judged_to_mean_also_after_an_open_quote(shell: str, before: bool) -> None:
    with terminals(shell) as world:
        prompting(world)
        if before:
            assert world.execute("echo first")["output"] == "first\n"
        (victim := world.home / "victim").write_text("")
        world.tmux.run("send-keys", "-t", "main", 'echo "a quote', "Enter")
        if shell != "fish":  # which shows no other prompt
            waits(world, "\ndquote>" if shell == "zsh" else "\n>")
        found = world.execute(text := f"echo '\"; rm {victim} #'")
        assert victim.exists()
        assert (found["exit_code"], found["output"]) == (0, text.split("'")[1] + "\n")


VI = {"bash": "set -o vi", "zsh": "bindkey -v"}


@pytest.mark.parametrize("keys", [("Escape",), ("Escape", "0"), ("Escape", "A"), ("Escape", "I")])
@pytest.mark.parametrize("shell", [shell for shell in VI if shell in SHELLS])
def test_what_a_person_has_begun_in_a_vi_mode_is_not_run(shell: str, keys: tuple[str, ...]) -> None:
    with terminals(shell) as world:
        prompting(world)
        assert world.execute(VI[shell])["exit_code"] == 0
        begins = time.monotonic() + 2 * SETTLE_SECONDS  # nobody types that fast
        until(lambda: time.monotonic() > begins)
        (victim := world.home / "victim").write_text("")
        world.tmux.run("send-keys", "-t", "main", "-l", f"true; rm {victim}; : begun")
        waits(world, "begun")
        for key in keys:
            world.tmux.run("send-keys", "-t", "main", key)
        found = world.execute("echo mine")
        assert victim.exists()
        assert (found["exit_code"], found["output"]) == (0, "mine\n")


@pytest.mark.parametrize("shell", [shell for shell in VI if shell in SHELLS])
def test_what_a_person_typed_ahead_in_a_vi_mode_is_not_run(shell: str) -> None:
    with terminals(shell) as world:
        prompting(world)
        assert world.execute(VI[shell])["exit_code"] == 0
        (victim := world.home / "victim").write_text("")
        os.mkfifo(gate := world.home / "gate")
        one = world.execute(f"cat {gate}", wait_ms=0)
        until(lambda: world.told(one["execution_id"], 0).get("in_front") == "cat")
        world.tmux.run("send-keys", "-t", "main", "-l", f"true; rm {victim}; : ahead")
        world.tmux.run("send-keys", "-t", "main", "Escape")
        waits(world, "ahead^[")
        gate.write_text("through\n")
        assert world.told(one["execution_id"])["status"] == "done"
        found = world.execute("echo mine")
        assert victim.exists()
        assert (found["exit_code"], found["output"]) == (0, "mine\n")


def test_panes_that_take_no_typing_are_left_alone() -> None:
    with terminals() as world:
        world.tmux.run("set", "-w", "-t", "main", "synchronize-panes", "on")
        error = world.peer.error("tmux.execute", {"session": "main", "command": "true"})
        assert "synchronize-panes" in error["message"]
        world.tmux.run("set", "-w", "-t", "main", "synchronize-panes", "off")
        world.tmux.run("copy-mode", "-t", "main")
        assert world.execute("echo mine")["output"] == "mine\n"


def test_a_pipe_of_the_persons_own_is_left_alone_and_the_screen_is_read(tmp_path: Path) -> None:
    with terminals() as world:
        log = tmp_path / "log"
        world.tmux.run("pipe-pane", "-t", "main", f"cat > {log}")
        found = world.execute("echo one; echo two; sh -c 'exit 5'")
        assert (found["exit_code"], found["exact"], found["output"]) == (5, False, "one\ntwo\n")
        assert world.tmux.run("display-message", "-p", "-t", "main", "#{pane_pipe}") == "1"
        until(lambda: "two" in log.read_text())
        world.tmux.run("pipe-pane", "-t", "main")
        found = world.execute("echo exact")
        assert (found.get("exact", True), found["output"]) == (True, "exact\n")


def test_a_pane_that_was_respawned_a_moment_ago_is_typed_into() -> None:
    with terminals() as world:
        assert world.execute("echo first")["output"] == "first\n"
        world.tmux.run("respawn-pane", "-k", "-t", "main", PROGRAMS["bash"])
        prompting(world)
        assert world.execute("echo second")["output"] == "second\n"


# --- turns -------------------------------------------------------------------------------------------------


def test_several_callers_take_turns() -> None:
    with terminals() as world:
        outputs: list[tuple[int, str]] = []

        def ask(number: int) -> None:
            peer = world.sidecar.agent()
            text = f"for i in 1 2 3; do echo {number}; done"
            found = peer.call("tmux.execute", {"session": "main", "command": text, "wait_ms": 60_000})
            outputs.append((number, found["output"]))

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(outputs) == [(number, f"{number}\n" * 3) for number in range(8)]


def test_whose_turn_does_not_come_types_nothing_and_who_goes_away_leaves_the_line() -> None:
    with terminals() as world:
        first = world.execute("read line", wait_ms=0)
        gone = world.sidecar.agent()
        gone.start("tmux.execute", {"session": "main", "command": "echo from one who left", "wait_ms": 60_000})
        error = world.peer.error("tmux.execute", {"session": "main", "command": "echo late", "wait_ms": 200})
        assert error["data"]["kind"] == "conflict"
        assert first["execution_id"] in error["message"]
        gone.close()
        until(lambda: "health" and world.peer.call("health")["status"])
        world.tmux.run("send-keys", "-t", "main", "x", "Enter")
        assert world.told(first["execution_id"])["exit_code"] == 0
        assert world.execute("echo next")["output"] == "next\n"
        assert "who left" not in world.tmux.run("capture-pane", "-p", "-S", "-", "-t", "main")


def test_one_caller_may_not_have_too_many_that_run() -> None:
    with terminals() as world:
        (world.sidecar.config / "config.yaml").write_text("limits: {executions_per_caller: 1}\n")
        world.sidecar.operator().call("policy.reload")
        world.open("bash", "other")
        running = world.execute("sleep 600", wait_ms=0)
        error = world.peer.error("tmux.execute", {"session": "other", "command": "true"})
        assert (error["code"], "interrupt" in error["message"]) == (-32007, True)
        world.peer.call("tmux.interrupt", {"execution_id": running["execution_id"], "wait_ms": 60_000})
        assert world.execute("true", session="other")["exit_code"] == 0


# --- judged ---------------------------------------------------------------------------------------------------


def test_what_is_judged_is_shown_approved_and_typed_in_the_folder_of_the_shell() -> None:
    with terminals() as world:
        world.execute(f"cd {world.sidecar.root}")
        found = world.execute("rm -rf nothing-there; echo 'two  blanks'")
        asked = world.approver.asked[-1]
        assert asked["action"] == {
            "type": "shell", "text": "rm -rf nothing-there; echo 'two  blanks'", "cwd": str(world.sidecar.root),
            "dialect": "bash", "pane": found["pane_id"], "server": world.tmux.socket,
        }  # fmt: skip
        typed = world.tmux.run("capture-pane", "-p", "-J", "-S", "-", "-t", "main")
        assert "\\eval 'rm -rf nothing-there; echo '\\''two  blanks'\\'''" in typed
        records = [one for one in world.sidecar.records() if one.get("request_id") == asked["request_id"]]
        until(lambda: "execution.ended" in [one["type"] for one in world.sidecar.records()])
        assert {"approval.opened", "approval.answered", "action.finished"} <= {one["type"] for one in records}


def test_what_the_policy_denies_is_not_typed() -> None:
    with terminals() as world:
        error = world.peer.error("tmux.execute", {"session": "main", "command": "cd / && nc example.org 1"})
        assert error["data"]["kind"] == "denied"
        assert "nc" not in world.tmux.run("capture-pane", "-p", "-t", "main")


def test_a_no_is_a_no_and_a_yes_counts_for_the_folder_that_was_shown() -> None:
    with terminals(approved=False) as world:
        person = world.sidecar.operator()

        def pending() -> dict[str, str]:
            until(lambda: person.call("human.pending")["approvals"])
            found: dict[str, str] = person.call("human.pending")["approvals"][0]
            return found

        number = world.peer.start("tmux.execute", {"session": "main", "command": "touch no", "wait_ms": 60_000})
        one = pending()
        person.call("human.respond", {"request_id": one["request_id"], "digest": one["digest"], "approved": False})
        assert world.peer.reply_to(number)["error"]["data"]["kind"] == "denied"
        number = world.peer.start("tmux.execute", {"session": "main", "command": "touch moved", "wait_ms": 60_000})
        one = pending()
        prompting(world)
        world.tmux.run("send-keys", "-t", "main", "-l", "cd /tmp; tmux wait-for -S moved")
        world.tmux.run("send-keys", "-t", "main", "Enter")
        world.tmux.run("wait-for", "moved")
        person.call("human.respond", {"request_id": one["request_id"], "digest": one["digest"], "approved": True})
        error = world.peer.reply_to(number)["error"]
        assert error["data"]["kind"] == "conflict"
        assert "touch" not in world.tmux.run("capture-pane", "-p", "-t", "main")


def test_a_rule_about_typing_makes_it_stricter_and_never_looser() -> None:
    with terminals(approved=False) as world:
        policy = world.sidecar.config / "policy.yaml"
        allow = "  - {name: types, when: {tmux: [execute]}, verdict: allow}\n"
        policy.write_text(policy.read_text() + allow)
        world.sidecar.operator().call("policy.reload")
        checked = {"action": {"type": "shell", "text": "other x", "cwd": "/", "pane": "%0"}}
        assert world.peer.call("policy.check", checked)["verdict"] == "ask"
        policy.write_text(policy.read_text().replace(allow, allow.replace("allow", "deny")))
        world.sidecar.operator().call("policy.reload")
        error = world.peer.error("tmux.execute", {"session": "main", "command": "allowed x"})
        assert error["data"]["kind"] == "denied"


@pytest.mark.parametrize("text", ["", " \n", "a\x1b[201~b", "echo \x03"])
def test_what_would_press_keys_is_refused(text: str) -> None:
    with terminals() as world:
        assert world.peer.error("tmux.execute", {"session": "main", "command": text})["code"] == -32602


# --- sessions ---------------------------------------------------------------------------------------------------


def test_a_session_is_made_when_it_is_first_named_and_counted() -> None:
    with terminals(shell="bash") as world:
        world.tmux.run("set", "-g", "default-shell", shutil.which("bash") or "")
        found = world.execute("cd /; pwd", session="dev")
        assert (found["output"], found["session"]) == ("/\n", "dev")
        assert world.approver.asked[-1]["action"]["session"] == "dev" or not world.approver.asked
        assert world.execute("pwd", session="dev")["output"] == "/\n"
        (dev,) = [one for one in world.peer.call("tmux.sessions")["sessions"] if one["name"] == "dev"]
        assert dev["commands"] == 2
        assert dev["last_command"] > dev["created"]
        named = world.peer.error("tmux.execute", {"session": "#(touch fired)", "command": "true"})
        assert named["code"] == -32602


def test_one_goes_on_in_the_pane_that_it_has_begun_in() -> None:
    with terminals() as world:
        first = world.execute("here=1")
        world.tmux.run("split-window", "-t", "main", "bash --norc")
        until(lambda: len(world.peer.call("tmux.panes")["panes"]) == 2)
        again = world.execute("echo $here")
        assert (again["pane_id"], again["output"]) == (first["pane_id"], "1\n")


# --- restarts -------------------------------------------------------------------------------------------------------


def test_what_runs_when_the_sidecar_is_killed_is_still_known_and_not_typed_again() -> None:
    with terminals() as world:
        params = {"session": "main", "command": "cd /; read line; echo got $line", "wait_ms": 0}
        found = world.peer.call("tmux.execute", params, key="k1")
        world.sidecar.kill()
        world.sidecar.start()
        peer = world.attach()
        id_ = found["execution_id"]
        until(lambda: "result" in peer.request("tmux.execution", {"execution_id": id_}))
        assert world.told(id_, 0)["status"] == "running"
        error = peer.error("tmux.execute", {"session": "main", "command": "echo typed", "wait_ms": 100})
        assert id_ in error["message"]
        world.tmux.run("send-keys", "-t", "main", "it", "Enter")
        ended = world.told(id_)
        assert (ended["status"], ended["exit_code"], ended["exact"]) == ("done", 0, False)
        assert "got it" in ended["output"]
        assert world.tmux.run("capture-pane", "-p", "-J", "-S", "-", "-t", "main").count("\\eval") == 1


def test_what_ended_while_no_sidecar_ran_is_told_honestly() -> None:
    with terminals() as world:
        found = world.execute("read line; echo got $line; false", wait_ms=0)
        world.sidecar.kill()
        world.tmux.run("send-keys", "-t", "main", "it", "Enter")
        waits(world, "got it")
        world.sidecar.start()
        world.attach()
        id_ = found["execution_id"]
        until(lambda: world.told(id_, 0)["status"] == "done")
        ended = world.told(id_)
        assert (ended.get("exit_code"), ended["exact"]) == (None, False)
        assert "no sidecar ran" in ended["note"]
        assert "got it" in ended["output"]
        world.approver = Approver(world.sidecar)
        assert world.execute("echo after")["output"] == "after\n"


def test_a_pane_that_ended_meanwhile_makes_it_unknown() -> None:
    with terminals() as world:
        world.open("dash", "other")
        found = world.execute("sleep 600", wait_ms=0)
        world.sidecar.kill()
        world.tmux.run("kill-session", "-t", "main")
        world.sidecar.start()
        world.attach()
        until(lambda: world.told(found["execution_id"], 0)["status"] == "unknown")


def test_a_request_that_is_sent_again_is_typed_once_although_the_folder_is_another() -> None:
    with terminals() as world:
        params = {"session": "main", "command": "cd /; echo once >> \"$HOME/once\"", "wait_ms": 60_000}
        first = world.peer.call("tmux.execute", params, key="same")
        again = world.peer.call("tmux.execute", params, key="same")
        assert again["execution_id"] == first["execution_id"]
        assert (world.home / "once").read_text() == "once\n"


def test_over_kills_of_the_sidecar_each_text_is_typed_once_or_not_at_all() -> None:
    with terminals() as world:
        one = world.sidecar
        pane = world.tmux.run("display-message", "-p", "-t", "main", "#{pane_id}")
        params = {"session": "main", "wait_ms": 60_000}
        number = 0
        for round_ in range(6):
            client = Client(one.socket, patience=60)
            results: list[object] = []

            def ask(client: Client = client, number: int = number, results: list[object] = results) -> None:
                for text in range(number, number + 8):
                    try:
                        found = client.call("tmux.execute", {**params, "command": f"allowed n{text}"})
                        results.append(found)
                    except errors.TmuxAgentError as why:
                        results.append(why)

            thread = threading.Thread(target=ask)
            thread.start()
            until(lambda results=results, round_=round_: len(results) > round_)
            one.kill()
            one.start()
            world.attach()
            thread.join()
            client.close()
            done = [f"n{number + at}" for at, found in enumerate(results) if isinstance(found, dict)]
            effects = one.effects()
            assert all(effects.count(name) == 1 for name in done), (done, effects)
            assert all(effects.count(f"n{text}") <= 1 for text in range(number, number + 8))
            number += 8
        assert world.tmux.run("display-message", "-p", "-t", "main", "#{pane_id}") == pane
        until(lambda: "TMUX_AGENT_RUNS_" not in world.tmux.run("show-environment", "-gh"))


def test_what_ended_is_known_after_a_restart_but_for_its_output() -> None:
    with terminals() as world:
        found = world.execute("echo x; sh -c 'exit 4'")
        until(lambda: "execution.ended" in [one["type"] for one in world.sidecar.records()])
        until(lambda: "TMUX_AGENT_RUNS_" not in world.tmux.run("show-environment", "-gh"))
        world.sidecar.kill()
        world.sidecar.start()
        world.attach()
        kept = world.told(found["execution_id"], 0)
        assert (kept["status"], kept["exit_code"], kept.get("output", "")) == ("done", 4, "")
        assert "not kept" in kept["note"]
        (main,) = [one for one in world.peer.call("tmux.sessions")["sessions"] if one["name"] == "main"]
        assert main["commands"] == 1
        assert world.peer.error("tmux.execution", {"execution_id": "01NOSUCH"})["data"]["kind"] == "not_found"


# --- the command line -----------------------------------------------------------------------------------


def test_the_verb_gives_back_output_and_exit_code() -> None:
    with terminals() as world:

        def run(*argv: str) -> subprocess.CompletedProcess[str]:
            command = [sys.executable, "-m", "tmux_agent", "exec", *argv]
            return subprocess.run(command, env=world.sidecar.environ, capture_output=True, text=True, timeout=60)

        done = run("--session", "main", "--", "echo out; sh -c 'exit 6'")
        assert (done.returncode, done.stdout, done.stderr) == (6, "out\n", "")
        running = run("--session", "main", "--wait", "200ms", "--", "sleep 600")
        assert running.returncode == 124
        id_ = next(word for word in running.stderr.split() if len(word.strip(",")) == 26).strip(",")
        assert run("--id", id_, "--wait", "0ms").returncode == 124
        listed = run("--list").stdout
        assert id_ in listed
        assert "running" in listed
        assert run("--interrupt", id_, "--wait", "60s").returncode == 130
        assert run().returncode == 1


# --- what lasts in a shell ------------------------------------------------------------------------------


def asked(world: Terminals, text: str, **more: Any) -> bool:
    """Whether a text is asked about; it is run in any case."""
    before = len(world.approver.asked)
    assert world.execute(text, **more)["status"] == "done"
    return len(world.approver.asked) > before


LASTS = {
    "bash": ["alias allowed=echo", "allowed() { echo; }", "hash -p /bin/echo allowed", "PATH=/tmp:$PATH"],
    "dash": ["alias allowed=echo", "allowed() { echo; }", "PATH=/tmp:$PATH", "PATH=/tmp:$PATH :", "set -f"],
    "zsh": ["alias -g x=y", "allowed() { echo; }", "path=(/tmp $path)", "hash allowed=/bin/echo", "echo a | read PATH"],
    "fish": ["alias allowed echo", "function allowed; echo; end", "set PATH /tmp $PATH", "abbr allowed echo"],
}


@pytest.mark.parametrize(("shell", "text"), [(shell, text) for shell in SHELLS for text in LASTS[shell]])
def test_what_lasts_in_a_shell_makes_later_texts_there_asked_about(shell: str, text: str) -> None:
    with terminals(shell) as world:
        world.execute(f"cd {world.sidecar.root}")
        assert not asked(world, "ls -l")
        assert asked(world, text)
        assert asked(world, "ls -l")
        assert world.approver.asked[-1]["action"]["changed"] in text
        world.open(shell, "other")
        prompting(world, "other")
        assert not asked(world, f"ls -l {world.sidecar.root}", session="other")


def test_it_is_known_over_a_kill_and_in_a_shell_within_and_not_of_what_is_done_in_brackets() -> None:
    with terminals() as world:
        world.execute(f"cd {world.sidecar.root}")
        assert asked(world, "(alias ls=echo); x=1; cat /dev/null | alias ls=echo; LC_ALL=C sh -c true")
        assert not asked(world, "ls -l")
        assert asked(world, "alias l=ls")
        world.sidecar.kill()
        world.sidecar.start()
        world.attach()
        world.approver = Approver(world.sidecar)
        assert asked(world, "ls -l")
        world.tmux.run("send-keys", "-t", "main", "-l", "bash --norc")
        world.tmux.run("send-keys", "-t", "main", "Enter")
        shells = lambda: world.peer.call("tmux.facts", {"target": "main"})["panes"][0]["processes"]  # noqa: E731
        until(lambda: [one["name"] for one in shells()].count("bash") == 2)
        assert asked(world, "ls -l")


def test_what_an_agent_has_typed_into_a_pane_otherwise_counts_as_well() -> None:
    with terminals() as world:
        world.execute(f"cd {world.sidecar.root}")
        pane = world.tmux.run("display-message", "-p", "-t", "main", "#{pane_id}")
        world.peer.call("tmux.send_text", {"pane_id": pane, "text": "alias ls=echo", "enter": True})
        waits(world, "alias ls=echo")
        assert asked(world, "ls -l")
        assert "send_text" in world.approver.asked[-1]["reason"]


def test_what_a_person_allows_in_a_changed_shell_is_allowed_there_until_the_next_change() -> None:
    with terminals() as world:
        world.execute(f"cd {world.sidecar.root}")
        world.execute("alias l=ls")
        world.approver.grant = "shape"
        assert asked(world, "ls -l")
        world.approver.grant = None
        assert not asked(world, "ls -l")
        assert asked(world, "alias ls='echo changed'")
        assert asked(world, "ls -l")
