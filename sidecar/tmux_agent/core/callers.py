"""Which callers count as one, where something is limited for each. Pure."""

from __future__ import annotations

from .model import Origin


def family(origin: Origin) -> str:
    """Which of its kin count as one with a peer, without blanks: its agent's, its pane's, or else its topmost
    ancestor's at that terminal. What has left all of them stands for itself."""
    if origin.door == "chat":
        return origin.session  # whoever spoke, whichever bot relayed it
    if origin.agent:
        return f"agent:{origin.session}".replace(" ", "_")
    if origin.pane:
        return f"pane:{origin.server}:{origin.pane}".replace(" ", "_")
    pids = [word.rpartition("(")[2].removesuffix(")") for word in origin.ancestry]
    above = [pid for pid in pids if pid != "1"]
    return f"below:{above[-1] if above else origin.pid}:{origin.tty or ''}".replace(" ", "_")
