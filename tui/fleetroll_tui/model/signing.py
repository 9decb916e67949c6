"""Signing keys and how long what they signed is good for; what server this is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MANAGED, OFFLINE = "managed", "offline"
HOUR, DAY = 3_600.0, 86_400.0
LIMITS = (60 * DAY, 30 * DAY, 7 * DAY)
"""Seconds before a signature's end from which it is told, a warning, critical."""
LEAF = "certificate"
SHORT_LIMITS = {
    "snapshot": (0.0, 3 * DAY, DAY),
    "timestamp": (0.0, 12 * HOUR, 3 * HOUR),
    LEAF: (0.0, 28 * DAY, 7 * DAY),
}
"""The same for what the server renews by itself, and what so never lasts for long; its certificate at 30 days left."""
GOOD, INFO, WARNING, CRITICAL, EXPIRED = "good", "info", "warning", "critical", "expired"
STAGES = (EXPIRED, CRITICAL, WARNING, INFO, GOOD)
"""The worst first."""
URGENT = frozenset({EXPIRED, CRITICAL})
PRODUCTS = "products/"


@dataclass(frozen=True, slots=True)
class Key:
    """One key; ``held_here``: the server has its private half."""

    id: str
    since: float = 0.0
    rotate_after: float = 0.0
    old: bool = False
    held_here: bool = False


@dataclass(frozen=True, slots=True)
class Role:
    """Who may sign one kind of thing, and until when what they signed is good."""

    name: str
    version: int = 0
    expires_at: float = 0.0
    threshold: int = 1
    keys: tuple[Key, ...] = ()

    @property
    def signs_here(self) -> bool:
        """Tell whether the server alone can sign for it."""
        return sum(key.held_here for key in self.keys) >= max(1, self.threshold)


@dataclass(frozen=True, slots=True)
class Signing:
    """Every role, and who holds the keys; ``mode`` is "managed", "offline" or whatever a newer server calls it."""

    mode: str = ""
    roles: tuple[Role, ...] = ()
    readable_root_keys: tuple[str, ...] = ()

    def role_of(self, product: str) -> Role | None:
        """Return the role that signs for a product; None where it was not said."""
        return next((role for role in self.roles if role.name == PRODUCTS + product), None)

    def signs_here(self, product: str) -> bool:
        """Tell whether the server signs a change of a product's list by itself."""
        role = self.role_of(product)
        return role.signs_here if role is not None else self.mode == MANAGED


@dataclass(frozen=True, slots=True)
class RoleKey:
    """One key in one role: a line of the list."""

    role: Role
    key: Key

    @property
    def id(self) -> str:
        """Return an id: a key may stand in several roles, where somebody erred."""
        return f"{self.role.name} {self.key.id}"


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """What server this is."""

    version: str = ""
    git_sha: str = ""
    schema: str = ""
    protocol_min: int = 0
    protocol_max: int = 0
    mode: str = ""


def stage(role: str, expires_at: float, now: float) -> str:
    """Return how near a role's end is; a role without an end that anybody knows is good."""
    if not expires_at or not now:
        return GOOD
    left = expires_at - now
    if left <= 0:
        return EXPIRED
    told, warned, critical = SHORT_LIMITS.get(role, LIMITS)
    return CRITICAL if left < critical else WARNING if left < warned else INFO if left < told else GOOD


def urgent_roles(signing: Signing, now: float) -> list[tuple[Role, str]]:
    """Return the roles that are critical or expired with their stage, the worst and then the soonest first."""
    found = [(role, stage(role.name, role.expires_at, now)) for role in signing.roles]
    urgent = [each for each in found if each[1] in URGENT]
    return sorted(urgent, key=lambda each: (STAGES.index(each[1]), each[0].expires_at, each[0].name))


def lines_of(signing: Signing) -> Iterator[RoleKey]:
    """Yield every key of every role, in the server's order; a role without keys has a line too."""
    for role in signing.roles:
        for key in role.keys or (Key(""),):
            yield RoleKey(role, key)
