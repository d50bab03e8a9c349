"""Params of the guarded methods → the Action that the guard judges. Pure.

A relative path and a missing cwd mean the caller's own folder, as the kernel tells it. Must not own: judgement.
"""

from __future__ import annotations

import os
from typing import Any

import msgspec

from ..core import errors
from ..core import protocol as p
from ..core.model import Action, Command, File, Origin, Shell, Tmux


def _folder(given: str | None, origin: Origin) -> str:
    return os.path.join(origin.cwd or "/", given) if given else origin.cwd or "/"


def placed(action: Action, origin: Origin) -> Action:
    """The action with its folder made absolute: a relative or missing one is meant from the caller's own."""
    match action:
        case Command() | Shell() | File():
            return msgspec.structs.replace(action, cwd=_folder(action.cwd, origin))
        case _:
            return action


def checked(params: p.PolicyCheck, origin: Origin) -> Action:
    """What policy.check is about. Raises InvalidParams."""
    if (params.action is None) == (params.shell is None):
        raise errors.InvalidParams("policy.check: give either `action` or `shell`")
    if params.action is not None:
        return placed(params.action, origin)
    assert params.shell is not None
    return Shell(text=params.shell, cwd=_folder(params.cwd, origin))


def command(params: p.CommandRun, origin: Origin) -> Command:
    """A relative cwd, like a missing one, is the caller's own."""
    return Command(
        argv=(params.command, *params.args),
        cwd=_folder(params.cwd, origin),
        env=params.env,
        stdin=params.stdin,
        timeout=params.timeout,
    )


def file(params: p.Params, origin: Origin) -> File:
    """A relative path is meant from the caller's own folder."""
    cwd = origin.cwd or "/"
    match params:
        case p.FileRead(path=path, start_line=start, end_line=end):
            return File(verb="read", path=path, cwd=cwd, start_line=start, end_line=end)
        case p.FileWrite(path=path, content=content, create_dirs=create, expected_sha256=expected):
            return File(verb="write", path=path, cwd=cwd, content=content, create_dirs=create, expected_sha256=expected)
        case p.FileEdit() as edit:
            return File(
                verb="edit",
                path=edit.path,
                cwd=cwd,
                old_text=edit.old_text,
                new_text=edit.new_text,
                replace_all=edit.replace_all,
                expected_sha256=edit.expected_sha256,
            )
        case p.FileCopy(source=source, destination=target, overwrite=over, create_dirs=create):
            return File(verb="copy", path=source, target=target, cwd=cwd, overwrite=over, create_dirs=create)
        case p.FileDelete(path=path, expected_sha256=expected):
            return File(verb="delete", path=path, cwd=cwd, expected_sha256=expected)
        case p.FileList(path=path, recursive=recursive):
            return File(verb="list", path=path, cwd=cwd, recursive=recursive)
    raise errors.Internal(f"{type(params).__name__} is no file method")


def tmux(params: p.Params) -> Tmux:
    """The action of a tmux.* method that reads or changes something."""
    match params:
        case p.TmuxRead() as read:
            options: dict[str, Any] = {
                "last_n_lines": read.last_n_lines,
                "from_history": read.from_history,
                "ansi": read.ansi,
            }
            options |= {"all": True} if read.all else {}
            options |= {"since": read.since} if read.since is not None else {}
            return Tmux(verb="read", target=read.pane_id or read.session or "", server=read.server, options=options)
        case p.TmuxSwitch() as switch:
            return Tmux(verb="switch", target=switch.pane_id, server=switch.server, options={"client": switch.client})
        case p.TmuxCreateSession() as new:
            argv = (new.command, *new.args) if new.command else ()
            options = {"env": new.env}
            return Tmux(
                verb="create_session",
                name=new.session_name,
                server=new.server,
                argv=argv,
                cwd=new.cwd or "",
                options=options,
            )
        case p.TmuxCreatePane() as new:
            argv = (new.command, *new.args) if new.command else ()
            options = {"direction": new.direction, "new_window": new.new_window}
            return Tmux(
                verb="create_pane", target=new.target, server=new.server, argv=argv, cwd=new.cwd or "", options=options
            )
        case p.TmuxSendKeys(pane_id=pane, keys=keys, server=server):
            return Tmux(verb="send_keys", target=pane, keys=keys, server=server)
        case p.TmuxSendText(pane_id=pane, text=text, enter=enter, server=server):
            return Tmux(verb="send_text", target=pane, text=text, enter=enter, server=server)
        case p.TmuxKillSession(session=session, server=server):
            return Tmux(verb="kill_session", target=session, server=server)
        case p.TmuxKillPane(pane_id=pane, server=server):
            return Tmux(verb="kill_pane", target=pane, server=server)
    raise errors.Internal(f"{type(params).__name__} is no tmux method")
