"""Readings: what real tools print at their end, JSON, notifications and screens; unknown rather than a guess."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmux_agent.core.readings import Notices, last, of_line, of_notice, of_screen
from tmux_agent.core.screen_reading import Seen

LINES = {
    "success": [
        "============================= 235 passed in 105.77s (0:01:45) =============================",
        "10 passed in 3.22s",
        "======= 12 passed, 3 skipped, 1 warning in 0.52s =======",
        "Success: no issues found in 379 source files",
        "All checks passed!",
        "Tests:       3 passed, 3 total",
        "Tests:       1 skipped, 41 passed, 42 total",
        "  12 passing (30ms)",
        "✔ 0 problems",
        "added 152 packages, and audited 153 packages in 4s",
        "BUILD SUCCESSFUL in 12s",
        "[INFO] BUILD SUCCESS",
        "Build succeeded.",
        "INFO: Build completed successfully, 12 total actions",
        "test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
        "    Finished `dev` profile [unoptimized + debuginfo] target(s) in 0.42s",
        "ok  \texample.com/pkg\t0.012s",
        "PASS",
        "100% tests passed, 0 tests failed out of 14",
        "make: Nothing to be done for 'all'.",
        "ninja: no work to do.",
        "5 examples, 0 failures",
        "OK (3 tests, 5 assertions)",
        "OK",
        "Successfully tagged app:latest",
        "Process exited with code 0",
        '{"type":"result","subtype":"success","is_error":false,"duration_ms":1200,"result":"done"}',
        '{"status":"success","stage":"build"}',
        '{"ok": true, "stage": "test"}',
        '{"type":"turn.completed","usage":{"input_tokens":1}}',
        '{"exit_code":0}',
    ],
    "failure": [
        "=========== 1 failed, 234 passed in 99.10s (0:01:39) ===========",
        "2 failed, 1 passed, 1 skipped in 0.10s",
        "1 error in 0.05s",
        "=== 3 passed, 1 error in 2.05s ===",
        "Found 5 errors in 2 files (checked 366 source files)",
        "Found 3 errors.",
        "FAILED (failures=1, errors=2)",
        "Traceback (most recent call last):",
        "Tests:       1 failed, 2 passed, 3 total",
        "npm ERR! code ELIFECYCLE",
        "npm error Lifecycle script `build` failed with error:",
        "✖ 3 problems (1 error, 2 warnings)",
        "  1 failing",
        "src/a.ts(3,5): error TS2304: Cannot find name 'x'.",
        "BUILD FAILED in 3s",
        "[INFO] BUILD FAILURE",
        "test result: FAILED. 4 passed; 1 failed; 0 ignored",
        "error: could not compile `app` (bin \"app\") due to 1 previous error",
        "error[E0308]: mismatched types",
        "--- FAIL: TestAdd (0.00s)",
        "FAIL\texample.com/pkg\t0.010s",
        "make: *** [Makefile:2: all] Error 2",
        "make[1]: *** [all] Error 1",
        "ninja: build stopped: subcommand failed.",
        "main.c:3:5: error: expected ';' before '}' token",
        "src/x.cpp:12: fatal error: y.h: No such file or directory",
        "93% tests passed, 1 tests failed out of 14",
        "5 examples, 1 failure",
        "ERROR: failed to solve: process \"/bin/sh -c make\" did not complete successfully: exit code: 2",
        "Process exited with code 137",
        "Segmentation fault (core dumped)",
        "fatal: not a git repository (or any of the parent directories): .git",
        '{"ok":false,"stage":"test"}',
        '{"type":"result","subtype":"success","is_error":true}',
        '{"conclusion":"timed_out"}',
    ],
    "working": ['{"status":"in_progress"}', '{"type":"turn.started"}'],
    "unknown": [
        "", "$ ", "Compiling app v0.1.0", "warning: unused variable: `x`", "  12 | let error = 1;",
        "we will see how many passed in the end", "checking whether errors are ok", "0 failed",
        '{"level":"error","msg":"x"}', "{", "{}", "[1]", '{"ok":true,"failed":true}', "{" * 3000,
        '{"ok":"yes"}', "Building 40% done", "the exit code 0 means success",
    ],
}  # fmt: skip


@pytest.mark.parametrize("state", LINES)
def test_what_tools_print_at_their_end(state: str) -> None:
    for line in LINES[state]:
        said = of_line(line)
        assert said.state == state, line
        assert (said.confidence > 0) is (state != "unknown")
        assert said.text == (line.strip() if state != "unknown" else "")


def test_the_last_word_counts_and_a_doubtful_one_does_not_take_the_place_of_a_sure_one() -> None:
    assert last("0 problems\nnpm ERR! code 1\n").state == "failure"
    assert last("1 failed in 0.1s\n$ pytest\n3 passed in 0.1s\n$ ").state == "success"
    assert last("BUILD SUCCESSFUL in 3s\nerror: telemetry cannot be reached\n").state == "success"
    assert last("error: no such file\n").confidence == 0.5
    assert last("nothing to see\n").state == "unknown"
    assert last("3 passed in 0.1s", ["Claude needs your permission to use Bash"]).strategy == "build"


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_notifications_are_found_however_they_are_cut(size: int) -> None:
    data = (
        b"a\x1b]0;title\x07\x1b]9;Claude needs your permission\x07b\x1b]777;notify;Build;npm ERR! code 1\x1b\\"
        b"\x1b]99;i=1:d=0;3 passed in 0.1s\x1b\\\x1b]9;4;1;50\x07\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\"
    )
    notices = Notices()
    found = [text for at in range(0, len(data), size) for text in notices.feed(data[at : at + size])]
    assert found == ["Claude needs your permission", "Build;npm ERR! code 1", "3 passed in 0.1s", "4;1;50"]
    assert [of_notice(text).state for text in found] == ["waiting", "unknown", "success", "working"]


def test_an_agents_screen_says_whether_it_waits() -> None:
    assert of_screen(Seen(state="waiting"), "Do you want to proceed?").state == "waiting"
    assert of_screen(Seen(state="working"), "Thinking").state == "working"
    assert of_screen(Seen(state="idle"), "> ").state == "unknown"  # whether it went well is not said


@given(st.text(max_size=300))
def test_no_text_is_a_crash(text: str) -> None:
    said = last(text, [text])
    assert 0 <= said.confidence <= 1


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_no_bytes_are_a_crash(parts: list[bytes]) -> None:
    notices = Notices()
    for part in parts:
        notices.feed(part)


def test_lines_that_nearly_match_cost_no_more_than_their_length() -> None:
    begun = time.process_time()
    for near in ("1 passed, ", "1 skipped, ", "error ", "Tests: 1 todo, ", "ok  "):
        last((near * 1000 + "\n") * 20)
    assert time.process_time() - begun < 2.0
