"""What ``agent.toml`` says, as values. Immutable; every number names its unit, and was read within its bounds.

What a key means, its bounds and where they come from stand once, in :mod:`fleetroll_agent.settings.table`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fleetroll_agent.settings.product import Product


class Session(str, Enum):
    """How the host keeps in touch."""

    STREAM = "stream"
    POLL = "poll"


class Offline(str, Enum):
    """What a host does that reaches no server."""

    POSTPONE = "postpone"
    LOCAL_SCHEDULE = "local_schedule"


@dataclass(frozen=True, slots=True)
class HostSettings:
    """The table ``[host]``: what holds for the machine, whatever the product.

    Attributes:
        order: products that are updated first, in this order.
        containers: the agent updates itself in a container as well.
        session: a stream, or a visit now and then.
        check_in_seconds: between two visits; of no meaning for a stream.
        offline: what happens without a server.
        offline_after_seconds: without a server, until the host goes by its own schedule.
        offline_sources: mirrors that it takes releases from then, each by its path or address.
    """

    order: tuple[str, ...] = ()
    containers: bool = False
    session: Session = Session.STREAM
    check_in_seconds: int = 3600
    offline: Offline = Offline.POSTPONE
    offline_after_seconds: int = 86400
    offline_sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DownloadSettings:
    """The table ``[download]``. A rate is in KiB per second.

    Attributes:
        bandwidth_kib_per_second: the cap of all downloads together; 0 = none.
        slowest_kib_per_second: a connection below it is given up.
        stall_seconds: a connection without a byte for so long is given up.
        mirrors: URL patterns with ``{path}`` in them, asked in this order before the server.
    """

    bandwidth_kib_per_second: int = 0
    slowest_kib_per_second: int = 64
    stall_seconds: float = 30.0
    mirrors: tuple[str, ...] = ()

    @property
    def demanded_kib_per_second(self) -> float:
        """Return the rate that is asked of a connection: half the cap at most, or the cap would end every download."""
        slowest, cap = float(self.slowest_kib_per_second), self.bandwidth_kib_per_second
        return min(slowest, cap / 2) if cap else slowest


@dataclass(frozen=True, slots=True)
class Settings:
    """What the host decides for itself.

    Attributes:
        reconnect_base_seconds: ceiling of the first wait before a new stream.
        reconnect_cap_seconds: ceiling of every wait, at least the base.
        go_ask_interval_seconds: between two requests for Go, give or take a fifth.
        identity_rotate_after_days: the age at which the host replaces its key.
        host: for the machine.
        download: for every download.
        products: as the file lists them, each name once.
    """

    reconnect_base_seconds: float = 1.0
    reconnect_cap_seconds: float = 60.0
    go_ask_interval_seconds: float = 60.0
    identity_rotate_after_days: float = 180.0
    host: HostSettings = HostSettings()
    download: DownloadSettings = DownloadSettings()
    products: tuple[Product, ...] = ()

    def product(self, name: str) -> Product | None:
        """Return what the file says of the product ``name``; None when it has no table."""
        return next((product for product in self.products if product.name == name), None)

    @property
    def in_order(self) -> tuple[Product, ...]:
        """Return the products in the order in which they are updated: the named ones, then the file's order."""
        first = {name: place for place, name in enumerate(self.host.order)}
        return tuple(sorted(self.products, key=lambda product: first.get(product.name, len(first))))
