"""GET /metrics of the HTTP listener, where config.yaml switches it on. Numbers and known words only: any program of
this machine may read them. Must not own: what is counted (services/counts.py, metrics.py).
"""

from __future__ import annotations

from ..services.metrics import CONTENT_TYPE, Metrics
from .http import Handler, Request, Response

PATH = "/metrics"


def page(metrics: Metrics) -> Handler:
    """The handler that tells them."""

    async def answer(_: Request) -> Response:
        return Response(200, await metrics.text(), CONTENT_TYPE)

    return answer
