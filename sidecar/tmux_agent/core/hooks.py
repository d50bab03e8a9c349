"""What the hooks of agents say, in one language for all of them.

Owns the shape of a hook call after an adapter has read it, and of what the agent is told. Must not own: any agent's own
names and forms (edges/adapters), what is decided (policy.py), what is kept (services/agents.py, approvals.py).
"""

from __future__ import annotations

import enum
import hashlib
from typing import Any, Literal

import msgspec
from msgspec import Struct

from .limits import Notice
from .model import Action, AgentState

KEY_PART = 128  # characters of an id that an agent made up, at most


class HookKind(enum.Enum):
    JUDGE = "judge"  # a tool is about to run: allow, deny, ask, or no opinion
    ASK = "ask"  # the agent's own dialog is about to show: a person may answer here first
    STATE = "state"  # tells us something; is never answered


class HookCall(Struct, frozen=True, kw_only=True):
    """One call of one hook.

    `action` is what the agent is about to do; None where only the agent itself can deal with it, or where `unreadable`
    says why it cannot be judged. `session` and `prompt` are the agent's own ids as it claims them. `state` is its state
    after the event, None where it tells nothing; `ended`: the session is over.
    """

    agent: str
    event: str
    kind: HookKind
    session: str = ""
    subagent: str = ""  # id of the agent's own helper that acts; "" for the agent itself
    prompt: str = ""
    tool: str = ""
    tool_use: str = ""  # the agent's id of this one use of a tool
    tool_input: dict[str, Any] = {}
    cwd: str = ""
    mode: str = ""  # the agent's permission mode, as it calls it
    action: Action | None = None
    preview: str = ""  # what the action does not carry and a person wants to see
    unreadable: str = ""
    key: str = ""  # session:prompt:digest; finds the approval of this use of a tool from later hooks
    over: tuple[tuple[str, str], ...] = ()  # (tool_use, key) of the uses of tools that are done or refused by now
    # Which open approvals the event makes pointless: of the uses in `over`, of this `prompt`, of those before it, all.
    withdraw: Literal["", "over", "turn", "before", "session"] = ""
    # Of an agent that cannot be told "ask": what the policy asks about is put to a person while its JUDGE hook waits;
    # only what a rule or guardrail asks about by name, or also what nothing matched. "proof": it can be told "ask", but
    # its own dialog takes a yes without the proof that a rule demands, so that is asked for while its JUDGE hook waits.
    holds: Literal["", "proof", "named", "any"] = ""
    # What no rule knows the agent runs behind a wall of its own. Ours takes the place of that: there all of it is held.
    walled: bool = False
    # A yes to this use when it was about to run, by name or by a person, answers the agent's own question, too.
    joins: bool = False
    # The agent has asked about this very use before, by another hook: a yes to that one answers where this one asks.
    again: bool = False
    mark: str = ""  # a secret that lets the agent's own policy pass what carries it
    patience: float | None = None  # seconds that the agent lets a hook wait for a person; None: as long as it takes
    state: AgentState | None = None
    detail: str = ""
    limit: Notice | None = None  # the agent's model takes nothing for a while
    begins: bool = False  # a session: whatever else its process was in is left
    ended: bool = False

    @property
    def scope(self) -> str:
        """Every key of this agent (or of this helper of it) begins with this."""
        return scope(self.session, self.subagent)


class HookReply(Struct, frozen=True):
    """What the agent is told. All empty: no opinion."""

    stdout: str = ""
    stderr: str = ""
    exit_code: int = 0


def scope(session: str, subagent: str = "") -> str:
    """How the keys of a session (of one of its helpers) begin. Ids come from outside: shortened, without our colons."""
    return "/".join(part[:KEY_PART].replace(":", "_").replace("/", "_") for part in (session, subagent)) + ":"


def key(session: str, subagent: str, prompt: str, tool: str, tool_input: Any) -> str:
    """Names a use of a tool by what it is: "session/helper:prompt:SHA-256 of the tool's name and input"."""
    encoded = msgspec.json.encode([tool, tool_input], order="sorted")
    return f"{scope(session, subagent)}{prompt[:KEY_PART].replace(':', '_')}:{hashlib.sha256(encoded).hexdigest()}"
