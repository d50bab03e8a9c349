"""Whether a pane is one that a file means. Pure: what is known of the pane is passed in."""

from __future__ import annotations

from msgspec import Struct

from .pipeline_file import Match, found, words


class PaneFacts(Struct, frozen=True, kw_only=True):
    """What is known of a pane. `commands`: names of the program in the foreground, the most telling first."""

    pane: str
    session: str
    window: str
    title: str
    commands: tuple[str, ...]
    agent: str
    host: str


def matches(match: Match, facts: PaneFacts) -> bool:
    """Whether every pattern that is given is found; of several for one thing, one. A match that says nothing means no
    pane."""
    held = [
        (match.session_name, (facts.session,)),
        (match.session, (facts.session,)),
        (match.window_name, (facts.window,)),
        (match.window, (facts.window,)),
        (match.pane_title, (facts.title,)),
        (match.pane_id, (facts.pane,)),
        (match.command, facts.commands),
        (match.agent, (facts.agent,)),
        (match.host, (facts.host,)),
    ]
    given = [(words(patterns), texts) for patterns, texts in held if patterns != ()]
    return bool(given) and all(
        any(found(pattern, text) for pattern in patterns for text in texts) for patterns, texts in given
    )
