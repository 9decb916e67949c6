"""Events, and what stands for watchers, on the wire. Each thing is built once for all watchers of a batch.

The channel refuses messages above a size, and a watcher can't do anything about it: so whatever stands or changed comes
in as many messages as it takes.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from fleetroll.v1 import events_pb2 as pb
from fleetroll_server.events import lean
from fleetroll_server.events.log import FOR_EVERYBODY
from fleetroll_server.rpc.agents_convert import agent_to_wire
from fleetroll_server.rpc.convert import attempt_state, decision, reason_code, set_instant
from fleetroll_server.rpc.convert_rollouts import host_to_wire, rollout_to_wire, switch_to_wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sqlalchemy import RowMapping

    from fleetroll.v1 import rollouts_pb2
    from fleetroll_server.engine.reads import Shown
    from fleetroll_server.events.inbox import Batch
    from fleetroll_server.events.touched import State
    from fleetroll_server.events.watched import Watched

Sized = tuple[Any, int]
"""A thing, built, and the bytes that it takes within a message."""
Named = tuple[str, Sized]
"""The same with the field that it is for."""
Standing = dict[str, dict[str, Sized]]
"""What stands of a watcher's own, by field and key."""
MAX_MESSAGE_CHARS = 2000
MESSAGE_BYTES = 256 * 1024
"""Of the things in one message, unless it holds one thing alone. A watcher that hears nothing for five seconds gives
up, and a message is heard when all of it is there: this one comes through on a line of half a megabit per second. The
largest thing is a host with 64 products whose attempts and labels say as much as they may, 0.6 MB, far below what the
channel takes."""
_FRAME_BYTES = 6
"""Tag and length of a thing in a message."""


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


def snapshot_to_wire(state: State) -> Iterator[pb.Snapshot]:
    """Yield pages of what stands; none where nothing does."""
    for _, part in _filled([(0, _left(_standing(state, state.wire)))], 0):
        page = pb.Snapshot()
        for name, things in part.items():
            getattr(page, name).extend(things)
        yield page


def changes_to_wire(batch: Batch, watched: Watched, after: int) -> Iterator[tuple[int, pb.Changes]]:
    """Yield what of a batch concerns a watcher that has seen all up to ``after``: where it is then, and what to say.

    Where it is too much for one message, each brings the watcher to the last event of which it has all: it may break
    off after any of them, and what it has of later events is state, which it gets again with them. Nothing is yielded
    where nothing concerns the watcher.
    """
    standing = _standing(watched.own(batch.state), batch.state.wire)
    for place, part in _filled(_by_event(batch, watched, after, standing), after):
        yield place, pb.Changes(**part)


def _by_event(batch: Batch, watched: Watched, after: int, standing: Standing) -> Iterator[tuple[int, list[Named]]]:
    """Yield what comes with each event: all that it touched, unless it came before, then itself; the rest at last."""
    for row in batch.events:
        if row["sequence"] > after:
            things = _take_touched(row, standing)
            if watched.sees(row):
                key = ("event", str(row["sequence"]))
                things.append(("events", _once(batch.state.wire, key, partial(event_to_wire, row))))
            yield row["sequence"], things
    yield batch.through, _left(standing)


def _take_touched(row: RowMapping, standing: Standing) -> list[Named]:
    """Take what an event touched out of what stands."""
    keys = (("rollouts", row["rollout_id"]), ("agents", row["agent_id"]), ("rollout_hosts", row["agent_id"]))
    taken = [(name, standing[name].pop(key)) for name, key in keys if key in standing[name]]
    if row["kind"].startswith(FOR_EVERYBODY):
        taken += [("kill_switches", thing) for thing in standing["kill_switches"].values()]
        standing["kill_switches"].clear()
    return taken


def _left(standing: Standing) -> list[Named]:
    """Return all that stands."""
    return [(name, thing) for name, things in standing.items() for thing in things.values()]


def _filled(groups: Iterable[tuple[int, list[Named]]], before: int) -> Iterator[tuple[int, dict[str, list[Any]]]]:
    """Fill messages with things in order: yield each, by field, with the place of the last group that is whole by then.

    Args:
        groups: places, each with its things.
        before: the place before the first one.
    """
    part: dict[str, list[Any]] = {}
    filled, place = 0, before
    for at, things in groups:
        for name, (thing, size) in things:
            if part and filled + size > MESSAGE_BYTES:
                yield place, part
                part, filled = {}, 0
            part.setdefault(name, []).append(thing)
            filled += size
        place = at
    if part:
        yield place, part


def _standing(state: State, built: dict[tuple[str, str], Any]) -> Standing:
    """Return what stands, by field and key."""
    return {
        "rollouts": {
            each.row["id"]: _once(built, ("rollout", each.row["id"]), partial(_rollout, each))
            for each in state.rollouts
        },
        "kill_switches": {
            row["scope"]: _once(built, ("switch", row["scope"]), partial(switch_to_wire, row)) for row in state.switches
        },
        "agents": {
            each.row["id"]: _once(built, ("agent", each.row["id"]), partial(agent_to_wire, each))
            for each in state.hosts
        },
        "rollout_hosts": {
            row["agent_id"]: _once(
                built,
                ("member", f"{row['rollout_id']}/{row['agent_id']}"),
                partial(host_to_wire, row, version=version),
            )
            for version, row in state.rollout_hosts
        },
    }


def _rollout(shown: Shown) -> rollouts_pb2.Rollout:
    """Return a rollout; a selection that is left out must not look like "all"."""
    wire = rollout_to_wire(shown)
    if not lean.tells_selection(shown):
        wire.ClearField("selection")
    return wire


def _once(built: dict[tuple[str, str], Any], key: tuple[str, str], make: Callable[[], Any]) -> Sized:
    """Return what was built for ``key`` before, or build it; with the bytes that it takes within a message."""
    if key not in built:
        wire = make()
        built[key] = wire, wire.ByteSize() + _FRAME_BYTES
    sized: Sized = built[key]
    return sized
