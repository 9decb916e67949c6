"""When a product's windows open next, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_agent.reading.instants import shown
from fleetroll_common.values import windows
from fleetroll_common.values.errors import FleetrollError

if TYPE_CHECKING:
    from datetime import datetime

    from fleetroll_agent.settings.product import Product

ALWAYS = "always open"


def next_opening(product: Product, now: datetime, local_zone: str) -> str:
    """Return the next instant at which work on the product may begin, or why there is none.

    Args:
        product: as agent.toml has it.
        now: aware.
        local_zone: of this host.
    """
    if not product.windows:
        return ALWAYS
    try:
        at = windows.next_opening(product.windows, now, local_zone, float(product.expected_seconds))
    except FleetrollError as error:
        return f"never: {error.message}"
    return "never within 400 days" if at is None else "now" if at <= now else shown(at)
