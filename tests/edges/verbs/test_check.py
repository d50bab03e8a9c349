"""`tmux-agent check` as a person types it, and webhooks as GitHub sends them, over real HTTP."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.patience import PATIENCE
from tests.services.bad_servers import reply, serving
from tests.sidecar import ROOT, Sidecar, sidecar

from tmux_agent.services.checks.deliveries import sign


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "sidecar"), "LC_ALL": "C.UTF-8"}


def check(environ: dict[str, str], *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tmux_agent", "check", *words],
        env=environ, input=stdin, capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip


def test_keys_are_those_of_yaml(environ: dict[str, str]) -> None:
    """Nested ones, too; exit code 0 for a success, and each change a line."""
    with serving(reply(b'{"state":"queued"}'), reply(b'{"state":"done"}')) as server:
        expect = "expect={json_path: state, equals: done}"
        done = check(environ, "http", f"url={server.url}/job", "interval=1", expect)
    assert done.returncode == 0
    first, second = done.stdout.splitlines()
    assert first.split(maxsplit=1)[1] == f'pending     200: state is "queued", not "done" {server.url}/job'
    assert second.split(maxsplit=1)[1] == f"success     it answers 200 {server.url}/job"


def test_json_once_and_a_file(environ: dict[str, str], tmp_path: Path) -> None:
    """A look a line; anything but a success is exit code 1. A secret comes by its name."""
    environ["KEY"] = "open-sesame-open"
    with serving(reply(b"", "404 Not Found")) as server:
        file = tmp_path / "check.yaml"
        file.write_text(f"external_check:\n  type: http\n  url: {server.url}\n  headers: {{X: !secret key}}\n")
        done = check(environ, "--file", str(file), "--once", "--json")
        assert b"\r\nX: open-sesame-open\r\n" in server.got.get(timeout=PATIENCE)
        again = check(environ, "--file", "-", "--once", stdin=file.read_text())
    assert (done.returncode, again.returncode) == (1, 1)
    assert json.loads(done.stdout) == {
        "state": "pending", "detail": "it answers 404", "url": server.url, "wait": 0.0
    }  # fmt: skip
    assert "pending" in again.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "what is to be checked?"),
        (("http", "--file", "x"), "what is to be checked?"),
        (("--file", "/nonexistent"), "cannot be read"),
        (("htp",), "did you mean http?"),
        (("http",), "lacks the key url"),
        (("http", "url"), "no KEY=VALUE"),
        (("http", "url=ftp://x"), "url has to be an http"),
        (("http", "url=http://x\n  type: command"), "no KEY=VALUE"),
        (("http", "url=http://x", "--since", "soon"), "--since"),
        (("http", "url=http://x", "--since", "9999d"), "at most a year"),
        (("webhook", "name=x", "unsigned=true", "--listen", "0.0.0.0:80"), "has to be 127.0.0.1:PORT"),
    ],
)
def test_what_is_wrong_is_said(environ: dict[str, str], words: tuple[str, ...], said: str) -> None:
    """Before anything is asked."""
    done = check(environ, *words)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def hook(environ: dict[str, str]) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A webhook that is waited for by hand, and its address."""
    environ["HOOK"] = "hook-secret"
    process = subprocess.Popen(
        [sys.executable, "-m", "tmux_agent", "check", "webhook", "name=ci", "secret=!secret hook", "max_wait=60"],
        env=environ, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    said = process.stdout.readline()
    yield process, said.split("POST ")[1].strip()
    process.kill()
    process.wait()
    process.stdout.close()


def post(url: str, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
    at = urlsplit(url)
    assert at.hostname is not None
    client = http.client.HTTPConnection(at.hostname, at.port, timeout=PATIENCE)
    client.request("POST", at.path, body, headers)
    answer = client.getresponse()
    found = answer.status, answer.read().decode()
    client.close()
    return found


def test_a_webhook_as_github_sends_it(hook: tuple[subprocess.Popen[str], str]) -> None:
    """A wrong signature, a web page, another name, another method: refused. The right one, twice: taken once."""
    process, url = hook
    body = json.dumps({"ok": True, "workflow_run": {"id": 1}}).encode()

    def headers(secret: bytes = b"hook-secret", **more: str) -> dict[str, str]:
        return {
            "Content-Type": "application/json",
            "User-Agent": "GitHub-Hookshot/044aadd",
            "X-GitHub-Event": "workflow_run",
            "X-GitHub-Delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
            "X-Hub-Signature-256": sign(secret, body).decode(),
            **more,
        }

    assert post(url, body, headers(b"guessed"))[0] == 403
    assert post(url, body, {})[0] == 403
    assert post(url, body, headers(Origin="https://evil.example"))[0] == 403
    assert post(url + "x", body, headers())[0] == 404
    assert post(url, body, headers(Host="evil.example"))[0] == 421
    assert process.poll() is None
    assert post(url, body, headers()) == (202, "taken\n")
    assert process.wait(PATIENCE) == 0
    assert process.stdout is not None
    assert "success     told so" in process.stdout.read()


@pytest.fixture
def one() -> Iterator[Sidecar]:
    with sidecar() as found:
        yield found.start()


def test_a_command_goes_through_the_guard(one: Sidecar) -> None:
    """What a rule allows is run by the sidecar; what one denies ends the check, and is not tried again."""
    done = check(one.environ, "command", "argv=[allowed, looked]", f"cwd={one.root}")
    assert (done.returncode, one.effects()) == (0, ["looked"])
    assert "success     allowed ended with 0" in done.stdout
    denied: Any = check(one.environ, "command", "argv=[nc, x]", f"cwd={one.root}")
    assert denied.returncode == 1
    assert "failure     not run: denied by rule 'no netcat'" in denied.stdout
    records = [record for record in one.records() if record["type"] == "decision"]
    assert [record["data"]["verdict"] for record in records] == ["allow", "deny"]


def test_the_sidecar_serves_webhooks_of_nobody(one: Sidecar) -> None:
    """Where nothing waits for it, a delivery is refused by name, and nothing is kept of it."""
    one.stop()
    one.start(TMUX_AGENT_HTTP_LISTEN="127.0.0.1:0")
    url = next(line for line in one.log.read_text().splitlines() if "listening on http" in line).split()[-1]
    assert post(f"{url}/hooks/ci", b'{"ok":true}', {}) == (404, "no check waits for this webhook\n")
    assert not [record for record in one.records() if record["type"] == "check.delivered"]
