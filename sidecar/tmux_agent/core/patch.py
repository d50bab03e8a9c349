"""The patch format of OpenAI's apply_patch tool, read into what it does to which file.

    *** Begin Patch
    *** Update File: PATH          then perhaps "*** Move to: PATH", then "@@", " kept", "-removed", "+added" lines
    *** Add File: PATH             then "+line" lines
    *** Delete File: PATH
    *** End Patch

Owns the format. Pure. Stricter than its appliers, which differ: what one of them would take for a header and another
for text is refused, so that nothing is judged as other than what is done.
"""

from __future__ import annotations

import re

from .model import File, Patch

LIMIT = 1 << 20  # characters
FILES = 200
BEGIN, END, EOF = "*** Begin Patch", "*** End Patch", "*** End of File"
ADD, DELETE, UPDATE, MOVE = "*** Add File: ", "*** Delete File: ", "*** Update File: ", "*** Move to: "
_HEADERS = (ADD, DELETE, UPDATE)
_MARKERS = (*_HEADERS, MOVE, BEGIN, END, EOF)
# A patch as shell text, the way its applier takes it: "cd DIR && apply_patch <<'EOF'". All else is a program's input.
_TYPED = re.compile(
    r"\s*(?:cd (?P<folder>[\w./@+][\w./@+-]*|'[^'\n]+') && )?apply_?patch <<(?P<quote>['\"]?)(?P<word>\w+)(?P=quote)\n"
    r"(?P<patch>.*?)\n(?P=word)\s*",
    re.DOTALL,
)


def read(text: str, cwd: str) -> File | Patch:
    """What a patch does: one plain file action where that says all of it. Raises ValueError with what is wrong."""
    if len(text) > LIMIT:
        raise ValueError(f"a patch of {len(text)} characters is not read, only up to {LIMIT}")
    lines = [line.removesuffix("\r") for line in text.strip().split("\n")]
    if lines[0] in ("<<EOF", "<<'EOF'", '<<"EOF"') and lines[-1] == "EOF":
        lines = lines[1:-1]
    if len(lines) < 3 or lines[0] != BEGIN or lines[-1] != END:
        raise ValueError(f"a patch begins with {BEGIN!r} and ends with {END!r}")
    sections = _sections(lines[1:-1])
    changes = [change for header, body in sections for change in _changes(header, body, cwd)]
    if len(sections) == 1 and len(changes) == 1 and (plain := _plain(changes[0], sections[0][1])):
        return plain
    return Patch(text="\n".join(lines) + "\n", changes=tuple(changes), cwd=cwd)


def typed(text: str, cwd: str) -> File | Patch | None:
    """What shell text does that is nothing but a patch for the agent's own tool; None where it is something else.

    Raises ValueError where it is one and cannot be read.
    """
    if len(text) > LIMIT or (found := _TYPED.fullmatch(text)) is None:
        return None
    if not found["quote"] and set(found["patch"]) & set("$`\\"):
        return None  # a shell would put something else in its place
    folder = (found["folder"] or "").strip("'")
    return read(found["patch"], folder if folder.startswith("/") else f"{cwd}/{folder}" if folder else cwd)


def _sections(lines: list[str]) -> list[tuple[str, list[str]]]:
    """(header, lines below it) for each file."""
    found: list[tuple[str, list[str]]] = []
    for line in lines:
        if line.startswith(_HEADERS):
            if len(found) == FILES:
                raise ValueError(f"a patch of more than {FILES} files is not read")
            found.append((line, []))
        elif not found or line.startswith((BEGIN, END)) or (line[:1].isspace() and line.strip().startswith(_MARKERS)):
            raise ValueError(f"this line can be read in two ways, or in none: {line[:80]!r}")
        else:
            found[-1][1].append(line)
    return found


def _changes(header: str, body: list[str], cwd: str) -> list[File]:
    if header.startswith(ADD):
        if not all(line.startswith("+") for line in body):
            raise ValueError(f"below {header[:80]!r} is a line without a +")
        content = "".join(f"{line[1:]}\n" for line in body)
        return [File(verb="write", path=_path(header, ADD), cwd=cwd, content=content, create_dirs=True)]
    if header.startswith(DELETE):
        if any(line.strip() for line in body):
            raise ValueError(f"below {header[:80]!r} is more than nothing")
        return [File(verb="delete", path=_path(header, DELETE), cwd=cwd)]
    path = _path(header, UPDATE)
    moved = _path(body[0], MOVE) if body and body[0].startswith(MOVE) else ""
    lines = body[1:] if moved else body
    for line in lines:
        if line[:1] not in ("", " ", "+", "-") and line not in ("@@", EOF) and not line.startswith("@@ "):
            raise ValueError(f"below {header[:80]!r} is a line that is no part of a change: {line[:80]!r}")
    if not moved:
        return [File(verb="edit", path=path, cwd=cwd)]
    return [File(verb="delete", path=path, cwd=cwd), File(verb="write", path=moved, cwd=cwd, create_dirs=True)]


def _path(line: str, marker: str) -> str:
    path = line.removeprefix(marker)
    if not path or path != path.strip() or "\0" in path:
        raise ValueError(f"this is no path: {line[:80]!r}")
    return f"./{path}" if path.startswith("~") else path  # its applier knows no home folder


def _plain(change: File, body: list[str]) -> File | None:
    """The change with all that its section says, where a file action can say it: one place, something is replaced."""
    if change.verb != "edit":
        return change
    lines = body[1:] if body[:1] == ["@@"] else body
    if any(line[:1] not in ("", " ", "+", "-") for line in lines):
        return None
    old = "".join(f"{line[1:]}\n" for line in lines if line[:1] != "+")
    new = "".join(f"{line[1:]}\n" for line in lines if line[:1] != "-")
    if not old:
        return None
    return File(verb="edit", path=change.path, cwd=change.cwd, old_text=old, new_text=new)
