"""An action taken apart: every run of a program and every touch of a file in it, with all that applies to each.

Owns the walk: shell text to parts, words to arguments (globs become what they match), wrappers to what is inside them,
redirections to touches. Must not own the rules or guardrails it calls, nor the verdict (policy.py). One instance is one
decision.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from . import effects, guardrails, paths, rules, run_files, shell
from .argv import find, sources, wrappers
from .argv.options import Arg, Fed
from .calls import Invocation, call_of
from .facts import HashKey, Lookup
from .feeds import feed_of, names_in
from .folders import Folders, folders_of
from .guardrails import Protected
from .judging_other import other, typed_into
from .model import Action, Command, File, Match, Patch, Risk, Shell, Tmux, Verdict
from .reach import Miss, Reach
from .rules import Rule, Touch
from .rules_command import could_match, match_command, program_miss
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
        self.policy = policy
        self.situation = situation
        self.look = look
        self.granted = tuple(granted)
        self.reach = Reach(look, situation.roots, policy.secrets, situation.home)
        self._names = names_in(self.reach)
        self.protected = Protected(situation.protected, situation.home, situation.hidden)
        self._depth = 0
        self._runs: list[Iterator[run_files.Source]] = []  # of each run, what it takes its orders from
        self._rests_on: dict[run_files.Source, None] = {}

    # --- actions ---

    def action(self, action: Action) -> list[Finding]:
        """One finding per part; at least one, each with at least one match."""
        if isinstance(action, Shell):
            findings, around = self._text(action.text, (action.cwd or None,), action.dialect), typed_into(self, action)
            if set_ := self._environment(action.env.items()):
                around.append(Finding("environment", tuple(set_)))
            self._rest_on(0, [match for finding in around for match in finding.matches])  # they are about all of it
            return [*findings, *around]
        if isinstance(action, Command):
            return [self._program(action)]
        if isinstance(action, File):
            return self._files(action)
        if isinstance(action, Patch):
            findings = [finding for change in action.changes for finding in self._files(change)]
            return findings or [Finding("patch", (self.unmatched("changes no file that is known"),))]
        findings = other(self, action)
        if isinstance(action, Tmux) and action.argv:
            inner = self._run(action.argv, action.cwd or self.situation.worktree or None, in_shell=False)
            self._rest_on(0, [match for finding in findings for match in finding.matches] + inner)
            findings.append(Finding(" ".join(action.argv), tuple(inner)))
        return findings

    def _program(self, action: Command) -> Finding:
        matches = self._environment(action.env.items())
        matches += self._run(action.argv, action.cwd or None, in_shell=False, body=action.stdin is not None)
        self._rest_on(0, matches)
        return self._finding(" ".join(action.argv), matches, action.argv, action.cwd or "/")

    def _files(self, action: File) -> list[Finding]:
        folder = action.cwd or self.situation.worktree or "/"
        touches = [self._touch(action.verb, action.path, folder)]
        if action.verb == "copy":
            touches = [self._touch("read", action.path, folder), self._touch("copy", action.target or "", folder)]
        return [Finding(f"{touch.verb} {touch.path}", tuple(self.file(touch))) for touch in touches]

    # --- shell text ---

    def _text(self, text: str, start: Sequence[str | None], dialect: str, given: Given = ()) -> list[Finding]:
        parts = self._parts(text, start, dialect, given)
        if not parts:
            return [Finding(text, (self._nothing(),))]
        if has_showy_comment(parts, text):
            unknown = self.unmatched("a comment that looks like a command", Risk.MEDIUM)
            return [Finding(text, (unknown, *self.general()))]
        places = folders_of(parts, text, start, self.situation.home, self.look)
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
                    places = places or folders_of(parts, text, start, self.situation.home, self.look)
                    words = (Word(":", ":"), *part.turns)
                    args, doubts = arguments(words, places[index][0], self.reach, self._names)
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
            unknown = self.unmatched(f"cannot be read before it runs: {part.why}", Risk.MEDIUM)
            unread = guardrails.unread(part.source, whole=part.why != shell.TOO_LONG)
            return Finding(part.source, (unknown, *unread, *self.general()))
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
            matches = [self.unmatched("does nothing that is known")]
        asked = strictest(matches).verdict is not Verdict.ALLOW
        return Finding(source, tuple(matches), self._says(argv, folder) if asked and argv and argv[0] else "")

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
                matches.append(self.unmatched(f"sets {assignment.name} to something that only running will tell"))
            else:
                matches += self._environment([(assignment.name, value.text)], alone=alone)
        for redirect in part.redirects:
            matches += self._redirect(redirect, folder)
        for run in shell.runs_of(part):
            matches += self._substituted(run, folder)
        if part.words:
            args, doubts = arguments(part.words, folder, self.reach, self._names)
            for why, source in doubts:
                matches += [self.unmatched(why), *guardrails.unread(source)]
            feed = feed_of(parts, index, places, self.reach)
            piped = part.piped_from is not None or part.joined in ("|", "|&")
            body = any(redirect.op in ("<", "<<", "<<-", "<<<") for redirect in part.redirects)
            matches += self._run(args, folder, piped=piped, body=body, feed=feed)
            self._runs.append(run_files.given(parts, index, places))
            if not _makes_sense(parts, index):
                matches.append(self.unmatched(f"{part.words[0].text} without what belongs to it"))
        elif part.assignments:
            matches += self.general()
        elif not matches:
            matches.append(Match(rule="redirections", verdict=Verdict.ALLOW, where="environment"))
        return matches

    def _substituted(self, run: Run, folder: str | None) -> list[Match]:
        """What runs in a shell of its own before the command that gets what it prints."""
        if self._depth > _DEPTH:
            return [self.unmatched("substitutions nested too deeply", Risk.MEDIUM)]
        self._depth += 1
        findings = self._text(run.text, (folder,), "bash", run.given)
        self._depth -= 1
        return [match for finding in findings for match in finding.matches]

    # --- redirections, environment ---

    def _redirect(self, redirect: Redirect, folder: str | None) -> list[Match]:
        word = redirect.target
        if redirect.body is not None or redirect.op in ("<<", "<<-", "<<<"):
            if word is not None and word.kind == "opaque":
                return [self.unmatched("its input is known only when it runs"), *guardrails.unread(word.source)]
            return []
        if word is None or (redirect.op in (">&", "<&") and (word.text.rstrip("-").isdigit() or word.text == "-")):
            return []
        writes = redirect.op in _OUTPUTS or redirect.op == ">&"
        if word.hole is not None and redirect.op == "<" and folder is not None:
            names = self._names(word.hole, folder)
            if word.around != ((f"{names.within}/", "") if names.within else ("", "")):
                names = sources.UNKNOWN
            names = msgspec.structs.replace(names, within="")
            miss = self.reach.fed(msgspec.structs.replace(names, split=True, globbed=word.splits or names.globbed))
            return [self._asked_about(miss)] if miss is not None else []
        if word.kind != "literal" or (word.tilde and word.text[1:2] not in ("", "/")):
            return [
                self.unmatched(f"{redirect.op}{word.source} is known only when it runs"),
                *guardrails.unread(word.source),
            ]
        path = self.situation.home + word.text[1:] if word.tilde else word.text
        if paths.is_network_device(path):
            return [guardrails.network_redirect()]
        if path in (paths.WRITABLE_DEVICES if writes else paths.READABLE_DEVICES):
            return []
        if folder is None and not path.startswith("/"):
            return [self.unmatched(f"{redirect.op}{path}: the folder is not known")]
        if writes:
            return self.file(self._touch("write", path, folder or "/"))
        miss = self.reach.content(path, folder or "/")
        guarded = guardrails.touch(self._touch("read", path, folder or "/"), self.protected)
        return [*guarded, *([self._asked_about(miss)] if miss is not None else [])]

    def _environment(
        self, pairs: Iterable[tuple[str, str]], *, alone: bool = False, exported: bool = False
    ) -> list[Match]:
        """Variables that a command sets: only those that the policy lists, with values that fit. `alone`: no command
        follows on them; `exported`: for all that follow."""
        matches = []
        for name, value in pairs:
            fits = self.policy.environment.get(name)
            if alone and fits is None and is_local(name):
                matches.append(Match(rule="variables of the text", verdict=Verdict.ALLOW, where="environment"))
            elif fits is None or not fits.fullmatch(value):
                matches.append(self.unmatched(f"sets {name}, which may change what the command does", Risk.MEDIUM))
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
            return [self.unmatched("the program is known only when it runs", Risk.MEDIUM), *self.general()]
        if self._depth > _DEPTH:
            return [self.unmatched("wrappers nested too deeply", Risk.MEDIUM), *self.general()]
        call = call_of(argv, folder, self.reach, in_shell=in_shell, piped=piped)
        matches = [*guardrails.command(call, body=body)]
        if folder is None:
            matches.append(self.unmatched("the folder it runs in is not known"))
        peeled = wrappers.peel(call.program, call.args)
        self._depth += 1
        if peeled is None:
            matches += self._exported(call, self._ruled(call, matches)) + self._inside_find(call)
        else:
            matches += self._inside(call, peeled, feed, matches)
        self._depth -= 1
        allowed = not any(match.verdict is not Verdict.ALLOW for match in matches)
        self._runs.append(run_files.of(call, self.look))
        return matches + self._touches(call, allowed=allowed)

    def _rest_on(self, start: int, matches: Sequence[Match]) -> None:
        """A yes is to be to what is in the files now that the runs since `start` take their orders from: their contents
        are among the facts (wishes.pinned). What a rule allows is allowed whatever is in them."""
        if not (self.situation.asked or any(match.verdict is not Verdict.ALLOW for match in matches)):
            return
        for source in (source for run in self._runs[start:] for source in run):
            # One more tells that it is too much.
            if source in self._rests_on or len(self._rests_on) <= run_files.MOST:
                self._rests_on[source] = None
                if isinstance(source, HashKey):
                    self.look.hash(source.path)
                else:
                    self.look.package(source.folder, source.script)

    def _exported(self, call: Invocation, ruled: list[Match]) -> list[Match]:
        """What rules say of a run; in place of the default, of `export NAME=value` what is said of the variables."""
        pairs = _settings(call.args) if call.word == "export" and call.in_shell else []
        if not pairs:
            return ruled
        return [*(m for m in ruled if m.where != "default"), *self._environment(pairs, exported=True)]

    def _ruled(self, call: Invocation, guarded: Sequence[Match]) -> list[Match]:
        """The rules that match one run; the default with the best reason where none does. `guarded`: what the
        guardrails say of it."""
        named = self.policy.about(call.program, call.args[0] if call.args else "")
        own = [rule for rule in named if rule.anyone or self._is_about_asker(rule)]
        own += [rule for rule in self.granted if call.program in rule.programs and self._is_about_asker(rule)]
        likely = (rule for rule in own if could_match(rule, call))
        matches = [self.by_rule(rule) for rule in likely if match_command(rule, call, self.reach) is None]
        general = self.policy.by_kind.get("any", ())
        graded = [rule for rule in named if not rule.anyone and rule.when.risk]
        risk = self._risk(call, (*guarded, *matches)) if graded or any(r.when.risk for r in general) else Risk.MEDIUM
        fitting = (rule for rule in graded if rules.fits_asker(rule, self.situation.asker, risk))
        matches += [self.by_rule(rule) for rule in fitting if match_command(rule, call, self.reach) is None]
        matches += self.general(risk)
        if not matches:
            matches.append(self._asked_about(self._best_miss(own, call), call))
        return matches

    def _is_about_asker(self, rule: Rule) -> bool:
        """Whether a rule that does not speak of risks speaks of whoever asks."""
        return not rule.when.risk and rules.fits_asker(rule, self.situation.asker, Risk.MEDIUM)

    def _best_miss(self, tried: Iterable[Rule], call: Invocation) -> Miss | None:
        """Of the rules that do not match one run, the reason that a person would want to know most."""
        misses = (match_command(rule, call, self.reach) for rule in tried)
        return max((miss for miss in misses if miss is not None), key=lambda miss: miss.weight, default=None)

    def _risk(self, call: Invocation, matches: Sequence[Match]) -> Risk:
        """How bad one run is, for rules that speak of risk: low where a rule allows it and no other says more."""
        if matches and all(match.verdict is Verdict.ALLOW for match in matches):
            return max((match.risk for match in matches), key=lambda risk: risk.rank)
        described = effects.describe(call, self.look, self.situation.roots)[1]
        return max((described, *(match.risk for match in matches)), key=lambda risk: risk.rank)

    def general(self, risk: Risk = Risk.MEDIUM) -> list[Match]:
        """Ask and deny rules that say only who, where, when or how bad, and so speak of every action."""
        return [
            self.by_rule(rule)
            for rule in self.policy.by_kind.get("any", ())
            if rules.fits_asker(rule, self.situation.asker, risk)
        ]

    def _inside(
        self, call: Invocation, peeled: wrappers.Peeled, feed: Fed | None, guarded: Sequence[Match]
    ) -> list[Match]:
        matches: list[Match] = []
        stricter = [m for m in self._ruled(call, guarded) if m.where != "default"]
        if peeled.plain and not call.why:
            matches += [m for m in stricter if m.verdict is not Verdict.ALLOW]
            miss = program_miss(call, self.reach)
            if miss is not None:
                matches.append(self._asked_about(miss, call))
        else:
            matches += stricter or [self.unmatched(peeled.why or call.why, Risk.MEDIUM)]
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

    # --- files ---

    def _touch(self, verb: str, path: str, folder: str) -> Touch:
        if path == "~" or path.startswith("~/"):
            path = self.situation.home + path[1:]
        whole = paths.absolute(folder, path)
        fact = self.look.path(whole)
        return Touch(verb, whole, fact.real)

    def _touches(self, call: Invocation, *, allowed: bool) -> list[Match]:
        """What one run does to files, as far as known: guardrails, and rules that speak of files.

        `allowed`: allow rules cover it, so they have told patterns from paths and judged what is read.
        """
        matches: list[Match] = []
        for verb, word in effects.touched(call):
            reads = verb in ("read", "use")
            touch = self._touch(verb, word, call.folder)
            fact = self.look.path(touch.path) if reads else None
            if fact is not None and fact.kind == "missing" and verb == "read":
                continue
            matches += guardrails.touch(touch, self.protected)
            if fact is not None and fact.kind == "missing":  # any word, perhaps
                continue
            if fact is not None and fact.kind == "folder" and call.program not in _NAMES_ONLY:
                matches += guardrails.beneath(touch, self.protected)
            if verb == "read" and allowed and not self.policy.by_kind.get("file read", ()):
                continue
            matches += self._file_rules(Touch("read", touch.path, touch.real) if reads else touch, stricter=True)
            if reads and not allowed and call.program not in _NAMES_ONLY and self._is_secret_file(touch):
                matches.append(self.secret(touch.path))
        if call.program == "rm" and self._is_far_removal(call):
            matches.append(guardrails.far_removal(" ".join(str(word) for word in call.args[:4])))
        return matches

    def _is_secret_file(self, touch: Touch) -> bool:
        fact = self.look.path(touch.path)
        if fact.kind not in ("file", "other"):
            return False
        return fact.tells or self.reach.is_secret(touch.real) or self.reach.is_secret(paths.normal(touch.path))

    def _is_far_removal(self, call: Invocation) -> bool:
        words = [word for word in call.args if isinstance(word, str)]
        if not any(
            word in ("--recursive",) or (word[:1] == "-" and word[1:2] != "-" and set("rR") & set(word))
            for word in words
        ):
            return False
        touches = [self._touch(verb, word, call.folder) for verb, word in effects.touched(call)]
        tree = self.situation.worktree
        return any(not tree or t.real == tree or not paths.inside(t.real, (tree,)) for t in touches)

    def file(self, touch: Touch) -> list[Match]:
        """All that applies to one touch of a file by itself (a file action, a redirection)."""
        guarded = list(guardrails.touch(touch, self.protected))
        risk = max((_grade(touch), *(match.risk for match in guarded)), key=lambda risk: risk.rank)
        matches = [*guarded, *self._file_rules(touch), *self.general(risk)]
        return matches or [self.unmatched(f"{_VERBS.get(touch.verb, touch.verb)} {touch.path}", Risk.MEDIUM)]

    def _file_rules(self, touch: Touch, *, stricter: bool = False) -> list[Match]:
        matches: list[Match] = []
        for rule in (*self.policy.by_kind.get("file", ()), *(g for g in self.granted if g.when.file)):
            allows = rule.verdict is Verdict.ALLOW
            if (stricter and allows) or not rules.fits_asker(rule, self.situation.asker, _grade(touch)):
                continue
            if rules.match_file(rule, touch, self.reach) is not None:
                continue
            miss = (
                (self.reach.name if touch.verb == "list" else self.reach.content)(touch.path, "/") if allows else None
            )
            if miss is None:
                matches.append(self.by_rule(rule))
            else:
                matches.append(self._asked_about(miss))
        return matches

    # --- words for matches ---

    def unmatched(self, reason: str, risk: Risk = Risk.LOW) -> Match:
        return Match(
            rule="unmatched", verdict=Verdict(self.policy.defaults.unmatched), reason=reason, where="default", risk=risk
        )

    def by_rule(self, rule: Rule) -> Match:
        risk = rule.risk or (Risk.LOW if rule.verdict is Verdict.ALLOW else Risk.MEDIUM)
        return Match(rule=rule.name, verdict=rule.verdict, reason=rule.file.reason, where=rule.where, risk=risk)

    def secret(self, path: str) -> Match:
        return Match(
            rule="secrets",
            verdict=Verdict.ASK,
            reason=f"reads {path}, which holds secrets",
            where="guardrail",
            risk=Risk.HIGH,
        )

    def _asked_about(self, miss: Miss | None, call: Invocation | None = None) -> Match:
        if miss is not None and miss.weight == 3 and "secrets" in miss.text:
            return Match(rule="secrets", verdict=Verdict.ASK, reason=miss.text, where="guardrail", risk=Risk.HIGH)
        text, risk = effects.describe(call, self.look, self.situation.roots) if call is not None else ("", Risk.LOW)
        if miss is not None and miss.weight and (miss.weight > 1 or call is None or text.endswith(effects.UNKNOWN)):
            return self.unmatched(miss.text, (Risk.LOW, Risk.MEDIUM, Risk.HIGH)[miss.weight - 1])
        return self.unmatched(text, risk)

    def _says(self, argv: Sequence[str], folder: str) -> str:
        call = call_of(argv, folder, self.reach, in_shell=True, piped=False)
        return effects.describe(call, self.look, self.situation.roots)[0]


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


def _grade(touch: Touch) -> Risk:
    return Risk.LOW if touch.verb in ("read", "list") else Risk.MEDIUM


_VERBS = {
    "write": "writes",
    "edit": "edits",
    "copy": "copies to",
    "delete": "removes",
    "read": "reads",
    "list": "lists",
}
_NAMES_ONLY = frozenset(
    [
        "ls",
        "stat",
        "test",
        "[",
        "find",
        "fd",
        "fdfind",
        "tree",
        "du",
        "realpath",
        "readlink",
        "basename",
        "dirname",
        "echo",
        "printf",
        "git",
        "cd",
        "exa",
        "eza",
        "lsd",
    ]
)
