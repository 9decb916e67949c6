"""Stores signed files that the database had forgotten, whoever shows them: in one transaction, or not at all.

What is verified and newer is signed into snapshot and timestamp; releases that only the taken-over roles know become
rows again, without their notes. Their artefacts may have to be uploaded again.

Where the newest root names keys of snapshot or timestamp that are not here, the files are stored all the same, under
lists that nobody has signed: what the older keys signed leads nowhere any more and is shown to no host, and the next
exchange of these keys signs the lists.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fleetroll_publishing.roles import file_name, read_repository
from fleetroll_server.catalogue.relisting import relist
from fleetroll_server.catalogue.signing import sign_and_commit
from fleetroll_server.recovery.missing import locked_recovery
from fleetroll_server.recovery.shown_files import PRODUCTS, followed
from fleetroll_server.recovery.state import refuse_unless_recovering
from fleetroll_server.store import EventFact

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from fleetroll_publishing.roles import Repository
    from fleetroll_publishing.signers import RoleSigners
    from fleetroll_server.access.caller import Caller
    from fleetroll_server.recovery.shown_files import Verified
    from fleetroll_server.services import Services
    from fleetroll_server.store import Tx


@dataclass(frozen=True, slots=True)
class Taken:
    """What is taken over.

    Attributes:
        known: the repository as it is here.
        roots: that follow its newest one, by name.
        shown: verified under the newest of them.
        unsigned: the keys of snapshot or timestamp that it names are not here.
    """

    known: Mapping[str, bytes]
    roots: Mapping[str, bytes]
    shown: Verified
    unsigned: bool


async def take(services: Services, taken: Taken, caller: Caller, reason: str = "") -> None:
    """Do it. The lock of whoever signs MUST be held.

    Raises:
        RequestError: CONFLICT: another process has signed meanwhile, or releases are told otherwise here; RECOVERY: the
            lists would stay unsigned, and the recovery is over (caller's fault).
        TrustError: the files do not fit together.
        StoreError: nothing was stored.
    """
    before = read_repository({**taken.known, **taken.roots})

    def act(old: Mapping[str, bytes], signers: RoleSigners, now: datetime) -> dict[str, bytes]:
        held = {**old, **taken.roots}
        return {**taken.roots, **followed(held, signers, now, taken.shown, unsigned=taken.unsigned)}

    async def store(tx: Tx, after: Repository) -> None:
        if taken.unsigned:
            refuse_unless_recovering(await locked_recovery(tx))
        await _list(tx, services, before, after, taken.shown, caller)
        roles = " ".join([*(["root"] if taken.roots else []), *sorted(taken.shown.roles)])
        facts = {"timestamp": str(after.timestamp.version), "roles": roles, "signed": str(not taken.unsigned).lower()}
        kind, by = "recovery.metadata", (caller.actor_kind, caller.actor_id)
        tx.emit(EventFact(fleet_id="", kind=kind, actor_kind=by[0], actor_id=by[1], reason=reason, facts=facts))

    names = [file_name(role, version) for role, (version, _data) in taken.shown.roles.items()]
    await sign_and_commit(services, act, store, [name for name in names if name in taken.known])


async def _list(
    tx: Tx, services: Services, before: Repository, after: Repository, shown: Verified, caller: Caller
) -> None:
    """Let releases, their channels and what was taken back follow a taken-over role, as when it was committed."""
    for role in shown.roles:
        product = role.removeprefix(PRODUCTS)
        if product != role:
            old, new = before.products.get(product), after.product(product)
            await relist(tx, services, product, old, new, {}, caller, was_committed=True)
