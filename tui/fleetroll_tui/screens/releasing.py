"""What is decided about a release, on the screens that have one, and about the server."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Callable

    from fleetroll_tui.model.releases import Release
    from fleetroll_tui.screens.base import ConsoleScreen


class Releasing:
    """The part of a screen that is about releases."""

    @property
    def _screen(self) -> ConsoleScreen:
        return cast("ConsoleScreen", self)

    def release(self) -> Release | None:
        """Return the release that decisions are about."""
        return None

    def _about_release(self, act: Callable[[Release], None]) -> None:
        release = self.release()
        if release is not None:
            act(release)

    def do_admit(self) -> None:
        """Ask, then let hosts have updates that are younger than the backup."""
        self._screen.console.ask_admit()

    def do_end_recovery(self) -> None:
        """Ask for the number of hosts not seen, then let the server offer again."""
        self._screen.console.ask_end_recovery()

    def do_promote(self) -> None:
        """Ask for channels and the version, then list it in them."""
        self._about_release(self._screen.console.ask_promote)

    def do_floor(self) -> None:
        """Find out what it would mean, ask, then make this version the floor."""
        self._about_release(self._screen.console.ask_floor)

    def do_yank(self) -> None:
        """Ask, then take it back."""
        self._about_release(lambda release: self._screen.console.ask_withdraw("yank", release))

    def do_retire(self) -> None:
        """Ask, then take it off the list."""
        self._about_release(lambda release: self._screen.console.ask_withdraw("retire", release))

    def do_revoke(self) -> None:
        """Ask, then declare that it must not run."""
        self._about_release(lambda release: self._screen.console.ask_withdraw("revoke", release))
