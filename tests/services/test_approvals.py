"""Tests of services/approvals.py: every way a question can end, once, durably, and with everybody told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.patience import PATIENCE
from tests.services.sidecar_values import ACTION, AGENT, PERSON, in_loop, question, started

from tmux_agent.core.errors import (
    Conflict,
    Forbidden,
    InvalidParams,
    LimitExceeded,
    NotFound,
    TimedOut,
    Unavailable,
)
from tmux_agent.core.model import Approval, ApprovalState, Ask, Command, Outcome, Verdict, digest
from tmux_agent.services.approvals import Approvals
from tmux_agent.services.audit_log import AuditLog
from tmux_agent.services.grants import Grants
from tmux_agent.services.journal import utc_now


@asynccontextmanager
async def sidecar(folder: Path, **options: Any) -> AsyncIterator[Approvals]:
    """Approvals on the files in `folder`, as after a start."""
    journal = await started(folder)
    grants = Grants(journal)
    approvals = Approvals(journal, grants, **options)
    await grants.recover()
    await approvals.recover()
    try:
        yield approvals
    finally:
        await approvals.close()
        await journal.close()


def records(folder: Path) -> list[Any]:
    return list(AuditLog(folder / "audit.jsonl").records())


def kinds(folder: Path) -> list[str]:
    return [record.type for record in records(folder)]


def soon(**changes: Any) -> Approval:
    """A question whose time is over in 20 ms."""
    return question(expires=datetime.now(UTC) + timedelta(seconds=0.02), **changes)


async def waiters(approvals: Approvals, request_id: str, count: int = 1) -> list[asyncio.Task[Approval]]:
    """So many that wait for it, and do so by now."""
    tasks = [asyncio.create_task(approvals.wait(request_id)) for _ in range(count)]
    done, _ = await asyncio.wait(tasks, timeout=0)
    assert not done
    return tasks


# --- answers -----------------------------------------------------------------------------------------


@in_loop
async def test_a_yes_reaches_everybody_who_waits(tmp_path: Path) -> None:
    """Several waiters, early and late, all get the settled approval; it is pending no more."""
    async with sidecar(tmp_path) as approvals:
        one = await approvals.open(question())
        waiting = await waiters(approvals, one.request_id, 3)
        answered = await approvals.answer(one.request_id, one.digest, True, PERSON, comment="go on")
        assert answered.state is ApprovalState.APPROVED
        assert answered.answer is not None
        assert (answered.answer.by, answered.answer.comment) == (PERSON, "go on")
        assert await asyncio.gather(*waiting) == [answered] * 3
        assert await approvals.wait(one.request_id) == answered
        assert approvals.pending() == ()
        assert approvals.get(one.request_id) == answered
    assert kinds(tmp_path) == ["approval.opened", "approval.answered"]
    assert records(tmp_path)[1].origin["client"] == "/dev/pts/1"


@in_loop
async def test_of_two_operators_one_wins_and_the_other_is_told_who(tmp_path: Path) -> None:
    """At the same instant: one answer, one record, one Conflict that names the winner."""
    async with sidecar(tmp_path) as approvals:
        one = await approvals.open(question())
        other = replace(PERSON, client="/dev/pts/2", pid=77)
        first, second = await asyncio.gather(
            approvals.answer(one.request_id, one.digest, True, PERSON),
            approvals.answer(one.request_id, one.digest, False, other),
            return_exceptions=True,
        )
        assert isinstance(first, Approval)
        assert isinstance(second, Conflict)
        assert "approved already by /dev/pts/1 (pid 99)" in second.message
        assert approvals.get(one.request_id).state is ApprovalState.APPROVED
    assert kinds(tmp_path).count("approval.answered") == 1


@in_loop
async def test_an_answer_is_for_what_was_shown(tmp_path: Path) -> None:
    """Another digest is a conflict and answers nothing."""
    async with sidecar(tmp_path) as approvals:
        one = await approvals.open(question())
        with pytest.raises(Conflict, match="no longer what was shown"):
            await approvals.answer(one.request_id, "0" * 64, True, PERSON)
        assert approvals.pending() == (one,)
        with pytest.raises(NotFound):
            await approvals.answer("01NOSUCH", one.digest, True, PERSON)


@in_loop
async def test_only_operators_answer(tmp_path: Path) -> None:
    """An agent's yes to itself is refused here too, whatever let it through."""
    async with sidecar(tmp_path) as approvals:
        one = await approvals.open(question())
        with pytest.raises(Forbidden):
            await approvals.answer(one.request_id, one.digest, True, AGENT)
        assert approvals.pending() == (one,)


@in_loop
async def test_what_was_edited_is_what_is_approved(tmp_path: Path) -> None:
    """The new action and its digest are kept; the record has both, so that the original is never lost."""
    edited = Command(argv=("git", "push", "--dry-run"), cwd="/src/shop")
    async with sidecar(tmp_path) as approvals:
        one = await approvals.open(question(preview="old"))
        done = await approvals.answer(one.request_id, one.digest, True, PERSON, edited=edited)
        assert (done.action, done.digest, done.preview) == (edited, digest(edited), "")
        assert await approvals.running(one.request_id)
    answered, ran = records(tmp_path)[1:]
    assert answered.data["original"]["digest"] == one.digest
    assert answered.data["original"]["action"]["argv"] == ["git", "push"]
    assert answered.data["action"]["argv"] == ran.data["action"]["argv"] == list(edited.argv)


@in_loop
@pytest.mark.parametrize(
    "wrong",
    [
        {"approved": True},
        {"approved": True, "choice": "c"},
        {"approved": False, "edited": Ask(prompt="x")},
        {"approved": True, "choice": "a", "edited": ACTION},
    ],
)
async def test_an_answer_must_fit_the_question(tmp_path: Path, wrong: dict[str, Any]) -> None:
    """A choice of those offered; no edit of a no, or into something of another kind."""
    asked = Ask(prompt="which?", options=("a", "b"))
    async with sidecar(tmp_path) as approvals:
        one = await approvals.open(question(action=asked, digest=digest(asked), kind="question"))
        with pytest.raises(InvalidParams):
            await approvals.answer(one.request_id, one.digest, by=PERSON, **wrong)
        done = await approvals.answer(one.request_id, one.digest, True, PERSON, choice="b")
        assert done.answer is not None
        assert done.answer.choice == "b"


@in_loop
async def test_a_grant_is_made_with_the_answer_or_not_at_all(tmp_path: Path) -> None:
    """One transaction: the loser of a race leaves no grant behind."""
    async with sidecar(tmp_path) as approvals:
        one = await approvals.open(question(grants=("exact",)))
        grants = approvals._grants
        made = [grants.prepare(one, "exact", PERSON) for _ in range(2)]
        done = await asyncio.gather(
            *(approvals.answer(one.request_id, one.digest, True, PERSON, grant=grant) for grant in made),
            return_exceptions=True,
        )
        assert [type(each) for each in done] == [Approval, Conflict]
        assert grants.active(AGENT) == (made[0],)
    assert kinds(tmp_path) == ["approval.opened", "approval.answered", "grant.made"]


# --- time --------------------------------------------------------------------------------------------


@in_loop
@pytest.mark.parametrize(
    ("verdict", "state"),
    [
        (Verdict.DENY, ApprovalState.EXPIRED),
        (Verdict.ASK, ApprovalState.EXPIRED),
        (Verdict.ALLOW, ApprovalState.APPROVED),
    ],
)
async def test_time_ends_it(tmp_path: Path, verdict: Verdict, state: ApprovalState) -> None:
    """What the rule says of a timeout happens, by nobody, and is recorded."""
    async with sidecar(tmp_path) as approvals:
        one = await approvals.open(soon(on_timeout=verdict))
        done = await approvals.wait(one.request_id, timeout=PATIENCE)
        assert done.state is state
        assert done.answer is not None
        assert (done.answer.by, done.answer.approved) == (None, verdict is Verdict.ALLOW)
        with pytest.raises(Conflict):
            await approvals.answer(one.request_id, one.digest, True, PERSON)
    assert kinds(tmp_path) == ["approval.opened", "approval.expired"]


@in_loop
async def test_each_deadline_is_its_own(tmp_path: Path) -> None:
    """A later question with an earlier deadline goes first; one without a deadline stays."""
    async with sidecar(tmp_path) as approvals:
        stays = await approvals.open(question())
        late = await approvals.open(question(expires=datetime.now(UTC) + timedelta(hours=1)))
        early = await approvals.open(soon())
        await approvals.wait(early.request_id, timeout=PATIENCE)
        assert approvals.pending() == (stays, late)


@in_loop
async def test_setting_the_clock_moves_no_deadline(tmp_path: Path) -> None:
    """A day forward while it waits changes nothing; a day back while no sidecar ran gives no longer than at first."""
    ahead = [timedelta()]
    async with sidecar(tmp_path, now=lambda: utc_now() + ahead[0]) as approvals:
        one = await approvals.open(question(expires=datetime.now(UTC) + timedelta(hours=1)))
        short = await approvals.open(soon())
        ahead[0] = timedelta(days=1)
        assert (await approvals.wait(short.request_id, timeout=PATIENCE)).state is ApprovalState.EXPIRED
        assert approvals.pending() == (one,)
        last = soon()
        last = replace(last, created=datetime.now(UTC))
        await approvals.open(replace(last, expires=last.created + timedelta(seconds=0.02) + ahead[0]))
    async with sidecar(tmp_path, now=lambda: utc_now() - timedelta(days=1)) as approvals:
        assert one in approvals.pending()


@in_loop
async def test_what_expired_while_no_sidecar_ran_expires_at_the_start(tmp_path: Path) -> None:
    """Its time counts on; nobody finds it pending for ever."""
    async with sidecar(tmp_path) as approvals:
        one = await approvals.open(question(expires=datetime.now(UTC) + timedelta(seconds=30)))
    async with sidecar(tmp_path, now=lambda: utc_now() + timedelta(minutes=1)) as approvals:
        assert (await approvals.wait(one.request_id, timeout=PATIENCE)).state is ApprovalState.EXPIRED


@in_loop
async def test_an_impatient_waiter_leaves_it_pending(tmp_path: Path) -> None:
    """wait has its own bound and answers nothing."""
    async with sidecar(tmp_path) as approvals:
        one = await approvals.open(question())
        with pytest.raises(TimedOut):
            await approvals.wait(one.request_id, timeout=0.01)
        assert approvals.pending() == (one,)
        with pytest.raises(NotFound):
            await approvals.wait("01NOSUCH")


# --- asking and withdrawing ----------------------------------------------------------------------------


@in_loop
async def test_an_asker_has_a_bound(tmp_path: Path) -> None:
    """Opened at once or one by one, no more than the limit wait; another asker is not hurt."""
    async with sidecar(tmp_path, limit=3) as approvals:
        done = await asyncio.gather(*(approvals.open(question()) for _ in range(5)), return_exceptions=True)
        assert [type(one) for one in done] == [Approval] * 3 + [LimitExceeded] * 2
        await approvals.open(question(origin=replace(AGENT, session="s2")))
        await approvals.withdraw(approvals.pending()[0].request_id, "enough")
        await approvals.open(question())
        assert len(approvals.pending(AGENT)) == 3


ORPHAN = replace(AGENT, server=None, pane=None, ancestry=("x(9)", "init(1)"))


@pytest.mark.parametrize("origin", [AGENT, replace(AGENT, pane=None, ancestry=("x(9)", "sh(8)", "bash(7)")), ORPHAN])
@in_loop
async def test_making_up_sessions_or_forking_gets_no_more_room(tmp_path: Path, origin: Any) -> None:
    """One pane, one terminal, and all orphans together have twice an asker's room; another pane is not hurt."""
    async with sidecar(tmp_path, limit=3) as approvals:
        above = origin.ancestry[1:]
        forks = [replace(origin, session=f"s{at}", pid=at, ancestry=(f"x({at})", *above)) for at in range(9)]
        done = await asyncio.gather(*(approvals.open(question(origin=one)) for one in forks), return_exceptions=True)
        assert [type(one) for one in done] == [Approval] * 6 + [LimitExceeded] * 3
        await approvals.open(question(origin=replace(AGENT, session="other", pane="%99")))
        await approvals.withdraw(approvals.pending()[0].request_id, "enough")
        await approvals.open(question(origin=forks[-1]))


@in_loop
async def test_an_asker_that_goes_while_asking_leaves_no_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cancelled before it was told its id: what was opened for it is withdrawn."""
    async with sidecar(tmp_path) as approvals:
        commit, begun = approvals._journal.commit, asyncio.Event()

        async def commits_and_tells_nobody(*args: Any, **kwargs: Any) -> None:
            begun.set()
            await commit(*args, **kwargs)
            await asyncio.Event().wait()

        with monkeypatch.context() as patch:
            patch.setattr(approvals._journal, "commit", commits_and_tells_nobody)
            asking = asyncio.create_task(approvals.open(question()))
            await begun.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        while approvals._tasks:
            await asyncio.gather(*approvals._tasks)
        assert approvals.pending() == ()
    assert kinds(tmp_path) == ["approval.opened", "approval.withdrawn"]


@in_loop
async def test_a_withdrawal_too_late_changes_nothing(tmp_path: Path) -> None:
    """Who withdraws what was answered learns the answer; nothing is recorded."""
    async with sidecar(tmp_path) as approvals:
        one = await approvals.open(question())
        answered, late = await asyncio.gather(
            approvals.answer(one.request_id, one.digest, False, PERSON), approvals.withdraw(one.request_id, "gone")
        )
        assert late == answered
        other = await approvals.open(question())
        assert (await approvals.withdraw(other.request_id, "gone")).note == "gone"
        with pytest.raises(Conflict, match="withdrawn already"):
            await approvals.answer(other.request_id, other.digest, True, PERSON)
    assert kinds(tmp_path).count("approval.withdrawn") == 1


@in_loop
async def test_orphans_are_hook_approvals_that_nobody_waits_for(tmp_path: Path) -> None:
    """After a restart: with a waiter it stays, and so does what is no hook's."""
    async with sidecar(tmp_path) as approvals:
        orphan, alive, run = [await approvals.open(question(kind=kind)) for kind in ("hook", "hook", "run")]
    async with sidecar(tmp_path) as approvals:
        ids = [one.request_id for one in approvals.pending()]
        (waiting,) = await waiters(approvals, alive.request_id)
        assert [one.request_id for one in await approvals.withdraw_orphans(ids)] == [orphan.request_id]
        assert approvals.pending() == (alive, run)
        waiting.cancel()


@in_loop
async def test_who_comes_back_without_a_key_goes_on_with_what_it_asked(tmp_path: Path) -> None:
    """After a restart, the same asker and the same action, each once; not a stranger, nor what has a key."""
    async with sidecar(tmp_path) as approvals:
        first, second = [await approvals.open(question()) for _ in range(2)]
        await approvals.open(question(hook_key="k"))
        assert approvals.adopt(AGENT, first.digest) is None
    async with sidecar(tmp_path) as approvals:
        assert approvals.adopt(replace(AGENT, session="s2"), first.digest) is None
        assert approvals.adopt(AGENT, "0" * 64) is None
        assert [approvals.adopt(AGENT, first.digest) for _ in range(3)] == [first, second, None]


@in_loop
async def test_what_nobody_comes_back_for_is_withdrawn(tmp_path: Path) -> None:
    """Approved or not, it would never be run: the log says so. Questions, what has a key or is watched stay."""
    async with sidecar(tmp_path) as approvals:
        waits, yes, ran, watched = [await approvals.open(question()) for _ in range(4)]
        asked, keyed = await approvals.open(question(kind="question")), await approvals.open(question(hook_key="k"))
        for one in (yes, ran):
            await approvals.answer(one.request_id, one.digest, True, PERSON)
        await approvals.running(ran.request_id)
        await approvals.finished(ran.request_id, Outcome(ok=True))
    async with sidecar(tmp_path) as approvals:
        (waiting,) = await waiters(approvals, watched.request_id)
        ended = await approvals.drop_left()
        assert {one.request_id for one in ended} == {waits.request_id, yes.request_id}
        assert all(one.state is ApprovalState.WITHDRAWN for one in ended)
        assert "approved, but not done" in (await approvals.stored(yes.request_id)).note
        assert not await approvals.running(yes.request_id)
        assert {one.request_id for one in approvals.pending()} == {
            watched.request_id, asked.request_id, keyed.request_id
        }  # fmt: skip
        assert (await approvals.stored(ran.request_id)).phase == "done"
        assert await approvals.drop_left() == []
        waiting.cancel()


@in_loop
async def test_lists_go_by_pages_oldest_first(tmp_path: Path) -> None:
    """A cursor is the last id that was seen."""
    async with sidecar(tmp_path) as approvals:
        ids = [(await approvals.open(question())).request_id for _ in range(5)]
        first = approvals.pending(limit=2)
        rest = approvals.pending(cursor=first[-1].request_id)
        assert [one.request_id for one in (*first, *rest)] == ids
        assert approvals.pending(replace(AGENT, session="s2")) == ()


@in_loop
async def test_a_key_finds_its_approval_and_runs_only_once(tmp_path: Path) -> None:
    """A resend finds what it asked, after a restart too; the same key cannot be opened twice, save for hooks."""
    async with sidecar(tmp_path) as approvals:
        one = await approvals.open(question(hook_key="k"))
    async with sidecar(tmp_path) as approvals:
        assert approvals.find("k") == one
        assert approvals.find("other") is None
        with pytest.raises(Conflict):
            await approvals.open(question(hook_key="k"))
        with pytest.raises(Conflict):
            await approvals.admit(question(hook_key="k", state=ApprovalState.APPROVED))
        await approvals.open(question(hook_key="h", kind="hook"))
        newer = await approvals.open(question(hook_key="h", kind="hook"))
        assert approvals.find("h") == newer


# --- running -------------------------------------------------------------------------------------------


@in_loop
async def test_a_run_is_claimed_once_and_its_result_kept(tmp_path: Path) -> None:
    """However many try; the result is there after a restart; recorded before and after."""
    async with sidecar(tmp_path) as approvals:
        one = await approvals.open(question())
        assert not await approvals.running(one.request_id)
        await approvals.answer(one.request_id, one.digest, True, PERSON)
        claims = await asyncio.gather(*(approvals.running(one.request_id) for _ in range(4)))
        assert sorted(claims) == [False, False, False, True]
        assert await approvals.outcome(one.request_id) is None
        await approvals.finished(one.request_id, Outcome(ok=True, data={"exit_code": 0}, summary="exit 0"))
        with pytest.raises(Conflict):
            await approvals.finished(one.request_id, Outcome(ok=False))
        assert not await approvals.running(one.request_id)
    async with sidecar(tmp_path) as approvals:
        kept = await approvals.outcome(one.request_id)
        assert kept is not None
        assert kept.data == {"exit_code": 0}
        assert approvals.get(one.request_id).phase == "done"
    assert kinds(tmp_path)[2:4] == ["action.started", "action.finished"]


@in_loop
async def test_what_the_policy_allowed_is_claimed_the_same_way(tmp_path: Path) -> None:
    """Admitted without a person, it still runs once."""
    async with sidecar(tmp_path) as approvals:
        one = question(state=ApprovalState.APPROVED, hook_key="k")
        await approvals.admit(one)
        assert approvals.pending() == ()
        assert await approvals.running(one.request_id)
        assert not await approvals.running(one.request_id)


@in_loop
async def test_what_was_running_becomes_unknown_and_never_runs_again(tmp_path: Path) -> None:
    """After a death: waiting ones wait, an answered one keeps its answer, a running one is reported, once."""
    async with sidecar(tmp_path) as approvals:
        waits, answered, ran = [await approvals.open(question()) for _ in range(3)]
        for one in (answered, ran):
            await approvals.answer(one.request_id, one.digest, True, PERSON)
        await approvals.running(ran.request_id)
    for _ in range(2):
        async with sidecar(tmp_path) as approvals:
            assert approvals.pending() == (waits,)
            assert approvals.get(ran.request_id).state is ApprovalState.UNKNOWN
            assert not await approvals.running(ran.request_id)
            assert approvals.get(answered.request_id).state is ApprovalState.APPROVED
            assert approvals.get(answered.request_id).phase == ""
    assert kinds(tmp_path).count("approval.unknown") == 1
    async with sidecar(tmp_path) as approvals:
        assert await approvals.running(answered.request_id)


@in_loop
async def test_settled_ones_are_forgotten_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest are kept, in memory and in the database; what waits or runs is never forgotten."""
    for name, value in (("RECENT", 2), ("KEEP_SETTLED", 4), ("FORGET_EVERY", 5)):
        monkeypatch.setattr(f"tmux_agent.services.approvals.{name}", value)
    async with sidecar(tmp_path) as approvals:
        waits = await approvals.open(question())
        ids = [(await approvals.open(question())).request_id for _ in range(8)]
        for request_id in ids:
            await approvals.withdraw(request_id, "")
        await approvals.open(question())  # the tenth
        with pytest.raises(NotFound):
            approvals.get(ids[5])
        assert (await approvals.stored(ids[5])).note == ""
        assert (await approvals.stored(ids[4])).state is ApprovalState.WITHDRAWN
        with pytest.raises(NotFound):
            await approvals.stored(ids[3])
        assert await approvals.stored(waits.request_id) == waits


# --- without a log ---------------------------------------------------------------------------------------


@in_loop
async def test_without_a_log_nothing_is_opened_answered_or_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is unavailable and stays as it was; afterwards it can all be done, and what nobody needs any more
    ends by itself."""
    monkeypatch.setattr("tmux_agent.services.approvals.RETRY", 0.01)
    async with sidecar(tmp_path) as approvals:
        one = await approvals.open(question())
        gone = await approvals.open(question())
        ready = await approvals.open(question())
        await approvals.answer(ready.request_id, ready.digest, True, PERSON)
        (tmp_path / "audit.jsonl").rename(tmp_path / "kept")
        (tmp_path / "audit.jsonl").mkdir()
        tries = [
            approvals.open(question()),
            approvals.answer(one.request_id, one.digest, True, PERSON),
            approvals.withdraw(gone.request_id, "its hook has ended"),
            approvals.withdraw(gone.request_id, "its hook has ended"),
            approvals.running(ready.request_id),
        ]
        for each in tries:
            with pytest.raises(Unavailable):
                await each
        assert approvals.pending() == (one, gone)
        (tmp_path / "audit.jsonl").rmdir()
        (tmp_path / "kept").rename(tmp_path / "audit.jsonl")
        assert (await approvals.wait(gone.request_id, PATIENCE)).note == "its hook has ended"
        assert await approvals.running(ready.request_id)
        assert (await approvals.answer(one.request_id, one.digest, True, PERSON)).state is ApprovalState.APPROVED


@in_loop
async def test_orphans_end_once_the_log_is_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first that cannot be withdrawn keeps none of the others."""
    monkeypatch.setattr("tmux_agent.services.approvals.RETRY", 0.01)
    async with sidecar(tmp_path) as approvals:
        orphans = [await approvals.open(question(kind="hook")) for _ in range(3)]
        (tmp_path / "audit.jsonl").rename(tmp_path / "kept")
        (tmp_path / "audit.jsonl").mkdir()
        assert await approvals.withdraw_orphans([one.request_id for one in orphans]) == []
        (tmp_path / "audit.jsonl").rmdir()
        (tmp_path / "kept").rename(tmp_path / "audit.jsonl")
        ended = [await approvals.wait(one.request_id, PATIENCE) for one in orphans]
        assert {one.state for one in ended} == {ApprovalState.WITHDRAWN}
    assert kinds(tmp_path).count("approval.withdrawn") == 3


@in_loop
async def test_a_start_without_a_log_still_knows_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits can be seen, what was running is unknown and cannot be run; it is recorded once the log is back."""
    monkeypatch.setattr("tmux_agent.services.approvals.RETRY", 0.01)
    async with sidecar(tmp_path) as approvals:
        waits, ran = [await approvals.open(question()) for _ in range(2)]
        await approvals.answer(ran.request_id, ran.digest, True, PERSON)
        await approvals.running(ran.request_id)
    (tmp_path / "audit.jsonl").rename(tmp_path / "kept")
    (tmp_path / "audit.jsonl").mkdir()
    async with sidecar(tmp_path) as approvals:
        assert approvals.pending() == (waits,)
        assert approvals.get(ran.request_id).state is ApprovalState.UNKNOWN
        with pytest.raises(Unavailable):
            await approvals.running(ran.request_id)
        (tmp_path / "audit.jsonl").rmdir()
        (tmp_path / "kept").rename(tmp_path / "audit.jsonl")
        heard = await approvals._journal.subscribe(types=["approval.unknown"])
        assert (await anext(heard)).event.request_id == ran.request_id
        assert not await approvals.running(ran.request_id)
    assert kinds(tmp_path).count("approval.unknown") == 1


@in_loop
async def test_an_expiry_that_cannot_be_recorded_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stays pending, even where a timeout would allow; once the log is back it ends."""
    monkeypatch.setattr("tmux_agent.services.approvals.RETRY", 0.01)
    async with sidecar(tmp_path) as approvals:
        in_an_hour = datetime.now(UTC) + timedelta(hours=1)
        one = await approvals.open(question(expires=in_an_hour, on_timeout=Verdict.ALLOW))
        (tmp_path / "audit.jsonl").rename(tmp_path / "kept")
        (tmp_path / "audit.jsonl").mkdir()
        approvals._ring(one.request_id)  # the hour is over
        await asyncio.gather(*approvals._tasks)
        assert approvals.get(one.request_id).state is ApprovalState.PENDING
        (tmp_path / "audit.jsonl").rmdir()
        (tmp_path / "kept").rename(tmp_path / "audit.jsonl")
        assert (await approvals.wait(one.request_id, timeout=PATIENCE)).state is ApprovalState.APPROVED


@in_loop
async def test_words_that_are_not_utf8_survive(tmp_path: Path) -> None:
    """A surrogate-escaped argument is kept exactly, and has a digest."""
    odd = Command(argv=("cat", "caf\udce9"), cwd="/")
    async with sidecar(tmp_path) as approvals:
        one = await approvals.open(question(action=odd, digest=digest(odd)))
    async with sidecar(tmp_path) as approvals:
        assert approvals.pending() == (one,)
        await approvals.answer(one.request_id, digest(odd), True, PERSON)
        assert await approvals.running(one.request_id)
    assert AuditLog(tmp_path / "audit.jsonl").verify().ok
