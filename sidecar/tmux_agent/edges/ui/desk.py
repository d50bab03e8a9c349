"""What the popup needs of the services, as one narrow interface.

Owns: the Protocols and the small values that only screens need. Must not own: an implementation, any drawing.
One Desk is made per popup, bound to its relay's Origin (that is who answers) and to the tmux client it is on.
Methods without `async` read memory and return at once: the first paint waits for them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, Protocol

from msgspec import Struct

from tmux_agent.core.menus import Page
from tmux_agent.core.model import Action, Agent, Approval, Decision, Event, Plan
from tmux_agent.core.protocol import PipelineCancel, PipelineRetry, PipelineSkip, PipelineStart
from tmux_agent.core.protocol_fleet import FleetFinish, FleetKill, FleetPause, FleetResume, FleetSend, FleetSpawn
from tmux_agent.core.replies import PipelineData, RunData
from tmux_agent.core.replies_fleet import FleetData, FleetWould


class GrantProposal(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One way to allow an action again. What is shown here is what is saved."""

    scope: str  # "exact" | "shape" | "30m" | "always"
    what: str  # "this exact command", "npm ci"
    limit: str  # "this session", "30 minutes · 10 times", "always"
    note: str = ""  # "would not match: npm ci --prefix x · npm install"
    rule: dict[str, Any] | None = None  # for Grant.rule
    bound: dict[str, str] = {}  # for Grant.bound
    rule_text: str = ""  # the rule as YAML, for the editor; empty: cannot be edited


class Finished(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One past decision, for the screen that has nothing waiting."""

    at: datetime
    verdict: str  # "approved", "denied", "expired", "withdrawn", "allowed"
    action: Action
    agent: str = ""
    by: str = ""  # "you", "rule read-only git"


class Start(Struct, frozen=True, kw_only=True):
    """One way to begin a pipeline: in which pane. `matches`: it is a pane that the pipeline's file means."""

    pipeline: str
    server: str
    pane: str
    place: str
    matches: bool = False


class Pipelines(Protocol):
    """What the page of pipelines may ask."""

    def runs(self) -> list[RunData]:
        """Those under way, newest first, without what their stages do; bounded."""

    def hidden(self) -> int:
        """How many are under way that runs() left out."""

    def requests(self) -> dict[tuple[str, str], str]:
        """The request that a stage waits for, by run id and stage."""

    async def ended(self, count: int) -> list[RunData]:
        """The last runs that have ended, newest first, without what their stages do."""

    async def whole(self, run_id: str) -> RunData:
        """All of one run. Raises errors.NotFound, Unavailable."""

    async def markers(self, run: RunData, count: int) -> list[str]:
        """The last markers of the run's panes while it ran, a line each, oldest first."""

    def declared(self) -> list[PipelineData]:
        """The pipelines of the person's files."""

    def wrong(self) -> list[str]:
        """What is wrong with those files, with file and line."""

    def folder(self) -> str:
        """Where those files are."""

    def starts(self, page: Page) -> list[Start]:
        """What can be begun on the page's tmux server; a pipeline that fits no pane, in the page's pane."""

    async def would(self, start: Start) -> RunData:
        """What would be done, and what the policy says of it. Raises errors.NotFound, InvalidParams, Unavailable."""

    async def act(self, wanted: Acting) -> RunData:
        """Starts, tries again, skips or cancels; recorded. Gives the run.

        Raises errors.Forbidden, NotFound, InvalidParams, Conflict, LimitExceeded, Unavailable.
        """

    async def go(self, server: str, pane: str) -> None:
        """Shows a pane on the popup's client. Raises errors.NotFound where it is gone."""


Acting = PipelineStart | PipelineRetry | PipelineSkip | PipelineCancel


class Choices(Struct, frozen=True, kw_only=True):
    """What a new agent may be made of. `wrong`: why the repository's own fleet.toml does not count."""

    repository: str
    branches: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    templates: tuple[str, ...] = ()
    here: str = ""  # the branch that is checked out there
    wrong: str = ""


class Look(Struct, frozen=True, kw_only=True):
    """What had to be read of an agent of the fleet. `last`: the last line of its pane; `usage`: what its screen says of
    cost and context."""

    ahead: int = 0
    files: int = 0
    added: int = 0
    removed: int = 0
    uncommitted: int = 0
    last: str = ""
    usage: str = ""


FleetActing = FleetSend | FleetPause | FleetResume | FleetKill | FleetFinish


class Fleet(Protocol):
    """What the pages of the fleet may ask."""

    def agents(self) -> list[FleetData]:
        """Those whose worktree is there, oldest first."""

    def requests(self) -> dict[str, str]:
        """The oldest request that an agent waits for, by the agent's name."""

    async def look(self, one: FleetData) -> Look:
        """Raises errors.NotFound, Failed, TimedOut, Unavailable."""

    async def lines(self, one: FleetData, count: int) -> list[str]:
        """The last lines of its pane. Raises errors.NotFound, Unavailable."""

    async def choices(self, page: Page) -> Choices:
        """For a new agent in the repository of the page's pane. Raises errors.NotFound, InvalidParams, Failed."""

    async def would(self, wanted: FleetSpawn) -> FleetWould:
        """What would be done; nothing is. Raises errors.InvalidParams, NotFound, Conflict, Failed, Unavailable."""

    async def spawn(self, wanted: FleetSpawn) -> FleetData:
        """Raises the same, and Forbidden, LimitExceeded."""

    async def act(self, wanted: FleetActing) -> None:
        """Raises errors.Forbidden, NotFound, InvalidParams, Conflict, Failed, Unavailable."""

    async def go(self, one: FleetData) -> None:
        """Shows its pane on the popup's client. Raises errors.NotFound where it is gone."""


class Desk(Protocol):
    """Everything that a popup may ask of the sidecar."""

    @property
    def pipelines(self) -> Pipelines:
        """What the page of pipelines may ask."""

    @property
    def fleet(self) -> Fleet:
        """What the pages of the fleet may ask."""

    def pending(self) -> list[Approval]:
        """Every approval that waits, oldest first."""

    def find(self, request_id: str) -> Approval | None:
        """An approval by id in whatever state, to say how one that left the list ended."""

    def recent(self, count: int) -> list[Finished]:
        """The last decisions, newest first."""

    def agents(self) -> list[Agent]:
        """Every agent session that is known."""

    def warnings(self) -> list[str]:
        """What is unwell (policy, tmux, audit), one short sentence each; empty when all is well."""

    def plan_for(self, approval: Approval) -> Plan | None:
        """The active plan of the session that asked."""

    def subscribe(self) -> AsyncIterator[Event]:
        """Events from now on. Every change of what the methods above return is announced by one, after it."""

    async def answer(
        self,
        request_id: str,
        digest: str,
        approved: bool,
        comment: str = "",
        edited: Action | None = None,
        choice: str | None = None,
        grant: GrantProposal | None = None,
        secret: str | None = None,
    ) -> Approval:
        """Answers. `digest` is of the action that was on the screen, also when `edited` replaces it; `secret` is what
        was typed where approval.step_up demands a proof that a person is here.

        Raises errors.Conflict (changed, or answered by somebody else), NotFound, Denied (the edit, the proof),
        LimitExceeded (too many wrong proofs), Unavailable.
        """

    async def check(self, approval: Approval, edited: Action) -> Decision:
        """What the policy says of an edited action, as if the asker had asked for it. Records nothing."""

    async def grant_proposals(self, approval: Approval) -> list[GrantProposal]:
        """Ways to allow this again, narrowest first; empty where the policy offers none."""

    async def revise(self, approval: Approval, proposal: GrantProposal, rule_text: str) -> GrantProposal:
        """The proposal with the rule as the person edited it. Raises errors.InvalidParams saying what is wrong."""

    async def jump(self, approval: Approval) -> None:
        """Shows the asker's pane on the popup's client. Raises errors.NotFound where there is none."""

    async def peek(self, approval: Approval, count: int) -> list[str]:
        """The last `count` lines of the asker's pane. Raises errors.NotFound where there is none."""

    # --- pages of menus ---

    async def read(self, page: Page, count: int) -> list[str]:
        """The last `count` lines of the page's pane. Raises errors.NotFound where it is gone."""

    async def log(self, page: Page, count: int) -> list[str]:
        """The last `count` audit records of who runs in the page's pane, a line each, oldest first."""

    def interrupts_with(self, page: Page) -> tuple[str, ...]:
        """The keys, by tmux's names, that interrupt who runs in the page's pane."""

    def resumes_with(self, page: Page) -> str:
        """What having the agent of the page's pane go on after its usage limit does, in a few sentences."""

    async def tell(self, page: Page) -> None:
        """Has go on, interrupts or kills, as the page asked.

        Raises errors.Forbidden, Denied, NotFound, Conflict, Unavailable, Failed.
        """
