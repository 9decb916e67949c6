"""``fleetroll keys rotate``, ``revoke``, ``renew``, ``to-offline``, ``add-product``: what changes who signs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_cli.keys.desk import Act, Desk
from fleetroll_cli.keys.holding import ROOT, TARGETS, check_holder, roles_at_hand
from fleetroll_cli.keys.options import invalid
from fleetroll_cli.keys.ring import new_keys, open_keys, signers_of
from fleetroll_common.trust.listing import role_name
from fleetroll_common.values.release import check_product
from fleetroll_publishing.demands import ONLINE_ROLES
from fleetroll_publishing.rotation import KeySet, rotate, rotate_held, without_key
from fleetroll_publishing.signers import RoleSigners

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from fleetroll_cli.keys.desk import Order
    from fleetroll_cli.keys.holding import Ring
    from fleetroll_cli.keys.ring import NewKey
    from fleetroll_client import AdminClient
    from fleetroll_publishing.signers import NaClSigner

KEY_ID_CHARS_MIN = 8


def rotate_roles(
    client: AdminClient, roles: Sequence[str], counts: Mapping[str, tuple[int, int]], ring: Ring, order: Order
) -> None:
    """Exchange all keys of roles.

    Raises:
        FleetrollError: a role, a key, or what the server refuses.
    """
    desk = Desk(client, ring.folders, order)
    _check_roles(desk, roles)
    check_holder(desk, ring, roles)
    on_server = [role for role in roles if role in ONLINE_ROLES or (ring.server_keys and role != ROOT)]
    here = [role for role in roles if role not in on_server]
    if any(role not in ONLINE_ROLES for role in on_server):
        _rotate_on_server(desk, on_server, here, ring)
        return
    made = {role: _new(desk, role, counts, ring.out) for role in here}
    successors = {role: _set(desk, role, keys, counts) for role, keys in made.items()}
    if on_server:
        successors |= desk.prepare(on_server)
    _sign(desk, successors, [key for keys in made.values() for key in keys], ring, on_server)


def revoke_one(client: AdminClient, what: str, ring: Ring, order: Order) -> None:
    """Take one key out, by the beginning of its id, or all of a role; others take their place.

    Raises:
        FleetrollError: no such key, or what the server refuses.
    """
    desk = Desk(client, ring.folders, order)
    if what in desk.standing:
        rotate_roles(client, [what], {}, ring, order)
        return
    role, keyid = _find(desk, what)
    if role in ONLINE_ROLES or (ring.server_keys and role != ROOT):
        rotate_roles(client, [role], {}, ring, order)
        return
    check_holder(desk, ring, [role])
    (made,) = new_keys(role, 1, ring.out)
    successors = without_key(desk.files, keyid, made.signer.public_key)
    _sign(desk, successors, [made], ring)


def renew_roles(client: AdminClient, roles: Sequence[str], ring: Ring, order: Order) -> None:
    """Sign roles again, with a later end; without names all whose keys are at hand.

    Raises:
        FleetrollError: a role, a key, or what the server refuses.
    """
    desk = Desk(client, ring.folders, order)
    _check_roles(desk, roles)
    signers = open_keys(ring.files, ring.passphrases, [desk.standing])
    at_hand = [role for role, keys in desk.standing.items() if _has_enough(signers, role, keys)]
    files = rotate(desk.files, {}, signers, desk.now, renewed=roles or at_hand)
    desk.bring(Act(files, ring.out), ring.passphrases)


def go_offline(client: AdminClient, counts: Mapping[str, tuple[int, int]], ring: Ring, order: Order) -> None:
    """Give targets and every product keys that are made here; the server's are deleted with the commit.

    Every product is taken that the verified targets name, whatever the server says of it: one that it keeps quiet about
    would stay in the hands of whoever has the server. Those alone are left as they are whose key files are named.

    Raises:
        FleetrollError: it is offline already, or what the server refuses.
    """
    desk = Desk(client, ring.folders, order)
    at_hand = roles_at_hand(desk, ring)
    if TARGETS in at_hand or TARGETS in desk.signed_here:
        raise invalid("signing_mode", "the key of targets is here, not on the server", "exchange keys with keys rotate")
    if TARGETS not in desk.said_held():
        what = "the server says that it holds no key of targets"
        raise invalid("signing_mode", what, "where it has one all the same: keys rotate targets products/NAME")
    for role, count in at_hand.items():
        if role not in (ROOT, *ONLINE_ROLES) and count < desk.standing[role].threshold:
            what = f"{count} key files of {role} are named, {desk.standing[role].threshold} sign it"
            raise invalid(
                "key", what, "name all that sign it, so that it stays with them, or none, so that it gets others"
            )
    ordered = [role for role in desk.standing if role not in (ROOT, *ONLINE_ROLES, *at_hand)]
    made = {role: _new(desk, role, counts, ring.out, first=True) for role in ordered}
    successors = {role: _set(desk, role, keys, counts) for role, keys in made.items()}
    _sign(desk, successors, [key for keys in made.values() for key in keys], ring)


def add_product(
    client: AdminClient, product: str, counts: Mapping[str, tuple[int, int]], ring: Ring, order: Order
) -> None:
    """Let releases of one more product be published, signed by a key that is made here.

    Raises:
        FleetrollError: its name, or what the server refuses.
    """
    desk, role = Desk(client, ring.folders, order), role_name(check_product(product))
    if role in desk.standing:
        raise invalid("product", f"the repository has {product}", "publish to it, or rotate its keys")
    made = _new(desk, role, counts, ring.out, first=True)
    _sign(desk, {role: _set(desk, role, made, counts)}, made, ring)


def _rotate_on_server(desk: Desk, on_server: Sequence[str], here: Sequence[str], ring: Ring) -> None:
    """Exchange keys that a managed server holds: the root names that of targets, and the server does the rest."""
    if here or TARGETS not in on_server:
        what = "the server holds the keys of targets and products: the root names those of targets, these the products'"
        raise invalid("roles", what, f"rotate {TARGETS} with them, and the others by themselves")
    prepared = desk.prepare(on_server)
    named = {role: keys for role, keys in prepared.items() if role in (TARGETS, *ONLINE_ROLES)}
    signers = open_keys(ring.files, ring.passphrases, [desk.standing])
    files = rotate_held(desk.files, named, signers, desk.now)
    desk.bring(Act(files, ring.out, says=desk.exchanged(prepared, on_server), server_signs=True), ring.passphrases)


def _sign(
    desk: Desk, successors: Mapping[str, KeySet], made: Sequence[NewKey], ring: Ring, by_server: Sequence[str] = ()
) -> None:
    """Sign an exchange with the keys at hand and the new ones, and bring it."""
    opened = open_keys(ring.files, ring.passphrases, [desk.standing, successors])
    signers = _joined(opened, made)
    files = rotate(desk.files, successors, signers, desk.now)
    desk.bring(Act(files, ring.out, made, desk.exchanged(successors, by_server)), ring.passphrases)


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
