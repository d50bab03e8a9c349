"""core/facts.py: what of a fact says what is run."""

from __future__ import annotations

import pytest

from tmux_agent.core.facts import (
    AboveFact,
    AboveKey,
    Danger,
    Fact,
    Facts,
    GlobFact,
    GlobKey,
    HashFact,
    HashKey,
    PackageFact,
    PackageKey,
    PathFact,
    PathKey,
    ProgramFact,
    ProgramKey,
    RepoFact,
    RepoKey,
    TreeFact,
    TreeKey,
    key_of,
    pin,
    seal,
)

MISSING = PathFact("/w/a", "missing", "/w")
FILE = PathFact("/w/a", "file", "/w")
FOLDER = PathFact("/w/a", "folder", "/w", links=2)
LINK = PathFact("/w/a", "file", "/w", link=True)
TREE = TreeFact((Danger("secret", ".env"),), files=3, bytes=100)
REPO = RepoFact("/w", "/w/.git")


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (MISSING, FILE),
        (FILE, MISSING),
        (PathFact("/w/d/a", "missing", "/"), PathFact("/w/d/a", "file", "/w/d")),
        (FOLDER, PathFact("/w/a", "folder", "/w", links=3)),
        (TREE, TreeFact(TREE.dangers, files=900, bytes=1 << 30)),
        (TreeFact(TREE.dangers, complete=False), TreeFact((), complete=False)),
    ],
)
def test_growth_is_no_change(before: Fact, now: Fact) -> None:
    """A plain file that came, went or grew, folders in a folder, harmless files in a tree."""
    assert seal(before) == seal(now)


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (FILE, PathFact("/etc/passwd", "file", "/etc")),
        (MISSING, PathFact("/etc/passwd", "missing", "/etc")),
        (FILE, LINK),
        (MISSING, FOLDER),
        (FOLDER, FILE),
        (MISSING, PathFact("/w/a", "other", "/w")),
        (MISSING, PathFact("/w/a", "file", "/w", links=2)),
        (FILE, PathFact("/w/a", "file", "/w", magic=True)),
        (LINK, PathFact("/w/a", "file", "/v", link=True)),
        (GlobFact(("a",)), GlobFact(("a", "b"))),
        (ProgramFact("/bin/x", "/bin/x"), ProgramFact("/w/x", "/w/x")),
        (ProgramFact("/bin/x", "/bin/x"), ProgramFact("/bin/x", "/bin/x", "which anybody may write")),
        (REPO, RepoFact("/w", "/w/.git", hostile=("core.fsmonitor",))),
        (REPO, RepoFact("/w", "/v/.git")),
        (REPO, RepoFact("/w", "/w/.git", tracked=(".env",))),
        (TREE, TreeFact((*TREE.dangers, Danger("link", "l", "/etc")))),
        (TREE, TreeFact(TREE.dangers, complete=False)),
        (HashFact("1"), HashFact("2")),
        (PackageFact("/w/package.json", "1"), PackageFact("/w/package.json", "2")),
        (AboveFact(), AboveFact(("/w/.npmrc",))),
    ],
)
def test_what_makes_it_something_else_is_a_change(before: Fact, now: Fact) -> None:
    """Another place, a link, a folder, a device, a second hard link, another program, script, repository or secret."""
    assert seal(before) != seal(now)


def test_pins_name_their_keys() -> None:
    """Every kind of key comes back from its pin, whatever bytes its path holds."""
    facts: Facts = {
        PathKey("/w/\udcff\n"): FILE,
        GlobKey("/w", "*"): GlobFact(),
        ProgramKey("x"): ProgramFact(),
        RepoKey("/w"): REPO,
        TreeKey("/w"): TREE,
        HashKey("/w/a"): HashFact(),
        PackageKey("/w", "test"): PackageFact(),
        AboveKey("/w", (".npmrc", "x")): AboveFact(),
    }
    assert [key_of(text) for text in pin(facts)] == list(facts)
    assert all(text.isascii() for text in pin(facts))
