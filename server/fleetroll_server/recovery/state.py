"""Where a recovery stands: one row of the meta table, read inside of every offer and every Go.

While it is active hellos are taken and nothing is started: no offer, no Go, no rollout, no first version. It begins
with a new incarnation (:mod:`.minting`) and ends by an admin's word (:mod:`.people`).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_server.store.tables import MetaRow, table_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.ext.asyncio import AsyncConnection

    from fleetroll_server.store import Tx

META = table_of(MetaRow)
RECOVERY_KEY, INCARNATION_KEY = "recovery", "incarnation"
STOPS_KEY = "recovery_stops"
"""Stops that ``restore`` has read and the first start carries out, as JSON."""


class Cause(StrEnum):
    """How a recovery came about."""

    RESTORED = "restored"
    """A backup was restored."""
    WENT_BACK = "went back"
    """A host proved that the database had gone back by itself: a copied folder, a lost commit, a fail-over."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """One recovery.

    Attributes:
        cause: how it came about.
        since: when it began; aware UTC.
        active: nothing is started yet.
        taken_at: when the database stood as it was brought back; nothing where nobody knows.
        stops_read: the stops of the time in between were read.
        blind_from: what was stopped from here until ``since`` is not known.
        suspended_tokens: join tokens that were revoked because the stops are not known.
        missing: by role, the version that hosts have seen named; of no account where the server has that one by now.
        refused: by role, why the one that a host has shown was not taken over.
    """

    cause: Cause
    since: datetime
    active: bool = True
    taken_at: datetime | None = None
    stops_read: bool = False
    blind_from: datetime | None = None
    suspended_tokens: int = 0
    missing: Mapping[str, int] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        """Return it as it is stored."""
        values = asdict(self)
        for name in ("since", "taken_at", "blind_from"):
            values[name] = None if values[name] is None else values[name].isoformat()
        return json.dumps(values)

    @classmethod
    def from_json(cls, text: str) -> Recovery:
        """Read :meth:`to_json`."""
        values = json.loads(text)
        for name in ("since", "taken_at", "blind_from"):
            values[name] = None if values[name] is None else datetime.fromisoformat(values[name])
        return cls(**{**values, "cause": Cause(values["cause"])})


async def recovery_of(connection: AsyncConnection) -> Recovery | None:
    """Return the last recovery of this database; nothing where it never went back."""
    text = await connection.scalar(sa.select(META.c.value).where(META.c.key == RECOVERY_KEY))
    return None if text is None else Recovery.from_json(text)


async def is_recovering(connection: AsyncConnection) -> bool:
    """Tell whether nothing may be started. Inside of an offer or a Go: behind the lock of the suspensions."""
    recovery = await recovery_of(connection)
    return recovery is not None and recovery.active


async def incarnation_of(connection: AsyncConnection) -> str:
    """Return the database's incarnation as it is now: another process may have minted one."""
    return str(await connection.scalar(sa.select(META.c.value).where(META.c.key == INCARNATION_KEY)))


async def write_meta(tx: Tx, key: str, value: str | None) -> None:
    """Write one value by its name; nothing removes it."""
    await tx.execute(sa.delete(META).where(META.c.key == key))
    if value is not None:
        await tx.execute(sa.insert(META).values(key=key, value=value))


async def refuse_while_recovering(connection: AsyncConnection, what: str) -> None:
    """Let nothing begin.

    Raises:
        RequestError: RECOVERY (caller's fault).
    """
    if await is_recovering(connection):
        message = f"the server was restored and is in recovery: {what}"
        raise RequestError(message, code=Code.RECOVERY, remedy="look at the recovery and end it first")


def refuse_unless_recovering(recovery: Recovery | None) -> None:
    """Let no fleet that is at work be left without signed lists.

    Raises:
        RequestError: NOT_ALLOWED (caller's fault).
    """
    if recovery is None or not recovery.active:
        message = "files: the root names keys that are not on this server; it could sign nothing, and is in no recovery"
        remedy = (
            "back it up and restore that: the recovery waits until the keys of snapshot and timestamp are exchanged"
        )
        raise RequestError(message, code=Code.NOT_ALLOWED, remedy=remedy)
