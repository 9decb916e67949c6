"""Old releases: which of them nothing needs any more, said at each publishing, and retired where that is wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll.v1 import releases_pb2 as pb
from fleetroll.v1 import types_pb2
from fleetroll_cli.context import CALL_SECONDS
from fleetroll_cli.output import note
from fleetroll_client import translate
from fleetroll_common.values.version import Version
from fleetroll_publishing.verbs import LISTED_KEPT, Retire, too_old

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fleetroll_client import AdminClient
    from fleetroll_common.trust.library import Targets

REASON = f"beyond the newest {LISTED_KEPT}, and not in use"


def retire_old(client: AdminClient, product: str, role: Targets, *, retire: bool) -> list[Retire]:
    """Return the verbs that retire what is old in ``role``; without ``retire`` none, and a line that proposes it."""
    old = too_old(product, role, _needed(client, product))
    if not retire:
        _propose(product, old)
        return []
    return [Retire(version, REASON) for version in old]


def proposal(client: AdminClient, product: str, *, retire: bool) -> None:
    """Retire what is old where the server signs, or propose it.

    Raises:
        ServerRefusedError: it did not; what was published stays so.
    """
    with translate():
        request = pb.ListReleasesRequest(product=product, page=types_pb2.Page(size=1000))
        found = client.releases.ListReleases(request, timeout=CALL_SECONDS).releases
        listed = sorted(
            (Version.parse(one.version) for one in found if one.state == pb.RELEASE_STATE_LISTED), reverse=True
        )
        if len(listed) <= LISTED_KEPT:
            return
        needed = _needed(client, product)
        old = sorted(version for version in listed[LISTED_KEPT:] if version not in needed)
        if not retire:
            _propose(product, old)
            return
        if not old:
            return
        policy = client.releases.GetProductPolicy(pb.GetProductPolicyRequest(product=product), timeout=CALL_SECONDS)
        changes = [pb.ReleaseChange(retire=pb.Withdraw(version=str(version), reason=REASON)) for version in old[:100]]
        wish = pb.ChangeReleasesRequest(
            product=product, role_version=policy.role_version, changes=changes, reason=REASON
        )
        client.releases.ChangeReleases(wish, timeout=CALL_SECONDS)
    note(f"retired {product} {', '.join(map(str, old[:100]))}")


def _needed(client: AdminClient, product: str) -> set[Version]:
    """Return what hosts still need."""
    with translate():
        answer = client.releases.ListInUse(pb.ListInUseRequest(product=product), timeout=CALL_SECONDS)
    return {Version.parse(one.version) for one in answer.releases}


def _propose(product: str, old: Sequence[Version]) -> None:
    """Say what could be retired."""
    if old:
        versions = ", ".join(map(str, old))
        note(f"{product}: {len(old)} releases {REASON}: {versions}; --retire-old takes them off the list")
