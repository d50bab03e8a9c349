"""Programs that run what their arguments name: which words are the inner command, and what they change on the way.

Owns the table of wrappers. Must not own the judgement of the inner command (policy.py). A wrapper is `plain`
where, with
the options given, it does nothing by itself that a person would want to be asked about; every other one is at least
asked about, and its inner command is judged all the same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from . import find
from .options import Arg, Fed, Spec, parse, specs


class Peeled(Struct, frozen=True, gc=False):
    """What is inside a wrapper. One of `argv` and `text` (shell text) is given, else nothing can be told.

    `names`: xargs appends what it reads, at this place of the argv (-1: at the end, or wherever `mark` stands).
    """

    plain: bool
    argv: tuple[Arg, ...] = ()
    text: str | None = None
    dialect: str = "bash"
    folder: str | None = None
    env: tuple[tuple[str, str], ...] = ()
    reads_names: bool = False
    mark: str = ""
    zero: bool = False
    cuts: bool = False  # xargs divides what it reads at a character of its own
    runs_empty: bool = False  # xargs runs the command once where it reads no name at all
    why: str = ""  # of what is not plain


# wrapper: (options that leave it plain, further options, words between options and the inner command)
_TABLE: dict[str, tuple[str, str, int]] = {
    "timeout": ("-k=text -s=text --signal=text --kill-after=text --preserve-status --foreground -v --verbose", "", 1),
    "nice": ("-n=number -NUM --adjustment=number", "", 0),
    "time": ("-p -v -q -f=text --format=text --portability --verbose", "-o=text --output=text -a", 0),
    "stdbuf": ("-i=text -o=text -e=text --input=text --output=text --error=text", "", 0),
    "ionice": ("-c=text -n=text -t --class=text --classdata=text --ignore", "-p=text -P=text -u=text", 0),
    "builtin": ("", "", 0),
    "command": ("-p", "", 0),
}
_ASKED: dict[str, tuple[str, int]] = {
    "nohup": ("", 0),
    "setsid": ("-w -c -f --wait --ctty --fork", 0),
    "chrt": ("-m -b -f -i -o -r -p -a -d -R", 1),
    "taskset": ("-a -p -c", 1),
    "unshare": ("-r -m -n -p -u -i -U -C -f --fork --map-root-user --mount --net --pid", 0),
    "nsenter": ("-t=text -a -m -n -p -u -i -U -C", 0),
    "setpriv": ("--reuid=text --regid=text --clear-groups", 0),
    "chroot": ("--userspec=text --groups=text --skip-chdir", 1),
    "systemd-run": (
        "--user --system --scope -P -q -t -d -G --pty --wait --collect -p=text --property=text -u=text --unit=text"
        " -E=text --setenv=text --working-directory=text --on-active=text",
        0,
    ),
    "sudo": (
        "-A -b -E -e -H -i -K -k -l -n -P -S -s -V -v -u=text -g=text -p=text -C=text -D=text -h=text -T=text"
        " --user=text --group=text --preserve-env~text --login --shell --non-interactive --stdin",
        0,
    ),
    "doas": ("-L -n -s -a=text -C=text -u=text", 0),
    "pkexec": ("--user=text --disable-internal-agent --keep-cwd", 0),
    "run0": ("-u=text --user=text", 0),
    "runuser": ("-u=text --user=text", 0),
    "xvfb-run": ("-a -e=text -f=text -n=text -s=text", 0),
    "dbus-run-session": ("--config-file=text", 0),
    "strace": ("-f -c -C -q -v -t -T -r -y -i -e=text -o=text -s=number -p=text -E=text -u=text", 0),
    "ltrace": ("-f -c -S -e=text -o=text -p=text", 0),
    "valgrind": ("", 0),
    "gdb": ("--args -q -batch", 0),
    "flock": ("-s -x -e -n -u -w=number -o -E=number --timeout=number --nonblock --exclusive --shared", 1),
    "caffeinate": ("-d -i -m -s -u -t=text", 0),
    "unbuffer": ("-p", 0),
    "rlwrap": ("", 0),
    "fakeroot": ("", 0),
    "proot": ("-r=text -b=text -w=text", 0),
    "firejail": ("", 0),
    "torsocks": ("", 0),
    "proxychains": ("-q -f=text", 0),
    "proxychains4": ("-q -f=text", 0),
    "busybox": ("", 0),
    "toybox": ("", 0),
    "exec": ("-c -l -a=text", 0),
    "chpst": ("-u=text -e=text", 0),
    "setarch": ("-R", 1),
    "linux64": ("", 0),
    "linux32": ("", 0),
    "prlimit": ("", 0),
    "numactl": ("", 0),
    "catchsegv": ("", 0),
    "coproc": ("", 0),
    "noglob": ("", 0),
    "nocorrect": ("", 0),
    "entr": ("-c -r", 0),
    "dotenv": ("", 0),
    "direnv": ("", 2),
    "npx": ("-y --yes -p=text --package=text -q", 0),
    "bunx": ("", 0),
    "uvx": ("--from=text", 0),
    "pipx": ("", 1),
    "parallel": ("-j=text -k -0 -N=text", 0),
    "rtk": ("", 0),
}
_SHELLS = {
    "sh": "sh",
    "bash": "bash",
    "dash": "dash",
    "ksh": "ksh",
    "zsh": "zsh",
    "ash": "sh",
    "rbash": "bash",
    "mksh": "ksh",
    "fish": "fish",
}
_PLAIN_SHELLS = frozenset(("bash", "sh", "dash"))
_XARGS = specs(
    [
        "-0",
        "-r",
        "-t",
        "-x",
        "-n=number",
        "-P=number",
        "-I=text",
        "-L=number",
        "-d=text",
        "-s=number",
        "-E=text",
        "--null",
        "--no-run-if-empty",
        "--verbose",
        "--max-args=number",
        "--max-procs=number",
        "--replace~text",
        "--delimiter=text",
        "--max-lines~number",
        "--exit",
    ]
)
_XARGS_ASKED = specs(
    [
        "-p",
        "-o",
        "-a=text",
        "--arg-file=text",
        "--interactive",
        "--open-tty",
        "--process-slot-var=text",
        "-i~text",
        "-l~text",
        "-e~text",
    ]
)
_ENV = specs(
    ["-i", "-0", "-u=text", "-C=text", "--ignore-environment", "--unset=text", "--chdir=text", "-v", "--debug"]
)
_SHELL_OPTIONS = specs(
    [
        "-c",
        "-e",
        "-u",
        "-f",
        "-l",
        "-o=pipefail|errexit|nounset|noglob",
        "-x",
        "--noprofile",
        "--norc",
        "--posix",
        "--login",
        "+e",
        "+u",
        "+x",
    ]
)
_WHOLE = frozenset(("-0", "-r", "-t", "--null", "--no-run-if-empty", "--verbose"))  # all words go to one command
_MOST = 50  # words that are looked at one by one
_LOADER = re.compile(r"ld(-linux)?[-.a-z0-9_]*\.so(\.[0-9]+)*")
_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)

NAMES = (
    frozenset(_TABLE)
    | frozenset(_ASKED)
    | frozenset(_SHELLS)
    | {"xargs", "env", "su", "script", "watch", "eval", "gxargs", "ssh-agent"}
)
_tables = {
    name: (specs(plain.split()), specs(plain.split()) | specs(more.split()), count)
    for name, (plain, more, count) in _TABLE.items()
} | {name: ({}, specs(options.split()), count) for name, (options, count) in _ASKED.items()}


def peel(program: str, args: Sequence[Arg]) -> Peeled | None:
    """The inside of a wrapper's command line; None where the program is no wrapper or runs nothing this time."""
    if len(args) == 1 and args[0] in ("--version", "--help"):
        return None
    if program not in NAMES:
        return _dynamic_loader(args) if _LOADER.fullmatch(program) else None
    if program in ("xargs", "gxargs"):
        return _xargs(args)
    if program == "env":
        return _env(args)
    if program in _SHELLS:
        return _shell(program, args)
    if program in ("su", "script", "watch", "eval", "ssh-agent"):
        return _text_runner(program, args)
    return _simple(program, args)


def _simple(program: str, args: Sequence[Arg]) -> Peeled | None:
    if program == "command" and args and isinstance(args[0], str) and re.fullmatch(r"-p?[vV]+", args[0]):
        return None
    plain, known, count = _tables[program]
    parsed = parse(args, known, stop=True)
    if isinstance(parsed, str):
        return Peeled(False, _first_words(args), why=f"{program} with an option that is not known")
    inner = parsed.operands[count:]
    if not inner:
        return None
    env: list[tuple[str, str]] = []
    while (
        program in ("sudo", "doas") and inner and isinstance(inner[0], str) and (m := _ASSIGNMENT.fullmatch(inner[0]))
    ):
        env.append((m[1], m[2]))
        inner = inner[1:]
    is_plain = program in _TABLE and all(spec.name in plain for spec, _ in parsed.options)
    return Peeled(is_plain, inner, env=tuple(env), why="" if is_plain else f"it runs through {program}")


def _first_words(args: Sequence[Arg]) -> tuple[Arg, ...]:
    """From the first word that is no option: a guess at the inner command, only good for being stricter."""
    for index, word in enumerate(args):
        if isinstance(word, Fed) or not word.startswith("-"):
            return tuple(args[index:])
    return ()


def _env(args: Sequence[Arg]) -> Peeled | None:
    parsed = parse(args, _ENV, stop=True)
    if isinstance(parsed, str):
        return Peeled(False, _first_words(args), why="env with an option that takes commands apart or is not known")
    words = parsed.operands
    if words[:1] == ("-",):
        words = words[1:]
    env: list[tuple[str, str]] = []
    while words and isinstance(words[0], str) and (found := _ASSIGNMENT.fullmatch(words[0])):
        env.append((found[1], found[2]))
        words = words[1:]
    if not words:
        return None
    folder = next((str(v[0]) for spec, v in parsed.options if spec.name in ("-C", "--chdir")), None)
    plain = not parsed.names() & {"-u", "--unset", "-i", "--ignore-environment"}
    return Peeled(plain, words, folder=folder, env=tuple(env), why="" if plain else "env takes variables away")


def _shell(program: str, args: Sequence[Arg]) -> Peeled | None:
    if not args:
        return Peeled(False, why=f"{program} runs what it reads")
    parsed = parse(args, _SHELL_OPTIONS, stop=True)
    if isinstance(parsed, str):
        index = next((i for i, w in enumerate(args) if isinstance(w, str) and re.fullmatch(r"-[a-zA-Z]*c", w)), None)
        text = args[index + 1] if index is not None and index + 1 < len(args) else None
        if args and args[0] in ("-n", "-version", "--version", "--help"):
            return None
        return Peeled(
            False,
            text=text if isinstance(text, str) else None,
            dialect=_SHELLS[program],
            why=f"{program} with options of its own",
        )
    if "-c" not in parsed.names():
        return Peeled(False, why=f"{program} runs a file or what it reads")
    text = parsed.operands[0] if parsed.operands else None
    if not isinstance(text, str):
        return Peeled(False, why="a shell that runs what is not in the text")
    # Words behind the text are its $1, $2, …: a text that uses them is opaque anyway.
    plain = program in _PLAIN_SHELLS and all(v[0] in s.kinds[0].split("|") for s, v in parsed.options if s.kinds)
    return Peeled(plain, text=text, dialect=_SHELLS[program], why="" if plain else f"it runs through {program}")


def _text_runner(program: str, args: Sequence[Arg]) -> Peeled | None:
    words = [word for word in args if isinstance(word, str)]
    if program in ("su", "script"):
        text = next((words[i + 1] for i, w in enumerate(words[:-1]) if re.fullmatch(r"-[a-zA-Z]*c|--command", w)), None)
    else:
        start = next((i for i, w in enumerate(words) if not w.startswith("-") and not w[:1].isdigit()), len(words))
        text = " ".join(words[start:]) or None
    return Peeled(False, text=text, why=f"it runs through {program}")


def _xargs(args: Sequence[Arg]) -> Peeled | None:
    parsed = parse(args, _XARGS | _XARGS_ASKED, stop=True)
    if isinstance(parsed, str):
        return (
            None
            if args and args[0] in ("--help", "--version")
            else Peeled(False, why="xargs with an option that is not known")
        )
    plain = all(spec.name in _XARGS for spec, _ in parsed.options)
    values = {spec.name: tuple(map(str, words)) for spec, words in parsed.options}
    mark = (values.get("-I") or (("{}",) if values.get("--replace") == () else values.get("--replace")) or ("",))[0]
    cuts = any((values.get(name) or ("\\n",))[0] not in ("\n", "\\n", "\\0") for name in ("-d", "--delimiter"))
    zero = "-0" in values or "--null" in values
    argv: tuple[Arg, ...] = parsed.operands or ("echo",)
    return Peeled(
        plain,
        argv,
        reads_names=True,
        mark=mark,
        zero=zero,
        cuts=cuts,
        runs_empty="-r" not in values and "--no-run-if-empty" not in values and not mark,
        why="" if plain else "xargs asks, or reads a file",
    )


def feed(peeled: Peeled, names: Fed) -> tuple[Arg, ...]:
    """The inner argv of xargs with what it appends in its place."""
    if not peeled.mark:
        return (*peeled.argv, msgspec.structs.replace(names, absent=peeled.runs_empty))
    return replace(peeled.argv, peeled.mark, msgspec.structs.replace(names, single=True))


def exact(peeled: Peeled, names: Fed, options: Sequence[Arg]) -> tuple[tuple[Arg, ...], ...]:
    """The commands that xargs runs where its words are in the text; () where it would part them in another way."""
    words = tuple(str(word) for word in options[: len(options) - len(peeled.argv)])
    if not names.lines or not isinstance(peeled.argv[0], str) or (peeled.mark and peeled.mark in peeled.argv[0]):
        return ()
    pieces = [line if peeled.zero else line.split() for line in names.lines]
    flat = tuple(piece for some in pieces for piece in ([some] if isinstance(some, str) else some))
    if len(flat) > _MOST or any(line != line.strip() for line in names.lines):
        return ()
    if peeled.mark:
        if set(words) - _WHOLE - {"-I", f"-I{peeled.mark}", peeled.mark}:
            return ()
        filled = ([str(arg).replace(peeled.mark, line) for arg in peeled.argv] for line in names.lines)
        return tuple(map(tuple, filled)) if all(isinstance(arg, str) for arg in peeled.argv) else ()
    if set(words) <= _WHOLE:
        return ((*peeled.argv, *flat),)
    one = [word for word in words if word not in _WHOLE]
    return tuple((*peeled.argv, word) for word in flat) if one in (["-n1"], ["-n", "1"], ["--max-args=1"]) else ()


def replace(argv: Sequence[Arg], mark: str, names: Fed) -> tuple[Arg, ...]:
    """`argv` with the words that are `mark` replaced by `names`; a word that only holds it becomes a partial one."""

    def partly(word: str) -> Fed:
        before = word.partition(mark)[0]
        if names.within and word == f"{names.within}/{mark}":
            return msgspec.structs.replace(names, within="", dashed=False)
        known = names.revision and not names.loose
        revision = word.replace(mark, names.revision) if known else ""
        return Fed(unknown=not known, partial=True, single=names.single, before=before, revision=revision)

    return tuple(
        names if word == mark else partly(word) if isinstance(word, str) and mark in word else word for word in argv
    )


def _dynamic_loader(args: Sequence[Arg]) -> Peeled:
    return Peeled(False, _first_words(args), why="the program is started by the dynamic loader")


__all__ = ["NAMES", "Fed", "Peeled", "Spec", "exact", "feed", "find", "peel", "replace"]
