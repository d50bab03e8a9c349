"""What a program run does to files and how bad it is, in words for people.

Owns which operands of well-known programs are written, removed or read, and the sentence a person reads. Says nothing
about what is allowed: a program that is not here "runs X", and each of its operands may be used in any way.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from .argv.options import mentions
from .calls import Invocation
from .facts import Lookup
from .model import Risk
from .paths import absolute, inside

_LAST = frozenset(["cp", "install", "ln", "rsync", "scp", "mv"])
_ALL_WRITTEN = frozenset(
    [
        "tee",
        "touch",
        "truncate",
        "mkdir",
        "mkfifo",
        "mknod",
        "chmod",
        "chown",
        "chgrp",
        "setfacl",
        "chattr",
        "vim",
        "vi",
        "nvim",
        "nano",
        "emacs",
        "ed",
        "ex",
        "code",
        "micro",
        "gvim",
        "patch",
        "sponge",
        "dos2unix",
        "unix2dos",
        "gzip",
        "gunzip",
        "bzip2",
        "bunzip2",
        "xz",
        "unxz",
        "zstd",
    ]
)
_REMOVED = frozenset(["rm", "rmdir", "unlink", "shred", "srm", "trash", "trash-put"])
_TARGET = ("-t", "--target-directory")
# Programs of which operands are neither written nor removed, so that naming a guarded file is only reading it.
_READERS = frozenset(
    [
        "cat",
        "head",
        "tail",
        "less",
        "more",
        "bat",
        "wc",
        "grep",
        "egrep",
        "fgrep",
        "rg",
        "ag",
        "ack",
        "find",
        "fd",
        "fdfind",
        "ls",
        "stat",
        "file",
        "diff",
        "cmp",
        "sort",
        "uniq",
        "cut",
        "tr",
        "jq",
        "yq",
        "awk",
        "gawk",
        "mawk",
        "nl",
        "tac",
        "rev",
        "od",
        "xxd",
        "hexdump",
        "strings",
        "md5sum",
        "sha1sum",
        "sha256sum",
        "sha512sum",
        "cksum",
        "b2sum",
        "base64",
        "tree",
        "du",
        "df",
        "realpath",
        "readlink",
        "basename",
        "dirname",
        "test",
        "[",
        "echo",
        "printf",
        "column",
        "comm",
        "join",
        "paste",
        "fold",
        "fmt",
        "git",
        "which",
        "type",
        "cd",
        "pushd",
        "env",
        "true",
        "false",
        "exa",
        "eza",
        "lsd",
    ]
)


def touched(call: Invocation) -> tuple[tuple[str, str], ...]:
    """(verb, word) for each operand that is a file: write, delete, read, or use where the program is not known."""
    plain = [word for word in call.args if isinstance(word, str)]
    words = _operands(plain)
    program = call.program
    if program in _REMOVED:
        return tuple(("delete", word) for word in words)
    if program in _LAST:
        return _copied(program, plain, words)
    if program in _ALL_WRITTEN:
        return tuple(("write", word) for word in words)
    if program == "sed" and mentions(plain, ("-i", "--in-place")):
        return tuple(("edit", word) for word in words)
    if program == "dd":
        ends = {"of=": "write", "if=": "read"}
        return tuple((ends[word[:3]], word[3:]) for word in plain if word[:3] in ends)
    if program == "find":
        verb = "delete" if "-delete" in plain else "read"
        end = next((i for i, w in enumerate(plain) if w.startswith("-") or w in "(!"), len(plain))
        outputs = [plain[i + 1] for i, w in enumerate(plain[:-1]) if w in _FIND_OUTPUTS]
        return (*((verb, word) for word in plain[:end]), *(("write", word) for word in outputs))
    written = _written_by_option(program, plain)
    if program == "git":
        return (*written, *_git(plain))
    return written + tuple(("read" if program in _READERS else "use", word) for word in words)


def _operands(plain: Sequence[str]) -> list[str]:
    if "--" in plain:
        at = plain.index("--")
        return [w for w in plain[:at] if not w.startswith("-")] + list(plain[at + 1 :])
    return [word for word in plain if not word.startswith("-") or word == "-"]


def _copied(program: str, plain: Sequence[str], words: list[str]) -> tuple[tuple[str, str], ...]:
    target = next((plain[i + 1] for i, w in enumerate(plain[:-1]) if w in _TARGET), None)
    target = target or next((w.partition("=")[2] for w in plain if w.startswith("--target-directory=")), None)
    sources = [word for word in words if word != target]
    if target is None and sources:
        target = sources.pop() if len(sources) > 1 else (sources[0] if program != "ln" else ".")
    if target is None:
        return ()
    into = [f"{target.rstrip('/')}/{source.rstrip('/').rpartition('/')[2]}" for source in sources]
    verb = "delete" if program == "mv" else "read"
    return (("write", target), *(("write", word) for word in into), *((verb, word) for word in sources))


_OUTPUT_OPTIONS: dict[str, tuple[str, ...]] = {
    "sort": ("-o", "--output"),
    "curl": ("-o", "--output"),
    "wget": ("-O", "--output-document"),
    "tree": ("-o",),
    "git": ("--output", "-o"),
    "openssl": ("-out",),
    "gcc": ("-o",),
    "cc": ("-o",),
}


def _written_by_option(program: str, plain: Sequence[str]) -> tuple[tuple[str, str], ...]:
    names = _OUTPUT_OPTIONS.get(program)
    if names is None:
        return ()
    found = [("write", plain[i + 1]) for i, w in enumerate(plain[:-1]) if w in names]
    for word in plain:
        name, equals, value = word.partition("=")
        if equals and name in names:
            found.append(("write", value))
    return tuple(found)


_GIT_READS_CONFIG = (
    *("--get", "--get-all", "--get-regexp", "--list", "-l", "--get-urlmatch", "--name-only", "--get-color"),
    "--get-colorbool",
)


def _git(plain: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """`git config key value` writes a file that decides what git runs."""
    if plain[:1] != ["config"]:
        return ()
    rest = plain[1:]
    values = [before in ("-f", "--file", "--default", "--type") for before in ("", *rest)]
    starts = (i for i, (w, value) in enumerate(zip(rest, values, strict=False)) if not (value or w.startswith("-")))
    first = next(starts, len(rest))
    options, words = rest[:first], rest[first:]  # what looks like an option behind the name is its new value
    reads = (
        mentions(options, _GIT_READS_CONFIG)
        or words[:1] in (["get"], ["list"])
        or (len(words) == 1 and not mentions(options, ("--unset", "--unset-all", "-e", "--edit")))
    )
    if reads:
        return ()
    return (("write", "~/.gitconfig" if "--global" in rest else ".git/config"),)


# --- words -------------------------------------------------------------------------------------------

_RISKS: dict[str, tuple[Risk, str]] = {
    "git commit": (Risk.LOW, "records a commit"),
    "git add": (Risk.LOW, "stages changes"),
    "git push": (Risk.HIGH, "sends commits to another machine"),
    "git pull": (Risk.MEDIUM, "fetches and merges commits, reaches the network"),
    "git fetch": (Risk.MEDIUM, "fetches commits, reaches the network"),
    "git clone": (Risk.MEDIUM, "copies a repository, reaches the network"),
    "git reset": (Risk.HIGH, "moves the branch, may discard changes"),
    "git checkout": (Risk.MEDIUM, "switches branches or discards changes of files"),
    "git switch": (Risk.LOW, "switches branches"),
    "git restore": (Risk.HIGH, "discards changes of files"),
    "git clean": (Risk.HIGH, "removes files that git does not track"),
    "git stash": (Risk.MEDIUM, "puts changes aside or brings them back"),
    "git rebase": (Risk.HIGH, "rewrites commits"),
    "git merge": (Risk.MEDIUM, "merges a branch"),
    "git branch": (Risk.MEDIUM, "creates, moves or removes branches"),
    "git tag": (Risk.LOW, "creates or removes tags"),
    "git rm": (Risk.MEDIUM, "removes files"),
    "git config": (Risk.HIGH, "changes what git does and runs"),
    "npm install": (Risk.MEDIUM, "runs package scripts, reaches the network"),
    "npm ci": (Risk.MEDIUM, "runs package scripts, reaches the network"),
    "npm run": (Risk.MEDIUM, "runs a script of package.json"),
    "npm test": (Risk.MEDIUM, "runs the test script of package.json"),
    "npm publish": (Risk.HIGH, "publishes the package"),
    "yarn install": (Risk.MEDIUM, "runs package scripts, reaches the network"),
    "pnpm install": (Risk.MEDIUM, "runs package scripts, reaches the network"),
    "pip install": (Risk.MEDIUM, "runs packages' set-up, reaches the network"),
    "cargo build": (Risk.MEDIUM, "compiles and runs build scripts"),
    "cargo test": (Risk.MEDIUM, "compiles and runs tests"),
    "cargo run": (Risk.MEDIUM, "compiles and runs the program"),
    "cargo publish": (Risk.HIGH, "publishes the crate"),
    "go test": (Risk.MEDIUM, "compiles and runs tests"),
    "go build": (Risk.LOW, "compiles"),
    "go run": (Risk.MEDIUM, "compiles and runs a program"),
}
_PROGRAM_RISKS: dict[str, tuple[Risk, str]] = {
    "curl": (Risk.MEDIUM, "reaches the network"),
    "wget": (Risk.MEDIUM, "downloads from the network"),
    "ssh": (Risk.HIGH, "runs things on another machine"),
    "scp": (Risk.HIGH, "copies to or from another machine"),
    "make": (Risk.MEDIUM, "runs recipes of the Makefile"),
    "pytest": (Risk.MEDIUM, "runs the project's tests"),
    "npx": (Risk.MEDIUM, "may download and runs a package"),
    "docker": (Risk.MEDIUM, "works on containers"),
    "kill": (Risk.MEDIUM, "ends processes"),
    "pkill": (Risk.HIGH, "ends processes by name"),
    "killall": (Risk.HIGH, "ends processes by name"),
    "dd": (Risk.HIGH, "writes raw data"),
    "chmod": (Risk.MEDIUM, "changes who may use files"),
    "chown": (Risk.HIGH, "changes owners of files"),
    "apt": (Risk.HIGH, "changes the system's packages"),
    "apt-get": (Risk.HIGH, "changes the system's packages"),
    "brew": (Risk.MEDIUM, "changes installed packages"),
    "shutdown": (Risk.HIGH, "stops the machine"),
    "reboot": (Risk.HIGH, "restarts the machine"),
    "mkfs": (Risk.HIGH, "erases a disk"),
    "env": (Risk.MEDIUM, "shows the environment, which may hold secrets"),
    "printenv": (Risk.MEDIUM, "shows the environment, which may hold secrets"),
    "export": (Risk.MEDIUM, "sets a variable for what follows"),
    "source": (Risk.MEDIUM, "runs a file in the shell"),
    ".": (Risk.MEDIUM, "runs a file in the shell"),
}
_FIND_OUTPUTS = ("-fprint", "-fprintf", "-fls", "-fprint0")
_COPIES = {"mv": "moves", "ln": "links"}
UNKNOWN = ", which no rule knows"
_INTERPRETERS = re.compile(r"(python|pypy|perl|ruby|node|deno|bun|php|lua|bash|sh|zsh|dash|tsx|ts-node|Rscript)[0-9.]*")


def describe(call: Invocation, look: Lookup, roots: Sequence[str]) -> tuple[str, Risk]:
    """A sentence about what this run does, and its risk. Used for what no rule speaks of."""
    plain = [word for word in call.args if isinstance(word, str)]
    words = _operands(plain)
    program = call.program
    if program in _REMOVED and len(plain) < len(call.args):
        return "removes files whose names only running will tell", Risk.HIGH
    if program in _REMOVED:
        return _removal(call, words, look, roots)
    if program in ("cp", "mv", "ln", "install", "rsync") and words:
        return (
            f"{_COPIES.get(program, 'copies')} to {words[-1]}{_place(call, words[-1:], look, roots)}",
            Risk.MEDIUM,
        )
    if program in _ALL_WRITTEN and words:
        risk, text = _PROGRAM_RISKS.get(program, (Risk.MEDIUM, "makes folders" if program == "mkdir" else "writes"))
        return (
            f"{text}: {', '.join(words[:3])}{_place(call, words, look, roots)}",
            Risk.LOW if program == "mkdir" else risk,
        )
    if program == "sed" and mentions(plain, ("-i", "--in-place")):
        return f"edits files in place: {', '.join(words[1:4])}", Risk.MEDIUM
    known = _RISKS.get(f"{program} {words[0]}") if words else None
    known = known or _PROGRAM_RISKS.get(program)
    if known:
        forced = program == "git" and mentions(
            plain, ("--force", "-f", "--hard", "--mirror", "--delete", "-D", "--force-with-lease")
        )
        return known[1] + (", by force" if forced else ""), Risk.HIGH if forced else known[0]
    if _INTERPRETERS.fullmatch(program):
        script = next((word for word in words), "")
        return f"runs {script} with {program}" if script else f"runs code with {program}", Risk.MEDIUM
    return f"runs {program}{UNKNOWN}", Risk.MEDIUM


def _removal(call: Invocation, words: Sequence[str], look: Lookup, roots: Sequence[str]) -> tuple[str, Risk]:
    folders = files = 0
    uncounted = False
    for word in words[:50]:
        fact = look.path(absolute(call.folder, word))
        if fact.kind == "folder":
            folders += 1
            if not inside(fact.real, roots):
                uncounted = True  # as large as it likes: walking through it would hold everything up
                continue
            files += look.tree(fact.real).files
        elif fact.kind == "file":
            files += 1
    what = "nothing that exists" if not folders and not files else f"{files} {'file' if files == 1 else 'files'}"
    if uncounted and not files:
        what = "a folder" if folders == 1 else f"{folders} folders"
    elif folders:
        what = f"{'a folder' if folders == 1 else f'{folders} folders'}, {what}"
    place = _place(call, words, look, roots)
    outside = "outside" in place
    return f"removes {what}{place}", Risk.HIGH if outside or files > 20 else Risk.MEDIUM


def _place(call: Invocation, words: Sequence[str], look: Lookup, roots: Sequence[str]) -> str:
    facts = [look.path(absolute(call.folder, word)) for word in words[:50]]
    if not facts:
        return ""
    return ", inside the worktree" if all(inside(fact.real, roots) for fact in facts) else ", outside the roots"
