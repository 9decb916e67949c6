"""The rows that a walk begins with: a fleet, its budgets and switches, a few releases, enrolled hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_server.store.tables import (
    AgentRow,
    ArtifactRow,
    BudgetRow,
    FleetRow,
    MetaRow,
    ReleaseRow,
    SuspensionRow,
    table_of,
)
from tests.rollouts.agents import AGENT, APP, digest
from tests.rollouts.servers import FLEET

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable

    from fleetroll_server.store.tx import Tx
    from tests.rollouts.agents import Host

VERSIONS = ("1.1.0", "1.2.0", "1.3.0", "1.4.0")
ARCHES = ("x86_64", "aarch64")
WIDE = 1_000_000
BY = {"actor_kind": "engine", "actor_id": "init"}


async def write_first_rows(tx: Tx, hosts: Iterable[Host], chance: random.Random) -> None:
    """Write them; some fleets have small budgets, some releases fit only some hosts."""
    await tx.execute(sa.insert(table_of(MetaRow)).values(key="incarnation", value="inc.1"))
    await tx.execute(sa.insert(table_of(FleetRow)).values(id=FLEET, name=FLEET, created_at=tx.now))
    for scope, fleet in (("global", ""), (f"fleet/{FLEET}", FLEET)):
        small = chance.random() < 0.3
        limits = {"max_in_use": chance.randint(1, 3), "max_out": chance.randint(3, 5)} if small else {}
        values = {"max_in_use": WIDE, "max_out": WIDE, "in_use": 0, "broken": 0} | limits
        await tx.execute(sa.insert(table_of(BudgetRow)).values(scope=scope, fleet_id=fleet, **values))
        switch = {"scope": scope, "fleet_id": fleet, "epoch": 0, "active": False, "reason": "", "in_use": 0}
        await tx.execute(sa.insert(table_of(SuspensionRow)).values(**switch, decided_at=tx.now, **BY))
    for product in (AGENT, APP):
        for version in VERSIONS:
            await _publish(tx, product, version, ARCHES if chance.random() < 0.9 else ARCHES[:1])
    for host in hosts:
        await _enrol(tx, host, chance.choice(({"site": "ams"}, {"site": "ber"}, {})))


async def _publish(tx: Tx, product: str, version: str, arches: Iterable[str]) -> None:
    release = f"release-{product}-{version}"
    facts = {"channels": ["stable"], "git_sha": "abcdef0", "released_at": tx.now, "breaking_changes": "", "notes": ""}
    texts = {"state_reason": "", "state": "listed", "listed": True, "supported_from": "", "protocol": 1}
    values = {"id": release, "product": product, "version": version, "migrations_required": False, **facts, **texts}
    await tx.execute(sa.insert(table_of(ReleaseRow)).values(**values, **BY))
    for arch in arches:
        place = {"release_id": release, "os": "linux", "arch": arch, "abi": "cp311", "path": f"{release}-{arch}"}
        bytes_ = {"length": 1_000_000, "sha256": digest(product, version, arch), "custom": {}}
        await tx.execute(sa.insert(table_of(ArtifactRow)).values(**place, **bytes_))


async def _enrol(tx: Tx, host: Host, labels: dict[str, str]) -> None:
    place = {"id": host.name, "fleet_id": FLEET, "name": host.name, "os": "linux", "arch": host.arch, "abi": "cp311"}
    identity = {"labels": labels, "public_key": host.name.encode(), "acked": b"", "enrolled_at": tx.now}
    empty = dict.fromkeys(("time_zone", "container_marker", "boot_id", "agent_version", "launcher_version"), "")
    rest = {"server_id": "", "journal_id": "", "disk_free_bytes": 0, "advances": 0, "epoch": 0, "last_sequence": 0}
    flags = dict.fromkeys(("quarantined", "younger", "revoked", "left_well"), False) | {"greeted": True}
    streaks = {"stale_streak": 0, "repeat_streak": 0, "check_in_seconds": 0.0}
    await tx.execute(sa.insert(table_of(AgentRow)).values(**place, **identity, **empty, **rest, **flags, **streaks))
