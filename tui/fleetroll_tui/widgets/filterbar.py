"""The line in which a filter is written; what is wrong with it is said under the place where it is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Input

from fleetroll_tui.model.filters import MAX_CHARS
from fleetroll_tui.widgets.line_input import PlainInput
from fleetroll_tui.widgets.lines import Lines

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from fleetroll_tui.model.terms import FilterError
    from fleetroll_tui.paint import Paint


class FilterBar(Vertical):
    """An input and a line for its error. It filters with each key."""

    BINDINGS: ClassVar = [
        Binding("escape", "give_up", "Clear", show=False),
        Binding("down", "done", "Rows", show=False),
    ]

    class Changed(Message):
        """Another filter is asked for; the receiver sets :attr:`FilterBar.error`."""

        def __init__(self, text: str) -> None:
            """Keep the text."""
            super().__init__()
            self.text = text

    class Done(Message):
        """The writer goes back to the rows."""

    def __init__(self, paint: Paint, hint: str, **options: Any) -> None:
        """Be closed."""
        super().__init__(**options)
        self.paint = paint
        self._input = PlainInput(placeholder=hint, id="filter-input", compact=True, max_length=MAX_CHARS)
        self._error = Lines(paint, id="filter-error")

    def compose(self) -> ComposeResult:
        """Put the error under the input."""
        yield self._input
        yield self._error

    def open(self, text: str) -> None:
        """Show the input with a filter in it."""
        self.add_class("-open")
        with self.prevent(Input.Changed):
            self._input.value = text
        self._input.cursor_position = len(text)
        self._input.focus()

    def close(self) -> None:
        """Hide the input."""
        self.remove_class("-open")
        self.fault(None)

    def fault(self, error: FilterError | None) -> None:
        """Say what is wrong, and where; or that nothing is."""
        self.set_class(error is not None, "-wrong")
        if error is not None:
            at = min(error.at, max(0, self.size.width - 4))
            self._error.show_lines([[(" " * (at + 1), "bad"), ("▲", "bad!")], [(f" {error.message}", "bad")]])

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter with each key."""
        event.stop()
        self.post_message(self.Changed(event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go back to the rows."""
        event.stop()
        self.post_message(self.Done())

    def action_done(self) -> None:
        """Go back to the rows."""
        self.post_message(self.Done())

    def action_give_up(self) -> None:
        """Clear the filter and go back to the rows."""
        self._input.value = ""
        self.post_message(self.Changed(""))
        self.post_message(self.Done())
