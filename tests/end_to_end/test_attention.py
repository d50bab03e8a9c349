"""New requests tell the person at the client in use, in the ways that were chosen, and not when they may not."""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest
from tests.end_to_end.plugin_world import PREFIX, ROOT, World, close
from tests.patience import AGAIN, PATIENCE
from tests.plugin.terminal import Server, Terminal
from tests.sidecar import until

HELD = 3.0  # seconds for which something that is held back is waited for in vain: it would come after two
ATTACK = ROOT / "tests/end_to_end/attack.py"
TYPING = "set -g @tmux-agent-attention-idle 7\n"  # a machine that stalls for a while does not look like a pause
BEL, OSC9, OSC777 = b"\a", b"\x1b]9;", b"\x1b]777;notify;tmux-agent;"


@pytest.fixture
def world() -> Iterator[World]:
    with World() as one:
        yield one


class Stage:
    """A person at a client who wants to be told in these ways, and an agent outside of every pane."""

    def __init__(self, world: World, ways: str, config: str = "") -> None:
        idle = f"set -g @tmux-agent-attention '{ways}'\nset -g @tmux-agent-attention-idle 1\nset -sg escape-time 0\n"
        self.world = world
        self.server = world.server(f"{idle}{config}")
        self.person = self.server.attach(columns=110)
        self.agent = world.agent()
        self.person.wait_for("[work]")

    @property
    def version(self) -> tuple[int, int]:
        major, _, minor = self.server.run("display-message", "-p", "#{version}").partition(".")
        return int(major), int(minor[0])

    def ask(self, prompt: str = "Deploy now?") -> int:
        return self.agent.ask(prompt)

    def opened(self, count: int = 1) -> None:
        until(lambda: len(self.world.records("approval.opened")) == count)


def gets(terminal: Terminal, data: bytes, count: int = 1) -> None:
    terminal.wait(lambda _: terminal.raw.count(data) >= count, what=repr(data))


def sees_nothing(terminal: Terminal, sign: Callable[[str], bool]) -> None:
    assert not terminal.sees(sign, HELD), terminal.text()


def needs(stage: Stage, version: tuple[int, int]) -> bool:
    """Popups and messages by themselves need tmux 3.3: nothing comes before."""
    if stage.version >= version:
        return True
    stage.ask()
    stage.opened()
    sees_nothing(stage.person, lambda text: "Deploy now?" in text)
    return False


def test_nothing_is_told_unless_it_was_chosen(world: World) -> None:
    """With the option as it is by itself a request changes the badge, and nothing else comes."""
    stage = Stage(world, "")
    before = len(stage.person.raw)
    stage.ask()
    stage.person.wait_for("⏸1")
    sees_nothing(stage.person, lambda text: "┌" in text or "Deploy" in text)
    assert BEL not in stage.person.raw[before:]
    assert b"\x1b]" not in stage.person.raw[before:]


def test_a_message_and_its_words(world: World) -> None:
    """Who asks, how bad it is and what, in the status line of the client."""
    stage = Stage(world, "message")
    if needs(stage, (3, 3)):
        stage.agent.run("rm", "-rf", "build")
        stage.person.wait(lambda text: "asks (" in text and "rm -rf build" in text)


def test_bell_and_notifications(world: World) -> None:
    """The terminal of the client gets each once, with the sentence in it, and no other client does."""
    stage = Stage(world, "bell osc9 osc777")
    other = stage.server.attach()
    stage.person.press_until(("x",), lambda _: in_use(stage.server) == stage.person.tty, "the client in use")
    before = other.raw.count(BEL)
    stage.ask()
    gets(stage.person, OSC9)
    gets(stage.person, OSC777)
    gets(stage.person, BEL)
    assert b"Deploy now?\x1b\\" in stage.person.raw
    other.text()
    assert other.raw.count(BEL) == before
    assert OSC9 not in other.raw


def in_use(server: Server) -> str:
    rows = server.run("list-clients", "-F", "#{client_activity} #{client_tty}").splitlines()
    times = sorted((row.split(" ") for row in rows if " /" in row), reverse=True)
    return times[0][1] if len(times) == 1 or times[0][0] != times[1][0] else ""


def test_bursts_are_one(world: World) -> None:
    """Many at once make one notification that says how many."""
    stage = Stage(world, "osc9", TYPING)
    stage.person.press("x")
    for number in range(5):
        stage.ask(f"Number {number}?")
    gets(stage.person, b"5 wait: ")
    assert stage.person.raw.count(OSC9) == 1


def test_the_popup_comes_and_answers_only_who_has_seen_it(world: World) -> None:
    """It comes by itself at the new request; a key answers once its person has had time to see it."""
    stage = Stage(world, "popup")
    if not needs(stage, (3, 3)):
        return
    number = stage.ask()
    stage.person.wait(lambda text: "┌" in text and "Deploy now?" in text)
    press_until_answered(stage)
    assert stage.agent.hear(number)["data"]["approved"] is True
    close(stage.person)


def press_until_answered(stage: Stage) -> None:
    """Presses a, then looks for as long as a person does."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        stage.person.press("a")
        if stage.person.sees(lambda text: "approved" in text, AGAIN):
            return
    raise AssertionError(stage.person.text())


def test_q_closes_what_came_by_itself(world: World) -> None:
    """At once, and it does not come again for what was seen."""
    stage = Stage(world, "popup")
    if not needs(stage, (3, 3)):
        return
    stage.ask()
    stage.person.wait(lambda text: "┌" in text and "Deploy now?" in text)
    close(stage.person)
    sees_nothing(stage.person, lambda text: "┌" in text)


@pytest.mark.parametrize("way", ["popup", "message", "bell"])
def test_never_while_the_person_types(world: World, way: str) -> None:
    """As long as keys come nothing does; after a pause it does."""
    stage = Stage(world, way, TYPING)
    if way != "bell" and not needs(stage, (3, 3)):
        return
    stage.person.press("x")
    stage.ask()

    def came(text: str) -> bool:
        return "Deploy now?" in text or BEL in stage.person.raw

    end = time.monotonic() + HELD
    while time.monotonic() < end:
        assert not stage.person.sees(came, 0.2), stage.person.text()
        stage.person.press("x")
    stage.person.wait(came)


COVERS = {
    "another popup": (("display-popup", "-E", "echo theirs; read x"), "theirs", "\r"),
    "a menu": (("display-menu", "-T", "theirs", "line", "l", "show-options"), "theirs", "q"),
}


@pytest.mark.parametrize(("way", "cover"), [("popup", "another popup"), ("popup", "a menu"), ("message", "a menu")])
def test_never_over_what_covers(world: World, way: str, cover: str) -> None:
    """A popup or menu of somebody else's stays as it is; the request is told once that is closed."""
    stage = Stage(world, way)
    if not needs(stage, (3, 3)):
        return
    words, sign, key = COVERS[cover]
    argv = stage.server.argv(words[0], "-c", stage.person.tty, *words[1:])
    process = subprocess.Popen(argv, env={**world.environ, "TERM": "xterm"})
    stage.person.wait_for(sign)
    border = [line for line in stage.person.lines() if "─" in line]
    stage.ask()
    stage.opened()
    sees_nothing(stage.person, lambda text: "Deploy now?" in text)
    assert [line for line in stage.person.lines() if "─" in line] == border
    stage.person.press(key)
    stage.person.wait(lambda text: "Deploy now?" in text and sign not in text)
    process.wait(PATIENCE)


PROMPTS = [
    ("popup", ":", ":", "\x1b"),
    ("popup", "x", "(y/n)", "n"),
    ("message", "x", "(y/n)", "n"),
    ("popup", "[", "[0/", "q"),
]


@pytest.mark.parametrize(("way", "key", "sign", "leave"), PROMPTS)
def test_never_over_a_prompt_or_copy_mode(world: World, way: str, key: str, sign: str, leave: str) -> None:
    """command-prompt, confirm-before and copy mode keep the keys and the screen; afterwards the request is told."""
    stage = Stage(world, way)
    if not needs(stage, (3, 3)):
        return
    stage.person.press_until((PREFIX, key), lambda text: any(sign in line for line in marks(text)))
    stage.ask()
    stage.opened()
    sees_nothing(stage.person, lambda text: "Deploy now?" in text)
    assert any(sign in line for line in marks(stage.person.text()))
    stage.person.press(leave)
    stage.person.wait_for("Deploy now?")


def marks(text: str) -> list[str]:
    """The first line and the last: where copy mode and prompts say what they are."""
    lines = text.splitlines()
    return [lines[0], lines[-1]]


def test_not_about_the_pane_that_is_looked_at(world: World) -> None:
    """Who looks at the asking pane with the terminal in front sees it there; behind another window they do not."""
    stage = Stage(world, "bell")
    bot = world.agent_in(stage.server)
    bot.known()
    stage.server.run("select-window", "-t", bot.window)
    bot.start("human.ask", prompt="Here I am?")
    stage.person.wait_for("⏸1")
    assert not stage.person.sees(lambda _: BEL in stage.person.raw, HELD)
    stage.person.press("\x1b[O")  # the terminal says that it is not in front any more
    until(lambda: "focused" not in flags(stage.server, stage.person))
    bot.start("human.ask", prompt="And now?")
    gets(stage.person, BEL)


def flags(server: Server, terminal: Terminal) -> str:
    rows = server.run("list-clients", "-F", "#{client_tty} #{client_flags}").splitlines()
    return dict(row.split(" ") for row in rows if row.startswith("/"))[terminal.tty]


def test_not_where_our_popup_is_open(world: World) -> None:
    """The new row is in front of the person; nothing else comes, then or afterwards."""
    stage = Stage(world, "message bell")
    stage.person.press_until((PREFIX, "A"), lambda text: "Nothing waits" in text)
    stage.ask()
    stage.person.wait_for("1 waiting")
    assert not stage.person.sees(lambda _: BEL in stage.person.raw, HELD)
    close(stage.person)
    assert not stage.person.sees(lambda text: BEL in stage.person.raw or "Deploy" in text, HELD)


def test_answered_meanwhile_is_not_told(world: World) -> None:
    """What was withdrawn while it was held back is told to nobody."""
    stage = Stage(world, "bell", TYPING)
    stage.person.press("x")
    stage.ask()
    stage.opened()
    stage.person.press("x")
    stage.agent.close()
    until(lambda: world.records("approval.withdrawn"))
    assert not stage.person.sees(lambda _: BEL in stage.person.raw, 3 * HELD)


def test_who_comes_later_is_told(world: World) -> None:
    """With nobody attached it waits for the first client."""
    stage = Stage(world, "bell")
    stage.person.close()
    until(lambda: "/dev/" not in stage.server.run("list-clients", "-F", "#{client_tty}"))
    stage.ask()
    stage.opened()
    late = stage.server.attach()
    gets(late, BEL)


def test_an_agents_own_client_is_not_the_one_in_use(world: World) -> None:
    """Keys on a client that an agent attached draw nothing away from the person's."""
    stage = Stage(world, "osc9")
    words = [sys.executable, "-I", "-S", str(ATTACK), str(world.folder / "out"), "press", stage.server.socket]
    stage.server.run("new-window", "-d", "-t", "work:", f"{shlex.join(words)} {'x ' * 200}; exec cat")
    until(lambda: stage.server.run("list-clients", "-F", "#{client_tty}").count("/dev/") == 2)
    stage.ask()
    gets(stage.person, OSC9)
    assert not (world.folder / "out").exists(), "it still presses keys"


def test_unknown_words_are_told(world: World) -> None:
    """A word that nobody knows is named when the plugin is loaded."""
    server = world.server("set -g @tmux-agent-attention 'bel message'\n")
    server.attach(columns=120).wait_for("known are popup message bell osc9 osc777, not bel")
