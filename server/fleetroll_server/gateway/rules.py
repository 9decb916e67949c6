"""What the gateway asks of the engine: the meaning of a hello, of reports, of an ask, and of a session's end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from fleetroll_server.domain.heard import Ask, Batch, HostSaid
    from fleetroll_server.gateway.convert_out import Message
    from fleetroll_server.gateway.session import SessionKey
    from fleetroll_server.recovery.evidence import Shown
    from fleetroll_server.store.tx import Tx


@dataclass(frozen=True, slots=True)
class Greeted:
    """A hello that was accepted in this transaction.

    Attributes:
        key: who speaks, with the new epoch.
        quarantined: no offer and no Go for this identity.
        held: highest contiguous sequence of its journal that is durable.
        host: what the host says of itself.
        shown: what it shows to a database of another incarnation than it knows; nothing where there is no need.
    """

    key: SessionKey
    quarantined: bool
    host: HostSaid
    held: int
    shown: Shown | None = None


class StreamRules(Protocol):
    """The engine as the gateway sees it. All changes are durable before an answer is returned."""

    async def greet(self, tx: Tx, hello: Greeted) -> Sequence[Message]:
        """Reconcile both sides within the hello's own transaction; return what follows the welcome."""

    async def left(self, tx: Tx, key: SessionKey, *, heard_at: datetime | None, goodbye: bool) -> None:
        """Take note that the session is over; its host spoke last at ``heard_at``, nothing for a hello alone."""

    async def reports(self, key: SessionKey, batch: Batch) -> Message:
        """Store reports and let them take effect; return the ack, or RECONNECT for an older epoch."""

    async def request_go(self, key: SessionKey, ask: Ask) -> Message:
        """Decide about Go; return Go, NoGo, or RECONNECT for an older epoch."""
