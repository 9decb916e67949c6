"""What all screens have: the line at the top, the bands of what concerns all, the filter, the line of keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import Screen

from fleetroll_tui import commands
from fleetroll_tui.model.decisions import switch_to_lift
from fleetroll_tui.places import Place
from fleetroll_tui.screens.deciding import why_not
from fleetroll_tui.screens.filtering import Filtering
from fleetroll_tui.screens.help import HelpScreen
from fleetroll_tui.screens.panels import lost_words, scope_of, switch_lines
from fleetroll_tui.screens.panes import Panes
from fleetroll_tui.screens.releasing import Releasing
from fleetroll_tui.screens.standing import standing_lines
from fleetroll_tui.widgets.filterbar import FilterBar
from fleetroll_tui.widgets.keyline import KeyLine
from fleetroll_tui.widgets.lines import Lines
from fleetroll_tui.widgets.table import VirtualTable
from fleetroll_tui.widgets.topline import TopLine

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import ComposeResult

    from fleetroll_tui.app import ConsoleApp
    from fleetroll_tui.commands import Command
    from fleetroll_tui.model.values import Rollout, Switch
    from fleetroll_tui.session import Session
    from fleetroll_tui.widgets.topline import Top


TRY_AGAIN = ". Go to a view (1, 2, 3) to try again."
TABS_BELOW = 100
"""Columns below which one pane is seen at a time."""


def bindings(kind: str) -> list[Binding]:
    """Return the keys of a screen, from the registry."""
    return [
        Binding(command.key, f"command('{command.name}')", command.label, show=False)
        for command in commands.of_place(kind)
    ]


class ConsoleScreen(Filtering, Panes, Releasing, Screen[None]):
    """A screen of the console."""

    kind: ClassVar[str] = ""
    hint: ClassVar[str] = "text  state:failed  version:<1.5  !not  a | b"
    closed: ClassVar[tuple[str, ...]] = ()
    """Ids of the tables whose rows can't be opened."""

    def __init_subclass__(cls, **options: Any) -> None:
        """Take the keys of the screen from the registry."""
        cls.BINDINGS = [*bindings(cls.kind)]
        super().__init_subclass__(**options)

    def __init__(self, place: Place) -> None:
        """Show a place."""
        super().__init__()
        self.place = place
        self.paint = self.console.paint
        self._second = -1
        self._revisions: tuple[int, ...] = ()
        self.takes_keys = False
        """Whether it is painted and has the focus somewhere."""

    @property
    def console(self) -> ConsoleApp:
        """Return the app, typed."""
        return cast("ConsoleApp", self.app)

    @property
    def session(self) -> Session:
        """Return what is shown."""
        return self.console.shown

    def host_name(self, host_id: str) -> str:
        """Return the name of a host, as it is shown."""
        return self.session.host_name(host_id)

    def compose(self) -> ComposeResult:
        """Put the frame around the body."""
        yield TopLine(self.paint, id="top")
        yield Lines(self.paint, grows=True, id="switch")
        yield Lines(self.paint, grows=True, id="standing")
        yield Lines(self.paint, grows=True, id="lost")
        with Vertical(id="body"):
            yield from self.compose_body()
        yield FilterBar(self.paint, self.paint.word(self.hint), id="filter")
        yield KeyLine(self.paint, id="keys")

    def compose_body(self) -> ComposeResult:
        """Make the screen's own part."""
        raise NotImplementedError

    def crumbs(self) -> tuple[str, ...]:
        """Return where one is."""
        return (self.kind,)

    # Painting.

    def on_resize(self) -> None:
        """Paint anew for the new size, when it is laid out."""
        self.call_after_refresh(self.repaint_now)

    def on_screen_resume(self) -> None:
        """Paint at once, when it is laid out: nobody waits for the next time."""
        self.call_after_refresh(self._show_first)

    def _show_first(self) -> None:
        self.console.repaint()
        self.takes_keys = True

    def show_frame(self, top: Top) -> None:
        """Show the lines around the body."""
        if not self.is_mounted or not self.query("#keys"):
            return
        self.query_one("#top", TopLine).show(top)
        pressed = self.console.session.fleet.pressed  # of a frozen view too: it is about what is in force
        band = self.query_one("#switch", Lines)
        band.set_class(bool(pressed), "-on")
        band.show_lines(switch_lines(pressed, self.console.session.now))
        standing = standing_lines(self.console.session.papers, self.console.session.now)  # of a frozen view too
        band = self.query_one("#standing", Lines)
        band.set_class(bool(standing), "-on")
        band.show_lines(standing)
        lost = self.console.lost
        band = self.query_one("#lost", Lines)
        band.set_class(lost is not None, "-on")
        band.show_lines([[(f" {lost_words(lost)}", "bad"), (TRY_AGAIN if lost.final else "", "text")]] if lost else [])
        self.query_one("#body").set_class(top.stale and self.session.fleet.loaded, "-stale")
        footer = [command for command in self.working() if command.footer]
        self.query_one("#keys", KeyLine).show(footer, self._warning())

    def _warning(self) -> str:
        if self.console.armed_at is None:
            return ""
        return f"H again within 3 s: HALT {self.console.armed_scope[1]}. Nothing new starts after that."

    def repaint(self, now: float) -> None:
        """Show what is known now, if anything of it changed or a second has passed."""
        if not self.is_mounted or not self.query("#keys"):
            return
        # What is said depends on the room for it.
        sizes = tuple(lines.size for lines in self.query(Lines))
        rooms = tuple(table.room for table in self.query(VirtualTable))
        revisions, second = (*self.revisions(), hash((sizes, rooms))), int(now)
        if revisions != self._revisions or second != self._second:
            self._revisions, self._second = revisions, second
            self.paint_body(now)

    def revisions(self) -> tuple[int, ...]:
        """Return numbers that move when anything that may be shown changed."""
        fleet = self.session.fleet
        return (
            int(fleet.loaded),
            fleet.hosts.revision,
            fleet.rollouts.revision,
            fleet.switches.revision,
            fleet.ring.revision,
            hash(self.session.link.lost),
            self.session.papers.revision,
        )

    def paint_body(self, now: float) -> None:
        """Show the screen's own part."""
        raise NotImplementedError

    def repaint_now(self) -> None:
        """Show what is known without waiting for the next time."""
        self._second = -1
        self.repaint(self.session.now)

    def waiting_words(self, empty: str) -> str:
        """Return what an empty list says: that nothing came yet, why, or what the next step is."""
        link = self.session.link
        if self.session.fleet.loaded:
            return empty
        if link.lost is None:
            return "loading the fleet…"
        return lost_words(link.lost)

    # Commands.

    def rollout(self) -> Rollout | None:
        """Return the rollout that decisions are about."""
        return None

    def halt_scope(self) -> tuple[str, str]:
        """Return whose kill switch H presses: the fleet's id ("" for all), and in words."""
        rollout = self.rollout()
        counted = self.console.session.fleet.fleets  # those that are, also where the view is frozen
        fleets = [each for each in counted if counted[each]]
        fleet = rollout.fleet_id if rollout is not None else fleets[0] if len(fleets) == 1 else ""
        return scope_of(fleet)

    def why_not(self, name: str) -> str:
        """Return why a command does nothing now; "" when it works."""
        return why_not(self, name)

    def working(self) -> list[Command]:
        """Return the commands that work now."""
        return [command for command in commands.of_place(self.kind) if not self.why_not(command.name)]

    def runner(self, name: str) -> Callable[[], None]:
        """Return a call that runs a command."""
        return lambda: self.action_command(name)

    def action_command(self, name: str) -> None:
        """Run a command, or say why it does nothing."""
        why = self.why_not(name)
        if why:
            self.console.say(commands.BY_NAME[name].label, why)
        else:
            getattr(self, f"do_{name}")()
            self.console.repaint()

    def do_overview(self) -> None:
        """Go there."""
        self.console.go(Place(commands.OVERVIEW))

    def do_rollouts(self) -> None:
        """Go there."""
        self.console.go(Place(commands.ROLLOUTS))

    def do_failures(self) -> None:
        """Go to the failed hosts of the rollout."""
        rollout = self.rollout()
        if rollout is None:
            self.console.say("Failures", "choose a rollout")
        else:
            self.console.go(Place(commands.FAILURES, rollout.id))

    def do_hosts(self) -> None:
        """Go there."""
        self.console.go(Place(commands.HOSTS))

    def do_releases(self) -> None:
        """Go there."""
        self.console.go(Place(commands.RELEASES))

    def do_server(self) -> None:
        """Go there."""
        self.console.go(Place(commands.SERVER))

    def do_open(self) -> None:
        """Open what has the focus."""
        opened = getattr(self.focused, "open_row", None)
        if opened is not None:
            opened()

    def do_leave(self) -> None:
        """Give the pane its place back, clear the filter, or go back."""
        listing = self.listing()
        if self.large:
            self.enlarge("")
        elif listing is not None and listing.filter is not None and not listing.filter.empty:
            self.filter_by("")
        else:
            self._step(-1)

    def do_last(self) -> None:
        """Go to the view before this one, as a new step."""
        place = self.console.history.last()
        if place is not None:
            self.console.go(place)

    def do_older(self) -> None:
        """Go back."""
        self._step(-1)

    def do_newer(self) -> None:
        """Go forward."""
        self._step(1)

    def _step(self, by: int) -> None:
        place = self.console.history.step(by)
        if place is not None:
            self.console.thaw()
            self.console.go_to(place)

    def do_help(self) -> None:
        """Show every key."""
        self.app.push_screen(HelpScreen(self.kind, self.working(), self.halt_scope()))

    def do_command(self) -> None:
        """Open the palette."""
        self.app.action_command_palette()

    def do_quit(self) -> None:
        """Leave."""
        self.app.exit(0)

    def do_theme(self) -> None:
        """Change between dark and light."""
        self.console.set_palette("light" if self.console.palette_name == "dark" else "dark")

    def do_freeze(self) -> None:
        """Keep the view, or let it go on."""
        if self.console.frozen:
            self.console.thaw()
        else:
            self.console.freeze()
        self.repaint_now()

    def to_copy(self) -> str:
        """Return what would be copied: the id under the cursor; "" for nothing."""
        table = self.focused
        return table.key if isinstance(table, VirtualTable) else ""

    def do_copy(self) -> None:
        """Copy the id under the cursor."""
        words = self.to_copy()
        if words:
            self.app.copy_to_clipboard(words)
            self.console.say("Copied", words)

    def do_lift(self) -> None:
        """Ask for the environment's name, then lift the switch that counts here first."""
        switch = self.switch_to_lift()
        if switch is not None:
            self.console.ask_lift(switch)

    def switch_to_lift(self) -> Switch | None:
        """Return the pressed kill switch that would be lifted from here."""
        rollout = self.rollout()
        return switch_to_lift(self.console.session.fleet.pressed, rollout.fleet_id if rollout is not None else "")

    def do_halt(self) -> None:
        """Arm the kill switch, or press it."""
        self.console.press_halt(*self.halt_scope())

    def _decide(self, act: Callable[[Rollout], None]) -> None:
        rollout = self.rollout()
        if rollout is not None:
            act(rollout)

    def do_pause(self) -> None:
        """Pause at once."""
        self._decide(self.console.pause)

    def do_continue(self) -> None:
        """Ask, then let it go on."""
        self._decide(self.console.ask_continue)

    def do_advance(self) -> None:
        """Ask, then open the next wave."""
        self._decide(self.console.ask_advance)

    def do_cancel(self) -> None:
        """Ask for the name, then cancel."""
        self._decide(self.console.ask_cancel)
