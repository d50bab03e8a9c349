"""The asking half of the measurements, a process of its own: `put PROMPT` or `ask PROMPT` a line; times as answers.

The times are time.perf_counter's, which on Linux is one clock for all processes.
"""

from __future__ import annotations

import sys
import time

from tmux_agent.client import Client


def main() -> None:
    with Client(name="asker") as client:
        client.hello()
        print("ready", flush=True)
        for line in sys.stdin:
            how, _, prompt = line.strip().partition(" ")
            when = time.perf_counter()
            if how == "ask":
                client.ask(prompt)
                when = time.perf_counter()
            else:
                client.ask_async(prompt)
            print(when, flush=True)


main()
