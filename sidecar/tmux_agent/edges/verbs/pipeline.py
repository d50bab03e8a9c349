"""`tmux-agent pipeline …`: what is declared, what runs, what it would do; start, retry, skip and cancel."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ...core.replies import RunData, StageData

WIDE = 80


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")
    under = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    under.add_parser("list", help="pipelines that the configuration declares, and runs under way")
    history = under.add_parser("history", help="runs, newest first")
    history.add_argument("pipeline", nargs="?", default="", help="of this one alone")
    history.add_argument("--limit", type=int, default=20, help="so many (20)")
    show = under.add_parser("show", help="one run: its stages, how long, what each waits for")
    start = under.add_parser("start", help="begin a run")
    dry = under.add_parser("dry-run", help="what a pipeline would do, and what the policy says of it; nothing is done")
    check = under.add_parser("check", help="read files of pipelines, and say what is wrong with them")
    check.add_argument("files", nargs="+", metavar="FILE")
    for sub in (start, dry):
        sub.add_argument("pipeline")
        sub.add_argument("--pane", metavar="%7", help="the pane that it is about, where its match does not say")
        sub.add_argument("--server", metavar="SOCKET", help="the tmux server, where there are several")
    retry = under.add_parser("retry", help="try what failed again")
    skip = under.add_parser("skip", help="take a stage for done")
    cancel = under.add_parser("cancel", help="end a run")
    for sub in (show, retry, skip, cancel):
        sub.add_argument("run_id", metavar="RUN", help="its id, or the pipeline's name for its newest run")
    retry.add_argument("stage", nargs="?", default="", help="only this one")
    skip.add_argument("stage")
    cancel.add_argument("--why", default="")
    for sub in under.choices.values():
        if sub is not check:
            sub.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print the answer as JSON")


def main(args: argparse.Namespace) -> int:
    if args.what == "check":
        return _check(args.files)
    from ...client import Client
    from .. import out

    with Client() as client:
        if getattr(args, "run_id", ""):
            args.run_id = _run_id(client, args.run_id)
        data = _call(client, args)
    if args.json:
        out.as_json(data)
    else:
        _print(args.what, data)
    return 0


def _check(files: list[str]) -> int:
    from pathlib import Path

    from ...services.pipeline_files import read

    bad = 0
    for name in files:
        file, wrong = read(Path(name))
        for one in wrong:
            print(one)
        bad += bool(wrong)
        if file is not None:
            print(f"{name}: {', '.join(one.name for one in file.pipelines) or 'no pipeline'}")
    return 1 if bad else 0


def _run_id(client: Any, word: str) -> str:
    """A run's id, also where its pipeline is named."""
    if len(word) == 26 and word.isalnum():
        return word
    runs = client.call("pipeline.runs", {"pipeline": word, "limit": 1})["runs"]
    return runs[0]["run_id"] if runs else word


def _call(client: Any, args: argparse.Namespace) -> Any:
    from . import asked

    match args.what:
        case "list":
            runs = client.call("pipeline.runs", {"active": True})["runs"]
            return client.call("pipeline.list") | {"runs": runs}
        case "history":
            return client.call("pipeline.runs", {"pipeline": args.pipeline, "limit": args.limit})
        case "start" | "dry-run":
            params = {"pipeline": args.pipeline, "pane_id": args.pane, "server": args.server}
            return asked.call(client, f"pipeline.{args.what.replace('-', '_')}", params)
        case "show":
            return client.call("pipeline.show", {"run_id": args.run_id})
        case "cancel":
            return asked.call(client, "pipeline.cancel", {"run_id": args.run_id, "why": args.why})
    return asked.call(client, f"pipeline.{args.what}", {"run_id": args.run_id, "stage": args.stage})


# --- printing ---


def _print(what: str, data: Any) -> None:
    import msgspec

    from ...core.replies import RunData
    from .. import out

    if what == "list":
        for one in data["pipelines"]:
            when = "" if one["start"] == "match" else "  (started by hand)"
            print(f"{out.paint(one['name'], 'bold')}  {' → '.join(one['stages'])}{when}")
        for wrong in data.get("errors", ()):
            print(out.paint(wrong, "error"))
        if not data["pipelines"]:
            print("no pipeline is declared: put one into pipelines/*.yaml of your configuration (docs/pipelines.md)")
        if data["runs"]:
            print()
    if what in ("list", "history"):
        _table(msgspec.convert(data["runs"], list[RunData], strict=False))
    else:
        run_lines(msgspec.convert(data, RunData, strict=False), dry=what == "dry-run")


def _table(runs: list[RunData]) -> None:
    from datetime import UTC, datetime

    from ...core import display
    from .. import out

    if not runs:
        return
    now = datetime.now(UTC)
    rows = []
    for run in runs:
        took = ((run.ended or now) - run.created).total_seconds()
        rows.append([run.run_id, run.pipeline, run.pane or "–", run.state, display.ago(took), _progress(run)])
    out.table(["RUN", "PIPELINE", "PANE", "STATE", "TOOK", "STAGES"], rows, [run.state for run in runs])


def _progress(run: RunData) -> str:
    if run.note:
        return run.note
    active = [one for one in run.stages if one.waits_for and one.state != "waiting"]
    doing = [f"{one.name}: {one.waits_for}" for one in active]
    done = sum(one.state in ("success", "skipped") for one in run.stages)
    return f"{done} of {len(run.stages)}" + (f", {doing[0]}" if doing else "")


MARKS = {
    "waiting": " ", "approval": "⏸", "running": "⏵", "retrying": "↻", "success": "✓", "failed": "✗", "skipped": "–",
    "cancelled": "–", "unknown": "?",
}  # fmt: skip
STYLES = {"approval": "waiting", "running": "working", "success": "done", "failed": "error", "unknown": "error"}


def run_lines(run: RunData, *, dry: bool = False) -> None:
    """Print one run, a stage a line."""
    from datetime import UTC, datetime

    from ...core import display
    from .. import out

    now = datetime.now(UTC)
    head = f"{run.pipeline}  would do" if dry else f"{run.pipeline}  {run.state}  {run.run_id}"
    where = f"  in {run.place or run.pane}" if run.pane else ""
    print(out.paint(display.safe(head + where), "bold"))
    width = max(display.width(one.name) for one in run.stages)
    for one in run.stages:
        name = one.name + " " * (width - display.width(one.name))
        mark = " " if dry else MARKS.get(one.state, "?")
        print(out.paint(f"  {mark} {name}  {_about(one, now, dry)}".rstrip(), STYLES.get(one.state, "")))
        for index, line in enumerate(one.does if dry else ()):
            says = one.verdicts[index] if index < len(one.verdicts) else ""
            print(f"      {line}    {out.paint(says, 'ask' if says.startswith('asked') else 'dim')}")


def _about(one: StageData, now: Any, dry: bool) -> str:
    from ...core import display

    if dry:
        return ""
    words = []
    if one.started is not None:
        words.append(display.ago(((one.ended or now) - one.started).total_seconds()))
    if one.attempt > 1:
        words.append(f"try {one.attempt}")
    if one.progress is not None and one.state == "running":
        words.append(f"{one.progress:.0f} %")
    if one.waits_for:
        words.append(f"waits for {one.waits_for}")
    if one.reason:
        words.append(one.reason)
    return ", ".join(words)
