"""`tmux-agent notify list|test|bridge`, as programs of their own, with real servers at the other end."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.patience import PATIENCE
from tests.receivers import Http, http
from tests.sidecar import Sidecar, sidecar, until

from tmux_agent.core.message import Message
from tmux_agent.services.local_bus import LocalBus


@pytest.fixture
def one() -> Iterator[Sidecar]:
    with sidecar() as found:
        found.state.mkdir(mode=0o700)
        yield found


@pytest.fixture
def server() -> Iterator[Http]:
    with http({"errcode": 0}) as found:
        yield found


def start(one: Sidecar, *words: str) -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "tmux_agent", "notify", *words]
    return subprocess.Popen(argv, env=one.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(one: Sidecar, *words: str) -> tuple[int, str, str]:
    process = start(one, *words)
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err


def configure(one: Sidecar, text: str) -> None:
    (one.config / "config.yaml").write_text(text)


def bus(one: Sidecar, *titles: str) -> LocalBus:
    found = LocalBus(one.state / "bus")
    assert found.add([Message(title=title, severity="failure" if "bad" in title else "info") for title in titles]) == ""
    return found


# --- test and list ---------------------------------------------------------------------------------


def test_each_channel_is_tried_and_said(one: Sidecar, server: Http) -> None:
    """What was delivered; what failed, why, and what to do; the exit code says whether all were."""
    one.environ["WECOM_WEBHOOK"] = f"{server.url}/send?key=1"
    configure(
        one, "notify:\n  channels:\n    good: {kind: wecom, tags: [x]}\n    dead: {url: 'json://127.0.0.1:1/'}\n"
        "    lacks: {url: !secret not_there}\n"
    )  # fmt: skip
    code, out, err = run(one, "test", "x", "stdout")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "delivered  good",
        "tmux-agent: a test — If you read this, the channel works.",
        "delivered  stdout",
    ]
    assert server.next().json["text"]["content"].startswith("tmux-agent: a test")
    server.answers = [{"errcode": 93000, "errmsg": "invalid webhook url"}]
    code, out, _ = run(one, "test")
    assert code == 1
    lines = out.splitlines()
    assert lines[0] == "failed  good: WeCom robot refuses: errcode 93000 invalid webhook url"
    assert "is the key, token or webhook the right one?" in lines[1]
    assert lines[2].startswith("failed  dead: ")
    assert "is there a way to it from this machine" in lines[3]
    assert "there is no secret NOT_THERE: `tmux-agent secret set NOT_THERE`" in lines[4]
    code, out, _ = run(one, "test", "--json", "stdout", "good")
    assert code == 1
    found = json.loads(out[out.index("[\n") :])
    assert [(row["channel"], row["delivered"]) for row in found] == [("stdout", True), ("good", False)]


def test_wrong_words_and_no_channels(one: Sidecar) -> None:
    """What there is is named; without any channel, what to do."""
    code, _, err = run(one, "test", "fone")
    assert code == 1
    assert "there is no channel fone (there are stdout, local_bus" in err
    assert run(one, "test")[:2] == (
        1,
        "no channels: `notify` in config.yaml, or NOTIFICATION_CHANNELS (docs/notifications.md)\n",
    )
    configure(one, "notify: {channels: {p: {kind: wecm}}}\n")
    assert "did you mean wecom?" in run(one, "list")[2]


def test_the_list_says_what_became_of_messages(one: Sidecar) -> None:
    """By the queue of a sidecar that runs."""
    one.program("tell", "#!/bin/sh\ncat > /dev/null\n")
    configure(
        one, f"notify:\n  channels:\n    prog: {{command: [{one.bin}/tell], tags: [a, b]}}\n    team: {{kind: wecom}}\n"
    )
    agent = one.start().agent()
    agent.call("human.ask_async", {"prompt": "x"})
    until(lambda: next(row for row in json.loads(run(one, "list", "--json")[1]) if row["name"] == "prog")["sent"] == 1)
    code, out, _ = run(one, "list")
    assert code == 0
    rows = [line.split() for line in out.splitlines()]
    assert rows[1] == ["prog", "command", "a,b", "yes", "0", "1", "0", "ok"]
    assert rows[2][:7] == ["team", "wecom", "–", "yes", "1", "0", "0"]
    assert "WECOM_WEBHOOK or WECHAT_WORK_WEBHOOK is not set" in out


# --- the bridge ------------------------------------------------------------------------------------


def test_once_hands_on_what_is_there_and_nothing_twice(one: Sidecar) -> None:
    """The oldest first; the next run begins where this one ended; another channel has its own position."""
    bus(one, "1", "2")
    assert run(one, "bridge", "--channel", "stdout", "--once") == (0, "1\n2\n", "")
    assert run(one, "bridge", "--channel", "stdout", "--once") == (0, "", "")
    bus(one, "3")
    assert run(one, "bridge", "--channel", "stdout", "--once") == (0, "3\n", "")
    configure(one, "notify: {channels: {only-bad: {kind: stdout, severity: failure, title: '! {title}'}}}\n")
    bus(one, "bad 4")
    assert run(one, "bridge", "--channel", "stdout,only-bad", "--once") == (0, "bad 4\n! bad 4\n", "")
    assert run(one, "bridge", "--channel", "only-bad", "--once") == (0, "", "")


def test_new_leaves_out_what_was_there_the_first_time(one: Sidecar) -> None:
    """And nothing of what came since, the next times."""
    bus(one, "1", "2")
    assert run(one, "bridge", "--channel", "stdout", "--once", "--new") == (0, "", "")
    bus(one, "3")
    assert run(one, "bridge", "--channel", "stdout", "--once", "--new") == (0, "3\n", "")


def test_it_follows_and_is_ended_by_ctrl_c(one: Sidecar) -> None:
    """What comes while it runs is handed on in order; a second bridge of the channel is refused."""
    bus(one, "1")
    process = start(one, "bridge", "--channel", "stdout", "--interval", "0.1")
    assert process.stdout is not None
    assert process.stdout.readline() == "1\n"
    code, _, err = run(one, "bridge", "--channel", "stdout", "--once")
    assert code == 1
    assert "another bridge hands on to stdout" in err
    for number in range(2, 20):
        bus(one, str(number))
        assert process.stdout.readline() == f"{number}\n"
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == 130
    assert run(one, "bridge", "--channel", "stdout", "--once") == (0, "", "")


def test_what_is_not_taken_stays_the_next(one: Sidecar, server: Http) -> None:
    """With --once an error that says so; in the end each message has arrived once, in order."""
    one.environ["WECOM_WEBHOOK"] = f"{server.url}/send?key=1"
    one.environ["TMUX_AGENT_NOTIFY_RETRIES"] = "0"
    bus(one, "1", "2", "3")
    server.answers = [{"errcode": 0}, 500, {"errcode": 0}]
    code, _, err = run(one, "bridge", "--channel", "wecom", "--once")
    assert code == 1
    assert "message 2 was not taken by wecom, WeCom robot answers with status 500" in err.replace("\n  ", " ")
    assert run(one, "bridge", "--channel", "wecom", "--once")[0] == 0
    assert [server.next().json["text"]["content"] for _ in range(4)] == ["1", "2", "2", "3"]
    assert server.got.empty()


def test_it_is_killed_anywhere(one: Sidecar, tmp_path: Path) -> None:
    """kill -9 while it hands on: everything arrives, in order, and at most what was in flight arrives again."""
    total = 60
    program = one.bin / "take"
    one.program("take", f"#!/bin/sh\nd=$(cat); printf '%s\\n' \"$d\" >> {tmp_path}/got\n")
    configure(one, f"notify: {{channels: {{prog: {{command: [{program}]}}}}}}\n")
    bus(one, *map(str, range(total)))

    def got() -> list[int]:
        path = tmp_path / "got"
        return [int(json.loads(line)["title"]) for line in path.read_text().splitlines()] if path.exists() else []

    for kills in range(1, 5):
        process = start(one, "bridge", "--channel", "prog", "--once")
        until(lambda k=kills: len(got()) >= k * 5)
        process.kill()
        process.communicate()
    assert run(one, "bridge", "--channel", "prog", "--once")[0] == 0
    seen = got()
    assert sorted(set(seen)) == list(range(total))
    assert len(seen) <= total + 4
    assert all(later - before in (0, 1) for before, later in itertools.pairwise(seen))


@pytest.mark.parametrize(("words", "said"), [("local_bus", "and not itself"), ("nobody", "there is no channel nobody")])
def test_where_it_cannot_lead(one: Sidecar, words: str, said: str) -> None:
    """To the bus itself, or to what is no channel."""
    assert said in run(one, "bridge", "--channel", words, "--once")[2]
