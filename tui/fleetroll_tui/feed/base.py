"""What the console needs of a server, as a protocol: real, recorded, or a test's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

from fleetroll_common.values.errors import FleetrollError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fleetroll_tui.model.anchors import Anchors
    from fleetroll_tui.model.recovery import Recovery
    from fleetroll_tui.model.releases import Catalogue, FloorPreview, InUse
    from fleetroll_tui.model.signing import ServerInfo, Signing
    from fleetroll_tui.model.updates import Older, Update
    from fleetroll_tui.model.values import Attempt


Turn = Callable[[], Awaitable[None]]


async def any_turn() -> None:
    """Let whatever waits have its turn."""
    await asyncio.sleep(0)


class NoAnswerError(FleetrollError):
    """A decision was sent, and no answer came: whether it was taken is not known."""


class Server(Protocol):
    """A server to be watched, and the few decisions that are taken from here.

    Decisions raise ``FleetrollError`` with code and remedy, :class:`NoAnswerError` where nobody can tell. What they
    lead to is seen by watching: their answers are not shown.
    """

    recording: bool
    """True for one that only plays back."""

    turn: Turn
    """Awaited between pieces of work: whoever watches has the loop then, and gives it back when nothing is urgent."""

    @property
    def fault(self) -> str:
        """Return why nothing is recorded any more, although it was asked for; "" while all is well."""
        ...

    def watch(self, rollout_id: str = "") -> AsyncIterator[Update]:
        """Yield what stands and what happens, for ever, through cuts; with an id the hosts of that rollout alone."""
        ...

    async def older(self, *, rollout_id: str = "", host_id: str = "") -> Older:
        """Return the newest events of a rollout, of a host, or of all."""
        ...

    async def attempts(self, host_id: str) -> tuple[Attempt, ...]:
        """Return a host's attempts, newest first."""
        ...

    async def catalogue(self) -> Catalogue:
        """Return every release, every product, and what their publishers rule."""
        ...

    async def in_use(self, product: str) -> dict[str, InUse]:
        """Return what hosts still need of a product, by version."""
        ...

    async def preview_floor(self, product: str, version: str) -> FloorPreview:
        """Return what a floor would mean that nobody has set yet."""
        ...

    async def set_floor(self, product: str, role_version: int, version: str, stranded: int, reason: str) -> None:
        """Rule below which version nothing is installed anew.

        It is decided on a version of the product's role, and on so many hosts that it leaves without a way up.
        """
        ...

    async def signing(self) -> Signing:
        """Return every role that signs, with its keys."""
        ...

    async def server_info(self) -> ServerInfo:
        """Return what server it is."""
        ...

    async def anchors(self) -> Anchors:
        """Return where hosts find their servers, and how many know it."""
        ...

    async def recovery(self) -> Recovery:
        """Return whether the server takes its fleet back, and how far it is."""
        ...

    async def admit(self, hosts: tuple[str, ...], reason: str) -> None:
        """Let hosts have updates that are younger than the backup."""
        ...

    async def end_recovery(self, not_seen: int, reason: str) -> None:
        """Let the server offer again, as decided on so many hosts that were not seen."""
        ...

    async def withdraw(self, product: str, role_version: int, verb: str, version: str, reason: str) -> None:
        """Take a release off the list: "yank", "retire" or "revoke"; as decided on a version of the product's role."""
        ...

    async def promote(
        self, product: str, role_version: int, version: str, channels: tuple[str, ...], reason: str
    ) -> None:
        """List a release in exactly these channels, as decided on a version of the product's role."""
        ...

    async def pause(self, rollout_id: str, reason: str) -> None:
        """Pause a rollout."""
        ...

    async def resume(self, rollout_id: str, revision: int, reason: str) -> None:
        """Let a rollout go on, as decided on a revision."""
        ...

    async def advance(self, rollout_id: str, revision: int, reason: str) -> None:
        """Open the wave that waits, as decided on a revision."""
        ...

    async def cancel(self, rollout_id: str, reason: str) -> None:
        """Cancel a rollout; hosts under way go back."""
        ...

    async def press(self, fleet_id: str, reason: str) -> None:
        """Press the kill switch of a fleet; "" for all fleets."""
        ...

    async def lift(self, fleet_id: str, epoch: int, reason: str) -> None:
        """Lift the kill switch of a fleet, as it was seen at an epoch; "" for the one of all fleets. Starts nothing."""
        ...

    async def close(self) -> None:
        """Let go of everything."""
        ...
