"""Approval files with a real sidecar: real files, agents that wait, and everything odd that can stand in a folder."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.services.sidecar_values import question, started
from tests.sidecar import Peer, Sidecar, sidecar, until

from tmux_agent.core import answer_file
from tmux_agent.core.errors import Conflict
from tmux_agent.core.model import Approval, Ask, Origin, Role, digest
from tmux_agent.services import store
from tmux_agent.services.answer_files import AnswerFiles
from tmux_agent.services.approvals import Approvals
from tmux_agent.services.grants import Grants
from tmux_agent.services.journal import Journal

ON = "answers: {files: true}\n"


@pytest.fixture
def one() -> Iterator[Sidecar]:
    """A sidecar that writes approval files."""
    with sidecar() as made:
        (made.config / "config.yaml").write_text(ON)
        yield made.start()


def folder(one: Sidecar) -> Path:
    return one.state / "approvals"


def files(one: Sidecar) -> list[Path]:
    return sorted(path for path in folder(one).glob("*.txt"))


def asks(one: Sidecar, what: str = "x") -> tuple[Peer, int, Path]:
    """An agent that waits for a command, the id of its call, and the file for it."""
    before = set(files(one)) if folder(one).exists() else set()
    agent = one.agent()
    number = agent.start("command.run", {"command": "touch", "args": [what]})
    until(lambda: set(files(one)) - before)
    return agent, number, (set(files(one)) - before).pop()


def refused(one: Sidecar) -> list[dict[str, Any]]:
    return [record for record in one.records() if record["type"] == "refused"]


def answered(one: Sidecar) -> list[dict[str, Any]]:
    return [record for record in one.records() if record["type"] == "approval.answered"]


def says(file: Path, words: str) -> None:
    until(lambda: words.encode() in file.read_bytes())


# --- the ordinary way --------------------------------------------------------------------------------


def test_a_file_shows_what_is_asked_and_takes_the_answer(one: Sidecar) -> None:
    """`echo approve > FILE` is what it says; the record names the file; then the file is gone."""
    agent, number, file = asks(one)
    assert stat.S_IMODE(folder(one).stat().st_mode) == 0o700
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    text = file.read_text()
    assert all(line.startswith("#") for line in text.splitlines() if line)
    pending = one.operator().call("human.pending")["approvals"][0]
    for shown in ("touch x", pending["request_id"], pending["digest"], "expires", "no rule"):
        assert shown in text
    file.write_text("approve\n")
    assert agent.reply_to(number)["result"]["data"]["exit_code"] == 0
    assert (one.root / "x").exists()
    until(lambda: not file.exists())
    (record,) = answered(one)
    assert record["origin"]["door"] == "file"
    assert record["origin"]["through"] == str(file)
    assert record["origin"]["role"] == "operator"
    assert not refused(one)


def test_a_no_with_its_reason_reaches_the_asker(one: Sidecar) -> None:
    """Added to what the file says, as an editor does it: a new file under the old name."""
    agent, number, file = asks(one)
    fresh = file.with_name("4913~")
    fresh.write_text(file.read_text() + "reject not on a Friday\nreally\n")
    fresh.chmod(0o600)
    fresh.replace(file)
    error = agent.reply_to(number)["error"]
    assert error["data"]["kind"] == "denied"
    assert "not on a Friday\nreally" in (error["data"].get("comment") or "")
    assert not (one.root / "x").exists()


def test_a_question_is_answered_with_one_of_its_options(one: Sidecar) -> None:
    """A yes that names none is told so, and the question waits on."""
    agent = one.agent()
    number = agent.start("human.ask", {"prompt": "which?", "options": ["blue", "green"], "action_type": "colour"})
    until(lambda: files(one) if folder(one).exists() else False)
    (file,) = files(one)
    assert file.name.startswith("nopane__colour__")
    file.write_text("approve\n")
    says(file, "NOT ANSWERED: approve has to name one of the 2 options")
    assert "you wrote: approve" in file.read_text()
    file.write_text("approve 2\nas in the logo\n")
    data = agent.reply_to(number)["result"]["data"]
    assert (data["choice"], data["comment"]) == ("green", "as in the logo")
    assert "file on" in data["approved_by"]


def test_off_unless_switched_on() -> None:
    """No folder without it; switched on by saving config.yaml, and off again, files come and go."""
    with sidecar() as one:
        one.start()
        agent = one.agent()
        agent.start("command.run", {"command": "touch", "args": ["x"]})
        operator = one.operator()
        until(lambda: operator.call("human.pending")["approvals"])
        assert not folder(one).exists()
        (one.config / "config.yaml").write_text(ON)
        until(lambda: folder(one).exists() and files(one))
        (one.config / "config.yaml").write_text("answers: {files: false}\n")
        until(lambda: not files(one))
        assert len(operator.call("human.pending")["approvals"]) == 1


def test_the_seeds_folder_can_be_configured() -> None:
    """`~/.tmux_agent/approvals`, made where it is missing."""
    with sidecar() as one:
        (one.config / "config.yaml").write_text("answers: {files: true, folder: ~/.tmux_agent/approvals}\n")
        one.start()
        agent = one.agent()
        number = agent.start("command.run", {"command": "touch", "args": ["x"]})
        where = one.folder / "home" / ".tmux_agent" / "approvals"
        until(lambda: list(where.glob("*.txt")))
        (file,) = where.glob("*.txt")
        file.write_text("reject\n")
        assert agent.reply_to(number)["error"]["data"]["kind"] == "denied"


# --- two answers, restarts ---------------------------------------------------------------------------


def test_answered_elsewhere_the_file_goes(one: Sidecar) -> None:
    """Whoever is first counts; the file is gone, and one that is written all the same is no answer to anything."""
    agent, number, file = asks(one)
    pending = one.operator().call("human.pending")["approvals"][0]
    answer = {"request_id": pending["request_id"], "digest": pending["digest"], "approved": False}
    one.operator().call("human.respond", answer)
    assert agent.reply_to(number)["error"]["data"]["kind"] == "denied"
    until(lambda: not file.exists())
    file.write_text("approve\n")
    _, _, other = asks(one, "y")
    assert other != file
    assert len(answered(one)) == 1
    one.stop()
    one.start()
    until(lambda: not file.exists())  # what is left of a settled request is taken away at a start


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_an_answer_written_while_no_sidecar_runs_counts(one: Sidecar, how: str) -> None:
    """Files outlive it; at the start they are read, made anew where they are missing, removed where they are stale."""
    agent = one.agent()
    first = agent.call("human.ask_async", {"prompt": "first?"})["request_id"]
    second = agent.call("human.ask_async", {"prompt": "second?"})["request_id"]
    until(lambda: len(files(one)) == 2)
    one.stop() if how == "stop" else one.kill()
    by = {answer_file.read_name(path.name)[0]: path for path in files(one)}  # type: ignore[index]
    by[first].write_text("approve go on\n")
    by[second].unlink()
    stale = folder(one) / f"pane1__build__{'0' * 26}-{'0' * 16}.txt"
    stale.write_text("approve\n")
    notes = folder(one) / "notes.txt"
    notes.write_text("approve\n")
    one.start()
    agent = one.agent()
    assert agent.call("human.status", {"request_id": first, "wait_secs": 30})["answer"]["comment"] == "go on"
    until(lambda: files(one) == sorted([by[second], notes]))


# --- what is not taken -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "why"),
    [
        (b"yes\n", "the first word has to be approve, reject or deny"),
        (b"approve\ndeny\n", "two answers"),
        (b"approv\xff\n", "cannot be read"),
        (b"approve " + b"y" * 5000 + b"\n", "more than 4096 characters"),
        (b"x" * 2_000_000, "it has 2000000 bytes"),
    ],
)
def test_what_cannot_be_understood_is_said_in_the_file(one: Sidecar, written: bytes, why: str) -> None:
    """And in the record; it waits on, and takes the next answer."""
    agent, number, file = asks(one)
    file.write_bytes(written)
    says(file, why)
    until(lambda: refused(one))
    (record,) = refused(one)
    assert why in record["data"]["why"]
    assert record["origin"]["through"] == str(file)
    assert not answered(one)
    file.write_text("reject\n")
    assert agent.reply_to(number)["error"]["data"]["kind"] == "denied"


def _symlink(file: Path) -> None:
    target = file.with_name("answer")
    target.write_text("approve\n")
    file.symlink_to(target)


def _hard_link(file: Path) -> None:
    target = file.with_name("answer")
    target.write_text("approve\n")
    target.chmod(0o600)
    file.hardlink_to(target)


def _open_to_all(file: Path) -> None:
    file.touch(0o600)
    file.chmod(0o666)
    file.write_text("approve\n")


def _socket(file: Path) -> None:
    here = os.getcwd()
    os.chdir(file.parent)
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind("s")
    finally:
        os.chdir(here)
    file.with_name("s").rename(file)


@pytest.mark.parametrize(
    ("odd", "why"),
    [
        (_symlink, "it is a symbolic link"),
        (_hard_link, "another name elsewhere"),
        (_open_to_all, "others may write to it (mode 666)"),
        (os.mkfifo, "it is no regular file"),
        (_socket, "it is a socket"),
    ],
)
def test_odd_files_are_not_read(one: Sidecar, odd: Any, why: str) -> None:
    """A link that leads to a yes is none. A file of ours takes its place, and the badge warns."""
    agent, number, file = asks(one)
    file.unlink()
    until(lambda: file.exists())  # it waits, so its file is there
    fresh = file.with_name("odd")
    odd(fresh)
    fresh.replace(file)
    until(lambda: file.is_file() and not file.is_symlink() and why in file.read_text())
    until(lambda: any(why in record["data"]["why"] for record in refused(one)))
    assert not answered(one)
    assert any("refused" in warning for warning in one.operator().call("health")["warnings"])
    file.write_text("approve\n")
    assert agent.reply_to(number)["result"]["data"]["exit_code"] == 0


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")
def test_a_file_of_another_user_is_not_read(one: Sidecar) -> None:
    _, _, file = asks(one)
    fresh = file.with_name("odd")
    fresh.write_text("approve\n")
    fresh.chmod(0o600)
    os.chown(fresh, 65534, 65534)
    fresh.replace(file)
    says(file, "it belongs to uid 65534")
    assert not answered(one)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda where: where.mkdir(mode=0o755), "others may look into"),
        (lambda where: where.symlink_to("/tmp"), "is no folder that can be used"),
        (lambda where: where.touch(), "is no folder that can be used"),
        (lambda where: (where.mkdir(mode=0o700), where.parent.chmod(0o777)), "others may replace the folder"),
    ],
)
def test_an_open_folder_is_refused(make: Any, why: str) -> None:
    """Nothing is written there or taken from there, and health says why."""
    with sidecar() as one:
        where = one.folder / "home" / "answers"
        make(where)
        (one.config / "config.yaml").write_text(f"answers: {{files: true, folder: {where}}}\n")
        one.start()
        agent = one.agent()
        agent.call("human.ask_async", {"prompt": "go?"})
        assert any(why in warning for warning in one.operator().call("health")["warnings"])
        assert not where.is_dir() or where.is_symlink() or not list(where.iterdir())


def test_a_folder_that_goes_away_comes_back(one: Sidecar) -> None:
    """With the files of all that wait."""
    agent, number, file = asks(one)
    folder(one).rename(one.state / "moved")
    until(lambda: file.exists())
    (one.state / "moved" / file.name).write_text("approve\n")
    file.write_text("reject\n")
    assert agent.reply_to(number)["error"]["data"]["kind"] == "denied"


def test_a_flood_does_not_fill_the_log(one: Sidecar) -> None:
    """Whoever can write there could otherwise write as many records as they like."""
    _, _, file = asks(one)
    for number in range(60):
        file.write_text(f"nonsense{number}\n")
        says(file, f"nonsense{number}'")
    assert 20 <= len(refused(one)) <= 40


# --- agents' tools -----------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["", "~/.tmux_agent/approvals"])
def test_agents_tools_cannot_write_there(where: str) -> None:
    """Whatever the policy allows: file tools, guarded programs and shell text that an agent runs itself."""
    with sidecar() as one:
        (one.config / "config.yaml").write_text(f"answers: {{files: true, folder: '{where}'}}\n")
        everything = (
            "\n  - {name: everything, when: {file: [write, edit, copy, delete], path: ['/**']}, verdict: allow}\n"
        )
        policy = one.config / "policy.yaml"
        policy.write_text(policy.read_text().rstrip() + everything)
        one.start()
        agent = one.agent()
        agent.call("human.ask_async", {"prompt": "go?"})
        place = one.folder / "home" / ".tmux_agent" / "approvals" if where else folder(one)
        until(lambda: list(place.glob("*.txt")))
        (file,) = place.glob("*.txt")
        (one.root / "link").symlink_to(place)
        for path in (file, one.root / "link" / file.name, place / ".." / "approvals" / file.name):
            error = agent.error("file.write", {"path": str(path), "content": "approve\n"})
            assert (error["data"]["kind"], error["data"]["rule"]) == ("denied", "our own files"), path
        for text in (
            f"echo approve > {file}",
            f"cd {place} && echo approve >> {file.name}",
            f"cd {one.root}/link; echo approve > {file.name}",
            f"echo approve | tee {file}",
            f"cp /tmp/x {file}",
            f"mv /tmp/x {place}/",
            f"ln -sf /tmp/x {file}",
            f"sed -i 's/^# approve/approve/' {file}",
            f"rm -r {place}",
            f"bash -c 'echo approve > {file}'",
            f"for f in {place}/*.txt; do echo approve > {file}; done",
        ):
            found = agent.call("policy.check", {"shell": text, "cwd": str(one.root)})
            assert found["verdict"] == "deny", (text, found)
        assert len(one.operator().call("human.pending")["approvals"]) == 1


# --- what a file showed ------------------------------------------------------------------------------


class Changed:
    """The services around approval files, and a request whose row changes after its file was written."""

    def __init__(self, journal: Journal, where: Path) -> None:
        self.refusals: list[str] = []
        self.refused = asyncio.Event()
        self.tasks: list[asyncio.Task[Any]] = []
        self.approvals = Approvals(journal, Grants(journal))
        self.files = AnswerFiles(where, self.approvals, self, self._refused, self._spawn)  # type: ignore[arg-type]

    async def answer(self, request_id: str, painted: str, approved: bool, by: Origin, **more: Any) -> Approval:
        return await self.approvals.answer(request_id, painted, approved, by, **more)

    def _refused(self, by: Origin, request_id: str, why: str, *, alarming: bool = False) -> None:
        self.refusals.append(why)
        self.refused.set()

    def _spawn(self, work: Any) -> None:
        self.tasks.append(asyncio.ensure_future(work))


def test_a_request_that_changed_is_not_answered(tmp_path: Path) -> None:
    """The answer is bound to what its file showed, not to what the request has become by then."""

    async def scene() -> None:
        journal = await started(tmp_path)
        world = Changed(journal, tmp_path / "files")
        await world.approvals.recover()
        asked = question(action=Ask(prompt="before"), digest=digest(Ask(prompt="before")), kind="question")
        await world.approvals.open(asked)
        world.files.switch(True)
        file = world.files.folder / answer_file.name(asked)
        after = replace(asked, action=Ask(prompt="after"), digest=digest(Ask(prompt="after")))
        while world.tasks:
            await world.tasks.pop()
        assert "before" in file.read_text()
        await journal.commit(lambda db: store.swap_approval(db, after, state=asked.state, digest=asked.digest))
        file.write_text("approve\n")
        await world.refused.wait()
        assert "no longer what was shown" in world.refusals[0]
        with pytest.raises(Conflict):
            await world.approvals.answer(
                asked.request_id, asked.digest, True, Origin(role=Role.OPERATOR, why="", uid=0, pid=1)
            )
        world.files.close()
        await world.approvals.close()
        await journal.close()

    asyncio.run(asyncio.wait_for(scene(), 30))
