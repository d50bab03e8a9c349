"""What terminals send for tmux's names of keys."""

from __future__ import annotations

import pytest

from tmux_agent.services.tmux import keys


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        ("A", "A"),
        ("C-b", "\x02"),
        ("C-B", "\x02"),
        ("C-Space", "\0"),
        ("C-]", "\x1d"),
        ("M-a", "\x1ba"),
        ("C-M-a", "\x1b\x01"),
        ("Space", " "),
        ("-", "-"),
        ("C-1", ""),
        ("F5", ""),
        ("None", ""),
        ("", ""),
        ("ä", ""),
    ],
)
def test_typed(name: str, typed: str) -> None:
    """Plain, control and meta keys; nothing for what terminals send differently."""
    assert keys.typed(name) == typed
