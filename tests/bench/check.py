"""policy.check: one round trip beside a bare asyncio echo, and 100 clients beside one that pipelines."""

from __future__ import annotations

import json
import selectors
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import cast

from tests.bench.world import Row, World, against, middle

CLIENTS = 100
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
        return [round_trip(world, 1000 if quick else 5000), many(world, 20_000 if quick else 100_000)]


# --- one at a time ---


def round_trip(world: World, rounds: int) -> Row:
    line = request(world.project)
    path = str(world.folder / "echo")
    echo = subprocess.Popen([sys.executable, "-c", ECHO, path], stdout=subprocess.PIPE)
    try:
        assert echo.stdout
        echo.stdout.readline()
        bare = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        bare.connect(path)
        with bare, world.connect() as ours:
            allowed = b'"verdict":"allow"' in turn(ours, line)[1]
            floors, times = [], []
            for _ in range(rounds):
                floors.append(turn(bare, line)[0])
                times.append(turn(ours, line)[0])
    finally:
        echo.kill()
        echo.wait()
        if echo.stdout:
            echo.stdout.close()
    name = "policy.check round trip" + ("" if allowed else " (NOT allowed)")
    return against(name, middle(floors), middle(times), 3, 1e6, "µs")


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
    """Both keep 100 requests on their way: one client all of them, or 100 clients one each."""
    line = request(world.project)
    load(world, line, clients=1, window=CLIENTS, checks=checks // 10)
    alone, _ = load(world, line, clients=1, window=CLIENTS, checks=checks)
    together, dropped = load(world, line, clients=CLIENTS, window=1, checks=checks)
    ratio = alone / together
    return Row(
        name=f"{CLIENTS} clients at once, {checks} checks",
        floor=f"{checks / alone:.0f}/s",
        ours=f"{checks / together:.0f}/s, {dropped} dropped",
        ratio=f"{ratio:.2f}×",
        bound="≥ 0.7×, 0",
        held=ratio >= 0.7 and dropped == 0,
    )


def load(world: World, line: bytes, *, clients: int, window: int, checks: int) -> tuple[float, int]:
    """Seconds until all are answered, and how many were not answered well."""
    each = checks // clients
    peers = [world.connect() for _ in range(clients)]
    waiting = selectors.DefaultSelector()
    unsent, unheard = dict.fromkeys(peers, each - window), dict.fromkeys(peers, each)
    good = 0
    start = time.perf_counter()
    for peer in peers:
        waiting.register(peer, selectors.EVENT_READ)
        peer.sendall(line * window)
    while waiting.get_map():
        for key, _ in waiting.select(20):
            peer = cast(socket.socket, key.fileobj)
            chunk = peer.recv(1 << 18)
            heard = chunk.count(b"\n")
            good += chunk.count(b'"result":{')
            unheard[peer] -= heard
            more = min(heard, unsent[peer])
            if more:
                unsent[peer] -= more
                peer.sendall(line * more)
            if unheard[peer] <= 0 or not chunk:
                waiting.unregister(peer)
                peer.close()
    took = time.perf_counter() - start
    return took, checks - good
