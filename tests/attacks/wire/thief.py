"""What somebody can make who has stolen a managed server's keys, and what anybody can make without them."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import zstandard

from fleetroll_common.values import ustar
from fleetroll_publishing import repository
from fleetroll_publishing.keys import PrivateKey
from fleetroll_server.catalogue.keys import role_signers
from fleetroll_server.secrets import Secrets
from tests.faults.repositories import role_signers as foreign_signers

if TYPE_CHECKING:
    from fleetroll_publishing.signers import RoleSigners
    from tests.e2e.fleet.fleet import Fleet

PREFIX = "signing_key/"


def stolen_signers(fleet: Fleet) -> RoleSigners:
    """Return the signers of a managed server; the root keys are not there to be stolen."""
    secrets = Secrets.load(fleet.data.secret_key)
    rows = fleet.records.rows("SELECT key, value FROM meta WHERE key LIKE ?", f"{PREFIX}%")
    return role_signers({key.removeprefix(PREFIX): PrivateKey(secrets.open(sealed)) for key, sealed in rows})


def listed(files: dict[str, bytes], path: str) -> dict[str, Any]:
    """Return what the newest list of the product ``agent`` says about a target."""
    name = max(name for name in files if name.endswith("products%2Fagent.json"))
    entry: dict[str, Any] = json.loads(files[name])["signed"]["targets"][path]
    return entry


def with_other_manifest(artefact: bytes) -> tuple[bytes, str]:
    """Return the artefact with one byte of its MANIFEST flipped, packed again, and the hash of its tar."""
    tar = bytearray(zstandard.ZstdDecompressor().decompress(artefact))
    digit = tar.index(b'"sha256":"', ustar.BLOCK_BYTES) + len(b'"sha256":"')
    tar[digit] ^= 1
    return zstandard.ZstdCompressor(level=1).compress(bytes(tar)), hashlib.sha256(tar).hexdigest()


def signed_anew(
    files: dict[str, bytes], path: str, artefact: bytes, custom: dict[str, Any], signers: RoleSigners
) -> dict[str, bytes]:
    """Return a repository that lists ``artefact`` under ``path``, signed by ``signers``."""
    target = repository.TargetFile(len(artefact), hashlib.sha256(artefact).hexdigest(), custom)
    return files | repository.publish_targets(files, "agent", {path: target}, signers, datetime.now(UTC))


def foreign_repository(path: str, artefact: bytes, custom: dict[str, Any]) -> dict[str, bytes]:
    """Return a whole repository with another root, that lists the same release."""
    signers = foreign_signers(prefix="foreign ")
    files = repository.create(["agent"], signers, datetime.now(UTC))
    return signed_anew(files, path, artefact, custom, signers)


def foreign_root() -> bytes:
    """Return the root of another repository."""
    return repository.create(["agent"], foreign_signers(prefix="foreign "), datetime.now(UTC))["1.root.json"]


def flipped(data: bytes, position: int) -> bytes:
    """Return ``data`` with the lowest bit of one byte flipped."""
    changed = bytearray(data)
    changed[position] ^= 1
    return bytes(changed)
