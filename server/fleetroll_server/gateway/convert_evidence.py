"""From the wire's evidence to values: bounded, and without what this server's own MAC does not hold for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError

from fleetroll.v1 import enrolment_pb2
from fleetroll_common.trust.limits import bytes_max
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.wire.macs import enrolment_holds
from fleetroll_server.gateway.convert_in import MAX_ATTEMPTS, MAX_COUNT, read_attempt, read_instant
from fleetroll_server.recovery.evidence import Enrolled, Evidence, Kept, Rotation

if TYPE_CHECKING:
    from collections.abc import Collection

    from fleetroll.v1 import agent_stream_pb2 as stream_pb2

MAX_EVIDENCE_BYTES = 3 * 1024 * 1024
MAX_RECEIPT_BYTES = 16 * 1024
MAX_ROTATIONS = 64
MAX_FILES = 66
FIRST_FILES = ("timestamp.json", "snapshot.json", "targets.json")
PRODUCTS = "products%2F"
ROOTS = re.compile(r"[1-9][0-9]{0,8}\.root\.json", re.ASCII)


def read_evidence(payload: stream_pb2.HelloPayload, server_keys: Collection[bytes]) -> Evidence | None:
    """Read what a hello shows; nothing where it shows none.

    Args:
        payload: of the hello.
        server_keys: that stand for enrolments: the one in force, and those from before a restore.

    Raises:
        RequestError: INVALID_ARGUMENT: it is larger than the contract allows (the agent's fault).
    """
    if not payload.HasField("evidence"):
        return None
    said = payload.evidence
    size = said.ByteSize()
    if size > MAX_EVIDENCE_BYTES or len(said.enrolment_receipt) > MAX_RECEIPT_BYTES:
        message = f"hello.evidence: {size} bytes, at most {MAX_EVIDENCE_BYTES} are read"
        raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy="update the agent", field="hello.evidence")
    outcomes = (_kept(one) for one in said.outcomes[:MAX_ATTEMPTS])
    return Evidence(
        enrolled=_enrolled(said.enrolment_receipt, said.enrolment_mac, server_keys),
        rotations=tuple(
            Rotation(one.old_key, one.new_key, one.old_signature, one.new_signature)
            for one in said.rotations[-MAX_ROTATIONS:]
        ),
        outcomes=tuple(one for one in outcomes if one is not None),
        files={one.name: one.payload for one in said.files[:MAX_FILES] if _is_file(one)},
        journal_first=min(max(0, said.journal_first), MAX_COUNT),
    )


def _enrolled(receipt: bytes, mac: bytes, server_keys: Collection[bytes]) -> Enrolled | None:
    """Read a receipt that this server, or the one that it was restored from, gave out."""
    if not any(enrolment_holds(key, receipt, mac) for key in server_keys):
        return None
    try:
        said = enrolment_pb2.EnrolmentReceipt.FromString(receipt)
    except DecodeError:
        return None
    return Enrolled(said.agent_id, said.public_key, said.fleet_id, dict(said.labels))


def _kept(outcome: stream_pb2.KeptOutcome) -> Kept | None:
    """Read how an attempt ended; nothing when its state is unknown."""
    said = read_attempt(outcome.attempt)
    if said is None:
        return None
    return Kept(said, read_instant(outcome.ended_at) if outcome.HasField("ended_at") else None)


def _is_file(file: stream_pb2.TrustedFile) -> bool:
    """Tell whether it may be one of the files that hosts trust."""
    if ROOTS.fullmatch(file.name):
        return len(file.payload) <= bytes_max("root")
    role = file.name.removesuffix(".json")
    known = file.name in FIRST_FILES or (file.name.startswith(PRODUCTS) and file.name.endswith(".json"))
    return known and len(file.payload) <= bytes_max(role)
