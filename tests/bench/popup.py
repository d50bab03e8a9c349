"""What a person feels: prefix + A to the first paint beside a popup that prints, key to next row, answer to agent; the
same where 200 requests wait, and one key that approves many."""

from __future__ import annotations

import contextlib
import time

import psutil
from tests.bench.world import Row, World, against, middle
from tests.plugin.terminal import Terminal

from tmux_agent.edges import hook_command

PREFIX = "\x02"
FLOOR = "import sys; print('FLOORPAINT', flush=True); sys.stdin.readline()"
# Only cells that change are painted: each differs from the others in every letter, so that it arrives in one piece.
FIRST, SECOND, NEWEST = "abcdefgh", "stuvwxyz", "klmnopqr"
PAINTED = "? more"  # the end of its last line
QUIET = 0.03  # seconds
LOOK = 0.005  # seconds between two looks at whether a popup's process has ended
CROWD = 200  # requests that wait: as many as one asker may have waiting
ALIKE = 20  # that fit on the screen


def rows(quick: bool) -> list[Row]:
    rounds = 15 if quick else 60
    many = {"TMUX_AGENT_LIMITS_ASKS_BURST": "2000"}  # or the limit of questions a minute would be what is measured
    with World(tmux=True, settings=many) as world, world.asker() as asker:
        assert world.tmux
        # The sidecar's own popups are as large, and start their program without a shell, too.
        floor = ("display-popup", "-E", "-w", "90%", "-h", "80%", hook_command.interpreter(), "-I", "-S", "-c", FLOOR)
        world.tmux.run("bind-key", "B", *floor)
        terminal = world.tmux.attach(columns=120, rows=40)
        for prompt in (FIRST, SECOND):
            asker.put(prompt)
            asker.when()
        terminal.wait_for("⏸2]")
        floors, paints = [], []
        moves: list[float] = []
        for _ in range(rounds):  # turn about
            floors.append(floor_paint(terminal))
            paints.append(first_paint(world, terminal, moves))
        answers = [answer(world, terminal) for _ in range(max(5, rounds // 3))]
        together = [approve_alike(world, terminal) for _ in range(max(3, rounds // 10))]
        before = psutil.Process(world.pid).memory_info().rss
        crowd_paints, crowd_moves = crowded(world, terminal, rounds)
        grown = psutil.Process(world.pid).memory_info().rss - before
    return [
        against("prefix + A → first paint", middle(floors), middle(paints), 3),
        felt("popup: key → next row", middle(moves)),
        felt("popup: answer → the agent goes on", middle(answers)),
        Row(name=f"popup: one key → {ALIKE} alike requests are answered", ours=f"{middle(together) * 1e3:.0f} ms"),
        against(f"prefix + A → first paint, {CROWD} wait, vs 2", middle(paints), middle(crowd_paints), 1.5),
        against(f"popup: key → next row, {CROWD} wait, vs 2", middle(moves), middle(crowd_moves), 1.5),
        Row(name=f"sidecar: memory for {CROWD} that wait and their popup", ours=f"{grown / 2**20:.1f} MB"),
    ]


def felt(name: str, seconds: float) -> Row:
    return Row(name=name, ours=f"{seconds * 1e3:.2f} ms", bound="< 100 ms", held=seconds < 0.1)


def press_until(terminal: Terminal, sign: str, *keys: str) -> float:
    """Seconds from pressing to `sign` on its way to the terminal."""
    while terminal.read():
        pass
    terminal.raw.clear()
    start = time.perf_counter()
    terminal.press(*keys)
    terminal.wait_raw(sign.encode())
    return time.perf_counter() - start


def floor_paint(terminal: Terminal) -> float:
    took = press_until(terminal, "FLOORPAINT", PREFIX, "B")
    terminal.press("\r")
    terminal.wait_gone("FLOORPAINT")
    return took


def first_paint(world: World, terminal: Terminal, moves: list[float]) -> float:
    took = press_until(terminal, FIRST, PREFIX, "A")
    painted(terminal)
    moves.append(press_until(terminal, SECOND, "j"))
    press_until(terminal, FIRST, "k")
    close(world, terminal)
    return took


def crowded(world: World, terminal: Terminal, rounds: int) -> tuple[list[float], list[float]]:
    """First paints and moves where `CROWD` requests wait, no two alike; the two that are looked at are the oldest."""
    moves: list[float] = []
    with world.asker() as others:
        for number in range(CROWD - 2):
            others.put(f"one of many, {number}")
            others.when()
        terminal.wait_for(f"⏸{CROWD}]")
        paints = [first_paint(world, terminal, moves) for _ in range(rounds)]
    return paints, moves


def approve_alike(world: World, terminal: Terminal) -> float:
    """Seconds from `a` on a row of alike requests to the popup saying that all are answered."""
    with world.asker() as asker:
        for _ in range(ALIKE):
            asker.put(NEWEST)
            asker.when()
        terminal.wait_for(f"⏸{ALIKE + 2}]")
        press_until(terminal, FIRST, PREFIX, "A")
        painted(terminal)
        terminal.press("\x1b[F")  # it is the last row
        terminal.wait_for(f"{ALIKE}×")
        terminal.wait(lambda text: NEWEST in text.partition("├")[2], what="its detail")
        terminal.press("\r")
        terminal.wait_for(f"approve all {ALIKE}")
        start = time.perf_counter()
        terminal.press("a")
        terminal.wait_for(f"{ALIKE} requests")
        took = time.perf_counter() - start
        close(world, terminal)
        terminal.wait_for("⏸2]")
    return took


def painted(terminal: Terminal) -> None:
    """Until the popup takes keys: the relay drops those that came before its first paint was out."""
    terminal.wait_for(PAINTED)
    while terminal.read(QUIET):
        pass


def close(world: World, terminal: Terminal) -> None:
    """Until the process that held the popup is gone, too: before that the key opens none."""
    terminal.press("q")
    terminal.wait_gone("waiting")
    while holds_popup(world.pid):
        terminal.read(LOOK)


def holds_popup(pid: int) -> bool:
    """Whether the sidecar still has a process that holds a popup open."""
    for child in psutil.Process(pid).children():
        with contextlib.suppress(psutil.Error):  # it ended while it was looked at
            if "display-popup" in child.cmdline():
                return True
    return False


def answer(world: World, terminal: Terminal) -> float:
    """Seconds from `a` in the popup to the asking program having its answer."""
    with world.asker() as asker:
        asker.ask(NEWEST)
        terminal.wait_for("⏸3]")
        press_until(terminal, FIRST, PREFIX, "A")
        painted(terminal)
        press_until(terminal, NEWEST, "\x1b[F")  # it is the last row
        terminal.wait(lambda text: NEWEST in text.partition("├")[2], what="its detail")
        start = time.perf_counter()
        terminal.press("a")
        took = asker.when() - start
        close(world, terminal)
        terminal.wait_for("⏸2]")
    return took
