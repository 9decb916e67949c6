"""Rollouts between the wire, what a start takes, and rows."""

from __future__ import annotations

import contextlib
import hashlib
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from fleetroll.v1 import rollouts_pb2, types_pb2
from fleetroll_common.values.selectors import LabelSelector
from fleetroll_common.values.version import Version
from fleetroll_common.values.version_range import VersionRange
from fleetroll_server.domain.plan import Selection, Shape, WaveSpec
from fleetroll_server.domain.reverting import Mode
from fleetroll_server.domain.wave_order import WaveOrder
from fleetroll_server.engine.starting import Order
from fleetroll_server.rpc import requests
from fleetroll_server.rpc.convert import attempt_state, decision, reason_code, set_instant
from fleetroll_server.rpc.convert_checks import check_to_wire, checks_from_wire

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from google.protobuf.duration_pb2 import Duration
    from sqlalchemy import RowMapping

    from fleetroll_server.domain.late import LateHosts
    from fleetroll_server.engine.reads import Shown
    from fleetroll_server.engine.repeated import LeftOut

MAX_PRODUCT_CHARS = 63
MAX_KEY_CHARS = 64
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
_MODES = {
    rollouts_pb2.ROLL_BACK_MODE_FAILED: Mode.FAILED,
    rollouts_pb2.ROLL_BACK_MODE_WAVE: Mode.WAVE,
    rollouts_pb2.ROLL_BACK_MODE_ALL: Mode.ALL,
}


def set_seconds(target: Duration, seconds: float) -> None:
    """Write a duration."""
    target.FromTimedelta(timedelta(seconds=seconds))


def limits_to_wire(stored: object) -> rollouts_pb2.RolloutLimits:
    """Return stored limits; one that can't be read stays unset, so that its rollout is shown all the same."""
    wire = rollouts_pb2.RolloutLimits()
    if not isinstance(stored, Mapping):
        return wire
    for name in _NUMBERS:
        with contextlib.suppress(KeyError, TypeError, ValueError):
            setattr(wire, name, stored[name])
    for field, name in _DURATIONS.items():
        with contextlib.suppress(KeyError, TypeError, ValueError, OverflowError):
            set_seconds(getattr(wire, field), stored[name])
    with contextlib.suppress(KeyError, AttributeError, ValueError):
        wire.offline_policy = rollouts_pb2.OfflinePolicy.Value(f"OFFLINE_POLICY_{stored['offline_policy'].upper()}")
    return wire


def limits_from_wire(wire: rollouts_pb2.RolloutLimits) -> dict[str, Any]:
    """Return what the request said, by stored name; what it left out is not in it.

    Raises:
        RequestError: a duration or the policy is of no use here (caller's fault).
    """
    said: dict[str, Any] = {name: getattr(wire, name) for name in _NUMBERS if wire.HasField(name)}  # type: ignore[arg-type]  # names of optional fields
    for field, name in _DURATIONS.items():
        if wire.HasField(field):  # type: ignore[arg-type]  # names of message fields
            said[name] = requests.span(f"limits.{field}", getattr(wire, field)).total_seconds()
    if wire.offline_policy not in rollouts_pb2.OfflinePolicy.values():
        raise requests.invalid("limits.offline_policy", f"{wire.offline_policy} is not wait, skip or fail")
    if wire.offline_policy:
        policy = rollouts_pb2.OfflinePolicy.Name(wire.offline_policy)
        said["offline_policy"] = policy.removeprefix("OFFLINE_POLICY_").lower()
    return said


def rollout_to_wire(shown: Shown) -> rollouts_pb2.Rollout:
    """Return one rollout."""
    row, selection = shown.row, shown.row["selection"]
    wire = rollouts_pb2.Rollout(
        id=row["id"],
        fleet_id=row["fleet_id"],
        product=row["product"],
        version=row["version"],
        state=rollouts_pb2.RolloutState.Value(f"ROLLOUT_STATE_{row['state'].upper()}"),
        decision_revision=row["revision"],
        waves=[wave_to_wire(wave, shown.counts.get(wave["number"], {})) for wave in shown.waves],
        limits=limits_to_wire(row["limits"]),
        state_decision=decision(
            row["state_actor_kind"],
            row["state_actor_id"],
            row["state_changed_at"],
            row["state_reason"],
            row["state_code"],
        ),
        started=decision(row["actor_kind"], row["actor_id"], row["created_at"], row["reason"]),
        manual_advance=row["manual_advance"],
        waiting_for=shown.waits_for,
        selection=rollouts_pb2.Selection(
            fleet_id=row["fleet_id"],
            hosts=selection["hosts"],
            labels=selection["labels"],
            exclude=selection["exclude"],
            label_selector=selection.get("label_selector", ""),
            version_range=selection.get("version_range", ""),
            behind=selection.get("behind", False),
        ),
        wave_advance=wave_advance(row),
        require_approval=row["require_approval"],
        order_by=row["wave_order"],
        kind=rollouts_pb2.RolloutKind.Value(f"ROLLOUT_KIND_{row['kind'].upper()}"),
        parent_id=row["parent_id"],
        revert_id=shown.revert_id,
    )
    wire.gate_checks.extend(check_to_wire(state) for state in shown.checks)
    if row["approved_at"] is not None:
        actor = (row["approved_actor_kind"], row["approved_actor_id"])
        wire.approved.CopyFrom(decision(*actor, row["approved_at"], row["approved_reason"]))
    set_instant(wire.approve_by, row["approve_by"])
    set_instant(wire.start_at, row["start_at"])
    totals: Counter[str] = Counter()
    for by_state in shown.counts.values():
        totals.update(by_state)
    wire.counts.extend(state_counts(totals))
    if shown.late is not None and (shown.late.stoppable > 0 or row["late_stop_code"]):
        wire.late.CopyFrom(late_to_wire(shown.late, row))
    set_instant(wire.ended_at, row["ended_at"])
    return wire


def late_to_wire(late: LateHosts, row: RowMapping) -> rollouts_pb2.LateHosts:
    """Return the late hosts of a completed rollout, and why they are offered no more."""
    wire = rollouts_pb2.LateHosts(
        left=late.stoppable, waiting=late.waiting, under_way=max(0, late.under_way), bad=late.bad
    )
    if late.stopped is not None:
        actor = (row["late_stop_actor_kind"], row["late_stop_actor_id"])
        wire.stopped.CopyFrom(decision(*actor, row["late_stopped_at"], late.reason, late.stopped.value))
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
        forgiven_bad=row["counters"].get("forgiven_bad", 0),
    )
    set_seconds(wire.baked, row["baked_seconds"])
    set_instant(wire.opened_at, row["opened_at"])
    set_instant(wire.ended_at, row["ended_at"])
    return wire


def state_counts(counts: Mapping[str, int]) -> list[rollouts_pb2.StateCount]:
    """Return counts in the order of the states."""
    found = [
        rollouts_pb2.StateCount(state=attempt_state(state), hosts=hosts) for state, hosts in counts.items() if hosts
    ]
    return sorted(found, key=lambda count: count.state)


def host_to_wire(row: RowMapping, *, version: str) -> rollouts_pb2.RolloutHost:
    """Return one host of a rollout; ``version`` is what it goes to unless that is its own."""
    generation = row["generation"]
    attempt = types_pb2.Attempt(
        id="" if generation is None else f"{row['agent_id']}/{row['product']}/{generation}",
        rollout_id=row["rollout_id"],
        from_version=row["from_version"],
        to_version=row["target_version"] or version,
        state=attempt_state(row["state"]),
        step=row["step"],
        code=reason_code(row["code"]),
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
        waiting=reason_code(row["waiting"]),
        online=bool(row["online"]),
    )
    set_instant(wire.changed_at, row["changed_at"])
    return wire


def waves_from_wire(specs: Iterable[rollouts_pb2.WaveSpec]) -> tuple[WaveSpec, ...]:
    """Return waves as the plan takes them."""
    read: list[WaveSpec] = []
    for spec in specs:
        size = spec.WhichOneof("size")
        value = None if size is None or size == "rest" else float(getattr(spec, size))
        where = f"waves[{len(read) + 1}].label_selector"
        selector = LabelSelector.parse(spec.label_selector, field=where) if spec.label_selector else None
        read.append(WaveSpec(size, value, tuple(spec.hosts), selector))
    return tuple(read)


def wave_advance(row: RowMapping) -> rollouts_pb2.WaveAdvance.ValueType:
    """Return what opens the waves of a stored rollout."""
    if row["wave_approval"]:
        return rollouts_pb2.WAVE_ADVANCE_APPROVAL
    return rollouts_pb2.WAVE_ADVANCE_MANUAL if row["manual_advance"] else rollouts_pb2.WAVE_ADVANCE_AUTO


def selection_from_wire(wire: rollouts_pb2.Selection) -> Selection:
    """Check what is said of hosts.

    Raises:
        RequestError: a selector or a range can't be read, labels are too many or too long (caller's fault).
    """
    selector, versions = wire.label_selector, wire.version_range
    return Selection(
        hosts=tuple(wire.hosts),
        labels=requests.labels(wire.labels),
        exclude=tuple(wire.exclude),
        selector=LabelSelector.parse(selector, field="selection.label_selector") if selector else None,
        versions=VersionRange.parse(versions, field="selection.version_range") if versions else None,
        behind=wire.behind,
    )


def _advance_from_wire(request: rollouts_pb2.StartRolloutRequest) -> rollouts_pb2.WaveAdvance.ValueType:
    """Return what opens the waves; the older field says it where the newer one says nothing.

    Raises:
        RequestError: it is none of the contract's, or the two contradict each other (caller's fault).
    """
    said = request.wave_advance
    if said not in rollouts_pb2.WaveAdvance.values():
        raise requests.invalid("wave_advance", f"{said} is not auto, manual or approval")
    if said == rollouts_pb2.WAVE_ADVANCE_UNSPECIFIED:
        return rollouts_pb2.WAVE_ADVANCE_MANUAL if request.manual_advance else rollouts_pb2.WAVE_ADVANCE_AUTO
    if request.manual_advance and said == rollouts_pb2.WAVE_ADVANCE_AUTO:
        raise requests.invalid("wave_advance", "it is auto, and manual_advance is true")
    return said


def order_from_wire(
    request: rollouts_pb2.StartRolloutRequest, fleet_id: str, commands: Mapping[str, Sequence[str]]
) -> Order:
    """Check a request field by field; ``commands`` are those that its checks may name.

    Raises:
        RequestError: a field can't be used (caller's fault).
    """
    advance = _advance_from_wire(request)
    return Order(
        fleet_id=fleet_id,
        product=requests.text("product", request.product, at_least=1, at_most=MAX_PRODUCT_CHARS),
        version=str(Version.parse(request.version)) if request.version else "",
        selection=selection_from_wire(request.selection),
        waves=waves_from_wire(request.waves),
        limits=limits_from_wire(request.limits),
        manual_advance=advance != rollouts_pb2.WAVE_ADVANCE_AUTO,
        reason=requests.reason(request.reason),
        acknowledge_breaking_changes=request.acknowledge_breaking_changes,
        idempotency_key=requests.text("idempotency_key", request.idempotency_key, at_most=MAX_KEY_CHARS),
        request_sha256=hashlib.sha256(request.SerializeToString(deterministic=True)).hexdigest(),
        retry_bad=request.retry_bad,
        checks=checks_from_wire(request.gate_checks, commands),
        shape=Shape(request.batch_size, WaveOrder.parse(request.order_by)),
        wave_approval=advance == rollouts_pb2.WAVE_ADVANCE_APPROVAL,
        require_approval=request.require_approval,
        start_at=requests.instant("start_at", request.start_at) if request.HasField("start_at") else None,
        supersede=request.supersede,
    )


def mode_from_wire(request: rollouts_pb2.RollBackRolloutRequest) -> Mode:
    """Return which hosts are meant.

    Raises:
        RequestError: INVALID_ARGUMENT: nothing that can be meant (caller's fault).
    """
    mode = _MODES.get(request.mode)
    if mode is None:
        raise requests.invalid("mode", f"{request.mode} is none of failed, wave, all")
    if request.wave and mode is not Mode.WAVE:
        raise requests.invalid("wave", f"{request.wave} with mode {mode}: only mode wave means one")
    return mode


def exclusion_to_wire(left_out: LeftOut) -> rollouts_pb2.Exclusion:
    """Return a host that is left out."""
    return rollouts_pb2.Exclusion(
        agent_id=left_out.agent_id, name=left_out.name, code=reason_code(left_out.code), message=left_out.message
    )


def switch_to_wire(row: RowMapping) -> rollouts_pb2.KillSwitch:
    """Return one suspension."""
    return rollouts_pb2.KillSwitch(
        scope=row["scope"],
        epoch=row["epoch"],
        active=row["active"],
        decision=decision(row["actor_kind"], row["actor_id"], row["decided_at"], row["reason"]),
        in_use=row["in_use"],
    )
