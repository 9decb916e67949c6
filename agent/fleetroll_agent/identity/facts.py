"""What a host knows about its own enrolment, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fleetroll_agent.identity.ratchet import Keys, Ratchet
    from fleetroll_common.values.anchors import Anchors


@dataclass(frozen=True, slots=True)
class Enrolment:
    """The server's answer to an enrolment, as far as it is kept.

    Attributes:
        agent_id: this agent's id.
        fleet_id: the fleet that the token was bound to.
        addresses: "host:port" of servers, in order, at least one.
        incarnation: of the server's database at enrolment.
        labels: in force at enrolment.
        receipt: the serialized receipt, as received.
        receipt_mac: the server's MAC over it, 32 bytes.
        ca_pem: certificates that are trusted for the server's TLS.
        root: the trust root that the join string pinned.
    """

    agent_id: str
    fleet_id: str
    addresses: tuple[str, ...]
    incarnation: str
    labels: dict[str, str]
    receipt: bytes
    receipt_mac: bytes
    ca_pem: bytes
    root: bytes


@dataclass(frozen=True, slots=True)
class WelcomeReceipt:
    """What the last Welcome left behind, shown in the next hello.

    Attributes:
        incarnation: of the server's database.
        epoch: of that session, >= 1.
        mac: of the server, 32 bytes.
    """

    incarnation: str
    epoch: int
    mac: bytes


@dataclass(frozen=True, slots=True)
class KeptAnchors:
    """Signed anchors as this host goes by them.

    Attributes:
        anchors: as they were verified.
        former: "host:port" that earlier ones named, or the enrolment, and these do not; the newest first. A last
            resort: whatever answers there has to show a certificate of the anchors' CAs.
        keys: digest of the keys that they were verified under; empty = it was not written down.
    """

    anchors: Anchors
    former: tuple[str, ...] = ()
    keys: str = ""

    @property
    def addresses(self) -> tuple[str, ...]:
        """Return where servers are tried, in that order."""
        return (*self.anchors.addresses, *self.former)


@dataclass(frozen=True, slots=True)
class KeptRotation:
    """One replacement of this host's key, as it was proposed: a restored server follows it to the key that speaks.

    Attributes:
        old_key: the public key that was replaced, 32 bytes.
        new_key: the one that followed.
        old_signature: of the old key, 64 bytes.
        new_signature: of the new key over the same.
    """

    old_key: bytes
    new_key: bytes
    old_signature: bytes
    new_signature: bytes


@dataclass(frozen=True, slots=True)
class Identity:
    """All that a session needs to say who it is.

    Where anchors are kept, the addresses and CAs of ``enrolment`` are theirs, and no longer those of the enrolment.
    ``rotations``: of its key, oldest first.
    """

    enrolment: Enrolment
    keys: Keys
    ratchet: Ratchet
    receipt: WelcomeReceipt | None = None
    anchors: KeptAnchors | None = None
    anchors_fault: str = ""
    """Why the record of the anchors can't be believed; the other files hold the same addresses and CAs then."""
    rotations: tuple[KeptRotation, ...] = ()

    def is_new_to(self, incarnation: str) -> bool:
        """Tell whether the server's database calls itself otherwise than the one that this host had to do with last."""
        known = self.enrolment.incarnation if self.receipt is None else self.receipt.incarnation
        return known != incarnation


@dataclass(frozen=True, slots=True)
class Candidate:
    """A key and a ratchet that are on disk, for a host that asks to be enrolled.

    Attributes:
        private_key: the seed, 32 bytes; never shown.
        ratchet: the first pair; its ``current`` goes into the request.
    """

    private_key: bytes = field(repr=False)
    ratchet: Ratchet
