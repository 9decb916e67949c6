"""Root, targets and products that were signed elsewhere become the newest ones: in one step, or not at all.

1. The offered files are held against the newest ones, under the lock of whoever signs
   (:func:`~fleetroll_publishing.commit_gate.check_commit`). Signatures are the authority; who calls may only call.
2. Where the new root names a key of targets that this server holds or has prepared, and nobody has signed targets with
   it, this server does: a managed repository gets new keys by a root alone. Products whose keys were prepared get them
   in the same step.
3. The lists over it are signed with the online keys that the newest root names, prepared ones among them.
4. One transaction stores the files, if nobody else has signed meanwhile, brings releases in line with each product's
   role, and deletes every private key here that no role names any more. A managed repository whose targets and products
   are signed by keys of publishers from now on is an offline one by that.

A trial run does all of it, in a transaction that is then undone; but the bytes of new targets may still be elsewhere.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fleetroll_common.trust.listing import role_name
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_publishing.anchored import read_anchors
from fleetroll_publishing.commit_gate import follow_roots, parse_name
from fleetroll_publishing.committing import seal_commit
from fleetroll_publishing.demands import ONLINE_ROLES
from fleetroll_publishing.policies import policy_of, releases_in
from fleetroll_publishing.roles import delegated_roles, read_newest_root, read_repository
from fleetroll_publishing.rotation import KeySet, key_sets, rotate
from fleetroll_server.anchoring.changing import require_own_leaf
from fleetroll_server.catalogue.keyhistory import named_keys
from fleetroll_server.catalogue.keys import OFFLINE, exchange_keys, held_keys, mode_of, prepared_keys, role_signers
from fleetroll_server.catalogue.metadata import add_files, current_files, timestamp_version
from fleetroll_server.catalogue.recalling import recall_releases
from fleetroll_server.catalogue.relisting import relist
from fleetroll_server.catalogue.rising import is_risen, require_stranded
from fleetroll_server.catalogue.staging import taken_over
from fleetroll_server.store import EventFact

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from fleetroll_common.trust.library import Root
    from fleetroll_publishing.keys import PrivateKey
    from fleetroll_publishing.roles import Repository
    from fleetroll_server.access.caller import Caller
    from fleetroll_server.catalogue.values import Release
    from fleetroll_server.services import Services
    from fleetroll_server.store import Tx

TARGETS = "targets"


@dataclass(frozen=True, slots=True)
class Offered:
    """What is brought.

    Attributes:
        files: signed, by name.
        notes: Markdown by product and version, of releases that are new by it.
        reason: in words.
        dry_run: check everything, keep nothing.
        force: also where the CAs of new anchors do not lead to this server.
        stranded: by product, hosts that a floor which rises leaves without a way up; one that is not there: none.
        recall: what is yanked or revoked by it is taken back from the hosts that it came to.
    """

    files: Mapping[str, bytes]
    notes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    reason: str = ""
    dry_run: bool = False
    force: bool = False
    stranded: Mapping[str, int] = field(default_factory=dict)
    recall: bool = False


@dataclass(frozen=True, slots=True)
class Committed:
    """Where the repository stands after it: version of the newest timestamp, releases that changed, started reverts."""

    timestamp_version: int
    releases: list[Release]
    reverts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Held:
    """Keys here, by role."""

    signing: Mapping[str, PrivateKey]
    prepared: Mapping[str, PrivateKey]


@dataclass(frozen=True, slots=True)
class _Plan:
    """What the transaction does."""

    old: Mapping[str, bytes]
    new: Mapping[str, bytes]
    before: Repository
    after: Repository
    held: _Held


class _Undone(Exception):  # noqa: N818 (no error: the end of a trial run)
    """Ends the transaction of a trial run."""

    def __init__(self, releases: list[Release]) -> None:
        super().__init__("a trial run")
        self.releases = releases


async def commit(services: Services, offered: Offered, caller: Caller) -> Committed:
    """Make ``offered`` the newest, or say why not.

    Raises:
        RequestError: CONFLICT, INVALID_ARGUMENT, NOT_ALLOWED: what the gate and the rows refuse; bytes are missing; an
            online key that the root names is not here (publisher's fault).
        TrustError: the files can't be trusted.
        StoreError: nothing was stored.
    """
    async with services.catalogue.signing:
        async with services.store.read() as connection:
            old = await current_files(connection)
            used = {public: named.role for public, named in (await named_keys(connection)).items()}
            held = _Held(
                await held_keys(connection, services.secrets), await prepared_keys(connection, services.secrets)
            )
        plan = await asyncio.to_thread(_plan, old, offered.files, held, used, services.clock.now())
        await _require_anchors(services, plan, offered)
        async with AsyncExitStack() as stack:
            if not offered.dry_run:
                await stack.enter_async_context(taken_over(services, _new_bytes(plan)))
            try:
                stored = await services.store.writer.command(lambda tx: _store(tx, services, plan, offered, caller))
            except _Undone as undone:
                return Committed(plan.before.timestamp.version, undone.releases)
    return Committed(plan.after.timestamp.version, *stored)


async def _require_anchors(services: Services, plan: _Plan, offered: Offered) -> None:
    """Refuse anchors that would shut the fleet out, before any host hears of them.

    Raises:
        RequestError: CONFLICT: they do not lead to this server (publisher's fault).
    """
    anchors = read_anchors(plan.after.targets)
    if anchors is not None and anchors != read_anchors(plan.before.targets):
        await require_own_leaf(services, anchors, force=offered.force, dry_run=offered.dry_run)


def _plan(
    old: Mapping[str, bytes], offered: Mapping[str, bytes], held: _Held, used: Mapping[str, str], now: datetime
) -> _Plan:
    """Check everything and sign what is signed here."""
    root = follow_roots(old, offered)
    _require_held(old, offered, root, held)
    complete = {**offered, **_signed_here(old, offered, root, held, used, now)}
    signers = role_signers({role: key for role in ONLINE_ROLES if (key := _named_key(root, role, held)) is not None})
    new = seal_commit(old, complete, signers, now, used=used)
    return _Plan(old, new, read_repository(old), read_repository({**old, **new}), held)


def _require_held(old: Mapping[str, bytes], offered: Mapping[str, bytes], root: Root, held: _Held) -> None:
    """Refuse a root that names keys, of roles that nobody else has signed, which are not here: or not any more.

    Raises:
        RequestError: NOT_ALLOWED (publisher's fault).
    """
    signed = {parse_name(name)[1] for name in offered}
    same = set(root.roles[TARGETS].keyids) == set(read_newest_root(old).roles[TARGETS].keyids)
    due = ONLINE_ROLES if same or TARGETS in signed else (TARGETS, *ONLINE_ROLES)
    for role in due:
        if _named_key(root, role, held) is None:
            raise RequestError(
                f"root: the key that it names for {role} is not on this server",
                code=Code.NOT_ALLOWED,
                remedy="prepare keys again and sign a root that names those: the last preparation replaced older ones",
                role=role,
            )


def _signed_here(
    old: Mapping[str, bytes],
    offered: Mapping[str, bytes],
    root: Root,
    held: _Held,
    used: Mapping[str, str],
    now: datetime,
) -> dict[str, bytes]:
    """Return targets and products that this server signs, since the new root names its new key of targets."""
    key = _named_key(root, TARGETS, held)
    is_same = set(root.roles[TARGETS].keyids) == set(read_newest_root(old).roles[TARGETS].keyids)
    if key is None or is_same or not all(name.endswith(".root.json") for name in offered):
        return {}
    standing = key_sets(old)
    successors = {
        role: KeySet((held.prepared[role].public,)) for role in held.prepared if role in standing and "/" in role
    }
    signers = role_signers({TARGETS: key, **{role: held.prepared[role] for role in successors}})
    return rotate({**old, **offered}, successors, signers, now, renewed=[TARGETS], used=used)


def _named_key(root: Root, role: str, held: _Held) -> PrivateKey | None:
    """Return the key here that ``root`` names for ``role``; None = there is none."""
    for key in (held.signing.get(role), held.prepared.get(role)):
        if key is not None and key.public.keyid in root.roles[role].keyids:
            return key
    return None


def _new_bytes(plan: _Plan) -> dict[str, int]:
    """Return length by hash of the files that are listed anew; documents are carried by the list itself."""
    found: dict[str, int] = {}
    for product, role in plan.after.products.items():
        before = plan.before.products.get(product)
        known = set(before.targets) if before is not None else set()
        for targets in releases_in(role).values():
            found |= {each.hashes["sha256"]: each.length for each in targets if each.path not in known}
    return found


async def _store(
    tx: Tx, services: Services, plan: _Plan, offered: Offered, caller: Caller
) -> tuple[list[Release], tuple[str, ...]]:
    """Write all of it; return the releases that changed, and the reverts that were started."""
    await add_files(tx, plan.old, plan.new)
    releases: list[Release] = []
    for product, role in plan.after.products.items():
        before = plan.before.products.get(product)
        if before is None or before.version != role.version:
            notes = offered.notes.get(product, {})
            releases += await relist(tx, services, product, before, role, notes, caller)
            policy = policy_of(product, role)
            risen = is_risen(policy, None if before is None else policy_of(product, before))
            if risen and policy is not None and policy.floor is not None:
                await require_stranded(tx, product, policy.floor, offered.stranded.get(product, 0))
    reverts = await recall_releases(tx, services, releases, caller, offered.reason) if offered.recall else ()
    kept, waiting = _keys_after(plan)
    await exchange_keys(tx, services.secrets, kept, waiting)
    tx.emit(_event(plan, offered.reason, caller, mode_of(kept)))
    if offered.dry_run:
        raise _Undone(releases)
    version = timestamp_version(plan.new)
    tx.after_commit(lambda: services.catalogue.announce(version))
    return releases, reverts


def _keys_after(plan: _Plan) -> tuple[dict[str, PrivateKey], dict[str, PrivateKey]]:
    """Return the keys that this server signs with from now on, and those that go on waiting."""
    named = {
        **{role: set(keys.keyids) for role, keys in plan.after.root.roles.items()},
        **{role: set(keys.keyids) for role, keys in delegated_roles(plan.after.targets).items()},
    }
    signing: dict[str, PrivateKey] = {}
    for keys in (plan.held.signing, plan.held.prepared):
        signing |= {role: key for role, key in keys.items() if key.public.keyid in named.get(role, ())}
    may_wait = ONLINE_ROLES if mode_of(signing) == OFFLINE else named
    waiting = {role: key for role, key in plan.held.prepared.items() if role in may_wait and signing.get(role) != key}
    return signing, waiting


def _event(plan: _Plan, reason: str, caller: Caller, mode: str) -> EventFact:
    """Return the fact for watchers; it belongs to no fleet."""
    pairs = {
        "root": (plan.before.root.version, plan.after.root.version),
        TARGETS: (plan.before.targets.version, plan.after.targets.version),
    }
    for product, role in plan.after.products.items():
        before = plan.before.products.get(product)
        pairs[role_name(product)] = (0 if before is None else before.version, role.version)
    changed = [f"{role} {version}" for role, (was, version) in pairs.items() if was != version]
    return EventFact(
        fleet_id="",
        kind="metadata.committed",
        actor_kind=caller.actor_kind,
        actor_id=caller.actor_id,
        reason=reason,
        message=", ".join(changed),
        facts={"timestamp": str(plan.after.timestamp.version), "signing_mode": mode},
    )
