"""The menus and the key to the next that waits, as a person uses them: real tmux, plugin, sidecar and client."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.end_to_end.plugin_world import PREFIX, PaneAgent, World, no_popup, press
from tests.plugin.terminal import Server, Terminal
from tests.sidecar import until

KEYS = "set -g @tmux-agent-key-agent F5\nset -g @tmux-agent-key-pending F6\n"
F5, F6 = "\x1b[15~", "\x1b[17~"
ROOT_OF_AGENT = "go to its pane"


@pytest.fixture
def world() -> Iterator[World]:
    with World() as one:
        yield one


class Stage:
    """A person at a client, and an agent in a window of its own that asks something."""

    def __init__(self, world: World, *, columns: int = 100, name: str = "pane-bot") -> None:
        self.world = world
        self.server = world.server(KEYS)
        self.person = self.server.attach(columns=columns)
        self.bot = world.agent_in(self.server, name=name)
        self.bot.known()

    def ask(self, prompt: str = "May I deploy?") -> int:
        number = self.bot.start("human.ask", prompt=prompt)
        self.person.wait_for("⏸")
        return number

    def menu(self, key: str, sign: str) -> str:
        return self.person.press_until((PREFIX, key), lambda text: sign in text, f"a menu with {sign!r}")


def window(server: Server) -> str:
    """The pane that the client's session shows."""
    return server.run("display-message", "-p", "-t", "work:", "#{pane_id}")


def test_the_main_menu_leads_everywhere(world: World) -> None:
    """Its lines lead to the popup, to what waits as a menu, to the next that waits, and to each agent's menu."""
    stage = Stage(world)
    stage.ask()
    stage.menu("G", "what waits (1)")
    stage.person.press("a")
    stage.person.wait(lambda text: "1 waiting" in text and "May I deploy?" in text)
    no_popup(stage.server, stage.person)
    stage.menu("G", "what waits (1)")
    stage.person.press("1")
    stage.person.wait_for(ROOT_OF_AGENT)
    stage.person.press("q")
    stage.person.wait_gone(ROOT_OF_AGENT)
    stage.menu("G", "what waits (1)")
    stage.person.press("m")
    assert "question “pane-bot”  May I deploy?" in stage.person.wait(lambda text: "─ 1 waiting" in text)
    stage.person.press("q")
    stage.person.wait_gone("1 waiting")
    stage.menu("G", "what waits (1)")
    stage.person.press("n")
    until(lambda: window(stage.server) == stage.bot.pane)
    stage.menu("G", "this pane: “pane-bot”")
    stage.person.press("t")
    stage.person.wait_for(ROOT_OF_AGENT)
    assert not world.records("approval.answered")


def test_a_line_of_what_waits_leads_to_the_whole_action(world: World) -> None:
    """Choosing a request opens the popup at it, wherever it stands in the list; there it is answered as always."""
    stage = Stage(world)
    stage.ask("The first?")
    number = stage.bot.start("human.ask", prompt="The second?")
    stage.person.wait_for("⏸2")
    stage.menu(F6, "2 waiting")
    stage.person.press("2")
    stage.person.wait(lambda text: "The second?" in text and "because" in text)
    press(stage.person, "a", "approved")
    assert stage.bot.hear(number)["data"]["approved"] is True
    (record,) = world.records("approval.answered")
    assert (record["origin"]["role"], record["origin"]["door"]) == ("operator", "popup")


def test_nothing_waits_is_said(world: World) -> None:
    """Keys that find nothing say so in the status line, and open nothing."""
    stage = Stage(world)
    stage.person.press_until((PREFIX, F6), lambda text: "nothing waits for you" in text)
    stage.person.press_until((PREFIX, "N"), lambda text: "nobody waits for you" in text)
    stage.person.press_until((PREFIX, F5), lambda text: "no agent is known in this pane" in text)


def test_an_agents_menu_reads_and_jumps(world: World) -> None:
    """From another pane: its last lines, its log, and its pane; none of it changes anything."""
    stage = Stage(world)
    number = stage.bot.start("human.ask", prompt="Shall I?")
    stage.person.wait_for("⏸")
    stage.server.run("select-window", "-t", stage.bot.window)
    stage.menu(F5, "answer  Shall I?")
    stage.person.press("l")
    stage.person.wait(lambda text: "audit log" in text and "approval.opened" in text)
    no_popup_in(stage)
    stage.menu(F5, ROOT_OF_AGENT)
    stage.person.press("p")
    stage.person.wait_for(f"({stage.bot.pane})")
    no_popup_in(stage)
    stage.server.run("select-window", "-t", "work:0")
    stage.menu("G", "waiting (1)")
    stage.person.press("1")
    stage.person.wait_for(ROOT_OF_AGENT)
    stage.person.press("o")
    until(lambda: window(stage.server) == stage.bot.pane)
    stage.menu(F5, "answer  Shall I?")
    stage.person.press("a")
    stage.person.wait(lambda text: "Shall I?" in text and "because" in text)
    press(stage.person, "a", "approved")
    assert stage.bot.hear(number)["data"]["approved"] is True


def no_popup_in(stage: Stage) -> None:
    stage.person.press_until(("q",), lambda text: "┌" not in text, "the end of the page")


def test_killing_asks_first(world: World) -> None:
    """Esc leaves the pane alive; y closes it, and the log says that a person did, from where."""
    stage = Stage(world)
    stage.ask()
    open_page(stage, "x", "kill")
    stage.person.press("\x1b")
    stage.person.wait_gone("do it")
    assert stage.bot.pane in stage.server.run("list-panes", "-a", "-F", "#{pane_id}").split()
    assert not world.records("action.started")
    open_page(stage, "x", "kill")
    stage.person.press_until(("y",), lambda text: "do it" not in text)
    until(lambda: stage.bot.pane not in stage.server.run("list-panes", "-a", "-F", "#{pane_id}").split())
    until(lambda: world.records("action.finished"))
    decision = world.records("decision")[-1]
    assert decision["data"]["action"] == {
        "type": "tmux", "verb": "kill_pane", "target": stage.bot.pane, "server": stage.server.socket,
    }  # fmt: skip
    assert decision["data"]["rule"] == "a person"
    origin = decision["origin"]
    assert (origin["role"], origin["door"], origin["client"]) == ("operator", "popup", stage.person.tty)


def test_interrupting_asks_first(world: World) -> None:
    """y sends the key that the page names to the agent's pane; who is no agent that we know gets Ctrl-C."""
    stage = Stage(world)
    stage.ask()
    open_page(stage, "i", "interrupt")
    assert "C-c" in stage.person.text()
    stage.person.press_until(("y",), lambda text: "do it" not in text)
    until(lambda: "^C" in stage.server.run("capture-pane", "-p", "-t", stage.bot.pane))
    assert world.records("decision")[-1]["data"]["action"]["keys"] == ["C-c"]


def open_page(stage: Stage, key: str, verb: str) -> None:
    stage.menu("G", "waiting (1)" if stage.world.records("approval.opened") else "what waits")
    stage.person.press("1")
    stage.person.wait_for(ROOT_OF_AGENT)
    stage.person.press(key)
    stage.person.wait(lambda text: verb in text and "do it" in text)


def test_the_policy_may_deny_what_a_menu_offers(world: World) -> None:
    """A rule that denies killing holds for the menu, too; the page says so and nothing is done."""
    rule = "rules:\n- name: panes live\n  when: {tmux: [kill_pane]}\n  verdict: deny\n  reason: panes are kept\n"
    (world.config / "policy.d").mkdir()
    (world.config / "policy.d" / "10-mine.yaml").write_text(rule)
    stage = Stage(world)
    stage.ask()
    open_page(stage, "x", "kill")
    stage.person.press_until(("y",), lambda text: "panes are kept" in text)
    assert stage.bot.pane in stage.server.run("list-panes", "-a", "-F", "#{pane_id}").split()


def test_next_goes_round(world: World) -> None:
    """The oldest that was not gone to, then the others, then round; alone it says that one is there already."""
    stage = Stage(world)
    bots = [stage.bot, world.agent_in(stage.server, window="two"), world.agent_in(stage.server, window="three")]
    for count, bot in enumerate(bots, 1):
        bot.known()
        bot.start("human.ask", prompt=f"Number {count}?")
        stage.person.wait_for(f"⏸{count}")
    for bot in (*bots, bots[0]):
        stage.person.press_until((PREFIX, "N"), lambda _, bot=bot: window(stage.server) == bot.pane)  # type: ignore[misc]
    for bot in bots[1:]:
        stage.server.run("kill-pane", "-t", bot.pane)
    stage.person.wait_for("⏸1")
    stage.person.press_until((PREFIX, "N"), lambda text: "nobody else waits" in text)


def test_next_reaches_other_sessions(world: World) -> None:
    """The person's own client is taken there, and no other."""
    stage = Stage(world)
    other = stage.server.attach()
    stage.server.run("new-session", "-d", "-s", "far", "-c", str(world.project))
    bot = PaneAgent(world, stage.server, "far")
    bot.known()
    bot.start("human.ask", prompt="From afar?")
    stage.person.wait_for("⏸1")

    def session(terminal: Terminal) -> str:
        rows = stage.server.run("list-clients", "-F", "#{client_tty} #{session_name}").splitlines()
        return dict(row.split(" ") for row in rows if row.startswith("/")).get(terminal.tty, "")

    stage.person.press_until((PREFIX, "N"), lambda _: session(stage.person) == "far")
    assert session(other) == "work"


@pytest.mark.parametrize("columns", [40, 100])
def test_menus_show_hostile_text_and_run_none(world: World, columns: int) -> None:
    """Names and questions that would act in tmux are shown, at 40 columns too; choosing such a line works."""
    flag = world.folder / "flag"
    hostile = f"#[bg=red]#(touch {flag})%H 日本語\x1b[31m\u202e'; run-shell 'touch {flag}"
    stage = Stage(world, columns=columns, name=f"-{hostile}#")
    stage.ask(hostile * 50)
    for key, sign in (("G", "what waits (1)"), (F6, "1 waiting")):
        stage.menu(key, sign)
        screen = stage.person.screen()
        assert not [char for row in screen.buffer.values() for char in row.values() if char.bg == "red"]
        stage.person.press("1")
        stage.person.wait_gone(f"─ {sign}")
        if key == "G":
            stage.person.wait_for(ROOT_OF_AGENT)
            stage.person.press("q")
            stage.person.wait_gone(ROOT_OF_AGENT)
    stage.person.wait_for("#[bg=red]")
    assert not flag.exists()
