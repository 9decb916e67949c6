"""One release: what it is, its notes, its bytes, where it runs, what is ruled about its product."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.containers import Horizontal, Vertical

from fleetroll_tui import commands
from fleetroll_tui.model.releases import fleets_of, spread_of
from fleetroll_tui.screens.base import ConsoleScreen
from fleetroll_tui.screens.freshness import age_span, empty_words
from fleetroll_tui.screens.panels import TWO_COLUMNS, tabs_line
from fleetroll_tui.screens.release_lines import (
    artefact_lines,
    notes_lines,
    policy_lines,
    release_lines,
    where_lines,
)
from fleetroll_tui.text import clean
from fleetroll_tui.widgets.lines import Lines
from fleetroll_tui.widgets.pages import Pages

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from fleetroll_tui.model.releases import Release

TITLES = (("notes", "Notes"), ("artefacts", "Artefacts"), ("where", "Where it runs"), ("policy", "Policy"))


class ReleaseScreen(ConsoleScreen):
    """The release."""

    kind = commands.RELEASE
    panes: ClassVar = tuple(name for name, _ in TITLES)
    AUTO_FOCUS = None

    def compose_body(self) -> ComposeResult:
        """Make the head and the panes."""
        yield Lines(self.paint, id="facts")
        yield Lines(self.paint, id="tabs")
        with Horizontal(id="lower"):
            yield Pages(self.paint, id="notes", classes="pane")
            with Vertical(id="side"):
                for name in self.panes[1:]:
                    yield Pages(self.paint, id=name, classes="pane")

    def on_mount(self) -> None:
        """Name the panes."""
        for name, title in TITLES:
            self.query_one(f"#{name}").border_title = title
        self.show_pane("notes")

    def crumbs(self) -> tuple[str, ...]:
        """Return where one is."""
        release = self.release()
        return ("releases", clean(release.name if release is not None else self.place.key, 60))

    def release(self) -> Release | None:
        """Return the release."""
        return self.session.papers.releases.get(self.place.key)

    def to_copy(self) -> str:
        """Return the digests, as programs print them that make them; beside the artefacts the id."""
        release = self.release()
        if release is None:
            return ""
        if self.panes[self.pane_at()] != "artefacts":
            return release.id
        return "\n".join(f"{each.sha256}  {clean(each.path, 240)}" for each in release.artefacts)

    def paint_body(self, now: float) -> None:
        """Show everything."""
        papers, facts = self.session.papers, self.query_one("#facts", Lines)
        self.session.count_releases()
        release = self.release()
        if release is None:
            gone = f"there is no release {clean(self.place.key, 60)}: esc goes back"
            facts.show_lines(
                [[(f"  {self.waiting_words(empty_words(papers.catalogue, 'the release', gone))}", "muted")]]
            )
            self._clear()
            return
        fleet = self.session.fleet
        role = papers.signing.value.role_of(release.product)
        lines = release_lines(release, spread_of(release, fleet.runs), role, self.paint, now, facts.size.width or 80)
        if facts.size.width >= TWO_COLUMNS or papers.catalogue.old(self.session.ticks()):
            lines[-1].append(age_span(papers.catalogue, self.session.ticks()))
        facts.show_lines(lines)
        at = self.panes[self.pane_at()]
        self.query_one("#tabs", Lines).show_lines([tabs_line(TITLES, at)])
        policy = papers.catalogue.value.policies.get(release.product)
        for name, said in (
            ("notes", notes_lines(release)),
            ("artefacts", artefact_lines(release)),
            (
                "where",
                where_lines(
                    release,
                    fleets_of(release, fleet.homes),
                    fleet.rollouts,
                    papers.in_use.value.get(release.version),
                    self.paint,
                ),
            ),
            ("policy", policy_lines(policy, release.version, self.paint)),
        ):
            self.query_one(f"#{name}", Pages).show_lines(said)

    def _clear(self) -> None:
        """Take away what was said of a release that is told no more."""
        self.query_one("#tabs", Lines).show_lines([])
        for name in self.panes:
            self.query_one(f"#{name}", Pages).show_lines([])
