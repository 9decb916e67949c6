"""Attempts of hosts, newest first: those that stand in their rollout, and those that a retry replaced."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from fleetroll_common.values.ids import attempt_id
from fleetroll_server.store.tables import AssignmentRow, AttemptHistoryRow, RolloutHostRow, RolloutRow, table_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncConnection

_HOST = table_of(RolloutHostRow)
_HISTORY = table_of(AttemptHistoryRow)
_ROLLOUT = table_of(RolloutRow)
_ASSIGNMENT = table_of(AssignmentRow)


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
    standing = _standing().where(
        _HOST.c.agent_id.in_(agent_ids), _HOST.c.fleet_id.in_(fleets), _HOST.c.generation.is_not(None)
    )
    replaced = _replaced().where(_HISTORY.c.agent_id.in_(agent_ids), _HISTORY.c.fleet_id.in_(fleets))
    return await _by_agent(connection, (standing, replaced))


async def last_attempts(
    connection: AsyncConnection, agent_ids: Sequence[str], fleets: Sequence[str]
) -> dict[str, tuple[Attempt, ...]]:
    """Return, of each product of each agent, the newest attempt and the newest that ended; newest first.

    The work grows with the agents, not with how many attempts they have behind them. Newest by time, as above.
    """
    queries = []
    for table, query in ((_HOST, _standing()), (_HISTORY, _replaced())):
        for which in ((), (table.c.ended_at.is_not(None),)):
            inner = table.alias()
            ended = (inner.c.ended_at.is_not(None),) if which else ()
            newest = (
                sa.select(inner.c.offered_at)
                .where(
                    inner.c.agent_id == _ASSIGNMENT.c.agent_id,
                    inner.c.product == _ASSIGNMENT.c.product,
                    inner.c.fleet_id == _ASSIGNMENT.c.fleet_id,
                    inner.c.offered_at.is_not(None),
                    *ended,
                )
                .order_by(inner.c.offered_at.desc())
                .limit(1)
                .correlate(_ASSIGNMENT)
                .scalar_subquery()
            )
            same = (
                table.c.agent_id == _ASSIGNMENT.c.agent_id,
                table.c.product == _ASSIGNMENT.c.product,
                table.c.fleet_id == _ASSIGNMENT.c.fleet_id,
                table.c.offered_at == newest,
            )
            mine = (_ASSIGNMENT.c.agent_id.in_(agent_ids), _ASSIGNMENT.c.fleet_id.in_(fleets))
            queries.append(query.where(*same, *mine, table.c.fleet_id.in_(fleets)))
    found = await _by_agent(connection, queries)
    return {agent: tuple(_last_of(attempts)) for agent, attempts in found.items()}


def _last_of(attempts: Sequence[Attempt]) -> Iterator[Attempt]:
    """Yield, of attempts that are sorted, the first of each product and the first of each that ended."""
    seen: set[str] = set()
    ended: set[str] = set()
    for attempt in attempts:
        if attempt.product not in seen or (attempt.ended_at is not None and attempt.product not in ended):
            yield attempt
        seen.add(attempt.product)
        if attempt.ended_at is not None:
            ended.add(attempt.product)


def _standing() -> sa.Select[Any]:
    """Return the query of attempts that stand in their rollout."""
    return sa.select(
        *(_HOST.c[name] for name in _SHARED),
        _ROLLOUT.c.version.label("to_version"),
        _HOST.c.step,
        _HOST.c.output_tail,
        _HOST.c.unproven,
    ).join(_ROLLOUT, sa.and_(_ROLLOUT.c.id == _HOST.c.rollout_id, _ROLLOUT.c.fleet_id == _HOST.c.fleet_id))


def _replaced() -> sa.Select[Any]:
    """Return the query of attempts that a retry replaced."""
    return sa.select(*(_HISTORY.c[name] for name in _SHARED), _HISTORY.c.to_version)


async def _by_agent(connection: AsyncConnection, queries: Sequence[sa.Select[Any]]) -> dict[str, tuple[Attempt, ...]]:
    """Return what the queries find, each attempt once, by agent and newest first."""
    found: dict[str, dict[tuple[str, int], Attempt]] = {}
    for query in queries:
        for row in (await connection.execute(query)).mappings():
            attempt = Attempt(**row)
            found.setdefault(attempt.agent_id, {})[attempt.product, attempt.generation] = attempt
    return {agent: tuple(sorted(each.values(), key=_age, reverse=True)) for agent, each in found.items()}


def _age(attempt: Attempt) -> tuple[bool, datetime | None, int]:
    """Sort by time: a count of generations may have begun anew."""
    return attempt.offered_at is not None, attempt.offered_at, attempt.generation
