"""prefix + P as a person uses it: real tmux, plugin, sidecar and client, and what it does on disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.end_to_end.plugin_world import PREFIX, World, no_popup, press
from tests.plugin.terminal import Server, Terminal
from tests.sidecar import until

HOSTILE = "日本語 #(touch FLAG)#[bg=red]"


class Stage:
    """A person at a client, and a pipeline that fails until a file is there."""

    def __init__(self, world: World, *, columns: int = 100, name: str = "pages") -> None:
        self.world = world
        self.folder = world.folder / "made"
        self.folder.mkdir()
        self.file(f"""
pipelines:
  - name: {name!r}
    start: manual
    stages:
      - name: publish
        needs: build
        require_approval: true
        actions_on_start: [{{run: [cp, {self.folder}/built, {self.folder}/published]}}]
      - name: build
        actions_on_start: [{{run: [cp, {self.folder}/ready, {self.folder}/built]}}]
""")
        self.server: Server = world.server()
        self.person: Terminal = self.server.attach(columns=columns)

    def file(self, text: str) -> None:
        path = self.world.config / "pipelines" / "mine.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def open(self, sign: str) -> str:
        return self.person.press_until(
            (PREFIX, "P"), lambda text: sign in text and "┌" in text, f"a page with {sign!r}"
        )

    def start(self) -> None:
        self.person.press("S")
        self.person.wait_for("what it would do")
        self.person.press("\r")
        self.person.wait_for("It would do this:")
        self.sure()

    def select(self, row: int, sign: str) -> None:
        self.person.press("\x1b[H", *"j" * row)
        self.person.wait_for(sign)

    def sure(self) -> None:
        """y, until it counts: not in the first moment."""
        self.person.press_until(("y",), lambda text: "do it" not in text)

    def made(self, name: str) -> Path:
        return self.folder / name


@pytest.fixture
def world() -> Iterator[World]:
    with World() as one:
        yield one


def line(text: str, word: str) -> str:
    return next(one for one in text.splitlines() if word in one)


def test_started_retried_and_approved_from_the_popup(world: World) -> None:
    """Each key press has its effect on disk, and is in the audit log as the person's."""
    stage = Stage(world)
    text = stage.open("nothing runs")
    assert "pages  publish → build" in text
    stage.start()
    text = stage.person.wait(lambda text: "✗ build" in text and "– publish" in text)
    assert text.index("✗ build") < text.index("– publish")  # though the file has it first
    assert not stage.made("built").exists()
    stage.made("ready").write_text("pages")
    stage.select(1, "▌ ✗ build")
    stage.person.press("r")
    assert f"run: cp {stage.folder}/ready" in stage.person.wait_for("retry  build of pages")
    stage.sure()
    stage.person.wait(lambda text: "✓ build" in text and "waits for your approval" in text)
    assert stage.made("built").read_text() == "pages"
    stage.select(2, "▌ ⏸ publish")
    stage.person.wait_for("1 waiting")
    stage.person.press("a")
    stage.person.wait(lambda text: "1 waiting" in text and "because" in text)
    press(stage.person, "a", "approved")
    until(stage.made("published").exists)
    no_popup(stage.server, stage.person)
    assert "success" in line(stage.open("success"), "pages")
    told = [one for one in world.records("decision") if one["data"]["action"]["type"] == "pipeline"]
    assert [(one["data"]["action"]["verb"], one["data"]["rule"]) for one in told] == [
        ("start", "a person"), ("retry", "a person"),
    ]  # fmt: skip
    origins = [(one["origin"]["role"], one["origin"]["door"], one["origin"]["client"]) for one in told]
    assert origins == [("operator", "popup", stage.person.tty)] * 2


def test_cancelled_from_the_main_menu_and_the_whole_run_is_shown(world: World) -> None:
    """The menu leads to the page, too; x ends the run, and Enter says what came of each action."""
    stage = Stage(world)
    stage.made("ready").write_text("pages")
    stage.person.press_until((PREFIX, "G"), lambda text: "what waits" in text)
    stage.person.press("p")
    stage.person.wait_for("nothing runs")
    stage.start()
    stage.person.wait(lambda text: "waits for your approval" in text)
    stage.person.press("\r")
    text = stage.person.wait(lambda text: "run  pages" in text and "done" in text)
    assert f"run: cp {stage.folder}/ready" in text
    stage.person.press("\x1b")
    stage.person.wait_for("under way")
    stage.person.press("x")
    stage.person.wait_for("cancel  pages")
    stage.sure()
    stage.person.wait(lambda text: "– publish" in text and "nothing runs" in text)
    assert not stage.made("published").exists()
    until(lambda: world.records("approval.withdrawn"))


def test_a_broken_file_is_shown_with_file_and_line_as_soon_as_it_is_saved(world: World) -> None:
    stage = Stage(world)
    stage.open("nothing runs")
    stage.file("pipelines:\n- name: p\n  stages:\n  - name: a\n    nees: b\n")
    text = " ".join(stage.person.wait_for("needs").replace("│", " ").split())
    assert "mine.yaml:5: pipelines[0].stages[0].nees" in text


@pytest.mark.parametrize("columns", [40, 100])
def test_hostile_names_are_shown_and_act_in_nothing(world: World, columns: int) -> None:
    flag = world.folder / "flag"
    stage = Stage(world, columns=columns, name=HOSTILE.replace("FLAG", str(flag)))
    stage.open("nothing runs")
    stage.start()
    stage.person.wait(lambda text: "✗ build" in text)
    screen = stage.person.screen()
    assert not [char for row in screen.buffer.values() for char in row.values() if char.bg == "red"]
    assert "日本語 #(touch" in stage.person.text()
    stage.person.press("o")
    stage.person.wait_gone("┌")
    assert not flag.exists()
