"""When a product's windows open next, in words, where this agent can tell."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fleetroll_agent.reading.instants import shown
from fleetroll_common.values.errors import FleetrollError
from fleetroll_common.values.windows import DAYS

if TYPE_CHECKING:
    from datetime import datetime

    from fleetroll_agent.settings.product import Product
    from fleetroll_common.values.windows import Window

ALWAYS = "always open"


def shown_window(window: Window) -> str:
    """Return a window as agent.toml has it, its days one by one."""
    begin, end = (f"{minutes // 60:02}:{minutes % 60:02}" for minutes in (window.from_minutes, window.to_minutes))
    return f"{','.join(DAYS[day] for day in window.days)} {begin}-{end} {window.zone}"


def next_opening(product: Product, now: datetime, local_zone: str) -> str:
    """Return the next instant at which work on the product may begin, or why there is none; empty = it can't be told.

    Args:
        product: as agent.toml has it.
        now: aware.
        local_zone: of this host.
    """
    if not product.windows:
        return ALWAYS
    rules: Any = _rules()
    if rules is None:
        return ""
    try:
        at = rules.next_opening(product.windows, now, local_zone, float(product.expected_seconds))
    except FleetrollError as error:
        return f"never: {error.message}"
    return "never within 400 days" if at is None else "now" if at <= now else shown(at)


def _rules() -> Any:  # noqa: ANN401 (a module)
    """Return the rules of windows; None in a build without them."""
    try:
        return import_module("fleetroll_common.values.windows")
    except ModuleNotFoundError:
        return None
