"""What stands now of all that some events were about, read in the snapshot that the events were read in.

A watcher's model takes state, not steps: whatever an event touched is read as it stands and replaces what the watcher
had. So nothing depends on what an event says of itself, and a host that moved ten times is read once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fleetroll_server.engine import reads
from fleetroll_server.events import lean
from fleetroll_server.hosts import inventory

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from sqlalchemy import RowMapping
    from sqlalchemy.ext.asyncio import AsyncConnection

    from fleetroll_server.engine.reads import Shown
    from fleetroll_server.hosts.inventory import Host

IN_ONE_STATEMENT = 500
"""Ids; SQLite takes 32,766 variables, and a plan for a few hundred costs as much as one for all."""


@dataclass(frozen=True, slots=True)
class State:
    """What stands, without what watchers do not get (:mod:`fleetroll_server.events.lean`).

    Attributes:
        rollouts: with waves and counts.
        switches: rows of kill switches.
        hosts: of fleets.
        rollout_hosts: rows of hosts of a rollout, each with the version that it is to reach.
        wire: what others have made of these already, so that each thing is built once for all watchers.
    """

    rollouts: Sequence[Shown] = ()
    switches: Sequence[RowMapping] = ()
    hosts: Sequence[Host] = ()
    rollout_hosts: Sequence[tuple[str, RowMapping]] = ()
    wire: dict[tuple[str, str], Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Interest:
    """What anybody watches: what nobody does is not read.

    Attributes:
        hosts: whether hosts are watched.
        rollouts: whether rollouts are.
        members_of: ids of rollouts whose hosts are watched.
    """

    hosts: bool = False
    rollouts: bool = False
    members_of: frozenset[str] = frozenset()


async def read_touched(
    connection: AsyncConnection, events: Sequence[RowMapping], interest: Interest, now: datetime
) -> State:
    """Return what stands of everything that ``events`` name, as far as anybody watches it."""
    fleets = sorted({event["fleet_id"] for event in events if event["fleet_id"]})
    agents = sorted({event["agent_id"] for event in events if event["agent_id"]})
    rollouts = sorted({event["rollout_id"] for event in events if event["rollout_id"]})
    switched = any(event["kind"].startswith("kill_switch.") for event in events)
    return State(
        rollouts=await _rollouts(connection, rollouts, fleets, now) if interest.rollouts else (),
        switches=await reads.switches(connection, fleets) if interest.rollouts and switched else (),
        hosts=await hosts_of(connection, agents, fleets, now) if interest.hosts else (),
        rollout_hosts=await _members(connection, interest.members_of, agents, fleets, now),
    )


async def hosts_of(
    connection: AsyncConnection, agents: Sequence[str], fleets: Sequence[str], now: datetime
) -> list[Host]:
    """Return hosts by their ids; those that these fleets do not have are left out."""
    found: list[Host] = []
    for some in _portions(agents):
        found += lean.hosts(await inventory.hosts_by_id(connection, some, fleets, now))
    return found


async def _rollouts(
    connection: AsyncConnection, ids: Sequence[str], fleets: Sequence[str], now: datetime
) -> list[Shown]:
    """Return rollouts by their ids."""
    shown = [await reads.one(connection, rollout_id, fleets, now) for rollout_id in ids]
    return lean.rollouts([each for each in shown if each is not None])


async def _members(
    connection: AsyncConnection, rollouts: Collection[str], agents: Sequence[str], fleets: Sequence[str], now: datetime
) -> list[tuple[str, RowMapping]]:
    """Return the rows of these agents in these rollouts."""
    found: list[tuple[str, RowMapping]] = []
    for some in _portions(agents) if rollouts else ():
        found += lean.members(await reads.members(connection, sorted(rollouts), fleets, now, agents=some))
    return found


def print_of(shown: Shown) -> str:
    """Return what differs when anything that is shown of a rollout does."""
    waves = [dict(wave) for wave in shown.waves]
    return repr((dict(shown.row), waves, shown.counts, shown.waits_for, shown.late))


def _portions(ids: Sequence[str]) -> list[Sequence[str]]:
    """Cut ids into what one statement takes."""
    return [ids[start : start + IN_ONE_STATEMENT] for start in range(0, len(ids), IN_ONE_STATEMENT)]
