"""One stolen key, without the others: it installs nothing on any host."""

from __future__ import annotations

from typing import Any

from fleetroll_publishing import repository
from fleetroll_publishing.roles import describe, file_name, read_repository, sign_role
from fleetroll_publishing.signers import RoleSigners
from tests.agent.fake_server.releases import PRODUCTS
from tests.attacks.named.scene import SHOP, Scene, now
from tests.faults import rulings
from tests.faults.repositories import role_signers, signer

EVIL = role_signers(PRODUCTS, "evil ")


def forged(attacked: Scene, **stolen: Any) -> RoleSigners:
    """Return the keys of a thief who has only ``stolen`` of the owner's."""
    evil = {name: getattr(EVIL, name) for name in ("root", "targets", "products", "snapshot", "timestamp")}
    return RoleSigners(**(evil | stolen))


def evil_listing(role: Any) -> None:
    """List the wanted version with a digest of the thief's."""
    path = next(path for path in role.targets if path.startswith(f"{SHOP}/1.2.0/"))
    role.targets[path].hashes["sha256"] = "e" * 64


async def test_stolen_product_key(attacked: Scene) -> None:
    """Lists that name its work are not the thief's to sign; put into the place of the real one, it is another file."""
    honest, owner = attacked.files, attacked.releases.signers
    stolen = forged(attacked, products={**EVIL.products, SHOP: owner.of(f"products/{SHOP}")})
    attacked.files = rulings.resigned(honest, stolen, f"products/{SHOP}", evil_listing)
    await attacked.refused("UNSIGNED", "timestamp")
    attacked.files = honest
    attacked.rule(1)  # the owner's own next version, in whose place the thief's is shown
    honest = attacked.files
    role = read_repository(honest).product(SHOP)
    evil_listing(role)
    name = file_name(f"products/{SHOP}", role.version)
    attacked.files = {**honest, name: sign_role(role, [owner.of(f"products/{SHOP}")])}
    await attacked.refused("METADATA_MIXED", f"products/{SHOP}")
    attacked.files = honest
    await attacked.installs()


async def test_stolen_targets_key(attacked: Scene) -> None:
    """Names the thief's own key for the product: the lists that would say so are not the thief's."""
    honest, owner = attacked.files, attacked.releases.signers
    stolen = forged(attacked, targets=owner.targets)
    files, after = rulings.rekeyed(honest, stolen, SHOP, EVIL.of(f"products/{SHOP}"))
    attacked.files = rulings.resigned(files, after, f"products/{SHOP}", evil_listing)
    await attacked.refused("UNSIGNED", "timestamp")
    honest = rulings.anchored(honest, owner, None)  # the owner's own next version, as above
    changed = read_repository(files).targets
    name = file_name("targets", read_repository(honest).targets.version)
    changed.version = read_repository(honest).targets.version
    attacked.files = {**honest, name: sign_role(changed, [owner.of("targets")])}
    await attacked.refused("METADATA_MIXED", "targets")
    attacked.files = honest
    await attacked.installs()


async def test_stolen_timestamp_key(attacked: Scene) -> None:
    """Names a snapshot of the thief's own making, or an older one."""
    honest, owner = attacked.files, attacked.releases.signers
    attacked.rule(1)
    await attacked.refused("NOT_LISTED", version="6.6.6")
    newer = attacked.files
    stolen = forged(attacked, timestamp=owner.timestamp)
    attacked.files = rulings.resigned(newer, stolen, f"products/{SHOP}", evil_listing)
    await attacked.refused("UNSIGNED", "snapshot")
    timestamp = read_repository(newer).timestamp
    timestamp.version += 5
    timestamp.snapshot_meta = read_repository(honest).timestamp.snapshot_meta
    attacked.files = {**honest, "timestamp.json": sign_role(timestamp, [owner.of("timestamp")])}
    await attacked.refused("METADATA_ROLLBACK", "snapshot")


async def test_stolen_online_keys(attacked: Scene) -> None:
    """Snapshot and timestamp, as an attacker of the server has them: the role of a product is not signed by these."""
    honest, owner = attacked.files, attacked.releases.signers
    stolen = forged(attacked, snapshot=owner.snapshot, timestamp=owner.timestamp)
    attacked.files = rulings.resigned(honest, stolen, f"products/{SHOP}", evil_listing)
    await attacked.refused("UNSIGNED", f"products/{SHOP}")
    attacked.files = rulings.rekeyed(honest, stolen, SHOP, EVIL.of(f"products/{SHOP}"))[0]
    await attacked.refused("UNSIGNED", "targets")
    gone = read_repository(attacked.files).snapshot
    del gone.meta[f"products/{SHOP}.json"]
    number = read_repository(attacked.files).snapshot.version + 1
    gone.version = number
    lists = sign_role(gone, [owner.of("snapshot")])
    timestamp = read_repository(attacked.files).timestamp
    timestamp.version += 1
    timestamp.snapshot_meta = describe(number, lists)
    shown = {f"{number}.snapshot.json": lists, "timestamp.json": sign_role(timestamp, [owner.of("timestamp")])}
    attacked.files = {**honest, **shown}
    await attacked.refused("METADATA_ROLLBACK", f"products/{SHOP}")


async def test_stolen_one_root_key(attacked: Scene) -> None:
    """One of the two that a new root needs: it signs a root of its own keys, and no host follows."""
    honest, owner = attacked.files, attacked.releases.signers
    evil = forged(attacked, root=(owner.root[0], signer("evil root-1"), signer("evil root-2")))
    root = read_repository(honest).root
    root.version += 1
    for role in ("snapshot", "timestamp", "targets"):
        for keyid in list(root.roles[role].keyids):
            root.revoke_key(keyid, role)
        root.add_key(evil.of(role).public_key, role)
    attacked.files = {**honest, "2.root.json": sign_role(root, [owner.root[0]])}
    await attacked.refused("UNSIGNED", "root")
    attacked.files = {**honest, "2.root.json": sign_role(root, [owner.root[0], evil.root[1]])}
    await attacked.refused("UNSIGNED", "root")
    attacked.files = {**honest, **repository.refresh_timestamp(honest, owner, now())}
    await attacked.installs()
