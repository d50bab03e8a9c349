"""`tmux-agent policy …`, run as people run it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from tests.sidecar import until

SIDECAR = Path(__file__).parents[2] / "sidecar"


def policy(folder: Path, *argv: str, stdin: str = "", **extra: str) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "PYTHONPATH": str(SIDECAR), "LC_ALL": "C.UTF-8"}
    command = [sys.executable, "-m", "tmux_agent", "policy", *argv]
    return subprocess.run(
        command, cwd=folder, input=stdin, env=environ | extra, capture_output=True, encoding="utf-8", check=False
    )


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "proj"
    folder.mkdir()
    (folder / "a").write_text("x")
    return folder


def test_check_says_verdict_rule_and_reason(tree: Path) -> None:
    """Exit code 0 for allow, 3 for anything else; 2 with neither a text nor a command."""
    allowed = policy(tree, "check", "--", "cat", "a")
    assert (allowed.returncode, allowed.stdout) == (0, "allow  print files\n")
    asked = policy(tree, "check", "--shell", "cat a > b")
    assert asked.returncode == 3
    assert asked.stdout.startswith("ask  unmatched  writes ")
    assert json.loads(policy(tree, "check", "--json", "--shell", "rm a").stdout)["verdict"] == "ask"
    assert policy(tree, "check").returncode == 2


def test_explain_shows_parts_and_everything_that_applies(tree: Path) -> None:
    """One line for each part and each match, with its place in the file; no colours into a pipe."""
    text = policy(tree, "explain", "--shell", "cat a | sort; git push -f").stdout
    for words in (
        "print files",
        "sort lines",
        "force push needs a person",
        "shipped policy.yaml:",
        "risk high",
        "parts",
    ):
        assert words in text
    assert "\x1b" not in text


def test_jsonl_answers_each_line(tree: Path) -> None:
    """Verdicts by id, in order; a broken line gets an error of its own and the stream goes on."""
    lines = [
        '{"id": "1", "shell": "cat a"}',
        "{broken",
        '{"id": 3}',
        f'{{"id": "4", "argv": ["cat", "a"], "cwd": "{tree}"}}',
        '{"id": "5", "shell": "cat a", "env": {"LD_PRELOAD": "x"}}',
        "",
        '{"id": "6", "argv": []}',
        '{"id": "7", "shell": 5}',
        "[" * 5000,
    ]
    result = policy(tree, "check", "--jsonl", "-", stdin="\n".join(lines) + "\n")
    assert result.returncode == 0, result.stderr
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(answer["id"], answer["verdict"]) for answer in answers] == [
        ("1", "allow"),
        (None, "ask"),
        (3, "ask"),
        ("4", "allow"),
        ("5", "ask"),
        ("6", "ask"),
        ("7", "ask"),
        (None, "ask"),
    ]
    assert ["error" in answer for answer in answers] == [False, True, True, False, False, True, True, True]
    assert all({"id", "verdict", "rule", "reason"} <= set(answer) for answer in answers)


def test_jsonl_takes_many(tree: Path) -> None:
    """Five thousand different cases in one run: each gets its line, in order."""
    cases = "".join(
        json.dumps({"id": str(n), "shell": f"grep -n x{n} a | head -{n % 50 + 1}"}) + "\n" for n in range(5000)
    )
    answers = [json.loads(line) for line in policy(tree, "check", "--jsonl", "-", stdin=cases).stdout.splitlines()]
    assert [answer["id"] for answer in answers] == [str(n) for n in range(5000)]
    assert {answer["verdict"] for answer in answers} == {"allow"}


def case(number: int) -> str:
    return json.dumps({"id": number, "shell": f"grep -n x{number} a"}) + "\n"


def test_jsonl_answers_as_cases_come(tree: Path) -> None:
    """One case, a heap of them, one more, and a last one without a line end: each heap is answered before the next."""
    command = [sys.executable, "-m", "tmux_agent", "policy", "check", "--jsonl", "-"]
    environ = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "PYTHONPATH": str(SIDECAR)}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=tree, env=environ, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdin
        assert process.stdout
        for heap in (range(1), range(1, 400), range(400, 401)):
            process.stdin.write("".join(map(case, heap)))
            process.stdin.flush()
            assert [json.loads(process.stdout.readline())["id"] for _ in heap] == list(heap)
        process.stdin.write(case(401).rstrip("\n"))
        process.stdin.close()
        assert json.loads(process.stdout.readline())["id"] == 401
        assert process.stdout.read() == ""
    assert process.returncode == 0


def test_jsonl_ends_with_its_reader(tree: Path) -> None:
    """`| head -1` is an end like any other: nothing is left running."""
    (tree / "cases").write_text("".join(map(case, range(3000))))
    line = f"{sys.executable} -m tmux_agent policy check --jsonl cases | head -1"
    environ = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "PYTHONPATH": str(SIDECAR)}
    shell = subprocess.Popen(
        ["sh", "-c", line],
        cwd=tree,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    out, err = shell.communicate()
    assert json.loads(out)["id"] == 0
    assert err == b""
    until(lambda: not [one for one in psutil.pids() if session_of(one) == shell.pid])


def test_a_killed_process_of_the_stream_costs_no_answer(tree: Path) -> None:
    """Where one of the processes that share the work dies, what it owed is judged all the same, in order."""
    (tree / "cases").write_text("".join(map(case, range(3000))))
    command = [sys.executable, "-m", "tmux_agent", "policy", "check", "--jsonl", "cases"]
    environ = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "PYTHONPATH": str(SIDECAR)}
    with subprocess.Popen(command, cwd=tree, env=environ, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        first = process.stdout.readline()
        for child in psutil.Process(process.pid).children():
            child.kill()
        answers = [json.loads(line) for line in (first, *process.stdout)]
    assert [answer["id"] for answer in answers] == list(range(3000))
    assert process.returncode == 0


def test_answers_that_cannot_be_written(tree: Path) -> None:
    """A full disk is said in words."""
    (tree / "cases").write_text(case(1))
    line = f"{sys.executable} -m tmux_agent policy check --jsonl cases >/dev/full"
    environ = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "PYTHONPATH": str(SIDECAR)}
    done = subprocess.run(["sh", "-c", line], cwd=tree, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


def session_of(pid: int) -> int:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return 0


def test_another_policy_and_its_errors(tree: Path, tmp_path: Path) -> None:
    """--policy FILE stands in place of all; one with errors is named with file and line, and nothing is judged."""
    file = tmp_path / "p.yaml"
    file.write_text("rules:\n- {name: r, when: {command: [make]}, verdict: allow, match: [make]}\n")
    assert policy(tree, "check", "--policy", str(file), "--", "make").returncode == 0
    assert policy(tree, "check", "--policy", str(file), "--", "cat", "a").returncode == 3
    file.write_text("rules:\n- {name: r, when: {command: [make]}, verdict: alow}\n")
    broken = policy(tree, "check", "--policy", str(file), "--", "make")
    assert broken.returncode == 2
    assert (
        f"{file}:2: rules[0].verdict: has to be one of allow, ask, deny, not 'alow', did you mean allow?"
        in broken.stderr
    )


def test_init_lint_test_and_trust(tree: Path, tmp_path: Path) -> None:
    """The shipped policy becomes the person's own, once; it has no errors and its examples hold."""
    assert policy(tree, "init").returncode == 0
    assert policy(tree, "init").returncode == 1
    assert "no errors" in policy(tree, "lint").stdout
    assert "paths" in policy(tree, "lint", "--kinds").stdout or "path " in policy(tree, "lint", "--kinds").stdout
    cases = tmp_path / "c.jsonl"
    cases.write_text('{"shell": "cat a", "expect": "allow"}\n{"shell": "rm a", "expect": "allow"}\n')
    tried = policy(tree, "test", str(cases))
    assert tried.returncode == 1
    assert "c.jsonl:2: ask, not allow: rm a" in tried.stdout
    (tree / ".tmuxagent").mkdir()
    (tree / ".tmuxagent" / "policy.yaml").write_text("rules:\n- {name: r, when: {command: [make]}, verdict: allow}\n")
    assert policy(tree, "check", "--", "make").returncode == 3
    assert policy(tree, "trust", CLAUDECODE="1").returncode == 1
    assert policy(tree, "trust").returncode == 0
    (tree / ".tmuxagent" / "policy.yaml").write_text("notify: {urls: json://x}\n")
    assert "not for a repository" in policy(tree, "trust").stderr
    (tree / ".tmuxagent" / "policy.yaml").write_text("rules:\n- {name: r, when: {command: [make]}, verdict: allow}\n")
    assert policy(tree, "check", "--", "make").returncode == 0


def test_replay_says_what_would_change(tree: Path, tmp_path: Path) -> None:
    """Decisions of the log against another policy; torn lines and other records are passed over."""
    log, file = tmp_path / "audit.jsonl", tmp_path / "p.yaml"
    origin = {"cwd": str(tree)}
    record = {
        "seq": 1,
        "timestamp": "2999-01-01T00:00:00",
        "type": "decision",
        "origin": origin,
        "data": {"action": {"type": "command", "argv": ["cat", "a"], "cwd": str(tree)}, "verdict": "allow"},
    }
    log.write_text(json.dumps(record) + "\n" + json.dumps(record | {"type": "request"}) + "\n{torn")
    file.write_text("rules: []\n")
    same = policy(tree, "replay", "--audit", str(log))
    assert (same.returncode, same.stdout) == (0, "1 decisions judged anew, 0 would be others\n")
    other = policy(tree, "replay", "--audit", str(log), "--policy", str(file), "--since", "7d")
    assert other.returncode == 1
    assert "allow → ask" in other.stdout
    assert policy(tree, "replay", "--audit", str(log), "--since", "soon").returncode == 2
