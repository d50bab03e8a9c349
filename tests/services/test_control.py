"""A tmux server that we serve, against real ones: what we leave behind, what we are told, who is sent where."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.patience import PATIENCE
from tests.plugin.serving import Events, serving
from tests.plugin.terminal import TMUX, Server

from tmux_agent.core import errors
from tmux_agent.services.tmux import connection, control, signals, unattached
from tmux_agent.services.tmux.control import Changed, Connected, Dropped, Event, Lost, Pressed, TmuxServer

HIDDEN = signals.SESSION


@pytest.fixture
def tmux() -> Iterator[Server]:
    with Server() as server:
        yield server


def run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(main)


def sessions(tmux: Server) -> list[str]:
    return tmux.run("list-sessions", "-F", "#{session_name}", check=False).splitlines()


def test_first_session_keeps_number_zero(tmux: Server) -> None:
    """On a server without sessions ours waits until there is another, which is number 0."""
    tmux.run("start-server", ";", "set-option", "-g", "exit-empty", "off")

    async def main() -> None:
        async with serving(tmux) as (server, events):
            assert not server.connected.is_set()
            tmux.run("new-session", "-d")
            await events.wait_for(Connected)
            assert sessions(tmux) == ["0", HIDDEN]
            assert [session.name for session in server.sessions] == ["0"]

    run(main())


def test_leaves_nothing_behind(tmux: Server) -> None:
    """After close() the server's hooks, variables and sessions are what they were."""
    tmux.run("new-session", "-d", "-s", "main")
    tmux.run("set-hook", "-g", "client-attached", "display-message hello")

    def state() -> tuple[str, ...]:
        return (
            tmux.run("show-hooks", "-g"),
            tmux.run("show-environment", "-gh"),
            "\n".join(sessions(tmux)),
            tmux.run("list-clients"),
        )

    before = state()

    async def main() -> None:
        async with serving(tmux) as (_, events):
            await events.wait_for(Connected)
            during = state()
            assert "display-message hello" in during[0]
            assert all(a != b for a, b in zip(before[:3], during[:3], strict=True))

    run(main())
    assert state() == before


def test_commands_are_answered_in_order_and_singly(tmux: Server) -> None:
    """Pipelined calls get their own answers; one that fails spoils no other."""
    tmux.run("new-session", "-d", "-s", "main")

    async def main() -> None:
        async with serving(tmux) as (server, events):
            await events.wait_for(Connected)
            calls = [server.command("display-message", "-p", f"n{number}") for number in range(100)]
            bad = server.command("select-window", "-t", "nowhere:7")
            *good, failed = await asyncio.gather(*calls, bad, return_exceptions=True)
            assert good == [[f"n{number}"] for number in range(100)]
            assert isinstance(failed, errors.Failed)
            assert "select-window" in failed.message
            assert "nowhere" in failed.message

    run(main())


def test_failed_line_stops_and_the_next_is_answered(tmux: Server) -> None:
    """Of a line, what stands after the failure does not run, and later answers are not shifted."""
    tmux.run("new-session", "-d", "-s", "main")

    async def main() -> None:
        async with serving(tmux) as (server, events):
            await events.wait_for(Connected)
            one, three = ("display-message", "-p", "1"), ("set-environment", "-g", "RAN", "yes")
            with pytest.raises(errors.Failed, match="kill-pane"):
                await server.line([one, ("kill-pane", "-t", "%999"), three])
            assert await server.command("display-message", "-p", "next #{RAN}") == ["next "]

    run(main())


def test_forged_end_of_an_answer_is_noticed(tmux: Server) -> None:
    """A pane that shows guessed guards cannot answer in tmux's place: the connection is given up and made again."""
    tmux.run("new-session", "-d", "-s", "main", "-x", "80", "-y", "24")

    async def main() -> None:
        async with serving(tmux) as (server, events):
            await events.wait_for(Connected)
            connection = server._connection()
            original = connection._take
            forged: list[bytes] = []

            def forge(event: Any) -> None:
                # What the decoder would see if the pane had guessed: the answer ends early and another one follows.
                if not forged and getattr(event, "ours", False):
                    forged.append(b"x")
                    original(type(event)(event.number, True, True, (b"cut",)))
                    event = type(event)(event.number + 1, True, True, (b"forged",))
                original(event)

            connection._take = forge  # type: ignore[method-assign]
            with pytest.raises(errors.Unavailable, match="did not end"):
                await server.foreign("capture-pane", "-p", "-t", "main")
            await events.wait(lambda: sum(isinstance(event, Connected) for event in events.seen) == 2)
            assert await server.command("display-message", "-p", "well") == ["well"]

    run(main())


def test_presses_of_two_clients_are_both_told(tmux: Server) -> None:
    """Keys pressed at two clients at once wake us once and are two events, each with its client."""
    tmux.run("new-session", "-d", "-s", "main")
    tmux.run("bind-key", "A", signals.push("press:popup:#{client_name}"))
    one, two = tmux.attach(), tmux.attach()

    async def main() -> None:
        async with serving(tmux) as (_, events):
            await events.wait_for(Connected)
            one.press("\x02", "A")
            two.press("\x02", "A")
            both = {Pressed("popup", one.tty), Pressed("popup", two.tty)}
            await events.wait(lambda: both <= set(events.seen))
            assert sum(isinstance(event, Pressed) for event in events.seen) == 2

    run(main())


def test_snapshot_follows_panes_and_clients(tmux: Server) -> None:
    """New panes, ended panes and clients are in the snapshot because tmux said so, without anybody asking."""
    tmux.run("new-session", "-d", "-s", "main")

    async def main() -> None:
        async with serving(tmux) as (server, events):
            await events.wait_for(Connected)
            pane = tmux.run("split-window", "-P", "-F", "#{pane_id} #{pane_pid}", "-t", "main")
            await events.wait(lambda: len(server.panes) == 2)
            id_, pid = pane.split()
            assert {pane.pid: pane.id for pane in server.panes if not pane.dead}[int(pid)] == id_
            tmux.run("kill-pane", "-t", id_)
            await events.wait(lambda: len(server.panes) == 1)
            terminal = tmux.attach()
            await events.wait(lambda: len(server.clients) == 1)
            client = server.clients[0]
            assert (client.name, client.tty, client.pid) == (terminal.tty, terminal.tty, terminal.process.pid)
            assert (client.control, client.width, client.height) == (False, 100, 30)
            terminal.press("\x02", "d")
            await events.wait(lambda: not server.clients)

    run(main())


def test_names_cannot_forge_fields(tmux: Server) -> None:
    """Tabs, line ends, formats and guards in names and titles change neither fields nor rows."""
    name = "a\t%9\t@9\n%end 1 1 1\n#{pane_id}#(touch x)"
    tmux.run("new-session", "-d", "-s", "main")
    tmux.run("rename-session", "-t", "main", name.replace("#", "##"))
    tmux.run("rename-window", name.replace("#", "##"))
    tmux.run("select-pane", "-T", name.replace("#", "##"))
    real = tmux.run("list-panes", "-a", "-F", "#{pane_id} #{pane_pid}")

    async def main() -> None:
        async with serving(tmux) as (server, events):
            await events.wait_for(Connected)
            assert [f"{pane.id} {pane.pid}" for pane in server.panes] == [real]
            assert len(server.sessions) == 1
            assert "\n" not in server.panes[0].window_name
            assert len(await server.windows()) == 1

    run(main())


def test_hidden_session_does_not_keep_the_server(tmux: Server) -> None:
    """When the last other session ends, ours goes, the server exits, and we are told that it is lost."""
    tmux.run("new-session", "-d", "-s", "main")

    async def main() -> None:
        async with serving(tmux) as (_, events):
            await events.wait_for(Connected)
            tmux.run("kill-session", "-t", "=main")
            await events.wait_for(Lost)
            assert sessions(tmux) == []

    run(main())


def test_server_that_stays_empty_is_served_again(tmux: Server) -> None:
    """With exit-empty off the server lives on without sessions; a new one there is served again."""
    tmux.run("new-session", "-d", "-s", "main", ";", "set-option", "-g", "exit-empty", "off")

    async def main() -> None:
        async with serving(tmux) as (server, events):
            await events.wait_for(Connected)
            tmux.run("kill-session", "-t", "=main")
            await events.wait_for(Dropped)
            events.seen.clear()
            tmux.run("new-session", "-d", "-s", "again")
            await events.wait_for(Connected)
            assert [session.name for session in server.sessions] == ["again"]

    run(main())


def test_person_is_not_left_in_the_hidden_session(tmux: Server) -> None:
    """Who is moved into ours (detach-on-destroy off), or goes there, is switched to a real session."""
    tmux.run("new-session", "-d", "-s", "one", ";", "set-option", "-g", "detach-on-destroy", "off")
    terminal = tmux.attach("attach-session", "-t", "one")

    async def main() -> None:
        async with serving(tmux) as (server, events):
            await events.wait_for(Connected)
            tmux.run("new-session", "-d", "-s", "two")
            await events.wait(lambda: len(server.sessions) == 2)
            home = {session.name: session.id for session in server.sessions}
            tmux.run("switch-client", "-c", terminal.tty, "-t", HIDDEN)
            await events.wait(lambda: bool(server.clients) and server.clients[0].session in home.values())
            tmux.run("kill-session", "-t", "=one")
            await events.wait(lambda: bool(server.clients) and server.clients[0].session == home["two"])
            tmux.run("kill-session", "-t", "=two")
            await events.wait_for(Lost)
            assert terminal.process.wait(PATIENCE) is not None

    run(main())


def test_killed_hidden_session_is_made_again(tmux: Server) -> None:
    """A person who kills our session loses nothing: it comes back, and the person's session is untouched."""
    tmux.run("new-session", "-d", "-s", "main", ";", "set-option", "-g", "detach-on-destroy", "off")

    async def main() -> None:
        async with serving(tmux) as (_, events):
            await events.wait_for(Connected)
            for count in (2, 3):
                tmux.run("kill-session", "-t", f"={HIDDEN}")
                await events.wait(lambda n=count: sum(isinstance(e, Connected) for e in events.seen) == n)  # type: ignore[misc]
            assert sorted(sessions(tmux)) == [HIDDEN, "main"]

    run(main())


def test_leftover_of_a_session_manager_is_replaced(tmux: Server) -> None:
    """A session of our name that was restored with a shell in it does not stop us."""
    tmux.run("new-session", "-d", "-s", "main", ";", "new-session", "-d", "-s", HIDDEN)

    async def main() -> None:
        async with serving(tmux) as (_, events):
            await events.wait_for(Connected)
            assert tmux.run("display-message", "-p", "-t", f"={HIDDEN}:", "#{session_attached}") == "1"

    run(main())


def test_kill_server_is_told(tmux: Server) -> None:
    """kill-server at any moment ends in Lost, and calls say that tmux is gone."""
    tmux.run("new-session", "-d", "-s", "main")

    async def main() -> None:
        async with serving(tmux) as (server, events):
            await events.wait_for(Connected)
            tmux.run("kill-server")
            await events.wait_for(Lost)
            with pytest.raises(errors.Unavailable):
                await server.command("list-sessions")

    run(main())


def test_no_server_is_an_error_that_says_so(tmux: Server) -> None:
    """A socket without a server, or that is none, is refused with its path."""

    async def main() -> None:
        with pytest.raises(errors.Unavailable, match="no tmux server at"):
            await TmuxServer(tmux.socket, Events()).start()

    run(main())


def test_death_is_noticed_by_tmux_itself(tmux: Server) -> None:
    """When a sidecar is killed its clients end, the hidden session closes, the badge says so and the script is run."""
    flag = tmux.folder / "a b"
    script = tmux.folder / "ensure it"
    script.write_text(f"#!/bin/sh\n[ \"$1\" = died ] && {TMUX} -S {tmux.socket} wait-for -S ensured && : > '{flag}'\n")
    script.chmod(0o755)
    tmux.run("new-session", "-d", "-s", "main")
    tmux.run("set-environment", "-gh", signals.ENSURE, str(script))

    async def main() -> None:
        async with serving(tmux) as (server, events):
            await events.wait_for(Connected)
            assert tmux.run("display-message", "-p", "#{TMUX_AGENT_ALIVE}") == str(os.getpid())
            server._task.cancel()  # type: ignore[union-attr]
            server._commands._process.send_signal(signal.SIGKILL)  # type: ignore[union-attr]
            tmux.run("wait-for", "ensured")
            assert tmux.run("display-message", "-p", "#{tmux_agent}|#{TMUX_AGENT_ALIVE}|") == "gone||"
            assert sessions(tmux) == ["main"]

    run(main())


@pytest.mark.parametrize("inherited", ["off", "on"])
def test_killed_sidecar_is_noticed(tmux: Server, inherited: str) -> None:
    """kill -9 of the process that holds the connections closes the hidden session, marks the badge, and no more.

    tmux 3.2 to 3.4 crash where two clients leave a session with destroy-unattached at once, also an inherited one.
    """
    person = tmux.attach("new-session", "-s", "person", ";", "set-option", "-g", "destroy-unattached", inherited)
    program = (
        "import asyncio, sys\n"
        "from tmux_agent.services.tmux.control import TmuxServer\n"
        "async def main():\n"
        "    server = TmuxServer(sys.argv[1], lambda *_: None, tmux=sys.argv[2], died='gone')\n"
        "    await server.start(); await server.connected.wait(); print('ready', flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    argv = [sys.executable, "-c", program, tmux.socket, TMUX]
    env = {**os.environ, "PYTHONPATH": str(Path(control.__file__).parents[3])}
    with subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, text=True) as sidecar:
        assert sidecar.stdout is not None
        assert sidecar.stdout.readline() == "ready\n"
        sidecar.kill()
        sidecar.wait()
    end = time.monotonic() + PATIENCE
    while HIDDEN in sessions(tmux):
        assert time.monotonic() < end
    assert person.process.poll() is None
    assert tmux.run("display-message", "-p", "#{tmux_agent}|#{TMUX_AGENT_ALIVE}|") == "gone||"


def test_kills_in_a_storm_leave_the_server(tmux: Server) -> None:
    """kill -9 again and again, while titles are compared, keys pressed and panes end: tmux lives, and notices."""
    titles = "while :; do printf '\\033]2;\u2733 a\\007\\033]2;b\\007'; sleep 0.01; done"
    tmux.run("new-session", "-d", "-s", "main", "sh", "-c", titles)
    tmux.run("bind-key", "A", signals.push("press:popup:#{client_name}"))
    person, pid = tmux.attach(), tmux.run("display-message", "-p", "#{pid}")
    program = (
        "import asyncio, sys\n"
        "from tmux_agent.core import titles\n"
        "from tmux_agent.services.tmux.control import TmuxServer\n"
        "async def main():\n"
        "    server = TmuxServer(sys.argv[1], lambda *_: None, tmux=sys.argv[2], died='gone')\n"
        "    await server.start(); await server.connected.wait(); await server.watch(titles.FORMAT)\n"
        "    print('ready', flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    argv = [sys.executable, "-c", program, tmux.socket, TMUX]
    env = {**os.environ, "PYTHONPATH": str(Path(control.__file__).parents[3])}
    for _ in range(20):
        with subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, text=True) as sidecar:
            assert sidecar.stdout is not None
            assert sidecar.stdout.readline() == "ready\n"
            person.press("\x02", "A")
            tmux.run("new-window", "-d", "true", ";", "split-window", "-d", "-t", "main", "true")
            sidecar.kill()
        end = time.monotonic() + PATIENCE
        while HIDDEN in sessions(tmux):
            assert time.monotonic() < end
            person.read()
        assert tmux.run("display-message", "-p", "#{pid}|#{tmux_agent}") == f"{pid}|gone"


def test_events_do_not_pile_up_unread(tmux: Server) -> None:
    """While nobody reads, the variable that collects signals stays short."""
    tmux.run("new-session", "-d", "-s", "main")
    tmux.run("set-hook", "-g", "after-rename-window", signals.push("changed"))
    for _ in range(30):
        tmux.run("rename-window", "x", *[";", "rename-window", "x"] * 20)
    assert 1500 < len(tmux.run("show-environment", "-gh", signals.EVENTS)) < 2100


@pytest.mark.parametrize(
    ("line", "events"),
    [
        (f"{signals.EVENTS}=", []),
        (f"{signals.EVENTS}= changed changed", [Changed()]),
        (f"{signals.EVENTS}=ess:popup:/dev/x changed press:popup:client-5", [Changed(), Pressed("popup", "client-5")]),
        (f"{signals.EVENTS}= titles titles", [signals.Retitled()]),
        (
            f"{signals.EVENTS}= press:popup:/dev/x covered:3 press:popup:/dev/x covered:x",
            [Pressed("popup", "/dev/x"), signals.Covered(3), Pressed("popup", "/dev/x")],
        ),
        (f"-{signals.EVENTS}", []),
    ],
)
def test_signals_are_parsed(line: str, events: list[Event]) -> None:
    """Words become events; halves and strangers are dropped."""
    assert list(signals.parse(line)) == events


def test_server_pid_is_the_kernels(tmux: Server) -> None:
    """The pid of the server comes from its socket."""
    tmux.run("new-session", "-d")
    assert unattached.server_pid(tmux.socket) == int(tmux.run("display-message", "-p", "#{pid}"))


def test_a_tmux_that_does_not_answer_holds_up_no_stop(tmux: Server) -> None:
    """A server that is stopped under us, or only pretends to be one, is left without its answer."""
    tmux.run("new-session", "-d", "-s", "main")
    pid = int(tmux.run("display-message", "-p", "#{pid}"))

    async def main() -> None:
        async with serving(tmux) as (server, events):
            await events.wait_for(Connected)
            os.kill(pid, signal.SIGSTOP)
            try:
                async with asyncio.timeout(PATIENCE):
                    await server.close()
            finally:
                os.kill(pid, signal.SIGCONT)

    run(main())


def test_what_a_tmux_process_prints_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """What listens at a socket may make the tmux that we start print without end."""
    monkeypatch.setattr(connection, "SAID_BYTES", 1000)

    async def main() -> None:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec("yes", stdout=pipe, stderr=pipe)
        with pytest.raises(errors.Unavailable, match="1000 bytes"):
            async with asyncio.timeout(PATIENCE):
                await connection.said(process)
        assert process.returncode

    run(main())
