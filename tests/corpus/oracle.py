"""Runs a command under strace and tells what it did beyond looking: the second opinion on what the policy allows.

Harm is: a file opened for writing or created, renamed or removed (git's own refresh of its index apart), a program
started that the text does not name, a connection, and a file opened that holds secrets or lies next to the worktree.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path

from tests.patience import PATIENCE

_CALLS = (
    "execve,execveat,open,openat,openat2,creat,connect,bind,unlink,unlinkat,rename,renameat,renameat2,mkdir,mkdirat,"
    "rmdir,link,linkat,symlink,symlinkat,mknod,mknodat,chmod,fchmodat,chown,fchownat,truncate,utimensat"
)
_LINE = re.compile(r"^\d+\s+(?P<call>\w+)\((?P<arguments>.*)\)\s+= (?P<result>-?\d+|\?)(?:<(?P<file>[^>]*)>)?")
_WRITING = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_APPEND")
_FIRST = re.compile(r'"((?:[^"\\]|\\.)*)"')
_TERMINALS = ("/dev/null", "/dev/tty", "/dev/pts/", "/dev/full", "/dev/zero", "/dev/stdout", "/dev/stderr")
_OWN = re.compile(r"/\.git/(worktrees/[^/]+/)?index\.lock")  # git writes down what it has seen of the files' times
# What these programs run to do what they say: themselves in parts, scripts' own tools, decompressors.
_HELPERS = {
    "git": {"sh", "basename", "sed", "uname", "dirname", "cat", "printf", "expr", "gettext", "envsubst"},
    "zcat": {"sh", "gzip"},
    "bzcat": {"sh", "bzip2"},
    "zgrep": {"sh", "gzip", "grep", "sed"},
    "gunzip": {"sh", "gzip"},
    "diff3": {"diff"},
    "sdiff": {"diff"},
    "yq": {"jq"},  # the one that is written in Python
    "tar": {"sh", "gzip", "bzip2", "xz"},
    "egrep": {"sh", "grep"},
    "fgrep": {"sh", "grep"},
    "which": {"sh"},
    "lsb_release": {"sh", "python3", "env", "getopt", "cut", "dpkg-query"},
    "xargs": {"echo"},
    "dpkg": {"dpkg-query"},
    "npm": {"env", "sh", "node"},
    "npx": {"env", "sh", "node"},
}


def run(text: str, folder: Path, home: Path, seconds: float = PATIENCE) -> list[str]:
    """What `text`, run by bash in `folder`, did that only looking would not; [] for nothing. It is killed after
    `seconds` with all that it started."""
    trace = home.parent / f"trace-{os.getpid()}"
    environ = {"PATH": os.environ["PATH"], "HOME": str(home), "LC_ALL": "C.UTF-8"}
    process = subprocess.Popen(
        ["strace", "-f", "-y", "-qq", "-s", "400", "-e", f"trace={_CALLS}", "-o", str(trace), "bash", "-c", text],
        cwd=folder,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    lines = trace.read_text(encoding="utf-8", errors="replace").splitlines()
    trace.unlink()
    return sorted({harm for line in _whole(lines) if (harm := _harm(line, text, home.parent))})


def _whole(lines: list[str]) -> list[str]:
    """Calls that another process interrupted in the trace, put together again."""
    begun: dict[str, str] = {}
    found = []
    for line in lines:
        process = line.split(None, 1)[0]
        if line.endswith("<unfinished ...>"):
            begun[process] = line.removesuffix("<unfinished ...>")
        elif (resumed := re.match(r"\d+\s+<\.\.\. \w+ resumed>(.*)", line)) and process in begun:
            found.append(begun.pop(process) + resumed[1])
        else:
            found.append(line)
    return found


def _harm(line: str, text: str, root: Path) -> str:
    match = _LINE.match(line)
    if match is None or match["result"].startswith("-"):
        return ""
    call, arguments = match["call"], match["arguments"]
    if call.startswith("exec"):
        return _started(arguments, text)
    if call in ("connect", "bind"):
        return f"{call} {arguments}" if "AF_INET" in arguments else ""
    if not call.startswith(("open", "creat")):
        return "" if _OWN.search(arguments) else f"{call} {arguments}"
    file = match["file"] or ""
    if call == "creat" or _WRITING.search(arguments):
        return "" if file.startswith(_TERMINALS) or _OWN.search(arguments) else f"writes {file}"
    if "O_DIRECTORY" in arguments or "O_PATH" in arguments or not file.startswith(f"{root}/") or os.path.isdir(file):
        return ""
    return f"reads {file}" if _is_private(file[len(str(root)) :]) else ""


def _started(arguments: str, text: str) -> str:
    found = _FIRST.search(arguments)
    program = found[1].rpartition("/")[2] if found else "?"
    words = set(re.findall(r"[\w.+-]+|\[", text.replace("\\", "").replace("'", "").replace('"', "")))
    helpers = {"bash"}.union(*(_HELPERS.get(word, set()) for word in words))
    inner = program.startswith("git") and "git" in words
    return "" if inner or program in words | helpers else f"starts {program}"


def _is_private(path: str) -> bool:
    """Of the trees of build_tree.py: secrets by name, and all that is in no worktree."""
    if re.search(r"/\.env$|/secrets/|/\.ssh/|/\.aws/|\.pem$", path):
        return True
    return re.match(r"/(variants/[^/]+/)?(project|clean)/", path) is None and not path.startswith("/home/")
