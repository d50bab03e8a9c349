"""The protocol versions of MCP, of both eras, and how a result is written in each.

Legacy versions begin with an `initialize` handshake that holds for the process. The modern one has no handshake: each
request names its version in `_meta`. Pure; owns no state.
Source: modelcontextprotocol.io, specification/2026-07-28/basic/versioning, /basic/index, /server/discover.
"""

from __future__ import annotations

from typing import Any

from ... import __version__
from .messages import Message, Refused

MODERN = ("2026-07-28",)
LEGACY = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
BATCHES = "2025-03-26"  # the only version with batches
FRESH_MS = 3_600_000  # tools change with the version of tmux-agent only

_META = "io.modelcontextprotocol/"
_VERSION, _CAPABILITIES, _SERVER = (
    f"{_META}{name}" for name in ("protocolVersion", "clientCapabilities", "serverInfo")
)
_INFO = {"name": "tmux-agent", "title": "tmux-agent", "version": __version__}

INSTRUCTIONS = (
    "These tools act on the person's machine. Each call is judged by the person's policy: it is done, refused, or "
    "waits until the person answers in a tmux popup, which can take long. A refusal is final: read its reason and act "
    "on it, do not try the same by another way. Where your calls are cut off after a time, use `request`, which "
    "returns at once, then `wait` with its request_id. `human_ask` asks the person anything; `plan_create` shows the "
    "person what you are going to do."
)


def meta(message: Message) -> dict[str, Any]:
    """`_meta` of a request. Raises Refused."""
    found = message.params.get("_meta", {})
    if not isinstance(found, dict):
        raise Refused(-32602, "params._meta has to be an object", message.id)
    return found


def is_modern(message: Message) -> bool:
    """Whether a request names its version itself."""
    return _VERSION in meta(message)


def version(message: Message, negotiated: str | None) -> str:
    """The version that a request speaks, its own or the one negotiated for the process. Raises Refused."""
    if is_modern(message):
        return _modern(message, meta(message))
    if negotiated is not None:
        return negotiated
    if message.method == "ping":
        return LEGACY[0]
    raise Refused(-32602, f"no protocol version: send `initialize` first, or name it in params._meta[{_VERSION!r}]")


def _modern(message: Message, named: dict[str, Any]) -> str:
    wanted = named[_VERSION]
    if not isinstance(wanted, str):
        raise Refused(-32602, f"params._meta[{_VERSION!r}] has to be a string", message.id)
    if wanted not in MODERN:
        data = {"supported": [*MODERN, *LEGACY], "requested": wanted}
        raise Refused(-32022, f"unsupported protocol version {wanted[:100]!r}", message.id, data)
    if not isinstance(named.get(_CAPABILITIES), dict):
        raise Refused(-32602, f"params._meta[{_CAPABILITIES!r}] is missing: it has to be an object", message.id)
    return wanted


def negotiate(message: Message) -> str:
    """The version for a client that sent `initialize`: its own where we know it, else our newest. Raises Refused."""
    wanted = message.params.get("protocolVersion")
    if not isinstance(wanted, str):
        raise Refused(-32602, "initialize: params.protocolVersion has to be a string", message.id)
    return wanted if wanted in LEGACY else LEGACY[0]


def initialized(spoken: str) -> dict[str, Any]:
    """The result of `initialize`."""
    return {
        "protocolVersion": spoken,
        "capabilities": {"tools": {}},
        "serverInfo": _INFO,
        "instructions": INSTRUCTIONS,
    }


def discovered() -> dict[str, Any]:
    """The result of `server/discover`, before `complete`."""
    return {
        "supportedVersions": [*MODERN, *LEGACY],
        "capabilities": {"tools": {}},
        "instructions": INSTRUCTIONS,
        **fresh(MODERN[0]),
    }


def fresh(spoken: str) -> dict[str, Any]:
    """How long a result that is the same for everybody may be kept."""
    return {"ttlMs": FRESH_MS, "cacheScope": "public"} if spoken in MODERN else {}


def complete(spoken: str, body: dict[str, Any]) -> dict[str, Any]:
    """A result as the version writes it."""
    return {"resultType": "complete", **body, "_meta": {_SERVER: _INFO}} if spoken in MODERN else body


def is_structured(spoken: str) -> bool:
    """Whether results of tools may carry their data besides its text."""
    return spoken >= "2025-06-18"
