"""Menus of tmux: what is in each, how it is written for tmux, and where a choice leads. Pure.

Owns the items and their keys. A choice never answers anything: tmux cannot tell who made it (docs/security.md), so it
leads to a pane, to another menu, or into the popup, where the kernel is asked. Everything an agent wrote is raw text in
here and goes to tmux through display.for_tmux. Must not own: opening menus (services/tmux/menus.py), what a choice does
(services/wayfinder.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from msgspec import Struct

from . import display, redact, wording
from .model import Agent, AgentState, Approval

EDGES = 4  # columns of a menu beside its items
KEY_CELLS = 5  # " (a) "
BORDERS = 2  # rows
WORDS_BYTES = 12_000  # tmux takes some 16 000 of a whole command
DIGITS = "123456789"
ANSWERS = 5  # requests of one agent in its menu
ROOMY = 40  # cells in which the end of an action is shown besides its beginning
FEW = 16  # bytes over what fits, for which a line is rather cut than marked as cut by tmux, which counts bytes
LOOKED_AT = 2000  # characters of an action


About = Literal["read", "log", "resume", "pause", "unpause", "interrupt", "kill"]  # one agent


class Page(Struct, frozen=True, kw_only=True):
    """What a popup shows instead of what waits: one thing about one pane (`who`: the agent in it, for people); the
    pipelines (the pane is where one may be started); the fleet, or a new agent for it (the pane's folder is where).
    """

    what: About | Literal["pipelines", "fleet", "spawn"]
    server: str  # socket
    pane: str  # "%7"
    who: str = ""
    kind: str = ""  # of agent: "claude"


class Choice(Struct, frozen=True, kw_only=True):
    """Where an item leads: the popup (at `request_id`), a pane, a page of it, a page by its name, or a further menu."""

    to: Literal["popup", "pane", "page", "agent", "pending", "next", "pipelines", "fleet", "spawn"]
    request_id: str = ""
    pane: str = ""
    page: Page | None = None


class Item(Struct, frozen=True, kw_only=True):
    """`who` and `text` are raw; `risk` is a word before them. Without a choice it is a line between others. No colours:
    tmux counts the bytes of their names, too.
    """

    text: str = ""
    key: str = ""
    who: str = ""
    risk: str = ""
    choice: Choice | None = None


class Menu(Struct, frozen=True, kw_only=True):
    title: str  # raw
    items: tuple[Item, ...]

    @property
    def choices(self) -> tuple[Choice, ...]:
        """By the numbers that `words` hands out."""
        return tuple(item.choice for item in self.items if item.choice)


LINE = Item()


def main(pending: Sequence[Approval], agents: Sequence[Agent], here: Agent | None) -> Menu:
    """What waits, where it waits, the pages, and every agent that has a pane on this server."""
    count = f" ({len(pending)})" if pending else ""
    items = [Item(text=f"what waits{count}", key="a", choice=Choice(to="popup"))]
    if pending:
        items.append(Item(text="what waits, as a menu", key="m", choice=Choice(to="pending")))
    items.append(Item(text="go to the next that waits", key="n", choice=Choice(to="next")))
    if here:
        text = f"this pane: {_name(here)}"
        items.append(Item(text=text, key="t", choice=Choice(to="agent", pane=here.pane or "")))
    items.append(Item(text="pipelines", key="p", choice=Choice(to="pipelines")))
    items.append(Item(text="the fleet", key="f", choice=Choice(to="fleet")))
    items.append(Item(text="spawn an agent …", key="s", choice=Choice(to="spawn")))
    rows = [_agent_item(agent, key) for agent, key in zip(agents, _digits(), strict=False)]
    return Menu(title="tmux-agent", items=(*items, *([LINE, *rows] if rows else [])))


def pending(approvals: Sequence[Approval]) -> Menu:
    """Everything that waits, the oldest first. A line cannot show a whole action: each leads to the popup at it."""
    rows = [_request_item(one, key, wording.who(one.origin)) for one, key in zip(approvals, _digits(), strict=False)]
    return Menu(title=f"{len(approvals)} waiting", items=tuple(rows))


def agent(one: Agent, approvals: Sequence[Approval], *, paused: bool = False) -> Menu:
    """What can be done about the agent of a pane; `approvals`: what it waits for; `paused`: it stands still."""
    pane = one.pane or ""
    keys = ("a", *DIGITS[1:ANSWERS])
    answers = [_request_item(approval, key, "answer") for approval, key in zip(approvals, keys, strict=False)]

    def page(what: About) -> Choice:
        return Choice(to="page", page=page_of(one, what))

    goes_on = Item(text="have it go on …", key="g", choice=page("resume"))
    stands = Item(text="let it go on …", key="z", choice=page("unpause"))
    rest = (
        Item(text="go to its pane", key="o", choice=Choice(to="pane", pane=pane)),
        Item(text="its last lines", key="p", choice=page("read")),
        Item(text="its log", key="l", choice=page("log")),
        LINE,
        *([goes_on] if one.limit and not one.limit.alone else []),
        stands if paused else Item(text="pause it …", key="z", choice=page("pause")),
        Item(text="interrupt it …", key="i", choice=page("interrupt")),
        Item(text="kill its pane …", key="x", choice=page("kill")),
        LINE,
        Item(text="spawn another …", key="s", choice=Choice(to="spawn", pane=pane)),
    )
    return Menu(title=f"{_name(one)}  {_place(one)}", items=(*answers, *([LINE] if answers else []), *rest))


def page_of(one: Agent, what: About) -> Page:
    """A page about the agent of a pane."""
    who = f"{_name(one)}  {one.place}"
    return Page(what=what, server=one.server or "", pane=one.pane or "", who=who, kind=one.kind)


def words(menu: Menu, columns: int, rows: int, command: Callable[[int], str]) -> list[str]:
    """The arguments of `display-menu` after its options, for a client of that size: tmux shows no menu that does not
    fit. `command` gives the tmux commands of the choice of that number.
    """
    room = max(8, columns - EDGES - KEY_CELLS)
    items = list(menu.items[: max(1, rows - BORDERS)])
    out: list[str] = []
    number = 0
    for item in items:
        if item.choice is None:
            out.append("")
            continue
        one = [_written(item, room), item.key, command(number)]
        if sum(len(word.encode()) for word in (*out, *one)) > WORDS_BYTES:
            break
        out += one
        number += 1
    while out and not out[-1]:
        out.pop()
    return out


def title(menu: Menu, columns: int) -> str:
    return f"#[align=centre] {display.for_tmux(menu.title, max(4, columns - EDGES - 4))} "


def _written(item: Item, room: int) -> str:
    """An item's name as tmux takes it. One that begins with "-" could not be chosen, an empty one would be a line, and
    a "#" at the end would meet the "#[" that tmux puts behind it.
    """
    wide = 9 if room >= ROOMY else len(item.risk) + 1
    risk = f"{item.risk:<{wide}}" if item.risk else ""
    name = display.for_tmux(risk + _fitted(item, room - len(risk)), room)
    if not name or name.startswith("-"):
        name = f" {name}"
    return f"{name} " if name.endswith("#") else name


def _fitted(item: Item, room: int) -> str:
    """Who and what in so many cells. What is cut there is seen whole where the line leads."""
    who, what = display.safe(item.who[:LOOKED_AT]), display.safe(item.text[:LOOKED_AT])
    whole = f"{who}  {what}" if who else what
    if len(whole) < LOOKED_AT and display.width(whole) <= room:
        return whole
    lead = f"{display.cut(who, max(8, room // 3))}  " if who else ""
    left = max(4, room - display.width(lead))
    shorten = display.middle if left >= ROOMY else display.cut
    shown = lead + shorten(what, left)
    more = len(shown.encode("utf-8", "replace")) - room
    return lead + shorten(what, left - more) if left >= ROOMY and 0 < more <= FEW else shown


def _digits() -> Sequence[str]:
    """Keys for rows; after the ninth there is none, and the row is reached with the arrows."""
    return (*DIGITS, *[""] * 90)


def _agent_item(one: Agent, key: str) -> Item:
    return Item(who=_name(one), text=_place(one), key=key, choice=Choice(to="agent", pane=one.pane or ""))


def _request_item(approval: Approval, key: str, lead: str) -> Item:
    risk = "question" if approval.kind == "question" else approval.risk.value
    what = redact.redact(wording.one_line(approval.action, approval.origin.cwd)[:LOOKED_AT])
    choice = Choice(to="popup", request_id=approval.request_id)
    return Item(who=lead, text=what, key=key, risk=risk, choice=choice)


def _place(one: Agent) -> str:
    """Where it is, and what it does."""
    state = "" if one.state is AgentState.UNKNOWN else "usage limit" if one.limit else one.state.value
    return "  ".join(filter(None, [one.place, state]))


def _name(one: Agent) -> str:
    name = one.kind or (f"“{one.name}”" if one.name else "agent")
    return wording.walled(name, one.tier == "sandbox")
