"""The relay in a real popup of a real tmux client, read from that client's terminal."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from tests.edges.ui.real_tmux import INTERPRETER, Client, Sidecar, Tmux
from tests.edges.ui.scripted import ScriptedDesk
from tests.patience import PATIENCE

from tmux_agent.core.menus import Page
from tmux_agent.edges.ui import relay

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux on PATH")

Scene = Callable[[ScriptedDesk, Sidecar, Client], Awaitable[None]]


@asynccontextmanager
async def opened(
    folder: str, desk: ScriptedDesk, refusal: str, size: tuple[int, int], page: Page | None
) -> AsyncIterator[tuple[Sidecar, Client]]:
    async with Sidecar(folder, desk, refusal, page) as sidecar, Tmux(folder) as tmux, Client(tmux, *size) as client:
        yield sidecar, client


def play(
    folder: object, scene: Scene, refusal: str = "", size: tuple[int, int] = (100, 24), page: Page | None = None
) -> ScriptedDesk:
    desk = ScriptedDesk()

    async def run() -> None:
        async with opened(str(folder), desk, refusal, size, page) as (sidecar, client):
            await scene(desk, sidecar, client)

    asyncio.run(asyncio.wait_for(run(), 2 * PATIENCE))
    return desk


def test_a_person_approves_in_a_real_popup(tmp_path: object) -> None:
    """Key to popup to answer, through tmux; closing it as meant exits 0."""

    async def scene(desk: ScriptedDesk, sidecar: Sidecar, client: Client) -> None:
        popup = await client.popup(sidecar)
        text = await client.until("? more")
        assert "3 waiting" in text
        params = sidecar.attached[0]["params"]
        assert sidecar.attached[0]["method"] == "popup.attach"
        assert (params["nonce"], params["columns"], params["rows"]) == ("0123456789abcdef", 100, 24)
        assert params["utf8"] is True
        client.type("a")
        await client.until("2 waiting")
        client.type("q")
        assert await asyncio.wait_for(popup.wait(), PATIENCE) == 0

    assert [one["id"] for one in play(tmp_path, scene).answers] == ["01K00001"]


def test_the_popup_follows_the_size_of_its_client(tmp_path: object) -> None:
    """SIGWINCH in the popup's terminal becomes a size frame (tmux resizes popups with their client)."""

    async def scene(desk: ScriptedDesk, sidecar: Sidecar, client: Client) -> None:
        await client.popup(sidecar)
        await client.until("3 waiting")
        client.resize(40, 14)
        await client.until("1 of 3")
        client.type("q")

    play(tmp_path, scene)


def test_keys_typed_before_the_first_paint_answer_nothing(tmp_path: object) -> None:
    """Typed blind while the sidecar was slow: dropped."""

    async def scene(desk: ScriptedDesk, sidecar: Sidecar, client: Client) -> None:
        sidecar.hold = asyncio.Event()
        await client.popup(sidecar)
        await sidecar.came.wait()
        client.type("aaa")
        await client.tmux.run("display-message", "-p", "typed")  # a round trip: tmux has read the keys by now
        sidecar.hold.set()
        await client.until("3 waiting")
        client.type("j")
        await client.until("Codex wants")
        client.type("q")

    assert play(tmp_path, scene).answers == []


def test_what_is_typed_ahead_at_a_form_is_in_it(tmp_path: object) -> None:
    """A person who called for it types on, and it acts on nothing: not one letter is lost."""

    async def scene(desk: ScriptedDesk, sidecar: Sidecar, client: Client) -> None:
        sidecar.hold = asyncio.Event()
        await client.popup(sidecar)
        await sidecar.came.wait()
        client.type("fix/prices")
        await client.tmux.run("display-message", "-p", "typed")  # a round trip: tmux has read the keys by now
        sidecar.hold.set()
        await client.until("spawn an agent")
        client.type("-now")
        await client.until("fix/prices-now")
        client.type("\x1b")

    play(tmp_path, scene, page=Page(what="spawn", server="/s", pane="%7"))


def test_a_refusal_is_shown_until_a_key(tmp_path: object) -> None:
    """The reason stays on the screen until a key, which closes the popup."""

    async def scene(desk: ScriptedDesk, sidecar: Sidecar, client: Client) -> None:
        popup = await client.popup(sidecar)
        await client.until("tmux-agent: this nonce was used already")
        client.type("x")
        await client.tmux.run("wait-for", "relay-done")
        assert await asyncio.wait_for(popup.wait(), PATIENCE) == 0

    play(tmp_path, scene, refusal="this nonce was used already")


def test_a_sidecar_that_dies_is_told(tmp_path: object) -> None:
    """The terminal is put back and a sentence says so, until a key, which closes the popup."""

    async def scene(desk: ScriptedDesk, sidecar: Sidecar, client: Client) -> None:
        popup = await client.popup(sidecar)
        await client.until("3 waiting")
        sidecar.writers[0].transport.abort()
        await client.until("tmux-agent: the sidecar went away")
        await client.until("A key closes this.")
        client.type("x")
        await client.tmux.run("wait-for", "relay-done")
        assert await asyncio.wait_for(popup.wait(), PATIENCE) == 0

    play(tmp_path, scene)


def run_on_a_pty(path: str) -> tuple[int, str, bool]:
    """The relay without tmux: exit status, what it wrote, whether the terminal was put back."""
    import fcntl
    import pty
    import struct
    import termios

    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
    before = termios.tcgetattr(slave)
    process = subprocess.Popen(
        [INTERPRETER, "-I", "-S", relay.__file__, path, "n"], stdin=slave, stdout=slave, stderr=slave
    )
    said = b""
    while b"closes this." not in said:
        said += os.read(master, 4096)
    os.write(master, b"x")
    status = process.wait(PATIENCE)
    restored = termios.tcgetattr(slave) == before
    os.close(master)
    os.close(slave)
    return status, said.decode(), restored


def test_without_a_sidecar_it_says_what_to_do(tmp_path: object) -> None:
    """No socket: one sentence with the path and the command that helps."""
    status, said, restored = run_on_a_pty(f"{tmp_path}/none")
    said = " ".join(said.split())  # wrapped between words
    assert status == 0
    assert f"no sidecar at {tmp_path}/none" in said
    assert "`tmux-agent sidecar start`" in said
    assert restored


def test_only_compiled_in_modules_are_imported() -> None:
    """A person waits for its start: nothing that costs milliseconds may creep in."""
    code = (
        f"import sys\nbefore = set(sys.modules)\nsource = open({relay.__file__!r}).read()\n"
        "exec(compile(source, 'relay', 'exec'), {'__name__': 'relay'})\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    out = subprocess.run(
        [INTERPRETER, "-I", "-S", "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert set(out) <= {"_socket", "select", "termios"}, out
