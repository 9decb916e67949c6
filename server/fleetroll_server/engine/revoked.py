"""A revoked host can't come back: what it had not begun ends with the revocation, so that no wave waits for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_common.values.codes import Code
from fleetroll_server.domain.states import BEFORE_GO, Trigger
from fleetroll_server.engine.advance import go_on
from fleetroll_server.engine.book import open_book
from fleetroll_server.engine.desire import desire
from fleetroll_server.engine.moves import HOST, move

if TYPE_CHECKING:
    from fleetroll_server.engine.actor import Actor
    from fleetroll_server.services import Services
    from fleetroll_server.store.tx import Tx


async def skip_revoked(tx: Tx, services: Services, agent_id: str, fleet_id: str, actor: Actor, reason: str) -> None:
    """Skip the host wherever it has no Go yet, and let those rollouts go on.

    An attempt past Go stays: what became of it is not known, so silence makes it lost, and bad.
    """
    mine = (HOST.c.agent_id == agent_id, HOST.c.fleet_id == fleet_id)
    before_go = HOST.c.state.in_([state.value for state in BEFORE_GO])
    found = (
        await tx.execute(sa.select(HOST.c.rollout_id).where(*mine, before_go).order_by(HOST.c.rollout_id))
    ).scalars()
    for rollout_id in found.all():
        book = await open_book(tx, rollout_id, fleet_id)
        here = (HOST.c.rollout_id == rollout_id, *mine, before_go)
        row = (await tx.execute(sa.select(HOST).where(*here))).mappings().one_or_none()
        if book is None or row is None:
            continue
        host, code = dict(row), Code.HOST_REVOKED.value
        await move(tx, book, host, Trigger.SKIP, actor, code=code, message=reason)
        if host["generation"] is not None:
            await desire(tx, services.sessions, book, agent_id, "", actor, reason=reason, code=code)
        await go_on(tx, services, book)
