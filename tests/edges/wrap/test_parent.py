"""`tmux-agent wrap` as a process: exit codes, signals, sizes, Ctrl-Z and fg in real shells, orphans."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from tests.patience import PATIENCE
from tests.plugin.terminal import Terminal
from tests.sidecar import until

ROOT = Path(__file__).parents[3]
WRAP = [sys.executable, "-P", "-m", "tmux_agent", "wrap", "--plain", "--"]
PY = f"#!{sys.executable} -IS\n"
# Writes what happens to the file that it is given, and ends with 40 at SIGTERM.
HEARS = f"""{PY}
import os, signal, sys
def tell(word):
    with open(sys.argv[1], "a") as out: out.write(word + "\\n")
def heard(number, _):
    tell(signal.Signals(number).name)
    if number == signal.SIGTERM: sys.exit(40)
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2):
    signal.signal(number, heard)
tell(f"pid {{os.getpid()}}")
while True: signal.pause()
"""
# Draws: its size, each line that is typed, and what it is told by the terminal.
DRAWS = f"""{PY}
import os, signal, sys
def tell(*words): os.write(1, (" ".join(map(str, words)) + "\\r\\n").encode())
def size(*_): tell("size", *os.get_terminal_size())
signal.signal(signal.SIGWINCH, size)
signal.signal(signal.SIGINT, lambda *_: tell("interrupted"))
if "raw" in sys.argv:
    import tty
    tty.setraw(0); tell("\x1b[?1049h\x1b[?25l")
size()
tell("agent", os.getpid())
while line := sys.stdin.readline(): tell("heard", line.strip().upper())
sys.exit(5)
"""
# A grandchild that has left session and terminal; stays until it is told by its file.
LEAVES = f"""{PY}
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        with open(sys.argv[1], "w") as out: out.write(str(os.getpid()))
        fifo = os.open(sys.argv[1] + ".gate", os.O_RDONLY)
        os.read(fifo, 1)
        os._exit(0)
    os._exit(0)
os.wait()
sys.stdin.read()
"""


@pytest.fixture
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Outside of tmux, and without a sidecar."""
    for name in ("TMUX", "TMUX_PANE"):
        monkeypatch.delenv(name, raising=False)
    return {
        **os.environ,
        "HOME": str(tmp_path),
        "XDG_RUNTIME_DIR": str(tmp_path),
        "TMUX_AGENT_STATE_DIR": str(tmp_path / "state"),
        "TMUX_AGENT_SOCKET": str(tmp_path / "none"),
        "PYTHONPATH": str(ROOT / "sidecar"),
        "PS1": "$ ",
    }


def program(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("argv", "code"),
    [(("sh", "-c", "exit 7"), 7), (("sh", "-c", "kill -9 $$"), 137), (("sh", "-c", "kill -TERM $$"), 143),
     (("true",), 0), (("no-such-program",), 127), (("/etc/passwd",), 126)],
)  # fmt: skip
def test_the_agents_end_is_its_own(environ: dict[str, str], argv: tuple[str, ...], code: int) -> None:
    done = subprocess.run([*WRAP, *argv], env=environ, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == code
    assert "no sidecar answers" in done.stderr  # it was started all the same


def test_the_agent_has_a_token_a_group_of_its_own_and_the_usual_signals(environ: dict[str, str]) -> None:
    look = "echo $TMUX_AGENT_RUN; grep -E 'SigBlk|SigIgn' /proc/self/status; echo $$; ps -o pgid= -p $$"

    def said() -> list[str]:
        done = subprocess.run([*WRAP, "sh", "-c", look], env=environ, capture_output=True, text=True, check=True)
        return done.stdout.split()

    first, second = said(), said()
    assert re.fullmatch("[0-9a-f]{16}", first[0])
    assert first[0] != second[0]
    assert [int(first[2], 16), int(first[4], 16)] == [0, 0]
    assert first[5] == first[6]


def test_signals_reach_it(environ: dict[str, str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    wrapper = subprocess.Popen([*WRAP, program(tmp_path, "hears", HEARS), str(out)], env=environ)
    try:
        until(lambda: out.exists() and out.read_text().startswith("pid"))
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM):
            wrapper.send_signal(number)
            until(lambda name=number.name: name in out.read_text())
        assert wrapper.wait(PATIENCE) == 40
    finally:
        wrapper.kill()
        wrapper.wait()


def test_a_killed_wrapper_takes_the_agent_along_and_the_next_cleans_up(environ: dict[str, str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    claude = program(tmp_path, "claude", HEARS.replace("sys.argv[1]", repr(str(out))))
    argv = [one for one in WRAP if one != "--plain"]
    wrapper = subprocess.Popen([*argv, claude], env=environ, stderr=subprocess.DEVNULL)
    until(lambda: out.exists() and out.read_text().startswith("pid"))
    wraps = tmp_path / "state" / "wraps"
    (folder,) = wraps.iterdir()
    assert {one.stat().st_mode & 0o777 for one in (folder.parent, folder)} == {0o700}
    assert (folder / "sentry.md").stat().st_mode & 0o777 == 0o600
    subprocess.run([*argv, "sh", "-c", "exit 0"], env=environ, check=True, capture_output=True)
    assert list(wraps.iterdir()) == [folder]  # it is in use
    wrapper.kill()
    wrapper.wait()
    until(lambda: "SIGTERM" in out.read_text())
    subprocess.run([*argv, "sh", "-c", "exit 0"], env=environ, check=True, capture_output=True)
    assert list(wraps.iterdir()) == []


def test_what_it_leaves_behind_is_adopted_reaped_and_left_alone(environ: dict[str, str], tmp_path: Path) -> None:
    gate, out = tmp_path / "pid.gate", tmp_path / "pid"
    os.mkfifo(gate)
    argv = [*WRAP, program(tmp_path, "leaves", LEAVES), str(out)]
    wrapper = subprocess.Popen(argv, env=environ, stdin=subprocess.PIPE)
    try:
        until(lambda: out.exists() and out.read_text())
        orphan = psutil.Process(int(out.read_text()))
        until(lambda: orphan.ppid() == wrapper.pid)
        with gate.open("w") as told:
            told.write("x")
        until(lambda: not orphan.is_running())  # no zombie stays
        assert wrapper.poll() is None

        out.unlink()
        assert wrapper.stdin
        second = subprocess.Popen(argv, env=environ, stdin=subprocess.PIPE)
        until(lambda: out.exists() and out.read_text())
        left = psutil.Process(int(out.read_text()))
        assert second.stdin
        second.stdin.close()
        assert second.wait(PATIENCE) == 0
        assert left.is_running()  # a server that the agent has started goes on
        with gate.open("w") as told:
            told.write("x")
        wrapper.stdin.close()
        assert wrapper.wait(PATIENCE) == 0
    finally:
        wrapper.kill()
        wrapper.wait()


# --- at a terminal ---


@pytest.fixture(params=["bash --norc --noprofile -i", "dash -i", "zsh -f -i"])
def shell(request: pytest.FixtureRequest, environ: dict[str, str]) -> Iterator[Terminal]:
    argv = request.param.split()
    if shutil.which(argv[0]) is None:
        pytest.skip(f"{argv[0]} is not here")
    with Terminal(argv, columns=100, rows=24, env=environ) as one:
        one.wait(lambda text: "$" in text or "%" in text, what="the prompt")
        yield one


def start(shell: Terminal, tmp_path: Path, *words: str) -> int:
    """Type the command; the agent's pid."""
    name = program(tmp_path, "draws", DRAWS)
    shell.press(f"stty -echo; clear; {' '.join(WRAP)} {name} {' '.join(words)}; echo code $?; stty echo\r")
    text = shell.wait(lambda text: re.search(r"agent \d+", text) is not None, what="the agent")
    found = re.search(r"agent (\d+)", text)
    assert found
    return int(found[1])


def sees(shell: Terminal, word: str) -> None:
    """Whatever the screen shows by now: it came."""
    shell.wait(lambda _: word.encode() in shell.raw, what=word)


def test_keys_and_sizes_are_the_agents(shell: Terminal, tmp_path: Path) -> None:
    pid = start(shell, tmp_path)
    sees(shell, "size 100 24")
    assert os.tcgetpgrp(shell._fd) == pid
    shell.resize(90, 20)
    sees(shell, "size 90 20")
    shell.press("hello\r")
    sees(shell, "heard HELLO")
    shell.press("\x03")
    sees(shell, "interrupted")
    shell.press("again\r", "\x04")
    sees(shell, "heard AGAIN")
    sees(shell, "code 5")


def test_ctrl_z_and_fg(shell: Terminal, tmp_path: Path) -> None:
    """The shell takes the terminal and gives it back, however often; in the background it stops where it reads."""
    pid = start(shell, tmp_path)
    for word in ("one", "two"):
        shell.press("\x1a")
        shell.wait(lambda _: os.tcgetpgrp(shell._fd) == shell.process.pid, what="the shell in front")
        shell.press(f"echo here $((40+{len(word)}))\r")
        sees(shell, "here 43")
        assert psutil.Process(pid).status() == psutil.STATUS_STOPPED
        shell.press("clear; fg\r")
        shell.wait(lambda _: os.tcgetpgrp(shell._fd) == pid, what="the agent in front")
        shell.press(f"{word}\r")
        sees(shell, f"heard {word.upper()}")
    shell.press("\x1a")
    shell.wait(lambda _: os.tcgetpgrp(shell._fd) == shell.process.pid, what="the shell in front")
    shell.press("bg\r")
    shell.wait(lambda _: "Stopped" in shell.text() or psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    shell.press("clear; fg\r")
    shell.wait(lambda _: os.tcgetpgrp(shell._fd) == pid, what="the agent in front")
    shell.press("three\r")
    sees(shell, "heard THREE")
    shell.press("\x04")
    shell.wait(lambda _: os.tcgetpgrp(shell._fd) == shell.process.pid, what="the end")


def test_the_terminal_is_as_it_was_however_the_agent_ends(shell: Terminal, tmp_path: Path) -> None:
    pid = start(shell, tmp_path, "raw")
    os.kill(pid, signal.SIGKILL)
    sees(shell, "code 137")
    shell.press("clear; stty -a\r")
    text = shell.wait(lambda text: "iexten" in text, what="the modes")
    assert {"icanon", "isig", "opost"} <= set(text.split())
    assert b"\x1b[?1049l" in shell.raw
    assert b"\x1b[?25h" in shell.raw


def test_a_killed_wrapper_leaves_the_shell_usable(shell: Terminal, tmp_path: Path) -> None:
    pid = start(shell, tmp_path)
    above = psutil.Process(pid).ppid()
    os.kill(above, signal.SIGKILL)
    sees(shell, "code 137")
    until(lambda: not psutil.pid_exists(pid))
    shell.press("echo here $((40+2))\r")
    sees(shell, "here 42")
