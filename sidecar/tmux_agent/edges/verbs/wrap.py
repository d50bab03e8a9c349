"""`tmux-agent wrap -- claude …`: starts an agent so that its markers count as its own, and what it starts as its.

Owns putting together what edges/wrap/ does. Standard library only, but for what errors are: it stays as long as the
agent does.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

TOKEN_BYTES = 8
PROJECT = 64  # characters
LATER = (0, -32007, -32009)  # codes of errors that may be over later: no sidecar, limit, unavailable
PATIENCE = 2.0  # seconds that the agent's start waits for the sidecar, at the most


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--project", default="", metavar="NAME", help="what people know the agent's work by")
    parser.add_argument("--plain", action="store_true", help="say nothing of markers to the agent")
    parser.add_argument("--sandbox", action="store_true", help="in a sandbox that holds it, or not at all")
    parser.add_argument("argv", nargs=argparse.REMAINDER, metavar="-- AGENT ARG", help="the agent and its arguments")
    parser.usage = "tmux-agent wrap [-h] [--project NAME] [--plain] [--sandbox] -- AGENT [ARG …]"


def main(args: argparse.Namespace) -> int:
    from ...core import programs
    from ...core.errors import InvalidParams, Unavailable
    from ...core.sandbox import Refused
    from ..wrap import folder, instruction, parent

    argv = args.argv[1:] if args.argv[:1] == ["--"] else args.argv
    if not argv:
        raise InvalidParams("which agent? `tmux-agent wrap -- claude`, for example")
    if len(args.project) > PROJECT or not args.project.isprintable():
        raise InvalidParams(f"--project: at most {PROJECT} characters, all printable")
    token = os.urandom(TOKEN_BYTES).hex()
    environ = {**os.environ, "TMUX_AGENT_RUN": token}
    start = instruction.Start(tuple(argv))
    agent = programs.agent_of("", argv[0]) or ""
    with contextlib.ExitStack() as stack:
        inside: Path | None = None
        try:
            if args.sandbox or not args.plain:
                inside = stack.enter_context(folder.private(_state() / "wraps"))
            if inside is not None and not args.plain:
                text = instruction_text(token, args.project)
                start = instruction.start(agent, argv, environ, text, inside)
        except OSError as why:
            start = instruction.Start(tuple(argv), why=f"{why.filename or 'a file'}: {why.strerror}")
        if start.why:
            _say(f"the agent is not told of markers: {start.why}; TMUX_AGENT_RUN is in its environment")
        environ |= start.environ
        tell = _Teller(token, args.project, sandbox=args.sandbox)
        try:
            if args.sandbox:
                return _ended(_walled(inside, start.argv, environ, agent, tell))
            return _ended(parent.run(lambda: (start.argv[0], start.argv, environ), tell))
        except Refused as why:
            raise Unavailable(f"no sandbox, so nothing was started: {why}") from None
        except OSError as why:
            raise Unavailable(f"no process can be started: {why.strerror}") from None


def _walled(
    inside: Path | None, argv: Sequence[str], environ: Mapping[str, str], agent: str, tell: _Teller
) -> int:
    """The agent in the sandbox. Raises Refused where there is none, OSError."""
    from ...core.sandbox import Refused
    from ..wrap import follow, parent, place, renewed, sandboxed

    if inside is None:
        raise Refused(f"no private folder can be made in {_state() / 'wraps'}")
    ready = sandboxed.look(argv, inside)
    gate = sandboxed.Gate(ready)

    def start() -> tuple[str, list[str], dict[str, str]]:
        wanted = _wanted(tell.settings)
        gate.inside()  # before anything else is opened under its numbers
        return sandboxed.become(ready, wanted, argv, environ, agent, str(_state()), (str(inside),))

    kept: list[renewed.Credentials] = []

    def before(root: str, copies: Sequence[str]) -> None:
        names = set(sandboxed.credentials(agent, environ)).intersection(copies)
        kept.append(renewed.Credentials(root, sorted(names), _say))
        followed = kept[0].folders()
        if (git := ready.git) is not None and git.packed:
            followed[git.common] = lambda name: place.copy_packed(git) if name == "packed-refs" else None
        if followed:
            follow.follow(followed)  # its thread begins here: a process that has some is not to be forked
        kept[0].bring()  # and what has changed between the first look and now
        if git is not None and git.packed:
            place.copy_packed(git)

    try:
        code = parent.run(start, tell, lambda pid: gate.open(pid, before))
        if not gate.opened and code not in (parent.NOT_FOUND, parent.NOT_RUN):  # of which we have said why
            _say("bubblewrap made no sandbox, so nothing was started: `tmux-agent doctor` says what is missing here")
        return code
    finally:
        for one in kept:
            one.keep()


def instruction_text(token: str, project: str) -> str:
    """The instruction."""
    text = (Path(__file__).parents[2] / "defaults" / "sentry.md").read_text()
    return text.replace("{run}", token).replace("{project}", f' as part of the project "{project}"' if project else "")


def _state() -> Path:
    """The state folder, found as services/places.py does, which takes longer to import than all of this."""
    home = os.environ.get("HOME") or os.path.expanduser("~")
    base = os.environ.get("XDG_STATE_HOME", "")
    base = base if base.startswith("/") else f"{home}/.local/state"
    return Path(os.environ.get("TMUX_AGENT_STATE_DIR") or f"{base}/tmux-agent")


class _Teller:
    """Tells the sidecar that this token is the agent's: in the agent's process before it is the agent, and in the one
    above it where no sidecar was there then."""

    def __init__(self, token: str, project: str, *, sandbox: bool) -> None:
        import hashlib
        import json

        params = {"token_sha256": hashlib.sha256(token.encode()).hexdigest(), "project": project, "sandbox": sandbox}
        request = {"jsonrpc": "2.0", "id": 1, "method": "sentry.register", "params": params}
        self._line = json.dumps(request).encode() + b"\n"
        self._read = json.loads
        self.settings: dict[str, Any] | None = None  # for the sandbox, as the sidecar has them

    def __call__(self, aloud: bool) -> bool:
        """Whether it need not be told again; `aloud`, says why it was not."""
        error: dict[str, object] = {"message": "no sidecar answers", "code": 0}
        try:
            if reply := self._read(_ask(self._line) or "{}"):
                error = reply.get("error", {})
                self.settings = reply.get("result", {}).get("data", {}).get("sandbox")
        except (ValueError, AttributeError):  # no JSON, or no object
            error["message"] = "the sidecar's answer cannot be read"
        if error and aloud:
            _say(f"nothing vouches for the agent's markers: {error['message']}")
        return not error or error.get("code") not in LATER


def _wanted(told: dict[str, Any] | None) -> Any:
    """The settings as the sidecar tells them, which saves the time to read the file; else as the file does."""
    from ...core.sandbox import Refused, Wanted

    if told is not None:
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in told.items()
        }
        return Wanted(**values)
    from ...services import config_file, places

    settings, wrong = config_file.read_settings(places.find(os.environ).config / "config.yaml", os.environ)
    if wrong:
        raise Refused(wrong[0])
    return settings.sandbox.wanted()


def _ask(line: bytes) -> bytes:
    """The sidecar's reply; b"" where there is none."""
    import _socket

    from ..hook_relay import from_state

    runtime = os.environ.get("XDG_RUNTIME_DIR")
    for path in (os.environ.get("TMUX_AGENT_SOCKET"), runtime and f"{runtime}/tmux-agent.sock", from_state(b"socket")):
        link, reply = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM), b""
        try:
            link.settimeout(PATIENCE)
            link.connect(path or "/nowhere")
            link.sendall(line)
            while not reply.endswith(b"\n") and (more := link.recv(1 << 16)):
                reply += more
            return reply
        except OSError:  # nobody is there: perhaps at the next place
            continue
        finally:
            link.close()
    return b""


def _ended(code: int) -> int:
    """Tell the queue how the agent ended, if it worked on a task; gives the exit code."""
    if os.environ.get("TMUX_AGENT_TASK"):
        _ask(b'{"jsonrpc":"2.0","id":1,"method":"queue.ended","params":{"exit_code":%d}}\n' % code)
    return code


def _say(text: str) -> None:
    from ...core import display

    sys.stderr.write(f"tmux-agent wrap: {display.safe(text)}\n")
    sys.stderr.flush()
