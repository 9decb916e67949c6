"""A pane of text that may be longer than it: it scrolls by the keys of lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding
from textual.containers import VerticalScroll

from fleetroll_tui.commands import COMMANDS, LIST
from fleetroll_tui.widgets.lines import Lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult

    from fleetroll_tui.paint import Paint, Span

SCROLLS = {
    "down": "scroll_down",
    "up": "scroll_up",
    "top": "scroll_home",
    "bottom": "scroll_end",
    "page_down": "scroll_page_down",
    "page_up": "scroll_page_up",
}
"""Keys of lists, and what they do to a text."""


class Pages(VerticalScroll, can_focus=True):
    """The pane."""

    BINDINGS: ClassVar = [
        Binding(command.key, f"pages('{command.name}')", command.label, show=False)
        for command in COMMANDS
        if command.places == (LIST,) and command.name in SCROLLS
    ]

    def __init__(self, paint: Paint, **options: Any) -> None:
        """Be empty."""
        super().__init__(**options)
        self._text = Lines(paint, grows=True, classes="text")

    def compose(self) -> ComposeResult:
        """Hold the text."""
        yield self._text

    def show_lines(self, lines: Sequence[Sequence[Span]]) -> None:
        """Show these lines; where one has scrolled to stays."""
        self._text.show_lines(lines)

    def action_pages(self, name: str) -> None:
        """Scroll."""
        getattr(self, SCROLLS[name])(animate=False)
