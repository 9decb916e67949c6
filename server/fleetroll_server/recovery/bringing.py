"""A publisher brings what was signed in the time that the database has lost: no host may be able to.

1. In a recovery, whatever is genuine and newer is taken, a root too under which this server can sign nothing yet.
2. After it, what it can sign above: publishers have their machines in several places, and whoever ends a recovery does
   not know of every role that somebody has signed. A fleet that is at work is not left without signed lists.
3. A server that never went back has lost nothing; there, one version follows the other (:mod:`..catalogue.commit`).

What is taken is decided by signatures alone (:mod:`.brought`); whoever calls may only call.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_server.catalogue.keys import load_signers
from fleetroll_server.catalogue.metadata import current_files
from fleetroll_server.recovery.brought import judge
from fleetroll_server.recovery.roots import unheld_roles
from fleetroll_server.recovery.state import recovery_of, refuse_unless_recovering
from fleetroll_server.recovery.taking import Taken, take

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fleetroll_server.access.caller import Caller
    from fleetroll_server.services import Services


async def bring(services: Services, files: Mapping[str, bytes], caller: Caller, reason: str) -> tuple[str, ...]:
    """Take what of ``files`` this server does not have; return its names.

    Raises:
        RequestError: NOT_ALLOWED: the server never went back; RECOVERY: it could sign nothing, and is in none; what
            :func:`~fleetroll_server.recovery.brought.judge` refuses (caller's fault).
        TrustError: a file can't be trusted, or they do not fit together.
        StoreError: nothing was stored.
    """
    async with services.catalogue.signing:
        async with services.store.read() as connection:
            known = await current_files(connection)
            signers = await load_signers(connection, services.secrets)
            recovery = await recovery_of(connection)
        if recovery is None:
            message = "recovery: this server never went back; it has what it was given"
            remedy = "restore its backup with fleetroll-server restore if it lost something; else publish as always"
            raise RequestError(message, code=Code.NOT_ALLOWED, remedy=remedy)
        brought = await asyncio.to_thread(judge, known, files, services.clock.now())
        lacking = unheld_roles(brought.before.root, signers)
        if brought.names:
            if lacking:
                refuse_unless_recovering(recovery)
            await take(services, Taken(known, brought.roots, brought.shown, unsigned=bool(lacking)), caller, reason)
    return brought.names
