"""What is demanded of root, targets and products that were signed elsewhere, before they become the newest ones. Pure.

In this order (:func:`check_commit`); whoever signed it, the first thing that is wrong is named:

1. Each file has the name of a role and of a version, and is no longer than a host reads → INVALID_ARGUMENT,
   METADATA_ENDLESS.
2. Each root follows the one before by one version, is signed by the threshold of that one and by its own → CONFLICT,
   UNSIGNED. Between two of them nobody is left out: a host that slept walks the same way.
3. The newest root wants at least two of three keys, and one to spare; each key stands under the id that its content
   gives it, serves one role, and never served another or this one before → INVALID_ARGUMENT.
4. Targets follow by one version, signed by the keys that the newest root names; without new ones, the old ones are →
   CONFLICT, UNSIGNED.
5. Each product has its own paths, ends the search, and none is gone: a product is retired as an empty role → CONFLICT,
   METADATA_INVALID. Nothing but the anchors is listed beside them; their serial rises by one where they
   change. Where the newest root names other keys of targets it may start anew: hosts forget it then, so that whoever
   stole a key of targets can't have ended the anchors for good by a serial that nothing follows.
6. Each product's role follows by what :func:`~fleetroll_publishing.gate.check_product` demands, against the delegation
   in the newest targets; without a new one, the old one is signed by its keys still. A new product begins empty.
7. What is new expires neither too soon nor too late → INVALID_ARGUMENT.

Not done here: snapshot and timestamp, who may call, whether the bytes of new targets are there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from fleetroll_common.trust.floor import keys_digest
from fleetroll_common.trust.keys import key_id
from fleetroll_common.trust.library import Root, Targets
from fleetroll_common.trust.listing import role_name
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.release import check_product as check_product_name
from fleetroll_publishing import gate
from fleetroll_publishing.anchored import check_follows, read_anchors
from fleetroll_publishing.demands import ONLINE_ROLES, check_threshold, invalid
from fleetroll_publishing.history import named_in_root, named_in_targets, public_of, role_of_every_key
from fleetroll_publishing.roles import (
    TIMESTAMP_FILE,
    delegated_roles,
    delegation_of,
    describe,
    file_name,
    meta_name,
    read_newest_root,
    read_repository,
    sign_role,
)
from fleetroll_publishing.verifying import untrusted, verified

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from fleetroll_common.trust.library import Key, Signed
    from fleetroll_publishing.roles import Repository

FILES_MAX = 64
_NAME = re.compile(r"([1-9][0-9]{0,17})\.(root|targets|products%2F[a-z][a-z0-9-]{0,62})\.json", re.ASCII)
_PRODUCTS = role_name("")


@dataclass(frozen=True, slots=True)
class Commit:
    """What passed.

    Attributes:
        root: the newest, old or new.
        targets: likewise.
        products: by name, those that are new.
        listed: by role, the versions of the new files that a snapshot has to list.
        roles: that are new, in the order of their files.
    """

    root: Root
    targets: Targets
    products: Mapping[str, Targets]
    listed: Mapping[str, int]
    roles: tuple[str, ...]


def check_commit(
    files: Mapping[str, bytes], new: Mapping[str, bytes], now: datetime, used: Mapping[str, str] | None = None
) -> Commit:
    """Return what ``new`` makes the newest, when it may.

    Args:
        files: the repository as it is.
        new: the signed files, by name.
        now: aware; expiry is measured against it.
        used: role by public value, of keys that older files have named than those in ``files``.

    Raises:
        RequestError: CONFLICT: something else was committed meanwhile, or would vanish; INVALID_ARGUMENT (the
            publisher's fault).
        TrustError: METADATA_ENDLESS, METADATA_INVALID, METADATA_ROLLBACK, UNSIGNED, WRONG_PRODUCT (bytes not to be
            trusted).
        StoreError: ``files`` are damaged.
    """
    repository = read_repository(files)
    root = follow_roots(files, new)
    named = {name: parse_name(name) for name in new}
    if root.version != repository.root.version:
        _check_expiry("root", root, now)
    targets = _follow_targets(files, new, repository, root, now)
    _check_keys(files, used or {}, repository, root, targets)
    products = dict(_follow_products(files, new, repository, targets, now))
    known = {"root", "targets", *delegated_roles(targets)}
    for version, role in named.values():
        if role not in known:
            raise invalid("files", f"{role} {version}: targets do not name such a role")
    listed = {role_name(product): role.version for product, role in products.items()}
    if targets.version != repository.targets.version:
        listed["targets"] = targets.version
    return Commit(root, targets, products, listed, tuple(role for _, role in named.values()))


def parse_name(name: str) -> tuple[int, str]:
    """Return version and role of the name of a file of root, targets or a product.

    Raises:
        RequestError: it is no such name: INVALID_ARGUMENT (publisher's fault).
    """
    found = _NAME.fullmatch(name)
    if found is None:
        what = f"{name[:120]!r} is no name of a file of root, targets or a product, such as 2.root.json"
        raise invalid("files", what)
    return int(found.group(1)), unquote(found.group(2))


def follow_roots(files: Mapping[str, bytes], new: Mapping[str, bytes]) -> Root:
    """Return the newest root after those among ``new``: steps 1 to 3 of :func:`check_commit`, but for keys and expiry.

    Raises:
        RequestError, TrustError, StoreError: as there.
    """
    if not 1 <= len(new) <= FILES_MAX:
        raise invalid("files", f"{len(new)} files; 1 to {FILES_MAX} are taken")
    root = read_newest_root(files)
    for version in sorted(version for version, role in map(parse_name, new) if role == "root"):
        data = new[file_name("root", version)]
        if version != root.version + 1:
            raise _follows_not("root", version, root.version)
        following = verified(data, "root", root)
        if not isinstance(following, Root) or following.version != version:
            raise untrusted(Code.METADATA_INVALID, "root", f"of version {version} is another file")
        verified(data, "root", following)
        if not following.consistent_snapshot or set(following.roles) != {"root", "targets", *ONLINE_ROLES}:
            raise untrusted(Code.METADATA_INVALID, "root", "is not of the form that hosts of this fleet follow")
        for role, keys in following.roles.items():
            check_threshold(role, len(keys.keyids), keys.threshold)
        root = following
    return root


def _follow_targets(
    files: Mapping[str, bytes], new: Mapping[str, bytes], repository: Repository, root: Root, now: datetime
) -> Targets:
    """Return the newest targets, verified against the newest root."""
    old = repository.targets
    offered = _only(new, "targets", old.version)
    if offered is None:
        verified(files[file_name("targets", old.version)], "targets", root)
        return old
    targets = verified(offered, "targets", root)
    if not isinstance(targets, Targets) or targets.version != old.version + 1:
        raise untrusted(Code.METADATA_INVALID, "targets", f"of version {old.version + 1} is another file")
    _check_expiry("targets", targets, now)
    _check_delegations(old, targets)
    _check_anchors(old, targets, anew=_keys_changed(repository.root, root))
    return targets


def _follow_products(
    files: Mapping[str, bytes], new: Mapping[str, bytes], repository: Repository, targets: Targets, now: datetime
) -> Iterator[tuple[str, Targets]]:
    """Yield the products whose roles are new, each verified; the others are verified as well."""
    shown = _with_targets(files, new, repository, targets)
    for role in delegated_roles(targets):
        product = role.removeprefix(_PRODUCTS)
        listed = repository.products.get(product)
        offered = _only(new, role, 0 if listed is None else listed.version)
        if listed is None:
            yield product, _first_role(role, offered, targets, now)
        elif offered is not None:
            yield product, gate.check_product(shown, product, offered, now)
        else:
            verified(files[file_name(role, listed.version)], role, targets)


def _first_role(role: str, offered: bytes | None, targets: Targets, now: datetime) -> Targets:
    """Return the role that a new product begins with."""
    if offered is None:
        raise invalid("files", f"{role}: targets name a new product, and its first role is missing")
    signed = verified(offered, role, targets)
    if not isinstance(signed, Targets) or signed.version != 1 or signed.targets or signed.delegations:
        raise untrusted(Code.METADATA_INVALID, role, "is not the empty role of version 1 that a product begins with")
    _check_expiry(role, signed, now)
    return signed


def _with_targets(
    files: Mapping[str, bytes], new: Mapping[str, bytes], repository: Repository, targets: Targets
) -> Mapping[str, bytes]:
    """Return the files as if the new targets were listed, unsigned: what reads them looks at no signature of a list."""
    if targets.version == repository.targets.version:
        return files
    name = file_name("targets", targets.version)
    snapshot, timestamp = repository.snapshot, repository.timestamp
    snapshot.version += 1
    snapshot.meta[meta_name("targets")] = describe(targets.version, new[name])
    for role in delegated_roles(targets):  # a new product is in no list yet
        if meta_name(role) not in snapshot.meta and file_name(role, 1) in new:
            snapshot.meta[meta_name(role)] = describe(1, new[file_name(role, 1)])
    listed = sign_role(snapshot, [])
    timestamp.snapshot_meta = describe(snapshot.version, listed)
    lists = {file_name("snapshot", snapshot.version): listed, TIMESTAMP_FILE: sign_role(timestamp, [])}
    return {**files, **new, **lists}


def _only(new: Mapping[str, bytes], role: str, version: int) -> bytes | None:
    """Return the one new file of ``role``, which follows ``version``; None = there is none."""
    found = [(parse_name(name)[0], data) for name, data in new.items() if parse_name(name)[1] == role]
    for offered, _ in found:
        if offered != version + 1:
            raise _follows_not(role, offered, version)
    return found[0][1] if found else None


def _check_delegations(old: Targets, targets: Targets) -> None:
    """Refuse delegations of another form, and one that is gone."""
    if targets.delegations is not None and targets.delegations.succinct_roles is not None:
        raise untrusted(Code.METADATA_INVALID, "targets", "delegates by hashes, which no host of this fleet follows")
    for role, delegation in delegated_roles(targets).items():
        product = role.removeprefix(_PRODUCTS)
        if role != role_name(check_product_name(product)):
            raise untrusted(Code.METADATA_INVALID, "targets", f"delegates to {role[:80]!r}, which is no product's role")
        if delegation.to_dict() != delegation_of(product, delegation.keyids, delegation.threshold).to_dict():
            raise untrusted(Code.METADATA_INVALID, "targets", f"delegates to {role} otherwise than as {product}/*/*")
        check_threshold(role, len(delegation.keyids), delegation.threshold)
    for role in delegated_roles(old):
        if role not in delegated_roles(targets):
            raise RequestError(
                f"targets: {role} is gone; hosts refuse a list that lacks what they knew",
                code=Code.CONFLICT,
                remedy="keep it; a product is retired as an empty role",
                role=role,
            )


def _keys_changed(before: Root, after: Root) -> bool:
    """Tell whether another root has targets signed otherwise, as hosts see it."""
    return keys_digest(before, "targets") != keys_digest(after, "targets")


def _check_anchors(old: Targets, targets: Targets, *, anew: bool) -> None:
    """Refuse anything beside the anchors, anchors that are gone or go back, and a serial that leaves some out."""
    before, after = read_anchors(old), read_anchors(targets)
    gone = before is not None and after is None
    is_other = after is not None and after != before
    older = is_other and before is not None and after is not None and after.serial <= before.serial
    if gone or (older and not anew):
        raise untrusted(Code.METADATA_ROLLBACK, "targets", "has older anchors than are listed, or none any more")

    if is_other and after is not None:
        check_follows(before, after, anew=anew)


def _check_keys(
    files: Mapping[str, bytes], used: Mapping[str, str], repository: Repository, root: Root, targets: Targets
) -> None:
    """Refuse a key under another id than its own, for two roles, or that was taken out before."""
    history = {**used, **role_of_every_key(files)}
    standing = {(role, public_of(key)) for role, key in _named(repository.root, repository.targets)}
    seen: dict[str, str] = {}
    for role, key in _named(root, targets):
        public = public_of(key)
        if key.keyid != key_id(public):
            raise invalid("key", f"{key.keyid[:16]} of {role} is not the id that its content gives it")
        if public in seen or (public in history and (role, public) not in standing):
            where = seen.get(public) or history[public]
            raise invalid("key", f"{key.keyid[:16]} of {role} serves {where}, or has served it; a key is used once")
        seen[public] = role


def _named(root: Root, targets: Targets) -> Iterator[tuple[str, Key]]:
    """Yield role and key of everything that signs."""
    yield from named_in_root(root)
    yield from named_in_targets(targets)


def _check_expiry(role: str, signed: Signed, now: datetime) -> None:
    """Refuse an expiry that would stop installs before anybody has slept over it, or that is for ever."""
    if not now + gate.EXPIRY_MIN <= signed.expires <= now + gate.EXPIRY_MAX:
        raise RequestError(
            f"{role}: expires {signed.expires:%Y-%m-%dT%H:%M:%SZ}, not between {gate.EXPIRY_MIN.days} and "
            f"{gate.EXPIRY_MAX.days} days from now",
            code=Code.INVALID_ARGUMENT,
            remedy="sign it with a sane expiry, and look at this machine's clock",
            role=role,
        )


def _follows_not(role: str, offered: int, listed: int) -> RequestError:
    """Return the error of whoever signed from what is no longer the newest."""
    return RequestError(
        f"{role}: version {offered} does not follow {listed}",
        code=Code.CONFLICT,
        remedy="take the newest metadata and sign again",
        role=role,
    )
