"""The popup driven through its real byte stream: frames in, terminal bytes out, read by a terminal emulator."""

from __future__ import annotations

import asyncio
import logging
import re
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.edges.ui.scripted import NOW, ScriptedDesk, Terminal, approval, origin, shell, three
from tests.patience import PATIENCE

from tmux_agent.core.model import (
    ApprovalState,
    Ask,
    Command,
    Decision,
    JudgedPart,
    Risk,
    Shell,
    Verdict,
    digest,
)  # fmt: skip
from tmux_agent.edges.ui import board as board_module
from tmux_agent.edges.ui import popup as popup_module
from tmux_agent.edges.ui import wire
from tmux_agent.edges.ui.serving import serve
from tmux_agent.edges.ui.warm import warm
from tmux_agent.edges.ui.wire import Attach

Scene = Callable[[ScriptedDesk, Terminal], Awaitable[None]]


@pytest.fixture(autouse=True)
def no_settling(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The 300 ms have tests of their own (test_board); here they would only be waited for."""
    if "settles" not in request.node.name:
        monkeypatch.setattr(board_module, "SETTLE_S", 0.0)


def play(
    scene: Scene, desk: ScriptedDesk | None = None, columns: int = 100, rows: int = 24, **attach: Any
) -> ScriptedDesk:
    """Runs a scene on a popup and closes it."""
    desk = desk or ScriptedDesk()

    async def run() -> None:
        async with Terminal(desk, columns, rows, **attach) as terminal:
            await scene(desk, terminal)

    asyncio.run(asyncio.wait_for(run(), 2 * PATIENCE))
    return desk


def test_the_first_paint_shows_who_wants_what() -> None:
    """All pending requests, the oldest selected with its detail, the agents at work, the keys."""

    async def scene(desk: ScriptedDesk, terminal: Terminal) -> None:
        text = await terminal.until("? more")
        assert "tmux-agent ─ 3 waiting" in text
        assert "2 working ─" in text
        assert "│▌  claude  shop:1  feat/login  rm -rf build && npm ci" in text
        assert "Claude wants to run   in" in text
        assert "its plan      2 of 5  Rebuild from clean" in text

    play(scene)


def test_a_approves_what_was_painted_and_selects_the_next() -> None:
    """The answer carries the painted digest; the next request is selected."""
    asked = three()

    async def scene(desk: ScriptedDesk, terminal: Terminal) -> None:
        await terminal.until("wants to run")
        terminal.type("a")
        text = await terminal.until("Codex wants to edit")
        assert "approved  rm -rf build && npm ci" in await terminal.until("approved")
        assert "2 waiting" in text

    desk = play(scene)
    assert [(one["id"], one["digest"], one["approved"]) for one in desk.answers] == [
        ("01K00001", asked[0].digest, True)
    ]


def test_enter_never_approves() -> None:
    """Enter opens the full view and closes it, whatever is typed around it."""

    async def scene(desk: ScriptedDesk, terminal: Terminal) -> None:
        await terminal.until("gemini")
        terminal.type("\r")
        await terminal.until(lambda text: "gemini" not in text and "wants to run" in text)
        terminal.type("\r")
        await terminal.until("gemini")
        terminal.type("\r")
        await terminal.until(lambda text: "gemini" not in text)
        terminal.type("\x1b")
        await terminal.until("gemini")

    assert play(scene).answers == []


@pytest.mark.parametrize("key", ["q", "\x1b", "\x03"])
def test_closing_answers_nothing(key: str) -> None:
    """q, Esc and Ctrl-C close the popup as meant, and nothing was said to anybody."""

    async def scene(desk: ScriptedDesk, terminal: Terminal) -> None:
        await terminal.until("wants to run")
        terminal.type(key)
        await terminal.end()
        assert terminal.bytes.endswith(b"\0")

    assert play(scene).answers == []


def test_what_came_by_itself_takes_no_key_of_who_was_typing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until nobody has typed for a while: then the same key answers. It says why it did not before."""
    monkeypatch.setattr(popup_module, "QUIET_S", 2 * PATIENCE)

    async def scene(desk: ScriptedDesk, terminal: Terminal) -> None:
        await terminal.until("wants to run")
        terminal.type("a")
        await terminal.until("this came by itself")
        terminal.type("an answer, and \r")
        monkeypatch.setattr(popup_module, "QUIET_S", 0.0)
        terminal.type("a")
        await terminal.until("approved")

    assert len(play(scene, unbidden=True).answers) == 1


@pytest.mark.parametrize("key", ["q", "\x1b", "\x03"])
def test_what_came_by_itself_is_closed_at_once(key: str) -> None:
    """q, Esc and Ctrl-C need no pause: closing answers nothing."""

    async def scene(desk: ScriptedDesk, terminal: Terminal) -> None:
        await terminal.until("wants to run")
        terminal.type(key)
        await terminal.end()

    assert play(scene, unbidden=True).answers == []


def test_a_relay_that_dies_answers_nothing() -> None:
    """The popup ends with its relay."""

    async def scene(desk: ScriptedDesk, terminal: Terminal) -> None:
        await terminal.until("wants to run")
        terminal.writer.close()
        await asyncio.wait_for(terminal.task, PATIENCE)

    assert play(scene).answers == []


def test_d_asks_for_a_reason() -> None:
    """The reason is what the agent reads; Esc goes back without an answer."""

    async def scene(desk: ScriptedDesk, terminal: Terminal) -> None:
        await terminal.until("wants to run")
        terminal.type("d")
        await terminal.until("The reason goes to the agent")
        terminal.type("\x1b")
        await terminal.until("wants to run")
        assert desk.answers == []
        terminal.type("d")
        await terminal.until("The reason goes to the agent")
        terminal.type("use npm run clean 日本")
        await terminal.until("use npm run clean 日")
        terminal.type("\r")
        await terminal.until("denied  rm -rf")

    desk = play(scene)
    assert [(one["approved"], one["comment"]) for one in desk.answers] == [(False, "use npm run clean 日本")]


def test_an_edit_is_judged_before_it_counts() -> None:
    """Ctrl-S shows what the policy says of the edited action; only then `a` approves exactly that."""

    async def scene(desk: ScriptedDesk, terminal: Terminal) -> None:
        await terminal.until("wants to run")
        terminal.type("e")
        await terminal.until("It is judged and shown")
        terminal.type("echo ")
        await terminal.until("echo rm -rf build")
        terminal.type("\r")
        await terminal.until(lambda text: "\n│ rm -rf build" in text)
        terminal.type("\x7f\x13")
        await terminal.until("The policy asks a person about this edit")
        assert desk.answers == []
        assert "echo rm -rf build && npm ci" in terminal.text()
        terminal.type("a")
        await terminal.until("approved as edited")

    desk = play(scene)
    edited = Shell(text="echo rm -rf build && npm ci", cwd="/home/ana/src/shop")
    assert [(one["edited"], one["digest"]) for one in desk.answers] == [(edited, three()[0].digest)]


def test_an_edit_that_the_policy_denies_cannot_be_approved() -> None:
    """A denied edit shows why, has no approve key, and can be edited on; what was typed is kept."""
    desk = ScriptedDesk()
    desk.decision = Decision(verdict=Verdict.DENY, rule="keys", reason="keys stay where they are")

    async def scene(desk: ScriptedDesk, terminal: Terminal) -> None:
        await terminal.until("wants to run")
        terminal.type("e")
        await terminal.until("It is judged")
        terminal.type("cat ~/.ssh/id; \x1b[21~")
        text = await terminal.until("The policy denies this edit: keys stay")
        assert "approve this" not in text
        terminal.type("a")
        terminal.type("e")
        await terminal.until("It is judged")
        await terminal.until("cat ~/.ssh/id")

    assert play(scene, desk).answers == []


def test_bad_json_is_said_in_the_editor() -> None:
    """What cannot be an action stays in the editor, with the reason."""
    desk = ScriptedDesk([approval(Command(argv=("git", "push"), cwd="/"))])

    async def scene(desk: ScriptedDesk, terminal: Terminal) -> None:
        await terminal.until("git push")
        terminal.type("e")
        await terminal.until('["git", "push"]')
        terminal.type("x\x13")
        await terminal.until("not JSON")

    assert play(scene, desk).answers == []


def test_allow_again_saves_what_is_shown() -> None:
    """The second scope is chosen, its rule shown, and Enter saves and approves with it."""

    async def scene(desk: ScriptedDesk, terminal: Terminal) -> None:
        await terminal.until("wants to run")
        terminal.type("g")
        await terminal.until("(•) this exact command")
        terminal.type("j")
        await terminal.until("command: [npm, ci]")
        terminal.type("e")
        await terminal.until("Change the rule")
        terminal.type("\x1b[1;5F\x13")
        await terminal.until("(•) as edited")
        terminal.type("\r")
        await terminal.until("allowed again")

    desk = play(scene)
    assert desk.answers[0]["approved"]
    assert desk.answers[0]["grant"].what == "as edited"


def test_a_digit_chooses_an_option() -> None:
    """1–9 answer a question with that option."""

    async def scene(desk: ScriptedDesk, terminal: Terminal) -> None:
        await terminal.until("gemini")
        terminal.type("jj")
        await terminal.until("eu-west-1")
        terminal.type("a")
        await terminal.until("choose with 1-4")
        terminal.type("9")
        terminal.type("2")
        await terminal.until("answered")

    desk = play(scene)
    assert [(one["id"], one["choice"], one["approved"]) for one in desk.answers] == [("01K00003", "eu-west-1", True)]


def test_a_question_without_options_takes_words() -> None:
    """`e` answers in words, which are the comment of a yes."""
    desk = ScriptedDesk([approval(Ask(prompt="Which port?"), kind="question")])

    async def scene(desk: ScriptedDesk, terminal: Terminal) -> None:
        await terminal.until("answer in words")
        terminal.type("e")
        await terminal.until("Your words go to the agent")
        terminal.type("8080\r")
        await terminal.until("answered")

    desk = play(scene, desk)
    assert [(one["approved"], one["comment"]) for one in desk.answers] == [(True, "8080")]


def test_several_are_marked_and_answered_together() -> None:
    """space marks; `a` answers the marked ones, each with its own digest."""
    desk = ScriptedDesk([shell(f"echo {n}", n) for n in (1, 2, 3)])
    asked = list(desk.waiting)

    async def scene(desk: ScriptedDesk, terminal: Terminal) -> None:
        await terminal.until("echo 3")
        terminal.type(" ")
        await terminal.until("1 marked")
        terminal.type("jj")
        await terminal.until("▌  claude  shop:1  feat/login  echo 3")
        terminal.type(" ")
        await terminal.until("2 marked")
        terminal.type("a")
        await terminal.until("approved  2 requests")

    play(scene, desk)
    assert {(one["id"], one["digest"]) for one in desk.answers} == {(asked[0].request_id, asked[0].digest),
                                                                   (asked[2].request_id, asked[2].digest)}  # fmt: skip


def test_withdrawn_while_selected_stays_and_takes_no_answer() -> None:
    """A key pressed on a request that just ended answers neither it nor its neighbour."""

    async def scene(desk: ScriptedDesk, terminal: Terminal) -> None:
        await terminal.until("wants to run")
        desk.end("01K00001", ApprovalState.WITHDRAWN, "its dialog was answered")
        await terminal.until("withdrawn: its dialog was answered")
        terminal.type("a")
        await terminal.until("nothing to answer")
        terminal.type("j")
        await terminal.until(lambda text: "rm -rf" not in text)

    assert play(scene).answers == []


def test_a_request_that_changed_itself_settles_before_it_can_be_answered() -> None:
    """A key right after the change was painted is ignored, and says so."""

    async def scene(desk: ScriptedDesk, terminal: Terminal) -> None:
        await terminal.until("wants to run")
        action = Shell(text="rm -rf /", cwd="/")
        desk.waiting[0] = msgspec.structs.replace(desk.waiting[0], action=action, digest=digest(action))
        desk.tell()
        await terminal.until("rm -rf /")
        terminal.type("a")
        await terminal.until("new under your finger")

    assert play(scene).answers == []


def test_the_accepting_byte_comes_with_the_whole_first_paint() -> None:
    """The relay takes keys only after `K`, so nothing typed before there was something to see can answer."""

    async def run() -> None:
        near, far = socket.socketpair()
        reader, writer = await asyncio.open_unix_connection(sock=near)
        theirs = await asyncio.open_unix_connection(sock=far)
        attach = Attach(columns=100, rows=24)
        task = asyncio.create_task(serve(*theirs, attach, ScriptedDesk(), lambda: NOW))
        first = await reader.read(65536)
        assert first.startswith(b"K")
        assert b"own dialog" in first
        assert "┘".encode() in first
        writer.close()
        await asyncio.wait_for(task, PATIENCE)

    asyncio.run(run())


def test_a_conflict_is_told_and_changes_nothing() -> None:
    """Somebody else was faster: the popup says so."""

    async def scene(desk: ScriptedDesk, terminal: Terminal) -> None:
        await terminal.until("wants to run")
        changed = Shell(text="other", cwd="/")
        desk.waiting[0] = msgspec.structs.replace(desk.waiting[0], action=changed, digest=digest(changed))
        terminal.type("a")
        await terminal.until("not answered: already answered, or changed")

    assert play(scene).answers == []


def test_step_up_needs_the_proof() -> None:
    """A rule's proof is asked for before the yes; a wrong one answers nothing; it is not shown."""
    desk = ScriptedDesk([shell("terraform apply", step_up=("sudo", "-k", "-v"))])

    async def scene(desk: ScriptedDesk, terminal: Terminal) -> None:
        await terminal.until("a yes needs   sudo -k -v")
        terminal.type("a")
        await terminal.until("wants a proof")
        terminal.type("wrong\r")
        await terminal.until("the proof failed")
        assert desk.answers == []
        terminal.type("a")
        await terminal.until("wants a proof")
        terminal.type("sesame")
        await terminal.until("******")
        terminal.type("\r")
        await terminal.until("approved")
        assert b"sesame" not in terminal.bytes

    assert len(play(scene, desk).answers) == 1


def test_jump_and_peek() -> None:
    """`p` shows the pane's end, `o` goes there and closes."""

    async def scene(desk: ScriptedDesk, terminal: Terminal) -> None:
        await terminal.until("wants to run")
        terminal.type("p")
        await terminal.until("42 passing")
        terminal.type("\x1b")
        await terminal.until("wants to run")
        terminal.type("o")
        await terminal.end()

    desk = play(scene)
    assert desk.told == ["jump 01K00001"]
    assert desk.answers == []


def test_help_lists_the_keys() -> None:
    """`?` says what every key does."""

    async def scene(desk: ScriptedDesk, terminal: Terminal) -> None:
        await terminal.until("wants to run")
        terminal.type("?")
        await terminal.until("Enter never approves")

    play(scene)


def test_nothing_waiting_shows_agents_and_decisions_then_lives() -> None:
    """Never an empty box; a new request appears by itself."""

    async def scene(desk: ScriptedDesk, terminal: Terminal) -> None:
        text = await terminal.until("last decisions")
        assert "Nothing waits for you." in text
        assert "opencode  error" in text
        assert "git push --force origin main" in text
        desk.waiting.append(shell("echo new"))
        desk.tell("approval.opened")
        await terminal.until("1 waiting")
        await terminal.until("echo new")

    play(scene, ScriptedDesk([]))


def test_warnings_stand_in_the_top_line() -> None:
    """An unwell policy is said where one looks first."""
    desk = ScriptedDesk()
    desk.unwell = ["policy.yaml:12 unknown key 'comand'", "audit log"]

    async def scene(desk: ScriptedDesk, terminal: Terminal) -> None:
        text = await terminal.until("policy.yaml:12")
        assert "⚠ policy.yaml:12 unknown key 'comand' and 1 more" in text.splitlines()[0]

    play(scene, desk)


def test_scrolling_reaches_all_of_a_long_action() -> None:
    """PgDn, PgUp and End on a command of 100 kB."""
    text = "\n".join(f"echo {n}" for n in range(9000))
    desk = ScriptedDesk([shell(text)])

    async def scene(desk: ScriptedDesk, terminal: Terminal) -> None:
        shown = await terminal.until("characters in all, PgDn shows them")
        assert "echo 8999" in shown
        terminal.type("\x1b[6~\x1b[6~")
        await terminal.until("echo 20\n".rstrip())
        terminal.type("\r")
        terminal.type("\x1b[F")
        await terminal.until(lambda text: "echo 8990" in text and "waits" in text)

    play(scene, desk)


SIZES = [(100, 24), (100, 10), (80, 24), (60, 12), (59, 30), (40, 14), (40, 10), (24, 8), (20, 6), (220, 60)]


@pytest.mark.parametrize(("columns", "rows"), SIZES)
@pytest.mark.parametrize("border", ["", "native"])
def test_every_size_shows_the_request(columns: int, rows: int, border: str) -> None:
    """From 20x6 up the action is there, and nothing is wider or higher than the terminal."""

    async def scene(desk: ScriptedDesk, terminal: Terminal) -> None:
        text = await terminal.until("rm -rf")
        assert len(text.splitlines()) <= rows
        terminal.type("jj")
        await terminal.until("region")
        for key in ("?", "\x1b", "d", "\x1b", "\r", "\r"):
            terminal.type(key)
        terminal.type("kk")
        await terminal.until("rm -rf")

    play(scene, columns=columns, rows=rows, border=border)


def test_resizing_live() -> None:
    """From wide to narrow and back."""

    async def scene(desk: ScriptedDesk, terminal: Terminal) -> None:
        await terminal.until("3 waiting")
        terminal.resize(40, 14)
        await terminal.until(lambda text: "1 of 3" in text and "3 waiting" not in text and "a yes" in text)
        terminal.resize(120, 30)
        await terminal.until(lambda text: "3 waiting" in text and "1 of 3" not in text and "? more" in text)

    play(scene)


def test_wide_characters_stay_aligned() -> None:
    """CJK and emoji keep the right border straight."""
    desk = ScriptedDesk([shell("echo 日本語 🎉 한국어", origin=origin(place="仕事:1", branch="機能/ログイン"))])

    async def scene(desk: ScriptedDesk, terminal: Terminal) -> None:
        await terminal.until("? more")
        for line in terminal.screen.buffer.values():
            assert line[99].data in "│┐┤┘"

    play(scene, desk)


def test_ascii_where_the_terminal_is_not_utf8() -> None:
    """Not one byte above 127, whatever the request holds."""
    desk = ScriptedDesk([shell("echo 日本 \u202e é", 9), *three()])

    async def scene(desk: ScriptedDesk, terminal: Terminal) -> None:
        await terminal.until("wants to run")
        assert terminal.bytes.isascii()
        assert "+ tmux-agent - 4 waiting" in terminal.text()
        assert "<U+202E>" in terminal.text()

    play(scene, desk, utf8=False)


def test_no_color_sends_no_colour() -> None:
    """NO_COLOR leaves bold and reverse, which carry no colour."""

    async def scene(desk: ScriptedDesk, terminal: Terminal) -> None:
        await terminal.until("? more")
        assert not re.search(rb"\x1b\[[0-9;]*\b(3[0-7]|4[0-7]|9[0-7])\b[0-9;]*m", bytes(terminal.bytes))

    play(scene, no_color=True)


def test_two_hundred_requests_scroll() -> None:
    """A long queue: the selected row is always in sight, End and Home jump."""
    desk = ScriptedDesk([shell(f"make number {n}", n) for n in range(200)])

    async def scene(desk: ScriptedDesk, terminal: Terminal) -> None:
        await terminal.until("200 waiting")
        terminal.type("j" * 120)
        await terminal.until("▌  claude  shop:1  feat/login  make number 120")
        terminal.type("\x1b[F")
        await terminal.until("▌  claude  shop:1  feat/login  make number 199")
        terminal.type("\x1b[H")
        await terminal.until("▌  claude  shop:1  feat/login  make number 0")

    play(scene, desk)


def test_a_defect_closes_one_popup_with_a_sentence(caplog: pytest.LogCaptureFixture) -> None:
    """The sidecar lives on, the person is told, the log has the traceback."""
    desk = ScriptedDesk()

    def broken() -> list[Any]:
        raise RuntimeError("boom")

    async def scene(desk: ScriptedDesk, terminal: Terminal) -> None:
        await terminal.until("wants to run")
        desk.agents = broken  # type: ignore[method-assign, assignment]
        terminal.type("j")
        await terminal.until("the popup failed")
        terminal.type("x")
        await terminal.end()

    with caplog.at_level(logging.ERROR):
        play(scene, desk)
    assert "boom" in caplog.text


def test_several_popups_in_one_process() -> None:
    """Two popups at once: an answer in one is seen in the other."""

    async def run() -> None:
        desk = ScriptedDesk()
        async with Terminal(desk) as one, Terminal(desk, 80, 20) as two:
            await one.until("3 waiting")
            await two.until("3 waiting")
            one.type("a")
            await two.until("approved elsewhere")
            two.type("q")
            await two.end()
            one.type("a")
            await one.until("1 waiting")

    asyncio.run(asyncio.wait_for(run(), 2 * PATIENCE))


def test_a_relay_that_never_reads_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its popup ends when the buffer is full; the loop is never held up."""
    monkeypatch.setattr(wire, "UNREAD_LIMIT", 1 << 16)

    async def run() -> None:
        desk = ScriptedDesk()
        async with Terminal(desk, 200, 60) as terminal:
            await terminal.until("3 waiting")
            at, ended = 0, set()
            while not ended:
                terminal.type("\r" if at % 2 else "?")
                terminal.resize(200 - at % 2, 60)
                ended, _ = await asyncio.wait([terminal.task], timeout=0)
                at += 1

    asyncio.run(asyncio.wait_for(run(), PATIENCE))


def test_nonsense_instead_of_frames_ends_the_popup() -> None:
    """A relay that speaks something else is cut off."""

    async def scene(desk: ScriptedDesk, terminal: Terminal) -> None:
        await terminal.until("wants to run")
        terminal.writer.write(b"\xff" * 64)
        await terminal.end()

    assert play(scene).answers == []


def test_warming_up_needs_nothing() -> None:
    """The rehearsal paints to nobody and raises nothing."""

    async def run() -> None:
        warm()

    asyncio.run(run())


# --- hostile text ---

# Everything that the popup itself sends: cursor moves, erasing, modes, and the attributes of its own table.
OURS = re.compile(r"\x1b\[(\d*[ABCDHJK]|\d+;\d+H|\?(25|12|7|1|1049|2004)[hl]|[\d;]*m)|\r|\n|\x08")
SGR = {"0", "1", "2", "3", "7", "9", "30", "31", "32", "33", "34", "35", "36", "37", "39", "49", ""}
ACTING = ["\x1b[4m", "\x1b[8m", "\x1b[38;5;99m", "\x1b]0;title\x07", "\x1b]52;c;aGk=\x1b\\", "\x1bPq#\x1b\\", "\x1b[6n"]
HIDING = [
    "\x1bc",
    "\x9b5m",
    "\x9d0;t\x9c",
    "\x07",
    "\x05",
    "\x0e",
    "\u202e",
    "\u2066",
    "\u200b",
    "\U000e0041",
    "\ufeff",
]
FORMATS = ["\ud800", "\n", "\t", "\r", "\x00", "\x7f", "\u2028", "#(touch f)", "#[bg=red]", "%H", "e" + "\u0301" * 500]
PLAIN = ["日本", "🎉", "x" * 3000, "\\", "'", '"']
EVIL = st.sampled_from([*ACTING, *HIDING, *FORMATS, *PLAIN])
PIECE = st.one_of(EVIL, st.text(st.characters(codec=None), max_size=8))
HOSTILE = st.lists(PIECE, min_size=1, max_size=12).map("".join)


def assert_only_ours(data: bytes) -> None:
    text = data.replace(b"\0", b"").decode()
    for match in re.finditer(r"\x1b\[([\d;]*)m", text):
        assert set(match.group(1).split(";")) <= SGR, match.group()
    rest = OURS.sub("", text)
    bad = [
        hex(ord(c))
        for c in rest
        if ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or c in "\u202e\u2066\u200b\U000e0041\ufeff\u2028"
    ]
    assert bad == [], bad


@settings(max_examples=25)
@given(HOSTILE, st.sampled_from([(100, 24), (40, 12)]))
def test_no_text_of_an_agent_acts_on_the_terminal(text: str, size: tuple[int, int]) -> None:
    """In every field, list, detail, editor, dialogs, pane, plan: shown, never obeyed."""
    part = JudgedPart(source=text, verdict=Verdict.ASK, rule=text, reason=text, risk=Risk.HIGH)
    who = origin(text, text, text, exe=text)
    asked = [
        shell(text, 1, origin=who, rule=text, reason=text, where=text, parts=(part,), step_up=(text,)),
        approval(Ask(prompt=text, details=text, options=(text, text)), 2, origin=who, kind="question"),
        approval(Command(argv=(text, text), cwd=text, env={"A": text}, stdin=text), 3, origin=who, preview=text),
    ]
    desk = ScriptedDesk(asked)
    desk.unwell = [text]
    desk.pane = [text, text]
    desk.decision = Decision(verdict=Verdict.ASK, rule=text, reason=text, parts=(part,))
    desk.proposals = [msgspec.structs.replace(one, what=text, limit=text, note=text) for one in desk.proposals]
    desk.known = [msgspec.structs.replace(one, name=text, place=text, detail=text) for one in desk.known]

    async def scene(desk: ScriptedDesk, terminal: Terminal) -> None:
        rest, own = ("a approve", 3) if size[0] > 60 else ("a yes", 1)

        async def bottom(*words: str) -> str:
            """Until the lines of keys and messages, which hold no agent's text, say one of these."""
            holds = lambda text: any(word in "".join(text.splitlines()[-own:]) for word in words)  # noqa: E731
            return "".join((await terminal.until(holds)).splitlines()[-own:])

        await bottom(rest)
        terminal.type("e")
        if "Ctrl-S" in await bottom("Ctrl-S", "nothing to edit"):
            terminal.type("\x13")
            await bottom("edit on")
            terminal.type("\x1b")
            await bottom(rest)
        for key, shown in (("p", "scroll"), ("g", "choose"), ("d", "Enter deny"), ("?", "scroll")):
            terminal.type(key)
            await bottom(shown)
            terminal.type("\x1b")
            await bottom(rest)
        terminal.type("\x1b[6~\x1b[6~\x1b[F\r")
        terminal.type("\r")
        terminal.type("j")
        terminal.type("j")
        terminal.type("\x03")
        await terminal.end()
        assert_only_ours(bytes(terminal.bytes))

    assert play(scene, desk, *size).answers == []


def test_hostile_text_is_visible() -> None:
    """What would have acted is there to be read, in reverse."""
    desk = ScriptedDesk([shell("echo \x1b[31mred \u202e#(touch f)")])

    async def scene(desk: ScriptedDesk, terminal: Terminal) -> None:
        text = await terminal.until("? more")
        assert "echo ⟨U+001B⟩[31mred ⟨U+202E⟩#(touch f)" in text
        row = next(
            line
            for line in terminal.screen.buffer.values()
            if line[10].data and "⟨" in "".join(c.data for c in line.values())
        )
        cell = next(cell for cell in row.values() if cell.data == "⟨")
        assert cell.reverse

    play(scene, desk)


def test_a_popup_that_closes_leaves_the_others_their_editors() -> None:
    """Two are open; the first to come is closed; what is typed into the other's editor arrives."""

    async def run() -> None:
        async with Terminal(ScriptedDesk()) as first, Terminal(ScriptedDesk()) as second:
            await first.until("wants to run")
            await second.until("wants to run")
            first.type("q")
            await asyncio.wait_for(first.task, PATIENCE)
            second.type("d")
            await second.until("The reason goes to the agent")
            second.type("not today")
            await second.until("not today")

    asyncio.run(asyncio.wait_for(run(), 2 * PATIENCE))
