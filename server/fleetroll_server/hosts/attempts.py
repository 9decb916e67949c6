"""Attempts of hosts, newest first: those that stand in their rollout, that a retry replaced, that hosts started."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from fleetroll_common.values.ids import attempt_id, local_attempt_id
from fleetroll_server.engine.targets import shown_version
from fleetroll_server.store.tables import (
    AssignmentRow,
    AttemptHistoryRow,
    HostProductRow,
    LocalAttemptRow,
    RolloutHostRow,
    RolloutRow,
    table_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncConnection

_HOST = table_of(RolloutHostRow)
_HISTORY = table_of(AttemptHistoryRow)
_ROLLOUT = table_of(RolloutRow)
_ASSIGNMENT = table_of(AssignmentRow)
_LOCAL = table_of(LocalAttemptRow)
_PRODUCT = table_of(HostProductRow)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt of one host. ``state`` as the table of states spells it; empty words where nothing was said.

    One that was started on the host has a number of its own, ``local``, and neither generation nor rollout.
    """

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
    local: int = 0

    @property
    def id(self) -> str:
        """The attempt's one id."""
        if self.local:
            return local_attempt_id(self.agent_id, self.product, self.local)
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
    own = _own().where(_LOCAL.c.agent_id.in_(agent_ids), _LOCAL.c.fleet_id.in_(fleets))
    return await _by_agent(connection, (standing, replaced, own))


async def last_attempts(
    connection: AsyncConnection, agent_ids: Sequence[str], fleets: Sequence[str]
) -> dict[str, tuple[Attempt, ...]]:
    """Return, of each product of each agent, the newest attempt and the newest that ended; newest first.

    Those of rollouts and those that were started on the host are looked for apart: either says something of its own.

    The work grows with the agents, not with how many attempts they have behind them. Newest by time, as above.
    """
    queries = []
    for query, began, of in (
        (_standing(), _HOST.c.offered_at, _ASSIGNMENT),
        (_replaced(), _HISTORY.c.offered_at, _ASSIGNMENT),
        (_own(), _LOCAL.c.started_at, _PRODUCT),
    ):
        for ended in (False, True):
            table = began.table
            mine = (of.c.agent_id.in_(agent_ids), of.c.fleet_id.in_(fleets), table.c.fleet_id.in_(fleets))
            queries.append(query.where(*_same(table, of), began == _newest(began, of, ended=ended), *mine))
    found = await _by_agent(connection, queries)
    return {agent: tuple(_last_of(attempts)) for agent, attempts in found.items()}


def _newest(began: sa.Column[Any], of: sa.FromClause, *, ended: bool) -> sa.ScalarSelect[Any]:
    """Return when the newest attempt, or the newest that ended, of a product began; ``of`` names the products."""
    inner = began.table.alias()
    time = inner.c[began.name]
    which = (inner.c.ended_at.is_not(None),) if ended else ()
    query = sa.select(time).where(*_same(inner, of), time.is_not(None), *which).order_by(time.desc()).limit(1)
    return query.correlate(of).scalar_subquery()


def _same(table: sa.FromClause, of: sa.FromClause) -> tuple[sa.ColumnElement[bool], ...]:
    """Return the condition that two rows are of the same product of the same host."""
    return tuple(table.c[name] == of.c[name] for name in ("agent_id", "product", "fleet_id"))


def _last_of(attempts: Sequence[Attempt]) -> Iterator[Attempt]:
    """Yield, of attempts that are sorted, the first of each product and the first that ended, by who started it."""
    seen: set[tuple[str, bool]] = set()
    ended: set[tuple[str, bool]] = set()
    for attempt in attempts:
        kind = (attempt.product, bool(attempt.local))
        if kind not in seen or (attempt.ended_at is not None and kind not in ended):
            yield attempt
        seen.add(kind)
        if attempt.ended_at is not None:
            ended.add(kind)


def _standing() -> sa.Select[Any]:
    """Return the query of attempts that stand in their rollout."""
    return sa.select(
        *(_HOST.c[name] for name in _SHARED),
        shown_version().label("to_version"),
        _HOST.c.step,
        _HOST.c.output_tail,
        _HOST.c.unproven,
    ).join(_ROLLOUT, sa.and_(_ROLLOUT.c.id == _HOST.c.rollout_id, _ROLLOUT.c.fleet_id == _HOST.c.fleet_id))


def _replaced() -> sa.Select[Any]:
    """Return the query of attempts that a retry replaced."""
    return sa.select(*(_HISTORY.c[name] for name in _SHARED), _HISTORY.c.to_version)


def _own() -> sa.Select[Any]:
    """Return the query of attempts that were started on their hosts."""
    same = ("agent_id", "product", "state", "step", "code", "message", "output_tail", "unproven", "from_version")
    return sa.select(
        *(_LOCAL.c[name] for name in (*same, "to_version", "ended_at")),
        _LOCAL.c.number.label("local"),
        _LOCAL.c.started_at.label("offered_at"),
        sa.literal(0).label("generation"),
        sa.literal("").label("rollout_id"),
        sa.null().label("granted_at"),
    )


async def _by_agent(connection: AsyncConnection, queries: Sequence[sa.Select[Any]]) -> dict[str, tuple[Attempt, ...]]:
    """Return what the queries find, each attempt once, by agent and newest first."""
    found: dict[str, dict[tuple[str, int, int], Attempt]] = {}
    for query in queries:
        for row in (await connection.execute(query)).mappings():
            attempt = Attempt(**row)
            found.setdefault(attempt.agent_id, {})[attempt.product, attempt.generation, attempt.local] = attempt
    return {agent: tuple(sorted(each.values(), key=_age, reverse=True)) for agent, each in found.items()}


def _age(attempt: Attempt) -> tuple[bool, datetime | None, int, int]:
    """Sort by time: a count of generations may have begun anew."""
    return attempt.offered_at is not None, attempt.offered_at, attempt.generation, attempt.local
