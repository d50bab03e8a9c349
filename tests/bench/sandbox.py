"""The start of an agent in the sandbox; its floor is the same start without one."""

from __future__ import annotations

import subprocess
import sys
import time

from tests.bench.world import Row, World, middle

MORE = 0.030  # seconds


def rows(quick: bool) -> list[Row]:
    rounds = 15 if quick else 60
    with World() as world:
        tree = world.project.with_name("tree")
        git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.com", "-C", str(world.project)]
        subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "first"], env=world.environ, check=True)
        subprocess.run([*git, "worktree", "add", "-q", str(tree)], env=world.environ, check=True, capture_output=True)
        wrap = [sys.executable, "-P", "-m", "tmux_agent", "wrap", "--plain"]
        environ = {name: value for name, value in world.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        floors: list[float] = []
        times: list[float] = []
        for _ in range(rounds):
            for flags, found in (((), floors), (("--sandbox",), times)):
                start = time.time()
                command = [*wrap, *flags, "--", "date", "+%s.%N"]  # says when it began
                done = subprocess.run(command, env=environ, cwd=tree, check=True, capture_output=True)
                found.append(float(done.stdout) - start)
    floor, ours = middle(floors), middle(times)
    more = ours - floor
    return [
        Row(
            name="wrap --sandbox: start of an agent", floor=f"{floor * 1e3:.1f} ms (wrap)",
            ours=f"{ours * 1e3:.1f} ms, {more * 1e3:.1f} ms more", ratio=f"{ours / floor:.2f}×",
            bound=f"≤ {MORE * 1e3:.0f} ms more", held=more <= MORE,
        )
    ]  # fmt: skip
