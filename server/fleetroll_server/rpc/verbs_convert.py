"""Verbs on releases, on the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll.v1 import releases_pb2 as pb
from fleetroll_common.values.signed_fields import MAX_TEXT_CHARS
from fleetroll_common.values.version import Version
from fleetroll_publishing.policies import Withdrawal, policy_of, withdrawn_in
from fleetroll_publishing.verbs import Retire, Revoke, SetChannels, SetFloor, SetIntermediates, Yank
from fleetroll_server.catalogue.changing import ChangeWish
from fleetroll_server.catalogue.inuse import InUse
from fleetroll_server.rpc import requests
from fleetroll_server.rpc.releases_convert import channel_names, product_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fleetroll_common.trust.library import Targets
    from fleetroll_publishing.verbs import Change
    from fleetroll_server.catalogue.floors import BelowFloor

MAX_CHANGES = 100
MAX_REASON_CHARS = 500
MAX_INTERMEDIATES = 1000
MAX_STRANDED = 100
"""Hosts that a preview names."""
_STATES = {
    Withdrawal.YANKED: pb.RELEASE_STATE_YANKED,
    Withdrawal.RETIRED: pb.RELEASE_STATE_RETIRED,
    Withdrawal.REVOKED: pb.RELEASE_STATE_REVOKED,
}


def wish_from_wire(request: pb.ChangeReleasesRequest) -> ChangeWish:
    """Return what is asked for, every field checked.

    Raises:
        RequestError: INVALID_ARGUMENT naming the field (caller's fault).
    """
    if not 1 <= len(request.changes) <= MAX_CHANGES:
        raise requests.invalid("changes", f"{len(request.changes)} verbs, 1 to {MAX_CHANGES} are needed")
    if request.role_version < 1:
        raise requests.invalid("role_version", f"{request.role_version} is no version of a role")
    floors = [change.set_floor for change in request.changes if change.WhichOneof("verb") == "set_floor"]
    stranded = floors[-1].stranded if floors else 0
    if stranded < 0:
        raise requests.invalid("stranded", f"{stranded} is no number of hosts")
    return ChangeWish(
        product=product_name(request.product),
        role_version=request.role_version,
        changes=tuple(map(_change, request.changes)),
        stranded=stranded,
        reason=requests.text("reason", request.reason, at_most=MAX_REASON_CHARS),
        recall=request.recall,
    )


def _change(change: pb.ReleaseChange) -> Change:
    """Return one verb."""
    verb = change.WhichOneof("verb")
    if verb == "set_channels":
        return SetChannels(Version.parse(change.set_channels.version), channel_names(change.set_channels.channels))
    if verb == "set_floor":
        return SetFloor(Version.parse(change.set_floor.version) if change.set_floor.version else None)
    if verb == "set_intermediates":
        versions = change.set_intermediates.versions
        if len(versions) > MAX_INTERMEDIATES:
            raise requests.invalid("versions", f"{len(versions)}, at most {MAX_INTERMEDIATES}")
        return SetIntermediates(tuple(Version.parse(text, field="versions") for text in versions))
    if verb == "yank":
        return Yank(*_withdraw(change.yank))
    if verb == "retire":
        return Retire(*_withdraw(change.retire))
    if verb == "revoke":
        return Revoke(*_withdraw(change.revoke))
    raise requests.invalid("changes", "a change names no verb that this server knows")


def _withdraw(said: pb.Withdraw) -> tuple[Version, str]:
    """Return which release is taken back, and why."""
    reason = requests.text("reason", said.reason, at_least=1, at_most=MAX_TEXT_CHARS, lines=True)
    return Version.parse(said.version), reason


def in_use_to_wire(product: str, role: Targets, needed: Mapping[Version, InUse]) -> list[pb.InUse]:
    """Return what hosts need, and what they have to pass, by version."""
    policy = policy_of(product, role)
    intermediates = policy.intermediates if policy is not None else ()
    return [
        pb.InUse(
            version=str(version),
            running=needed.get(version, InUse()).running,
            previous=needed.get(version, InUse()).previous,
            wanted=needed.get(version, InUse()).wanted,
            intermediate=version in intermediates,
        )
        for version in sorted({*needed, *intermediates})
    ]


def stranded_to_wire(below: Sequence[BelowFloor]) -> pb.PreviewFloorResponse:
    """Return what a floor would mean."""
    stranded = [host for host in below if host.stranded]
    return pb.PreviewFloorResponse(
        below=len(below),
        stranded=len(stranded),
        hosts=[
            pb.StrandedHost(agent_id=host.agent_id, name=host.name, version=host.version, message=host.stranded)
            for host in stranded[:MAX_STRANDED]
        ],
    )


def policy_to_wire(product: str, role: Targets) -> pb.GetProductPolicyResponse:
    """Return what a role's policy says."""
    policy = policy_of(product, role)
    if policy is None:
        return pb.GetProductPolicyResponse(role_version=role.version)
    withdrawn = []
    for version, ruling in withdrawn_in(policy).items():
        digests = [bytes.fromhex(one.sha256) for one in policy.revoked if one.version == version] or [b""]
        state = _STATES[ruling.how]
        withdrawn += [
            pb.WithdrawnRelease(version=str(version), state=state, reason=ruling.reason, sha256=digest)
            for digest in digests
        ]
    return pb.GetProductPolicyResponse(
        role_version=role.version,
        serial=policy.serial,
        floor="" if policy.floor is None else str(policy.floor),
        intermediates=[str(version) for version in policy.intermediates],
        withdrawn=withdrawn,
    )
