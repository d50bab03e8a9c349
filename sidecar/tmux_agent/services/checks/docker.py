"""Docker asked about a container or image: by its socket, or by the `docker` program.

Owns which of the two, and what the program is started with: it knows contexts, ssh and TLS. Must not own: its process
(tools/process.py), what the reply means (core/check_docker.py).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping

from ...core import check_docker
from ...core.checks import DockerCheck
from ..tools import process
from ..tools.environment import MARKER
from .fetch import BODY_BYTES, Asked, Fetcher, Unreachable

_KEEP = ("PATH", "HOME", "XDG_RUNTIME_DIR", "SSH_AUTH_SOCK", "TMPDIR", "LANG", "LC_ALL")
_NOT_THERE = ("no such container", "no such image", "no such object")
GRACE = 1.0  # seconds between SIGTERM and SIGKILL


async def ask(spec: DockerCheck, fetcher: Fetcher, environ: Mapping[str, str]) -> tuple[int, bytes]:
    """Status and body, as the Engine API has them, within the spec's timeout. Raises Unreachable."""
    if spec.host.startswith("unix://"):
        url = f"http://docker{check_docker.path(spec)}"
        reply = await fetcher.fetch(Asked(url=url, unix=spec.host.removeprefix("unix://")), spec.timeout)
        return reply.status, reply.body
    return await _program(spec, environ)


async def _program(spec: DockerCheck, environ: Mapping[str, str]) -> tuple[int, bytes]:
    program = shutil.which("docker", path=environ.get("PATH"))
    if program is None:
        raise Unreachable("there is no docker program on the sidecar's PATH: write host: unix:///var/run/docker.sock")
    mark = os.urandom(8).hex()
    kept = {name: value for name, value in environ.items() if name in _KEEP or name.startswith("DOCKER_")}
    plan = process.Plan(
        program=program,
        argv=("docker", *check_docker.arguments(spec)),
        env={**kept, MARKER: mark},
        cwd="/",
        stdin=None,
        timeout=spec.timeout,
        grace=GRACE,
        output_bytes=BODY_BYTES,
        mark=f"{MARKER}={mark}",
    )
    try:
        ended = await process.run(plan)
    except OSError as why:
        raise Unreachable(f"{program} cannot be started: {why.strerror}") from None
    if ended.timed_out:
        raise Unreachable(f"docker did not answer within {spec.timeout:g} s")
    if ended.stdout.left_out:
        raise Unreachable(f"docker says more than {BODY_BYTES >> 20} MiB")
    if ended.returncode == 0:
        return 200, ended.stdout.text().encode()
    complaint = ended.stderr.text().strip()
    if any(said in complaint.lower() for said in _NOT_THERE):
        return 404, b""
    last = complaint.rpartition("\n")[2]
    raise Unreachable(f"docker says: {last or f'nothing, and ends with {ended.returncode}'}")
