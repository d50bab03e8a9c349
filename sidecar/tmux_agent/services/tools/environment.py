"""The environment that a command of ours gets: a closed list, and git without the repository's own programs.

Owns: which variables are handed on, which a request may set, and what is put in git's way. Must not own: starting the
command (commands.py), or whether it is allowed.

Git: `GIT_CONFIG_COUNT` and its kin override every configuration file, whatever starts git below us (git-config(1)).
Switched off always: core.fsmonitor, prompts, editors, pagers, askpass, any configured ssh command. When we run git
itself, each executable key that the repository's own files set (filters, drivers, helpers, aliases, …) is replaced too:
by nothing, by git's own default, or by what fails where silence would change content. The person's global configuration
stays in force, but for credential helpers where the repository names one. Hooks run where a person means them to
(commit, push); where git only reads it takes no lock (GIT_OPTIONAL_LOCKS), so it writes no index and calls no hook.
"""

from __future__ import annotations

import os
import re
import stat
import subprocess
from collections.abc import Mapping

from ...core import errors

MARKER = "TMUX_AGENT_COMMAND"  # on everything that a command starts, so that it is found again to be ended

_KEPT = frozenset(
    {
        *("HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "COLORTERM"),
        *("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"),
        *("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE"),
    }
)
_SET = {
    "TERM": "dumb",
    "NO_COLOR": "1",
    "PAGER": "cat",
    "LESSSECURE": "1",
    "GIT_PAGER": "cat",
    "GIT_EDITOR": ":",
    "GIT_SEQUENCE_EDITOR": ":",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "",
    "SSH_ASKPASS": "",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_SSH_COMMAND": "ssh -oBatchMode=yes",
}
_DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin"

# Variables that make a program load or run something else, or look for its configuration elsewhere.
_STEERING = re.compile(
    r"(?:LD|DYLD|GIT|PYTHON|PERL|RUBY|NODE|BASH|ZDOTDIR|JAVA|JDK|_JAVA|MAVEN|GRADLE|NPM_|YARN|PNPM|CARGO|RUST|PIP_|UV_"
    r"|MALLOC|TMUX|SSH|GPG|GNUPG|LESS|DOCKER|KUBE|XDG_|GCONV|GLIBC|LOCPATH|NLSPATH|CLASSPATH|LUA|PHP|TCL|DBUS|DOTNET"
    r"|GO(?:FLAGS|ROOT|PATH|PROXY|TOOLCHAIN|ENV|BIN|MODCACHE|SUMDB|NOSUMDB|PRIVATE|INSECURE|AUTH|VCS)|CGO_"
    r"|CORECLR|COR_|VIM|HG|SVN|CURL_HOME|WGETRC|RIPGREP|GREP_OPTIONS|TAR_OPTIONS|ZIPOPT|MAKE|MFLAGS|CC\Z|CXX\Z|OPENSSL"
    r"|SSLKEYLOGFILE|PS[0-4]\Z|IFS\Z|ENV\Z|PATH\Z|HOME\Z|SHELL|CDPATH|FPATH|PROMPT_COMMAND|EDITOR|VISUAL|PAGER|BROWSER"
    r"|MANPAGER|MANPATH|TERMINFO|TERMCAP|TMPDIR|INPUTRC|HISTFILE|SUDO|POSIXLY|SYSTEMD_|DISPLAY\Z|WAYLAND)"
    r"|.*(?:_ASKPASS|_PRELOAD|_PAGER|_EDITOR|_WRAPPER|PROXY)\Z",
    re.IGNORECASE,
)
_HARMLESS = re.compile(
    r"(?:NODE_ENV|RUST_LOG|RUST_BACKTRACE|PYTHONUNBUFFERED|PYTHONDONTWRITEBYTECODE|PYTHONHASHSEED"
    r"|GIT_(?:AUTHOR|COMMITTER)_(?:NAME|EMAIL|DATE)|TMUX_AGENT_RUN)\Z"  # the last signs markers
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,200}\Z")


def search_path(environ: Mapping[str, str]) -> str:
    """PATH with its absolute folders that not everybody can write to; never the current folder."""
    folders = [folder for folder in environ.get("PATH", _DEFAULT_PATH).split(":") if folder.startswith("/")]
    return ":".join(dict.fromkeys(folder for folder in folders if not _open_to_all(folder))) or _DEFAULT_PATH


def _open_to_all(folder: str) -> bool:
    try:
        return bool(os.stat(folder).st_mode & stat.S_IWOTH)
    except OSError:
        return True  # not there, so nothing is missed


def clean(environ: Mapping[str, str], wanted: Mapping[str, str], keep: tuple[str, ...], mark: str) -> dict[str, str]:
    """The environment for one command: kept variables of `environ`, then our own, then `wanted` by the request.

    `keep` names further variables to hand on. Raises InvalidParams for a wanted one that steers what programs load:
    it is refused, not dropped, for what runs must be what was shown.
    """
    result = {name: value for name, value in environ.items() if name in _KEPT or name.startswith("LC_")}
    result.update(_SET)
    result["PATH"] = search_path(environ)
    result.update({name: environ[name] for name in keep if name in environ})
    for name, value in wanted.items():
        if not _NAME.match(name) or "\0" in value:
            raise errors.InvalidParams(f"env: {name[:80]!r} is no name of a variable, or its value holds a NUL")
        if _STEERING.match(name) and not _HARMLESS.match(name):
            raise errors.InvalidParams(
                f"env.{name}: decides what programs load or run, so a request cannot set it; nothing was run"
            )
        result[name] = value
    result[MARKER] = mark
    return {**result, **_as_overrides(_ALWAYS)}


# --- git -------------------------------------------------------------------------------------------

_READING = frozenset(
    {
        *("status", "diff", "log", "show", "blame", "annotate", "ls-files", "ls-tree", "grep", "describe", "shortlog"),
        *("rev-parse", "rev-list", "cat-file", "for-each-ref", "name-rev", "merge-base", "whatchanged", "diff-tree"),
        *(
            "diff-index",
            "diff-files",
            "count-objects",
            "check-ignore",
            "check-attr",
            "var",
            "version",
            "help",
            "range-diff",
        ),
    }
)
_DIFFING = frozenset({"diff", "log", "show", "whatchanged", "diff-tree", "diff-index", "diff-files"})
_TAKES_VALUE = frozenset({"-C", "-c", "--git-dir", "--work-tree", "--namespace", "--super-prefix", "--config-env"})

# Keys whose value git runs, and what takes their place; for those not named, the empty string, which runs nothing.
_EXECUTABLE = re.compile(
    r"filter\..*\.(?:clean|smudge|process)|diff\..*\.(?:command|textconv)|diff\.external|merge\..*\.driver|alias\..*|pager\..*"
    r"|core\.(?:fsmonitor|sshcommand|pager|editor|askpass|gitproxy|alternaterefscommand)|credential\.(?:.*\.)?helper"
    r"|gpg\.(?:.*\.)?(?:program|defaultkeycommand)|sequence\.editor|interactive\.difffilter|trailer\..*\.(?:cmd|command)"
    r"|(?:difftool|mergetool|browser|man)\..*\.(?:cmd|path)|protocol\..*"
    r"|submodule\..*\.update|uploadpack\.packobjectshook|init\.templatedir|sendemail\..*cmd",
    re.IGNORECASE | re.DOTALL,
)
_INSTEAD = {
    "core.fsmonitor": "false",
    "gpg.program": "gpg",
    "gpg.openpgp.program": "gpg",
    "gpg.x509.program": "gpgsm",
    "gpg.ssh.program": "ssh-keygen",
    "driver": "false",  # of a merge: the file becomes a conflict, where nothing would silently take one side
    "allow": "user",  # of a protocol: git's own default for those that are not known to be harmless
    "update": "none",
}
# A partial clone gets objects that are missing from its remote, also where git only reads: by no protocol at all.
NO_FETCH = {"GIT_ALLOW_PROTOCOL": "none", "GIT_NO_LAZY_FETCH": "1"}
_ALWAYS = {"core.fsmonitor": "false", "protocol.ext.allow": "never"}
# Of these git takes the first value it finds, so nothing that we add can take their place.
_UNSWITCHABLE = re.compile(r"remote\..*\.(?:uploadpack|receivepack|vcs)", re.IGNORECASE | re.DOTALL)


def _as_overrides(values: Mapping[str, str]) -> dict[str, str]:
    result = {"GIT_CONFIG_COUNT": str(len(values))}
    for index, (key, value) in enumerate(values.items()):
        result |= {f"GIT_CONFIG_KEY_{index}": key, f"GIT_CONFIG_VALUE_{index}": value}
    return result


def sub_command(argv: tuple[str, ...]) -> int:
    """Where in a git `argv` its sub-command stands; len(argv) where there is none."""
    index = 1
    while index < len(argv) and argv[index].startswith("-"):
        index += 2 if argv[index] in _TAKES_VALUE else 1
    return min(index, len(argv))


def git(argv: tuple[str, ...], env: dict[str, str], program: str, cwd: str) -> tuple[tuple[str, ...], dict[str, str]]:
    """`argv` and `env` with the repository's executable configuration switched off. Blocking: it asks git for the keys.

    `cwd` is what the command will start in. Raises Unavailable or Failed where the configuration cannot be read,
    Denied where it names a program that cannot be switched off.
    """
    at = sub_command(argv)
    verb = argv[at] if at < len(argv) else ""
    values = dict(_ALWAYS)
    for key in _repository_keys(argv[1:at], env, program, cwd):
        if _UNSWITCHABLE.fullmatch(key):
            if verb not in _READING:
                raise errors.Denied(
                    f"the repository's configuration names a program to run in {key}, which cannot be switched off; git"
                    " was not run. Remove that setting to use this command",
                    rule="git configuration",
                )
            env = env | NO_FETCH
        if _EXECUTABLE.fullmatch(key):
            values.setdefault(key, _INSTEAD.get(key, _INSTEAD.get(key.rpartition(".")[2], "")))
    if any(re.fullmatch(r"credential\.(?:.*\.)?helper", key, re.DOTALL) for key in values):
        values["credential.helper"] = ""  # empties the whole list: a later file cannot add to it again
    if verb in ("status", "diff", "diff-files", "diff-index"):
        # A submodule's work tree is looked at by another git, under the submodule's own configuration.
        argv = (*argv[: at + 1], "--ignore-submodules=dirty", *argv[at + 1 :])
    if verb in _DIFFING:
        argv = (*argv[: at + 1], "--no-ext-diff", "--no-textconv", *argv[at + 1 :])
    elif verb in ("blame", "annotate", "grep"):
        argv = (*argv[: at + 1], "--no-textconv", *argv[at + 1 :])
    return argv, {**env, **_as_overrides(values)}


def _which_repository(options: tuple[str, ...]) -> list[str]:
    """Of git's own options those that say which repository is meant; --help and --version would act by themselves."""
    chosen: list[str] = []
    for index, option in enumerate(options):
        if option in ("-C", "--git-dir", "--work-tree"):
            chosen += options[index : index + 2]
        elif option.startswith(("--git-dir=", "--work-tree=")) or option == "--bare":
            chosen.append(option)
    return chosen


def _repository_keys(options: tuple[str, ...], env: dict[str, str], program: str, cwd: str) -> list[str]:
    """Names of the settings in the repository's own files; none outside a repository."""
    try:
        found = subprocess.run(
            [
                program,
                *_which_repository(options),
                "config",
                "--list",
                "--includes",
                "--show-scope",
                "--name-only",
                "-z",
            ],
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise errors.Unavailable(f"git's configuration could not be read, so git was not run: {error}") from None
    if found.returncode != 0:  # a damaged file, no such folder, or a git before 2.26, which knows no scopes
        said = found.stderr.decode("utf-8", "replace").strip()[:500]
        raise errors.Failed(f"git's configuration could not be read, so git was not run: {said}")
    fields = found.stdout.decode("utf-8", "surrogateescape").split("\0")
    pairs = zip(fields[::2], fields[1::2], strict=False)
    return list(dict.fromkeys(key for scope, key in pairs if scope in ("local", "worktree")))
