"""The identity's values as JSON records and back. Bytes are written as hex; unknown fields are passed over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from fleetroll_agent.identity.damage import READMIT, DamagedIdentity
from fleetroll_agent.identity.facts import Candidate, Enrolment, KeptRotation, WelcomeReceipt
from fleetroll_agent.identity.ratchet import Began, Keys, Ratchet
from fleetroll_common.values.codes import Code

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Record = dict[str, Any]
_ROTATION = ("old_key", "new_key", "old_signature", "new_signature")
_T = TypeVar("_T")


def candidate_record(candidate: Candidate) -> Record:
    """Return a key and ratchet that ask to be enrolled."""
    return {"private_key": candidate.private_key.hex(), **ratchet_record(candidate.ratchet, None)}


def read_candidate(record: Record) -> Candidate:
    """Read :func:`candidate_record`."""
    return _checked(lambda: Candidate(bytes.fromhex(record["private_key"]), _ratchet(record)))


def keys_record(keys: Keys) -> Record:
    """Return the private keys; what the server said about the pending one is not kept."""
    began = None if keys.began is None else {"boot_id": keys.began.boot_id, "boot_seconds": keys.began.boot_seconds}
    pending = None if keys.pending is None else keys.pending.hex()
    return {"current": keys.current.hex(), "pending": pending, "since": keys.since, "began": began}


def read_keys(record: Record) -> Keys:
    """Read :func:`keys_record`; an earlier version wrote neither age nor rotation."""

    def read() -> Keys:
        pending, since, began = record["pending"], record.get("since"), record.get("began")
        return Keys(
            current=bytes.fromhex(record["current"]),
            pending=None if pending is None else bytes.fromhex(pending),
            since=None if since is None else float(since),
            began=None if began is None else Began(str(began["boot_id"]), float(began["boot_seconds"])),
        )

    return _checked(read)


def rotations_record(rotations: Sequence[KeptRotation]) -> Record:
    """Return the replacements of this host's key."""
    kept = [{name: getattr(one, name).hex() for name in _ROTATION} for one in rotations]
    return {"rotations": kept}


def read_rotations(record: Record) -> tuple[KeptRotation, ...]:
    """Read :func:`rotations_record`."""

    def read() -> tuple[KeptRotation, ...]:
        return tuple(
            KeptRotation(**{name: bytes.fromhex(one[name]) for name in _ROTATION}) for one in record["rotations"]
        )

    return _checked(read)


def ratchet_record(ratchet: Ratchet, receipt: WelcomeReceipt | None) -> Record:
    """Return the pair and the last Welcome's receipt: both change together, in one write."""
    said = None
    if receipt is not None:
        said = {"incarnation": receipt.incarnation, "epoch": receipt.epoch, "mac": receipt.mac.hex()}
    pair = {"current": ratchet.current.hex(), "next": ratchet.next.hex(), "advances": ratchet.advances}
    return {**pair, "receipt": said}


def read_ratchet(record: Record) -> tuple[Ratchet, WelcomeReceipt | None]:
    """Read :func:`ratchet_record`."""

    def read() -> tuple[Ratchet, WelcomeReceipt | None]:
        said = record["receipt"]
        if said is None:
            return _ratchet(record), None
        return _ratchet(record), WelcomeReceipt(said["incarnation"], said["epoch"], bytes.fromhex(said["mac"]))

    return _checked(read)


def agent_record(enrolment: Enrolment) -> Record:
    """Return who this host is."""
    return {
        "agent_id": enrolment.agent_id,
        "fleet_id": enrolment.fleet_id,
        "addresses": list(enrolment.addresses),
        "incarnation": enrolment.incarnation,
        "labels": dict(enrolment.labels),
    }


def receipt_record(enrolment: Enrolment) -> Record:
    """Return what the server attested about the enrolment."""
    return {"receipt": enrolment.receipt.hex(), "mac": enrolment.receipt_mac.hex()}


def read_agent(agent: Record, receipt: Record, ca_pem: bytes, root: bytes) -> Enrolment:
    """Put the enrolment together from its files."""
    return _checked(
        lambda: Enrolment(
            agent_id=agent["agent_id"],
            fleet_id=agent["fleet_id"],
            addresses=tuple(agent["addresses"]),
            incarnation=agent["incarnation"],
            labels=dict(agent["labels"]),
            receipt=bytes.fromhex(receipt["receipt"]),
            receipt_mac=bytes.fromhex(receipt["mac"]),
            ca_pem=ca_pem,
            root=root,
        )
    )


def enrolment_record(enrolment: Enrolment) -> Record:
    """Return the whole answer in one record."""
    pinned = {"ca_pem": enrolment.ca_pem.hex(), "root": enrolment.root.hex()}
    return {"agent": agent_record(enrolment), "receipt": receipt_record(enrolment), **pinned}


def read_enrolment(record: Record) -> Enrolment:
    """Read :func:`enrolment_record`."""

    def read() -> Enrolment:
        pinned = (bytes.fromhex(record["ca_pem"]), bytes.fromhex(record["root"]))
        return read_agent(record["agent"], record["receipt"], *pinned)

    return _checked(read)


def _ratchet(record: Record) -> Ratchet:
    """Read the pair."""
    return Ratchet(bytes.fromhex(record["current"]), bytes.fromhex(record["next"]), record["advances"])


def _checked(read: Callable[[], _T]) -> _T:
    """Turn a field that is missing or of another kind into an error that says so.

    Raises:
        DamagedIdentity: the file was written by something else.
    """
    try:
        return read()
    except (KeyError, TypeError, ValueError) as error:
        message = f"identity: a record has a wrong or missing field: {error}"
        raise DamagedIdentity(message, code=Code.INTERNAL, remedy=READMIT) from error
