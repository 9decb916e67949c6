"""How fresh what is shown is. Monotonic seconds come in from outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fleetroll_tui.model.updates import Changed, Lost, Older, Page, Resync

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
    anew_since: float | None = None
    """When the server began anew; None while what is known is what stands."""

    def take(self, update: Update, at: float) -> None:
        """Take note of an update that came in at ``at``."""
        if isinstance(update, Lost):
            self.lost, self.tries = update, update.tries
            return
        if isinstance(update, Older):
            return
        self.heard_at, self.lost, self.tries = at, None, 0
        if isinstance(update, Resync):
            self.anew_since = at
        elif isinstance(update, Changed) or (isinstance(update, Page) and update.last):
            self.anew_since = None
        if update.sent_at:
            self.server_offset = update.sent_at - at

    def why(self, at: float) -> Lost | None:
        """Return why nothing is heard, once that lasts, or at once where it is for good; None while it is no matter."""
        lasts = self.lost is not None and (self.lost.final or self.silence(at) > STALE_SECONDS)
        return self.lost if lasts and self.loaded else None

    def silence(self, at: float) -> float:
        """Return the seconds since the server was heard."""
        return 0.0 if self.heard_at is None else max(0.0, at - self.heard_at)

    @property
    def whole(self) -> bool:
        """Tell whether what was said stands, as far as the connection tells."""
        return self.loaded and self.lost is None and self.anew_since is None

    def stale(self, at: float) -> bool:
        """Tell whether what is shown may be wrong."""
        return self.loaded and (not self.whole or self.silence(at) > STALE_SECONDS)

    def trouble(self, at: float) -> tuple[int, float]:
        """Return how bad it is, for comparing: refused, lost or stale, and for how long; (0, 0) when it is not."""
        if self.lost is not None:
            return (3 if self.lost.final else 2, self._age(at))
        return (1, self._age(at)) if self.stale(at) else (0, 0.0)

    def words(self, at: float) -> str:
        """Return the freshness in words: "live 0.4 s", "stale 12 s, reconnecting (3)", "stale 2 s, read anew"."""
        if self.lost is not None and self.lost.final:
            return f"refused: {self.lost.code}"
        if self.stale(at):
            anew = ", read anew" if self.anew_since is not None else ""
            again = f", reconnecting ({self.tries})" if self.tries else anew
            return f"stale {self._age(at):.0f} s{again}"
        if self.loaded:
            return f"live {self.silence(at):.1f} s"
        return f"no answer, trying again ({self.tries})" if self.tries else "connecting"

    def _age(self, at: float) -> float:
        return self.silence(at) if self.anew_since is None else max(0.0, at - self.anew_since)
