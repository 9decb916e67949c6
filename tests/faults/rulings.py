"""What publishers rule, signed by whichever keys a test gives: policies, lists with something taken off, anchors.

Each function returns the whole repository with its lists signed anew; nothing here asks whether a real publisher would.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from fleetroll_common.trust.library import TargetFile
from fleetroll_common.values.anchors import ANCHORS_PATH
from fleetroll_common.values.product_policy import ProductPolicy, policy_path
from fleetroll_publishing.roles import describe, file_name, meta_name, read_repository, sign_role
from fleetroll_publishing.signers import RoleSigners

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fleetroll_common.trust.library import Signer

Files = dict[str, bytes]


def document_bytes(document: dict[str, Any]) -> bytes:
    """Return the bytes of a document."""
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def in_place(path: str, document: dict[str, Any]) -> TargetFile:
    """Return what is listed for a document that changes in place: its bytes are its canonical form."""
    data = document_bytes(document)
    return TargetFile(len(data), {"sha256": hashlib.sha256(data).hexdigest()}, path, {"custom": document})


def resigned(files: Mapping[str, bytes], signers: RoleSigners, role: str, change: Callable[[Any], None]) -> Files:
    """Return the files with ``targets`` or a product's role changed, one version on, under lists that name it."""
    read = read_repository(files)
    signed: Any = read.targets if role == "targets" else read.product(role.removeprefix("products/"))
    signed.version += 1
    change(signed)
    return listed(files, signers, role, signed.version, sign_role(signed, [signers.of(role)]))


def listed(files: Mapping[str, bytes], signers: RoleSigners, role: str, version: int, data: bytes) -> Files:
    """Return the files with one more version of a role, named by a new snapshot and timestamp."""
    read = read_repository(files)
    snapshot, timestamp = read.snapshot, read.timestamp
    snapshot.version += 1
    snapshot.meta[meta_name(role)] = describe(version, data)
    lists = sign_role(snapshot, [signers.of("snapshot")])
    timestamp.version += 1
    timestamp.snapshot_meta = describe(snapshot.version, lists)
    return {
        **files,
        file_name(role, version): data,
        file_name("snapshot", snapshot.version): lists,
        "timestamp.json": sign_role(timestamp, [signers.of("timestamp")]),
    }


def ruled(files: Mapping[str, bytes], signers: RoleSigners, policy: ProductPolicy) -> Files:
    """Return the files with ``policy`` in force, whatever its serial."""
    path = policy_path(policy.product)
    entry = in_place(path, policy.to_json())
    return resigned(files, signers, f"products/{policy.product}", lambda role: role.targets.update({path: entry}))


def unlisted(files: Mapping[str, bytes], signers: RoleSigners, product: str, *paths: str) -> Files:
    """Return the files without some targets of a product."""

    def change(role: Any) -> None:
        for path in paths:
            del role.targets[path]

    return resigned(files, signers, f"products/{product}", change)


def anchored(files: Mapping[str, bytes], signers: RoleSigners, document: dict[str, Any] | None) -> Files:
    """Return the files with these anchors; None = without any."""

    def change(role: Any) -> None:
        role.targets.pop(ANCHORS_PATH, None)
        if document is not None:
            role.targets[ANCHORS_PATH] = in_place(ANCHORS_PATH, document)

    return resigned(files, signers, "targets", change)


def rekeyed(files: Mapping[str, bytes], signers: RoleSigners, product: str, fresh: Signer) -> tuple[Files, RoleSigners]:
    """Return the files whose targets key names ``fresh`` for a product, which signed its role anew; and the new set."""
    name = f"products/{product}"

    def change(role: Any) -> None:
        for keyid in list(role.delegations.roles[name].keyids):
            role.revoke_key(keyid, name)
        role.add_key(fresh.public_key, name)

    after = RoleSigners(
        signers.root, signers.targets, {**signers.products, product: fresh}, signers.snapshot, signers.timestamp
    )
    return resigned(resigned(files, after, "targets", change), after, name, lambda _role: None), after
