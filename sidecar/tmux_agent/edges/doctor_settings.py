"""What `tmux-agent doctor` looks at of the person's own files and what they switch on: config.yaml, pipelines,
channels, the HTTP listener, watched panes, and what the sidecar itself finds unwell.

Owns these checks and their words. Only looks: no message is sent and no connection made but the socket's. Must not own:
the order (doctor.py), what may be in a file (core/).
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from ..core import channels
from ..core.errors import TmuxAgentError
from ..core.settings import Settings
from ..services.config_file import read_settings
from ..services.pipeline_files import PipelineFiles
from ..services.places import Places
from ..services.secrets import Secrets
from ..services.senders import Senders
from .checks import Check
from .verbs import notify

ELSEWHERE = ("policy: ", "secrets: ")  # warnings about what another check has looked at
STATUS = "tmux-agent sidecar status"
ANEW = "tmux-agent sidecar stop && tmux-agent sidecar start"
MENDS = {  # by what a warning of the sidecar begins with
    "config": "tmux-agent sidecar reload",
    "pipelines": "tmux-agent sidecar reload",
    "http": f"free the port, or change http.listen in config.yaml, then: {ANEW}",
    "notify": "tmux-agent notify list",
    "audit": "tmux-agent audit verify",
    "state": "tmux-agent state check",
    "refused": "tmux-agent audit tail",
}


def checks(places: Places, environ: Mapping[str, str], secrets: Secrets) -> Iterator[Check]:
    """Of the files, whether a sidecar runs or not."""
    path = places.config / "config.yaml"
    settings, wrong = read_settings(path, environ)
    for problem in wrong:
        yield Check("config", "wrong", problem, f"edit {shlex.quote(str(path))}, then: tmux-agent sidecar reload")
    if not wrong:
        yield Check("config", "ok", str(path) if path.exists() else f"the defaults, there is no {path}")
    yield from _pipelines(places)
    yield from _channels(places, secrets, settings)


def _pipelines(places: Places) -> Iterator[Check]:
    files = PipelineFiles(places.config / "pipelines")
    for problem in files.load((), ""):
        file = shlex.quote(problem.file)
        yield Check("pipelines", "wrong", str(problem), f"tmux-agent pipeline check {file}")
    if not files.errors:
        yield Check("pipelines", "ok", f"{len(files.all())} in {files.folder}")


def _channels(places: Places, secrets: Secrets, settings: Settings) -> Iterator[Check]:
    try:
        wanted = notify.settings(places)
    except TmuxAgentError:
        wanted = settings.notify  # what is wrong with the files is told of by their own checks
    found = channels.all_of(wanted, notify.named_by_default(wanted, secrets))
    senders = Senders(places, secrets, print)
    lacking = False
    for name, one in found.items():
        if lacks := senders.lacks(one):
            lacking = True
            yield Check("notify", "wrong", f"{name}: {lacks}", f"mend that, then: tmux-agent notify test {name}")
    if not lacking:
        yield Check("notify", "ok", ", ".join(found) or "no channels: you are told in tmux alone")


def running(health: Mapping[str, Any], panes: list[dict[str, Any]], listen: str, told: set[str]) -> Iterator[Check]:
    """Of a sidecar that runs: its own warnings but those that were `told` of, its HTTP listener (where config.yaml
    says `listen`), the panes it watches."""
    areas = set()
    for warning in health.get("warnings", ()):
        area, _, what = warning.partition(": ")
        if what not in told and not warning.startswith(ELSEWHERE):
            areas.add(area)
            known = area in MENDS
            yield Check(area if known else "sidecar", "warning", what if known else warning, MENDS.get(area, STATUS))
    if listen and "http" not in areas:
        yield Check("http", "ok", f"listens on {listen}")
    broken = [one for one in panes if one.get("invalid")]
    for one in broken:
        what = f"{one['pane']} printed {len(one['invalid'])} lines that begin as markers and are none"
        yield Check("watch", "warning", what, "tmux-agent watch")
    if not broken:
        yield Check("watch", "ok", f"{len(panes)} panes are watched for markers")
