"""Join strings: one word with everything that a host must trust, around a token's secret."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from fleetroll_common.wire.joinstring import JoinString
from fleetroll_publishing.roles import file_name, root_versions
from fleetroll_server.anchoring.standing import standing_in
from fleetroll_server.catalogue.metadata import current_files

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.ext.asyncio import AsyncConnection

    from fleetroll_server.services import Services


async def make_join_string(connection: AsyncConnection, services: Services, secret: str) -> str:
    """Return the join string for ``secret``; it pins the CAs of the anchors and the newest trust root.

    Raises:
        RequestError: no host could use it: the server's address is none (operator's fault).
    """
    files = await current_files(connection)
    newest = files[file_name("root", root_versions(files)[-1])]
    digest = hashlib.sha256(newest).digest()
    held = standing_in(services, files)
    return JoinString(held.addresses, secret, held.ca_pem, digest).encode()


def root_of(files: Mapping[str, bytes], sha256: bytes) -> bytes | None:
    """Return the trust root with this hash; None when this server never had it."""
    roots = (files[file_name("root", version)] for version in root_versions(files))
    return next((data for data in roots if hashlib.sha256(data).digest() == sha256), None)
