"""services/senders.py and apprise_channels.py: each channel seen arriving at a real server; servers that are bad."""

from __future__ import annotations

import email
import json
import os
import subprocess
import threading
from collections.abc import Iterator
from email import policy
from pathlib import Path
from typing import Any

import pytest
from tests.receivers import CLOSE, GARBAGE, HUGE, RESET, Http, http, mail
from tests.sidecar import until

from tmux_agent.core.channels import Channel
from tmux_agent.core.errors import NotFound, Unavailable
from tmux_agent.core.message import Message
from tmux_agent.core.secret import Secret
from tmux_agent.services import apprise_channels
from tmux_agent.services.places import find
from tmux_agent.services.secrets import Secrets
from tmux_agent.services.senders import Senders, within

# apprise loads what it does not use, and some of that warns; pytest makes errors of warnings.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

HELLO = Message(title="build failed", body="2 tests <!channel>", severity="failure", key="k", url="https://h/1")
TAKEN = {"errcode": 0, "errmsg": "ok"}


class Office:
    """Senders with variables of their own and a channel stdout that keeps its lines."""

    def __init__(self, folder: Path) -> None:
        self.environ: dict[str, str] = {}
        self.places = find({"HOME": str(folder / "home"), "XDG_RUNTIME_DIR": str(folder)})
        self.lines: list[str] = []
        self.senders = Senders(self.places, Secrets(self.places, self.environ), self.lines.append)

    def send(self, channel: Channel, *messages: Message) -> str:
        return within(self.senders.sender(channel, messages or (HELLO,)), channel.timeout)


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


@pytest.fixture
def server() -> Iterator[Http]:
    with http() as one:
        yield one


# --- each arrives ----------------------------------------------------------------------------------


def test_a_wecom_robot(office: Office, server: Http) -> None:
    """By either variable; text with both, in the 2048 bytes that it takes."""
    server.answers = [TAKEN]
    for kind, variable in (("wecom", "WECOM_WEBHOOK"), ("wechat_work", "WECHAT_WORK_WEBHOOK")):
        office.environ.clear()
        office.environ[variable] = f"{server.url}/cgi-bin/webhook/send?key=abc-1"
        assert office.send(Channel(kind=kind)) == ""  # type: ignore[arg-type]
        got = server.next()
        assert (got.path, got.query) == ("/cgi-bin/webhook/send", {"key": "abc-1"})
        assert got.json["msgtype"] == "text"
        assert got.json["text"]["content"].startswith("build failed\n2 tests ‹!channel>")
    assert office.send(Channel(kind="wecom"), Message(title="长" * 180, body="好" * 2000)) == ""
    content = server.next().json["text"]["content"]
    assert len(content.encode()) <= 2048
    assert content.endswith(" …")


def test_a_wecom_application(office: Office, server: Http) -> None:
    """An access token, kept; to everybody, or to whom the variables name; another token where the kept one is stale."""
    office.environ |= {
        "WECOM_CORP_ID": "corp", "WECOM_AGENT_ID": "1000002", "WECOM_APP_SECRET": "s3cret&x",
        "WECOM_API_BASE": server.url,
    }  # fmt: skip
    token: dict[str, Any] = TAKEN | {"access_token": "tok-1", "expires_in": 7200}
    server.answers = [token, TAKEN]
    one = Channel(kind="wecom_app")
    assert office.send(one) == ""
    got = server.next()
    assert (got.method, got.path, got.query) == (
        "GET",
        "/cgi-bin/gettoken",
        {"corpid": "corp", "corpsecret": "s3cret&x"},
    )
    got = server.next()
    assert (got.path, got.query) == ("/cgi-bin/message/send", {"access_token": "tok-1"})
    assert got.json["touser"] == "@all"
    assert got.json["agentid"] == 1000002
    assert got.json["text"]["content"].startswith("build failed")
    office.environ |= {"WECOM_TOPARTY": "2", "WECOM_TOTAG": "3"}
    assert office.send(one) == ""
    got = server.next()
    assert "touser" not in got.json
    assert (got.path, got.json["toparty"], got.json["totag"]) == ("/cgi-bin/message/send", "2", "3")
    server.answers = [{"errcode": 42001, "errmsg": "expired"}, token | {"access_token": "tok-2"}, TAKEN]
    assert office.send(one) == ""
    assert [(got := server.next()).path, got.query.get("access_token")] == ["/cgi-bin/message/send", "tok-1"]
    assert server.next().path == "/cgi-bin/gettoken"
    assert server.next().query == {"access_token": "tok-2"}
    server.answers = [{"errcode": 42001, "errmsg": "expired"}, {"errcode": 40001, "errmsg": "invalid credential"}]
    assert "40001 invalid credential" in office.send(one)


def test_serverchan(office: Office, server: Http) -> None:
    """The key in the path, title and text as a form."""
    server.answers = [{"code": 0, "message": ""}]
    office.environ |= {"SERVERCHAN_API_KEY": "SCT1x", "SERVERCHAN_API_BASE": server.url}
    assert office.send(Channel(kind="serverchan")) == ""
    got = server.next()
    assert got.path == "/SCT1x.send"
    assert got.form["title"] == "build failed"
    assert "2 tests" in got.form["desp"]
    server.answers = [{"code": 40001, "message": "bad pushkey"}]
    assert "ServerChan refuses: code 40001 bad pushkey" in office.send(Channel(kind="serverchan"))


def test_slack(office: Office, server: Http) -> None:
    """By the webhook as Slack shows it; markup of the message stays text."""
    server.answers = [b"ok"]
    office.environ["SLACK_WEBHOOK"] = f"{server.url}/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
    assert office.send(Channel(kind="slack"), Message(title="a & b", body="<https://evil|click> <!here>")) == ""
    got = server.next()
    assert got.path == "/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
    text = got.body.decode()
    assert "&amp;" in text
    assert "<https://evil" not in text
    assert "<!here>" not in text


def test_mail(office: Office) -> None:
    """From and to whom the variables say, as text."""
    with mail() as box:
        office.environ |= {
            "SMTP_SERVER": "127.0.0.1", "SMTP_PORT": str(box.port), "SMTP_MODE": "insecure",
            "SMTP_FROM": "me@example.org", "SMTP_TO": "you@example.org",
        }  # fmt: skip
        assert office.send(Channel(kind="email")) == ""
        sender, to, content = box.got.get(timeout=30)
        assert (sender, to) == ("me@example.org", ["you@example.org"])
        message = email.message_from_string(content, policy=policy.default)
        assert message["Subject"] == "build failed"
        body = message.get_body(("plain",))
        assert body is not None
        assert "2 tests" in body.get_content()
    assert office.send(Channel(kind="email")) != "", "nobody listens there any more"


@pytest.mark.parametrize("tls", ["ssl", "starttls"])
def test_mail_by_tls_with_a_login(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tls: str
) -> None:  # fmt: skip
    """By TLS from the first byte and by STARTTLS, as an address and as the kind. A certificate that nobody vouches for
    is refused, and what is wrong is said: the certificate, or the login in the server's words, never the password."""
    with mail(tls, tmp_path) as box:
        office.environ["BOX"] = box.url(box.PASSWORD)
        office.environ |= {
            "SMTP_SERVER": "localhost", "SMTP_PORT": str(box.port), "SMTP_MODE": tls, "SMTP_USER": box.USER,
            "SMTP_PASSWORD": box.PASSWORD, "SMTP_TO": "you@example.org",
        }  # fmt: skip
        for channel in (Channel(url=Secret("BOX")), Channel(kind="email")):
            said = office.send(channel)
            assert "self-signed certificate" in said
            assert box.PASSWORD not in said
            assert box.got.empty()
        office.environ["BOX"] += "&verify=no"
        assert office.send(Channel(url=Secret("BOX"))) == ""
        assert box.got.get(timeout=30)[:2] == (box.USER, ["you@example.org"])
        monkeypatch.setenv("SSL_CERT_FILE", str(box.certificate))
        office.environ["BOX"] = box.url(box.PASSWORD)
        for channel in (Channel(url=Secret("BOX")), Channel(kind="email")):
            assert office.send(channel) == ""
            assert "2 tests" in box.got.get(timeout=30)[2]
        office.environ |= {"BOX": box.url("wrong-pass-word"), "SMTP_PASSWORD": "wrong-pass-word"}
        for channel in (Channel(url=Secret("BOX")), Channel(kind="email")):
            said = office.send(channel)
            assert "535 5.7.8 Authentication credentials invalid" in said
            assert "wrong-pass-word" not in said
            assert box.got.empty()


def test_addresses_of_apprise(office: Office, server: Http) -> None:
    """json:// and ntfy://, from a secret; severity arrives as apprise's type."""
    office.environ["PHONE"] = f"json://{server.address}/hook"
    assert office.send(Channel(url=Secret("PHONE"))) == ""
    got = server.next()
    assert (got.json["title"], got.json["type"]) == ("build failed", "failure")
    assert office.send(Channel(url=f"ntfy://{server.address}/my-topic")) == ""
    got = server.next()
    assert got.json is None or "topic" in got.json
    assert "2 tests" in got.body.decode()


def test_stdout_command_and_bus(office: Office, tmp_path: Path) -> None:
    """A line; JSON on standard input; a line of the bus."""
    assert office.send(Channel(kind="stdout")) == ""
    assert office.lines == ["build failed — 2 tests ‹!channel> — https://h/1"]
    program = ("sh", "-c", f"cat > {tmp_path}/got")
    assert office.send(Channel(command=program)) == ""
    assert json.loads((tmp_path / "got").read_text())["title"] == "build failed"
    assert office.send(Channel(command=program), HELLO, HELLO) == ""
    assert len(json.loads((tmp_path / "got").read_text())) == 2
    assert office.send(Channel(kind="local_bus")) == ""
    line = json.loads(office.senders.bus.file.read_text())
    assert (line["seq"], line["title"]) == (1, "build failed")


def test_templates_and_variables_of_a_channel(office: Office, server: Http) -> None:
    """Two robots beside each other, each with its own address and words."""
    server.answers = [TAKEN]
    office.environ["OTHER"] = f"{server.url}/other?key=2"
    channel = Channel(kind="wecom", variables={"WECOM_WEBHOOK": Secret("OTHER")}, title="[{severity}] {title}", body="")
    assert office.send(channel) == ""
    got = server.next()
    assert got.path == "/other"
    assert got.json["text"]["content"] == "[failure] build failed\nhttps://h/1"


# --- what goes wrong -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (500, "status 500"),
        (GARBAGE, "is not reached"),
        (RESET, "is not reached"),
        (CLOSE, "WeCom robot"),
        (HUGE, "moderate size"),
        (
            {"errcode": 93000, "errmsg": "invalid webhook \x1b[31murl"},
            "refuses: errcode 93000 invalid webhook ⟨U+001B⟩",
        ),
        ({"what": 1}, "refuses: errcode None"),
        ({"errcode": False}, "refuses: errcode False"),
    ],
)
def test_a_robot_that_answers_badly(office: Office, server: Http, answer: Any, said: str) -> None:
    """Whatever it is, it is no delivery, and what is said of it is safe."""
    server.answers = [answer]
    office.environ["WECOM_WEBHOOK"] = f"{server.url}/x?key=1"
    assert said in office.send(Channel(kind="wecom"))


@pytest.mark.parametrize("answer", [500, GARBAGE, RESET])
def test_an_address_that_answers_badly(office: Office, server: Http, answer: Any) -> None:
    """apprise's own channels, too; the reason is apprise's, without what the address holds."""
    server.answers = [answer]
    why = office.send(Channel(url=f"json://user:hunter2secret@{server.address}/"))
    assert "JSON" in why
    assert "hunter2secret" not in why


def test_no_redirect_is_followed(office: Office, server: Http) -> None:
    """Neither by ours nor by apprise's: what was sent would be sent on, and not as it was."""
    with http() as elsewhere:
        server.answers = [f"{elsewhere.url}/stolen"]
        office.environ["WECOM_WEBHOOK"] = f"{server.url}/x?key=1"
        assert "status 302" in office.send(Channel(kind="wecom"))
        assert "302" in office.send(Channel(url=f"json://{server.address}/"))
        assert elsewhere.got.empty()


def test_a_server_that_hangs_is_left_alone(office: Office, server: Http) -> None:
    """After the time of the channel; also a program, which is ended with what it started."""
    server.hold.clear()
    assert "takes over 0.2 s" in office.send(Channel(url=f"json://{server.address}/", timeout=0.2))
    pid = office.places.state.parent
    pid.mkdir(parents=True)
    program = ("sh", "-c", f"sleep 1000 & echo $! > {pid}/pid; wait")
    assert "ran for over 1 s" in office.send(Channel(command=program, timeout=1))
    child = int((pid / "pid").read_text())
    until(lambda: not os.path.exists(f"/proc/{child}") or " Z " in Path(f"/proc/{child}/stat").read_text())


def test_programs_that_fail(office: Office) -> None:
    """The exit code and the end of what it complained of; one that is not there."""
    assert office.send(Channel(command=("sh", "-c", "echo no >&2; exit 3"))) == "exit code 3: no"
    assert "No such file" in office.send(Channel(command=("/no/such/program",)))


def test_what_is_missing_is_named_before_anything_is_sent(office: Office) -> None:
    """Which variable, and how to set it; addresses that are not safe; numbers that are none."""
    for kind, said in (
        ("wecom", "WECOM_WEBHOOK or WECHAT_WORK_WEBHOOK is not set: `tmux-agent secret set WECOM_WEBHOOK`"),
        ("wecom_app", "WECOM_AGENT_ID is not set"),
        ("serverchan", "SERVERCHAN_API_KEY is not set"),
        ("slack", "SLACK_WEBHOOK is not set"),
        ("email", "SMTP_SERVER is not set"),
    ):
        assert said in office.senders.lacks(Channel(kind=kind))  # type: ignore[arg-type]
    with pytest.raises(NotFound, match="there is no secret NOWHERE"):
        office.send(Channel(url=Secret("NOWHERE")))
    office.environ |= {
        "WECOM_WEBHOOK": "http://example.org/x",
        "WECOM_AGENT_ID": "1; x",
        "SMTP_SERVER": "h",
        "SMTP_MODE": "x",
    }
    assert "is no https address" in office.senders.lacks(Channel(kind="wecom"))
    assert "is no number" in office.senders.lacks(Channel(kind="wecom_app"))
    assert "it is one of starttls, ssl, insecure" in office.senders.lacks(Channel(kind="email"))
    assert "apprise does not understand" in office.send(Channel(url="nonsense://x"))


# --- plugins ---------------------------------------------------------------------------------------

PLUGIN = """
from apprise.decorators import notify
@notify(on="{schema}")
def page(body, title, notify_type, *args, **kwargs):
    with open({path!r}, "a") as out:
        out.write(title + "/" + body)
    return "refuse" not in title
"""


def test_a_plugin_of_ones_own(office: Office, tmp_path: Path) -> None:
    """A file in notify.d gives a schema; what it does not take is a failure."""
    folder = office.places.config / "notify.d"
    folder.mkdir(parents=True)
    (folder / "pager.py").write_text(PLUGIN.format(schema="pagera", path=str(tmp_path / "paged")))
    assert office.send(Channel(url="pagera://"), Message(title="t", body="b")) == ""
    assert (tmp_path / "paged").read_text() == "t/b"
    assert office.send(Channel(url="pagera://"), Message(title="refuse", body="b")) != ""


@pytest.mark.parametrize("which", ["file", "folder", "link"])
def test_a_plugin_that_others_may_change_is_not_run(office: Office, tmp_path: Path, which: str) -> None:
    """A file or folder that others may write to, and a symbolic link: nothing of it is loaded."""
    folder = office.places.config / "notify.d"
    folder.mkdir(parents=True)
    file = folder / "pager.py"
    file.write_text(
        PLUGIN.format(schema="pagerb", path=str(tmp_path / "paged")) + f"\nopen({str(tmp_path / 'ran')!r}, 'w')"
    )
    if which == "link":
        file.rename(tmp_path / "elsewhere.py")
        file.symlink_to(tmp_path / "elsewhere.py")
    else:
        (file if which == "file" else folder).chmod(0o777)
    with pytest.raises(Unavailable, match="symbolic link" if which == "link" else "chmod"):
        office.send(Channel(url="pagerb://"))
    assert not (tmp_path / "ran").exists()


def test_no_value_is_in_arguments(office: Office, server: Http) -> None:
    """While a message hangs in flight, no process of this machine shows its secret."""
    server.hold.clear()
    office.environ["WECOM_WEBHOOK"] = f"{server.url}/x?key=in-no-process-list"
    office.send(Channel(kind="wecom", timeout=0.2))
    shown = subprocess.run(["ps", "axww", "-o", "args"], capture_output=True, text=True, check=True).stdout
    assert "in-no-process-list" not in shown


def test_what_apprise_says_in_another_thread_is_not_ours(office: Office) -> None:
    """Two channels fail at once: each is told its own reason."""
    assert apprise_channels.ANSWER_BYTES
    with http(500) as one, http(GARBAGE) as two:
        said: dict[str, str] = {}
        threads = [
            threading.Thread(target=lambda n=n, s=s: said.update({n: office.send(Channel(url=f"json://{s.address}/"))}))
            for n, s in (("one", one), ("two", two))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert "500" in said["one"]
    assert "500" not in said["two"]
