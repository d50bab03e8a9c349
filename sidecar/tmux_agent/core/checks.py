"""External checks: what a pipeline's stage may wait for (`external_check:` in YAML), and what one look at it says.

Owns the specs with their bounds, and Reading. A spec is wrong as soon as it is made (ValueError), so that a file names
the line. Must not own: how replies are read (check_github.py, check_docker.py, check_replies.py), who looks
(services/checks/), when a stage goes on.
"""

from __future__ import annotations

import re
from typing import Any, Literal
from urllib.parse import urlsplit

from msgspec import UNSET, Struct

from . import display, redact
from .patterns import pattern
from .secret import Secret

State = Literal["pending", "success", "failure", "unreachable"]
LONGEST = 30 * 86400.0  # seconds that anything here may take
DETAIL = 300  # characters
LOOPBACK = frozenset(("127.0.0.1", "localhost", "::1"))


class Reading(Struct, frozen=True, kw_only=True):
    """What one look says. `failure` is what the other side says (or a refusal that stays one); where nothing can be
    learned it is `unreachable`.

    `detail` is safe to show, `url` is where a person can look. `wait`: seconds that we are asked to stay away.
    """

    state: State
    detail: str = ""
    url: str = ""
    wait: float = 0.0

    @property
    def ended(self) -> bool:
        return self.state in ("success", "failure")


def reading(state: State, detail: str, url: str = "", wait: float = 0.0) -> Reading:
    """A Reading whose foreign texts are made safe and short and hold no secret, and whose link is one."""
    shown = display.middle(display.safe(redact.redact_text(detail[: 4 * DETAIL])), DETAIL)
    link = url if len(url) < 1000 and re.fullmatch(r"https?://[!-~]+", url) else ""
    return Reading(state=state, detail=shown, url=link, wait=min(max(wait, 0.0), LONGEST))


# --- what all have ---------------------------------------------------------------------------------


class _Timed(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`max_wait`: seconds since the stage began, after which it is a failure. Looks are `interval` seconds apart, each
    pause `backoff` times the one before, up to `max_interval`; one look may take `timeout` seconds."""

    max_wait: float = 600.0
    interval: float = 5.0
    backoff: float = 1.5
    max_interval: float = 60.0
    timeout: float = 20.0

    def _times(self) -> None:
        for name, least in (("max_wait", 1.0), ("interval", 1.0), ("max_interval", 1.0), ("timeout", 0.1)):
            value = getattr(self, name)
            if not least <= value <= LONGEST:
                raise ValueError(f"{name} has to be between {least:g} seconds and 30 days, not {value:g}")
        if not 1.0 <= self.backoff <= 10.0:
            raise ValueError(f"backoff has to be between 1 and 10, not {self.backoff:g}")


def pause(spec: Check, looks: int, chance: float) -> float:
    """Seconds until the next look after so many of them. `chance` (0 to 1) spreads those of many checks."""
    length = min(spec.interval * spec.backoff ** min(looks - 1, 100), max(spec.interval, spec.max_interval))
    return length * (0.75 + chance / 2)


class Expect(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a reply has to be: all that is given. `json_path` (`jobs[0].state`) alone: that there is a value which is
    neither null nor false; `equals`: this value; `regex`: text of that value, or of the whole body, that fits (RE2)."""

    status: int | tuple[int, ...] = ()
    json_path: str = ""
    equals: Any = UNSET
    regex: str = ""

    def __post_init__(self) -> None:
        if any(not 100 <= code <= 599 for code in self.codes):
            raise ValueError("status has to be HTTP codes such as 200")
        path_steps(self.json_path)
        if self.regex:
            pattern(self.regex)
        if self.equals is not UNSET:
            if not self.json_path:
                raise ValueError("equals needs a json_path")
            if not isinstance(self.equals, (str, int, float, type(None))):
                raise ValueError("equals has to be a text, number, true, false or null")

    @property
    def codes(self) -> tuple[int, ...]:
        return self.status if isinstance(self.status, tuple) else (self.status,)


_STEP = re.compile(r"\.?([A-Za-z_@][A-Za-z0-9_@-]*)|\[([0-9]{1,6})\]|\[\"([^\"]{1,200})\"\]")


def path_steps(path: str) -> tuple[str | int, ...]:
    """Names and numbers of a JSON path: `a.b[0]["c d"]`, with or without `$` in front. Raises ValueError."""
    steps: list[str | int] = []
    at = 1 if path.startswith("$") else 0
    while at < len(path):
        step = _STEP.match(path, at)
        if step is None or len(steps) >= 50:
            raise ValueError(f'json_path has to look like data.items[0]["a b"], not {path[:100]!r}')
        steps.append(int(step[2]) if step[2] else step[1] or step[3])
        at = step.end()
    return tuple(steps)


# --- GitHub Actions --------------------------------------------------------------------------------

_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}/(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}")
_WORKFLOW = re.compile(r"[0-9]{1,19}|[A-Za-z0-9._ -]{1,200}\.ya?ml")


class GithubCheck(_Timed, frozen=True, kw_only=True, tag="github_action"):
    """Runs of GitHub Actions that began after the stage did; of each workflow the newest. `run_id`: this one.

    `token` is empty: the secret or variable GITHUB_TOKEN, which only api.github.com or GITHUB_API_URL gets.
    `accept`: conclusions that are a success.
    """

    repository: str
    workflow: str = ""
    branch: str = ""
    ref: str = ""
    event: str = ""
    head_sha: str = ""
    run_id: int | None = None
    token: str | Secret = ""
    api_base: str = ""
    accept: tuple[Literal["success", "neutral", "skipped"], ...] = ("success",)

    def __post_init__(self) -> None:
        self._times()
        if not _REPOSITORY.fullmatch(self.repository):
            raise ValueError(f"repository has to be owner/name, not {self.repository[:200]!r}")
        if self.workflow and not _WORKFLOW.fullmatch(self.workflow):
            raise ValueError(f"workflow has to be its file (deploy.yml) or number, not {self.workflow[:200]!r}")
        if self.head_sha and not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", self.head_sha):
            raise ValueError("head_sha has to be a whole commit id")
        if self.branch and self.ref:
            raise ValueError("branch and ref are two names for one thing: give one")
        if self.run_id is not None and not 0 < self.run_id < 1 << 63:
            raise ValueError("run_id has to be the number of a run")
        if self.api_base:
            check_url(self.api_base, "api_base")


class GithubActions(GithubCheck, frozen=True, kw_only=True, tag="github_actions"):
    """The same under another name."""


# --- Docker ----------------------------------------------------------------------------------------

_CONTAINER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,254}")
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/@-]{0,499}")
_HOST = re.compile(r"unix:///[!-~]{1,100}|(?:tcp|ssh)://[A-Za-z0-9[][!-~]{0,500}")


class DockerCheck(_Timed, frozen=True, kw_only=True, tag="docker"):
    """A container's state, or an image that a build makes. A `unix://` host is asked directly, every other one through
    the `docker` program, as is the one it would choose itself where `host` is empty.

    `state` exited: with 0, after the stage began. `fresh`: an image made or tagged after the stage began.
    """

    container: str = ""
    image: str = ""
    state: Literal["running", "healthy", "exited"] = "running"
    fresh: bool = True
    host: str = ""

    def __post_init__(self) -> None:
        self._times()
        if bool(self.container) == bool(self.image):
            raise ValueError("give either container or image")
        if self.container and not _CONTAINER.fullmatch(self.container):
            raise ValueError(f"container has to be a name or id, not {self.container[:200]!r}")
        if self.image and not _IMAGE.fullmatch(self.image):
            raise ValueError(f"image has to be a name such as app:latest, not {self.image[:200]!r}")
        if self.host and not _HOST.fullmatch(self.host):
            raise ValueError("host has to be unix:///path, tcp://host:port or ssh://host")


class DockerBuild(DockerCheck, frozen=True, kw_only=True, tag="docker_build"):
    """The same under another name."""


# --- HTTP, out and in ------------------------------------------------------------------------------

_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")


class HttpCheck(_Timed, frozen=True, kw_only=True, tag="http"):
    """A request, and what its reply has to be: a status from 200 to 299 where `expect` names none. `fail_when`: what
    ends it as a failure; anything else is pending."""

    url: str
    method: Literal["GET", "HEAD", "POST", "PUT"] = "GET"
    headers: dict[str, str | Secret] = {}
    body: str = ""
    expect: Expect = Expect()
    fail_when: Expect | None = None

    def __post_init__(self) -> None:
        self._times()
        check_url(self.url, "url")
        for name, value in self.headers.items():
            if not _HEADER.fullmatch(name) or name.lower() in ("host", "content-length", "transfer-encoding"):
                raise ValueError(f"headers: {name[:100]!r} cannot be set")
            if isinstance(value, str) and not re.fullmatch(r"[ \t!-~]*", value):
                raise ValueError(f"headers: {name} has a value that no header can have")


class WebhookCheck(_Timed, frozen=True, kw_only=True, tag="webhook"):
    """Somebody tells us: POST /hooks/NAME on the HTTP listener, its body signed with `secret` (HMAC-SHA256, as GitHub's
    X-Hub-Signature-256). Without `expect` and `fail_when` the body's `ok` says it: true or false.

    `unsigned`: any program of this machine, agents too, may tell us.
    """

    name: str
    secret: str | Secret = ""
    unsigned: bool = False
    expect: Expect | None = None
    fail_when: Expect | None = None

    def __post_init__(self) -> None:
        self._times()
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", self.name):
            raise ValueError("name has to be at most 64 letters, digits, - and _")
        if not self.secret and not self.unsigned:
            raise ValueError(
                "secret is missing: without one any program of this machine can tell us that all is well; write "
                "unsigned: true where that is wanted"
            )
        if self.secret and self.unsigned:
            raise ValueError("secret and unsigned contradict each other")
        if any(one and one.codes for one in (self.expect, self.fail_when)):
            raise ValueError("what is sent to us has no status: use json_path or regex")


# --- a command -------------------------------------------------------------------------------------


class CommandCheck(_Timed, frozen=True, kw_only=True, tag="command"):
    """A program that is run again until its exit code is one of `success`; one of `failure` ends it, any other is
    pending. It goes through the guard like every other command: allow it by a rule, or each look asks a person."""

    argv: tuple[str, ...]
    cwd: str = ""
    success: tuple[int, ...] = (0,)
    failure: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        self._times()
        if not self.argv or not self.argv[0] or any("\0" in word for word in self.argv):
            raise ValueError("argv has to name a program, and no argument may hold a NUL")
        if self.cwd and not self.cwd.startswith("/"):
            raise ValueError("cwd has to be an absolute path")
        if set(self.success) & set(self.failure):
            raise ValueError("an exit code cannot be both success and failure")


Check = GithubCheck | GithubActions | DockerCheck | DockerBuild | HttpCheck | WebhookCheck | CommandCheck
TYPES = ("github_action", "docker", "http", "webhook", "command")


def check_url(url: str, what: str) -> None:
    """Raises ValueError, naming `what`, for what is no http(s) URL, or has a password in it."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(f"{what} has to be an http:// or https:// URL") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not re.fullmatch(r"[!-~]{1,4000}", url):
        raise ValueError(f"{what} has to be an http:// or https:// URL of plain ASCII, not {url[:100]!r}")
    if parts.username is not None or parts.password is not None:
        raise ValueError(f"{what} has a name or password in it: put it into a header, with !secret")
    if port == 0:
        raise ValueError(f"{what} has the port 0")
