"""services/system.py: what loading and reloading hand on to other services."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tmux_agent.core.settings import Notify
from tmux_agent.services import places
from tmux_agent.services.system import System


def test_the_policys_notify_stands_over_that_of_config(tmp_path: Path) -> None:
    """At the start and after each reload; without one config.yaml's counts again."""
    environ = {name: str(tmp_path / name.lower()) for name in ("HOME", "XDG_RUNTIME_DIR", "TMUX_AGENT_CONFIG_DIR")}
    where = places.find(environ)
    where.config.mkdir()
    (where.config / "config.yaml").write_text("notify: {urls: json://settings}\n")
    policy = where.config / "policy.yaml"
    policy.write_text("notify: {urls: json://policy}\n")

    async def told() -> list[Notify]:
        system = await System.build(environ, where)
        try:
            seen = [system.notify.wanted]
            policy.write_text("notify: {urls: json://other}\n")
            assert (await system.reload()).errors == ()
            seen.append(system.notify.wanted)
            policy.write_text("notify: {url: json://wrong}\n")
            assert len((await system.reload()).errors) == 1
            seen.append(system.notify.wanted)
            policy.unlink()
            await system.reload()
            return [*seen, system.notify.wanted]
        finally:
            await system.close()

    urls = [one.urls[0] for one in asyncio.run(told())]
    assert urls == ["json://policy", "json://other", "json://other", "json://settings"]
