"""The last line: the keys that work now; or, after one press of the kill switch, what the second would do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from fleetroll_tui.paint import Paint, Span, size
from fleetroll_tui.theme import BANDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import RenderResult

    from fleetroll_tui.commands import Command


class KeyLine(Widget):
    """The line itself."""

    def __init__(self, paint: Paint, **options: Any) -> None:
        """Name no key yet."""
        super().__init__(**options)
        self.paint = paint
        self._said: tuple[tuple[tuple[str, str], ...], str] = ((), "")

    def show(self, commands: Sequence[Command], warning: str = "") -> None:
        """Name these keys; a warning takes their place."""
        said = (tuple((command.shown, command.label) for command in commands), warning)
        if said != self._said:
            self._said = said
            self.refresh()

    def render(self) -> RenderResult:
        """Return nothing: the line is drawn by :meth:`render_line`."""
        return ""

    def render_line(self, y: int) -> Strip:
        """Return the line; keys that don't fit are left to the help, whose key is kept."""
        width = self.size.width
        keys, warning = self._said
        if y:
            return Strip.blank(width)
        if warning:
            colours = BANDS["production"]
            style = Style(color=colours.front, bgcolor=colours.behind, bold=True)
            return Strip([Segment(self.paint.word(f" {warning} "), style)]).adjust_cell_length(width, style)
        shown = [[(f" {key}", "wait!"), (f" {label} ", "text")] for key, label in keys]
        tail = shown[-1:]
        room = width - size([span for spans in tail for span in spans])
        line: list[Span] = []
        for spans in shown[:-1]:
            if size([*line, *spans]) <= room:
                line += spans
        line += tail[0] if tail else []
        segments = [Segment(self.paint.word(words), self.paint.style(role, "bar")) for words, role in line]
        return Strip(segments).adjust_cell_length(width, self.paint.style("text", "bar"))
