"""Which requests are so alike that a person may approve them with one key, each of them having been shown.

Owns the shape of a request: two with the same shape do the same thing in the same way for the same asker, by the same
judgement, and differ in nothing but names of files in the asker's own folder (or a text that is only printed). Where
this module does not know that for sure, only the very same action has the same shape. Must not own answering: each
request is answered by its own digest all the same. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from . import shell
from .model import Action, Approval, Ask, Command, Fetch, File, Patch, Shell, digest
from .paths import absolute, normal
from .shell_parts import Redirect, Simple

Shape = tuple[object, ...]

_LONGEST = 4096  # characters of shell text that are read for its shape
_ANY = "…"  # stands for a name that may differ

# Programs that do the same to each of their operands → the options that change how, and take no value. With any other
# option only the very same command has the same shape.
_FILES: dict[str, str] = {
    "rm": "-d -f -i -I -r -R -v --recursive --force --verbose --dir --one-file-system",
    "rmdir": "-p -v --parents --verbose --ignore-fail-on-non-empty",
    "mkdir": "-p -v --parents --verbose",
    "touch": "-a -c -m --no-create",
    "unlink": "",
    "cat": "-A -b -E -n -s -T -v --number --show-all",
    "head": "-q -v --quiet --verbose",
    "tail": "-q -v --quiet --verbose",
    "wc": "-c -l -m -L -w --bytes --lines --words --chars",
    "ls": "-a -A -d -F -h -l -r -R -S -t -1 --all --almost-all --directory --recursive --human-readable",
    "stat": "-L -t --dereference --terse",
    "file": "-b -i -L --brief --mime",
    "md5sum": "",
    "sha1sum": "",
    "sha256sum": "",
    "sha512sum": "",
    "git add": "-A -f -n -N -u -v --all --force --dry-run --intent-to-add --update --verbose",
    "git rm": "-f -n -q -r --force --dry-run --quiet --cached",
}
# The same, but the first operand says how.
_HOW_FIRST: dict[str, str] = {
    "chmod": "-c -f -R -v --recursive --verbose",
    "chown": "-c -f -h -R -v --recursive --verbose",
    "chgrp": "-c -f -h -R -v --recursive --verbose",
    "sed": "-E -i -n -r --in-place --quiet --silent --regexp-extended",
}
# The same, but the last operand says where to.
_WHERE_LAST: dict[str, str] = {
    "cp": "-a -f -n -p -r -R -T -u -v --archive --force --no-clobber --recursive --update --verbose",
    "mv": "-f -n -T -u -v --force --no-clobber --update --verbose",
    "ln": "-f -n -r -s -T -v --force --no-dereference --relative --symbolic --verbose",
}
_PROGRAMS = {
    name: frozenset(options.split()) for table in (_FILES, _HOW_FIRST, _WHERE_LAST) for name, options in table.items()
}
_TOO_BROAD = re.compile(r"/*[^/]*/*")  # the root and what lies in it
_URL = re.compile(r"(https?://)([A-Za-z0-9.-]+(?::[0-9]+)?)(?:[/?#].*)?")


def shape(approval: Approval) -> Shape | None:
    """Equal for requests that may be approved together. None: this one is answered alone, whatever else waits."""
    origin = approval.origin
    if approval.step_up or origin.door == "screen" or (isinstance(approval.action, Ask) and approval.action.options):
        return None
    asker = (
        *(origin.uid, origin.session or (origin.pid, origin.started), origin.process, origin.agent),
        *(origin.door, origin.server, origin.pane, origin.cwd, origin.worktree, origin.branch),
    )
    judgement = (approval.rule, approval.where, approval.risk, approval.on_timeout, approval.grants)
    parts = tuple((part.verdict, part.rule, part.risk) for part in approval.parts)
    return (approval.kind, asker, judgement, parts, _of_action(approval.action, origin.worktree or origin.cwd))


def _of_action(action: Action, home: str) -> Shape:
    found: Shape | None = None
    match action:
        case Command(argv=argv, cwd=cwd, env=env, stdin=None, timeout=timeout):
            words = _words(argv, cwd, home)
            found = words and ("command", cwd, tuple(sorted(env.items())), timeout, words)
        case Shell(text=text, cwd=cwd, env=env, dialect=dialect) if len(text) <= _LONGEST:
            parts = _text(text, dialect, cwd, home)
            where = (action.server, action.pane, action.session)
            found = parts and ("shell", cwd, where, tuple(sorted(env.items())), dialect, parts)
        case File():
            found = _file(action, home)
        case Patch(changes=changes, cwd=cwd):
            files = [_file(change, home) for change in changes]
            found = ("patch", cwd, *files) if all(files) else None
        case Fetch(url=url, method="GET" | "HEAD" as method):
            address = _URL.fullmatch(url)
            found = ("fetch", method, *address.groups()) if address else None
    return found or ("exactly", digest(action))


# --- names that may differ ---------------------------------------------------------------------------


def _place(word: str, folder: str, home: str) -> str:
    """What a file's name is in a shape: any, where it lies in the asker's own folder and no name on its way hides;
    else itself."""
    path = normal(absolute(folder or "/", word))
    if ".." in word.split("/"):
        return path  # through a link it may lead anywhere
    inside = not _TOO_BROAD.fullmatch(home) and path.startswith(home.rstrip("/") + "/")
    hides = "/." in path[len(home.rstrip("/")) :]
    return _ANY if inside and not hides else path


def _changed(word: str, folder: str, home: str) -> str:
    """The same for a file that gets other contents: its suffix stays, for that says what they will be used for."""
    place = _place(word, folder, home)
    name = word.rstrip("/").rpartition("/")[2]
    stem, dot, suffix = name.rpartition(".")
    if place != _ANY:
        return place
    return f"{_ANY}.{suffix}" if dot and stem else normal(absolute(folder or "/", word))


def _file(action: File, home: str) -> Shape:
    how = (action.replace_all, action.create_dirs, action.recursive, action.overwrite)
    reads = action.verb in ("read", "list")
    named = _place if reads or action.verb == "delete" else _changed
    path = named(action.path, action.cwd, home)
    target = _changed(action.target, action.cwd, home) if action.target is not None else None
    return ("file", action.verb, action.cwd, how, path, target)


# --- commands ----------------------------------------------------------------------------------------


def _words(argv: Sequence[str], folder: str, home: str) -> Shape | None:
    """Program and options as they are, operands as places; None where it is not known what differs with an operand."""
    if not argv:
        return None
    if argv[0] == "echo":
        return ("echo", len(argv) > 1, *(word for word in argv[1:] if re.fullmatch("-[neE]+", word)))
    count = 2 if argv[0] == "git" else 1
    name = " ".join(argv[:count])
    if name not in _PROGRAMS:
        return None
    options, operands = _options(argv[count:])
    if not all(_known(option, _PROGRAMS[name]) for option in options):
        return None
    if any(word.startswith("-") for word in operands):
        return None  # behind `--`: some programs take it for an option all the same
    first, last = operands[: name in _HOW_FIRST], operands[len(operands) - (name in _WHERE_LAST) :]
    middle = operands[len(first) : len(operands) - len(last)]
    places = frozenset(_place(word, folder, home) for word in middle)
    # Of some or of none: without operands it may mean another thing (`ls`, `git add -A`).
    return (name, tuple(options), tuple(first), places, len(middle) > 0, tuple(last))


def _options(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Words that begin with a dash up to `--`, and all others."""
    end = list(words).index("--") if "--" in words else len(words)
    options = [word for word in words[: end + 1] if word.startswith("-") and word != "-"]
    return options, [word for word in words[:end] if word not in options] + list(words[end + 1 :])


def _known(option: str, known: frozenset[str]) -> bool:
    """Also several letters behind one dash."""
    if option in known or option == "--":
        return True
    return not option.startswith("--") and len(option) > 2 and all(f"-{letter}" in known for letter in option[1:])


def _text(text: str, dialect: str, folder: str, home: str) -> Shape | None:
    """Every command of a shell text, and what joins them; None where one of them is not plain words."""
    found: list[object] = []
    for part in shell.parse(text, dialect):
        if not isinstance(part, Simple) or part.assignments or not _plain(part):
            return None
        words = _words([word.text for word in part.words], folder, home)
        if words is None:
            return None
        into = tuple((one.op, one.fd, _target(one, folder, home)) for one in part.redirects)
        found.append((words, into, part.joined, part.piped_from, part.scope, part.negated))
    return tuple(found) or None


def _plain(part: Simple) -> bool:
    """Whether its words, and what it is redirected to, are just what they say."""
    if any(one.target is None or one.body is not None for one in part.redirects):
        return False
    words = (*part.words, *(one.target for one in part.redirects if one.target is not None))
    return all(word.kind == "literal" and not word.tilde and not word.runs for word in words)


def _target(redirect: Redirect, folder: str, home: str) -> str:
    word = redirect.target.text if redirect.target else ""
    return word if redirect.op.endswith("&") else _changed(word, folder, home)
