"""A line in which somebody writes; what a terminal could obey never gets into it."""

from __future__ import annotations

from textual.widgets import Input

from fleetroll_tui.text import one_line


class PlainInput(Input):
    """An input of one line that says what it shows: letters that others' words are cleaned of are in it by number."""

    def validate_value(self, value: str) -> str:
        """Clean whatever is set."""
        return one_line(value, self._most(value))

    def replace(self, text: str, start: int, end: int) -> None:
        """Put text in another's place, clean before the cursor moves behind it: all typing comes to this."""
        super().replace(one_line(text, self._most(text)), start, end)

    def _most(self, text: str) -> int:
        """Return how much to read of a text: so much that what is too long for the line stays too long."""
        return min(len(text), self.max_length + 1) if self.max_length else len(text)
