"""The relay's byte stream as prompt_toolkit's input and output.

Owns: frames in (typed bytes, sizes), terminal bytes out with a bounded buffer. Must not own: keys' meaning, drawing.
Nothing here blocks: input is fed from frames without a pipe, output goes to the transport's buffer, and a relay that
does not read is cut off.
"""

from __future__ import annotations

import asyncio
import codecs
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TextIO, cast

from msgspec import Struct
from prompt_toolkit.data_structures import Size
from prompt_toolkit.input.base import Input
from prompt_toolkit.input.typeahead import get_typeahead
from prompt_toolkit.input.vt100_parser import Vt100Parser
from prompt_toolkit.key_binding import KeyPress
from prompt_toolkit.output.color_depth import ColorDepth
from prompt_toolkit.output.vt100 import Vt100_Output

from tmux_agent.core import display
from tmux_agent.core.menus import Page

FRAME_LIMIT = 1 << 20  # bytes; a paste comes in frames of 4 KiB
UNREAD_LIMIT = 1 << 20  # bytes that a relay may leave unread; a full screen is about 30 KiB
BYE = b"\0"  # the last byte to a relay: closed as meant


_ASCII = str.maketrans("⟨⟩⋯…·−–—→×“”‘’▣", "<>~~.--->x\"\"''+")


def plain_ascii(text: str) -> str:
    """Each character that ASCII lacks as one that looks like it, else `?`, in as many cells."""
    if text.isascii():
        return text
    near = text.translate(_ASCII)
    return "".join(char if char.isascii() else "?" * display.width(char) for char in near)


class Attach(Struct, frozen=True, kw_only=True):
    """What a relay says of its terminal, and the sidecar of its popup. Sizes are cells."""

    columns: int
    rows: int
    term: str = "screen"
    colorterm: str = ""
    utf8: bool = True
    no_color: bool = False
    at: str | None = None  # the request to start at
    page: Page | None = None  # what is shown instead of requests
    unbidden: bool = False  # no key called for it
    border: str = ""  # "native": tmux draws the border (popups of tmux before 3.3 have no -B)


class Lost(Exception):
    """The relay sent something that is no frame."""


async def read_frame(reader: asyncio.StreamReader) -> tuple[bytes, bytes] | None:
    """One frame as (type, bytes); None at the end of the stream. Raises Lost for anything that is no frame."""
    try:
        head = await reader.readexactly(5)
        length = int.from_bytes(head[1:], "big")
        if head[:1] not in (b"d", b"w") or length > FRAME_LIMIT:
            raise Lost(f"no frame: type {head[:1]!r}, {length} bytes")
        return head[:1], await reader.readexactly(length)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


def clamp(columns: int, rows: int) -> Size:
    """A size that can be drawn, whatever a relay claims."""
    return Size(rows=min(max(rows, 1), 500), columns=min(max(columns, 4), 1000))


class Typed(Input):
    """Keys out of bytes that frames bring."""

    def __init__(self) -> None:
        self._keys: list[KeyPress] = []
        self._parser = Vt100Parser(self._keys.append)
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._ready: Callable[[], None] | None = None
        self._over = False
        self._late: list[str] = []

    def feed(self, data: bytes) -> None:
        """Typed bytes; the application handles their keys before this returns (its errors come out here)."""
        text = self._decode(data)
        if self._over:
            self._late.append(text)
            return
        self._parser.feed(text)
        if self._ready:
            self._ready()
        else:
            self._keys.clear()  # typed before there was anything to see

    def read_keys(self) -> list[KeyPress]:
        keys = self._keys[:]
        self._keys.clear()
        return keys

    def flush_keys(self) -> list[KeyPress]:
        self._parser.flush()
        return self.read_keys()

    @contextmanager
    def attach(self, input_ready_callback: Callable[[], None]) -> Iterator[None]:
        self._ready = input_ready_callback
        try:
            yield
        finally:
            self._ready = None
            self._over = True

    def after(self) -> str:
        """What was typed after the key that closed the popup."""
        return "".join([*(key.data for key in get_typeahead(self)), *self._late])

    def detach(self) -> AbstractContextManager[None]:
        return nullcontext()

    def raw_mode(self) -> AbstractContextManager[None]:
        return nullcontext()  # the relay does that

    def cooked_mode(self) -> AbstractContextManager[None]:
        return nullcontext()

    @property
    def closed(self) -> bool:
        return False  # popup.py ends the application when the relay ends

    def fileno(self) -> int:
        raise NotImplementedError("frames have no file descriptor")

    def typeahead_hash(self) -> str:
        return "tmux-agent popup"  # cleared before each popup, so that no key outlives the one it was typed in


class Drain:
    """What Vt100_Output writes to: the relay's transport, cut off when it does not read.

    Holds everything back until there is a relay (`connect`) and the first paint is whole (`open`), in either order: the
    relay gets its `K` and that paint in one piece, and takes no keys before. `typed_ahead`: those of before come then.
    """

    encoding = "utf-8"
    errors = "replace"

    def __init__(self, utf8: bool, typed_ahead: bool = False) -> None:
        self._writer: asyncio.StreamWriter | None = None
        self._utf8 = utf8
        self._whole = False
        self._held = [b"k" if typed_ahead else b"K"]

    @property
    def flows(self) -> bool:
        """Whether what is written is sent."""
        return self._whole and self._writer is not None

    def connect(self, writer: asyncio.StreamWriter) -> None:
        """A relay whose identity is checked."""
        self._writer = writer
        self._release()

    def open(self) -> None:
        """The first paint is complete."""
        self._whole = True
        self._release()

    def _release(self) -> None:
        if self._held and self._whole and self._writer is not None:
            held, self._held = b"".join(self._held), []
            self._send(self._writer.transport, held)

    def write(self, text: str) -> int:
        data = (text if self._utf8 else plain_ascii(text)).encode("utf-8", "replace")
        if self._whole and self._writer is not None:
            self._send(self._writer.transport, data)
        else:
            self._held.append(data)
        return len(text)

    def _send(self, transport: asyncio.WriteTransport, data: bytes) -> None:
        if transport.is_closing():
            return
        if transport.get_write_buffer_size() > UNREAD_LIMIT:
            transport.abort()
        else:
            transport.write(data)

    def flush(self) -> None:
        """The transport sends by itself."""

    def isatty(self) -> bool:
        return True


def output(drain: Drain, get_size: Callable[[], Size], attach: Attach) -> Vt100_Output:
    """A terminal of 16 colours (or none) at the other end of `drain`."""
    depth = ColorDepth.DEPTH_1_BIT if attach.no_color else ColorDepth.DEPTH_4_BIT
    return Vt100_Output(
        cast(TextIO, drain),
        get_size,
        term=attach.term,
        default_color_depth=depth,
        enable_bell=False,
        enable_cpr=False,
    )
