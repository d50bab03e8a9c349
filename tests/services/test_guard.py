"""The choke point on real services: a policy, a journal on disk, files and programs that are really touched."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tmux_agent.core import errors
from tmux_agent.core.model import (
    Action,
    Approval,
    ApprovalState,
    Ask,
    Command,
    File,
    Origin,
    Role,
    Shell,
    Verdict,
    digest,
)
from tmux_agent.core.settings import Settings
from tmux_agent.services.answers import Answers
from tmux_agent.services.approvals import Approvals
from tmux_agent.services.audit_log import AuditLog
from tmux_agent.services.grants import Grants
from tmux_agent.services.guard import Guard
from tmux_agent.services.identity import Identity
from tmux_agent.services.ids import new_id
from tmux_agent.services.journal import Journal
from tmux_agent.services.judgement import Judgement
from tmux_agent.services.kept_rules import KeptRules
from tmux_agent.services.proofs import Proofs
from tmux_agent.services.tmux.servers import Servers
from tmux_agent.services.toolbox import Toolbox
from tmux_agent.services.wishes import Wish

PERSON = Origin(role=Role.OPERATOR, why="test", uid=os.getuid(), pid=1, session="person", tty="/dev/pts/1")
POLICY = """
version: 1
roots: ["{worktree}"]
rules:
  - name: no curl
    when: {command: [curl, ...]}
    verdict: deny
    reason: nothing leaves this machine
  - name: reading
    when: {file: [read, list], inside: "{worktree}"}
    verdict: allow
  - name: say
    when: {command: [echo], operands: [any]}
    verdict: allow
  - name: state
    when: {command: [git, status]}
    verdict: allow
  - name: patches
    when: {command: [git, log], options: [-p]}
    verdict: allow
  - name: with a proof
    when: {command: [[rsync, id], ...]}
    verdict: ask
    step_up: [grep, -qx, sesame]
"""


class World:
    """One worktree, one agent, one person, and the services between them."""

    def __init__(self, folder: Path) -> None:
        self.worktree = folder / "work"
        self.worktree.mkdir()
        subprocess.run(["git", "init", "-q", str(self.worktree)], check=True)
        self.config = folder / "config"
        self.config.mkdir()
        (self.config / "policy.yaml").write_text(POLICY)
        state = folder / "state"
        state.mkdir(mode=0o700)
        self.audit = state / "audit.jsonl"
        self.agent = Origin(
            role=Role.AGENT, why="test", uid=os.getuid(), pid=2, agent="claude", session="s1",
            cwd=str(self.worktree), worktree=str(self.worktree),
        )  # fmt: skip
        self.journal = Journal(state / "state.db", self.audit)
        self.grants = Grants(self.journal)
        self.approvals = Approvals(self.journal, self.grants)
        self.judgement = Judgement(
            folder=self.config, state=state, home=str(folder), environ=os.environ, background=True
        )
        assert self.judgement.load() == ()
        servers = Servers(Identity(), "", folder / "served")
        self.toolbox = Toolbox(self.judgement, servers, Settings(), folder / "backups")
        kept = KeptRules(self.config)
        self.guard = Guard(self.judgement, self.journal, self.approvals, self.grants, self.toolbox)
        proofs = Proofs(self.journal, lambda *_, **__: True)
        self.answers = Answers(self.judgement, self.journal, self.approvals, self.grants, self.toolbox, kept, proofs)

    def wish(self, action: Action, **more: Any) -> Wish:
        return Wish(action=action, origin=self.agent, request_id=new_id(), **more)

    def command(self, *argv: str) -> Command:
        return Command(argv=argv, cwd=str(self.worktree))

    def repository_says(self, name: str, value: str) -> None:
        subprocess.run(["git", "-C", str(self.worktree), "config", name, value], check=True)

    def write(self, name: str, content: str) -> File:
        return File(verb="write", path=str(self.worktree / name), content=content)

    async def asked(self) -> Approval:
        """The approval that waits, once it does."""
        if found := self.approvals.pending():
            return found[0]
        async for heard in await self.journal.subscribe(["approval.opened"], since=0):
            if found := self.approvals.pending():
                return found[0]
            del heard
        raise AssertionError("nothing was asked")

    async def answer(self, approved: bool, **more: Any) -> Approval:
        one = await self.asked()
        return await self.answers.answer(one.request_id, one.digest, approved, PERSON, **more)

    def records(self) -> list[str]:
        assert AuditLog(self.audit).verify().ok
        return [record.type for record in AuditLog(self.audit).records()]


Story = Callable[[World], Coroutine[Any, Any, None]]


@pytest.fixture
def play(tmp_path: Path) -> Callable[[Story], World]:
    """Runs a story in a fresh world, and closes it; the world can be looked at afterwards."""

    def run(story: Story) -> World:
        world = World(tmp_path)

        async def whole() -> None:
            await world.journal.start()
            try:
                await story(world)
            finally:
                await world.approvals.close()
                await world.journal.close()

        asyncio.run(whole())
        return world

    return run


def test_what_is_allowed_is_recorded_before_it_is_run(play: Callable[[Story], World]) -> None:
    """An allowed command runs without asking, with a record before and one after."""

    async def story(world: World) -> None:
        outcome = await world.guard.perform(world.wish(world.command("echo", "hello")))
        assert outcome.data.stdout == "hello\n"

    assert play(story).records() == ["decision", "action.started", "action.finished"]


def test_a_history_is_read_before_it_is_judged(play: Callable[[Story], World]) -> None:
    """What a thread has to look through first is waited for, by agents and by those who only want to know."""

    async def story(world: World) -> None:
        patch = world.command("git", "log", "-p")
        assert world.guard.foresee(patch, world.agent) is None
        assert (await world.guard.judge(world.wish(patch))).verdict is Verdict.ALLOW
        assert (await world.guard.checked(patch, world.agent)).verdict is Verdict.ALLOW

    play(story)


def test_a_rule_that_runs_out_is_used_once_for_each(play: Callable[[Story], World]) -> None:
    """Also where something had to be read first and it was judged twice; looking uses nothing up."""

    async def story(world: World) -> None:
        rule = (
            "rules: [{name: few, when: {command: [git, log], options: [-p]}, verdict: allow, for: {uses: 2, per: 1h}}]"
        )
        (world.config / "policy.yaml").write_text(rule)
        (world.worktree / ".tmuxagent").mkdir()
        (world.worktree / ".tmuxagent" / "policy.yaml").write_text("rules: []")
        assert world.judgement.load() == ()
        patch = world.command("git", "log", "-p")
        for _ in range(3):
            assert (await world.guard.checked(patch, world.agent)).verdict is Verdict.ALLOW
        found = [(await world.guard.judge(world.wish(patch))).verdict for _ in range(3)]
        assert found == [Verdict.ALLOW, Verdict.ALLOW, Verdict.ASK]

    play(story)


def test_what_a_person_chose_is_done_without_asking(play: Callable[[Story], World]) -> None:
    """It runs and is recorded as theirs, where the policy would have asked; what the policy denies stays undone."""

    async def story(world: World) -> None:
        def wish(*argv: str) -> Wish:
            return Wish(action=world.command(*argv), origin=PERSON, request_id=new_id())

        assert world.guard.check(world.command("printf", "x"), PERSON).verdict is Verdict.ASK
        outcome = await world.guard.told(wish("printf", "x"))
        assert outcome.data.stdout == "x"
        with pytest.raises(errors.Denied, match="nothing leaves this machine"):
            await world.guard.told(wish("curl", "http://x.example"))
        assert not world.approvals.pending()

    world = play(story)
    assert world.records() == ["decision", "action.started", "action.finished", "decision"]
    done, denied = [one for one in AuditLog(world.audit).records() if one.type == "decision"]
    assert (done.data["rule"], done.origin["role"]) == ("a person", "operator")
    assert denied.data["verdict"] == "deny"


def test_what_is_denied_is_recorded_and_not_run(play: Callable[[Story], World]) -> None:
    """The error names the rule and its reason."""

    async def story(world: World) -> None:
        with pytest.raises(errors.Denied, match=r"no curl.*nothing leaves this machine"):
            await world.guard.perform(world.wish(world.command("curl", "file:///etc/hostname", "-o", "stolen")))

    world = play(story)
    assert world.records() == ["decision"]
    assert not (world.worktree / "stolen").exists()


def test_an_approved_action_is_the_stored_one(play: Callable[[Story], World]) -> None:
    """Asked, answered with the digest that was shown, recorded, run, recorded."""

    async def story(world: World) -> None:
        task = asyncio.create_task(world.guard.perform(world.wish(world.write("a.txt", "one\n"))))
        approval = await world.asked()
        assert "+one" in approval.preview
        await world.answer(True)
        await task

    world = play(story)
    assert (world.worktree / "a.txt").read_text() == "one\n"
    assert world.records() == ["approval.opened", "approval.answered", "action.started", "action.finished"]


def test_a_denial_carries_the_persons_words(play: Callable[[Story], World]) -> None:
    """The agent reads why."""

    async def story(world: World) -> None:
        task = asyncio.create_task(world.guard.perform(world.wish(world.write("a.txt", "x"))))
        await world.answer(False, comment="not there")
        with pytest.raises(errors.Denied, match="a person said no: not there"):
            await task

    assert not (play(story).worktree / "a.txt").exists()


def test_what_runs_after_an_edit_is_what_was_shown(play: Callable[[Story], World]) -> None:
    """The edited action replaces the stored one, also where it goes to another file."""

    async def story(world: World) -> None:
        task = asyncio.create_task(world.guard.perform(world.wish(world.write("a.txt", "agent\n"))))
        await world.answer(True, edited=world.write("b.txt", "person\n"))
        await task

    world = play(story)
    assert (world.worktree / "b.txt").read_text() == "person\n"
    assert not (world.worktree / "a.txt").exists()


def test_an_edit_cannot_get_past_a_deny(play: Callable[[Story], World]) -> None:
    """Neither into what a rule denies, nor into another kind of action."""

    async def story(world: World) -> None:
        task = asyncio.create_task(world.guard.perform(world.wish(world.command("make", "all"))))
        one = await world.asked()
        with pytest.raises(errors.Denied, match="no curl"):
            await world.answer(True, edited=world.command("curl", "x"))
        with pytest.raises(errors.InvalidParams, match="kind"):
            await world.answer(True, edited=world.write("a", "b"))
        assert world.approvals.get(one.request_id).state is ApprovalState.PENDING
        await world.answer(False)
        with pytest.raises(errors.Denied):
            await task

    play(story)


def test_an_edit_cannot_get_past_a_proof(play: Callable[[Story], World]) -> None:
    """What demands a proof is not reached by editing something that does not; nor is the original allowed again."""

    async def story(world: World) -> None:
        task = asyncio.create_task(world.guard.perform(world.wish(world.command("make", "all"))))
        one = await world.asked()
        with pytest.raises(errors.Forbidden, match="proof"):
            await world.answer(True, edited=world.command("rsync", "a", "b"))
        with pytest.raises(errors.InvalidParams, match="edited"):
            await world.answer(True, edited=world.command("make", "some"), grant="exact")
        assert world.approvals.get(one.request_id).state is ApprovalState.PENDING
        await world.answer(False)
        with pytest.raises(errors.Denied):
            await task

    play(story)


def test_a_file_that_changed_since_it_was_shown_is_not_overwritten(play: Callable[[Story], World]) -> None:
    """Approved, but the facts hold no longer: conflict, and nothing is done."""

    async def story(world: World) -> None:
        target = world.worktree / "a.txt"
        target.write_text("shown\n")
        task = asyncio.create_task(world.guard.perform(world.wish(world.write("a.txt", "new\n"))))
        await world.asked()
        target.write_text("changed meanwhile\n")
        await world.answer(True)
        with pytest.raises(errors.Conflict, match="approved, but not done"):
            await task
        assert target.read_text() == "changed meanwhile\n"

    play(story)


def test_a_link_that_is_swapped_leads_nowhere(play: Callable[[Story], World], tmp_path: Path) -> None:
    """A path that led inside when it was asked, and outside when it was answered, is not followed."""

    async def story(world: World) -> None:
        outside = tmp_path / "outside"
        outside.mkdir()
        inside = world.worktree / "real"
        inside.mkdir()
        link = world.worktree / "link"
        link.symlink_to(inside)
        task = asyncio.create_task(world.guard.perform(world.wish(world.write("link/f", "x"))))
        await world.asked()
        link.unlink()
        link.symlink_to(outside)
        await world.answer(True)
        with pytest.raises(errors.Conflict):
            await task
        assert list(outside.iterdir()) == []

    play(story)


def test_nobody_answers_in_time(play: Callable[[Story], World]) -> None:
    """The request expires, and is not done."""

    async def story(world: World) -> None:
        with pytest.raises(errors.Expired):
            await world.guard.perform(world.wish(world.write("a.txt", "x"), timeout=0.01))

    assert play(story).records() == ["approval.opened", "approval.expired"]


def test_an_asker_that_goes_away_withdraws(play: Callable[[Story], World]) -> None:
    """Its approval leaves the popup; where the sidecar stops, it stays."""

    async def story(world: World) -> None:
        task = asyncio.create_task(world.guard.perform(world.wish(world.write("a.txt", "x"))))
        one = await world.asked()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await world.approvals.wait(one.request_id)).state is ApprovalState.WITHDRAWN
        task = asyncio.create_task(world.guard.perform(world.wish(world.write("b.txt", "x"))))
        two = await world.asked()
        world.approvals.stopping = True
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert world.approvals.get(two.request_id).state is ApprovalState.PENDING

    play(story)


def test_only_operators_answer(play: Callable[[Story], World]) -> None:
    """Whatever the message says, the origin's role decides."""

    async def story(world: World) -> None:
        task = asyncio.create_task(world.guard.perform(world.wish(world.write("a.txt", "x"))))
        one = await world.asked()
        with pytest.raises(errors.Forbidden, match="only an operator"):
            await world.answers.answer(one.request_id, one.digest, True, world.agent)
        with pytest.raises(errors.Conflict):
            await world.answers.answer(one.request_id, "0" * 64, True, PERSON)
        await world.answer(False)
        with pytest.raises(errors.Denied):
            await task

    play(story)


def test_a_request_sent_again_is_run_once(play: Callable[[Story], World]) -> None:
    """With the same key, an allowed or approved request gives its kept outcome and runs nothing twice."""

    async def story(world: World) -> None:
        counter = world.worktree / "count"
        program = world.worktree / "add.py"
        program.write_text(f"open({str(counter)!r}, 'a').write('x')")
        again = world.wish(world.command(sys.executable, str(program)), key="k1")
        task = asyncio.create_task(world.guard.perform(again))
        await world.answer(True)
        await task
        await world.guard.perform(world.wish(again.action, key="k1"))
        assert counter.read_text() == "x"
        await world.guard.perform(world.wish(world.command("echo", "hi"), key="k2"))
        await world.guard.perform(world.wish(world.command("echo", "hi"), key="k2"))

    world = play(story)
    assert world.records().count("action.started") == 2


def test_a_client_that_comes_back_late_gets_its_answer(
    play: Callable[[Story], World], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many others may have been settled since, so that only the database knows of what it asked."""
    monkeypatch.setattr("tmux_agent.services.approvals.RECENT", 1)

    async def story(world: World) -> None:
        late = world.wish(Ask(prompt="Late?"), key="k1")
        task = asyncio.create_task(world.guard.perform(late))
        first = await world.answer(True)
        await task
        for number in range(3):
            other = asyncio.create_task(world.guard.perform(world.wish(Ask(prompt=f"{number}?"))))
            await world.answer(True)
            await other
        assert (await world.guard.perform(late)).data.request_id == first.request_id
        assert (await world.guard.ask(late)).request_id == first.request_id

    play(story)


def test_an_exact_grant_is_for_this_session_and_this_action(play: Callable[[Story], World]) -> None:
    """The same again goes through; another argument, and another session, ask."""

    async def story(world: World) -> None:
        make = world.command("touch", "made")
        task = asyncio.create_task(world.guard.perform(world.wish(make)))
        await world.answer(True, grant="exact")
        await task
        await world.guard.perform(world.wish(make))
        assert world.guard.check(world.command("touch", "other"), world.agent).verdict is Verdict.ASK
        stranger = Origin(role=Role.AGENT, why="", uid=0, pid=3, session="s2", cwd=make.cwd, worktree=make.cwd)
        assert world.guard.check(make, stranger).verdict is Verdict.ASK

    play(story)


def test_always_is_written_into_the_policy(play: Callable[[Story], World]) -> None:
    """The rule that was shown stands in policy.d/50-grants.yaml, and counts at once."""

    async def story(world: World) -> None:
        make = world.command("touch", "made")
        task = asyncio.create_task(world.guard.perform(world.wish(make)))
        one = await world.asked()
        offer = next(offer for offer in world.answers.proposals(one) if offer.scope == "always")
        await world.answers.answer(one.request_id, one.digest, True, PERSON, grant=offer)
        await task
        assert world.guard.check(make, world.agent).verdict is Verdict.ALLOW

    world = play(story)
    assert "touch" in (world.config / "policy.d" / "50-grants.yaml").read_text()
    assert "grant.made" in world.records()


def test_an_edited_rule_must_allow_what_is_asked(play: Callable[[Story], World]) -> None:
    """A rule with an error, one that denies, and one that misses the action are said to be so."""

    async def story(world: World) -> None:
        task = asyncio.create_task(world.guard.perform(world.wish(world.command("touch", "made"))))
        one = await world.asked()
        offer = next(offer for offer in world.answers.proposals(one) if offer.scope == "shape")
        for text, says in (
            ("name: x\nwhen: {comand: [touch]}\nverdict: allow\n", "comand"),
            ("name: x\nwhen: {command: [touch, ...]}\nverdict: deny\n", "allow"),
            ("name: x\nwhen: {command: [rm, ...]}\nverdict: allow\n", "does not allow this action"),
        ):
            with pytest.raises(errors.InvalidParams, match=says):
                world.answers.revise(one, offer, text)
        text = "name: any touch\nwhen: {command: [touch], operands: [paths]}\nverdict: allow\n"
        good = world.answers.revise(one, offer, text)
        await world.answers.answer(one.request_id, one.digest, True, PERSON, grant=good)
        await task
        assert world.guard.check(world.command("touch", "other"), world.agent).verdict is Verdict.ALLOW

    play(story)


def test_nothing_is_done_that_cannot_be_recorded(play: Callable[[Story], World]) -> None:
    """With an unwritable log an allowed command is not run."""

    async def story(world: World) -> None:
        world.audit.unlink(missing_ok=True)
        world.audit.mkdir()
        with pytest.raises(errors.Unavailable):
            await world.guard.perform(world.wish(world.command("echo", "hi")))
        with pytest.raises(errors.Unavailable):
            await world.guard.judge(world.wish(Shell(text="echo hi", cwd=str(world.worktree))))
        world.audit.rmdir()

    play(story)


def become_link(world: World) -> None:
    """A file becomes a link that leads out."""
    (world.worktree / "in" / "a").unlink()
    (world.worktree / "in" / "a").symlink_to("/etc/passwd")


def become_elsewhere(world: World) -> None:
    """The folder on the way becomes a link."""
    (world.worktree / "in").rename(world.worktree / "was")
    (world.worktree / "in").symlink_to("/tmp")


def become_folder(world: World) -> None:
    """What was a file takes files in."""
    (world.worktree / "in" / "a").unlink()
    (world.worktree / "in" / "a").mkdir()


def become_hard_link(world: World) -> None:
    """The same content under another name that somebody may watch."""
    (world.worktree / "secret").write_text("s")
    (world.worktree / "in" / "a").unlink()
    (world.worktree / "in" / "a").hardlink_to(world.worktree / "secret")


CHANGES: list[tuple[Callable[[World], None], tuple[str, ...]]] = [
    (become_link, ("touch", "in/a")),
    (become_elsewhere, ("touch", "in/a")),
    (become_folder, ("cp", "b", "in/a")),
    (become_hard_link, ("tee", "in/a")),
    (become_elsewhere, ("sh", "-c", "echo x >>in/new")),
]


@pytest.mark.parametrize(("change", "argv"), CHANGES, ids=[f"{one.__name__}-{argv[0]}" for one, argv in CHANGES])
def test_a_place_that_became_another_is_not_touched(
    play: Callable[[Story], World], change: Callable[[World], None], argv: tuple[str, ...]
) -> None:
    """What the policy was asked about is looked at again just before it is run."""

    async def story(world: World) -> None:
        (world.worktree / "in").mkdir()
        (world.worktree / "in" / "a").write_text("old")
        (world.worktree / "b").write_text("b")
        task = asyncio.create_task(world.guard.perform(world.wish(world.command(*argv))))
        await world.asked()
        change(world)
        await world.answer(True)
        with pytest.raises(errors.Conflict, match=r"approved, but not done: .* is not what it was"):
            await task

    records = play(story).records()
    assert "action.started" not in records
    assert records[-1] == "action.skipped"


def test_a_script_or_repository_that_became_another_is_not_run(play: Callable[[Story], World]) -> None:
    """What an interpreter would run, and what a repository makes git run, are as they were when it was asked."""

    async def story(world: World) -> None:
        (world.worktree / "build.py").write_text("print('shown')")
        hook = world.worktree / ".git" / "hooks" / "pre-commit"
        hook.write_text("#!/bin/sh\n: shown")
        hook.chmod(0o755)
        world.repository_says("core.fsmonitor", "./watch")
        for argv, change in (
            (("git", "commit", "-m", "x"), lambda: hook.write_text("#!/bin/sh\n: other")),
            ((sys.executable, "build.py"), lambda: (world.worktree / "build.py").write_text("print('other')")),
            (("git", "status"), lambda: world.repository_says("diff.external", "./evil")),
        ):
            task = asyncio.create_task(world.guard.perform(world.wish(world.command(*argv))))
            await world.asked()
            change()
            await world.answer(True)
            with pytest.raises(errors.Conflict, match="is not what it was"):
                await task

    assert "action.started" not in play(story).records()


@pytest.mark.parametrize(
    "argv",
    [
        ("sh", "x.sh"),
        ("./x.sh",),
        ("env", "./x.sh"),
        ("timeout", "9", "sh", "./x.sh"),
        ("bash", "-o", "pipefail", "x.sh"),
        ("bash", "-c", "cd sub; sh ../x.sh"),
        ("bash", "-c", ". ./x.sh"),
        ("bash", "-c", "sh < x.sh"),
        ("make", "-f", "x.sh"),
        ("awk", "-f", "x.sh"),
    ],
)
def test_a_file_that_is_run_is_the_one_that_was_there(play: Callable[[Story], World], argv: tuple[str, ...]) -> None:
    """A script edited in place, with its time set back, after it was asked for: not done, whatever runs it."""

    async def story(world: World) -> None:
        (world.worktree / "sub").mkdir()
        script = world.worktree / "x.sh"
        script.write_text("#!/bin/sh\n: 1\n")
        script.chmod(0o755)
        task = asyncio.create_task(world.guard.perform(world.wish(world.command(*argv))))
        await world.asked()
        before = script.stat()
        script.write_text("#!/bin/sh\n: 2\n")
        os.utime(script, ns=(before.st_atime_ns, before.st_mtime_ns))
        await world.answer(True)
        with pytest.raises(errors.Conflict, match=r"is not what it was|changed meanwhile"):
            await task

    assert "action.started" not in play(story).records()


def test_a_yes_to_what_the_agent_runs_is_to_the_file_that_was_there(play: Callable[[Story], World]) -> None:
    """A script edited while its hook's question waits cannot be said yes to; a no is taken."""

    async def story(world: World) -> None:
        script = world.worktree / "x.sh"
        script.write_text(": shown")
        wish = world.wish(Shell(text="echo a && sh x.sh", cwd=str(world.worktree)))
        waiting = await world.guard.put(wish, world.guard.check(wish.action, world.agent))
        script.write_text(": other")
        with pytest.raises(errors.Conflict, match=r"x\.sh is not what it was"):
            await world.answer(True)
        await world.answer(False, comment="it changed")
        assert world.approvals.get(waiting.request_id).state is ApprovalState.DENIED

    play(story)


def test_a_yes_to_what_the_agent_runs_waits_for_the_repositorys_policy(play: Callable[[Story], World]) -> None:
    """Which has just become another and is read by a thread: meanwhile nothing is known of what is run."""

    async def story(world: World) -> None:
        script = world.worktree / "x.sh"
        script.write_text(": shown")
        wish = world.wish(Shell(text="sh x.sh", cwd=str(world.worktree)))
        decision = await world.guard.checked(wish.action, world.agent)
        (world.worktree / ".tmuxagent").mkdir()
        (world.worktree / ".tmuxagent" / "policy.yaml").write_text("rules: []")
        await world.guard.put(wish, decision)
        script.write_text(": other")
        with pytest.raises(errors.Conflict, match=r"x\.sh is not what it was"):
            await world.answer(True)

    play(story)


def test_what_a_sandboxed_agent_has_done_is_what_was_there(play: Callable[[Story], World]) -> None:
    """A person is asked because it would be done outside the sandbox, though a rule allows it: it rests on what is in
    the files that it runs all the same, and the agent's edit while it waits is noticed."""

    async def story(world: World) -> None:
        rule = "rules: [{name: build, when: {command: [make, ...]}, verdict: allow}]"
        (world.config / "policy.yaml").write_text(rule)
        assert world.judgement.load() == ()
        world.agent = msgspec.structs.replace(world.agent, sandbox=True)
        recipe = world.worktree / "Makefile"
        recipe.write_text("all:\n\t@true\n")
        task = asyncio.create_task(world.guard.perform(world.wish(world.command("make"))))
        assert (await world.asked()).rule == "sandbox"
        recipe.write_text("all:\n\t@fals\n")
        await world.answer(True)
        with pytest.raises(errors.Conflict, match="Makefile is not what it was"):
            await task

    assert "action.started" not in play(story).records()


def test_what_is_declared_in_two_forms_rests_on_both(play: Callable[[Story], World]) -> None:
    """What is typed into a pane is judged as shell text, too: the script that it runs must be what was there."""

    async def story(world: World) -> None:
        rule = "rules: [{name: scripts, when: {command: [sh, ...]}, verdict: ask}]"
        (world.config / "policy.yaml").write_text(rule)
        assert world.judgement.load() == ()
        script = world.worktree / "x.sh"
        script.write_text(": shown")
        also = Shell(text="sh x.sh", cwd=str(world.worktree))
        wish = world.wish(world.command("true"))
        task = asyncio.create_task(world.guard.declared(wish, approved=False, also=also))
        assert (await world.asked()).rule == "scripts"
        script.write_text(": other")
        await world.answer(True)
        with pytest.raises(errors.Conflict, match=r"x\.sh is not what it was"):
            await task

    assert "action.started" not in play(story).records()


def test_more_files_than_a_person_oversees_are_not_run(play: Callable[[Story], World]) -> None:
    """Scripts beyond the number whose contents are kept in mind are refused, not let through unlooked at."""

    async def story(world: World) -> None:
        text = "; ".join(f"sh {number}.sh" for number in range(65))
        with pytest.raises(errors.LimitExceeded, match="smaller parts"):
            await world.guard.perform(world.wish(world.command("bash", "-c", text)))

    play(story)


def test_what_was_asked_before_may_be_done_before(play: Callable[[Story], World]) -> None:
    """Several yeses to what writes the same file: each is done, though the one before made the file, and it grew."""

    async def story(world: World) -> None:
        tasks = [
            asyncio.create_task(world.guard.perform(world.wish(world.command("sh", "-c", f"echo {at} >>made"))))
            for at in range(3)
        ]
        async for _ in await world.journal.subscribe(["approval.opened"], since=0):
            if len(world.approvals.pending()) == len(tasks):
                break
        for _ in tasks:
            await world.answer(True)
        await asyncio.gather(*tasks)

    assert sorted((play(story).worktree / "made").read_text().split()) == list("012")


@pytest.mark.parametrize("swapped", [False, True])
def test_what_a_person_edited_rests_on_its_own_facts(play: Callable[[Story], World], swapped: bool) -> None:
    """Of the edited action it is looked at what that one touches, as it was when it was edited."""

    async def story(world: World) -> None:
        task = asyncio.create_task(world.guard.perform(world.wish(world.command("touch", "a"))))
        await world.asked()
        (world.worktree / "a").symlink_to("/tmp")
        changed = world.toolbox.changed

        async def meanwhile(*args: Any) -> str | None:
            if swapped:
                (world.worktree / "b").symlink_to("/tmp")
            return await changed(*args)

        world.toolbox.changed = meanwhile  # type: ignore[method-assign]
        await world.answer(True, edited=world.command("touch", "b"))
        if swapped:
            with pytest.raises(errors.Conflict, match="/b is not what it was"):
                await task
        else:
            await task

    play(story)


def test_more_than_can_be_looked_at_again_is_not_asked(play: Callable[[Story], World]) -> None:
    """A command that names very many places is refused, with what to do."""

    async def story(world: World) -> None:
        with pytest.raises(errors.LimitExceeded, match="smaller parts"):
            await world.guard.perform(world.wish(world.command("touch", *(f"f{number}" for number in range(10_001)))))

    play(story)


def test_a_question_is_always_a_persons(play: Callable[[Story], World]) -> None:
    """The answer, with its choice, is the outcome."""

    async def story(world: World) -> None:
        task = asyncio.create_task(world.guard.perform(world.wish(Ask(prompt="Where?", options=("a", "b")))))
        await world.answer(True, choice="b")
        approval = (await task).data
        assert approval.answer.choice == "b"
        assert approval.digest == digest(approval.action)

    play(story)


def test_what_a_defect_ends_has_its_end_in_the_record(
    play: Callable[[Story], World], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not taken for running until the next start, and its asker is told."""

    async def breaks(*_: object) -> None:
        raise RuntimeError("a defect")

    async def story(world: World) -> None:
        monkeypatch.setattr(world.guard._toolbox, "run", breaks)
        task = asyncio.create_task(world.guard.perform(world.wish(world.write("a.txt", "new\n"))))
        one = await world.answer(True)
        with pytest.raises(RuntimeError):
            await task
        outcome = await world.approvals.outcome(one.request_id)
        assert outcome is not None
        assert not outcome.ok

    assert play(story).records()[-2:] == ["action.started", "action.finished"]


# --- proofs ------------------------------------------------------------------------------------------


def test_a_proof_is_for_one_answer(play: Callable[[Story], World]) -> None:
    """No yes without it, whatever else comes along; a no needs none; what was proved for one is not for the next."""

    async def story(world: World) -> None:
        first = asyncio.create_task(world.guard.perform(world.wish(world.command("id", "-u"))))
        for more in ({}, {"grant": "exact"}, {"edited": world.command("id", "-g")}, {"secret": "wrong"}):
            with pytest.raises((errors.Forbidden, errors.Denied, errors.InvalidParams)):
                await world.answer(True, **more)
        one = await world.asked()
        with pytest.raises(errors.Conflict):
            await world.answers.answer(one.request_id, "0" * 64, True, PERSON, secret="sesame")
        assert world.records().count("step_up") == 1, "what is no answer any more uses up no attempt"
        await world.answer(True, secret="sesame")
        await first
        again = asyncio.create_task(world.guard.perform(world.wish(world.command("id", "-u"))))
        with pytest.raises(errors.Forbidden, match="demands a proof"):
            await world.answer(True)
        await world.answer(False)
        with pytest.raises(errors.Denied):
            await again
        assert "sesame" not in world.audit.read_text().replace('"sesame"]', "")

    play(story)


PROVED_BY_NOW = """
version: 1
rules:
  - {name: by now, when: {command: [touch, ...]}, verdict: ask, step_up: [grep, -qx, sesame]}
"""


def test_a_proof_that_is_demanded_only_now(play: Callable[[Story], World]) -> None:
    """The rule came after the question, or after the yes: what was asked without it is not done without it."""

    async def story(world: World) -> None:
        early = asyncio.create_task(world.guard.perform(world.wish(world.command("touch", "early"))))
        one = await world.asked()
        (world.config / "policy.yaml").write_text(PROVED_BY_NOW)
        assert world.judgement.load() == ()
        for more in ({}, {"secret": "sesame"}, {"grant": "exact"}):
            with pytest.raises(errors.Forbidden, match="by now"):
                await world.answer(True, **more)
        with pytest.raises(errors.Forbidden, match="demands a proof for the edited action"):
            await world.answer(True, edited=world.command("touch", "other"))
        await world.answer(False)
        with pytest.raises(errors.Denied):
            await early
        (world.config / "policy.yaml").write_text(POLICY)
        assert world.judgement.load() == ()
        late = await world.guard.ask(world.wish(world.command("touch", "late"), key="k"))
        await world.answer(True)
        (world.config / "policy.yaml").write_text(PROVED_BY_NOW)
        assert world.judgement.load() == ()
        with pytest.raises(errors.Conflict, match="demands a proof for it by now"):
            await world.guard.perform(Wish(action=late.action, origin=world.agent, request_id=new_id(), key="k"))
        assert not list(world.worktree.glob("[el]a*"))
        assert one.step_up == ()

    assert "action.skipped" in play(story).records()


def test_a_yes_to_an_agents_own_doing_that_is_denied_by_now(play: Callable[[Story], World]) -> None:
    async def story(world: World) -> None:
        wish = world.wish(world.command("touch", "made"), key="k")
        one = await world.guard.put(wish, world.guard.check(wish.action, wish.origin))
        (world.config / "policy.yaml").write_text(PROVED_BY_NOW.replace("ask, step_up: [grep, -qx, sesame]", "deny"))
        assert world.judgement.load() == ()
        with pytest.raises(errors.Denied, match="denies it by now"):
            await world.answer(True)
        assert world.approvals.get(one.request_id).state is ApprovalState.PENDING

    play(story)


def test_what_is_confirmed_or_declared_skips_no_proof(play: Callable[[Story], World]) -> None:
    """A page of a menu cannot prove anything; a yes to a stage is no proof for what it does."""

    async def story(world: World) -> None:
        told = world.wish(world.command("id", "-u"))
        with pytest.raises(errors.Denied, match="demands a proof"):
            await world.guard.told(told)
        task = asyncio.create_task(world.guard.declared(world.wish(world.command("id", "-u")), approved=True))
        with pytest.raises(errors.Forbidden, match="demands a proof"):
            await world.answer(True)
        await world.answer(True, secret="sesame")
        assert (await task).ok

    play(story)
