"""`tmux-agent facts [PANE|SESSION]`: what is known of panes and sessions: program, state, processes, CPU, memory."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...core.replies_terminals import PaneFactsData, ProcessData

WIDE = 72  # columns; below, only what is needed most has room
UNITS = ((1 << 30, "G"), (1 << 20, "M"), (1 << 10, "K"))


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", nargs="?", metavar="PANE|SESSION", help="%%7, or a session's name (all)")
    parser.add_argument("--server", metavar="SOCKET", help="the tmux server, where there are several")
    parser.add_argument("--json", action="store_true", help="print them as JSON")


def main(args: argparse.Namespace) -> int:
    import msgspec

    from ...client import Client
    from ...core.replies_terminals import FactsData
    from .. import out

    params = {"target": args.target, "server": args.server}
    with Client(patience=2) as client:
        data = client.call("tmux.facts", {name: value for name, value in params.items() if value})
    if args.json:
        out.as_json(data)
        return 0
    found = msgspec.convert(data, FactsData)
    if len(found.panes) == 1 or args.target:
        for pane in found.panes:
            _pane(pane)
        return 0
    wide = out.columns() >= WIDE
    head = ["PANE", "WHERE", "IN FRONT", "CPU", "MEM", "PROCS", "FOLDER"]
    head = head if wide else ["PANE", "CPU", "MEM", "IN FRONT"]
    out.table(head, [_row(pane, wide=wide) for pane in found.panes], [pane.state or "" for pane in found.panes])
    return 0


def _row(pane: PaneFactsData, *, wide: bool) -> list[str]:
    cpu, memory = f"{pane.cpu_percent:.0f}%", size(pane.memory_bytes)
    front = pane.current_command if pane.alive else f"ended ({_code(pane)})"
    if not wide:
        return [pane.id, cpu, memory, front]
    count = str(len(pane.processes) + pane.processes_left_out)
    return [pane.id, pane.place, front, cpu, memory, count, pane.current_path]


def _pane(pane: PaneFactsData) -> None:
    from .. import out

    state = f", {pane.agent} {pane.state}" if pane.agent else ""
    print(out.paint(f"{pane.id}  {pane.place}{state}", "bold"))
    out.wrapped("program", pane.current_command if pane.alive else f"ended, {_code(pane)}")
    out.wrapped("folder", pane.current_path)
    out.wrapped("screen", f"{pane.width}×{pane.height}, history {pane.history_lines} of {pane.history_limit} lines")
    modes = {"copy mode": pane.in_mode, "full screen": pane.alternate, "input off": pane.input_off,
             "synchronized": pane.synchronized}  # fmt: skip
    if any(modes.values()):
        out.wrapped("mode", ", ".join(name for name, holds in modes.items() if holds))
    if pane.execution:
        out.wrapped("runs", f"tmux-agent exec --id {pane.execution}")
    out.wrapped("uses", f"{pane.cpu_percent:.0f} % of a core, {size(pane.memory_bytes)}")
    _tree(pane)
    print()


def _code(pane: PaneFactsData) -> str:
    return "exit code not known" if pane.exit_code is None else f"exit {pane.exit_code}"


def _tree(pane: PaneFactsData) -> None:
    from .. import out

    if not pane.processes:
        return
    wide = out.columns() >= WIDE
    rows = [_process(one, wide=wide) for one in pane.processes]
    out.table(["PID", "CPU", "MEM", "TIME", "COMMAND"] if wide else ["PID", "CPU", "MEM", "COMMAND"], rows)
    if pane.processes_left_out:
        print(f"… and {pane.processes_left_out} more")


def _process(one: ProcessData, *, wide: bool) -> list[str]:
    from ...core import display

    name = "  " * min(one.depth, 8) + ((one.command or one.name) if wide else one.name)
    name += f" ({one.state})" if one.state in ("zombie", "stopped") else ""
    time = [display.ago(one.cpu_seconds)] if wide else []
    return [str(one.pid), f"{one.cpu_percent:.0f}%", size(one.memory_bytes), *time, name]


def size(count: int) -> str:
    """Bytes for people: 12M."""
    for unit, letter in UNITS:
        if count >= unit:
            return f"{count / unit:.1f}{letter}" if count < 10 * unit else f"{count // unit}{letter}"
    return f"{count}B"
