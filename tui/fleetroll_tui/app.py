"""The console itself: it takes updates in, repaints five times a second, and knows where one is."""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.app import SystemCommand
from textual.binding import Binding
from textual.events import InputEvent

from fleetroll_tui import commands
from fleetroll_tui.acting import Acting
from fleetroll_tui.acting_recovery import ActingOnRecovery
from fleetroll_tui.acting_releases import ActingOnReleases
from fleetroll_tui.asking import Asking, defect_place
from fleetroll_tui.model.updates import pieces
from fleetroll_tui.paint import Paint
from fleetroll_tui.places import START, History, Place
from fleetroll_tui.screens.base import TABS_BELOW, ConsoleScreen
from fleetroll_tui.screens.dialogs import Dialog
from fleetroll_tui.screens.failures import FailuresScreen
from fleetroll_tui.screens.host import HostScreen
from fleetroll_tui.screens.hosts import HostsScreen
from fleetroll_tui.screens.overview import OverviewScreen
from fleetroll_tui.screens.panels import halt_words
from fleetroll_tui.screens.release import ReleaseScreen
from fleetroll_tui.screens.releases import ReleasesScreen
from fleetroll_tui.screens.rollout import RolloutScreen
from fleetroll_tui.screens.rollouts import RolloutsScreen
from fleetroll_tui.screens.server import ServerScreen
from fleetroll_tui.session import Session
from fleetroll_tui.sweeping import Sweeper
from fleetroll_tui.terminal import forgiving
from fleetroll_tui.text import clean
from fleetroll_tui.theme import PALETTES, band_of, theme
from fleetroll_tui.typing_ahead import OneKeyAtATime
from fleetroll_tui.widgets.topline import Top, ending_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from textual.driver import Driver
    from textual.events import Event
    from textual.screen import Screen

    from fleetroll_tui.feed.base import Server
    from fleetroll_tui.model.link import Link
    from fleetroll_tui.model.updates import Lost

REPAINT_SECONDS = 0.2
"""How often the screen may change."""
SCREENS: dict[str, type[ConsoleScreen]] = {
    commands.OVERVIEW: OverviewScreen,
    commands.ROLLOUTS: RolloutsScreen,
    commands.ROLLOUT: RolloutScreen,
    commands.FAILURES: FailuresScreen,
    commands.HOSTS: HostsScreen,
    commands.HOST: HostScreen,
    commands.RELEASES: ReleasesScreen,
    commands.RELEASE: ReleaseScreen,
    commands.SERVER: ServerScreen,
}


def defect_words(error: BaseException | None) -> str:
    """Return one sentence about an error that nobody expected: its kind and the place in our code."""
    return f"fleetroll-console: a defect ended it: {defect_place(error)}. The server was told nothing by it."


class ConsoleApp(Acting, ActingOnRecovery, ActingOnReleases, Asking, OneKeyAtATime):
    """The console."""

    TITLE = "fleetroll"
    CSS_PATH = "console.tcss"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (TABS_BELOW, "-mid"), (150, "-wide")]  # noqa: RUF012 (the framework's own)
    VERTICAL_BREAKPOINTS = [(0, "-low"), (30, "-high")]  # noqa: RUF012 (the framework's own)
    BINDINGS: ClassVar = [
        Binding("ctrl+q", "quit", "Quit", show=False),
        Binding("ctrl+c", "help_quit", "Leave", show=False, priority=True),  # from dialogs too
    ]

    def __init__(
        self,
        server: Server,
        *,
        environment: str,
        ticks: Callable[[], float],
        band: str = "",
        who: str = "",
        theme_name: str = "dark",
        ascii_only: bool = False,
    ) -> None:
        """Prepare.

        Args:
            server: what is watched; it is closed with the console.
            environment: its name, for the band at the top.
            ticks: monotonic seconds.
            band: the kind of environment, which colours its name; "" to guess it from the name.
            who: the token's name or the user's; "" when it is not known.
            theme_name: "dark" or "light".
            ascii_only: write nothing outside ASCII.
        """
        super().__init__()
        self.server = server
        server.turn = self.keys_first
        self.environment, self.whole_environment = clean(environment, 40), clean(environment, 1000)
        self.band = band or band_of(environment)
        self.who = clean(who, 40)
        self.session: Session = Session(ticks)
        self.paint = Paint(PALETTES[theme_name], ascii_only=ascii_only)
        self.history = History()
        self.sweeper = Sweeper(ticks())
        self._still: Session | None = None
        self._theme_name = theme_name
        for name in PALETTES:
            self.register_theme(theme(name))
        self.theme = f"fleetroll-{theme_name}"

    def get_driver_class(self) -> type[Driver]:
        """Return the framework's driver, which no input may end."""
        return forgiving(super().get_driver_class())

    def on_mount(self) -> None:
        """Begin to watch and to paint."""
        self.set_class(self.paint.ascii_only, "-ascii")
        self.push_screen(OverviewScreen(START))
        self.run_worker(self._watch(), group="watch")
        self.set_interval(REPAINT_SECONDS, self.repaint)

    def action_help_quit(self) -> None:
        """Leave with ctrl+c too: it is what a hand does when nothing else works, and the server goes on without us."""
        self.exit(0)

    # What comes in. This runs in the loop of the console; no widget is touched here.

    async def _watch(self) -> None:
        told = ""
        async for update in self.server.watch():
            for piece in pieces(update):
                await self.keys_first()
                self.session.take(piece)
                self._tell_halts()
            if self.server.fault != told:
                told = self.server.fault
                self.notify(self.paint.word(clean(told, 200)), severity="error", markup=False, timeout=10)
            self.ask_due()
            await self.keys_first()

    async def _watch_crew(self, rollout_id: str) -> None:
        async for update in self.server.watch(rollout_id):
            for piece in pieces(update):
                await self.keys_first()
                self.session.take_crew(rollout_id, piece)

    def _tell_halts(self) -> None:
        """Tell, wherever one is, that a rollout halted. Only the server halts one: it is no echo of one's own key."""
        halted = self.session.fleet.new_halts()
        if halted:
            words = self.paint.word(halt_words(halted))
            self.notify(words, title="Halted", severity="error", markup=False, timeout=10)

    def look_at(self, rollout_id: str) -> None:
        """Watch the hosts of a rollout, and no other's."""
        if self.session.look_at(rollout_id):
            self.run_worker(self._watch_crew(rollout_id), group="crew", exclusive=True)

    async def on_event(self, event: Event) -> None:
        """Note that somebody is there, then do what the framework does."""
        if isinstance(event, InputEvent):
            self.sweeper.touched(self.session.ticks())
        await super().on_event(event)

    def takes_keys(self) -> bool:
        """Tell whether the screen in front is there, and painted."""
        return super().takes_keys() and getattr(self.screen, "takes_keys", True)

    # What is shown.

    @property
    def shown(self) -> Session:
        """Return what screens show: what is known now, or was known when the view was frozen."""
        return self._still or self.session

    @property
    def frozen(self) -> bool:
        """Tell whether the view is kept as it is."""
        return self._still is not None

    def freeze(self) -> None:
        """Keep the view as it is. What comes in is taken in meanwhile, and halts are told."""
        self._still = self.session.still()

    def thaw(self) -> None:
        """Let the view go on."""
        if self._still is not None:
            self._still = None
            self.session.go_on()

    def repaint(self) -> None:
        """Show what is known now, unless the view is frozen; the line at the top goes on even then."""
        self.disarm_in_time()
        self.ask_papers()
        if self.sweeper.due(self.session.ticks()):
            gc.collect()
        top = self._top()
        for screen in self.screen_stack:
            if isinstance(screen, ConsoleScreen):
                screen.repaint(self.shown.now)
                screen.show_frame(top)  # after the rows: what keys do depends on them
            elif isinstance(screen, Dialog):
                screen.repaint_dialog()

    def _top(self) -> Top:
        session, at = self.session, self.session.ticks()
        recording, link = self.server.recording, self._link()
        fresh = "recording" if recording else clean(link.words(at), 60)
        stale = not recording and (link.stale(at) or not link.loaded)
        if self._still is not None:
            fresh = f"frozen {at - self._still.ticks():.0f} s" + (f", {fresh}" if stale else "")
        screen = self._view()
        tiles, token = session.fleet.tiles, session.fleet.token
        return Top(
            self.environment,
            "recording" if recording else self.band,
            fresh,
            stale=stale,
            frozen=self.frozen,
            recording=recording,
            who=clean(token.name, 24) if token is not None else self.who,
            role=token.role if token is not None else "",
            ends=ending_words(token, session.now),
            crumbs=screen.crumbs() if screen is not None else (),
            up=tiles["online"],
            down=tiles["offline"],
            now=session.now,
        )

    def _view(self) -> ConsoleScreen | None:
        """Return the screen that is seen, below every dialog."""
        return next((each for each in reversed(self.screen_stack) if isinstance(each, ConsoleScreen)), None)

    def _link(self) -> Link:
        """Return the connection that says how fresh the view is."""
        return self.session.link_of(crew=isinstance(self._view(), (RolloutScreen, FailuresScreen)))

    @property
    def stale(self) -> bool:
        """Tell whether what is shown may be wrong."""
        return not self.server.recording and self._link().trouble(self.session.ticks()) > (0, 0.0)

    @property
    def lost(self) -> Lost | None:
        """Return why nothing is heard, where that is to be said."""
        return None if self.server.recording else self._link().why(self.session.ticks())

    def set_palette(self, name: str) -> None:
        """Change the colours."""
        self._theme_name = name
        self.paint = Paint(PALETTES[name], ascii_only=self.paint.ascii_only)
        self.theme = f"fleetroll-{name}"
        self.go_to(self.history.here)

    @property
    def palette_name(self) -> str:
        """Return the name of the colours."""
        return self._theme_name

    # Where one is.

    def go(self, place: Place) -> None:
        """Go to a place and remember it."""
        self.thaw()
        self.history.visit(place)
        self.go_to(place)

    def go_to(self, place: Place) -> None:
        """Show a place."""
        self.switch_screen(SCREENS[place.kind](place))
        self.ask_anew()
        if self.session.link.lost is not None and self.session.link.lost.final:
            self.run_worker(self._watch(), group="watch", exclusive=True)

    def _fatal_error(self) -> None:
        """Say in one sentence that a defect ended it: the framework would print whatever it knows, secrets too."""
        self._exit_renderables.append(Text(defect_words(sys.exc_info()[1])))
        self._close_messages_no_wait()

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Return what the palette offers: what works now."""
        if not isinstance(screen, ConsoleScreen):
            return
        for command in screen.working():
            if command.name != "command":
                run = screen.runner(command.name)
                yield SystemCommand(f"{command.label} ({command.shown})", command.said, run)
