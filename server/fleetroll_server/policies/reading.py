"""Policies as decisions read them: one statement for as many hosts as the decision is about."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from fleetroll_server.domain.hostrules import HostRules, rules_of
from fleetroll_server.domain.policy import Document, Entry, Level, Told, merge
from fleetroll_server.store.tables import PolicyRow, table_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection

POLICY = table_of(PolicyRow)
GLOBAL_SCOPE = "global"


def scope_of(fleet_id: str, agent_id: str = "") -> str:
    """Return the scope of a level: of a host, else of a fleet, else of all."""
    return f"agent/{agent_id}" if agent_id else f"fleet/{fleet_id}" if fleet_id else GLOBAL_SCOPE


def level_of(scope: str) -> Level:
    """Return the level of a scope."""
    return {"g": Level.GLOBAL, "f": Level.FLEET, "a": Level.AGENT}[scope[0]]


class Policies:
    """What is said about a fleet and some of its hosts, for one product. Hosts of one policy and zone share rules."""

    def __init__(self, rows: Iterable[Mapping[Any, Any]]) -> None:
        """Take the rows."""
        self._shared: list[Document] = []
        self._own: dict[str, list[Document]] = {}
        self._rules: dict[tuple[str, str], HostRules] = {}
        for row in rows:
            document = read_document(row)
            if document.level is Level.AGENT:
                self._own.setdefault(row["scope"], []).append(document)
            else:
                self._shared.append(document)

    def held(self, agent_id: str = "") -> dict[str, Told]:
        """Return what holds of every field, for the fleet or for one of its hosts."""
        return merge([*self._shared, *(self._own.get(scope_of("", agent_id), ()) if agent_id else ())])

    def rules(self, agent_id: str, time_zone: str, now: datetime) -> HostRules:
        """Return the rules of a host in ``time_zone``; ``now`` is the same for all hosts of one decision."""
        own = scope_of("", agent_id)
        key = (own if own in self._own else "", time_zone)
        if key not in self._rules:
            self._rules[key] = rules_of(self.held(agent_id), time_zone, now)
        return self._rules[key]


async def read_policies(
    connection: AsyncConnection, fleet_id: str, product: str, agents: Sequence[str] | None
) -> Policies:
    """Return what is said about a fleet and these of its hosts; None for all of them.

    Args:
        connection: a snapshot, or the transaction of the decision.
        fleet_id: the fleet.
        product: the product; what is said for all products counts too.
        agents: not more than one transaction looks at, or None.
    """
    scopes = [GLOBAL_SCOPE, scope_of(fleet_id), *(scope_of(fleet_id, agent) for agent in agents or ())]
    query = sa.select(POLICY).where(
        POLICY.c.fleet_id.in_(("", fleet_id)),
        POLICY.c.product.in_(("", product)),
        *(() if agents is None else (POLICY.c.scope.in_(scopes),)),
    )
    return Policies((await connection.execute(query)).mappings().all())


def read_document(row: Mapping[Any, Any]) -> Document:
    """Return a row as a value."""
    entries = {name: _entry(stored) for name, stored in row["entries"].items()}
    return Document(level_of(row["scope"]), row["product"], entries)


def _entry(stored: Mapping[str, Any]) -> Entry:
    said_at = datetime.fromisoformat(stored["set_at"])
    return Entry(stored["value"], stored["actor_kind"], stored["actor_id"], said_at, stored["serial"])


def entry_to_json(entry: Entry) -> dict[str, Any]:
    """Return what is stored of a field."""
    return {
        "value": entry.value,
        "actor_kind": entry.actor_kind,
        "actor_id": entry.actor_id,
        "set_at": entry.set_at.isoformat(),
        "serial": entry.serial,
    }
