"""What can go wrong, once. Every error names its wire code and kind (docs/protocol.md).

An error's text says what happened, to what, and what to do; it is shown to people and agents as it is.
Nothing here is raised for an expected outcome that has a value of its own (a denial of `policy.check`
is a Decision, not an error).
"""

from __future__ import annotations

from typing import Any, ClassVar


class TmuxAgentError(Exception):
    """Base of every error that may cross a process boundary. `data` is added to the reply's `error.data`."""

    code: ClassVar[int] = -32603
    kind: ClassVar[str] = "internal"

    def __init__(self, message: str, **data: Any) -> None:
        super().__init__(message)
        self.message = message
        self.data = data


class ParseError(TmuxAgentError):
    """The line is not JSON."""

    code, kind = -32700, "parse"


class InvalidRequest(TmuxAgentError):
    """JSON, but not a request; or a line over the limit (then the connection is closed)."""

    code, kind = -32600, "invalid_request"


class NotText(InvalidRequest):
    """A line that is not UTF-8: the connection is closed."""


class UnknownMethod(TmuxAgentError):
    code, kind = -32601, "unknown_method"


class InvalidParams(TmuxAgentError):
    """`params` do not fit the method; the message gives the JSON path."""

    code, kind = -32602, "invalid_params"


class Internal(TmuxAgentError):
    """A defect of ours. Never carries a traceback."""


class Denied(TmuxAgentError):
    """The policy or a person said no. `rule` and `comment` say which and why."""

    code, kind = -32001, "denied"


class Expired(TmuxAgentError):
    """Nobody answered in time."""

    code, kind = -32002, "expired"


class Withdrawn(TmuxAgentError):
    """The asker took the request back."""

    code, kind = -32003, "withdrawn"


class Forbidden(TmuxAgentError):
    """The caller's role may not do this."""

    code, kind = -32004, "forbidden"


class NotFound(TmuxAgentError):
    code, kind = -32005, "not_found"


class Conflict(TmuxAgentError):
    """Changed since it was read, or already answered."""

    code, kind = -32006, "conflict"


class LimitExceeded(TmuxAgentError):
    """A rate, size or count is over its limit; the connection stays."""

    code, kind = -32007, "limit"


class TimedOut(TmuxAgentError):
    code, kind = -32008, "timeout"


class Unavailable(TmuxAgentError):
    """Something we need is away (tmux gone, disk full, audit not writable): nothing was done."""

    code, kind = -32009, "unavailable"


class Failed(TmuxAgentError):
    """It was done, and failed."""

    code, kind = -32010, "failed"
