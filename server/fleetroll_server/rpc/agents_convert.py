"""Hosts on the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll.v1 import agents_pb2, types_pb2
from fleetroll_server.rpc import convert

if TYPE_CHECKING:
    from fleetroll_server.engine.direct import Begun
    from fleetroll_server.hosts.attempts import Attempt
    from fleetroll_server.hosts.inventory import Host, Product


def agent_to_wire(host: Host) -> agents_pb2.Agent:
    """Return one host with its products."""
    row = host.row
    wire = agents_pb2.Agent(
        id=row["id"],
        fleet_id=row["fleet_id"],
        name=row["name"],
        platform=types_pb2.Platform(os=row["os"], arch=row["arch"], abi=row["abi"]),  # as it was said
        labels=row["labels"],
        online=host.online,
        products=[product_to_wire(product) for product in host.products],
        quarantined=row["quarantined"],
        revoked=row["revoked"],
        time_zone=row["time_zone"],
        disk_free_bytes=row["disk_free_bytes"],
        container_marker=row["container_marker"],
    )
    convert.set_instant(wire.last_seen_at, row["last_seen_at"])
    convert.set_instant(wire.enrolled_at, row["enrolled_at"])
    return wire


def product_to_wire(product: Product) -> agents_pb2.ProductStatus:
    """Return one product of a host; the newest attempt says where it stands, the newest ended one how it went."""
    row = product.row
    wire = agents_pb2.ProductStatus(
        product=row["product"],
        current_version=row.get("version", ""),
        current_sha256=bytes.fromhex(row.get("sha256", "")),
        target_version=product.target_version,
        healthy=row.get("healthy", False),
        note=row.get("note", ""),
        changed_on_host=product.changed_on_host,
    )
    if product.attempts:
        wire.update_state = convert.attempt_state(product.attempts[0].state)
    ended = next((attempt for attempt in product.attempts if attempt.ended_at is not None), None)
    if ended is not None:
        wire.last_attempt.CopyFrom(attempt_to_wire(ended))
    convert.set_instant(wire.last_success_at, row.get("last_success_at"))
    return wire


def attempt_to_wire(attempt: Attempt) -> types_pb2.Attempt:
    """Return one attempt."""
    wire = types_pb2.Attempt(
        id=attempt.id,
        rollout_id=attempt.rollout_id,
        from_version=attempt.from_version,
        to_version=attempt.to_version,
        state=convert.attempt_state(attempt.state),
        step=attempt.step,
        code=convert.reason_code(attempt.code),
        message=attempt.message,
        output_tail=attempt.output_tail,
        unproven=attempt.unproven,
    )
    convert.set_instant(wire.offered_at, attempt.offered_at)
    convert.set_instant(wire.granted_at, attempt.granted_at)
    convert.set_instant(wire.ended_at, attempt.ended_at)
    return wire


def begun_to_wire(begun: Begun) -> agents_pb2.DirectAttempt:
    """Return what was begun on one host."""
    return agents_pb2.DirectAttempt(
        attempt_id=begun.attempt_id,
        generation=begun.generation,
        rollout_id=begun.rollout_id,
        from_version=begun.from_version,
        to_version=begun.to_version,
    )
