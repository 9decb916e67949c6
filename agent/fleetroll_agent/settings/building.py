"""From what was read and judged to the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fleetroll_agent.settings.product import (
    Check,
    CommandCheck,
    Health,
    Hook,
    Hooks,
    HttpCheck,
    Product,
    TcpCheck,
    UnitCheck,
)
from fleetroll_agent.settings.product_table import MACHINE
from fleetroll_agent.settings.values import DownloadSettings, HostSettings, Settings

if TYPE_CHECKING:
    from collections.abc import Mapping


def settings_of(read: Mapping[str, Mapping[str, Any]]) -> Settings:
    """Return the settings of tables in which no fault was found."""
    flat = {
        f"{section.prefix}{key}": value
        for name, section in MACHINE.items()
        if section.prefix
        for key, value in read.get(name, {}).items()
    }
    return Settings(
        **flat,
        host=HostSettings(**read.get("host", {})),
        download=DownloadSettings(**read.get("download", {})),
        products=tuple(_product(name, values) for name, values in read.get("products", {}).items()),
    )


def _product(name: str, read: Mapping[str, Any]) -> Product:
    own = dict(read)
    limits, twice = own.pop("time_limits", {}), own.pop("idempotent", ())
    return Product(
        name=name,
        **{
            **own,
            "hooks": Hooks(**own.get("hooks", {})),
            "time_limits": tuple((hook, limits[hook.value]) for hook in Hook if hook.value in limits),
            "idempotent": frozenset(Hook(hook) for hook in twice if not isinstance(twice, dict) or twice[hook]),
            "health": _health(own.get("health", {}), own.get("unit")),
        },
    )


def _health(read: Mapping[str, Any], unit: str | None) -> Health | None:
    """Return how the product is asked; None where there is nothing to ask."""
    check = _check(read, unit)
    times = {name: value for name, value in read.items() if name.endswith("_seconds")}
    return None if check is None else Health(check, **times)


def _check(read: Mapping[str, Any], unit: str | None) -> Check | None:
    if "url" in read:
        return HttpCheck(**{name: read[name] for name in ("url", "status", "body", "version") if name in read})
    if "tcp" in read:
        return TcpCheck(*read["tcp"])
    if "command" in read:
        return CommandCheck(read["command"])
    named = read.get("unit", unit)
    return None if named is None else UnitCheck(named)
