"""What the popup's keys do to requests: approve, deny, edit, allow again, choose, jump, peek.

Owns: which dialog a key opens, and that each answer carries the digest that was on the screen. Must not own: keys,
drawing, whether an answer is allowed (the Desk decides).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from tmux_agent.core import display
from tmux_agent.core.errors import TmuxAgentError
from tmux_agent.core.model import Action, Approval, Decision, digest
from tmux_agent.core.model import Ask as Question
from tmux_agent.edges.ui import edit as editing
from tmux_agent.edges.ui import words
from tmux_agent.edges.ui.board import Row
from tmux_agent.edges.ui.desk import GrantProposal
from tmux_agent.edges.ui.detail import Detail
from tmux_agent.edges.ui.dialogs import Ask, Edit, Grant, Judged, Text, help_lines
from tmux_agent.edges.ui.text import Line, literal

if TYPE_CHECKING:
    from tmux_agent.edges.ui.popup import Popup

Target = tuple[Row, str]  # a row and the digest that was painted

PEEK_LINES = 200


def _name(approval: Approval) -> str:
    return display.middle(display.safe(words.one_line(approval.action)[: words.SUMMARY_LIMIT]), 48)


def _heading(verb: str, targets: list[Target]) -> Line:
    what = _name(targets[0][0].approval) if len(targets) == 1 else f"{len(targets)} requests"
    return [("class:title", verb), ("", f"  {what}")]


def _targets(popup: Popup) -> list[Target]:
    """What is answered now; says why where that is nothing."""
    board = popup.board
    targets = [(row, painted) for row, painted in board.targets() if row.id not in board.sending]
    if targets:
        return targets
    row = board.current()
    if board.marks:
        popup.say("no marked request is on the screen as it was marked", "class:medium")
    elif row and row.ended:
        popup.say(f"nothing to answer: {row.ended}", "class:medium")
    return []


def _selected(popup: Popup) -> Target | None:
    """The selected request, for what is done to one alone."""
    row = popup.board.current()
    if row is None or row.ended or row.id in popup.board.sending:
        popup.say(f"nothing to answer: {row.ended}" if row and row.ended else "", "class:medium")
        return None
    return row, popup.board.digest()


async def _answer(popup: Popup, targets: list[Target], approved: bool, done: str, **more: Any) -> None:
    """Sends one answer per target, each with its own painted digest. What was refused stays in the list."""
    board = popup.board
    board.sending |= {row.id for row, _ in targets}
    refused = ""
    count = 0
    for row, painted in targets:
        try:
            await popup.desk.answer(row.id, painted, approved, **more)
        except TmuxAgentError as error:
            refused = error.message
        else:
            count += 1
            board.answered(row.id)
        finally:
            board.sending.discard(row.id)
    popup.top = (0, 0)
    name = _name(targets[0][0].approval) if len(targets) == 1 else f"{count} requests"
    if refused:
        popup.say(f"not answered: {refused}" if not count else f"{done} {count}; one was not: {refused}", "class:warn")
    else:
        popup.say(f"{done}  {name}", "class:good" if approved else "class:bad")


def _send(popup: Popup, targets: list[Target], approved: bool, done: str, **more: Any) -> None:
    popup.leave()
    popup.spawn(_answer(popup, targets, approved, done, **more))


def _approve(popup: Popup, targets: list[Target], done: str, **more: Any) -> None:
    """Approves, after the proof that the rule demands."""
    row = targets[0][0]
    if not row.approval.step_up:
        _send(popup, targets, True, done, **more)
        return

    async def prove(secret: str) -> None:
        await popup.desk.step_up(row.approval, secret)
        await _answer(popup, targets, True, done, **more)

    def take(secret: str) -> None:
        popup.leave()
        popup.spawn(prove(secret))

    text = f"The rule {row.approval.rule} wants a proof that you are here: {' or '.join(row.approval.step_up)}"
    popup.open(Ask(_heading("approve", targets), text, "prove and approve", take, secret=True))


def approve(popup: Popup) -> None:
    targets = _targets(popup)
    if len(targets) > 1:
        alone = [row for row, _ in targets if row.approval.step_up or _options(row.approval)]
        if alone:
            popup.say(f"{len(alone)} of the marked need an answer of their own: unmark them with space", "class:medium")
            return
    if not targets:
        return
    options = _options(targets[0][0].approval)
    if len(targets) == 1 and options:
        if len(options) <= 9:
            popup.say(f"choose with 1-{len(options)}, or d to refuse", "class:medium")
        else:
            _ask_number(popup, targets[0])
        return
    _approve(popup, targets, "approved")


def _options(approval: Approval) -> tuple[str, ...]:
    return approval.action.options if isinstance(approval.action, Question) else ()


def _ask_number(popup: Popup, target: Target) -> None:
    options = _options(target[0].approval)

    def take(text: str) -> None:
        if text.isascii() and text.isdigit() and 1 <= int(text) <= len(options):
            _approve(popup, [target], "answered", choice=options[int(text) - 1])
        else:
            popup.say(f"a number from 1 to {len(options)}", "class:warn")

    popup.open(Ask(_heading("answer", [target]), f"The number of the option, 1 to {len(options)}", "answer", take))


def choose(popup: Popup, number: int) -> None:
    target = _selected(popup)
    if target is None:
        return
    options = _options(target[0].approval)
    if len(options) > 9:
        _ask_number(popup, target)
    elif 1 <= number <= len(options):
        _approve(popup, [target], "answered", choice=options[number - 1])


def deny(popup: Popup) -> None:
    targets = _targets(popup)
    if not targets:
        return

    def take(reason: str) -> None:
        _send(popup, targets, False, "denied", comment=reason)

    text = "The reason goes to the agent; it may be empty."
    popup.open(Ask(_heading("deny", targets), text, "deny", take))


def mark(popup: Popup) -> None:
    popup.board.toggle_mark()


# --- edit, then approve ---


def edit(popup: Popup) -> None:
    target = _selected(popup)
    if target is None:
        return
    approval = target[0].approval
    if isinstance(approval.action, Question):
        _answer_in_words(popup, target)
        return
    text = editing.editable(approval.action)
    if text is None:
        popup.say("nothing to edit here (or too long to edit in a popup)", "class:medium")
        return
    _open_editor(popup, target, popup.drafts.get(approval.request_id, text))


def _answer_in_words(popup: Popup, target: Target) -> None:
    if _options(target[0].approval):
        popup.say("choose one of the options with its number, or d to refuse with a reason", "class:medium")
        return

    def take(text: str) -> None:
        if text:
            _approve(popup, [target], "answered", comment=text)

    popup.open(Ask(_heading("answer", [target]), "Your words go to the agent, as a yes.", "send", take))


def _open_editor(popup: Popup, target: Target, text: str) -> None:
    approval = target[0].approval

    def take(changed: str) -> None:
        popup.drafts[approval.request_id] = changed
        try:
            action = editing.edited(approval.action, changed)
        except ValueError as error:
            dialog.problem = str(error)
            return
        popup.spawn(_judge(popup, target, action, changed))

    what = f"Change {editing.edits(approval.action)}. It is judged and shown before anything is approved."
    dialog = Edit(_heading("edit", [target]), text, what, take, "look at it")
    popup.open(dialog)


async def _judge(popup: Popup, target: Target, action: Action, text: str) -> None:
    """Shows the edited action as the policy sees it; only from there it can be approved."""
    approval = target[0].approval
    opened_from = popup.dialog
    decision = await popup.desk.check(approval, action)
    if popup.dialog is not opened_from:
        return  # left meanwhile
    looked_at = _as_judged(approval, action, decision)
    detail = Detail(looked_at, popup.canvas.inner, popup.lines, None)

    def again() -> None:
        _open_editor(popup, target, text)

    def yes() -> None:
        popup.drafts.pop(approval.request_id, None)
        if action == approval.action:
            _approve(popup, [target], "approved")
        else:
            _approve(popup, [target], "approved as edited", edited=action)

    popup.open(Judged(_heading("edited", [target]), detail, decision, popup.clock, yes, again))


def _as_judged(approval: Approval, action: Action, decision: Decision) -> Approval:
    return msgspec.structs.replace(
        approval,
        action=action,
        digest=digest(action),
        preview=approval.preview if action == approval.action else "",
        parts=decision.parts,
        risk=decision.risk,
        rule=decision.rule,
        reason=decision.reason,
        where=decision.where,
    )


def back(popup: Popup) -> None:
    """Esc in a dialog: keeps what was typed into an editor."""
    row = popup.board.current()
    if isinstance(popup.dialog, Edit) and popup.dialog.editor and row and popup.dialog.draft:
        popup.drafts[row.id] = popup.dialog.editor.text
    popup.leave()


# --- allow again ---


def allow_again(popup: Popup) -> None:
    target = _selected(popup)
    if target is None:
        return
    if target[0].approval.kind == "question":
        popup.say("a question is answered once", "class:medium")
        return
    popup.spawn(_propose(popup, target))


async def _propose(popup: Popup, target: Target) -> None:
    proposals = await popup.desk.grant_proposals(target[0].approval)
    if popup.dialog is not None or popup.board.current() is not target[0]:
        return  # the person went on meanwhile
    if not proposals:
        popup.say("this is not offered for allowing again; a rule in policy.yaml can", "class:medium")
        return
    _open_grants(popup, target, proposals, 0)


def _open_grants(popup: Popup, target: Target, proposals: list[GrantProposal], chosen: int) -> None:
    origin = target[0].approval.origin

    def save(proposal: GrantProposal) -> None:
        _approve(popup, [target], f"approved, and allowed again ({display.safe(proposal.limit)})", grant=proposal)

    def change(at: int, proposal: GrantProposal) -> None:
        if not proposal.rule_text:
            popup.say("this exact action has no rule to edit", "class:medium")
        else:
            _edit_rule(popup, target, proposals, at)

    where = f"{words.who(origin)} in {words.tilde(origin.worktree or origin.cwd)}"
    heading: Line = [("class:title", "allow again"), ("", "   "), *literal(where)]
    dialog = Grant(heading, proposals, popup.lines, save, change)
    dialog.chosen = chosen
    popup.open(dialog)


def _edit_rule(popup: Popup, target: Target, proposals: list[GrantProposal], at: int) -> None:
    def take(text: str) -> None:
        popup.spawn(revise(text))

    async def revise(text: str) -> None:
        try:
            proposal = await popup.desk.revise(target[0].approval, proposals[at], text)
        except TmuxAgentError as error:
            dialog.problem = error.message
            return
        if popup.dialog is dialog:
            _open_grants(popup, target, [*proposals[:at], proposal, *proposals[at + 1 :]], at)

    heading: Line = [("class:title", "allow again"), ("", "   the rule")]
    what = "Change the rule. What it would match is shown before it is saved."
    dialog = Edit(heading, proposals[at].rule_text, what, take, "look at it")
    dialog.draft = False
    popup.open(dialog)


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
        heading: Line = [("class:title", "pane"), ("", f"  {where}, its last lines")]
        if popup.dialog is None:
            popup.open(Text(heading, content or [[("class:faint", "The pane is empty.")]], at_end=True))

    popup.spawn(look())


def show_help(popup: Popup) -> None:
    popup.open(Text([("class:title", "keys")], help_lines()))
