"""config.yaml: what can be set, with its default, and the environment variables that override it.

Owns the typed settings and the override rule. Pure: the environment is passed in. Must not own: the policy
(policy.py), where files are (services/places.py), YAML (config.py).

`TMUX_AGENT_<SECTION>_<KEY>` overrides a key, e.g. TMUX_AGENT_LIMITS_CONNECTIONS=64; TMUX_AGENT_ROOT_DIR (folders
separated by `:`; other lists by blanks) and TMUX_AGENT_AUDIT_FILE stand for `root_dir` and `audit.file`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from msgspec import Struct

from .channels import Notify
from .sandbox import Wanted
from .sandbox_agents import KINDS
from .secret import Secret


class Limits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that one client could make grow without end."""

    line_bytes: int = 1 << 20  # of one request; hook input has its own limit of 32 MiB
    connections: int = 512  # at once, besides those that are kept free for people
    connections_per_origin: int = 256  # of these, for one agent or pane with all its processes
    in_flight: int = 1000  # requests of one connection that are not answered yet; more are not read
    queue_bytes: int = 8 << 20  # replies a client has not read; over it, the client is dropped
    stalled_seconds: float = 10.0  # a client with over 1 MiB unread that takes nothing for this long is dropped
    pending_per_origin: int = 200  # questions of one asker that wait, twice that of its pane; from the next start on
    asks_burst: int = 200  # questions of one agent or pane at once …
    asks_per_minute: float = 60  # … and in the long run
    requests_per_second: float = 20_000  # of one asker, whatever they are
    subscriptions: int = 16  # of one connection
    executions_per_caller: int = 16  # that run or wait for their turn in persistent terminals, of one caller
    output_bytes: int = 256 << 10  # of an execution that are kept (the beginning and the end), of a pane (the end)
    output_per_minute: int = 64 << 20  # bytes of panes' and executions' output that one caller is given
    sessions_per_caller: int = 32  # of tmux, that one caller made and that live
    panes_per_caller: int = 64  # the same, besides those of its sessions


class Audit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    file: str = ""  # empty: audit.jsonl in the state folder; from the next start on
    rotate_bytes: int = 64 << 20  # of one file; from the next start on


class State(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Copies of the state database (docs/state.md)."""

    backup_every: float = 6 * 3600.0  # seconds, or 6h; 0: none are made
    backups_keep: int = 8  # copies; the oldest go
    backups_bytes: int = 256 << 20  # of all of them together; the newest is kept whatever its size


class Files(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    read_bytes: int = 2 << 20  # of one read
    write_bytes: int = 16 << 20  # of a file that is written, edited, copied or read
    list_entries: int = 5000  # of one list
    backups_keep: int = 2000  # files; the oldest go; from the next start on
    backups_days: float = 30  # from the next start on


class Commands(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    timeout: float = 120  # seconds, where the request names none
    timeout_max: float = 3600  # seconds, the most that a request may name
    output_bytes: int = 256 << 10  # of each of stdout and stderr; head and tail are kept
    grace: float = 2.0  # seconds between SIGTERM and SIGKILL
    keep_env: tuple[str, ...] = ()  # variables to hand on besides the built-in list


class Panes(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    read_lines: int = 2000  # the most that one tmux.read may ask for


class Casts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Recordings of panes (docs/casts.md)."""

    file_bytes: int = 16 << 20  # of one file of a recording; then it goes on in the next one; at least 64 KiB
    files: int = 8  # of one recording that are kept; the oldest go
    total_bytes: int = 512 << 20  # of all recordings; the oldest files go, never one that is written to
    at_once: int = 20  # panes that are recorded at the same time


class Http(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The listener for webhooks and signed links. Any program of this machine can reach it, so each asks for more."""

    listen: str = ""  # 127.0.0.1:PORT; empty: none; from the next start on
    hosts: tuple[str, ...] = ()  # names by which a proxy or tunnel of yours hands requests on; from the next start on


class Metrics(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Numbers for Prometheus (docs/metrics.md); both from the next start on."""

    http: bool = False  # GET /metrics of `http.listen`, for any program of this machine; from the next start on
    file: str = ""  # written for node_exporter's textfile collector: …/NAME.prom; from the next start on
    every: float = 15.0  # seconds between two writes of the file, at least 1; from the next start on


class Answers(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Answering from elsewhere than a popup or a terminal of your own: each way only where it is switched on."""

    files: bool = False  # a file for each request, which is answered by what is written into it
    folder: str = ""  # of these files, mode 0700; empty: `approvals` in the state folder; from the next start on
    links: bool = False  # a signed link to each request in messages; needs http.listen
    url: str = ""  # what links begin with, as your phone reaches it; empty: http.listen itself; from the next start on
    link_seconds: float = 3600  # that a link is good for; never longer than its request waits


class Chat(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Words in a chat that a bot relays (docs/chat.md). Without `senders` nobody may say anything."""

    senders: dict[str, Literal["viewer", "runner", "approver"]] = {}  # who, as the chat calls them → what they may
    answers: bool = False  # approvers may answer requests; needs `token`
    token: str | Secret = ""  # that the bot has to show
    name: str = ""  # of the bot, with which a line may begin
    session: str = "chat"  # where a command runs that names none


class Resume(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Has agents go on by themselves once their usage limit has ended. Without `agents` none is."""

    agents: tuple[str, ...] = ()  # kinds, e.g. claude, codex, gemini
    after: float = 120.0  # seconds after the time that the agent told
    text: str = "continue"  # typed at its prompt, in one line of at most 500 characters
    at_most: int = 3  # times in a row, without a turn that ended well between


class Queue(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many tasks of the queue (docs/queue.md) are worked on at once."""

    machine: int = 4  # all together
    per_agent: dict[str, int] = {}  # of kinds of agents; "*" for those that are not named
    per_repository: dict[str, int] = {}  # of repositories, by their folders; "*" likewise
    log_bytes: int = 1 << 20  # of the output of one try that is kept
    keep: int = 500  # tasks that have ended, with their logs; the oldest go

    def __post_init__(self) -> None:
        if min((self.machine, *self.per_agent.values(), *self.per_repository.values())) < 1:
            raise ValueError("machine, per_agent and per_repository have to be at least 1: pause the queue instead")


class Sandbox(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What agents in the sandbox may (docs/sandbox.md); for those that are started from then on."""

    network: bool = True  # on or off
    read_only: tuple[str, ...] = ()  # folders and files to be seen besides the built-in list; where they are there
    writable: tuple[str, ...] = ()  # the same, to be written
    hide: tuple[str, ...] = ()  # of all that is seen
    credentials: tuple[str, ...] = KINDS  # kinds of agents that get their own credentials
    user_namespaces: bool = False  # an agent may make sandboxes of its own

    def wanted(self) -> Wanted:
        return Wanted(**{name: getattr(self, name) for name in Wanted._fields})


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    root_dir: tuple[str, ...] = ()  # replaces the policy's `roots`
    log_level: Literal["debug", "info", "warning", "error"] = "info"  # of the sidecar's own log
    log_format: Literal["text", "json"] = "text"  # of the same: for people, or an object a line
    limits: Limits = Limits()
    audit: Audit = Audit()
    state: State = State()
    files: Files = Files()
    commands: Commands = Commands()
    panes: Panes = Panes()
    casts: Casts = Casts()
    notify: Notify = Notify()
    http: Http = Http()
    metrics: Metrics = Metrics()
    answers: Answers = Answers()
    chat: Chat = Chat()
    resume: Resume = Resume()
    sandbox: Sandbox = Sandbox()
    queue: Queue = Queue()


_ONLY_IN_THE_FILE = ("channels", "escalate", "per_agent", "per_repository", "senders", "token")  # mappings, secrets
_SHORT = {
    "TMUX_AGENT_ROOT_DIR": ("root_dir",),
    "TMUX_AGENT_AUDIT_FILE": ("audit", "file"),
    "APPROVAL_TOKEN_TTL": ("answers", "link_seconds"),
}


def variables() -> dict[str, tuple[str, ...]]:
    """Name of each environment variable → path of the setting it overrides."""
    names: dict[str, tuple[str, ...]] = {}
    for field in msgspec.structs.fields(Settings):
        if isinstance(field.default, Struct):
            for inner in msgspec.structs.fields(field.default):
                if inner.name in _ONLY_IN_THE_FILE:
                    continue
                names[f"TMUX_AGENT_{field.name}_{inner.name}".upper()] = (field.name, inner.name)
        else:
            names[f"TMUX_AGENT_{field.name}".upper()] = (field.name,)
    return names | _SHORT


def override(settings: Settings, environ: Mapping[str, str]) -> tuple[Settings, tuple[str, ...]]:
    """Settings with the environment's values put over them, and a sentence for each that does not fit."""
    wrong = []
    for name, path in sorted(variables().items()):
        if name in environ:
            try:
                settings = _put(settings, path, environ[name])
            except (msgspec.ValidationError, ValueError) as why:  # of the type, of the Struct itself
                wrong.append(f"{name}={environ[name]!r}: {why}; the setting keeps its value")
    return settings, tuple(wrong)


def _put(settings: Any, path: tuple[str, ...], text: str) -> Any:
    name = path[0]
    if len(path) > 1:
        inner = _put(getattr(settings, name), path[1:], text)
        return msgspec.structs.replace(settings, **{name: inner})
    field = next(f for f in msgspec.structs.fields(settings) if f.name == name)
    between = ":" if name == "root_dir" else None  # other lists by blanks: URLs hold colons
    value: Any = tuple(filter(None, text.split(between))) if isinstance(field.default, tuple) else text
    return msgspec.structs.replace(settings, **{name: msgspec.convert(value, field.type, strict=False)})
