"""A pane of text: lines that a function makes from the model, drawn again only when they are others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.widgets import Static

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fleetroll_tui.paint import Paint, Span
    from fleetroll_tui.theme import Palette


class Lines(Static):
    """Lines of spans."""

    def __init__(self, paint: Paint, *, grows: bool = False, **options: Any) -> None:
        """Be empty. One that ``grows`` is as high as its lines; others keep their size, which is much cheaper."""
        super().__init__("", **options)
        self.grows = grows
        self.paint = paint
        self._shown: tuple[Palette | None, list[list[Span]]] = (None, [])

    def show_lines(self, lines: Sequence[Sequence[Span]]) -> None:
        """Show these lines."""
        wanted = (self.paint.palette, [list(line) for line in lines])
        if wanted != self._shown:
            self._shown = wanted
            self.update(self.paint.lines(lines), layout=self.grows)


class ScrollLines(Lines, can_focus=True):
    """Lines that can be scrolled, where there may be more than fit."""
