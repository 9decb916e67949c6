"""What this host allows of one product, whatever the server wants: values from agent.toml."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fleetroll_agent.settings.product import AutoUpdate

if TYPE_CHECKING:
    from fleetroll_agent.settings.product import Product
    from fleetroll_common.values.pins import Pin
    from fleetroll_common.values.windows import Window


@dataclass(frozen=True, slots=True)
class Policy:
    """One product's. The defaults allow everything: a rule stands where a setting, or its own default, puts it.

    Attributes:
        auto_update: which updates are taken.
        allowed_channels: of releases that are taken; None = any.
        pin: part of the version that may not change; None = none.
        min_interval_seconds: between the starts of two updates that the server wants, >= 0.
        retry_bad: a digest that failed here may be taken again when a person asks.
        override_local: the server may end a hold that was set here.
        windows: in which work may begin; empty = always.
        time_zone: the host's own, by an IANA name: that of windows which name ``local``.
        expected_seconds: how long the work takes.
        container: the marker of a container that was hit, where updates are not for containers; empty = none.
    """

    auto_update: AutoUpdate = AutoUpdate.ALWAYS
    allowed_channels: tuple[str, ...] | None = None
    pin: Pin | None = None
    min_interval_seconds: float = 0.0
    retry_bad: bool = True
    override_local: bool = True
    windows: tuple[Window, ...] = ()
    time_zone: str = "UTC"
    expected_seconds: float = 120.0
    container: str = ""


def policy_of(product: Product, time_zone: str, container: str = "") -> Policy:
    """Return what agent.toml says of ``product``; ``time_zone`` and ``container`` as in :class:`Policy`."""
    return Policy(
        auto_update=product.auto_update,
        allowed_channels=product.allowed_channels,
        pin=product.pin,
        min_interval_seconds=float(product.min_update_interval_seconds),
        retry_bad=product.retry_bad,
        override_local=product.override_local,
        windows=product.windows,
        time_zone=time_zone,
        expected_seconds=float(product.expected_seconds),
        container=container,
    )
