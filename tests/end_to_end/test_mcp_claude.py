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
SERVER = {
    "command": sys.executable,
    "args": ["-P", "-m", "tmux_agent", "mcp"],
    "env": {"PYTHONPATH": str(ROOT / "sidecar")},
}


def turn(tool: str, **arguments: Any) -> dict[str, Any]:
    return {"tool": {"name": f"{NAME}{tool}", "args": arguments}}


def test_claude_uses_the_tools() -> None:
    """Run after a yes, not after a no, whose reason Claude reads; it is Claude who asks, not a bridge."""
    async def run() -> None:
        with sidecar() as one:
            one.program("asked", (one.bin / "allowed").read_text())
            one.start()
            home = one.folder / "c"
            home.mkdir()
            (home / "mcp.json").write_text(json.dumps({"mcpServers": {"tmux-agent": SERVER}}))
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
                await claude.offers(f"{NAME}command_run")
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


def test_a_permission_holds_at_both_doors() -> None:
    """Given for this session at a hook, it holds for a call over MCP of the same Claude, and the other way round."""

    async def run() -> None:
        with sidecar() as one:
            for name in ("asked", "other"):
                one.program(name, (one.bin / "allowed").read_text())
            one.start()
            home = one.folder / "c"
            home.mkdir()
            (home / "mcp.json").write_text(json.dumps({"mcpServers": {"tmux-agent": SERVER}}))
            script = {
                "go-hook": [
                    {"shell": "asked once"},
                    turn("command_run", command="asked", args=["once"]),
                    {"text": "The first turn is over."},
                ],
                "go-call": [
                    turn("command_run", command="other", args=["once"]),
                    {"shell": "other once"},
                    {"text": "The second turn is over."},
                ],
                "*": [{"text": "Hello."}],
            }
            person, claude = Person(one), Claude(home, one.socket)
            try:
                flags = ("--mcp-config", str(home / "mcp.json"), "--allowedTools", "mcp__tmux-agent")
                await claude.start(script, *flags)
                await claude.offers(f"{NAME}command_run")
                await claude.say("please go-hook")
                opened = await person.answers(grant="shape")
                assert opened["origin"]["door"] == "hook"
                await claude.shows("The first turn is over.")
                assert one.effects() == ["once"]
                await claude.say("please go-call")
                opened = await person.answers(grant="shape")
                assert opened["origin"].get("door") != "hook"
                await claude.shows("The second turn is over.")
                assert [record["type"] for record in one.records()].count("approval.opened") == 2
                assert [record["type"] for record in one.records()].count("grant.used") == 2
            finally:
                await claude.close()

    asyncio.run(run())
