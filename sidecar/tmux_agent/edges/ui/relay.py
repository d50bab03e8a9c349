"""The process inside a tmux popup: carries bytes between its terminal and the sidecar, which draws.

Run as `python -I -S relay.py SOCKET NONCE`. Owns: raw mode, the attach line, the frames. Must not own:
anything that is drawn, keys, any decision. Imports only modules compiled into the interpreter, because a person waits
for it: `socket`, `json`, `signal` and even `os` cost more than all that it does.

To the sidecar: one JSON-RPC line `popup.attach`, then frames: 1 type byte, 4 bytes length (big endian), bytes.
`d` is typed bytes, `w` is columns and rows as two 16-bit numbers. From the sidecar: `K` and then terminal bytes as they
are; one NUL byte says "closed as meant". Instead of `K`, a JSON error line says why not.
Exit status: 0 closed as meant, 1 refused or the sidecar went away (open the popup with -EE so that the reason stays).
"""

import _signal
import _socket
import posix
import select
import sys
import termios

UNDO = b"\x1b[0m\x1b[?2004l\x1b[?25h\x1b[?1049l"  # colours, bracketed paste, cursor, alternate screen


def environment(name):
    """A variable as plain ASCII that needs no JSON escapes."""
    value = posix.environ.get(name.encode(), b"").decode("ascii", "ignore")
    return "".join(c for c in value if c.isalnum() or c in "-_+.")


def size():
    try:
        return posix.get_terminal_size(0)
    except OSError:
        return (80, 24)


def attach_line(nonce):
    locale = environment("LC_ALL") or environment("LC_CTYPE") or environment("LANG")
    fields = ['"nonce":"%s"' % "".join(c for c in nonce if c.isalnum() or c in "-_")]
    fields += ['"columns":%d,"rows":%d' % tuple(size())]
    fields += ['"term":"%s","colorterm":"%s"' % (environment("TERM"), environment("COLORTERM"))]
    fields += ['"utf8":%s' % ("true" if "utf" in locale.lower() else "false")]
    fields += ['"no_color":%s' % ("true" if posix.environ.get(b"NO_COLOR") else "false")]
    return '{"jsonrpc":"2.0","id":1,"method":"popup.attach","params":{%s}}\n' % ",".join(fields)


def raw(old):
    new = [*old[:6], list(old[6])]
    new[0] &= ~(termios.BRKINT | termios.ICRNL | termios.INPCK | termios.ISTRIP | termios.IXON)
    new[1] &= ~termios.OPOST
    new[3] &= ~(termios.ECHO | termios.ICANON | termios.IEXTEN | termios.ISIG)
    new[6][termios.VMIN], new[6][termios.VTIME] = 1, 0
    termios.tcsetattr(0, termios.TCSANOW, new)


def show(data):
    while data:
        data = data[posix.write(1, data) :]


def frame(kind, data):
    return kind + len(data).to_bytes(4, "big") + data


def carry(sock, wake):
    """Until either side ends: None if the sidecar closed as meant, else what went wrong, in a sentence."""
    started = False
    while True:
        for fd in select.select([0, sock.fileno(), wake], [], [])[0]:
            if fd == wake:
                posix.read(wake, 512)
                sock.sendall(frame(b"w", b"".join(n.to_bytes(2, "big") for n in size())))
            elif fd == 0:
                typed = posix.read(0, 4096)
                if not typed:
                    return None
                sock.sendall(frame(b"d", typed))
            else:
                data = sock.recv(65536)
                if not started and data[:1] == b"{":
                    return refusal(sock, data)
                if not data:
                    return "the sidecar went away; it answered nothing. tmux-agent sidecar status says more"
                body = data if started else data[1:]
                started = True
                show(body.replace(b"\0", b""))
                if b"\0" in body:
                    return None


def refusal(sock, data):
    while b"\n" not in data and len(data) < 65536 and (more := sock.recv(65536)):
        data += more
    text = data.decode("utf-8", "replace").partition('"message":"')[2].partition('"')[0]
    return "".join(c for c in text if c.isprintable()) or "the sidecar refused this popup"


def main(path, nonce):
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    old = termios.tcgetattr(0)
    wake, waker = posix.pipe()
    for fd in (wake, waker):
        posix.set_blocking(fd, False)
    try:
        raw(old)
        sock.connect(path)
        sock.sendall(attach_line(nonce).encode())
        _signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        _signal.signal(_signal.SIGWINCH, lambda *_: None)
        problem = carry(sock, wake)
    except OSError as error:
        problem = "no sidecar at %s (%s). tmux-agent sidecar start starts it" % (path, error.strerror)
    if problem:
        show(UNDO + b"\r\ntmux-agent: " + problem.encode("utf-8", "replace") + b"\r\n")
        if "went away" not in problem:
            posix.read(0, 64)  # any key
    termios.tcsetattr(0, termios.TCSANOW, old)
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
