"""A planned rollout becomes rows: itself, its budget, its checks, its waves, its hosts."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from fleetroll_server.domain import approval
from fleetroll_server.domain.states import AttemptState, RolloutKind, RolloutState, WaveState
from fleetroll_server.domain.summary import HostView, WaveCounters, count, shared_cohorts
from fleetroll_server.engine.probing.rows import write as write_checks
from fleetroll_server.store.tables import BudgetRow, RolloutHostRow, RolloutRow, WaveRow, table_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fleetroll_server.domain.eligible import HostFacts
    from fleetroll_server.domain.plan import PlannedWave, Selection
    from fleetroll_server.engine.actor import Actor
    from fleetroll_server.engine.starting import Draft, Order
    from fleetroll_server.store.tx import Tx

BUDGET = table_of(BudgetRow)
HOST = table_of(RolloutHostRow)
ROLLOUT = table_of(RolloutRow)
WAVE = table_of(WaveRow)


@dataclass(frozen=True, slots=True)
class Way:
    """What a rollout is for, where it is no update of hosts to one release.

    Attributes:
        kind: as the rollout's row says it.
        parent_id: the rollout that it takes back; empty for none.
        goes_back: every host goes to a version that it had before.
        targets: version and artefact of a host, by its id, where they are the host's own.
    """

    kind: RolloutKind = RolloutKind.UPDATE
    parent_id: str = ""
    goes_back: bool = False
    targets: Mapping[str, tuple[str, str]] = field(default_factory=dict)


UPDATE = Way()


async def write_plan(
    tx: Tx,
    order: Order,
    actor: Actor,
    drafted: Draft,
    rollout_id: str,
    *,
    state: RolloutState = RolloutState.RUNNING,
    way: Way = UPDATE,
) -> None:
    """Write the rollout, its budget, its waves and its hosts."""
    chosen, limits, planned = drafted.release, drafted.limits, drafted.plan
    by = {"actor_kind": actor.kind, "actor_id": actor.id}
    await tx.execute(
        sa.insert(ROLLOUT).values(
            **by,
            id=rollout_id,
            fleet_id=order.fleet_id,
            product=order.product,
            version=chosen.version,
            release_id=chosen.id,
            state=state.value,
            revision=1,
            limits=limits.to_json(),
            selection=_stored(order.selection),
            manual_advance=order.manual_advance,
            retry_bad=order.retry_bad,
            has_checks=bool(order.checks),
            reason=order.reason,
            idempotency_key=order.idempotency_key or None,
            request_sha256=order.request_sha256,
            state_actor_kind=actor.kind,
            state_actor_id=actor.id,
            state_reason=order.reason,
            state_code="",
            state_changed_at=tx.now,
            created_at=tx.now,
            not_after=(order.start_at or tx.now) + timedelta(seconds=limits.not_after_seconds),
            stopped_at=None,
            ended_at=None,
            let_finish=False,
            wave_approval=order.wave_approval,
            wave_order=str(order.shape.order),
            require_approval=order.require_approval,
            approve_by=tx.now + approval.APPROVAL if order.require_approval else None,
            start_at=order.start_at,
            begun=state is RolloutState.RUNNING,
            kind=way.kind.value,
            parent_id=way.parent_id,
            goes_back=way.goes_back,
        )
    )
    await tx.execute(
        sa.insert(BUDGET).values(
            scope=f"rollout/{rollout_id}",
            fleet_id=order.fleet_id,
            max_in_use=limits.max_concurrent,
            max_out=limits.max_out,
            in_use=0,
            broken=0,
        )
    )
    await write_checks(tx, rollout_id, order.fleet_id, order.checks)
    await tx.execute(sa.insert(WAVE), [_wave(order, rollout_id, wave) for wave in planned.waves])
    members = [(wave.number, place, host) for wave in planned.waves for place, host in enumerate(wave.hosts)]
    await tx.execute(sa.insert(HOST), [_host(tx, order, rollout_id, way, *member) for member in members])


def _wave(order: Order, rollout_id: str, wave: PlannedWave) -> dict[str, Any]:
    """Return the row of a wave whose hosts are all pending."""
    hosts = len(wave.hosts)
    counters: WaveCounters = count(HostView(AttemptState.PENDING) for _ in range(hosts))
    cohorts = shared_cohorts(host.cohorts for host in wave.hosts)
    counters = replace(counters, planned_cohorts=True, cohorts=cohorts)
    return {
        "rollout_id": rollout_id,
        "number": wave.number,
        "fleet_id": order.fleet_id,
        "state": WaveState.PENDING.value,
        "planned": hosts,
        "counters": counters.to_json(),
        "gate": "",
        "baked_seconds": 0.0,
        "bake_ticked_at": None,
        "opened_at": None,
        "moved_at": None,
        "ended_at": None,
    }


def _host(tx: Tx, order: Order, rollout_id: str, way: Way, wave: int, position: int, host: HostFacts) -> dict[str, Any]:
    """Return the row of a pending host."""
    target_version, target_sha256 = way.targets.get(host.agent_id, ("", ""))
    nothing = dict.fromkeys(("generation", "retry_at", "offered_at", "granted_at", "ended_at", "deadline"))
    empty = dict.fromkeys(("step", "code", "message", "output_tail", "waiting", "sha256"), "")
    return {
        **nothing,
        **empty,
        "rollout_id": rollout_id,
        "agent_id": host.agent_id,
        "fleet_id": order.fleet_id,
        "product": order.product,
        "name": host.name,
        "wave": wave,
        "position": position,
        "state": AttemptState.PENDING.value,
        "tries": 0,
        "from_version": host.version,
        "session_epoch": 0,
        "last_ask": 0,
        "attempted": False,
        "unproven": False,
        "late": False,
        "forgiven": False,
        "changed_at": tx.now,
        "target_version": target_version,
        "target_sha256": target_sha256,
        "retry_bad": False,
    }


def _stored(selection: Selection) -> dict[str, Any]:
    """Return the selection as it is stored and shown."""
    return {
        "hosts": list(selection.hosts),
        "labels": dict(selection.labels),
        "exclude": list(selection.exclude),
        "label_selector": str(selection.selector or ""),
        "version_range": str(selection.versions or ""),
        "behind": selection.behind,
    }
