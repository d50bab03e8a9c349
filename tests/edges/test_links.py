"""Signed links: a real sidecar, real HTTP, and whoever should not get through."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import pty
import re
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from tests.patience import PATIENCE
from tests.services.sidecar_values import PERSON, question, started
from tests.sidecar import Peer, Sidecar, sidecar, until

from tmux_agent.core import errors
from tmux_agent.core.model import Origin
from tmux_agent.core.settings import Answers as AnswerSettings
from tmux_agent.services import store
from tmux_agent.services.approvals import Approvals
from tmux_agent.services.grants import Grants
from tmux_agent.services.identity import Identity
from tmux_agent.services.link_keys import LinkKeys
from tmux_agent.services.links import Links
from tmux_agent.services.places import find
from tmux_agent.services.secrets import Secrets

ON = 'answers: {links: true}\nhttp: {listen: "127.0.0.1:0"}\n'
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def one() -> Iterator[Sidecar]:
    """A sidecar that makes links."""
    with sidecar() as made:
        (made.config / "config.yaml").write_text(ON)
        yield made.start()


def asks(one: Sidecar, *args: str) -> tuple[Peer, int, dict[str, Any]]:
    """An agent that waits for a command, the id of its call, and its approval."""
    known = {pending["request_id"] for pending in one.operator().call("human.pending")["approvals"]}
    agent, operator = one.agent(), one.operator()
    number = agent.start("command.run", {"command": "touch", "args": list(args or ("x",))})
    found: list[dict[str, Any]] = []

    def came() -> bool:
        now = operator.call("human.pending")["approvals"]
        found[:] = [pending for pending in now if pending["request_id"] not in known]
        return bool(found)

    until(came)
    return agent, number, found[0]


def link_to(one: Sidecar, approval: dict[str, Any]) -> str:
    url: str = one.operator().call("link.show", {"request_id": approval["request_id"]})["url"]
    return url


def fetch(url: str, method: str = "GET", body: bytes | None = None, **headers: str) -> tuple[int, dict[str, str], str]:
    """Status, headers (lower case) and text of one request; headers are named with _ for -."""
    at = urlsplit(url)
    connection = http.client.HTTPConnection(str(at.hostname), at.port, timeout=PATIENCE)
    try:
        target = at.path + (f"?{at.query}" if at.query else "")
        connection.request(method, target, body, {name.replace("_", "-"): value for name, value in headers.items()})
        reply = connection.getresponse()
        return reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read().decode()
    finally:
        connection.close()


def press(url: str, verdict: str = "approve", _headers: dict[str, str] | None = None, **fields: str) -> tuple[int, str]:
    """Send the form of the page."""
    form = {"token": url.rpartition("/")[2], "verdict": verdict, **fields}
    status, _, text = fetch(url, "POST", urlencode(form).encode(), **{**FORM, **(_headers or {})})
    return status, text


def kinds(one: Sidecar, kind: str) -> list[dict[str, Any]]:
    return [record for record in one.records() if record["type"] == kind]


def waits(one: Sidecar, approval: dict[str, Any]) -> bool:
    pending = one.operator().call("human.pending")["approvals"]
    return approval["request_id"] in [waiting["request_id"] for waiting in pending]


# --- the ordinary way --------------------------------------------------------------------------------


def test_a_link_shows_and_its_form_answers(one: Sidecar) -> None:
    """Everything that is asked is on the page, as text; the answer names link and peer; then the link is used up."""
    agent, number, approval = asks(one, "x", "<script>alert(1)<b>", "\u202eevil", '"&')
    url = link_to(one, approval)
    for method in ("GET", "HEAD", "GET"):  # what previews links opens them, too
        status, headers, text = fetch(url, method)
        assert status == 200
    assert waits(one, approval)
    assert "<script" not in text
    shown = unescape(re.sub(r"<[^>]*>", "", text))
    for wanted in ("touch x", "<script>alert(1)<b>", "⟨U+202E⟩evil", approval["digest"], approval["request_id"]):
        assert wanted in shown
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert "noindex" in headers["x-robots-tag"]
    status, text = press(url, comment="go on\r\nplease")
    assert (status, "Approved" in text) == (200, True)
    assert agent.reply_to(number)["result"]["data"]["exit_code"] == 0
    (record,) = kinds(one, "approval.answered")
    assert record["origin"]["door"] == "link"
    assert re.fullmatch(r"[0-9a-f]{8} from 127\.0\.0\.1:[0-9]+", record["origin"]["through"])
    assert record["data"]["comment"] == "go on\nplease"
    status, text = press(url)
    assert (status, "used already" in text) == (409, True)
    assert fetch(url)[0] == 410
    until(lambda: kinds(one, "refused"))  # it is recorded beside the answer
    assert kinds(one, "refused")[0]["data"]["why"] == "this link was used already"


def test_a_no_and_its_reason(one: Sidecar) -> None:
    agent, number, approval = asks(one)
    assert press(link_to(one, approval), "deny", comment="not today")[0] == 200
    error = agent.reply_to(number)["error"]
    assert (error["data"]["kind"], error["data"]["comment"]) == ("denied", "not today")


def test_a_question_wants_one_of_its_options(one: Sidecar) -> None:
    agent = one.agent()
    request_id = agent.call("human.ask_async", {"prompt": "which?", "options": ["blue", "<b>green"]})["request_id"]
    url = link_to(one, {"request_id": request_id})
    assert "&lt;b&gt;green" in fetch(url)[2]
    for option in ({}, {"option": "2"}, {"option": "-1"}, {"option": "1x"}, {"option": "²"}):
        assert press(url, **option)[0] == 400
    assert press(url, option="1")[0] == 200
    assert agent.call("human.status", {"request_id": request_id})["answer"]["choice"] == "<b>green"


def test_what_is_not_shown_whole_or_wants_a_proof_can_only_be_refused(one: Sidecar) -> None:
    """There is no button, and a form that was made by hand is no yes either."""
    agent = one.agent()
    request_id = agent.call("human.ask_async", {"prompt": "go?", "details": "y" * 100_000})["request_id"]
    url = link_to(one, {"request_id": request_id})
    text = fetch(url)[2]
    assert 'value="approve"' not in text
    assert "No yes from here" in text
    assert press(url)[0] == 403
    assert press(url, "deny")[0] == 200


def test_only_operators_get_links_and_only_where_they_are_on(one: Sidecar) -> None:
    agent, _, approval = asks(one)
    for method, params in (("link.show", {"request_id": approval["request_id"]}), ("link.rotate", {})):
        assert agent.error(method, params)["data"]["kind"] == "forbidden"
    url = link_to(one, approval)
    (one.config / "config.yaml").write_text(ON.replace("true", "false"))
    operator = one.operator()
    operator.call("policy.reload")
    assert "links are off" in operator.error("link.show", {"request_id": approval["request_id"]})["message"]
    assert fetch(url)[0] == 404
    assert press(url)[0] == 404
    (one.config / "config.yaml").write_text("answers: {links: true}\n")
    operator.call("policy.reload")
    one.stop()
    one.start()
    assert any("nothing listens" in warning for warning in one.operator().call("health")["warnings"])


def test_a_message_brings_a_link(one: Sidecar) -> None:
    """To whoever is told of a request; it is the one that opens."""
    said = one.folder / "said"
    one.program("tell", f'#!/bin/sh\ncat > "{said}.new" && mv "{said}.new" "{said}"\n')
    (one.config / "config.yaml").write_text(f"{ON}notify:\n  channels: {{me: {{command: ['{one.bin}/tell']}}}}\n")
    one.operator().call("policy.reload")
    agent = one.agent()
    request_id = agent.call("human.ask_async", {"prompt": "go?"})["request_id"]
    until(said.exists)
    found = re.search(r"http://127\.0\.0\.1:[0-9]+/a/tal1_[A-Za-z0-9_-]{174}(?![A-Za-z0-9_-])", said.read_text())
    assert found
    assert press(found[0])[0] == 200
    assert agent.call("human.status", {"request_id": request_id})["state"] == "approved"


def at_a_terminal(one: Sidecar, *words: str) -> str:
    """What the command line prints at a terminal of a person's own."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(one.root)
        os.execve(sys.executable, [sys.executable, "-P", "-m", "tmux_agent", *words], one.environ)
    said = b""
    with contextlib.suppress(OSError):  # Linux's way to say that nobody holds the other side any more
        while chunk := os.read(terminal, 4096):
            said += chunk
    os.close(terminal)
    os.waitpid(pid, 0)
    return said.decode()


def test_the_command_line(one: Sidecar) -> None:
    """`links show` prints a link that works, `links rotate --now` ends it."""
    _, _, approval = asks(one)
    url = at_a_terminal(one, "links", "show", approval["request_id"]).strip()
    assert fetch(url)[0] == 200
    assert "links of 1 earlier" in at_a_terminal(one, "links", "rotate")
    assert fetch(url)[0] == 200
    assert json.loads(at_a_terminal(one, "links", "rotate", "--now", "--json")) == {"earlier": 0}
    assert fetch(url)[0] == 403
    assert "no request" in at_a_terminal(one, "links", "show", "x")


# --- forged, stolen, late ----------------------------------------------------------------------------


def test_what_we_did_not_make_is_refused_and_recorded(one: Sidecar) -> None:
    """Forged, cut, of another request, under another path: nothing is answered, and the badge warns."""
    _, _, approval = asks(one)
    url = link_to(one, approval)
    base, _, token = url.rpartition("/")
    flipped = token[:60] + ("A" if token[60] != "A" else "B") + token[61:]
    for bad in (flipped, token[:-1], token[:-4] + "AAAA", token + "A", "tal1_" + "A" * 174, "x", "..%2f" + token):
        assert fetch(f"{base}/{bad}")[0] == 403
        assert press(f"{base}/{bad}")[0] == 403
    for path in ("/a", "/a/..", "//a/" + token, "/A/" + token, "/%61/" + token, "/x/../a/" + token):
        assert fetch(base.removesuffix("/a") + path)[0] in (403, 404)
    assert waits(one, approval)
    until(lambda: len(kinds(one, "refused")) >= 10)  # they are recorded beside the answers
    refused = kinds(one, "refused")
    assert all("not one of ours" in record["data"]["why"] for record in refused)
    assert all(token[:20] not in json.dumps(record) for record in one.records())
    assert any("refused" in warning for warning in one.operator().call("health")["warnings"])
    assert press(url, "deny")[0] == 200


def test_the_form_of_one_link_does_not_serve_another(one: Sidecar) -> None:
    """Nor does a form without its token, one field twice, another field, another type, or one from another site."""
    _, _, first = asks(one)
    _, _, second = asks(one, "y")
    url, other = link_to(one, first), link_to(one, second)
    token = url.rpartition("/")[2]
    assert press(url, token=other.rpartition("/")[2])[0] == 403
    assert press(url, token="")[0] == 403
    for sent in ({"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://evil.example"}):
        assert press(url, _headers=sent)[0] == 403
    assert press(url, _headers={"Host": "evil.example"})[0] == 421
    body = urlencode({"token": token, "verdict": "approve"}).encode()
    for wrong in (
        body + b"&verdict=deny", body + b"&token=x", body + b"&approved=1", body + b"&comment=%ff", b"verdict=approve",
        body.replace(b"approve", b"Approve"), body + b"&comment=" + b"x" * 40_000, b"", b"\xff", b"&" * 100,
        body + b"&x",
    ):  # fmt: skip
        assert fetch(url, "POST", wrong, **FORM)[0] in (400, 403)
    assert fetch(url, "POST", body)[0] == 400
    assert fetch(url, "POST", body, Content_Type="text/plain")[0] == 400
    assert fetch(f"{url}?{body.decode()}", "POST", b"", **FORM)[0] == 400
    assert fetch(f"{url}?{body.decode()}")[0] == 200
    assert fetch(url, "PUT", body, **FORM)[0] == 405
    assert waits(one, first)
    assert waits(one, second)
    port = urlsplit(url).port
    for sent in ({"Sec-Fetch-Site": "same-origin", "Origin": "null"}, {"Origin": f"http://127.0.0.1:{port}"}):
        assert press(url if sent.get("Sec-Fetch-Site") else other, _headers=sent)[0] == 200


def test_ten_thousand_guesses(one: Sidecar) -> None:
    """They fill no log, and the person's link works in the middle of them and after."""
    agent, number, approval = asks(one)
    url = link_to(one, approval)
    base = url.rpartition("/")[0]
    statuses: list[int] = []

    def guess(_: int) -> None:
        statuses.append(fetch(f"{base}/tal1_{os.urandom(130).hex()[:174]}")[0])

    with ThreadPoolExecutor(8) as pool:
        done = pool.map(guess, range(10_000))
        until(lambda: 429 in statuses)
        assert fetch(url)[0] == 200
        list(done)
    assert set(statuses) == {403, 429}
    assert 20 <= len(kinds(one, "refused")) < 100
    assert press(url)[0] == 200
    assert agent.reply_to(number)["result"]["data"]["exit_code"] == 0


def test_a_link_ends(one: Sidecar) -> None:
    """With its request, with its key, and over a restart not at all."""
    _, _, approval = asks(one)
    old, kept = link_to(one, approval), link_to(one, approval)
    keys = one.state / "secrets" / "links.json"
    assert stat.S_IMODE(keys.stat().st_mode) == 0o600
    assert stat.S_IMODE(keys.parent.stat().st_mode) == 0o700
    before = keys.read_bytes()
    assert one.operator().call("link.rotate") == {"earlier": 1}
    assert keys.read_bytes() != before
    assert fetch(kept)[0] == 200
    assert one.operator().call("link.rotate", {"at_once": True}) == {"earlier": 0}
    assert fetch(old)[0] == 403
    new = link_to(one, approval)
    assert new.rpartition("_")[2][:11] != kept.rpartition("_")[2][:11]
    assert fetch(new)[0] == 200
    operator = one.operator()
    answer = {"request_id": approval["request_id"], "digest": approval["digest"], "approved": False}
    operator.call("human.respond", answer)
    status, text = press(new)
    assert (status, "denied already" in text) == (409, True)
    assert "denied already" in fetch(new)[2]


def test_a_link_lasts_as_long_as_it_says() -> None:
    """APPROVAL_TOKEN_TTL of the seeds; and never longer than its request."""
    with sidecar() as one:
        (one.config / "config.yaml").write_text(ON)
        one.start(APPROVAL_TOKEN_TTL="30")
        agent = one.agent()
        request_id = agent.call("human.ask_async", {"prompt": "go?", "timeout_secs": 1})["request_id"]
        url = link_to(one, {"request_id": request_id})
        assert agent.call("human.status", {"request_id": request_id, "wait_secs": 30})["state"] == "expired"
        assert fetch(url)[0] == 410
        assert press(url)[0] in (409, 410)


def test_ones_own_secret_signs() -> None:
    """APPROVAL_SECRET: the same links before and after a restart without any file; too short a one is refused."""
    with sidecar() as one:
        (one.config / "config.yaml").write_text(ON.replace(":0", f":{free_port()}"))
        one.start(APPROVAL_SECRET="your-secure-secret-here")
        agent = one.agent()
        request_id = agent.call("human.ask_async", {"prompt": "go?"})["request_id"]
        url = link_to(one, {"request_id": request_id})
        assert not (one.state / "secrets" / "links.json").exists()
        assert "APPROVAL_SECRET" in one.operator().error("link.rotate")["message"]
        one.kill()
        one.start(APPROVAL_SECRET="your-secure-secret-here")
        assert fetch(url)[0] == 200
        one.stop()
        one.start(APPROVAL_SECRET="another-secure-secret")
        assert fetch(url)[0] == 403
        one.stop()
        one.start(APPROVAL_SECRET="short")
        assert any("fewer than 16" in warning for warning in one.operator().call("health")["warnings"])
        assert fetch(url)[0] == 404
        assert "your-secure-secret-here" not in one.log.read_text() + (one.state / "audit.jsonl").read_text()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@pytest.mark.parametrize("url", ["https://laptop.example/ask", "https://laptop.example/ask/"])
def test_behind_a_proxy_of_ones_own(url: str) -> None:
    """Links begin with its address; it hands on under its own name, and says so as Origin."""
    with sidecar() as one:
        port = free_port()
        (one.config / "config.yaml").write_text(
            f'answers: {{links: true, url: "{url}"}}\nhttp: {{listen: "127.0.0.1:{port}"}}\n'
        )
        one.start()
        _, _, approval = asks(one)
        made = link_to(one, approval)
        assert made.startswith("https://laptop.example/ask/a/tal1_")
        inside = f"http://127.0.0.1:{port}" + urlsplit(made).path.removeprefix("/ask")
        assert fetch(inside, Host="laptop.example")[0] == 200
        sent = {"Host": "laptop.example", "Origin": "https://laptop.example", "Sec-Fetch-Site": "same-origin"}
        assert press(inside, _headers=sent)[0] == 200


@pytest.mark.parametrize(
    "url", ["laptop", "javascript:alert(1)", "https://a b/", "https://u:p@h/", "https://h/?x", "//h"]
)
def test_an_address_that_is_none_is_said(url: str) -> None:
    with sidecar() as one:
        (one.config / "config.yaml").write_text(
            f"answers: {{links: true, url: '{url}'}}\nhttp: {{listen: '127.0.0.1:0'}}\n"
        )
        one.start()
        assert any("answers.url is" in warning for warning in one.operator().call("health")["warnings"])


def test_setting_the_clock_back_makes_no_link_last(tmp_path: Path) -> None:
    """While we run, the time does not go back; set forward, links end early."""

    async def scene() -> None:
        journal = await started(tmp_path)
        approvals = Approvals(journal, Grants(journal))
        await approvals.recover()
        asked = question()
        await approvals.open(asked)
        clock = [1_800_000_000.0]
        keys = LinkKeys(tmp_path / "secrets" / "links.json", Secrets(find({"HOME": str(tmp_path)}), {}))
        refusals: list[str] = []

        def refused(by: Origin, request_id: str, why: str, *, alarming: bool = False) -> bool:
            refusals.append(why)
            return True

        links = Links(keys, approvals, approvals, refused, Identity(), now=lambda: clock[0])  # type: ignore[arg-type]
        links.switch(AnswerSettings(links=True, link_seconds=100))
        links.address = "http://127.0.0.1:1"
        token = links.url_for(asked).rpartition("/")[2]
        clock[0] -= 5000
        assert (await links.look(token, "p")).approval == asked  # time has hardly gone on
        clock[0] += 5000 + 99
        assert (await links.look(token, "p")).approval == asked
        clock[0] += 2
        with pytest.raises(errors.Expired):
            await links.answer(token, "127.0.0.1:1", True)
        assert refusals == ["this link has expired"]
        later = links.url_for(asked).rpartition("/")[2]
        with socket.create_server(("127.0.0.1", 0)) as listening:
            links.address = f"http://127.0.0.1:{listening.getsockname()[1]}"
            with socket.create_connection(listening.getsockname()) as person:
                peer = f"127.0.0.1:{person.getsockname()[1]}"
                with pytest.raises(errors.Forbidden, match="cannot be seen"):  # this very process is no peer of itself
                    await links.answer(later, peer, True)
        await approvals.close()
        await journal.close()

    asyncio.run(asyncio.wait_for(scene(), PATIENCE))


def test_an_answer_that_fails_uses_no_link_up(tmp_path: Path) -> None:
    """One transaction: with another digest nothing is answered, and the same link answers what it was made for."""

    async def scene() -> None:
        journal = await started(tmp_path)
        approvals = Approvals(journal, Grants(journal))
        await approvals.recover()
        asked = question()
        await approvals.open(asked)

        def use(db: Any) -> None:
            store.use_link(db, "ab" * 16, 2, 1)

        with pytest.raises(errors.Conflict, match="no longer what was shown"):
            await approvals.answer(asked.request_id, "0" * 64, True, PERSON, also=use)
        await approvals.answer(asked.request_id, asked.digest, True, PERSON, also=use)
        with pytest.raises(errors.Conflict, match="used already"):
            await approvals.answer(asked.request_id, asked.digest, True, PERSON, also=use)
        await approvals.close()
        await journal.close()

    asyncio.run(asyncio.wait_for(scene(), PATIENCE))


# --- once --------------------------------------------------------------------------------------------


def test_of_answers_at_once_one_counts(one: Sidecar) -> None:
    """By links, by one link twice, and by the socket: one answer in the record, the others are told."""
    for round_ in range(5):
        agent, number, approval = asks(one, f"x{round_}")
        urls = [link_to(one, approval) for _ in range(3)]
        start = threading.Barrier(6)
        statuses: list[int] = []

        def go(url: str, verdict: str, start: threading.Barrier = start, statuses: list[int] = statuses) -> None:
            start.wait(PATIENCE)
            statuses.append(press(url, verdict)[0])

        turns = [(urls[0], "approve"), (urls[0], "approve"), (urls[1], "deny"), (urls[2], "deny"), (urls[1], "approve")]
        threads = [threading.Thread(target=go, args=turn) for turn in turns]
        for thread in threads:
            thread.start()
        start.wait(PATIENCE)
        for thread in threads:
            thread.join()
        assert sorted(statuses) == [200, 409, 409, 409, 409]
        agent.reply_to(number)
        answered = [one for one in kinds(one, "approval.answered") if one["request_id"] == approval["request_id"]]
        assert len(answered) == 1


def test_used_and_answered_are_one_step_over_kill_9(one: Sidecar) -> None:
    """Killed at any moment of it: either the answer stands and the link is used up, or neither."""
    (one.config / "config.yaml").write_text(ON.replace(":0", f":{free_port()}"))
    one.stop()
    one.start()
    agent = one.agent()
    for turn in range(8):
        request_id = agent.call("human.ask_async", {"prompt": f"go {turn}?"})["request_id"]
        url = link_to(one, {"request_id": request_id})
        thread = threading.Thread(target=_try, args=(url,))
        thread.start()
        time.sleep(turn * 0.001)  # no event to wait for: the moment is what is varied
        one.kill()
        thread.join()
        one.start()
        agent = one.agent()
        state = agent.call("human.status", {"request_id": request_id})["state"]
        recorded = [record for record in kinds(one, "approval.answered") if record["request_id"] == request_id]
        assert state == "pending" or len(recorded) == 1  # what was cut off after its record is named by another
        assert press(url)[0] == (409 if state == "approved" else 200)
        assert agent.call("human.status", {"request_id": request_id})["state"] == "approved"


def _try(url: str) -> None:
    try:
        press(url)
    except (ConnectionError, http.client.HTTPException):
        return  # it was killed meanwhile


# argv: address, form. Asks nothing and is no agent, or has become one by the time that it sends the form.
SENDS = """
import http.client, sys, urllib.parse
at = urllib.parse.urlsplit(sys.argv[1])
one = http.client.HTTPConnection(at.hostname, at.port)
one.request("POST", at.path, sys.argv[2], {"Content-Type": "application/x-www-form-urlencoded"})
print(one.getresponse().status)
"""


def sent_by(one: Sidecar, url: str, *above: str) -> int:
    """The status that a program gets which sends the form of a link, below the programs `above`."""
    form = urlencode({"token": url.rpartition("/")[2], "verdict": "approve"})
    argv = [*above, sys.executable, "-c", SENDS, url, form]
    done = subprocess.run(argv, env=one.environ, stdout=subprocess.PIPE, timeout=PATIENCE, check=True)
    return int(done.stdout)


def test_an_agent_that_finds_a_link_cannot_use_it(one: Sidecar) -> None:
    """Whoever holds the other end on this machine is looked at; a proxy or browser is nobody's agent."""
    _, _, approval = asks(one)
    url = link_to(one, approval)
    one.program("claude", '#!/bin/sh\n"$@"\nexit $?\n')
    assert sent_by(one, url, str(one.bin / "claude")) == 403
    assert waits(one, approval)
    until(lambda: kinds(one, "refused"))
    (record,) = kinds(one, "refused")
    assert "it runs below claude" in record["data"]["why"]
    assert sent_by(one, url) == 200


def test_a_sender_that_does_not_wait_is_not_trusted(one: Sidecar) -> None:
    """Sent and let go of at once: nobody can see any more who it was."""
    _, _, approval = asks(one)
    url = link_to(one, approval)
    at = urlsplit(url)
    form = urlencode({"token": url.rpartition("/")[2], "verdict": "approve"})
    head = f"POST {at.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {FORM['Content-Type']}\r\n"
    with socket.create_connection((at.hostname, at.port)) as peer:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)  # nothing leaves before it is closed
        peer.sendall(f"{head}Content-Length: {len(form)}\r\n\r\n{form}".encode())
    until(lambda: kinds(one, "refused") or kinds(one, "approval.answered"))
    assert [record["data"]["why"] for record in kinds(one, "refused")] == [
        "it let go of its connection before anybody could see who it is"
    ]
    assert waits(one, approval)


# --- agents ------------------------------------------------------------------------------------------


def test_agents_tools_do_not_use_links(one: Sidecar) -> None:
    """Nor read the keys; whatever the policy allows."""
    _, _, approval = asks(one)
    url = link_to(one, approval)
    agent = one.agent()
    keys = one.state / "secrets" / "links.json"
    for text in (
        f"curl -s -d verdict=approve {url}", f"wget --post-data=x {url}", f"python3 -c 'open(\"{url}\")'",
        f"U={url}; curl $U", f"cat {keys}", f"cp {keys} /tmp/x", f"base64 < {keys}", "tmux-agent links rotate",
        "tmux-agent links show x", "tmux-agent call link.show '{}'",
    ):  # fmt: skip
        assert agent.call("policy.check", {"shell": text, "cwd": str(one.root)})["verdict"] == "deny", text
    for action in (
        {"type": "fetch", "url": url}, {"type": "command", "argv": ["curl", url], "cwd": "/"},
        {"type": "mcp", "server": "web", "tool": "get", "arguments": {"deep": [{"u": url}]}},
        {"type": "tmux", "verb": "send_text", "text": f"curl {url}"},
        {"type": "file", "verb": "read", "path": str(keys)},
    ):  # fmt: skip
        assert agent.call("policy.check", {"action": action})["verdict"] == "deny", action
    assert agent.error("file.read", {"path": str(keys)})["data"]["kind"] == "denied"
