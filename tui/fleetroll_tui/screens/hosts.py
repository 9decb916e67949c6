"""Every host: a table that is filtered, sorted and marked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fleetroll_tui import commands
from fleetroll_tui.places import Place
from fleetroll_tui.screens.base import ConsoleScreen
from fleetroll_tui.screens.columns import host_columns
from fleetroll_tui.text import clean, number
from fleetroll_tui.widgets.lines import Lines
from fleetroll_tui.widgets.table import VirtualTable

if TYPE_CHECKING:
    from textual.app import ComposeResult


def list_title(listing: Any, noun: str) -> list[tuple[str, str]]:
    """Return how many rows are shown, by which filter and in which order."""
    total, shown = len(listing.shelf), len(listing)
    words = f" {number(shown)} of {number(total)} {noun}" if not listing.filter.empty else f" {number(total)} {noun}"
    line = [(words, "text!"), (f"   by {listing.order.name} {'↓' if listing.descending else '↑'}", "muted")]
    if not listing.filter.empty:
        line.append((f"   filter {clean(listing.filter.text)}", "wait"))
    if listing.marks:
        line.append((f"   {number(len(listing.marks))} marked", "wait"))
    return line


class HostsScreen(ConsoleScreen):
    """The hosts."""

    kind = commands.HOSTS
    hint = (
        "web  state:failed  is:offline  updates:behind  fleet:eu-*  label:site=ams  version:<1.5  seen:>5m  !not  a | b"
    )
    AUTO_FOCUS = "#hosts"

    def compose_body(self) -> ComposeResult:
        """Make the title and the table."""
        yield Lines(self.paint, id="title", classes="title")
        yield VirtualTable(self.session.hosts, host_columns(), self.paint, id="hosts")

    def listing(self) -> Any:
        """Return the hosts."""
        return self.session.hosts

    def paint_body(self, now: float) -> None:
        """Show the rows."""
        listing = self.session.hosts
        listing.refresh(now)
        table = self.query_one("#hosts", VirtualTable)
        filtered = not listing.filter.empty
        empty = "no host fits the filter: esc clears it" if filtered else "no hosts yet: fleetroll tokens join create"
        table.empty = self.waiting_words(empty)
        table.sync(now)
        self.query_one("#title", Lines).show_lines([list_title(listing, "hosts")])

    def on_virtual_table_opened(self, event: VirtualTable.Opened) -> None:
        """Go to the host."""
        self.console.go(Place(commands.HOST, event.key))
