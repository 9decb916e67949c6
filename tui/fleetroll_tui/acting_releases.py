"""Decisions about releases: sent where the server signs; where a publisher does, it is said how."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from textual.widgets import Input

from fleetroll_common.values.errors import FleetrollError
from fleetroll_tui.model.releases import Listed, Policy, spread_of
from fleetroll_tui.screens.release_dialogs import Elsewhere, Floor, Promote, Withdraw
from fleetroll_tui.screens.release_evidence import DONE, floor_lines, offline_lines, promote_lines, withdraw_lines
from fleetroll_tui.text import clean

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from fleetroll_tui.app import ConsoleApp
    from fleetroll_tui.model.releases import Release, Spread


class ActingOnReleases:
    """The part of the app that decides about releases."""

    @property
    def _console(self) -> ConsoleApp:
        return cast("ConsoleApp", self)

    def role_version(self, product: str) -> int:
        """Return the version of a product's role as it was read last; 0 where it never was."""
        return self._console.session.papers.catalogue.value.products.get(product, Listed(product)).role_version

    def ask_withdraw(self, verb: str, release: Release) -> None:
        """Show who has a release, and ask whether it is taken off the list: "yank", "retire" or "revoke".

        It is sent on the newest version of the role that is known when somebody says yes: to stop is never stale.
        """
        name = clean(release.name, 100)
        if self._elsewhere(verb, release):
            return

        def answered(reason: str | None) -> None:
            if reason is not None:
                why = reason or f"{DONE[verb]} in the console"
                self._send(f"{verb} {name}", lambda: server.withdraw(product, version(product), verb, number, why))

        server, version = self._console.server, self.role_version
        product, number = release.product, release.version
        lines = withdraw_lines(verb, release, self._spread(release))
        dialog = Withdraw(f"{verb.capitalize()} {name}?", lines, release, version(product))
        self._console.push_screen(dialog, answered)

    def ask_promote(self, release: Release) -> None:
        """Show whom a release concerns, and ask for the channels and its version."""
        if self._elsewhere("promote", release):
            return
        name, drawn = clean(release.name, 100), self.role_version(release.product)

        def answered(reason: str | None) -> None:
            if reason is not None:
                said = reason or "promoted in the console"
                self._send(
                    f"promotion of {name} to {', '.join(channels := dialog.chosen)}",
                    lambda: self._console.server.promote(release.product, drawn, release.version, channels, said),
                )

        dialog = Promote(f"Promote {name}", promote_lines(release, self._spread(release)), release, drawn)
        self._console.push_screen(dialog, answered)

    def ask_floor(self, release: Release) -> None:
        """Find out which hosts a floor would leave without a way up, and ask for their number."""
        if not self._elsewhere("floor", release):
            self._console.run_worker(self._preview(release), group="decisions")

    async def _preview(self, release: Release) -> None:
        console, at = self._console, self._console.screen
        drawn, name = self.role_version(release.product), clean(release.name, 100)
        try:
            preview = await console.server.preview_floor(release.product, release.version)
        except FleetrollError as error:
            console.say_error(f"What the floor {name} would mean is not known", error)
            return
        if console.screen is not at or isinstance(console.focused, Input):
            return  # whoever went on, or types, is not to find a question under the next key

        def answered(reason: str | None) -> None:
            if reason is not None:
                said = reason or "set in the console"
                self._send(
                    f"floor {name}",
                    lambda: console.server.set_floor(release.product, drawn, release.version, preview.stranded, said),
                )

        floor = console.session.papers.catalogue.value.policies.get(release.product, Policy()).floor
        lines = floor_lines(release, preview, floor)
        title = f"Set the floor of {clean(release.product, 60)} to {clean(release.version, 60)}"
        console.push_screen(Floor(title, lines, release, drawn, preview.stranded), answered)

    def _spread(self, release: Release) -> Spread:
        return spread_of(release, self._console.session.fleet.runs)

    def _elsewhere(self, verb: str, release: Release) -> bool:
        """Say which command the publisher runs, where this server can't sign; True then."""
        papers = self._console.session.papers
        if not papers.signing.known or papers.signing.value.signs_here(release.product):
            return False
        title = f"{verb.capitalize()} {clean(release.name, 100)}: the publisher's decision"
        self._console.push_screen(Elsewhere(title, offline_lines(verb, release)))
        return True

    def _send(self, what: str, act: Callable[[], Awaitable[None]]) -> None:
        async def acted() -> None:
            try:
                await act()
            finally:
                papers = self._console.session.papers
                papers.catalogue.void()
                papers.signing.void()

        self._console.send(what, acted)
