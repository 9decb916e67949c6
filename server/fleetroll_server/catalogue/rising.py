"""A floor that rises: whom it leaves behind was named before, and rollouts of what is below it end with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.version import Version
from fleetroll_server.catalogue.floors import below_floor
from fleetroll_server.engine.actor import Actor
from fleetroll_server.engine.yanking import end_rollouts
from fleetroll_server.store.tables import ReleaseRow, table_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from fleetroll_common.values.product_policy import ProductPolicy
    from fleetroll_server.access.caller import Caller
    from fleetroll_server.services import Services
    from fleetroll_server.store import Tx

_RELEASE = table_of(ReleaseRow)


async def end_below(
    tx: Tx, services: Services, policy: ProductPolicy, before: ProductPolicy | None, caller: Caller
) -> None:
    """End the rollouts of versions that ``policy`` puts below its floor and ``before`` did not.

    Each release is locked first: a rollout that is started meanwhile is either seen here, or sees the floor.
    """
    query = sa.select(_RELEASE.c.id, _RELEASE.c.version).where(
        _RELEASE.c.product == policy.product, _RELEASE.c.listed.is_(True)
    )
    for row in (await tx.execute(query.order_by(_RELEASE.c.id))).all():
        version = Version.parse(row.version)
        if policy.is_below_floor(version) and (before is None or not before.is_below_floor(version)):
            reason = f"{policy.product} {version} is below the floor {policy.floor}"
            actor = Actor(caller.actor_kind, caller.actor_id)
            await end_rollouts(tx, services, row.id, actor, reason, _locking(tx, row.id), Code.BELOW_FLOOR)


def _locking(tx: Tx, release_id: str) -> Callable[[], Awaitable[None]]:
    """Return what locks a release's row and leaves it as it is."""

    async def lock() -> None:
        await tx.execute(sa.select(_RELEASE.c.id).where(_RELEASE.c.id == release_id).with_for_update())

    return lock


def is_risen(policy: ProductPolicy | None, before: ProductPolicy | None) -> bool:
    """Tell whether more is below the floor of ``policy`` than was below that of ``before``."""
    if policy is None or policy.floor is None:
        return False
    return before is None or before.floor is None or policy.floor > before.floor


async def require_stranded(tx: Tx, product: str, floor: Version, named: int) -> None:
    """Refuse a floor that leaves other hosts without a way up than its publisher has seen.

    It MUST be asked after the rows follow the role: what the same step takes off the list is no way up.

    Raises:
        RequestError: CONFLICT (publisher's fault).
    """
    stranded = sum(bool(host.stranded) for host in await below_floor(tx.connection, product, floor))
    if stranded != named:
        message = f"stranded: the floor {floor} of {product} leaves {stranded} hosts without a way up, not {named}"
        remedy = "look at the preview of the floor again, and name their number"
        raise RequestError(message, code=Code.CONFLICT, remedy=remedy, field="stranded", stranded=str(stranded))
