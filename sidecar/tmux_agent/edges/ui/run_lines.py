"""How runs of pipelines look: one line for a run or a stage, all of a run, what is declared.

Owns: columns, marks and words of these lines. Must not own: which of them are shown, keys (pipelines.py).
Every name in here was written by somebody else, and enters through `literal`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from tmux_agent.core import display
from tmux_agent.core.replies import PipelineData, RunData, StageData
from tmux_agent.edges.ui.compose import WIDE
from tmux_agent.edges.ui.highlight import code
from tmux_agent.edges.ui.styles import Lines
from tmux_agent.edges.ui.text import Fragment, Line, cells, cut, fit, literal, sides, wrap, wrap_words

NAME = 200  # characters of a name that are looked at
TEXT = 500  # and of what stands beside it
BAR = 10  # cells of a progress bar

STYLES = {
    "approval": "class:medium", "retrying": "class:medium", "running": "class:accent", "success": "class:good",
    "failed": "class:bad", "unknown": "class:bad",
}  # fmt: skip
DONE = ("success", "skipped")
SAID = {
    "waiting": "has not begun", "approval": "waits for your approval", "running": "runs",
    "retrying": "waits for its next try", "success": "succeeded", "failed": "failed", "skipped": "skipped",
    "cancelled": "cancelled", "unknown": "unknown: look at it, then retry or skip",
}  # fmt: skip

EXAMPLE = """\
pipelines:
  - name: webapp
    match: {window_name: "^build$"}
    stages:
      - name: test
        actions_on_start: [{send_keys: "npm test"}]
        success_when: [{log_regex: "0 failing"}]
      - name: build
        needs: test
        require_approval: true
        actions_on_start: [{send_keys: "npm run build"}]
"""


def took(one: RunData | StageData, now: datetime) -> float | None:
    """Seconds of a run, or of the present try of a stage; of one that waits for a person, how long. None: not begun."""
    if isinstance(one, RunData):
        return ((one.ended or now) - one.created).total_seconds()
    begun = one.since if one.state == "approval" else one.started
    if one.state == "waiting" or begun is None:
        return None
    return ((one.ended or now) - begun).total_seconds()


def run_line(run: RunData, width: int, now: datetime, chosen: bool) -> Line:
    """Pipeline, pane, state, how many stages are done, age."""
    style = "class:chosen" if chosen else "bold"
    done = sum(one.state in DONE for one in run.stages)
    left: Line = [*literal(run.pipeline[:NAME], style), ("", "  ")]
    if where := place(run) if width >= WIDE else run.place or run.pane:
        left += [*literal(where[:NAME], "class:faint"), ("", "  ")]
    left.append((STYLES.get(run.state, "class:faint"), run.state))
    lasted = display.ago(took(run, now) or 0.0)
    if run.ended is None:
        of = " of " if width >= WIDE else "/"
        return sides([*left, ("class:faint", f"  {done}{of}{len(run.stages)}")], [("", f" {lasted}")], width)
    ago = f"{display.ago((now - run.ended).total_seconds())} ago"
    return sides(left, [("class:faint", f" {lasted}, {ago}" if width >= WIDE else f" {ago}")], width)


def place(run: RunData, stage: StageData | None = None) -> str:
    """ "shop:1 %7" """
    if stage and stage.pane:
        return stage.pane
    return f"{run.place} {run.pane}".strip() if run.pane else ""


def stage_line(one: StageData, width: int, names: int, now: datetime, lines: Lines, asked: bool, chosen: bool) -> Line:
    """Mark, name, duration, and what there is to say. `names`: cells of its run's names; `asked`: a request waits."""
    style = STYLES.get(one.state, "class:faint")
    seconds = took(one, now)
    room = min(names, max(8, width * 2 // 5 if width < WIDE else width // 3))
    lead: Line = [
        mark(one, lines), ("", " "), *fit(literal(one.name[:NAME], "class:chosen" if chosen else ""), room),
        *fit([("class:faint", "" if seconds is None else display.ago(seconds))], 7, right=True), ("", "  "),
    ]  # fmt: skip
    pieces = [cut(piece, TEXT) for piece in about(one, lines, asked, bar=width >= WIDE)]
    rest = [each for piece in pieces for each in (("", "  "), *piece)][1:]
    if not pieces:
        rest = [(style, one.state if one.state not in ("success", "waiting") else "")]
    return cut([*lead, *rest], width)


def mark(one: StageData, lines: Lines) -> Fragment:
    return (STYLES.get(one.state, "class:faint"), lines.stages.get(one.state, "?"))


def about(one: StageData, lines: Lines, asked: bool, *, bar: bool = True) -> Iterator[Line]:
    """Which try, how far, what it waits for, why: each a piece."""
    if one.attempt > 1:
        yield [("", f"try {one.attempt}")]
    if one.progress is not None and one.state == "running":
        yield progress(one.progress, lines) if bar else [("class:accent", f"{one.progress:.0f} %")]
    if asked:
        yield [("class:medium", "waits for your approval")]
    elif one.waits_for:
        style = STYLES["approval"] if one.state == "approval" else ""
        yield [(style, "waits for "), *literal(one.waits_for[:TEXT], style)]
    if one.reason:
        yield literal(one.reason[:TEXT], STYLES.get(one.state, "class:faint"))


def progress(percent: float, lines: Lines) -> Line:
    full = min(BAR, max(0, int(percent * BAR / 100)))
    bar: Line = [("class:accent", lines.full * full), ("class:faint", lines.empty * (BAR - full))]
    return [*bar, ("class:accent", f" {percent:.0f} %")]


def names(run: RunData) -> int:
    """Cells that the longest name of its stages has."""
    return max((display.width(display.safe(one.name[:NAME])) for one in run.stages), default=0)


# --- one thing in full ---


def detail(run: RunData, stage: StageData | None, width: int, lines: Lines, asked: bool) -> list[Line]:
    """What the line of the selected row may have cut."""
    name, where = stage.name if stage else run.pipeline, place(run, stage)
    said = [SAID[stage.state]] if stage and stage.state not in ("approval", "retrying") else []
    if stage:
        said += ["".join(text for _, text in piece) for piece in about(stage, lines, asked, bar=False)]
    else:
        said += [run.state, *filter(None, [run.note])]
    head = f"{name[:NAME]}{', in ' + where if where else ''}: {', '.join(said)}"
    return wrap_words(head[: 4 * TEXT], width, "class:faint")


def whole(run: RunData, markers: Iterable[str], width: int, now: datetime, lines: Lines) -> list[Line]:
    """All of a run: each stage with its actions and what came of them, then the last markers."""
    out: list[Line] = [run_line(run, width, now, chosen=False), [("class:faint", run.run_id)]]
    out += wrap_words(run.note, width, "class:bad") if run.note else []
    size = names(run)
    for one in run.stages:
        out += [[], stage_line(one, width, size, now, lines, asked=False, chosen=False)]
        out += wrap_words(one.reason, width, STYLES.get(one.state, "")) if len(one.reason) > width // 2 else []
        for at, text in enumerate(one.does):
            out += action_lines(text, one.did[at] if at < len(one.did) else "", width)
    said = [cut(literal(text[:2000], "class:faint"), width) for text in markers]
    return [*out, *([[], [("class:label", "last markers")], *said] if said else [])]


def would(run: RunData, width: int) -> list[Line]:
    """What a run that has not begun would do, and what the policy says of it."""
    out: list[Line] = []
    for one in run.stages:
        after = f"  after {one.waits_for}" if one.waits_for else ""
        out += [[], [*literal(one.name[:NAME], "bold"), *literal(after[:TEXT], "class:faint")]]
        for at, text in enumerate(one.does):
            out += action_lines(text, one.verdicts[at] if at < len(one.verdicts) else "", width)
    return out


def action_lines(text: str, said: str, width: int) -> list[Line]:
    """An action in full, and below it what is to say of it."""
    bad = said.startswith(("failed", "unknown", "denied"))
    style = "class:bad" if bad else "class:medium" if said.startswith(("asked", "doing")) else "class:faint"
    short = cells(literal(text)) + len(said) + 6 <= width
    if short:
        return [[("", "    "), *literal(text), ("", "  "), *literal(said, style)]]
    below: list[Line] = [[("", "      "), *literal(said[:TEXT], style)]] if said else []
    return [*wrap(literal(text), width, "    ", "    "), *below]


# --- nothing runs ---


def declared(found: list[PipelineData], folder: str, width: int) -> list[Line]:
    """The pipelines there are, or how to write one."""
    if not found:
        said = wrap_words(f"No pipeline is declared. Write one into {folder}/NAME.yaml, for example:", width)
        sample = wrap(code(EXAMPLE, "yaml"), width, "  ", "  ")
        return [*said, [], *sample, *wrap_words("It counts as soon as it is saved (docs/pipelines.md).", width)]
    out: list[Line] = [[("class:label", "declared")]]
    for one in found:
        when = "starts by itself" if one.start == "match" else "started by hand: S"
        stages = cut(literal(" → ".join(stage[:40] for stage in one.stages[:20])[:TEXT], "class:faint"), TEXT)
        left: Line = [*literal(one.name[:NAME], "bold"), ("", "  "), *stages]
        out.append(sides(left, [("class:faint", f"  {when}")], width))
    return out
