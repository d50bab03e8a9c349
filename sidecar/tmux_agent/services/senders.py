"""How each kind of channel is reached: its variables, what is missing, and the call that sends (it blocks).

Owns the built-in kinds, commands, and which files of notify.d are used. Must not own: apprise (apprise_channels.py),
when something is sent, in which thread, and how often (notify.py).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from ..core import redact
from ..core.channels import Channel
from ..core.errors import NotFound, Unavailable
from ..core.message import Message
from ..core.model import Approval
from ..core.notice_text import Notice, together
from . import private_files
from .local_bus import LocalBus
from .places import Places
from .secrets import Secrets

WECOM = "https://qyapi.weixin.qq.com"
SERVERCHAN = "https://sctapi.ftqq.com"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
SMTP_PORTS = {"starttls": "587", "ssl": "465", "insecure": "25"}
Send = Callable[[], str]  # "" where it was taken, else why not


class Senders:
    """Built by the daemon and by the command line. `printed` takes a line of the channel stdout."""

    def __init__(self, places: Places, secrets: Secrets, printed: Callable[[str], object]) -> None:
        self._secrets = secrets
        self._folder = places.config / "notify.d"
        self._printed = printed
        self.bus = LocalBus(places.bus)

    def sender(self, channel: Channel, messages: Sequence[Message], approval: Approval | None = None) -> Send:
        """What sends these messages, as one, from any thread. Raises NotFound, Unavailable: something is missing.

        `approval`: the one that they are about, which a command gets in their place.
        """
        notice = together(messages, channel)
        if channel.command:
            told: Any = approval or (messages[0] if len(messages) == 1 else messages)
            told = redact.redact(msgspec.to_builtins(told))
            if approval and messages[0].url:
                told["url"] = messages[0].url
            data = msgspec.json.encode(told)
            return lambda: _command(channel.command, data, channel.timeout)
        if channel.url:
            url, plugins = self._secrets.setting(channel.url), self.plugins()
            return lambda: _apprise().by_url(url, notice, plugins)
        return self._built_in(channel, messages, notice)

    def lacks(self, channel: Channel) -> str:
        """What a channel lacks before anything can be sent; "" where nothing."""
        try:
            self.sender(channel, (Message(title="x"),))
        except (NotFound, Unavailable) as why:
            return why.message
        return ""

    def _built_in(self, channel: Channel, messages: Sequence[Message], notice: Notice) -> Send:
        def variable(*names: str, otherwise: str | None = None) -> str:
            return self._variable(channel, names, otherwise)

        match channel.kind:
            case "stdout":
                return lambda: self._print(notice)
            case "local_bus":
                return lambda: self.bus.add(messages)
            case "wecom" | "wechat_work":
                hook = _address(variable("WECOM_WEBHOOK", "WECHAT_WORK_WEBHOOK"))
                return lambda: _apprise().wecom_robot(hook, notice)
            case "serverchan":
                key = variable("SERVERCHAN_API_KEY")
                base = _address(variable("SERVERCHAN_API_BASE", otherwise=SERVERCHAN))
                return lambda: _apprise().serverchan(quote(key, safe=""), base, notice)
            case "slack":
                hook = _address(variable("SLACK_WEBHOOK"))
                return lambda: _apprise().slack(hook, notice)
            case "email":
                url = _mail(variable)
                return lambda: _apprise().by_url(url, notice)
            case _:
                settings = _wecom_app(variable)
                return lambda: _apprise().wecom_app(notice, **settings)

    def _variable(self, channel: Channel, names: Sequence[str], otherwise: str | None) -> str:
        """The first of these that there is: the channel's own, a secret, a variable. Raises NotFound, Unavailable."""
        for name in names:
            own = channel.variables.get(name)
            found = self._secrets.setting(own) if own is not None else self._secrets.find(name)
            if found:
                return found
        if otherwise is None:
            raise NotFound(f"{' or '.join(names)} is not set: `tmux-agent secret set {names[0]}`")
        return otherwise

    def _print(self, notice: Notice) -> str:
        lines = [line for line in (notice.title, *notice.body.splitlines()) if line]
        self._printed(" — ".join(lines))
        return ""

    def plugins(self) -> tuple[str, ...]:
        """Files of notify.d, apprise plugins of the person's own. Raises Unavailable where others may change them."""
        if not os.path.lexists(self._folder):
            return ()
        if problem := private_files.folder_problem(self._folder, closed=0o022):
            raise Unavailable(problem)
        found = sorted(path for path in self._folder.glob("*.py") if not path.name.startswith((".", "_")))
        for path in found:
            if problem := private_files.file_problem(path, closed=0o022):
                raise Unavailable(problem)
        return tuple(map(str, found))


def tried(send: Send) -> str:
    """What came of it, whatever other people's code raises."""
    try:
        return send()
    except Exception as error:  # noqa: BLE001  whatever it is, it is what is said
        return f"{type(error).__name__}: {error}"


def within(send: Send, seconds: float) -> str:
    """Send, for a caller that may wait; what takes longer is left alone in its thread."""
    said: list[str] = []
    thread = threading.Thread(target=lambda: said.append(tried(send)), name="notify", daemon=True)
    thread.start()
    thread.join(seconds + 1)
    return said[0] if said else f"it takes over {seconds:g} s; it may arrive all the same"


def _apprise() -> Any:
    """Only in a thread that sends, and only where something is to be sent: importing it takes half a second."""
    from . import apprise_channels

    return apprise_channels


def _address(url: str) -> str:
    """An address that a secret may be sent to. Raises Unavailable."""
    found = urlsplit(url)
    if found.scheme == "https" or (found.scheme == "http" and found.hostname in LOOPBACK):
        return url
    raise Unavailable(f"{found.scheme}://{found.hostname} is no https address (http is for loopback): correct it")


def _mail(variable: Callable[..., str]) -> str:
    """The variables of `email` as an apprise URL."""
    server, user = variable("SMTP_SERVER"), variable("SMTP_USER", otherwise="")
    mode = variable("SMTP_MODE", otherwise="starttls")
    if mode not in SMTP_PORTS:
        raise Unavailable(f"SMTP_MODE is {mode[:20]!r}: it is one of {', '.join(SMTP_PORTS)}")
    sender = variable("SMTP_FROM", otherwise=user) or variable("SMTP_FROM", "SMTP_USER")
    to, port = variable("SMTP_TO", otherwise=sender), variable("SMTP_PORT", otherwise=SMTP_PORTS[mode])
    login = ""
    if user:
        password = variable("SMTP_PASSWORD", otherwise="")
        login = f"{quote(user, safe='')}:{quote(password, safe='')}@" if password else ""
    query = urlencode({"smtp": server, "from": f"tmux-agent <{sender}>", "to": to, "mode": mode, "format": "text"})
    scheme = "mailto" if mode == "insecure" else "mailtos"
    return f"{scheme}://{login}{server}:{port}/?{query}"


def _wecom_app(variable: Callable[..., str]) -> dict[str, str]:
    agent = variable("WECOM_AGENT_ID")
    if not agent.isascii() or not agent.isdecimal() or len(agent) > 15:
        raise Unavailable("WECOM_AGENT_ID is no number: correct it")
    party, tag = variable("WECOM_TOPARTY", otherwise=""), variable("WECOM_TOTAG", otherwise="")
    return {
        "corp": variable("WECOM_CORP_ID"),
        "agent": agent,
        "secret": variable("WECOM_APP_SECRET"),
        "base": _address(variable("WECOM_API_BASE", otherwise=WECOM)),
        "user": variable("WECOM_TOUSER", otherwise="" if party or tag else "@all"),
        "party": party,
        "tag": tag,
    }


def _command(argv: tuple[str, ...], data: bytes, seconds: float) -> str:
    """Run a program of the person's with JSON as its standard input; it and what it started end with the time."""
    with tempfile.TemporaryFile() as whole:  # no pipe: were we killed meanwhile, it would read half of it
        whole.write(data)
        whole.seek(0)
        process = subprocess.Popen(
            argv, stdin=whole, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
        )
    try:
        _, complaint = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        return f"it ran for over {seconds:g} s and was ended"
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # also what it left behind
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.returncode:
        return f"exit code {process.returncode}: {complaint.decode(errors='replace')[-300:].strip()}"
    return ""
