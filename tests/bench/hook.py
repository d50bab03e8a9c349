"""The hook relay, whole process, where the policy allows; its floor is the same interpreter doing nothing."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

from tests.bench.world import Row, World, against, middle

from tmux_agent.edges import hook_command


def rows(quick: bool) -> list[Row]:
    rounds = 60 if quick else 300
    python = hook_command.interpreter()
    ours = [python, "-I", "-S", hook_command.relay(), "claude", "PreToolUse"]
    floor = [python, "-I", "-S", "-c", "pass"]
    with World() as world:
        data = world.folder / "input"
        data.write_text(hook_input(world.project))
        said = subprocess.run(ours, env=world.environ, stdin=data.open(), capture_output=True, check=True, text=True)
        allowed = '"allow"' in said.stdout
        floors, times = [], []
        for _ in range(rounds):  # turn about, so that both meet the same machine
            floors.append(one(floor, world.environ, data))
            times.append(one(ours, world.environ, data))
    name = "hook relay, whole process" + ("" if allowed else f" (NOT allowed: {said.stdout[:80]!r})")
    return [against(name, middle(floors), middle(times), 1.5)]


def hook_input(project: Path) -> str:
    return json.dumps(
        {
            "session_id": "00000000-0000-4000-8000-000000000000",
            "transcript_path": "/tmp/transcript.jsonl",
            "cwd": str(project),
            "permission_mode": "default",
            "hook_event_name": "PreToolUse",
            "tool_name": "Bash",
            "tool_input": {"command": "git status --short", "description": "See what changed"},
            "tool_use_id": "toolu_0000000000000000000000",
        }
    )


def one(argv: list[str], environ: dict[str, str], data: Path) -> float:
    """Seconds from before the start of a process to its end."""
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, str(data), os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
    ]
    start = time.perf_counter()
    pid = os.posix_spawn(argv[0], argv, environ, file_actions=actions, setsid=True)
    os.waitpid(pid, 0)
    return time.perf_counter() - start
