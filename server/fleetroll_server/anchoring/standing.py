"""What holds now: the signed anchors, or what hosts get at enrolment where none are signed yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fleetroll_publishing.anchoring import listed_anchors
from fleetroll_server.authority import split_pem
from fleetroll_server.catalogue.metadata import current_files

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.ext.asyncio import AsyncConnection

    from fleetroll_server.services import Services


@dataclass(frozen=True, slots=True)
class Standing:
    """What hosts are told.

    Attributes:
        serial: of the signed anchors; 0 = none are signed.
        addresses: "host:port", in order.
        certificates: of the CAs, PEM, one in each.
    """

    serial: int
    addresses: tuple[str, ...]
    certificates: tuple[str, ...]

    @property
    def ca_pem(self) -> bytes:
        """Return all certificates one after the other, as TLS libraries take them."""
        return "".join(self.certificates).encode("ascii")


def standing_in(services: Services, files: Mapping[str, bytes]) -> Standing:
    """Return what the repository's newest files say.

    Raises:
        StoreError, TrustError: as :func:`~fleetroll_publishing.anchoring.listed_anchors`.
    """
    anchors = listed_anchors(files)
    if anchors is not None:
        return Standing(anchors.serial, anchors.addresses, anchors.certificates)
    own = tuple(one.decode("ascii") for one in split_pem(services.ca_pem))
    return Standing(0, services.addresses, own)


async def standing(connection: AsyncConnection, services: Services) -> Standing:
    """Return what holds; raises as :func:`standing_in`, and StoreError where the files can't be read."""
    return standing_in(services, await current_files(connection))
