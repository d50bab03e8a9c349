"""Docker for a check: what is asked of the Engine API (or of `docker inspect`, which answers the same), what it says.

Owns paths, arguments and what the states of containers and images mean. Must not own: sockets, processes
(services/checks/docker.py). After docs.docker.com/reference/api/engine: ContainerInspect, ImageInspect.
"""

from __future__ import annotations

from datetime import datetime
from urllib.parse import quote

from msgspec import Struct

from .check_replies import decode
from .checks import DockerCheck, Reading, reading

NEVER = datetime.fromisoformat("0001-01-01T00:00:00+00:00")


class _Health(Struct, frozen=True, kw_only=True):
    Status: str = ""
    FailingStreak: int = 0


class _State(Struct, frozen=True, kw_only=True):
    Status: str
    ExitCode: int = 0
    OOMKilled: bool = False
    Error: str = ""
    FinishedAt: str = ""
    Health: _Health | None = None


class _Container(Struct, frozen=True, kw_only=True):
    State: _State


class _Metadata(Struct, frozen=True, kw_only=True):
    LastTagTime: str = ""


class _Image(Struct, frozen=True, kw_only=True):
    Id: str
    Created: str | None = ""
    Metadata: _Metadata | None = None


class _Complaint(Struct, frozen=True, kw_only=True):
    message: str = ""


def path(spec: DockerCheck) -> str:
    """What is asked of the engine."""
    if spec.container:
        return f"/containers/{quote(spec.container, safe='')}/json"
    return f"/images/{quote(spec.image, safe='/:@')}/json"


def arguments(spec: DockerCheck) -> tuple[str, ...]:
    """What `docker` is started with. Every foreign word is behind an option's own name or `--`."""
    host = ("--host", spec.host) if spec.host else ()
    kind, name = ("container", spec.container) if spec.container else ("image", spec.image)
    return (*host, kind, "inspect", "--format", "{{json .}}", "--", name)


def read(spec: DockerCheck, status: int, body: bytes, *, since: datetime) -> Reading:
    """What the engine's reply says. `since`: when the stage began."""
    what = f"container {spec.container}" if spec.container else f"image {spec.image}"
    if status == 404:
        return reading("pending", f"there is no {what} yet")
    try:
        if status != 200:
            return reading("unreachable", f"Docker answers {status}: {decode(body, _Complaint).message}")
        if spec.container:
            return _container(spec, decode(body, _Container).State, what, since)
        return _image(spec, decode(body, _Image), what, since)
    except ValueError as why:
        return reading("unreachable", f"the reply is none of Docker's: {why}")


def _container(spec: DockerCheck, state: _State, what: str, since: datetime) -> Reading:
    if state.Status in ("exited", "dead"):
        return _ended(spec, state, what, since)
    if state.Status != "running" or spec.state == "exited":
        return reading("pending", f"{what} is {state.Status}")
    if spec.state == "running":
        return reading("success", f"{what} is running")
    health = state.Health.Status if state.Health else "none"
    if health in ("", "none"):
        return reading("failure", f"{what} has no health check, so it never becomes healthy")
    if health == "unhealthy":
        streak = state.Health.FailingStreak if state.Health else 0
        return reading("failure", f"{what} is unhealthy ({streak} checks failed in a row)")
    return reading("success" if health == "healthy" else "pending", f"{what} is {health}")


def _ended(spec: DockerCheck, state: _State, what: str, since: datetime) -> Reading:
    """One that has ended: before the stage began, it says nothing about it."""
    if _time(state.FinishedAt) < since:
        return reading("pending", f"{what} ended before this began")
    why = ", out of memory" if state.OOMKilled else f": {state.Error}" if state.Error else ""
    good = spec.state == "exited" and state.Status == "exited" and state.ExitCode == 0
    return reading("success" if good else "failure", f"{what} ended with {state.ExitCode}{why}")


def _image(spec: DockerCheck, image: _Image, what: str, since: datetime) -> Reading:
    name = f"{what} ({image.Id.removeprefix('sha256:')[:12]})"
    made = max(_time(image.Created or ""), _time(image.Metadata.LastTagTime if image.Metadata else ""))
    if spec.fresh and made < since:
        return reading("pending", f"{name} is from before this began")
    return reading("success", f"{name} is there")


def _time(text: str) -> datetime:
    """A time of Docker's; NEVER for what is none. Raises ValueError for one without its zone."""
    if not text:
        return NEVER
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError("a time without its zone")
    return found
