"""Files of the identity that are not as they were written, and the way out of each."""

from __future__ import annotations

import ssl

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError

READMIT = "readmit this host: its agent id stays, its key and every file here are made anew"
ENROLL = "run enroll again: the damaged file is put aside and a new key is made"


class DamagedIdentity(AgentError):  # noqa: N818 (named after what was found)
    """A file of the identity can't be believed. The disk answered; what it gave is not what was written."""


def damaged(name: str, why: str = "the file is damaged", remedy: str = READMIT) -> DamagedIdentity:
    """Return the error for the file ``name`` of the identity folder."""
    return DamagedIdentity(f"identity/{name}: {why}", code=Code.INTERNAL, remedy=remedy, file=name)


def check_ca(name: str, pem: bytes) -> None:
    """Refuse certificates of which a part is missing: with them every server looks like one that can't be reached.

    Raises:
        DamagedIdentity: it holds no certificate, or one that can't be read.
    """
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem.decode("ascii"))
    except (ssl.SSLError, ValueError) as error:
        raise damaged(name, "the file holds no whole certificate") from error
