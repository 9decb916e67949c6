"""What this host goes by: addresses of servers and the CAs that are trusted there, as its files have them."""

from __future__ import annotations

import hashlib
import re
import ssl
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from fleetroll_agent.identity.store import IdentityStore
from fleetroll_common.values.ids import SystemIds

if TYPE_CHECKING:
    from pathlib import Path

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n?", re.ASCII | re.DOTALL)


def document(folder: Path) -> dict[str, Any]:
    """Return it as plain JSON values.

    Args:
        folder: the state folder.

    Raises:
        FleetrollError: the host is not enrolled, or a file of its identity is damaged.
    """
    identity = IdentityStore(folder / "identity", SystemIds()).peek()
    kept, enrolment = identity.anchors, identity.enrolment
    return {
        "serial": 0 if kept is None else kept.anchors.serial,
        "addresses": list(enrolment.addresses if kept is None else kept.anchors.addresses),
        "former_addresses": [] if kept is None else list(kept.former),
        "authorities": [_authority(pem) for pem in _PEM.findall(enrolment.ca_pem.decode("ascii"))],
        "fault": identity.anchors_fault or None,
    }


def sentences(found: dict[str, Any]) -> list[str]:
    """Return it as lines for people."""
    serial = found["serial"]
    lines = [f"anchors   {serial}" if serial else "anchors   none yet: this host goes by what it got at enrolment"]
    lines += [f"server    {address}" for address in found["addresses"]]
    lines += [f"server    {address} (former, a last resort)" for address in found["former_addresses"]]
    lines += [f"authority {one['fingerprint'][:16]} until {one['ends']}" for one in found["authorities"]]
    return [*lines, f"fault     {found['fault']}"] if found["fault"] else lines


def _authority(pem: str) -> dict[str, str]:
    """Return what identifies a CA, and when it ends."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=pem)
    ends = ssl.cert_time_to_seconds(str(context.get_ca_certs()[0]["notAfter"]))
    shown = datetime.fromtimestamp(ends, timezone.utc).strftime("%Y-%m-%d")
    return {"fingerprint": hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest(), "ends": shown}
