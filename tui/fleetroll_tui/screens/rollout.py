"""One rollout: where it stands, its waves, its hosts, what happened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual.containers import Horizontal, Vertical
from textual.content import Content

from fleetroll_tui import commands
from fleetroll_tui.model.decisions import name_of
from fleetroll_tui.model.lists import ShortList
from fleetroll_tui.places import Place
from fleetroll_tui.screens.base import TABS_BELOW, ConsoleScreen
from fleetroll_tui.screens.columns import event_columns, member_columns, wave_columns
from fleetroll_tui.screens.hosts import list_title
from fleetroll_tui.screens.member import member_lines
from fleetroll_tui.screens.panels import lost_words, rate_lines, rollout_lines, tabs_line
from fleetroll_tui.text import clean
from fleetroll_tui.widgets.lines import Lines, ScrollLines
from fleetroll_tui.widgets.table import VirtualTable

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from fleetroll_tui.model.values import Rollout, Wave
    from fleetroll_tui.paint import Span

MAX_WAVES = 8
"""Waves that are seen at once beside the other panes."""
TITLES = (("waves", "Waves"), ("members", "Hosts"), ("member", "Host"), ("events", "Events"))


class RolloutScreen(ConsoleScreen):
    """The rollout."""

    kind = commands.ROLLOUT
    hint = "web  state:failed|lost  wave:3  code:HEALTH_*  is:waiting  from:<1.5  changed:<5m  !not  a | b"
    panes: ClassVar = tuple(name for name, _ in TITLES)
    AUTO_FOCUS = None

    def __init__(self, place: Place) -> None:
        """Watch the hosts of a rollout."""
        super().__init__(place)
        self.waves: ShortList[Wave] = ShortList()
        self._stood = False
        self.console.look_at(place.key)

    def compose_body(self) -> ComposeResult:
        """Make the head and the panes."""
        with Horizontal(id="head"):
            yield Lines(self.paint, id="facts")
            yield Lines(self.paint, id="rates")
        yield Lines(self.paint, id="tabs")
        yield VirtualTable(self.waves, wave_columns(), self.paint, id="waves", classes="pane", empty="")
        with Horizontal(id="lower"):
            yield VirtualTable(self.session.members, member_columns(), self.paint, id="members", classes="pane")
            with Vertical(id="side"):
                yield ScrollLines(self.paint, id="member", classes="pane")
                yield VirtualTable(
                    self.session.events(self.place.key),
                    event_columns(self.host_name),
                    self.paint,
                    id="events",
                    classes="pane",
                    empty="nothing has happened yet",
                )

    def on_mount(self) -> None:
        """Name the panes, and stand in the one that says most at this width."""
        for name, title in TITLES:
            self.query_one(f"#{name}").border_title = title
        self.show_pane("waves" if self.app.size.width < TABS_BELOW else "members")

    def crumbs(self) -> tuple[str, ...]:
        """Return where one is."""
        rollout = self.rollout()
        return ("rollouts", clean(name_of(rollout), 60) if rollout is not None else clean(self.place.key, 40))

    def rollout(self) -> Rollout | None:
        """Return the rollout."""
        return self.session.fleet.rollouts.get(self.place.key)

    def listing(self) -> Any:
        """Return the list with the focus: events, or else the hosts."""
        focused = self.focused
        if focused is not None and focused.id == "events":
            return self.session.events(self.place.key)
        return self.session.members

    def focus_list(self) -> None:
        """Give the hosts the focus."""
        self.show_pane("members")

    def revisions(self) -> tuple[int, ...]:
        """Return what may change here."""
        crew, link = self.session.crew, self.session.crew_link
        stands = (crew.members.revision, int(crew.loaded), hash(link.lost), int(link.whole))
        return (*super().revisions(), self.session.answers, *stands)

    def paint_body(self, now: float) -> None:
        """Show everything."""
        rollout = self.rollout()
        facts = self.query_one("#facts", Lines)
        if rollout is None:
            facts.show_lines([[(f"  {words}", "muted")] for words in self._gone_words()])
            self._clear(now)
            return
        origins = self.session.crew.from_versions()
        rates = self.session.fleet.rates_of(rollout.id)
        facts.show_lines(rollout_lines(rollout, self.paint, now, facts.size.width or 80, origins=origins, rates=rates))
        panel = self.query_one("#rates", Lines)
        panel.show_lines(rate_lines(rates, self.paint, now, panel.size.width, panel.size.height))
        at = next((pane for pane in self.panes if self.has_class(f"-at-{pane}")), "waves")
        self.query_one("#tabs", Lines).show_lines([tabs_line(TITLES, at)])
        self._paint_lists(rollout, now)

    def _gone_words(self) -> list[str]:
        """Return why there is nothing to see: a server tells those that go on, and the newest that ended."""
        if not self.session.fleet.loaded:
            return [self.waiting_words("")]
        key = clean(self.place.key, 60)
        return [
            f"{key} is not among the rollouts that the server tells:",
            "it ended long ago, or there is none of that name.",
            f"fleetroll rollout show {key} says more; esc goes back",
        ]

    def _clear(self, now: float) -> None:
        """Take away what was said of a rollout that is told no more."""
        self.waves.fill((), lambda: (), now)
        self.query_one("#waves", VirtualTable).sync(now)
        self._stood = False
        for name in ("members", "events"):
            table = self.query_one(f"#{name}", VirtualTable)
            table.rows, table.empty = ShortList(), ""
            table.sync(now)
        for name in ("rates", "tabs", "member"):
            self.query_one(f"#{name}", Lines).show_lines([])
        self.query_one("#members").border_title = dict(TITLES)["members"]

    def _paint_lists(self, rollout: Rollout, now: float) -> None:
        self.waves.fill(rollout.waves, lambda: rollout.waves, now)
        if not self._stood and rollout.wave is not None:
            self._stood = True
            self.waves.cursor = str(rollout.wave.number)
        waves = self.query_one("#waves", VirtualTable)
        waves.take_height(None if self.app.size.width < TABS_BELOW else min(len(rollout.waves), MAX_WAVES) + 3)
        waves.sync(now)
        members = self.session.members
        members.refresh(now)
        table = self.query_one("#members", VirtualTable)
        table.rows = members
        table.empty = self._empty_words()
        table.sync(now)
        table.border_title = Content(self.paint.line(*list_title(members, "hosts"), *self._stale_words()).plain.strip())
        self._paint_member(now)
        events = self.query_one("#events", VirtualTable)
        events.rows = self.session.events_now(rollout.id)
        events.empty = self.session.no_events("nothing has happened yet", rollout.id)
        events.sync(now)

    def _paint_member(self, now: float) -> None:
        member = self.session.members.current
        pane = self.query_one("#member", ScrollLines)
        host = self.session.fleet.hosts.get(member.id) if member is not None else None
        pane.show_lines(member_lines(member, host, self.paint, now, pane.size.width or 40))

    def _stale_words(self) -> list[Span]:
        """Return, for the title of the hosts, that they may stand otherwise by now."""
        link, at = self.session.crew_link, self.session.ticks()
        if self.console.server.recording or not link.stale(at):
            return []
        return [(f"  ◌ {clean(link.words(at), 60)}", "wait")]

    def _empty_words(self) -> str:
        link, members = self.session.crew_link, self.session.members
        if self.session.crew.loaded and not members.filter.empty:
            return "no host fits the filter: esc clears it"
        if link.lost is not None:
            return lost_words(link.lost)
        if self.session.crew.loaded:
            return "no hosts"
        return "its hosts are not in this recording" if self.console.server.recording else "loading its hosts…"

    def on_virtual_table_opened(self, event: VirtualTable.Opened) -> None:
        """Show a wave's hosts, or go to a host."""
        if event.table.id == "waves":
            self.session.members.filter_by(f"wave:{event.key}")
            self.show_pane("members")
        elif event.table.id == "members":
            self.console.go(Place(commands.HOST, event.key))
        else:
            happening = self.session.events(self.place.key).get(event.key)
            if happening is not None and happening.host_id:
                self.console.go(Place(commands.HOST, happening.host_id))

    def on_virtual_table_moved(self) -> None:
        """Show the host under the cursor at once."""
        self._paint_member(self.session.now)
