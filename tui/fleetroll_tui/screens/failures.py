"""The failed hosts of a rollout, put together: what they said, what they share, and who they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.containers import Vertical

from fleetroll_tui import commands
from fleetroll_tui.model.clusters import clusters
from fleetroll_tui.model.decisions import name_of
from fleetroll_tui.model.lists import ShortList
from fleetroll_tui.places import Place
from fleetroll_tui.screens.base import ConsoleScreen
from fleetroll_tui.screens.member import attempt_lines
from fleetroll_tui.screens.panels import lost_words
from fleetroll_tui.text import ago, clean, number
from fleetroll_tui.widgets.lines import Lines, ScrollLines
from fleetroll_tui.widgets.table import Column, VirtualTable

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from fleetroll_tui.model.clusters import Cluster
    from fleetroll_tui.model.values import Rollout
    from fleetroll_tui.paint import Paint, Span

EVERY_SECONDS = 2.0
"""Between two times that the hosts are put together anew: it reads all of them."""


def _hosts(cluster: Cluster, _paint: Paint, _now: float, _width: int) -> list[Span]:
    return [(f"{number(cluster.hosts)} of {number(cluster.failed)}", "bad!")]


def _shared(cluster: Cluster, _paint: Paint, _now: float, _width: int) -> list[Span]:
    if cluster.hosts == 1:
        return [("one host alone", "muted")]
    if not cluster.traits:
        return [("nothing that tells them from the others", "muted")]
    said = [
        f"all {trait.name}" if trait.hosts == cluster.hosts else f"{trait.hosts} of {cluster.hosts} {trait.name}"
        for trait in cluster.traits
    ]
    return [(clean(", ".join(said)), "wait!")]


def cluster_columns() -> list[Column]:
    """Return the columns of clusters."""
    return [
        Column("hosts", 10, _hosts, right=True),
        Column("code", 18, lambda one, _paint, _now, _width: [(clean(one.code) or "–", "text!")], most=28, flex=1),
        Column("shared by them", 24, _shared, flex=3, most=60),
        Column("they said", 20, lambda one, _paint, _now, _width: [(clean(one.shape), "text")], flex=4, rank=2),
        Column("newest", 7, lambda one, _paint, now, _width: [(ago(now, one.newest_at), "muted")], right=True, rank=3),
    ]


class FailuresScreen(ConsoleScreen):
    """What went wrong in a rollout."""

    kind = commands.FAILURES
    AUTO_FOCUS = "#clusters"

    def __init__(self, place: Place) -> None:
        """Watch the hosts of a rollout."""
        super().__init__(place)
        self.clusters: ShortList[Cluster] = ShortList()
        self._seen = (-1, False, -1)
        self._found: tuple[Cluster, ...] = ()
        self.console.look_at(place.key)

    def compose_body(self) -> ComposeResult:
        """Make title, table and the newest word of the cluster under the cursor."""
        yield Lines(self.paint, id="title", classes="title")
        with Vertical():
            yield VirtualTable(self.clusters, cluster_columns(), self.paint, id="clusters", classes="pane")
            yield ScrollLines(self.paint, id="example", classes="pane")

    def on_mount(self) -> None:
        """Name the panes."""
        self.query_one("#clusters").border_title = "Failed alike"
        self.query_one("#example").border_title = "The newest of them"

    def crumbs(self) -> tuple[str, ...]:
        """Return where one is."""
        rollout = self.rollout()
        name = clean(name_of(rollout), 60) if rollout is not None else clean(self.place.key, 40)
        return ("rollouts", name, "failures")

    def rollout(self) -> Rollout | None:
        """Return the rollout."""
        return self.session.fleet.rollouts.get(self.place.key)

    def listing(self) -> Any:
        """Return the clusters."""
        return self.clusters

    def revisions(self) -> tuple[int, ...]:
        """Return what may change here."""
        crew, link = self.session.crew, self.session.crew_link
        return (*super().revisions(), crew.members.revision, int(crew.loaded), hash(link.lost), self._turn())

    def _turn(self) -> int:
        """Return which turn it is to put the hosts together."""
        return int(self.session.ticks() // EVERY_SECONDS)

    def _put_together(self) -> None:
        """Put the hosts together where they have changed: when they are there first, then once in a turn."""
        crew = self.session.crew
        revision, loaded, turn = self._seen
        now = (crew.members.revision, crew.loaded, self._turn())
        if now[0] != revision and now[1:] != (loaded, turn):
            self._seen = now
            self._found = clusters(crew.members, self.session.fleet.hosts)

    def paint_body(self, now: float) -> None:
        """Show the clusters."""
        self._put_together()
        self.clusters.fill(self._found, lambda: self._found, now)
        table = self.query_one("#clusters", VirtualTable)
        table.empty = self._empty_words()
        table.sync(now)
        failed = self._found[0].failed if self._found else 0
        words = f" {number(failed)} failed hosts in {number(len(self._found))} clusters" if failed else ""
        self.query_one("#title", Lines).show_lines([[(words, "text!")]])
        self._paint_example(now)

    def _paint_example(self, now: float) -> None:
        cluster = self.clusters.current
        pane = self.query_one("#example", ScrollLines)
        member = self.session.crew.members.get(cluster.example) if cluster is not None else None
        if cluster is None or member is None:
            pane.show_lines([])
            return
        head: list[Span] = [(clean(member.name, 80), "text!"), (f"   {clean(cluster.words)}", "wait")]
        pane.show_lines([head, *attempt_lines(member.attempt, self.paint, now)])

    def _empty_words(self) -> str:
        link = self.session.crew_link
        if link.lost is not None:
            return lost_words(link.lost)
        if self.session.crew.loaded:
            return "no host failed"
        return "its hosts are not in this recording" if self.console.server.recording else "loading its hosts…"

    def on_virtual_table_opened(self, event: VirtualTable.Opened) -> None:
        """Show the hosts of a cluster in the rollout, by their code."""
        cluster = self.clusters.get(event.key)
        if cluster is None:
            return
        self.session.members.filter_by(f"code:{cluster.code}" if cluster.code else "state:failed|lost")
        self.console.go(Place(commands.ROLLOUT, self.place.key))

    def on_virtual_table_moved(self) -> None:
        """Show the newest word of the cluster under the cursor at once."""
        self._paint_example(self.session.now)
