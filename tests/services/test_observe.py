"""services/observe*.py: facts from real files, links, programs and repositories."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tmux_agent.core import facts
from tmux_agent.core.paths import Secrets
from tmux_agent.services.git_config import parse
from tmux_agent.services.gitignore import Ignores
from tmux_agent.services.moment import Moment
from tmux_agent.services.observe import Observer, follow, glob, package
from tmux_agent.services.observe_tree import Trees

GIT = ("git", "-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "init.defaultBranch=main")
NOBODY = 65534


def run(folder: Path, *argv: str) -> str:
    result = subprocess.run([*GIT, *argv], cwd=folder, check=True, capture_output=True, text=True)
    return result.stdout


def repo(folder: Path) -> facts.RepoFact:
    fact = observer(folder).gather([facts.RepoKey(str(folder))])[facts.RepoKey(str(folder))]
    assert isinstance(fact, facts.RepoFact)
    return fact


def observer(folder: Path, path: str = "/usr/bin:/bin") -> Observer:
    return Observer(Secrets(home=str(folder)), str(folder), path)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "t"
    folder.mkdir()
    run(folder, "init", "-q", ".")
    (folder / "a.txt").write_text("a")
    run(folder, "add", "-A")
    run(folder, "commit", "-qm", "x")
    return folder


# --- paths -------------------------------------------------------------------------------------------


def test_links_are_followed_as_the_kernel_does(tmp_path: Path) -> None:
    """A link in the middle with .. behind it leads elsewhere than its text says."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "inner").mkdir()
    (tmp_path / "secret" / "key").write_text("k")
    (tmp_path / "proj").mkdir()
    (tmp_path / "proj" / "l").symlink_to(tmp_path / "secret" / "inner")
    fact = follow(f"{tmp_path}/proj/l/../key")
    assert (fact.real, fact.kind) == (f"{tmp_path}/secret/key", "file")
    assert follow(f"{tmp_path}/proj/l").link
    assert follow(f"{tmp_path}/proj/l").parent == f"{tmp_path}/proj"


def test_what_cannot_be_told_is_magic(tmp_path: Path) -> None:
    """Loops, /proc, /dev, and .. behind what is missing."""
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    for path in (f"{tmp_path}/a", "/proc/self/root/etc/passwd", "/dev/fd/3", f"{tmp_path}/nowhere/../x", "/x\0y"):
        assert follow(path).magic, path
    assert not follow(f"{tmp_path}/nowhere/x").magic
    assert follow(f"{tmp_path}/nowhere/x").real == f"{tmp_path}/nowhere/x"


def test_a_moment_remembers_the_way(tmp_path: Path) -> None:
    """What has been walked already is not walked again, and leads to the same: through links, .., /proc and files."""
    (tmp_path / "real" / "in").mkdir(parents=True)
    (tmp_path / "real" / "file").write_text("x")
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "self").symlink_to("/proc/self")
    places = (tmp_path, tmp_path / "real", tmp_path / "link", tmp_path / "real/file", tmp_path / "self", Path("/proc"))
    names = ("", ".", "..", "in", "file", "file/x", "no", "no/x", "in/..", "./in", "../link/file", "/in/", "a\0", "fd")
    ways = [f"{place}/{name}" for place in places for name in names]
    moment = Moment()
    ways += reversed(ways)
    assert [follow(way, moment) for way in ways] == [follow(way) for way in ways]
    assert str(tmp_path / "real") in moment.folders
    assert not any(folder.startswith(("/proc", str(tmp_path / "link"))) for folder in moment.folders)


@settings(max_examples=150)
@given(st.lists(st.sampled_from(["a", "b", "l", "up", "abs", "..", ".", "x", ""]), max_size=8))
def test_same_as_realpath(tmp_path: Path, parts: list[str]) -> None:
    """Wherever all is there, the answer is the one that the C library gives."""
    (tmp_path / "a" / "b").mkdir(parents=True, exist_ok=True)
    for name, target in (("a/l", "b"), ("a/b/up", "../.."), ("abs", str(tmp_path / "a"))):
        if not (tmp_path / name).is_symlink():
            (tmp_path / name).symlink_to(target)
    path = "/".join([str(tmp_path), *parts])
    try:
        real = os.path.realpath(path, strict=True)
    except OSError:
        return
    assert follow(path).real == real


def test_hard_links_and_other_kinds(tmp_path: Path) -> None:
    """Links are counted; a FIFO is neither file nor folder and is not opened."""
    (tmp_path / "f").write_text("x")
    os.link(tmp_path / "f", tmp_path / "g")
    os.mkfifo(tmp_path / "p")
    assert follow(f"{tmp_path}/g").links == 2
    assert follow(f"{tmp_path}/p").kind == "other"


# --- patterns, programs, packages --------------------------------------------------------------------


@pytest.mark.parametrize(
    "pattern", ["*", "*.py", "s*/*.py", ".*", "?", "[ab]*", "none*", "s/*", "*/", "s/../*", "\\*x", "./*"]
)
def test_patterns_match_what_bash_matches(tmp_path: Path, pattern: str) -> None:
    """At least all that bash puts into a command; brackets may take a few more."""
    (tmp_path / "s").mkdir()
    for name in ("a.py", "b.txt", ".hidden", "s/c.py", "s/.x", "-n", "*x", "q"):
        (tmp_path / name).write_text("")
    script = f"shopt -s nullglob; printf '%s\\n' {pattern}"
    expected = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout.split()
    found = set(glob(str(tmp_path), pattern).matches)
    assert {name for name in expected if name not in (".", "..")} <= found
    if "[" not in pattern:
        assert found <= {*expected, ".", ".."}


def test_programs_are_found_as_a_shell_would(tmp_path: Path) -> None:
    """First in PATH wins; what others may change, and relative folders, are not trusted."""
    (tmp_path / "bin").mkdir(mode=0o755)
    program = tmp_path / "bin" / "tool"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert observer(tmp_path, f"/nowhere:{tmp_path}/bin").program("tool", Moment()) == facts.ProgramFact(
        str(program), str(program)
    )
    assert observer(tmp_path, "bin:/usr/bin").program("ls", Moment()).why
    program.chmod(0o777)
    assert observer(tmp_path, f"{tmp_path}/bin").program("tool", Moment()).why
    assert observer(tmp_path).program("no-such-program", Moment()) == facts.ProgramFact()


def test_package_scripts(tmp_path: Path) -> None:
    """The hash changes with the script and with what runs around it, and with nothing else."""
    file = tmp_path / "package.json"
    seen = []
    for text in (
        '{"scripts": {"test": "a"}}',
        '{"x": 1, "scripts": {"test": "a", "build": "b"}}',
        '{"scripts": {"test": "a", "pretest": "c"}}',
        "[",
        '{"scripts": 1}',
    ):
        file.write_text(text)
        seen.append(package(str(tmp_path / "sub"), "test").sha256)
    assert seen[0] == seen[1] != seen[2]
    assert seen[3:] == ["", ""]


# --- trees -------------------------------------------------------------------------------------------


def test_trees_tell_what_must_not_be_read(tmp_path: Path) -> None:
    """Secrets, links that lead out, several hard links, odd names; not links that stay inside."""
    (tmp_path / "t" / "s").mkdir(parents=True)
    for name in (".env", "a.txt", "s/k.pem", "b c", "-x"):
        (tmp_path / "t" / name).write_text("x")
    (tmp_path / "out").write_text("x")
    (tmp_path / "t" / "l").symlink_to(tmp_path / "out")
    (tmp_path / "t" / "in").symlink_to("a.txt")
    os.link(tmp_path / "out", tmp_path / "t" / "h")
    fact = Trees(Secrets(home="/h")).look(str(tmp_path / "t"), Moment())
    assert {(danger.kind, danger.path) for danger in fact.dangers} == {
        ("secret", ".env"),
        ("secret", "s/k.pem"),
        ("odd", "b c"),
        ("odd", "-x"),
        ("link", "l"),
        ("shared", "h"),
    }
    assert (fact.complete, fact.files) == (True, 6)


def test_a_tree_is_looked_at_again_when_it_changed(tmp_path: Path) -> None:
    """A cached answer ends with any new entry, also deep down and in a .gitignore."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / ".git").mkdir()
    old = 1_600_000_000
    trees = Trees(Secrets(home="/h"))
    for folder in (tmp_path / "a" / "b", tmp_path / "a", tmp_path):
        os.utime(folder, (old, old))
    assert trees.look(str(tmp_path / "a"), Moment()).dangers == ()
    (tmp_path / "a" / "b" / ".env").write_text("x")
    assert [danger.ignored for danger in trees.look(str(tmp_path / "a"), Moment()).dangers] == [False]
    (tmp_path / ".gitignore").write_text(".env\n")
    assert [danger.ignored for danger in trees.look(str(tmp_path / "a"), Moment()).dangers] == [True]


@pytest.mark.parametrize(
    "ignore",
    [
        "*.pem",
        "/a",
        "a/",
        "a/b",
        "**/k.pem",
        "a/**",
        "!k.pem",
        "*.pem\n!k.pem",
        "a\n!a/b/k.pem",
        "b",
        "/b",
        "k.p?m",
        "[k].pem",
        "# k.pem",
        "\\!x",
        "a/*/k.pem",
        "*",
    ],
)
def test_ignored_is_what_git_ignores(tree: Path, ignore: str) -> None:
    """Every answer that something is skipped is one that git gives too."""
    (tree / "a" / "b").mkdir(parents=True)
    (tree / "a" / "b" / "k.pem").write_text("x")
    (tree / ".gitignore").write_text(ignore + "\n")
    told = subprocess.run(["git", "check-ignore", "-q", "a/b/k.pem"], cwd=tree, check=False).returncode == 0
    assert Ignores().names(f"{tree}/a/b/k.pem", str(tree)) == told


def test_a_folder_that_is_named_is_searched_although_it_is_ignored(tree: Path) -> None:
    """`rg x secrets` reads what lies in an ignored folder; only what is ignored beneath it is skipped."""
    (tree / "secrets").mkdir()
    (tree / ".gitignore").write_text("secrets\n*.pem\n")
    assert Ignores().names(f"{tree}/secrets/k", str(tree))
    assert not Ignores().names(f"{tree}/secrets/k", f"{tree}/secrets")
    assert Ignores().names(f"{tree}/secrets/k.pem", f"{tree}/secrets")


# --- repositories ------------------------------------------------------------------------------------


def test_an_ordinary_repository_is_harmless(tree: Path) -> None:
    """Fresh, with a remote, a worktree of its own, a branch: nothing to report."""
    run(tree, "remote", "add", "origin", "https://example.org/x.git")
    run(tree, "config", "core.autocrlf", "input")
    fact = repo(tree)
    assert (fact.top, fact.common, fact.own, fact.hostile, fact.tells) == (str(tree), f"{tree}/.git", True, (), False)
    (tree / "sub").mkdir()
    assert repo(tree / "sub").top == str(tree)
    linked = tree.parent / "linked"
    run(tree, "worktree", "add", "-q", str(linked))
    fact = repo(linked)
    assert (fact.top, fact.common, fact.own, fact.hostile) == (str(linked), f"{tree}/.git", True, ())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("core.fsmonitor", "touch M; false"),
        ("core.hooksPath", "h"),
        ("core.hooksPath", "/tmp/h"),
        ("diff.external", "x"),
        ("diff.j.textconv", "x"),
        ("diff.j.command", "x"),
        ("filter.x.clean", "x"),
        ("filter.x.smudge", "x"),
        ("filter.lfs.process", "evil"),
        ("alias.s", "!touch M"),
        ("include.path", "/tmp/x"),
        ("includeIf.gitdir:/.path", "x"),
        ("core.pager", "x"),
        ("pager.log", "x"),
        ("core.sshCommand", "x"),
        ("gpg.program", "x"),
        ("gpg.ssh.program", "x"),
        ("core.worktree", "/etc"),
        ("extensions.partialClone", "origin"),
        ("remote.o.promisor", "true"),
        ("core.editor", "x"),
        ("credential.helper", "!x"),
        ("core.alternateRefsCommand", "x"),
        ("submodule.x.update", "!touch M"),
        ("interactive.diffFilter", "x"),
    ],
)
def test_settings_that_run_something(tree: Path, key: str, value: str) -> None:
    """Each of these in the repository's own configuration makes git run, read or reach something else."""
    run(tree, "config", "--local", key, value)
    assert repo(tree).hostile


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("core.fsmonitor", "false"),
        ("alias.s", "status"),
        ("core.pager", "cat"),
        ("filter.lfs.clean", "git-lfs clean -- %f"),
        ("submodule.x.update", "none"),
        ("credential.helper", "store"),
    ],
)
def test_settings_that_do_not(tree: Path, key: str, value: str) -> None:
    """The same keys with harmless values."""
    run(tree, "config", "--local", key, value)
    assert repo(tree).hostile == ()


@contextlib.contextmanager
def unprivileged(folder: Path) -> Iterator[None]:
    """As somebody whom the kernel refuses things: root, who may run these tests, is refused nothing."""
    if os.geteuid():
        yield
        return
    for place, folders, files in os.walk(folder):
        for name in (".", *folders, *files):
            os.chown(f"{place}/{name}", NOBODY, NOBODY, follow_symlinks=False)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("closed", ["hooks", "modules/x", "info"])
def test_a_repository_that_hides_what_it_holds(closed: str) -> None:
    """A folder without permission to read it: git finds by name in it whatever there is, and we would see nothing."""
    with tempfile.TemporaryDirectory() as base:  # tmp_path lies where nobody else may go
        tree = Path(base)
        run(tree, "init", "-q")
        folder = tree / ".git" / closed
        folder.mkdir(parents=True, exist_ok=True)
        with unprivileged(tree):
            assert not repo(tree).hostile
            folder.chmod(0o311)
            (why,) = repo(tree).hostile
            folder.chmod(0o755)
        assert why == f"{folder} cannot be looked into"


def test_hooks_that_reading_runs(tree: Path) -> None:
    """post-index-change runs when git status refreshes the index; husky's folder is fine without it and not with it."""
    (tree / ".husky").mkdir()
    run(tree, "config", "core.hooksPath", ".husky")
    (tree / ".husky" / "pre-commit").write_text("x")
    assert repo(tree).hostile == ()
    (tree / ".husky" / "post-index-change").write_text("x")
    assert repo(tree).hostile
    run(tree, "config", "--unset", "core.hooksPath")
    assert repo(tree).hostile == ()
    (tree / ".git" / "hooks").mkdir(exist_ok=True)
    (tree / ".git" / "hooks" / "post-index-change").write_text("x")
    assert repo(tree).hostile


def test_where_a_setting_leads_is_looked_at_again(tree: Path, tmp_path: Path) -> None:
    """A file that the configuration names may turn into a link to anywhere while the configuration stays as it is."""
    run(tree, "config", "core.excludesFile", "ignored")
    (tree / "ignored").write_text("x")
    looking, key = observer(tree), facts.RepoKey(str(tree))
    until = time.monotonic() + 30
    while not looking._repositories._cache:
        assert looking.gather([key])[key] == repo(tree)
        assert time.monotonic() < until, "never settled"
    (tmp_path / "outside").write_text("x")
    (tree / "ignored").unlink()
    (tree / "ignored").symlink_to(tmp_path / "outside")
    fact = looking.gather([key])[key]
    assert isinstance(fact, facts.RepoFact)
    assert fact.hostile


def test_a_repository_that_just_changed_is_read_each_time(tree: Path) -> None:
    """A second change within the clock's grain need not show in any time stamp."""
    run(tree, "config", "core.editor", "true")
    looking, key = observer(tree), facts.RepoKey(str(tree))
    looking.gather([key])
    seen = looking._repositories._cache.get(f"{tree}/.git")
    assert seen is None or time.time_ns() - (tree / ".git" / "config").stat().st_ctime_ns > 50_000_000


def test_a_git_file_must_be_named_in_return(tree: Path, tmp_path: Path) -> None:
    """A .git file that points at somebody's repository is hostile unless that repository names this worktree."""
    other = tmp_path / "other"
    other.mkdir()
    (other / ".git").write_text(f"gitdir: {tree}/.git\n")
    assert repo(other).hostile
    (other / ".git").unlink()
    (other / ".git").symlink_to(tree / ".git")
    assert repo(other).hostile
    bare = tmp_path / "bare"
    run(tmp_path, "init", "-q", "--bare", str(bare))
    assert repo(bare).hostile


def test_submodules_are_looked_into(tree: Path, tmp_path: Path) -> None:
    """git status looks into submodules with their own settings, wherever these lie."""
    other = tmp_path / "other"
    other.mkdir()
    run(other, "init", "-q", ".")
    run(other, "commit", "-qm", "x", "--allow-empty")
    run(tree, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(other), "sub")
    run(tree, "commit", "-qam", "sub")
    assert repo(tree).hostile == ()
    assert repo(tree / "sub").hostile == ()
    run(tree / "sub", "config", "core.fsmonitor", "touch M")
    assert repo(tree).hostile
    assert repo(tree / "sub").hostile


def test_a_nested_repository_in_the_index(tree: Path) -> None:
    """A folder with its own .git that was added is a submodule without .gitmodules: its settings count as well."""
    sub = tree / "sub"
    sub.mkdir()
    run(sub, "init", "-q", ".")
    run(sub, "commit", "-qm", "x", "--allow-empty")
    run(tree, "add", "sub")
    assert repo(tree).hostile == ()
    run(sub, "config", "core.fsmonitor", "touch M")
    assert repo(tree).hostile


def test_a_changed_configuration_is_read_again(tree: Path) -> None:
    """The answer is kept only as long as every file it rests on is what it was."""
    look = observer(tree)
    key = facts.RepoKey(str(tree))
    assert not look.gather([key])[key].hostile  # type: ignore[union-attr]
    run(tree, "config", "core.fsmonitor", "x")
    assert look.gather([key])[key].hostile  # type: ignore[union-attr]


def test_what_the_index_tells(tree: Path) -> None:
    """Tracked secrets, links and odd names, in index versions 2 to 4."""
    for name in (".env", "b c.txt"):
        (tree / name).write_text("x")
    (tree / "l").symlink_to("/etc")
    run(tree, "add", "-A")
    for version in ("2", "3", "4"):
        run(tree, "update-index", "--index-version", version)
        fact = repo(tree)
        assert (fact.tracked, fact.links, fact.odd) == ((".env",), ("l",), ("b c.txt",))
    (tree / ".git" / "index").write_bytes(b"DIRC\0\0\0\x07garbage")
    assert repo(tree).tracked == ("*",)
    assert repo(tree).hostile


def test_passwords_in_settings(tree: Path) -> None:
    """A token in a remote's address shows in `git remote -v`."""
    run(tree, "remote", "add", "o", "https://u:s3cret@example.org/x")
    assert repo(tree).tells


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ('[core]\n\tx = a b \n[a "B.c"]y\n', (("core.x", "a b"), ("a.b.c.y", "true"))),
        ('[core] x = "a # b" # c\n; d\n', (("core.x", "a # b"),)),
        ("[core]\nx = a\\\nb\n", (("core.x", "ab"),)),
        ('[a "x\\"y"]\nz = \\n\\t"\n', None),
        ("[core\nx = a\n", None),
        ("x = a\n", None),
        ("[core]\nx = \\q\n", None),
        ("[core]\n1x = a\n", None),
    ],
)
def test_git_configuration_text(text: str, pairs: tuple[tuple[str, str], ...] | None) -> None:
    """Subsections, quotes, comments, lines that go on; and what is not plainly the format."""
    found = parse(text.encode())
    assert (found.pairs if found else None) == pairs


@settings(max_examples=80)
@given(st.text(alphabet='[]ab."\\=#; \n\t', max_size=30))
def test_git_reads_no_setting_that_we_do_not(tmp_path: Path, text: str) -> None:
    """Whatever git makes of a text, we make the same of it or call it unreadable."""
    file = tmp_path / "c"
    file.write_text(text)
    result = subprocess.run(["git", "config", "-f", str(file), "--list", "-z"], capture_output=True, check=False)
    ours = parse(text.encode())
    if result.returncode == 0 and ours is not None:
        keys = [entry.split("\n", 1)[0].lower() for entry in result.stdout.decode().split("\0") if entry]
        assert [key for key, _ in ours.pairs] == keys


# --- settings that tell ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        (".git/config", '[remote "o"]\n\turl = https://a:b@example.org/x\n', True),
        (".git/config", "# https://a:b@example.org/x\n", True),
        (".git/config", '[url "https://a:b@example.org/"]\n\tinsteadOf = x:\n', True),
        (".git/config", '[remote "o"]\n\turl = https://ghp_0123@example.org/x\n', True),
        (".git/config", "[http]\n\textraHeader = Authorization: Basic eA==\n", True),
        (".git/config", "[broken\n password = x\n", True),
        (".git/config", '[remote "o"]\n\turl = ssh://git@example.org:22/x\n', False),
        (".git/config~", "[x]\n\ttoken = y\n", True),
        (".git/modules/a/config", "[x]\n\ttoken = y\n", True),
        (".git/worktrees/a/config.worktree", "[x]\n\ttoken = y\n", True),
        (".gitconfig.local", "[x]\n\ttoken = y\n", True),
        ("src/config.py", "token = y\n", False),
    ],
)
def test_settings_of_git_that_tell(tree: Path, name: str, text: str, told: bool) -> None:
    """A password in a file of git's settings is seen by who asks for the file, and by who asks for all beneath."""
    path = tree / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    keys = (facts.PathKey(str(path)), facts.TreeKey(str(tree)))
    found = observer(tree.parent).gather(keys)
    file, beneath = found[keys[0]], found[keys[1]]
    assert isinstance(file, facts.PathFact)
    assert isinstance(beneath, facts.TreeFact)
    assert file.tells is told
    assert (name in {danger.path for danger in beneath.dangers if danger.kind == "secret"}) is told


def test_settings_that_tell_by_now(tree: Path) -> None:
    """A token that is written into the same file later is seen although the folder has not changed."""
    look, key = observer(tree.parent), facts.TreeKey(str(tree))
    for folder, _, files in os.walk(tree):
        for name in (*files, "."):
            os.utime(os.path.join(folder, name), (1, 1))
    assert not [d for d in look.gather([key])[key].dangers if d.kind == "secret"]  # type: ignore[union-attr]
    with (tree / ".git" / "config").open("a") as file:
        file.write("[x]\n\ttoken = y\n")
    assert [d.path for d in look.gather([key])[key].dangers if d.kind == "secret"] == [".git/config"]  # type: ignore[union-attr]
