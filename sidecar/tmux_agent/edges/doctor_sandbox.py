"""Whether agents can be started in the sandbox here: `tmux-agent doctor` makes one, with nothing in it.

Owns the try and what its failures mean. Must not own: the sandbox (core/sandbox.py, edges/wrap/).
"""

from __future__ import annotations

import os
import platform
import subprocess

from ..core import sandbox, seccomp
from .checks import SECONDS, Check, version
from .wrap import sandboxed

OLDEST = (0, 8)  # --disable-userns


def check() -> Check:
    """Only `wrap --sandbox` needs it: what is missing is a warning."""
    program = sandboxed.bubblewrap(os.environ.get("PATH", ""))
    if platform.system() != "Linux" or platform.machine() not in seccomp.MACHINES:
        what = f"there is none on {platform.system()} {platform.machine()}"
        return Check("sandbox", "warning", what, "start agents in a virtual machine instead")
    if program is None:
        return Check("sandbox", "warning", "bubblewrap is not on your PATH: no agent can be started in the sandbox",
                     "install the package bubblewrap")  # fmt: skip
    said, found = version(program, "--version")
    if found < OLDEST:
        return Check("sandbox", "warning", f"{said or program} is too old", "install bubblewrap 0.8 or newer")
    if why := _tried(program):
        return Check("sandbox", "warning", f"{said} cannot make one: {why}", _mend(why))
    if not sandboxed.keeps_in():
        what = f"{said}; this kernel cannot hide abstract sockets (X11), which need the network"
        return Check("sandbox", "warning", what, "set sandbox.network: off, or use Linux 6.12 or newer")
    return Check("sandbox", "ok", said)


def _tried(program: str) -> str:
    """What went wrong; "" for nothing."""
    words = [program, "--unshare-user", "--unshare-pid", "--disable-userns", "--die-with-parent"]
    words += ["--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev"]
    words += ["/usr/bin/env", f"--default-signal={sandbox.RESET}", "/bin/sh", "-c", ":"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as why:
        return str(why)
    return done.stderr.strip().partition("\n")[0][:200] if done.returncode else ""


def _mend(why: str) -> str:
    if "default-signal" in why:
        return "install coreutils 8.31 or newer: its env starts the agent"
    if "uid map" in why or "Operation not permitted" in why or "Permission denied" in why or "namespace" in why:
        return ("sysctl kernel.unprivileged_userns_clone=1 user.max_user_namespaces=10000; on Ubuntu also "
                "kernel.apparmor_restrict_unprivileged_userns=0, or a profile for bwrap")  # fmt: skip
    return "bwrap --unshare-user --ro-bind / / true"
