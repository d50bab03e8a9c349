"""The base of every reply's `data`: members may be added later, so clients ignore what they do not know."""

from __future__ import annotations

from msgspec import Struct


class Data(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of all replies."""


class Nothing(Data, frozen=True):
    """Done; there is nothing to say."""
