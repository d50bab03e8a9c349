"""The rules in force in words and as data, for `command.allowed` and for people.

Owns the sentences. Must not own the rules.
"""

from __future__ import annotations

from typing import Any

import msgspec

from .policy_file import words
from .rules import Rule
from .situation import Policy


def in_words(policy: Policy) -> list[dict[str, Any]]:
    """One entry per rule: name, verdict, sentence, where it stands, and the when-clause as data."""
    return [
        {
            "name": rule.name,
            "verdict": rule.verdict.value,
            "words": sentence(rule),
            "where": rule.where,
            "when": {k: v for k, v in msgspec.to_builtins(rule.when).items() if v},
        }
        for rule in policy.rules
    ]


def sentence(rule: Rule) -> str:
    """allows git status or diff with 40 options, on revisions and paths."""
    when = rule.when
    verb = {"allow": "allows", "ask": "asks about", "deny": "denies"}[rule.verdict.value]
    said = [verb, _what(rule)]
    if when.any_option:
        said.append(f"with {' or '.join(when.any_option)}")
    if when.inside:
        said.append(f"inside {' or '.join(words(when.inside))}")
    if when.path:
        said.append(f"where the path is {' or '.join(when.path)}")
    for name in ("agent", "session", "window", "branch", "time"):
        value = getattr(when, name)
        if value:
            said.append(f"for {name} {' or '.join(words(value))}")
    if rule.file.reason:
        said.append(f"({rule.file.reason})")
    return " ".join(said)


def _what(rule: Rule) -> str:
    when = rule.when
    if when.command:
        fixed = [" or ".join(words(word)) for word in when.command if word != "..."]
        end = " with anything" if rule.open_end else f" with {len(rule.options)} options" if rule.options else ""
        return " ".join(fixed) + end
    if when.file:
        return f"to {' or '.join(when.file)} files"
    if when.fetch:
        return f"fetches from {' or '.join(when.fetch.host) or 'anywhere'}"
    if when.mcp:
        tools, servers = " or ".join(when.mcp.tool), " or ".join(when.mcp.server)
        return f"the MCP tools {tools or 'of any name'} of {servers or 'any server'}"
    if when.tool:
        return f"the tools {', '.join(when.tool)}"
    if when.tmux:
        return f"the tmux verbs {', '.join(when.tmux)}"
    if when.fleet:
        return f"to {' or '.join(when.fleet)} agents of the fleet"
    return "questions" if when.ask else "everything"
