"""Checks followed to their end, against real servers: GitHub's Actions, Docker's engine, HTTP, webhooks, commands."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.patience import PATIENCE
from tests.services.bad_servers import Github, Server, hangs, reply, serving

from tmux_agent.core import errors
from tmux_agent.core.checks import (
    Check,
    CommandCheck,
    DockerCheck,
    Expect,
    GithubCheck,
    HttpCheck,
    Reading,
    WebhookCheck,
)
from tmux_agent.core.model import Command, Outcome
from tmux_agent.core.replies import CommandData
from tmux_agent.core.secret import Secret
from tmux_agent.services.checks.deliveries import Deliveries, sign
from tmux_agent.services.checks.follow import Checks
from tmux_agent.services.journal import Journal
from tmux_agent.services.places import find
from tmux_agent.services.secrets import Secrets


class Time:
    """A clock that only sleeping moves. `woken` is called after each sleep with how many there were."""

    def __init__(self) -> None:
        self.at = datetime.now(UTC)
        self.slept: list[float] = []
        self.woken: Callable[[int], None] = lambda _: None

    def now(self) -> datetime:
        return self.at

    def clock(self) -> float:
        return self.at.timestamp()

    async def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
        self.slept.append(seconds)
        self.woken(len(self.slept))


class World:
    """Checks with their journal in a folder, an environment, and a clock of the test's."""

    def __init__(self, folder: Path, **environ: str) -> None:
        self.folder = folder
        self.environ = {"HOME": str(folder), "PATH": "/nonexistent", **environ}
        self.time = Time()
        self.address = "http://127.0.0.1:8722"

    @asynccontextmanager
    async def checks(self) -> AsyncIterator[Checks]:
        journal = Journal(self.folder / "state.db", self.folder / "audit.jsonl")
        await journal.start()
        secrets = Secrets(find(self.environ), self.environ)
        time = self.time
        try:
            yield Checks(
                journal, secrets, self.environ, address=lambda: self.address,
                now=time.now, clock=time.clock, sleep=time.sleep, chance=lambda: 0.5,
            )  # fmt: skip
        finally:
            await journal.close()

    def follow(self, spec: Check, *, ago: float = 0.0, run: Any = None) -> list[Reading]:
        """All readings, of a stage that began so many seconds ago."""

        async def all_of() -> list[Reading]:
            async with self.checks() as checks, asyncio.timeout(PATIENCE):
                since = self.time.now() - timedelta(seconds=ago)
                return [one async for one in checks.follow(spec, since=since, key="test", run=run)]

        return asyncio.run(all_of())

    def states(self, spec: Check, **more: Any) -> list[str]:
        return [one.state for one in self.follow(spec, **more)]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


# --- pace ------------------------------------------------------------------------------------------


def test_it_looks_by_back_off_until_max_wait(world: World) -> None:
    """Each pause longer than the last, none over its limit, a last look at the end; then it is a failure."""
    with serving(reply(b"", "404 Not Found")) as server:
        spec = HttpCheck(url=server.url, interval=10, backoff=2, max_interval=60, max_wait=200)
        found = world.follow(spec)
    assert world.time.slept == [10, 20, 40, 60, 60, 10]
    assert [one.state for one in found] == ["pending", "failure"]
    assert found[-1].detail == "nothing within 200 s; at last pending: it answers 404"
    assert server.got.qsize() == 7


def test_what_changes_is_told_and_nothing_else(world: World) -> None:
    """Twice the same is once; the last is the end."""
    answers = [reply(b'{"state":"queued"}')] * 3 + [reply(b'{"state":"running"}')] * 2 + [reply(b'{"state":"done"}')]
    with serving(*answers) as server:
        spec = HttpCheck(url=server.url, expect=Expect(json_path="state", equals="done"))
        found = world.follow(spec)
    assert [(one.state, one.detail) for one in found] == [
        ("pending", '200: state is "queued", not "done"'),
        ("pending", '200: state is "running", not "done"'),
        ("success", "it answers 200"),
    ]


def test_unreachable_is_no_failure(world: World) -> None:
    """Nobody there, then somebody: it goes on until max_wait."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    servers: list[Server] = []

    def begin(number: int) -> None:
        if number == 2:
            servers.append(Server(reply(), port=port))

    world.time.woken = begin
    try:
        found = world.follow(HttpCheck(url=f"http://127.0.0.1:{port}"))
    finally:
        for server in servers:
            server.close()
    assert [one.state for one in found] == ["unreachable", "success"]
    world.time.woken = lambda _: None
    late = world.follow(HttpCheck(url=f"http://127.0.0.1:{port}", max_wait=30))[-1]
    assert late.state == "failure"
    assert late.detail == "nothing within 30 s; at last unreachable: no connection: Connection refused"


def test_a_server_may_ask_us_to_stay_away(world: World) -> None:
    """Retry-After is kept to; one beyond max_wait is the end, without another look."""
    with serving(reply(b"", "503 Service Unavailable", "Retry-After: 77"), reply()) as server:
        assert world.states(HttpCheck(url=server.url)) == ["pending", "success"]
        assert world.time.slept == [77]
    with serving(reply(b"", "429 Too Many Requests", "Retry-After: 9999"), reply()) as server:
        assert world.states(HttpCheck(url=server.url)) == ["pending", "failure"]
        assert world.time.slept[1:] == [600]


def test_after_a_restart_it_is_looked_at_once_more(world: World) -> None:
    """Also where max_wait is long over: it may be done by now. What is left of it counts from the beginning."""
    with serving(reply()) as server:
        assert world.states(HttpCheck(url=server.url), ago=86400) == ["success"]
        server.answers = [reply(b"", "404 Not Found")]
        assert world.states(HttpCheck(url=server.url), ago=86400) == ["pending", "failure"]
        assert world.time.slept == []
        assert world.states(HttpCheck(url=server.url, interval=100, backoff=1), ago=400) == ["pending", "failure"]
        assert sum(world.time.slept) == 200
        world.time.slept.clear()  # a wall clock that was set back does not make it longer than it is
        assert world.states(HttpCheck(url=server.url, interval=100, backoff=1), ago=-86400) == ["pending", "failure"]
        assert sum(world.time.slept) == 600


def test_a_look_that_hangs_is_one_look(world: World) -> None:
    """It ends after its own time, and the next one is made."""
    with serving(hangs, reply()) as server:
        found = world.follow(HttpCheck(url=server.url, timeout=0.2))
    assert (found[0].state, found[0].detail) == ("unreachable", "no whole answer within 0.2 s")
    assert found[-1].state == "success"


# --- secrets ---------------------------------------------------------------------------------------


def test_a_secret_goes_to_its_server_and_nowhere_else(tmp_path: Path) -> None:
    """Sent as it is; a server that says it back does not get it into what is shown; one that is not there is said."""
    world = World(tmp_path, API_KEY="opensesame-opensesame")

    def says_it_back(connection: socket.socket) -> None:
        connection.sendall(reply(b'{"state":"you sent opensesame-opensesame"}'))

    with serving(says_it_back, reply(b'{"state":"done"}')) as server:
        spec = HttpCheck(
            url=server.url,
            headers={"X-Key": Secret("API_KEY"), "X-Plain": "p"},
            expect=Expect(json_path="state", equals="done"),
        )
        found = world.follow(spec)
        asked = server.got.get(timeout=PATIENCE)
        assert b"\r\nX-Key: opensesame-opensesame\r\nX-Plain: p\r\n" in asked
        assert "you sent" in found[0].detail
        assert "opensesame" not in str(found)
        missing = HttpCheck(url=server.url, headers={"X-Key": Secret("OTHER")}, max_wait=5)
        assert "`tmux-agent secret set OTHER`" in world.follow(missing)[0].detail
        assert server.got.qsize() == 1  # and without it, nothing is asked


def test_a_secret_of_two_lines_is_not_sent(tmp_path: Path) -> None:
    """Nor shown."""
    world = World(tmp_path, KEY="one\r\nX-Other: two")
    with serving(reply()) as server:
        found = world.follow(HttpCheck(url=server.url, headers={"A": Secret("KEY")}, max_wait=1))
        assert "no single line" in found[0].detail
        assert "X-Other" not in found[0].detail
        assert server.got.empty()


# --- GitHub ----------------------------------------------------------------------------------------


@pytest.fixture
def github() -> Iterator[Github]:
    server = Github()
    yield server
    server.close()


@pytest.fixture
def with_github(tmp_path: Path, github: Github) -> World:
    return World(tmp_path, GITHUB_TOKEN=Github.TOKEN, GITHUB_API_URL=github.url)


def test_a_deployment_is_followed_to_its_end(with_github: World, github: Github) -> None:
    """From "no run yet" to its success, while an older success counts for nothing; what has not changed is a 304."""
    world = with_github
    before = (world.time.now() - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    github.begin("completed", "success", created_at=before, run_started_at=before)

    def happens(number: int) -> None:
        if number == 2:
            github.begin()
        elif number == 4:
            github.runs[0]["status"] = "in_progress"
        elif number == 6:
            github.runs[0].update(status="completed", conclusion="success")

    world.time.woken = happens
    found = world.follow(GithubCheck(repository="user/repo", workflow="deploy.yml", branch="main"))
    assert [one.state for one in found] == ["pending", "pending", "pending", "success"]
    assert [one.detail.rpartition(": ")[2] for one in found[1:]] == ["queued", "in_progress", "success"]
    assert found[-1].url == "https://github.com/user/repo/actions/runs/30433644"
    assert [status for _, status in github.asked] == [200, 304, 200, 304, 200, 304, 200]
    assert "ghp_" not in str(found)


def test_a_failed_one_ends_it(with_github: World, github: Github) -> None:
    """At once."""
    with_github.time.woken = lambda _: github.begin("completed", "failure") and None
    found = with_github.follow(GithubCheck(repository="user/repo"))
    assert [one.state for one in found] == ["pending", "failure"]
    assert with_github.time.slept == [5]


def test_githubs_clock_may_be_another(with_github: World, github: Github) -> None:
    """An hour ahead: what began half an hour before the stage is old all the same."""
    github.ahead = timedelta(hours=1)
    old = (github.now() - timedelta(minutes=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
    github.begin("completed", "success", created_at=old, run_started_at=old)
    with_github.time.woken = lambda _: github.begin("completed", "cancelled") and None
    assert with_github.states(GithubCheck(repository="user/repo")) == ["pending", "failure"]


def test_the_rate_limit_is_kept_to(with_github: World, github: Github) -> None:
    """Until its reset, and said."""
    github.limited = 120
    github.begin("completed", "success")
    found = with_github.follow(GithubCheck(repository="user/repo", event="push"))
    assert [one.state for one in found] == ["unreachable", "success"]
    assert "rate limit" in found[0].detail
    assert 100 < with_github.time.slept[0] <= 121


def test_what_github_does_not_show_is_said(with_github: World, github: Github) -> None:
    """No such repository, a wrong token: unreachable, since the build itself may be well."""
    found = with_github.follow(GithubCheck(repository="user/other", max_wait=5))
    assert found[0].state == "unreachable"
    assert "no such repository" in found[0].detail
    found = with_github.follow(GithubCheck(repository="user/repo", token="wrong", max_wait=5))
    assert "does not know the token (Bad credentials)" in found[0].detail


def test_a_token_goes_to_its_own_api_only(tmp_path: Path, github: Github) -> None:
    """GITHUB_TOKEN to no base but GITHUB_API_URL and api.github.com; none to what is not encrypted; one that is named
    goes where the spec says."""
    with serving(reply(b'{"workflow_runs":[]}')) as other:
        world = World(tmp_path, GITHUB_TOKEN=Github.TOKEN, GITHUB_API_URL=github.url)
        world.follow(GithubCheck(repository="user/repo", api_base=other.url, max_wait=1))
        assert b"ghp_" not in other.got.get(timeout=PATIENCE)
        named = GithubCheck(repository="user/repo", api_base=other.url, token=Secret("GITHUB_TOKEN"), max_wait=1)
        world.follow(named)
        other.got.get(timeout=PATIENCE)
        assert b"Bearer ghp_" in other.got.get(timeout=PATIENCE)
    plain = GithubCheck(repository="a/b", api_base="http://ghes.test/api/v3", token=Secret("GITHUB_TOKEN"), max_wait=1)
    assert "is not encrypted: the token is not sent" in world.follow(plain)[0].detail
    wrong = World(tmp_path, GITHUB_API_URL="nonsense")
    assert "GITHUB_API_URL has to be" in wrong.follow(GithubCheck(repository="a/b", max_wait=1))[0].detail


def test_garbage_in_place_of_github(with_github: World) -> None:
    """A captive portal's page, JSON of another kind, too much: unreachable, and it goes on."""
    pages = [b"<html>log in</html>", b"[]", b'{"workflow_runs":[{"id":"x"}]}', b'{"workflow_runs":{}}', b"x" * 1100000]
    for page in pages:
        with serving(reply(page)) as portal:
            found = with_github.follow(GithubCheck(repository="user/repo", api_base=portal.url, max_wait=2))
            assert [one.state for one in found] == ["unreachable", "failure"]


# --- Docker ----------------------------------------------------------------------------------------


class Engine:
    """Answers as the Engine API does, on a Unix socket: `things` by path without the version, else 404."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "docker.sock"
        self.things: dict[str, Any] = {}
        self._server = Server(self._answer, unix=self.path)
        self.asked = self._server.got

    @property
    def host(self) -> str:
        return f"unix://{self.path}"

    def close(self) -> None:
        self._server.close()

    def _answer(self, connection: socket.socket) -> None:
        request = self.asked.queue[-1]
        method, target = request.split(b" ", 2)[:2]
        path = "/" + target.decode().partition("?")[0].lstrip("/").partition("/")[2] if target[:2] == b"/v" else ""
        path = path or target.decode()
        version = ("Api-Version: 1.47", "Ostype: linux", "Content-Type: application/json", "Connection: close")
        if path == "/_ping":
            connection.sendall(reply(b"" if method == b"HEAD" else b"OK", "200 OK", *version))
        elif path in self.things:
            connection.sendall(reply(json.dumps(self.things[path]).encode(), "200 OK", *version))
        else:
            kind, name = path.split("/")[1:3]
            said = f"No such {kind.removesuffix('s')}: {name}"
            connection.sendall(reply(json.dumps({"message": said}).encode(), "404 Not Found", *version))


@pytest.fixture
def engine() -> Iterator[Engine]:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:  # its path has to be short
        one = Engine(Path(folder))
        yield one
        one.close()


def state(**members: Any) -> dict[str, Any]:
    return {"Id": "ab" * 32, "Name": "/web", "State": members}


def test_a_container_becomes_healthy(world: World, engine: Engine) -> None:
    """Asked by its socket: not there, starting, healthy."""

    def happens(number: int) -> None:
        health = {"Status": "starting" if number < 3 else "healthy", "FailingStreak": 0}
        engine.things["/containers/web/json"] = state(Status="running", Health=health)

    world.time.woken = happens
    found = world.follow(DockerCheck(container="web", state="healthy", host=engine.host))
    assert [one.detail for one in found] == [
        "there is no container web yet",
        "container web is starting",
        "container web is healthy",
    ]
    assert found[-1].state == "success"
    assert engine.asked.queue[0].startswith(b"GET /containers/web/json HTTP/1.1\r\nHost: docker\r\n")


def test_an_image_is_built(world: World, engine: Engine) -> None:
    """One from before the stage does not count."""
    made = world.time.now() - timedelta(hours=1)
    engine.things["/images/team/app:1/json"] = {"Id": "sha256:" + "cd" * 32, "Created": made.isoformat()}

    def happens(number: int) -> None:
        if number == 2:
            engine.things["/images/team/app:1/json"]["Metadata"] = {"LastTagTime": world.time.now().isoformat()}

    world.time.woken = happens
    found = world.follow(DockerCheck(image="team/app:1", host=engine.host))
    assert [one.state for one in found] == ["pending", "success"]
    assert found[-1].detail == "image team/app:1 (cdcdcdcdcdcd) is there"


FAKE = """#!/bin/sh
printf '%s\\n' "$@" > "$HOME/arguments"
env > "$HOME/environment"
cat "$HOME/says" 2>/dev/null && exit 0
cat "$HOME/complains" >&2
exit 1
"""


def fake_docker(folder: Path) -> World:
    program = folder / "bin" / "docker"
    program.parent.mkdir()
    program.write_text(FAKE)
    program.chmod(0o755)
    return World(folder, PATH=f"{program.parent}:/usr/bin:/bin", DOCKER_CONTEXT="far", SECRET_THING="x")


def test_the_docker_program_is_asked_where_it_knows_more(tmp_path: Path) -> None:
    """With words that stay words, without our environment; its reply is the engine's, its complaint 404 or why."""
    world = fake_docker(tmp_path)
    (tmp_path / "says").write_text(json.dumps(state(Status="running")))
    assert world.states(DockerCheck(container="web", host="ssh://me@far")) == ["success"]
    asked = (tmp_path / "arguments").read_text().splitlines()
    assert asked == ["--host", "ssh://me@far", "container", "inspect", "--format", "{{json .}}", "--", "web"]
    environment = (tmp_path / "environment").read_text()
    assert "DOCKER_CONTEXT=far" in environment
    assert "SECRET_THING" not in environment
    (tmp_path / "says").unlink()
    (tmp_path / "complains").write_text("Error response from daemon: No such container: web\n")
    assert world.follow(DockerCheck(container="web", max_wait=2))[0].detail == "there is no container web yet"
    (tmp_path / "complains").write_text("Cannot connect to the Docker daemon at \x1b[31mhere\n")
    found = world.follow(DockerCheck(container="web", max_wait=2))[0]
    assert found.state == "unreachable"
    assert found.detail.startswith("docker says: Cannot connect to the Docker daemon at ")
    assert "\x1b" not in found.detail


def test_a_docker_program_that_misbehaves(tmp_path: Path) -> None:
    """One that hangs with a child, one that never stops talking, none at all."""
    world = fake_docker(tmp_path)
    program = tmp_path / "bin" / "docker"
    program.write_text("#!/bin/sh\nsleep 3600 & wait\n")
    spec = DockerCheck(container="web", timeout=0.5, max_wait=1)
    assert world.follow(spec)[0].detail == "docker did not answer within 0.5 s"
    program.write_text("#!/bin/sh\nexec head -c 3000000 /dev/zero\n")
    assert world.follow(DockerCheck(container="web", max_wait=1))[0].detail == "docker says more than 1 MiB"
    program.unlink()
    world.environ["PATH"] = str(tmp_path)
    assert "write host: unix:///var/run/docker.sock" in world.follow(spec)[0].detail


if DOCKER := shutil.which("docker"):

    def test_the_real_docker_program(tmp_path: Path, engine: Engine) -> None:
        """It speaks to an engine on our socket, and we understand it."""
        world = World(tmp_path, PATH=str(Path(str(DOCKER)).parent), DOCKER_HOST=engine.host)
        spec = DockerCheck(container="web", max_wait=5)
        assert world.follow(spec)[0].detail == "there is no container web yet"
        engine.things["/containers/web/json"] = state(Status="running")
        assert world.follow(spec)[-1].detail == "container web is running"
        engine.things["/images/app/json"] = {"Id": "sha256:" + "cd" * 32, "Created": "2020-01-01T00:00:00.123456789Z"}
        assert world.follow(DockerCheck(image="app", fresh=False))[-1].detail == "image app (cdcdcdcdcdcd) is there"
        assert world.follow(DockerCheck(image="nope", max_wait=5))[0].detail == "there is no image nope yet"
        engine.close()
        assert world.follow(spec)[0].state == "unreachable"


# --- commands --------------------------------------------------------------------------------------


def runs(*outcomes: int | Exception | None) -> tuple[list[Command], Callable[[Command], Awaitable[Outcome]]]:
    """A guard that gives these ends one after the other; and what it was given."""
    given: list[Command] = []

    async def run(command: Command) -> Outcome:
        given.append(command)
        end = outcomes[min(len(given), len(outcomes)) - 1]
        if isinstance(end, Exception):
            raise end
        return Outcome(ok=end == 0, data=CommandData(exit_code=end, signal=None if end is not None else "SIGKILL"))

    return given, run


def test_a_command_is_run_until_its_code_says_so(world: World) -> None:
    """Through the guard, with its folder and time; codes are success, failure, or not yet."""
    given, run = runs(1, 1, 0)
    spec = CommandCheck(argv=("make", "-q"), cwd="/tmp", timeout=9)
    assert world.states(spec, run=run) == ["pending", "success"]
    assert given == [Command(argv=("make", "-q"), cwd="/tmp", timeout=9.0)] * 3
    assert world.states(CommandCheck(argv=("x",), failure=(2,)), run=runs(1, 2)[1]) == ["pending", "failure"]
    assert world.states(CommandCheck(argv=("x",), success=(0, 3)), run=runs(None, 3)[1]) == ["unreachable", "success"]


def test_a_no_of_the_guard_ends_it(world: World) -> None:
    """Nobody is asked again and again; what could not be done now is tried again."""
    for no in (errors.Denied("denied by rule 'x'"), errors.Expired("nobody answered")):
        given, run = runs(no)
        found = world.follow(CommandCheck(argv=("x",)), run=run)
        assert [one.state for one in found] == ["failure"]
        assert found[0].detail == f"not run: {no.message}"
        assert len(given) == 1
    assert world.states(CommandCheck(argv=("x",)), run=runs(errors.TimedOut("late"), 0)[1]) == [
        "unreachable",
        "success",
    ]
    assert world.states(CommandCheck(argv=("x",))) == ["failure"]


# --- webhooks --------------------------------------------------------------------------------------

HOOK = WebhookCheck(name="ci", secret=Secret("HOOK"))
GOOD = b'{"ok":true}'


class Told:
    """A follower of a webhook in a task of its own; `next` is its next reading."""

    def __init__(self, checks: Checks, spec: WebhookCheck, since: datetime) -> None:
        self._readings: asyncio.Queue[Reading] = asyncio.Queue()

        async def follow() -> None:
            async with aclosing(checks.follow(spec, since=since, key="hook")) as readings:
                async for one in readings:
                    self._readings.put_nowait(one)

        self.task = asyncio.create_task(follow())

    async def next(self) -> Reading:
        async with asyncio.timeout(PATIENCE):
            return await self._readings.get()


def signed(body: bytes, secret: bytes = b"hook-secret") -> str:
    return sign(secret, body).decode()


def test_the_signature_is_githubs() -> None:
    """The example of their documentation."""
    said = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    assert sign(b"It's a Secret to Everybody", b"Hello, World!").decode() == said


def test_a_delivery_ends_what_waits_for_it(tmp_path: Path) -> None:
    """Only a signed one, once each, and a copy of the body under the same id is the same delivery."""
    world = World(tmp_path, HOOK="hook-secret")

    async def run() -> None:
        async with world.checks() as checks:
            told = Told(checks, HOOK, world.time.now())
            assert (await told.next()).detail == "waits for POST http://127.0.0.1:8722/hooks/ci"
            receive = checks.deliveries.receive
            for wrong in ("", "sha256=", signed(GOOD, b"other"), signed(b"{}"), signed(GOOD).upper(), "sha256=é"):
                with pytest.raises(errors.Forbidden, match="signature"):
                    await receive("ci", wrong, "1", GOOD)
            with pytest.raises(errors.NotFound):
                await receive("other", signed(GOOD), "1", GOOD)
            zen = b'{"zen":"Design for failure."}'
            assert await receive("ci", signed(zen), "0", zen)
            assert (await told.next()).detail == "told something else: it has no ok"
            assert await receive("ci", signed(GOOD), "1", GOOD)
            assert not await receive("ci", signed(GOOD), "1", GOOD)
            assert (await told.next()).state == "success"
            await told.task
            with pytest.raises(errors.NotFound):
                await receive("ci", signed(GOOD), "2", GOOD)

    asyncio.run(run())
    records = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    assert [one["data"]["delivery"] for one in records if one["type"] == "check.delivered"] == ["0", "1"]


def test_what_came_outlives_a_restart(tmp_path: Path) -> None:
    """A row before its answer: the next sidecar finds it; what is from before the stage is not looked at."""
    world = World(tmp_path, HOOK="hook-secret")
    began = world.time.now()

    async def before() -> None:
        async with world.checks() as checks:
            told = Told(checks, HOOK, began)
            await told.next()
            await checks.deliveries.receive("ci", signed(GOOD), "1", GOOD)
            told.task.cancel()  # it dies before anybody has acted on it
            await asyncio.wait([told.task])

    asyncio.run(before())
    assert world.states(HOOK) == ["success"]
    world.time.at += timedelta(seconds=5)

    async def later() -> None:
        async with world.checks() as checks:
            told = Told(checks, HOOK, world.time.now())
            assert (await told.next()).state == "pending"
            told.task.cancel()
            await asyncio.wait([told.task])

    asyncio.run(later())


def test_nobody_tells_us_in_time(tmp_path: Path) -> None:
    """max_wait is the end here, too; without a listener that is said; without its secret it does not begin."""
    world = World(tmp_path, HOOK="hook-secret")
    world.address = ""
    found = world.follow(HOOK, ago=601)
    assert [one.state for one in found] == ["unreachable", "failure"]
    assert "set http.listen" in found[0].detail
    found = World(tmp_path).follow(HOOK)
    assert [one.state for one in found] == ["failure"]
    assert "secret set HOOK" in found[0].detail


def test_names_secrets_rates_and_sizes(tmp_path: Path) -> None:
    """One name, one secret; both followers of it hear; floods and huge bodies are refused; old ones go."""
    world = World(tmp_path)

    async def run() -> None:
        journal = Journal(tmp_path / "state.db", tmp_path / "audit.jsonl")
        await journal.start()
        deliveries = Deliveries(journal, world.time.now)
        with deliveries.listen("a", "") as one, deliveries.listen("a", "") as two:
            with pytest.raises(errors.Conflict), deliveries.listen("a", "secret"):
                pass
            assert await deliveries.receive("a", "", "", GOOD)
            assert one.is_set()
            assert two.is_set()
            with pytest.raises(errors.LimitExceeded, match="256 KiB"):
                await deliveries.receive("a", "", "", b"x" * (256 * 1024 + 1))
            with pytest.raises(errors.Forbidden, match="id"):
                await deliveries.receive("a", "", "\x1b", GOOD)
            for number in range(27):
                await deliveries.receive("a", "", str(number), b"%d" % number)
            with pytest.raises(errors.LimitExceeded, match="minute"):
                await deliveries.receive("a", "", "another", GOOD)
        for _ in range(3):  # each with a rate of its own
            with deliveries.listen("b", ""):
                for number in range(25):
                    await deliveries.receive("b", "", "", b"%d" % number)
        kept = await deliveries.since("b", world.time.now())
        assert len(kept) == 50
        assert kept[0] == b"24"
        await journal.close()

    asyncio.run(run())


def test_two_checks_of_one_name_with_other_secrets(tmp_path: Path) -> None:
    """The second one says so, and the first goes on."""
    world = World(tmp_path, HOOK="hook-secret", OTHER="x")

    async def run() -> None:
        async with world.checks() as checks:
            first = Told(checks, HOOK, world.time.now())
            await first.next()
            second = Told(checks, WebhookCheck(name="ci", secret=Secret("OTHER")), world.time.now())
            assert "with another secret" in (await second.next()).detail
            await checks.deliveries.receive("ci", signed(GOOD), "1", GOOD)
            assert (await first.next()).state == "success"

    asyncio.run(run())
