"""Signing on this machine: verbs become the next role of each product, and all of them go to the server in one step.

In this order: verbs are applied, the keys are opened, all of it is signed and checked here (:meth:`Desk.prepare`);
whoever has to be asked is asked; then it goes to the server once (:meth:`Desk.commit`). Nothing that counts leaves this
machine before that, in no trial run either: what is signed counts for whoever has it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from fleetroll.v1 import releases_pb2 as pb
from fleetroll_cli.context import CALL_SECONDS
from fleetroll_cli.output import note
from fleetroll_cli.repository import ServerRepository
from fleetroll_client import translate
from fleetroll_common.trust.listing import role_name
from fleetroll_common.values.clock import SystemClock
from fleetroll_publishing.carrying.chain import FIRST_ROOT
from fleetroll_publishing.commit_gate import check_commit
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
class Prepared:
    """What is signed here and has not left this machine.

    Attributes:
        roles: that follow, by product.
        files: the same, signed, by name.
    """

    roles: Mapping[str, Targets]
    files: Mapping[str, bytes]

    @property
    def versions(self) -> dict[str, int]:
        """Return the versions of the roles that follow, by product."""
        return {product: role.version for product, role in self.roles.items()}


@dataclass(frozen=True, slots=True)
class Said:
    """What goes with a commit, unsigned.

    Attributes:
        reason: in words.
        notes: of releases that are new by it.
        stranded: by product, hosts that a floor which rises leaves without a way up.
        recall: what is yanked by it is taken back from the hosts that it came to.
    """

    reason: str = ""
    notes: Sequence[pb.ReleaseNotes] = ()
    stranded: Mapping[str, int] = field(default_factory=dict)
    recall: bool = False


@dataclass(frozen=True, slots=True)
class Signed:
    """What was signed here and taken by the server.

    Attributes:
        versions: of the products' roles now, by product.
        releases: that are new or changed.
        reverts: rollouts that a recall started.
    """

    versions: Mapping[str, int]
    releases: Sequence[pb.Release]
    reverts: Sequence[str] = ()


class Desk:
    """One repository, verified, and the keys that sign on it."""

    def __init__(self, client: AdminClient, keys: Keyring) -> None:
        """Read the repository of the server and hold it against what this publisher has seen.

        Raises:
            FleetrollError: it can't be had, can't be trusted, or is older.
        """
        self._client, self._keys = client, keys
        known = keys.publisher.knows_root
        self.repository: Repository = keys.publisher.read(ServerRepository(client), SystemClock())
        if not known:
            root_sha256 = hashlib.sha256(self.repository.files[FIRST_ROOT]).hexdigest()
            note(f"no {FIRST_ROOT} lies beside the keys: the server's first root is believed, SHA-256 {root_sha256}")

    def role(self, product: str) -> Targets:
        """Return the role of ``product`` as it is listed.

        Raises:
            RequestError: NOT_FOUND (caller's fault).
        """
        return self.repository.product(product)

    def prepare(self, changes: Mapping[str, Sequence[Change]]) -> Prepared:
        """Apply verbs by product, open the keys, sign every role and check the whole set; nothing is sent.

        Raises:
            RequestError: what the verbs or the gate refuse; a key is missing or is not opened (caller's fault).
            TrustError: what was signed would not be believed.
        """
        now = datetime.now(UTC)
        roles = {product: changed_role(product, self.role(product), verbs) for product, verbs in changes.items()}
        signers = {product: self._keys.signers(self.repository, product) for product in roles}
        files = {}
        for product, role in roles.items():
            data = sign_product(role, signers[product], now)
            check_product(self.repository.files, product, data, now)
            files[file_name(role_name(product), role.version)] = data
        check_commit(self.repository.files, files, now)
        return Prepared(roles, files)

    def commit(self, prepared: Prepared, said: Said | None = None) -> Signed:
        """Have the server take all of it or nothing.

        Raises:
            RequestError: what the server refuses; CONFLICT: somebody published meanwhile (caller's fault).
        """
        said = said or Said()
        request = pb.CommitMetadataRequest(
            files=[pb.MetadataFile(name=name, payload=data) for name, data in prepared.files.items()],
            notes=said.notes,
            reason=said.reason,
            stranded=said.stranded,
            recall=said.recall,
        )
        with translate():
            answer = self._client.releases.CommitMetadata(request, timeout=COMMIT_SECONDS)
        self._keys.publisher.committed(prepared.files)
        return Signed(prepared.versions, list(answer.releases), list(answer.reverts))
