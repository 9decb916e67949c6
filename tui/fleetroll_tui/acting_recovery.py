"""Decisions about a RECOVERY: they carry what was seen when they were asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from fleetroll_tui.screens.recovery_dialogs import Admit, EndRecovery
from fleetroll_tui.screens.recovery_lines import admit_lines, end_lines
from fleetroll_tui.text import of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from fleetroll_tui.app import ConsoleApp


class ActingOnRecovery:
    """The part of the app that decides about a RECOVERY."""

    @property
    def _deciding(self) -> ConsoleApp:
        return cast("ConsoleApp", self)

    def ask_admit(self) -> None:
        """Name the hosts that are younger than the backup, and ask whether exactly these have updates."""
        app, drawn = self._deciding, self._deciding.session.papers.recovery.value
        hosts = tuple(host.id for host in drawn.younger)

        def answered(reason: str | None) -> None:
            if reason is not None:
                said = reason or "admitted in the console"
                self._send_about(f"admission of {of(len(hosts), 'host')}", lambda: app.server.admit(hosts, said))

        app.push_screen(Admit("Admit hosts younger than the backup?", admit_lines(drawn), drawn), answered)

    def ask_end_recovery(self) -> None:
        """Show what is not known, and ask for the number of hosts that were not seen."""
        app, drawn = self._deciding, self._deciding.session.papers.recovery.value

        def answered(reason: str | None) -> None:
            if reason is not None:
                said = reason or "ended in the console"
                self._send_about("end of the RECOVERY", lambda: app.server.end_recovery(drawn.not_seen, said))

        app.push_screen(EndRecovery("End the RECOVERY", end_lines(drawn, app.session.now), drawn), answered)

    def _send_about(self, what: str, act: Callable[[], Awaitable[None]]) -> None:
        async def acted() -> None:
            try:
                await act()
            finally:
                self._deciding.session.papers.recovery.void()

        self._deciding.send(what, acted)
