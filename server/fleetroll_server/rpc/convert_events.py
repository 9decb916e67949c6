"""Events, and what stands for watchers, on the wire. Each thing is built once for all watchers of a batch."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from fleetroll.v1 import events_pb2 as pb
from fleetroll_server.rpc.agents_convert import agent_to_wire
from fleetroll_server.rpc.convert import attempt_state, decision, reason_code, set_instant
from fleetroll_server.rpc.convert_rollouts import host_to_wire, rollout_to_wire, switch_to_wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import RowMapping

    from fleetroll_server.events.inbox import Batch
    from fleetroll_server.events.touched import State
    from fleetroll_server.events.watched import Watched

MAX_MESSAGE_CHARS = 2000


def event_to_wire(row: RowMapping) -> pb.Event:
    """Return one event."""
    wire = pb.Event(
        id=f"e{row['sequence']}",
        fleet_id=row["fleet_id"],
        decision=decision(row["actor_kind"], row["actor_id"], row["occurred_at"], row["reason"], row["code"]),
        rollout_id=row["rollout_id"],
        agent_id=row["agent_id"],
        attempt_id=row["attempt_id"],
        attempt_state=attempt_state(row["attempt_state"]),
        kind=row["kind"],
        code=reason_code(row["code"]),
        message=row["message"][:MAX_MESSAGE_CHARS],
    )
    set_instant(wire.occurred_at, row["occurred_at"])
    return wire


def snapshot_to_wire(state: State) -> pb.Snapshot:
    """Return one page."""
    return pb.Snapshot(**_standing(state, state.wire))


def changes_to_wire(batch: Batch, watched: Watched, after: int) -> pb.Changes | None:
    """Return what of a batch concerns a watcher that has seen all up to ``after``; nothing where nothing does."""
    own = watched.own(batch.state)
    events = [
        _once(batch.state.wire, ("event", str(row["sequence"])), partial(event_to_wire, row))
        for row in batch.events
        if row["sequence"] > after and watched.sees(row)
    ]
    standing = _standing(own, batch.state.wire)
    if not events and not any(standing.values()):
        return None
    return pb.Changes(events=events, **standing)


def _standing(state: State, built: dict[tuple[str, str], Any]) -> dict[str, Any]:
    """Return what stands, by field."""
    return {
        "rollouts": [
            _once(built, ("rollout", each.row["id"]), partial(rollout_to_wire, each)) for each in state.rollouts
        ],
        "kill_switches": [
            _once(built, ("switch", row["scope"]), partial(switch_to_wire, row)) for row in state.switches
        ],
        "agents": [_once(built, ("agent", each.row["id"]), partial(agent_to_wire, each)) for each in state.hosts],
        "rollout_hosts": [
            _once(
                built,
                ("member", f"{row['rollout_id']}/{row['agent_id']}"),
                partial(host_to_wire, row, version=version),
            )
            for version, row in state.rollout_hosts
        ],
    }


def _once(built: dict[tuple[str, str], Any], key: tuple[str, str], make: Callable[[], Any]) -> Any:  # noqa: ANN401
    """Return what was built for ``key`` before, or build it."""
    if key not in built:
        built[key] = make()
    return built[key]
