"""services/tools/commands.py and process.py: with real processes that do not behave."""

from __future__ import annotations

import asyncio
import os
import resource
import select
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.patience import PATIENCE

from tmux_agent.core import errors
from tmux_agent.core.bounded import Bounded
from tmux_agent.core.model import Command, Outcome
from tmux_agent.core.settings import Commands
from tmux_agent.services.tools import commands

LIMITS = Commands(timeout=PATIENCE, timeout_max=PATIENCE, output_bytes=10_000, grace=0.3)


def run(cwd: Path, *argv: str, limits: Commands = LIMITS, **more: Any) -> Outcome:
    return asyncio.run(commands.run(Command(argv=argv, cwd=str(cwd), **more), limits, request_id="R1"))


def sh(cwd: Path, text: str, **more: Any) -> Outcome:
    return run(cwd, "sh", "-c", text, **more)


def gone(pid: int) -> bool:
    """Whether a process is dead (a zombie that waits for init counts)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in ("Z", "X")
    except OSError:
        return True


def wait_gone(pid: int) -> bool:
    """SIGKILL takes effect at once, but the kernel may need a moment to tear a process down: its pidfd says when."""
    try:
        fd = os.pidfd_open(pid)
    except OSError:
        return True
    try:
        return bool(select.select([fd], [], [], PATIENCE)[0]) and gone(pid)
    finally:
        os.close(fd)


def timed_out(cwd: Path, text: str, grace: float = LIMITS.grace) -> dict[str, Any]:
    """The error's data of a program that says something and never ends: on a slow machine it gets longer to say it."""
    limits = replace(LIMITS, grace=grace)
    for seconds in (0.5, 2, 8, PATIENCE):
        with pytest.raises(errors.TimedOut, match=f"did not end within {seconds:g} seconds") as caught:
            sh(cwd, text, limits=limits, timeout=seconds)
        if caught.value.data["stdout"]:
            break
    return dict(caught.value.data)


def test_result(tmp_path: Path) -> None:
    """Output, exit code and duration; a code that is not 0 is an outcome, not an error."""
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "f").write_text("")
    outcome = run(tmp_path / "d", "ls")
    assert (outcome.ok, outcome.data.stdout, outcome.data.exit_code, outcome.data.truncated) == (True, "f\n", 0, False)
    assert outcome.data.duration_ms > 0
    outcome = sh(tmp_path, "echo oops >&2; exit 3")
    assert (outcome.ok, outcome.data.exit_code, outcome.data.stderr) == (False, 3, "oops\n")
    assert outcome.summary.startswith("exit 3 after")


def test_signal(tmp_path: Path) -> None:
    """A program that a signal ended has that signal's name and no exit code."""
    outcome = sh(tmp_path, "kill -SEGV $$")
    assert (outcome.ok, outcome.data.exit_code, outcome.data.signal) == (False, None, "SIGSEGV")


def test_no_shell(tmp_path: Path) -> None:
    """Arguments are words, whatever is in them."""
    words = ("$(touch M)", "; touch M", "`touch M`", "*", "a\nb", "")
    outcome = run(tmp_path, "printf", "%s|", *words)
    assert outcome.data.stdout == "|".join(words) + "|"
    assert not (tmp_path / "M").exists()


def test_stdin(tmp_path: Path) -> None:
    """Text in, or nothing: a program that reads never waits; one that does not read large input ends all the same."""
    text = "é" * 300_000
    outcome = run(tmp_path, "wc", "-c", stdin=text)
    assert outcome.data.stdout.split() == ["600000"]
    assert run(tmp_path, "cat").data.stdout == ""
    assert run(tmp_path, "true", stdin=text).ok


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    """Output that is not UTF-8 arrives with replacement characters."""
    assert run(tmp_path, "printf", r"a\377b").data.stdout == "a\ufffdb"


def test_timeout_keeps_what_was_said(tmp_path: Path) -> None:
    """A program over its time is ended; the error carries the output so far."""
    data = timed_out(tmp_path, "echo err >&2; echo begun; exec sleep 1000", grace=PATIENCE)
    assert (data["stdout"], data["stderr"], data["timed_out"], data["signal"]) == ("begun\n", "err\n", True, "SIGTERM")


def test_sigterm_ignored(tmp_path: Path) -> None:
    """SIGKILL follows after the grace."""
    data = timed_out(tmp_path, "trap '' TERM; echo $$; while :; do sleep 0.1; done")
    assert data["signal"] == "SIGKILL"
    assert wait_gone(int(data["stdout"]))


def test_timeout_ends_the_whole_group(tmp_path: Path) -> None:
    """Children and grandchildren end too, those that ignore SIGTERM included."""
    data = timed_out(tmp_path, "(trap '' TERM; sh -c 'echo $$; exec sleep 1000') & sleep 1000")
    assert wait_gone(int(data["stdout"]))


def test_timeout_ends_the_group_whatever_its_environment(tmp_path: Path) -> None:
    """One that wiped its environment but stayed in the group ends with it."""
    data = timed_out(tmp_path, "env -i sh -c 'echo $$; exec sleep 1000' & sleep 1000")
    assert wait_gone(int(data["stdout"]))


def test_timeout_ends_what_left_the_group(tmp_path: Path) -> None:
    """A grandchild that made its own session, its parent gone, is found by the mark in its environment."""
    data = timed_out(tmp_path, "setsid sh -c 'echo $$; exec sleep 1000' & sleep 1000")
    assert wait_gone(int(data["stdout"]))


def test_stopped_program(tmp_path: Path) -> None:
    """One that stopped itself is ended as well."""
    with pytest.raises(errors.TimedOut):
        sh(tmp_path, "kill -STOP $$", timeout=0.3)


def test_background_child_holds_the_pipe(tmp_path: Path) -> None:
    """The program ended; what it left behind with its output cannot hold us, and is ended and mentioned."""
    outcome = sh(tmp_path, "sleep 1000 & echo $!")
    assert outcome.data.exit_code == 0
    assert "left running" in outcome.data.stderr
    assert wait_gone(int(outcome.data.stdout))


def test_closes_its_output_and_lives_on(tmp_path: Path) -> None:
    """The end of the output is not the end of the program: the timeout still counts."""
    with pytest.raises(errors.TimedOut):
        sh(tmp_path, "exec >&- 2>&-; sleep 1000", timeout=0.4)
    assert sh(tmp_path, "exec >&- 2>&-; exit 4").data.exit_code == 4


def test_flood(tmp_path: Path) -> None:
    """Hundreds of megabytes of output: head and tail are kept, the gap is counted, memory stays where it was."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outcome = sh(tmp_path, "echo first; head -c 300000000 /dev/zero | tr '\\0' x; echo; echo last")
    text = outcome.data.stdout
    assert outcome.data.truncated
    assert text.startswith("first\nxxx")
    assert text.endswith("x\nlast\n")
    assert f"… {300_000_012 - 10_000} bytes left out …" in text
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KiB


def test_cancel(tmp_path: Path) -> None:
    """Cancelled, the command and its children are ended before the caller goes on."""
    os.mkfifo(tmp_path / "ready")

    async def main() -> int:
        action = Command(argv=("sh", "-c", "sleep 1000 & echo $! > ready; wait"), cwd=str(tmp_path))
        task = asyncio.create_task(commands.run(action, LIMITS, request_id="R1"))
        pid = int(await asyncio.to_thread((tmp_path / "ready").read_text))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return pid

    assert wait_gone(asyncio.run(main()))


def test_many_at_once(tmp_path: Path) -> None:
    """Commands do not wait for each other, and no descriptor stays open."""

    async def main() -> None:
        one = Command(argv=("sh", "-c", "echo $0; sleep 0.2", "x"), cwd=str(tmp_path))
        outcomes = await asyncio.gather(*(commands.run(one, LIMITS) for _ in range(30)))
        assert all(outcome.data.stdout == "x\n" for outcome in outcomes)

    asyncio.run(main())
    before = len(os.listdir("/proc/self/fd"))
    asyncio.run(main())
    assert len(os.listdir("/proc/self/fd")) <= before


def test_not_started(tmp_path: Path) -> None:
    """Each reason why nothing ran has its kind and its words."""
    (tmp_path / "text").write_text("x")
    (tmp_path / "bad").write_text("no program\0")
    (tmp_path / "bad").chmod(0o755)
    long = "x" * 200_000
    for argv, cwd, error, said in (
        (("no-such-program-1",), tmp_path, errors.NotFound, "PATH"),
        (("./nope",), tmp_path, errors.NotFound, "no program"),
        (("./text",), tmp_path, errors.Failed, "not an executable"),
        (("./",), tmp_path, errors.Failed, "not an executable"),
        (("./bad",), tmp_path, errors.Failed, "exec format"),
        ((), tmp_path, errors.InvalidParams, "name a program"),
        (("",), tmp_path, errors.InvalidParams, "name a program"),
        (("echo", "a\0b"), tmp_path, errors.InvalidParams, "NUL"),
        (("echo", long), tmp_path, errors.InvalidParams, "longer than"),
        (("echo",), tmp_path / "nope", errors.InvalidParams, "not a folder"),
        (("echo",), tmp_path / "text", errors.InvalidParams, "not a folder"),
        (("echo",), Path("relative"), errors.InvalidParams, "absolute"),
    ):
        with pytest.raises(error, match=said):
            run(cwd, *argv)


@pytest.mark.parametrize("timeout", [0, -1, PATIENCE + 1, float("nan"), float("inf")])
def test_bad_timeout(tmp_path: Path, timeout: float) -> None:
    """A timeout outside the limits is an error, and nothing runs."""
    with pytest.raises(errors.InvalidParams, match="timeout"):
        sh(tmp_path, "touch M", timeout=timeout)
    assert not (tmp_path / "M").exists()


def test_program_is_found_on_a_clean_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the working folder nor one that everybody can write to is searched, whatever PATH says."""
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    for folder in (tmp_path, tmp_path / "open"):
        (folder / "ls").write_text("#!/bin/sh\necho hijacked\n")
        (folder / "ls").chmod(0o755)
    monkeypatch.setenv("PATH", f".::{tmp_path}/open:/usr/bin:/bin")
    assert "hijacked" not in run(tmp_path, "ls").data.stdout
    assert commands.observe(Command(argv=("ls",), cwd=str(tmp_path))).program in ("/usr/bin/ls", "/bin/ls")
    assert run(tmp_path, "./ls").data.stdout == "hijacked\n"


def test_facts_bind(tmp_path: Path) -> None:
    """A program or folder that changed since it was shown is a conflict, and nothing runs."""
    (tmp_path / "d").mkdir()
    (tmp_path / "p").write_text("#!/bin/sh\ntouch M\n")
    (tmp_path / "p").chmod(0o755)
    action = Command(argv=(str(tmp_path / "p"),), cwd=str(tmp_path / "d"))
    seen = commands.observe(action)
    assert commands.changed(seen, commands.observe(action)) is None
    (tmp_path / "d").rename(tmp_path / "e")
    (tmp_path / "d").mkdir()
    with pytest.raises(errors.Conflict, match="folder"):
        asyncio.run(commands.run(action, LIMITS, seen))
    seen = commands.observe(action)
    (tmp_path / "p").write_text("#!/bin/sh\necho other; touch M\n")
    with pytest.raises(errors.Conflict, match="changed meanwhile"):
        asyncio.run(commands.run(action, LIMITS, seen))
    (tmp_path / "p").unlink()
    (tmp_path / "p").symlink_to("/bin/true")
    with pytest.raises(errors.Conflict, match="means"):
        asyncio.run(commands.run(action, LIMITS, seen))
    assert os.listdir(tmp_path / "d") == []


def test_session_of_its_own(tmp_path: Path) -> None:
    """No controlling terminal, its own session and group, no descriptor of ours, default signals."""
    code = (
        "import os,signal;print(os.getsid(0)==os.getpid()==os.getpgrp(), sorted(os.listdir('/proc/self/fd'))[:4],"
        "signal.getsignal(signal.SIGPIPE)==signal.SIG_DFL, os.environ['PWD']==os.getcwd())"
    )
    real = tmp_path / "real"
    real.mkdir()
    (tmp_path / "link").symlink_to("real")
    said = run(tmp_path / "link", sys.executable, "-I", "-c", code).data.stdout
    assert said.startswith("True ['0', '1', '2', '3']")  # 3: the listing itself
    assert said.strip().endswith("True")


@given(st.lists(st.binary(max_size=30), max_size=20), st.integers(1, 60))
def test_bounded(pieces: list[bytes], limit: int) -> None:
    """However it arrives: the first and last bytes are kept, the rest is counted, nothing is counted twice."""
    bounded = Bounded(limit)
    for piece in pieces:
        bounded.add(piece)
    whole, half = b"".join(pieces), max(1, limit // 2)
    assert bounded.total == len(whole)
    if len(whole) <= 2 * half:
        assert bounded.text() == whole.decode("utf-8", "replace")
    else:
        gap = f"\n… {len(whole) - 2 * half} bytes left out …\n"
        assert bounded.text() == whole[:half].decode("utf-8", "replace") + gap + whole[-half:].decode(
            "utf-8", "replace"
        )


def test_signals_have_names() -> None:
    """Real-time signals, which have none, are numbered."""
    assert commands._signal_name(signal.SIGKILL) == "SIGKILL"
    assert commands._signal_name(45) == "signal 45"
