"""Signed links: a text that stands for one answer to one request as it was shown, until a time, once.

Owns the token's form and its signature. Pure: time, randomness and keys are passed in. Must not own: which keys there
are (services/link_keys.py), which links were used (services/links.py).

A token is `tal1_` and base64url (no padding, one spelling) of a body of fixed size and its HMAC-SHA256. Nothing of the
body is looked at but the key's name before the signature was found right, in constant time.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import struct
from collections.abc import Mapping

from msgspec import Struct

from .errors import Expired, Forbidden

_PURPOSE = b"tmux-agent link v1\0"
_BODY = struct.Struct(">8s26s32sQQ16s")  # key, request, digest, issued, expires, nonce
_MAC = 32
_TOKEN = re.compile(r"tal1_([A-Za-z0-9_-]{174})")
_SKEW = 60  # seconds that a clock may have been set back since a link was made
KEY_BYTES = 32


class Link(Struct, frozen=True, kw_only=True):
    """What a link says. Times are whole seconds since 1970."""

    key: str  # name of the key that it is signed with, 16 hex digits
    request_id: str
    digest: str  # of what was asked when it was made, 64 hex digits
    issued: int
    expires: int
    nonce: str  # 32 hex digits

    @property
    def id(self) -> str:
        """What records call it: enough to tell links apart, too little to use one."""
        return self.nonce[:8]


def sign(link: Link, secret: bytes) -> str:
    """The token of a link. Raises ValueError where a field does not have its form."""
    if len(link.request_id.encode()) != 26 or len(link.key) != 16 or len(link.digest) != 64 or len(link.nonce) != 32:
        raise ValueError(f"no link can be made for {link.request_id!r}")
    body = _BODY.pack(
        bytes.fromhex(link.key), link.request_id.encode(), bytes.fromhex(link.digest), link.issued, link.expires,
        bytes.fromhex(link.nonce),
    )  # fmt: skip
    return "tal1_" + base64.urlsafe_b64encode(body + _mac(body, secret)).decode().rstrip("=")


def verify(token: str, keys: Mapping[str, bytes], now: float) -> Link:
    """The link of a token that was signed with one of these keys (by name) and holds at `now`.

    Raises Forbidden for everything that we have not made just so, Expired for what we have, at another time.
    """
    found = _TOKEN.fullmatch(token)
    raw = base64.urlsafe_b64decode(found[1] + "==") if found else bytes(_BODY.size + _MAC)
    body, mac = raw[: _BODY.size], raw[_BODY.size :]
    name = body[:8].hex()
    right = hmac.compare_digest(mac, _mac(body, keys.get(name, bytes(KEY_BYTES))))
    canonical = found is not None and base64.urlsafe_b64encode(raw).decode().rstrip("=") == found[1]
    if not (right and canonical and name in keys):
        raise Forbidden("this link is not one of ours, or not all of it, or its key was taken out of use")
    _, request_id, digest, issued, expires, nonce = _BODY.unpack(body)
    link = Link(
        key=name, request_id=request_id.decode(), digest=digest.hex(), issued=issued, expires=expires, nonce=nonce.hex()
    )
    if now >= expires:
        raise Expired("this link has expired")
    if now < issued - _SKEW:
        raise Expired("this link was made later than now: this machine's clock was set back")
    return link


def name_of(secret: bytes) -> str:
    """What a key is called: it says nothing of the key."""
    return hashlib.sha256(_PURPOSE + b"name\0" + secret).hexdigest()[:16]


def derived(text: str) -> bytes:
    """The key that a person's own secret stands for."""
    return hmac.digest(text.encode(), _PURPOSE + b"key\0", "sha256")


def _mac(body: bytes, secret: bytes) -> bytes:
    return hmac.digest(secret, _PURPOSE + body, "sha256")
