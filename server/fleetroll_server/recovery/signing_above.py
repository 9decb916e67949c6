"""Signs roles whose lost version nobody could bring back above that version, where this server has their keys.

Hosts refuse a version below the one that they trust. What was listed in the lost version alone is not listed any more:
it has to be published again. A role whose key is elsewhere stays named as missing until its publisher has signed it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from fleetroll_common.values.errors import FleetrollError
from fleetroll_publishing.roles import file_name, read_repository, sign_role
from fleetroll_publishing.sealing import DEFAULT_EXPIRIES, following, seal
from fleetroll_server.catalogue.metadata import current_files
from fleetroll_server.catalogue.signing import sign_and_commit
from fleetroll_server.recovery.minting import ACTOR
from fleetroll_server.recovery.missing import still_missing
from fleetroll_server.recovery.shown_files import PRODUCTS
from fleetroll_server.recovery.state import recovery_of
from fleetroll_server.store import EventFact

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from fleetroll_publishing.roles import Repository
    from fleetroll_publishing.signers import RoleSigners
    from fleetroll_server.services import Services
    from fleetroll_server.store import Tx

_log = structlog.get_logger(__name__)


async def sign_above(services: Services) -> None:
    """Do it. What can't be signed is logged, and stays named."""
    async with services.store.read() as connection:
        recovery = await recovery_of(connection)
        repository = read_repository(await current_files(connection))
    missing = {} if recovery is None else still_missing(recovery, repository)
    for role, version in missing.items():
        try:
            await _sign(services, role, version + 1)
        except FleetrollError as error:
            _log.warning("recovery.not_signed_above", role=role, version=version, reason=error.message)


async def _sign(services: Services, role: str, version: int) -> None:
    """Sign one role as it stands here, under ``version``."""

    def act(old: Mapping[str, bytes], signers: RoleSigners, now: datetime) -> dict[str, bytes]:
        repository = read_repository(old)
        signers.of(role)
        is_product = role.startswith(PRODUCTS)
        signed = repository.product(role.removeprefix(PRODUCTS)) if is_product else repository.targets
        signed.version = version
        new = {file_name(role, version): sign_role(signed, signers.every(role))}
        return seal(following(old, signers, now, DEFAULT_EXPIRIES), new, {role: version})

    async def store(tx: Tx, _after: Repository) -> None:
        kind, facts = "recovery.signed_above", {"role": role, "version": str(version)}
        tx.emit(EventFact(fleet_id="", kind=kind, actor_kind=ACTOR.kind, actor_id=ACTOR.id, facts=facts))

    async with services.catalogue.signing:
        await sign_and_commit(services, act, store)
