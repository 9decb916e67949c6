"""The catalogue as the other rooms see it: reads, publishing, and metadata that stays fresh."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from fleetroll_common.trust.listing import role_name
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import FleetrollError
from fleetroll_publishing.committing import seal_commit
from fleetroll_publishing.repository import refresh_snapshot, refresh_timestamp
from fleetroll_publishing.roles import TIMESTAMP_FILE, read_repository
from fleetroll_publishing.rotation import key_sets, renew
from fleetroll_publishing.sealing import is_signed
from fleetroll_server.catalogue.keys import load_signers
from fleetroll_server.catalogue.metadata import add_files, current_files, timestamp_version
from fleetroll_server.gateway.convert_out import metadata_notice

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from fleetroll_common.trust.library import Timestamp
    from fleetroll_publishing.roles import Repository
    from fleetroll_publishing.rotation import KeySet
    from fleetroll_publishing.signers import RoleSigners
    from fleetroll_server.services import Services, Sessions
    from fleetroll_server.store import Store, Tx

SNAPSHOT_LEFT = timedelta(days=3, hours=12)
"""A snapshot is valid for 7 days and signed again at half of that, whether or not anything was published."""
ROLE_LEFT = timedelta(days=90)
"""Targets and products of a managed repository are valid for a year; nobody else could sign them again."""
RETRY_SECONDS = 60.0
"""After a signature that failed; the old timestamp is good for hours then."""
_log = structlog.get_logger(__name__)


class Catalogue:
    """What this process knows of the newest metadata. Releases are read by :mod:`fleetroll_server.catalogue.reads`."""

    def __init__(self, version: int, sessions: Sessions) -> None:
        """Start at the timestamp's ``version``; tell ``sessions`` about newer ones."""
        self._version = version
        self._sessions = sessions
        self.signing = asyncio.Lock()
        """Held from the reading of the newest metadata to the commit of what was signed from it, by whoever signs."""

    @classmethod
    async def load(cls, store: Store, sessions: Sessions) -> Catalogue:
        """Read where the metadata stands.

        Raises:
            StoreError: it can't be read.
        """
        async with store.read() as connection:
            return cls(timestamp_version(await current_files(connection)), sessions)

    @property
    def timestamp_version(self) -> int:
        """Return the version of the newest timestamp that was committed."""
        return self._version

    def announce(self, version: int) -> None:
        """Take note of a committed timestamp and tell every agent."""
        if version <= self._version:
            return
        self._version = version
        self._sessions.broadcast(metadata_notice(version), lambda _session: True)


class Freshness:
    """Signs the timestamp again in time, the snapshot when half of its life is over, and what else it has the keys of.

    A background service.
    """

    def __init__(self, services: Services) -> None:
        """Prepare; nothing runs before :meth:`start`."""
        self._services = services
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run(), name="metadata-freshness")

    async def drain(self) -> None:
        """Nothing is to be done: signing goes on until the stop."""

    async def stop(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        """Sleep until the next signature is due, sign, again."""
        while True:
            try:
                pause = await self.sign_if_due()
            except FleetrollError as error:
                _log.warning("metadata.not_signed", code=str(error.code), reason=error.message)
                pause = RETRY_SECONDS
            except Exception:  # noqa: BLE001 (the next turn must come: else all installs stop in a day)
                _log.exception("metadata.not_signed")
                pause = RETRY_SECONDS
            await asyncio.sleep(pause)

    async def sign_if_due(self) -> float:
        """Sign what is due; return in how many seconds something is due next.

        Raises:
            FleetrollError: it could not be signed or stored.
        """
        async with self._services.catalogue.signing:
            return await self._sign_if_due()

    async def _sign_if_due(self) -> float:
        """Do it under the lock."""
        services = self._services
        async with services.store.read() as connection:
            old = await current_files(connection)
            signers = await load_signers(connection, services.secrets)
        if not is_signed(old[TIMESTAMP_FILE]):  # the keys are elsewhere; whoever exchanges them has the lists signed
            return services.settings.timestamp_seconds
        repository, now = read_repository(old), services.clock.now()
        due = self._due_in(repository.timestamp)
        if due > 0:
            return due
        new = await asyncio.to_thread(_signed_again, old, repository, signers, now)
        version = timestamp_version(new)

        async def job(tx: Tx) -> None:
            await add_files(tx, old, new)
            tx.after_commit(lambda: services.catalogue.announce(version))

        try:
            await services.store.writer.command(job)
        except FleetrollError as error:
            if error.code is not Code.CONFLICT:
                raise
            return 0.0  # somebody published meanwhile, which signed a timestamp: look again
        _log.info("metadata.signed", timestamp=version, file=TIMESTAMP_FILE)
        return services.settings.timestamp_seconds

    def _due_in(self, timestamp: Timestamp) -> float:
        """Return the seconds until the timestamp has to be signed again, by its own expiry."""
        age = timedelta(days=1) - (timestamp.expires - self._services.clock.now())
        return self._services.settings.timestamp_seconds - age.total_seconds()


def _signed_again(
    old: Mapping[str, bytes], repository: Repository, signers: RoleSigners, now: datetime
) -> dict[str, bytes]:
    """Return the next timestamp with whatever else is due: the snapshot, and roles whose keys are here."""
    signed = {"targets": repository.targets} | {role_name(name): role for name, role in repository.products.items()}
    soon = {role for role, each in signed.items() if each.expires - now < ROLE_LEFT}
    ends_soon = [role for role, keys in key_sets(old).items() if role in soon and _can_sign(signers, role, keys)]
    if ends_soon:
        try:
            return seal_commit(old, renew(old, ends_soon, signers, now), signers, now)
        except FleetrollError as error:  # roles that end in weeks must not keep the lists from being signed today
            _log.warning("metadata.roles_not_renewed", roles=ends_soon, code=str(error.code), reason=error.message)
    again = refresh_snapshot if repository.snapshot.expires - now < SNAPSHOT_LEFT else refresh_timestamp
    return again(old, signers, now)


def _can_sign(signers: RoleSigners, role: str, keys: KeySet) -> bool:
    """Tell whether enough keys of ``role`` are here."""
    here = {signer.public_key.keyid for signer in signers.every(role)}
    return len(here.intersection(key.keyid for key in keys.keys)) >= keys.threshold
