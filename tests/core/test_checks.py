"""core/check*.py: specs as files have them, and what replies say, whatever they hold."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from tmux_agent.core import check_docker, check_github, check_replies, config
from tmux_agent.core.checks import (
    Check,
    CommandCheck,
    DockerCheck,
    Expect,
    GithubCheck,
    HttpCheck,
    Reading,
    WebhookCheck,
    path_steps,
    pause,
    reading,
)
from tmux_agent.core.secret import Secret

SINCE = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NOW = SINCE + timedelta(minutes=2)
DATE = {"date": format_datetime(NOW, usegmt=True)}


class File(Struct, frozen=True):
    external_check: Check


def loaded(text: str) -> Any:
    value, wrong = config.load(f"external_check: {text}", "p.yaml", File)
    assert wrong == ()
    assert value is not None
    assert msgspec.json.decode(msgspec.json.encode(value), type=File) == value  # as a pipeline keeps it
    return value.external_check


# --- specs -----------------------------------------------------------------------------------------


def test_the_seeds_own_check_loads_unchanged() -> None:
    """As the README of tmux-sentry has it; other names that documents use mean the same."""
    spec = loaded('\n  type: "github_action" \n  repository: "user/repo"\n  max_wait: 600')
    assert spec == GithubCheck(repository="user/repo", max_wait=600)
    assert isinstance(loaded("{type: github_actions, repository: a/b}"), GithubCheck)
    assert isinstance(loaded("{type: docker_build, image: app}"), DockerCheck)


def test_every_kind_loads_with_what_it_has() -> None:
    """Durations, secrets in headers, null as a value to be equal to."""
    spec = loaded(
        "{type: http, url: 'http://x/', headers: {Authorization: !secret token, A: b}, max_wait: 5m,"
        " expect: {status: [200, 204], json_path: '$.a[0]', equals: null}, fail_when: {status: 410}}"
    )
    assert spec.headers == {"Authorization": Secret("TOKEN"), "A": "b"}
    assert (spec.max_wait, spec.expect.codes, spec.expect.equals) == (300, (200, 204), None)
    assert spec.fail_when.codes == (410,)
    assert loaded("{type: webhook, name: ci, secret: !secret ci}").secret == Secret("CI")
    assert loaded("{type: command, argv: [make, check], failure: [2]}").success == (0,)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{type: github, repository: a/b}", "has to be one of github_action,"),
        ("{type: github_action}", "lacks the key repository"),
        ("{type: github_action, repository: a}", "owner/name"),
        ("{type: github_action, repository: a/..}", "owner/name"),
        ("{type: github_action, repository: a/b/../c}", "owner/name"),
        ("{type: github_action, repository: a/b, workflow: ../x}", "workflow has to be its file"),
        ("{type: github_action, repository: a/b, branch: x, ref: y}", "two names for one thing"),
        ("{type: github_action, repository: a/b, api_base: 'file:///etc'}", "api_base has to be an http"),
        ("{type: github_action, repository: a/b, head_sha: abc}", "whole commit id"),
        ("{type: docker}", "either container or image"),
        ("{type: docker, container: -x}", "container has to be a name"),
        ("{type: docker, image: --help}", "image has to be a name"),
        ("{type: docker, container: x, host: 'ssh://-oProxyCommand=x'}", "host has to be"),
        ("{type: http, url: 'ftp://x'}", "url has to be an http"),
        ("{type: http, url: 'http://me:secret@x/'}", "put it into a header"),
        ("{type: http, url: 'http://x:99999/'}", "url has to be an http"),
        ('{type: http, url: "http://x/\\r\\nA: b"}', "url has to be an http"),
        ('{type: http, url: "http://x", headers: {A: "b\\r\\nC: d"}}', "no header can have"),
        ("{type: http, url: 'http://x', headers: {Host: y}}", "cannot be set"),
        ("{type: http, url: 'http://x', expect: {regex: '(a'}}", "is no pattern"),
        ("{type: http, url: 'http://x', expect: {json_path: 'a..b'}}", "json_path has to look like"),
        ("{type: http, url: 'http://x', expect: {equals: 1}}", "equals needs a json_path"),
        ("{type: http, url: 'http://x', expect: {status: 20}}", "HTTP codes"),
        ("{type: http, url: 'http://x', interval: 0}", "interval has to be between"),
        ("{type: http, url: 'http://x', max_wait: 40d}", "max_wait has to be between"),
        ("{type: http, url: 'http://x', backoff: 0.5}", "backoff has to be between"),
        ("{type: webhook, name: ci}", "unsigned: true where that is wanted"),
        ("{type: webhook, name: ci, secret: x, unsigned: true}", "contradict"),
        ("{type: webhook, name: a/b, unsigned: true}", "name has to be"),
        ("{type: command, argv: []}", "argv has to name a program"),
        ("{type: command, argv: [x], cwd: rel}", "absolute path"),
        ("{type: command, argv: [x], success: [0, 1], failure: [1]}", "both success and failure"),
    ],
)
def test_a_wrong_spec_is_an_error_of_its_line(text: str, said: str) -> None:
    """Nothing of it is tried."""
    value, wrong = config.load(f"\nexternal_check: {text}", "p.yaml", File)
    assert value is None
    assert any(said in str(one) and str(one).startswith("p.yaml:2: external_check") for one in wrong), wrong


def test_pauses_grow_to_their_limit_and_differ() -> None:
    """By back-off, spread by a quarter either way; a huge number of looks is no error."""
    spec = HttpCheck(url="http://x", interval=2, backoff=2, max_interval=10)
    assert [pause(spec, number, 0.5) for number in (1, 2, 3, 4, 10_000)] == [2, 4, 8, 10, 10]
    assert pause(spec, 1, 0.0) == 1.5
    assert pause(spec, 1, 1.0) == 2.5


def test_a_reading_is_safe_to_show() -> None:
    """Neither controls nor endless texts nor links that are none."""
    one = reading("pending", "\x1b[31m\u202e" + "x" * 100_000, "javascript:alert(1)", wait=-5)
    assert "\x1b" not in one.detail
    assert "\u202e" not in one.detail
    assert len(one.detail) <= 300
    assert (one.url, one.wait) == ("", 0)
    assert reading("pending", "", "https://x/\x1b").url == ""
    assert reading("pending", "", "https://x/y").url == "https://x/y"


# --- GitHub ----------------------------------------------------------------------------------------

SPEC = GithubCheck(repository="user/repo", workflow="deploy.yml", branch="main", event="push")


def run(**more: Any) -> dict[str, Any]:
    """A run as the API describes it, with some of its many other members."""
    return {
        "id": 30433642,
        "name": "Build",
        "node_id": "MDEyOldvcmtmbG93IFJ1bjI2OTI4OQ==",
        "head_branch": "main",
        "head_sha": "acb5820ced9479c074f688cc328bf03f341a511d",
        "run_number": 562,
        "event": "push",
        "status": "queued",
        "conclusion": None,
        "workflow_id": 159038,
        "html_url": "https://github.com/user/repo/actions/runs/30433642",
        "pull_requests": [],
        "created_at": "2026-03-01T12:00:30Z",
        "updated_at": "2026-03-01T12:00:40Z",
        "run_attempt": 1,
        "run_started_at": "2026-03-01T12:00:30Z",
        **more,
    }


def github(*runs: dict[str, Any], spec: GithubCheck = SPEC, **more: Any) -> Reading:
    body = json.dumps({"total_count": len(runs), "workflow_runs": runs}).encode()
    return check_github.read(spec, 200, more.get("headers", DATE), body, since=SINCE, now=NOW)


def test_what_is_asked_of_github() -> None:
    """The documented paths, with names that stay names."""
    assert check_github.path(SPEC) == (
        "/repos/user/repo/actions/workflows/deploy.yml/runs"
        "?branch=main&event=push&exclude_pull_requests=true&per_page=20"
    )
    whole = GithubCheck(repository="user/repo", ref="refs/heads/a&b")
    assert (
        check_github.path(whole) == "/repos/user/repo/actions/runs?branch=a%26b&exclude_pull_requests=true&per_page=20"
    )
    one = GithubCheck(repository="user/repo", run_id=7)
    assert check_github.path(one) == "/repos/user/repo/actions/runs/7?exclude_pull_requests=true"


@pytest.mark.parametrize(
    ("status", "conclusion", "state"),
    [
        ("queued", None, "pending"),
        ("in_progress", None, "pending"),
        ("waiting", None, "pending"),
        ("requested", None, "pending"),
        ("pending", None, "pending"),
        ("a new one", None, "pending"),
        (None, None, "pending"),
        ("completed", "success", "success"),
        ("completed", "failure", "failure"),
        ("completed", "cancelled", "failure"),
        ("completed", "timed_out", "failure"),
        ("completed", "startup_failure", "failure"),
        ("completed", "stale", "failure"),
        ("completed", "skipped", "failure"),
        ("completed", "neutral", "failure"),
        ("completed", "action_required", "pending"),
        ("completed", None, "failure"),
    ],
)
def test_what_a_run_says(status: str | None, conclusion: str | None, state: str) -> None:
    """Only `success` is one, and nothing that ended otherwise goes on."""
    found = github(run(status=status, conclusion=conclusion))
    assert found.state == state
    assert found.url == "https://github.com/user/repo/actions/runs/30433642"
    assert found.detail.startswith("Build #562 (main acb5820): ")


def test_an_old_success_does_not_count() -> None:
    """Nor does one by a hair; a run that was begun again does."""
    done = {"status": "completed", "conclusion": "success"}
    old = run(**done, created_at="2026-03-01T11:59:58Z", run_started_at="2026-03-01T11:59:58Z")
    assert github(old).state == "pending"
    assert github().detail == "no run has begun since 12:00:00 UTC"
    again = run(**done, created_at="2026-02-01T00:00:00Z", run_started_at="2026-03-01T12:00:01Z", run_attempt=2)
    assert github(again).state == "success"
    assert github(run(**done, run_started_at=None)).state == "success"


def test_githubs_clock_counts() -> None:
    """Where ours is an hour late, a run that began before the stage is still old, and one after it new."""
    ahead = {"date": format_datetime(NOW + timedelta(hours=1), usegmt=True)}
    done = {"status": "completed", "conclusion": "success"}
    old = run(**done, run_started_at="2026-03-01T12:59:00Z")
    assert github(old, headers=ahead).state == "pending"
    assert github(run(**done, run_started_at="2026-03-01T13:00:01Z"), headers=ahead).state == "success"
    for date in ("", "yesterday", "Sun, 01 Mar 99999 12:00:00 GMT"):
        assert github(run(**done), headers={"date": date}).state == "success"


def test_several_workflows_have_all_to_succeed() -> None:
    """One that failed is enough; of each the newest run counts."""
    good = run(id=1, workflow_id=1, status="completed", conclusion="success")
    going = run(id=2, workflow_id=2, status="in_progress", name="Lint")
    bad = run(id=3, workflow_id=3, status="completed", conclusion="failure", name="Test")
    assert github(good, going).state == "pending"
    assert github(good, going).detail.startswith("1 of 2 runs succeeded; Lint #562")
    assert github(good, going, bad).state == "failure"
    superseded = run(id=4, workflow_id=1, status="completed", conclusion="cancelled")
    assert github(run(id=5, workflow_id=1, status="completed", conclusion="success"), superseded).state == "success"
    accepting = GithubCheck(repository="user/repo", accept=("success", "skipped"))
    assert github(good, run(workflow_id=9, status="completed", conclusion="skipped"), spec=accepting).state == "success"


def test_one_run_by_its_number() -> None:
    """Whenever it began."""
    spec = GithubCheck(repository="user/repo", run_id=30433642)
    body = json.dumps(run(status="completed", conclusion="success", run_started_at="2020-01-01T00:00:00Z")).encode()
    assert check_github.read(spec, 200, DATE, body, since=SINCE, now=NOW).state == "success"


def test_github_says_when_to_ask_again() -> None:
    """Retry-After as seconds or date, the reset of the rate limit by their clock, a minute where nothing is said."""

    def wait(status: int, headers: dict[str, str]) -> float:
        body = b'{"message":"API rate limit exceeded for 1.2.3.4.","documentation_url":"https://docs"}'
        found = check_github.read(SPEC, status, {**DATE, **headers}, body, since=SINCE, now=NOW)
        assert found.state == "unreachable"
        assert "API rate limit exceeded" in found.detail
        return found.wait

    assert wait(403, {"retry-after": "37"}) == 37
    assert wait(429, {"retry-after": format_datetime(NOW + timedelta(seconds=90), usegmt=True)}) == 90
    reset = int((NOW + timedelta(minutes=10)).timestamp())
    assert wait(403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(reset)}) == 600
    assert wait(429, {}) == 60
    assert wait(503, {"retry-after": "5"}) == 5
    assert wait(403, {"x-ratelimit-remaining": "12"}) == 0
    assert wait(403, {"retry-after": "9" * 50}) <= 30 * 86400
    assert wait(403, {"retry-after": "soon"}) == 0


@pytest.mark.parametrize(("status", "said"), [(401, "the token"), (404, "no such repository"), (500, "answers 500")])
def test_a_refusal_is_not_a_failure_of_the_build(status: int, said: str) -> None:
    """It may be mended meanwhile; and it is said what is wrong."""
    found = check_github.read(SPEC, status, DATE, b"<html>", since=SINCE, now=NOW)
    assert found.state == "unreachable"
    assert said in found.detail


# --- Docker ----------------------------------------------------------------------------------------


def container(wanted: Any, state: dict[str, Any]) -> Reading:
    spec = DockerCheck(container="web", state=wanted)
    return check_docker.read(spec, 200, json.dumps({"Id": "abc", "State": state}).encode(), since=SINCE)


AFTER = "2026-03-01T12:00:09.461876391Z"
BEFORE = "2026-03-01T11:00:00Z"


@pytest.mark.parametrize(
    ("wanted", "state", "found"),
    [
        ("running", {"Status": "created"}, "pending"),
        ("running", {"Status": "restarting"}, "pending"),
        ("running", {"Status": "paused"}, "pending"),
        ("running", {"Status": "running"}, "success"),
        ("running", {"Status": "exited", "ExitCode": 0, "FinishedAt": AFTER}, "failure"),
        ("running", {"Status": "exited", "ExitCode": 0, "FinishedAt": BEFORE}, "pending"),
        ("running", {"Status": "dead", "FinishedAt": AFTER}, "failure"),
        ("healthy", {"Status": "running", "Health": {"Status": "starting"}}, "pending"),
        ("healthy", {"Status": "running", "Health": {"Status": "healthy"}}, "success"),
        ("healthy", {"Status": "running", "Health": {"Status": "unhealthy", "FailingStreak": 3}}, "failure"),
        ("healthy", {"Status": "running", "Health": {"Status": "none"}}, "failure"),
        ("healthy", {"Status": "running"}, "failure"),
        ("exited", {"Status": "running"}, "pending"),
        ("exited", {"Status": "exited", "ExitCode": 0, "FinishedAt": AFTER}, "success"),
        ("exited", {"Status": "exited", "ExitCode": 1, "FinishedAt": AFTER}, "failure"),
        ("exited", {"Status": "exited", "ExitCode": 0, "FinishedAt": BEFORE}, "pending"),
        ("exited", {"Status": "created", "FinishedAt": "0001-01-01T00:00:00Z"}, "pending"),
        ("exited", {"Status": "dead", "ExitCode": 0, "FinishedAt": AFTER}, "failure"),
    ],
)
def test_what_a_container_says(wanted: str, state: dict[str, Any], found: str) -> None:
    """By what is waited for; what ended before the stage began says nothing about it."""
    assert container(wanted, state).state == found


def test_an_image_has_to_be_new() -> None:
    """Made or tagged after the stage began; where `fresh` is off, that it is there."""

    def image(fresh: bool = True, **members: Any) -> str:
        spec = DockerCheck(image="app:latest", fresh=fresh)
        body = json.dumps({"Id": "sha256:" + "ab" * 32, **members}).encode()
        return check_docker.read(spec, 200, body, since=SINCE).state

    assert image(Created=AFTER) == "success"
    assert image(Created=BEFORE) == "pending"
    assert image(Created="", Metadata={"LastTagTime": "0001-01-01T00:00:00Z"}) == "pending"
    assert image(Created="1970-01-01T00:00:00Z", Metadata={"LastTagTime": AFTER}) == "success"
    assert image(fresh=False, Created=BEFORE) == "success"
    assert image(Created="2026-03-01T12:00:09") == "unreachable"


def test_what_is_not_there_yet_and_a_broken_engine() -> None:
    """404 is pending, everything else is said."""
    spec = DockerCheck(image="a/b:1")
    assert check_docker.path(spec) == "/images/a/b:1/json"
    assert check_docker.read(spec, 404, b'{"message":"No such image: a/b:1"}', since=SINCE).state == "pending"
    found = check_docker.read(spec, 500, b'{"message":"\x1bbroken"}', since=SINCE)
    assert found.state == "unreachable"
    assert check_docker.arguments(DockerCheck(container="web", host="ssh://h")) == (
        "--host", "ssh://h", "container", "inspect", "--format", "{{json .}}", "--", "web",
    )  # fmt: skip


# --- replies ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expect", "body", "why"),
    [
        ({}, b"", ""),
        ({"status": 201}, b"", "not 201"),
        ({"regex": "(?i)READY"}, b"is ready\xff", ""),
        ({"regex": "^no$"}, b"is ready", "no '^no$' in it"),
        ({"json_path": "a.b[1]"}, b'{"a":{"b":[0,"x"]}}', ""),
        ({"json_path": "a.b[2]"}, b'{"a":{"b":[0,"x"]}}', "it has no a.b[2]"),
        ({"json_path": '$["a b"]'}, b'{"a b":0}', ""),
        ({"json_path": "a"}, b'{"a":null}', "a is null"),
        ({"json_path": "a"}, b'{"a":false}', "a is false"),
        ({"json_path": "a", "equals": "done"}, b'{"a":"done"}', ""),
        ({"json_path": "a", "equals": "done"}, b'{"a":"queued"}', 'a is "queued", not "done"'),
        ({"json_path": "a", "equals": 1}, b'{"a":true}', "a is true, not 1"),
        ({"json_path": "a", "equals": True}, b'{"a":1}', "a is 1, not true"),
        ({"json_path": "a", "equals": 1}, b'{"a":1.0}', ""),
        ({"json_path": "a", "equals": None}, b'{"a":null}', ""),
        ({"json_path": "a", "regex": "^1"}, b'{"a":12}', ""),
        ({"json_path": "a", "regex": "^2"}, b'{"a":12}', "a is 12, without '^2'"),
        ({"json_path": "a"}, b"<html>", "no JSON (JSON is malformed"),
        ({"json_path": "a"}, b"[" * 100_000, "no JSON ("),
        ({"json_path": "a"}, b'{"a":"\xff"}', "no JSON ("),
        ({"json_path": "a"}, b"", "no JSON ("),
        ({"json_path": "a", "equals": 1}, b'{"a":' + b"9" * 5000 + b"}", "no JSON ("),
    ],
)
def test_what_a_reply_has_to_be(expect: dict[str, Any], body: bytes, why: str) -> None:
    """All that is given; else the first thing that is otherwise, in words."""
    found = check_replies.unlike(Expect(**expect), 200, body)
    assert found.startswith(why) if why else found == ""


def test_an_http_reply_is_success_failure_or_pending() -> None:
    """fail_when wins; without a status of its own, only 2xx is a success."""
    spec = HttpCheck(url="http://x", expect=Expect(regex="up"), fail_when=Expect(json_path="state", equals="failed"))
    assert check_replies.read_http(spec, 200, {}, b"up", now=NOW).state == "success"
    assert check_replies.read_http(spec, 503, {}, b"up", now=NOW).state == "pending"
    assert check_replies.read_http(spec, 500, {}, b'{"state":"failed"}', now=NOW).state == "failure"
    assert check_replies.read_http(spec, 200, {}, b"down", now=NOW).detail == "200: no 'up' in it"
    gone = HttpCheck(url="http://x", expect=Expect(status=404))
    assert check_replies.read_http(gone, 404, {}, b"", now=NOW).state == "success"


def test_a_delivery_says_ok_or_what_is_asked_of_it() -> None:
    """By `ok` where nothing else is asked for."""
    plain = WebhookCheck(name="ci", unsigned=True)
    states = [check_replies.read_delivery(plain, body).state for body in (b'{"ok":true}', b'{"ok":false}', b'{"ok":1}')]
    assert states == ["success", "failure", "pending"]
    asked = WebhookCheck(
        name="ci",
        unsigned=True,
        expect=Expect(json_path="workflow_run.conclusion", equals="success"),
        fail_when=Expect(json_path="workflow_run.conclusion", regex="."),
    )
    assert check_replies.read_delivery(asked, b'{"workflow_run":{"conclusion":null}}').state == "failure"
    only = WebhookCheck(name="ci", unsigned=True, expect=Expect(json_path="done"))
    assert check_replies.read_delivery(only, b'{"ok":true}').state == "pending"


bodies = st.one_of(
    st.binary(max_size=200),
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=9),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
            st.sampled_from(["workflow_runs", "State", "Status", "Health", "Id", "created_at", "id", "ok", "Created"]),
            inner,
            max_size=5,
        ),
        max_leaves=20,
    ).map(lambda value: json.dumps(value).encode()),
)  # fmt: skip
READERS: list[Callable[[int, bytes], Reading]] = [
    lambda status, body: check_github.read(SPEC, status, {}, body, since=SINCE, now=NOW),
    lambda status, body: check_docker.read(DockerCheck(container="x"), status, body, since=SINCE),
    lambda status, body: check_docker.read(DockerCheck(image="x"), status, body, since=SINCE),
    lambda status, body: check_replies.read_http(
        HttpCheck(url="http://x", expect=Expect(json_path="ok")), status, {}, body, now=NOW
    ),
    lambda _, body: check_replies.read_delivery(WebhookCheck(name="x", unsigned=True), body),
]


@given(st.sampled_from(READERS), st.sampled_from([200, 301, 403, 404, 429, 500]), bodies)
def test_no_body_is_more_than_a_reading(read: Callable[[int, bytes], Reading], status: int, body: bytes) -> None:
    """Whatever a server answers is a reading, and hostile text stays text."""
    assert all(char >= " " for char in read(status, body).detail)


@given(st.text(max_size=60))
def test_a_path_is_steps_or_a_value_error(text: str) -> None:
    """Nothing else."""
    try:
        steps = path_steps(text)
    except ValueError:
        return
    assert all(isinstance(step, (str, int)) for step in steps)


def test_commands_have_their_codes() -> None:
    """Made in code as in files."""
    with pytest.raises(ValueError, match="NUL"):
        CommandCheck(argv=("a\0b",))
