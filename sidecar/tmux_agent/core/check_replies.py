"""What an HTTP reply or a delivery says about a check: whether it is as a spec's Expect says.

Owns reading bodies that may hold anything. Must not own: services with replies of a kind of their own (check_github.py,
check_docker.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET

from .checks import Expect, HttpCheck, Reading, WebhookCheck, path_steps, reading
from .patterns import pattern

_T = TypeVar("_T")
_SHOWN = 60  # characters of a value in a sentence


def decode(body: bytes, kind: type[_T]) -> _T:
    """JSON as `kind`. Raises ValueError for everything that is not."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as why:
        raise ValueError(str(why)[:200]) from None


def read_http(spec: HttpCheck, status: int, headers: Mapping[str, str], body: bytes, *, now: datetime) -> Reading:
    """What a reply to the spec's request says."""
    if spec.fail_when and not unlike(spec.fail_when, status, body):
        return reading("failure", f"{status}: {_as_said(spec.fail_when)}", spec.url)
    wait = retry_after(headers, now) if status in (429, 503) else 0.0
    if why := unlike(spec.expect, status, body):
        return reading("pending", f"{status}: {why}", spec.url, wait)
    if not spec.expect.status and not 200 <= status <= 299:
        return reading("pending", f"it answers {status}", spec.url, wait)
    return reading("success", f"it answers {status}", spec.url)


def retry_after(headers: Mapping[str, str], now: datetime) -> float:
    """Seconds of a Retry-After header, which has a number or a date; 0 where there is none."""
    value = headers.get("retry-after", "").strip()
    if value.isdigit():
        return float(value[:9])
    try:
        at = parsedate_to_datetime(value)
        return max(0.0, (at - now).total_seconds()) if at.tzinfo else 0.0
    except (ValueError, TypeError, OverflowError):
        return 0.0


def read_delivery(spec: WebhookCheck, body: bytes) -> Reading:
    """What a body that was sent to us says."""
    expect, fail = spec.expect or Expect(), spec.fail_when
    if spec.expect is None and spec.fail_when is None:
        expect, fail = Expect(json_path="ok", equals=True), Expect(json_path="ok", equals=False)
    if fail and not unlike(fail, 0, body):
        return reading("failure", f"told so: {_as_said(fail)}")
    if why := unlike(expect, 0, body):
        return reading("pending", f"told something else: {why}")
    return reading("success", "told so")


def unlike(expect: Expect, status: int, body: bytes) -> str:
    """What is not as expected, in words; "" where all is."""
    if expect.status and status not in expect.codes:
        return f"not {' or '.join(map(str, expect.codes))}"
    if not expect.json_path:
        text = body.decode(errors="replace")
        return "" if not expect.regex or pattern(expect.regex).fits(text) else f"no {expect.regex!r} in it"
    try:
        value = _at(decode(body, Any), expect.json_path)
    except ValueError as why:
        return f"no JSON ({why})"
    if value is UNSET:
        return f"it has no {expect.json_path}"
    if expect.equals is not UNSET and not _same(value, expect.equals):
        return f"{expect.json_path} is {_said(value)}, not {_said(expect.equals)}"
    if expect.regex and not pattern(expect.regex).fits(_text(value)):
        return f"{expect.json_path} is {_said(value)}, without {expect.regex!r}"
    if expect.equals is UNSET and not expect.regex and (value is None or value is False):
        return f"{expect.json_path} is {_said(value)}"
    return ""


def _at(value: Any, path: str) -> Any:
    """The value at a path; UNSET where there is none."""
    for step in path_steps(path):
        if isinstance(value, dict) and isinstance(step, str):
            value = value.get(step, UNSET)
        elif isinstance(value, list) and isinstance(step, int):
            value = value[step] if step < len(value) else UNSET
        else:
            return UNSET
    return value


def _same(value: Any, wanted: Any) -> bool:
    """JSON's equality: true is not 1, and 1 is 1.0."""
    return isinstance(value, bool) == isinstance(wanted, bool) and bool(value == wanted)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _said(value: Any) -> str:
    text = msgspec.json.encode(value).decode(errors="replace")
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _as_said(expect: Expect) -> str:
    """What the expectation says, of a reply that is so."""
    parts = []
    if expect.json_path:
        parts.append(expect.json_path if expect.equals is UNSET else f"{expect.json_path} is {_said(expect.equals)}")
    if expect.regex:
        parts.append(f"{expect.regex!r} is in it")
    return ", ".join(parts) or "as fail_when says"
