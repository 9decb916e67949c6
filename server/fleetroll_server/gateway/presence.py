"""Who was heard when: written in bulk every few seconds, never per heartbeat; and the end of a session, at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import sqlalchemy as sa
import structlog

from fleetroll_common.values.errors import StoreError
from fleetroll_server.anchoring.reported import write_serial
from fleetroll_server.store.tables import AgentRow, table_of

if TYPE_CHECKING:
    from datetime import datetime

    from fleetroll_server.gateway.registry import SessionRegistry
    from fleetroll_server.gateway.rules import StreamRules
    from fleetroll_server.gateway.session import Session
    from fleetroll_server.services import Services
    from fleetroll_server.store.tx import Tx

log = structlog.get_logger(__name__)

AGENT = table_of(AgentRow)
WRITE_SECONDS = 5.0
"""How old a last-seen time in the database may be while its agent is connected."""


class Presence:
    """Signs of life of the sessions of this process."""

    def __init__(self, services: Services, registry: SessionRegistry, rules: StreamRules) -> None:
        """Start with nobody heard."""
        self._services = services
        self._registry = registry
        self._rules = rules
        self._heard: dict[str, tuple[str, datetime]] = {}
        self._unwritten: list[Session] = []

    def heard(self, session: Session) -> None:
        """Take note of a message."""
        session.heard_at = self._services.clock.now()
        self._heard[session.key.agent_id] = (session.key.fleet_id, session.heard_at)

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await asyncio.sleep(WRITE_SECONDS)
            try:
                unwritten, self._unwritten = self._unwritten, []
                for session in unwritten:
                    await self.left(session)
                await self.flush()
            except StoreError as error:
                log.warning("last_seen_not_written", reason=error.message)

    async def flush(self) -> None:
        """Write everything that was heard since the last time.

        Raises:
            StoreError: nothing was written; the next flush does not make up for it, the next message does.
        """
        heard, self._heard = self._heard, {}
        if not heard:
            return
        services = self._services
        serials = {session.key.agent_id: session.anchors_serial for session in self._registry if session.anchors_serial}
        news = {agent: serial for agent, serial in serials.items() if not services.reported.knows(agent, serial)}
        rows = [{"agent": agent, "fleet": fleet, "at": at} for agent, (fleet, at) in heard.items()]
        statement = (
            sa.update(AGENT)
            .where(AGENT.c.id == sa.bindparam("agent"), AGENT.c.fleet_id == sa.bindparam("fleet"))
            .values(last_seen_at=sa.bindparam("at"))
        )

        async def job(tx: Tx) -> None:
            await tx.execute(statement, rows)
            for agent, serial in news.items():
                await write_serial(tx, services, agent, serial)

        await self._services.store.writer.report(job)

    async def left(self, session: Session) -> None:
        """Write down that the session is over, unless a newer one has taken its place.

        The epoch says nothing about that: revoking and readmitting raise it without a session. What storage refuses is
        written later: a host that is called online for ever has no deadlines.
        """
        key = session.key

        async def job(tx: Tx) -> None:
            if not self._registry.is_online(key.agent_id):
                await self._rules.left(tx, key, heard_at=session.heard_at, goodbye=session.said_goodbye)

        try:
            await self._services.store.writer.report(job)
        except StoreError as error:
            self._unwritten.append(session)
            log.warning("leave_not_written", agent=key.agent_id, reason=error.message)
