"""Persistent terminals: `true` typed into a shell and its end heard, beside the same by hand: send-keys, wait-for."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from tests.bench.world import Row, middle
from tests.plugin.terminal import Server
from tests.sidecar import Peer, Sidecar, sidecar, until

ROUNDS, QUICK = 200, 40
BOUND = 0.025  # seconds, p50
ALLOW = "  - {name: nothing, when: {command: ['true']}, verdict: allow, match: ['true'], not_match: ['true x']}\n"


def rows(quick: bool) -> list[Row]:
    count = QUICK if quick else ROUNDS
    with _world() as (peer, tmux):
        bare: list[float] = []
        ours: list[float] = []
        for number in range(count):
            bare.append(_by_hand(tmux, number))
            ours.append(_executed(peer))
        floor, took = middle(bare), middle(ours)
    return [
        Row(
            name="exec true in a persistent bash, policy asked, p50",
            floor=f"{floor * 1e3:.1f} ms",
            ours=f"{took * 1e3:.1f} ms (p90 {sorted(ours)[int(count * 0.9)] * 1e3:.1f} ms)",
            ratio=f"{took / floor:.2f}×",
            bound=f"≤ {BOUND * 1e3:.0f} ms",
            held=took <= BOUND,
        )
    ]


@contextlib.contextmanager
def _world() -> Iterator[tuple[Peer, Server]]:
    """One pane for each way, so that neither waits for the other's prompt."""
    with sidecar(Sidecar) as one, Server() as tmux:
        policy = one.config / "policy.yaml"
        policy.write_text(policy.read_text() + ALLOW)
        for name in ("ours", "bare"):
            tmux.run("new-session", "-d", "-s", name, "-x", "100", "-y", "30", "env PS1='$ ' bash --norc --noprofile")
        one.start()
        peer = one.agent()
        peer.call("tmux.attach", {"socket": tmux.socket})
        until(lambda: peer.request("tmux.panes").get("result", {}).get("data", {}).get("panes"))
        _executed(peer)
        yield peer, tmux


def _executed(peer: Peer) -> float:
    start = time.perf_counter()
    found = peer.call("tmux.execute", {"session": "ours", "command": "true", "wait_ms": 60_000})
    took = time.perf_counter() - start
    assert (found["status"], found["exit_code"]) == ("done", 0), found
    return took


def _by_hand(tmux: Server, number: int) -> float:
    """Two tmux processes: what a script has to do to know that a command in a pane has ended, and nothing more."""
    start = time.perf_counter()
    tmux.run("send-keys", "-t", "bare", f"true; tmux -S {tmux.socket} wait-for -S e{number}", "Enter")
    tmux.run("wait-for", f"e{number}")
    return time.perf_counter() - start
