"""What a pane's output says of how it goes, besides markers: strategies in order, each with the text that led to it.

Owns the strategies: a line of JSON, a notification that a program sends to its terminal (OSC 9, 777, 99), what an
agent's screen says, and the words that builds and tests end with. Pure. A reading is never surer than its strategy, and
`unknown` where nothing is said: nothing is guessed. Must not own: markers (markers.py), the rules of agents' screens
(screen_reading.py), what follows (pipeline.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct

from .screen_reading import Seen

LINE = 4 << 10  # characters of a line that are looked at
DOUBT = 0.6  # what is less sure does not take the place of what is surer
NOTICE = 4 << 10  # bytes of a notification


class Reading(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`state`: success, failure, working, waiting (for a person), or unknown. `confidence` from 0 to 1."""

    state: str = "unknown"
    confidence: float = 0.0
    text: str = ""  # what led to it
    strategy: str = ""  # json, notification, screen, build


UNKNOWN = Reading()


def last(text: str, notices: Iterable[str] = ()) -> Reading:
    """What plain output says last; notifications of the same time before it."""
    found = UNKNOWN
    for one in (*map(of_notice, notices), *map(of_line, text.splitlines())):
        if one.state != "unknown" and (one.confidence >= DOUBT or found.confidence < DOUBT):
            found = one
    return found


def of_line(line: str) -> Reading:
    """What one line of output says."""
    line = line[:LINE].strip()
    return (_json(line) if line.startswith("{") else _build(line)) if line else UNKNOWN


def of_screen(seen: Seen, text: str) -> Reading:
    """What an agent's screen says (core/screen_reading.py). `text`: the screen's last written line."""
    state = _SCREENS.get(seen.state, "unknown")
    shown = seen.dialog.question if seen.dialog else text
    return Reading(state=state, confidence=0.8, text=shown[:LINE], strategy="screen") if state != "unknown" else UNKNOWN


_SCREENS = {"waiting": "waiting", "limit": "waiting", "working": "working"}


# --- JSON ---

_WORDS = {
    **dict.fromkeys(("ok", "success", "succeeded", "successful", "passed", "pass", "done", "completed"), "success"),
    **dict.fromkeys(("failed", "failure", "fail", "error", "errored", "cancelled", "timed_out"), "failure"),
    **dict.fromkeys(("running", "in_progress", "started", "working", "progress", "pending", "queued"), "working"),
    **dict.fromkeys(("waiting", "blocked", "needs_input", "approval_required", "action_required"), "waiting"),
}
_NAMES = ("conclusion", "result", "outcome", "status", "state", "subtype")
_FLAGS = {"ok": True, "success": True, "passed": True, "is_error": False, "failed": False}
_EVENTS = {"turn.completed": "success", "turn.failed": "failure", "turn.started": "working"}  # codex exec --json


def _json(line: str) -> Reading:
    try:
        value = msgspec.json.decode(line)
    except (msgspec.DecodeError, RecursionError):
        return UNKNOWN
    state = _state(value) if isinstance(value, dict) else ""
    return Reading(state=state, confidence=0.8, text=line, strategy="json") if state else UNKNOWN


def _state(value: dict[str, Any]) -> str:
    """By flags, then words; where two contradict each other, nothing is said."""
    said = {
        "success" if value[name] is good else "failure"
        for name, good in _FLAGS.items()
        if isinstance(value.get(name), bool)
    }
    if isinstance(code := value.get("exit_code"), int) and not isinstance(code, bool):
        said.add("failure" if code else "success")
    if not said:
        words = [value[name] for name in _NAMES if isinstance(value.get(name), str)]
        said = {_WORDS[word.lower()] for word in words if word.lower() in _WORDS}
        if isinstance(event := value.get("type"), str) and event in _EVENTS:
            said.add(_EVENTS[event])
    return said.pop() if len(said) == 1 else ""


# --- notifications ---

_NOTICE = re.compile(rb"\x1b\](?:9;|777;notify;|99;[^;\x07\x1b]*;)([^\x07\x1b]{0,4096})(?:\x07|\x1b\\)")
_NEEDS = re.compile(
    r"(?i)\b(?:needs? your|waiting for (?:your|input|approval)|requires? (?:your|approval)|approval requested)"
)
_PROGRESS = {"1": ("working", 0.8), "2": ("failure", 0.6), "3": ("working", 0.8), "4": ("waiting", 0.5)}


class Notices:
    """Notifications in the raw bytes of one pane, however they are cut. `feed` gives those that a chunk completes."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        data = self._rest + data if self._rest else data
        begun = data.rfind(b"\x1b]")
        open_ = begun >= 0 and b"\x07" not in data[begun:] and b"\x1b\\" not in data[begun:]
        self._rest = data[begun:][:NOTICE] if open_ else b"\x1b" if data.endswith(b"\x1b") else b""
        if b"\x1b]9" not in data and b"\x1b]777" not in data:
            return []
        return [found.decode("utf-8", "replace") for found in _NOTICE.findall(data)]


def of_notice(text: str) -> Reading:
    """What a notification says. `4;1;50` is the progress that some programs show in the task bar (OSC 9;4)."""
    if text.startswith("4;"):
        state, sure = _PROGRESS.get(text[2:3], ("unknown", 0.0))
        return Reading(state=state, confidence=sure, text=text, strategy="notification")
    if _NEEDS.search(text):
        return Reading(state="waiting", confidence=0.8, text=text, strategy="notification")
    built = of_line(text)
    return msgspec.structs.replace(built, strategy="notification") if built.state != "unknown" else UNKNOWN


# --- builds and tests ---

_GOOD, _BAD = "success", "failure"
_BUILDS: tuple[tuple[str, float, str], ...] = (
    # pytest, mypy, ruff, unittest
    (_BAD, 0.9, r"(?:=+ )?(?:\d+ \w+, )*\d+ (?:failed|errors?)(?:, \d+ \w+)* in [\d.]+s\b"),
    (_GOOD, 0.9, r"(?:=+ )?\d+ passed(?:, \d+ (?:skipped|deselected|xfailed|xpassed|warnings?))* in [\d.]+s\b"),
    (_GOOD, 0.9, r"Success: no issues found in \d+ source files?"),
    (_BAD, 0.9, r"Found [1-9]\d* errors?(?: in |\.|$)"),
    (_GOOD, 0.8, r"(?:All checks passed!|Found 0 errors\b)"),
    (_BAD, 0.9, r"FAILED \((?:failures|errors)="),
    (_GOOD, 0.6, r"OK(?: \([\w=, ]+\))?$"),
    (_BAD, 0.7, r"Traceback \(most recent call last\):"),
    # JavaScript
    (_BAD, 0.9, r"Tests:\s+[1-9]\d* failed\b"),
    (_GOOD, 0.9, r"Tests:\s+(?:\d+ (?:skipped|todo), )*\d+ passed, \d+ total"),
    (_BAD, 0.85, r"(?:npm ERR!|npm error\b|error Command failed with exit code [1-9])"),
    (_BAD, 0.9, r"✖ \d+ problems? \([1-9]\d* errors?\b"),
    (_GOOD, 0.7, r"(?:[✔✓] )?0 problems\b"),
    (_BAD, 0.8, r"[1-9]\d* failing$"),
    (_GOOD, 0.7, r"\d+ passing \(\d+m?s\)"),
    (_BAD, 0.85, r"\S+\(\d+,\d+\): error TS\d+:"),
    (_GOOD, 0.7, r"added \d+ packages?\b.* in \d"),
    # Java, .NET, Bazel
    (_GOOD, 0.95, r"(?:\[INFO\] )?BUILD SUCCESS(?:FUL in .*|FUL)?$"),
    (_BAD, 0.95, r"(?:\[(?:INFO|ERROR)\] )?BUILD FAIL(?:URE|ED)\b"),
    (_GOOD, 0.9, r"Build succeeded\.$"),
    (_BAD, 0.9, r"Build FAILED\.$"),
    (_GOOD, 0.9, r"INFO: Build completed successfully"),
    # Rust, Go
    (_GOOD, 0.9, r"test result: ok\. "),
    (_BAD, 0.9, r"test result: FAILED\. "),
    (_BAD, 0.9, r"error: could not compile "),
    (_BAD, 0.8, r"error\[E\d+\]: "),
    (_GOOD, 0.7, r"Finished .* target\(s\) in "),
    (_BAD, 0.9, r"--- FAIL: |FAIL\t|FAIL$"),
    (_GOOD, 0.6, r"(?:ok\s+\S+\s+(?:[\d.]+s|\(cached\))|PASS$)"),
    # C and what builds it
    (_BAD, 0.95, r"(?:g?make(?:\[\d+\])?: \*\*\* |ninja: build stopped: )"),
    (_BAD, 0.85, r"[^\s:]+:\d+(?::\d+)?: (?:fatal )?error: |collect2: error: "),
    (_GOOD, 0.9, r"100% tests passed, 0 tests failed out of \d+"),
    (_BAD, 0.9, r"\d+% tests passed, [1-9]\d* tests failed out of \d+"),
    (_GOOD, 0.6, r"(?:make: Nothing to be done for|ninja: no work to do\.)"),
    # Ruby, PHP, Docker
    (_GOOD, 0.9, r"\d+ examples?, 0 failures"),
    (_BAD, 0.9, r"\d+ examples?, [1-9]\d* failures?"),
    (_GOOD, 0.9, r"OK \(\d+ tests?, \d+ assertions?\)"),
    (_BAD, 0.9, r"FAILURES!$"),
    (_GOOD, 0.8, r"Successfully (?:built [0-9a-f]+|tagged \S+)$"),
    (_BAD, 0.9, r"ERROR: failed to (?:solve|build): "),
    # how programs end
    (_GOOD, 0.7, r"(?i)(?:process |command )?(?:exited with code|exit(?:ed with)? (?:status|code):?) 0$"),
    (_BAD, 0.8, r"(?i)(?:process |command )?(?:exited with code|exit(?:ed with)? (?:status|code):?) [1-9]\d*$"),
    (_BAD, 0.8, r"(?:Segmentation fault|Aborted)(?: \(core dumped\))?$"),
    (_BAD, 0.5, r"(?:error|fatal|ERROR|FATAL)(?:: |\[|!)"),
)
_PATTERNS = [(state, sure, re.compile(pattern)) for state, sure, pattern in _BUILDS]
_HINT = re.compile(  # what every pattern holds: most lines hold none of it
    r"(?i)pass|fail|err|success|ok\b|problem|found|finished|traceback|exit|fault|abort|total|built|tagged|added|nothing"
    r"|no work|stopped|\*\*\*|fatal|build|example"
)


def _build(line: str) -> Reading:
    if _HINT.search(line) is None:
        return UNKNOWN
    for state, sure, pattern in _PATTERNS:
        if pattern.match(line):
            return Reading(state=state, confidence=sure, text=line, strategy="build")
    return UNKNOWN
