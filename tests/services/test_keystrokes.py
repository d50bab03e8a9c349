"""Keys that are pressed only where nothing has changed, on a real tmux server: each thing that may change, once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest
from tests.patience import PATIENCE
from tests.plugin.serving import Events
from tests.plugin.terminal import Server
from tests.sidecar import until

from tmux_agent.core import errors
from tmux_agent.services.tmux.control import TmuxServer
from tmux_agent.services.tmux.keystrokes import Shot, press, shoot

PANE = "%0"
ASKED = "Continue #{pane_id}, 100%? `[y/N]` "
# Asks, and tells what it was told.
PROGRAM = "printf '%s' \"$1\"; read answer; printf 'told <%s>' \"$answer\"; exec sleep 1000"


def run(folder: Path, test: Callable[[Server, TmuxServer, Shot], Coroutine[None, None, None]]) -> None:
    async def whole(tmux: Server) -> None:
        server = TmuxServer(tmux.socket, Events(), tmux=tmux.tmux, died="gone")
        await server.start()
        try:
            async with asyncio.timeout(PATIENCE):
                await server.connected.wait()
                await test(tmux, server, await shoot(server, PANE, styled=False))
        finally:
            await server.close()

    with Server() as tmux:
        tmux.run("new-session", "-d", "-s", "main", "-c", str(folder), "sh", "-c", PROGRAM, "sh", ASKED)
        until(lambda: "[y/N]" in tmux.run("capture-pane", "-p", "-t", PANE))
        asyncio.run(whole(tmux))


def test_where_nothing_changed_the_keys_arrive(tmp_path: Path) -> None:
    """Text is typed as it is, names are keys; what stands in the line is no format and no pattern."""

    async def test(tmux: Server, server: TmuxServer, shot: Shot) -> None:
        assert shot.look.lines[0] == ASKED.rstrip()
        assert shot.look.cursor == (len(ASKED), 0)
        assert not shot.hinders()
        assert await press(server, PANE, shot, (0, 0), ("=-y;", "Enter"))
        until(lambda: "told <-y;>" in tmux.run("capture-pane", "-p", "-t", PANE))
        assert (await shoot(server, PANE, styled=False)).moved(shot)
        assert await server.command("display-message", "-p", "in step") == ["in step"]

    run(tmp_path, test)


@pytest.mark.parametrize(
    "change",
    [
        ("copy-mode", "-t", PANE),
        ("send-keys", "-t", PANE, "-l", "n"),
        ("respawn-pane", "-k", "-t", PANE, "sh", "-c", PROGRAM, "sh", ASKED),
        ("resize-window", "-t", PANE, "-x", "60"),
        ("set-option", "-w", "-t", PANE, "synchronize-panes", "on"),
        ("select-pane", "-d", "-t", PANE),
    ],
    ids=lambda change: change[0],
)
def test_where_something_changed_nothing_is_pressed(tmp_path: Path, change: tuple[str, ...]) -> None:
    """Copy mode, a key of the person's, another program that asks the same, another size, panes in step, no input."""

    async def test(tmux: Server, server: TmuxServer, shot: Shot) -> None:
        before = tmux.run("display-message", "-p", "-t", PANE, "#{cursor_x}")
        tmux.run(*change)
        if change[0] == "send-keys":
            until(lambda: tmux.run("display-message", "-p", "-t", PANE, "#{cursor_x}") != before)
        assert not await press(server, PANE, shot, (0, 0), ("=y", "Enter"))
        assert "told" not in tmux.run("capture-pane", "-p", "-t", PANE)

    run(tmp_path, test)


def test_another_text_in_the_same_place_is_another_dialog(tmp_path: Path) -> None:
    """Cursor, process and size are the same; a word in the dialog is not."""

    async def test(tmux: Server, server: TmuxServer, shot: Shot) -> None:
        lines = (shot.look.lines[0].replace("Continue", "Continua"), *shot.look.lines[1:])
        other = Shot(type(shot.look)(lines=lines, cursor=shot.look.cursor), shot.state, shot.command)
        assert not await press(server, PANE, other, (0, 0), ("=y",))
        other = Shot(shot.look, shot.state, "another")
        assert not await press(server, PANE, other, (0, 0), ("=y",))

    run(tmp_path, test)


def test_a_pane_that_is_gone(tmp_path: Path) -> None:
    """Nothing is pressed anywhere, and the connection stays in step."""

    async def test(tmux: Server, server: TmuxServer, shot: Shot) -> None:
        tmux.run("new-window", "-d", "sleep 1000")
        tmux.run("kill-pane", "-t", PANE)
        assert not await press(server, PANE, shot, (0, 0), ("=y", "Enter"))
        with pytest.raises(errors.TmuxAgentError):
            await shoot(server, PANE, styled=False)
        assert await server.command("display-message", "-p", "in step") == ["in step"]

    run(tmp_path, test)


@pytest.mark.parametrize(
    ("at", "value", "says"),
    [(1, "1", "ended"), (2, "1", "copy mode"), (3, "1", "synchronized"), (4, "1", "no input")],
)
def test_what_hinders(tmp_path: Path, at: int, value: str, says: str) -> None:
    """Each is told in words."""

    async def test(tmux: Server, server: TmuxServer, shot: Shot) -> None:
        words = shot.state.split("|")
        words[at] = value
        assert says in Shot(shot.look, "|".join(words), shot.command).hinders()

    run(tmp_path, test)
