"""An action as text that a person can change, and back.

Owns: which member of each kind of action is edited, and the editor that shows hostile text safely. Must not own:
judging.
"""

from __future__ import annotations

import json

import msgspec
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.layout.containers import Window
from prompt_toolkit.layout.controls import BufferControl
from prompt_toolkit.layout.processors import PasswordProcessor, Processor, Transformation, TransformationInput

from tmux_agent.core import display, wording
from tmux_agent.core.model import Action, Command, Fetch, File, Mcp, Shell, Tmux, Tool
from tmux_agent.edges.ui.text import ODD

EDIT_LIMIT = 32_768  # characters; larger is edited where it came from


def editable(action: Action) -> str | None:
    """The text to edit, or None where the action has none (or too much)."""
    text: str | None = None
    match action:
        case Shell():
            text = action.text
        case Command(argv=argv):
            text = json.dumps(list(argv), ensure_ascii=False)
        case File(verb="write", content=content):
            text = content
        case File(verb="edit", new_text=new):
            text = new
        case Tmux(text=typed) if typed:
            text = typed
        case Fetch(url=url):
            text = url
        case Mcp(arguments=arguments) | Tool(arguments=arguments):
            text = wording.json_text(arguments)
    return text if text is not None and len(text) <= EDIT_LIMIT else None


def _json(text: str, kind: type) -> object:
    try:
        value = msgspec.json.decode(text.encode("utf-8", "surrogatepass"))
    except (msgspec.DecodeError, UnicodeError) as error:
        raise ValueError(f"not JSON: {error}") from None
    if not isinstance(value, kind):
        raise ValueError("expected a JSON object" if kind is dict else "expected a JSON list of words")
    return value


def edited(action: Action, text: str) -> Action:
    """The action with the text that the person made of it. Raises ValueError with what is wrong."""
    match action:
        case Shell():
            return msgspec.structs.replace(action, text=text)
        case Command():
            argv = _json(text, list)
            if not isinstance(argv, list) or not argv or not all(isinstance(word, str) for word in argv):
                raise ValueError('expected a JSON list of words, such as ["git", "status"]')
            return msgspec.structs.replace(action, argv=tuple(argv))
        case File(verb="write"):
            return msgspec.structs.replace(action, content=text)
        case File(verb="edit"):
            return msgspec.structs.replace(action, new_text=text)
        case Tmux():
            return msgspec.structs.replace(action, text=text)
        case Fetch():
            return msgspec.structs.replace(action, url=text.strip())
        case Mcp() | Tool():
            return msgspec.structs.replace(action, arguments=_json(text, dict))
    raise ValueError("this request has nothing to edit")


def edits(action: Action) -> str:
    """What the editor holds, for its heading."""
    match action:
        case Command():
            return "the program and its arguments, as JSON"
        case File(verb="write"):
            return "the file's content"
        case File(verb="edit"):
            return "the new text"
        case Mcp() | Tool():
            return "the arguments, as JSON"
        case Fetch():
            return "the address"
    return "the text"


class SafeText(Processor):
    """Shows a buffer's odd characters by name, so that an agent's text cannot act while it is edited."""

    def apply_transformation(self, ti: TransformationInput) -> Transformation:
        out: StyleAndTextTuples = []
        starts: list[int] = []
        at = 0
        for fragment in ti.fragments:
            for char in fragment[1]:
                piece = display.safe(char) if char != "\t" else "→   "
                starts.append(at)
                at += len(piece)
                out.append((f"{fragment[0]} {ODD}" if piece != char else fragment[0], piece))
        starts.append(at)

        def to_display(index: int) -> int:
            return starts[index] if index < len(starts) else at + index - len(starts) + 1

        def to_source(index: int) -> int:
            low = max((n for n, start in enumerate(starts) if start <= index), default=0)
            return low if index < at else len(starts) - 1 + index - at

        return Transformation(out, to_display, to_source)


class Editor:
    """A text field: prompt_toolkit's buffer, shown safely."""

    def __init__(self, text: str, *, multiline: bool, secret: bool = False) -> None:
        self.buffer = Buffer(multiline=multiline)
        self.buffer.set_document(Document(text, len(text) if not multiline else 0))
        processors: list[Processor] = [PasswordProcessor("*")] if secret else [SafeText()]
        control = BufferControl(self.buffer, input_processors=processors, include_default_input_processors=False)
        self.window = Window(control, wrap_lines=multiline, style="class:editor")
        self.multiline = multiline

    @property
    def text(self) -> str:
        return self.buffer.text
