"""A folder of the wrapper's own for an agent's instructions: private, gone when the agent ends.

Owns making and removing it. What a killed wrapper left is removed by the next one: a folder belongs to whoever holds
the lock of the file in it. Must not own: what is in it (instruction.py).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

_LOCK = "lock"


@contextlib.contextmanager
def private(above: Path) -> Iterator[Path]:
    """A new folder below `above`, 0700, for as long as the context lasts. Raises OSError."""
    above.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    above.mkdir(mode=0o700, exist_ok=True)
    with _locked(above):  # nobody else begins or cleans up meanwhile
        _clean(above)
        made = above / f"{os.getpid()}-{os.urandom(4).hex()}"
        made.mkdir(mode=0o700)
        lock = open(made / _LOCK, "x")  # noqa: SIM115 - held as long as the folder is in use
        fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
        lock.close()


def _clean(above: Path) -> None:
    """Remove what is left of wrappers that were killed."""
    for one in above.iterdir():
        try:
            with open(one / _LOCK) as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(one, ignore_errors=True)
        except BlockingIOError:
            continue  # in use
        except FileNotFoundError:
            shutil.rmtree(one, ignore_errors=True)
        except NotADirectoryError:
            continue  # none of ours


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    whole = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(whole, fcntl.LOCK_EX)
        yield
    finally:
        os.close(whole)
