"""Exchanging the keys of a repository, and signing again what would expire: what is signed offline. Pure.

One act, :func:`rotate`, does all of it, in one step for any number of roles; the others say what they mean by it.

1. Root names the keys of root, targets, snapshot and timestamp; targets those of the products. Whoever names a role is
   signed anew where the role's keys change, and so is the role. No key authorises its own successor but the root's, of
   which it takes the threshold, old and new.
2. A key is named for one role, once: one that was ever taken out, or serves another role, is refused.
3. What comes back is root, targets and products; the server signs snapshot and timestamp over it, and nothing counts
   before that. What it would refuse is not returned (:mod:`~fleetroll_publishing.commit_gate`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fleetroll_common.trust.library import Delegations, Role, Targets
from fleetroll_common.trust.listing import role_name
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.release import check_product as check_product_name
from fleetroll_publishing.commit_gate import check_commit, follow_roots
from fleetroll_publishing.demands import ONLINE_ROLES, check_threshold, invalid
from fleetroll_publishing.history import public_of, role_of_every_key
from fleetroll_publishing.roles import (
    SPEC_VERSION,
    delegated_roles,
    delegation_of,
    file_name,
    read_repository,
    sign_role,
)
from fleetroll_publishing.sealing import DEFAULT_EXPIRIES, Expiries, in_utc
from fleetroll_publishing.signers import RoleSigners

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import datetime

    from fleetroll_common.trust.library import Key, Root, Signer
    from fleetroll_publishing.roles import Repository

TOP_ROLES = ("root", "targets", *ONLINE_ROLES)
"""Whose keys the root names."""

_PRODUCTS = role_name("")


@dataclass(frozen=True, slots=True)
class KeySet:
    """Who signs a role from now on.

    Attributes:
        keys: public halves, each once; those that stay are among them.
        threshold: how many of them have to sign, >= 1.
    """

    keys: tuple[Key, ...]
    threshold: int = 1


def rotate(
    files: Mapping[str, bytes],
    successors: Mapping[str, KeySet],
    signers: RoleSigners,
    now: datetime,
    *,
    renewed: Collection[str] = (),
    used: Mapping[str, str] | None = None,
    expiries: Expiries = DEFAULT_EXPIRIES,
) -> dict[str, bytes]:
    """Return the new files of root, targets and products, in this order.

    Args:
        files: the repository, all roots and the newest of each other role.
        successors: by role, who signs it from now on. A product that is not there yet is added.
        signers: for each role that is signed anew, of the keys that it has *after* the act; for the root, of those
            before it as well.
        now: aware.
        renewed: roles that are signed again as they are.
        used: role by public value, of keys that older files have named than those at hand; none of them comes back.
        expiries: of the roles that are signed.

    Raises:
        RequestError: INVALID_ARGUMENT: a key or a threshold; NOT_FOUND: no such role; NOT_ALLOWED: a signer is missing
            (caller's fault).
        StoreError: ``files`` are damaged.
    """
    repository = read_repository(files)
    _check_roles(repository, successors, renewed)
    _check_keys(files, successors, used or {})
    draft = _Draft(repository)
    for role, keys in successors.items():
        draft.name(role, keys)
    for role in renewed:
        draft.touched.add(role)
    new = draft.sign(signers, now, expiries)
    check_commit(files, new, now, used)
    return new


def rotate_held(
    files: Mapping[str, bytes],
    successors: Mapping[str, KeySet],
    signers: RoleSigners,
    now: datetime,
    *,
    used: Mapping[str, str] | None = None,
    expiries: Expiries = DEFAULT_EXPIRIES,
) -> dict[str, bytes]:
    """Return the root that names keys which are prepared elsewhere, and nothing else: what they sign, others sign.

    Args:
        files: the repository.
        successors: by role of targets, snapshot and timestamp, who signs it from now on.
        signers: the threshold of root keys.
        now: aware.
        used: as for :func:`rotate`.
        expiries: of the root.

    Raises:
        RequestError: as :func:`rotate`.
        StoreError: ``files`` are damaged.
    """
    for role in successors:
        if role not in ("targets", *ONLINE_ROLES):
            raise invalid("roles", f"{role[:80]} is not signed by whoever prepares keys")
    _check_keys(files, successors, used or {})
    draft = _Draft(read_repository(files))
    for role, keys in successors.items():
        draft.name(role, keys)
    draft.touched = {"root"}
    new = draft.sign(signers, now, expiries)
    follow_roots(files, new)
    return new


def rotate_root(
    files: Mapping[str, bytes], keys: KeySet, signers: RoleSigners, now: datetime, expiries: Expiries = DEFAULT_EXPIRIES
) -> dict[str, bytes]:
    """Return the root that names ``keys`` for itself, signed by the threshold of the old ones and of the new ones."""
    return rotate(files, {"root": keys}, signers, now, expiries=expiries)


def rotate_targets(
    files: Mapping[str, bytes], keys: KeySet, signers: RoleSigners, now: datetime, expiries: Expiries = DEFAULT_EXPIRIES
) -> dict[str, bytes]:
    """Return the root that names ``keys`` for targets, and targets, signed by them."""
    return rotate(files, {"targets": keys}, signers, now, expiries=expiries)


def rotate_product(
    files: Mapping[str, bytes],
    product: str,
    keys: KeySet,
    signers: RoleSigners,
    now: datetime,
    expiries: Expiries = DEFAULT_EXPIRIES,
) -> dict[str, bytes]:
    """Return targets that name ``keys`` for ``product``, and the product's role, signed by them."""
    return rotate(files, {role_name(product): keys}, signers, now, expiries=expiries)


def revoke_key(
    files: Mapping[str, bytes],
    keyid: str,
    successor: Key,
    signers: RoleSigners,
    now: datetime,
    expiries: Expiries = DEFAULT_EXPIRIES,
) -> dict[str, bytes]:
    """Return the files without the key ``keyid``, stolen or lost; ``successor`` takes its place, the threshold stays.

    Raises:
        RequestError: NOT_FOUND: no role names it; and as :func:`rotate` (caller's fault).
    """
    return rotate(files, without_key(files, keyid, successor), signers, now, expiries=expiries)


def without_key(files: Mapping[str, bytes], keyid: str, successor: Key) -> dict[str, KeySet]:
    """Return who signs instead, where ``successor`` replaces ``keyid``; raises as :func:`revoke_key`."""
    for role, keys in key_sets(files).items():
        if keyid in {key.keyid for key in keys.keys}:
            kept = tuple(key for key in keys.keys if key.keyid != keyid)
            return {role: KeySet((*kept, successor), keys.threshold)}
    raise RequestError(
        f"key: no role names {keyid[:80]!r}",
        code=Code.NOT_FOUND,
        remedy="name a key id that `keys status` shows",
        field="key",
    )


def renew(
    files: Mapping[str, bytes],
    roles: Collection[str],
    signers: RoleSigners,
    now: datetime,
    expiries: Expiries = DEFAULT_EXPIRIES,
) -> dict[str, bytes]:
    """Return ``roles``, of root, targets and products, as they are but for a later expiry and the next version."""
    return rotate(files, {}, signers, now, renewed=roles, expiries=expiries)


def key_sets(files: Mapping[str, bytes]) -> dict[str, KeySet]:
    """Return who signs each role, root first, then targets, products, snapshot and timestamp.

    Raises:
        StoreError: ``files`` are damaged.
    """
    repository = read_repository(files)
    root, products = repository.root, sorted(delegated_roles(repository.targets))
    delegated = repository.targets.delegations
    found = {role: _key_set(root.roles[role], root.keys) for role in ("root", "targets")}
    if delegated is not None:
        found |= {role: _key_set(delegated_roles(repository.targets)[role], delegated.keys) for role in products}
    return found | {role: _key_set(root.roles[role], root.keys) for role in ONLINE_ROLES}


class _Draft:
    """Root, targets and products while they are changed; ``touched`` says which of them get signed."""

    def __init__(self, repository: Repository) -> None:
        """Begin with fresh values, which may be changed."""
        self.root: Root = repository.root
        role = repository.root.roles["root"]
        self._old_root = Role(list(role.keyids), role.threshold)
        self.targets = repository.targets
        self.products = dict(repository.products)
        self.touched: set[str] = set()
        self._added: set[str] = set()

    def name(self, role: str, keys: KeySet) -> None:
        """Let ``keys`` sign ``role``."""
        if role in TOP_ROLES:
            self._name_top(role, keys)
        else:
            self._name_product(role.removeprefix(_PRODUCTS), keys)

    def sign(self, signers: RoleSigners, now: datetime, expiries: Expiries) -> dict[str, bytes]:
        """Return the files of what was touched."""
        new: dict[str, bytes] = {}
        if "root" in self.touched:
            self.root.version += 1
            self.root.expires = in_utc(now + expiries.root)
            both = [*self._root_signers(signers), *signers.enough("root", self.root.roles["root"])]
            new[file_name("root", self.root.version)] = sign_role(self.root, _each_once(both))
        if "targets" in self.touched:
            self.targets.version += 1
            self.targets.expires = in_utc(now + expiries.targets)
            named = signers.enough("targets", self.root.roles["targets"])
            new[file_name("targets", self.targets.version)] = sign_role(self.targets, named)
        for role in sorted(self.touched - {"root", "targets"}):
            product = self.products[role.removeprefix(_PRODUCTS)]
            product.version += role not in self._added
            product.expires = in_utc(now + expiries.product)
            by = signers.enough(role, delegated_roles(self.targets)[role])
            new[file_name(role, product.version)] = sign_role(product, by)
        return new

    def _root_signers(self, signers: RoleSigners) -> list[Signer]:
        """Return the threshold of the keys before, those first that stay: a file needs fewer signatures then."""
        staying = self.root.roles["root"].keyids
        ordered = sorted(signers.root, key=lambda signer: signer.public_key.keyid not in staying)
        return RoleSigners(root=ordered).enough("root", self._old_root)

    def _name_top(self, role: str, keys: KeySet) -> None:
        """Change who signs a role that the root names."""
        for keyid in list(self.root.roles[role].keyids):
            self.root.revoke_key(keyid, role)
        for key in keys.keys:
            self.root.add_key(key, role)
        self.root.roles[role].threshold = keys.threshold
        self.touched |= {"root", "targets"} if role == "targets" else {"root"}

    def _name_product(self, product: str, keys: KeySet) -> None:
        """Change who signs a product's role, or begin it."""
        role = role_name(product)
        delegations = self.targets.delegations = self.targets.delegations or Delegations({}, {})
        if delegations.roles is None:
            delegations.roles = {}
        if role in delegations.roles:
            for keyid in list(delegations.roles[role].keyids):
                self.targets.revoke_key(keyid, role)
        else:
            self.products[product] = Targets(1, SPEC_VERSION)
            self._added.add(role)
        delegations.roles[role] = delegation_of(product, [key.keyid for key in keys.keys], keys.threshold)
        delegations.keys.update({key.keyid: key for key in keys.keys})
        self.touched |= {"targets", role}


def _check_roles(repository: Repository, successors: Mapping[str, KeySet], renewed: Collection[str]) -> None:
    """Refuse roles that there are not."""
    if not successors and not renewed:
        raise invalid("roles", "none is named")
    for role in successors:
        if role not in TOP_ROLES:
            check_product_name(_product_of(role))
    for role in renewed:
        if role in ONLINE_ROLES:
            raise invalid("roles", f"{role} is signed again by the server itself")
        if role not in TOP_ROLES:
            repository.product(_product_of(role))


def _product_of(role: str) -> str:
    """Return the product of a role that is none of the top ones."""
    if not role.startswith(_PRODUCTS):
        raise invalid("roles", f"{role[:80]!r} is none of {', '.join(TOP_ROLES)} and products/NAME")
    return role.removeprefix(_PRODUCTS)


def _check_keys(files: Mapping[str, bytes], successors: Mapping[str, KeySet], used: Mapping[str, str]) -> None:
    """Refuse numbers of keys that no role has, and keys that ever had another place than the one they are given."""
    history = {**used, **role_of_every_key(files)}
    standing = key_sets(files)
    given: dict[str, str] = {}
    for role, keys in successors.items():
        check_threshold(role, len(keys.keys), keys.threshold)
        stays = {public_of(key) for key in standing[role].keys} if role in standing else set()
        for key in keys.keys:
            public = public_of(key)
            if public in given or (public in history and public not in stays):
                where = given.get(public) or history[public]
                raise invalid(
                    "key", f"{key.keyid[:16]} serves {where} or has served it; each role has keys of its own, each once"
                )
            given[public] = role


def _each_once(signers: Iterable[Signer]) -> list[Signer]:
    """Return the signers without repeats."""
    return list({signer.public_key.keyid: signer for signer in signers}.values())


def _key_set(role: Role, keys: Mapping[str, Key]) -> KeySet:
    """Return who signs ``role``."""
    return KeySet(tuple(keys[keyid] for keyid in role.keyids), role.threshold)
