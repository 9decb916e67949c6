"""Keys that this server makes for the next root: they sign nothing before one that names them is committed.

Each preparation makes new ones, and those that waited are gone. Whoever has a copy of this server from before knows
none of the keys that the owner's next root will name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_publishing.demands import ONLINE_ROLES, invalid
from fleetroll_publishing.keys import PrivateKey
from fleetroll_server.catalogue.keys import held_keys, replace_prepared
from fleetroll_server.store import EventFact

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fleetroll_server.access.caller import Caller
    from fleetroll_server.services import Services
    from fleetroll_server.store import Tx

ROLES_MAX = 64


async def prepare(services: Services, roles: Sequence[str], caller: Caller) -> dict[str, PrivateKey]:
    """Return a new key for each of ``roles`` that waits for a root that names it; one that waited is gone.

    Raises:
        RequestError: INVALID_ARGUMENT: no role, or one twice; NOT_ALLOWED: a role that this server does not sign
            (caller's fault).
        StoreError: nothing was stored.
    """
    if not 1 <= len(roles) <= ROLES_MAX or len(set(roles)) != len(roles):
        raise invalid("roles", f"{len(roles)} roles; 1 to {ROLES_MAX} are taken, each once")

    async def job(tx: Tx) -> dict[str, PrivateKey]:
        held = await held_keys(tx.connection, services.secrets)
        for role in roles:
            if role not in (*ONLINE_ROLES, *held):
                raise RequestError(
                    f"roles: this server does not sign {role[:80]!r}",
                    code=Code.NOT_ALLOWED,
                    remedy="make that key where the role is signed, and name its public half in the root or in targets",
                    field="roles",
                )
        fresh = {role: PrivateKey.generate() for role in roles}
        await replace_prepared(tx, fresh, services.secrets)
        tx.emit(_event(fresh, caller))
        return fresh

    async with services.catalogue.signing:
        return await services.store.writer.command(job)


def _event(fresh: dict[str, PrivateKey], caller: Caller) -> EventFact:
    """Return the fact for watchers; it belongs to no fleet."""
    return EventFact(
        fleet_id="",
        kind="keys.prepared",
        actor_kind=caller.actor_kind,
        actor_id=caller.actor_id,
        message=", ".join(sorted(fresh)),
        facts={role: key.public.keyid for role, key in fresh.items()},
    )
