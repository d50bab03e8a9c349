"""Shell text as it is typed into a persistent terminal, and its end, exit code and output read from what the pane
prints.

Pure. Owns the line that is typed for each shell, and the marks in it. Must not own: when it is typed, which pane
(services/executions.py), what the text may do (judging.py).

What is typed is one line: a mark, the text for the shell's own `eval`, a mark with the exit code. The marks are an OSC
sequence that tmux knows nothing of and drops, so nobody sees them; the echo of the line holds `\\033` as four
characters, so it is no mark. Where the pane's output cannot be had raw, the marks are lines that everybody sees.
Source: docs/terminals.md, "How it works"; measured on bash 5.2, dash 0.5.12, zsh 5.9, fish 3.6.
"""

from __future__ import annotations

import base64
import re

from msgspec import Struct

from .bounded import Bounded

SHELLS = ("bash", "dash", "zsh", "fish")  # that this is known to be right for
COMMAND_BYTES = 64 << 10  # of a text, as UTF-8
_PIECE = 800  # characters of a line for dash: its terminal cuts lines at 4095 bytes, and a quote takes four
_MARK = b"\x1b]7777;"
_CODE = re.compile(rb"(\d{1,10})\x07")
_CODE_BYTES = 11  # of a code and its end
_OPTIONS_WITH_VALUE = ("--rcfile", "--init-file", "--init-command", "-o", "+o", "-O", "+O", "-C")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x80-\x9f]")


class Output(Struct, frozen=True, kw_only=True):
    """What a text printed. `encoding` is "base64" where it is no UTF-8. `exact`: byte for byte, as the program wrote
    it; else it is what a person sees. `truncated`: only its beginning and end were kept."""

    text: str = ""
    encoding: str = "utf-8"
    truncated: bool = False
    exact: bool = True


def unfit(text: str) -> str:
    """Why a text cannot be typed, or ""."""
    if not text.strip():
        return "there is nothing to run"
    if len(text.encode("utf-8", "surrogatepass")) > COMMAND_BYTES:
        return f"more than {COMMAND_BYTES} bytes: write a script with file.write, and run that"
    if found := _CONTROL.search(text):
        return f"the control character {found[0]!a} would be a key to the shell: write $'…' or printf instead"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "half a character: it is no UTF-8"
    return ""


def is_prompting(argv: tuple[str, ...]) -> bool:
    """Whether a shell with these arguments reads what people type, and runs no script and no text of its own."""
    words = iter(argv[1:])
    for word in words:
        if word in _OPTIONS_WITH_VALUE:
            next(words, "")
        elif not word.startswith(("-", "+")) or (re.fullmatch(r"-[A-Za-z]*c", word) and word != "-C"):
            return False
    return True


def line(text: str, shell: str, nonce: str, *, seen: bool = False) -> str:
    """What is typed so that `shell` runs `text` in itself and tells of its end. `seen`: by lines that everybody sees.

    A blank before it keeps it out of the history of shells that are set so.
    """
    first, say, run = _WORDS[shell]
    code = "$status" if shell == "fish" else "$?"
    begin = rf"'\n{_seen(nonce)}\n'" if seen else rf"'\033]7777;B;{nonce}\007'"
    end = rf"'\n{_seen(nonce)} %s\n'" if seen else rf"'\033]7777;E;{nonce};%s\007'"
    what = f"{first} {say} {_TO} {begin}; {first} {run} {quoted(text, shell)}"
    return f' {_real(text, shell)}{what}; {first} {say} {_TO} {end} "{code}"'


_TO = ">/dev/tty"  # also where `exec >file` has led the shell's own output elsewhere


# Behind a backslash no word is an alias, of which zsh has such as count anywhere; in fish there are none, and it would
# be another character. In dash, what `command` runs cannot end the line by an error.
_PLAIN = (r"\builtin", r"\printf", r"\eval")
_WORDS = {
    "bash": _PLAIN, "zsh": _PLAIN, "dash": (r"\command", r"\printf", r"\eval"),
    "fish": ("builtin", "printf", "eval"),
}  # fmt: skip
_REALLY = {
    "bash": r"\builtin \cd -P .; ", "dash": r"\command \cd -P .; ", "zsh": r"\builtin \cd -q -P .; ",
    "fish": "builtin cd (pwd -P); ",
}  # fmt: skip


def _real(text: str, shell: str) -> str:
    """What makes `cd ..` lead where it was judged to: a shell that came through a link goes back through it."""
    return _REALLY[shell] if ".." in text else ""


def _seen(nonce: str) -> str:
    return f"-- tmux-agent {nonce[:12]}"


def quoted(text: str, shell: str) -> str:
    """One word of `shell` that is `text`. But for dash it has no line end and no tab: those are keys to an editor."""
    if shell == "dash":
        lines = [_pieces(one) for one in text.split("\n")]
        return "'" + "\n".join("'\\\n'".join(piece.replace("'", "'\\''") for piece in one) for one in lines) + "'"
    if shell == "fish":  # where a backslash is one within quotes, too
        text = text.replace("\\", "\\\\").replace("'", "\\'")
        return "'" + text.replace("\n", "'\\n'").replace("\t", "'\\t'") + "'"
    text = text.replace("'", "'\\''")
    return "'" + text.replace("\n", "'$'\\n''").replace("\t", "'$'\\t''") + "'"


def _pieces(text: str) -> list[str]:
    return [text[at : at + _PIECE] for at in range(0, len(text), _PIECE)] or [""]


class Reader:
    """Finds the marks of one execution in what its pane prints, and keeps what is between them."""

    def __init__(self, nonce: str, limit: int) -> None:
        self._begin = _MARK + b"B;" + nonce.encode() + b"\x07"
        self._end = _MARK + b"E;" + nonce.encode() + b";"
        self._held = b""  # the end of what came, which may be the beginning of a mark
        self._kept = Bounded(limit)
        self.began = False
        self.code: int | None = None
        self.ended = False
        self.rest = b""  # what came with the end, after it

    def feed(self, data: bytes) -> None:
        """What came next; what comes after the end is none of it."""
        if self.ended:
            return
        self._held += data
        if not self.began:
            at = self._held.find(self._begin)
            if at < 0:
                self._held = self._held[-len(self._begin) :]
                return
            self.began = True
            self._held = self._held[at + len(self._begin) :]
        self._read()

    def _read(self) -> None:
        at = self._held.find(self._end)
        if at >= 0:
            rest = self._held[at + len(self._end) :]
            if code := _CODE.match(rest):
                self._kept.add(self._held[:at])
                self._held, self.code, self.ended = b"", int(code[1]), True
                self.rest = rest[code.end() :]
                return
            if len(rest) < _CODE_BYTES:
                return  # the rest of the mark is to come
        sure = max(0, len(self._held) - len(self._end) - _CODE_BYTES)
        self._kept.add(self._held[:sure])
        self._held = self._held[sure:]

    def output(self) -> Output:
        """What was printed until now."""
        if self._kept.left_out:
            text = self._kept.text()
        else:
            head, tail = self._kept.parts()
            # The terminal wrote each line end as two characters; what the program wrote as two, it wrote as three.
            data = (head + tail + (self._held if self.began else b"")).replace(b"\r\n", b"\n")
            try:
                return Output(text=data.decode())
            except UnicodeDecodeError:
                return Output(text=base64.b64encode(data).decode(), encoding="base64")
        return Output(text=text.replace("\r\n", "\n"), truncated=True)


class Seen(Struct, frozen=True):
    """What a screen shows of an execution. `ended`: with its exit code, where it could be read."""

    output: Output
    ended: bool = False
    code: int | None = None


def seen(lines: list[str], nonce: str, limit: int) -> Seen:
    """What the lines of a pane (joined where they were wrapped) show of an execution: exact it never is.

    Also of one whose marks nobody sees: what follows on the line that was typed, which holds the nonce. Of what is
    below the last line that was written nothing is taken for output.
    """
    last = max((index for index, text in enumerate(lines) if text), default=-1)
    lines = lines[: last + 1]
    mark = _seen(nonce)
    begins = [index for index, text in enumerate(lines) if text == mark]
    echoes = [index for index, text in enumerate(lines) if nonce in text]
    start = begins[-1] if begins else echoes[-1] if echoes else -1
    code = None
    end = len(lines)
    for index in range(start + 1, len(lines)):
        if found := re.fullmatch(re.escape(mark) + r" (\d{1,10})", lines[index]):
            code, end = int(found[1]), index
    found_lines = lines[start + 1 : end]
    if code is not None and found_lines and not found_lines[-1]:
        found_lines = found_lines[:-1]  # the line end before the mark is ours
    kept = Bounded(limit)
    kept.add("".join(f"{one}\n" for one in found_lines).encode("utf-8", "replace"))
    output = Output(text=kept.text(), truncated=bool(kept.left_out) or start < 0, exact=False)
    return Seen(output, code is not None, code)
