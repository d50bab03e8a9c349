"""services/system.py: what loading and reloading hand on to other services."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tmux_agent.core.channels import Notify
from tmux_agent.services import lifecycle, places, reloading


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {name: str(tmp_path / name.lower()) for name in ("HOME", "XDG_RUNTIME_DIR", "TMUX_AGENT_CONFIG_DIR")}


def test_popups_that_are_open_outlive_a_new_socket(tmp_path: Path, environ: dict[str, str]) -> None:
    """Bound again elsewhere, relays are told the new place; what is open, and its nonces, are still known."""

    async def story() -> None:
        where = places.find(environ)
        where.config.mkdir()
        system = await lifecycle.begin(environ, where)
        try:
            system.listening(tmp_path / "one", lambda _: None)
            before = system.showing.popups
            system.listening(tmp_path / "two", lambda _: None)
            assert before is system.showing.popups is not None
            assert system.showing.popups._relay[-1] == str(tmp_path / "two")
        finally:
            await lifecycle.end(system)

    asyncio.run(story())


def test_the_policys_notify_stands_over_that_of_config(tmp_path: Path) -> None:
    """At the start and after each reload; without one config.yaml's counts again."""
    environ = {name: str(tmp_path / name.lower()) for name in ("HOME", "XDG_RUNTIME_DIR", "TMUX_AGENT_CONFIG_DIR")}
    where = places.find(environ)
    where.config.mkdir()
    (where.config / "config.yaml").write_text("notify: {urls: json://settings}\n")
    policy = where.config / "policy.yaml"
    policy.write_text("notify: {urls: json://policy}\n")

    async def told() -> list[Notify]:
        system = await lifecycle.begin(environ, where)
        try:
            seen = [system.notify.wanted]
            policy.write_text("notify: {urls: json://other}\n")
            assert (await reloading.reload(system)).errors == ()
            seen.append(system.notify.wanted)
            policy.write_text("notify: {url: json://wrong}\n")
            assert len((await reloading.reload(system)).errors) == 1
            seen.append(system.notify.wanted)
            policy.unlink()
            await reloading.reload(system)
            return [*seen, system.notify.wanted]
        finally:
            await lifecycle.end(system)

    urls = [one.urls[0] for one in asyncio.run(told())]
    assert urls == ["json://policy", "json://other", "json://other", "json://settings"]
