"""Signing on this machine: verbs become the next role of each product, and all of them go to the server in one step."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from fleetroll.v1 import releases_pb2 as pb
from fleetroll_cli.context import CALL_SECONDS
from fleetroll_cli.repository import ServerRepository
from fleetroll_client import translate
from fleetroll_common.trust.listing import role_name
from fleetroll_common.values.clock import SystemClock
from fleetroll_publishing.gate import check_product
from fleetroll_publishing.roles import file_name
from fleetroll_publishing.verbs import changed_role, sign_product

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fleetroll_cli.keyring import Keyring
    from fleetroll_client import AdminClient
    from fleetroll_common.trust.library import Targets
    from fleetroll_publishing.roles import Repository
    from fleetroll_publishing.verbs import Change

COMMIT_SECONDS = 4 * CALL_SECONDS
"""A commit verifies and signs several roles."""


@dataclass(frozen=True, slots=True)
class Signed:
    """What was signed here and taken by the server.

    Attributes:
        versions: of the products' roles now, by product.
        releases: that are new or changed.
    """

    versions: Mapping[str, int]
    releases: Sequence[pb.Release]


class Desk:
    """One repository, verified, and the keys that sign on it."""

    def __init__(self, client: AdminClient, keys: Keyring) -> None:
        """Read the repository of the server and hold it against what this publisher has seen.

        Raises:
            FleetrollError: it can't be had, can't be trusted, or is older.
        """
        self._client, self._keys = client, keys
        self.repository: Repository = keys.publisher.read(ServerRepository(client), SystemClock())

    def role(self, product: str) -> Targets:
        """Return the role of ``product`` as it is listed.

        Raises:
            RequestError: NOT_FOUND (caller's fault).
        """
        return self.repository.product(product)

    def sign(
        self,
        changes: Mapping[str, Sequence[Change]],
        *,
        reason: str = "",
        notes: Sequence[pb.ReleaseNotes] = (),
        dry_run: bool = False,
    ) -> Signed:
        """Apply verbs by product, sign every role, and commit all of them or none.

        Raises:
            RequestError: what the verbs, the gate or the server refuse; CONFLICT: somebody published meanwhile
                (caller's fault).
            TrustError: what was signed would not be believed.
        """
        now = datetime.now(UTC)
        roles = {product: changed_role(product, self.role(product), verbs) for product, verbs in changes.items()}
        signed = {
            product: sign_product(role, self._keys.signers(self.repository, product), now)
            for product, role in roles.items()
        }
        for product, data in signed.items():
            check_product(self.repository.files, product, data, now)
        request = pb.CommitMetadataRequest(
            files=[
                pb.MetadataFile(name=file_name(role_name(product), roles[product].version), payload=data)
                for product, data in signed.items()
            ],
            notes=notes,
            reason=reason,
            dry_run=dry_run,
        )
        with translate():
            answer = self._client.releases.CommitMetadata(request, timeout=COMMIT_SECONDS)
        if not dry_run:
            for product, data in signed.items():
                self._keys.publisher.committed(product, roles[product].version, data)
        return Signed({product: role.version for product, role in roles.items()}, list(answer.releases))
