"""What a session needs of the rest of the agent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from fleetroll_agent.identity.facts import WelcomeReceipt
    from fleetroll_agent.jobs.events import Event
    from fleetroll_agent.session.facts import HostFacts


class Greeter(Protocol):
    """Who says hello."""

    async def before_hello(self, receipt: WelcomeReceipt | None, *, evidence: bool = False) -> HostFacts:
        """Void every permit of an older session, then return the state of the host, and what it kept if asked."""


class SessionHost(Greeter, Protocol):
    """The host, as its stream sees it."""

    @property
    def healthy(self) -> bool:
        """Tell whether the agent's own health check holds."""

    @property
    def on_trial(self) -> bool:
        """Tell whether this version is on trial."""

    @property
    def idle(self) -> bool:
        """Tell whether nothing is going on that a renewed stream would disturb, and this version is not on trial."""

    def keeps(self, product: str) -> bool:
        """Tell whether this host keeps ``product``."""

    @property
    def busy(self) -> bool:
        """Tell whether something is going on for which a host that polls holds its stream."""

    @property
    def rest_seconds(self) -> float | None:
        """Return after how long an attempt that rests by the host's own rules may go on; None = none rests."""

    async def tell(self, event: Event, product: str | None = None) -> None:
        """Bring an event to the rules of ``product`` (None: of every one), in order; returns when it has happened."""

    async def acked(self, journal_id: str, sequence: int) -> None:
        """Take note that the server holds the journal up to ``sequence``."""

    def welcomed(self) -> None:
        """Take note of a Welcome: this process reached the server over its own stream."""

    def heard(self) -> None:
        """Take note of a message after the Welcome: what comes over the stream is read."""
