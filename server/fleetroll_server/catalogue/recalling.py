"""A release that is taken back with its hosts: its rollouts are reverted in the transaction that takes it back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_server.catalogue.values import ReleaseState
from fleetroll_server.domain.reverting import LEGAL, Mode
from fleetroll_server.domain.states import RolloutState
from fleetroll_server.engine.actor import Actor
from fleetroll_server.engine.book import ROLLOUT, open_book
from fleetroll_server.engine.reverting import BackOrder, take_back
from fleetroll_server.store.fleets import every_fleet

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fleetroll_server.access.caller import Caller
    from fleetroll_server.catalogue.values import Release
    from fleetroll_server.services import Services
    from fleetroll_server.store import Tx

_GONE = frozenset({ReleaseState.YANKED, ReleaseState.REVOKED})
_STANDING = sorted(state.value for state in (RolloutState.HALTED, RolloutState.COMPLETED))
"""What a yank leaves of the rollouts of its release: the open ones stand halted."""


async def recall_releases(
    tx: Tx, services: Services, releases: Iterable[Release], caller: Caller, reason: str
) -> tuple[str, ...]:
    """Take back every rollout that brought one of these releases, if that is yanked or revoked; return the reverts.

    One of which no host can go back stays as it is.

    Raises:
        RequestError: SUSPENDED, RECOVERY: no way back begins now (caller's fault).
    """
    started = []
    actor = Actor(caller.actor_kind, caller.actor_id)
    for gone in releases:
        if ReleaseState(gone.state) not in _GONE:
            continue
        query = sa.select(ROLLOUT.c.id, ROLLOUT.c.fleet_id).where(
            ROLLOUT.c.release_id == gone.id,
            ROLLOUT.c.goes_back.is_(False),
            ROLLOUT.c.state.in_(_STANDING),
            sa.or_(ROLLOUT.c.ended_at.is_(None), ROLLOUT.c.ended_at >= tx.now - LEGAL),
        )
        rows = (await tx.execute(every_fleet(query.order_by(ROLLOUT.c.id), "a release is everybody's"))).all()
        for row in rows:
            started += await _one(tx, services, BackOrder(row.id, row.fleet_id, Mode.ALL, 0, reason, {}), actor)
    return tuple(started)


async def _one(tx: Tx, services: Services, order: BackOrder, actor: Actor) -> list[str]:
    """Take one rollout back; return its revert, none when nobody can go back."""
    book = await open_book(tx, order.rollout_id, order.fleet_id)
    if book is None:
        return []
    try:
        revert, _left_out = await take_back(tx, services, book, order, actor)
    except RequestError as error:
        if error.code is not Code.NO_HOSTS:
            raise
        return []
    return [revert]
