"""Decisions: what is sent to the server, and what it answers. Nothing is painted that the server has not reported."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from rich.cells import cell_len
from textual.content import Content
from textual.widgets import Input

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import FleetrollError
from fleetroll_tui.feed.base import NoAnswerError
from fleetroll_tui.model.decisions import GLOBAL, name_of
from fleetroll_tui.screens.dialogs import MOST_TYPED, Confirm, LiftSwitch, Refused, TypeName
from fleetroll_tui.screens.evidence import advance_lines, cancel_lines, continue_lines, lift_lines, subject_lines
from fleetroll_tui.text import clean

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from fleetroll_tui.app import ConsoleApp
    from fleetroll_tui.model.values import Rollout, Switch

ARMED_SECONDS = 3.0
"""Within this time the second press of the kill switch counts."""
NOT_KNOWN_SECONDS = 60.0
"""How long a decision without an answer is told: a line that broke needs some time to come back."""
REASON = "console"
"""What is kept where a person gave no reason."""


class Acting:
    """The deciding part of the app."""

    armed_at: float | None = None
    armed_scope: tuple[str, str] = ("", "")
    """What the first press was about: the fleet's id, and in words."""

    @property
    def _app(self) -> ConsoleApp:
        return cast("ConsoleApp", self)

    def title_of(self, rollout: Rollout) -> str:
        """Return a rollout's name, with its fleet where several are seen: the same release may go to each."""
        several = len([fleet for fleet, hosts in self._app.session.fleet.fleets.items() if hosts]) > 1
        return f"{rollout.fleet_id}/{name_of(rollout)}" if several else name_of(rollout)

    def pause(self, rollout: Rollout) -> None:
        """Pause at once: no dialog."""
        self.send(f"pause of {self.title_of(rollout)}", lambda: self._app.server.pause(rollout.id, REASON))

    def ask_continue(self, rollout: Rollout) -> None:
        """Show the evidence and ask."""
        self._ask(
            rollout,
            f"Continue {self.title_of(rollout)}?",
            continue_lines(rollout),
            lambda reason: self._app.server.resume(rollout.id, rollout.revision, reason),
        )

    def ask_advance(self, rollout: Rollout) -> None:
        """Show the evidence and ask."""
        self._ask(
            rollout,
            f"Open the next wave of {self.title_of(rollout)}?",
            advance_lines(rollout),
            lambda reason: self._app.server.advance(rollout.id, rollout.revision, reason),
        )

    def ask_cancel(self, rollout: Rollout) -> None:
        """Ask for the rollout's name, before what stands now, whatever the view shows."""
        rollout = self._app.session.fleet.rollouts.get(rollout.id) or rollout

        def answered(reason: str | None) -> None:
            if reason is not None:
                self.send(f"cancelling of {name}", lambda: self._app.server.cancel(rollout.id, reason or REASON))

        name = self.title_of(rollout)
        lines = [*self._subject(rollout), *cancel_lines(rollout)]
        typed = name if cell_len(name) <= MOST_TYPED else rollout.version
        dialog = TypeName(f"Cancel {name}", lines, typed, rollout)
        self._app.push_screen(dialog, answered)

    def _ask(
        self, drawn: Rollout, title: str, lines: list[list[tuple[str, str]]], act: Callable[[str], Awaitable[None]]
    ) -> None:
        def answered(reason: str | None) -> None:
            if reason is not None:
                self.send(title.rstrip("?"), lambda: act(reason or REASON), drawn)

        self._app.push_screen(Confirm(title, [*self._subject(drawn), *lines], drawn), answered)

    def _subject(self, rollout: Rollout) -> list[list[tuple[str, str]]]:
        """Return what a rollout is, where its name is too long for the title of a question: it would end in "…"."""
        return subject_lines(rollout) if cell_len(self.title_of(rollout)) > MOST_TYPED else []

    # The kill switch.

    def press_halt(self, fleet_id: str, scope: str) -> None:
        """Arm the kill switch of a fleet, "" for all; pressed again in time, press what was armed.

        Where the cursor is by then is no matter: the line at the bottom says what the second press stops.
        """
        now = self._app.session.ticks()
        if self.armed_at is None or now - self.armed_at > ARMED_SECONDS:
            self.armed_at, self.armed_scope = now, (fleet_id, scope)
            return
        self.armed_at = None
        fleet, words = self.armed_scope
        self.send(f"kill switch of {words}", lambda: self._app.server.press(fleet, REASON))

    def ask_lift(self, switch: Switch) -> None:
        """Ask for the environment's name before a kill switch is lifted."""

        def answered(reason: str | None) -> None:
            if reason is not None:
                self.send(f"lifting of {words}", lambda: self._app.server.lift(fleet, switch.epoch, reason or REASON))

        fleet = "" if switch.scope == GLOBAL else switch.scope.removeprefix("fleet/")
        if switch.scope != GLOBAL and (not fleet or fleet == switch.scope):
            self.say("Lift switch", f"nobody knows what the scope {clean(switch.scope, 60)} is")
            return
        words = f"the kill switch {clean(switch.scope, 70)}"
        session = self._app.session
        others = [each.scope for each in session.fleet.pressed if each.scope != switch.scope]
        lines = lift_lines(switch, others, session.now)
        self._app.push_screen(LiftSwitch("Lift a kill switch?", lines, self._app.whole_environment, switch), answered)

    def disarm_in_time(self) -> None:
        """Forget a first press that was not followed by a second."""
        if self.armed_at is not None and self._app.session.ticks() - self.armed_at > ARMED_SECONDS:
            self.armed_at = None

    # Sending.

    def send(self, what: str, act: Callable[[], Awaitable[None]], drawn: Rollout | None = None) -> None:
        """Send a decision, and say what the server answers; ``drawn`` is what was asked about."""
        self.say("Sent", f"{what}: waiting for the server's word")
        self._app.run_worker(self._sent(what, act, drawn), group="decisions")

    async def _sent(self, what: str, act: Callable[[], Awaitable[None]], drawn: Rollout | None) -> None:
        try:
            await act()
        except NoAnswerError as error:
            self.say_error(f"Not known whether it was done: {what}", error, NOT_KNOWN_SECONDS)
        except FleetrollError as error:
            # Whoever types goes on typing: what the letters mean in a dialog that comes by itself nobody has asked for.
            if error.code is Code.STALE_DECISION and drawn is not None and not isinstance(self._app.focused, Input):
                self._app.push_screen(Refused(what, error.message, error.remedy, drawn))
            else:
                self.say_error(f"Not done: {what}", error, NOT_KNOWN_SECONDS if drawn is not None else 10)
        else:
            self.say("Accepted", what)

    def say(self, title: str, words: str) -> None:
        """Tell something in passing."""
        self._app.notify(Content(self._app.paint.word(clean(words, 400))).plain, title=title, markup=False, timeout=4)

    def say_error(self, title: str, error: FleetrollError, seconds: float = 10) -> None:
        """Tell what went wrong, for so long: code, sentence, remedy."""
        words = f"{clean(error.message, 400)} ({error.code})"
        remedy = f"\n{clean(error.remedy, 400)}" if error.remedy else ""
        self._app.notify(
            self._app.paint.word(words + remedy),
            title=clean(title, 100),
            severity="error",
            markup=False,
            timeout=seconds,
        )
