"""How agents of the fleet look: one line for an agent, what that line may have cut, what a new one would be.

Owns: columns, marks and words of these lines. Must not own: which of them are shown, keys (fleet.py, spawning.py).
Every name in here was written by somebody else, and enters through `literal`.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime

from tmux_agent.core import display, wording
from tmux_agent.core.limits import IN_ITS_PANE
from tmux_agent.core.replies_fleet import FleetData, FleetWould
from tmux_agent.edges.ui.compose import WIDE
from tmux_agent.edges.ui.desk import Look
from tmux_agent.edges.ui.styles import Lines
from tmux_agent.edges.ui.text import Line, cells, cut, fit, literal, wrap, wrap_words
from tmux_agent.edges.ui.words import tilde

NAME, TEXT = 200, 500  # characters of a name, and of what stands beside it, that are looked at
STATE, AGENT = 8, 12  # cells
STYLES = {
    "waiting": "class:medium", "working": "class:accent", "done": "class:good", "error": "class:bad",
    "paused": "class:medium", "spawning": "class:accent",
}  # fmt: skip
MARKS = {
    "waiting": "approval", "working": "running", "done": "success", "error": "failed", "paused": "approval",
    "spawning": "running",
}  # fmt: skip


def state(one: FleetData) -> str:
    """What a person wants to know first: whether it stands still or is gone, else what it tells of itself."""
    return one.agent_state or "running" if one.state == "running" else one.state


class Columns:
    """How wide each is, of what is in them."""

    def __init__(self, agents: Sequence[FleetData], looks: Mapping[str, Look], width: int) -> None:
        self.wide = width >= WIDE
        most = max(16, width // 4) if self.wide else max(8, width - STATE - 12)
        self.name = min(most, max(display.width(display.safe(one.name[:NAME])) for one in agents))
        self.agent = min(AGENT, max(display.width(display.safe(kind(one))) for one in agents)) if self.wide else 0
        self.changed = max(cells(changed(looks.get(one.name))) for one in agents)


def row(
    one: FleetData, look: Look | None, columns: Columns, width: int, now: datetime, lines: Lines, *,
    asked: bool, chosen: bool,
) -> Line:  # fmt: skip
    """Mark, name, agent, state, since when, what has changed, and what it waits for or its last line."""
    said = "waiting" if asked else state(one)
    style = STYLES.get(said, "class:faint")
    since = one.since if one.since and one.state == "running" else one.created
    line: Line = [
        (style, lines.stages[MARKS.get(said, "waiting")]), ("", " "),
        *fit(literal(one.name[:NAME], "class:chosen" if chosen else ""), columns.name), ("", "  "),
    ]  # fmt: skip
    if columns.wide:
        line += [*fit(literal(kind(one), "class:faint"), columns.agent), ("", "  ")]
    line += [*fit([(style, said)], STATE)]
    line += fit([("class:faint", display.ago((now - since).total_seconds()))], 7, right=True)
    if columns.wide:
        line += [("", "  "), *fit(changed(look), columns.changed), ("", "  "), *about(one, look, asked=asked)]
    return cut(line, width)


def changed(look: Look | None) -> Line:
    """ "+12 −3", of the worktree against where it began."""
    if look is None:
        return [("class:faint", "…")]
    if not (look.added or look.removed or look.files):
        return [("class:faint", "no change")]
    return [("class:plus", f"+{_short(look.added)}"), ("", " "), ("class:minus", f"−{_short(look.removed)}")]


def _short(count: int) -> str:
    return str(count) if count < 10_000 else f"{count // 1000}k"


def kind(one: FleetData) -> str:
    """The agent's name, with the mark of those in the sandbox."""
    return wording.walled(one.agent[:NAME], one.tier == "sandbox")


def about(one: FleetData, look: Look | None, *, asked: bool) -> Line:
    """What it waits for; else what went wrong, what it does, or its last line."""
    if asked or one.waiting_on:
        return [("class:medium", "waits for you"), ("", "  "), *literal(one.waiting_on[:TEXT], "class:faint")]
    if one.agent_state == "waiting":
        return [("class:medium", IN_ITS_PANE), ("", "  "), *literal(one.detail[:TEXT], "class:faint")]
    if one.agent_state == "error" and one.detail:
        return literal(one.detail[:TEXT], "class:bad")
    if one.note:
        return literal(one.note.partition("\n")[0][:TEXT], "class:warn")
    said = one.detail if one.agent_state == "done" else ""
    return literal((said or (look.last if look else "") or one.detail)[:TEXT], "class:faint")


def detail(one: FleetData, look: Look | None, width: int, *, asked: bool) -> list[Line]:
    """What the line of the selected row may have cut, and where it works."""
    parts = [f"{one.branch[:NAME]} from {one.base[:NAME]}"]
    parts += ["in a sandbox"] if one.tier == "sandbox" else []
    if look is not None:
        parts += [look.usage] if look.usage else []
        parts += [f"{look.ahead} commit{'s' * (look.ahead != 1)} ahead"] if look.ahead else []
        parts += [f"{look.uncommitted} not committed"] if look.uncommitted else []
        parts += [f"{look.files} file{'s' * (look.files != 1)} changed"] if look.files else []
    parts += [f"in {tilde(one.worktree)}"]
    out = wrap_words(", ".join(parts)[: 4 * TEXT], width, "class:faint")
    told = about(one, look, asked=asked)
    if one.task_state == "waiting":
        out.append([("class:medium", "its task is typed as soon as its prompt waits")])
    elif any(text.strip() for _, text in told):
        out.append(cut(told, width))
    return out


def would(found: FleetWould, width: int) -> list[Line]:
    """What a new agent would be, all of it."""
    kind = "new, " if found.new_branch else ""
    rows: list[tuple[str, str]] = [
        ("branch", f"{found.branch} ({kind}from {found.base})"),
        ("worktree", tilde(found.worktree)),
        ("session", found.session),
        ("agent", shlex.join(found.argv)),
        ("tier", "in a sandbox" if found.tier == "sandbox" else "no sandbox"),
    ]
    rows += [("also", line) for line in found.does]
    out: list[Line] = [[]]
    for label, text in rows:
        head: Line = [("class:label", f"{label:<9} ")]
        first, *rest = wrap(literal(text[: 4 * TEXT]), max(8, width - cells(head)))
        out += [[*head, *first], *([("", " " * cells(head)), *line] for line in rest)]
    if found.task:
        out += [[], [("class:label", "its task")], *wrap_words(found.task, width)]
    return out


def none_yet(width: int) -> list[Line]:
    """The fleet is empty."""
    said = (
        "No agent of the fleet runs. S spawns one: a branch, a worktree of its own and a session, in which the agent"
        " starts with its task. `tmux-agent spawn BRANCH --task TEXT` does the same (docs/fleet.md)."
    )
    return wrap_words(said, width)
