"""`tmux-agent sidecar run|start|stop|restart|status|reload`.

Stopping and reloading go by signal to the pid in the lock file: whoever owns the process may do that anyway.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import gc
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from ...core import errors
from ...services.places import Places, find, ready_folder

START_SECONDS = 20.0
STOP_SECONDS = 20.0
QUIET_SECONDS = 120.0  # as `quiet_after` in scripts/ensure_sidecar.sh
LOG_LEVELS = ("debug", "info", "warning", "error")
LOG_BYTES = 8 << 20  # of sidecar.log; a longer one is put aside at the next start


def add(parser: argparse.ArgumentParser) -> None:
    under = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    run = under.add_parser("run", help="run it in the foreground, its log on stderr")
    start = under.add_parser("start", help="start it in the background (nothing happens where it runs already)")
    for sub in (run, start):
        sub.add_argument("--tmux", metavar="SOCKET", help="also watch the tmux server at this socket")
        sub.add_argument("--log-level", choices=LOG_LEVELS, help="how much its log says (default: config.yaml's)")
        sub.add_argument("--log-format", choices=("text", "json"), help="lines for people, or a JSON object each")
    start.add_argument("--unless-stopped", action="store_true", help="not where `sidecar stop` ended it")
    start.add_argument(
        "--renew", action="store_true", help="restart one that began before its files were changed, if it is idle"
    )
    restart = under.add_parser("restart", help="stop it and start it anew: requests that wait go on waiting")
    restart.add_argument("--tmux", metavar="SOCKET", help="also watch the tmux server at this socket")
    under.add_parser("stop", help="stop it; tmux does not start it again until `sidecar start`")
    status = under.add_parser("status", help="how it is; exit code 0 where it runs and all is well")
    status.add_argument("--json", action="store_true", help="print it as JSON")
    under.add_parser("reload", help="read the policy and config.yaml again")


def main(args: argparse.Namespace) -> int:
    places = find(os.environ)
    if args.what in ("run", "start"):
        for name in ("log_level", "log_format"):
            if said := getattr(args, name):
                os.environ[f"TMUX_AGENT_{name.upper()}"] = said  # wins over config.yaml as any variable does
    match args.what:
        case "run":
            from ...daemon import run

            return run(os.environ, args.tmux)
        case "start":
            return start(places, args.tmux, unless_stopped=args.unless_stopped, renew=args.renew)
        case "restart":
            with contextlib.suppress(errors.Unavailable):
                stop(places)
            return start(places, args.tmux)
        case "stop":
            return stop(places)
        case "status":
            return status(args.json)
        case _:
            os.kill(holder(places), signal.SIGHUP)
            return 0


def holder(places: Places) -> int:
    """Pid of the sidecar that holds the lock. Raises Unavailable where none does."""
    with contextlib.suppress(OSError, ValueError), places.lock.open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return int(lock.readline())
    raise errors.Unavailable("no sidecar runs: start it with `tmux-agent sidecar start`")


def start(places: Places, tmux: str | None, *, unless_stopped: bool = False, renew: bool = False) -> int:
    if unless_stopped and places.stopped.exists():
        return 0
    places.stopped.unlink(missing_ok=True)
    try:
        holder(places)
    except errors.Unavailable:
        return _begin(places, tmux)
    if renew and _is_of_before():
        stop(places)
        return start(places, tmux)
    if tmux:
        _attach(tmux)
    return 0


def _is_of_before() -> bool:
    """Whether it began from these files before they were changed, and nothing is lost by its end."""
    from .. import upgraded

    health = _health(START_SECONDS)
    return upgraded.changed(health) and not health.get("running")


def _begin(places: Places, tmux: str | None) -> int:
    """Be the sidecar's keeper in a child, and wait until the sidecar listens."""
    ready_folder(places.state)
    _put_aside(places.log)
    readable, writable = os.pipe()
    pid = os.fork()
    if pid == 0:
        _part(places.log, keep=writable)
        return _keep(places, tmux, writable)
    os.close(writable)
    if not _ready(readable):
        said = _end_of(places.log)
        ended, status = os.waitpid(pid, os.WNOHANG)
        code = os.waitstatus_to_exitcode(status) if ended else None
        raise errors.Unavailable(f"the sidecar did not start (exit code {code}): {' '.join(said) or places.log}")
    return 0


def _keep(places: Places, tmux: str | None, ready: int) -> int:
    """Hold what takes long to import, and be the sidecar in a child: one that is killed is there again as soon as its
    state is read. One that is killed again within QUIET_SECONDS is left to the plugin, which waits longer each time.

    The lock is held by both, so that nobody begins another between the two. Gives the last one's exit code.
    """
    from ... import daemon

    lock = daemon.take_lock(places)
    gc.freeze()  # a collection would touch, and so double, what is shared
    environ = {**os.environ, "TMUX_AGENT_READY_FD": str(ready), "TMUX_AGENT_BEGAN": str(time.time())}
    quiet_since = -QUIET_SECONDS
    while True:
        pid = os.fork()
        if pid == 0:
            return daemon.run(environ, tmux, lock)
        if environ.pop("TMUX_AGENT_READY_FD", ""):
            os.close(ready)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if code >= 0 or time.monotonic() - quiet_since < QUIET_SECONDS:
            return code
        quiet_since = time.monotonic()
        print(f"the sidecar (pid {pid}) died of signal {-code}; beginning it again", file=sys.stderr, flush=True)


def _part(log: Path, keep: int) -> None:
    """Leave the terminal, the folder and the descriptors of whoever called, but for one; say all to the log."""
    os.setsid()
    os.chdir("/")
    os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
    said = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(said, 1)
    os.dup2(said, 2)
    os.closerange(3, keep)
    os.closerange(keep + 1, os.sysconf("SC_OPEN_MAX"))


def _put_aside(log: Path) -> None:
    with contextlib.suppress(OSError):  # there is none, or it cannot be moved: then it goes on growing
        if log.stat().st_size > LOG_BYTES:
            log.replace(log.with_name(f"{log.name}.old"))


def _end_of(log: Path) -> list[str]:
    with log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 10_000))
        return file.read().decode(errors="replace").splitlines()[-3:]


def _ready(readable: int) -> bool:
    """Wait until the sidecar says that it listens (a byte), or has ended (end of file)."""
    import select

    with os.fdopen(readable, "rb", buffering=0) as pipe:
        return bool(select.select([pipe], [], [], START_SECONDS)[0]) and pipe.read(1) == b"+"


def _attach(tmux: str) -> None:
    from ...client import Client

    with Client(patience=START_SECONDS) as client:
        client.call("tmux.attach", {"socket": tmux})


def stop(places: Places) -> int:
    pid = holder(places)
    places.stopped.touch(mode=0o600)
    os.kill(pid, signal.SIGTERM)
    with places.lock.open() as lock:
        deadline = time.monotonic() + STOP_SECONDS
        while time.monotonic() < deadline:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                time.sleep(0.02)
            else:
                return 0
    raise errors.TimedOut(f"the sidecar (pid {pid}) does not stop: `kill -9 {pid}` loses nothing")


def _health(patience: float) -> dict[str, Any]:
    from ...client import Client

    with Client(patience=patience) as client:
        health: dict[str, Any] = client.call("health")
        return health


def status(json: bool) -> int:
    from .. import out

    health = _health(0)
    if json:
        out.as_json(health)
    else:
        _print(health)
    return 0 if health["status"] == "ok" else 1


def _print(health: dict[str, Any]) -> None:
    from .. import out, upgraded

    style = "allow" if health["status"] == "ok" else "ask"
    status = out.paint(health["status"], style)
    print(f"{status}  pid {health['pid']}, up {health['uptime_s']:.0f} s, version {health['version']}")
    policy, audit = health["policy"], health["audit"]
    print(f"policy   {policy['rules']} rules from {policy['file']}")
    print(f"audit    {audit['records']} records in {audit['file']}")
    for server in health["tmux"]:
        print(f"tmux     {server['socket']}  {server['panes']} panes")
    print(f"waiting  {health['pending']}")
    if said := upgraded.difference(health):
        print(f"{out.paint('!', 'ask')}        {said}: `{upgraded.MEND}`")
    for warning in health.get("warnings", ()):
        print(f"{out.paint('!', 'ask')}        {warning}")
