"""Hosts that run what its publisher has ruled out: each is an alert of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_server.catalogue.floors import below_floor
from fleetroll_server.catalogue.values import ReleaseState
from fleetroll_server.store import EventFact
from fleetroll_server.store.fleets import every_fleet
from fleetroll_server.store.tables import ArtifactRow, HostProductRow, ReleaseRow, table_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from fleetroll_common.values.version import Version
    from fleetroll_server.store.tx import Tx

ENGINE, ACTOR = "engine", "policy"
MOST = 1000
"""Alerts of one ruling; the hosts beyond are counted by ``releases in-use`` and the preview of a floor."""
_PRODUCT = table_of(HostProductRow)
_RELEASE = table_of(ReleaseRow)
_ARTIFACT = table_of(ArtifactRow)


async def tell_revoked(tx: Tx, product: str, digests: Collection[str]) -> None:
    """Raise an alert for each host that runs one of these artefacts, at most :data:`MOST`."""
    if not digests:
        return
    query = (
        sa.select(_PRODUCT.c.agent_id, _PRODUCT.c.fleet_id, _PRODUCT.c.version, _PRODUCT.c.sha256)
        .where(_PRODUCT.c.product == product, _PRODUCT.c.sha256.in_(sorted(digests)))
        .order_by(_PRODUCT.c.agent_id)
        .limit(MOST)
    )
    for row in (await tx.execute(every_fleet(query, "a release is everybody's"))).all():
        tx.emit(revoked_running(row.fleet_id, row.agent_id, product, row.version, row.sha256))


async def tell_below_floor(tx: Tx, product: str, floor: Version) -> None:
    """Raise an alert for each host that runs less than ``floor``, at most :data:`MOST`."""
    for host in (await below_floor(tx.connection, product, floor))[:MOST]:
        message = f"{product} {host.version} is below the floor {floor}"
        facts = {"product": product, "version": host.version, "floor": str(floor), "stranded": host.stranded}
        tx.emit(_alert("alert.below_floor", host.fleet_id, host.agent_id, message, facts))


async def is_revoked(tx: Tx, product: str, sha256: str) -> bool:
    """Tell whether an artefact of ``product`` must not run."""
    here = _RELEASE.c.id == _ARTIFACT.c.release_id
    query = (
        sa.select(_RELEASE.c.id)
        .select_from(_RELEASE.join(_ARTIFACT, here))
        .where(
            _ARTIFACT.c.sha256 == sha256,
            _RELEASE.c.product == product,
            _RELEASE.c.state == ReleaseState.REVOKED.value,
        )
        .limit(1)
    )
    return (await tx.execute(query)).first() is not None


def revoked_running(fleet_id: str, agent_id: str, product: str, version: str, sha256: str) -> EventFact:
    """Return the alert about a host that runs a revoked artefact."""
    message = f"{product} {version} must not run: it is revoked"
    facts = {"product": product, "version": version, "sha256": sha256}
    return _alert("alert.revoked_running", fleet_id, agent_id, message, facts)


def _alert(kind: str, fleet_id: str, agent_id: str, message: str, facts: dict[str, str]) -> EventFact:
    return EventFact(
        fleet_id=fleet_id,
        kind=kind,
        actor_kind=ENGINE,
        actor_id=ACTOR,
        agent_id=agent_id,
        message=message,
        facts=facts,
    )
