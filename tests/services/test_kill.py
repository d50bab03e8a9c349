"""Killed at 1 000 points between ask, answer, run and record, the sidecar loses nothing and does nothing twice."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

HERE = Path(__file__).parent
FOLDERS, POINTS = 10, 100


@pytest.mark.timeout(300)
def test_a_thousand_deaths_break_no_promise() -> None:
    """After each death: the chain verifies, no open question is lost, no effect was twice or without its record."""
    memory = Path("/dev/shm")  # a kill loses no written page, so a disk would only be slower
    root = Path(tempfile.mkdtemp(prefix="kill-", dir=memory if os.access(memory, os.W_OK) else None))
    try:
        broken = "".join(_two_at_a_time(root))
    finally:
        shutil.rmtree(root)
    assert not broken, broken


def _two_at_a_time(root: Path) -> list[str]:
    """What the workers of all folders printed."""
    said = []
    for first in range(0, FOLDERS, 2):
        pair = [_worker(root / str(number), number * POINTS) for number in (first, first + 1)]
        said += [worker.communicate()[0] for worker in pair]
        assert (root / str(first) / "effects").read_text(), "the worker never got as far as an effect"
    return said


def _worker(folder: Path, first: int) -> subprocess.Popen[str]:
    folder.mkdir()
    paths = os.pathsep.join([str(HERE.parents[1]), str(HERE.parents[1] / "sidecar")])
    return subprocess.Popen(
        [sys.executable, str(HERE / "kill_worker.py"), str(folder), str(first), str(POINTS)],
        env={**os.environ, "PYTHONPATH": paths}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
