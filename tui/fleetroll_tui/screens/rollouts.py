"""Every rollout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fleetroll_tui import commands
from fleetroll_tui.places import Place
from fleetroll_tui.screens.base import ConsoleScreen
from fleetroll_tui.screens.columns import rollout_columns
from fleetroll_tui.screens.hosts import list_title
from fleetroll_tui.widgets.lines import Lines
from fleetroll_tui.widgets.table import VirtualTable

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from fleetroll_tui.model.values import Rollout


class RolloutsScreen(ConsoleScreen):
    """The rollouts."""

    kind = commands.ROLLOUTS
    hint = "web  state:halted  version:>=1.5  by:ana  started:<1d  !not  a | b"
    AUTO_FOCUS = "#rollouts"

    def compose_body(self) -> ComposeResult:
        """Make the title and the table."""
        yield Lines(self.paint, id="title", classes="title")
        yield VirtualTable(self.session.rollouts, rollout_columns(), self.paint, id="rollouts", bound=True)

    def listing(self) -> Any:
        """Return the rollouts."""
        return self.session.rollouts

    def rollout(self) -> Rollout | None:
        """Return the one under the cursor."""
        return self.session.fleet.rollouts.get(self.query_one("#rollouts", VirtualTable).key)

    def paint_body(self, now: float) -> None:
        """Show the rows."""
        listing = self.session.rollouts
        listing.refresh(now)
        table = self.query_one("#rollouts", VirtualTable)
        filtered = not listing.filter.empty
        empty = "no rollout fits the filter: esc clears it" if filtered else "no rollouts yet: fleetroll rollout start"
        table.empty = self.waiting_words(empty)
        table.sync(now)
        self.query_one("#title", Lines).show_lines([list_title(listing, "rollouts")])

    def on_virtual_table_opened(self, event: VirtualTable.Opened) -> None:
        """Go to the rollout."""
        self.console.go(Place(commands.ROLLOUT, event.key))
