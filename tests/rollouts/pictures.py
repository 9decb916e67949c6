"""What stands in the tables at one moment, read past the engine: plain rows, for who counts anew."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from fleetroll_server.store.fleets import every_fleet
from fleetroll_server.store.tables import (
    AgentRow,
    AssignmentRow,
    BudgetRow,
    ChargeRow,
    ClaimRow,
    LocalAttemptRow,
    ReleaseRow,
    RolloutHostRow,
    RolloutRow,
    SuspensionRow,
    WaveRow,
    table_of,
)

if TYPE_CHECKING:
    import sqlite3

    from sqlalchemy.ext.asyncio import AsyncConnection


class Rollout(NamedTuple):
    """A rollout."""

    id: str
    release_id: str
    product: str
    version: str
    state: str
    state_code: str
    late_stop_code: str
    limits: Any
    not_after: Any


class Wave(NamedTuple):
    """A wave; its counters as they are stored."""

    rollout_id: str
    number: int
    state: str
    planned: int
    counters: Any
    gate: str


class Place(NamedTuple):
    """A host's place in a rollout."""

    rollout_id: str
    agent_id: str
    product: str
    wave: int
    state: str
    generation: int | None
    waiting: str
    code: str
    attempted: bool
    session_epoch: int
    last_ask: int
    ended_at: Any
    granted_at: Any
    deadline: Any


class Budget(NamedTuple):
    """A scope."""

    scope: str
    max_in_use: int
    max_out: int
    in_use: int
    broken: int


class Charge(NamedTuple):
    """What one attempt holds of one scope."""

    agent_id: str
    product: str
    generation: int
    scope: str
    kind: str


class Claim(NamedTuple):
    """Which rollout holds a product on a host."""

    agent_id: str
    product: str
    rollout_id: str


class Wish(NamedTuple):
    """What a host shall run."""

    agent_id: str
    product: str
    version: str
    generation: int
    rollout_id: str


class Agent(NamedTuple):
    """A host as the server knows it."""

    id: str
    os: str
    arch: str
    abi: str
    labels: Any
    server_id: str
    quarantined: bool
    revoked: bool


class Switch(NamedTuple):
    """A kill switch."""

    scope: str
    active: bool


class Local(NamedTuple):
    """An attempt that was started on a host."""

    agent_id: str
    product: str
    number: int
    state: str


class Release(NamedTuple):
    """A release."""

    id: str
    listed: bool


_TABLES: dict[type[Any], Any] = {
    Rollout: RolloutRow,
    Wave: WaveRow,
    Place: RolloutHostRow,
    Budget: BudgetRow,
    Charge: ChargeRow,
    Claim: ClaimRow,
    Wish: AssignmentRow,
    Agent: AgentRow,
    Switch: SuspensionRow,
    Local: LocalAttemptRow,
    Release: ReleaseRow,
}
_QUERIES = {
    kind: f'SELECT {", ".join(kind._fields)} FROM "{model.__tablename__}"'  # noqa: S608 (names of this program)
    for kind, model in _TABLES.items()
}


class Picture:
    """All of it at one moment, by its keys."""

    def __init__(self, rows: dict[type[Any], list[Any]]) -> None:
        """Take the rows of every table."""
        self.rollouts: dict[str, Rollout] = {row.id: row for row in rows[Rollout]}
        self.waves: dict[tuple[str, int], Wave] = {(row.rollout_id, row.number): row for row in rows[Wave]}
        self.places: dict[tuple[str, str], Place] = {(row.rollout_id, row.agent_id): row for row in rows[Place]}
        self.budgets: dict[str, Budget] = {row.scope: row for row in rows[Budget]}
        self.charges: dict[tuple[str, str, int, str], str] = {tuple(row[:4]): row.kind for row in rows[Charge]}
        self.claims: dict[tuple[str, str], str] = {(row.agent_id, row.product): row.rollout_id for row in rows[Claim]}
        self.wishes: dict[tuple[str, str], Wish] = {(row.agent_id, row.product): row for row in rows[Wish]}
        self.agents: dict[str, Agent] = {row.id: row for row in rows[Agent]}
        self.pressed: frozenset[str] = frozenset(row.scope for row in rows[Switch] if row.active)
        self.locals: list[Local] = rows[Local]
        self.listed: frozenset[str] = frozenset(row.id for row in rows[Release] if row.listed)
        self.by_wave: dict[tuple[str, int], list[Place]] = {key: [] for key in self.waves}
        for place in self.places.values():
            self.by_wave[place.rollout_id, place.wave].append(place)


def read(raw: sqlite3.Connection) -> Picture:
    """Read a database in memory."""
    return Picture({kind: [kind._make(row) for row in raw.execute(query)] for kind, query in _QUERIES.items()})


async def read_through(connection: AsyncConnection) -> Picture:
    """Read any database."""
    rows = {}
    for kind, model in _TABLES.items():
        table = table_of(model)
        query = every_fleet(sa.select(*(table.c[name] for name in kind._fields)), "a test counts anew")
        rows[kind] = [kind._make(row) for row in (await connection.execute(query)).all()]
    return Picture(rows)


def json_of(stored: Any) -> dict[str, Any]:
    """Return a stored object, whichever way it was read."""
    return json.loads(stored) if isinstance(stored, str) else dict(stored)


def instant_of(stored: Any) -> datetime:
    """Return a stored instant, whichever way it was read."""
    found = datetime.fromisoformat(stored) if isinstance(stored, str) else stored
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found
