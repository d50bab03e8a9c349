"""What the methods `agent.*` give back. Owns only shapes, as replies.py, whose REPLIES names them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from .model import Agent, Decision
from .reply import Data, Nothing


class AgentsData(Data, frozen=True):
    agents: tuple[Agent, ...]
    cursor: str | None = None


class Told(Data, frozen=True):
    """Something that was told of an agent. `note`: why it changed nothing."""

    at: datetime
    what: str  # "hook PreToolUse"
    state: str = ""
    note: str = ""


class ExplainedQuestion(Data, frozen=True):
    """An open question of a pane, and what the policy said of it."""

    request_id: str
    what: str
    since: datetime
    rule: str = ""
    reason: str = ""


class ExplainedScreen(Data, frozen=True):
    """What the rules for screens read in a pane. `text`: the question, or the words of a limit, as they stand there."""

    agent: str
    state: str
    rule: str = ""
    text: str = ""


class ExplainedWatch(Data, frozen=True):
    """How a pane is watched for markers: `how` as in WatchedPane, "" where it is not. What was printed is told to
    people, and to who runs there; `withheld` from others."""

    how: str = ""
    withheld: bool = False
    markers: tuple[str, ...] = ()  # the last ones, a line each, oldest first
    invalid: tuple[str, ...] = ()  # lines that began as markers and were none, with why


class ReadingData(Data, frozen=True):
    """What a pane's output says besides markers. `state`: success, failure, working, waiting or unknown; `confidence`
    from 0 to 1; `text`: what led to it; `strategy`: json, notification, screen or build."""

    state: str = "unknown"
    confidence: float = 0.0
    text: str = ""
    strategy: str = ""


class ExplainData(Data, frozen=True):
    """Why a pane has its state. Several `agents` are in one pane where one starts another."""

    pane: str
    place: str
    because: str  # the answer in a sentence
    programs: tuple[str, ...]  # "claude(4711)", that run in the pane
    agents: tuple[Agent, ...] = ()
    told: tuple[Told, ...] = ()  # of the first of them, the newest last
    screen: ExplainedScreen | None = None
    questions: tuple[ExplainedQuestion, ...] = ()
    decision: Decision | None = None  # the last one of the policy about what it wanted to do
    watched: ExplainedWatch = ExplainedWatch()
    reading: ReadingData | None = None  # of a pane that is watched


class Resumed(Data, frozen=True):
    """What was pressed, and what came of it."""

    summary: str


REPLIES: dict[str, Any] = {
    "agent.register": Nothing,
    "agent.state": Nothing,
    "agent.list": AgentsData,
    "agent.explain": ExplainData,
    "agent.resume": Resumed,
}
