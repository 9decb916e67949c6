"""The server: what it is, its signing keys, its certificates, and how far it has its fleet back after a restore."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual.containers import Horizontal, Vertical
from textual.content import Content

from fleetroll_tui import commands
from fleetroll_tui.model.lists import ShortList
from fleetroll_tui.model.signing import lines_of
from fleetroll_tui.screens.anchors_lines import anchors_lines
from fleetroll_tui.screens.base import ConsoleScreen
from fleetroll_tui.screens.freshness import age_span, empty_words
from fleetroll_tui.screens.panels import TWO_COLUMNS, tabs_line
from fleetroll_tui.screens.recovery_lines import recovery_lines
from fleetroll_tui.screens.release_columns import key_columns
from fleetroll_tui.screens.server_lines import server_lines
from fleetroll_tui.widgets.lines import Lines
from fleetroll_tui.widgets.pages import Pages
from fleetroll_tui.widgets.table import VirtualTable

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from fleetroll_tui.model.readings import Reading
    from fleetroll_tui.model.signing import RoleKey
    from fleetroll_tui.paint import Span
    from fleetroll_tui.places import Place

TITLES = (("signing", "Signing keys"), ("anchors", "Addresses and certificates"), ("recovery", "Recovery"))


class ServerScreen(ConsoleScreen):
    """The server."""

    kind = commands.SERVER
    panes: ClassVar = tuple(name for name, _ in TITLES)
    closed: ClassVar = ("signing",)
    AUTO_FOCUS = None

    def __init__(self, place: Place) -> None:
        """Have a list of keys."""
        super().__init__(place)
        self.keys: ShortList[RoleKey] = ShortList()

    def compose_body(self) -> ComposeResult:
        """Make the head and the panes."""
        yield Lines(self.paint, id="facts", grows=True)
        yield Lines(self.paint, id="tabs")
        with Horizontal(id="lower"):
            yield VirtualTable(self.keys, key_columns(), self.paint, id="signing", classes="pane")
            with Vertical(id="side"):
                for name in self.panes[1:]:
                    yield Pages(self.paint, id=name, classes="pane")

    def on_mount(self) -> None:
        """Stand in the pane that says most: while a RECOVERY goes on, in its own."""
        self.show_pane("recovery" if self.session.papers.recovery.value.active else "signing")

    def to_copy(self) -> str:
        """Return the id of the key under the cursor."""
        line = self.keys.current if self.panes[self.pane_at()] == "signing" else None
        return line.key.id if line is not None else ""

    def paint_body(self, now: float) -> None:
        """Show everything."""
        papers, at = self.session.papers, self.session.ticks()
        facts = self.query_one("#facts", Lines)
        lines = server_lines(papers.server_info.value, papers.signing.value)
        if not papers.server_info.known:
            lines[0] = [(f"  {self.waiting_words(empty_words(papers.server_info, 'the server', ''))}", "muted")]
        elif facts.size.width >= TWO_COLUMNS or papers.server_info.old(at):
            lines[0].append(age_span(papers.server_info, at))
        facts.show_lines(lines)
        self.query_one("#tabs", Lines).show_lines([tabs_line(TITLES, self.panes[self.pane_at()])])
        signing = papers.signing
        self.keys.fill(signing.revision, lambda: lines_of(signing.value), now)
        table = self.query_one("#signing", VirtualTable)
        table.empty = self.waiting_words(empty_words(signing, "the signing keys", "no role is known"))
        table.sync(now)
        anchors, recovery = papers.anchors, papers.recovery
        self._show("anchors", anchors, anchors_lines(anchors.value, self.paint, now))
        self._show("recovery", recovery, recovery_lines(recovery.value, now))
        for name, title in TITLES:
            words = self.paint.line((title, "text"), age_span(papers.readings()[name], at)).plain
            self.query_one(f"#{name}").border_title = Content(words)

    def _show(self, name: str, reading: Reading[Any], lines: list[list[Span]]) -> None:
        """Show a pane of what was had; else why nothing was."""
        words = empty_words(reading, "it", "")
        shown = lines if reading.known else [[(self.waiting_words(words), "muted")]]
        self.query_one(f"#{name}", Pages).show_lines(shown)
