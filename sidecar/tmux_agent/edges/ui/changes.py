"""Keys that change what is asked before it is answered: edit then approve, and allow again.

Owns: the dialogs' order, and that what is approved is what was shown as judged. Must not own: judging, saving rules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tmux_agent.core import display
from tmux_agent.core.errors import TmuxAgentError
from tmux_agent.core.model import Action, Approval, Decision, digest
from tmux_agent.core.model import Ask as Question
from tmux_agent.core.screen_question import DOOR
from tmux_agent.edges.ui import edit as editing
from tmux_agent.edges.ui import words
from tmux_agent.edges.ui.actions import heading, options_of, selected, send_yes
from tmux_agent.edges.ui.board import Request, Target
from tmux_agent.edges.ui.desk import GrantProposal
from tmux_agent.edges.ui.detail import Detail
from tmux_agent.edges.ui.dialogs import Ask, Edit, Grant, Judged
from tmux_agent.edges.ui.text import Line, literal

if TYPE_CHECKING:
    from tmux_agent.edges.ui.popup import Popup


# --- edit, then approve ---


def edit(popup: Popup) -> None:
    target = selected(popup)
    if target is None:
        return
    approval = target[0].approval
    if approval.origin.door == DOOR:
        popup.say("no text goes to an agent that is in a dialog: answer it, or o to go there", "class:medium")
        return
    if isinstance(approval.action, Question):
        _answer_in_words(popup, target)
        return
    text = editing.editable(approval.action)
    if text is None:
        popup.say("nothing to edit here (or too long to edit in a popup)", "class:medium")
        return
    _open_editor(popup, target, popup.drafts.get(approval.request_id, text))


def _answer_in_words(popup: Popup, target: Target) -> None:
    if options_of(target[0].approval):
        popup.say("choose one of the options with its number, or d to refuse with a reason", "class:medium")
        return

    def take(text: str) -> None:
        if text:
            send_yes(popup, [target], "answered", comment=text)

    popup.open(Ask(heading("answer", [target]), "Your words go to the agent, as a yes.", "send", take))


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
    dialog = Edit(heading("edit", [target]), text, what, take, "look at it")
    popup.open(dialog)


async def _judge(popup: Popup, target: Target, action: Action, text: str) -> None:
    """Shows the edited action as the policy sees it; only from there it can be approved."""
    approval = target[0].approval
    opened_from = popup.dialog
    decision = await popup.desk.check(approval, action)
    if popup.dialog is not opened_from:
        return  # left meanwhile
    looked_at = _as_judged(approval, action, decision)
    shown: Target = (Request(looked_at), target[1])  # the answer is for the digest that the person saw in the list

    def lay_out(width: int) -> Detail:
        return Detail(looked_at, width, popup.lines, None)

    def again() -> None:
        _open_editor(popup, target, text)

    def yes() -> None:
        popup.drafts.pop(approval.request_id, None)
        if action == approval.action:
            send_yes(popup, [target], "approved")
        else:
            send_yes(popup, [shown], "approved as edited", edited=action)

    popup.open(Judged(heading("edited", [target]), lay_out, decision, popup.clock, yes, again))


def _as_judged(approval: Approval, action: Action, decision: Decision) -> Approval:
    return msgspec.structs.replace(
        approval,
        action=action,
        digest=digest(action),
        preview=approval.preview if action == approval.action else "",
        parts=decision.parts,
        risk=decision.risk,
        rule=decision.rule,
        step_up=approval.step_up or decision.step_up,
        reason="",  # stands above, with the verdict
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
    target = selected(popup)
    if target is None:
        return
    if target[0].approval.kind == "question":
        popup.say("a question is answered once", "class:medium")
        return
    popup.spawn(_propose(popup, target))


async def _propose(popup: Popup, target: Target) -> None:
    proposals = await popup.desk.grant_proposals(target[0].approval)
    if popup.dialog is not None or popup.board.selected != target[0].id:
        return  # the person went on meanwhile
    if not proposals:
        popup.say("this is not offered for allowing again; a rule in policy.yaml can", "class:medium")
        return
    _open_grants(popup, target, proposals, 0)


def _open_grants(popup: Popup, target: Target, proposals: list[GrantProposal], chosen: int) -> None:
    origin = target[0].approval.origin

    def save(proposal: GrantProposal) -> None:
        send_yes(popup, [target], f"approved, and allowed again ({display.safe(proposal.limit)})", grant=proposal)

    def change(at: int, proposal: GrantProposal) -> None:
        if not proposal.rule_text:
            popup.say("this exact action has no rule to edit", "class:medium")
        else:
            _edit_rule(popup, target, proposals, at)

    where = f"{words.who(origin)} in {words.tilde(origin.worktree or origin.cwd)}"
    title: Line = [("class:title", "allow again"), ("", "   "), *literal(where)]
    dialog = Grant(title, proposals, popup.lines, save, change)
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

    title: Line = [("class:title", "allow again"), ("", "   the rule")]
    what = "Change the rule. What it would match is shown before it is saved."
    dialog = Edit(title, proposals[at].rule_text, what, take, "look at it")
    dialog.draft = False
    popup.open(dialog)
