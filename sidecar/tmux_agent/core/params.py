"""The base of every method's params: frozen, by name only, and an unknown member is an error that names it."""

from __future__ import annotations

from msgspec import Struct


class Params(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Base of all params."""
