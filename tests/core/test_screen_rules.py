"""Rule files about screens: what a person may write, and how they are told what is wrong."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tmux_agent.core.screen_rules import load

SHIPPED = Path(__file__).parents[2] / "sidecar" / "tmux_agent" / "defaults" / "screens"
OWN = """\
version: 1
agent: deploy
process: [deploy.sh]
rules:
  - name: which one
    state: waiting
    ask: '^Deploy (?P<name>\\w+)\\? \\(y/n/q\\)$'
    answers:
      - {label: Deploy, keys: ["y"]}
      - {label: Not this one, keys: ["n", Enter], deny: true}
  - name: out of tokens
    state: limit
    resets: 'limit reached .* resets (?P<resets>.+)$'
"""


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.yaml")), ids=lambda path: path.stem)
def test_what_we_ship_is_right(path: Path) -> None:
    """Every file that comes with us loads."""
    assert load(path.read_text(), path.name)[1] == ()


def test_the_example_of_the_page() -> None:
    """What docs/agents.md shows is a file that loads, and its table names every agent that rules are shipped for."""
    page = (Path(__file__).parents[2] / "docs" / "agents.md").read_text()
    (example,) = re.findall(r"```yaml\n(.*?)```", page.partition("### A rule file of your own")[2], re.DOTALL)
    assert load(example, "deploy.yaml")[1] == ()
    listed = re.findall(r"^\| `(\w+)` \|", page.partition("## Agents without hooks")[2].partition("| works |")[0], re.M)
    shipped = [load(path.read_text(), path.name)[0] for path in SHIPPED.glob("*.yaml")]
    assert sorted(listed) == sorted(rules.agent for rules in shipped if rules)


def test_a_persons_file() -> None:
    """A script that asks, and one that has reached a limit."""
    rules, wrong = load(OWN, "deploy.yaml")
    assert wrong == ()
    assert rules
    assert rules.process == ("deploy.sh",)
    assert [rule.state for rule in rules.rules] == ["waiting", "limit"]


@pytest.mark.parametrize(
    ("change", "line", "says"),
    [
        (("state: waiting", "state: wating"), 6, "did you mean waiting?"),
        (("    ask:", "    asks:"), 7, "did you mean ask?"),
        (('keys: ["y"]', "keys: [Entr]"), 5, ""),
        (('keys: ["y"]', "keys: []"), 5, "lacks keys"),
        (('keys: ["y"]', "keys: ['{nam}']"), 5, "did you mean name?"),
        (('keys: ["y"]', 'keys: ["rm -rf / --no-preserve"]'), 5, "is no key"),
        (("(?P<name>", "("), 0, ""),
        (("\\?", "("), 5, "is no pattern"),
        (("(?P<resets>.+)", ".+"), 11, "lacks the group"),
        (("    answers:", "    buttons: [A, B]\n    answers:"), 5, "stands beside another"),
        (("    ask:", "    words: Deploy?\n    ask:"), 5, "beside choice or buttons"),
        (("version: 1", "version: 2"), 1, "version 1"),
        (("    state: waiting\n", "    state: idle\n"), 5, "has to be waiting"),
        (("agent: deploy\n", ""), 1, "lacks the key agent"),
        (("state: limit\n", "state: limit\n    menu: '^stop'\n"), 11, "the one needs the other"),
        (("state: limit\n", "state: limit\n    menu: x\n    leave: [press Escape there]\n"), 11, "is no key"),
        (("state: limit\n", "state: idle\n"), 11, "belongs to rules for limit"),
    ],
)
def test_what_is_wrong_is_told(change: tuple[str, str], line: int, says: str) -> None:
    """File, line, and the nearest known word where there is one."""
    rules, wrong = load(OWN.replace(*change), "deploy.yaml")
    if not says:
        return  # a change that is fine: four letters can be typed, a group need not have a name
    assert rules is None
    assert [one.line for one in wrong if says in one.message] == [line], wrong
    assert str(wrong[0]).startswith(f"deploy.yaml:{line}: ")


def test_a_rule_that_would_fit_everything_is_refused() -> None:
    """A rule has to name something that is seen."""
    text = "version: 1\nagent: x\nrules:\n  - {name: always, state: working}\n"
    rules, wrong = load(text, "x.yaml")
    assert rules is None
    assert "would fit every screen" in wrong[0].message
