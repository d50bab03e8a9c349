"""One look at what a check is about, for each kind that is asked (and does not tell us by itself).

Owns what is sent, with which secrets, and what is remembered between looks (ETags). Must not own: how often
(follow.py), what replies mean (core/check*.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from ...core import check_docker, check_github, check_replies, errors, model
from ...core.checks import (
    LOOPBACK,
    Check,
    CommandCheck,
    DockerCheck,
    GithubCheck,
    HttpCheck,
    Reading,
    check_url,
    reading,
)
from ...core.replies import CommandData
from ..secrets import Secrets
from . import docker
from .fetch import Asked, Fetcher, Unreachable

Look = Callable[[], Awaitable[Reading]]
Run = Callable[[model.Command], Awaitable[model.Outcome]]


class Means(Struct, frozen=True):
    """What looks are made with. `run` puts a command through the guard; an empty `cwd` is the caller's to fill in."""

    fetcher: Fetcher
    secrets: Secrets
    environ: Mapping[str, str]
    now: Callable[[], datetime]
    run: Run | None


def look_of(spec: Check, since: datetime, means: Means) -> Look:
    """How to look once. What it gives is always a Reading; it raises only what is a defect."""
    made: Callable[[], Awaitable[Reading]]
    match spec:
        case GithubCheck():
            made = _Github(spec, since, means).look
        case DockerCheck():
            made = lambda: _docker(spec, since, means)  # noqa: E731
        case HttpCheck():
            made = lambda: _http(spec, means)  # noqa: E731
        case CommandCheck():
            made = lambda: _command(spec, means)  # noqa: E731
        case _:
            raise TypeError(f"{type(spec).__name__} is not looked at")

    async def look() -> Reading:
        try:
            return await made()
        except Unreachable as why:
            return reading("unreachable", str(why), getattr(spec, "url", ""))
        except errors.TmuxAgentError as why:  # a secret that is not there, a store that cannot be read
            return reading("unreachable", why.message)

    return look


class _Github:
    """Asks again with the last reply's ETag: "nothing new" is cheap, for us and for the rate limit."""

    def __init__(self, spec: GithubCheck, since: datetime, means: Means) -> None:
        self._spec, self._since, self._means = spec, since, means
        self._etag = ""
        self._last: Reading | None = None

    async def look(self) -> Reading:
        spec, means = self._spec, self._means
        base, token = await asyncio.to_thread(self._place)
        headers = dict(check_github.HEADERS)
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if self._etag:
            headers["If-None-Match"] = self._etag
        asked = Asked(url=base + check_github.path(spec), headers=headers)
        reply = await means.fetcher.fetch(asked, spec.timeout)
        if reply.status == 304 and self._last is not None:
            return self._last
        found = check_github.read(spec, reply.status, reply.headers, reply.body, since=self._since, now=means.now())
        self._etag, self._last = "", None
        if reply.status == 200 and (etag := reply.headers.get("etag", "")).isascii() and etag.isprintable():
            self._etag, self._last = etag, found
        return found

    def _place(self) -> tuple[str, str]:
        """The API's base and the token for it. Raises what Secrets raises, Unreachable."""
        spec, secrets = self._spec, self._means.secrets
        own = secrets.variable("GITHUB_API_URL") or check_github.API
        base = (spec.api_base or own).rstrip("/")
        try:
            check_url(base, "GITHUB_API_URL")
        except ValueError as why:
            raise Unreachable(str(why)) from None
        token = secrets.setting(spec.token)
        if not token and base in (own.rstrip("/"), check_github.API):
            token = secrets.find("GITHUB_TOKEN") or ""
        parts = urlsplit(base)
        if token and parts.scheme != "https" and parts.hostname not in LOOPBACK:
            raise Unreachable(f"{base} is not encrypted: the token is not sent there")
        return base, _sendable(token, "the token")


async def _docker(spec: DockerCheck, since: datetime, means: Means) -> Reading:
    status, body = await docker.ask(spec, means.fetcher, means.environ)
    return check_docker.read(spec, status, body, since=since)


async def _http(spec: HttpCheck, means: Means) -> Reading:
    secrets = means.secrets

    def values() -> dict[str, str]:
        return {name: _sendable(secrets.setting(value), f"the header {name}") for name, value in spec.headers.items()}

    asked = Asked(
        url=spec.url,
        method=spec.method,
        headers=await asyncio.to_thread(values),
        body=spec.body.encode(),
        keep=spec.expect.codes + (spec.fail_when.codes if spec.fail_when else ()),
    )
    reply = await means.fetcher.fetch(asked, spec.timeout)
    return check_replies.read_http(spec, reply.status, reply.headers, reply.body, now=means.now())


def _sendable(value: str, what: str) -> str:
    """Raises Unreachable for what would not be one header's value; never shows it."""
    if not value.isascii() or (value and not value.isprintable()):
        raise Unreachable(f"the secret for {what} is no single line of plain ASCII")
    return value


async def _command(spec: CommandCheck, means: Means) -> Reading:
    """The guard's no is a failure: asking again would ask a person again."""
    if means.run is None:
        return reading("failure", "nothing here may run commands")
    command = model.Command(argv=spec.argv, cwd=spec.cwd, timeout=spec.timeout)
    try:
        outcome = await means.run(command)
    except (errors.Denied, errors.Expired, errors.Withdrawn, errors.Forbidden, errors.InvalidParams) as why:
        return reading("failure", f"not run: {why.message}")
    data = _command_data(outcome.data)
    if data is None or data.exit_code is None:
        how = f"ended by {data.signal}" if data and data.signal else outcome.error or "no exit code"
        return reading("unreachable", f"{spec.argv[0]}: {how}")
    said = f"{spec.argv[0]} ended with {data.exit_code}"
    if data.exit_code in spec.success:
        return reading("success", said)
    return reading("failure" if data.exit_code in spec.failure else "pending", said)


def _command_data(data: Any) -> CommandData | None:
    try:
        return data if isinstance(data, CommandData) else msgspec.convert(data, CommandData)
    except msgspec.ValidationError:
        return None
