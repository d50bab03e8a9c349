"""`tmux-agent policy check --jsonl`: cases in, verdicts out, in the same order.

Owns what a case is, reading cases as they come and, where many come at once, sharing them out among processes. Must not
own judging (services/judgement.py).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec

from ...core import shell
from ...core.errors import Failed
from ...core.model import Action, Command, Shell
from ...services.judgement import Judgement, worktree_of

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor

_LINE = 4 << 20  # characters of one case
_BLOCK = 1 << 20
_MANY = 64  # lines at once from which on other processes are worth their start
_SHARE = 32


class Case(msgspec.Struct, forbid_unknown_fields=False):
    """One line of --jsonl: shell text or an argument list."""

    id: Any = None
    shell: str | None = None
    argv: list[str] | None = None
    cwd: str | None = None
    env: dict[str, str] | None = None
    dialect: str = "bash"


def answer_all(source: BinaryIO, out: BinaryIO, judgement: Judgement, folder: str) -> None:
    """Write a line for each line of `source`, as soon as it and those before it are judged. `folder`: where a case that
    names no cwd would run. Raises Failed where the answers cannot be written."""
    pool: ProcessPoolExecutor | None = None
    try:
        for lines in _blocks(source):
            if pool is None and len(lines) >= _MANY and (cores := _cores()) > 1:
                pool = _pool(cores, judgement, folder)
            for answer in _answers(pool, lines, judgement, folder):
                out.write(answer)
                out.flush()  # whoever asks one by one waits for this line
    except BrokenPipeError:
        raise
    except OSError as why:
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())  # its buffer would fail once more at exit
        raise Failed(f"the answers cannot be written: {why.strerror}") from None
    finally:
        if pool is not None:
            pool.shutdown(cancel_futures=True)


def _answers(
    pool: ProcessPoolExecutor | None, lines: list[bytes], judgement: Judgement, folder: str
) -> Iterator[bytes]:
    """The answers in order. Where a process of the pool was killed, what it owed is judged here."""
    shares = [lines[at : at + _SHARE] for at in range(0, len(lines), _SHARE)]
    done = 0
    if pool is not None and len(shares) > 1:
        from concurrent.futures.process import BrokenProcessPool

        with contextlib.suppress(BrokenProcessPool):
            for answer in pool.map(_share, shares):
                done += 1
                yield answer
    for share in shares[done:]:
        yield from _judged(share, judgement, folder)


def _pool(cores: int, judgement: Judgement, folder: str) -> ProcessPoolExecutor:
    """Forked, so that each has the policy that was read here. Imported here: most streams are short."""
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    return ProcessPoolExecutor(cores, multiprocessing.get_context("fork"), _keep, (judgement, folder))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1


def _blocks(source: BinaryIO) -> Iterator[list[bytes]]:
    """The lines that are there, whenever some are. Of one that is too long only the beginning is kept."""
    rest = bytearray()
    while data := os.read(source.fileno(), _BLOCK):
        first, *others = data.split(b"\n")
        rest += first[: _LINE + 1 - len(rest)]
        if not others:
            continue
        lines, rest = [bytes(rest), *others[:-1]], bytearray(others[-1])
        if kept := [line for line in lines if line.strip()]:
            yield kept
    if rest.strip():
        yield [bytes(rest)]


_kept: list[tuple[Judgement, str]] = []  # in a process of the pool


def _keep(judgement: Judgement, folder: str) -> None:
    _kept.append((judgement, folder))


def _share(lines: list[bytes]) -> bytes:
    """The answers to these lines, in a process of the pool."""
    judgement, folder = _kept[-1]
    return b"".join(_judged(lines, judgement, folder))


def _judged(lines: list[bytes], judgement: Judgement, folder: str) -> Iterator[bytes]:
    """The answers to these lines, one by one."""
    cases = [_read(line, folder) for line in lines]
    for _, action in cases:
        if isinstance(action, Shell):  # one after the other, while the grammar's tables are in the processor's caches
            shell.read_ahead(action.text, action.dialect)
    for number, action in cases:
        yield msgspec.json.encode(_answer(judgement, number, action)) + b"\n"


_decoder = msgspec.json.Decoder(Case)


def _read(line: bytes, folder: str) -> tuple[Any, Action | str]:
    """A case's id and what it is about, or what is wrong with it."""
    try:
        case = _decoder.decode(line[:_LINE])
        return case.id, case_action(case, folder)
    except (msgspec.DecodeError, ValueError) as why:
        return _id_of(line), str(why)


def _answer(judgement: Judgement, number: Any, action: Action | str) -> dict[str, Any]:
    """The reply to one case; to a malformed one an error, and the verdict that is never wrong."""
    if isinstance(action, str):
        return {"id": number, "verdict": "ask", "rule": "error", "reason": action, "error": action}
    decision = judgement.judge_at(action, worktree_of(str(getattr(action, "cwd", "/")))).decision
    return {"id": number, "verdict": decision.verdict.value, "rule": decision.rule, "reason": decision.reason}


def _id_of(line: bytes) -> Any:
    try:
        value = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return value.get("id") if isinstance(value, dict) else None


def case_action(case: Case, folder: str) -> Action:
    """What a case is about. Raises ValueError."""
    cwd = os.path.abspath(os.path.join(folder, case.cwd)) if case.cwd else folder
    if case.cwd and "\0" in case.cwd:
        raise ValueError("cwd holds a NUL")
    if (case.shell is None) == (case.argv is None):
        raise ValueError("give either shell or argv")
    if case.argv is not None:
        if not case.argv:
            raise ValueError("argv is empty")
        return Command(argv=tuple(case.argv), cwd=cwd, env=case.env or {})
    return Shell(text=case.shell or "", cwd=cwd, dialect=case.dialect, env=case.env or {})
