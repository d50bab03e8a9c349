"""The tmux tool against real servers: what it reads, types, makes and ends, and what it refuses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from tests.plugin.serving import Events, serving
from tests.plugin.terminal import Server
from tests.sidecar import until

from tmux_agent.core import errors
from tmux_agent.core.model import Tmux
from tmux_agent.services.tmux.control import Connected, TmuxServer
from tmux_agent.services.tools import panes

# A program that shows, byte by byte, what was typed into it.
SHOW = "stty raw opost -echo; printf ready; exec od -An -v -tx1 -w1"


@pytest.fixture
def tmux() -> Iterator[Server]:
    with Server("set -g history-limit 5000\n") as server:
        server.run("new-session", "-d", "-s", "main", "-x", "80", "-y", "24")
        yield server


@asynccontextmanager
async def connected(tmux: Server) -> AsyncIterator[tuple[TmuxServer, Events]]:
    async with serving(tmux) as (server, events):
        await events.wait_for(Connected)
        yield server, events


def start(tmux: Server, script: str) -> str:
    """A pane in a window of its own that runs `script`; returns its id once it has signalled `ready`."""
    full = f"{script.replace('READY', f'{tmux.tmux} -S {tmux.socket} wait-for -S ready')}"
    pane = tmux.run("new-window", "-d", "-P", "-F", "#{pane_id}", "-t", "main:", "/bin/sh", "-c", full)
    tmux.run("wait-for", "ready")
    return pane


def shown(tmux: Server, pane: str, holds: str) -> str:
    """The pane's text once it holds `holds`; asked again after each time that tmux had a turn."""
    for _ in range(2000):
        text = tmux.run("capture-pane", "-p", "-J", "-S", "-", "-t", pane)
        text = "\n".join(line.rstrip() for line in text.splitlines())
        if holds in text:
            return text
    raise AssertionError(f"{holds!r} did not come; the pane holds {text!r}")


def test_reads_the_last_lines(tmux: Server) -> None:
    """The last lines of screen or history, wrapped ones joined, and whether there was more."""
    pane = start(tmux, "seq 1 100; printf '%0150d\\n' 7; READY; exec cat")

    async def main() -> None:
        async with connected(tmux) as (server, _):
            read = Tmux(verb="read", target=pane, options={"last_n_lines": 3})
            data = (await panes.run(read, server)).data
            assert data == {"lines": ["99", "100", "0" * 149 + "7"], "truncated": True, "alternate_screen": False}
            far = Tmux(verb="read", target=pane, options={"last_n_lines": 90, "from_history": True})
            assert (await panes.run(far, server)).data["lines"][:2] == ["12", "13"]
            with pytest.raises(errors.InvalidParams, match="last_n_lines"):
                await panes.run(Tmux(verb="read", target=pane, options={"last_n_lines": 10**9}), server)
            with pytest.raises(errors.InvalidParams, match="1 to 5"):
                await panes.run(far, server, None, 5)

    asyncio.run(main())


def test_text_arrives_as_it_is(tmux: Server) -> None:
    """Text with tmux's own language, quotes and non-ASCII reaches the program; control characters do not."""
    pane = start(tmux, f"READY; {SHOW}")
    text = "a;#{pid}'\"\\ $HOME ~ é漢\x1b[201~\x9b\x00\x07\r\nend;"

    async def main() -> None:
        async with connected(tmux) as (server, _):
            await asyncio.to_thread(shown, tmux, pane, "ready")
            await panes.run(Tmux(verb="send_text", target=pane, text=text, enter=True), server)
            await panes.run(Tmux(verb="send_keys", target=pane, keys=("C-a", "Up", "Enter")), server)
            wanted = panes.typed(text).encode() + b"\r" + b"\x01\x1b[A\r"
            got = await asyncio.to_thread(shown, tmux, pane, " 01\n 1b\n 5b\n 41\n 0d")
            assert bytes(int(part, 16) for part in got.replace("ready", "").split()) == wanted
            assert b"\x1b[201~" not in wanted
            assert tmux.run("list-buffers") == ""

    asyncio.run(main())


def test_typing_leaves_copy_mode(tmux: Server) -> None:
    """A pane in copy mode is taken out of it, so that the text reaches the program."""
    pane = start(tmux, f"READY; {SHOW}")

    async def main() -> None:
        async with connected(tmux) as (server, _):
            await asyncio.to_thread(shown, tmux, pane, "ready")
            tmux.run("copy-mode", "-t", pane)
            await panes.run(Tmux(verb="send_text", target=pane, text="q"), server)
            await asyncio.to_thread(shown, tmux, pane, "71")

    asyncio.run(main())


@pytest.mark.parametrize(
    ("prepare", "why"),
    [
        (("select-pane", "-d"), "switched off"),
        (("set-option", "-w", "synchronize-panes", "on"), "every pane"),
    ],
)
def test_pane_that_takes_no_typing_is_refused(tmux: Server, prepare: tuple[str, ...], why: str) -> None:
    """Where typing would vanish or go elsewhere nothing is typed, and the reason is said."""
    tmux.run(prepare[0], *prepare[1:2], "-t", "main:", *prepare[2:])

    async def main() -> None:
        async with connected(tmux) as (server, _):
            with pytest.raises(errors.Conflict, match=why):
                await panes.run(Tmux(verb="send_text", target="main", text="x"), server)

    asyncio.run(main())


def test_dead_pane_is_refused(tmux: Server) -> None:
    """A pane whose program has ended takes no typing."""
    tmux.run("set-option", "-g", "remain-on-exit", "on")
    pane = tmux.run("new-window", "-d", "-P", "-F", "#{pane_id}", "-t", "main:", "true")
    until(lambda: tmux.run("display-message", "-p", "-t", pane, "#{pane_dead}") == "1")

    async def main() -> None:
        async with connected(tmux) as (server, _):
            with pytest.raises(errors.Conflict, match="ended"):
                await panes.run(Tmux(verb="send_keys", target=pane, keys=("Enter",)), server)
            assert pane not in {one.id for one in server.panes if not one.dead}

    asyncio.run(main())


@pytest.mark.parametrize("keys", [("y",), ("C-b; kill-server",), ("-X",), ("Enter", "rm"), ("M-x",), ()])
def test_only_approved_keys(tmux: Server, keys: tuple[str, ...]) -> None:
    """Letters, options and anything that is no key of the list are refused before tmux hears of them."""

    async def main() -> None:
        async with connected(tmux) as (server, _):
            with pytest.raises(errors.InvalidParams):
                await panes.run(Tmux(verb="send_keys", target="main", keys=keys), server)

    asyncio.run(main())


def test_creates_without_a_shell(tmux: Server) -> None:
    """Programs are started with their arguments as given, in the folder given, and nobody's view changes."""
    hostile = "$(touch x);#{pid} 'a\""
    folder = tmux.folder / "a #{pid} b"
    folder.mkdir()

    async def main() -> None:
        async with connected(tmux) as (server, _):
            show = ("/bin/sh", "-c", 'printf "<%s>" "$PWD" "$1" "$V"; exec cat', "sh", hostile)
            new = Tmux(
                verb="create_session", name="new one", argv=show, cwd=str(folder), options={"env": {"V": "#{pid}$x"}}
            )
            made = (await panes.run(new, server)).data
            text = await asyncio.to_thread(shown, tmux, made["pane_id"], "$x>")
            assert text.replace("\n", "") == f"<{folder}><{hostile}><#{{pid}}$x>"
            with pytest.raises(errors.Conflict, match="exists"):
                await panes.run(new, server)
            one = Tmux(verb="create_pane", target="new one", argv=("cat",), options={"direction": "right"})
            split = (await panes.run(one, server)).data
            assert split["window_id"] == made["window_id"]
            window = (
                await panes.run(Tmux(verb="create_pane", target=made["pane_id"], options={"new_window": True}), server)
            ).data
            assert window["session_id"] == made["session_id"]
            assert window["window_id"] != made["window_id"]
            active = tmux.run("display-message", "-p", "-t", made["session_id"], "#{pane_id}")
            assert active == made["pane_id"]
            with pytest.raises(errors.InvalidParams):
                await panes.run(Tmux(verb="create_pane", target="main", argv=("A=b",)), server)
            await panes.run(Tmux(verb="kill_pane", target=split["pane_id"]), server)
            assert "new one" in [session.name for session in server.sessions], "who looks at once finds it"
            await panes.run(Tmux(verb="kill_session", target="new one"), server)
            assert "new one" not in [session.name for session in server.sessions]
            assert "new one" not in tmux.run("list-sessions")

    asyncio.run(main())


@pytest.mark.parametrize("name", ["", "a:b", "a.b", "a\tb"])
def test_session_names_that_tmux_would_change_are_refused(tmux: Server, name: str) -> None:
    """A name that tmux would rewrite cannot be found again, so it is an error."""

    async def main() -> None:
        async with connected(tmux) as (server, _):
            with pytest.raises(errors.InvalidParams, match="session_name"):
                await panes.run(Tmux(verb="create_session", name=name), server)

    asyncio.run(main())


def test_switches_a_person(tmux: Server) -> None:
    """The named client, or the one used last, is taken to the pane."""
    tmux.run("new-session", "-d", "-s", "other")
    pane = tmux.run("new-window", "-d", "-P", "-F", "#{pane_id}", "-t", "other:")
    terminal = tmux.attach("attach-session", "-t", "main")

    async def main() -> None:
        async with connected(tmux) as (server, _):
            done = await panes.run(Tmux(verb="switch", target=pane), server)
            assert done.data == {"client": terminal.tty}
            assert tmux.run("list-clients", "-t", "other", "-F", "#{pane_id}") == pane
            with pytest.raises(errors.NotFound, match="no client"):
                await panes.run(Tmux(verb="switch", target=pane, options={"client": "x"}), server)

    asyncio.run(main())


def test_facts_notice_another_program(tmux: Server) -> None:
    """What was judged of a pane does not hold for the program that took its place."""

    async def main() -> None:
        async with connected(tmux) as (server, _):
            action = Tmux(verb="send_keys", target="main", keys=("Enter",))
            before = await panes.observe(action, server)
            assert (before.command, before.place) == ("cat", "main:0")
            assert before.path
            assert panes.changed(before, await panes.observe(action, server)) is None
            tmux.run("respawn-pane", "-k", "-t", "main:", "cat", "-")
            with pytest.raises(errors.Conflict, match="another program"):
                await panes.run(action, server, before)

    asyncio.run(main())


@pytest.mark.parametrize("target", ["%999", "nowhere", "", "main:0", "_tmux-agent", "$(x)", "%1; kill-server"])
def test_unknown_targets_are_not_found(tmux: Server, target: str) -> None:
    """Only ids and names that are there count; our hidden session is not among them."""

    async def main() -> None:
        async with connected(tmux) as (server, _):
            for verb in ("read", "kill_pane", "kill_session"):
                with pytest.raises(errors.NotFound):
                    await panes.run(Tmux(verb=verb, target=target), server)

    asyncio.run(main())
