"""Turns what is to be said into styled lines: spans of text with a role, in the theme's colours, in ASCII at need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text

from fleetroll_tui.model.progress import cells, shares
from fleetroll_tui.signs import BAR, SPARKS, UNKNOWN, sign_of, to_ascii
from fleetroll_tui.text import fit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from fleetroll_tui.signs import Sign
    from fleetroll_tui.theme import Palette

Span = tuple[str, str]
"""Text and its role: a colour's name, with "!" at its end for bold."""


LEAST_TOP = 2
"""A column of full height stands for at least so many: one host in a minute is no storm."""


class Paint:
    """The hand that paints."""

    def __init__(self, palette: Palette, *, ascii_only: bool = False) -> None:
        """Paint in these colours."""
        self.palette = palette
        self.ascii_only = ascii_only
        self._styles: dict[tuple[str, str], Style] = {}

    def style(self, role: str, behind: str = "") -> Style:
        """Return the style of a role on a background; "" leaves the background alone."""
        style = self._styles.get((role, behind))
        if style is None:
            name = role.rstrip("!") or "text"
            background = self.palette.of(behind) if behind else None
            style = Style(color=self.palette.of(name), bgcolor=background, bold=role.endswith("!") or None)
            self._styles[role, behind] = style
        return style

    def word(self, text: str) -> str:
        """Return the text in the letters that may be used."""
        return to_ascii(text) if self.ascii_only else text

    def line(self, *spans: Span) -> Text:
        """Return one line."""
        text = Text(no_wrap=True, overflow="ellipsis", end="")
        for words, role in spans:
            text.append(self.word(words), self.style(role))
        return text

    def lines(self, lines: Iterable[Sequence[Span]]) -> Text:
        """Return lines, one below the other."""
        return Text("\n", end="").join([self.line(*spans) for spans in lines])

    def sign(self, table: Mapping[str, Sign], state: str, *, bold: bool = False) -> Span:
        """Return a state's glyph and word."""
        sign = sign_of(table, state)
        glyph = sign.ascii if self.ascii_only else sign.glyph
        return f"{glyph} {sign.word}", sign.role + ("!" if bold else "")

    def glyph(self, table: Mapping[str, Sign], state: str) -> Span:
        """Return a state's glyph alone: the word stands elsewhere on the line."""
        sign = sign_of(table, state)
        return (sign.ascii if self.ascii_only else sign.glyph), sign.role

    def bar(self, counts: dict[str, int], hosts: int, width: int) -> list[Span]:
        """Return a bar of so many cells: each part has its own filling, so that it reads without colour."""
        parts = cells(shares(counts, hosts), width)
        return [(filling * parts[part], role) for part, filling, role in BAR if parts[part]]

    def columns(self, series: Sequence[int | None], role: str, rows: int) -> list[list[Span]]:
        """Return numbers as columns, so many lines high; the line at the bottom is there for zeros too.

        What is not known, None, has a sign of its own there.
        """
        steps = len(SPARKS) - 1
        top = max(LEAST_TOP, *(value or 0 for value in series))
        levels = [max(2, value * steps * rows // top) if value else 0 for value in series]
        lines: list[list[Span]] = []
        for row in range(rows - 1, -1, -1):
            line: list[Span] = []
            for value, level in zip(series, levels, strict=True):
                mark = SPARKS[max(0, min(steps, level - row * steps))]
                flat = ("▁" if value is not None else UNKNOWN, "muted")
                line.append(flat if mark == " " and row == 0 else (mark, role))
            lines.append(line)
        return lines


def pad(spans: Sequence[Span], width: int) -> list[Span]:
    """Return spans that fill exactly ``width`` cells, cut where they are longer."""
    found: list[Span] = []
    left = width
    for words, role in spans:
        if left <= 0:
            break
        cut = words if _cells(words) <= left else fit(words, left)
        found.append((cut, role))
        left -= _cells(cut)
    if left > 0:
        found.append((" " * left, "text"))
    return found


def joined(spans: Iterable[Span]) -> list[Span]:
    """Return spans that look the same, in fewer pieces: each piece costs at each paint, and blanks have no colour.

    What comes after blanks is a piece of its own: so columns stay in line in pictures too, whatever their font.
    """
    found: list[Span] = []
    held, held_role = "", ""
    for words, role in spans:
        if not words.strip(" ") or (role == held_role and not held.endswith(" ")):
            held += words
        else:
            if held:
                found.append((held, held_role))
            held, held_role = words, role
    if held:
        found.append((held, held_role))
    return found


def _cells(words: str) -> int:
    return len(words) if words.isascii() else cell_len(words)


def size(spans: Sequence[Span]) -> int:
    """Return how many cells spans take."""
    return sum(_cells(words) for words, _ in spans)
