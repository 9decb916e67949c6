"""How fresh what is shown is. Monotonic seconds come in from outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fleetroll_tui.model.updates import Lost, Older

if TYPE_CHECKING:
    from fleetroll_tui.model.updates import Update

STALE_SECONDS = 5.0
"""The server speaks every two seconds: after this long something is wrong, whatever the connection says."""


@dataclass
class Link:
    """The connection as the last updates showed it."""

    heard_at: float | None = None
    lost: Lost | None = None
    tries: int = 0
    loaded: bool = False
    server_offset: float = 0.0
    """Server's clock minus the monotonic one, seconds; 0 before the server said anything."""

    def take(self, update: Update, at: float) -> None:
        """Take note of an update that came in at ``at``."""
        if isinstance(update, Lost):
            self.lost, self.tries = update, update.tries
            return
        if isinstance(update, Older):
            return
        self.heard_at, self.lost, self.tries = at, None, 0
        if update.sent_at:
            self.server_offset = update.sent_at - at

    def silence(self, at: float) -> float:
        """Return the seconds since the server was heard."""
        return 0.0 if self.heard_at is None else max(0.0, at - self.heard_at)

    def stale(self, at: float) -> bool:
        """Tell whether what is shown may be wrong."""
        return self.loaded and (self.lost is not None or self.silence(at) > STALE_SECONDS)

    def words(self, at: float) -> str:
        """Return the freshness in words: "live 0.4 s", "stale 12 s, reconnecting (3)"."""
        if self.lost is not None and self.lost.final:
            return f"refused: {self.lost.code}"
        if self.stale(at):
            again = f", reconnecting ({self.tries})" if self.tries else ""
            return f"stale {self.silence(at):.0f} s{again}"
        if self.loaded:
            return f"live {self.silence(at):.1f} s"
        return f"no answer, trying again ({self.tries})" if self.tries else "connecting"
