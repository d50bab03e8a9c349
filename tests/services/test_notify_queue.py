"""services/notify.py and notify_lane.py: what is sent when, by a clock of the test's; all else is real."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import msgspec
import pytest
from tests.patience import PATIENCE
from tests.receivers import http
from tests.services.sidecar_values import PERSON, in_loop, question, started

from tmux_agent.core import redact
from tmux_agent.core.channels import Channel, Escalation
from tmux_agent.core.channels import Notify as Wanted
from tmux_agent.core.errors import InvalidParams, LimitExceeded
from tmux_agent.core.message import Message
from tmux_agent.core.model import Approval
from tmux_agent.services import notice_rows, notify_lane
from tmux_agent.services.approvals import Approvals
from tmux_agent.services.grants import Grants
from tmux_agent.services.notify import WAITING, Notify
from tmux_agent.services.places import find
from tmux_agent.services.secrets import Secrets
from tmux_agent.services.senders import Senders

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # apprise's imports

NOON = datetime(2024, 5, 3, 12, 0).astimezone()  # a Friday, in the machine's own zone
FAR = Channel(kind="local_bus", per_minute=6000)


class Desk:
    """A notification service as in a sidecar: `clock` is its time, `told` what its channels took.

    The channel `out` (and every other made by `out`) appends the JSON that a command gets to a file.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = NOON
        self.environ: dict[str, str] = {}
        self.looking: set[str] = set()
        self.healths = 0
        self.turned = asyncio.Event()

    def out(self, name: str = "out", **options: Any) -> Channel:
        program = f'd=$(cat); printf "%s\\n" "$d" >> {self.folder}/{name}'
        return Channel(**{"command": ("sh", "-c", program), "per_minute": 6000.0, **options})

    def got(self, name: str = "out") -> list[Any]:
        path = self.folder / name
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def titles(self, name: str = "out") -> list[Any]:
        """What was sent: a title, or a list of those that were sent together."""
        return [[m["title"] for m in one] if isinstance(one, list) else one["title"] for one in self.got(name)]

    def states(self) -> list[tuple[str, str]]:
        with sqlite3.connect(self.folder / "state.db") as db:
            return db.execute("SELECT channel, state FROM notices ORDER BY id").fetchall()

    def traffic(self) -> dict[str, notice_rows.Traffic]:
        with sqlite3.connect(self.folder / "state.db") as db:
            return notice_rows.traffic(db)

    async def until(self, holds: Callable[[], Any]) -> None:
        """Looks again after each turn of a lane."""
        async with asyncio.timeout(PATIENCE):
            while not holds():
                self.turned.clear()
                await self.turned.wait()

    def later(self, **delta: float) -> None:
        """The clock goes on; every lane looks at it as its own timer would make it."""
        self.clock += timedelta(**delta)
        for lane in self.notify._lanes.values():
            lane.look()

    def count(self) -> None:
        self.healths += 1

    @asynccontextmanager
    async def open(self, wanted: Wanted) -> AsyncIterator[Notify]:
        journal = await started(self.folder)
        self.approvals = Approvals(journal, Grants(journal))
        await self.approvals.recover()
        places = find({"HOME": str(self.folder / "home"), "XDG_RUNTIME_DIR": str(self.folder)})
        secrets = Secrets(places, self.environ)
        senders = Senders(places, secrets, print)
        self.notify = Notify(
            journal, self.approvals, secrets, senders, changed=self.count, now=lambda: self.clock.timestamp()
        )
        self.notify.looks_at = self.looks_at
        self.notify.use(wanted)
        turn = notify_lane.Lane._turn

        async def told(lane: notify_lane.Lane) -> float:
            try:
                return await turn(lane)
            finally:
                self.turned.set()

        with patch.object(notify_lane.Lane, "_turn", told):
            await self.notify.recover()
            try:
                yield self.notify
            finally:
                await self.notify.close()
            await self.approvals.close()
            await journal.close()

    async def looks_at(self, _server: str, pane: str) -> bool:
        return pane in self.looking

    async def asked(self) -> Approval:
        approval = await self.approvals.open(question())
        self.notify.told(approval)
        return approval


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def one(title: str, **more: Any) -> Message:
    return Message(title=title, **more)


# --- to whom ---------------------------------------------------------------------------------------


@in_loop
async def test_names_tags_default_and_severity(desk: Desk) -> None:
    """Each channel once; a word that is none is an error before anything is queued; some want only what is bad."""
    channels = {
        "a": desk.out("a", tags=("x",)),
        "b": desk.out("b", tags=("x",)),
        "bad": desk.out("bad", severity="failure"),
    }
    async with desk.open(Wanted(default="a,bad", channels=channels)) as notify:
        assert await notify.post(one("1"), "x,a") == ("a", "b")
        assert await notify.post(one("2")) == ("a",)
        assert await notify.post(one("3", severity="failure")) == ("a", "bad")
        with pytest.raises(InvalidParams, match="there is no channel nobody"):
            await notify.post(one("4"), "a,nobody")
        assert "there is no channel" in notify.check("nobody")
        assert notify.check("a,x,stdout") == ""
        await desk.until(lambda: len(desk.got("a")) == 3)
        assert (desk.titles("b"), desk.titles("bad")) == (["1"], ["3"])


@in_loop
async def test_the_variable_of_the_seeds_is_the_default(desk: Desk) -> None:
    """NOTIFICATION_CHANNELS, where the file names none; a word in it that is none is said."""
    desk.environ["NOTIFICATION_CHANNELS"] = "local_bus,nonsense"
    async with desk.open(Wanted()) as notify:
        assert await notify.post(one("1")) == ("local_bus",)
        assert "NOTIFICATION_CHANNELS: there is no channel nonsense" in notify.status
    async with desk.open(Wanted(default="stdout")) as notify:
        assert await notify.post(one("2")) == ("stdout",)
        assert notify.status == "ok"


@in_loop
async def test_without_channels_it_is_off(desk: Desk) -> None:
    """Nothing is queued for nobody."""
    async with desk.open(Wanted()) as notify:
        assert await notify.post(one("1")) == ()
        assert notify.status == "off"
    assert desk.states() == []


@in_loop
async def test_what_a_channel_lacks_is_said_at_once(desk: Desk) -> None:
    """Before anything is to be sent by it."""
    async with desk.open(Wanted(channels={"team": Channel(kind="wecom")})) as notify:
        assert notify.status.startswith("team: WECOM_WEBHOOK or WECHAT_WORK_WEBHOOK is not set")


# --- once ------------------------------------------------------------------------------------------


@in_loop
async def test_a_key_is_told_once_within_its_time(desk: Desk) -> None:
    """A channel of its own each, over a restart, and again after the time."""
    wanted = Wanted(default="out", channels={"out": desk.out(dedupe=600.0), "other": desk.out("other")})
    async with desk.open(wanted) as notify:
        assert await notify.post(one("first", key="k")) == ("out",)
        assert await notify.post(one("again", key="k")) == ()
        assert await notify.post(one("elsewhere", key="k"), "other") == ("other",)
        assert await notify.post(one("no key")) == ("out",)
        assert await notify.post(one("no key")) == ("out",)
        await desk.until(lambda: len(desk.got()) == 3)
    async with desk.open(wanted) as notify:
        desk.later(seconds=599)
        assert await notify.post(one("again", key="k")) == ()
        desk.later(seconds=2)
        assert await notify.post(one("later", key="k")) == ("out",)
        await desk.until(lambda: desk.titles()[-1] == "later")


@in_loop
async def test_what_was_queued_is_sent_after_a_restart(desk: Desk) -> None:
    """What no channel has taken is on disk, without secrets; what was taken is not sent again."""
    redact.know(["never-in-the-queue"])
    path = desk.folder / "works"
    program = ("sh", "-c", f"test -e {path} && cat >> {desk.folder}/out && echo >> {desk.folder}/out")
    wanted = Wanted(default="out", channels={"out": Channel(command=program)})
    async with desk.open(wanted) as notify:
        await notify.post(one("kept never-in-the-queue"))
        await desk.until(lambda: "exit code 1" in notify.status)
    assert b"never-in-the-queue" not in (desk.folder / "state.db").read_bytes()
    path.touch()
    desk.clock += timedelta(hours=1)
    for _ in range(2):
        async with desk.open(wanted) as notify:
            await desk.until(lambda: desk.states() == [("out", "sent")])
            assert desk.titles() == ["kept [redacted]"]


@in_loop
async def test_a_channel_that_is_gone_after_a_restart(desk: Desk) -> None:
    """Its messages are dropped, and the others go on."""
    async with desk.open(Wanted(channels={"out": desk.out(quiet=("00:00-23:59",))})) as notify:
        await notify.post(one("x"), "out")
    async with desk.open(Wanted(channels={"new": desk.out("new")})) as notify:
        await notify.post(one("y"), "new")
        await desk.until(lambda: desk.states() == [("out", "dropped"), ("new", "sent")])


# --- when ------------------------------------------------------------------------------------------


@in_loop
async def test_quiet_hours_hold_and_then_tell_together(desk: Desk) -> None:
    """At night only what is bad or urgent; in the morning the rest, as one. A channel may have hours of its own."""
    channels = {"out": desk.out(), "always": desk.out("always", quiet=())}
    async with desk.open(Wanted(default="out,always", quiet=("22:00-07:00",), channels=channels)) as notify:
        desk.later(hours=11)  # 23:00
        for title in ("1", "2"):
            await notify.post(one(title))
        await notify.post(one("bad", severity="failure"))
        await notify.post(one("urgent", urgency="critical"))
        await desk.until(lambda: len(desk.got()) == 2)
        assert desk.titles() == ["bad", "urgent"]
        await desk.until(lambda: desk.titles("always") == ["1", "2", "bad", "urgent"])
        desk.later(hours=7, minutes=59)  # 06:59
        await notify.post(one("3"))
        await desk.until(lambda: desk.titles("always")[-1] == "3")
        assert len(desk.got()) == 2
        desk.later(minutes=1)
        await desk.until(lambda: len(desk.got()) == 3)
        assert desk.titles()[-1] == ["1", "2", "3"]
        await notify.post(one("4"))
        await desk.until(lambda: desk.titles()[-1] == "4")


@in_loop
async def test_a_digest_gathers_from_the_first(desk: Desk) -> None:
    """One message after its time; what is urgent does not wait for it."""
    async with desk.open(Wanted(default="out", channels={"out": desk.out(digest=600.0)})) as notify:
        await notify.post(one("1"))
        desk.later(minutes=5)
        await notify.post(one("2"))
        await notify.post(one("bad", severity="failure"))
        await desk.until(lambda: desk.got() != [])
        desk.later(minutes=4, seconds=59)
        await notify.post(one("3"))
        assert desk.titles() == ["bad"]
        desk.later(seconds=1)
        await desk.until(lambda: len(desk.got()) == 2)
        assert desk.titles()[-1] == ["1", "2", "3"]


@in_loop
async def test_over_the_rate_they_wait_and_come_together(desk: Desk) -> None:
    """Two a minute: the others are one message a minute later."""
    async with desk.open(Wanted(default="out", channels={"out": desk.out(per_minute=2.0)})) as notify:
        for title in "12345":
            await notify.post(one(title))
        lane = notify._lanes["out"]
        await desk.until(lambda: lane._held)
        assert desk.titles() == ["1", "2"]
        lane._sent = deque(at - 60 for at in lane._sent)  # a minute goes by
        lane.look()
        await desk.until(lambda: len(desk.got()) == 3)
        assert desk.titles()[-1] == ["3", "4", "5"]


@in_loop
async def test_nobody_is_told_of_what_they_look_at(desk: Desk) -> None:
    """A message about that pane is dropped; about an approval it comes once they have left; others come."""
    channels = {"out": desk.out(), "any": desk.out("any", focus=False)}
    async with desk.open(Wanted(default="out,any", channels=channels)) as notify:
        desk.looking = {"%1"}
        await notify.post(one("seen", server="s", pane="%1"))
        await notify.post(one("elsewhere", server="s", pane="%2"))
        approval = await desk.approvals.open(question())
        await notify.post(one("asks", server="s", pane="%1", request_id=approval.request_id))
        await desk.until(lambda: len(desk.got("any")) == 3)
        await desk.until(lambda: len(notify._lanes["out"].rows) == 1)
        assert desk.titles() == ["elsewhere"]
        desk.later(seconds=21)
        await desk.until(lambda: notify._lanes["out"].rows[0].due > desk.clock.timestamp())
        desk.looking = set()
        desk.later(seconds=21)
        await desk.until(lambda: len(desk.got()) == 2)
        assert desk.got()[-1]["request_id"] == approval.request_id


# --- approvals -------------------------------------------------------------------------------------


@in_loop
async def test_escalation_goes_on_until_somebody_answers(desk: Desk) -> None:
    """Step by step, over a restart; nothing more once it is answered, and its own message is not repeated."""
    channels = {name: desk.out(name) for name in ("out", "phone", "boss")}
    steps = (Escalation(after=300.0, channels="phone"), Escalation(after=1200.0, channels="boss"))
    wanted = Wanted(default="out", channels=channels, escalate=steps)
    async with desk.open(wanted):
        approval = await desk.asked()
        await desk.until(lambda: len(desk.got("out")) == 1)
        desk.later(seconds=299)
        assert desk.got("phone") == []
    async with desk.open(wanted) as notify:
        desk.later(seconds=1)
        await desk.until(lambda: len(desk.got("phone")) == 1)
        assert desk.got("phone")[0]["request_id"] == approval.request_id
        desk.later(minutes=10)
        assert desk.got("boss") == []
        await desk.approvals.answer(approval.request_id, approval.digest, True, PERSON)
        desk.later(minutes=20)
        await desk.until(lambda: desk.states()[-1] == ("boss", "dropped"))
        # a message about it that nobody has to answer is told all the same, once
        assert await notify.post(one("it was approved", request_id=approval.request_id)) == ("out",)
        await desk.until(lambda: len(desk.got("out")) == 2)
    assert desk.got("boss") == []


@in_loop
async def test_a_posted_message_that_waits_for_an_answer_escalates(desk: Desk) -> None:
    """By its request; the later one says since when it waits."""
    wanted = Wanted(
        default="out", channels={"out": desk.out(), "late": FAR}, escalate=(Escalation(after=300.0, channels="late"),)
    )
    async with desk.open(wanted) as notify:
        approval = await desk.approvals.open(question())
        await notify.post(one("stage build waits", request_id=approval.request_id))
        desk.later(seconds=301)
        bus = notify._senders.bus.file
        await desk.until(bus.exists)
        await desk.until(lambda: bus.read_text().endswith("\n"))
        assert json.loads(bus.read_text())["title"] == "still waiting after 5:00: stage build waits"


@in_loop
async def test_an_approval_that_no_sidecar_had_time_to_queue(desk: Desk) -> None:
    """It was opened, and the sidecar died before it was queued: the next one tells of it, once."""
    wanted = Wanted(default="out", channels={"out": desk.out()})
    async with desk.open(wanted):
        approval = await desk.approvals.open(question())
    for _ in range(2):
        async with desk.open(wanted):
            await desk.until(lambda: desk.states() == [("out", "sent")])
    assert [got["request_id"] for got in desk.got()] == [approval.request_id]


# --- what goes wrong -------------------------------------------------------------------------------


@in_loop
async def test_it_is_tried_again_further_and_further_apart(desk: Desk) -> None:
    """Then given up: a record, a warning until something gets through; health is told each time it changes."""
    works = desk.folder / "works"
    program = ("sh", "-c", f"cat > /dev/null; date >> {desk.folder}/tries; test -e {works}")
    wanted = Wanted(default="out", retries=2, channels={"out": Channel(command=program)})
    tries = desk.folder / "tries"
    async with desk.open(wanted) as notify:
        await notify.post(one("x", request_id="r"))
        for number, seconds in ((1, 2.0), (2, 4.0)):
            await desk.until(lambda n=number: notify._lanes["out"].rows and notify._lanes["out"].rows[0].tries == n)
            assert len(tries.read_text().splitlines()) == number
            assert notify._lanes["out"].rows[0].due == desk.clock.timestamp() + seconds
            assert "out: exit code 1" in notify.status
            await desk.until(lambda: desk.traffic()["out"].waiting == 1 and "exit code 1" in desk.traffic()["out"].why)
            desk.later(seconds=seconds)
        await desk.until(lambda: desk.states() == [("out", "failed")])
        assert (desk.traffic()["out"].failed, desk.traffic()["out"].waiting) == (1, 0)
        assert "out: exit code 1" in notify.status
        assert desk.healths == 1
        works.touch()
        await notify.post(one("y"))
        await desk.until(lambda: notify.status == "ok")
        assert desk.healths == 2
        await desk.until(lambda: desk.traffic()["out"].sent == 1)
        assert desk.traffic()["out"].why == ""
    records = [json.loads(line) for line in (desk.folder / "audit.jsonl").read_text().splitlines()]
    failed = [record for record in records if record["type"] == "notify.failed"]
    assert [(one["request_id"], one["data"]["channel"]) for one in failed] == [("r", "out")]


@in_loop
async def test_a_server_that_hangs_holds_up_nobody(desk: Desk) -> None:
    """Others get theirs; after two that hang no further thread is started; when it lets go all is well."""
    with http() as server:
        server.hold.clear()
        slow = Channel(url=f"json://{server.address}/?rto=600&cto=600", timeout=0.1)
        async with desk.open(Wanted(default="slow,out", channels={"slow": slow, "out": desk.out()})) as notify:
            for number in range(5):
                await notify.post(one(str(number)))
            await desk.until(lambda: len(desk.got()) == 5)
            lane = notify._lanes["slow"]
            await desk.until(lambda: "takes over 0.1 s" in lane.status)
            for _ in range(4):
                desk.later(seconds=301)
                await desk.until(lambda: all(row.due > desk.clock.timestamp() or row.tries == 0 for row in lane.rows))
            await desk.until(lambda: "2 messages before this one still hang" in lane.status)
            assert lane._hanging == notify_lane.HANGING
            assert server.got.qsize() == notify_lane.HANGING
            server.hold.set()
            while lane._hanging:  # the next one may be sent as soon as one of them ends
                for thread in threading.enumerate():
                    if thread.name == "notify slow":
                        await asyncio.to_thread(thread.join)
                await asyncio.sleep(0)  # the loop hears of an end after the thread
            desk.later(seconds=301)
            await desk.until(lambda: lane.status == "")


@in_loop
async def test_a_queue_is_bounded(desk: Desk) -> None:
    """What is over is refused and said; what waits stays."""
    async with desk.open(Wanted(channels={"out": desk.out(quiet=("00:00-23:59", "23:59-00:00"))})) as notify:
        await asyncio.gather(*(notify.post(one(str(n)), "out") for n in range(WAITING)))
        with pytest.raises(LimitExceeded, match=f"over {WAITING} messages wait for out"):
            await notify.post(one("over"), "out")
        assert "were dropped" in notify.status
        assert len(notify._lanes["out"].rows) == WAITING


@in_loop
async def test_settings_may_change_while_messages_wait(desk: Desk) -> None:
    """What was held by quiet hours comes when they are taken out of the file."""
    held = Wanted(default="out", quiet=("00:00-23:59",), channels={"out": desk.out()})
    async with desk.open(held) as notify:
        await notify.post(one("1"))
        await desk.until(lambda: notify._lanes["out"]._held)
        notify.use(msgspec.structs.replace(held, quiet=()))
        await desk.until(lambda: len(desk.got()) == 1)
