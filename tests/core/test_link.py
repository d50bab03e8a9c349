"""Tokens of signed links: what was signed is read, and nothing else is."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tmux_agent.core import display, link
from tmux_agent.core.errors import Expired, Forbidden
from tmux_agent.core.link import Link
from tmux_agent.core.redact import redact_text

KEY = bytes(range(32))
OTHER = bytes(32)
NOW = 1_800_000_000
ONE = Link(
    key=link.name_of(KEY), request_id="01KQ0ZC3VJ8YH2P6W7X9RT4D5E", digest="ab" * 32, issued=NOW, expires=NOW + 3600,
    nonce="0123456789abcdef" * 2,
)  # fmt: skip
TOKEN = link.sign(ONE, KEY)
KEYS = {link.name_of(KEY): KEY}


def refused(token: str, kind: Any = Forbidden, keys: Any = KEYS, now: float = NOW) -> None:
    with pytest.raises(kind):
        link.verify(token, keys, now)


@given(
    st.binary(min_size=32, max_size=32), st.integers(0, 2**63), st.integers(61, 2**32),
    st.text("0123456789ABCDEFGHJKMNPQRSTVWXYZ", min_size=26, max_size=26), st.binary(min_size=16, max_size=16),
)  # fmt: skip
def test_what_was_signed_is_read(digest: bytes, issued: int, lasts: int, request_id: str, nonce: bytes) -> None:
    made = replace(
        ONE, digest=digest.hex(), issued=issued, expires=issued + lasts, request_id=request_id, nonce=nonce.hex()
    )
    token = link.sign(made, KEY)
    assert link.verify(token, KEYS, issued) == made
    assert len(token) == 179
    assert token.replace("_", "").replace("-", "").isalnum()


def test_every_changed_character_counts() -> None:
    """Also the spare bits of the last one, which no byte holds: one link has one spelling."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for at in range(len(TOKEN)):
        for letter in letters if at == len(TOKEN) - 1 else letters[at % 64] + letters[(at + 7) % 64]:
            if letter != TOKEN[at]:
                refused(TOKEN[:at] + letter + TOKEN[at + 1 :])


@pytest.mark.parametrize(
    "token",
    ["", "tal1_", TOKEN[5:], TOKEN[:-1], TOKEN[:-2], TOKEN + "A", TOKEN + "==", TOKEN + "\n", " " + TOKEN,
     TOKEN.upper(), "x" * 100_000,
     TOKEN.replace("tal1_", "tal2_"), "tal1_" + "A" * 174, "tal1_" + "é" * 174,
     TOKEN[:90] + "%41" + TOKEN[91:]],
)  # fmt: skip
def test_what_is_not_whole_is_refused(token: str) -> None:
    refused(token)


@given(st.binary(min_size=130, max_size=130))
def test_guesses_are_refused(raw: bytes) -> None:
    """Whatever key they name."""
    refused("tal1_" + base64.urlsafe_b64encode(ONE_KEY + raw[8:]).decode().rstrip("="))
    refused("tal1_" + base64.urlsafe_b64encode(raw).decode().rstrip("="))


ONE_KEY = bytes.fromhex(ONE.key)


def test_parts_of_two_links_make_none() -> None:
    """The request of one under the signature of another, each field by itself, and a key's name for another's key."""
    raw = base64.urlsafe_b64decode(TOKEN[5:] + "==")
    second = replace(
        ONE,
        request_id="01KQ0ZC3VJ8YH2P6W7X9RT4D5F",
        digest="cd" * 32,
        issued=NOW + 1,
        expires=NOW + 7200,
        nonce="ff" * 16,
    )
    other = base64.urlsafe_b64decode(link.sign(second, KEY)[5:] + "==")
    for start, end in ((8, 34), (34, 66), (66, 74), (74, 82), (82, 98), (98, 130)):
        mixed = raw[:start] + other[start:end] + raw[end:]
        refused("tal1_" + base64.urlsafe_b64encode(mixed).decode().rstrip("="))
    refused(link.sign(replace(ONE, key=link.name_of(KEY)), OTHER))
    refused(TOKEN, keys={link.name_of(KEY): OTHER})
    refused(TOKEN, keys={})
    refused(link.sign(replace(ONE, key="00" * 8), bytes(32)), keys=KEYS)  # what an unknown key is compared with


def test_it_holds_from_when_it_was_made_to_when_it_ends() -> None:
    """To the second; a clock that was set back far makes it wait, not last."""
    assert link.verify(TOKEN, KEYS, NOW + 3599.9) == ONE
    refused(TOKEN, Expired, now=NOW + 3600)
    assert link.verify(TOKEN, KEYS, NOW - 60) == ONE
    refused(TOKEN, Expired, now=NOW - 61)


def test_a_key_of_ones_own_is_not_its_text() -> None:
    """APPROVAL_SECRET is never a key itself, and a key's name does not tell it."""
    assert len(link.derived("your-secure-secret-here")) == 32
    assert link.derived("a") != link.derived("b")
    assert b"secret" not in link.derived("secret")
    assert link.name_of(KEY) != link.name_of(OTHER)


@given(st.binary(min_size=130, max_size=130))
def test_a_link_in_a_message_is_whole(raw: bytes) -> None:
    """What takes secrets out of texts and makes them safe leaves links as they are."""
    url = "https://laptop.example/a/tal1_" + base64.urlsafe_b64encode(raw).decode().rstrip("=")
    assert display.safe(redact_text(f"approve: {url}")) == f"approve: {url}"


def test_a_link_has_its_form() -> None:
    for wrong in ({"request_id": "x"}, {"key": "ab"}, {"digest": ""}, {"nonce": "00"}):
        with pytest.raises(ValueError):
            link.sign(replace(ONE, **wrong), KEY)
