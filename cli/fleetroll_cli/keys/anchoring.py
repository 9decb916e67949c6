"""``fleetroll keys anchors``: where hosts find their servers and whom they trust there, signed here."""

from __future__ import annotations

import hashlib
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fleetroll.v1 import anchors_pb2
from fleetroll_cli.context import CALL_SECONDS
from fleetroll_cli.keys.desk import Act, Desk, Order
from fleetroll_cli.keys.options import invalid
from fleetroll_cli.keys.ring import open_keys
from fleetroll_client import translate
from fleetroll_common.values.anchors import Anchors
from fleetroll_publishing.anchoring import listed_anchors, sign_anchors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fleetroll_cli.keys.holding import Ring
    from fleetroll_client import AdminClient

ROLES = {
    "old": anchors_pb2.AUTHORITY_ROLE_OLD,
    "current": anchors_pb2.AUTHORITY_ROLE_CURRENT,
    "next": anchors_pb2.AUTHORITY_ROLE_NEXT,
}


@dataclass(frozen=True, slots=True)
class Wish:
    """What the anchors are to say; what is not given stays as it is listed.

    Attributes:
        addresses: host:port, in order.
        trusted: ``old``, ``current``, ``next``: CAs of the server, by what they are for.
        certificates: of other CAs, as PEM, one each.
    """

    addresses: Sequence[str] = ()
    trusted: Sequence[str] = ()
    certificates: Sequence[str] = ()


def sign(client: AdminClient, wish: Wish, ring: Ring, order: Order) -> None:
    """Sign anchors with the key of targets.

    Raises:
        FleetrollError: nothing is listed and nothing given, a key, or what the server refuses.
    """
    if order.force and not order.reason.strip():
        raise invalid("reason", "anchors that lead away from this server need one", "say why with --reason")
    desk = Desk(client, ring.folders, order)
    listed = listed_anchors(desk.files)
    authorities = (*_authorities(client, wish.trusted), *wish.certificates)
    wanted = Anchors(
        serial=1 if listed is None else listed.serial + 1,
        addresses=tuple(wish.addresses) or (listed.addresses if listed else ()),
        certificates=tuple(dict.fromkeys(authorities)) or (listed.certificates if listed else ()),
    )
    signers = open_keys(ring.files, ring.passphrases, [desk.standing])
    files = sign_anchors(desk.files, wanted, signers, desk.now)
    says = [f"anchors {wanted.serial}", *(f"address {address}" for address in wanted.addresses)]
    says += [f"CA {_fingerprint(one)}{_where_from(one, wish, listed)}" for one in wanted.certificates]
    desk.bring(Act(files, ring.out, says=says), ring.passphrases)


def _fingerprint(certificate: str) -> str:
    """Return its SHA-256 as other programs show it, in hex."""
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate)).hexdigest()


def _where_from(certificate: str, wish: Wish, listed: Anchors | None) -> str:
    """Say where a certificate comes from, which is what a person has to judge: a stolen server names its thief's."""
    if listed is not None and certificate in listed.certificates:
        return ", signed before"
    return ", from a file" if certificate in wish.certificates else ", NEW, as the server says: compare it there"


def _authorities(client: AdminClient, trusted: Sequence[str]) -> list[str]:
    """Return the certificates of the server's CAs that are meant."""
    unknown = [word for word in trusted if word not in ROLES]
    if unknown:
        raise invalid("trust", f"{unknown[0][:40]!r} is none of {', '.join(ROLES)}", "name one of them")
    if not trusted:
        return []
    with translate():
        state = client.anchors.GetAnchors(anchors_pb2.GetAnchorsRequest(), timeout=CALL_SECONDS).state
    found = {word: [one.certificate for one in state.authorities if one.role == ROLES[word]] for word in trusted}
    for word, certificates in found.items():
        if not certificates:
            raise invalid("trust", f"the server has no {word} CA", "look at `fleetroll anchors show`")
    return [certificate for word in trusted for certificate in found[word]]
