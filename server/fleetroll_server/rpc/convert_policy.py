"""Policies between the wire, the domain's values, and rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fleetroll.v1 import policy_pb2 as pb
from fleetroll.v1 import types_pb2
from fleetroll_server.domain.policy import DEFAULTS, HOST_DEFAULTS, LIMIT_DEFAULTS, Level, Told
from fleetroll_server.rpc import requests
from fleetroll_server.rpc.convert import ACTOR_KINDS, decision, set_instant
from fleetroll_server.rpc.convert_rollouts import limits_from_wire, limits_to_wire, set_seconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import RowMapping

    from fleetroll_server.policies.previewing import Preview
    from fleetroll_server.policies.shown import Meant

_SECONDS = "_seconds"
_ORIGINS = {
    Level.DEFAULT: pb.POLICY_ORIGIN_DEFAULT,
    Level.GLOBAL: pb.POLICY_ORIGIN_GLOBAL,
    Level.FLEET: pb.POLICY_ORIGIN_FLEET,
    Level.AGENT: pb.POLICY_ORIGIN_AGENT,
}
_STORED = {name.removesuffix(_SECONDS): name for name in DEFAULTS}
"""Names of fields in the domain, by their names on the wire: there a duration has its unit with it."""


def names_from_wire(names: Iterable[str]) -> tuple[str, ...]:
    """Return the domain's names of fields; an unknown one stays as it is, and is refused there."""
    return tuple(_STORED.get(name, name) for name in names)


def names_to_wire(names: Iterable[str]) -> list[str]:
    """Return the wire's names of fields, in the order of the contract."""
    given = set(names)
    return [shown for shown, stored in _STORED.items() if stored in given]


def values_from_wire(wire: pb.PolicyValues) -> dict[str, object]:
    """Return what is said, by the domain's names, as JSON.

    Raises:
        RequestError: a duration or the offline policy can't be read (caller's fault).
    """
    said: dict[str, object] = {}
    for name in ("channel", "pin"):
        if wire.HasField(name):  # names of optional fields
            said[name] = getattr(wire, name) or None
    for name in ("allow_major", "updates_off"):
        if wire.HasField(name):  # type: ignore[arg-type]
            said[name] = getattr(wire, name)
    for name in ("windows", "blackouts"):
        if wire.HasField(name):  # type: ignore[arg-type]
            said[name] = list(getattr(wire, name).texts)
    if wire.HasField("expected"):
        said["expected_seconds"] = requests.span("policy.expected", wire.expected).total_seconds()
    return said | limits_from_wire(wire.limits)


def values_to_wire(values: Mapping[str, Any]) -> pb.PolicyValues:
    """Return values by the domain's names."""
    wire = pb.PolicyValues()
    for name in ("channel", "pin"):
        if name in values:
            setattr(wire, name, values[name] or "")
    for name in ("allow_major", "updates_off"):
        if name in values:
            setattr(wire, name, values[name])
    for name in ("windows", "blackouts"):
        if name in values:
            getattr(wire, name).CopyFrom(pb.PolicyTexts(texts=values[name]))
    if "expected_seconds" in values:
        set_seconds(wire.expected, values["expected_seconds"])
    limits = {name: value for name, value in values.items() if name in LIMIT_DEFAULTS}
    if limits:
        wire.limits.CopyFrom(limits_to_wire(limits))
    return wire


def field_to_wire(name: str, told: Told) -> pb.EffectiveField:
    """Return what holds of a field."""
    shown = name.removesuffix(_SECONDS)
    wire = pb.EffectiveField(
        name=shown, value=_in_words(name, told.value), origin=_ORIGINS[told.level], product=told.product
    )
    if told.entry is not None:
        wire.set_by.CopyFrom(types_pb2.Actor(kind=ACTOR_KINDS[told.entry.actor_kind], id=told.entry.actor_id))
        wire.serial = told.entry.serial
        set_instant(wire.set_at, told.entry.set_at)
    return wire


def _in_words(name: str, value: Any) -> str:  # noqa: ANN401 (JSON)
    """Return a value as people read it."""
    if value is None:
        return "any" if name == "channel" else "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return "; ".join(value) or "none"
    if name.endswith(_SECONDS):
        return f"{value:g} s"
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def effective_to_wire(held: Mapping[str, Told], *, of_host: bool) -> tuple[list[pb.EffectiveField], pb.PolicyValues]:
    """Return what holds, with its origins and as values; a host has no limits of its own."""
    names = list(HOST_DEFAULTS if of_host else DEFAULTS)
    fields = [field_to_wire(name, held[name]) for name in names]
    return fields, values_to_wire({name: held[name].value for name in names})


def document_to_wire(row: RowMapping) -> pb.PolicyDocument:
    """Return one document."""
    said = {name: stored["value"] for name, stored in row["entries"].items()}
    wire = pb.PolicyDocument(
        level=pb.PolicyLevel(
            fleet_id=row["fleet_id"],
            agent_id=row["scope"].removeprefix("agent/") if row["scope"].startswith("agent/") else "",
            product=row["product"],
        ),
        serial=row["serial"],
        values=values_to_wire(said),
    )
    wire.decision.CopyFrom(decision(row["actor_kind"], row["actor_id"], row["decided_at"], row["reason"]))
    return wire


def nothing_said(meant: Meant) -> pb.PolicyDocument:
    """Return the document of a level at which nothing was said yet."""
    level = pb.PolicyLevel(fleet_id=meant.fleet_id, agent_id=meant.agent_id, product=meant.product)
    return pb.PolicyDocument(level=level, values=pb.PolicyValues())


def change_to_wire(row: RowMapping) -> pb.PolicyChange:
    """Return one change."""
    return pb.PolicyChange(
        serial=row["serial"],
        fields=names_to_wire({*row["before"], *row["after"]}),
        before=values_to_wire(row["before"]),
        after=values_to_wire(row["after"]),
        decision=decision(row["actor_kind"], row["actor_id"], row["decided_at"], row["reason"]),
    )


def preview_to_wire(found: Preview) -> pb.PreviewPolicyResponse:
    """Return the next openings, or why there is none."""
    wire = pb.PreviewPolicyResponse(time_zone=found.time_zone, open=not found.why, why=found.why)
    for begins, ends in found.openings:
        opening = wire.openings.add()
        set_instant(opening.begins, begins)
        set_instant(opening.ends, ends)
    return wire
