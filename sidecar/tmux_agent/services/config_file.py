"""config.yaml on disk, and reading the person's own files without ever waiting for one.

Owns where settings come from. Must not own what they mean (core/settings.py), the policy's files (policy_files.py).
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from ..core import config
from ..core.settings import Settings, override

_LIMIT = 1 << 20


def own_text(file: Path) -> str:
    """A regular file of at most 1 MiB, as text. Raises OSError (FileNotFoundError where there is none) and
    UnicodeDecodeError; for a FIFO or a device nobody waits."""
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", str(file))
        with os.fdopen(descriptor, "rb", closefd=False) as opened:
            data = opened.read(_LIMIT + 1)
    finally:
        os.close(descriptor)
    if len(data) > _LIMIT:
        raise OSError(errno.EFBIG, "it is larger than 1 MiB", str(file))
    return data.decode()


def read_settings(
    file: Path, environ: Mapping[str, str], last: Settings | None = None
) -> tuple[Settings, tuple[str, ...]]:
    """config.yaml with the environment over it, and a sentence for each thing that is wrong with either."""
    wrong: tuple[str, ...] = ()
    settings: Settings | None = Settings()
    try:
        text = own_text(file)
    except FileNotFoundError:
        text = ""
    except OSError as why:
        text, settings, wrong = "", None, (f"{file}: {why.strerror}",)
    except UnicodeDecodeError as why:
        text, settings, wrong = "", None, (f"{file}: it is not UTF-8 at byte {why.start}",)
    if text.strip():
        settings, problems = config.load(text, str(file), Settings)
        wrong = tuple(str(problem) for problem in problems)
    settings, also = override(settings or last or Settings(), environ)
    return settings, (*wrong, *also)
