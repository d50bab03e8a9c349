"""The process inside a tmux popup: carries bytes between its terminal and the sidecar, which draws.

Run as `python -I -S relay.py SOCKET NONCE`. Owns: raw mode, the attach line, the frames. Must not own: anything that
is drawn, any decision. Imports only modules compiled into the interpreter, because a person waits for it.

To the sidecar: one JSON-RPC line `popup.attach`, then frames: 1 type byte, 4 bytes length (big endian), bytes.
`d` is typed bytes, `w` is columns and rows as two 16-bit numbers. From the sidecar: `K`, then terminal bytes as they
are; a NUL byte says "closed as meant". `k` instead of `K`: what was typed before that was seen counts, too. Instead of
both, a JSON error line says why not.
Exit status: 0, also where it was refused or the sidecar went away: then it has said so, and a key was pressed, or
another sidecar came, which opens its own. The popup is not left open on a dead relay: tmux 3.3 draws no status line
beside one.
"""

import _signal  # type: ignore[import-not-found]
import _socket
import posix
import select
import sys
import termios

SUCCESSOR_S = 0.5  # between two looks for another sidecar
UNDO = b"\x1b[0m\x1b[?2004l\x1b[?25h\x1b[?1049l"  # colours, bracketed paste, cursor, alternate screen


def variable(name: bytes) -> str:
    """An environment variable as plain ASCII that needs no JSON escapes."""
    return "".join(c for c in posix.environ.get(name, b"").decode("ascii", "ignore") if c.isalnum() or c in "-_+.")


def attach_line(nonce: str) -> bytes:
    nonce = "".join(c for c in nonce if c.isalnum() or c in "-_")
    term, colour = variable(b"TERM"), variable(b"COLORTERM")
    locale = variable(b"LC_ALL") or variable(b"LC_CTYPE") or variable(b"LANG")
    utf8, no_color = (str(bool(found)).lower() for found in ("utf" in locale.lower(), posix.environ.get(b"NO_COLOR")))
    columns, rows = posix.get_terminal_size(0)
    params = f'"nonce":"{nonce}","columns":{columns},"rows":{rows},"term":"{term}","colorterm":"{colour}"'
    params += f',"utf8":{utf8},"no_color":{no_color}'
    return f'{{"jsonrpc":"2.0","id":1,"method":"popup.attach","params":{{{params}}}}}\n'.encode()


def raw(old: "termios._AttrReturn") -> None:
    new = [*old[:6], list(old[6])]
    new[0] &= ~(termios.BRKINT | termios.ICRNL | termios.INPCK | termios.ISTRIP | termios.IXON)
    new[1] &= ~termios.OPOST
    new[3] &= ~(termios.ECHO | termios.ICANON | termios.IEXTEN | termios.ISIG)
    new[6][termios.VMIN], new[6][termios.VTIME] = 1, 0
    termios.tcsetattr(0, termios.TCSANOW, new)


def show(data: bytes) -> None:
    while data:
        data = data[posix.write(1, data) :]


def frame(kind: bytes, data: bytes) -> bytes:
    return kind + len(data).to_bytes(4, "big") + data


class Refused(Exception):
    """The sidecar's words."""


def carry(sock: _socket.socket, wake: int) -> str:
    """Until either side ends: "" if that was meant, else what went wrong, in a sentence. Raises Refused."""
    started = False  # painted: what was typed before that was typed blind, and is dropped unless it is a text
    while True:
        for fd in select.select([sock.fileno(), wake, *([0] * started)], [], [])[0]:
            if fd == wake:
                posix.read(wake, 512)
                sock.sendall(frame(b"w", b"".join(n.to_bytes(2, "big") for n in posix.get_terminal_size(0))))
            elif fd == 0:
                typed = posix.read(0, 4096)
                if not typed:
                    return ""
                sock.sendall(frame(b"d", typed))
            else:
                data = sock.recv(65536)
                if not started and data[:1] == b"{":
                    raise Refused(refusal(sock, data))
                if not data:
                    return (
                        "the sidecar went away, and answered nothing more; `tmux-agent sidecar status` says how it is"
                    )
                body = data if started else data[1:]
                if not started:
                    started = True
                    if data[:1] == b"K":
                        termios.tcflush(0, termios.TCIFLUSH)  # before it can be seen: what is typed at it counts
                show(body.replace(b"\0", b""))
                if b"\0" in body:
                    if select.select([0], [], [], 0)[0]:
                        sock.sendall(frame(b"d", posix.read(0, 4096)))  # typed after its end, but to nobody else
                    return ""


def refusal(sock: _socket.socket, data: bytes) -> str:
    while b"\n" not in data and len(data) < 65536 and (more := sock.recv(65536)):
        data += more
    text = data.decode("utf-8", "replace").partition('"message":"')[2].partition('"')[0]
    return "".join(c for c in text if c.isprintable()) or "the sidecar refused this popup"


def main(path: str, nonce: str) -> None:
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    old = termios.tcgetattr(0)
    wake, waker = posix.pipe()
    posix.set_blocking(waker, False)
    try:
        raw(old)
        _signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        _signal.signal(_signal.SIGWINCH, lambda *_: None)
        sock.connect(path)
        sock.sendall(attach_line(nonce))
        if problem := carry(sock, wake):
            tell(problem, path)
    except Refused as refused:
        tell(str(refused))
    except OSError as error:
        tell(f"no sidecar at {path} ({error.strerror}); `tmux-agent sidecar start` starts it", path)
    termios.tcsetattr(0, termios.TCSANOW, old)


def tell(problem: str, path: str = "") -> None:
    """The sentence, until a key that was pressed after it, or until a sidecar at `path` serves this tmux."""
    termios.tcflush(0, termios.TCIFLUSH)
    line, room = "tmux-agent:", posix.get_terminal_size(0)[0] - 2
    text = ""
    for word in f"{problem.rstrip('.')}. A key closes this.".split():
        if len(line) + 1 + len(word) > room:
            text, line = f"{text} {line}\r\n", word
        else:
            line = f"{line} {word}"
    show(UNDO + f"\r\n{text} {line}\r\n".encode("utf-8", "replace"))
    while not select.select([0], [], [], SUCCESSOR_S if path else None)[0]:
        if serves(path):
            return
    posix.read(0, 64)


def serves(path: str) -> bool:
    server = posix.environ.get(b"TMUX", b"").partition(b",")[0]
    if b'"' in server or b"\\" in server:
        return False
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    sock.settimeout(SUCCESSOR_S)
    try:
        sock.connect(path)
        sock.sendall(b'{"jsonrpc":"2.0","id":1,"method":"tmux.windows","params":{"server":"%s"}}\n' % server)
        return b'"result"' in sock.recv(4096)
    except OSError:
        return False
    finally:
        sock.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
    posix._exit(0)  # not by way of the interpreter's end: until we are gone tmux gives us the keys
