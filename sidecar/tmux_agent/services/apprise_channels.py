"""apprise: sending through what it speaks, and the channels that it lacks or takes at their word.

Owns apprise and requests (imported here and nowhere else; this module itself only from a thread that sends). WeCom and
ServerChan answer 200 to what they refuse and say so in the body, so these are plugin classes of ours. Nothing follows a
redirect: a POST would become a GET, and a secret would go where nobody sent it. Must not own: which channel is meant.
"""

from __future__ import annotations

import contextlib
import json
import logging
import smtplib
import ssl
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlencode

import apprise
import requests
from apprise import AppriseAsset, NotifyBase, NotifyType

from ..core import display, redact
from ..core.notice_text import Notice

ANSWER_BYTES = 64 << 10  # of an answer that is read
WECOM_BYTES = 2048  # of one text message there
SAID = 500  # characters of what is said about a failure
TOKEN_SPARE = 300.0  # seconds before its end at which an access token is no longer used
_STALE = (40014, 42001, 42007, 42009)  # errcodes of WeCom: the access token is no longer good

# At debug they write down addresses with all that is in them.
for _name in ("apprise", "urllib3", "requests"):
    logging.getLogger(_name).setLevel(logging.WARNING)

_Plugin: Any = NotifyBase
_tokens: dict[tuple[str, str, str], tuple[str, float]] = {}
_tokens_lock = threading.Lock()


def by_url(url: str, notice: Notice, plugins: Sequence[str] = ()) -> str:
    """Send through an apprise URL; "" where it was taken, else why not. `plugins` are files with more schemas."""
    with _said() as said:
        target = apprise.Apprise.instantiate(url, asset=_asset(plugins))
        if target is None:
            scheme = display.safe(url.partition("://")[0][:30])
            return f"apprise does not understand this {scheme}:// address: {_why(said, 'see its documentation')}"
        return _send(target, notice, said)


def slack(webhook: str, notice: Notice) -> str:
    """Through an incoming webhook: the address as Slack shows it, or one of another host with the same path."""
    base, _, path = webhook.partition("/services/")
    with _said() as said:
        target: Any = apprise.Apprise.instantiate(f"slack://{path.strip('/')}/?footer=no", asset=_asset())
        if target is None or not path:
            return _why(said, "it is no webhook of Slack: https://hooks.slack.com/services/T…/B…/…")
        target.webhook_url = f"{base}/services"
        return _send(target, notice, said)


def wecom_robot(webhook: str, notice: Notice) -> str:
    """Through the robot of a group: its whole webhook address."""
    with _said() as said:
        return _send(WeComRobot(webhook=webhook, asset=_asset()), notice, said)


def wecom_app(notice: Notice, **settings: str) -> str:
    """As a message of an application; the settings are WeComApp's."""
    with _said() as said:
        return _send(WeComApp(asset=_asset(), **settings), notice, said)


def serverchan(key: str, base: str, notice: Notice) -> str:
    """Through ServerChan's own address with a send key."""
    with _said() as said:
        return _send(ServerChan(key=key, base=base, asset=_asset()), notice, said)


# --- apprise itself --------------------------------------------------------------------------------


def _asset(plugins: Sequence[str] = ()) -> AppriseAsset:
    asset = AppriseAsset(plugin_paths=list(plugins) or None)
    asset.app_id = "tmux-agent"
    asset.app_desc = "tmux-agent"
    asset.http_redirects = False
    return asset


def _send(target: Any, notice: Notice, said: Sequence[str]) -> str:
    target.request_rate_per_sec = 0  # how much is sent is ours to say
    taken = target.notify(
        body=notice.body or notice.title,
        title=notice.title if notice.body else "",
        notify_type=NotifyType(notice.severity),
        body_format=apprise.NotifyFormat.TEXT,
    )
    return "" if taken else _why(said, "it was not taken, and nothing was said about why")


def _why(said: Sequence[str], otherwise: str) -> str:
    return redact.redact_text("; ".join(said))[:SAID] or otherwise


class _Heard(logging.Handler):
    """What apprise says in one thread: it answers yes or no, and logs why."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread and len(self.lines) < 5:
            said, why = record.getMessage(), _reason(sys.exc_info()[1])  # it logs where it has caught what is wrong
            self.lines.append(" ".join((said if why in said else f"{said}: {why}").split()))


def _reason(error: BaseException | None) -> str:
    """What went wrong, without what was sent: errors of HTTP libraries have the whole address in them."""
    match error:
        case requests.RequestException():
            return type(error).__name__
        case smtplib.SMTPResponseException():
            words = error.smtp_error
            text = words.decode(errors="replace") if isinstance(words, bytes) else words
            return f"{error.smtp_code} {display.safe(text)}"[:200]
        case ssl.SSLCertVerificationError():
            return f"its certificate is not trusted: {error.verify_message}"
        case OSError():
            return error.strerror or type(error).__name__
    return type(error).__name__ if error else ""


@contextlib.contextmanager
def _said() -> Iterator[list[str]]:
    heard, logger = _Heard(), logging.getLogger("apprise")
    logger.addHandler(heard)
    try:
        yield heard.lines
    finally:
        logger.removeHandler(heard)


# --- plugins of ours -------------------------------------------------------------------------------


class _Answering(_Plugin):  # type: ignore[misc]  # apprise says little of its types
    """A service that says in its answer's body what came of a message."""

    body_maxlen = 32768
    title_maxlen = 250

    def url(self, *_: Any, **__: Any) -> str:
        return f"{self.secure_protocol}://"

    def ask(self, method: str, url: str, **how: Any) -> dict[str, Any] | None:
        """The answer, a JSON object of moderate size; None with a log line where it is none."""
        timeout = self.request_timeout
        try:
            with requests.request(
                method, url, timeout=timeout, allow_redirects=False, stream=True, verify=self.verify_certificate, **how
            ) as reply:
                if reply.status_code != requests.codes.ok:
                    self.logger.warning("%s answers with status %s", self.service_name, reply.status_code)
                    return None
                raw = reply.raw.read(ANSWER_BYTES + 1, decode_content=True)
            found = json.loads(raw) if len(raw) <= ANSWER_BYTES else None
        except (requests.RequestException, OSError) as why:
            self.logger.warning("%s is not reached: %s", self.service_name, type(why).__name__)
            return None
        except Exception as why:  # noqa: BLE001  a server's answer: whatever it broke is its own
            self.logger.warning("%s answers what nobody can read: %s", self.service_name, type(why).__name__)
            return None
        if not isinstance(found, dict):
            self.logger.warning("%s answers what is no JSON object of moderate size", self.service_name)
            return None
        return found

    def refused(self, answer: dict[str, Any], code: str, text: str) -> bool:
        """Whether the answer says no; said in the log, in the service's own words."""
        number = answer.get(code)
        if type(number) is int and number == 0:
            return False
        words = display.safe(str(answer.get(text, "")))[:200]
        self.logger.warning("%s refuses: %s %s %s", self.service_name, code, display.safe(str(number))[:40], words)
        return True


def _in_bytes(title: str, body: str, limit: int) -> str:
    """Both as one text that fits."""
    whole = "\n".join(filter(None, (title, body)))
    if len(whole.encode()) <= limit:
        return whole
    return whole.encode()[: limit - 4].decode(errors="ignore") + " …"


class WeComRobot(_Answering):
    """Text in a group, by its robot's webhook."""

    service_name = "WeCom robot"
    secure_protocol = "wecomrobot"

    def __init__(self, webhook: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._webhook = webhook

    def send(self, body: str, title: str = "", **_: Any) -> bool:
        text = {"msgtype": "text", "text": {"content": _in_bytes(title, body, WECOM_BYTES)}}
        answer = self.ask("POST", self._webhook, json=text)
        return answer is not None and not self.refused(answer, "errcode", "errmsg")


class WeComApp(_Answering):
    """Text to people, parties and tags, by an application (corp id, agent id, secret)."""

    service_name = "WeCom application"
    secure_protocol = "wecomapp"

    def __init__(
        self, corp: str, agent: str, secret: str, base: str, user: str, party: str, tag: str, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self._corp, self._agent, self._secret, self._base = corp, agent, secret, base.rstrip("/")
        self._to = {name: value for name, value in (("touser", user), ("toparty", party), ("totag", tag)) if value}

    def send(self, body: str, title: str = "", **_: Any) -> bool:
        for fresh in (False, True):
            token = self._token(fresh=fresh)
            if token is None:
                return False
            text = {"msgtype": "text", "agentid": int(self._agent), "text": {"content": _in_bytes(title, body, 2048)}}
            url = f"{self._base}/cgi-bin/message/send?{urlencode({'access_token': token})}"
            answer = self.ask("POST", url, json=self._to | text)
            if answer is None:
                return False
            if fresh or answer.get("errcode") not in _STALE:
                return not self.refused(answer, "errcode", "errmsg")
        return False

    def _token(self, *, fresh: bool) -> str | None:
        """An access token, kept until shortly before its end; another where a kept one was refused."""
        key = (self._base, self._corp, self._agent)
        with _tokens_lock:
            token, until = _tokens.get(key, ("", 0.0))
        if token and not fresh and time.monotonic() < until:
            return token
        query = urlencode({"corpid": self._corp, "corpsecret": self._secret})
        answer = self.ask("GET", f"{self._base}/cgi-bin/gettoken?{query}")
        if answer is None or self.refused(answer, "errcode", "errmsg"):
            return None
        given, seconds = answer.get("access_token"), answer.get("expires_in")
        if not isinstance(given, str) or not given or type(seconds) is not int:
            self.logger.warning("%s gives no access token", self.service_name)
            return None
        with _tokens_lock:
            _tokens[key] = (given, time.monotonic() + min(max(0, seconds), 7200) - TOKEN_SPARE)
        return given


class ServerChan(_Answering):
    """A push by a send key."""

    service_name = "ServerChan"
    secure_protocol = "serverchan"

    def __init__(self, key: str, base: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._url = f"{base.rstrip('/')}/{key}.send"

    def send(self, body: str, title: str = "", **_: Any) -> bool:
        answer = self.ask("POST", self._url, data={"title": (title or body)[:32], "desp": f"{title}\n\n{body}"})
        return answer is not None and not self.refused(answer, "code", "message")
