"""Rollouts between rows and the wire."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from fleetroll.v1 import rollouts_pb2, types_pb2
from fleetroll_server.gateway.convert import wire_code, wire_decision, wire_state

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from google.protobuf.duration_pb2 import Duration
    from google.protobuf.timestamp_pb2 import Timestamp
    from sqlalchemy import RowMapping

_DURATIONS = {
    "bake": "bake_seconds",
    "soak": "soak_seconds",
    "lease": "lease_seconds",
    "not_after": "not_after_seconds",
}
_NUMBERS = (
    "max_concurrent",
    "max_failed",
    "failure_limit",
    "min_sample",
    "max_downloading",
    "max_attempts",
    "max_out",
)


def set_instant(target: Timestamp, value: datetime | None) -> None:
    """Write an instant that may be absent."""
    if value is not None:
        target.FromDatetime(value)


def set_seconds(target: Duration, seconds: float) -> None:
    """Write a duration."""
    target.FromTimedelta(timedelta(seconds=seconds))


def limits_to_wire(stored: Mapping[str, Any]) -> rollouts_pb2.RolloutLimits:
    """Return limits as they are stored, defaults filled in."""
    wire = rollouts_pb2.RolloutLimits(**{name: stored[name] for name in _NUMBERS})
    for field, name in _DURATIONS.items():
        set_seconds(getattr(wire, field), stored[name])
    wire.offline_policy = rollouts_pb2.OfflinePolicy.Value(f"OFFLINE_POLICY_{stored['offline_policy'].upper()}")
    return wire


def limits_from_wire(wire: rollouts_pb2.RolloutLimits) -> dict[str, Any]:
    """Return what the request said, by stored name; what it left out is not in it."""
    said: dict[str, Any] = {name: getattr(wire, name) for name in _NUMBERS if wire.HasField(name)}  # type: ignore[arg-type]  # names of optional fields
    for field, name in _DURATIONS.items():
        if wire.HasField(field):  # type: ignore[arg-type]  # names of message fields
            said[name] = getattr(wire, field).ToTimedelta().total_seconds()
    if wire.offline_policy:
        policy = rollouts_pb2.OfflinePolicy.Name(wire.offline_policy)
        said["offline_policy"] = policy.removeprefix("OFFLINE_POLICY_").lower()
    return said


def rollout_to_wire(
    row: RowMapping, waves: Sequence[RowMapping], counts: Mapping[int, Mapping[str, int]], waiting_for: str
) -> rollouts_pb2.Rollout:
    """Return one rollout.

    Args:
        row: of the rollout table.
        waves: its rows of the wave table, in order.
        counts: hosts by state, by number of the wave.
        waiting_for: what it waits for, in words.
    """
    selection = row["selection"]
    wire = rollouts_pb2.Rollout(
        id=row["id"],
        fleet_id=row["fleet_id"],
        product=row["product"],
        version=row["version"],
        state=rollouts_pb2.RolloutState.Value(f"ROLLOUT_STATE_{row['state'].upper()}"),
        decision_revision=row["revision"],
        waves=[wave_to_wire(wave, counts.get(wave["number"], {})) for wave in waves],
        limits=limits_to_wire(row["limits"]),
        state_decision=wire_decision(
            row["state_actor_kind"],
            row["state_actor_id"],
            row["state_reason"],
            row["state_code"],
            row["state_changed_at"],
        ),
        started=wire_decision(row["actor_kind"], row["actor_id"], row["reason"], "", row["created_at"]),
        manual_advance=row["manual_advance"],
        waiting_for=waiting_for,
        selection=rollouts_pb2.Selection(
            fleet_id=row["fleet_id"],
            hosts=selection.get("hosts", ()),
            labels=selection.get("labels", {}),
            exclude=selection.get("exclude", ()),
        ),
    )
    totals: dict[str, int] = {}
    for by_state in counts.values():
        for state, hosts in by_state.items():
            totals[state] = totals.get(state, 0) + hosts
    wire.counts.extend(state_counts(totals))
    set_instant(wire.ended_at, row["ended_at"])
    return wire


def wave_to_wire(row: RowMapping, counts: Mapping[str, int]) -> rollouts_pb2.Wave:
    """Return one wave."""
    wire = rollouts_pb2.Wave(
        number=row["number"],
        state=rollouts_pb2.WaveState.Value(f"WAVE_STATE_{row['state'].upper()}"),
        hosts=row["planned"],
        counts=state_counts(counts),
        gate=row["gate"],
        bad=row["counters"].get("bad", 0),
        attempted=row["counters"].get("attempted", 0),
    )
    set_seconds(wire.baked, row["baked_seconds"])
    set_instant(wire.opened_at, row["opened_at"])
    set_instant(wire.ended_at, row["ended_at"])
    return wire


def state_counts(counts: Mapping[str, int]) -> list[rollouts_pb2.StateCount]:
    """Return counts in the order of the states."""
    found = [rollouts_pb2.StateCount(state=wire_state(state), hosts=hosts) for state, hosts in counts.items() if hosts]
    return sorted(found, key=lambda count: count.state)


def host_to_wire(row: RowMapping, *, version: str, online: bool) -> rollouts_pb2.RolloutHost:
    """Return one host of a rollout."""
    generation = row["generation"]
    attempt = types_pb2.Attempt(
        id="" if generation is None else f"{row['agent_id']}/{row['product']}/{generation}",
        rollout_id=row["rollout_id"],
        from_version=row["from_version"],
        to_version=version,
        state=wire_state(row["state"]),
        step=row["step"],
        code=wire_code(row["code"]),
        message=row["message"],
        output_tail=row["output_tail"],
        unproven=row["unproven"],
    )
    set_instant(attempt.offered_at, row["offered_at"])
    set_instant(attempt.granted_at, row["granted_at"])
    set_instant(attempt.ended_at, row["ended_at"])
    wire = rollouts_pb2.RolloutHost(
        agent_id=row["agent_id"],
        name=row["name"],
        wave=row["wave"],
        attempt=attempt,
        waiting=wire_code(row["waiting"]),
        online=online,
    )
    set_instant(wire.changed_at, row["changed_at"])
    return wire


def waves_from_wire(specs: Iterable[rollouts_pb2.WaveSpec]) -> list[dict[str, Any]]:
    """Return waves as the plan takes them: one of ``count``, ``percent``, ``rest``, and the named hosts."""
    read: list[dict[str, Any]] = []
    for spec in specs:
        size = spec.WhichOneof("size")
        read.append({"size": size, "value": getattr(spec, size) if size else None, "hosts": tuple(spec.hosts)})
    return read
