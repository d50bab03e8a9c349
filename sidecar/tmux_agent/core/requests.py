"""What clients ask for most, typed: each function gives a Request that knows its params and the type of its reply.

Owns the Python signatures of client/, which sends these. Pure. Must not own: the messages themselves (protocol.py,
replies.py), connections.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Generic, Literal, TypeVar

import msgspec
from msgspec import Struct

from . import errors
from . import protocol as p
from . import replies as r
from .model import Action, Plan

T = TypeVar("T")
Urgency = Literal["low", "normal", "high", "critical"]
State = Literal["working", "waiting", "done", "error", "idle", "unknown"]


class Request(Struct, Generic[T], frozen=True):
    """One request and the type of its reply. `keyed`: sent again, it is the same request (protocol.KEYED)."""

    method: str
    params: p.Params
    reply: type[T]

    @property
    def keyed(self) -> bool:
        return type(self.params) in p.KEYED

    @property
    def repeatable(self) -> bool:
        """Whether it may be sent again where the connection ended before the reply."""
        return type(self.params) not in p.ONCE


def hello(client: str = "python") -> Request[r.HelloData]:
    """What the sidecar is, and what it takes this process for."""
    return Request("hello", p.Hello(client=client), r.HelloData)


def health() -> Request[r.HealthData]:
    """Whether all is well with the sidecar."""
    return Request("health", p.Health(), r.HealthData)


def register(name: str, kind: str = "") -> Request[r.Nothing]:
    """Give this session a name that people see."""
    return Request("agent.register", p.AgentRegister(name=name, kind=kind), r.Nothing)


def state(state: State, detail: str = "") -> Request[r.Nothing]:
    """Report what this agent is doing."""
    return Request("agent.state", p.AgentSetState(state=state, detail=detail), r.Nothing)


def agents() -> Request[r.AgentsData]:
    """Agents that are known, and what they do."""
    return Request("agent.list", p.AgentList(), r.AgentsData)


def ask(
    prompt: str,
    *,
    options: Sequence[str] = (),
    timeout: float | None = None,
    urgency: Urgency = "normal",
    action_type: str = "",
    details: str = "",
) -> Request[r.AnswerData]:
    """Ask a person and wait, up to `timeout` seconds. Raises Denied (a person said no), Expired, Withdrawn."""
    params = p.HumanAsk(
        prompt=prompt,
        options=tuple(options),
        timeout_secs=timeout,
        urgency=urgency,
        action_type=action_type,
        details=details,
    )
    return Request("human.ask", params, r.AnswerData)


def ask_async(
    prompt: str,
    *,
    options: Sequence[str] = (),
    timeout: float | None = None,
    urgency: Urgency = "normal",
    action_type: str = "",
    details: str = "",
) -> Request[r.Asked]:
    """Ask a person and go on; look later with `status`."""
    params = p.HumanAskAsync(
        prompt=prompt,
        options=tuple(options),
        timeout_secs=timeout,
        urgency=urgency,
        action_type=action_type,
        details=details,
    )
    return Request("human.ask_async", params, r.Asked)


def status(request_id: str, wait: float = 0.0) -> Request[r.StatusData]:
    """State of a request; waits up to `wait` seconds for it to end. Raises NotFound."""
    return Request("human.status", p.HumanStatus(request_id=request_id, wait_secs=wait), r.StatusData)


def run(
    command: str,
    *args: str,
    cwd: str | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    timeout: float | None = None,
) -> Request[r.CommandData]:
    """Run one program, judged first. Raises Denied, Expired, TimedOut, Conflict (it may have run: look), …"""
    params = p.CommandRun(command=command, args=args, cwd=cwd, env=dict(env or {}), stdin=stdin, timeout=timeout)
    return Request("command.run", params, r.CommandData)


def would_run(command: str, *args: str, cwd: str | None = None) -> Request[r.DryRun]:
    """What `run` would do; nothing is run, asked or recorded."""
    return Request("command.run", p.CommandRun(command=command, args=args, cwd=cwd, dry_run=True), r.DryRun)


def read(path: str, start_line: int | None = None, end_line: int | None = None) -> Request[r.FileContent]:
    """Read a text file, whole or some lines (1-based, inclusive)."""
    return Request("file.read", p.FileRead(path=path, start_line=start_line, end_line=end_line), r.FileContent)


def write(
    path: str, content: str, *, create_dirs: bool = False, expected_sha256: str | None = None
) -> Request[r.FileWritten]:
    """Write a file whole; a backup is kept."""
    params = p.FileWrite(path=path, content=content, create_dirs=create_dirs, expected_sha256=expected_sha256)
    return Request("file.write", params, r.FileWritten)


def edit(
    path: str, old_text: str, new_text: str, *, replace_all: bool = False, expected_sha256: str | None = None
) -> Request[r.FileEdited]:
    """Replace text in a file. Raises Conflict where the file changed since it was read."""
    params = p.FileEdit(
        path=path, old_text=old_text, new_text=new_text, replace_all=replace_all, expected_sha256=expected_sha256
    )
    return Request("file.edit", params, r.FileEdited)


def delete(path: str) -> Request[r.FileDeleted]:
    """Delete a file; a backup is kept."""
    return Request("file.delete", p.FileDelete(path=path), r.FileDeleted)


def entries(path: str, *, recursive: bool = False) -> Request[r.FileListed]:
    """What a folder holds."""
    return Request("file.list", p.FileList(path=path, recursive=recursive), r.FileListed)


def check(shell: str, cwd: str | None = None) -> Request[r.CheckData]:
    """What the policy says of shell text; nothing is decided or recorded."""
    return Request("policy.check", p.PolicyCheck(shell=shell, cwd=cwd), r.CheckData)


def judge(action: Action, wait: bool = False) -> Request[r.JudgeData]:
    """What the policy (with `wait`: or a person) says of what this process is about to do by itself."""
    return Request("judge", p.Judge(action=action, wait=wait), r.JudgeData)


def plan(name: str, steps: Sequence[str], description: str = "") -> Request[Plan]:
    """Say what is going to be done, step by step; shown beside this session's requests."""
    return Request("plan.create", p.PlanCreate(name=name, steps=tuple(steps), description=description), Plan)


def advance(plan_id: str, notes: str = "") -> Request[Plan]:
    """The current step of a plan is done."""
    return Request("plan.advance", p.PlanAdvance(plan_id=plan_id, notes=notes), Plan)


def panes(server: str | None = None) -> Request[r.PanesData]:
    """The panes of a tmux server."""
    return Request("tmux.panes", p.TmuxPanes(server=server), r.PanesData)


def named(method: str, params: Mapping[str, Any] | None = None) -> Request[Any]:
    """Any method by its name, with plain values; so is its reply. Raises UnknownMethod, InvalidParams."""
    kind = p.METHODS.get(method)
    if kind is None:
        raise errors.UnknownMethod(f"unknown method {method!r}")
    try:
        return Request(method, msgspec.convert(dict(params or {}), kind), Any)
    except msgspec.ValidationError as why:
        raise errors.InvalidParams(f"{method}: {why}") from None
