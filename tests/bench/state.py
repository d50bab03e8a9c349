"""From the start of a hook's process to the agent's state on an attached client's status line."""

from __future__ import annotations

import json
import os
import sys
import time

from tests.bench.hook import hook_input
from tests.bench.world import Row, World, middle
from tests.patience import AGAIN, PATIENCE

from tmux_agent.edges import hook_command

# Runs the hook that each line names, as an agent in a pane does, and says when it began.
AGENT = """
import subprocess, sys, time
relay, data, times = sys.argv[1:4], open(sys.argv[4], "rb").read(), open(sys.argv[5], "w", buffering=1)
for line in open(sys.argv[6]):
    print(time.monotonic(), file=times)
    subprocess.run([*relay, "claude", line.strip()], input=data, check=True, stdout=subprocess.DEVNULL)
"""


def rows(quick: bool) -> list[Row]:
    rounds = 20 if quick else 100
    times = []
    with World(tmux=True) as world:
        assert world.tmux
        world.tmux.run("set-option", "-g", "status-interval", "0")
        terminal = world.tmux.attach()
        data, told, pipe = (world.folder / name for name in ("input", "times", "hooks"))
        data.write_text(json.dumps(json.loads(hook_input(world.project)) | {"prompt_id": ""}))
        os.mkfifo(pipe)
        relay = (hook_command.interpreter(), "-I", "-S", hook_command.relay())
        argv = (sys.executable, "-c", AGENT, relay[0], "-IS", relay[3], str(data), str(told), str(pipe))
        world.tmux.run("new-window", "-d", *argv)
        with pipe.open("w", buffering=1) as hooks:
            hooks.write("UserPromptSubmit\n")
            while not terminal.sees(lambda text: "⏵1]" in text, AGAIN):  # its pane was not known yet
                hooks.write("UserPromptSubmit\n")
            hooks.write("Stop\n")
            terminal.wait_for("✓1]")
            for number in range(rounds):
                hook, mark = ("UserPromptSubmit", "⏵1") if number % 2 == 0 else ("Stop", "✓1")
                terminal.raw.clear()
                hooks.write(f"{hook}\n")
                terminal.wait_raw(mark.encode(), PATIENCE)
                seen = time.monotonic()
                times.append(seen - float(told.read_text().splitlines()[-1]))
    return [
        Row(
            name="hook → state on a client's status line, p50",
            ours=f"{middle(times) * 1e3:.2f} ms (p90 {sorted(times)[len(times) * 9 // 10] * 1e3:.2f} ms)",
            bound="≤ 50 ms",
            held=middle(times) <= 0.050,
        )
    ]
