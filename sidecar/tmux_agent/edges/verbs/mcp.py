"""`tmux-agent mcp`: the guarded tools for an agent that speaks MCP, which starts this as its child."""

from __future__ import annotations

import argparse
import os


def add(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "Named in the agent's own configuration (docs/mcp.md); by hand, it waits for JSON lines."


def main(args: argparse.Namespace) -> int:  # noqa: ARG001 - every verb takes them
    import asyncio

    from ..mcp import stdio

    source, sink = os.dup(0), os.dup(1)
    os.dup2(2, 1)  # nothing but messages reaches the client, whoever prints
    asyncio.run(stdio.serve(source, sink))
    return 0
