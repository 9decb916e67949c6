"""Brings releases and artefacts in line with a product's role that was verified: whoever signed it.

1. What stops comes first: the releases that are taken back are marked, and their rollouts end in the same transaction.
   From its commit on there is no offer and no Go of them.
   What is below a floor that rises ends likewise.
2. A release that hosts still need is not retired; one that is bad is taken back whoever needs it.
3. New targets become artefacts, and releases where they are the first of their version. Channels follow the role.

Rows are never deleted: a release that is listed no more keeps its artefacts, which attestation compares with.

Not done here: verifying the role (:func:`fleetroll_publishing.gate.check_product`), storing it, and the bytes of its
targets, which MUST lie under their hash before (:mod:`fleetroll_server.catalogue.staging`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_common.trust.listing import role_name
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.manifest_custom import describe, kind_of
from fleetroll_common.values.platform import ANY, Platform
from fleetroll_common.values.release import ReleaseCustom
from fleetroll_publishing.demands import check_place
from fleetroll_publishing.policies import Withdrawal, policy_of, releases_in, withdrawn_in
from fleetroll_server.catalogue import reads
from fleetroll_server.catalogue.alarms import tell_below_floor, tell_revoked
from fleetroll_server.catalogue.inuse import in_use
from fleetroll_server.catalogue.listing import (
    Listing,
    insert,
    published_event,
    require_clean,
    require_free,
    require_not_withdrawn,
    require_one_kind,
    require_release,
)
from fleetroll_server.catalogue.rising import end_below
from fleetroll_server.catalogue.stopped import forget, stop_release, stopped
from fleetroll_server.catalogue.values import ReleaseState
from fleetroll_server.engine.actor import Actor
from fleetroll_server.engine.yanking import end_rollouts
from fleetroll_server.store import EventFact
from fleetroll_server.store.tables import ArtifactRow, ReleaseRow, table_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fleetroll_common.trust.library import TargetFile, Targets
    from fleetroll_common.values.product_policy import ProductPolicy
    from fleetroll_common.values.version import Version
    from fleetroll_publishing.policies import Ruling
    from fleetroll_server.access.caller import Caller
    from fleetroll_server.catalogue.values import Release
    from fleetroll_server.services import Services
    from fleetroll_server.store import Tx

_RELEASE = table_of(ReleaseRow)
_ARTIFACT = table_of(ArtifactRow)


async def relist(
    tx: Tx,
    services: Services,
    product: str,
    old: Targets | None,
    new: Targets,
    notes: Mapping[str, str],
    caller: Caller,
    *,
    was_committed: bool = False,
) -> list[Release]:
    """Make the database say what ``new`` says; return the releases that are new or changed, newest first.

    Args:
        tx: the transaction that stores the role.
        services: the shared parts.
        product: whose role it is.
        old: the role before; None = the product is new.
        new: the role that follows it, verified.
        notes: by version, for releases that are new by it.
        caller: who brought it.
        was_committed: the database has forgotten that it did so once: what is in use is no reason to refuse it then,
            and what was listed and taken back in between is passed over.

    Raises:
        RequestError: CONFLICT: a release that would be retired is in use; or its version is published from another
            commit, as another kind, or was taken back; ALREADY_EXISTS: a path is taken by other bytes (publisher's
            fault).
        TrustError: METADATA_INVALID: a description can't be read (publisher's fault).
    """
    policy_before = policy_of(product, old) if old is not None else None
    policy = policy_of(product, new)
    changed: set[str] = set()
    ruled = {v: r for v, r in withdrawn_in(policy).items() if withdrawn_in(policy_before).get(v) != r}
    if was_committed:
        known = {one.version for one in await reads.releases(tx.connection, product)}
        ruled = {version: ruling for version, ruling in ruled.items() if str(version) in known}
    else:
        await _refuse_in_use(tx, product, ruled)
        await _refuse_foreign_digests(tx, policy, policy_before)
    for version, ruling in ruled.items():
        await _withdraw(tx, services, product, version, ruling, caller)
        changed.add(str(version))
    before = releases_in(old) if old is not None else {}
    for version, targets in releases_in(new).items():
        listed = {target.path for target in before.get(version, ())}
        taken_back = await stopped(tx.connection, product, str(version)) if was_committed else None
        if taken_back is not None:
            await forget(tx, product, str(version))
        for target in targets:
            if target.path not in listed:
                await _list(tx, services, product, target, notes.get(str(version), ""), caller, new.version)
                changed.add(str(version))
        if taken_back is not None:
            await stop_release(tx, product, str(version), *taken_back)
        if await _follow_channels(tx, product, version, targets, caller):
            changed.add(str(version))
    if policy is not None and policy != policy_before:
        tx.emit(_policy_event(product, policy, policy_before, caller))
        await end_below(tx, services, policy, policy_before, caller)
        await _raise_alarms(tx, policy, policy_before)
    return [one for one in await reads.releases(tx.connection, product) if one.version in changed]


async def _raise_alarms(tx: Tx, policy: ProductPolicy, before: ProductPolicy | None) -> None:
    """Name the hosts that run what is ruled out by this role and was not by the one before."""
    revoked = {one.sha256 for one in policy.revoked} - {one.sha256 for one in (before.revoked if before else ())}
    await tell_revoked(tx, policy.product, revoked)
    if policy.floor is not None and (before is None or policy.floor != before.floor):
        await tell_below_floor(tx, policy.product, policy.floor)


async def _refuse_in_use(tx: Tx, product: str, ruled: Mapping[Version, Ruling]) -> None:
    """Refuse to retire what hosts need: they could neither go there nor be given it again.

    Raises:
        RequestError: CONFLICT (publisher's fault).
    """
    retired = [version for version, ruling in ruled.items() if ruling.how is Withdrawal.RETIRED]
    needed = await in_use(tx.connection, product) if retired else {}
    for version in retired:
        if version in needed:
            message = f"version: {product} {version} is in use: {needed[version]}"
            remedy = "keep it listed until no host needs it; yank it where it is bad"
            raise RequestError(message, code=Code.CONFLICT, remedy=remedy, field="version")


async def _refuse_foreign_digests(tx: Tx, policy: ProductPolicy | None, before: ProductPolicy | None) -> None:
    """Refuse to revoke a digest of another release than is named: it may be one that the fleet runs.

    Raises:
        RequestError: INVALID_ARGUMENT (publisher's fault).
    """
    known = before.revoked if before is not None else ()
    if policy is None:
        return
    for one in policy.revoked:
        release = sa.select(_RELEASE.c.id).where(
            _RELEASE.c.product == policy.product, _RELEASE.c.version == str(one.version)
        )
        rows = sa.select(_ARTIFACT.c.path).where(_ARTIFACT.c.release_id.in_(release), _ARTIFACT.c.sha256 == one.sha256)
        if one not in known and (await tx.execute(rows.limit(1))).first() is None:
            message = f"revoked: {one.sha256} is no artefact of {policy.product} {one.version}"
            remedy = "name the digests that the product's role listed for it"
            raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy=remedy, field="revoked")


async def _withdraw(tx: Tx, services: Services, product: str, version: Version, ruling: Ruling, caller: Caller) -> None:
    """Mark a release as taken back, and end what would bring it to hosts.

    Its rollouts are locked first, in the order of Go: what was granted before is past; what asks later reads the mark.
    """
    which = (_RELEASE.c.product == product, _RELEASE.c.version == str(version))
    release_id = (await tx.execute(sa.select(_RELEASE.c.id).where(*which))).scalar_one_or_none()
    if release_id is None:
        message = f"version: there is no release {version} of {product} that could be {ruling.how.value}"
        raise RequestError(message, code=Code.NOT_FOUND, remedy="name one that was published", field="version")
    state = ReleaseState(ruling.how.value)

    async def mark() -> None:
        values = {"listed": False, "state": state.value, "state_reason": ruling.reason}
        await tx.execute(sa.update(_RELEASE).where(*which).values(**values))

    actor = Actor(caller.actor_kind, caller.actor_id)
    await end_rollouts(tx, services, release_id, actor, f"{product} {version} is {state}: {ruling.reason}", mark)
    tx.emit(_event(f"release.{state}", product, version, caller, reason=ruling.reason))


async def _list(
    tx: Tx, services: Services, product: str, target: TargetFile, notes: str, caller: Caller, role_version: int
) -> None:
    """Add one target, and its release where this is the first one of the version."""
    custom = describe(target.custom or {})
    require_release(custom.version)
    require_clean(custom.git_sha, demo=services.demo)
    check_place(target.path, target.custom or {})
    sha256 = target.hashes["sha256"]
    await require_not_withdrawn(tx.connection, product, str(custom.version))
    await require_free(tx.connection, target.path, sha256)
    await require_one_kind(tx.connection, product, str(custom.version), kind_of(target.custom or {}))
    listing = Listing(
        product=product,
        version=str(custom.version),
        channels=custom.channels,
        git_sha=custom.git_sha,
        platform=custom.platform if isinstance(custom, ReleaseCustom) else Platform(ANY, ANY, ANY),
        path=target.path,
        length=target.length,
        sha256=sha256,
        migrations_required=custom.migrations_required,
        breaking_changes=custom.breaking_changes or "",
        notes=notes,
        supported_from=custom.supported_from,
        protocol=custom.protocol,
        released_at=tx.now.replace(microsecond=0),
        custom=target.custom or {},
    )
    await insert(tx, listing, caller, services.ids.new("release"))
    tx.emit(published_event(listing, caller, role_version))


async def _follow_channels(
    tx: Tx, product: str, version: Version, targets: Iterable[TargetFile], caller: Caller
) -> bool:
    """Take over the channels of a release and of each of its artefacts; tell whether they changed."""
    channels: set[str] = set()
    for target in targets:
        custom = target.custom or {}
        channels.update(custom.get("channels", ()))
        stored = sa.select(_ARTIFACT.c.custom).where(_ARTIFACT.c.path == target.path)
        if (await tx.execute(stored)).scalar_one_or_none() != custom:
            await tx.execute(sa.update(_ARTIFACT).where(_ARTIFACT.c.path == target.path).values(custom=dict(custom)))
    which = (_RELEASE.c.product == product, _RELEASE.c.version == str(version))
    before = (await tx.execute(sa.select(_RELEASE.c.channels).where(*which))).scalar_one_or_none()
    if before is None or set(before) == channels:
        return False
    await tx.execute(sa.update(_RELEASE).where(*which).values(channels=sorted(channels)))
    said = f"from {', '.join(sorted(before))} to {', '.join(sorted(channels))}"
    tx.emit(_event("release.channels", product, version, caller, reason=said))
    return True


def _event(kind: str, product: str, version: Version, caller: Caller, *, reason: str) -> EventFact:
    """Return the fact for watchers; it belongs to no fleet."""
    return EventFact(
        fleet_id="",
        kind=kind,
        actor_kind=caller.actor_kind,
        actor_id=caller.actor_id,
        reason=reason,
        message=f"{product} {version}",
        facts={"product": product, "version": str(version)},
    )


def _policy_event(product: str, policy: ProductPolicy, before: ProductPolicy | None, caller: Caller) -> EventFact:
    """Return the fact that a product's policy changed."""
    floor = str(policy.floor or "")
    facts = {
        "product": product,
        "role": role_name(product),
        "serial": str(policy.serial),
        "floor": floor,
        "floor_before": str(before.floor or "") if before is not None else "",
        "intermediates": ",".join(map(str, policy.intermediates)),
    }
    return EventFact(
        fleet_id="",
        kind="product.policy",
        actor_kind=caller.actor_kind,
        actor_id=caller.actor_id,
        message=f"{product}: policy {policy.serial}, floor {floor or 'none'}",
        facts=facts,
    )
