"""services/chats.py: who may say what, and that an answer is to what was shown to the same person in the same place."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.services.test_guard import Story, World, play

from tmux_agent.core import errors, redact
from tmux_agent.core.model import Ask, Origin, Role
from tmux_agent.core.secret import Secret
from tmux_agent.core.settings import Chat as Settings
from tmux_agent.services.chats import Chats, Speaker
from tmux_agent.services.places import find
from tmux_agent.services.secrets import Secrets

assert play  # the fixture
BOT = Origin(role=Role.AGENT, why="test", uid=os.getuid(), pid=7, started=70)
SENDERS: dict[str, Any] = {"ann": "approver", "rob": "runner", "vic": "viewer"}


class Desk:
    """Chats over a world's services; what was refused is kept."""

    def __init__(self, world: World, folder: Path, **settings: Any) -> None:
        self.refused: list[str] = []
        self.time = 0.0
        secrets = Secrets(find({"HOME": str(folder)}), {"HOME": str(folder), "BOT": "sesame"})
        self.chats = Chats(world.approvals, world.answers, self._refuse, secrets, now=lambda: self.time)
        self.chats.switch(Settings(senders=SENDERS, **{"answers": True, "token": Secret("BOT"), **settings}))

    def _refuse(self, _by: Origin, _request: str, why: str, *, alarming: bool = False) -> bool:
        self.refused.append(f"{'!' if alarming else ''}{why}")
        return True

    def speaker(self, sender: str, channel: str = "#a") -> Speaker:
        return self.chats.speaker(sender, channel, BOT)

    def show(self, by: Speaker, approval: Any) -> None:
        self.chats.shown(by, approval, *self.chats.look(approval))


def test_an_answer_is_to_what_was_shown(play: Callable[[Story], World], tmp_path: Path) -> None:
    """Not before it was, not in another channel, not to somebody else, not where it is another by now, and once."""

    async def story(world: World) -> None:
        desk = Desk(world, tmp_path)
        ann, elsewhere = desk.speaker("ann"), desk.speaker("ann", "#b")
        asked = asyncio.create_task(world.guard.perform(world.wish(world.command("id", "-g"))))
        one = await world.asked()
        desk.show(elsewhere, replace(one, step_up=()))
        desk.show(replace_sender(ann, "rob"), replace(one, step_up=()))
        with pytest.raises(errors.Conflict, match="look at it here first"):
            await desk.chats.answer(ann, BOT, one, True, "")
        desk.show(ann, replace(one, step_up=(), digest="0" * 64))
        with pytest.raises(errors.Conflict, match="no longer what was shown"):
            await desk.chats.answer(ann, BOT, one, False, "")
        with pytest.raises(errors.Conflict, match="look at it here first"):
            await desk.chats.answer(ann, BOT, one, False, "")
        desk.show(ann, one)
        with pytest.raises(errors.Forbidden, match="needs a proof"):
            await desk.chats.answer(ann, BOT, one, True, "")
        answered = await desk.chats.answer(ann, BOT, one, False, "not today")
        assert answered.answer
        assert answered.answer.by
        assert (answered.answer.by.door, answered.answer.by.through) == ("chat", "ann in #a")
        with pytest.raises(errors.Denied, match="not today"):
            await asked
        assert len(desk.refused) == 4

    play(story)


def replace_sender(by: Speaker, sender: str) -> Speaker:
    return by._replace(sender=sender)


@pytest.mark.parametrize(
    ("sender", "bot", "settings", "why"),
    [
        ("rob", BOT, {}, "a runner may not answer"),
        ("vic", BOT, {}, "a viewer may not answer"),
        ("ann", replace(BOT, agent="claude"), {}, "below claude"),
        ("ann", replace(BOT, server="/s", pane="%1"), {}, "in tmux, where anybody can type"),
        ("ann", BOT, {"answers": False}, "chat.answers in config.yaml is off"),
        ("ann", BOT, {"token": ""}, "needs a chat.token"),
        ("ann", BOT, {"token": Secret("NOWHERE")}, "there is no secret NOWHERE"),
    ],
)
def test_who_may_not_answer(
    play: Callable[[Story], World], tmp_path: Path, sender: str, bot: Origin, settings: dict[str, Any], why: str
) -> None:
    """Each is refused, on record, and the request waits on."""

    async def story(world: World) -> None:
        desk = Desk(world, tmp_path, **settings)
        asked = asyncio.create_task(world.guard.perform(world.wish(Ask(prompt="may I?"))))
        one = await world.asked()
        by = desk.speaker(sender)
        desk.show(by, one)
        with pytest.raises(errors.Forbidden, match=why) as refused:
            await desk.chats.answer(by, bot, one, True, "")
        assert redact.redact_text(refused.value.message) == refused.value.message  # "token: any" was hidden as a secret
        assert world.approvals.waits(one.request_id)
        assert len(desk.refused) == 1
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)

    play(story)


def test_who_asks_does_not_answer(play: Callable[[Story], World], tmp_path: Path) -> None:
    async def story(world: World) -> None:
        desk = Desk(world, tmp_path)
        by = desk.speaker("ann")
        wish = replace(world.wish(Ask(prompt="may I?")), origin=by.asks)
        asked = asyncio.create_task(world.guard.perform(wish))
        one = await world.asked()
        desk.show(by, one)
        with pytest.raises(errors.Forbidden, match="who asks does not answer"):
            await desk.chats.answer(by, BOT, one, True, "")
        assert desk.chats.visible(desk.speaker("rob")) == []
        assert [shown.request_id for shown in desk.chats.visible(by)] == [one.request_id]
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)

    play(story)


def test_programs_that_do_not_speak_for_a_chat(play: Callable[[Story], World], tmp_path: Path) -> None:
    """Without the token, and below an agent, whatever sender they name."""

    async def story(world: World) -> None:
        chats = (desk := Desk(world, tmp_path)).chats
        chats.check_bot("ann", "#a", "sesame", BOT)
        for token, bot in (
            ("", BOT), ("guess", BOT), ("sesame\ud800", BOT), ("sesame", replace(BOT, agent="codex")),
            ("sesame", replace(BOT, sandbox=True)),
        ):
            with pytest.raises(errors.Forbidden, match="not taken from this program"):
                chats.check_bot("ann", "#a", token, bot)
        assert len(desk.refused) == 5
        assert all(why.startswith("!") for why in desk.refused)
        with pytest.raises(errors.InvalidParams):
            chats.check_bot("a" * 200, "", "sesame", BOT)

    play(story)


def test_strangers_and_talkers(play: Callable[[Story], World], tmp_path: Path) -> None:
    """Who is not named may nothing, and fills no log; who is named, a line a second."""

    async def story(world: World) -> None:
        desk = Desk(world, tmp_path)
        for _ in range(50):
            with pytest.raises(errors.Forbidden, match=r"chat\.senders"):
                desk.speaker("mallory")
        assert len(desk.refused) == 5
        for _ in range(20):
            desk.speaker("rob")
        with pytest.raises(errors.LimitExceeded):
            desk.speaker("rob")
        desk.speaker("ann")
        desk.time += 1.0
        desk.speaker("rob")

    play(story)


def test_short_ids_are_those_of_one(play: Callable[[Story], World], tmp_path: Path) -> None:
    """Six characters, and more where two requests that wait end alike."""

    async def story(world: World) -> None:
        chats = Desk(world, tmp_path).chats
        ids = ("01HX4ABCDEFGHJKMNPQ0123456", "01HX4ABCDEFGHJKMNPQ9123456", "01HX4ABCDEFGHJKMNPQ0123457")
        for id_ in ids:
            await world.guard.ask(replace(world.wish(Ask(prompt=id_)), request_id=id_))
        assert [chats.short(id_) for id_ in ids] == ["0123456", "9123456", "123457"]

    play(story)
