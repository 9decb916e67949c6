"""What a host goes to: its rollout's version, or one of its own where the rollout takes hosts back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from fleetroll_common.values.platform import Platform
from fleetroll_server.catalogue.values import ReleaseState
from fleetroll_server.domain.eligible import ReleaseFacts
from fleetroll_server.engine.book import ROLLOUT
from fleetroll_server.store.tables import ArtifactRow, ReleaseRow, RolloutHostRow, table_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from fleetroll_server.engine.book import Book
    from fleetroll_server.store.tx import Tx

ARTIFACT = table_of(ArtifactRow)
HOST = table_of(RolloutHostRow)
RELEASE = table_of(ReleaseRow)


def version_for(book: Book, host: Mapping[str, Any]) -> str:
    """Return the version that the rollout brings a host to."""
    return str(host["target_version"] or book.row["version"])


def shown_version() -> sa.ColumnElement[str]:
    """Return the same as a column, where rows of hosts are joined with their rollout's."""
    return sa.case((HOST.c.target_version != "", HOST.c.target_version), else_=ROLLOUT.c.version)


async def facts_of(tx: Tx, product: str, versions: Collection[str]) -> dict[str, ReleaseFacts]:
    """Return what is known of releases, withdrawn ones too, by version."""
    query = (
        sa.select(ARTIFACT, RELEASE.c.version, RELEASE.c.supported_from, RELEASE.c.state, RELEASE.c.channels)
        .join(RELEASE, RELEASE.c.id == ARTIFACT.c.release_id)
        .where(RELEASE.c.product == product, RELEASE.c.version.in_(sorted(versions)))
    )
    rows = (await tx.execute(query)).mappings().all()
    found: dict[str, ReleaseFacts] = {}
    for row in rows:
        known = found.get(row["version"])
        fits = Platform(row["os"], row["arch"], row["abi"])
        artifacts = {**(known.artifacts if known is not None else {}), fits: row["sha256"]}
        is_revoked = row["state"] == ReleaseState.REVOKED.value
        channels = tuple(row["channels"])
        facts = ReleaseFacts(product, row["version"], artifacts, row["supported_from"], channels, revoked=is_revoked)
        found[row["version"]] = facts
    return found


async def facts_for(tx: Tx, book: Book, hosts: Sequence[Mapping[str, Any]]) -> dict[str, ReleaseFacts]:
    """Return what is offered to these hosts, by version; of a release without artefacts its name alone is known."""
    product, versions = book.row["product"], {version_for(book, host) for host in hosts}
    found = await facts_of(tx, product, versions)
    return {version: found.get(version) or ReleaseFacts(product, version) for version in versions}


async def is_revoked(tx: Tx, product: str, version: str, *, lock: bool = True) -> bool:
    """Tell whether a release must not run. With ``lock`` nobody revokes it until the commit."""
    which = (RELEASE.c.product == product, RELEASE.c.version == version)
    query = sa.select(RELEASE.c.state).where(*which)
    state = (await tx.execute(query.with_for_update(read=True) if lock else query)).scalar_one_or_none()
    return state is None or state == ReleaseState.REVOKED.value
