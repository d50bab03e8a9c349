"""What a person at a client does, as tmux tells it: asked of every kind of thing that may lie over a client."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import pytest
from tests.patience import PATIENCE
from tests.plugin.serving import serving
from tests.plugin.terminal import Server, Terminal

from tmux_agent.core import errors
from tmux_agent.services.tmux import seats
from tmux_agent.services.tmux.control import Connected, TmuxServer


@pytest.fixture
def tmux() -> Iterator[Server]:
    with Server("set -sg escape-time 0\n") as server:
        server.run("new-session", "-d", "-s", "main")
        yield server


def told(tmux: Server, story: Callable[[TmuxServer], Awaitable[None]], clients: int = 1) -> None:
    """Runs a story on a served tmux once it knows the clients."""

    async def main() -> None:
        async with serving(tmux) as (server, events):
            await events.wait_for(Connected)
            await events.wait(lambda: len(server.clients) == clients)
            await story(server)

    asyncio.run(main())


async def becomes(look: Callable[[], Awaitable[bool]], wanted: bool) -> None:
    async with asyncio.timeout(PATIENCE):
        while await look() is not wanted:
            pass  # each look is a round trip to tmux


def test_who_sits_where(tmux: Server) -> None:
    """Each client's active pane, its keys, its focus, copy mode and a prefix that was pressed; control clients none."""
    one, two = tmux.attach(), tmux.attach()
    other = tmux.run("new-window", "-d", "-P", "-F", "#{pane_id}", "-t", "main:")

    async def story(server: TmuxServer) -> None:
        found = await seats.seats(server)
        assert {seat.client.name for seat in found} == {one.tty, two.tty}
        seat = await seats.seat(server, one.tty)
        assert (seat.focused, seat.in_mode, seat.pressing, seat.term) == (True, False, False, "xterm-256color")
        assert 0 <= seat.idle < PATIENCE
        assert seat.pane != other
        tmux.run("select-window", "-t", other)
        assert (await seats.seat(server, one.tty)).pane == other
        tmux.run("copy-mode", "-t", other)
        assert (await seats.seat(server, one.tty)).in_mode
        one.press("\x1b[O")

        async def focused() -> bool:
            return (await seats.seat(server, one.tty)).focused

        async def pressing() -> bool:
            return (await seats.seat(server, one.tty)).pressing

        await becomes(focused, False)
        one.press("\x1b[I")
        await becomes(focused, True)
        one.press("\x02")
        await becomes(pressing, True)
        assert not (await seats.seat(server, two.tty)).pressing
        with pytest.raises(errors.NotFound):
            await seats.seat(server, "/dev/none")

    told(tmux, story, 2)


def test_what_lies_over_a_client(tmux: Server) -> None:
    """A popup and a menu cover the client they are on and no other; asking changes nothing on any screen."""
    one, two = tmux.attach(), tmux.attach()

    async def story(server: TmuxServer) -> None:
        assert not await seats.covered(server, one.tty)
        for opened, key in (
            (("display-popup", "-c", one.tty, "-E", "read x"), "\r"),
            (("display-menu", "-c", one.tty, "-T", "menu", "first", "a", "show-options"), "q"),
        ):
            process = await asyncio.create_subprocess_exec(*tmux.argv(*opened))
            await becomes(lambda: seats.covered(server, one.tty), True)
            assert not await seats.covered(server, two.tty)
            before = two.text()
            await asyncio.to_thread(one.press, key)
            await becomes(lambda: seats.covered(server, one.tty), False)
            await process.wait()
            assert two.text() == before

    told(tmux, story, 2)


@pytest.mark.parametrize(("keys", "sign", "leave"), [((":",), ":", "\x1b"), (("x",), "(y/n)", "n")])
def test_a_prompt_of_tmux_is_seen(tmux: Server, keys: tuple[str, ...], sign: str, leave: str) -> None:
    """command-prompt and confirm-before are noticed where they stand, and are left as they are."""
    one = tmux.attach()

    async def story(server: TmuxServer) -> None:
        if server.version < seats.PROMPTS:
            assert await seats.prompting(server, one.tty), "who cannot tell takes it that there is one"
            return
        assert not await seats.prompting(server, one.tty)
        await asyncio.to_thread(one.press, "\x02", *keys)
        await becomes(lambda: seats.prompting(server, one.tty), True)
        assert sign in last_line(one, sign)
        one.press(leave)
        await becomes(lambda: seats.prompting(server, one.tty), False)

    told(tmux, story)


def last_line(terminal: Terminal, sign: str) -> str:
    return terminal.wait(lambda text: sign in text.splitlines()[-1]).splitlines()[-1]
