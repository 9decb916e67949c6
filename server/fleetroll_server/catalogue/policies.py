"""What publishers rule about products, read from the signed role of each: nothing else says it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from fleetroll_common.trust.library import Signed, Snapshot, Targets, Timestamp, encode_canonical
from fleetroll_common.trust.listing import role_name
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.product_policy import ProductPolicy, policy_path
from fleetroll_publishing.policies import policy_of
from fleetroll_publishing.roles import TIMESTAMP_FILE, file_name, meta_name, read_role
from fleetroll_server.catalogue.metadata import one_file

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from fleetroll_common.values.version import Version

_Kind = TypeVar("_Kind", bound=Signed)


async def product_role(connection: AsyncConnection, product: str) -> Targets:
    """Return the newest role of ``product``; of all metadata only what leads to it is read.

    Raises:
        RequestError: NOT_FOUND: there is no such product (caller's fault).
        StoreError: a file is unreadable (our fault).
    """
    timestamp = await _role(connection, Timestamp, TIMESTAMP_FILE)
    snapshot = await _role(connection, Snapshot, file_name("snapshot", timestamp.snapshot_meta.version))
    listed = snapshot.meta.get(meta_name(role_name(product)))
    if listed is None:
        message = f"product: this server lists no product {product[:63]!r}"
        raise RequestError(message, code=Code.NOT_FOUND, remedy="add the product, or correct its name", field="product")
    return await _role(connection, Targets, file_name(role_name(product), listed.version))


async def product_policy(connection: AsyncConnection, product: str) -> ProductPolicy | None:
    """Return what the publisher of ``product`` rules; None = nothing, or there is no such product.

    Raises:
        StoreError: a file is unreadable (our fault).
    """
    try:
        return policy_of(product, await product_role(connection, product))
    except RequestError:
        return None


async def policy_file(connection: AsyncConnection, path: str) -> bytes | None:
    """Return the policy's file at the target path ``path``; None = it is the path of something else.

    The signed description holds all of it, so that the bytes are made of it: they can't be lost.

    Raises:
        RequestError: NOT_FOUND: no such product, or it has no policy (caller's fault).
    """
    product = path.partition("/")[0]
    try:
        is_policy = path == policy_path(product)
    except RequestError:
        return None
    if not is_policy:
        return None
    target = (await product_role(connection, product)).targets.get(path)
    if target is None:
        raise RequestError(f"path: {product} has no policy", code=Code.NOT_FOUND, field="path")
    return str(encode_canonical(target.custom or {})).encode()


async def require_above_floor(connection: AsyncConnection, product: str, version: Version) -> None:
    """Return when hosts may begin with ``version`` as far as its product's floor says.

    Raises:
        RequestError: BELOW_FLOOR (caller's fault).
    """
    policy = await product_policy(connection, product)
    if policy is not None and policy.is_below_floor(version):
        message = f"version: {product} {version} is below the floor {policy.floor}"
        raise RequestError(message, code=Code.BELOW_FLOOR, remedy="choose a version at or above it", field="version")


async def _role(connection: AsyncConnection, kind: type[_Kind], name: str) -> _Kind:
    """Return the signed part of one file."""
    return read_role({name: await one_file(connection, name)}, kind, name)
