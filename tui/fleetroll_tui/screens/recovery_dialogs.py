"""Dialogs about a RECOVERY."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_tui.model.recovery import what_changed
from fleetroll_tui.screens.dialogs import Confirm, Dialog, TypeName

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fleetroll_tui.model.recovery import Recovery
    from fleetroll_tui.paint import Span


class AboutRecovery(Dialog):
    """What both questions have."""

    recovery: Recovery

    def changes(self) -> list[str]:
        """Return what has changed since the question was drawn."""
        void = self.void()
        return [void] if void else what_changed(self.recovery, self.console.session.papers.recovery.value)


class Admit(AboutRecovery, Confirm):
    """Yes or no before hosts are admitted that are younger than the backup."""

    def __init__(self, title: str, lines: Sequence[Sequence[Span]], recovery: Recovery) -> None:
        """Ask about a recovery as it was seen."""
        super().__init__(title, lines)
        self.recovery = recovery


class EndRecovery(AboutRecovery, TypeName):
    """Asks for the number of hosts that were not seen."""

    def __init__(self, title: str, lines: Sequence[Sequence[Span]], recovery: Recovery) -> None:
        """Ask about a recovery as it was seen."""
        super().__init__(title, lines, str(recovery.not_seen))
        self.recovery = recovery
