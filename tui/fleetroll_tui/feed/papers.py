"""What a server answers beside the watch, as the console's own values: releases, keys, the server."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from fleetroll.v1 import anchors_pb2, recovery_pb2, releases_pb2
from fleetroll_tui.convert import counted, seconds, short
from fleetroll_tui.model.anchors import Anchors, Authority
from fleetroll_tui.model.recovery import Recovery, Younger
from fleetroll_tui.model.releases import (
    LISTED,
    Artefact,
    FloorPreview,
    InUse,
    Listed,
    Policy,
    Release,
    Stranded,
    Withdrawn,
)
from fleetroll_tui.model.signing import Key, Role, ServerInfo, Signing

if TYPE_CHECKING:
    from fleetroll.v1 import keys_pb2, server_info_pb2, types_pb2


@lru_cache(maxsize=16)
def release_state(value: releases_pb2.ReleaseState.ValueType) -> str:
    """Return "yanked" for RELEASE_STATE_YANKED; a server that says nothing knows listed releases alone."""
    return short(releases_pb2.ReleaseState.Name, value, "RELEASE_STATE_") or LISTED


def release(said: releases_pb2.Release) -> Release:
    """Return a release."""
    return Release(
        said.id,
        said.product,
        said.version,
        tuple(said.channels),
        said.git_sha,
        seconds(said.released_at),
        said.migrations_required,
        said.breaking_changes,
        said.notes,
        tuple(_artefact(each) for each in said.artifacts),
        said.published.actor.id,
        said.published.reason,
        said.supported_from,
        release_state(said.state),
        said.state_reason,
    )


def _artefact(said: releases_pb2.Artifact) -> Artefact:
    return Artefact(
        _platform(said.platform), said.path, counted(said.length), said.sha256.hex(), said.manifest_sha256.hex()
    )


def _platform(said: types_pb2.Platform) -> str:
    """Return "linux-x86_64-cp311", or what it depends on of that: "any" at the end says nothing."""
    parts = [said.os, said.arch, said.abi]
    while len(parts) > 1 and parts[-1] in {"", "any"}:
        parts.pop()
    return "-".join(part or "any" for part in parts)


def product(said: releases_pb2.Product) -> Listed:
    """Return a product."""
    return Listed(said.name, said.role_version, seconds(said.expires_at), counted(said.releases))


def policy(said: releases_pb2.GetProductPolicyResponse) -> Policy:
    """Return what the publisher rules."""
    return Policy(
        said.role_version,
        said.serial,
        said.floor,
        tuple(said.intermediates),
        tuple(
            Withdrawn(each.version, release_state(each.state), each.reason, each.sha256.hex())
            for each in said.withdrawn
        ),
    )


def in_use(said: releases_pb2.ListInUseResponse) -> dict[str, InUse]:
    """Return what hosts still need, by version."""
    return {
        each.version: InUse(
            each.version, counted(each.running), counted(each.previous), counted(each.wanted), each.intermediate
        )
        for each in said.releases
    }


def floor_preview(said: releases_pb2.PreviewFloorResponse) -> FloorPreview:
    """Return what a floor would mean."""
    hosts = tuple(Stranded(each.name, each.version, each.message) for each in said.hosts)
    return FloorPreview(counted(said.below), counted(said.stranded), hosts)


def signing(said: keys_pb2.GetKeyStatusResponse) -> Signing:
    """Return every role with its keys."""
    return Signing(said.signing_mode, tuple(_role(each) for each in said.roles), tuple(said.readable_root_keys))


def _role(said: keys_pb2.RoleStatus) -> Role:
    keys = tuple(
        Key(each.key_id, seconds(each.since), seconds(each.rotate_after), each.old, each.held_here)
        for each in said.keys
    )
    return Role(said.role, said.version, seconds(said.expires_at), counted(said.threshold), keys)


def anchors(said: anchors_pb2.AnchorsState) -> Anchors:
    """Return where hosts find their servers."""
    authorities = tuple(
        Authority(each.fingerprint, authority_role(each.role), seconds(each.expires_at), each.listed)
        for each in said.authorities
    )
    return Anchors(
        said.serial,
        tuple(said.addresses),
        authorities,
        seconds(said.leaf_expires_at),
        said.leaf_fingerprint,
        tuple((each.serial, counted(each.hosts)) for each in said.reported),
        said.signs_here,
    )


@lru_cache(maxsize=16)
def authority_role(value: anchors_pb2.AuthorityRole.ValueType) -> str:
    """Return "current" for AUTHORITY_ROLE_CURRENT."""
    return short(anchors_pb2.AuthorityRole.Name, value, "AUTHORITY_ROLE_", "role")


@lru_cache(maxsize=16)
def recovery_cause(value: recovery_pb2.RecoveryCause.ValueType) -> str:
    """Return "went_back" for RECOVERY_CAUSE_WENT_BACK; "" for none."""
    return short(recovery_pb2.RecoveryCause.Name, value, "RECOVERY_CAUSE_", "cause")


def recovery(said: recovery_pb2.Recovery) -> Recovery:
    """Return where a recovery stands."""
    return Recovery(
        said.active,
        recovery_cause(said.cause),
        seconds(said.since),
        seconds(said.taken_at),
        said.stops_read,
        seconds(said.blind_from),
        counted(said.hosts_known),
        counted(said.hosts_seen),
        counted(said.hosts_not_seen),
        tuple(Younger(each.agent_id, each.name, each.fleet_id, seconds(each.came_at)) for each in said.younger),
        counted(said.unconfirmed),
        counted(said.suspended_tokens),
    )


def server_info(said: server_info_pb2.GetServerInfoResponse) -> ServerInfo:
    """Return what server it is."""
    return ServerInfo(
        said.version, said.git_sha, said.schema_revision, said.protocol_min, said.protocol_max, said.signing_mode
    )
