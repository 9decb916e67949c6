"""The rows that a new database begins with."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_common.wire.macs import SERVER_KEY_BYTES
from fleetroll_server.access.secretwords import hashed
from fleetroll_server.catalogue.keys import mode_of, sealed_rows
from fleetroll_server.store.tables import (
    ApiTokenRow,
    BudgetRow,
    FleetRow,
    MetadataFileRow,
    MetaRow,
    SuspensionRow,
    table_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fleetroll_common.values.ids import IdSource
    from fleetroll_publishing.keys import PrivateKey
    from fleetroll_server.secrets import Secrets
    from fleetroll_server.store import Tx

DEFAULT_FLEET = "default"
UNLIMITED = 1_000_000
"""Budget of the installation and of a fleet until somebody sets a smaller one: ten times the largest fleet that this
program was measured with. A rollout's own budget is what bounds its blast radius by default."""
ADMIN_TOKEN_LIFE = timedelta(days=365)
INIT_ACTOR = {"actor_kind": "engine", "actor_id": "init"}


@dataclass(frozen=True, slots=True)
class FirstRows:
    """What differs from one installation to the next.

    Attributes:
        token: the first admin token's secret.
        metadata: the repository's files.
        keys: that this server signs with, by role.
        demo: dirty builds may be published.
    """

    token: str = field(repr=False)
    metadata: Mapping[str, bytes]
    keys: Mapping[str, PrivateKey] = field(repr=False)
    demo: bool


async def write_first_rows(tx: Tx, secrets: Secrets, first: FirstRows, ids: IdSource) -> None:
    """Insert everything; once, by ``init``."""
    meta = {
        "incarnation": f"{ids.new('inc')}.1",
        "server_key": secrets.seal(ids.token(SERVER_KEY_BYTES)),
        "signing_mode": mode_of(first.keys),
        "demo": "yes" if first.demo else "no",
    }
    rows = [{"key": key, "value": value} for key, value in meta.items()]
    await tx.execute(sa.insert(table_of(MetaRow)), rows + sealed_rows(first.keys, secrets))
    await tx.execute(sa.insert(table_of(FleetRow)).values(id=DEFAULT_FLEET, name=DEFAULT_FLEET, created_at=tx.now))
    scopes = {"global": "", f"fleet/{DEFAULT_FLEET}": DEFAULT_FLEET}
    await tx.execute(
        sa.insert(table_of(BudgetRow)),
        [
            {"scope": scope, "fleet_id": fleet, "max_in_use": UNLIMITED, "max_out": UNLIMITED, "in_use": 0, "broken": 0}
            for scope, fleet in scopes.items()
        ],
    )
    # A press locks its row against every Go that reads it: the rows are there before the first press.
    await tx.execute(
        sa.insert(table_of(SuspensionRow)),
        [
            {
                "scope": scope,
                "fleet_id": fleet,
                "epoch": 0,
                "active": False,
                "reason": "",
                "decided_at": tx.now,
                "in_use": 0,
                **INIT_ACTOR,
            }
            for scope, fleet in scopes.items()
        ],
    )
    files = [{"name": name, "payload": data, "stored_at": tx.now} for name, data in first.metadata.items()]
    await tx.execute(sa.insert(table_of(MetadataFileRow)), files)
    await tx.execute(
        sa.insert(table_of(ApiTokenRow)).values(
            id=ids.new("token"),
            name="first admin",
            secret_hash=hashed(first.token),
            role="admin",
            scopes=[],
            fleet_ids=[],
            expires_at=tx.now + ADMIN_TOKEN_LIFE,
            revoked=False,
            reason="made by init",
            created_at=tx.now,
            **INIT_ACTOR,
        )
    )
