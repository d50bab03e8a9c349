"""Hands an agent's hook call to the sidecar and gives back its answer: `PYTHON -I -S hook_relay.py AGENT EVENT`.

Runs at every tool call, so it imports only what is compiled in (`posix` is the core of `os`, which costs 1 ms more).
Owns finding the sidecar, waiting, what is said while it is away; must not know what is in the input (adapters do)."""

import _socket
import posix
import sys
import time
from _json import scanstring

ENV, LIMIT, LONG = posix.environ, 32 << 20, (1.5, 86_390.0)  # bytes of input; PATIENCE of who waits for a person
# Seconds to look for a sidecar that is away, and to wait for its answer: we end before the agent's time-out of a day
PATIENCE = {"PermissionRequest": (30.0, 86_390.0), "PreToolUse": (1.5, 30.0), "BeforeTool": LONG, "tool.before": LONG}
PATIENCE |= {"codex PermissionRequest": (10.0, 30.0), "gemini Notification": (0.1, 1.0)}  # its dialog shows after it
CURSOR = ("preToolUse", "beforeShellExecution", "beforeMCPExecution", "beforeReadFile")
PATIENCE |= dict.fromkeys(("claude PreToolUse", "permission.asked", "question.asked", *CURSOR), LONG)
# What the hook before a tool is told where nobody judged. Some know no "ask": silence leaves it to their own rules
CLAUDE = '"hookEventName":"PreToolUse","permissionDecision":"%s","permissionDecisionReason":"%s"'
CLAUDE, PLAIN = f'{{"hookSpecificOutput":{{{CLAUDE}}}}}', '{"decision":"%s","reason":"%s"}'
FORMS = {"claude PreToolUse": CLAUDE, "codex PreToolUse": CLAUDE, "gemini BeforeTool": PLAIN}
FORMS |= {f"cursor {event}": '{"permission":"%s","user_message":"%s"}' for event in CURSOR}
FORMS["opencode tool.before"], RUNS = PLAIN, ("codex", "opencode", "cursor")  # may run what is not denied
CONTROLS = bytes.maketrans(bytes(range(32)), b"\x7f" * 9 + b"  \x7f\x7f " + b"\x7f" * 18)  # JSON has only white space


def from_state(name: bytes) -> bytes:
    """First line of a file that the sidecar keeps in the state folder; empty where there is none."""
    state = (ENV.get(b"XDG_STATE_HOME") or ENV.get(b"HOME", b"") + b"/.local/state") + b"/tmux-agent"
    try:
        with open((ENV.get(b"TMUX_AGENT_STATE_DIR") or state) + b"/" + name, "rb", 0) as file:
            return file.read(4096).partition(b"\n")[0].strip()
    except OSError:
        return b""


def ask_sidecar(line: bytes, look: float, wait: float) -> bytes:
    """The reply, however often it restarts meanwhile (a resend opens nothing new); b"" if it is away, b"gone" now."""
    gone, deadline, runtime, end = time.monotonic(), time.monotonic() + wait, ENV.get(b"XDG_RUNTIME_DIR"), b""
    while time.monotonic() < gone + max(look, bool(end) * min(10.0, wait / 3)):  # longer for one that was just there
        for path in (ENV.get(b"TMUX_AGENT_SOCKET"), runtime and runtime + b"/tmux-agent.sock", from_state(b"socket")):
            link, reply, began = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM), b"", time.monotonic()
            try:
                link.settimeout(max(0.01, deadline - began))
                link.connect(path or b"/nowhere")
                link.sendall(line)
                end = b"gone"
                while not reply.endswith(b"\n") and (more := link.recv(65536)):
                    reply += more
            except OSError as why:  # nobody there, or gone while we waited
                reply = b"late\n" if isinstance(why, TimeoutError) else b""
            if reply.endswith(b"\n") and b'"code":-320' not in reply:  # those say "not now", others are for good
                return reply
            gone = time.monotonic() if time.monotonic() > began + 1 else gone
        time.sleep(0.05)
    return end


def give_up(hook: str, why: str, configured: bytes | None = None) -> None:
    """Says why there is no answer, and asks or denies as configured; None: the sidecar, or nobody, had it in hand."""
    posix.write(2, f"tmux-agent: {why}\n".encode())
    verdict = "deny" if configured == b"deny" or (hook.startswith(RUNS) and configured is None) else "ask"
    if hook in FORMS and (verdict == "deny" or not hook.startswith(RUNS[:2])):  # else silence leaves its own dialog
        posix.write(1, f"{FORMS[hook] % (verdict, 'tmux-agent: ' + why)}\n".encode())
    posix._exit(0)


def main(agent: str, event: str) -> None:
    data, hook = bytearray(), f"{agent} {event.partition(':')[0]}"  # what follows is the adapter's
    while chunk := posix.read(0, 1 << 20):
        data += chunk if len(data) <= LIMIT else b""
    if len(data) > LIMIT:
        give_up(hook, "the hook's input is over 32 MiB, so it was not judged")
    text = bytes(data).translate(CONTROLS).replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    head = f'"agent":"{agent}","event":"{event}","relay_id":"{posix.urandom(16).hex()}","input":"'.encode()
    line = b'{"jsonrpc":"2.0","id":1,"method":"hook.event","params":{%b%b"}}\n' % (head, text)
    patience = PATIENCE.get(hook) or PATIENCE.get(hook.partition(" ")[2], (0.5, 5.0))
    if (reply := ask_sidecar(line, *patience).decode(errors="replace")) in ("", "gone"):
        configured = None if reply and hook.startswith(RUNS) else from_state(b"on_unavailable")
        give_up(hook, "the sidecar is away, start it with: tmux-agent sidecar start", configured)
    if '"result":{' not in reply:
        give_up(hook, "the sidecar did not judge this (unreadable input, or no answer in time): tmux-agent doctor")
    for file, name in ((1, '"stdout":"'), (2, '"stderr":"')):  # quotes in strings are escaped: no text has such a name
        if name in reply:
            posix.write(file, scanstring(reply, reply.index(name) + len(name))[0].encode(errors="replace"))
    posix._exit(int(reply.partition('"exit_code":')[2][:1] or 0))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
