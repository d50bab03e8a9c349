"""Popups that paint before their relay comes: shown where the guess was right, else made anew; or forgotten."""

from __future__ import annotations

import asyncio
import gc
import socket
import weakref
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from tests.edges.ui.scripted import shell
from tests.patience import PATIENCE

from tmux_agent.core import protocol as p
from tmux_agent.core.errors import Forbidden
from tmux_agent.core.model import Approval, Origin, Role
from tmux_agent.edges import openings as module
from tmux_agent.edges.openings import Openings
from tmux_agent.edges.ui.popup import Popup
from tmux_agent.edges.ui.serving import serve
from tmux_agent.edges.ui.wire import Attach
from tmux_agent.services.tmux.popups import Opening, Terminal

PERSON = Origin(role=Role.OPERATOR, why="", uid=0, pid=1, server="/s", client="/dev/pts/1")
OPENING = Opening(nonce="n", server="/s", at=None, columns=100, rows=24, bordered=False)
SAID = p.PopupAttach(nonce="n", columns=100, rows=24, term="screen")


class Services:
    """What a ServiceDesk asks, over lists; `given` keeps what came through."""

    def __init__(self) -> None:
        self.waiting = [shell("npm ci", 1)]
        self.given: list[tuple[str, Origin]] = []
        self.answered = asyncio.Event()
        self.recent: list[Any] = []
        self.showing = SimpleNamespace(popups=None)
        self.approvals = SimpleNamespace(pending=lambda: tuple(self.waiting))
        self.agents = SimpleNamespace(list=tuple)
        self.plans = SimpleNamespace(current=lambda _: None)
        self.identity = SimpleNamespace(client_is_persons=lambda *_: None, nobody_types=lambda *_: None)
        self.journal = SimpleNamespace(subscribe=self._subscribe)
        self.answers = SimpleNamespace(answer=self._answer)
        self.openings = Openings(self)  # type: ignore[arg-type]

    def warnings(self) -> list[str]:
        return []

    async def _subscribe(self) -> Any:
        async def never() -> Any:
            await asyncio.Event().wait()
            yield

        return never()

    async def _answer(self, request_id: str, _digest: str, _approved: bool, origin: Origin, **_: Any) -> Approval:
        self.given.append((request_id, origin))
        self.answered.set()
        return self.waiting[0]

    async def begun(self, opening: Opening = OPENING) -> Popup:
        """A popup that has painted ahead."""
        self.openings.begin(opening)
        _, popup = self.openings._ahead[opening.nonce]
        painted = asyncio.Event()
        popup.app.after_render += lambda _: painted.set()
        await painted.wait()
        return popup


async def streams() -> tuple[asyncio.StreamReader, asyncio.StreamWriter, asyncio.StreamReader, asyncio.StreamWriter]:
    near, far = socket.socketpair()
    return *await asyncio.open_unix_connection(sock=near), *await asyncio.open_unix_connection(sock=far)


def play(scene: Callable[[Services], Awaitable[None]]) -> None:
    async def run() -> None:
        services = Services()
        await asyncio.wait_for(scene(services), PATIENCE)

    asyncio.run(run())


def test_the_first_guess_is_what_the_server_says() -> None:
    """Before any relay has told, the popup is made for the terminal that the tmux server will give it."""

    async def scene(services: Services) -> None:
        terminal = Terminal(term="tmux-256color", colorterm="truecolor", utf8=True, no_color=True)
        popup = await services.begun(msgspec.structs.replace(OPENING, terminal=terminal))
        said = msgspec.structs.replace(SAID, term="tmux-256color", colorterm="truecolor", no_color=True)
        assert services.openings.take(OPENING, said, PERSON)[2] is popup
        popup.drop()

    play(scene)


def test_a_right_guess_is_sent_at_once() -> None:
    """What was painted goes out with the `K`, in the same turn that the relay is let in, and keys count from then."""

    async def scene(services: Services) -> None:
        popup = await services.begun()
        assert not popup.board.answerable(popup.now()), "nobody can have seen it"
        desk, attach, ahead = services.openings.take(OPENING, SAID, PERSON)
        assert ahead is popup
        reader, writer, theirs, mine = await streams()
        popup.connect(mine)
        painted = popup.app.render_counter
        assert popup.board.answerable(popup.now())
        first = await reader.read(65536)
        assert first[:1] == b"K"
        assert b"npm ci" in first
        task = asyncio.create_task(serve(theirs, mine, attach, desk, ahead=ahead))
        writer.write(b"d\0\0\0\1a")
        await services.answered.wait()
        assert services.given == [(services.waiting[0].request_id, PERSON)]
        assert popup.app.render_counter <= painted + 1, "painted anew for the key only"
        writer.close()
        await task

    play(scene)


@pytest.mark.parametrize(
    "told", [{"columns": 90}, {"rows": 20}, {"term": "tmux-256color"}, {"utf8": False}, {"no_color": True}]
)
def test_a_wrong_guess_is_made_anew(told: dict[str, Any]) -> None:
    """Nothing that was made for another terminal is shown; the next popup there is made for this one."""

    async def scene(services: Services) -> None:
        guessed = await services.begun()
        said = msgspec.structs.replace(SAID, **told)
        desk, attach, ahead = services.openings.take(OPENING, said, PERSON)
        assert ahead is None
        await asyncio.wait([guessed.start()])
        assert not guessed.drain.flows
        reader, writer, theirs, mine = await streams()
        task = asyncio.create_task(serve(theirs, mine, attach, desk, ahead=ahead))
        assert b"npm ci" in await reader.read(65536)
        writer.close()
        await task
        opening = msgspec.structs.replace(OPENING, nonce="m", columns=attach.columns, rows=attach.rows)
        popup = await services.begun(opening)
        assert services.openings.take(opening, said, PERSON)[2] is popup
        popup.drop()

    play(scene)


def test_where_no_relay_comes_nothing_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a nonce's time the popup's task has ended and the popup is garbage."""
    monkeypatch.setattr(module, "NONCE_SECONDS", 0.05)

    async def scene(services: Services) -> None:
        before = asyncio.all_tasks()
        popup = await services.begun()
        await asyncio.wait([popup.start()])
        if left := asyncio.all_tasks() - before:
            await asyncio.wait(left)
        assert not services.openings._ahead
        there = weakref.ref(popup)
        del popup
        gc.collect()
        assert there() is None

    play(scene)


def test_closing_ends_what_waits_for_a_relay() -> None:
    """A sidecar that stops leaves no popup painting."""

    async def scene(services: Services) -> None:
        popup = await services.begun()
        services.openings.close()
        await asyncio.wait([popup.start()])

    play(scene)


def test_what_changed_meanwhile_is_shown_right_after() -> None:
    """A request that became another while the relay started is on the screen at once, and takes no answer yet."""

    async def scene(services: Services) -> None:
        popup = await services.begun()
        services.waiting = [shell("npm publish", 1)]
        desk, attach, ahead = services.openings.take(OPENING, SAID, PERSON)
        reader, writer, theirs, mine = await streams()
        task = asyncio.create_task(serve(theirs, mine, attach, desk, ahead=ahead))
        seen = b""
        while b"publish" not in seen:
            seen += await reader.read(65536)
        assert not popup.board.answerable(popup.now())
        writer.write(b"d\0\0\0\1a")
        while b"under your finger" not in seen:
            seen += await reader.read(65536)
        assert services.given == []
        writer.close()
        await task

    play(scene)


def test_nothing_is_answered_before_identity_is_checked() -> None:
    """A desk without its operator shows; it answers and jumps for nobody, and is bound once."""

    async def scene(services: Services) -> None:
        popup = await services.begun()
        one = services.waiting[0]
        with pytest.raises(Forbidden, match="nobody sits"):
            await popup.desk.answer(one.request_id, one.digest, True, secret="sesame")
        assert services.given == []
        desk, _, _ = services.openings.take(OPENING, SAID, PERSON)
        await desk.answer(one.request_id, one.digest, True)
        assert services.given == [(one.request_id, PERSON)]
        with pytest.raises(AssertionError):
            desk.bind(PERSON, "n")
        popup.drop()

    play(scene)


def test_the_next_popup_is_made_beforehand(monkeypatch: pytest.MonkeyPatch) -> None:
    """After one, another of the same kind waits; it is used once, and only where it fits."""
    monkeypatch.setattr(module, "SPARE_S", 0.0)

    async def scene(services: Services) -> None:
        made, make = asyncio.Event(), services.openings._make_spare

        def makes(attach: Attach) -> None:
            make(attach)
            made.set()

        monkeypatch.setattr(services.openings, "_make_spare", makes)
        for size in (24, 24, 20):
            spare = services.openings._spare
            opening = msgspec.structs.replace(OPENING, rows=size)
            popup = await services.begun(opening)
            assert (spare is not None and popup is spare[1]) == (spare is not None and size == 24)
            assert services.openings._spare is None
            made.clear()
            said = msgspec.structs.replace(SAID, rows=size)
            desk, _, ahead = services.openings.take(opening, said, PERSON)
            assert ahead is popup
            assert ahead.desk is desk
            popup.drop()
            await made.wait()

    play(scene)
