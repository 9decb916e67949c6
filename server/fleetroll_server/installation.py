"""What the database says about the installation itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import StoreError
from fleetroll_server.recovery.server_keys import FORMER, each
from fleetroll_server.store.tables import MetaRow, table_of

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from fleetroll_server.secrets import Secrets

_META = table_of(MetaRow)


@dataclass(frozen=True, slots=True)
class Installation:
    """One installation.

    Attributes:
        incarnation: of the database.
        server_key: of receipts and session tokens, 32 bytes.
        former_keys: that stand for enrolments from before a restore, newest first.
        demo: dirty builds may be published.
    """

    incarnation: str
    server_key: bytes = field(repr=False)
    demo: bool
    former_keys: tuple[bytes, ...] = field(default=(), repr=False)


async def load_installation(connection: AsyncConnection, secrets: Secrets) -> Installation:
    """Read it from a database of any schema, an empty one included: before anything is migrated or cleaned up.

    Raises:
        StoreError: the database was never initialised, or its secrets are another server's (operator's fault).
    """
    meta: dict[str, str] = {}
    if await connection.run_sync(lambda plain: sa.inspect(plain).has_table(_META.name)):
        rows = await connection.execute(sa.select(_META.c.key, _META.c.value))
        meta = {row.key: row.value for row in rows}
    if "incarnation" not in meta or "server_key" not in meta:
        message = "the database was never initialised"
        raise StoreError(
            message,
            code=Code.STORE_FAILED,
            remedy="bring the database back from a backup, or run fleetroll-server init on a new folder",
        )
    former = secrets.open(meta[FORMER]) if FORMER in meta else b""
    return Installation(meta["incarnation"], secrets.open(meta["server_key"]), meta.get("demo") == "yes", each(former))
