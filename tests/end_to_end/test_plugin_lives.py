"""What outlives what: a sidecar that is killed or stopped, tmux servers that end, start again, run in each other."""

from __future__ import annotations

import os
import random
import shlex
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from tests.disk import Disk
from tests.end_to_end.plugin_world import PREFIX, ROOT, World, close, no_popup, popup, press
from tests.plugin.terminal import Server
from tests.sidecar import until

from tmux_agent.services.tmux import signals

PLUGIN = ROOT / "tmux-agent.tmux"


@pytest.fixture
def world() -> Iterator[World]:
    with World() as one:
        (one.folder / "bin" / "sleep").write_text("#!/bin/sh\n")  # the back-off's waiting is tests/plugin's
        (one.folder / "bin" / "sleep").chmod(0o755)
        yield one


def another(world: World, server: Server, than: int) -> int:
    """Waits until a sidecar other than `than` serves; its pid."""
    until(lambda: world.alive(server) not in ("", str(than)))
    return int(world.alive(server))


def keeper_of(pid: int) -> psutil.Process:
    """The process that begins a sidecar again."""
    keeper = psutil.Process(pid).parent()
    assert keeper is not None
    assert "sidecar" in keeper.cmdline()
    return keeper


def hold_up(world: World) -> Path:
    """Makes the plugin's back-off wait until a line is written to what this gives."""
    hold = world.folder / "bin" / "hold"
    os.mkfifo(hold)
    (world.folder / "bin" / "sleep").write_text(f"#!/bin/sh\nread x <{shlex.quote(str(hold))}\n")
    return hold


# --- a sidecar that dies -----------------------------------------------------------------------------


def test_killed_with_the_popup_open(world: World) -> None:
    """The popup says that nothing more was answered, the badge that the sidecar is gone; tmux starts another, whose
    popup takes the place of the dead one; the request waits there, and the agent gets the answer."""
    server = world.server()
    terminal = server.attach()
    agent = world.agent()
    number = agent.run("touch", "made")
    terminal.wait_for("⏸1")
    pid = world.serves(server)
    popup(terminal, "touch made")
    hold = hold_up(world)
    keeper_of(pid).kill()
    os.kill(pid, signal.SIGKILL)
    terminal.wait_for("the sidecar went away")
    terminal.wait_for("⚠ sidecar")
    hold.write_text("go\n")
    another(world, server, pid)
    terminal.wait(lambda text: "touch made" in text and "went away" not in text, what="the new one's popup")
    press(terminal, "a", "Nothing waits")
    assert agent.hear(number)["data"]["exit_code"] == 0
    assert world.agent_command("audit", "verify").returncode == 0


def test_the_key_while_a_popup_ends(world: World) -> None:
    """q and prefix + A in one write, all of which tmux gives to the popup that ends: another popup comes."""
    server = world.server()
    terminal = server.attach()
    world.agent().ask("Well?")
    terminal.wait_for("⏸1")
    popup(terminal, "Well?")
    for _ in range(10):
        terminal.raw.clear()
        terminal.press("q" + PREFIX + "A")
        terminal.wait_raw(b"Well?")
        terminal.wait(lambda text: "┌" in text and "Well?" in text)
    close(terminal)


def test_a_press_that_a_dead_sidecar_never_heard(world: World) -> None:
    """The key is pressed at a sidecar that is stopped and then killed: the next one opens the popup."""
    server = world.server()
    terminal = server.attach()
    world.agent().ask("Well?")
    terminal.wait_for("⏸1")
    pid = world.serves(server)
    os.kill(pid, signal.SIGSTOP)
    terminal.press(PREFIX, "A")
    until(lambda: "press:" in server.run("show-environment", "-gh", signals.EVENTS))
    os.kill(pid, signal.SIGKILL)
    terminal.wait(lambda text: "┌" in text and "Well?" in text, what="the next one's popup")


def test_a_stopped_sidecar_holds_up_nothing(world: World) -> None:
    """While it is stopped, tmux goes on, with a memory that does not grow; then everything is as if nothing had been:
    one popup for all presses, of which no change is lost among many, and badges and snapshots that are true."""
    server = world.server()
    terminal = server.attach()
    agent = world.agent()
    agent.ask("Well?")
    terminal.wait_for("⏸1")
    pid = world.serves(server)
    os.kill(pid, signal.SIGSTOP)
    number = agent.ask("And this?")
    tmux = psutil.Process(int(server.run("display-message", "-p", "#{pid}")))

    def pressed(times: int) -> int:
        """Memory of tmux after it has heard that many presses, as far as they are kept."""
        terminal.press(*[PREFIX, "A"] * times)
        until(lambda: server.run("show-environment", "-gh", signals.EVENTS).count("press:") >= min(times, 50))
        return int(tmux.memory_info().rss)

    before = pressed(3)
    assert pressed(200) - before < 1 << 20
    for _ in range(10):
        server.run(*["rename-window", "x", ";", "rename-window", "y", ";"] * 50, "rename-window", "work")
    window = server.run("new-window", "-d", "-P", "-F", "#{window_name}", "-n", "while-it-slept")
    os.kill(pid, signal.SIGCONT)
    terminal.wait(lambda text: "┌" in text and "2 waiting" in text, what="the popup")
    press(terminal, "a", "1 waiting")
    press(terminal, "a", "Nothing waits")
    assert agent.hear(number)["data"]["approved"]
    close(terminal)
    windows = agent.call("tmux.windows", server=server.socket)["data"]["windows"]
    assert window in [one["name"] for one in windows]
    assert world.serves(server) == pid
    popup(terminal, "Nothing waits")


def test_killed_once_and_again(world: World) -> None:
    """What kept all imports begins a killed sidecar again; one that is killed again soon is left to the plugin, which
    waits. Meanwhile nobody claims to know what waits."""
    server = world.server("set -g window-status-current-format '<#{E:##{TMUX_AGENT_W_#{window_id}#}}#W>'\n")
    terminal = server.attach()
    pid = world.serves(server)
    agent = world.agent_in(server)
    agent.known()
    agent.start("human.ask", prompt="Well?")
    terminal.wait_for("⏸1")
    keeper = keeper_of(pid)
    os.kill(pid, signal.SIGKILL)
    second = another(world, server, pid)
    assert keeper_of(second) == keeper
    terminal.wait_for("⏸1")
    hold = hold_up(world)
    os.kill(second, signal.SIGKILL)
    terminal.wait_for("tmux-agent ⚠ sidecar")
    until(lambda: "TMUX_AGENT_W_" not in server.run("show-environment", "-gh"))
    assert server.run("display-message", "-p", "#{tmux_agent_pending}#{TMUX_AGENT_PENDING}#{TMUX_AGENT_ALIVE}") == ""
    until(lambda: not keeper.is_running())
    hold.write_text("go\n")
    another(world, server, second)
    terminal.wait_for("⏸1")


def test_killed_at_random_moments(world: World) -> None:
    """Six deaths while requests come and wait: none is lost, none is asked or run twice, the log's chain holds."""
    chance = random.Random(7)
    server = world.server()
    terminal = server.attach()
    agent = world.agent()
    numbers = []
    pid = world.serves(server)
    for at in range(6):
        numbers.append(agent.run("sh", "-c", f"echo {at} >>made"))
        terminal.read(chance.uniform(0, 0.15))
        if at % 2:
            terminal.press(PREFIX, "A")
            terminal.read(chance.uniform(0, 0.1))
        os.kill(pid, signal.SIGKILL)
        pid = another(world, server, pid)
    until(lambda: server.run("display-message", "-p", "#{tmux_agent_pending}") == "6")
    no_popup(server, terminal)
    popup(terminal, "6 waiting")
    for left in (5, 4, 3, 2, 1):
        press(terminal, "a", f"{left} waiting")
    press(terminal, "a", "Nothing waits")
    assert [agent.hear(number)["data"]["exit_code"] for number in numbers] == [0] * 6
    assert sorted((world.project / "made").read_text().split()) == list("012345")
    assert world.agent_command("audit", "verify").returncode == 0


def test_stopped_on_purpose_stays_so(world: World) -> None:
    """`sidecar stop` leaves an empty badge, nothing of ours, and nothing starts it but the key."""
    server = world.server()
    terminal = server.attach()
    agent = world.agent()
    number = agent.ask("Well?")
    terminal.wait_for("⏸1")
    assert world.agent_command("sidecar", "stop").returncode == 0
    terminal.wait_for("[]")
    server.run("run-shell", str(PLUGIN))
    assert world.alive(server) == ""
    assert server.run("list-sessions", "-F", "#{session_name}") == "work"
    terminal.press(PREFIX, "A")
    terminal.wait_for("the sidecar is not running; starting it")
    world.serves(server)
    terminal.wait_gone("starting it")
    terminal.wait_for("⏸1")
    popup(terminal, "Well?")
    press(terminal, "a", "Nothing waits")
    assert agent.hear(number)["data"]["approved"]


def test_started_by_hand_it_serves_what_was_served(world: World) -> None:
    """`sidecar start` names no tmux server: those of before are served, and one that is gone is no matter."""
    server, gone = world.server(), world.server()
    old = world.serves(server)
    os.kill(old, signal.SIGTERM)
    until(lambda: world.alive(server) == world.alive(gone) == "")
    gone.close()
    assert world.agent_command("sidecar", "start").returncode == 0
    assert world.serves(server) != old
    until(lambda: str(server.socket) in (world.state / "served").read_text())
    assert str(gone.socket) not in (world.state / "served").read_text()


def test_an_updated_plugin_begins_its_sidecar_anew_once_that_is_idle(tmp_path: Path) -> None:
    """Loaded again after its files were changed; doctor and status say so meanwhile, and what waits goes on waiting."""
    shutil.copytree(ROOT / "sidecar", tmp_path / "sidecar")
    with World(PYTHONPATH=str(tmp_path / "sidecar")) as world:
        server = world.server()
        terminal, agent = server.attach(), world.agent()
        old = world.serves(server)
        server.run("run-shell", str(PLUGIN))
        world.agent_command("sidecar", "start", "--renew")
        assert world.alive(server) == str(old)

        os.mkfifo(world.project / "end")
        works = agent.run("cat", "end")
        popup(terminal, "cat end")
        press(terminal, "a", "Nothing waits")
        close(terminal)
        question = agent.ask("Well?")
        terminal.wait_for("⏸1")
        (tmp_path / "sidecar" / "tmux_agent" / "cli.py").touch()
        world.agent_command("sidecar", "start", "--renew")  # not while it carries something out
        assert world.alive(server) == str(old)
        for command in (("doctor",), ("sidecar", "status")):
            said = world.agent_command(*command).stdout
            assert f"(pid {old}) began before the files of" in said
            assert "tmux-agent sidecar restart" in said

        (world.project / "end").write_text("")
        assert agent.hear(works)["data"]["exit_code"] == 0
        server.run("run-shell", str(PLUGIN))
        until(lambda: world.alive(server) not in ("", str(old)))
        assert "began before" not in world.agent_command("sidecar", "status").stdout
        popup(terminal, "Well?")
        press(terminal, "a", "Nothing waits")
        assert agent.hear(question)["data"]["approved"]


def test_restarted_by_hand(world: World) -> None:
    server = world.server()
    old = world.serves(server)
    assert world.agent_command("sidecar", "restart").returncode == 0
    assert world.serves(server) != old
    assert world.agent_command("sidecar", "stop").returncode == 0
    assert world.agent_command("sidecar", "restart").returncode == 0  # where none ran
    world.serves(server)


# --- a disk that is full -----------------------------------------------------------------------------


def test_a_full_disk_under_a_running_sidecar(world: World) -> None:
    """Nothing is done that cannot be recorded: agents hear `unavailable`, the popup and the badge say so. With room
    again it goes on by itself, and the log's chain holds."""
    disk = Disk(world.state)
    try:
        server = world.server()
        terminal = server.attach()
        agent = world.agent()
        number = agent.run("touch", "made")
        terminal.wait_for("⏸1")
        pid = world.serves(server)
        popup(terminal, "touch made")
        disk.fill(pid)
        press(terminal, "a", "not answered: the audit log")
        assert agent.call("command.run", command="touch", args=["other"])["kind"] == "Unavailable"
        assert sorted(path.name for path in world.project.iterdir()) == [".git", "build", "prices.py"]
        close(terminal)
        terminal.wait_for("⚠ audit")
        disk.free(pid)
        popup(terminal, "touch made")
        press(terminal, "a", "Nothing waits")
        terminal.wait_gone("⚠ audit")
        assert agent.hear(number)["data"]["exit_code"] == 0
        assert world.serves(server) == pid
        assert world.agent_command("audit", "verify").returncode == 0
    finally:
        disk.close()


# --- tmux servers that end -----------------------------------------------------------------------------


@pytest.mark.parametrize("open_popup", [False, True])
def test_kill_server(world: World, open_popup: bool) -> None:
    """The sidecar lives on, serves the other server, has no zombie, and uses nothing."""
    server, other = world.server(), world.server()
    terminal = server.attach()
    agent = world.agent()
    number = agent.ask("Well?")
    terminal.wait_for("⏸1")
    if open_popup:
        popup(terminal, "Well?")
    pid = world.serves(other)
    server.run("kill-server")
    watching = other.attach()
    popup(watching, "Well?")
    press(watching, "a", "Nothing waits")
    assert agent.hear(number)["data"]["approved"]
    close(watching)
    assert int(world.alive(other)) == pid
    process = psutil.Process(pid)
    until(lambda: not [one for one in process.children() if server.socket in " ".join(one.cmdline())])
    assert not [one for one in process.children() if one.status() == psutil.STATUS_ZOMBIE]
    until(lambda: idle(process) < 0.05)


def test_the_last_server_ends(world: World) -> None:
    """Without any tmux the sidecar waits quietly, without children, and a new server on the same socket is served."""
    server = world.server()
    pid = world.serves(server)
    agent = world.agent()
    number = agent.ask("Well?")
    server.run("kill-server")
    process = psutil.Process(pid)
    until(lambda: not process.children())
    until(lambda: idle(process) < 0.05)
    server.run("new-session", "-d", "-s", "again")
    assert world.serves(server) == pid
    terminal = server.attach()
    terminal.wait_for("⏸1")
    popup(terminal, "Well?")
    press(terminal, "a", "Nothing waits")
    assert agent.hear(number)["data"]["approved"]


def test_both_die_and_come_again(world: World) -> None:
    """A machine's worst: sidecar and tmux are killed at once; the request is there when both are back."""
    server = world.server()
    agent = world.agent()
    number = agent.run("touch", "made")
    until(lambda: server.run("display-message", "-p", "#{tmux_agent_pending}") == "1")
    pid = world.serves(server)
    tmux = int(server.run("display-message", "-p", "#{pid}"))
    os.kill(tmux, signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)
    until(lambda: not psutil.pid_exists(tmux) or psutil.Process(tmux).status() == psutil.STATUS_ZOMBIE)
    server.run("new-session", "-d", "-s", "again", "-c", str(world.project))
    another(world, server, pid)
    terminal = server.attach()
    terminal.wait_for("⏸1")
    popup(terminal, "touch made")
    press(terminal, "a", "Nothing waits")
    assert agent.hear(number)["data"]["exit_code"] == 0


def idle(process: psutil.Process, seconds: float = 1.0) -> float:
    """The share of a core that a process uses."""
    before, began = process.cpu_times(), time.monotonic()
    process_wait(seconds)
    after = process.cpu_times()
    return (after.user + after.system - before.user - before.system) / (time.monotonic() - began)


def process_wait(seconds: float) -> None:
    signal.sigtimedwait([], seconds)


# --- one in another, options, loading again ------------------------------------------------------------


def test_nested_tmux(world: World) -> None:
    """A tmux in a pane of another, both with the plugin: both show the badge, the outer one's popup answers. The inner
    one says why it does not: who sits in a pane may be an agent. That is nothing to warn of. tmux 3.2 shows no message
    to one client, so its popup says it."""
    outer, inner = world.server(), world.server()
    terminal = outer.attach(columns=120, rows=40)
    inside = shlex.join(["env", "-u", "TMUX", *inner.argv("attach-session")])
    outer.run("new-window", "-t", "work:", inside)  # not respawn-pane, of which tmux tells nobody for a while
    terminal.wait(lambda text: text.count("[work]") == 2, what="the inner status line")
    agent = world.agent()
    number = agent.ask("Well?")
    terminal.wait(lambda text: text.count("⏸1") == 2, what="both badges")
    speaks = not inner.run("display-message", "-p", "#{version}").startswith("3.2")
    why = "press the prefix of the tmux around it" if speaks else "may not answer"
    terminal.press_until((PREFIX, PREFIX, "A"), lambda screen: why in screen, "the refusal")
    if not speaks:
        terminal.press("x")
        terminal.wait_gone("A key closes this")
    popup(terminal, "Well?")
    press(terminal, "a", "Nothing waits")
    assert agent.hear(number)["data"]["approved"]
    assert bool(world.records("refused")) is not speaks


def test_changed_options_count_after_loading_again(world: World) -> None:
    """Key, style and size are the new ones after the configuration was read again; loading twice changes nothing."""
    server = world.server()
    terminal = server.attach(columns=120, rows=40)
    agent = world.agent()
    agent.ask("Well?")
    terminal.wait_for("⏸1")
    server.run("set", "-g", "@tmux-agent-style-waiting", "fg=magenta", ";", "set", "-g", "@tmux-agent-key-popup", "B")
    server.run("set", "-g", "@tmux-agent-popup-width", "50%")
    server.run("run-shell", str(PLUGIN))
    until(lambda: "fg=magenta" in server.run("show-environment", "-gh", "tmux_agent"))
    keys, hooks = server.run("list-keys"), server.run("show-hooks", "-g")
    server.run("run-shell", str(PLUGIN))
    assert (server.run("list-keys"), server.run("show-hooks", "-g")) == (keys, hooks)
    text = terminal.press_until((PREFIX, "B"), lambda text: "┌" in text and "Well?" in text, "the popup")
    line = next(line for line in text.splitlines() if "┌" in line)
    assert line.rindex("┐") - line.index("┌") == 59
