"""What a product's publisher rules about a release, held against what this host has. Pure.

The same for everybody who wants one: a server, a person, a bundle, the host's own schedule, the first version.

1. What was yanked or retired is not begun, whether it is listed or not; but a server may take a host back to it where
   it is the version before, which is on its disk.
2. A digest that was revoked is not begun.
3. Nothing below the floor is: that of the policy, or the one that this host remembers, whichever is higher. The
   policy's own intermediates are exempt for a host that is below them: it has no other way up.
4. No intermediate is jumped over.

What this host remembers rises when a version is kept, to the policy's floor, and never above what was kept: so a policy
that is gone lowers nothing, and one that was wrong strands nobody.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from fleetroll_agent.jobs.work import Ban
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError, TrustError
from fleetroll_common.values.plain import plain
from fleetroll_common.values.version import Version

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fleetroll_agent.jobs.values import ProductRecord
    from fleetroll_common.values.product_policy import ProductPolicy

_WORDS = 300
"""Of a publisher's reason, in a message."""


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a release is not begun here: the code, and it in words."""

    code: Code
    message: str


@dataclass(frozen=True, slots=True)
class Here:
    """What a host has of a product.

    Attributes:
        running: the version; None = nothing that is known.
        floor: that it remembers; None = none.
    """

    running: Version | None = None
    floor: Version | None = None


def here_of(running: str, floor: str) -> Here:
    """Return it from texts; one that is no version, of a damaged record, says nothing."""
    return Here(_version(running), _version(floor))


def withdrawn(policy: ProductPolicy | None, version: Version) -> TrustError | None:
    """Return the refusal of what was yanked or retired; None when it was neither."""
    if policy is None:
        return None
    for code, verb, why in (
        (Code.YANKED, "taken back as bad", policy.yanked_why(version)),
        (Code.NOT_LISTED, "retired", policy.retired_why(version)),
    ):
        if why:
            text = f"{policy.product} {version} was {verb} by its publisher: {plain(why, _WORDS)}"
            remedy = "take a release that is listed; what runs goes on running"
            return TrustError(text, code=code, remedy=remedy, product=policy.product, version=str(version))
    return None


def objection(
    policy: ProductPolicy | None, version: Version, sha256: str, here: Here, *, back: bool = False
) -> Objection | None:
    """Return what speaks against beginning a release here; None when nothing does.

    ``back``: it is the version before, on this disk, and a server takes the host back to it.
    """
    gone = None if back else withdrawn(policy, version)
    if gone is not None:
        return Objection(gone.code, gone.message)
    if policy is not None and (why := policy.revoked_why(sha256)):
        return Objection(Code.DIGEST_REVOKED, f"the digest of {version} was revoked: {plain(why, _WORDS)}")
    return _below_floor(policy, version, here) or _jump(policy, version, here)


def is_hop(policy: ProductPolicy | None, version: Version, here: Here) -> bool:
    """Tell whether ``version`` is a stop that the policy requires on this host's way up."""
    return (
        policy is not None and version in policy.intermediates and here.running is not None and here.running < version
    )


def seen(record: ProductRecord, policy: ProductPolicy | None, digests: Iterable[str]) -> ProductRecord:
    """Return the record with what the newest policy says of this host: the floor, and which ``digests`` it revokes."""
    if policy is None:
        return replace(record, policy_floor="")
    bans = [Ban(sha256, plain(policy.revoked_why(sha256), _WORDS)) for sha256 in dict.fromkeys(digests)]
    floor = "" if policy.floor is None else str(policy.floor)
    return replace(record, policy_floor=floor, revoked=tuple(ban for ban in bans if ban.reason))


def raised(record: ProductRecord, kept: str) -> ProductRecord:
    """Return the record of a host that kept version ``kept``: what it remembers of the floor only rises."""
    version, told, remembered = _version(kept), _version(record.policy_floor), _version(record.floor)
    if version is None or told is None:
        return record
    floor = min(told, version)
    return record if remembered is not None and floor <= remembered else replace(record, floor=str(floor))


def is_below_floor(record: ProductRecord, running: str) -> str:
    """Return the floor that what runs lies below; empty when it does not."""
    version = _version(running)
    floors = [floor for text in (record.policy_floor, record.floor) if (floor := _version(text)) is not None]
    highest = max(floors, default=None)
    return "" if version is None or highest is None or version >= highest else str(highest)


def notes(record: ProductRecord, version: str, sha256: str) -> tuple[Objection, ...]:
    """Return what the publisher holds against what runs here, which goes on running all the same."""
    found = []
    if (why := record.banned(sha256)) is not None:
        found.append(Objection(Code.DIGEST_REVOKED, f"{version} runs here, and was revoked: {plain(why, _WORDS)}"))
    if floor := is_below_floor(record, version):
        found.append(Objection(Code.BELOW_FLOOR, f"{version} runs here, and is below the security floor {floor}"))
    return tuple(found)


def _below_floor(policy: ProductPolicy | None, version: Version, here: Here) -> Objection | None:
    floors = [floor for floor in (here.floor, None if policy is None else policy.floor) if floor is not None]
    floor = max(floors, default=None)
    if floor is None or version >= floor or is_hop(policy, version, here):
        return None
    return Objection(Code.BELOW_FLOOR, f"{version} is below the security floor {floor}")


def _jump(policy: ProductPolicy | None, version: Version, here: Here) -> Objection | None:
    if policy is None or here.running is None:
        return None
    hop = policy.next_hop(here.running, version)
    if hop == version:
        return None
    text = (
        f"{version} is reached from {here.running} by way of {hop}, which its publisher requires: update to {hop} first"
    )
    return Objection(Code.BELOW_SUPPORTED, text)


def _version(text: str) -> Version | None:
    """Return a version; None for what is none."""
    try:
        return Version.parse(text)
    except RequestError:
        return None
