"""Attempts of hosts, newest first: those that stand in their rollout, and those that a retry replaced."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_common.values.ids import attempt_id
from fleetroll_server.store.tables import AttemptHistoryRow, RolloutHostRow, RolloutRow, table_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncConnection

_HOST = table_of(RolloutHostRow)
_HISTORY = table_of(AttemptHistoryRow)
_ROLLOUT = table_of(RolloutRow)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt of one host. ``state`` as the table of states spells it; empty words where nothing was said."""

    agent_id: str
    product: str
    generation: int
    rollout_id: str
    state: str
    code: str
    message: str
    from_version: str
    to_version: str
    offered_at: datetime | None
    granted_at: datetime | None
    ended_at: datetime | None
    step: str = ""
    output_tail: str = ""
    unproven: bool = False

    @property
    def id(self) -> str:
        """The attempt's one id."""
        return attempt_id(self.agent_id, self.product, self.generation)


_SHARED = (
    "agent_id",
    "product",
    "generation",
    "rollout_id",
    "state",
    "code",
    "message",
    "from_version",
    "offered_at",
    "granted_at",
    "ended_at",
)


async def newest_attempts(
    connection: AsyncConnection, agent_ids: Sequence[str], fleets: Sequence[str]
) -> dict[str, tuple[Attempt, ...]]:
    """Return the attempts of each agent, newest first. Hosts that a rollout never offered anything have none in it."""
    standing = (
        sa.select(
            *(_HOST.c[name] for name in _SHARED),
            _ROLLOUT.c.version.label("to_version"),
            _HOST.c.step,
            _HOST.c.output_tail,
            _HOST.c.unproven,
        )
        .join(_ROLLOUT, sa.and_(_ROLLOUT.c.id == _HOST.c.rollout_id, _ROLLOUT.c.fleet_id == _HOST.c.fleet_id))
        .where(_HOST.c.agent_id.in_(agent_ids), _HOST.c.fleet_id.in_(fleets), _HOST.c.generation.is_not(None))
    )
    replaced = sa.select(*(_HISTORY.c[name] for name in _SHARED), _HISTORY.c.to_version).where(
        _HISTORY.c.agent_id.in_(agent_ids), _HISTORY.c.fleet_id.in_(fleets)
    )
    found: dict[str, list[Attempt]] = {}
    for query in (standing, replaced):
        for row in (await connection.execute(query)).mappings():
            found.setdefault(row["agent_id"], []).append(Attempt(**row))
    return {agent: tuple(sorted(each, key=lambda a: a.generation, reverse=True)) for agent, each in found.items()}
