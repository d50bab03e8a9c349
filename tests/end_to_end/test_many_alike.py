"""Many alike requests, from the agents' asking to the files on disk: real sidecar, real popup, one key."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.end_to_end.plugin_world import PREFIX, World, popup, press, type_line
from tests.plugin.terminal import Server, Terminal
from tests.sidecar import until

PAGE_DOWN = "\x1b[6~"


@pytest.fixture
def world() -> Iterator[World]:
    with World() as one:
        yield one


def waits(server: Server, count: int) -> None:
    """Until the badge says that so many wait."""
    until(lambda: server.run("display-message", "-p", "#{tmux_agent_pending}") == str(count))


def scroll(terminal: Terminal, sign: str) -> None:
    """Page by page until the screen says so."""
    while sign not in terminal.text():
        before = terminal.text()
        terminal.press(PAGE_DOWN)
        terminal.wait(lambda text, before=before: text != before, what=sign)  # type: ignore[misc]


def test_one_key_runs_each_that_was_shown(world: World, server: Server, terminal: Terminal) -> None:
    """Six alike and one that is not: one `a` runs six, each with its own records; the seventh waits."""
    agent = world.agent()
    numbers = [agent.run("touch", f"made{at}") for at in range(6)]
    other = agent.run("touch", "-a", "kept")
    waits(server, 7)
    screen = popup(terminal, "approve all 6")
    assert "6×  touch …" in screen
    assert all(f"touch made{at}" in screen for at in range(6))
    press(terminal, "a", "1 waiting")
    assert [agent.hear(number)["data"]["exit_code"] for number in numbers] == [0] * 6
    assert sorted(path.name for path in world.project.glob("made*")) == [f"made{at}" for at in range(6)]
    assert not (world.project / "kept").exists()
    opened = {one["request_id"]: one["data"]["digest"] for one in world.records("approval.opened")}
    answered = world.records("approval.answered")
    assert len({one["request_id"] for one in answered}) == 6
    assert all(one["data"]["digest"] == opened[one["request_id"]] for one in answered)
    assert {one["origin"]["door"] for one in answered} == {"popup"}
    press(terminal, "d", "The reason goes to the agent")
    type_line(terminal, "no")
    assert agent.hear(other)["kind"] == "Denied"
    assert world.agent_command("audit", "verify").returncode == 0


def test_one_no_for_each(world: World, server: Server, terminal: Terminal) -> None:
    """One reason, which every one of them hears; nothing runs."""
    agent = world.agent()
    numbers = [agent.run("rm", f"build{at}") for at in range(5)]
    waits(server, 5)
    popup(terminal, "deny 5")
    press(terminal, "d", "for each of the 5")
    type_line(terminal, "keep them")
    heard = [agent.hear(number) for number in numbers]
    assert {one["kind"] for one in heard} == {"Denied"}
    assert all("keep them" in one["error"] for one in heard)
    assert len(world.records("approval.answered")) == 5
    assert not world.records("action.started")


def test_of_agents_of_their_own_none_is_alike(world: World, server: Server, terminal: Terminal) -> None:
    """The same command of four programs is four rows: who asks is part of what is approved."""
    agents = [world.agent(name=f"bot{at}") for at in range(4)]
    for at, agent in enumerate(agents):
        agent.run("touch", f"made{at}")
    waits(server, 4)
    popup(terminal, "4 waiting")
    assert "4×" not in terminal.text()
    press(terminal, "x", "nothing else that waits is like this")
    press(terminal, "a", "3 waiting")
    until(lambda: len(world.records("action.finished")) == 1)


def test_who_is_answered_elsewhere_meanwhile_is_left_out(world: World, server: Server, terminal: Terminal) -> None:
    """One is denied on another terminal while its row is on the screen: it is struck out, the others are approved."""
    agent = world.agent()
    numbers = [agent.run("touch", f"made{at}") for at in range(5)]
    waits(server, 5)
    popup(terminal, "approve all 5")
    one, two = server.attach(), terminal
    popup(one, "approve all 5")
    press(one, "x", "e edit")
    one.press("j")
    one.wait(lambda text: "touch made1" in text.partition("├")[2], what="its detail")
    press(one, "d", "The reason goes to the agent")
    one.press("\r")
    two.wait_for("denied elsewhere")
    press(two, "a", "Nothing waits")
    heard = [agent.hear(number) for number in numbers]
    assert sorted(one.get("kind", "ran") for one in heard) == ["Denied", "ran", "ran", "ran", "ran"]
    assert not (world.project / "made1").exists()
    assert len(list(world.project.glob("made*"))) == 4


@pytest.mark.parametrize("size", [(40, 14), (100, 24)])
def test_a_long_queue(world: World, server: Server, size: tuple[int, int]) -> None:
    """Scrolled through page by page, approved with one key, each run once."""
    terminal = server.attach(columns=size[0], rows=size[1])
    agent = world.agent()
    count = 120 if size[0] > 60 else 30
    numbers = [agent.run("touch", f"made{at:03}") for at in range(count)]
    waits(server, count)
    terminal.press_until((PREFIX, "A"), lambda text: f"{count}×" in text, "the popup")
    terminal.press("\r")
    scroll(terminal, f"all {count}")
    press(terminal, "a", "Nothing waits")
    assert [agent.hear(number)["data"]["exit_code"] for number in numbers] == [0] * count
    assert len(list(world.project.glob("made*"))) == count
    assert len({one["request_id"] for one in world.records("approval.answered")}) == count
