"""Filter and order of a screen's list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from fleetroll_tui.model.terms import FilterError
from fleetroll_tui.widgets.filterbar import FilterBar
from fleetroll_tui.widgets.table import VirtualTable

if TYPE_CHECKING:
    from fleetroll_tui.screens.base import ConsoleScreen


class Filtering:
    """The part of a screen that is about its list."""

    @property
    def _screen(self) -> ConsoleScreen:
        return cast("ConsoleScreen", self)

    def listing(self) -> Any:
        """Return the list that filter and sort are about; None for none."""
        return None

    def do_filter(self) -> None:
        """Write a filter."""
        self._screen.query_one("#filter", FilterBar).open(self.listing().filter.text)

    def filter_by(self, text: str) -> None:
        """Filter, or show what is wrong with the filter."""
        bar = self._screen.query_one("#filter", FilterBar)
        try:
            self.listing().filter_by(text)
        except FilterError as error:
            bar.fault(error)
        else:
            bar.fault(None)
            self._screen.repaint_now()

    def on_filter_bar_changed(self, event: FilterBar.Changed) -> None:
        """Filter with each key."""
        self.filter_by(event.text)

    def on_filter_bar_done(self) -> None:
        """Go back to the rows."""
        self._screen.query_one("#filter", FilterBar).close()
        self.focus_list()

    def focus_list(self) -> None:
        """Give the list the focus that the filter is about."""
        self._screen.query(VirtualTable).first().focus()

    def do_sort(self) -> None:
        """Sort by the next column."""
        self.listing().sort_next()
        self._screen.repaint_now()

    def do_turn(self) -> None:
        """Turn the order round."""
        self.listing().turn()
        self._screen.repaint_now()
