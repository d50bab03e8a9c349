"""What the kernel says of processes: /proc held against what Python and psutil know, and processes that are odd."""

from __future__ import annotations

import os
import pty
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tmux_agent.services.processes import LinuxProcesses, Processes, ancestry, processes_here, still_there
from tmux_agent.services.psutil_processes import PsutilProcesses

pytestmark = pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="needs /proc to compare with")


@pytest.fixture(params=[LinuxProcesses, PsutilProcesses])
def table(request: pytest.FixtureRequest) -> Processes:
    found: Processes = request.param()
    return found


def test_this_process(table: Processes) -> None:
    """Parent, session, program, arguments, environment, folder and user are what this process knows of itself."""
    me = table.read(os.getpid())
    assert me is not None
    assert (me.ppid, me.sid, me.ended) == (os.getppid(), os.getsid(0), False)
    assert table.exe(me.pid) == os.path.realpath(sys.executable)
    assert table.argv(me.pid)[0] == psutil.Process().cmdline()[0]
    assert (table.environ(me.pid) or {}).get("PATH") == psutil.Process().environ().get("PATH")
    assert table.cwd(me.pid) == os.getcwd()
    assert table.real_uid(me.pid) == os.getuid()
    assert me.pid in table.pids()


def test_both_readers_give_the_same_chain() -> None:
    """psutil is the way where there is no /proc: it has to see the same ancestors."""
    pids = [
        [process.pid for process in ancestry(reader, os.getpid()).chain]
        for reader in (LinuxProcesses(), PsutilProcesses())
    ]
    assert pids[0] == pids[1]
    assert isinstance(processes_here(), LinuxProcesses)


def test_start_times_are_on_the_clock_that_we_ask() -> None:
    """A process that is started between two looks at the clock lies between them: popups' grants rest on that.

    Not so for psutil on Linux, which knows the boot time to a second only; it is not used there.
    """
    table = LinuxProcesses()
    before = table.now()
    child = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    found = table.read(child.pid)
    assert found is not None
    child.communicate()
    assert before <= found.started <= table.now()


def test_gone_and_ended_processes(table: Processes) -> None:
    """A process that ended is a zombie until it is waited for, and then nothing; nothing raises."""
    child = subprocess.Popen(["true"])
    pidfd = os.pidfd_open(child.pid)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    found = table.read(child.pid)
    assert found is not None
    assert found.ended
    assert not still_there(pidfd)
    os.close(pidfd)
    child.wait()
    pid = child.pid
    assert (table.read(pid), table.exe(pid), table.argv(pid), table.environ(pid), table.cwd(pid)) == (
        None,
        "",
        (),
        None,
        "",
    )
    assert table.real_uid(pid) is None
    assert ancestry(table, pid).broken


def test_names_with_brackets_and_bytes() -> None:
    """A process may call itself ") S 1 1" or anything else: the fields after its name are still found."""
    code = (
        "import sys,time; open('/proc/self/comm','wb').write(b') S 1 (\\xff'); print('x', flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout
    child.stdout.readline()
    found = LinuxProcesses().read(child.pid)
    child.communicate()
    assert found is not None
    assert (found.name, found.ppid) == (") S 1 (\udcff", os.getpid())


def test_who_holds_a_terminal() -> None:
    """The master side of a pty is found in its holder, and nowhere else."""
    table = LinuxProcesses()
    master, slave = pty.openpty()
    tty = os.ttyname(slave)
    assert table.holds_terminal(os.getpid(), tty) is True
    assert table.holds_terminal(os.getpid(), "/dev/pts/99999") is False
    os.close(master)
    os.close(slave)
    assert table.holds_terminal(os.getpid(), tty) is not True
    assert table.holds_terminal(2**22 + 1, tty) is None


def test_a_terminal_is_named_as_tmux_names_it() -> None:
    """The controlling terminal's path is the one that tty(1) and tmux give."""
    pid, master = pty.fork()
    if pid == 0:
        os.execvp("sh", ["sh", "-c", "echo here; exec cat"])
    os.read(master, 1)  # it has its terminal by then
    found = LinuxProcesses().read(pid)
    assert found is not None
    assert found.tty is not None
    assert LinuxProcesses().holds_terminal(os.getpid(), found.tty) is True
    os.close(master)
    os.waitpid(pid, 0)


def test_the_sockets_that_a_process_has_by_name(table: Processes, tmp_path: Path) -> None:
    """A listening socket's path, as it was bound; nothing of other processes."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        assert str(tmp_path / "s") in table.listens(os.getpid())
        assert str(tmp_path / "s") not in table.listens(os.getppid())
    assert table.listens(2**22 + 1) == frozenset()


def test_who_is_connected_to_whom_the_kernel_says() -> None:
    """Two processes with a socket between them are connected, others are not; what cannot be read is not known."""
    table = LinuxProcesses()
    pairs = [socket.socketpair() for _ in range(2)]
    one, other = (subprocess.Popen(["cat"], stdin=theirs) for _, theirs in pairs)
    try:
        assert table.connected(one.pid, os.getpid()) is True
        assert table.connected(os.getpid(), one.pid) is True
        assert table.connected(one.pid, other.pid) is False
        assert table.connected(2**22 + 1, os.getpid()) is None
        assert PsutilProcesses().connected(os.getpid(), os.getppid()) is None
    finally:
        for child in (one, other):
            child.kill()
            child.wait()
        for end in (end for pair in pairs for end in pair):
            end.close()
