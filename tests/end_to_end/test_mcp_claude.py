"""The MCP bridge used by the real Claude Code, hooks and all, with a person who answers."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import pytest
from tests.end_to_end.real_claude import PROGRAM, SKIP, Claude
from tests.end_to_end.test_mcp import Person
from tests.sidecar import ROOT, sidecar

pytestmark = [pytest.mark.skipif(PROGRAM is None, reason=SKIP), pytest.mark.timeout(600)]

NAME = "mcp__tmux-agent__"


def turn(tool: str, **arguments: Any) -> dict[str, Any]:
    return {"tool": {"name": f"{NAME}{tool}", "args": arguments}}


def test_claude_uses_the_tools() -> None:
    """Run after a yes, not after a no, whose reason Claude reads; it is Claude who asks, not a bridge."""
    server = {
        "command": sys.executable,
        "args": ["-P", "-m", "tmux_agent", "mcp"],
        "env": {"PYTHONPATH": str(ROOT / "sidecar")},
    }

    async def run() -> None:
        with sidecar() as one:
            one.program("asked", (one.bin / "allowed").read_text())
            one.start()
            home = one.folder / "c"
            home.mkdir()
            (home / "mcp.json").write_text(json.dumps({"mcpServers": {"tmux-agent": server}}))
            script = {
                "go-mcp": [
                    turn("command_run", command="asked", args=["yes"]),
                    turn("command_run", command="asked", args=["no"]),
                    {"text": "The MCP turn is over."},
                ],
                "*": [{"text": "Hello."}],
            }
            person, claude = Person(one), Claude(home, one.socket)
            try:
                flags = ("--mcp-config", str(home / "mcp.json"), "--allowedTools", "mcp__tmux-agent")
                await claude.start(script, *flags)
                await claude.say("please go-mcp")
                opened = await person.answers()
                await person.answers(False, comment="the second is one too many")
                await claude.shows("The MCP turn is over.")
                assert one.effects() == ["yes"]
                assert "exit_code" in claude.results()
                assert "the second is one too many" in claude.results()
                assert opened["origin"]["agent"] == "claude"
            finally:
                await claude.close()

    asyncio.run(run())
