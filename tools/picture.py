"""Draws what a terminal showed as an SVG for the README: ``python -m tools.picture <text file> <svg file>``."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text
from rich.theme import Theme

WIDTH = 124
_STYLES = (
    (r"#+(?=[#!>.]*\])", "good"),
    (r"!+(?=[#!>.]*\])", "bad"),
    (r">+(?=[#!>.]*\])", "busy"),
    (r"\b(COMPLETED|completed|succeeded|passed)\b", "good"),
    (r"\b(HALTED|halted|rolled_back|rolled back|failed|START_FAILED|EXITED)\b", "bad"),
    (r"\b(RUNNING|open|applying|promoted|downloading)\b", "busy"),
    (r"^\[ *[0-9.]+ s\]", "quiet"),
)


def draw(text: str) -> str:
    """Return an SVG that needs no font, script or picture from anywhere else."""
    theme = Theme({"good": "#009e73", "bad": "#d55e00", "busy": "#56b4e9", "quiet": "#8a8a8a"})
    console = Console(record=True, width=WIDTH, file=io.StringIO(), theme=theme)
    for line in text.splitlines():
        styled = Text(line)
        for pattern, style in _STYLES:
            styled.highlight_regex(pattern, style)
        console.print(styled)
    svg = console.export_svg(title="make demo", unique_id="demo")
    without_fonts = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    return re.sub(r"font-family: [^;]+;", "font-family: monospace;", without_fonts)


def main() -> int:
    """Draw one file."""
    source, target = (Path(argument) for argument in sys.argv[1:3])
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(draw(source.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
