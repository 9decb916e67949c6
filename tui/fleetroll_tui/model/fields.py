"""What can be filtered and sorted by, for each kind of row."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from fleetroll_tui.model.fleet import tiles_of
from fleetroll_tui.model.values import ACTIVE, ENDED, Happening, Host, Member, Rollout
from fleetroll_tui.model.versions import order_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

T = TypeVar("T")


class Kind(Enum):
    """How a field's value is read."""

    WORD = auto()
    CHOICE = auto()
    LABEL = auto()
    VERSION = auto()
    AGE = auto()


@dataclass(frozen=True)
class Field(Generic[T]):
    """One field. ``get`` returns all values that a row has: none, one or several."""

    name: str
    kind: Kind
    get: Callable[[T], Iterable[Any]]
    example: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Order(Generic[T]):
    """One way to sort. ``key`` returns what rows are compared by; ties are broken by id."""

    name: str
    key: Callable[[T], Any]


@dataclass(frozen=True)
class Fields(Generic[T]):
    """All fields of a kind of row, what plain text is looked for in, and the ways to sort, the default first."""

    by_name: dict[str, Field[T]]
    texts: Callable[[T], Iterable[str]]
    orders: tuple[Order[T], ...]


def _fields(*fields: Field[T]) -> dict[str, Field[T]]:
    return {field.name: field for field in fields}


STATES = ("pending", *sorted(ACTIVE), *sorted(ENDED))
HOST_STATES = ("none", "revoked", "quarantined", *STATES)
ROLLOUT_STATES = (
    *("draft", "awaiting_approval", "scheduled", "running", "paused", "halted", "completed"),
    *("cancelled", "superseded", "rolling_back", "rolled_back"),
)
IS_HOST = ("online", "offline", "updating", "failed", "revoked", "quarantined", "container", "changed")
_URGENCY = {
    state: at
    for at, state in enumerate(
        ("rollback_failed", "lost", "failed", "quarantined", "rolled_back", *sorted(ACTIVE), "pending")
    )
}


def urgency(state: str) -> int:
    """Return how soon a person should look at a state: low is soon."""
    return _URGENCY.get(state, len(_URGENCY))


def _host_is(host: Host) -> list[str]:
    found = tiles_of(host)
    changed = any(product.changed_on_host for product in host.products)
    marks = (
        *(("revoked", host.revoked), ("quarantined", host.quarantined)),
        *(("container", bool(host.container)), ("changed", changed)),
    )
    return found + [word for word, holds in marks if holds]


HOST_FIELDS: Fields[Host] = Fields(
    _fields(
        Field("name", Kind.WORD, lambda host: (host.name,), "name:edge-*"),
        Field("fleet", Kind.WORD, lambda host: (host.fleet_id,), "fleet:eu-*"),
        Field("state", Kind.CHOICE, lambda host: (host.state or "none",), "state:failed", HOST_STATES),
        Field("is", Kind.CHOICE, _host_is, "is:offline", IS_HOST),
        Field("updates", Kind.CHOICE, tiles_of, "updates:behind", ("behind",)),
        Field("label", Kind.LABEL, lambda host: host.labels.items(), "label:site=ams"),
        Field("version", Kind.VERSION, lambda host: (host.product.current,), "version:<1.5"),
        Field("target", Kind.VERSION, lambda host: (host.product.target,), "target:1.5.0"),
        Field("product", Kind.WORD, lambda host: (each.name for each in host.products), "product:agent"),
        Field("os", Kind.WORD, lambda host: (host.os,), "os:linux"),
        Field("arch", Kind.WORD, lambda host: (host.arch,), "arch:aarch64"),
        Field("code", Kind.WORD, lambda host: (host.product.last_attempt.code,), "code:HEALTH_*"),
        Field(
            "seen",
            Kind.AGE,
            lambda host: (host.last_seen_at,) if host.last_seen_at and not host.online else (),
            "seen:>5m",
        ),
    ),
    lambda host: (host.name, host.id, host.fleet_id),
    (
        Order("name", lambda host: host.name),
        Order("state", lambda host: (urgency(host.state), host.name)),
        Order("version", lambda host: (order_key(host.product.current), host.name)),
        Order("fleet", lambda host: (host.fleet_id, host.name)),
        Order("seen", lambda host: (host.online, host.last_seen_at, host.name)),
    ),
)

MEMBER_FIELDS: Fields[Member] = Fields(
    _fields(
        Field("name", Kind.WORD, lambda member: (member.name,), "name:edge-*"),
        Field("state", Kind.CHOICE, lambda member: (member.attempt.state or "pending",), "state:failed", STATES),
        Field("wave", Kind.WORD, lambda member: (str(member.wave),), "wave:3"),
        Field("code", Kind.WORD, lambda member: (member.attempt.code, member.waiting), "code:HEALTH_*"),
        Field("from", Kind.VERSION, lambda member: (member.attempt.from_version,), "from:<1.5"),
        Field(
            "is",
            Kind.CHOICE,
            lambda member: ("online" if member.online else "offline", *(("waiting",) if member.waiting else ())),
            "is:waiting",
            ("online", "offline", "waiting"),
        ),
        Field("changed", Kind.AGE, lambda member: (member.changed_at,) if member.changed_at else (), "changed:>5m"),
    ),
    lambda member: (member.name, member.id, member.attempt.message),
    (
        Order("state", lambda member: (urgency(member.attempt.state), member.wave, member.name)),
        Order("wave", lambda member: (member.wave, member.name)),
        Order("name", lambda member: member.name),
        Order("changed", lambda member: -member.changed_at),
    ),
)

ROLLOUT_FIELDS: Fields[Rollout] = Fields(
    _fields(
        Field("state", Kind.CHOICE, lambda rollout: (rollout.state,), "state:halted", ROLLOUT_STATES),
        Field("fleet", Kind.WORD, lambda rollout: (rollout.fleet_id,), "fleet:eu-*"),
        Field("product", Kind.WORD, lambda rollout: (rollout.product,), "product:agent"),
        Field("version", Kind.VERSION, lambda rollout: (rollout.version,), "version:>=1.5"),
        Field("by", Kind.WORD, lambda rollout: (rollout.started.by,), "by:ana"),
        Field("started", Kind.AGE, lambda rollout: (rollout.started.at,) if rollout.started.at else (), "started:<1d"),
    ),
    lambda rollout: (rollout.id, rollout.product, rollout.version, rollout.started.reason),
    (
        Order("newest", lambda rollout: (rollout.ended, -rollout.started.at)),
        Order("state", lambda rollout: ROLLOUT_STATES.index(rollout.state) if rollout.state in ROLLOUT_STATES else 99),
        Order("version", lambda rollout: order_key(rollout.version)),
        Order("failed", lambda rollout: -rollout.bad),
    ),
)

EVENT_FIELDS: Fields[Happening] = Fields(
    _fields(
        Field("kind", Kind.WORD, lambda event: (event.kind,), "kind:attempt.*"),
        Field("state", Kind.CHOICE, lambda event: (event.state,), "state:failed", STATES),
        Field("code", Kind.WORD, lambda event: (event.code,), "code:HEALTH_*"),
        Field("by", Kind.WORD, lambda event: (event.by,), "by:ana"),
        Field("fleet", Kind.WORD, lambda event: (event.fleet_id,), "fleet:eu-*"),
        Field("at", Kind.AGE, lambda event: (event.at,), "at:<1h"),
    ),
    lambda event: (event.kind, event.host_id, event.rollout_id, event.code, event.message, event.reason),
    (Order("newest", lambda event: -event.at),),
)
