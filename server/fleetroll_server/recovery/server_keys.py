"""The key of receipts and session tokens, and the ones before it: what each of them still stands for.

``restore`` makes a new one, so that whoever has the lost server can make neither session tokens nor proofs that the
database went back. The former ones are kept for the enrolments that they stand for, and for nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_common.wire.macs import SERVER_KEY_BYTES
from fleetroll_server.recovery.state import META, write_meta

if TYPE_CHECKING:
    from fleetroll_common.values.ids import IdSource
    from fleetroll_server.secrets import Secrets
    from fleetroll_server.store import Tx

KEY, FORMER = "server_key", "server_key_before"
MAX_FORMER = 8
"""Restores in a row whose hosts still come back without enrolling again."""


async def replace_key(tx: Tx, secrets: Secrets, ids: IdSource) -> None:
    """Make a new key; the one in force becomes the newest of the former ones."""
    rows = (await tx.execute(sa.select(META.c.key, META.c.value).where(META.c.key.in_((KEY, FORMER))))).all()
    stored = {row.key: secrets.open(row.value) for row in rows}
    former = (stored[KEY] + stored.get(FORMER, b""))[: MAX_FORMER * SERVER_KEY_BYTES]
    await write_meta(tx, FORMER, secrets.seal(former))
    await write_meta(tx, KEY, secrets.seal(ids.token(SERVER_KEY_BYTES)))


def each(former: bytes) -> tuple[bytes, ...]:
    """Return the former keys, newest first."""
    return tuple(former[at : at + SERVER_KEY_BYTES] for at in range(0, len(former), SERVER_KEY_BYTES))
