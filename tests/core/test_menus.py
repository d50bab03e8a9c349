"""core/menus.py: what stands in a menu, how it is written for tmux, and that no text of an agent's acts there."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from tmux_agent.core import display, menus
from tmux_agent.core.model import Agent, AgentState, Approval, Ask, Command, Limit, Origin, Risk, Role, digest

NOW = datetime(2026, 11, 20, tzinfo=UTC)
HOSTILE = (
    "#(touch /tmp/x)", "#[bg=red]x", "#{E:pane_title}", "##[x", "%H:%M %%", "one\ntwo\r\n\t", "a\u202eb\u200b", "-x",
    "", " ",
    "\x1b[2J\x1b]0;t\x07", "x" * 100_000, "日本語" * 500, "end#", "####", "\ud800", "'\"; run-shell x ; {",
)  # fmt: skip


def origin(text: str = "", pane: str = "%1") -> Origin:
    return Origin(role=Role.AGENT, why="", uid=1, pid=7, server="/s", pane=pane, place=text or "shop:1", name=text)


def request(action: Ask | Command, text: str = "", number: int = 1) -> Approval:
    return Approval(
        request_id=f"R{number}", digest=digest(action), action=action, origin=origin(text), created=NOW, risk=Risk.HIGH
    )


def agent(text: str = "claude", pane: str = "%1") -> Agent:
    return Agent(
        session="s", kind=text, state=AgentState.WORKING, since=NOW, server="/s", pane=pane, place=text, name=text
    )


def written(menu: menus.Menu, columns: int = 100, rows: int = 30) -> list[tuple[str, str, str]]:
    """(name, key, command) of each line; a line between others is ("", "", "")."""
    out, left = [], menus.words(menu, columns, rows, lambda number: f"choose {number}")
    while left:
        size = 3 if left[0] else 1
        out.append(tuple([*left[:size], "", ""][:3]))
        left = left[size:]
    return [(name, key, command) for name, key, command in out]


def test_choices_have_the_numbers_that_are_written() -> None:
    """The number in a line's command is the place of its choice; lines between others have none."""
    one = agent()
    menu = menus.agent(one, [request(Command(argv=("rm", "x"), cwd="/"))])
    lines = written(menu)
    assert [command for _, _, command in lines if command] == [f"choose {n}" for n in range(len(menu.choices))]
    by_key = {key: menu.choices[int(command.split()[1])] for _, key, command in lines if command}
    assert by_key["a"] == menus.Choice(to="popup", request_id="R1")
    assert by_key["o"] == menus.Choice(to="pane", pane="%1")
    assert {key: by_key[key].page.what for key in "plix" if by_key[key].page} == {
        "p": "read", "l": "log", "i": "interrupt", "x": "kill",
    }  # fmt: skip
    assert lines[0][0].startswith("high     answer  rm x")


def test_only_who_is_at_its_limit_can_be_had_to_go_on() -> None:
    """And not who goes on by itself; the line leads to a page that asks first."""

    def offered(limit: Limit | None) -> list[menus.Choice]:
        menu = menus.agent(msgspec.structs.replace(agent(), limit=limit), [])
        return [choice for choice in menu.choices if choice.page and choice.page.what == "resume"]

    reached = Limit(words="limit", noticed=NOW)
    (choice,) = offered(reached)
    assert choice.page
    assert (choice.to, choice.page.pane) == ("page", "%1")
    assert offered(None) == offered(msgspec.structs.replace(reached, alone=True)) == []


def test_no_choice_answers() -> None:
    """Whatever a menu offers leads somewhere; none carries a digest or a yes."""
    pending = [request(Ask(prompt="yes?"), number=n) for n in range(3)]
    for menu in (menus.main(pending, [agent()], agent()), menus.pending(pending), menus.agent(agent(), pending)):
        assert {choice.to for choice in menu.choices} <= {
            "popup", "pane", "page", "pipelines", "fleet", "spawn", "agent", "pending", "next",
        }  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("columns", [20, 40, 100, 300])
def test_hostile_text_is_only_shown(text: str, columns: int) -> None:
    """Every field of an agent's in every menu: bounded, on one line, no format, no style, no line lost, none dimmed."""
    pending = [request(Ask(prompt=text), text), request(Command(argv=("x", text), cwd="/"), text)]
    one = agent(text)
    for menu in (menus.main(pending, [one] * 3, one), menus.pending(pending), menus.agent(one, pending)):
        lines = written(menu, columns)
        assert len([name for name, _, _ in lines if name]) == len(menu.choices)
        for name in [
            *(name for name, _, _ in lines if name),
            menus.title(menu, columns).removeprefix("#[align=centre]"),
        ]:
            assert not name.startswith("-")
            assert not name.endswith("#")
            assert set(_runs(name)) <= {0}, name
            assert display.width(name.replace("##", "#")) <= max(8, columns - 4) + 2
            assert not [char for char in name if ord(char) < 32 or 0xD800 <= ord(char) < 0xE000]


def _runs(name: str) -> list[int]:
    """Of each run of "#", whether its length is odd."""
    runs, length = [], 0
    for char in name + " ":
        if char == "#":
            length += 1
        elif length:
            runs.append(length % 2)
            length = 0
    return runs


def test_a_menu_fits_its_client() -> None:
    """tmux shows none that does not: what is too much is left out, and no line stands at the end."""
    pending = [request(Ask(prompt="日本語" * 100), number=n) for n in range(99)]
    agents = [agent(pane=f"%{n}") for n in range(99)]
    for menu in (menus.pending(pending), menus.main(pending, agents, None)):
        for columns, rows in ((40, 10), (20, 6), (300, 200), (1000, 500)):
            lines = written(menu, columns, rows)
            assert 0 < len(lines) <= rows - 2
            assert lines[-1][2]
            words = menus.words(menu, columns, rows, lambda _: "x" * 400)
            assert sum(len(word.encode()) for word in words) <= 12_000
    keys = [key for _, key, _ in written(menus.pending(pending), 100, 30)]
    assert keys[:9] == list("123456789")
    assert set(keys[9:]) == {""}
