"""What the attackers of test_roles.py run: standard library only, all words on the command line.

attack.py OUT say SOCKET JSON…      each JSON is [method, params]; the replies go to OUT, one line each
attack.py OUT press SOCKET KEYS…    attaches a tmux client on an own pty, presses each of KEYS once the screen rests;
                                    a prefix key until a popup has told something
attack.py OUT steal SOCKET COMMAND  waits for a popup's nonce in /proc, runs COMMAND with it in place of NONCE
attack.py OUT orphan COMMAND…       runs COMMAND twice removed, in a session of its own
attack.py OUT pty COMMAND…          runs COMMAND on a pty of its own
attack.py OUT twice SOCKET JSON…    as `say`, but each request on a connection of its own
"""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import socket
import subprocess
import sys
import time

PATIENCE = 60.0
RESTS = 0.4  # seconds without output after which a screen rests
TOLD = "closes"  # of a popup that says something, which a key closes
TRIES = 20  # with a prefix key, a second each: the sidecar may not know the client yet


def told(out: str, lines: list[str]) -> None:
    with open(f"{out}.part", "a") as file:
        file.writelines(f"{line}\n" for line in lines)
    os.rename(f"{out}.part", out)


def request(path: str, words: list[str]) -> list[str]:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(path)
        replies = sock.makefile()
        lines = []
        for number, word in enumerate(words):
            method, params = json.loads(word)
            line = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
            sock.sendall(json.dumps(line).encode() + b"\n")
            lines.append(replies.readline().rstrip("\n"))
        return lines


def say(out: str, path: str, *words: str) -> None:
    told(out, request(path, list(words)))


def twice(out: str, path: str, *words: str) -> None:
    told(out, [line for word in words for line in request(path, [word])])


def rest(fd: int, first: float = 1.0) -> str:
    """What a terminal shows until nothing more comes; nothing, where nothing comes within `first` seconds."""
    seen = b""
    with contextlib.suppress(OSError):
        while select.select([fd], [], [], RESTS if seen else first)[0]:
            seen += os.read(fd, 65536)
    return seen.decode("utf-8", "replace")


def press(out: str, tmux_socket: str, *keys: str) -> None:
    pid, fd = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm-256color"
        os.environ.pop("TMUX", None)
        os.execvp("tmux", ["tmux", "-u", "-S", tmux_socket, "attach-session"])
    lines = [rest(fd, PATIENCE)]
    for key in keys:
        for _ in range(TRIES if key.startswith("\\x02") else 1):
            os.write(fd, key.encode().decode("unicode_escape").encode())
            lines.append(rest(fd))
            if TOLD in lines[-1]:
                break
    told(out, [json.dumps(line) for line in lines])


def nonce(path: str) -> list[str]:
    """The arguments of a popup's relay to the sidecar at `path`, as any process of the same user reads them."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        for name in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError), open(f"/proc/{name}/cmdline", "rb") as file:
                words = file.read().decode("utf-8", "replace").split("\0")[:-1]
                at = next((place for place, word in enumerate(words) if word.endswith("/relay.py")), len(words))
                if words[at + 1 : at + 2] == [path] and len("".join(words[at + 2 : at + 3])) == 32:
                    return words[at - 3 : at + 3]
    raise SystemExit("no popup was opened")


def steal(out: str, path: str, *words: str) -> None:
    relay = nonce(path)
    told(out, [json.dumps(relay[-1])])
    text = " ".join(relay)
    os.execvp("sh", ["sh", "-c", " ".join(words).replace("RELAY", text)])


def orphan(_: str, *words: str) -> None:
    readable, writable = os.pipe()
    if os.fork():
        os._exit(0)
    os.setsid()
    if os.fork():
        os._exit(0)
    os.close(writable)
    os.read(readable, 1)
    os.execvp(words[0], words)


def own_pty(_: str, *words: str) -> None:
    pid, fd = pty.fork()
    if pid == 0:
        os.execvp(words[0], words)
    with contextlib.suppress(OSError):
        while os.read(fd, 65536):
            pass
    subprocess.run(["true"], check=True)


if __name__ == "__main__":
    {"say": say, "twice": twice, "press": press, "steal": steal, "orphan": orphan, "pty": own_pty}[sys.argv[2]](
        sys.argv[1], *sys.argv[3:]
    )
