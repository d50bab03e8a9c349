"""`tmux-agent audit verify|tail|show|export`: the audit log for people, from its files, with or without a sidecar.

Owns how a record looks. Must not own: reading and checking (services/audit_log.py).
"""

from __future__ import annotations

import argparse
import sys
from datetime import datetime
from pathlib import Path
from typing import Any


def add(parser: argparse.ArgumentParser) -> None:
    under = parser.add_subparsers(dest="audit", metavar="verify|tail|show|export", required=True)
    verify = under.add_parser("verify", help="check the hash chain; exit code 1 names the first bad record")
    verify.add_argument("--from", dest="start", type=int, default=1, metavar="SEQ", help="begin at this record")
    verify.add_argument("files", nargs="*", type=Path, help="these files, oldest first, instead of the log's own")
    tail = under.add_parser("tail", help="the last records, one a line")
    tail.add_argument("-f", "--follow", action="store_true", help="go on with new ones until interrupted")
    tail.add_argument("-n", "--lines", type=int, default=20, metavar="N", help="how many (20)")
    _filters(tail)
    show = under.add_parser("show", help="everything about one request")
    show.add_argument("id", help="its request_id, or the number of a record")
    export = under.add_parser("export", help="records as JSON lines, oldest first")
    _filters(export)
    export.add_argument("--until", default="", metavar="TIME", help="only before this time")
    for sub in (verify, tail, show):
        sub.add_argument("--json", action="store_true", help="print JSON")
    for sub in (verify, tail, show, export):
        sub.add_argument("--log", type=Path, help="the log to read (default: that of the settings)")


def _filters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--type", action="append", default=[], metavar="TYPE", help="only these; approval. for its kin")
    parser.add_argument("--request", default="", metavar="ID", help="only of this request")
    parser.add_argument("--agent", default="", metavar="NAME", help="only of this agent")
    parser.add_argument("--since", default="", metavar="TIME", help="only from this time on (2026-11-20T10:30)")


def main(args: argparse.Namespace) -> int:
    """0 done, 1 the chain is broken or there is nothing; raises Unavailable where the log cannot be read."""
    from ...core.errors import Unavailable

    try:
        match args.audit:
            case "verify":
                return _verify(args)
            case "tail":
                return _tail(args)
            case "show":
                return _show(args)
            case _:
                return _export(args)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise Unavailable(f"the audit log cannot be read: {error.strerror} ({error.filename})") from error


def _log(args: argparse.Namespace) -> Any:
    from ...services.audit_log import AuditLog

    return AuditLog(_path(args), getattr(args, "files", None) or None)


def _path(args: argparse.Namespace) -> Path:
    import os

    from ...services import places

    if args.log is not None:
        return Path(args.log)
    found, file = places.find(os.environ), os.environ.get("TMUX_AGENT_AUDIT_FILE", "")
    if not file and (found.config / "config.yaml").exists():
        from ...services.config_file import read_settings  # slow to import, so only where there is something to read

        settings, _ = read_settings(found.config / "config.yaml", os.environ)
        file = settings.audit.file
    return found.audit(file)


def _verify(args: argparse.Namespace) -> int:
    import os

    from ...core.display import number
    from ...services import places
    from ...services.audit_log import database_head
    from .. import out

    own = args.log is None and not args.files
    found = _log(args).verify(args.start, database_head(places.find(os.environ).database) if own else None)
    if args.json:
        out.as_json(found)
    elif found.ok:
        end = f"the last is {found.head.seq} {found.head.hash}"
        print(f"{out.paint('ok', 'done')}  {number(found.records)} records; {end}")
    else:
        where = f"{found.file}, line {found.line}, " if found.file else ""
        print(f"{out.paint('broken', 'error')}  {where}record {found.seq}: {found.why}")
        print(f"        {number(found.records)} records before it are good")
    if found.torn_bytes and not args.json:
        print(f"    an unfinished line of {found.torn_bytes} bytes at the end: being written, or the sidecar died")
    return 0 if found.ok else 1


def _tail(args: argparse.Namespace) -> int:
    log, wanted = _log(args), _wanted(args)
    newest = log.newest(limit=1)
    for record in log.tail(args.lines, wanted):
        _print(record, args.json)
    if args.follow:
        for record in log.follow(newest[0].seq if newest else 0, wanted):
            _print(record, args.json)
    return 0


def _wanted(args: argparse.Namespace) -> Any:
    from ...services.audit_log import Filter

    return Filter(
        types=frozenset(args.type),
        request_id=args.request,
        agent=args.agent,
        since=_utc(args.since),
        until=_utc(getattr(args, "until", "")),
    )


def _utc(text: str) -> str:
    """A time as people write it (local without a zone) as the records have it. Raises InvalidParams."""
    from datetime import UTC

    from ...core.errors import InvalidParams

    if not text:
        return ""
    try:
        return datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    except ValueError as error:
        raise InvalidParams(f"{text!r} is no time: write it as 2026-11-20 or 2026-11-20T10:30") from error


def _show(args: argparse.Namespace) -> int:
    import msgspec

    from ...core.display import safe
    from ...core.errors import NotFound
    from ...services.audit_log import Filter
    from .. import out

    log = _log(args)
    by_number = args.id.isdecimal()
    found = (
        [record for record in log.newest(before=int(args.id) + 1, limit=1) if record.seq == int(args.id)]
        if by_number
        else list(log.records(Filter(request_id=args.id)))
    )
    if not found:
        raise NotFound(f"the audit log has no record of {args.id}: `tmux-agent audit tail` shows the last ones")
    if args.json:
        out.as_json(found)
        return 0
    for record in found:
        _print(record, False)
        for name, value in (("origin", record.origin), ("data", record.data)):
            text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode() if value else "–"
            print(f"  {out.paint(name, 'dim')} {safe(text, newlines=True)}")
        print(f"  {out.paint('hash', 'dim')} {record.hash}")
    return 0


def _export(args: argparse.Namespace) -> int:
    import msgspec

    for record in _log(args).records(_wanted(args)):
        sys.stdout.write(msgspec.json.encode(record).decode() + "\n")
    return 0


def _print(record: Any, as_json: bool) -> None:
    import msgspec

    from ...core.display import cut, safe, width
    from .. import out
    from ..audit_lines import in_words, when_of

    if as_json:
        print(msgspec.json.encode(record).decode(), flush=True)
        return
    when = when_of(record)
    who = cut(safe(str(record.origin.get("agent") or record.origin.get("door") or "–")), 8)
    kind = safe(record.type)
    columns = f"{record.seq:>7}  {when}  {who}{' ' * (8 - width(who))}  {kind:<18}"
    style, words = in_words(record)
    request = out.paint(f"{safe(record.request_id[-6:]) or '–':<6}", "dim")
    print(f"{out.paint(columns, style)}  {request}  {words}".rstrip(), flush=True)
