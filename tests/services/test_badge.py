"""The badge: its text for all counts, and that it reaches a real client's status line cheaply."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from tests.plugin.serving import serving
from tests.plugin.terminal import Server

from tmux_agent.services.tmux import badge
from tmux_agent.services.tmux.badge import Badge, Counts, Styles, render
from tmux_agent.services.tmux.control import Connected

PLAIN = Styles(working="", waiting="", done="", error="", limit="", warning="")
STATUS = (
    "set -g status-right-length 100\nset -g status-interval 0\n"
    "set -g status-right '[#{tmux_agent}|#{?tmux_agent_pending,#{TMUX_AGENT_PENDING} wait,none}]'\n"
    "set -g window-status-current-format '<#{E:##{TMUX_AGENT_W_#{window_id}#}}#W>'\n"
)


@pytest.mark.parametrize(
    ("counts", "ascii_only", "width", "text"),
    [
        (Counts(), False, 200, ""),
        (Counts(working=4, waiting=3), False, 200, "⏵4 ⏸3"),
        (Counts(working=4, waiting=3), True, 200, "4> 3!"),
        (Counts(working=4, waiting=3, error=1), False, 60, "⏸3 ✗1"),
        (Counts(working=4), False, 60, ""),
        (Counts(done=2, error=1), False, 200, "✓2 ✗1"),
        (Counts(error=1, limit=2), False, 200, "✗1 ◷2"),
        (Counts(error=1, limit=2), True, 200, "1x 2~"),
        (Counts(limit=2), False, 60, ""),
        (Counts(working=1, warning="policy"), False, 200, "⏵1 tmux-agent ⚠ policy"),
    ],
)
def test_text(counts: Counts, ascii_only: bool, width: int, text: str) -> None:
    """Counts become few, fixed marks; nothing when no agent runs; with little room what waits comes first."""
    assert render(counts, ascii_only=ascii_only, styles=PLAIN, width=width) == text


def test_foreign_text_is_not_tmux_language() -> None:
    """A warning's word cannot bring styles, formats or control characters."""
    text = render(Counts(warning="#[bg=red]#(touch x)\x1b[2J"), styles=PLAIN)
    assert "##[bg=red]##(touch" in text
    assert "\x1b" not in text


def test_bad_style_is_left_out() -> None:
    """A style with what could end the style tag is not used."""
    assert render(Counts(waiting=1), styles=Styles(waiting="fg=red]#(touch x)")) == "⏸1"


def test_style_leaves_the_theme_as_it_was() -> None:
    """The part's own style ends with the part."""
    assert render(Counts(waiting=1)).startswith("#[push-default]#[fg=red,bold]⏸1#[default]#[pop-default]")
    assert badge.window_mark("idle") == ""
    assert badge.window_mark("working sandbox", ascii_only=True).endswith("+ ")
    assert badge.window_mark("waiting sandbox").endswith("▣ ")


@pytest.fixture
def tmux() -> Iterator[Server]:
    with Server(STATUS) as server:
        server.run("new-session", "-d", "-s", "main", "-n", "win")
        yield server


def test_shown_on_a_real_client(tmux: Server) -> None:
    """Counts and window marks stand in the status line, coloured, and go when there is nothing to say."""
    terminal = tmux.attach()

    async def main() -> None:
        async with serving(tmux) as (server, events):
            await events.wait_for(Connected)
            shown = Badge(server)
            shown.show(Counts(working=4, waiting=3), {"@0": "waiting"})
            await asyncio.to_thread(terminal.wait_for, "[⏵4 ⏸3|3 wait]")
            await asyncio.to_thread(terminal.wait_for, "<⏸ win>")
            row = terminal.screen().buffer[29]
            waiting = next(cell for cell in row.values() if cell.data == "⏸")
            assert (waiting.fg, waiting.bold) == ("red", True)
            bracket = next(cell for cell in row.values() if cell.data == "|")
            assert (bracket.fg, bracket.bold) != ("red", True)
            shown.show(Counts())
            await asyncio.to_thread(terminal.wait_for, "[|none]")
            await asyncio.to_thread(terminal.wait_for, "<win>")
            shown.show(Counts(warning="policy"))
            await asyncio.to_thread(terminal.wait_for, "[tmux-agent ⚠ policy|none]")
            await shown.close()
            assert "TMUX_AGENT_STATUS" not in tmux.run("show-environment", "-gh")

    asyncio.run(main())


def test_marks_of_a_killed_sidecar(tmux: Server) -> None:
    """What one that was killed has left at a window goes, whatever its agent does by now."""
    tmux.run("set-environment", "-gh", "TMUX_AGENT_W_@0", "⏸ ")
    terminal = tmux.attach()
    terminal.wait_for("<⏸ win>")

    async def main() -> None:
        async with serving(tmux) as (server, events):
            await events.wait_for(Connected)
            shown = Badge(server)
            shown.show(Counts(working=1))
            await asyncio.to_thread(terminal.wait_for, "[⏵1|none]")
            await asyncio.to_thread(terminal.wait_for, "<win>")
            await shown.close()

    asyncio.run(main())


def test_cheap(tmux: Server) -> None:
    """A change reaches the terminal in at most 300 bytes; how soon, the bench says."""
    terminal = tmux.attach(columns=200, rows=50)

    async def main() -> list[int]:
        sizes = []
        async with serving(tmux) as (server, events):
            await events.wait_for(Connected)
            shown = Badge(server)
            shown.show(Counts(waiting=999))
            await asyncio.to_thread(terminal.wait_for, "⏸999")
            for number in range(1, 41):
                terminal.lines()
                terminal.raw.clear()
                before = terminal.bytes
                shown.show(Counts(waiting=number))
                shown.show(Counts(waiting=number, working=1))
                await asyncio.to_thread(terminal.wait_raw, f"⏸{number}".encode())
                await asyncio.to_thread(terminal.wait_for, f"⏵1 ⏸{number}|")
                sizes.append(terminal.bytes - before)
                shown.show(Counts(waiting=number, working=1))
        return sizes

    assert max(asyncio.run(main())) <= 300
