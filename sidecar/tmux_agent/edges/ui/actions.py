"""What the popup's keys do to requests: approve, deny, choose, mark, jump, peek.

Owns: which dialog a key opens, and that each answer carries the digest that was on the screen. Must not own: keys,
drawing, whether an answer is allowed (the Desk decides).
"""

from __future__ import annotations

import asyncio
import shlex
from typing import TYPE_CHECKING, Any

from tmux_agent.core import display
from tmux_agent.core.errors import TmuxAgentError
from tmux_agent.core.model import Approval
from tmux_agent.core.model import Ask as Question
from tmux_agent.core.screen_question import DOOR
from tmux_agent.edges.ui import words
from tmux_agent.edges.ui.board import Target
from tmux_agent.edges.ui.detail import FOLDED
from tmux_agent.edges.ui.dialogs import Ask, Text, help_lines
from tmux_agent.edges.ui.text import Line, literal

if TYPE_CHECKING:
    from tmux_agent.edges.ui.popup import Popup

PEEK_LINES = 200


def _name(approval: Approval) -> str:
    return display.middle(display.safe(words.one_line(approval.action)[: words.SUMMARY_LIMIT]), 48)


def heading(verb: str, targets: list[Target]) -> Line:
    """A dialog's heading: what it does to what."""
    what = _name(targets[0][0].approval) if len(targets) == 1 else f"{len(targets)} requests"
    return [("class:title", verb), ("", f"  {what}")]


def _unsent(popup: Popup, targets: list[Target]) -> list[Target]:
    """What is answered now; says why where that is nothing."""
    board = popup.board
    targets = [(request, painted) for request, painted in targets if request.id not in board.sending]
    if targets:
        return targets
    row = board.current()
    if board.marks:
        popup.say("no marked request is on the screen as it was marked", "class:medium")
    elif row and row.ended:
        popup.say(f"nothing to answer: {row.ended}", "class:medium")
    elif row and row.several:
        board.looked()
        popup.say("none of them was shown whole yet: PgDn scrolls, Enter gives them all the room", "class:medium")
    return []


def selected(popup: Popup) -> Target | None:
    """The selected request, for what is done to one alone."""
    row = popup.board.current()
    if row is None or row.ended or row.id in popup.board.sending:
        popup.say(f"nothing to answer: {row.ended}" if row and row.ended else "", "class:medium")
        return None
    if row.several:
        popup.say(f"that is for one request: x shows these {len(row.requests)} one by one", "class:medium")
        return None
    return row.requests[0], popup.board.digest()


async def _answer(popup: Popup, targets: list[Target], approved: bool, done: str, **more: Any) -> None:
    """Sends one answer per target, each with its own painted digest, oldest first and all at once: they are recorded
    together. What was refused stays in the list."""
    board, row = popup.board, popup.board.current()
    board.sending |= {request.id for request, _ in targets}

    async def send(target: Target) -> str:
        request, painted = target
        try:
            await popup.desk.answer(request.id, painted, approved, **more)
        except TmuxAgentError as error:
            return error.message
        finally:
            board.sending.discard(request.id)
        board.answered(request.id)
        return ""

    refused = [why for why in await asyncio.gather(*map(send, targets)) if why]
    if popup.board.current() is not row:
        popup.top = FOLDED
    count = len(targets) - len(refused)
    name = _name(targets[0][0].approval) if len(targets) == 1 else f"{count} requests"
    left = f"; {len(refused)} not, the first: {refused[0]}" if refused else ""
    if not count:
        popup.say(f"not answered: {refused[0]}", "class:warn")
    elif refused:
        popup.say(f"{done}  {name}{left}", "class:warn")
    else:
        popup.say(f"{done}  {name}", "class:good" if approved else "class:bad")


def _send(popup: Popup, targets: list[Target], approved: bool, done: str, **more: Any) -> None:
    popup.leave()
    popup.spawn(_answer(popup, targets, approved, done, **more))


def send_yes(popup: Popup, targets: list[Target], done: str, **more: Any) -> None:
    """Approves, after the proof that the rule demands."""
    row = targets[0][0]
    if not row.approval.step_up:
        _send(popup, targets, True, done, **more)
        return

    def take(secret: str) -> None:
        popup.say("the proof is looked at …", "class:medium")
        _send(popup, targets, True, done, secret=secret, **more)

    proof = shlex.join(row.approval.step_up)
    text = f"The rule {row.approval.rule} wants a proof that you are here. What you type goes to: {proof}"
    popup.open(Ask(heading("approve", targets), text, "prove and approve", take, secret=True))


def approve(popup: Popup) -> None:
    targets = _unsent(popup, popup.board.targets())
    if not targets:
        return
    if len(targets) > 1 and (why := _unlike(targets)):
        popup.say(why, "class:medium")
        return
    options = options_of(targets[0][0].approval)
    if len(targets) == 1 and options:
        if len(options) <= 9:
            popup.say(f"choose with 1-{len(options)}, or d to refuse", "class:medium")
        else:
            _ask_number(popup, targets[0])
        return
    send_yes(popup, targets, "approved")


def _unlike(targets: list[Target]) -> str:
    """Why these may not be approved with one key; empty where they may: their actions have one shape."""
    shapes = {request.shape for request, _ in targets}
    if None in shapes:
        alone = sum(request.shape is None for request, _ in targets)
        return f"{alone} of the marked need an answer of their own: unmark them with space"
    if len(shapes) > 1:
        return f"only alike requests are approved together, and {len(shapes)} kinds are marked (d denies them all)"
    return ""


def options_of(approval: Approval) -> tuple[str, ...]:
    """The choices of a question; empty for everything else."""
    return approval.action.options if isinstance(approval.action, Question) else ()


def _ask_number(popup: Popup, target: Target) -> None:
    options = options_of(target[0].approval)

    def take(text: str) -> None:
        if text.isascii() and text.isdigit() and 1 <= int(text) <= len(options):
            send_yes(popup, [target], "answered", choice=options[int(text) - 1])
        else:
            popup.say(f"a number from 1 to {len(options)}", "class:warn")

    popup.open(Ask(heading("answer", [target]), f"The number of the option, 1 to {len(options)}", "answer", take))


def choose(popup: Popup, number: int) -> None:
    target = selected(popup)
    if target is None:
        return
    options = options_of(target[0].approval)
    if len(options) > 9:
        _ask_number(popup, target)
    elif 1 <= number <= len(options):
        send_yes(popup, [target], "answered", choice=options[number - 1])


def deny(popup: Popup) -> None:
    targets = _unsent(popup, popup.board.refusable())
    if not targets:
        return

    def take(reason: str) -> None:
        _send(popup, targets, False, "denied", comment=reason)

    text = "The reason goes to the agent; it may be empty."
    if len(targets) > 1:
        text = f"The reason goes to the agent for each of the {len(targets)}; it may be empty."
    if any(request.approval.origin.door == DOOR for request, _ in targets):
        text = "Nothing is typed to an agent that is in a dialog: the reason is kept in the log alone."
    popup.open(Ask(heading("deny", targets), text, "deny", take))


def mark(popup: Popup) -> None:
    popup.board.toggle_mark()


def regroup(popup: Popup) -> None:
    if popup.board.rows and not popup.board.regroup():
        popup.say("nothing else that waits is like this", "class:medium")
    popup.top = FOLDED


# --- looking elsewhere ---


def jump(popup: Popup) -> None:
    row = popup.board.current()
    if row is None:
        return

    async def go() -> None:
        await popup.desk.jump(row.approval)
        popup.close()

    popup.spawn(go())


def peek(popup: Popup) -> None:
    row = popup.board.current()
    if row is None:
        return

    async def look() -> None:
        said = await popup.desk.peek(row.approval, PEEK_LINES)
        content = [literal(line[:2000]) for line in said]
        while content and not content[-1]:
            content.pop()
        where = display.safe(row.approval.origin.place or row.approval.origin.pane or "")
        title: Line = [("class:title", "pane"), ("", f"  {where}, its last lines")]
        if popup.dialog is None:
            popup.open(Text(title, content or [[("class:faint", "The pane is empty.")]], at_end=True))

    popup.spawn(look())


def show_help(popup: Popup) -> None:
    popup.open(Text([("class:title", "keys")], help_lines()))
