"""Line plots as SVG that need no font, script or picture from anywhere else."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

COLOURS = ("#009e73", "#56b4e9", "#999999", "#e69f00", "#d55e00")
"""Okabe and Ito's, which most kinds of colour blindness tell apart."""
MARKS = ("circle", "square", "circle", "square", "circle")
WIDTH, HEIGHT, LEFT, TOP, GAP = 300, 200, 50, 40, 70


@dataclass(frozen=True)
class Panel:
    """One plot: values >= 0 by the name of their line, one for each label."""

    title: str
    labels: Sequence[str]
    lines: Mapping[str, Sequence[float]]


def draw(panels: Sequence[Panel], below: str) -> str:
    """Return the panels side by side, with one legend."""
    names = list(panels[0].lines)
    width = LEFT + len(panels) * (WIDTH + GAP)
    height = TOP + HEIGHT + 60 + 18 * len(names)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"',
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for place, panel in enumerate(panels):
        parts.append(f'<g transform="translate({LEFT + place * (WIDTH + GAP)},{TOP})">')
        parts.extend(_panel(panel))
        parts.append("</g>")
    parts.append(f'<text x="{LEFT}" y="{TOP + HEIGHT + 45}" fill="#555555">{escape(below)}</text>')
    for place, name in enumerate(names):
        y = TOP + HEIGHT + 66 + 18 * place
        parts.append(_mark(LEFT + 6, y - 4, place))
        parts.append(f'<text x="{LEFT + 20}" y="{y}">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _panel(panel: Panel) -> Iterator[str]:
    """Give the axes, four steps on a square-root scale (small fleets must be seen beside large ones), and the lines."""
    top = max((value for line in panel.lines.values() for value in line), default=1.0) or 1.0
    yield f'<text x="0" y="-16" font-weight="bold">{escape(panel.title)}</text>'
    for step in range(5):
        value = top * (step / 4) ** 2
        y = HEIGHT * (1 - step / 4)
        yield f'<line x1="0" y1="{y:.1f}" x2="{WIDTH}" y2="{y:.1f}" stroke="#dddddd"/>'
        yield f'<text x="-6" y="{y + 4:.1f}" text-anchor="end" fill="#555555">{value:.3g}</text>'
    across = WIDTH / max(1, len(panel.labels) - 1)
    for place, label in enumerate(panel.labels):
        yield f'<text x="{place * across:.1f}" y="{HEIGHT + 18}" text-anchor="middle" fill="#555555">{label}</text>'
    for place, line in enumerate(panel.lines.values()):
        points = [(at * across, HEIGHT * (1 - (value / top) ** 0.5)) for at, value in enumerate(line)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        yield f'<polyline points="{path}" fill="none" stroke="{COLOURS[place]}" stroke-width="2"/>'
        yield from (_mark(x, y, place) for x, y in points)


def _mark(x: float, y: float, place: int) -> str:
    colour = COLOURS[place]
    if MARKS[place] == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>'
    return f'<rect x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8" fill="{colour}"/>'
