"""The tmux tool: reading panes, moving people, making and ending sessions and panes, typing.

Owns what each verb of model.Tmux does and the facts it rests on. Only services/guard.py may call run(). Must not own:
whether it may be done (policy), lists of panes (services/tmux/control.py).

Whatever a caller names is looked up in the snapshot and becomes an id; text reaches tmux only as a quoted value or
through a paste buffer. A pane is named by server pid, pane id and pid of its program: ids
are used again after a restart.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from tmux_agent.core import errors
from tmux_agent.core.model import Outcome, Tmux
from tmux_agent.services.tmux.control import TmuxServer
from tmux_agent.services.tmux.snapshot import Pane, Session, is_id

_MAKES_OR_ENDS = frozenset(("create_session", "create_pane", "kill_session", "kill_pane"))
READ_LINES = 50  # unless asked otherwise
READ_LIMIT = 2000
READ_BYTES = 256 * 1024
HISTORY = 1_000_000  # lines: more than any history that is read whole; READ_BYTES of its end are given
TEXT_LIMIT = 256 * 1024  # characters of one send_text
ARGUMENT_LIMIT = 100 * 1024  # characters of a command's arguments together
ENTER_SECONDS = 0.1  # programs that read a paste take an Enter in the same read as part of it

KEYS = frozenset(
    [
        "Enter", "Escape", "Tab", "BTab", "Space", "BSpace", "Up", "Down", "Left", "Right", "Home", "End",
        "PageUp", "PageDown", "Delete", "Insert",
        *(f"C-{letter}" for letter in "abcdefghijklnopqrstuvwxyz"),  # not C-m: that is Enter under another name
        *(f"F{number}" for number in range(1, 13)),
    ]
)  # fmt: skip

_DIRECTIONS = {
    "right": ("-h",), "left": ("-h", "-b"), "down": ("-v",), "up": ("-v", "-b"),
    "horizontal": ("-h",), "vertical": ("-v",),
}  # fmt: skip
_DROPPED = {code: None for code in (*range(0x20), 0x7F, *range(0x80, 0xA0)) if chr(code) not in "\n\t"}


class PaneFacts(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an action on a pane or session rests on; compared again just before it is done."""

    server: str
    server_pid: int
    session: str = ""
    session_name: str = ""
    pane: str = ""
    pane_pid: int = 0
    place: str = ""
    command: str = ""  # name of the program in front
    path: str = ""
    dead: bool = False
    in_mode: bool = False
    input_off: bool = False
    synchronized: bool = False
    alternate: bool = False


async def observe(action: Tmux, server: TmuxServer) -> PaneFacts:
    """The facts that `action` rests on, as they are now.

    Raises errors.NotFound, errors.Conflict (a pane that cannot take it), errors.InvalidParams, errors.Unavailable.
    """
    await server.refresh()
    _check(action)
    if action.verb == "create_session":
        if any(session.name == action.name for session in server.sessions):
            raise errors.Conflict(f"a session {action.name!r} exists already on tmux at {server.socket}")
        return PaneFacts(server=server.socket, server_pid=server.pid)
    if action.verb == "kill_session":
        session = _session(server, action.target)
        return PaneFacts(server=server.socket, server_pid=server.pid, session=session.id, session_name=session.name)
    facts = await _pane_facts(server, _pane(server, action.target))
    if action.verb in ("send_keys", "send_text"):
        can_type(facts.pane, facts)
    return facts


async def _pane_facts(server: TmuxServer, pane: Pane) -> PaneFacts:
    return PaneFacts(
        server=server.socket,
        server_pid=server.pid,
        session=pane.session,
        session_name=pane.session_name,
        pane=pane.id,
        pane_pid=pane.pid,
        place=pane.place,
        command="\n".join(await server.foreign("display-message", "-p", "-t", pane.id, "#{pane_current_command}")),
        path="\n".join(await server.foreign("display-message", "-p", "-t", pane.id, "#{pane_current_path}")),
        dead=pane.dead,
        in_mode=pane.in_mode,
        input_off=pane.input_off,
        synchronized=pane.synchronized,
        alternate=pane.alternate,
    )


def changed(before: PaneFacts, now: PaneFacts) -> str | None:
    """What is no longer as it was, in words; None where the action is still about the same thing."""
    if before.server_pid != now.server_pid:
        return "the tmux server was restarted"
    if (before.pane, before.pane_pid, before.session) != (now.pane, now.pane_pid, now.session):
        return f"pane {before.pane or before.session} runs another program than it did"
    return None


def _check(action: Tmux) -> None:
    """Refuses what no server could make right. Raises errors.InvalidParams, errors.LimitExceeded."""
    if bad := [key for key in action.keys if key not in KEYS]:
        allowed = ", ".join(sorted(KEYS, key=lambda key: (len(key), key)))
        raise errors.InvalidParams(
            f"not an approved key name: {bad[0]!r}; text goes by tmux.send_text. Keys: {allowed}"
        )
    if action.verb == "send_keys" and not action.keys:
        raise errors.InvalidParams("params.keys: name at least one key")
    if len(action.text) > TEXT_LIMIT:
        raise errors.LimitExceeded(f"params.text: more than {TEXT_LIMIT} characters; write a file instead")
    if sum(map(len, action.argv)) > ARGUMENT_LIMIT:
        raise errors.LimitExceeded(f"params.args: more than {ARGUMENT_LIMIT} characters")
    if action.verb == "create_session" and (not action.name or set(action.name) & set(":.\t\n")):
        raise errors.InvalidParams("params.session_name: must not be empty, nor hold a colon, period, tab or line end")
    if action.verb == "create_session" and any(word in action.name for word in ("#(", "#{", "#[", "#,")):
        raise errors.InvalidParams("params.session_name: must not hold a format of tmux: #(, #{, #[ or #,")


def can_type(pane: str, facts: PaneFacts | Pane) -> None:
    """Raises errors.Conflict where a pane cannot take what is typed, and says why."""
    why = (
        "its program has ended" if facts.dead
        else "its input is switched off (select-pane -d)" if facts.input_off
        else "what is typed there goes to every pane of the window (synchronize-panes)" if facts.synchronized
        else ""
    )  # fmt: skip
    if why:
        raise errors.Conflict(f"pane {pane} ({facts.place}) takes no typing: {why}")


def _session(server: TmuxServer, target: str) -> Session:
    for session in server.sessions:
        if target in (session.id, session.name):
            return session
    raise errors.NotFound(f"no session {target!r} on tmux at {server.socket}; tmux.sessions lists them")


def _pane(server: TmuxServer, target: str) -> Pane:
    """The pane of that id, or the active pane of the session or window so named."""
    if is_id(target, "%"):
        return server.pane(target)
    if is_id(target, "@"):
        panes = [pane for pane in server.panes if pane.window == target]
    else:
        session = _session(server, target)
        panes = [pane for pane in server.panes if pane.session == session.id]
    active = [pane for pane in panes if pane.active]
    if not active:
        raise errors.NotFound(f"no pane in {target!r} on tmux at {server.socket}; tmux.panes lists them")
    return active[0]


async def run(
    action: Tmux,
    server: TmuxServer,
    expected: PaneFacts | None = None,
    read_limit: int = READ_LIMIT,
    request_id: str = "",
) -> Outcome:
    """Does it. `expected`: the facts it was judged on; where they no longer hold nothing is done (errors.Conflict).
    `read_limit`: most lines that one read may ask for.

    Raises errors.NotFound, errors.Conflict, errors.Unavailable (not done), errors.Failed (tmux refused).
    """
    start = time.monotonic()
    facts = await observe(action, server)
    if expected is not None and (why := changed(expected, facts)):
        raise errors.Conflict(f"not done: {why}")
    mark = request_id if action.options.get("once") else ""
    data = await _do(action, server, facts, read_limit, mark)
    if action.verb in _MAKES_OR_ENDS:
        with contextlib.suppress(errors.Unavailable):  # it is done, and the server may have ended with it
            await server.refresh()  # whoever is told of it and looks then finds it so
    took = (time.monotonic() - start) * 1000
    return Outcome(ok=True, data=data, summary=_summary(action, facts), duration_ms=took)


async def _do(action: Tmux, server: TmuxServer, facts: PaneFacts, read_limit: int, mark: str) -> dict[str, Any]:
    match action.verb:
        case "read":
            return await _read(action, server, facts, read_limit)
        case "switch":
            return await _switch(action, server, facts)
        case "create_session":
            return await _create_session(action, server)
        case "create_pane":
            return await _create_pane(action, server, facts, mark)
        case "send_keys":
            pressed = ("send-keys", "-t", facts.pane, *map(_tmux_key, action.keys))
            await server.line([*_leave_mode(facts), pressed, *_marked(mark, DONE)])
        case "send_text":
            await _send_text(action, server, facts, mark)
        case "kill_session":
            await server.command("kill-session", "-t", facts.session)
        case "kill_pane":
            await server.command("kill-pane", "-t", facts.pane)
        case verb:
            raise errors.InvalidParams(f"no such tmux action: {verb!r}")
    return {}


def _summary(action: Tmux, facts: PaneFacts) -> str:
    return f"{action.verb} {facts.pane or facts.session_name or action.name}".strip()


# --- reading ---------------------------------------------------------------------------------------


async def _read(action: Tmux, server: TmuxServer, facts: PaneFacts, limit: int) -> dict[str, Any]:
    whole = bool(action.options.get("all"))
    wanted = HISTORY if whole else action.options.get("last_n_lines") or min(READ_LINES, limit)
    if not whole and not 0 < wanted <= limit:
        raise errors.InvalidParams(f"params.last_n_lines: 1 to {limit}")
    # -J joins what tmux wrapped, so more rows are fetched than lines are wanted only where lines are long.
    above = ("-S", "-") if whole else ("-S", f"-{wanted}") if action.options.get("from_history") else ()
    colours = ("-e",) if action.options.get("ansi") else ()
    got = await server.foreign("capture-pane", "-p", "-J", *colours, *above, "-t", facts.pane)
    lines = _trim([line.rstrip(" ") for line in got])
    kept = _bounded(lines[-wanted:])
    return {"lines": kept, "truncated": len(kept) < len(lines), "alternate_screen": facts.alternate}


def _trim(lines: list[str]) -> list[str]:
    """Without the empty rest of the screen."""
    end = len(lines)
    while end and not lines[end - 1]:
        end -= 1
    return lines[:end]


def _bounded(lines: list[str]) -> list[str]:
    """The last lines that fit READ_BYTES together."""
    size = 0
    for count, line in enumerate(reversed(lines)):
        size += len(line.encode("utf-8", "replace")) + 1
        if size > READ_BYTES:
            return lines[len(lines) - count :]
    return lines


# --- people, sessions, panes -----------------------------------------------------------------------


async def _switch(action: Tmux, server: TmuxServer, facts: PaneFacts) -> dict[str, Any]:
    people = [client for client in server.clients if not client.control]
    name = action.options.get("client")
    chosen = [client for client in people if client.name == name] if name else people
    if not chosen:
        raise errors.NotFound(f"no client {name or 'of a person'} is attached to tmux at {server.socket}")
    client = max(chosen, key=lambda one: one.activity)
    await server.command("switch-client", "-c", client.name, "-t", facts.pane)
    return {"client": client.name}


async def _create_session(action: Tmux, server: TmuxServer) -> dict[str, Any]:
    name = action.name.replace("#", "##")  # tmux expands it as a format, which can run commands
    made = ("new-session", "-d", "-P", "-F", _IDS, "-s", name, *_folder(action), *_variables(action))
    # In the same line, so that what ends at once can be read still.
    keep = ("set-option", "-p", "-t", f"={action.name}:", "remain-on-exit", "on")
    said = await server.line([(*made, *_program(action.argv)), *([keep] if action.options.get("keep") else [])])
    return _ids(said[0])


async def _create_pane(action: Tmux, server: TmuxServer, facts: PaneFacts, mark: str) -> dict[str, Any]:
    if action.options.get("new_window"):
        how: tuple[str, ...] = ("new-window", "-t", f"{facts.session}:")
    else:
        direction = action.options.get("direction") or "down"
        if direction not in _DIRECTIONS:
            raise errors.InvalidParams(f"params.direction: one of {', '.join(_DIRECTIONS)}")
        how = ("split-window", *_DIRECTIONS[direction], "-t", facts.pane)
    # -d: nobody's view changes because an agent opened something.
    made = (*how, "-d", "-P", "-F", _IDS, *_folder(action), *_variables(action))
    said = await server.line([(*made, *_program(action.argv)), *_marked(mark, DONE)])
    return _ids(said[0])


_IDS = "#{session_id} #{window_id} #{pane_id} #{pane_pid}"


def _ids(lines: Sequence[str]) -> dict[str, Any]:
    session, window, pane, pid = lines[0].split(" ")
    return {"session_id": session, "window_id": window, "pane_id": pane, "pane_pid": int(pid)}


def _folder(action: Tmux) -> tuple[str, ...]:
    # tmux expands -c as a format.
    return ("-c", action.cwd.replace("#", "##")) if action.cwd else ()


def _variables(action: Tmux) -> tuple[str, ...]:
    env = action.options.get("env") or {}
    return tuple(word for name, value in env.items() for word in ("-e", f"{name}={value}"))


def _program(argv: Sequence[str]) -> tuple[str, ...]:
    """Words that tmux starts without a shell: it takes a single one as shell text, so that goes through env."""
    if len(argv) != 1:
        return tuple(argv)
    if "=" in argv[0] or argv[0].startswith("-"):
        raise errors.InvalidParams(f"params.command: {argv[0]!r} is not the name of a program")
    return ("env", argv[0])


# --- typing ----------------------------------------------------------------------------------------


def _leave_mode(facts: PaneFacts) -> list[Sequence[str]]:
    """Copy mode and its kin take keys for themselves."""
    return [("copy-mode", "-q", "-t", facts.pane)] if facts.in_mode else []


def _tmux_key(key: str) -> str:
    return {"Delete": "DC", "Insert": "IC", "PageUp": "PPage", "PageDown": "NPage"}.get(key, key)


def typed(text: str) -> str:
    """`text` without control characters but line ends and tabs: none may end a bracketed paste or press a key."""
    return text.replace("\r\n", "\n").replace("\r", "\n").translate(_DROPPED)


async def _send_text(action: Tmux, server: TmuxServer, facts: PaneFacts, mark: str) -> None:
    text = typed(action.text)
    if text:
        buffer = f"tmux-agent-{secrets.token_hex(4)}"
        paste = ("paste-buffer", "-d", "-p", "-r", "-b", buffer, "-t", facts.pane)
        end = _marked(mark, TYPED if action.enter else DONE)
        await server.line([*_leave_mode(facts), ("set-buffer", "-b", buffer, "--", text), paste, *end])
    if action.enter:
        await asyncio.sleep(ENTER_SECONDS if text else 0)
        await _enter(server, facts, mark)


async def _enter(server: TmuxServer, facts: PaneFacts, mark: str) -> None:
    await server.line([("send-keys", "-t", facts.pane, "Enter"), *_marked(mark, DONE)])


# --- once ------------------------------------------------------------------------------------------

# tmux does a line of commands whole: what it did and the mark that says so come together, whoever dies meanwhile.
_MARK = "TMUX_AGENT_DID"
TYPED, DONE = "typed", "done"


def _marked(mark: str, how: str) -> list[Sequence[str]]:
    """The command that leaves the mark of a request (`options.once`), hidden from programs."""
    return [("set-environment", "-gh", f"{_MARK}_{mark}", how)] if mark else []


async def became(action: Tmux, server: TmuxServer, expected: PaneFacts, mark: str) -> Outcome | None:
    """What became of an action (`options.once`) that was under way when the sidecar died; None where it was not begun.
    Where only Enter is missing, it is pressed.

    Raises errors.Conflict where nobody can tell, errors.NotFound, errors.Unavailable.
    """
    facts = await observe(action, server)
    if why := changed(expected, facts):
        raise errors.Conflict(f"it may or may not be done: {why}")
    left = await server.command("display-message", "-p", f"#{{{_MARK}_{mark}}}")
    if left not in ([TYPED], [DONE]):
        return None
    if left == [TYPED]:
        await _enter(server, facts, mark)
    return Outcome(ok=True, summary=_summary(action, facts))


async def forget(server: TmuxServer, mark: str) -> None:
    """Take the mark away."""
    await server.command("set-environment", "-gu", f"{_MARK}_{mark}")
