"""services/answers.py and proofs.py: the proof that a rule's step_up demands. What answers do is in test_guard.py."""

from __future__ import annotations

import asyncio
import json
import os
import select
import sys
from pathlib import Path

import pytest
from tests.patience import PATIENCE
from tests.services.sidecar_values import PERSON, question, started

from tmux_agent.core import errors
from tmux_agent.core.model import Origin
from tmux_agent.services import proofs
from tmux_agent.services.proofs import Proofs, why_not

# As sudo without -S: it asks at its terminal, with echo off, and again where that was wrong.
AT_TERMINAL = """
import getpass, sys
for _ in range(3):
    if getpass.getpass("password for you: ") == "sesame":
        sys.exit(0)
    print("Sorry, try again.", file=open("/dev/tty", "w"))
sys.exit(1)
"""


def why(*argv: str, secret: str = "sesame") -> str:
    return asyncio.run(asyncio.wait_for(why_not(argv, secret.encode()), PATIENCE))


def test_a_proof_is_an_exit_code_of_0() -> None:
    """What was typed is a line on its input. A program that is not there proves nothing, and that is said."""
    assert why("grep", "-qx", "sesame") == ""
    assert why("grep", "-qx", "sesame", secret="sesame?") == "it ended with 1"
    assert why("/nonexistent", "x") == "there is no such program"
    assert why("true") == ""
    assert why("/bin/sh", "-c", "kill -9 $$") == "it ended with -9"


def test_a_proof_that_is_asked_for_at_a_terminal() -> None:
    """It has one of its own, where the line is typed once: where that is wrong, nobody waits for the rest."""
    assert why(sys.executable, "-c", AT_TERMINAL) == ""
    assert why(sys.executable, "-c", AT_TERMINAL, secret="wrong") == "it asked again"
    leads = "import os; os.ttyname(os.open('/dev/tty', os.O_RDWR)); assert os.getsid(0) == os.getpid()"
    assert why(sys.executable, "-c", leads) == ""


def test_what_was_typed_is_in_no_argument_and_no_environment() -> None:
    """Other programs of the same person may read both."""
    look = "import os, sys; sys.exit('ses' + 'ame' in open('/proc/self/cmdline').read() + str(os.environ))"
    assert why(sys.executable, "-c", look) == ""


def test_a_proof_that_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is ended, and proves nothing."""
    monkeypatch.setattr(proofs, "PROOF_SECONDS", 0.3)
    assert why("sleep", "1000") == "it did not end in 0.3 s"


def test_a_proof_that_floods() -> None:
    """What it prints is nobody's; what it writes to its terminal has an end."""
    assert why("/bin/sh", "-c", "head -c 10000000 /dev/zero; head -c 10000000 /dev/zero >&2") == ""
    assert why("/bin/sh", "-c", "exec yes >/dev/tty") == "it floods its terminal"


def test_a_proof_ends_with_its_popup(tmp_path: Path) -> None:
    """Nothing that it started is left behind where its popup is closed meanwhile."""
    pipe = tmp_path / "pid"
    os.mkfifo(pipe)
    code = f"import os, signal; pid = os.fork(); pid and open({str(pipe)!r}, 'w').write(str(pid)); signal.pause()"

    async def scene() -> None:
        task = asyncio.create_task(why_not((sys.executable, "-c", code), b"sesame"))
        pid = int(await asyncio.to_thread(pipe.read_text))
        ended = os.pidfd_open(pid)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(select.select, [ended], [], [], PATIENCE) != ([], [], [])
        os.close(ended)

    asyncio.run(scene())


def test_wrong_proofs_are_recorded_and_bounded(tmp_path: Path) -> None:
    """Five at once, then one a minute; each is a record, the sixth an alarm and not run. None holds what was typed."""
    refused: list[tuple[str, bool]] = []
    runs = tmp_path / "runs"
    approval = question(step_up=("/bin/sh", "-c", f"echo x >> {runs}; grep -qx sesame"))

    def refuse(_by: Origin, _request: str, why: str, *, alarming: bool = False) -> bool:
        refused.append((why, alarming))
        return True

    async def scene() -> None:
        journal = await started(tmp_path)
        taken = Proofs(journal, refuse)
        await taken.take(approval, PERSON, "sesame")
        for _ in range(5):
            with pytest.raises(errors.Denied, match="the proof was not accepted: /bin/sh: it ended with 1"):
                await taken.take(approval, PERSON, "guess-1")
        await taken.take(question(step_up=("true",)), PERSON, "")
        with pytest.raises(errors.LimitExceeded, match="too many"):
            await taken.take(approval, PERSON, "sesame")
        with pytest.raises(errors.InvalidParams):
            await taken.take(approval, PERSON, "x" * 2000)
        await journal.close()

    asyncio.run(scene())
    log = (tmp_path / "audit.jsonl").read_text()
    records = [one for one in map(json.loads, log.splitlines()) if one["type"] == "step_up"]
    assert [one["data"]["passed"] for one in records] == [True, *[False] * 5, True]
    assert {one["request_id"] for one in records[:6]} == {approval.request_id}
    assert refused == [
        *[("the proof was not accepted: it ended with 1", False)] * 5,
        ("too many proofs were wrong", True),
    ]
    assert "guess-1" not in log
    assert len(runs.read_text().splitlines()) == 6
    assert b"guess-1" not in (tmp_path / "state.db").read_bytes()
