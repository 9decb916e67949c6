"""Attacks on signed lists: replayed, withheld, mixed, without end, run ahead. Each is refused by its name."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from fleetroll_publishing import repository
from fleetroll_publishing.roles import describe, read_repository, sign_role
from fleetroll_publishing.signers import RoleSigners
from tests.agent.fake_server.releases import PRODUCTS
from tests.attacks.named.scene import SHOP, WANTED, Scene, now
from tests.faults import rulings
from tests.faults.repositories import role_signers

if TYPE_CHECKING:
    from pathlib import Path


async def test_arbitrary_software(attacked: Scene) -> None:
    """Bytes that nobody signed, a version that nobody lists, a repository of somebody else's keys."""
    path = next(path for path in attacked.releases.artefacts if path.startswith(f"{SHOP}/{WANTED}/"))
    right = attacked.releases.artefacts[path]
    attacked.releases.artefacts[path] = right[:-1] + bytes([right[-1] ^ 1])
    await attacked.refused("WRONG_HASH")
    attacked.releases.artefacts[path] = right
    await attacked.refused("NOT_LISTED", version="6.6.6")
    await attacked.refused("NOT_LISTED", version="6.6.6", product="agent")
    honest, foreign = attacked.files, role_signers(PRODUCTS, "evil ")
    forged = repository.create(PRODUCTS, foreign, now())
    for _ in range(20):
        forged |= repository.refresh_timestamp(forged, foreign, now())
    attacked.files = forged
    await attacked.refused("UNSIGNED", "timestamp")
    attacked.files = {**honest, "2.root.json": forged["1.root.json"]}
    await attacked.refused("UNSIGNED", "root")
    attacked.files = honest
    await attacked.installs()


async def test_metadata_rollback(attacked: Scene) -> None:
    old = attacked.files
    attacked.stamp()
    await attacked.refused("NOT_LISTED", version="6.6.6")  # the host has seen the newer one now
    attacked.files = old
    await attacked.refused("METADATA_ROLLBACK", "timestamp")


async def test_truncated_state_then_replay(attacked: Scene) -> None:
    """Its own files are cut to pieces, by a crash or by somebody: the memory of how new they were is kept apart."""
    old = attacked.files
    attacked.stamp()
    await attacked.refused("NOT_LISTED", version="6.6.6")
    trust: Path = attacked.host.folder / "trust"
    for name in ("timestamp.json", "snapshot.json", "products%2Fshop.json"):
        (trust / name).write_bytes((trust / name).read_bytes()[:20])
    attacked.files = old
    await attacked.refused("METADATA_ROLLBACK")


async def test_freeze(attacked: Scene) -> None:
    """What is shown has been signed, and nothing newer is let through: it expires."""
    short = repository.Expiries(timestamp=timedelta(days=1))
    earlier = now() - timedelta(days=2)
    signers = attacked.releases.signers
    attacked.files = {**attacked.files, **repository.refresh_timestamp(attacked.files, signers, earlier, short)}
    await attacked.refused("METADATA_FREEZE", "timestamp")


async def test_mix_and_match(attacked: Scene) -> None:
    """The newest timestamp over lists of before; a role of before under the newest lists."""
    old = attacked.files
    attacked.rule()
    new = attacked.files
    read = read_repository(new)
    number = read.snapshot.version
    role = read.product(SHOP).version
    attacked.files = {**new, f"{number}.snapshot.json": old[f"{number - 1}.snapshot.json"]}
    await attacked.refused("METADATA_MIXED", "snapshot")
    shop = f"{role}.products%2F{SHOP}.json"
    attacked.files = {**new, shop: old[f"{role - 1}.products%2F{SHOP}.json"]}
    await attacked.refused("METADATA_MIXED", f"products/{SHOP}")
    attacked.files = new
    await attacked.installs()


async def test_endless_data(attacked: Scene) -> None:
    """Of a list, and of an artefact."""
    honest = attacked.files
    attacked.files = {**honest, "timestamp.json": b" " * 3_000_000}
    await attacked.refused("METADATA_ENDLESS", "timestamp")
    attacked.files = honest
    path = next(path for path in attacked.releases.artefacts if path.startswith(f"{SHOP}/{WANTED}/"))
    right = attacked.releases.artefacts[path]
    attacked.releases.artefacts[path] = right + bytes(50_000_000)
    await attacked.refused("WRONG_HASH")
    assert sum(file.stat().st_size for file in (attacked.host.folder / "cache").rglob("*") if file.is_file()) < 10**6
    attacked.releases.artefacts[path] = right
    await attacked.installs()


async def test_fast_forward_and_recovery(attacked: Scene) -> None:
    """A thief of both online keys signs a version of astronomic height; the owner's new keys bring every host back."""
    signers = attacked.releases.signers

    honest, read = attacked.files, read_repository(attacked.files)
    snapshot, timestamp = read.snapshot, read.timestamp
    snapshot.version += 10**9
    lists = sign_role(snapshot, [signers.of("snapshot")])
    timestamp.version += 10**9
    timestamp.snapshot_meta = describe(snapshot.version, lists)
    forward = {f"{snapshot.version}.snapshot.json": lists}
    forward["timestamp.json"] = sign_role(timestamp, [signers.of("timestamp")])
    attacked.files = {**honest, **forward}
    await attacked.refused("NOT_LISTED", version="6.6.6")
    attacked.files = honest
    await attacked.refused("METADATA_ROLLBACK")
    fresh = role_signers(PRODUCTS, "second ")
    after = RoleSigners(signers.root, signers.targets, signers.products, fresh.snapshot, fresh.timestamp)
    attacked.files = {**honest, **repository.rotate_online(honest, after, now())}
    await attacked.installs()


async def test_a_policy_that_is_rolled_back_or_gone(attacked: Scene) -> None:
    """By a thief of the product's key and of the online keys: no floor falls that this host has seen."""
    signers = attacked.releases.signers
    attacked.rule(5)
    await attacked.refused("NOT_LISTED", version="6.6.6")
    attacked.rule(4)
    await attacked.refused("METADATA_ROLLBACK", "policy")
    attacked.rule(6)
    path = f"{SHOP}/policy/policy.json"
    attacked.files = rulings.unlisted(attacked.files, signers, SHOP, path)
    await attacked.refused("METADATA_ROLLBACK", "policy")
