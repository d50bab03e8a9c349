"""A terminal's screen (pyte) as a picture: for docs/screens.

Needs the fonts DejaVu Sans Mono and Noto Sans Mono CJK (Debian: fonts-dejavu, fonts-noto-cjk).
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import pyte
from PIL import Image, ImageDraw, ImageFont
from wcwidth import wcwidth

DARK = {
    "default": ("#d8dce4", "#16181d"), "black": "#2a2d35", "red": "#f0716f", "green": "#8cc570", "brown": "#e5b567",
    "blue": "#6aa5f0", "magenta": "#c58fe8", "cyan": "#58c4c9", "white": "#d8dce4",
}  # fmt: skip
LIGHT = {
    "default": ("#2c303a", "#fbfaf7"), "black": "#2c303a", "red": "#c4302b", "green": "#3d8527", "brown": "#9a6700",
    "blue": "#2563c9", "magenta": "#8a3fb5", "cyan": "#0b7d86", "white": "#8a8f99",
}  # fmt: skip
SIZE = 20


def font(name: str, size: int, index: int = 0) -> ImageFont.FreeTypeFont:
    for folder in ("/usr/share/fonts/truetype/dejavu", "/usr/share/fonts/opentype/noto"):
        path = Path(folder) / name
        if path.exists():
            return ImageFont.truetype(str(path), size, index=index)
    raise SystemExit(f"font {name} is not installed (Debian: fonts-dejavu, fonts-noto-cjk)")


class Drawing:
    """A pyte screen as a picture."""

    def __init__(self, palette: dict[str, Any], size: int = SIZE) -> None:
        self.palette, self.size = palette, size
        self.plain = font("DejaVuSansMono.ttf", size)
        self.bold = font("DejaVuSansMono-Bold.ttf", size)
        self.cell = (round(self.plain.getlength("M")), round(size * 1.3))

    @cached_property
    def wide(self) -> ImageFont.FreeTypeFont:
        return font("NotoSansCJK-Regular.ttc", self.size, 5)

    def colour(self, name: str, ground: bool) -> str:
        if name == "default":
            return str(self.palette["default"][ground])
        name = name.removeprefix("bright")
        return str(self.palette.get(name, f"#{name}" if len(name) == 6 else self.palette["default"][ground]))

    def mix(self, front: str, back: str, part: float) -> str:
        pairs = zip(*(bytes.fromhex(c.lstrip("#")) for c in (front, back)), strict=True)
        return "#" + "".join(f"{round(a * part + b * (1 - part)):02x}" for a, b in pairs)

    def draw(self, screen: pyte.Screen) -> Image.Image:
        width, height = self.cell
        margin = self.size
        size = (screen.columns * width + 2 * margin, screen.lines * height + 2 * margin)
        image = Image.new("RGB", size, self.palette["default"][1])
        pen = ImageDraw.Draw(image)
        for y in range(screen.lines):
            for x in range(screen.columns):
                self.draw_cell(pen, screen.buffer[y][x], margin + x * width, margin + y * height)
        if not screen.cursor.hidden:
            x, y = margin + screen.cursor.x * width, margin + screen.cursor.y * height
            pen.rectangle([x, y, x + width - 1, y + height - 1], outline=self.palette["default"][0])
        return image

    def save(self, screen: pyte.Screen, path: Path) -> None:
        self.draw(screen).save(path, optimize=True)
        print(path)

    def draw_cell(self, pen: ImageDraw.ImageDraw, char: Any, left: int, top: int) -> None:
        front, back = self.colour(char.fg, False), self.colour(char.bg, True)
        if char.blink:  # stands for dim (see real_tmux.Screen)
            front = self.mix(front, back, 0.55)
        if char.reverse:
            front, back = back, front
        cells = max(1, wcwidth(char.data[0])) if char.data else 0
        if not cells:
            return
        width, height = self.cell
        pen.rectangle([left, top, left + width * cells - 1, top + height - 1], fill=back)
        if self.line(pen, char.data, left, top, front) or not char.data.strip():
            return
        chosen = self.wide if cells == 2 else self.bold if char.bold else self.plain
        pen.text((left, top + height * 0.78), char.data, font=chosen, fill=front, anchor="ls")
        if char.underscore:
            pen.line([left, top + height - 3, left + width * cells, top + height - 3], fill=front)
        if char.strikethrough:
            pen.line([left, top + height // 2, left + width * cells, top + height // 2], fill=front)

    def line(self, pen: ImageDraw.ImageDraw, data: str, left: int, top: int, colour: str) -> bool:
        """Box characters are drawn, so that they meet."""
        width, height = self.cell
        x, y = left + width // 2, top + height // 2
        arms = {"─": "lr", "│": "ud", "┌": "rd", "┐": "ld", "└": "ru", "┘": "lu", "├": "udr", "┤": "udl"}.get(data)
        if data == "▌":
            pen.rectangle([left, top, left + width // 2 - 1, top + height - 1], fill=colour)
            return True
        low, high = y - width // 2, y + width // 2
        if data == "⏸":  # these two DejaVu has not
            for bar in (left + 1, left + width - 4):
                pen.rectangle([bar, low, bar + 2, high], fill=colour)
            return True
        if data == "⏵":
            pen.polygon([(left + 1, low), (left + width - 1, y), (left + 1, high)], fill=colour)
            return True
        if arms is None:
            return False
        ends = {"l": (left, y), "r": (left + width, y), "u": (x, top), "d": (x, top + height)}
        for arm in arms:
            pen.line([(x, y), ends[arm]], fill=colour, width=1)
        return True
