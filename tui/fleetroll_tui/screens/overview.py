"""The fleet in numbers, what waits for a person, what goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual.containers import Horizontal, Vertical

from fleetroll_tui import commands
from fleetroll_tui.model.decisions import waits_for_person
from fleetroll_tui.model.fleet import TILES
from fleetroll_tui.model.lists import ShortList
from fleetroll_tui.places import Place
from fleetroll_tui.screens.base import TABS_BELOW, ConsoleScreen
from fleetroll_tui.screens.columns import event_columns, rollout_columns, waiting_columns
from fleetroll_tui.screens.panels import rate_lines, share_lines
from fleetroll_tui.text import number, percent
from fleetroll_tui.widgets.lines import Lines
from fleetroll_tui.widgets.table import VirtualTable

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from fleetroll_tui.model.values import Rollout

MOST_WAITING, MOST_ACTIVE = 6, 9
"""Rows that are seen at once."""
FILTERS = {
    "online": "is:online",
    "offline": "is:offline",
    "behind": "updates:behind",
    "updating": "is:updating",
    "failed": "is:failed",
}
ROLES = {"online": "ok", "offline": "bad", "behind": "wait", "updating": "active", "failed": "bad"}
GLYPHS = {"online": "●", "offline": "○", "behind": "↓", "updating": "◐", "failed": "✖"}


class Tile(Lines, can_focus=True):
    """One number; enter opens the hosts behind it."""

    def __init__(self, name_of_tile: str, paint: Any, **options: Any) -> None:
        """Count hosts of one kind."""
        super().__init__(paint, **options)
        self.tile = name_of_tile

    def show_number(self, hosts: int, total: int) -> None:
        """Show how many; zero is dim."""
        role = ROLES[self.tile] if hosts else "muted"
        share = percent(hosts / total) if total else "–"
        width = max(0, self.size.width)
        filled = max(1, hosts * width // total) if hosts and total else 0
        self.show_lines(
            [
                [(f"{GLYPHS[self.tile]} ", role), (self.tile, "text" if hosts else "muted")],
                [(number(hosts), role + "!" if hosts else "muted"), (f"  {share}", "muted")],
                [("█" * filled, role), ("░" * (width - filled), "muted")],
            ]
        )

    def open_row(self) -> None:
        """Open the hosts."""
        screen = self.screen
        if isinstance(screen, OverviewScreen):
            screen.open_tile(self.tile)

    def on_click(self) -> None:
        """Open the hosts."""
        self.open_row()


class OverviewScreen(ConsoleScreen):
    """The overview."""

    kind = commands.OVERVIEW
    panes: ClassVar = ("waiting", "active", "events", *(f"tile-{tile}" for tile in TILES))
    AUTO_FOCUS = "#waiting"

    def __init__(self, place: Place) -> None:
        """Have two short lists of rollouts."""
        super().__init__(place)
        self.waiting: ShortList[Rollout] = ShortList()
        self.active: ShortList[Rollout] = ShortList()

    def compose_body(self) -> ComposeResult:
        """Make tiles, lists and panes."""
        with Horizontal(id="tiles"):
            for tile in TILES:
                yield Tile(tile, self.paint, id=f"tile-{tile}", classes=f"tile tile-{ROLES[tile]}")
        with Horizontal(id="columns"):
            with Vertical(id="left"):
                yield VirtualTable(
                    self.waiting, waiting_columns(), self.paint, id="waiting", classes="pane", bound=True
                )
                columns = [column for column in rollout_columns() if column.title not in {"fleet", "who", "started"}]
                yield VirtualTable(self.active, columns, self.paint, id="active", classes="pane", bound=True)
                events = event_columns(self.host_name)
                yield VirtualTable(self.session.events(), events, self.paint, id="events", classes="pane")
            with Vertical(id="right"):
                yield Lines(self.paint, id="versions", classes="pane")
                yield Lines(self.paint, id="codes", classes="pane")
                yield Lines(self.paint, id="rates", classes="pane")

    def on_mount(self) -> None:
        """Name the panes."""
        titles = {
            "waiting": "Waiting for you",
            "active": "Rollouts under way",
            "versions": "Versions",
            "codes": "Failed hosts by code",
            "rates": "Last hour",
            "events": "Events, newest first",
        }
        for name, title in titles.items():
            self.query_one(f"#{name}").border_title = title

    def revisions(self) -> tuple[int, ...]:
        """Return what may change here."""
        return (*super().revisions(), self.session.answers)

    def rollout(self) -> Rollout | None:
        """Return the one under the cursor of the list with the focus."""
        focused = self.focused
        if isinstance(focused, VirtualTable) and focused.id in {"waiting", "active"}:
            return self.session.fleet.rollouts.get(focused.key)
        return None

    def paint_body(self, now: float) -> None:
        """Show the numbers, and fill the lists."""
        fleet = self.session.fleet
        total = fleet.tiles["online"] + fleet.tiles["offline"]
        for tile in TILES:
            self.query_one(f"#tile-{tile}", Tile).show_number(fleet.tiles[tile], total)
        seen = fleet.rollouts.revision
        order = sorted(fleet.rollouts, key=lambda rollout: -rollout.started.at)
        self.waiting.fill(seen, lambda: [each for each in order if waits_for_person(each)], now)
        self.active.fill(seen, lambda: [each for each in order if not each.ended], now)
        waiting, active = self.query_one("#waiting", VirtualTable), self.query_one("#active", VirtualTable)
        waiting.empty = self.waiting_words("✔ nothing waits for you")
        active.empty = self.waiting_words("no rollout goes on: fleetroll rollout start begins one")
        for table, most in ((waiting, MOST_WAITING), (active, MOST_ACTIVE)):
            # The list takes what it needs; the events take what is left.
            frame = 3 if self.app.size.width >= TABS_BELOW else 2
            table.take_height(max(1, min(len(table.rows), most)) + frame if self.large != table.id else None)
            table.sync(now)
        for name, counted, role, empty in (
            ("#versions", fleet.versions, "active", "no host has said what it runs"),
            ("#codes", fleet.codes, "bad", "no host failed"),
        ):
            pane = self.query_one(name, Lines)
            pane.show_lines(share_lines(counted, max(30, pane.size.width), max(2, pane.size.height), role, empty))
        rates = self.query_one("#rates", Lines)
        rates.show_lines(rate_lines(fleet.rates, self.paint, now, rates.size.width, rates.size.height))
        events = self.query_one("#events", VirtualTable)
        events.rows = self.session.events_now()
        events.empty = self.waiting_words(self.session.no_events("nothing has happened yet"))
        events.sync(now)

    def open_tile(self, tile: str) -> None:
        """Open the hosts that a tile counts."""
        self.session.hosts.filter_by(FILTERS[tile])
        self.console.go(Place(commands.HOSTS))

    def on_virtual_table_opened(self, event: VirtualTable.Opened) -> None:
        """Go to the rollout, or to what an event is about."""
        if event.table.id != "events":
            self.console.go(Place(commands.ROLLOUT, event.key))
            return
        happening = self.session.events().get(event.key)
        if happening is not None and happening.host_id:
            self.console.go(Place(commands.HOST, happening.host_id))
        elif happening is not None and happening.rollout_id:
            self.console.go(Place(commands.ROLLOUT, happening.rollout_id))
