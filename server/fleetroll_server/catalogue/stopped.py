"""Releases that were taken back in a time that the database has lost, and that it does not know, until it does.

A database that went back is told by ``stops.log`` what was taken back since. A release younger than the database has no
row to mark; hosts may bring back the list that names it, of before it was taken back.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_server.store.tables import MetaRow, ReleaseRow, table_of

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from fleetroll_server.store import Tx

_META = table_of(MetaRow)
_RELEASE = table_of(ReleaseRow)
_PREFIX = "release_stopped/"


async def stop_release(tx: Tx, product: str, version: str, state: str, reason: str) -> None:
    """Mark the release as taken back; where there is none, remember it.

    Args:
        tx: the transaction.
        product: whose release it is.
        version: of the release.
        state: ``yanked`` or ``revoked``.
        reason: of whoever took it back.
    """
    which = (_RELEASE.c.product == product, _RELEASE.c.version == version)
    values = {"listed": False, "state": state, "state_reason": reason}
    if not (await tx.execute(sa.update(_RELEASE).where(*which).values(**values))).rowcount:
        await forget(tx, product, version)
        said = json.dumps([state, reason])
        await tx.execute(sa.insert(_META).values(key=_key(product, version), value=said))


async def stopped(connection: AsyncConnection, product: str, version: str) -> tuple[str, str] | None:
    """Return state and reason of a release that was taken back and has no row; nothing for any other."""
    text = await connection.scalar(sa.select(_META.c.value).where(_META.c.key == _key(product, version)))
    if text is None:
        return None
    state, reason = json.loads(text)
    return str(state), str(reason)


async def forget(tx: Tx, product: str, version: str) -> None:
    """Remember no longer: a row says it from now on."""
    await tx.execute(sa.delete(_META).where(_META.c.key == _key(product, version)))


def _key(product: str, version: str) -> str:
    return f"{_PREFIX}{product}/{version}"
