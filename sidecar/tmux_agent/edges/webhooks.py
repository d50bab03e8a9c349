"""Incoming webhooks: POST /hooks/NAME on the HTTP listener, for the checks that wait for it.

Owns the headers that say who sent what (GitHub's, and a plain one for others). Must not own: signatures and what is
kept (services/checks/deliveries.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..core.errors import Forbidden
from .http import Handler, Request, Response

if TYPE_CHECKING:
    from ..services.checks.deliveries import Deliveries

PREFIX = "/hooks/"


def handler(deliveries: Callable[[], Deliveries]) -> Handler:
    """What answers requests beneath PREFIX: 202 once what came is durable, and again for what came before."""

    async def deliver(request: Request) -> Response:
        headers = request.headers
        if "origin" in headers:  # every browser says so for a page's POST: a page is nobody who may tell us
            raise Forbidden("no web page is listened to here")
        new = await deliveries().receive(
            request.rest,
            headers.get("x-hub-signature-256", ""),
            headers.get("x-github-delivery") or headers.get("x-delivery-id", ""),
            request.body,
        )
        return Response(202, b"taken\n" if new else b"known already\n")

    return deliver
