"""Which releases hosts still need: what runs, what the way back leads to, what they are meant to run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.version import Version
from fleetroll_server.domain.states import FINAL
from fleetroll_server.engine.targets import shown_version
from fleetroll_server.store.fleets import every_fleet
from fleetroll_server.store.tables import AgentRow, AssignmentRow, HostProductRow, RolloutHostRow, RolloutRow, table_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection

_AGENT = table_of(AgentRow)
_PRODUCT = table_of(HostProductRow)
_HOST = table_of(RolloutHostRow)
_ROLLOUT = table_of(RolloutRow)
_ASSIGNMENT = table_of(AssignmentRow)
_ENDED = sorted(state.value for state in FINAL)
_WHY = "a release is everybody's"


@dataclass(frozen=True, slots=True)
class InUse:
    """How many hosts need a release, each number >= 0.

    Attributes:
        running: hosts that run it.
        previous: hosts whose automatic way back leads to it.
        wanted: hosts that are meant to run it, or that a rollout which has not ended for them would bring to it.
    """

    running: int = 0
    previous: int = 0
    wanted: int = 0

    def __str__(self) -> str:
        """Say it to a person."""
        said = ((self.running, "run it"), (self.previous, "would go back to it"), (self.wanted, "are meant to run it"))
        return ", ".join(f"{number} {what}" for number, what in said if number)


async def in_use(
    connection: AsyncConnection, product: str, fleets: Sequence[str] | None = None
) -> Mapping[Version, InUse]:
    """Return what hosts need of ``product``, by version, ascending.

    Args:
        connection: a snapshot, or a job's own transaction.
        product: its name.
        fleets: whose hosts count; None = all. Revoked identities are no hosts any more.
    """
    counted: dict[Version, dict[str, int]] = {}
    for name, table, column in (("running", _PRODUCT, "version"), ("previous", _PRODUCT, "previous_version")):
        query = sa.select(table.c[column], sa.func.count()).where(table.c.product == product).group_by(table.c[column])
        _add(counted, name, (await connection.execute(_held(query, table, fleets))).all())
    for query, table in ((_planned(product), _HOST), (_assigned(product), _ASSIGNMENT)):
        _add(counted, "wanted", (await connection.execute(_held(query, table, fleets))).all())
    return {version: InUse(**counted[version]) for version in sorted(counted)}


def _planned(product: str) -> sa.Select[Any]:
    """Return the query for the number of hosts by the version that a rollout would still bring them to."""
    of_rollout = sa.and_(_ROLLOUT.c.id == _HOST.c.rollout_id, _ROLLOUT.c.fleet_id == _HOST.c.fleet_id)
    version: sa.ColumnElement[Any] = shown_version()
    query: sa.Select[Any] = (
        sa.select(version, sa.func.count(sa.distinct(_HOST.c.agent_id)))
        .select_from(_HOST.join(_ROLLOUT, of_rollout))
        .where(_HOST.c.product == product, _HOST.c.state.not_in(_ENDED))
        .group_by(version)
    )
    return query


def _assigned(product: str) -> sa.Select[Any]:
    """Return the query for the number of hosts by the version that no rollout, but somebody else wants them to run.

    What a rollout assigned is counted with its hosts, or has ended: what came of it is what runs.
    """
    of_rollout = sa.select(_HOST.c.agent_id).where(
        _HOST.c.agent_id == _ASSIGNMENT.c.agent_id,
        _HOST.c.product == _ASSIGNMENT.c.product,
        _HOST.c.fleet_id == _ASSIGNMENT.c.fleet_id,
        _HOST.c.generation == _ASSIGNMENT.c.generation,
    )
    return (
        sa.select(_ASSIGNMENT.c.version, sa.func.count())
        .where(_ASSIGNMENT.c.product == product, _ASSIGNMENT.c.version != "", sa.not_(of_rollout.exists()))
        .group_by(_ASSIGNMENT.c.version)
    )


def _held(query: sa.Select[Any], table: sa.Table, fleets: Sequence[str] | None) -> sa.Select[Any]:
    """Leave revoked identities out, and hold a statement to ``fleets``, or say why it is held to none."""
    revoked = sa.select(_AGENT.c.id).where(
        _AGENT.c.id == table.c.agent_id, _AGENT.c.fleet_id == table.c.fleet_id, _AGENT.c.revoked.is_(True)
    )
    query = query.where(sa.not_(revoked.exists()))
    return query.where(table.c.fleet_id.in_(fleets)) if fleets is not None else every_fleet(query, _WHY)


def _add(counted: dict[Version, dict[str, int]], name: str, rows: Sequence[Any]) -> None:
    """Count hosts by version; what is no version, such as a development build's odd word, is no release either."""
    for text, number in rows:
        try:
            version = Version.parse(text)
        except RequestError:
            continue
        here = counted.setdefault(version, {})
        here[name] = here.get(name, 0) + number
