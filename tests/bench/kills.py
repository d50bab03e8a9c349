"""`kill -9` at random points of a pipeline of six stages, each of which types something and runs something."""

from __future__ import annotations

import functools
import random

from tests.bench.world import Row
from tests.end_to_end.pipeline_world import STEP, World, six
from tests.plugin.terminal import Server
from tests.sidecar import Peer, Sidecar, came, sidecar, until

KILLS = 200
SPREAD = 0.5  # seconds after tmux was attached in which the kill comes; such a run takes about one


class Story:
    """One run to its end, killed again and again meanwhile."""

    def __init__(self, world: World, chance: random.Random) -> None:
        self._world = world
        self._chance = chance
        self.kills = 0
        self.again: list[str] = []  # stages whose command was running at a kill, and had not done anything
        self.asked = 0  # how often a person had to look

    def tell(self, kills: int) -> None:
        """Killed at most `kills` times, then left alone."""
        world = self._world
        while True:
            world.sidecar.start()
            if self.kills < kills and self._chance.random() < 0.1:  # before it knows of tmux
                self._kill()
                continue
            peer = world.attach()
            self._person(peer)
            done = functools.partial(self._done, peer)
            if self.kills >= kills:
                until(functools.partial(self._settled, peer))
            elif not came(done, self._chance.random() * SPREAD):
                self._kill()
                continue
            world.sidecar.stop()
            return

    def _settled(self, peer: Peer) -> bool:
        return self._done(peer) or self._person(peer)

    def _kill(self) -> None:
        self._world.sidecar.kill()
        self.kills += 1

    def _done(self, peer: Peer) -> bool:
        runs = self._world.runs(peer)
        return bool(runs) and runs[0]["state"] == "success"

    def _person(self, peer: Peer) -> bool:
        """Says of a stage that is unknown what became of its command: it has run (skip), or it has not (retry)."""
        for run in self._world.runs(peer):
            for stage in (one["name"] for one in run["stages"] if one["state"] == "unknown"):
                ran = f"r{stage[1]}" in self._world.sidecar.effects()
                self.again += [] if ran else [stage]
                self.asked += 1
                what = {"run_id": run["run_id"], "stage": stage}
                self._world.person().call("pipeline.skip" if ran else "pipeline.retry", what)
        return False

    def wrong(self) -> list[str]:
        """Actions that were not done exactly once (typed again where a person said to try the stage again)."""
        typed, run = self._world.typed(), self._world.sidecar.effects()
        found = []
        for number in range(6):
            wanted = 1 + self.again.count(f"s{number}")
            if typed.count(str(number)) != wanted:
                found.append(f"typed {number}: {typed.count(str(number))} times of {wanted}")
            if run.count(f"r{number}") != 1:
                found.append(f"ran {number}: {run.count(f'r{number}')} times")
        return found


def rows(quick: bool) -> list[Row]:
    left = KILLS // 10 if quick else KILLS
    killed = runs = asked = 0
    wrong: list[str] = []
    chance = random.Random()
    while killed < left:
        with sidecar(Sidecar) as one, Server() as tmux:
            world = World(one, tmux)
            one.program("step", STEP)
            world.file(six())
            world.window("w")
            story = Story(world, chance)
            story.tell(min(12, left - killed))
            killed, runs, asked = killed + story.kills, runs + 1, asked + story.asked
            wrong += story.wrong()
    if wrong:
        raise AssertionError(f"{killed} kills: " + "; ".join(wrong))
    return [
        Row(
            name=f"pipelines: {killed} × kill -9, {runs} runs of 6 stages, 12 actions",
            ours=f"each action once ({asked} times unknown)", bound="each once", held=not wrong,
        )
    ]  # fmt: skip
