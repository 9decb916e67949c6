"""Where hosts find their servers and whose certificates they trust there: the signed anchors. Pure.

Signed by the offline targets key itself: the document stands in the ``custom`` part of the target
``anchors/v1.json``, and the file's bytes are its canonical form. It changes in place; ``serial`` rises by one each
time. While one CA follows another, both stand there.
"""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError, TrustError
from fleetroll_common.values.product_policy import MAX_SERIAL
from fleetroll_common.values.signed_fields import refuse, take

if TYPE_CHECKING:
    from collections.abc import Mapping

ANCHORS_PATH = "anchors/v1.json"
ANCHORS_KIND = "anchors"
"""The ``kind`` of its description."""
MAX_ANCHORS = 16
"""Addresses, and certificates."""
MAX_CERTIFICATE_CHARS = 16_384
"""A certificate of ours has about 700."""

_ADDRESS = re.compile(r"(\[[0-9a-fA-F:.]{2,45}\]|[A-Za-z0-9._-]{1,253}):([1-9][0-9]{0,4})", re.ASCII)
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+-----END CERTIFICATE-----\n", re.ASCII)
_PORT_MAX = 65535


@dataclass(frozen=True, slots=True)
class Anchors:
    """What a host dials, and whom it believes there.

    Attributes:
        serial: 1 for the first one; a host takes none below the highest that it has seen under the same keys.
        addresses: ``host:port`` in the order in which they are tried, 1 to 16, each once.
        certificates: of the CAs that a server's certificate may come from, each as PEM with one certificate, 1 to 16.
    """

    serial: int
    addresses: tuple[str, ...]
    certificates: tuple[str, ...]

    def __post_init__(self) -> None:
        """Check every field.

        Raises:
            RequestError: a field is out of bounds; it is named in the details (caller's fault).
        """
        if not 1 <= self.serial <= MAX_SERIAL:
            refuse("serial", f"{self.serial} is not between 1 and 2^53")
        for name in ("addresses", "certificates"):
            listed = getattr(self, name)
            if not 1 <= len(listed) <= MAX_ANCHORS or len(set(listed)) != len(listed):
                refuse(name, f"must be 1 to {MAX_ANCHORS}, each once")
        for address in self.addresses:
            if fault := address_fault(address):
                refuse("addresses", fault)
        for certificate in self.certificates:
            if fault := certificate_fault(certificate):
                refuse("certificates", fault)

    @property
    def ca_pem(self) -> bytes:
        """Return all certificates one after the other, as TLS libraries take them."""
        return "".join(self.certificates).encode("ascii")

    def to_json(self) -> dict[str, Any]:
        """Return the signed form: plain JSON values, every field present."""
        return {
            "kind": ANCHORS_KIND,
            "serial": self.serial,
            "addresses": list(self.addresses),
            "certificates": list(self.certificates),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Anchors:
        """Read the signed form; fields of later programs are passed over.

        Raises:
            TrustError: a field is missing, of another type or out of bounds: METADATA_INVALID, named in the details.
        """
        try:
            return _read(document)
        except RequestError as error:
            details = {"field": "custom", **error.details}
            raise TrustError(
                f"anchors: {error.message}", code=Code.METADATA_INVALID, remedy="sign the anchors again", **details
            ) from error


@dataclass(frozen=True, slots=True)
class SignedAnchors:
    """Anchors that were verified, and under which keys.

    Attributes:
        anchors: as they were signed.
        keys: digest of the keys that sign them and of how many are needed, hex. Serials are compared under equal keys
            alone: whoever stole the keys before these could sign any serial.
    """

    anchors: Anchors
    keys: str


def address_fault(address: str) -> str:
    """Say why an address is refused, as the end of a sentence; empty when it is not."""
    found = _ADDRESS.fullmatch(address)
    good = found is not None and int(found.group(2)) <= _PORT_MAX
    return "" if good else f"{address[:80]!r} is not written like host:port"


def certificate_fault(certificate: str) -> str:
    """Say why a certificate is refused, as the end of a sentence; empty when it is not."""
    if len(certificate) > MAX_CERTIFICATE_CHARS or _PEM.fullmatch(certificate) is None:
        return "one is no PEM with exactly one certificate"
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=certificate)
    except (ssl.SSLError, ValueError):
        return "one can't be read as a certificate"
    return ""


def _read(document: Mapping[str, Any]) -> Anchors:
    """Take the fields, each with its type."""
    if take(document, "kind", str) != ANCHORS_KIND:
        refuse("kind", f"is {document['kind'][:40]!a}, not {ANCHORS_KIND}")
    addresses, certificates = take(document, "addresses", list), take(document, "certificates", list)
    for name, listed in (("addresses", addresses), ("certificates", certificates)):
        if not all(type(one) is str for one in listed):
            refuse(name, "holds something that is not text")
    return Anchors(take(document, "serial", int), tuple(addresses), tuple(certificates))
