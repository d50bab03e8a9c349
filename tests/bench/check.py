"""policy.check: one round trip beside a bare asyncio echo, and 100 clients beside one that pipelines."""

from __future__ import annotations

import json
import os
import select
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

from tests.bench.world import Row, World, against, middle
from tests.patience import PATIENCE

CLIENTS = 100
ROUNDS = 10
ECHO = """
import asyncio, sys
class Echo(asyncio.Protocol):
    def connection_made(self, transport): self.transport = transport
    def data_received(self, data): self.transport.write(data)
async def main():
    server = await asyncio.get_running_loop().create_unix_server(Echo, sys.argv[1])
    print("ready", flush=True)
    await server.serve_forever()
asyncio.run(main())
"""


def request(project: Path) -> bytes:
    params = {"shell": "git status --short", "cwd": str(project)}
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": "policy.check", "params": params}).encode() + b"\n"


def rows(quick: bool) -> list[Row]:
    # Their own limit on requests a second would be what is measured.
    with World(settings={"TMUX_AGENT_LIMITS_REQUESTS_PER_SECOND": "10000000"}) as world:
        return [*round_trips(world, 1000 if quick else 5000), many(world, 20_000 if quick else 100_000)]


# --- one at a time ---


def round_trips(world: World, rounds: int) -> list[Row]:
    """On one processor, and between two. Left to itself the kernel wakes the echo on the client's own processor and the
    sidecar, which works a little longer, on the other one, which costs more than all that either does."""
    line = request(world.project)
    path = str(world.folder / "echo")
    echo = subprocess.Popen([sys.executable, "-c", ECHO, path], stdout=subprocess.PIPE)
    mine = os.sched_getaffinity(0)
    first, last = min(mine), max(mine)
    try:
        assert echo.stdout
        echo.stdout.readline()
        bare = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        bare.connect(path)
        with bare, world.connect() as ours:
            servers = (echo.pid, peer_of(ours))
            os.sched_setaffinity(0, {first})
            found = []
            for name, place in (("one processor", first), ("two", last)):
                for pid in servers:
                    os.sched_setaffinity(pid, {place})
                found.append(round_trip(f"policy.check round trip, {name}", bare, ours, line, rounds))
            os.sched_setaffinity(servers[1], mine)
    finally:
        os.sched_setaffinity(0, mine)
        echo.kill()
        echo.wait()
        if echo.stdout:
            echo.stdout.close()
    return found


def peer_of(ours: socket.socket) -> int:
    """The pid of the sidecar."""
    pid: int = struct.unpack("3i", ours.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
    return pid


def round_trip(name: str, bare: socket.socket, ours: socket.socket, line: bytes, rounds: int) -> Row:
    allowed = b'"verdict":"allow"' in turn(ours, line)[1]
    floors, times = [], []
    for _ in range(rounds):
        floors.append(turn(bare, line)[0])
        times.append(turn(ours, line)[0])
    return against(name + ("" if allowed else " (NOT allowed)"), middle(floors), middle(times), 3, 1e6, "µs")


def turn(peer: socket.socket, line: bytes) -> tuple[float, bytes]:
    start = time.perf_counter()
    peer.sendall(line)
    reply = b""
    while not reply.endswith(b"\n"):
        chunk = peer.recv(65536)
        if not chunk:
            raise RuntimeError(f"the connection ended after {reply!r}")
        reply += chunk
    return time.perf_counter() - start, reply


# --- many at once ---


def many(world: World, checks: int) -> Row:
    """Both keep 100 requests on their way: one client all of them, or 100 clients one each. In turn, ten times."""
    line = request(world.project)
    part = checks // ROUNDS
    load(world, line, clients=1, window=CLIENTS, checks=part)
    rounds = []
    for _ in range(ROUNDS):
        alone, _ = load(world, line, clients=1, window=CLIENTS, checks=part)
        rounds.append((alone, *load(world, line, clients=CLIENTS, window=1, checks=part)))
    ratios = sorted(alone / together for alone, together, _ in rounds)
    dropped = sum(one[2] for one in rounds)
    return Row(
        name=f"{CLIENTS} clients at once, {checks} checks",
        floor=f"{part / middle([one[0] for one in rounds]):.0f}/s",
        ours=f"{part / middle([one[1] for one in rounds]):.0f}/s, {dropped} dropped",
        ratio=f"{middle(ratios):.2f}×",
        bound=f"≥ 0.7×, 0 ({ratios[0]:.2f}–{ratios[-1]:.2f})",
        held=middle(ratios) >= 0.7 and dropped == 0,
    )


def load(world: World, line: bytes, *, clients: int, window: int, checks: int) -> tuple[float, int]:
    """Seconds until all are answered, and how many were not answered well. It shares the processors with the sidecar,
    so it does as little as it can."""
    peers = {peer.fileno(): peer for peer in (world.connect() for _ in range(clients))}
    for peer in peers.values():
        turn(peer, line)  # accepted and identified
    unsent = dict.fromkeys(peers, checks // clients - window)
    unheard, good = checks, 0
    start = time.perf_counter()
    with select.epoll() as waiting:
        for number, peer in peers.items():
            waiting.register(number, select.EPOLLIN)
            peer.sendall(line * window)
        while unheard > 0 and (ready := waiting.poll(PATIENCE)):
            for number, _ in ready:
                peer = peers[number]
                chunk = peer.recv(1 << 16)
                heard = chunk.count(b"\n")
                good += chunk.count(b'"result":{')
                unheard -= heard
                if not chunk:
                    waiting.unregister(number)
                elif more := min(heard, unsent[number]):
                    unsent[number] -= more
                    peer.sendall(line * more)
    took = time.perf_counter() - start
    for peer in peers.values():
        peer.close()
    return took, checks - good
