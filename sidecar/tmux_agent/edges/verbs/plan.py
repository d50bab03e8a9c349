"""`tmux-agent plan …`: an agent's plan, shown to people beside its requests; never executed."""

from __future__ import annotations

import argparse
from typing import Any


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print the plan as JSON")
    under = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    create = under.add_parser("create", help="make a plan")
    create.add_argument("name")
    create.add_argument("steps", nargs="+", metavar="STEP")
    under.add_parser("list", help="plans, newest first")
    get = under.add_parser("get", help="one plan")
    update = under.add_parser("update", help="set a step's status or notes")
    advance = under.add_parser("advance", help="complete the current step")
    abort = under.add_parser("abort", help="end the plan")
    for sub in (get, update, advance, abort):
        sub.add_argument("plan_id", metavar="PLAN")
    update.add_argument("step", type=int, help="number of the step, from 0")
    update.add_argument("--status", choices=["pending", "in_progress", "completed", "failed", "skipped"])
    update.add_argument("--notes")
    advance.add_argument("--notes", default="")
    abort.add_argument("--reason", default="")


def main(args: argparse.Namespace) -> int:
    from ...client import Client
    from .. import out

    known = ("name", "steps", "plan_id", "step", "status", "notes", "reason")
    params = {name: getattr(args, name) for name in known if getattr(args, name, None) is not None}
    with Client(name="plan") as client:
        data = client.call(f"plan.{args.what}", params)
    if args.json:
        out.as_json(data)
        return 0
    for plan in data["plans"] if args.what == "list" else [data]:
        _print(plan)
    return 0


def _print(plan: dict[str, Any]) -> None:
    from .. import out

    marks = {"completed": "✓", "in_progress": "▸", "failed": "✗", "skipped": "–"}
    print(f"{out.paint(plan['name'], 'bold')}  {plan.get('status', 'active')}  {plan['plan_id']}")
    for index, step in enumerate(plan["steps"]):
        notes = f"  ({step['notes']})" if step.get("notes") else ""
        print(f"  {marks.get(step.get('status', ''), ' ')} {index}  {step['description']}{notes}")
