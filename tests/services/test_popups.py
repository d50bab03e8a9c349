"""Popups on real clients: opened once, closed with their program, and nonces that work once and briefly."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator

import pytest
from tests.patience import PATIENCE
from tests.plugin.serving import Events, serving
from tests.plugin.terminal import Server

from tmux_agent.core import errors
from tmux_agent.services.tmux import popups
from tmux_agent.services.tmux.control import Connected, TmuxServer
from tmux_agent.services.tmux.popups import Popups, Wanted
from tmux_agent.services.tmux.signals import Covered

# Stands for the relay: shows how it was called, ends on a key.
RELAY = ("/bin/sh", "-c", 'printf "a=%s n=%s" "$1" "$2"; read x; exit ${x:-0}', "relay", "a b'\\;#{pid}")


@pytest.fixture
def tmux() -> Iterator[Server]:
    with Server() as server:
        server.run("new-session", "-d", "-s", "main")
        yield server


def now() -> int:
    return 42


async def ready(server: TmuxServer, events: Events, clients: int = 1) -> None:
    await events.wait_for(Connected)
    await events.wait(lambda: len(server.clients) == clients)


def test_opens_on_the_client_and_closes_with_the_relay(tmux: Server) -> None:
    """The popup shows the relay with its arguments untouched, on that client only; its end closes it."""
    one, two = tmux.attach(), tmux.attach()

    async def main() -> None:
        async with serving(tmux) as (server, events):
            await ready(server, events, 2)
            shown = Popups(RELAY, now)
            assert shown.open(server, one.tty, Wanted(at="01K"))
            await asyncio.to_thread(one.wait_for, "a=a b'\\;#{pid}")
            (nonce,) = shown._out
            assert len(nonce) >= 32
            await asyncio.to_thread(one.wait_for, f"n={nonce}")
            assert "n=" not in two.text()
            claim = shown.claim(nonce)
            assert claim is not None
            assert (claim.opening.at, claim.grant.client, claim.grant.server, claim.grant.issued) == (
                "01K",
                one.tty,
                tmux.socket,
                42,
            )
            assert not shown.open(server, one.tty), "a second press opens no second popup"
            assert shown.open(server, two.tty), "another client has its own"
            await asyncio.to_thread(two.wait_for, "n=")
            one.press("\r")
            await asyncio.to_thread(one.wait_gone, "n=")
            async with asyncio.timeout(PATIENCE):
                while shown.is_open(server, one.tty):
                    await asyncio.gather(shown._open[(tmux.socket, one.tty)].task)
            assert not shown.is_open(server, one.tty)
            await shown.close()
            assert not shown.is_open(server, two.tty)

    asyncio.run(main())


def test_a_press_after_the_popup_opens_another(tmux: Server) -> None:
    """Two presses before the first popup is there are one wish; one that tmux tells after it was there is another, and
    gets its popup as soon as the first one's process has ended."""
    one = tmux.attach()

    async def main() -> None:
        async with serving(tmux) as (server, events):
            await ready(server, events)
            shown = Popups(RELAY, now)
            shown.pressed(server, one.tty)
            shown.pressed(server, one.tty)
            first = shown._open[(tmux.socket, one.tty)]
            covered = await events.wait_for(Covered)
            assert covered == Covered(first.number)
            assert not first.again
            shown.covered(server, first.number)
            await asyncio.to_thread(one.wait_for, "n=")
            (nonce,) = shown._out
            shown.pressed(server, one.tty)
            one.press("\r")
            await asyncio.to_thread(one.wait, lambda text: "n=" in text and nonce not in text)
            one.press("\r")
            await asyncio.to_thread(one.wait_gone, "n=")
            await asyncio.gather(*[each.task for each in shown._open.values()])
            assert not shown.is_open(server, one.tty)
            await shown.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("prefix", "key", "typed", "wanted"),
    [
        ("C-b", "A", "\x02A", True),
        ("C-a", "M-a", "x\x01\x1bay", True),
        ("C-a", "A", "\x02A", False),
        ("C-b", "F5", "\x02", False),
        ("C-b", "", "\x02A", False),
    ],
)
def test_the_key_typed_into_a_popup_that_has_ended(
    tmux: Server, prefix: str, key: str, typed: str, wanted: bool
) -> None:
    """tmux gives a popup all keys until it has taken it down; prefix and key among them want another popup."""
    one = tmux.attach()
    tmux.run("set-option", "-g", "prefix", prefix, ";", "set-environment", "-gh", "TMUX_AGENT_KEY", key)

    async def main() -> None:
        async with serving(tmux) as (server, events):
            await ready(server, events)
            shown = Popups(RELAY, now)
            await shown.typed_after(server, one.tty, typed)
            assert shown.is_open(server, one.tty) is wanted
            await shown.close()

    asyncio.run(main())


def test_a_nonce_that_comes_twice_is_worth_nothing(tmux: Server) -> None:
    """Whoever was faster with a nonce that two know has no say either; nor has one whose popup is gone."""
    one = tmux.attach()

    async def main() -> None:
        async with serving(tmux) as (server, events):
            await ready(server, events)
            shown = Popups(RELAY, now)
            shown.open(server, one.tty)
            await asyncio.to_thread(one.wait_for, "n=")
            (nonce,) = shown._out
            assert shown.claim(nonce) is not None
            assert shown.in_doubt(nonce) is None
            assert shown.claim(nonce) is None
            assert "twice" in (shown.in_doubt(nonce) or "")
            one.press("\r")
            await asyncio.gather(*[each.task for each in shown._open.values()])
            await asyncio.to_thread(one.wait_gone, "n=")
            shown.open(server, one.tty)
            await asyncio.to_thread(one.wait_for, "n=")
            (nonce,) = shown._out
            assert shown.claim(nonce) is not None
            one.press("\r")
            await asyncio.gather(*[each.task for each in shown._open.values()])
            assert "closed" in (shown.in_doubt(nonce) or "")
            await shown.close()

    asyncio.run(main())


def test_failed_relay_stays_readable(tmux: Server) -> None:
    """A relay that ends with an error leaves its words on the screen until a key."""
    one = tmux.attach()

    async def main() -> None:
        async with serving(tmux) as (server, events):
            await ready(server, events)
            shown = Popups(("/bin/sh", "-c", "echo why not; exit 1", "relay"), now)
            shown.open(server, one.tty)
            await asyncio.to_thread(one.wait_for, "why not")
            await shown.close()

    asyncio.run(main())


def test_nonce_is_good_once_and_briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unknown, used and old nonces are nothing."""
    clock = [0.0]
    monkeypatch.setattr(popups.time, "monotonic", lambda: clock[0])
    shown = Popups(RELAY, now)
    first, second = "a" * 32, "b" * 32
    for nonce in (first, second):
        opening = popups.Opening(nonce=nonce, server="s", at=None, columns=80, rows=24, bordered=False)
        shown._issue(popups.PopupGrant("s", "c", 1), opening)
    assert shown.claim("x") is None
    assert shown.claim(first) is not None
    assert shown.claim(first) is None
    clock[0] = popups.NONCE_SECONDS + 0.01
    assert shown.claim(second) is None


def test_unknown_client_is_an_error(tmux: Server) -> None:
    """A client that is not attached, or is a program in control mode, gets no popup."""

    async def main() -> None:
        async with serving(tmux) as (server, events):
            await events.wait_for(Connected)
            with pytest.raises(errors.NotFound, match="/dev/nowhere"):
                await Popups(RELAY, now).open(server, "/dev/nowhere")

    asyncio.run(main())


def test_small_client_gives_all_its_room(tmux: Server) -> None:
    """On 40 columns the popup takes the whole screen; tmux 3.2 keeps a line and a border for itself."""
    one = tmux.attach(columns=40, rows=20)

    async def main() -> None:
        async with serving(tmux) as (server, events):
            await ready(server, events)
            shown = Popups(("/bin/sh", "-c", "stty size; read x", "relay"), now)
            shown.open(server, one.tty)
            wanted = "20 40" if server.version >= popups.BORDERLESS else "17 37"
            await asyncio.to_thread(one.wait_for, wanted)
            await shown.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("chosen", "wanted"), [(("70", "10"), (10, 70)), (("x; kill-server", "-1"), (32, 108)), (None, (32, 108))]
)
def test_size_is_the_persons(tmux: Server, chosen: tuple[str, str] | None, wanted: tuple[int, int]) -> None:
    """The options' sizes are used, at once after a change; nonsense is not."""
    one = tmux.attach(columns=120, rows=40)
    for name, value in zip(("width", "height"), chosen or (), strict=False):
        tmux.run("set-option", "-g", f"@tmux-agent-popup-{name}", value)

    async def main() -> None:
        async with serving(tmux) as (server, events):
            await ready(server, events)
            border = 0 if server.version >= popups.BORDERLESS else 2  # tmux 3.2 draws its own in that size
            shown = Popups(("/bin/sh", "-c", "stty size; read x", "relay"), now)
            shown.open(server, one.tty)
            await asyncio.to_thread(one.wait_for, f"{wanted[0] - border} {wanted[1] - border}")
            await shown.close()

    asyncio.run(main())


@pytest.mark.parametrize("shell", ["fish", "zsh", "bash"])
def test_persons_shell_does_not_matter(tmux: Server, shell: str) -> None:
    """The relay is started without the person's shell, so arguments arrive whatever it is."""
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"{shell} is not installed")
    tmux.run("set-option", "-g", "default-shell", found)
    one = tmux.attach()

    async def main() -> None:
        async with serving(tmux) as (server, events):
            await ready(server, events)
            shown = Popups(RELAY, now)
            shown.open(server, one.tty)
            await asyncio.to_thread(one.wait_for, "a=a b'\\;#{pid} n=")
            await shown.close()

    asyncio.run(main())
