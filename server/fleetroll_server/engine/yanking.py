"""A release is taken back: its rollouts end in the transaction that says so, and hosts before Go are told ``none``.

After its commit there is no offer and no Go of the release: every one of them reads in its own transaction whether the
release is listed, with its rollout's row locked, and the rollouts stand halted. What is past Go finishes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_common.values.codes import Code
from fleetroll_server.catalogue.values import ReleaseState
from fleetroll_server.domain.states import ENDED_ROLLOUT, RolloutState
from fleetroll_server.engine import late
from fleetroll_server.engine.advance import go_on
from fleetroll_server.engine.book import ROLLOUT, Book, open_book
from fleetroll_server.engine.winding import wind_up
from fleetroll_server.store.fleets import every_fleet
from fleetroll_server.store.tables import ReleaseRow, table_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from fleetroll_server.engine.actor import Actor
    from fleetroll_server.services import Services
    from fleetroll_server.store.tx import Tx

_STANDING = (ENDED_ROLLOUT - {RolloutState.COMPLETED}) | {RolloutState.ROLLING_BACK}
"""These offer nothing, whatever is listed; a completed rollout may have late hosts."""
RELEASE = table_of(ReleaseRow)


async def end_rollouts(
    tx: Tx,
    services: Services,
    release_id: str,
    actor: Actor,
    reason: str,
    mark: Callable[[], Awaitable[None]],
    code: Code = Code.YANKED,
) -> None:
    """Halt every rollout of a release, stop the late hosts of completed ones, and let hosts before Go leave.

    Args:
        tx: the transaction that takes the release back.
        services: the shared parts.
        release_id: the release.
        actor: who took it back.
        reason: why, in words; people and hosts are shown it.
        mark: writes that the release is listed no more. It runs with all rollouts of the release locked; one that was
            started until then is found by the second look.
        code: one of :data:`~fleetroll_server.engine.winding.FOR_GOOD`.
    """
    await tx.execute(_rollouts(release_id, code).with_for_update())
    await mark()
    for row in (await tx.execute(_rollouts(release_id, code))).all():
        book = await open_book(tx, row.id, row.fleet_id)
        if book is not None:
            await _end(tx, services, book, actor, reason, code)


def _rollouts(release_id: str, code: Code) -> sa.Select[tuple[str, str]]:
    """Return the query for the rollouts that may offer the release, in the order in which they are locked.

    Those that take hosts back to it go on: the version before is a legal way back, but for one that must not run.
    """
    standing = sorted(state.value for state in _STANDING)
    revoked = sa.select(RELEASE.c.id).where(
        RELEASE.c.id == ROLLOUT.c.release_id, RELEASE.c.state == ReleaseState.REVOKED.value
    )
    ruled_out = sa.true() if code is Code.BELOW_FLOOR else sa.or_(ROLLOUT.c.goes_back.is_(False), revoked.exists())
    query = (
        sa.select(ROLLOUT.c.id, ROLLOUT.c.fleet_id)
        .where(ROLLOUT.c.release_id == release_id, ROLLOUT.c.state.not_in(standing), ruled_out)
        .order_by(ROLLOUT.c.id)
    )
    return every_fleet(query, "a release is everybody's")


async def _end(tx: Tx, services: Services, book: Book, actor: Actor, reason: str, code: Code) -> None:
    """End one rollout; one that was halted already stands for this reason now."""
    if book.state is RolloutState.COMPLETED:
        if book.late.is_over or book.late.stoppable <= 0:
            return
        late.stop(tx, book, code, actor, reason)
    else:
        book.set_state(tx, RolloutState.HALTED, actor, reason, code)
    await wind_up(tx, services, book)
    await go_on(tx, services, book)
