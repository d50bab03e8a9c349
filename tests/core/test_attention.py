"""core/attention.py: the words of the option, the sentence, and bytes that say nothing but that sentence."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tmux_agent.core import attention, display
from tmux_agent.core.model import Approval, Ask, Command, Origin, Risk, Role, digest

NOW = datetime(2026, 11, 20, tzinfo=UTC)
HOSTILE = (
    "\x1b]0;x\x07",
    "a;b\x9c\x1b\\",
    "\u202e\u200b",
    "\ud800",
    "x" * 100_000,
    "日本語" * 1000,
    "#(touch x)%H",
    "\a\n",
)


def request(text: str, name: str = "") -> Approval:
    action = Command(argv=("rm", text), cwd="/") if name else Ask(prompt=text)
    origin = Origin(role=Role.AGENT, why="", uid=1, pid=7, name=name or text, exe="/bin/bot")
    kind = "run" if name else "question"
    return Approval(
        request_id="R", digest=digest(action), action=action, origin=origin, created=NOW, risk=Risk.HIGH, kind=kind
    )


@pytest.mark.parametrize(
    ("option", "kinds"),
    [
        ("", ()),
        ("off", ()),
        ("bell", ("bell",)),
        ("osc9,message  popup", ("popup", "message", "osc9")),
        ("Bell bel belly", ()),
    ],
)
def test_the_words_of_the_option(option: str, kinds: tuple[str, ...]) -> None:
    """Blanks or commas between them; what is not known chooses nothing."""
    assert attention.chosen(option) == kinds


@pytest.mark.parametrize(
    ("option", "seconds"),
    [("", 3), ("1", 1), ("3600", 3600), ("0", 3), ("3601", 3), ("-1", 3), ("1.5", 3), ("x", 3), ("٣", 3), ("9" * 9, 3)],
)
def test_seconds_without_a_key(option: str, seconds: int) -> None:
    """A number up to an hour; anything else is the default."""
    assert attention.idle_seconds(option) == seconds


def test_one_is_told_whole_and_several_by_number() -> None:
    """Who, how bad and what; of several the number and who, a few by name. Secrets are left out."""
    assert attention.sentence([request("build", "claude")]) == "“claude” asks (high): rm build"
    assert attention.sentence([request("Deploy?")]).endswith("asks: Deploy?")
    several = [request("x", name) for name in ("a", "b", "a", "c", "d")]
    assert attention.sentence(several) == "5 wait: “a”, “b”, “c” and 1 more"
    assert "sk-ant" not in attention.sentence([request("ANTHROPIC_API_KEY=sk-ant-api03-" + "a" * 90)])


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("kind", ["bell", "osc9", "osc777"])
@pytest.mark.parametrize("term", ["xterm-256color", "tmux-256color", ""])
def test_bytes_end_where_they_should(text: str, kind: str, term: str) -> None:
    """Whatever an agent calls itself and asks: one sequence, its end only at its end, short, and no control in it."""
    for approvals in ([request(text)], [request(text, text)], [request(text, str(n) + text) for n in range(9)]):
        sentence = attention.sentence(approvals)
        assert display.width(sentence) <= 2 * attention.CELLS
        for utf8 in (True, False):
            data = attention.terminal_bytes(kind, sentence, term=term, utf8=utf8)
            assert len(data) < 2000
            if kind == "bell":
                assert data == b"\a"
                continue
            if term.startswith("tmux"):
                assert data.startswith(b"\x1bPtmux;")
                data = data.removeprefix(b"\x1bPtmux;").removesuffix(b"\x1b\\").replace(b"\x1b\x1b", b"\x1b")
            assert data.startswith(b"\x1b]")
            body = data.removeprefix(b"\x1b]").removesuffix(b"\x1b\\")
            assert len(body) == len(data) - 4
            shown = body.decode("utf-8" if utf8 else "ascii")
            assert not [char for char in shown if ord(char) < 32 or 0x7F <= ord(char) < 0xA0]
            assert shown.startswith("9;tmux-agent: " if kind == "osc9" else "777;notify;tmux-agent;")
            assert kind == "osc9" or shown.count(";") == 3
