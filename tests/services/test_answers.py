"""services/answers.py: the proof that a rule's step_up demands. What answers do is in test_guard.py."""

from __future__ import annotations

import asyncio
import os
import select
import sys
from pathlib import Path

import pytest
from tests.patience import PATIENCE

from tmux_agent.core import errors
from tmux_agent.services import answers


def test_a_proof_is_an_exit_code_of_0() -> None:
    """A program that is not there proves nothing, and that is said."""

    async def scene() -> None:
        assert await answers._ends_well(("grep", "-qx", "sesame"), "sesame")
        assert not await answers._ends_well(("grep", "-qx", "sesame"), "sesame?")
        with pytest.raises(errors.Denied, match="/nonexistent"):
            await answers._ends_well(("/nonexistent",), "sesame")

    asyncio.run(scene())


def test_a_proof_ends_with_its_popup(tmp_path: Path) -> None:
    """Nothing that it started is left behind where its popup is closed meanwhile."""
    pipe = tmp_path / "pid"
    os.mkfifo(pipe)
    code = f"import os, signal; pid = os.fork(); pid and open({str(pipe)!r}, 'w').write(str(pid)); signal.pause()"

    async def scene() -> None:
        task = asyncio.create_task(answers._ends_well((sys.executable, "-c", code), "sesame"))
        pid = int(await asyncio.to_thread(pipe.read_text))
        ended = os.pidfd_open(pid)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(select.select, [ended], [], [], PATIENCE) != ([], [], [])
        os.close(ended)

    asyncio.run(scene())
