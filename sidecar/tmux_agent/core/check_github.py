"""GitHub Actions for a check: what is asked of its REST API, and what the reply says. After docs.github.com/rest, runs.

Owns paths and headers of the requests, which runs count, what their conclusions mean, and how long GitHub's rate limits
ask us to stay away. Must not own: connections, tokens, time (services/checks/).

A run counts if it began (or began again) after the stage did, by GitHub's own clock; of each workflow the newest. Of
more runs than a page holds, the newest page is looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import quote, urlencode

from msgspec import Struct

from .check_replies import decode, retry_after
from .checks import GithubCheck, Reading, reading

API = "https://api.github.com"
HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
PAGE = 20  # runs of one reply: each takes up to 30 kB
NEAR = 5.0  # seconds that clocks may differ without mattering


class _Run(Struct, frozen=True, kw_only=True):
    id: int
    status: str | None = None
    conclusion: str | None = None
    created_at: str = ""
    run_started_at: str | None = None
    html_url: str = ""
    name: str | None = None
    run_number: int = 0
    workflow_id: int = 0
    head_branch: str | None = None
    head_sha: str = ""

    @property
    def said(self) -> str:
        where = f" ({self.head_branch or '?'} {self.head_sha[:7]})" if self.head_sha else ""
        return f"{self.name or 'run'} #{self.run_number}{where}"


class _Runs(Struct, frozen=True, kw_only=True):
    workflow_runs: list[_Run]


class _Complaint(Struct, frozen=True, kw_only=True):
    message: str = ""


def path(spec: GithubCheck) -> str:
    """What is asked for, after the API's base."""
    base = f"/repos/{spec.repository}/actions"
    if spec.run_id is not None:
        return f"{base}/runs/{spec.run_id}?exclude_pull_requests=true"
    wanted = {
        "branch": spec.branch or spec.ref.removeprefix("refs/heads/"),
        "event": spec.event,
        "head_sha": spec.head_sha,
        "exclude_pull_requests": "true",
        "per_page": str(PAGE),
    }
    within = f"/workflows/{quote(spec.workflow, safe='')}" if spec.workflow else ""
    return f"{base}{within}/runs?{urlencode({name: value for name, value in wanted.items() if value})}"


def read(
    spec: GithubCheck, status: int, headers: Mapping[str, str], body: bytes, *, since: datetime, now: datetime
) -> Reading:
    """What a reply says. `since`: when the stage began, `now`: when the reply came, both by our clock."""
    if status != 200:
        return _refused(status, headers, body, now)
    try:
        if spec.run_id is not None:
            runs = [decode(body, _Run)]
        else:
            began = since + _ahead(headers, now) - timedelta(seconds=1)  # their times are whole seconds
            runs = _newest(run for run in decode(body, _Runs).workflow_runs if _began(run) >= began)
    except ValueError as why:
        return reading("unreachable", f"the reply is none of GitHub's: {why}")
    if not runs:
        return reading("pending", f"no run has begun since {since.astimezone(UTC):%H:%M:%S} UTC")
    return _all_of([_one(spec, run) for run in runs])


def _ahead(headers: Mapping[str, str], now: datetime) -> timedelta:
    """How far their clock is ahead of ours."""
    try:
        theirs = parsedate_to_datetime(headers.get("date", ""))
        ahead = theirs - now if theirs.tzinfo else timedelta()
    except (ValueError, TypeError, OverflowError):
        return timedelta()
    return ahead if NEAR < abs(ahead.total_seconds()) < 366 * 86400 else timedelta()


def _began(run: _Run) -> datetime:
    """When it began, the last time. Raises ValueError."""
    began = datetime.fromisoformat(run.run_started_at or run.created_at)
    if began.tzinfo is None:
        raise ValueError("a time without its zone")
    return began


def _newest(runs: Iterable[_Run]) -> list[_Run]:
    """The newest of each workflow, as GitHub orders them: newest first."""
    found: dict[int, _Run] = {}
    for run in runs:
        if run.workflow_id not in found or found[run.workflow_id].id < run.id:
            found[run.workflow_id] = run
    return list(found.values())


def _one(spec: GithubCheck, run: _Run) -> Reading:
    if run.status != "completed":
        return reading("pending", f"{run.said}: {run.status or 'no state yet'}", run.html_url)
    if run.conclusion in spec.accept:
        return reading("success", f"{run.said}: {run.conclusion}", run.html_url)
    if run.conclusion == "action_required":
        return reading("pending", f"{run.said}: somebody has to approve it at GitHub", run.html_url)
    return reading("failure", f"{run.said}: {run.conclusion or 'no conclusion'}", run.html_url)


def _all_of(readings: list[Reading]) -> Reading:
    """Failure as soon as one failed, success when all succeeded."""
    for state in ("failure", "pending"):
        if worst := next((one for one in readings if one.state == state), None):
            break
    else:
        worst = readings[0]
    if len(readings) == 1:
        return worst
    done = sum(one.state == "success" for one in readings)
    return reading(worst.state, f"{done} of {len(readings)} runs succeeded; {worst.detail}", worst.url)


def _refused(status: int, headers: Mapping[str, str], body: bytes, now: datetime) -> Reading:
    """A reply that is no answer: why, and how long to stay away."""
    try:
        said = decode(body, _Complaint).message
    except ValueError:
        said = ""
    wait = _wait(status, headers, now)
    if status == 401:
        meant = "GitHub does not know the token"
    elif status == 404:
        meant = "GitHub shows no such repository, workflow or run to this token"
    elif wait:
        meant = f"GitHub's rate limit: asked again in {wait:.0f} s"
    else:
        meant = f"GitHub answers {status}"
    return reading("unreachable", f"{meant} ({said})" if said else meant, wait=wait)


def _wait(status: int, headers: Mapping[str, str], now: datetime) -> float:
    if status not in (403, 429, 503):
        return 0.0
    if headers.get("retry-after"):
        return retry_after(headers, now)
    if status != 503 and headers.get("x-ratelimit-remaining", "").strip() == "0":
        reset = headers.get("x-ratelimit-reset", "").strip()
        if reset.isdigit() and len(reset) < 12:
            theirs = now.timestamp() + _ahead(headers, now).total_seconds()
            return max(1.0, int(reset) - theirs)
    return 60.0 if status == 429 else 0.0  # as GitHub asks for where it says nothing else
