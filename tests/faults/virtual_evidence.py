"""What a virtual agent keeps for a database that went back, and how it shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll.v1 import agent_stream_pb2 as stream_pb2
from fleetroll_common.wire.signing import public_key, rotate_bytes, sign

if TYPE_CHECKING:
    from tests.faults.virtual_disk import Disk


def evidence_of(disk: Disk) -> stream_pb2.Evidence:
    """Return what the host kept, for a database that it does not know."""
    receipt, mac = disk.enrolment or (b"", b"")
    return stream_pb2.Evidence(
        enrolment_receipt=receipt,
        enrolment_mac=mac,
        rotations=disk.rotations,
        outcomes=disk.outcomes,
        files=[stream_pb2.TrustedFile(name=name, payload=data) for name, data in disk.files.items()],
        journal_first=1 if disk.reports else 0,
    )


def remember_end(disk: Disk, end: stream_pb2.Report) -> None:
    """Keep how the open attempt ended."""
    attempt = {name: value for name, value in (disk.attempt or {}).items() if name != "state"}
    shown = stream_pb2.AttemptReport(product=end.product, state=end.state, code=end.code, **attempt)
    disk.outcomes.insert(0, stream_pb2.KeptOutcome(attempt=shown))


def new_key(disk: Disk, seed: bytes) -> stream_pb2.RotateKey:
    """Return the proposal of another key, and keep it."""
    old, new = public_key(disk.seed), public_key(seed)
    said = rotate_bytes(disk.agent_id, old, new)
    signatures = (sign(disk.seed, said), sign(seed, said))
    kept = stream_pb2.KeyRotation(old_key=old, new_key=new, old_signature=signatures[0], new_signature=signatures[1])
    disk.rotations.append(kept)
    return stream_pb2.RotateKey(new_key=new, current_signature=signatures[0], new_signature=signatures[1])


def with_evidence(
    said: stream_pb2.HelloPayload, disk: Disk, challenge: stream_pb2.Challenge
) -> stream_pb2.HelloPayload:
    """Show what was kept where the database is another one than the host knows."""
    known = disk.receipt
    if known is not None and known.incarnation != challenge.incarnation and disk.enrolment is not None:
        said.evidence.CopyFrom(evidence_of(disk))
    return said
