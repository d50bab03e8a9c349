"""`tmux-agent secret set|get|list|rotate|remove`: values that configuration names as `!secret NAME`. Needs no sidecar.

Owns how a value gets in (a prompt without echo, or standard input; never an argument, which every process can see) and
out. Must not own: where values are kept (services/secret_store.py).
"""

from __future__ import annotations

import argparse
import os
import sys

from ...core.errors import Forbidden, InvalidParams
from ...core.secret import NAMES, Secret
from ...services.secret_store import VALUE_BYTES


def add(parser: argparse.ArgumentParser) -> None:
    under = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    put = under.add_parser("set", help="keep a value; asks for it without showing it")
    put.add_argument("name", metavar="NAME", help=NAMES)
    put.add_argument("--stdin", action="store_true", help="read the value from standard input, less one line end")
    get = under.add_parser("get", help="print a value (not in a pane, where agents can read)")
    get.add_argument("name", metavar="NAME", help="of the store, a variable, or the .env file")
    shown = under.add_parser("list", help="names, and where each value comes from; never a value")
    shown.add_argument("--json", action="store_true", help="print them as JSON")
    under.add_parser("rotate", help="encrypt all values under a new key, and forget the old one")
    gone = under.add_parser("remove", help="forget a value")
    gone.add_argument("name", metavar="NAME")


def main(args: argparse.Namespace) -> int:
    from ...services.places import find
    from ...services.secrets import Secrets
    from .. import out

    secrets = Secrets(find(os.environ), os.environ)
    match args.what:
        case "set":
            secret = _named(args.name)
            was = secrets.store.put(secret, _given(secret, from_stdin=args.stdin))
            print(f"{secret.name} {'changed' if was else 'kept'} in {secrets.store.store}; YAML: !secret {secret.name}")
        case "get":
            secret = _named(args.name)
            _only_for_people()
            value = secrets.value(secret)
            print(f"{secret.name} is printed to {_where()}", file=sys.stderr)
            print(value)
        case "list":
            found = secrets.listed()
            if args.json:
                out.as_json(found)
            elif found:
                out.table(["NAME", "FROM"], [[one.name, one.where] for one in found])
            else:
                print("no secrets: `tmux-agent secret set NAME`")
        case "rotate":
            print(f"{secrets.store.rotate()} under a new key, the old one is gone: {secrets.store.key}")
        case _:
            secret = _named(args.name)
            secrets.store.remove(secret)
            print(f"{secret.name} removed from {secrets.store.store}")
    return 0


def _named(name: str) -> Secret:
    try:
        return Secret.of(name)
    except ValueError as why:
        raise InvalidParams(str(why)) from None


def _given(secret: Secret, *, from_stdin: bool) -> str:
    if from_stdin or not sys.stdin.isatty():
        data = sys.stdin.buffer.read(VALUE_BYTES + 2)
        try:
            return data.decode().removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError:
            raise InvalidParams(f"the value of {secret.name} is not UTF-8: write it in base64") from None
    import getpass

    return getpass.getpass(f"value of {secret.name} (not shown): ")


def _only_for_people() -> None:
    """Raises Forbidden in a pane, below an agent, or without a terminal: where approvals cannot be answered either."""
    from ...core.model import Role
    from ...services.identity import Identity

    origin = Identity().identify(os.getpid(), os.getuid())
    if origin.role is not Role.OPERATOR:
        raise Forbidden(
            f"secrets are printed for people only, and not here ({origin.why}): use a terminal outside tmux"
        )


def _where() -> str:
    """What stdout is, in words."""
    try:
        return os.ttyname(sys.stdout.fileno())
    except OSError:
        return (
            os.readlink(f"/proc/self/fd/{sys.stdout.fileno()}") if os.path.exists("/proc/self/fd") else "a file or pipe"
        )
