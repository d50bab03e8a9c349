"""What bash itself makes of a text: the argument lists of everything it tries to run.

Nothing is run: PATH is empty and the not-found hook writes the arguments down. Only for texts that shell.parse claims
to understand, in a throw-away folder.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from tmux_agent.core.shell import Simple, Word, parse, runs_of
from tmux_agent.core.shell_parts import Given

# One write for each command (bash writes at every new line), so that commands at the same time do not mix.
HOOK = r"""
command_not_found_handle() {
  local word record=
  for word; do record+=$word$'\x1f'; done
  printf '%s\x1e' "${record//$'\n'/$'\x1d'}" >&9
  return "$ANSWER"
}
"""


def bash_runs(text: str, folder: Path, answer: int) -> list[tuple[str, ...]]:
    """Argument lists in the order bash came to them; every command ends with the status `answer`."""
    hook = folder.parent / "hook.sh"
    hook.write_text(HOOK)
    reading, writing = os.pipe()
    # The pipe must be number 9 in the shell, and a job in the background may outlive it: read to the end.
    process = subprocess.Popen(
        ["/bin/bash", "-c", 'exec 9>&"$0"; BASH_ENV="$1" exec /bin/bash -c -- "$2"', str(writing), str(hook), text],
        cwd=folder,
        env={"PATH": "/nowhere", "HOME": "/nowhere/someone", "ANSWER": str(answer), "LC_ALL": "C.UTF-8"},
        pass_fds=[writing],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        records = stream.read().decode("utf-8", "surrogateescape").replace("\x1d", "\n").split("\x1e")[:-1]
    process.wait(10)
    records = [re.sub(r"/dev/fd/\d+", "/dev/fd/0", record) for record in records]
    return [tuple(record.split("\x1f")[:-1]) for record in records]


def claimed(text: str, given: Given = ()) -> list[tuple[str, ...]] | None:
    """The argument lists that our reading says will run; None where it does not claim to know."""
    commands: list[tuple[str, ...]] = []
    parts = parse(text, "bash", given)
    if re.search(r"\b(while|until)\b", text):
        return None  # their turns are not ours to count
    writes = any(isinstance(part, Simple) and part.redirects for part in parts)
    for part in parts:
        if not isinstance(part, Simple):
            return None
        for run in runs_of(part):
            inner = claimed(run.text, run.given)
            if inner is None:
                return None
            commands += inner
        words = [_value(word) for word in part.words]
        printed = _only_prints(part)  # of what it prints nobody claims the words; bash runs it itself, unseen
        targets = [r.target for r in part.redirects if r.target is not None]
        if (None in words and not printed) or any(word.kind in ("opaque", "varying") for word in targets):
            return None
        if any(assignment.value.kind == "opaque" for assignment in part.assignments):
            return None
        if writes and any(word.kind == "glob" for word in part.words):
            return None  # might match what was just written
        if any(target.tilde or "/" in target.text not in ("/dev/null", "/dev/fd/0") for target in targets):
            return None  # nothing outside the throw-away folder
        if part.words and part.words[0].source == "time":
            if part.joined in {"|", "|&"} or not part.source.startswith("time"):
                return None  # a program of that name, unless a group opens here
            words = words[1:]  # the reserved word, which only times
            while words and words[0] in {"-p", "--"}:
                words = words[1:]
        if words:
            commands.append(tuple(word for word in words if word is not None))
    return commands


def _only_prints(part: Simple) -> bool:
    """An echo of words that vary, the one place where such words are taken as understood."""
    first, *others = part.words or (Word("", ""),)
    return (first.kind, first.text) == ("literal", "echo") and all(word.kind != "opaque" for word in others)


def _value(word: Word) -> str | None:
    if word.kind in ("opaque", "varying") or (word.tilde and not re.match(r"~(/|$)", word.text)):
        return None
    text = word.text
    if word.tilde:
        text = "/nowhere/someone" + text[1:]
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL) if word.kind == "glob" else text
