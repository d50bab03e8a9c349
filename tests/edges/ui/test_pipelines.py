"""The page of pipelines through its real byte stream, as test_popup.py does for requests."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace
from tests.edges.ui.scripted import NOW, ScriptedDesk, Terminal, pipeline_ended, pipeline_runs, shell
from tests.patience import PATIENCE

from tmux_agent.core import config, errors
from tmux_agent.core.menus import Page
from tmux_agent.core.pipeline_file import PipelinesFile
from tmux_agent.core.pipeline_problems import problems
from tmux_agent.core.protocol import PipelineCancel, PipelineRetry, PipelineSkip, PipelineStart
from tmux_agent.core.replies import RunData, StageData
from tmux_agent.edges.ui import dialogs, run_lines

PAGE = Page(what="pipelines", server="/tmp/tmux", pane="%7")
RUN = pipeline_runs()[0]
Scene = Callable[[ScriptedDesk, Terminal], Awaitable[None]]


@pytest.fixture(autouse=True)
def no_settling(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The 300 ms before a `y` counts; one test is about them."""
    if "settles" not in request.node.name:
        monkeypatch.setattr(dialogs, "SETTLED_S", -1.0)


def desk_of(*runs: RunData, ended: bool = True) -> ScriptedDesk:
    desk = ScriptedDesk([])
    desk.pipelines.running = list(runs)
    desk.pipelines.past = pipeline_ended() if ended else []
    return desk


def play(scene: Scene, desk: ScriptedDesk | None = None, columns: int = 100, rows: int = 24, **attach: Any) -> Terminal:
    desk = desk or desk_of(RUN)
    kept: list[Terminal] = []

    async def run() -> None:
        async with Terminal(desk, columns, rows, page=PAGE, **attach) as terminal:
            kept.append(terminal)
            await scene(desk, terminal)

    asyncio.run(asyncio.wait_for(run(), 2 * PATIENCE))
    return kept[0]


def line(text: str, word: str) -> str:
    return next(one for one in text.splitlines() if word in one)


def selected(text: str) -> str:
    return line(text, "▌")


def test_runs_under_way_come_first_then_the_last_that_ended() -> None:
    """With the pane, state and age of each run, and mark, duration, try, progress, wait and reason of each stage."""

    async def scene(desk: ScriptedDesk, terminal: Terminal) -> None:
        text = await terminal.until("2 h ago")
        assert text.index("webapp-ci") < text.index("release")
        assert " ".join(line(text, "webapp-ci").split()) == "│ webapp-ci shop:1 %7 running 1 of 6 4:25 │"
        assert "✓ lint          0:14" in text
        assert "⏵ unit (3.11)   4:10  ██████░░░░ 60 %  waits for a marker" in text
        assert "↻ unit (3.12)   4:10  try 2  waits for its next try  exit code 1" in text
        assert "✗ スタイル      0:50  3 of 41 pages differ" in text
        assert "⏸ build         5:00  waits for your approval" in text
        assert "· deploy              waits for unit, build" in text
        assert "0:50, 14 min ago" in line(text, "release")
        assert "gpg: no secret key" in line(text, "sign")

    play(scene)


def test_what_needs_the_person_is_selected_and_stays_so_when_other_runs_come_and_go() -> None:
    """The selection follows its stage, on the same line of the screen."""

    async def scene(desk: ScriptedDesk, terminal: Terminal) -> None:
        assert "スタイル" in selected(await terminal.until("2 h ago"))
        terminal.type("j")
        text = await terminal.until(lambda text: "build" in selected(text))
        desk.pipelines.now(replace(RUN, run_id="01KRUN0000000000000000000Z", pipeline="nightly"))
        text = await terminal.until("nightly")
        assert "build" in selected(text)
        asked = next(one for one in RUN.stages if one.name == "build")
        ended = tuple(
            replace(asked, state="failed", reason="a person said no") if one is asked else one for one in RUN.stages
        )
        desk.pipelines.now(replace(RUN, state="failed", ended=NOW, stages=ended))
        text = await terminal.until("a person said no")
        assert "build" in selected(text)
        assert "lint" in text  # what was under way here is not folded

    play(scene, rows=40)


def test_durations_count_without_an_event() -> None:
    clock = [NOW]

    async def run() -> None:
        terminal = Terminal(desk_of(RUN), page=PAGE)
        terminal.clock = lambda: clock[0]
        async with terminal:
            await terminal.until("4:25")
            clock[0] = NOW + timedelta(seconds=5)
            await terminal.until("4:30")

    asyncio.run(asyncio.wait_for(run(), 2 * PATIENCE))


@pytest.mark.parametrize(
    ("keys", "sign", "wanted"),
    [
        ("r", "retry  スタイル of webapp-ci in shop:1 %7", PipelineRetry(run_id=RUN.run_id, stage="スタイル")),
        ("js", "skip  build of webapp-ci", PipelineSkip(run_id=RUN.run_id, stage="build")),
        ("x", "cancel  webapp-ci in shop:1 %7", PipelineCancel(run_id=RUN.run_id, why="a person cancelled it")),
        ("kkkkr", "retry  webapp-ci in shop:1 %7", PipelineRetry(run_id=RUN.run_id)),
        ("S\r", "start  webapp-ci", PipelineStart(pipeline="webapp-ci", pane_id="%7", server="/tmp/tmux")),
    ],
)
def test_what_acts_is_confirmed_with_what_it_does(keys: str, sign: str, wanted: object) -> None:
    """Any key but y does nothing; Esc leads back; y does it once, and says so."""

    async def scene(desk: ScriptedDesk, terminal: Terminal) -> None:
        await terminal.until("2 h ago")
        for key in keys[:-1]:
            terminal.type(key)
            await terminal.until("what it would do" if key == "S" else "under way")
        terminal.type(keys[-1])
        text = await terminal.until(sign)
        assert "do it" in text
        if "x" not in keys:
            assert "type: npm run" in text
        terminal.type("an\r")
        terminal.type("\x1b")
        await terminal.until("under way")
        assert desk.pipelines.wanted == []
        terminal.type(keys[-1] if keys[0] != "S" else "S")
        if keys[0] == "S":
            await terminal.until("what it would do")
            terminal.type("\r")
        await terminal.until(sign)
        terminal.type("yy")
        await terminal.until(lambda text: "under way" in text and f"{sign.split()[0]}: " in text)
        assert desk.pipelines.wanted == [wanted]

    play(scene)


def test_what_was_started_is_selected() -> None:
    """Also where it begins out of sight: above what is shown."""
    stages = tuple(StageData(name=f"stage {at}", state="waiting") for at in range(60))

    async def scene(desk: ScriptedDesk, terminal: Terminal) -> None:
        terminal.type("\x1b[F")
        await terminal.until(lambda text: "▌" in text and "success" in selected(text))
        terminal.type("S")
        await terminal.until("what it would do")
        terminal.type("\r")
        await terminal.until("do it")
        terminal.type("y")
        await terminal.until(lambda text: "▌" in text and "webapp-ci" in selected(text))

    play(scene, desk_of(replace(RUN, stages=stages)))


def test_a_y_that_was_typed_ahead_settles_first() -> None:
    """In the first 300 ms after it was painted, y does nothing."""

    async def scene(desk: ScriptedDesk, terminal: Terminal) -> None:
        await terminal.until("2 h ago")
        terminal.type("x")
        await terminal.until("do it")
        terminal.type("y")
        terminal.type("\x1b")
        await terminal.until("under way")
        assert desk.pipelines.wanted == []

    play(scene)


def test_what_cannot_be_done_is_said_and_asks_nothing() -> None:
    """No confirmation for what would do nothing; what the sidecar refuses is said, and the page goes on."""

    async def scene(desk: ScriptedDesk, terminal: Terminal) -> None:
        await terminal.until("2 h ago")
        terminal.type("js")
        await terminal.until("skip  build")
        desk.pipelines.refusal = errors.Forbidden("this popup may not answer any more: it has closed")
        terminal.type("y")
        await terminal.until("may not answer any more")
        terminal.type("r")
        await terminal.until("build: waits for your approval; there is nothing to try again")
        terminal.type("a")
        await terminal.until("its request comes in a moment")
        for key in ("kkkk", "a"):
            terminal.type(key)
        await terminal.until("it waits for no answer of yours")
        terminal.type("s")
        await terminal.until("lint: succeeded; there is nothing to skip")
        terminal.type("\x1b[F")
        terminal.type("x")
        await terminal.until("this run has ended (success)")
        assert desk.pipelines.wanted == []

    play(scene)


def test_a_opens_the_request_and_a_second_a_does_not_approve_it() -> None:
    """The ordinary popup at that request, where an answer counts only after it has been seen."""
    first, second = shell("make world", 1), shell("npm run build", 2)

    async def scene(desk: ScriptedDesk, terminal: Terminal) -> None:
        desk.pipelines.asked = {(RUN.run_id, "build"): second.request_id}
        desk.tell()
        await terminal.until("2 h ago")
        terminal.type("j")
        await terminal.until(lambda text: "build" in selected(text))
        terminal.type("aa")
        await terminal.until("new under your finger")
        text = terminal.text()
        assert "npm run build" in selected(text)
        assert desk.answers == []
        while not desk.answers:  # once it has been on the screen for 300 ms
            terminal.type("a")
            await terminal.read()
        assert desk.answers[0]["id"] == second.request_id

    desk = desk_of(RUN)
    desk.waiting = [first, second]
    play(scene, desk)


def test_o_goes_to_the_pane_of_the_stage() -> None:
    """Its own, where that is another than the run's; then the popup is gone."""
    stages = tuple(replace(one, pane="%12") if one.name == "build" else one for one in RUN.stages)

    async def scene(desk: ScriptedDesk, terminal: Terminal) -> None:
        await terminal.until("2 h ago")
        terminal.type("j")
        await terminal.until(lambda text: "build, in %12:" in text)
        terminal.type("o")
        await terminal.end()
        assert desk.pipelines.told == ["go %12"]

    play(scene, desk_of(replace(RUN, stages=stages)))


def test_enter_shows_the_whole_run_as_it_changes() -> None:
    """Its actions and what came of them, its markers; what happens meanwhile is taken over."""

    async def scene(desk: ScriptedDesk, terminal: Terminal) -> None:
        await terminal.until("2 h ago")
        terminal.type("\r")
        text = await terminal.until("PROGRESS unit 60")
        assert "type: npm run lint  done" in text
        assert RUN.run_id in text
        stages = tuple(
            replace(one, state="running", started=NOW) if one.name == "deploy" else one for one in RUN.stages
        )
        desk.pipelines.now(replace(RUN, stages=stages))
        await terminal.until("⏵ deploy")
        terminal.type("q")
        await terminal.until("under way")
        terminal.type("q")
        await terminal.end()

    play(scene, rows=40)


def test_nothing_runs_shows_what_is_declared() -> None:
    async def scene(desk: ScriptedDesk, terminal: Terminal) -> None:
        text = await terminal.until("nothing runs")
        assert "webapp-ci  lint → test → build" in text
        assert "starts by itself" in text

    play(scene, desk_of(ended=False))


def test_nothing_is_declared_shows_how_to_write_one() -> None:
    """And what is shown is a file that counts."""

    async def scene(desk: ScriptedDesk, terminal: Terminal) -> None:
        desk.pipelines.files = []
        text = await terminal.until("nothing runs")
        assert "/home/ana/.config/tmux-agent/pipelines/NAME.yaml" in text
        assert 'send_keys: "npm run build"' in text

    desk = desk_of(ended=False)
    desk.pipelines.files = []
    play(scene, desk)
    file, wrong = config.load(run_lines.EXAMPLE, "example", PipelinesFile)
    assert file
    assert not wrong
    assert not [said for one in file.pipelines for said in problems(one, "example")]


def test_an_error_in_a_file_is_shown_with_file_and_line() -> None:
    async def scene(desk: ScriptedDesk, terminal: Terminal) -> None:
        text = await terminal.until("did you mean needs?")
        assert "⚠ /home/ana/p.yaml:7: pipelines[0].stages[1].nees: is unknown" in " ".join(text.split())

    desk = desk_of(RUN)
    desk.pipelines.unread = ["/home/ana/p.yaml:7: pipelines[0].stages[1].nees: is unknown; did you mean needs?"]
    play(scene, desk)


HOSTILE = "#(touch /tmp/x)\x1b[2J\u202e#[bg=red]a\nb\t日本語👩‍👩‍👧"


def hostile() -> RunData:
    stages = tuple(
        replace(one, name=f"{HOSTILE}{at}", reason=HOSTILE, waits_for=HOSTILE) for at, one in enumerate(RUN.stages)
    )
    return replace(RUN, pipeline=HOSTILE, place=HOSTILE, note=HOSTILE, stages=stages)


@pytest.mark.parametrize(("columns", "rows"), [(20, 6), (40, 14), (72, 14), (100, 24), (200, 50)])
@pytest.mark.parametrize("key", ["", "\r", "?", "S"])
def test_hostile_names_are_shown_and_every_line_fits(columns: int, rows: int, key: str) -> None:
    """Nothing that a name holds reaches the terminal as what it is; frames stay whole at every size."""

    async def scene(desk: ScriptedDesk, terminal: Terminal) -> None:
        edge = "┘" if rows >= 7 and columns >= 24 else ""
        await terminal.until(lambda text: bool(text.strip()) and text.rstrip().endswith(edge))
        if key:
            before = len(terminal.bytes)
            terminal.type(key)
            while len(terminal.bytes) == before:
                await terminal.read()
        raw = terminal.bytes.decode("utf-8", "replace")
        assert "\u202e" not in raw
        assert "\x1b[2J#" not in raw.replace("⟨U+202E⟩", "")
        if edge:
            for one in terminal.text().splitlines():
                assert one[-1] in "│┐┘┤", one

    play(scene, desk_of(hostile()), columns, rows)


def test_two_hundred_stages_scroll_and_resize() -> None:
    """The last one is reached, shown, and stays selected in a smaller terminal."""
    stages = tuple(StageData(name=f"stage {at}", state="waiting", waits_for="x") for at in range(200))

    async def scene(desk: ScriptedDesk, terminal: Terminal) -> None:
        await terminal.until("stage 0")
        for _ in range(20):
            terminal.type("\x1b[6~")
        await terminal.until(lambda text: "▌" in text and "release" in selected(text))
        terminal.type("\x1b[A" * 3)
        await terminal.until(lambda text: "▌" in text and "stage 199" in selected(text))
        terminal.resize(40, 12)
        await terminal.until(lambda text: "▌" in text and "stage 199" in selected(text) and text.endswith("┘"))

    play(scene, desk_of(replace(RUN, stages=stages)))


def test_without_colours_and_without_utf8_the_states_are_told_by_marks() -> None:
    async def scene(desk: ScriptedDesk, terminal: Terminal) -> None:
        text = await terminal.until("2 h ago")
        for sign in ("+ lint", "> unit (3.11)", "~ unit (3.12)", "x ????????", "! build", ". deploy"):
            assert sign in text
        assert text.isascii()

    terminal = play(scene, utf8=False, no_color=True)
    assert b"\x1b[31m" not in terminal.bytes
    assert b";31" not in terminal.bytes
