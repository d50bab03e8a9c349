"""What a yes rests on: whatever says what is run, in each part of what is asked, must be the same when it is done.

Each case about contents was seen failing with judging.Judging._rest_on emptied.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tmux_agent.core.facts import HashKey, PackageKey, pin
from tmux_agent.core.model import Action, Command, Grant, Origin, Role, Shell, Verdict, digest
from tmux_agent.services.judgement import Judged, Judgement

POLICY = """
roots: ["{worktree}"]
rules:
- {name: cats, when: {command: [cat], operands: [paths]}, verdict: allow}
- {name: makes, when: {command: [make, ...]}, verdict: allow}
- {name: tests, when: {command: [npm, ...]}, verdict: ask}
- {name: typing, when: {tmux: [execute]}, verdict: ask}
- {name: no curl, when: {command: [curl, ...]}, verdict: deny}
"""


class Place:
    def __init__(self, base: Path) -> None:
        self.home, self.tree = base / "h", base / "h" / "proj"
        for folder in (self.tree / "sub", self.tree / ".husky" / "_", self.home / "config"):
            folder.mkdir(parents=True)
        subprocess.run(["git", "init", "-q", str(self.tree)], check=True)
        (self.home / "config" / "policy.yaml").write_text(POLICY)
        for name in ("a.sh", "b.sh", "Makefile", ".husky/pre-commit"):
            self.write(name, ": shown\n")
        (self.tree / "real").write_text("x")
        (self.tree / "link").symlink_to("real")
        self.package("x")
        self.judgement = Judgement(
            folder=self.home / "config", state=self.home / "state", home=str(self.home), environ=os.environ
        )
        assert self.judgement.load() == ()
        self.origin = Origin(role=Role.AGENT, why="test", uid=1, pid=1, cwd=str(self.tree), agent="claude")

    def write(self, name: str, text: str) -> None:
        """In place, its times set back."""
        path = self.tree / name
        before = path.stat() if path.exists() else None
        path.write_text(text)
        path.chmod(0o755)
        if before is not None:
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    def package(self, before_tests: str) -> None:
        self.write("package.json", json.dumps({"scripts": {"test": "t", "pretest": before_tests}}))

    def shell(self, text: str) -> Shell:
        return Shell(text=text, cwd=str(self.tree))

    def judge(self, action: Action, *grants: Grant, asked: bool = False) -> Judged:
        return self.judgement.judge(action, self.origin, grants, asked=asked)

    def git(self, *argv: str) -> None:
        subprocess.run(["git", "-C", str(self.tree), *argv], check=True)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def swapped(at: Place) -> None:
    (at.tree / "link").unlink()
    (at.tree / "link").symlink_to("/etc/passwd")


def second_name(at: Place) -> None:
    os.link(at.tree / "real", at.tree / "again")


def other(name: str) -> Callable[[Place], None]:
    return lambda at: at.write(name, ": other\n")


def other_package(at: Place) -> None:
    at.package("evil")


CASES: tuple[tuple[str, Callable[[Place], None]], ...] = (
    ("rm -rf x; ./b.sh", other("b.sh")),
    ("rm -rf x && cat real && sh -e b.sh", other("b.sh")),
    ("sh a.sh && sh b.sh", other("a.sh")),
    ("sh a.sh && sh b.sh", other("b.sh")),
    ("X=1 make", other("Makefile")),
    ("make > /elsewhere", other("Makefile")),
    ("make GNU; gmake", other("GNUmakefile")),
    ("npm test", other_package),
    ("rm x; npm test", other_package),
    ("rm x; npm run test -- -v | cat", other_package),
    ("cd sub && npm t", other_package),
    ("rm x; npm --prefix sub/.. test", other_package),
    ("rm x; npm install", lambda at: at.write("package.json", '{"scripts": {"preinstall": "evil"}}')),
    ("git commit -m x", other(".git/hooks/pre-commit")),
    ("rm x; git -C sub commit -m x", other(".git/hooks/commit-msg")),
    ("git commit -m x", lambda at: at.git("config", "core.hooksPath", "sub")),
    ("rm x; cat a.sh | sh", other("a.sh")),
    ("rm x; cat a.sh | grep -v y | sudo bash", other("a.sh")),
    ("rm x; sh < a.sh", other("a.sh")),
    ("echo `sh b.sh`", other("b.sh")),
    ("for f in *.sh; do sh $f; done", other("b.sh")),
    ("rm x; cat link", swapped),
    ("rm x; cat real", second_name),
    ("cat link && rm real", swapped),
)


@pytest.mark.parametrize(("text", "change"), CASES)
def test_each_part_of_what_is_asked_is_pinned(place: Place, text: str, change: Callable[[Place], None]) -> None:
    judged = place.judge(place.shell(text))
    assert judged.decision.verdict is Verdict.ASK
    pins = pin(judged.facts)
    assert place.judgement.still_holds(pins, place.origin) is None
    change(place)
    assert "is not what it was" in str(place.judgement.still_holds(pins, place.origin))


def test_the_hooks_of_husky_are_those_that_were_there(place: Place) -> None:
    """core.hooksPath names other hooks than .git/hooks, each of which runs the one above it."""
    place.git("config", "core.hooksPath", ".husky/_")
    for changed in (".husky/pre-commit", ".husky/_/pre-commit", ".husky/_/h"):
        pins = pin(place.judge(place.shell("git commit -m x")).facts)
        place.write(".git/hooks/pre-commit", f": {changed}, which is not run\n")
        assert place.judgement.still_holds(pins, place.origin) is None
        place.write(changed, f": other than before {changed}\n")
        assert "pre-commit" in str(place.judgement.still_holds(pins, place.origin)) or changed.endswith("/h")
        assert place.judgement.still_holds(pins, place.origin) is not None


def test_what_a_rule_allows_counts_where_a_person_is_asked_all_the_same(place: Place) -> None:
    """`make` may be run whatever is in its file; a person who is asked, because the agent is in the sandbox or its own
    dialog asks, says yes to what is there. Being asked first, or later, makes no difference."""
    key = HashKey(f"{place.tree}/Makefile")
    for action in (place.shell("make"), Command(argv=("make",), cwd=str(place.tree))):
        for asked in (False, True, False, True):
            judged = place.judge(action, asked=asked)
            assert judged.decision.verdict is Verdict.ALLOW
            assert (key in judged.facts) is asked


def test_the_part_that_a_rule_allows_by_itself_may_change(place: Place) -> None:
    """It would be run without a question."""
    pins = pin(place.judge(place.shell("make; sh a.sh")).facts)
    place.write("Makefile", ": other\n")
    assert place.judgement.still_holds(pins, place.origin) is None
    place.write("a.sh", ": other\n")
    assert "a.sh is not what it was" in str(place.judgement.still_holds(pins, place.origin))


@pytest.mark.parametrize("around", [{"env": {"SHELL": "./evil"}}, {"pane": "%1"}])
def test_what_is_asked_about_all_of_a_text_is_asked_with_what_it_runs(place: Place, around: dict[str, Any]) -> None:
    """Variables that it gets, and a terminal that it is typed into: though a rule allows each of its parts."""
    judged = place.judge(Shell(text="make; cat real", cwd=str(place.tree), **around))
    assert judged.decision.verdict is Verdict.ASK
    assert HashKey(f"{place.tree}/Makefile") in judged.facts


def test_a_denied_part_denies_whatever_comes_before(place: Place) -> None:
    """No part is spared from being judged by what was found in another."""
    for text in ("rm x; curl a", "curl a; rm x", "cat real | curl a; make", "sh a.sh || curl a"):
        assert place.judge(place.shell(text)).decision.verdict is Verdict.DENY


def test_an_exact_grant_is_for_what_was_there(place: Place) -> None:
    """Bound to a script or to a script of a package.json: with another in it, a person is asked again, and of what a
    grant allows the contents are among the facts."""
    for text, change, kind in (
        ("node a.sh", other("a.sh"), HashKey),
        ("yarn test", other_package, PackageKey),
    ):
        action = place.shell(text)
        (offer,) = (one for one in place.judgement.proposals(action, place.judge(action)) if one.scope == "exact")
        made = datetime.now(UTC)
        grant = Grant(id="g", scope="exact", created=made, by=place.origin, digest=digest(action), bound=offer.bound)
        judged = place.judge(action, grant)
        assert judged.decision.verdict is Verdict.ALLOW
        assert any(isinstance(key, kind) for key in judged.facts)
        change(place)
        assert place.judge(action, grant).decision.verdict is Verdict.ASK


def test_scripts_of_packages_count_as_files_that_are_run(place: Place) -> None:
    judged = place.judge(place.shell("rm x; npm test"))
    assert [key.script for key in judged.facts if isinstance(key, PackageKey)] == ["test"]
