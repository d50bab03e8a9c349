"""The pages behind signed links: what is asked, and two forms. A GET never answers, so what fetches links to preview
them, or warms a cache, answers nothing.

Owns the HTML and what a form may hold. Must not own: who may answer (services/links.py), the listener (http.py). A link
is all that is asked for: whoever has it may answer. So that no other site's page can send the form, the token is in it,
and a browser that says it comes from elsewhere is refused.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Awaitable
from html import escape
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

from ..core import display, errors
from ..core.model import Approval, ApprovalState
from ..core.wording import one_line
from ..services.links import PATH, Links, Shown
from .http import HTML, Http, Request, Response

FORM_BYTES = 32 << 10
FORM = "application/x-www-form-urlencoded"
_FIELDS = frozenset(("token", "verdict", "comment", "option"))
_STYLE = """
body{font:16px/1.45 system-ui,sans-serif;margin:1rem auto;max-width:46rem;padding:0 1rem;color:#1a1a1a;background:#fff}
pre{background:#f3f3f3;padding:.8rem;white-space:pre-wrap;overflow-wrap:anywhere;border-left:4px solid #888}
pre.high{border-color:#c00}pre.medium{border-color:#c80}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem;font-size:.9rem}dt{color:#666}
dd{margin:0;overflow-wrap:anywhere}
form{margin:1rem 0}label{display:block;margin:.3rem 0}
input[type=text]{width:100%;font:inherit;padding:.4rem;box-sizing:border-box}
button{font:inherit;padding:.6rem 1.6rem;margin:.3rem .6rem .3rem 0}
@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}pre{background:#262626}dt{color:#999}}
"""
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow, noarchive",
}


class _Form(NamedTuple):
    approved: bool
    comment: str
    option: int | None


class LinkPages:
    """The routes of the links. Built with the server."""

    def __init__(self, links: Links, http: Http) -> None:
        self._links = links
        http.route("GET", PATH, lambda request: _told(self._show(request)))
        http.route("POST", PATH, lambda request: _told(self._answer(request)))

    async def _show(self, request: Request) -> Response:
        shown = await self._links.look(request.rest, request.peer)
        if shown.approval.state is not ApprovalState.PENDING:
            return _page(410, "Nothing to answer", f"<p>{_escaped(_ended(shown.approval))}</p>")
        if shown.approval.digest != shown.link.digest:
            raise errors.Conflict("the request is no longer what this link was made for")
        return _page(200, shown.sheet.title, _asked(shown, request.rest))

    async def _answer(self, request: Request) -> Response:
        _check_sender(request, self._links.host)
        form = _read_form(request)
        settled = await self._links.answer(
            request.rest, request.peer, form.approved, comment=form.comment, option=form.option
        )
        word = "Approved" if form.approved else "Denied"
        line = display.middle(display.safe(one_line(settled.action)[:4000]), 300)
        return _page(200, word, f"<p>{word}. You can close this page.</p><pre>{_escaped(line)}</pre>")


async def _told(work: Awaitable[Response]) -> Response:
    """What is wrong, as a page a person can read."""
    try:
        return await work
    except errors.TmuxAgentError as why:
        return _page(_STATUS.get(type(why), 400), "Not answered", f"<p>{_escaped(display.safe(why.message))}.</p>")


_STATUS: dict[type[errors.TmuxAgentError], int] = {
    errors.NotFound: 404,
    errors.Forbidden: 403,
    errors.Conflict: 409,
    errors.Expired: 410,
    errors.LimitExceeded: 429,
    errors.Unavailable: 503,
}


# --- what comes in ---


def _check_sender(request: Request, host: str) -> None:
    """Raises Forbidden where a browser says that another site's page sent the form. `host`: what a proxy calls us."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise errors.Forbidden("the form was sent from another site")
    origin = request.headers.get("origin", "null")  # "null": what a browser says that was told to name no referrer
    ours = (request.headers["host"].rpartition(":")[0] or request.headers["host"], host)
    if origin != "null" and (urlsplit(origin).hostname or "") not in ours:
        raise errors.Forbidden("the form was sent from another site")


def _read_form(request: Request) -> _Form:
    """Raises InvalidParams for anything but the fields of our forms, each once; Forbidden without the token."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM or request.query:
        raise errors.InvalidParams(f"send the form as {FORM}")
    if len(request.body) > FORM_BYTES:
        raise errors.InvalidParams(f"the form is longer than {FORM_BYTES} bytes")
    try:
        pairs = parse_qsl(
            request.body.decode("ascii"), keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=8
        )
    except ValueError:
        raise errors.InvalidParams("the form cannot be read") from None
    fields = dict(pairs)
    if len(fields) != len(pairs) or not fields.keys() <= _FIELDS:
        raise errors.InvalidParams("the form has fields that it should not have, or one of them twice")
    if not hmac.compare_digest(fields.get("token", "").encode(), request.rest.encode()):
        raise errors.Forbidden("the form is not that of this link")
    verdict, option = fields.get("verdict"), fields.get("option", "")
    if verdict not in ("approve", "deny") or not re.fullmatch(r"[0-9]{0,4}", option):
        raise errors.InvalidParams("the form says neither approve nor deny, or names no option by its number")
    comment = fields.get("comment", "").replace("\r\n", "\n").strip()
    return _Form(verdict == "approve", comment, int(option) if option else None)


# --- pages ---


def _asked(shown: Shown, token: str) -> str:
    sheet = shown.sheet
    facts = "".join(f"<dt>{_escaped(label)}</dt><dd>{_escaped(what)}</dd>" for label, what in sheet.facts)
    options = "".join(
        f'<label><input type="radio" name="option" value="{at}" required> {_escaped(option)}</label>'
        for at, option in enumerate(sheet.options)
    )
    yes = _form(token, "approve", "Approve", options)
    if sheet.only_no:
        yes = f"<p>No yes from here: {_escaped(sheet.only_no)}.</p>"
    risk = shown.approval.risk.value
    return f'<pre class="{risk}">{_escaped(sheet.body)}</pre><dl>{facts}</dl>{yes}{_form(token, "deny", "Deny", "")}'


def _form(token: str, verdict: str, word: str, inside: str) -> str:
    """Posts to the page that it is on, under whatever path a proxy serves it."""
    return (
        f'<form method="post" autocomplete="off"><input type="hidden" name="token" value="{_escaped(token)}">{inside}'
        f'<label>Comment for the asker<input type="text" name="comment" maxlength="1000"></label>'
        f'<button name="verdict" value="{verdict}">{word}</button></form>'
    )


def _ended(approval: Approval) -> str:
    when = f" at {approval.answer.at:%H:%M:%S} UTC" if approval.answer else ""
    return f"This request is {approval.state.value} already{when}."


def _page(status: int, title: str, inside: str) -> Response:
    html = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{_escaped(title)}</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="robots" content="noindex">'
        f"<style>{_STYLE}</style></head><body><h1>{_escaped(title)}</h1>{inside}</body></html>\n"
    )
    return Response(status, html.encode(errors="replace"), HTML, HEADERS)


def _escaped(text: str) -> str:
    return escape(text, quote=True)

