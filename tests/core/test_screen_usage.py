"""core/screen_usage.py: what screens say of cost and context."""

from __future__ import annotations

import pytest

from tmux_agent.core.screen_usage import said


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (["  98% context left · ? for shortcuts"], "98 % context left"),
        (["gpt-5 · Context 12% left"], "12 % context left"),
        (["Context left until auto-compact: 7%"], "7 % context left"),
        (["Context 40% used"], "40 % context used"),
        (["  12,345 tokens", "  6% used", "  $0.02 spent"], "6 % context used, $0.02"),
        (["90% context left", "80% context left"], "80 % context left"),
        (["coverage: 98.6% used", "it costs $5", "x$3 spent"], ""),
        ([], ""),
    ],
)
def test_said(lines: list[str], found: str) -> None:
    assert said(lines) == found
