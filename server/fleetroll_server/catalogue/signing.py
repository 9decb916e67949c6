"""Signing what follows the newest metadata, and committing it with whatever belongs to it: both or neither."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from fleetroll_publishing.roles import TIMESTAMP_FILE, read_repository
from fleetroll_publishing.sealing import is_signed
from fleetroll_server.catalogue.keys import load_signers
from fleetroll_server.catalogue.metadata import add_files, current_files, timestamp_version

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping
    from datetime import datetime

    from fleetroll_publishing.roles import Repository
    from fleetroll_publishing.signers import RoleSigners
    from fleetroll_server.services import Services
    from fleetroll_server.store import Tx

    Act = Callable[[Mapping[str, bytes], RoleSigners, datetime], dict[str, bytes]]

_T = TypeVar("_T")


async def sign_and_commit(
    services: Services, act: Act, store: Callable[[Tx, Repository], Awaitable[_T]], replaced: Collection[str] = ()
) -> _T:
    """Sign from the newest files and store what was signed.

    The caller MUST hold :attr:`~fleetroll_server.catalogue.catalogue.Catalogue.signing`: one at a time in this process
    by the lock, by compare-and-set between processes.

    Args:
        services: the shared parts; every agent is told of the new timestamp after the commit, where it is signed.
        act: makes the new files of the old ones; it runs in a thread.
        store: writes the rows that belong to it, in the same transaction; gets the repository as it is then.
        replaced: as for :func:`~fleetroll_server.catalogue.metadata.add_files`.

    Raises:
        RequestError: what ``act`` or ``store`` refuses; CONFLICT: another process signed meanwhile (caller's fault).
        StoreError: nothing was stored.
    """
    async with services.store.read() as connection:
        old = await current_files(connection)
        signers = await load_signers(connection, services.secrets)
    new = await asyncio.to_thread(act, old, signers, services.clock.now())
    repository, version = read_repository({**old, **new}), timestamp_version(new)

    async def job(tx: Tx) -> _T:
        await add_files(tx, old, new, replaced)
        stored = await store(tx, repository)
        if is_signed(new[TIMESTAMP_FILE]):
            tx.after_commit(lambda: services.catalogue.announce(version))
        return stored

    return await services.store.writer.command(job)
