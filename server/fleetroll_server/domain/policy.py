"""The policy of a fleet: what may be said at which level, and what holds in the end, with its origin.

Rules:

1. There are three levels: global, fleet, agent. A lower one goes before the one above it, and within one level what is
   said for one product goes before what is said for all. So of six documents the last that says a field decides it:
   global, global for the product, fleet, fleet for the product, agent, agent for the product.
2. A field is said or it is not. "Any", "none" and an empty list are said: that is how a lower level lifts what an upper
   one set.
3. Fields of a rollout (its limits) are said for a fleet or for all, never for one host: a rollout has one of each.
4. What nobody said is the default.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum, auto
from typing import TYPE_CHECKING, Any

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_server.domain.limits import RolloutLimits
from fleetroll_server.domain.policy_values import HOST_READERS, invalid

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime


class Level(StrEnum):
    """Where something is said; in the order in which it is overruled."""

    DEFAULT = auto()
    GLOBAL = auto()
    FLEET = auto()
    AGENT = auto()

    @property
    def rank(self) -> int:
        """Return a number that is higher for the level that goes before."""
        return list(Level).index(self)


HOST_DEFAULTS: dict[str, Any] = {
    "channel": None,
    "pin": None,
    "allow_major": False,
    "updates_off": False,
    "windows": [],
    "blackouts": [],
    "expected_seconds": 120.0,
}
"""What holds for a host where nobody said anything. The expected time is that of a product in ``agent.toml``."""
DAY_SECONDS = 86_400.0
"""The longest lease and soak."""
_OWN = frozenset({"max_out"})
"""Limits that follow from others, and belong to the rollout whose those are."""
LIMIT_DEFAULTS: dict[str, Any] = {
    field.name: RolloutLimits().to_json()[field.name] for field in fields(RolloutLimits) if field.name not in _OWN
}
"""The limits of a rollout with nothing but a release."""
DEFAULTS = HOST_DEFAULTS | LIMIT_DEFAULTS


@dataclass(frozen=True, slots=True)
class Entry:
    """One field as it was said.

    Attributes:
        value: as JSON; each reader of :mod:`policy_values` has its form.
        actor_kind: who said it.
        actor_id: its id within that kind.
        set_at: when.
        serial: of the document with which it came.
    """

    value: Any
    actor_kind: str
    actor_id: str
    set_at: datetime
    serial: int


@dataclass(frozen=True, slots=True)
class Document:
    """What is said at one level, for one product or for all (empty)."""

    level: Level
    product: str
    entries: Mapping[str, Entry]


@dataclass(frozen=True, slots=True)
class Told:
    """What holds of one field.

    Attributes:
        value: as JSON.
        level: where it was said.
        product: for which product; empty for all.
        entry: as it was said; nothing for a default.
    """

    value: Any
    level: Level = Level.DEFAULT
    product: str = ""
    entry: Entry | None = None

    @property
    def origin(self) -> str:
        """Return whose it is, in words."""
        return _WHOSE[self.level] + (f" for {self.product}" if self.product else "")


_WHOSE = {
    Level.DEFAULT: "the default",
    Level.GLOBAL: "the policy of all fleets",
    Level.FLEET: "the fleet's policy",
    Level.AGENT: "the host's policy on the server",
}


def merge(documents: Iterable[Document]) -> dict[str, Told]:
    """Return what holds of every field. The order of ``documents`` says nothing."""
    held = {name: Told(value) for name, value in DEFAULTS.items()}
    for document in sorted(documents, key=lambda one: (one.level.rank, bool(one.product))):
        for name, entry in document.entries.items():
            if name in held and (document.level is not Level.AGENT or name in HOST_DEFAULTS):
                held[name] = Told(entry.value, document.level, document.product, entry)
    return held


def limits_of(held: Mapping[str, Told], said: Mapping[str, object]) -> RolloutLimits:
    """Return the limits of a rollout: what its request said, else what holds of its fleet.

    Raises:
        RequestError: as :meth:`RolloutLimits.from_request` (caller's fault).
    """
    ruled = {name: held[name].value for name in LIMIT_DEFAULTS if name not in said}
    return RolloutLimits.from_request({**ruled, **said})


def read_change(level: Level, said: Mapping[str, object]) -> dict[str, Any]:
    """Return the fields that a person sets, checked one by one, in the form in which they are stored.

    Raises:
        RequestError: a field is unknown, is not for this level, or its value can't be used (caller's fault).
    """
    return {name: _read(level, name, value) for name, value in said.items()}


def check_names(level: Level, names: Iterable[str]) -> tuple[str, ...]:
    """Return the names of fields that a person unsets; raises as :func:`read_change`."""
    return tuple(_known(level, name) for name in names)


def _read(level: Level, name: str, value: object) -> Any:  # noqa: ANN401 (JSON)
    _known(level, name)
    if name in HOST_READERS:
        return HOST_READERS[name](value)
    try:
        return RolloutLimits.from_request(_with_room(name, value)).to_json()[name]
    except RequestError as error:
        message = error.message.replace("limits.", "policy.", 1)
        raise RequestError(message, code=error.code, remedy=error.remedy, field=f"policy.{name}") from error


def _with_room(name: str, value: object) -> dict[str, object]:
    """Return one limit alone, so that it is judged by itself: a long soak asks for a longer lease."""
    if not isinstance(value, int | float) or isinstance(value, bool) or value <= 0:
        return {name: value}
    if name == "soak_seconds" and value < DAY_SECONDS:
        return {name: value, "lease_seconds": DAY_SECONDS}
    if name == "lease_seconds":
        return {name: value, "soak_seconds": min(60.0, value / 2)}
    return {name: value}


def _known(level: Level, name: str) -> str:
    """Return the name of a field that may be said at ``level``."""
    if name not in DEFAULTS:
        raise invalid(name, name, "is no field of a policy", f"known are {', '.join(DEFAULTS)}")
    if level is Level.AGENT and name not in HOST_DEFAULTS:
        remedy = f"say it for the fleet; for one host there are {', '.join(HOST_DEFAULTS)}"
        raise invalid(name, name, "is a rollout's, and can't be said for one host", remedy)
    return name


def require_serial(given: int, current: int, who: str) -> None:
    """Refuse a change that was drawn from something that is no longer so.

    Args:
        given: the serial that the caller saw; 0 = nothing was said at this level yet.
        current: the one that stands.
        who: made the newest change, and when, in words.

    Raises:
        RequestError: STALE_DECISION (caller's fault).
    """
    if given != current:
        message = f"serial: {given} is not the newest, {current}: {who}"
        remedy = "read the policy again and decide anew"
        raise RequestError(message, code=Code.STALE_DECISION, remedy=remedy, field="serial", current=str(current))
