"""What stands, for a watcher that begins or goes on: pages of a snapshot, and what came since a place in the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_server.engine import reads
from fleetroll_server.events import lean, log
from fleetroll_server.events.inbox import Batch
from fleetroll_server.events.touched import Interest, State, print_of, read_touched
from fleetroll_server.events.watched import Subject
from fleetroll_server.hosts import inventory

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncConnection

    from fleetroll_server.engine.reads import Shown
    from fleetroll_server.events.watched import Watched

PAGE_HOSTS = 500
"""Hosts of one page: about 200 kB."""
ENDED_ROLLOUTS = 100
"""The newest rollouts that have ended, in a snapshot."""
ACTIVE_ROLLOUTS = 1000
"""More go on at the same time in no fleet that is known."""
CATCH_UP_EVENTS = 2000
"""In one batch for a watcher that goes on."""


async def pages(connection: AsyncConnection, watched: Watched, now: datetime) -> AsyncIterator[State]:
    """Yield what stands in the snapshot of ``connection``; the work grows with the hosts that are watched."""
    fleets = sorted(watched.fleets)
    if Subject.ROLLOUTS in watched.subjects:
        yield State(
            rollouts=await _rollouts(connection, watched, now), switches=await reads.switches(connection, fleets)
        )
    for fleet in fleets if Subject.AGENTS in watched.subjects else ():
        last = ""
        while ids := await inventory.host_ids(connection, fleet, last, PAGE_HOSTS):
            yield State(hosts=lean.hosts(await inventory.hosts_by_id(connection, ids, [fleet], now)))
            last = ids[-1]
    if Subject.ROLLOUT_HOSTS in watched.subjects:
        last = ""
        while rows := await reads.members(connection, [watched.rollout_id], fleets, now, after=last, limit=PAGE_HOSTS):
            yield State(rollout_hosts=lean.members(rows))
            last = rows[-1][1]["agent_id"]


async def since(
    connection: AsyncConnection, watched: Watched, after: int, now: datetime, known: Mapping[str, str] | None = None
) -> Batch:
    """Return the next events after a place, what they touched, and rollouts that go on, which change without events.

    Args:
        connection: a snapshot.
        watched: by whom.
        after: a place in the log.
        now: the time.
        known: prints of rollouts as the watcher has them for certain; nothing of who was away.
    """
    fleets = sorted(watched.fleets)
    events = await log.after(connection, after, CATCH_UP_EVENTS)
    interest = Interest(
        hosts=Subject.AGENTS in watched.subjects,
        rollouts=Subject.ROLLOUTS in watched.subjects,
        members_of=frozenset([watched.rollout_id] if Subject.ROLLOUT_HOSTS in watched.subjects else ()),
    )
    state = await read_touched(connection, events, interest, now)
    if interest.rollouts and len(events) < CATCH_UP_EVENTS:
        there = {shown.row["id"] for shown in state.rollouts}
        going_on = [shown for shown in await _active(connection, watched, now) if shown.row["id"] not in there]
        moved = [shown for shown in going_on if known is None or known.get(shown.row["id"]) != print_of(shown)]
        switches = state.switches if known is not None else await reads.switches(connection, fleets)
        state = State([*state.rollouts, *moved], switches, state.hosts, state.rollout_hosts)
    return Batch(after, events[-1]["sequence"] if events else after, events, state)


async def _rollouts(connection: AsyncConnection, watched: Watched, now: datetime) -> list[Shown]:
    """Return the rollouts of a snapshot."""
    if watched.rollout_id:
        one = await reads.one(connection, watched.rollout_id, sorted(watched.fleets), now)
        return [] if one is None else lean.rollouts([one])
    active = await _active(connection, watched, now)
    known = {shown.row["id"] for shown in active}
    newest = await reads.newest(
        connection, sorted(watched.fleets), now, active_only=False, after=None, limit=ENDED_ROLLOUTS
    )
    return [*active, *lean.rollouts([shown for shown in newest if shown.row["id"] not in known])]


async def _active(connection: AsyncConnection, watched: Watched, now: datetime) -> list[Shown]:
    """Return the rollouts that have not ended."""
    fleets = sorted(watched.fleets)
    found = await reads.newest(connection, fleets, now, active_only=True, after=None, limit=ACTIVE_ROLLOUTS)
    return lean.rollouts(found)
