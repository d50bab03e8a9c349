"""Params of `judge`, `hook.event`, `policy.*`, `grant.*` and `link.*`: what the policy says, what a person gave ahead.

Must not own: what they do.
"""

from __future__ import annotations

from typing import Any

from .model import Action
from .params import Params


class Judge(Params, frozen=True):
    """Judge what the caller is about to do by itself; with `wait`, an `ask` waits for a person."""

    action: Action
    wait: bool = False


class HookEvent(Params, frozen=True):
    """An agent's hook. `input` is what the agent gave it: its own text, as the relay hands it over, or the object."""

    agent: str
    event: str
    input: str | dict[str, Any]
    relay_id: str = ""


class PolicyCheck(Params, frozen=True):
    """What the policy says of an action or of shell text; decides nothing, records nothing."""

    action: Action | None = None
    shell: str | None = None
    cwd: str | None = None


class PolicyReload(Params, frozen=True):
    """Read the policy files again (operators only)."""


class GrantList(Params, frozen=True):
    """Permissions given ahead, newest first."""

    cursor: str | None = None
    limit: int = 100


class LinkShow(Params, frozen=True):
    """A signed link to a request that waits (operators only): whoever has it can answer that request, once."""

    request_id: str


class LinkRotate(Params, frozen=True):
    """Sign links with a new key from now on (operators only). `at_once`: links that are open are good no more."""

    at_once: bool = False


class GrantRevoke(Params, frozen=True):
    """Take a grant back (operators only)."""

    grant_id: str


METHODS: dict[str, type[Params]] = {
    "judge": Judge,
    "hook.event": HookEvent,
    "policy.check": PolicyCheck,
    "policy.reload": PolicyReload,
    "grant.list": GrantList,
    "grant.revoke": GrantRevoke,
    "link.show": LinkShow,
    "link.rotate": LinkRotate,
}
OPERATOR_ONLY: frozenset[type[Params]] = frozenset({PolicyReload, GrantRevoke, LinkShow, LinkRotate})
# Sent again with the same `key`, these are the same request: nothing is asked or run twice.
KEYED: frozenset[type[Params]] = frozenset({Judge})
# Nobody can tell by the request whether it was done: a client does not send these again by itself.
ONCE: frozenset[type[Params]] = frozenset({GrantRevoke})
