"""What ends a recording besides a person: a full disk, a program that ends in a pane that stays; and what ends none."""

from __future__ import annotations

import os
from typing import Any

from tests.disk import Disk
from tests.end_to_end.test_casts import World, state, world
from tests.plugin.terminal import Server
from tests.sidecar import sidecar, until

assert world  # the fixture


def told(world: World, name: str) -> dict[str, Any]:
    (found,) = [one for one in world.person.call("cast.list")["casts"] if one["id"] == name]
    return found


def test_a_full_disk_ends_it_and_nothing_else() -> None:
    """The recording says why it ended, the sidecar serves on, and what was written before can be played."""
    with sidecar() as one, Server() as tmux:
        disk = Disk(one.state)
        try:
            world = World(one.start(), tmux)
            assert one.process is not None
            name = world.start()
            world.type("echo before")
            world.written(name, "before")
            disk.fill(one.process.pid)
            world.type("seq 20000")
            until(lambda: world.person.request("cast.list")["result"]["data"]["casts"][0]["state"] != "recording")
            assert world.person.call("health")["pid"] == one.process.pid
            disk.free(one.process.pid)
            until(lambda: told(world, name)["state"] in ("ended", "interrupted"))
            assert "before" in world.exported(name, "txt").splitlines()
            again = world.start()
            world.type("echo after")
            world.written(again, "after")
            world.stop(again)
        finally:
            disk.close()


def test_a_program_that_ends_in_a_pane_that_stays(world: World) -> None:
    """remain-on-exit: what was recorded has ended, and what is started there anew is not taken for it."""
    pane = world.window("env PS1='$ ' bash --norc")
    world.tmux.run("set-option", "-p", "-t", pane, "remain-on-exit", "on")
    name = world.start(pane)
    world.type("echo last words; exit", pane)
    until(lambda: state(world, name) == "ended")
    assert "last words" in world.exported(name, "txt").splitlines()
    world.tmux.run("respawn-pane", "-t", pane, "cat")
    assert state(world, name) == "ended"


def test_what_lies_about_holds_up_no_start(world: World) -> None:
    """A FIFO, a link and no text under the names of notes: the sidecar starts, and lists its own."""
    name = world.start()
    world.stop(name)
    world.sidecar.kill()
    folder = world.sidecar.state / "casts"
    os.mkfifo(folder / f"{name[:-2]}22.json")
    (folder / f"{name[:-2]}00.json").symlink_to("/dev/zero")
    (folder / f"{name[:-2]}11.json").write_bytes(b'{"id": "\xff"}')
    world.sidecar.start()
    world.attach()
    assert [one["id"] for one in world.person.call("cast.list")["casts"]] == [name]
