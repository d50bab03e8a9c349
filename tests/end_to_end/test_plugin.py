"""From the key to the disk: real tmux clients, the sidecar that the plugin starts, and agents that ask."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.end_to_end.plugin_world import PREFIX, World, close, popup, press, type_line
from tests.plugin.terminal import Server, Terminal
from tests.sidecar import until

END, CLEAR_LINE, SUBMIT, DOWN = "\x05", "\x15", "\x13", "\x1b[B"


@pytest.fixture
def world() -> Iterator[World]:
    with World() as one:
        yield one


def waits(terminal: Terminal, count: int) -> None:
    """Until the badge says that so many wait."""
    terminal.wait_for(f"⏸{count}")


# --- answers ---------------------------------------------------------------------------------------


def test_approve_runs_what_was_shown(world: World, terminal: Terminal) -> None:
    """Key, popup, `a`: the command runs, the agent hears it, the badge goes, and the log says who and what."""
    agent = world.agent()
    number = agent.run("touch", "made here")
    waits(terminal, 1)
    screen = popup(terminal, "touch 'made here'")
    assert "feat/login" in screen
    assert not (world.project / "made here").exists()
    press(terminal, "a", "Nothing waits")
    assert agent.hear(number)["data"]["exit_code"] == 0
    assert (world.project / "made here").exists()
    close(terminal)
    terminal.wait_gone("⏸")
    (answered,) = world.records("approval.answered")
    (started,) = world.records("action.started")
    assert answered["origin"]["door"] == "popup"
    assert answered["request_id"] == started["request_id"]
    assert world.agent_command("audit", "verify").returncode == 0


def test_deny_gives_the_reason(world: World, terminal: Terminal) -> None:
    """`d` asks for a reason; nothing runs, and the agent reads it."""
    agent = world.agent()
    number = agent.run("touch", "made")
    waits(terminal, 1)
    popup(terminal, "touch made")
    press(terminal, "d", "The reason goes to the agent")
    type_line(terminal, "not on a Friday")
    heard = agent.hear(number)
    assert heard["kind"] == "Denied"
    assert "not on a Friday" in heard["error"] + str(heard["data"])
    assert not (world.project / "made").exists()
    assert "not on a Friday" in str(world.records("approval.answered"))


def test_edit_runs_the_edit(world: World, terminal: Terminal) -> None:
    """`e`, another word, the judgement, `a`: what was shown then is what runs, and is what the log holds."""
    agent = world.agent()
    number = agent.run("touch", "made")
    waits(terminal, 1)
    popup(terminal, "touch made")
    press(terminal, "e", "Ctrl-S")
    terminal.press(END, CLEAR_LINE, '["touch", "other"]')
    terminal.wait_for('"other"]')
    terminal.press(SUBMIT)
    terminal.wait_for("approve this")
    terminal.press("a")
    assert agent.hear(number)["data"]["exit_code"] == 0
    assert (world.project / "other").exists()
    assert not (world.project / "made").exists()
    (started,) = world.records("action.started")
    assert "other" in str(started)
    assert "'made'" not in str(started)


def test_refused_edit_runs_nothing(world: World, terminal: Terminal) -> None:
    """An edit that is no list of words is said to be none; Esc goes back, and the request still waits."""
    agent = world.agent()
    agent.run("touch", "made")
    waits(terminal, 1)
    popup(terminal, "touch made")
    press(terminal, "e", "Ctrl-S")
    terminal.press(END, CLEAR_LINE, "rm -rf /")
    terminal.wait_for("rm -rf /")
    terminal.press(SUBMIT)
    terminal.wait_for("not JSON")
    terminal.press("\x1b")
    terminal.wait_for("approve")
    close(terminal)
    waits(terminal, 1)
    assert not world.records("action.started")


def allow_again(terminal: Terminal, scope: str) -> None:
    """`g`, down to the first choice that says `scope`, Enter."""
    press(terminal, "g", "save and approve")
    wanted = next(at for at, row in enumerate(choices(terminal.text())) if scope in row)
    terminal.press(*[DOWN] * wanted)
    terminal.wait(lambda text: "(•)" in choices(text)[wanted], what=scope)
    terminal.press("\r")


def choices(text: str) -> list[str]:
    return [line for line in text.splitlines() if "( )" in line or "(•)" in line]


def test_allow_again_exactly_this(world: World, terminal: Terminal) -> None:
    """The narrowest grant: the same command goes through from then on, another one asks."""
    agent = world.agent()
    number = agent.run("touch", "made")
    waits(terminal, 1)
    popup(terminal, "touch made")
    allow_again(terminal, "this session")
    assert agent.hear(number)["data"]["exit_code"] == 0
    (world.project / "made").unlink()
    assert agent.hear(agent.run("touch", "made"))["data"]["exit_code"] == 0
    assert (world.project / "made").exists()
    agent.run("touch", "other")
    terminal.wait_for("touch other")
    assert len(world.records("grant.made")) == 1


def test_allow_again_for_a_while(world: World, terminal: Terminal) -> None:
    """30 minutes: a grant that is no rule on disk."""
    agent = world.agent()
    number = agent.run("touch", "made")
    waits(terminal, 1)
    popup(terminal, "touch made")
    allow_again(terminal, "30 minutes")
    assert agent.hear(number)["data"]["exit_code"] == 0
    assert len(world.records("grant.made")) == 1
    assert not (world.config / "policy.d").exists()
    close(terminal)


def test_allow_again_always(world: World, terminal: Terminal) -> None:
    """Always: a rule in policy.d/50-grants.yaml, in force at once and after a restart, and the policy checks."""
    agent = world.agent()
    number = agent.run("touch", "made")
    waits(terminal, 1)
    popup(terminal, "touch made")
    allow_again(terminal, "always")
    assert agent.hear(number)["data"]["exit_code"] == 0
    assert "touch" in (world.config / "policy.d" / "50-grants.yaml").read_text()
    checked = world.agent_command("policy", "test")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert agent.hear(agent.run("touch", "made"))["data"]["exit_code"] == 0


def test_question_is_answered_by_its_number(world: World, terminal: Terminal) -> None:
    """`2` chooses the second option, and the agent gets its words."""
    agent = world.agent()
    number = agent.ask("Which region?", options=["Frankfurt", "Virginia"])
    waits(terminal, 1)
    assert "1  Frankfurt" in popup(terminal, "Which region?")
    press(terminal, "2", "Nothing waits")
    assert agent.hear(number)["data"]["choice"] == "Virginia"


def test_several_marked_are_answered_at_once(world: World, terminal: Terminal) -> None:
    """`space` marks; `a` answers what is marked and nothing else."""
    agent = world.agent()
    numbers = [agent.run("touch", f"made{at}") for at in range(3)]
    waits(terminal, 3)
    popup(terminal, "3 waiting")
    press(terminal, " ", "1 marked")
    terminal.press("j", "j")
    press(terminal, " ", "2 marked")
    press(terminal, "a", "1 waiting")
    rows = sorted(one["data"]["action"]["argv"][-1] for one in world.records("approval.opened"))
    until(lambda: len(world.records("action.finished")) == 2)
    made = sorted(path.name for path in world.project.glob("made*"))
    assert rows == ["made0", "made1", "made2"]
    assert len(made) == 2
    terminal.wait_for(f"touch {(set(rows) - set(made)).pop()}")
    assert len(numbers) == 3


# --- more than one -----------------------------------------------------------------------------------


def test_popup_opens_where_the_key_was_pressed(world: World, server: Server) -> None:
    """Of two clients of one server only that one gets the popup, and the other goes on as it is."""
    one, two = server.attach(), server.attach()
    popup(two, "Nothing waits")
    assert "┌" not in one.text()
    popup(one, "Nothing waits")
    close(two)
    one.wait_for("Nothing waits")
    close(one)


def test_two_people_answer_at_once(world: World, server: Server) -> None:
    """One of two wins; the other is told that it is answered, and it runs once."""
    one, two = server.attach(), server.attach()
    agent = world.agent()
    number = agent.run("sh", "-c", "echo x >>made")
    waits(one, 1)
    popup(one, "echo x")
    popup(two, "echo x")
    press(one, "d", "The reason goes to the agent")  # two has the same request in front of it meanwhile
    press(two, "a", "Nothing waits")
    one.press("\r")
    one.wait(
        lambda text: "not answered" in text or "nothing to answer" in text or "elsewhere" in text, what="a refusal"
    )
    assert agent.hear(number)["data"]["exit_code"] == 0
    assert (world.project / "made").read_text() == "x\n"
    assert len(world.records("approval.answered")) == 1


def test_several_servers_show_the_same(world: World) -> None:
    """Badge and popup are on each server; what is answered on one leaves the other."""
    first, second = world.server(), world.server()
    one, two = first.attach(), second.attach()
    agent = world.agent()
    number = agent.run("touch", "made")
    waits(one, 1)
    waits(two, 1)
    popup(one, "touch made")
    popup(two, "touch made")
    press(two, "a", "Nothing waits")
    one.wait_for("elsewhere")
    one.wait_gone("⏸")
    assert agent.hear(number)["data"]["exit_code"] == 0


# --- sizes, looking elsewhere ------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(40, 14), (20, 6), (72, 14), (220, 60)])
def test_answers_in_any_size(world: World, server: Server, size: tuple[int, int]) -> None:
    """From 20x6 to a large one: the action is seen and can be approved."""
    terminal = server.attach(columns=size[0], rows=size[1])
    agent = world.agent()
    number = agent.run("touch", "made")
    until(lambda: server.run("display-message", "-p", "#{tmux_agent_pending}") == "1")
    terminal.press_until((PREFIX, "A"), lambda text: "touch made" in text, "the popup")
    terminal.press("a")
    assert agent.hear(number)["data"]["exit_code"] == 0


def test_resize_while_open(world: World, server: Server, terminal: Terminal) -> None:
    """Smaller, tiny and large again: drawn anew each time, and still answered after it. tmux 3.2 closes a popup when
    its terminal changes its size: then the key opens it again."""
    agent = world.agent()
    number = agent.run("touch", "made")
    waits(terminal, 1)
    popup(terminal, "1 waiting")
    for size in ((60, 20), (40, 14), (20, 6), (120, 40)):
        terminal.resize(*size)
        if server.run("display-message", "-p", "#{version}").startswith("3.2"):
            terminal.wait(lambda text: "[" in text.splitlines()[-1] and "┌" not in text, what="no popup")
            while "touch made" not in terminal.text():  # no press counts before the former popup's process has ended
                terminal.press(PREFIX, "A")
                terminal.read(0.5)
        terminal.wait_for("touch made")
    press(terminal, "a", "Nothing")
    assert agent.hear(number)["data"]["exit_code"] == 0


def test_narrow_status_line_shows_what_waits(world: World, server: Server) -> None:
    """On a narrow client what waits has room, and what merely works has none."""
    agent = world.agent()
    agent.call("agent.state", state="working")
    wide = server.attach()
    wide.wait_for("⏵1")
    server.run("set", "-g", "status-left", "")
    narrow = server.attach(columns=40, rows=12)
    agent.ask("Well?")
    narrow.wait(lambda text: "⏸1" in text and "⏵" not in text, what="what waits, alone")


def test_goes_to_the_pane_and_looks_at_it(world: World, server: Server, terminal: Terminal) -> None:
    """`p` shows the agent's pane, `o` closes the popup and goes there."""
    agent = world.agent_in(server)
    agent.known()
    agent.start("human.ask", prompt="May I?")
    waits(terminal, 1)
    server.run("new-session", "-d", "-s", "elsewhere")
    server.run("switch-client", "-c", terminal.tty, "-t", "elsewhere")
    screen = popup(terminal, "May I?")
    assert "work:1" in screen
    press(terminal, "p", "its last lines")
    terminal.press("\x1b")
    terminal.wait_gone("its last lines")
    press(terminal, "o", "1:bot*")
    terminal.wait_gone("May I?")
    assert f"{terminal.tty} work" in server.run("list-clients", "-F", "#{client_tty} #{session_name}")


def test_withdrawn_stays_marked_while_selected(world: World, terminal: Terminal) -> None:
    """An agent that goes takes its request with it: the row says so and takes no answer, and leaves when it is left."""
    gone, stays = world.agent(name="goner"), world.agent(name="stayer")
    gone.ask("First?")
    waits(terminal, 1)
    number = stays.ask("Second?")
    waits(terminal, 2)
    popup(terminal, "2 waiting")
    gone.close()
    terminal.wait_for("withdrawn")
    terminal.wait_for("1 waiting")
    press(terminal, "a", "nothing to answer")
    terminal.press("j")
    terminal.wait_gone("First?")
    press(terminal, "a", "Nothing waits")
    assert stays.hear(number)["data"]["approved"]


def test_what_ends_meanwhile_is_said(world: World, terminal: Terminal) -> None:
    """A request whose time is up while it is looked at says so; its answer is refused with that."""
    agent = world.agent()
    popup(terminal, "Nothing waits")
    for seconds in (2.0, 10.0, 50.0):  # on a slow machine it is over before it can be seen
        number = agent.ask(f"Within {seconds}?", timeout_secs=seconds)
        if "1 waiting" in terminal.wait_for(f"Within {seconds}?"):
            break
    terminal.wait_for("expired")
    assert agent.hear(number)["kind"] == "Expired"
    press(terminal, "a", "nothing to answer")


def test_mark_of_a_window(world: World) -> None:
    """The option of the README puts a mark before the name of the window whose agent waits."""
    config = "set -g window-status-format '#{E:##{TMUX_AGENT_W_#{window_id}#}}#I:#W'\n"
    server = world.server(config)
    terminal = server.attach()
    agent = world.agent_in(server)
    agent.known()
    agent.start("human.ask", prompt="May I?")
    terminal.wait_for("⏸ 1:bot")


def test_keys_typed_blind_answer_nothing(world: World, terminal: Terminal) -> None:
    """Keys that were typed before anything could be seen answer nothing; Enter does not either."""
    agent = world.agent()
    agent.ask("Really?")
    waits(terminal, 1)
    terminal.press(f"{PREFIX}Aaaa")
    terminal.wait_for("Really?")
    terminal.press("\r")
    close(terminal)
    waits(terminal, 1)
    assert not world.records("approval.answered")


def test_nothing_of_ours_stays_after_unloading(world: World, server: Server, terminal: Terminal) -> None:
    """uninstall.sh with a real sidecar: no process, key, hook, variable, session is left of it."""
    terminal.wait(lambda _: bool(world.alive(server)))
    scripts = Path(__file__).parents[2] / "scripts"
    server.run("run-shell", f"'{scripts}/uninstall.sh'")
    assert "tmux_agent" not in server.run("show-environment", "-gh").lower()
    assert "tmux-agent" not in server.run("list-keys") + server.run("show-hooks", "-g")
    assert server.run("list-sessions", "-F", "#{session_name}") == "work"
    until(lambda: not [one for one in world.processes() if "tmux_agent" in " ".join(one.cmdline())])
