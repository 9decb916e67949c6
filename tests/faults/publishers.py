"""Somebody with key files at their own machine, before a real server: signs, and has it committed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from fleetroll.v1 import keys_pb2, keys_pb2_grpc, releases_pb2, releases_pb2_grpc
from fleetroll_common.trust.keys import NaClKey
from fleetroll_common.trust.listing import role_name
from fleetroll_publishing.keys import PrivateKey, SecretKey, load_key
from fleetroll_publishing.roles import file_name, read_repository, sign_role
from fleetroll_publishing.rotation import KeySet, rotate
from fleetroll_publishing.sealing import in_utc
from fleetroll_publishing.signers import NaClSigner, RoleSigners
from fleetroll_server.catalogue.metadata import current_files

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from fleetroll_common.trust.library import Key
    from tests.faults.worlds import World


def root_keys(folder: Path) -> list[NaClSigner]:
    """Return the root keys that ``init`` left without a passphrase."""
    unlock = SecretKey(bytes.fromhex((folder / "unlock.key").read_text().strip()))
    return [NaClSigner(load_key(path, unlock)) for path in sorted(folder.glob("root-*.key"))]


@dataclass
class Publisher:
    """Holds keys, and a token.

    Attributes:
        world: the server.
        signers: the keys at hand.
    """

    world: World
    signers: RoleSigners
    made: dict[str, NaClSigner] = field(default_factory=dict)

    async def files(self) -> dict[str, bytes]:
        """Return the repository as it is."""
        async with self.world.services.store.read() as connection:
            return await current_files(connection)

    async def status(self) -> keys_pb2.GetKeyStatusResponse:
        """Ask how keys stand."""
        stub = keys_pb2_grpc.KeysServiceStub(self.world.channel)
        answer: keys_pb2.GetKeyStatusResponse = await self.world.call(stub.GetKeyStatus, keys_pb2.GetKeyStatusRequest())
        return answer

    async def prepare(self, *roles: str) -> dict[str, Key]:
        """Let the server make keys; return their public halves."""
        stub = keys_pb2_grpc.KeysServiceStub(self.world.channel)
        answer = await self.world.call(stub.PrepareOnlineKeys, keys_pb2.PrepareOnlineKeysRequest(roles=roles))
        return {key.role: NaClKey(key.key_id, key.public_key.hex()) for key in answer.keys}

    def fresh(self, role: str) -> NaClSigner:
        """Return the signer of a new key for ``role``."""
        self.made[role] = NaClSigner(PrivateKey.generate())
        return self.made[role]

    async def commit(self, files: Mapping[str, bytes], **values: Any) -> releases_pb2.CommitMetadataResponse:
        """Bring signed files."""
        stub: Any = releases_pb2_grpc.ReleasesServiceStub(self.world.channel)
        brought = [releases_pb2.MetadataFile(name=name, payload=data) for name, data in files.items()]
        request = releases_pb2.CommitMetadataRequest(files=brought, **values)
        answer: releases_pb2.CommitMetadataResponse = await self.world.call(stub.CommitMetadata, request)
        return answer

    async def rotate(
        self, successors: Mapping[str, KeySet], signers: RoleSigners | None = None, renewed: tuple[str, ...] = ()
    ) -> dict[str, bytes]:
        """Return what the exchange signs offline."""
        files, now = await self.files(), self.world.services.clock.now()
        by = signers or self.signers
        return await asyncio.to_thread(rotate, files, successors, by, now, renewed=renewed)

    async def go_offline(self, product: str = "agent") -> dict[str, bytes]:
        """Return the files by which targets and the product are signed by keys of this machine."""
        targets, of_product = self.fresh("targets"), self.fresh(role_name(product))
        self.signers = RoleSigners(self.signers.root, targets, {product: of_product})
        return await self.rotate(
            {"targets": KeySet((targets.public_key,)), role_name(product): KeySet((of_product.public_key,))}
        )

    async def root_alone(self, named: Mapping[str, KeySet]) -> dict[str, bytes]:
        """Return a root that names others for targets and the online roles, and no other file."""
        read = read_repository(await self.files())
        root, now = read.root, self.world.services.clock.now()
        for role, keys in named.items():
            for keyid in list(root.roles[role].keyids):
                root.revoke_key(keyid, role)
            for key in keys.keys:
                root.add_key(key, role)
        root.version, root.expires = root.version + 1, in_utc(now + timedelta(days=300))
        return {file_name("root", root.version): sign_role(root, self.signers.root[:2])}
