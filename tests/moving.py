"""A recording as a moving picture: `python -m tests.moving CAST PNG` (animated PNG, as browsers show it).

Owns which moments are pictures: what stands for a moment, not each letter. Uses what a player lets pass.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pyte
from PIL import Image
from tests.drawing import DARK, Drawing
from tests.edges.ui.real_tmux import Screen

from tmux_agent.core.cast import Cast, size_of
from tmux_agent.core.cast_safe import Safe
from tmux_agent.services.cast_files import read_file

STANDS = 0.25  # seconds after which something is seen
SIZE = 14  # of the letters
COLOURS = 128
LAST = 4.0  # seconds of the last picture


def moments(recording: Cast, idle: float) -> Iterator[tuple[pyte.Screen, float]]:
    """The screen whenever it stands still, and how many seconds it does (`idle` at the most)."""
    header = recording.header
    screen = Screen(header.width, header.height)
    stream, safe = pyte.Stream(screen), Safe(header.height)
    since = 0.0
    for index, one in enumerate(recording.events):
        if one.code == "r" and (shape := size_of(one.data)):
            screen.resize(shape[1], shape[0])
            stream.feed(safe.resized(shape[1]))
        elif one.code == "o":
            stream.feed(safe.feed(one.data))
        after = recording.events[index + 1].at if index + 1 < len(recording.events) else one.at + LAST
        if after - one.at >= STANDS:
            yield screen, max(min(after - since, idle), STANDS) if index + 1 < len(recording.events) else LAST
            since = after


def moving(recording: Cast, path: Path, *, idle: float) -> int:
    """Draw it; how many pictures there are."""
    drawing = Drawing(DARK, SIZE)
    pictures: list[Image.Image] = []
    seconds: list[float] = []
    for screen, stands in moments(recording, idle):
        pictures.append(drawing.draw(screen))
        seconds.append(stands)
    palette = _palette(pictures)
    first, *rest = [one.quantize(palette=palette, dither=Image.Dither.NONE) for one in pictures]
    times = [round(1000 * one) for one in seconds]
    first.save(path, save_all=True, append_images=rest, duration=times, loop=0, optimize=True)
    return len(pictures)


def _palette(pictures: list[Image.Image]) -> Image.Image:
    """One for all, so that only what changes has to be stored."""
    width, height = pictures[0].size
    all_of_them = Image.new("RGB", (width, height * len(pictures)))
    for index, one in enumerate(pictures):
        all_of_them.paste(one, (0, height * index))
    return all_of_them.quantize(COLOURS, Image.Quantize.MAXCOVERAGE)


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:3])
    print(moving(read_file(source), target, idle=2.0), "pictures")
