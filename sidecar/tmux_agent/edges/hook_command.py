"""The command line that agents are given for their hooks. Owns the interpreter and the relay that it names."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path


def interpreter() -> str:
    """An absolute Python that is no shim: what runs us, outside any virtual environment, which may be made anew."""
    found = os.path.abspath(getattr(sys, "_base_executable", None) or sys.executable)
    with open(found, "rb") as file:
        script = file.read(2) == b"#!"
    return os.path.realpath("/proc/self/exe") if script else found


def relay() -> str:
    """The absolute path of the hook relay of this installation."""
    return str(Path(__file__).resolve().parent / "hook_relay.py")


def line(python: str, relay_path: str, agent: str, event: str) -> str:
    """One command line for a shell.

    Not a program with its arguments apart: a Claude that does not know `args` would start the bare interpreter, which
    would read the hook's input as a program.
    """
    return f"{shlex.quote(python)} -I -S {shlex.quote(relay_path)} {agent} {event}"
