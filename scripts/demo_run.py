"""What scripts/demo starts: the stage, then the person at it, or one that is played (--auto). Exit code 0: all held."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from types import FrameType

from demo_stage import Stage


def by_hand() -> int:
    """The person's turn; what the audit log has to say of it afterwards."""
    size = os.get_terminal_size()
    with Stage() as stage:
        stage.open(size.columns, size.lines)
        code = subprocess.call(stage.tmux_argv("attach-session"), env=stage.environ)
        for words in (("audit", "tail"), ("audit", "verify")):
            print(f"\n$ tmux-agent {' '.join(words)}\n{stage.agent_command(*words).stdout.rstrip()}")
        print("\nThe demo's tmux, sidecar and folder are gone.")
    return code


def by_itself() -> int:
    from demo_auto import Auto

    with Stage() as stage:
        return Auto(stage).run()


def _end(number: int, _: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)  # once is enough: cleaning up is not to be interrupted
    sys.exit(128 + number)


if __name__ == "__main__":
    for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, _end)
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # a terminal without UTF-8 is no reason to fail
    sys.exit(by_itself() if sys.argv[1:] == ["--auto"] else by_hand())
