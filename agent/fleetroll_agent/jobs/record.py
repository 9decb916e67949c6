"""A product's record as JSON and back. Fields of a newer version are kept as they are and written again.

Until its trial is committed a new version writes what the version before can read: fields are added, never changed.

What the host started by itself, and has not begun to apply, stands apart from the other attempts: a version that does
not know of it would go on with it as a person's, whom no kill switch stops. It finds what waited behind it instead. As
soon as such a version has reported anything of the product, the host's own attempt is over.
"""

from __future__ import annotations

import math
from dataclasses import fields, replace
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeVar

from fleetroll_agent.jobs.failures import Failure
from fleetroll_agent.jobs.overrides import Override, OverrideKind
from fleetroll_agent.jobs.values import Attempt, ByHand, Outcome, ProductRecord, Report, Said, Stage, Step, Stop
from fleetroll_agent.jobs.work import About, Ban, Child, Installed, Work
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError

if TYPE_CHECKING:
    from collections.abc import Callable

Json = dict[str, Any]
_Value = Attempt | Outcome | Report | Installed | About | Work | Child | Override | Failure | Ban
_T = TypeVar("_T", Attempt, Outcome, Report, Installed, About, Work, Child, Override, Failure, Ban)

_KINDS: dict[str, Callable[[Any], object]] = {
    "stage": Stage,
    "step": lambda name: _known(Step, name, None),
    "said": Said,
    "stop": Stop,
    "code": lambda name: Code(name) if name in Code.__members__ else None,
    "refused": lambda name: Code(name) if name in Code.__members__ else Code.INTERNAL,
    "stop_code": lambda name: Code(name) if name in Code.__members__ else None,
    "by_hand": lambda name: _known(ByHand, name, ByHand.NOTHING),
    "kind": lambda name: _known(OverrideKind, name, OverrideKind.HOLD),
    "until": lambda seconds: _instant(seconds),  # noqa: PLW0108 (it stands below)
    "since": lambda seconds: _instant(seconds),  # noqa: PLW0108 (the same)
    "channels": lambda names: tuple(str(name) for name in names),
    "about": lambda document: read_value(About, document),
    "work": lambda document: read_value(Work, document),
    "child": lambda document: read_value(Child, document),
}
"""A word of a newer version is no reason to forget what it was about."""

_NUMBERS = frozenset(
    {
        "generation",
        "highest",
        "local",
        "locals",
        "max_attempts",
        "number",
        "pid",
        "reports",
        "since_generation",
        "start_ticks",
        "tries",
        "cuts",
    }
)
_PLAIN_STEP = frozenset({Report})
"""In a report the step is text: another product has other steps."""


def record_json(record: ProductRecord) -> Json:
    """Return the record in its form on disk."""
    attempt, waiting, own = record.attempt, record.waiting, None
    if attempt is not None and attempt.local and attempt.automatic and not attempt.past_go:
        own = {"attempt": value_json(attempt), "reports": record.reports}
        attempt, waiting = waiting, None
    return {
        "product": record.product,
        "highest": record.highest,
        "attempt": None if attempt is None else value_json(attempt),
        "waiting": None if waiting is None else value_json(waiting),
        "by_host": own,
        "outcomes": [value_json(outcome) for outcome in record.outcomes],
        "bad": list(record.bad),
        "settled": list(record.settled),
        "reports": record.reports,
        "outbox": [value_json(report) for report in record.outbox],
        "current": _plain(record.current),
        "previous": _plain(record.previous),
        "started_at": record.started_at,
        "locals": record.locals,
        "override": _plain(record.override),
        "broken": record.broken,
        "suspended": list(record.suspended),
        "failures": [value_json(failure) for failure in record.failures],
        "committed_at": record.committed_at,
        "floor": record.floor,
        "policy_floor": record.policy_floor,
        "revoked": [value_json(ban) for ban in record.revoked],
    }


def read_record(document: Json) -> ProductRecord:
    """Return the record in ``document``.

    Raises:
        AgentError: INTERNAL: a field is missing or wrong (the host's disk, or another program).
    """
    try:
        record = ProductRecord(
            product=_text(document, "product"),
            highest=_number(document["highest"]),
            attempt=_optional(Attempt, document["attempt"]),
            waiting=_optional(Attempt, document["waiting"]),
            outcomes=tuple(read_value(Outcome, item) for item in document["outcomes"]),
            bad=tuple(str(item) for item in document["bad"]),
            settled=tuple(str(item) for item in document["settled"]),
            reports=_number(document["reports"]),
            outbox=tuple(read_value(Report, item) for item in document["outbox"]),
            # A record of a version that knew the agent alone has none of these.
            current=_optional(Installed, document.get("current")),
            previous=_optional(Installed, document.get("previous")),
            started_at=_instant(document.get("started_at")),
            locals=_number(document.get("locals", 0)),
            override=_optional(Override, document.get("override")),
            broken=document.get("broken", False) is True,
            suspended=tuple(str(scope) for scope in document.get("suspended", ())),
            failures=tuple(read_value(Failure, item) for item in document.get("failures", ())),
            committed_at=_instant(document.get("committed_at")),
            floor=_plain_text(document.get("floor", "")),
            policy_floor=_plain_text(document.get("policy_floor", "")),
            revoked=tuple(read_value(Ban, item) for item in document.get("revoked", ())),
        )
        return _with_own(record, document.get("by_host"))
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        message = f"the record of a product can't be read: {error!r}"
        raise AgentError(message, code=Code.INTERNAL, remedy="the launcher's record restores what counts") from error


def value_json(value: _Value) -> Json:
    """Return a value as plain JSON."""
    return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}


def read_value(kind: type[_T], document: Json) -> _T:
    """Return the value of ``kind`` in ``document``; absent fields have their defaults, unknown ones are passed over.

    Raises:
        KeyError, ValueError, TypeError: it is none.
    """
    known = {field.name for field in fields(kind)} & document.keys()
    facts: dict[str, Any] = {name: _typed(kind, name, document[name]) for name in known}
    return kind(**facts)


def _with_own(record: ProductRecord, own: Json | None) -> ProductRecord:
    """Return the record with what the host started by itself, unless another version went on meanwhile."""
    if own is None or _number(own["reports"]) != record.reports:
        return record
    return replace(record, attempt=read_value(Attempt, own["attempt"]), waiting=record.attempt)


def _known(kind: type[Enum], name: str, otherwise: Enum | None) -> Enum | None:
    """Return the member that is called so; ``otherwise`` for one of a newer version."""
    return next((member for member in kind if member.value == name), otherwise)


def _plain(value: object) -> object:
    if isinstance(value, (Installed, About, Work, Child, Override)):
        return value_json(value)
    if isinstance(value, tuple):
        return list(value)
    return value.value if isinstance(value, Enum) else value


def _typed(kind: type, name: str, value: Any) -> object:  # noqa: ANN401 (plain JSON)
    if kind is Failure:
        return _OF_A_FAILURE[name](value)
    if value is None or (name == "step" and kind in _PLAIN_STEP):
        return value
    if name in _NUMBERS:
        return _number(value)
    return _KINDS[name](value) if name in _KINDS else value


def _optional(kind: type[_T], document: Json | None) -> _T | None:
    return None if document is None else read_value(kind, document)


def _text(document: Json, name: str) -> str:
    if not isinstance(document[name], str):
        raise TypeError(name)
    return str(document[name])


def _instant(value: object) -> float | None:
    """Return Unix seconds, or none."""
    if value is None:
        return None
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value):
        message = f"{value!r} is no instant"
        raise ValueError(message)
    return float(value)


def _number(value: object) -> int:
    """Return a count >= 0."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        message = f"{value!r} is no count"
        raise ValueError(message)
    return value


def _plain_text(value: object) -> str:
    if not isinstance(value, str):
        message = f"{value!r} is no text"
        raise TypeError(message)
    return value


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        message = f"{value!r} is neither true nor false"
        raise TypeError(message)
    return value


def _set_instant(value: object) -> float:
    """Return Unix seconds that are not left out."""
    instant = _instant(value)
    if instant is None:
        message = "an instant is missing"
        raise ValueError(message)
    return instant


_OF_A_FAILURE: dict[str, Callable[[object], object]] = {
    "version": _plain_text,
    "count": _number,
    "at": _set_instant,
    "unproven": _number,
    "permanent": _truth,
}
"""Rules calculate with these: a text in place of a number would be found only when the next attempt ends."""
