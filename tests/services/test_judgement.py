"""services/judgement.py: layers on disk, the last good policy, trust, limits, and what still holds."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from tmux_agent.core.channels import Notify
from tmux_agent.core.facts import HashKey, PathKey, pin
from tmux_agent.core.model import Decision, File, Origin, Patch, Role, Shell, Stage, Verdict
from tmux_agent.services import judgement, project_policies
from tmux_agent.services.grants import Grants
from tmux_agent.services.guard import Guard
from tmux_agent.services.judgement import Judgement
from tmux_agent.services.policy_files import shipped_text

CATS = "rules:\n- {name: cats, when: {command: [cat], operands: [paths]}, verdict: allow}\n"


class Place:
    def __init__(self, base: Path) -> None:
        self.home, self.tree = base / "h", base / "h" / "proj"
        self.config, self.state = self.home / "config", self.home / "state"
        for folder in (self.tree / ".tmuxagent", self.config / "policy.d", self.state):
            folder.mkdir(parents=True)
        (self.tree / "a").write_text("x")
        self.origin = Origin(role=Role.AGENT, why="test", uid=1, pid=1, cwd=str(self.tree), agent="claude")
        self.judgement = Judgement(folder=self.config, state=self.state, home=str(self.home), environ=os.environ)

    def policy(self, text: str, name: str = "policy.yaml") -> None:
        (self.config / name).write_text(text)

    def verdict(self, text: str) -> Verdict:
        return self.judgement.judge(Shell(text=text, cwd=str(self.tree)), self.origin).decision.verdict

    def let_through(self, text: str) -> Verdict:
        decision = self.judgement.judge(Shell(text=text, cwd=str(self.tree)), self.origin).decision
        self.judgement.used(decision)
        return decision.verdict


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_without_a_file_the_shipped_policy_is_in_force(place: Place) -> None:
    """It loads without an error, with all its examples, and says where it comes from."""
    assert place.judgement.load() == ()
    assert place.judgement.file == "shipped policy.yaml"
    assert place.verdict("cat a") is Verdict.ALLOW
    assert all(rule.file.match and rule.file.not_match for rule in place.judgement.policy.rules)
    assert place.judgement.in_words()[0]["words"]


def test_the_persons_file_replaces_it_and_policy_d_adds(place: Place) -> None:
    """Layers in the order of their names; the strictest still wins."""
    place.policy("rules: []\n")
    assert place.judgement.load() == ()
    assert place.verdict("cat a") is Verdict.ASK
    place.policy(CATS, "policy.d/50-cats.yaml")
    assert place.judgement.load() == ()
    assert place.verdict("cat a") is Verdict.ALLOW
    place.policy("rules:\n- {name: no cats, when: {command: [cat, ...]}, verdict: deny}\n", "policy.d/10-no.yaml")
    assert place.judgement.load() == ()
    assert place.verdict("cat a") is Verdict.DENY


def test_a_broken_file_leaves_the_last_good_policy(place: Place) -> None:
    """Every error of every file at once; nothing changes until all are mended."""
    place.policy(CATS)
    assert place.judgement.load() == ()
    place.policy("rules: [{nam: x}]\nvorsion: 1\n")
    place.policy("[", "policy.d/b.yaml")
    errors = place.judgement.load()
    assert len(errors) >= 4
    assert {Path(error.file).name for error in errors} == {"policy.yaml", "b.yaml"}
    assert place.verdict("cat a") is Verdict.ALLOW
    assert place.judgement.errors == errors


def test_a_broken_file_at_the_start_asks_about_everything(place: Place) -> None:
    """There is no good policy yet: the shipped one without its allow rules, guardrails included."""
    place.policy("rules: 5\n")
    assert place.judgement.load()
    assert place.verdict("cat a") is Verdict.ASK
    assert place.verdict("tmux send y") is Verdict.DENY


def test_files_that_are_no_files(place: Place) -> None:
    """A FIFO and bytes that are no text are errors, not a wait."""
    os.mkfifo(place.config / "policy.yaml")
    assert "cannot be read" in str(place.judgement.load()[0])
    (place.config / "policy.yaml").unlink()
    (place.config / "policy.yaml").write_bytes(b"\xff\xfe")
    assert "UTF-8" in str(place.judgement.load()[0])


def test_a_repositorys_file_only_tightens_until_it_is_trusted(place: Place) -> None:
    """Its deny counts at once; its allow counts once the person trusted these very bytes."""
    place.policy("rules: []\n")
    place.judgement.load()
    mine = place.tree / ".tmuxagent" / "policy.yaml"
    mine.write_text(CATS + "- {name: no ls, when: {command: [ls, ...]}, verdict: deny}\n")
    assert (place.verdict("cat a"), place.verdict("ls")) == (Verdict.ASK, Verdict.DENY)
    place.judgement.trust(mine)
    assert (place.verdict("cat a"), place.verdict("ls")) == (Verdict.ALLOW, Verdict.DENY)
    mine.write_text(mine.read_text() + "# changed\n")
    assert place.verdict("cat a") is Verdict.ASK
    mine.write_text("rules: 7\n")
    assert place.verdict("ls") is Verdict.ASK
    assert any("rules" in str(error) for error in place.judgement.errors)


def test_a_repositorys_file_is_not_read_while_everybody_waits(place: Place) -> None:
    """Nothing is allowed before it has been read elsewhere; then it counts, and is not read again while it stays."""
    place.policy(CATS)
    place.judgement = Judgement(
        folder=place.config, state=place.state, home=str(place.home), environ=os.environ, background=True
    )
    place.judgement.load()
    mine = place.tree / ".tmuxagent" / "policy.yaml"
    mine.write_text("rules:\n- {name: no cats, when: {command: [cat, ...]}, verdict: deny}\n")
    action = Shell(text="cat a", cwd=str(place.tree))
    judged = place.judgement.judge(action, place.origin)
    assert judged.decision.verdict is Verdict.ASK
    assert len(judged.left) == 1
    assert place.judgement.foresee(action, place.origin) is None
    again = place.judgement.judge(action, place.origin, walked=dict(look() for look in judged.left))
    assert (again.decision.verdict, again.decision.rule, again.left) == (Verdict.DENY, "no cats", ())
    assert place.verdict("cat a") is Verdict.DENY
    mine.write_text("rules: []\n# another\n")
    none: Any = None
    guard = Guard(place.judgement, none, none, Grants(none), none, none)
    assert place.verdict("cat a") is Verdict.ASK
    assert asyncio.run(guard.checked(action, place.origin)).verdict is Verdict.ALLOW
    place.judgement.load()
    assert place.verdict("cat a") is Verdict.ASK, "it was built on the policy before"


def test_who_is_told_is_the_last_layers_to_say_and_no_repositorys(place: Place) -> None:
    """`notify` in policy.d stands over policy.yaml's; a repository's file with one does not count at all."""
    place.policy("notify: {urls: json://a, after: 5s}\n")
    assert place.judgement.load() == ()
    assert place.judgement.policy.notify == Notify(urls=("json://a",), after=5.0)
    place.policy("notify: {command: [told, me]}\n", "policy.d/10.yaml")
    place.policy("rules: []\n", "policy.d/20.yaml")
    assert place.judgement.load() == ()
    assert place.judgement.policy.notify == Notify(command=("told", "me"))
    mine = place.tree / ".tmuxagent" / "policy.yaml"
    mine.write_text("notify: {urls: json://evil}\nrules:\n- {name: r, when: {command: make}, verdict: allow}\n")
    place.judgement.trust(mine)
    assert place.verdict("make") is Verdict.ASK
    assert any("notify: is not for a repository" in str(error) for error in place.judgement.errors)
    assert place.judgement.policy.notify == Notify(command=("told", "me"))


def test_rules_may_speak_of_kinds(place: Place) -> None:
    """A stage is of the kind pipeline, as its messages say."""
    place.policy("rules:\n- {name: none, when: {kind: [pipeline, shell]}, verdict: deny}\n")
    assert place.judgement.load() == ()
    stage = Stage(pipeline="p", stage="s")
    assert place.judgement.judge(stage, place.origin).decision.verdict is Verdict.DENY
    assert place.verdict("cat a") is Verdict.DENY


def test_nobody_writes_what_decides(place: Place) -> None:
    """Policy, state and the repository's policy file are denied to agents by their real paths."""
    place.judgement.load()
    (place.tree / "l").symlink_to(place.config)
    for path in (
        place.config / "policy.yaml",
        place.state / "audit.jsonl",
        place.tree / ".tmuxagent/policy.yaml",
        place.tree / "l/policy.yaml",
    ):
        action = File(verb="write", path=str(path), content="x")
        assert place.judgement.judge(action, place.origin).decision.verdict is Verdict.DENY


def test_a_patch_is_judged_by_each_of_its_files(place: Place) -> None:
    """The strictest file decides, rules of files and of their kind speak of it, and it is never empty."""
    place.policy("rules:\n- {name: may, when: {file: [write, edit, delete], path: ['**/a', '**/b']}, verdict: allow}\n")
    assert place.judgement.load() == ()
    cwd = str(place.tree)

    def verdict(*paths: str) -> Decision:
        changes = tuple(File(verb="write", path=path, cwd=cwd) for path in paths)
        return place.judgement.judge(Patch(text="", changes=changes, cwd=cwd), place.origin).decision

    assert verdict("a", "b").verdict is Verdict.ALLOW
    assert verdict("a", "c").verdict is Verdict.ASK
    denied = verdict("a", "b", str(place.config / "policy.yaml"))
    assert denied.verdict is Verdict.DENY
    assert [part.verdict for part in denied.parts] == [Verdict.ALLOW, Verdict.ALLOW, Verdict.DENY]
    assert verdict().verdict is Verdict.ASK
    place.policy("rules:\n- {name: none, when: {kind: file}, verdict: deny}\n")
    assert place.judgement.load() == ()
    assert verdict("a").verdict is Verdict.DENY


def test_a_rule_with_for_runs_out(place: Place) -> None:
    """Two uses, then it asks; looking uses nothing up, and what was not let through after all counts for nothing."""
    place.policy("rules:\n- {name: m, when: {command: [make, ...]}, verdict: allow, for: {uses: 2, per: 1h}}\n")
    place.judgement.load()
    assert [place.verdict("make x") for _ in range(5)] == [Verdict.ALLOW] * 5
    assert place.let_through("make x") is Verdict.ALLOW
    decision = place.judgement.judge(Shell(text="make x", cwd=str(place.tree)), place.origin).decision
    place.judgement.used(decision)
    assert place.verdict("make x") is Verdict.ASK
    place.judgement.take_back(decision)
    assert [place.let_through("make x") for _ in range(2)] == [Verdict.ALLOW, Verdict.ASK]


def test_what_was_approved_must_still_hold(place: Place) -> None:
    """A link put in place of the file between the question and the answer is noticed, and named."""
    place.judgement.load()
    action = Shell(text="cat a && rm b", cwd=str(place.tree))
    pins = pin(place.judgement.judge(action, place.origin).facts)
    assert place.judgement.still_holds(pins, place.origin) is None
    (place.tree / "a").write_text("more than there was")
    (place.tree / "b").write_text("which was missing")
    assert place.judgement.still_holds(pins, place.origin) is None
    (place.tree / "a").unlink()
    (place.tree / "a").symlink_to("/etc/passwd")
    assert "/a is not what it was" in str(place.judgement.still_holds(pins, place.origin))


def test_what_still_holds_is_seen_by_the_policy_that_judged(place: Place) -> None:
    """A repository's own secrets count when its tree is looked at again: what has not changed is no change."""
    mine = place.tree / ".tmuxagent" / "policy.yaml"
    mine.write_text("secrets: ['**/*.hidden']\nrules: []\n")
    (place.tree / "x.hidden").write_text("x")
    assert place.judgement.load() == ()
    action = Shell(text="grep -r x .", cwd=str(place.tree))
    pins = pin(place.judgement.judge(action, place.origin).facts)
    assert any('"tree"' in key for key in pins)
    assert place.judgement.still_holds(pins, place.origin) is None
    (place.tree / "y.hidden").write_text("y")
    assert "not what it was" in str(place.judgement.still_holds(pins, place.origin))


def test_a_large_folder_is_not_looked_through_while_everybody_waits(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is unknown and asks; what is left is looked through elsewhere, and then it is judged by that."""
    monkeypatch.setattr(judgement, "_SPARE", 20)
    for index in range(60):
        (place.tree / f"{index}.txt").write_text("x")
    place.judgement.load()
    action = Shell(text="grep -rn x . && ls", cwd=str(place.tree))
    judged = place.judgement.judge(action, place.origin)
    assert judged.decision.verdict is Verdict.ASK
    assert len(judged.left) == 1
    assert place.judgement.foresee(action, place.origin) is None
    again = place.judgement.judge(action, place.origin, walked=dict(look() for look in judged.left))
    assert (again.decision.verdict, again.left) == (Verdict.ALLOW, ())
    none: Any = None
    guard = Guard(place.judgement, none, none, Grants(none), none, none)
    assert asyncio.run(guard.checked(action, place.origin)).verdict is Verdict.ALLOW
    (place.tree / ".env").write_text("x")
    assert asyncio.run(guard.checked(action, place.origin)).verdict is Verdict.ASK


def test_too_broad_a_folder_is_no_worktree(place: Place) -> None:
    """An agent started in the home folder, or above it, has no root at all."""
    place.judgement.load()
    for folder in (place.home, place.home.parent, Path("/"), Path("/etc")):
        action = Shell(text="ls", cwd=str(folder))
        origin = Origin(role=Role.AGENT, why="test", uid=1, pid=1, cwd=str(folder))
        assert place.judgement.judge(action, origin).decision.verdict is Verdict.ASK


def test_answers_are_looked_up_anew(place: Place) -> None:
    """The same command twice, with another world in between, is judged twice."""
    place.judgement.load()
    assert place.verdict("cat a") is Verdict.ALLOW
    (place.tree / "a").unlink()
    (place.tree / "a").symlink_to("/etc/passwd")
    assert place.verdict("cat a") is Verdict.ASK


def test_shipped_text_is_the_file() -> None:
    """`policy init` writes just this."""
    assert shipped_text().startswith("# The policy that tmux-agent ships.")


def test_what_repositories_make_us_keep_is_bounded(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Policies of ever more repositories push out the oldest, errors are told in part, and go with what caused them."""
    monkeypatch.setattr(project_policies, "PROJECTS", 3)
    place.judgement.load()

    def checks(name: str, policy: str) -> None:
        folder = place.home / name / ".tmuxagent"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "policy.yaml").write_text(policy)
        origin = Origin(role=Role.AGENT, why="test", uid=1, pid=1, cwd=str(folder.parent))
        place.judgement.judge(Shell(text="git log", cwd=origin.cwd), origin)

    for number in range(6):
        checks(f"r{number}", "rules:\n" + "".join(f"- {{name: n{one}, wrong: 1}}\n" for one in range(100)))
    assert len(place.judgement.errors) == 3 * project_policies.ERRORS
    for number in range(3, 6):
        for again in range(3):
            checks(f"r{number}", f"secrets: [s{again}]\n")
    assert place.judgement.errors == ()
    assert len(place.judgement._observers) <= 4


def test_a_decision_rests_on_what_it_came_to(place: Place) -> None:
    """Of what a rule allows, only what is there and where; what is in a file counts where a person says yes to it."""
    (place.tree / "x.sh").write_text("true")
    place.policy(shipped_text())
    assert place.judgement.load() == ()
    judged = place.judgement.judge(Shell(text="sed -n 5p a; sh x.sh", cwd=str(place.tree)), place.origin)
    assert judged.decision.verdict is Verdict.ASK
    assert {key for key in judged.facts if isinstance(key, HashKey)} == {HashKey(f"{place.tree}/x.sh")}
    assert PathKey(f"{place.tree}/a") in judged.facts
    assert type(judged.facts) is dict  # so that nothing more is looked at afterwards
