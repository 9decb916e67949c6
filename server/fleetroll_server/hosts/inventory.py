"""The fleet's hosts as the database knows them: one page, or one host with its attempts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_server.domain.states import AttemptState
from fleetroll_server.engine.presence import is_online
from fleetroll_server.hosts.attempts import Attempt, last_attempts, newest_attempts
from fleetroll_server.store.tables import AgentRow, AssignmentRow, HostProductRow, table_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import RowMapping
    from sqlalchemy.ext.asyncio import AsyncConnection

    Attempts = Callable[[AsyncConnection, Sequence[str], Sequence[str]], Awaitable[dict[str, tuple[Attempt, ...]]]]

_AGENT = table_of(AgentRow)
_PRODUCT = table_of(HostProductRow)
_ASSIGNMENT = table_of(AssignmentRow)
SHOWN_ATTEMPTS = 50


@dataclass(frozen=True, slots=True)
class Product:
    """One product on one host: what runs, what is desired, how its attempts went (newest first)."""

    row: Mapping[Any, Any]
    target_version: str
    attempts: tuple[Attempt, ...]

    @property
    def changed_on_host(self) -> bool:
        """Tell whether another version runs than its last rollout left: somebody on the host has changed it since."""
        running = self.row.get("version", "")
        last = next((attempt for attempt in self.attempts if not attempt.local), None)
        left = last is not None and last.state == AttemptState.SUCCEEDED.value and last.to_version != running
        return bool(running and left and not self.row.get("on_trial"))


@dataclass(frozen=True, slots=True)
class Host:
    """One host. ``row`` is the agent's; ``online`` as :func:`is_online` says."""

    row: RowMapping
    online: bool
    products: tuple[Product, ...] = ()
    attempts: tuple[Attempt, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Selection:
    """Which hosts to list: of these fleets, with this in their name, after this (name, id)."""

    fleets: Sequence[str]
    name_contains: str = ""
    include_revoked: bool = False
    after: tuple[str, str] | None = None
    limit: int = 100


async def list_hosts(connection: AsyncConnection, selection: Selection, now: datetime) -> list[Host]:
    """Return hosts by name."""
    query = _hosts(now).where(_AGENT.c.fleet_id.in_(selection.fleets))
    if not selection.include_revoked:
        query = query.where(_AGENT.c.revoked.is_(False))
    if selection.name_contains:
        query = query.where(_AGENT.c.name.contains(selection.name_contains, autoescape=True))
    if selection.after is not None:
        query = query.where(sa.tuple_(_AGENT.c.name, _AGENT.c.id) > sa.tuple_(*map(sa.literal, selection.after)))
    query = query.order_by(_AGENT.c.name, _AGENT.c.id).limit(selection.limit)
    rows = (await connection.execute(query)).mappings().all()
    return await _filled(connection, rows, selection.fleets)


async def hosts_by_id(
    connection: AsyncConnection, ids: Sequence[str], fleets: Sequence[str], now: datetime
) -> list[Host]:
    """Return the hosts of these fleets that have one of ``ids``, each with no more than its last attempts."""
    query = _hosts(now).where(_AGENT.c.id.in_(ids), _AGENT.c.fleet_id.in_(fleets)).order_by(_AGENT.c.name, _AGENT.c.id)
    rows = (await connection.execute(query)).mappings().all()
    return await _filled(connection, rows, fleets, last_attempts)


async def host_ids(connection: AsyncConnection, fleet: str, after: str, limit: int) -> list[str]:
    """Return ids of hosts of one fleet, revoked ones too, in order, after ``after``."""
    query = sa.select(_AGENT.c.id).where(_AGENT.c.fleet_id == fleet, _AGENT.c.id > after)
    return list((await connection.scalars(query.order_by(_AGENT.c.id).limit(limit))).all())


async def find_host(connection: AsyncConnection, fleets: Sequence[str], id_or_name: str, now: datetime) -> Host:
    """Return one host by its id or its name.

    Raises:
        RequestError: HOST_NOT_FOUND; INVALID_ARGUMENT: several hosts share the name (caller's fault).
    """
    query = (
        _hosts(now)
        .where(_AGENT.c.fleet_id.in_(fleets))
        .where(sa.or_(_AGENT.c.id == id_or_name, _AGENT.c.name == id_or_name))
        .order_by(_AGENT.c.id)
        .limit(3)
    )
    rows = (await connection.execute(query)).mappings().all()
    exact = [row for row in rows if row["id"] == id_or_name] or rows
    if not exact:
        raise host_not_found(id_or_name)
    if len(exact) > 1:
        message = f"agent: several hosts are called {id_or_name[:80]!r}"
        remedy = f"name it by its id, such as {exact[0]['id']}"
        raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy=remedy, field="agent")
    return (await _filled(connection, exact, fleets))[0]


def host_not_found(name: str) -> RequestError:
    """Return the error for a host that is not there, or not for this caller."""
    message = f"agent: there is no host {name[:80]!r}"
    return RequestError(message, code=Code.HOST_NOT_FOUND, remedy="list the agents", field="agent")


def _hosts(now: datetime) -> sa.Select[Any]:
    """Return the query of agents with whether they are online."""
    return sa.select(_AGENT, is_online(now).label("online"))


async def _filled(
    connection: AsyncConnection,
    rows: Sequence[RowMapping],
    fleets: Sequence[str],
    read_attempts: Attempts = newest_attempts,
) -> list[Host]:
    """Add products, desired states and attempts."""
    ids = [row["id"] for row in rows]
    running = await _by_agent(connection, _PRODUCT, ids, fleets)
    desired = await _by_agent(connection, _ASSIGNMENT, ids, fleets)
    attempts = await read_attempts(connection, ids, fleets)
    return [
        _host(row, running.get(row["id"], {}), desired.get(row["id"], {}), attempts.get(row["id"], ())) for row in rows
    ]


def _host(
    row: RowMapping,
    running: Mapping[str, RowMapping],
    desired: Mapping[str, RowMapping],
    attempts: Sequence[Attempt],
) -> Host:
    """Put one host together."""
    products = []
    for name in sorted({*running, *desired}):
        target = desired[name]["version"] if name in desired else ""
        own = tuple(attempt for attempt in attempts if attempt.product == name)
        row_or_name: Mapping[Any, Any] = running.get(name, {"product": name})
        products.append(Product(row_or_name, target, own))
    return Host(row, bool(row["online"]), tuple(products), tuple(attempts[:SHOWN_ATTEMPTS]))


async def _by_agent(
    connection: AsyncConnection, table: sa.Table, ids: Sequence[str], fleets: Sequence[str]
) -> dict[str, dict[str, RowMapping]]:
    """Return rows of a table by agent and product."""
    query = sa.select(table).where(table.c.agent_id.in_(ids), table.c.fleet_id.in_(fleets))
    found: dict[str, dict[str, RowMapping]] = {}
    for row in (await connection.execute(query)).mappings():
        found.setdefault(row["agent_id"], {})[row["product"]] = row
    return found
