"""From the health check of agent.toml to what is asked on the host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_agent.hooks.specs import CommandHealth, HttpHealth, Spec, TcpHealth, UnitHealth
from fleetroll_agent.settings.product import CommandCheck, Hook, HttpCheck, TcpCheck, UnitCheck

if TYPE_CHECKING:
    from fleetroll_agent.settings.product import Health, Product


def spec_of(product: Product) -> Spec | None:
    """Return what is asked of ``product``; None when only its own switch is looked at."""
    if product.health is not None:
        return _checked(product, product.health)
    if product.smoke_is_health and product.hooks.smoke is not None:
        limit = float(product.limit_seconds(Hook.SMOKE))
        return CommandHealth(product.hooks.smoke, user=product.user or "", limit_seconds=limit)
    return UnitHealth(product.unit) if product.unit else None


def _checked(product: Product, health: Health) -> Spec:
    check, limit = health.check, health.timeout_seconds
    if isinstance(check, HttpCheck):
        return HttpHealth(check.url, check.status, check.body or "", ".".join(check.version), limit)
    if isinstance(check, TcpCheck):
        return TcpHealth(check.host, check.port, limit)
    if isinstance(check, UnitCheck):
        return UnitHealth(check.unit, limit)
    return _command(product, check, limit)


def _command(product: Product, check: CommandCheck, limit: float) -> Spec:
    return CommandHealth(check.command, user=product.user or "", limit_seconds=limit)
