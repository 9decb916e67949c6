"""One host: what it is, its attempts, the output of the last one, what happened to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual.containers import Horizontal, Vertical

from fleetroll_tui import commands
from fleetroll_tui.model.lists import ShortList
from fleetroll_tui.model.values import NO_ATTEMPT
from fleetroll_tui.screens.base import ConsoleScreen
from fleetroll_tui.screens.columns import attempt_columns, event_columns
from fleetroll_tui.screens.member import attempt_lines, host_lines
from fleetroll_tui.screens.panels import scope_of, tabs_line
from fleetroll_tui.text import clean
from fleetroll_tui.widgets.lines import Lines, ScrollLines
from fleetroll_tui.widgets.table import VirtualTable

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from fleetroll_tui.model.values import Attempt, Host
    from fleetroll_tui.places import Place

TITLES = (("events", "Log"), ("attempts", "Attempts"), ("attempt", "Attempt"))

NOTHING = "nothing is known to have happened to it"


class HostScreen(ConsoleScreen):
    """The host."""

    kind = commands.HOST
    hint = "state:failed  kind:attempt.*  code:HEALTH_*  at:<1h  !not  a | b"
    panes: ClassVar = tuple(name for name, _ in TITLES)
    closed: ClassVar = ("events", "attempts")
    AUTO_FOCUS = None

    def __init__(self, place: Place) -> None:
        """Show a host; what happened to it is asked for with the visit."""
        super().__init__(place)
        self.attempts: ShortList[Attempt] = ShortList()

    def compose_body(self) -> ComposeResult:
        """Make the head and the panes."""
        yield Lines(self.paint, id="facts")
        yield Lines(self.paint, id="tabs")
        with Horizontal(id="lower"):
            yield VirtualTable(
                self.session.events(host_id=self.place.key),
                event_columns(lambda _id: ""),
                self.paint,
                id="events",
                classes="pane",
                empty=NOTHING,
            )
            with Vertical(id="side"):
                yield VirtualTable(self.attempts, attempt_columns(), self.paint, id="attempts", classes="pane")
                yield ScrollLines(self.paint, id="attempt", classes="pane")

    def on_mount(self) -> None:
        """Name the panes."""
        for name, title in TITLES:
            self.query_one(f"#{name}").border_title = title
        self.query_one("#events").border_title = "Log, newest first"
        self.show_pane("events")

    def crumbs(self) -> tuple[str, ...]:
        """Return where one is."""
        return ("hosts", clean(self.session.host_name(self.place.key), 60))

    def listing(self) -> Any:
        """Return the events."""
        return self.session.events(host_id=self.place.key)

    def halt_scope(self) -> tuple[str, str]:
        """Return the host's fleet."""
        host = self._host()
        return scope_of(host.fleet_id) if host is not None else super().halt_scope()

    def _host(self) -> Host | None:
        return self.session.fleet.hosts.get(self.place.key)

    def revisions(self) -> tuple[int, ...]:
        """Return what may change here."""
        return (*super().revisions(), self.session.answers)

    def paint_body(self, now: float) -> None:
        """Show everything."""
        facts = self.query_one("#facts", Lines)
        host = self._host()
        if host is None:
            words = self.waiting_words(f"there is no host {clean(self.place.key, 60)}: esc goes back")
            facts.show_lines([[(f"  {words}", "muted")]])
            self._clear(now)
            return
        facts.show_lines(host_lines(host, now, facts.size.width or 80))
        at = next((pane for pane in self.panes if self.has_class(f"-at-{pane}")), "events")
        self.query_one("#tabs", Lines).show_lines([tabs_line(TITLES, at)])
        attempts = self.session.attempts(host)
        self.attempts.fill(attempts, lambda: attempts, now)
        table = self.query_one("#attempts", VirtualTable)
        table.empty = "no attempt yet: a rollout begins one"
        table.sync(now)
        chosen = self.attempts.current or (attempts[0] if attempts else NO_ATTEMPT)
        log = self.session.fleet.history.log(("", host.id))
        self.query_one("#attempt", ScrollLines).show_lines(attempt_lines(chosen, self.paint, now, log))
        events = self.query_one("#events", VirtualTable)
        events.rows = self.session.events_now(host_id=self.place.key)
        events.empty = self.session.no_events(NOTHING, host_id=self.place.key)
        events.sync(now)

    def _clear(self, now: float) -> None:
        """Take away what was said of a host that is told no more; what happened to it stays true."""
        self.attempts.fill((), lambda: (), now)
        table = self.query_one("#attempts", VirtualTable)
        table.empty = ""
        table.sync(now)
        for name in ("#tabs", "#attempt"):
            self.query_one(name, Lines).show_lines([])

    def on_virtual_table_moved(self) -> None:
        """Show the attempt under the cursor at once."""
        self.repaint_now()
