"""The contract's messages as the console's own values."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from fleetroll.v1 import events_pb2, options_pb2, reasons_pb2, recovery_pb2, releases_pb2, rollouts_pb2, types_pb2
from fleetroll_tui.model.rights import Need
from fleetroll_tui.model.updates import Alive, Changed, Page, Resync, Stand
from fleetroll_tui.model.values import (
    NO_ATTEMPT,
    Attempt,
    Decision,
    Happening,
    Host,
    Late,
    Limits,
    Member,
    Product,
    Rollout,
    Switch,
    Token,
    Wave,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from google.protobuf.timestamp_pb2 import Timestamp

    from fleetroll.v1 import agents_pb2, tokens_pb2
    from fleetroll_tui.model.updates import Update


_FILES = (rollouts_pb2.DESCRIPTOR, releases_pb2.DESCRIPTOR, recovery_pb2.DESCRIPTOR)
"""Where the services are whose calls spread something."""


def update(message: events_pb2.WatchEventsResponse) -> Update:
    """Return what a message to a watcher says; one of a kind that is not known yet is a sign of life."""
    sent_at = seconds(message.sent_at)
    match message.WhichOneof("message"):
        case "snapshot":
            return Page(sent_at, stand(message.snapshot), message.snapshot.last)
        case "changes":
            happenings = tuple(happening(each) for each in message.changes.events)
            return Changed(sent_at, stand(message.changes), happenings)
        case "resync":
            return Resync(sent_at, message.resync.reason, message.resync.log_replaced)
        case _:
            return Alive(sent_at)


def stand(said: events_pb2.Snapshot | events_pb2.Changes) -> Stand:
    """Return what stands by a page or a batch."""
    return Stand(
        tuple(rollout(each) for each in said.rollouts),
        tuple(switch(each) for each in said.kill_switches),
        tuple(host(each) for each in said.agents),
        tuple(member(each) for each in said.rollout_hosts),
        token(said.token) if isinstance(said, events_pb2.Snapshot) and said.HasField("token") else None,
    )


def token(said: tokens_pb2.ApiToken) -> Token:
    """Return the token that watches."""
    return Token(said.name, _role(said.role), said.role, tuple(said.scopes), seconds(said.expires_at))


def need_of(rpc: str) -> Need:
    """Return what the contract asks of whoever calls "RolloutsService.ResumeRollout"."""
    service, _, method = rpc.partition(".")
    found = next(file.services_by_name[service] for file in _FILES if service in file.services_by_name)
    options = found.methods_by_name[method].GetOptions()
    access = options.Extensions[options_pb2.access]
    return Need(_role(access.role), access.role, access.scope)


@lru_cache(maxsize=16)
def _role(value: options_pb2.Role.ValueType) -> str:
    """Return "operator" for ROLE_OPERATOR."""
    return short(options_pb2.Role.Name, value, "ROLE_", "role")


def seconds(instant: Timestamp) -> float:
    """Return seconds since the epoch; 0 for one that is absent."""
    return instant.seconds + instant.nanos / 1e9


@lru_cache(maxsize=64)
def attempt_state(value: types_pb2.AttemptState.ValueType) -> str:
    """Return "rolled_back" for ATTEMPT_STATE_ROLLED_BACK; "" for none, "state 99" for one that is not known yet."""
    return short(types_pb2.AttemptState.Name, value, "ATTEMPT_STATE_") or ""


@lru_cache(maxsize=64)
def rollout_state(value: rollouts_pb2.RolloutState.ValueType) -> str:
    """Return "running" for ROLLOUT_STATE_RUNNING."""
    return short(rollouts_pb2.RolloutState.Name, value, "ROLLOUT_STATE_")


@lru_cache(maxsize=64)
def wave_state(value: rollouts_pb2.WaveState.ValueType) -> str:
    """Return "baking" for WAVE_STATE_BAKING."""
    return short(rollouts_pb2.WaveState.Name, value, "WAVE_STATE_")


@lru_cache(maxsize=256)
def code(value: reasons_pb2.ReasonCode.ValueType) -> str:
    """Return "EXITED" for REASON_CODE_EXITED; "" for none."""
    return short(reasons_pb2.ReasonCode.Name, value, "REASON_CODE_").upper()


def short(name: object, value: int, prefix: str, unknown: str = "state") -> str:
    """Return "failed" for ..._FAILED; "" for none, "state 99" for one that is not known yet."""
    try:
        said: str = name(value)  # type: ignore[operator]
    except ValueError:  # a newer server's word
        return f"{unknown} {value}"
    word = said.removeprefix(prefix).lower()
    return "" if word == "unspecified" else word


def counted(number: int) -> int:
    """Return a number of things: the contract knows none below 0, but a message can carry it."""
    return max(0, number)


def counts(said: Iterable[rollouts_pb2.StateCount]) -> dict[str, int]:
    """Return hosts by state."""
    return {attempt_state(each.state): each.hosts for each in said if counted(each.hosts)}


def decision(said: types_pb2.Decision) -> Decision:
    """Return a decision."""
    return Decision(said.actor.id, said.reason, code(said.code), seconds(said.decided_at))


def attempt(said: types_pb2.Attempt) -> Attempt:
    """Return an attempt."""
    if not said.id:
        return NO_ATTEMPT
    return Attempt(
        said.id,
        said.rollout_id,
        said.from_version,
        said.to_version,
        attempt_state(said.state),
        said.step,
        code(said.code),
        said.message,
        said.output_tail,
        seconds(said.offered_at),
        seconds(said.granted_at),
        seconds(said.ended_at),
        said.unproven,
    )


def host(said: agents_pb2.Agent) -> Host:
    """Return a host."""
    return Host(
        said.id,
        said.fleet_id,
        said.name,
        said.platform.os,
        said.platform.arch,
        dict(said.labels),
        said.online,
        seconds(said.last_seen_at),
        tuple(_product(each) for each in said.products),
        said.quarantined,
        said.revoked,
        seconds(said.enrolled_at),
        said.time_zone,
        counted(said.disk_free_bytes),
        said.container_marker,
    )


def _product(said: agents_pb2.ProductStatus) -> Product:
    return Product(
        said.product,
        said.current_version,
        said.target_version,
        attempt_state(said.update_state),
        attempt(said.last_attempt),
        seconds(said.last_success_at),
        said.healthy,
        said.note,
        said.changed_on_host,
    )


def member(said: rollouts_pb2.RolloutHost) -> Member:
    """Return a host of a rollout."""
    return Member(
        said.agent_id,
        said.name,
        counted(said.wave),
        attempt(said.attempt),
        code(said.waiting),
        said.online,
        seconds(said.changed_at),
    )


def rollout(said: rollouts_pb2.Rollout) -> Rollout:
    """Return a rollout."""
    return Rollout(
        said.id,
        said.fleet_id,
        said.product,
        said.version,
        rollout_state(said.state),
        said.decision_revision,
        tuple(_wave(each) for each in said.waves),
        _limits(said.limits),
        decision(said.state_decision),
        decision(said.started),
        seconds(said.ended_at),
        counts(said.counts),
        said.manual_advance,
        said.waiting_for,
        _late(said.late) if said.HasField("late") else None,
    )


def _wave(said: rollouts_pb2.Wave) -> Wave:
    return Wave(
        counted(said.number),
        wave_state(said.state),
        counted(said.hosts),
        counts(said.counts),
        said.gate,
        counted(said.bad),
        counted(said.attempted),
        said.baked.seconds + said.baked.nanos / 1e9,
        seconds(said.opened_at),
        seconds(said.ended_at),
        counted(said.forgiven_bad),
    )


def _limits(said: rollouts_pb2.RolloutLimits) -> Limits:
    return Limits(
        counted(said.max_concurrent),
        counted(said.max_failed),
        max(0.0, said.failure_limit),  # in this order: what is no number is 0 too
        counted(said.min_sample),
        said.bake.seconds + said.bake.nanos / 1e9,
        said.soak.seconds + said.soak.nanos / 1e9,
        counted(said.max_downloading),
        counted(said.max_out),
    )


def _late(said: rollouts_pb2.LateHosts) -> Late:
    stopped = decision(said.stopped) if said.HasField("stopped") else None
    return Late(counted(said.left), counted(said.waiting), counted(said.under_way), counted(said.bad), stopped)


def switch(said: rollouts_pb2.KillSwitch) -> Switch:
    """Return a kill switch."""
    return Switch(said.scope, said.active, decision(said.decision), counted(said.in_use), said.epoch)


def happening(said: events_pb2.Event) -> Happening:
    """Return an event."""
    return Happening(
        said.id,
        seconds(said.occurred_at),
        said.kind,
        said.fleet_id,
        said.decision.actor.id,
        said.decision.reason,
        code(said.code or said.decision.code),
        said.rollout_id,
        said.agent_id,
        attempt_state(said.attempt_state),
        said.message,
    )
