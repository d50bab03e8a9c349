"""The policy in force, and judging by it: finds and loads the layers, keeps the last good
policy.

Owns whose policy counts, and that a decision rests on the world as of one moment. Must not own the
files (policy_files.py), roots (roots.py), what a decision is (core/policy.py) or what follows from it (guard.py).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from datetime import datetime
from pathlib import Path
from typing import Any

from msgspec import Struct

from ..core import config, policy_build
from ..core.config import ConfigError
from ..core.facts import Fact, HistoryFact, Key, Pins, key_of, seal
from ..core.in_words import in_words
from ..core.model import Action, Command, Decision, Grant, Origin, Patch, Shell, Verdict
from ..core.policy import decide
from ..core.policy_build import Layer
from ..core.policy_file import PolicyFile
from ..core.proposals import GrantProposal, propose
from ..core.remembered import Name, Remembered
from ..core.rules import Asker
from ..core.situation import Policy, Situation
from . import worktree as worktrees
from .foresight import Foresight
from .moment import Moment
from .observe import Observer, follow
from .policy_files import PolicyFiles, shipped_text
from .project_policies import ProjectPolicies
from .roots import real_roots, whose_worktree
from .rule_uses import RuleUses
from .seen import Seen

_SPARE = 4000  # entries of folders that are looked through while everybody waits: 10 to 20 ms
_REMEMBERED_KEYS = 50
Left = Callable[[], tuple[str, Any]]


class Judged(Struct, frozen=True, kw_only=True):
    """A decision and the facts that it rests on: pinned (facts.pin), `still_holds` compares them later.

    `left`: folders too large to be looked through while everybody waits; the decision takes them for unknown.
    Each is to be called in another thread, and what they give is `walked` when it is judged again.
    """

    decision: Decision
    facts: Mapping[Key, Fact]
    left: tuple[Left, ...] = ()


class _Last(Struct, frozen=True):
    """How an action was decided last. The world is looked at anew each time; where it is the same, so is the answer."""

    policy: Policy
    situation: Situation
    grants: tuple[Grant, ...]
    facts: dict[Key, Fact]
    decision: Decision

    def still(self, policy: Policy, situation: Situation, grants: Sequence[Grant], facts: Mapping[Key, Fact]) -> bool:
        """Whether nothing that a decision is made of has changed. Where a rule speaks of time, nothing is reused."""
        return (
            policy is self.policy
            and not policy.timed
            and _timeless(situation) == _timeless(self.situation)
            and tuple(grants) == self.grants
            and facts == self.facts
        )


def _timeless(situation: Situation) -> tuple[object, ...]:
    asker = situation.asker
    of_asker = (asker.agent, asker.session, asker.window, asker.pane_title, asker.branch, asker.kind, asker.exhausted)
    ours = (situation.protected, situation.hidden)
    return (situation.roots, situation.worktree, situation.home, situation.asked, ours, of_asker)


class Judgement:
    """One per sidecar (or per run of `tmux-agent policy check`). Only the event loop's thread uses it.

    `folder` holds policy.yaml and policy.d; `state` the list of trusted project files; `protected` are further files
    and folders of ours that nobody may change, `hidden` files that no agent may read. `policy_file` stands in place of
    the person's policy.yaml; without `own_files` neither that nor policy.d nor any repository's file counts (both for
    the command line). `background`: what takes long is read by threads, so that a decision may come too early
    (`reading` tells). `tried`: the shipped policy's examples are taken as tried.
    """

    def __init__(
        self,
        *,
        folder: Path,
        state: Path,
        home: str,
        environ: Mapping[str, str],
        protected: Sequence[str] = (),
        hidden: Sequence[str] = (),
        policy_file: Path | None = None,
        roots: Sequence[str] = (),
        own_files: bool = True,
        background: bool = False,
        tried: bool = False,
    ) -> None:
        self._files = PolicyFiles(folder, state, policy_file, own_files=own_files, quick=tried)
        self.home = follow(home).real
        self._environ = environ
        self.roots = tuple(roots)  # instead of the policy's; may be replaced at any time
        self._own_files = own_files
        self._background = background
        self._protected = _by_every_name([str(folder), str(state), *protected, *hidden])
        self._hidden = _by_every_name(hidden)
        self._errors: tuple[ConfigError, ...] = ()
        self.loaded_at: datetime | None = None
        self._layers: tuple[Layer, ...] = ()
        self._base: Policy | None = None
        self._projects = ProjectPolicies(self._files, self.home, background=background)
        self._observers: dict[int, Observer] = {}
        self._uses = RuleUses()
        self._last: Remembered[_Last] = Remembered()
        self._foresight = Foresight()

    # --- loading ---

    def load(self) -> tuple[ConfigError, ...]:
        """Read all files anew. With any error the policy that was in force stays, and every error is returned."""
        layers, errors = self._files.read()
        ours = tuple(f"{path}/**" for path in self._hidden)  # files, too
        layers.append(Layer(file=PolicyFile(secrets=ours), label="tmux-agent", tightens=True))
        policy = None
        if not errors:
            policy, errors = policy_build.build(layers, self.home)
        self._errors = errors
        if policy is not None:
            self._layers, self._base = tuple(layers), policy
            self.loaded_at = datetime.now().astimezone()
            self._projects.clear()
            self._observers.clear()
            self._last.clear()
            self._foresight.clear()
        elif self._base is None:
            self._fall_back()
        return errors

    def _fall_back(self) -> None:
        """At a start with a broken policy: the shipped one, without its allow rules, so that everything asks."""
        shipped, _ = config.load(shipped_text(), "shipped policy.yaml", PolicyFile)
        assert shipped is not None
        layer = Layer(file=shipped, label="shipped policy.yaml", tightens=True)
        policy, errors = policy_build.build([layer], self.home, examples=False)
        if policy is None:
            raise AssertionError(f"the shipped policy has errors: {errors}")
        self._layers, self._base = (layer,), policy

    @property
    def errors(self) -> tuple[ConfigError, ...]:
        """What is wrong with the files as last read, those of repositories included."""
        return tuple(dict.fromkeys((*self._errors, *self._projects.errors())))

    @property
    def file(self) -> str:
        """Where the policy came from, as last read."""
        return self._files.source

    @property
    def policy(self) -> Policy:
        """The policy in force, without any repository's own file."""
        if self._base is None:
            self.load()
        assert self._base is not None
        return self._base

    # --- repositories' own files ---

    def _policy_at(self, worktree: str, moment: Moment) -> Policy | None:
        """None: the repository's own is being read (Moment.left)."""
        if not worktree or not self._own_files:
            return self.policy
        policy = self._projects.policy_at(worktree, self.policy, self._layers, moment)
        if policy is not None and policy is not self.policy:
            used = {id(self.policy.secrets), *(id(one.secrets) for one in self._projects.policies())}
            self._observers = {of: one for of, one in self._observers.items() if of in used}
        return policy

    def trust(self, path: Path) -> str:
        """Let this repository's policy file allow things, as it is now; gives its hash. Raises OSError.

        Only for the person's own use.
        """
        trusted = self._files.trust(path)
        self._projects.clear()
        self._foresight.clear()
        return trusted

    # --- judging ---

    def judge(
        self,
        action: Action,
        origin: Origin,
        grants: Sequence[Grant] = (),
        walked: Mapping[str, Any] | None = None,
        *,
        asked: bool = False,
    ) -> Judged:
        """Decide about `action` of `origin`, looking only as much as the event loop has time for (Judged.left).

        `asked`: a person is asked whatever is decided, so that it rests on what is in the files that it runs in any
        case, else where it is not allowed.
        """
        moment, asker = Moment(_SPARE, walked), self._asker(action, origin)
        return self._judge_now(action, origin.worktree or origin.cwd, grants, asker, moment, asked=asked)[0]

    def used(self, decision: Decision) -> None:
        """An action is let through by this decision: rules with `for` that allowed it are used once more."""
        if decision.verdict is Verdict.ALLOW:
            self._uses.count(decision, self.policy)

    def take_back(self, decision: Decision) -> None:
        """What was just `used` was not let through after all."""
        if decision.verdict is Verdict.ALLOW:
            self._uses.take_back(decision, self.policy)

    def foresee(self, action: Action, origin: Origin, grants: Sequence[Grant] = ()) -> Decision | None:
        """What `judge` would decide, for answers on which nothing of ours is run: where the kernel says that nothing
        has changed since the same was asked, only what is there is looked at. None: it takes more time."""
        folder = origin.worktree or origin.cwd
        name = _name(action, folder)
        if name is None or self._uses.any():
            judged = self.judge(action, origin, grants)
            return None if judged.left else judged.decision
        rests = (*grants, self.roots, origin.agent, origin.session, origin.place, origin.pane_title, origin.branch)
        now = self._foresight.now()
        decision = self._foresight.recall(name, rests, now)
        if decision is None:
            moment = Moment(_SPARE)
            judged, same = self._judge_now(action, folder, grants, self._asker(action, origin), moment)
            if judged.left:
                return None
            decision = judged.decision
            moment.blind = moment.blind or not same
            self._foresight.note(name, rests, decision, moment, now)
        return decision

    def _asker(self, action: Action, origin: Origin) -> Asker:
        return Asker(
            agent=origin.agent or "",
            session=origin.session,
            window=origin.place,
            pane_title=origin.pane_title,
            branch=origin.branch,
            kind=_kind(action),
            now=datetime.now().astimezone(),
            exhausted=self._uses.exhausted(self.policy),
        )

    def judge_at(
        self, action: Action, worktree: str, grants: Sequence[Grant] = (), asker: Asker | None = None
    ) -> Judged:
        """Decide about `action` for somebody whose worktree is this folder ("": none)."""
        return self._judge_now(action, worktree, grants, asker, Moment())[0]

    def _judge_now(
        self,
        action: Action,
        folder: str,
        grants: Sequence[Grant],
        asker: Asker | None,
        moment: Moment,
        *,
        asked: bool = False,
    ) -> tuple[Judged, bool]:
        """With whether all was as it had been when the same was judged last."""
        worktree = whose_worktree(folder, self.home, moment)
        policy = self._policy_at(worktree, moment)
        if policy is None:
            return Judged(decision=_UNREAD, facts={}, left=tuple(moment.left)), False
        situation = Situation(
            roots=real_roots(self.roots or policy.roots, worktree, self.home, moment),
            worktree=worktree,
            home=self.home,
            asker=asker or Asker(kind=_kind(action)),
            protected=self._protected,
            hidden=self._hidden,
            asked=asked,
        )
        observer = self._observer(policy)
        name = _name(action, worktree)
        last = self._last.get(name) if name is not None else None
        facts = observer.gather(last.facts, moment) if last is not None else {}
        if last is not None and last.still(policy, situation, grants, facts):
            return Judged(decision=last.decision, facts=facts), True
        seen = Seen(observer, moment, facts)
        decision = decide(action, seen, policy, grants, situation=situation)
        facts = dict(seen)  # nothing is looked at any more
        if not moment.left:
            self._remember(name, _Last(policy, situation, tuple(grants), facts, decision))
        return Judged(decision=decision, facts=facts, left=tuple(moment.left)), False

    def _remember(self, name: Name | None, last: _Last) -> None:
        if name is not None and len(last.facts) <= _REMEMBERED_KEYS:
            self._last.put(name, last)

    def reading(self, judged: Judged) -> Sequence[Future[None]]:
        """What has to be waited for before `judged` is judged once more; empty where it rests on all it needs."""
        if not any(isinstance(fact, HistoryFact) and fact.reading for fact in judged.facts.values()):
            return ()
        return self.walks()

    def walks(self) -> Sequence[Future[None]]:
        """All that is being read by threads."""
        return [walk for observer in self._observers.values() for walk in observer.histories.reading()]

    def still_holds(self, pins: Pins, origin: Origin) -> str | None:
        """What is no longer as it was when an action of `origin` was judged (facts.pin), in words; None where nothing
        has changed that says what is run."""
        moment = Moment()
        worktree = whose_worktree(origin.worktree or origin.cwd, self.home, moment)
        observer = self._observer(self._policy_at(worktree, moment) or self.policy)
        before = {key_of(text): sealed for text, sealed in pins.items()}
        for key, now in observer.gather(before, moment).items():
            if seal(now) != before[key]:
                return f"{_about(key)} is not what it was when it was judged"
        return None

    def proposals(self, action: Action, judged: Judged) -> tuple[GrantProposal, ...]:
        """What a person may allow ahead, for the popup."""
        return propose(action, judged.decision, judged.facts)

    def in_words(self) -> list[dict[str, Any]]:
        """The rules in force, in words and as data (command.allowed)."""
        return in_words(self.policy)

    def _observer(self, policy: Policy) -> Observer:
        known = self._observers.get(id(policy.secrets))
        if known is None:
            known = Observer(
                policy.secrets, self.home, self._environ.get("PATH", os.defpath), background=self._background
            )
            self._observers[id(policy.secrets)] = known
        return known


def _name(action: Action, worktree: str) -> Name | None:
    """All of an action that a decision may depend on; None for one that is judged from the start each time."""
    if isinstance(action, Shell) and not action.env:
        into = "session" if action.session else "pane" if action.pane else ""
        changed = f"{action.changed_at} {action.changed}"
        return ("shell", worktree, action.cwd, action.dialect, into, action.text, changed)
    if isinstance(action, Command) and not action.env and action.stdin is None:
        return ("command", worktree, action.cwd, *action.argv)
    return None


def worktree_of(folder: str) -> str:
    """The top level of the repository around `folder`, else the folder itself: what {worktree} means to
    `policy check`."""
    return worktrees.locate(folder)[0] or folder


def _by_every_name(given: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*(follow(path).real for path in given), *given]))


_UNREAD = Decision(verdict=Verdict.ASK, rule="unmatched", reason="the repository's own policy has to be read first")


def _kind(action: Action) -> str:
    if isinstance(action, Patch):
        return "file"  # for rules: it is file actions, each judged as such
    return str(action.__struct_config__.tag)


def _about(key: Key) -> str:
    return str(getattr(key, "path", "") or getattr(key, "name", "") or getattr(key, "folder", ""))
