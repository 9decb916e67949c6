"""Reads what the rule about a host's first version needs: what is listed for it, and what became of it in its fleet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_server.catalogue.reads import STABLE, installable
from fleetroll_server.domain.first_version import (
    Candidate,
    FirstVersion,
    Standing,
    Tried,
    first_version,
    standing,
)
from fleetroll_server.domain.states import RolloutState
from fleetroll_server.domain.summary import WaveCounters
from fleetroll_server.gateway.suspensions import GLOBAL_SCOPE, SUSPENSION, fleet_scope
from fleetroll_server.recovery.state import refuse_while_recovering
from fleetroll_server.store.tables import RolloutRow, WaveRow, table_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import RowMapping
    from sqlalchemy.ext.asyncio import AsyncConnection

    from fleetroll_common.values.platform import Platform
    from fleetroll_common.values.version import Version
    from fleetroll_server.catalogue.values import Release

_ROLLOUT = table_of(RolloutRow)
_WAVE = table_of(WaveRow)
_OF_ROLLOUT = ("id", "state", "stopped_at", "late_stop_code")
AT_ONCE = 20
"""Rollouts of a release per read; one is enough nearly always."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a host without a version asks for.

    Attributes:
        product: its name.
        channel: that the release must be in.
        platform: of the host.
        passed_over: versions that did not work there.
    """

    product: str
    channel: str
    platform: Platform
    passed_over: Collection[Version] = ()


async def name_first(connection: AsyncConnection, fleet_id: str, wanted: Wanted) -> FirstVersion:
    """Return the release that a host of the fleet begins with.

    Args:
        connection: one snapshot: a rollout that is halted later may have been untried or open here.
        fleet_id: of the host.
        wanted: what it asks for.

    Raises:
        RequestError: SUSPENDED, NO_ARTIFACT or NO_FIRST_VERSION (admin's fault).
    """
    await _refuse_while_suspended(connection, fleet_id)
    offered = await installable(connection, wanted.product, wanted.channel)
    found = [one for one in offered if _fits(one, wanted.platform)]
    if not found:
        text = f"no release in channel {wanted.channel!r} is listed for {wanted.platform}"
        raise RequestError(text, code=Code.NO_ARTIFACT, remedy="publish one, or name another channel")
    candidates: list[Candidate] = []
    for one in found:  # the newest first: behind one that is proved and works on the host, nothing is named
        candidates.append(
            Candidate(
                version=one.parsed_version,
                tried=await _tried(connection, fleet_id, wanted.product, one.version),
                only_by_name=wanted.channel == STABLE and bool(one.parsed_version.pre),
            )
        )
        if one.parsed_version not in wanted.passed_over and standing(candidates[-1].tried) is Standing.PROVED:
            break
    return first_version(candidates, wanted.passed_over)


def _fits(release: Release, platform: Platform) -> bool:
    """Tell whether a release has an artefact for ``platform``."""
    return any(artifact.platform.covers(platform) for artifact in release.artifacts)


async def _refuse_while_suspended(connection: AsyncConnection, fleet_id: str) -> None:
    """Let no host begin under the kill switch. Nothing is locked: a name that was given before may still be used.

    Raises:
        RequestError: SUSPENDED or RECOVERY (admin's fault).
    """
    await refuse_while_recovering(connection, "no host begins with anything")
    scopes = (SUSPENSION.c.scope.in_((GLOBAL_SCOPE, fleet_scope(fleet_id))), SUSPENSION.c.fleet_id.in_(("", fleet_id)))
    if any((await connection.execute(sa.select(SUSPENSION.c.active).where(*scopes))).scalars()):
        text = "the kill switch is pressed for this fleet: no host begins with anything"
        raise RequestError(text, code=Code.SUSPENDED, remedy="run enroll again when an admin has lifted it")


async def _tried(connection: AsyncConnection, fleet_id: str, product: str, version: str) -> Sequence[Tried]:
    """Return the fleet's rollouts of a release as far as they decide about it, oldest first; ways back to it do not.

    One that stands halted decides alone. Else they are read from the newest on, some at a time, until one has come to a
    verdict: what was before it decides nothing. Read from counters, however many hosts.
    """
    of_release = (_ROLLOUT.c.product == product, _ROLLOUT.c.version == version, _ROLLOUT.c.goes_back.is_(False))
    mine = (_ROLLOUT.c.fleet_id == fleet_id, *of_release)
    halted = sa.select(_ROLLOUT.c.id).where(*mine, _ROLLOUT.c.state == RolloutState.HALTED.value).limit(1)
    if (await connection.execute(halted)).first() is not None:
        return (Tried(RolloutState.HALTED, attempted=0, succeeded=0),)
    found: list[Tried] = []
    newest_first = (
        sa.select(*(_ROLLOUT.c[name] for name in _OF_ROLLOUT))
        .where(*mine)
        .order_by(_ROLLOUT.c.created_at.desc(), _ROLLOUT.c.id.desc())
        .limit(AT_ONCE)
    )
    while True:
        rollouts = (await connection.execute(newest_first.offset(len(found)))).mappings().all()
        for rollout in rollouts:
            found.append(_summed(rollout, await _counters(connection, fleet_id, rollout["id"])))
            if found[-1].verdict in {Standing.PROVED, Standing.STOPPED}:
                return found[::-1]
        if len(rollouts) < AT_ONCE:
            return found[::-1]


async def _counters(connection: AsyncConnection, fleet_id: str, rollout_id: str) -> list[WaveCounters]:
    """Return the counters of a rollout's waves."""
    query = sa.select(_WAVE.c.counters).where(_WAVE.c.rollout_id == rollout_id, _WAVE.c.fleet_id == fleet_id)
    return [WaveCounters.from_json(stored) for stored in (await connection.execute(query)).scalars()]


def _summed(rollout: RowMapping, counted: Sequence[WaveCounters]) -> Tried:
    """Return one rollout with the counters of its waves."""
    return Tried(
        state=RolloutState(rollout["state"]),
        attempted=sum(one.attempted for one in counted),
        succeeded=sum(one.succeeded for one in counted),
        late_stop=Code(rollout["late_stop_code"]) if rollout["late_stop_code"] else None,
        late_bad=sum(one.unforgiven_bad for one in counted),
        stood_still=rollout["stopped_at"] is not None,
    )
