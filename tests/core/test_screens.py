"""What an agent's screen says: on recorded screens, on changed ones, and on what only looks like a question."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmux_agent.core.screen_reading import Choice, Look, Seen, read
from tmux_agent.core.screen_rules import Rules, load
from tmux_agent.services.dialogs import GAVE_UP

CORPUS = Path(__file__).parents[1] / "corpus" / "screens"
SHIPPED = Path(__file__).parents[2] / "sidecar" / "tmux_agent" / "defaults" / "screens"
# What a recorded screen shows, by how its name begins.
SHOWN = {"waiting": "waiting", "fetch": "waiting", "working": "working", "prehook": "working", "permhook": "working"}
SHOWN |= {"limit": "limit", "new": "new"}
SHOWN |= {"permhook-36s-turn-over": "idle", "idle": "idle", "finished": "idle", "hooks-review": "waiting"}
SGR = re.compile(r"\x1b\[[0-9;:]*m|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")
AGENTS = ["claude", "codex", "gemini", "opencode"]  # that show an input box while they rest
CAPTURES = sorted(path for path in CORPUS.rglob("*.*") if path.suffix in (".txt", ".ansi"))


MENU = {"menu": True, "keys": ("Escape",)}
LIMITS = [
    ("claude", "limit", "You've hit your session limit", "2:29am (Europe/Berlin)", {"prompt": True}),
    ("claude", "limit-menu", "You've hit your session limit", "2:29am (Europe/Berlin)", MENU),
    ("claude", "limit-menu-weekly", "You've hit your weekly limit", "Dec 3, 12:40am (Europe/Berlin)", MENU),
    ("claude", "limit-typed", "You've hit your session limit", "2:29am (Europe/Berlin)", {}),
    (
        "claude",
        "limit-composed",
        "5-hour limit reached",
        "3pm /upgrade to increase your usage limit.",
        {"prompt": True},
    ),
    ("codex", "limit", "hit your usage limit. Upgrade to Pro", "at 4:02 AM", {"prompt": True}),
    (
        "gemini",
        "limit-menu",
        "Usage limit reached for gemini-2.5-flash.",
        "4:07 AM GMT+1",
        {"menu": True, "keys": ("=1",), "goes_on": True},
    ),
    ("gemini", "limit-menu-daily", "Usage limit reached", "", {"menu": True, "keys": ("=1",), "goes_on": True}),
    ("opencode", "limit", "Please try again in 3h42m.", "in 3h 41m", {"alone": True}),
    ("opencode", "limit-quota", "You exceeded your current quota", "in 3h 41m", {"alone": True}),
    ("aider", "limit-composed", "The API provider has rate limited you.", "", {"prompt": True}),
]


def rules(agent: str) -> Rules:
    found, wrong = load((SHIPPED / f"{agent}.yaml").read_text(), f"{agent}.yaml")
    assert not wrong
    assert found
    return found


def look(path: Path) -> Look:
    """A recorded screen. The cursor stands behind the last written character, as it does where a line is asked for."""
    styled = tuple(path.read_text().split("\n"))
    lines = tuple(SGR.sub("", line).rstrip() for line in styled)
    row = max((at for at, line in enumerate(lines) if line), default=0)
    return Look(lines=lines, styled=styled, cursor=(len(lines[row]) + 1, row))


def seen(path: Path) -> Seen:
    return read(rules(path.relative_to(CORPUS).parts[0]), look(path))


def recorded(agent: str, name: str) -> Path:
    return sorted(CORPUS.glob(f"{agent}/*/{name}.*"))[-1]


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: str(path.relative_to(CORPUS)))
def test_recorded_screens(path: Path) -> None:
    """Each kind of screen of the real programs is told from the others; whoever waits names what can be answered."""
    wanted = next(SHOWN[begin] for begin in sorted(SHOWN, key=len, reverse=True) if path.stem.startswith(begin))
    found = seen(path)
    assert found.state == wanted
    alone = path.stem in ("hooks-review", "waiting-trust-unkept", "waiting-described")  # answered in the pane alone
    assert (found.dialog is not None) is (wanted == "waiting" and not alone)


@pytest.mark.parametrize(
    ("agent", "name", "question", "choices"),
    [
        (
            "aider",
            "waiting-shell",
            "Run shell command?",
            [Choice("Yes", ("=y", "Enter")), Choice("No", ("=n", "Enter"), True)],
        ),
        (
            "claude",
            "waiting",
            "Do you want to proceed?",
            [
                Choice("Yes", ("=1",)),
                Choice("Yes, and always allow access to proj/ from this project", ("=2",)),
                Choice("No", ("=3",), True),
            ],
        ),
        (
            "claude",
            "waiting-shell",
            "Do you want to proceed?",
            [
                Choice("Yes", ("=1",)),
                Choice("Yes, and don't ask again for touch made-by-agent commands in /home/dev/src/proj", ("=2",)),
                Choice("No, and tell Claude what to do differently (esc)", ("=3",), True),
            ],
        ),
        (
            "codex",
            "waiting",
            "Would you like to run the following command?",
            [
                Choice("Yes, proceed", ("=y",)),
                Choice("No, and tell Codex what to do differently", ("Escape",), True),
            ],
        ),
        (
            "gemini",
            "waiting",
            "Allow execution of [Shell]?",
            [
                Choice("Allow once", ("=1",)),
                Choice("Allow for this session", ("=2",)),
                Choice("No, suggest changes (esc)", ("=3",), True),
            ],
        ),
        (
            "opencode",
            "waiting",
            "Permission required",
            [
                Choice("Allow once", ("Enter",)),
                Choice("Allow always", ("Right", "Enter")),
                Choice("Reject", ("Right", "Right", "Enter"), True),
            ],
        ),
    ],
)
def test_what_a_dialog_names(agent: str, name: str, question: str, choices: list[Choice]) -> None:
    """The question, the choices, and the keys that the dialog itself names for them."""
    dialog = seen(recorded(agent, name)).dialog
    assert dialog
    assert dialog.question == question
    assert list(dialog.choices) == choices
    assert "touch made-by-agent && echo done-shell" in dialog.text
    assert "touch made-by-agent && echo done-shell" in dialog.about
    assert "────" not in dialog.text


@pytest.mark.parametrize(
    ("agent", "yes", "no"),
    [
        ("claude", ["Yes, I trust this folder"], "No, exit"),
        ("codex", ["Trust and continue"], "Back to Agent Command Center"),
        ("gemini", ["Trust folder (shop)", "Trust parent folder (src)"], "Don't trust"),
    ],
)
@pytest.mark.parametrize("name", ["waiting-trust", "waiting-trust-narrow"])
def test_whether_a_folder_is_trusted_is_a_question(agent: str, yes: list[str], no: str, name: str) -> None:
    """In words of its own, as the dialog's are a paragraph; all of that is shown beside."""
    found = seen(recorded(agent, name))
    assert found.rule == "trust this folder"
    assert found.dialog
    assert found.dialog.question == "Trust this folder?"
    assert not found.dialog.about
    assert [one.label for one in found.dialog.choices if not one.deny] == yes
    assert [one.label for one in found.dialog.choices if one.deny] == [no]
    pressed = [("=1",), ("=2",), ("=3",)] if agent != "codex" else [("Enter",), ("=2",)]
    assert [one.keys for one in found.dialog.choices] == pressed[: len(yes) + 1]
    assert "trust" in found.dialog.text
    assert ("/home/dev/src/shop" in found.dialog.text) is (agent != "gemini")


def test_the_chosen_button_shows_in_its_background() -> None:
    """Who has moved to another button sends Enter from there; where no colour tells, there is nothing to press."""
    path = recorded("opencode", "waiting")
    plain = look(path)
    behind = tuple(
        line.replace("48;5;215m \x1b[38;5;232mAllow once\x1b[38;5;15m ", "48;5;234m Allow once ").replace(
            "Reject", "\x1b[48;5;215mReject\x1b[48;5;234m"
        )
        for line in plain.styled
    )
    moved = Look(lines=plain.lines, styled=behind)
    dialog = read(rules("opencode"), moved).dialog
    assert dialog
    assert [one.keys for one in dialog.choices] == [("Left", "Left", "Enter"), ("Left", "Enter"), ("Enter",)]
    assert read(rules("opencode"), Look(lines=plain.lines)).dialog is None


def test_a_choice_that_goes_on_in_the_next_line_is_one_choice() -> None:
    """In a narrow pane the label wraps."""
    lines = (
        "────────────────────",
        " Bash command",
        " Do you want to proceed?",
        " ❯ 1. Yes",
        "   2. Yes, and always allow",
        "      access to proj/",
        "   3. No",
        "",
        " Esc to cancel",
    )
    dialog = read(rules("claude"), Look(lines=lines)).dialog
    assert dialog
    assert [one.label for one in dialog.choices] == ["Yes", "Yes, and always allow access to proj/", "No"]


def test_what_stands_in_a_dialog_hides_nothing_above_it() -> None:
    """An agent's text may look like the beginning of a dialog: the real beginning stays in what is shown."""
    path = recorded("claude", "waiting")
    lines = list(look(path).lines)
    at = next(row for row, line in enumerate(lines) if "scripted command" in line)
    lines[at:at] = ["─" * 120, " Bash command", "", "   ls"]
    dialog = read(rules("claude"), Look(lines=tuple(lines))).dialog
    assert dialog
    assert "touch made-by-agent" in dialog.text


def test_a_dialog_that_begins_above_the_screen_says_so() -> None:
    """A long change pushes its own beginning away."""
    lines = look(recorded("claude", "waiting-write")).lines
    at = next(row for row, line in enumerate(lines) if "2 line two" in line)
    dialog = read(rules("claude"), Look(lines=lines[at:])).dialog
    assert dialog
    assert dialog.cut


# --- what is no dialog ----------------------------------------------------------------------------


@pytest.mark.parametrize("agent", AGENTS)
def test_a_dialog_that_is_not_at_the_end_is_none(agent: str) -> None:
    """A README that an agent prints stands above its input box."""
    asked, rests = look(recorded(agent, "waiting")), look(recorded(agent, "finished"))
    tail = [row for row, line in enumerate(rests.lines) if line][-6:]
    lines = (*asked.lines, *(rests.lines[row] for row in tail))
    styled = (*asked.styled, *(rests.styled[row] for row in tail))
    assert read(rules(agent), Look(lines=lines, styled=styled)).dialog is None


@pytest.mark.parametrize(
    ("line", "keys"),
    [
        ("Continue? [y/N] ", [("=y", "Enter"), ("=n", "Enter")]),
        ("Continue (y/n)?", [("=y", "Enter"), ("=n", "Enter")]),
        ("Do you want to continue? [Y/n] ", [("=y", "Enter"), ("=n", "Enter")]),
        ("Are you sure (yes/no): ", [("=yes", "Enter"), ("=no", "Enter")]),
        ("継続しますか？ [y/N] ", [("=y", "Enter"), ("=n", "Enter")]),
    ],
)
def test_a_script_that_asks_in_a_line(line: str, keys: list[tuple[str, ...]]) -> None:
    """The keys are those that the line names, and Enter."""
    from tmux_agent.core.display import width

    found = read(rules("scripts"), Look(lines=("$ ./deploy.sh", line), cursor=(width(line), 1)))
    assert found.dialog
    assert [one.keys for one in found.dialog.choices] == keys
    assert [one.deny for one in found.dialog.choices] == [False, True]


@pytest.mark.parametrize(
    ("lines", "cursor"),
    [
        (("Continue? [y/N] y",), (17, 0)),  # somebody types already
        (("Continue? [y/N]",), (0, 0)),  # the cursor is elsewhere
        (("Continue? [y/N]", ""), (0, 1)),
        (("Continue? [y/N]", "done"), (4, 1)),
        (("Continue? [y/N] $ ",), (18, 0)),  # a README, and the shell behind it
        (("Use [y/N] to answer",), (19, 0)),
        (("Password: ",), (10, 0)),
        ((), (0, 0)),
    ],
)
def test_a_line_that_only_looks_like_a_question(lines: tuple[str, ...], cursor: tuple[int, int]) -> None:
    """Unknown rather than a guess."""
    assert read(rules("scripts"), Look(lines=lines, cursor=cursor)) == Seen()


@given(st.data())
def test_a_changed_screen_is_never_an_error(data: st.DataObject) -> None:
    """Lines dropped, doubled, cut and filled with anything: something is read, keys are sane, nothing raises."""
    path = data.draw(st.sampled_from(CAPTURES))
    plain = look(path)
    lines = list(plain.lines)
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(lines) - 1))
        change = data.draw(st.sampled_from(["drop", "double", "cut", "fill"]))
        if change == "drop" and len(lines) > 1:
            del lines[at]
        elif change == "double":
            lines.insert(at, lines[at])
        elif change == "cut":
            lines[at] = lines[at][: data.draw(st.integers(0, 10))]
        else:
            lines[at] = data.draw(st.text(max_size=50))
    found = read(rules(path.relative_to(CORPUS).parts[0]), Look(lines=tuple(lines), styled=plain.styled))
    for choice in found.dialog.choices if found.dialog else ():
        assert choice.keys
        assert all(key.startswith("=") or key.isalpha() for key in choice.keys)


@pytest.mark.parametrize("agent", [path.stem for path in SHIPPED.glob("*.yaml")])
@pytest.mark.parametrize("piece", ["1. ", "( [y/", "╭─", "Yes ", " ", "a? ", "• (", "esc to ", "┃ ", "…("])
def test_a_screen_full_of_the_same_takes_no_time(agent: str, piece: str) -> None:
    """Patterns are searched in lines that an agent fills as it likes."""
    lines = (piece * 400,) * 200
    began = time.process_time()
    read(rules(agent), Look(lines=lines, styled=lines, cursor=(len(lines[-1].rstrip()), 199)))
    assert time.process_time() - began < 2


# --- beside hooks ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "state"),
    [
        (["Esc to cancel", "─" * 80, "❯\u00a0", "─" * 80, "  ? for shortcuts", ""], "idle"),
        (["─" * 80, " What should it be?", "", " Enter to confirm · Esc to cancel"], "waiting"),
        (["❯ please go", "─" * 80, "❯\u00a0half a prompt", "─" * 80, "  PR #12"], "idle"),
        (["", ""], "unknown"),
    ],
)
def test_claudes_screen_beside_its_hooks(lines: list[str], state: str) -> None:
    """Only the keys' help at the foot tells of a dialog, also of one whose answers nobody knows; an agent may print the
    same words."""
    assert read(rules("claude"), Look(lines=tuple(lines))).state == state


@pytest.mark.parametrize("line", ["• Hello there.", "  Worked for <1s • 23:31", "hidden words"])
def test_a_conversation_of_codex_is_not_new(line: str) -> None:
    """Any answer on the screen, and it is an old one."""
    lines = list(look(recorded("codex", "new")).lines)
    assert read(rules("codex"), Look(lines=tuple(lines))).state == "new"
    lines[5] = line
    assert read(rules("codex"), Look(lines=tuple(lines))).state == "idle"


INPUT = [" Shift+Tab to accept edits", " >   Type your message or @path/to/file"]
CANCELLED, HOOK = "ℹ Request cancelled.", " ⠸ Executing Hook: tmux-agent (esc to cancel, 47s)"


@pytest.mark.parametrize(
    ("lines", "gave_up"),
    [
        ([" > please go", CANCELLED, HOOK, *INPUT], True),
        ([CANCELLED, HOOK, *INPUT], True),
        ([" > please go", HOOK, *INPUT], False),
        ([" > please go", CANCELLED, " > and again", HOOK, *INPUT], False),
        ([" > please go", f"✦ it said: {CANCELLED}", HOOK, *INPUT], False),
        ([], False),
    ],
)
def test_esc_while_geminis_hook_runs_on(lines: list[str], gave_up: bool) -> None:
    """Only a line of its own, in the turn that the screen shows last, says that the turn was given up."""
    assert (read(rules("gemini"), Look(lines=tuple(lines))).rule == GAVE_UP) is gave_up


@pytest.mark.parametrize(("agent", "name", "words", "resets", "more"), LIMITS)
def test_limits(agent: str, name: str, words: str, resets: str, more: dict[str, object]) -> None:
    """The words with their time, and how the agent could be told to go on: where nothing is typed at its prompt."""
    reached = seen(recorded(agent, name)).limit
    assert reached
    assert words in reached.words
    assert reached.resets == resets
    told = {"menu": reached.menu, "keys": reached.keys, "goes_on": reached.goes_on, "prompt": reached.prompt}
    told |= {"alone": reached.alone}
    assert told == {"menu": False, "keys": (), "goes_on": False, "prompt": False, "alone": False} | more


@pytest.mark.parametrize(
    ("agent", "below"),
    [
        ("claude", ["● Going on now."]),
        ("claude", ["✻ Thinking… (3s · esc to interrupt)"]),
        ("claude", ["  ⎿  Interrupted · What should Claude do instead?"]),
        ("codex", ["• Working (1s • esc to interrupt)"]),
    ],
)
def test_a_limit_that_is_over(agent: str, below: list[str]) -> None:
    """Its words stay on the screen when the agent goes on; what stands below them tells."""
    screen = look(recorded(agent, "limit"))
    last = max(at for at, line in enumerate(screen.lines) if "limit" in line)
    lines = (*screen.lines[: last + 2], *below, *screen.lines[last + 2 :])
    assert read(rules(agent), Look(lines=lines)).state != "limit"


def test_a_limit_whose_words_are_wrapped() -> None:
    """A narrow pane wraps the time to the next line."""
    lines = (
        "■ You’ve hit your usage limit. Visit x or try again at Dec 2nd,",
        "2026 9:15 AM.",
        "",
        "› Ask Codex to do anything",
    )
    reached = read(rules("codex"), Look(lines=lines)).limit
    assert reached
    assert reached.resets == "at Dec 2nd, 2026 9:15 AM"
