"""Every release of every product."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fleetroll_tui import commands
from fleetroll_tui.places import Place
from fleetroll_tui.screens.base import ConsoleScreen
from fleetroll_tui.screens.freshness import age_span, empty_words
from fleetroll_tui.screens.hosts import list_title
from fleetroll_tui.screens.release_columns import release_columns
from fleetroll_tui.text import of
from fleetroll_tui.widgets.lines import Lines
from fleetroll_tui.widgets.table import VirtualTable

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from fleetroll_tui.model.releases import Release


class ReleasesScreen(ConsoleScreen):
    """The releases."""

    kind = commands.RELEASES
    hint = "web  product:shop  state:yanked  version:<2  channel:stable  is:unused  published:<7d  !not  a | b"
    AUTO_FOCUS = "#releases"

    def compose_body(self) -> ComposeResult:
        """Make the title and the table."""
        yield Lines(self.paint, id="title", classes="title")
        yield VirtualTable(self.session.releases, release_columns(), self.paint, id="releases", bound=True)

    def listing(self) -> Any:
        """Return the releases."""
        return self.session.releases

    def release(self) -> Release | None:
        """Return the one under the cursor."""
        return self.session.papers.releases.get(self.query_one("#releases", VirtualTable).key)

    def paint_body(self, now: float) -> None:
        """Show the rows."""
        session, listing = self.session, self.session.releases
        session.count_releases()
        listing.refresh(now)
        table, catalogue = self.query_one("#releases", VirtualTable), session.papers.catalogue
        filtered = not listing.filter.empty
        empty = "no release fits the filter: esc clears it" if filtered else "no release yet: fleetroll release publish"
        table.empty = self.waiting_words(empty_words(catalogue, "the releases", empty))
        table.sync(now)
        title = list_title(listing, "releases")
        title.append((f"   of {of(len(catalogue.value.products), 'product')}", "muted"))
        title.append(age_span(catalogue, session.ticks()))
        self.query_one("#title", Lines).show_lines([title])

    def on_virtual_table_opened(self, event: VirtualTable.Opened) -> None:
        """Go to the release."""
        self.console.go(Place(commands.RELEASE, event.key))
