"""A preview on the wire: counts are exact, hosts and exclusions are the first ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll.v1 import rollouts_pb2
from fleetroll_server.rpc.convert import reason_code
from fleetroll_server.rpc.convert_rollouts import exclusion_to_wire, limits_to_wire, set_seconds

if TYPE_CHECKING:
    from fleetroll_server.domain.preview import WavePreview
    from fleetroll_server.engine.previewing import Shown

MAX_HOSTS = 1000
"""As many hosts are named over all waves, by the contract."""


def preview_to_wire(shown: Shown) -> rollouts_pb2.PreviewRolloutResponse:
    """Return what a start would do."""
    found, release = shown.preview, shown.release
    wire = rollouts_pb2.PreviewRolloutResponse(
        product=release.product,
        version=release.version,
        hosts=found.hosts,
        exclusions=[exclusion_to_wire(item) for item in shown.left_out],
        exclusion_counts=[
            rollouts_pb2.ExclusionCount(code=reason_code(code.value), hosts=hosts)
            for code, hosts in found.excluded.items()
        ],
        limits=limits_to_wire(shown.limits.to_json()),
        per_host_sample=found.one.sample,
        download_bytes=found.download_bytes,
        notes=release.notes,
        breaking_changes=release.breaking_changes,
        migrations_required=release.migrations_required,
        warnings=[
            rollouts_pb2.PreviewWarning(kind=warned.kind, message=warned.message, hosts=warned.hosts)
            for warned in found.warnings
        ],
    )
    set_seconds(wire.estimated_duration, found.seconds)
    set_seconds(wire.per_host, found.one.seconds)
    room = MAX_HOSTS
    for each in found.waves:
        wire.waves.append(_wave(each, room, shown.online))
        room -= len(wire.waves[-1].first_hosts)
    return wire


def _wave(each: WavePreview, room: int, online: frozenset[str]) -> rollouts_pb2.PreviewWave:
    """Return one wave with as many of its hosts as there is room for."""
    wire = rollouts_pb2.PreviewWave(
        number=each.wave.number,
        hosts=len(each.wave.hosts),
        first_hosts=[
            rollouts_pb2.PreviewHost(
                agent_id=host.agent_id, name=host.name, from_version=host.version, online=host.agent_id in online
            )
            for host in each.wave.hosts[:room]
        ],
        download_bytes=each.download_bytes,
    )
    set_seconds(wire.estimated_duration, each.seconds)
    return wire
