"""Watched panes of real tmux servers: what they print is heard once, whatever happens to pane, pipe and sidecar."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.patience import PATIENCE
from tests.plugin.serving import serving
from tests.plugin.terminal import Server

from tmux_agent.core import markers
from tmux_agent.core.model import Event
from tmux_agent.core.pipeline_run import Place
from tmux_agent.services.journal import Journal
from tmux_agent.services.processes import processes_here
from tmux_agent.services.tmux.control import TmuxServer
from tmux_agent.services.tmux.watch import Watch
from tmux_agent.services.tmux.watched import Heard

MARK = "### SENTRY"


@pytest.fixture
def tmux() -> Iterator[Server]:
    with Server() as server:
        yield server


class World:
    """One life of what watches, over a folder that outlives it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.heard: list[Heard] = []
        self.printed = ""
        self.notices: tuple[str, ...] = ()
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        self.journal = Journal(folder / "state.db", folder / "audit.jsonl")
        self.watch = Watch(
            folder / "fifos", self.journal, self._hear, self._print, lambda place: True, self._kept,
            self._spawn, processes_here().now(),
        )  # fmt: skip

    async def _kept(self, place: Place) -> None:
        """Nobody keeps anything."""

    def _hear(self, heard: Heard) -> Event:
        self.heard.append(heard)
        self._changed.set()
        return Event(type="marker", data={})

    def _print(self, place: Place, text: str, notices: tuple[str, ...]) -> None:
        self.notices += notices
        self.printed += text
        self._changed.set()

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def until(self, held: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not held():
                self._changed.clear()
                if self._tasks:
                    waiter = asyncio.ensure_future(self._changed.wait())
                    await asyncio.wait([waiter, *self._tasks], return_when=asyncio.FIRST_COMPLETED)
                    waiter.cancel()
                else:
                    await self._changed.wait()

    def stages(self) -> list[str]:
        return [one.found.marker.stage for one in self.heard if not isinstance(one.found.marker, markers.Invalid)]

    async def says(self, *stages: str) -> None:
        await self.until(lambda: len(self.stages()) >= len(stages))
        assert self.stages() == list(stages)


@asynccontextmanager
async def watching(tmux: Server, folder: Path, *, killed: bool = False) -> AsyncIterator[tuple[World, TmuxServer]]:
    """`killed`: what the end of a process does, and nothing more."""
    world = World(folder)
    await world.journal.start()
    await world.watch.start()
    async with serving(tmux) as (server, _):
        await server.connected.wait()
        await server.refresh()
        world.watch.set(server, server.panes)
        await world.until(lambda: all(world.watch.how(server.socket, pane.id) != "not yet" for pane in server.panes))
        yield world, server
        if killed:
            for one in world.watch._panes.values():
                if one.pipe:
                    asyncio.get_running_loop().remove_reader(one.pipe._fd)
                    os.close(one.pipe._fd)
                one.pipe = None
        await world.watch.close()
        await asyncio.gather(*world._tasks)
        await world.journal.close()


def say(stage: str) -> str:
    """A shell line that prints a marker, and that is none itself."""
    return f"""printf '%s\\n' '{MARK} {{"type":"STATUS","stage":"{stage}","ok":true}}'"""


def shell(tmux: Server) -> None:
    tmux.run("new-session", "-d", "-x", "120", "-y", "30", "env PS1='$ ' bash --norc --noprofile")


def kinds(tmux: Server) -> str:
    return tmux.run("display-message", "-p", "-t", "%0", "#{pane_pipe}").strip()


def test_a_shell_is_heard_and_let_go(tmux: Server, tmp_path: Path) -> None:
    async def main() -> None:
        shell(tmux)
        async with watching(tmux, tmp_path) as (world, server):
            assert world.watch.how(server.socket, "%0") == "its output"
            assert kinds(tmux) == "1"
            tmux.run("send-keys", "-t", "%0", say("build"), "Enter")
            await world.says("build")
            tmux.run("send-keys", "-t", "%0", say("build") + "; echo 0 problems", "Enter")
            await world.says("build", "build")
            await world.until(lambda: "0 problems" in world.printed.splitlines())
        assert kinds(tmux) == "0"
        assert list((tmp_path / "fifos").iterdir()) == []

    asyncio.run(main())


def test_a_persons_pipe_is_never_taken(tmux: Server, tmp_path: Path) -> None:
    async def main() -> None:
        shell(tmux)
        tmux.run("pipe-pane", "-t", "%0", f"exec cat >{tmp_path}/theirs")
        async with watching(tmux, tmp_path) as (world, server):
            assert world.watch.how(server.socket, "%0") == "from its screen"
            tmux.run("send-keys", "-t", "%0", say("build"), "Enter")
            await world.says("build")
        assert kinds(tmux) == "1"
        assert "SENTRY" in (tmp_path / "theirs").read_text()

    asyncio.run(main())


def test_a_person_who_pipes_later_has_the_pipe(tmux: Server, tmp_path: Path) -> None:
    async def main() -> None:
        shell(tmux)
        async with watching(tmux, tmp_path) as (world, server):
            tmux.run("send-keys", "-t", "%0", say("one"), "Enter")
            await world.says("one")
            tmux.run("pipe-pane", "-t", "%0", f"exec cat >{tmp_path}/theirs")
            await world.until(lambda: world.watch.how(server.socket, "%0") == "from its screen")
            tmux.run("send-keys", "-t", "%0", say("two"), "Enter")
            await world.says("one", "two")
            assert kinds(tmux) == "1"

    asyncio.run(main())


@pytest.mark.parametrize("killed", [False, True])
def test_what_was_printed_meanwhile_is_heard_once_after_a_restart(
    tmux: Server, tmp_path: Path, killed: bool
) -> None:
    async def main() -> None:
        shell(tmux)
        async with watching(tmux, tmp_path, killed=killed) as (world, server):
            tmux.run("send-keys", "-t", "%0", say("before"), "Enter")
            await world.says("before")
            await world.journal.read(lambda db: None)
        tmux.run("send-keys", "-t", "%0", say("meanwhile") + "; tmux wait-for -S said", "Enter")
        tmux.run("wait-for", "said")
        async with watching(tmux, tmp_path) as (world, server):
            tmux.run("send-keys", "-t", "%0", say("after"), "Enter")
            await world.says("meanwhile", "after")
            assert world.watch.how(server.socket, "%0") == "its output"

    asyncio.run(main())


def test_fifos_of_panes_that_are_gone_go_at_the_next_start(tmux: Server, tmp_path: Path) -> None:
    async def main() -> None:
        shell(tmux)
        async with watching(tmux, tmp_path, killed=True):
            os.mkfifo(tmp_path / "fifos" / "1-2-3-aa")
        async with watching(tmux, tmp_path):
            assert len(list((tmp_path / "fifos").iterdir())) == 1

    asyncio.run(main())


def test_what_stood_there_before_is_old_and_a_new_pane_is_heard_from_its_beginning(
    tmux: Server, tmp_path: Path
) -> None:
    async def main() -> None:
        shell(tmux)
        tmux.run("send-keys", "-t", "%0", say("old") + "; tmux wait-for -S said", "Enter")
        tmux.run("wait-for", "said")
        async with watching(tmux, tmp_path) as (world, server):
            tmux.run("new-window", "-t", "0:", say("new") + "; exec cat")
            await server.refresh()
            world.watch.set(server, server.panes)
            await world.says("new")

    asyncio.run(main())


def test_a_full_screen_program_is_read_from_its_screen(tmux: Server, tmp_path: Path) -> None:
    """What it draws piece by piece is one marker, what it draws again none; the shell after it is heard as before."""
    script = tmp_path / "tui"
    text = f'{MARK} {{"type":"STATUS","stage":"drawn","ok":true}}'
    draws = [f"\\033[{3};{1 + at}H{text[at : at + 5]}" for at in range(0, len(text), 5)]
    script.write_text(
        "printf '\\033[?1049h\\033[2J'\n"
        + "".join(f"printf '%b' '{piece}'\n" for piece in (*reversed(draws), *draws))
        + "read line\nprintf '\\033[?1049l'\n"
    )

    async def main() -> None:
        shell(tmux)
        async with watching(tmux, tmp_path) as (world, server):
            tmux.run("send-keys", "-t", "%0", f"sh {script}", "Enter")
            await world.says("drawn")
            assert world.watch.how(server.socket, "%0") == "from its screen"
            tmux.run("send-keys", "-t", "%0", "x", "Enter")
            await world.until(lambda: world.watch.how(server.socket, "%0") == "its output")
            tmux.run("send-keys", "-t", "%0", say("after"), "Enter")
            await world.says("drawn", "after")

    asyncio.run(main())


def test_what_a_pager_shows_again_is_told_once(tmux: Server, tmp_path: Path) -> None:
    lines = [f"line {number}" for number in range(100)]
    lines[5] = f'{MARK} {{"type":"STATUS","stage":"file"}}'
    (tmp_path / "text").write_text("\n".join(lines) + "\n")

    async def main() -> None:
        shell(tmux)
        async with watching(tmux, tmp_path) as (world, server):
            tmux.run("send-keys", "-t", "%0", f"LESS= less {tmp_path}/text", "Enter")
            await world.says("file")
            for number in (60, 1, 60, 1):
                tmux.run("send-keys", "-t", "%0", f"{number}g")
                await world.until(lambda number=number: f"line {number + 10}\n" in said_by_screen(world))
            tmux.run("send-keys", "-t", "%0", "q")
            await world.until(lambda: world.watch.how(server.socket, "%0") == "its output")
            tmux.run("send-keys", "-t", "%0", say("after"), "Enter")
            await world.says("file", "after")

    asyncio.run(main())


def said_by_screen(world: World) -> str:
    """The end of what was printed, which is taken."""
    text, world.printed = world.printed, ""
    return text


def test_a_broken_marker_is_told_once_and_kept_for_explain(tmux: Server, tmp_path: Path) -> None:
    async def main() -> None:
        shell(tmux)
        async with watching(tmux, tmp_path) as (world, server):
            tmux.run("send-keys", "-t", "%0", f"for i in 1 2 3; do echo '{MARK} {{oops}}'; done; {say('end')}", "Enter")
            await world.says("end")
            broken = [one for one in world.heard if isinstance(one.found.marker, markers.Invalid)]
            assert len(broken) == 1
            assert world.watch.invalid(server.socket, "%0") == (broken[0].found.marker,)

    asyncio.run(main())


def test_a_flood_loses_no_marker_and_holds_nobody_up(tmux: Server, tmp_path: Path) -> None:
    count = 40

    async def main() -> None:
        shell(tmux)
        async with watching(tmux, tmp_path) as (world, _):
            loop = asyncio.get_running_loop()
            longest, before, going = 0.0, loop.time(), True

            def beat() -> None:
                nonlocal longest, before
                now = loop.time()
                longest, before = max(longest, now - before - 0.005), now
                if going:
                    loop.call_later(0.005, beat)

            beat()
            line = "x" * 100
            tmux.run(
                "send-keys", "-t", "%0",
                f"for i in $(seq {count}); do yes {line} | head -n 2000; "
                f"""printf '%s\\n' "{MARK} {{\\"type\\":\\"STATUS\\",\\"stage\\":\\"s$i\\"}}"; done""",
                "Enter",
            )
            await world.says(*(f"s{number}" for number in range(1, count + 1)))
            going = False
            assert longest < 0.5  # far more than a read takes; a blocked loop would be seconds

    asyncio.run(main())
