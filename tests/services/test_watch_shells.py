"""Real shells in watched panes: what is typed, pasted and recalled is no marker and no output; what runs is."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest
from tests.plugin.terminal import Server
from tests.services.test_watch import MARK, World, say, watching
from tests.sidecar import until

SHELLS = {
    "bash": "env PS1='$ ' bash --norc --noprofile",
    "zsh": "env PS1='$ ' zsh -f",
    "fish": "fish --no-config",
    "dash": "env PS1='$ ' dash",
}
EDITORS = [name for name in ("bash", "zsh", "fish") if shutil.which(name)]  # dash has no line editor
TYPED = f'{MARK} {{"type":"STATUS","stage":"typed"}}'


def lines(world: World) -> list[str]:
    return world.printed.splitlines()


def prompt(tmux: Server, shell: str) -> None:
    """A shell that waits at its prompt before anybody watches."""
    tmux.run("new-session", "-d", "-x", "150", "-y", "30", SHELLS[shell])
    tmux.run("send-keys", "-t", "%0", "tmux wait-for -S up", "Enter")
    tmux.run("wait-for", "up")
    until(lambda: tmux.run("display-message", "-p", "-t", "%0", "#{cursor_x}") != "0")  # its next prompt is there


async def said(tmux: Server, world: World, stage: str, *before: str) -> None:
    """All that was typed so far has been taken once this marker is heard."""
    tmux.run("send-keys", "-t", "%0", "-l", say(stage))
    tmux.run("send-keys", "-t", "%0", "Enter")
    await world.says(*before, stage)


@pytest.mark.parametrize("shell", [*EDITORS, *(["dash"] if shutil.which("dash") else [])])
def test_a_marker_that_is_typed_and_given_up_is_none(shell: str, tmp_path: Path) -> None:
    async def main() -> None:
        with Server() as tmux:
            prompt(tmux, shell)
            async with watching(tmux, tmp_path) as (world, _):
                tmux.run("send-keys", "-t", "%0", "-l", TYPED)
                tmux.run("send-keys", "-t", "%0", "C-c")
                await said(tmux, world, "ran")

    asyncio.run(main())


@pytest.mark.parametrize("shell", EDITORS)
def test_lines_that_are_pasted_are_no_markers_and_what_they_print_is_one(shell: str, tmp_path: Path) -> None:
    async def main() -> None:
        with Server() as tmux:
            prompt(tmux, shell)
            async with watching(tmux, tmp_path) as (world, _):
                tmux.run("set-buffer", "-b", "x", "--", f"true\n{TYPED}\necho 0 problems were ex''pected")
                tmux.run("paste-buffer", "-d", "-p", "-r", "-b", "x", "-t", "%0")
                tmux.run("send-keys", "-t", "%0", "Enter")
                await world.until(lambda: lines(world).count("0 problems were expected") == 1)
                await said(tmux, world, "ran")
                assert not [line for line in lines(world) if "ex''pected" in line]

    asyncio.run(main())


@pytest.mark.parametrize("shell", EDITORS)
def test_a_command_that_is_recalled_is_heard_again_and_its_echo_is_not(shell: str, tmp_path: Path) -> None:
    async def main() -> None:
        with Server() as tmux:
            prompt(tmux, shell)
            async with watching(tmux, tmp_path) as (world, _):
                await said(tmux, world, "ran")
                tmux.run("send-keys", "-t", "%0", "Up", "Enter")
                await world.says("ran", "ran")
                tmux.run("send-keys", "-t", "%0", "clear", "Enter")
                await said(tmux, world, "ran", "ran", "ran")

    asyncio.run(main())
