"""One request laid out: everything can be reached, nothing hides."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.edges.ui.scripted import DIFF, NOW, approval, origin, shell, three

from tmux_agent.core import display, wording
from tmux_agent.core.model import (
    Ask,
    Command,
    Fetch,
    File,
    JudgedPart,
    Mcp,
    Patch,
    Risk,
    Shell,
    Stage,
    Tmux,
    Tool,
    Verdict,
)
from tmux_agent.edges.ui import highlight, words
from tmux_agent.edges.ui.detail import FOLDED, Detail
from tmux_agent.edges.ui.pages import split
from tmux_agent.edges.ui.styles import Lines
from tmux_agent.edges.ui.text import Line, cells, shown, wrap
from tmux_agent.services.tools import texts

ACTIONS = [
    Shell(text="ls", cwd="/"),
    Command(argv=("git", "log", "a b"), cwd="/", env={"A": "1"}, stdin="in\nput"),
    File(verb="read", path="/etc/passwd"),
    File(verb="write", path="/a/b.py", content="x = 1\n"),
    File(verb="edit", path="/a/b.py", old_text="x", new_text="y"),
    File(verb="copy", path="/a", target="/b", overwrite=True),
    File(verb="delete", path="/a", recursive=True),
    Patch(text="*** Begin Patch\n*** Delete File: a\n", changes=(File(verb="delete", path="a"),), cwd="/"),
    Tmux(verb="send_text", target="%3", text="make"),
    Fetch(url="https://example.org/x"),
    Mcp(server="db", tool="query", arguments={"sql": "drop table x"}),
    Ask(prompt="Really?", details="Because."),
    Stage(pipeline="release", stage="build"),
    Tool(name="WebSearch", arguments={"query": "x"}),
]


def said(lines: list[Line]) -> str:
    return "\n".join("".join(text for _, text in line).rstrip() for line in lines)


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: type(action).__name__)
@pytest.mark.parametrize("width", [16, 36, 96])
def test_every_kind_of_action_has_a_detail(action: object, width: int) -> None:
    """No line is wider than asked, at any height."""
    detail = Detail(approval(action), width, Lines(True), None)  # type: ignore[arg-type]
    for height in range(1, 24):
        lines = detail.view(FOLDED, height, NOW)
        assert len(lines) <= height
        assert all(cells(line) <= width for line in lines)


def test_the_parts_are_aligned_with_their_risks() -> None:
    """Risk, part, reason stand in columns."""
    text = said(Detail(three()[0], 96, Lines(True), None).view(FOLDED, 20, NOW))
    assert "  high    rm -rf build  removes a folder, 214 files, inside the worktree" in text
    assert "  medium  npm ci        runs package scripts, reaches the network" in text
    assert "asks because  recursive delete  policy.yaml:41" in text
    assert "waits         as long as Claude's own dialog" in text


def test_a_patch_is_shown_as_its_maker_applies_it() -> None:
    """The whole of it, and each file as a part with its own risk; the list names the files."""
    text = "*** Begin Patch\n*** Update File: a.py\n@@\n-x = 1\n+x = 2\n*** Delete File: b\n*** End Patch\n"
    changes = (File(verb="edit", path="a.py", cwd="/r"), File(verb="delete", path="b", cwd="/r"))
    parts = (
        JudgedPart(source="edit /r/a.py", verdict=Verdict.ASK, risk=Risk.MEDIUM, reason="changes a file"),
        JudgedPart(source="delete /r/b", verdict=Verdict.ASK, risk=Risk.HIGH, reason="removes a file"),
    )
    asked = approval(Patch(text=text, changes=changes, cwd="/r"), origin=origin("codex"), parts=parts)
    shown_ = said(Detail(asked, 96, Lines(True), None).view(FOLDED, 30, NOW))
    for line in (*text.splitlines(), "Codex wants to patch", "high    delete /r/b", "as long as Codex waits"):
        assert line in shown_
    assert "edit a.py, delete b" in said([words.summary(asked, 96)])


def test_what_the_agent_says_is_told_as_its_own_words() -> None:
    """Its reason stands apart from ours, is never long, and hides nothing of the command."""
    asked = approval(Shell(text="ls /", cwd="/"), preview="need it " * 60 + "\x1b[2J")
    shown_ = said(Detail(asked, 96, Lines(True), None).view(FOLDED, 20, NOW))
    assert "it says       need it" in shown_
    assert "ls /" in shown_
    assert "\x1b" not in shown_
    assert shown_.count("need it") < 30


def test_an_unknown_pane_is_said() -> None:
    """Nothing is guessed where a hook's pane cannot be told."""
    who = origin("codex", place="", door="hook")
    asked = approval(Shell(text="ls", cwd="/"), origin=replace(who, pane=None))
    assert "pane unknown" in said(Detail(asked, 120, Lines(True), None).head())


def test_a_long_command_shows_beginning_length_and_end() -> None:
    """The folded view never hides how a command ends."""
    command = "echo start " + "x" * 20_000 + " ; rm -rf ~"
    for width, height in ((96, 14), (36, 8), (96, 6)):
        text = said(Detail(shell(command), width, Lines(True), None).view(FOLDED, height, NOW))
        assert "echo start" in text
        assert text.replace("\n", "").find("rm -rf ~") > 0, text
        assert "20 022" in text or "⋯" in text


@settings(max_examples=60)
@given(st.text(st.characters(codec=None), max_size=400), st.integers(10, 80))
def test_wrapping_loses_and_repeats_nothing(text: str, width: int) -> None:
    """The wrapped lines together are the safe text, whatever is in it."""
    lines = wrap(shown(text.replace("\t", " ")), width)
    assert "".join(said([line]) for line in lines).replace(" ", "") == (
        display.safe(text.replace("\t", " "), newlines=True).replace("\n", "").replace(" ", "")
    )


def test_the_whole_of_a_huge_action_can_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    """100 000 lines: PgDn goes through all of them, End shows the last, and no step lays out everything."""
    text = "\n".join(f"line {n}" for n in range(100_000))
    detail = Detail(shell(text), 96, Lines(True), None)
    laid_out = 0
    real = Detail._body_lines

    def counted(self: Detail, piece: str, *rest: Any) -> list[Line]:
        nonlocal laid_out
        laid_out += len(piece)
        return real(self, piece, *rest)

    monkeypatch.setattr(Detail, "_body_lines", counted)
    detail.view(FOLDED, 20, NOW)
    end = detail.move(FOLDED, 1 << 30, NOW)
    assert "line 99999" in said(detail.view(end, 20, NOW))
    assert laid_out < len(text) / 10
    top, seen = FOLDED, 0
    for _ in range(50):
        top = detail.move(top, 19, NOW)
        window = said(detail.view(top, 20, NOW))
        numbers = [int(line.split()[1]) for line in window.splitlines() if line.strip().startswith("line ")]
        assert numbers[0] <= seen + 1, "nothing was skipped"
        seen = numbers[-1]
    assert seen > 900
    assert detail.move(top, -(1 << 30), NOW) == FOLDED


@given(st.text(max_size=200).map(lambda text: text * 100))
@settings(max_examples=20)
def test_splitting_keeps_every_character(text: str) -> None:
    """Chunks put together are the text; only newlines between chunks are the seam."""
    joined = ""
    for at, (piece, inside) in enumerate(split(text)):
        joined += ("" if at == 0 or inside else "\n") + piece
    assert joined == text


def test_a_files_diff_is_shown_with_its_signs() -> None:
    """The path, the hunk and both signs; not the file headers that repeat the path."""
    text = said(Detail(three()[1], 96, Lines(True), None).view(FOLDED, 20, NOW))
    assert "src/db.py" in text
    assert '+        self.db.execute("PRAGMA journal_mode=WAL")' in text
    assert "-        self.db = sqlite3.connect(self.path)" in text
    assert "+++ b" not in text


def test_a_line_of_a_diff_that_looks_like_its_head_is_a_line() -> None:
    """A new line "++ x" is no file's name: it is counted, and has the colour of what is added."""
    diff = "--- /a\n+++ /a\n@@ -1,2 +1,2 @@\n--- gone\n+++ evil\n"
    assert wording.diff_counts(diff) == (1, 1)
    assert wording.diff_counts("@@ -1 +1 @@\n-a\n+b\n@@ -9 +9 @@\n-c\n+d\n") == (2, 2)
    styles = [style for style, text in highlight.diff("@@ -1 +1 @@\n+++ evil", "/a") if "evil" in text or text == "+"]
    assert all("plus" in style for style in styles)


def test_what_a_diff_leaves_out_is_shown_below_it() -> None:
    """A diff is cut where it gets long; every character of what would be written can be reached all the same."""
    content = "".join(f"line {at}\n" for at in range(20_000)) + "the very end\n"
    action = File(verb="write", path="/a/b", content=content)
    shown_diff = texts.diff(None, content, "/a/b", 64 << 10)
    detail = Detail(approval(action, preview=shown_diff), 80, Lines(True), None)
    assert "the very end" not in shown_diff
    assert "the very end" in said(detail.view(detail.move(FOLDED, 1 << 20, NOW), 40, NOW))
    assert "the very end" in said(detail.view(FOLDED, 40, NOW))


def test_many_parts_are_counted_with_their_worst_risk() -> None:
    """What is folded away cannot hide a high risk."""
    parts = tuple(
        JudgedPart(source=f"cmd {n}", verdict=Verdict.ASK, risk=Risk.HIGH if n == 40 else Risk.LOW) for n in range(50)
    )
    text = said(
        Detail(shell("\n".join(f"cmd {n}" for n in range(50)), parts=parts), 96, Lines(True), None).view(
            FOLDED, 16, NOW
        )
    )
    assert "more, the worst of them high" in text


HOSTILE_CODE = [
    "'" * 8000,
    "$(" * 4000,
    '"${' * 2000,
    "<<" * 4000,
    "\\" * 8000,
    "((((" * 2000,
    "`" * 8000,
    "[[ " * 2000,
]


@pytest.mark.parametrize("text", HOSTILE_CODE)
@pytest.mark.parametrize("lexer", ["bash", "python", "javascript", "json", "yaml", "html"])
def test_highlighting_is_bounded(text: str, lexer: str) -> None:
    """No text of an agent makes a lexer hold up the process, in one line or in many: that would be for minutes."""
    broken = "\n".join(text[at : at + 900] for at in range(0, len(text), 901))
    started = time.process_time()
    highlight.code(broken, lexer)
    assert time.process_time() - started < 20


@given(st.text(st.characters(codec=None, exclude_categories=["Mn", "Me", "Mc", "Lo"]), max_size=300))
@settings(max_examples=60)
def test_highlighting_changes_nothing(text: str) -> None:
    """Colour aside, highlighted text is the text made safe but for marks, whose base may end a token."""
    for lexer in ("bash", "python", "json"):
        assert "".join(piece for _, piece in highlight.code(text, lexer)) == display.safe(text, newlines=True)
    assert "".join(piece for _, piece in highlight.diff(DIFF, "a.py")) == DIFF
