"""What an action is called, in the words that the popup, the command line, files, pages and notifications share.

Pure. The line is raw text: whoever shows it makes it safe (display.py). Must not own: colours, layout.
"""

from __future__ import annotations

import shlex

import msgspec

from .model import Action, Approval, Ask, Command, Fetch, File, Fleet, Mcp, Origin, Patch, Shell, Stage, Tmux, Tool

_PEOPLE = {"claude": "Claude", "codex": "Codex", "gemini": "Gemini", "opencode": "OpenCode", "cursor": "Cursor"}


def tilde(path: str, home: str) -> str:
    """A path with the home folder as ~."""
    inside = home not in ("", "/") and (path == home or path.startswith(home + "/"))
    return "~" + path[len(home) :] if inside else path


SANDBOX = "▣"  # stands behind the name of an agent in the sandbox


def who(origin: Origin) -> str:
    """The agent the kernel shows; else what the asker calls itself, or its script, in quotes; else its program."""
    claims = origin.name or origin.script
    claimed = f"“{claims}”" if claims else ""
    return walled(origin.agent or claimed or origin.exe.rpartition("/")[2] or f"pid {origin.pid}", origin.sandbox)


def person(origin: Origin) -> str:
    """The agent's name as its makers write it."""
    known = _PEOPLE.get(origin.agent or "")
    return walled(known, origin.sandbox) if known else who(origin)


def walled(name: str, sandbox: bool) -> str:
    """A name with the mark of those that are in the sandbox."""
    return f"{name} {SANDBOX}" if sandbox else name


def json_text(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def beneath(path: str, folder: str, home: str = "") -> str:
    """A path relative to `folder` if it is inside, else with ~."""
    inside = folder and path.startswith(folder.rstrip("/") + "/")
    return path[len(folder.rstrip("/")) + 1 :] if inside else tilde(path, home)


def file_line(action: File, folder: str = "", home: str = "") -> str:
    path = beneath(action.path, folder, home)
    if action.verb == "copy":
        return f"copy {path} to {beneath(action.target or '?', folder, home)}"
    if action.verb == "read" and action.start_line:
        return f"read {path} lines {action.start_line}-{action.end_line or ''}"
    return f"{action.verb} {path}"


RECORDS = {
    "record": "record", "record_stop": "end the recording of", "record_remove": "remove the recording of",
    "record_play": "play the recording",
}  # fmt: skip


def typed_into(action: Shell) -> str:
    """Where shell text is typed, in words; "" where it is not typed by us."""
    if action.session:
        return f"typed into a new tmux session, {action.session}, in {action.cwd}"
    changed = f", which was changed by {action.changed}" if action.changed else ""
    where = action.cwd or "a folder that is not there"
    return f"typed into the {action.dialect} in pane {action.pane}, in {where}{changed}" if action.pane else ""


def tmux_line(action: Tmux) -> str:
    if action.verb in RECORDS:
        return " ".join(filter(None, [RECORDS[action.verb], action.target, action.name]))
    typed = " ".join(action.keys) or action.text or shlex.join(action.argv)
    return " ".join(filter(None, [f"tmux {action.verb.replace('_', ' ')}", action.target or action.name, typed]))


def one_line(action: Action, folder: str = "", home: str = "") -> str:
    """The action in one line; paths beneath `folder` are shown relative to it."""
    match action:
        case Shell(text=text):
            return text.strip("\n")
        case Command(argv=argv):
            return shlex.join(argv)
        case File():
            return file_line(action, folder, home)
        case Patch(changes=changes):
            return ", ".join(file_line(change, folder, home) for change in changes)
        case Tmux():
            return tmux_line(action)
        case Fetch(url=url, method=method):
            return f"{method} {url}"
        case Mcp(server=server, tool=tool, arguments=arguments):
            return f"{server}.{tool} {msgspec.json.encode(arguments).decode()}"
        case Ask(prompt=prompt):
            return prompt
        case Stage():
            return stage_line(action)
        case Fleet():
            return fleet_line(action)
        case Tool(name=name, arguments=arguments):
            return f"{name} {msgspec.json.encode(arguments).decode()}"


def verb(approval: Approval) -> str:
    """What the asker wants, as the beginning of a sentence. Keeps apart what the agent does and what we do."""
    ours = approval.kind == "run"
    match approval.action:
        case Ask():
            return "asks"
        case Shell() | Command():
            return "asks tmux-agent to run" if ours else "wants to run"
        case File(verb=name):
            return f"asks tmux-agent to {name}" if ours else f"wants to {name}"
        case Patch():
            return "wants to patch"
        case Fetch():
            return "wants to fetch"
        case Mcp() | Tool():
            return "wants to use"
        case Tmux(verb=name) if name in RECORDS:
            return "asks tmux-agent to"
        case Tmux():
            return "asks tmux-agent to tell tmux"
        case Stage(verb=verb):
            return "wants to start" if verb in ("run", "start") else f"wants to {verb}"
        case Fleet(verb="queue"):
            return "asks tmux-agent to change the queue"
        case Fleet(verb=name):
            return f"asks tmux-agent to {name}"


def stage_line(action: Stage) -> str:
    """ "start build of webapp-ci", "skip lint of webapp-ci"."""
    verb = "start" if action.verb == "run" else action.verb
    return f"{verb} {action.stage} of {action.pipeline}" if action.stage else f"{verb} {action.pipeline}"


def fleet_line(action: Fleet) -> str:
    """ "spawn claude on feature/login in shop", "finish feature-login"."""
    if action.verb == "spawn":
        where = action.repository.rstrip("/").rpartition("/")[2]
        return f"spawn {action.agent} on {action.branch} in {where}"
    if action.verb == "queue":
        return f"queue: {'; '.join(action.does)}"
    return f"{action.verb} {action.name}" + (f": {action.text}" if action.text else "")


def diff_counts(preview: str) -> tuple[int, int] | None:
    """(+, −) lines of a unified diff; None if the preview is none."""
    if not preview.startswith(("--- ", "diff ", "@@")):
        return None
    start = 0 if preview.startswith("@@") else preview.find("\n@@") + 1  # above are names; below "+++ " is a line "++ "
    lines = preview[start:].split("\n")
    return sum(line.startswith("+") for line in lines), sum(line.startswith("-") for line in lines)
