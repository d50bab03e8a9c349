"""An action taken apart: every run of a program and every touch of a file in it, with all that applies to each.

Owns the walk: shell text to parts, words to arguments (globs become what they match), wrappers to what is inside them,
redirections to touches. Must not own what rules say (matching.py, judging_files.py), guardrails, nor the verdict
(policy.py). One instance is one decision.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from . import guardrails, paths, run_files, shell
from .argv import find, sources, wrappers
from .argv.options import Arg, Fed
from .calls import Invocation, call_of
from .facts import HashKey, Lookup
from .feeds import feed_of, names_in
from .folders import Folders, folders_of
from .guardrails import Protected
from .judging_files import FileJudging
from .judging_other import in_changed, other, typed_into
from .matching import Matching
from .model import Action, Command, File, Match, Patch, Risk, Shell, Tmux, Verdict
from .reach import Reach
from .rules import Rule
from .rules_command import program_miss
from .shell_names import is_local
from .shell_parts import Given, Opaque, Part, Redirect, Run, Simple, Word
from .situation import Finding, Policy, Situation, strictest
from .words import arguments, has_showy_comment

_DEPTH = 8
_SETTING = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
_LOOPS = 4  # over patterns, one within another
_OUTPUTS = frozenset((">", ">>", ">|", "&>", "&>>", "<>"))


class Judging:
    """Built for one decision; `granted` are rules of grants, which count as further allow rules."""

    def __init__(self, policy: Policy, situation: Situation, look: Lookup, granted: Sequence[Rule] = ()) -> None:
        self._policy = policy
        self._situation = situation
        self._look = look
        self._reach = Reach(look, situation.roots, policy.secrets, situation.home)
        self._names = names_in(self._reach)
        self._protected = Protected(situation.protected, situation.home, situation.hidden)
        self._rules = Matching(policy, situation, look, self._reach, granted)
        self._files = FileJudging(self._rules, situation, look, self._reach, self._protected)
        self._depth = 0
        self._runs: list[Iterator[run_files.Source]] = []  # of each run, what it takes its orders from
        self._rests_on: dict[run_files.Source, None] = {}

    # --- actions ---

    def action(self, action: Action) -> list[Finding]:
        """One finding per part; at least one, each with at least one match."""
        if isinstance(action, Shell):
            findings = self._text(action.text, (action.cwd or None,), action.dialect)
            around = typed_into(self._rules, action)
            if action.changed:
                findings = [in_changed(finding, action.changed) for finding in findings]
            if set_ := self._environment(action.env.items()):
                around.append(Finding("environment", tuple(set_)))
            self._rest_on(0, [match for finding in around for match in finding.matches])  # they are about all of it
            return [*findings, *around]
        if isinstance(action, Command):
            return [self._program(action)]
        if isinstance(action, File):
            return self._files.action(action)
        if isinstance(action, Patch):
            findings = [finding for change in action.changes for finding in self._files.action(change)]
            return findings or [Finding("patch", (self._rules.unmatched("changes no file that is known"),))]
        findings = other(self._rules, action)
        if isinstance(action, Tmux) and action.argv:
            inner = self._run(action.argv, action.cwd or self._situation.worktree or None, in_shell=False)
            self._rest_on(0, [match for finding in findings for match in finding.matches] + inner)
            findings.append(Finding(" ".join(action.argv), tuple(inner)))
        return findings

    def _program(self, action: Command) -> Finding:
        matches = self._environment(action.env.items())
        matches += self._run(action.argv, action.cwd or None, in_shell=False, body=action.stdin is not None)
        self._rest_on(0, matches)
        return self._finding(" ".join(action.argv), matches, action.argv, action.cwd or "/")

    # --- shell text ---

    def _text(self, text: str, start: Sequence[str | None], dialect: str, given: Given = ()) -> list[Finding]:
        parts = self._parts(text, start, dialect, given)
        if not parts:
            return [Finding(text, (self._nothing(),))]
        if has_showy_comment(parts, text):
            unknown = self._rules.unmatched("a comment that looks like a command", Risk.MEDIUM)
            return [Finding(text, (unknown, *self._rules.general()))]
        places = folders_of(parts, text, start, self._situation.home, self._look)
        return [self._part(parts, index, places) for index in range(len(parts))]

    def _parts(self, text: str, start: Sequence[str | None], dialect: str, given: Given) -> Sequence[Part]:
        """The parts of a text. Patterns that for loops go through become names here: only the world knows those."""
        parts = shell.parse(text, dialect, given)
        turns: dict[tuple[int, tuple[str, ...]], tuple[str, ...]] = {}
        for _ in range(_LOOPS):
            known = len(turns)
            places: Sequence[Folders] = ()
            for index, part in enumerate(parts):
                if isinstance(part, Opaque) and part.turns:
                    places = places or folders_of(parts, text, start, self._situation.home, self._look)
                    words = (Word(":", ":"), *part.turns)
                    args, doubts = arguments(words, places[index][0], self._reach, self._names)
                    if len(places[index]) == 1 and not doubts:
                        key = (part.start, tuple(word.text for word in part.turns))
                        turns[key] = tuple(arg for arg in args[1:] if isinstance(arg, str))
            if len(turns) == known:
                break
            parts = shell.parse(text, dialect, given, turns)
        return parts

    def _nothing(self) -> Match:
        return Match(
            rule="nothing to do", verdict=Verdict.ALLOW, reason="nothing but blanks or comments", where="guardrail"
        )

    def _part(self, parts: Sequence[Part], index: int, places: Sequence[Folders]) -> Finding:
        part = parts[index]
        if isinstance(part, Opaque):
            unknown = self._rules.unmatched(f"cannot be read before it runs: {part.why}", Risk.MEDIUM)
            unread = guardrails.unread(part.source, whole=part.why != shell.TOO_LONG)
            return Finding(part.source, (unknown, *unread, *self._rules.general()))
        matches: list[Match] = []
        before = len(self._runs)
        for folder in places[index]:
            matches += self._simple(parts, index, folder, places)
        self._rest_on(before, matches)
        plain = [word.text for word in part.words if word.kind == "literal"]
        argv = plain if len(plain) == len(part.words) else ()
        return self._finding(part.source, matches, argv, places[index][0] or "/")

    def _finding(self, source: str, matches: list[Match], argv: Sequence[str], folder: str) -> Finding:
        if not matches:
            matches = [self._rules.unmatched("does nothing that is known")]
        asked = strictest(matches).verdict is not Verdict.ALLOW
        return Finding(source, tuple(matches), self._rules.says(argv, folder) if asked and argv and argv[0] else "")

    def _simple(self, parts: Sequence[Part], index: int, folder: str | None, places: Sequence[Folders]) -> list[Match]:
        part = parts[index]
        assert isinstance(part, Simple)
        matches: list[Match] = []
        for assignment in part.assignments:
            value, alone = assignment.value, not part.words
            if value.kind == "varying" and not assignment.append and alone and is_local(assignment.name):
                matches.append(Match(rule="variables of the text", verdict=Verdict.ALLOW, where="environment"))
            elif assignment.name == "IFS" and value.kind == "literal" and _reads_lines(part):
                continue  # for this one `read` alone
            elif assignment.name == "IFS" and alone and (value.kind, value.text) == ("literal", "\n"):
                # Lines stay whole: what falls apart at blanks, too, has been judged in pieces and as it is.
                matches.append(Match(rule="variables of the text", verdict=Verdict.ALLOW, where="environment"))
            elif value.kind != "literal" or value.tilde or assignment.append:
                matches.append(
                    self._rules.unmatched(f"sets {assignment.name} to something that only running will tell")
                )
            else:
                matches += self._environment([(assignment.name, value.text)], alone=alone)
        for redirect in part.redirects:
            matches += self._redirect(redirect, folder)
        for run in shell.runs_of(part):
            matches += self._substituted(run, folder)
        if part.words:
            args, doubts = arguments(part.words, folder, self._reach, self._names)
            for why, source in doubts:
                matches += [self._rules.unmatched(why), *guardrails.unread(source)]
            feed = feed_of(parts, index, places, self._reach)
            piped = part.piped_from is not None or part.joined in ("|", "|&")
            body = any(redirect.op in ("<", "<<", "<<-", "<<<") for redirect in part.redirects)
            matches += self._run(args, folder, piped=piped, body=body, feed=feed)
            self._runs.append(run_files.given(parts, index, places))
            if not _makes_sense(parts, index):
                matches.append(self._rules.unmatched(f"{part.words[0].text} without what belongs to it"))
        elif part.assignments:
            matches += self._rules.general()
        elif not matches:
            matches.append(Match(rule="redirections", verdict=Verdict.ALLOW, where="environment"))
        return matches

    def _substituted(self, run: Run, folder: str | None) -> list[Match]:
        """What runs in a shell of its own before the command that gets what it prints."""
        if self._depth > _DEPTH:
            return [self._rules.unmatched("substitutions nested too deeply", Risk.MEDIUM)]
        self._depth += 1
        findings = self._text(run.text, (folder,), "bash", run.given)
        self._depth -= 1
        return [match for finding in findings for match in finding.matches]

    # --- redirections, environment ---

    def _redirect(self, redirect: Redirect, folder: str | None) -> list[Match]:
        word = redirect.target
        if redirect.body is not None or redirect.op in ("<<", "<<-", "<<<"):
            if word is not None and word.kind == "opaque":
                return [self._rules.unmatched("its input is known only when it runs"), *guardrails.unread(word.source)]
            return []
        if word is None or (redirect.op in (">&", "<&") and (word.text.rstrip("-").isdigit() or word.text == "-")):
            return []
        writes = redirect.op in _OUTPUTS or redirect.op == ">&"
        if word.hole is not None and redirect.op == "<" and folder is not None:
            names = self._names(word.hole, folder)
            if word.around != ((f"{names.within}/", "") if names.within else ("", "")):
                names = sources.UNKNOWN
            names = msgspec.structs.replace(names, within="")
            miss = self._reach.fed(msgspec.structs.replace(names, split=True, globbed=word.splits or names.globbed))
            return [self._rules.asked_about(miss)] if miss is not None else []
        if word.kind != "literal" or (word.tilde and word.text[1:2] not in ("", "/")):
            return [
                self._rules.unmatched(f"{redirect.op}{word.source} is known only when it runs"),
                *guardrails.unread(word.source),
            ]
        path = self._situation.home + word.text[1:] if word.tilde else word.text
        if paths.is_network_device(path):
            return [guardrails.network_redirect()]
        if path in (paths.WRITABLE_DEVICES if writes else paths.READABLE_DEVICES):
            return []
        if folder is None and not path.startswith("/"):
            return [self._rules.unmatched(f"{redirect.op}{path}: the folder is not known")]
        if writes:
            return self._files.alone(self._files.touch("write", path, folder or "/"))
        miss = self._reach.content(path, folder or "/")
        guarded = guardrails.touch(self._files.touch("read", path, folder or "/"), self._protected)
        return [*guarded, *([self._rules.asked_about(miss)] if miss is not None else [])]

    def _environment(
        self, pairs: Iterable[tuple[str, str]], *, alone: bool = False, exported: bool = False
    ) -> list[Match]:
        """Variables that a command sets: only those that the policy lists, with values that fit. `alone`: no command
        follows on them; `exported`: for all that follow."""
        matches = []
        for name, value in pairs:
            fits = self._policy.environment.get(name)
            if alone and fits is None and is_local(name):
                matches.append(Match(rule="variables of the text", verdict=Verdict.ALLOW, where="environment"))
            elif fits is None or not fits.fullmatch(value):
                matches.append(
                    self._rules.unmatched(f"sets {name}, which may change what the command does", Risk.MEDIUM)
                )
            elif alone or exported:
                matches.append(Match(rule="harmless variables", verdict=Verdict.ALLOW, where="environment"))
        return matches

    # --- programs ---

    def _run(
        self,
        argv: Sequence[Arg],
        folder: str | None,
        *,
        in_shell: bool = True,
        piped: bool = False,
        body: bool = False,
        feed: Fed | None = None,
    ) -> list[Match]:
        """All that applies to one program with its arguments, and to what runs inside it."""
        word = argv[0] if argv else ""
        if not isinstance(word, str) or not word:
            return [
                self._rules.unmatched("the program is known only when it runs", Risk.MEDIUM),
                *self._rules.general(),
            ]
        if self._depth > _DEPTH:
            return [self._rules.unmatched("wrappers nested too deeply", Risk.MEDIUM), *self._rules.general()]
        call = call_of(argv, folder, self._reach, in_shell=in_shell, piped=piped)
        matches = [*guardrails.command(call, body=body)]
        if folder is None:
            matches.append(self._rules.unmatched("the folder it runs in is not known"))
        peeled = wrappers.peel(call.program, call.args)
        self._depth += 1
        if peeled is None:
            matches += self._exported(call, self._rules.ruled(call, matches)) + self._inside_find(call)
        else:
            matches += self._inside(call, peeled, feed, matches)
        self._depth -= 1
        allowed = not any(match.verdict is not Verdict.ALLOW for match in matches)
        self._runs.append(run_files.of(call, self._look))
        return matches + self._files.of_run(call, allowed=allowed)

    def _rest_on(self, start: int, matches: Sequence[Match]) -> None:
        """A yes is to be to what is in the files now that the runs since `start` take their orders from: their contents
        are among the facts (wishes.pinned). What a rule allows is allowed whatever is in them."""
        if not (self._situation.asked or any(match.verdict is not Verdict.ALLOW for match in matches)):
            return
        for source in (source for run in self._runs[start:] for source in run):
            # One more tells that it is too much.
            if source in self._rests_on or len(self._rests_on) <= run_files.MOST:
                self._rests_on[source] = None
                if isinstance(source, HashKey):
                    self._look.hash(source.path)
                else:
                    self._look.package(source.folder, source.script)

    def _exported(self, call: Invocation, ruled: list[Match]) -> list[Match]:
        """What rules say of a run; in place of the default, of `export NAME=value` what is said of the variables."""
        pairs = _settings(call.args) if call.word == "export" and call.in_shell else []
        if not pairs:
            return ruled
        return [*(m for m in ruled if m.where != "default"), *self._environment(pairs, exported=True)]

    def _inside(
        self, call: Invocation, peeled: wrappers.Peeled, feed: Fed | None, guarded: Sequence[Match]
    ) -> list[Match]:
        matches: list[Match] = []
        stricter = [m for m in self._rules.ruled(call, guarded) if m.where != "default"]
        if peeled.plain and not call.why:
            matches += [m for m in stricter if m.verdict is not Verdict.ALLOW]
            miss = program_miss(call, self._reach)
            if miss is not None:
                matches.append(self._rules.asked_about(miss, call))
        else:
            matches += stricter or [self._rules.unmatched(peeled.why or call.why, Risk.MEDIUM)]
        matches += self._environment(peeled.env)
        folder = paths.absolute(call.folder, peeled.folder) if peeled.folder else call.folder
        if peeled.text is not None:
            findings = self._text(peeled.text, (folder,), peeled.dialect)
            matches += [match for finding in findings for match in finding.matches]
        elif peeled.argv:
            argv = peeled.argv
            if peeled.reads_names:
                names = feed or sources.UNKNOWN
                for known in wrappers.exact(peeled, names, call.args) if not peeled.folder else ():
                    ran = self._run(known, folder, in_shell=False)
                    matches += ran
                    argv = ()
                argv = argv and wrappers.feed(peeled, names)
            if not argv:
                return matches
            if peeled.folder:  # there, names mean other files
                argv = tuple(sources.UNKNOWN if isinstance(word, Fed) else word for word in argv)
            in_shell = call.program in ("command", "builtin", "time") and call.in_shell
            matches += self._run(argv, folder, in_shell=in_shell, piped=call.piped and not peeled.reads_names)
        return matches

    def _inside_find(self, call: Invocation) -> list[Match]:
        if call.program != "find":
            return []
        search = find.read(call.args)
        names = sources.found(search, call.folder)
        matches: list[Match] = []
        for inner in search.runs:
            matches += self._run(wrappers.replace(inner, "{}", names), call.folder, in_shell=False)
        return matches


def _settings(words: Sequence[Arg]) -> list[tuple[str, str]]:
    """NAME=value of each of the words; [] where one is something else."""
    found = [_SETTING.fullmatch(word) if isinstance(word, str) else None for word in words]
    return [(match[1], match[2]) for match in found if match] if all(found) else []


def _makes_sense(parts: Sequence[Part], index: int) -> bool:
    """Whether a `read` has an input, or something that follows on it; a `popd` a folder to come back from."""
    part = parts[index]
    program = part.words[0].text if isinstance(part, Simple) else ""
    if program == "read" and isinstance(part, Simple) and not part.redirects:
        behind = parts[index + 1] if index + 1 < len(parts) else None
        return isinstance(behind, Simple) and behind.joined == "&&"
    before = [one.words[0].text for one in parts[:index] if isinstance(one, Simple) and one.words]
    return program != "popd" or "pushd" in before


def _reads_lines(part: Simple) -> bool:
    return part.words[:1] != () and (part.words[0].kind, part.words[0].text) == ("literal", "read")
