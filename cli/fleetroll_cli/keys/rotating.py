"""``fleetroll keys rotate``, ``revoke``, ``renew``, ``to-offline``, ``add-product``: what changes who signs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fleetroll_cli.keys.desk import Act, Desk, Order, exchanged
from fleetroll_cli.keys.options import invalid
from fleetroll_cli.keys.ring import NewKey, Passphrases, new_keys, open_keys, signers_of
from fleetroll_common.trust.listing import role_name
from fleetroll_common.values.release import check_product
from fleetroll_publishing.demands import ONLINE_ROLES
from fleetroll_publishing.rotation import KeySet, rotate, rotate_held, without_key
from fleetroll_publishing.signers import RoleSigners

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from fleetroll_client import AdminClient
    from fleetroll_publishing.signers import NaClSigner

TARGETS = "targets"
KEY_ID_CHARS_MIN = 8


@dataclass(frozen=True, slots=True)
class Ring:
    """Key files at hand.

    Attributes:
        files: that sign, at least one.
        out: where new ones go; the pinned root and the publisher's record lie beside the first that signs.
        passphrases: what opens and protects them.
    """

    files: tuple[Path, ...]
    out: Path
    passphrases: Passphrases

    @classmethod
    def of(cls, files: list[Path] | None, out: Path | None, passphrases: Passphrases) -> Ring:
        """Return the ring that options name.

        Raises:
            RequestError: no key file is named (caller's fault).
        """
        if not files:
            raise invalid("key", "no key file is named", "name those that sign with --key FILE")
        return cls(tuple(files), out or files[0].resolve().parent, passphrases)

    @property
    def folder(self) -> Path:
        """Return where the pinned root lies."""
        return self.files[0].resolve().parent


def rotate_roles(
    client: AdminClient, roles: Sequence[str], counts: Mapping[str, tuple[int, int]], ring: Ring, order: Order
) -> None:
    """Exchange all keys of roles.

    Raises:
        FleetrollError: a role, a key, or what the server refuses.
    """
    desk = Desk(client, ring.folder)
    _check_roles(desk, roles)
    held = desk.held_by_server()
    on_server = [role for role in roles if role in held or role in ONLINE_ROLES]
    here = [role for role in roles if role not in on_server]
    if on_server and any(role not in ONLINE_ROLES for role in on_server):
        _rotate_on_server(desk, on_server, here, ring, order)
        return
    made = {role: _new(desk, role, counts, ring.out) for role in here}
    successors = {role: _set(desk, role, keys, counts) for role, keys in made.items()}
    if on_server:
        successors |= desk.prepare(on_server)
    _sign(desk, successors, [key for keys in made.values() for key in keys], ring, order)


def revoke_one(client: AdminClient, what: str, ring: Ring, order: Order) -> None:
    """Take one key out, by the beginning of its id, or all of a role; others take their place.

    Raises:
        FleetrollError: no such key, or what the server refuses.
    """
    desk = Desk(client, ring.folder)
    if what in desk.standing:
        rotate_roles(client, [what], {}, ring, order)
        return
    role, keyid = _find(desk, what)
    if role in desk.held_by_server():
        rotate_roles(client, [role], {}, ring, order)
        return
    (made,) = new_keys(role, 1, ring.out)
    successors = without_key(desk.files, keyid, made.signer.public_key)
    _sign(desk, successors, [made], ring, order)


def renew_roles(client: AdminClient, roles: Sequence[str], ring: Ring, order: Order) -> None:
    """Sign roles again, with a later end; without names all whose keys are at hand.

    Raises:
        FleetrollError: a role, a key, or what the server refuses.
    """
    desk = Desk(client, ring.folder)
    _check_roles(desk, roles)
    signers = open_keys(ring.files, ring.passphrases, [desk.standing])
    at_hand = [role for role, keys in desk.standing.items() if _has_enough(signers, role, keys)]
    files = rotate(desk.files, {}, signers, desk.now, renewed=roles or at_hand)
    desk.bring(Act(files, ring.out), order, ring.passphrases)


def go_offline(client: AdminClient, counts: Mapping[str, tuple[int, int]], ring: Ring, order: Order) -> None:
    """Give targets and every product keys that are made here; the server's are deleted with the commit.

    Raises:
        FleetrollError: it is offline already, or what the server refuses.
    """
    desk = Desk(client, ring.folder)
    roles = [role for role in desk.held_by_server() if role not in ONLINE_ROLES]
    if not roles:
        raise invalid("signing_mode", "the server holds no key of targets or products", "nothing is left to do")
    if TARGETS not in roles:
        raise invalid("signing_mode", "the key of targets is here, those of products are not", "use keys rotate")
    ordered = [role for role in desk.standing if role in roles]
    made = {role: _new(desk, role, counts, ring.out, first=True) for role in ordered}
    successors = {role: _set(desk, role, keys, counts) for role, keys in made.items()}
    _sign(desk, successors, [key for keys in made.values() for key in keys], ring, order)


def add_product(
    client: AdminClient, product: str, counts: Mapping[str, tuple[int, int]], ring: Ring, order: Order
) -> None:
    """Let releases of one more product be published, signed by a key that is made here.

    Raises:
        FleetrollError: its name, or what the server refuses.
    """
    desk, role = Desk(client, ring.folder), role_name(check_product(product))
    if role in desk.standing:
        raise invalid("product", f"the repository has {product}", "publish to it, or rotate its keys")
    made = _new(desk, role, counts, ring.out, first=True)
    _sign(desk, {role: _set(desk, role, made, counts)}, made, ring, order)


def _rotate_on_server(desk: Desk, on_server: Sequence[str], here: Sequence[str], ring: Ring, order: Order) -> None:
    """Exchange keys that a managed server holds: the root names that of targets, and the server does the rest."""
    if here or TARGETS not in on_server:
        what = "the server holds the keys of targets and products: the root names those of targets, these the products'"
        raise invalid("roles", what, f"rotate {TARGETS} with them, and the others by themselves")
    prepared = desk.prepare(on_server)
    named = {role: keys for role, keys in prepared.items() if role in (TARGETS, *ONLINE_ROLES)}
    signers = open_keys(ring.files, ring.passphrases, [desk.standing])
    files = rotate_held(desk.files, named, signers, desk.now)
    desk.bring(Act(files, ring.out, says=exchanged(desk.standing, prepared)), order, ring.passphrases)


def _sign(desk: Desk, successors: Mapping[str, KeySet], made: Sequence[NewKey], ring: Ring, order: Order) -> None:
    """Sign an exchange with the keys at hand and the new ones, and bring it."""
    opened = open_keys(ring.files, ring.passphrases, [desk.standing, successors])
    signers = _joined(opened, made)
    files = rotate(desk.files, successors, signers, desk.now)
    desk.bring(Act(files, ring.out, made, exchanged(desk.standing, successors)), order, ring.passphrases)


def _joined(opened: RoleSigners, made: Sequence[NewKey]) -> RoleSigners:
    """Return the opened signers and those of new keys."""
    by_role: dict[str, list[NaClSigner]] = {}
    for key in made:
        by_role.setdefault(key.role, []).append(key.signer)
    fresh = signers_of(by_role)
    products = {**opened.products}
    for product in fresh.products:
        products[product] = (*opened.every(role_name(product)), *fresh.every(role_name(product)))
    targets = (*opened.every(TARGETS), *fresh.every(TARGETS))
    return RoleSigners((*opened.root, *fresh.root), targets or None, products)


def _new(
    desk: Desk, role: str, counts: Mapping[str, tuple[int, int]], out: Path, *, first: bool = False
) -> list[NewKey]:
    """Return new keys for a role, as many as it had where nothing is said."""
    standing = len(desk.standing[role].keys) if role in desk.standing else 1
    return new_keys(role, counts.get(role, (0, standing))[1], out, first=first)


def _set(desk: Desk, role: str, keys: Sequence[NewKey], counts: Mapping[str, tuple[int, int]]) -> KeySet:
    """Return who signs a role from now on."""
    standing = desk.standing[role].threshold if role in desk.standing else 1
    return KeySet(tuple(key.signer.public_key for key in keys), counts.get(role, (standing, 0))[0])


def _check_roles(desk: Desk, roles: Sequence[str]) -> None:
    """Refuse roles that there are not, or twice."""
    for role in roles:
        if role not in desk.standing or roles.count(role) > 1:
            raise invalid("role", f"{role[:80]!r} is no role, or named twice", f"name of {', '.join(desk.standing)}")


def _find(desk: Desk, what: str) -> tuple[str, str]:
    """Return role and id of the one key whose id begins so."""
    found = [
        (role, key.keyid) for role, keys in desk.standing.items() for key in keys.keys if key.keyid.startswith(what)
    ]
    if len(found) != 1 or len(what) < KEY_ID_CHARS_MIN:
        remedy = f"name a role, or at least {KEY_ID_CHARS_MIN} digits of an id that `keys status` shows"
        raise invalid("key", f"{what[:80]!r} is neither a role nor the beginning of one key's id", remedy)
    return found[0]


def _has_enough(signers: RoleSigners, role: str, keys: KeySet) -> bool:
    """Tell whether enough keys of a role are at hand."""
    here = {signer.public_key.keyid for signer in signers.every(role)}
    return len(here.intersection(key.keyid for key in keys.keys)) >= keys.threshold
