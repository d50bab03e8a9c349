"""Where core/ takes a short cut for speed, the long way gives the same."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.core.test_policy import HOME, TREE, World

from tmux_agent.core import config, paths, policy_build, shell, shell_lex, shell_names
from tmux_agent.core.argv.options import Arg, Fed
from tmux_agent.core.calls import call_of
from tmux_agent.core.facts import Lookup
from tmux_agent.core.policy_build import Layer
from tmux_agent.core.policy_file import PolicyFile
from tmux_agent.core.reach import Reach
from tmux_agent.core.rules import Rule
from tmux_agent.core.rules_command import could_match, match_command
from tmux_agent.core.situation import Policy
from tmux_agent.services.policy_files import shipped_text

NEVER, ALWAYS = re.compile(r"(?!)"), re.compile(r"")
PIECES = (
    *("x=1", "$x", "${x}", "for", "f", "in", "do", "done", "read", "r\\\nead", "((", "))", "$((", "1", "n+=1", "echo"),
    *("if", "then", "fi", "'q q'", '"d $x"', "$(ls)", "`ls`", "a=", "#c", "{a,b}", "2>", ">", "<", "<<E\nt\nE\n", "&&"),
    *("|", ";", "&", "(", ")", "\n", "\\\n", " ", "\t", "*", "~", "!", "\\ ", "é", "shopt", "export", "'sho''pt'"),
    *("cd", "while", "a\\=1", "'x'=1", "command", "-v", "unset", "<(ls)", "$'\\n'", "[[", "]]", "%", "git", "-n"),
)
TEXTS = st.lists(st.sampled_from(PIECES), max_size=12).flatmap(
    lambda pieces: st.sampled_from(("".join(pieces), " ".join(pieces)))
)


SETTING = (
    "read x; echo $x",
    "r\\\nead x; echo $x",
    "cat a | while read -r l; do echo $l; done",
    "for f in a b; do cat $f; done",
    "f\\\nor f in a b; do cat $f; done",
    "x=1; cat $x",
    "((n++)); echo $n",
    "echo $((n=5)) $n",
)


def examples(test: Any) -> Any:
    for text in SETTING:
        test = example(text, "bash")(test)
    return test


@examples
@settings(max_examples=1000, deadline=None)
@given(TEXTS, st.sampled_from(("bash", "sh", "zsh")))
def test_shell_text_is_read_the_same(text: str, dialect: str) -> None:
    """Plain words that are taken at once, and texts that set no variable."""
    short = shell._read(text, dialect)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shell_lex, "_SIMPLE", NEVER)
        patch.setattr(shell_names, "_SET", ALWAYS)
        assert shell._read(text, dialect) == short


@pytest.fixture(scope="module")
def shipped() -> Policy:
    file, errors = config.load(shipped_text(), "policy.yaml", PolicyFile)
    assert file is not None
    assert not errors
    policy, errors = policy_build.build([Layer(file=file, label="policy.yaml")], HOME, examples=False)
    assert policy is not None
    assert not errors
    return policy


WORDS = (
    *("-", "--", "-n", "-5", "-la", "-ln", "--version", "--help=x", "-rn", "-d", "+x", "+5", "-R", "--files", "-V"),
    *("a", "src/a.py", "HEAD", "log", "status", "branch", "config", "s/a/b/p", "5", "", "-no-index", "--no-index=1"),
    *("-f", "-e", "-nfx", "--format=%h", "--stat", "-a", "-t,", "-k2", "-exec", "{}", ";", "-name", "*.py", "é"),
)
FED = (Fed(unknown=True), Fed(single=True, before="-"), Fed(single=True, before="--x="), Fed(starts=(TREE,)))


def tried(policy: Policy, argv: list[Arg]) -> list[tuple[Rule, bool, bool]]:
    """Each rule of a program, whether it could match at a glance, and whether it does."""
    reach = Reach(Lookup(World()), (TREE,), policy.secrets, HOME)
    call = call_of(argv, TREE, reach, in_shell=True, piped=False)
    named = policy.about(call.program, call.args[0] if call.args else "")
    return [(rule, could_match(rule, call), match_command(rule, call, reach) is None) for rule in named]


def test_no_rule_that_matches_is_passed_over(shipped: Policy) -> None:
    """A glance at the words refuses only what does not match, of all programs of the shipped policy: with each of its
    own options and of the odd words in front."""
    seen = 0
    for name in shipped.by_program:
        program, _, first = name.partition(" ")
        own = {option for rule in shipped.about(program, first) for option in rule.options}
        bundles = {f"{one}{option[1]}" for one in ("-n", "-a") for option in own if len(option) == 2}
        unsure = [Fed(single=True, before=f"{option}=") for option in own if option.startswith("--")]
        for word in (*WORDS, *FED, *own, *bundles, *unsure):
            for more in ((), ("a",), ("x", "a"), ("5",)):
                for rule, could, does in tried(shipped, [*name.split(" "), word, *more]):
                    assert could or not does, (rule.name, name, word, more)
                    seen += does
    assert seen > 1000


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_nor_with_several_options(shipped: Policy, data: st.DataObject) -> None:
    names = sorted({name for name in shipped.by_program if name})
    known = sorted({option for rule in shipped.rules for option in rule.options})
    program = data.draw(st.sampled_from(names)).split(" ")
    word = st.sampled_from(WORDS) | st.sampled_from(known) | st.sampled_from(FED)
    argv: list[Arg] = [*program, *data.draw(st.lists(word, max_size=5))]
    for rule, could, does in tried(shipped, argv):
        assert could or not does, (rule.name, argv)


def test_a_glance_spares_most_rules(shipped: Policy) -> None:
    """Else it would be for nothing: `grep -n x a` fits one rule of seven."""
    found = tried(shipped, ["grep", "-n", "x", "a"])
    assert [does for _, _, does in found].count(True) == 1
    assert [could for _, could, _ in found].count(True) < len(found) / 2


@settings(max_examples=500)
@given(st.lists(st.sampled_from(("/", "//", "a", ".", "..", ".b", "b.", "é", "/.", "a/")), max_size=8))
def test_normal_paths(pieces: list[str]) -> None:
    """What looks normal at a glance is."""
    path = "".join(pieces)
    assert paths.normal(path) == paths.posixpath.normpath(path)


@given(st.text("/ab", max_size=6), st.lists(st.text("/ab", max_size=4), max_size=3))
def test_inside(path: str, roots: list[str]) -> None:
    """Whole components are compared."""
    plain = any(path == root or path.startswith(root if root.endswith("/") else f"{root}/") for root in roots)
    assert paths.inside(path, roots) is plain


