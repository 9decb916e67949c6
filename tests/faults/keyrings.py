"""An owner with key files, as values: which keys sign what now, and which of them somebody has stolen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_common.trust.listing import role_name
from fleetroll_publishing.committing import seal_commit
from fleetroll_publishing.rotation import KeySet, key_sets, rotate
from fleetroll_publishing.signers import RoleSigners
from tests.faults.repositories import Repository, signer

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from itertools import count

    from fleetroll_common.trust.library import Signer


class Owner:
    """Rotates the keys of a simulated repository.

    Attributes:
        repository: what hosts are shown.
        revoked: by role, signers whose keys no file names any more.
    """

    def __init__(self, repository: Repository, numbers: count[int]) -> None:
        """Begin with the repository's own keys; ``numbers`` make new ones."""
        self.repository = repository
        self.revoked: list[tuple[str, Signer]] = []
        self._numbers = numbers

    def fresh(self) -> Signer:
        """Return the signer of a key that nobody has seen."""
        return signer(f"fresh {next(self._numbers)}")

    def rotate(self, *roles: str) -> dict[str, bytes]:
        """Give each role new keys, as many as it had, and have it committed; return what was signed offline."""
        return self.replace({role: [self.fresh() for _ in self._every(role)] for role in roles})

    def revoke_one(self, role: str) -> dict[str, bytes]:
        """Exchange the first key of a role."""
        return self.replace({role: [*self._every(role)[1:], self.fresh()]})

    def renew(self, *roles: str) -> dict[str, bytes]:
        """Sign roles again."""
        return self.replace({}, renewed=roles)

    def replace(self, by: Mapping[str, list[Signer]], renewed: Collection[str] = ()) -> dict[str, bytes]:
        """Let these sign, and have it committed."""
        repository = self.repository
        before = key_sets(repository.files)
        successors = {
            role: KeySet(tuple(each.public_key for each in signers), before[role].threshold)
            for role, signers in by.items()
        }
        old, new = repository.signers, self._after(by)
        both = RoleSigners([*old.root, *new.root], new.targets, new.products, new.snapshot, new.timestamp)
        offline = rotate(repository.files, successors, both, repository.now, renewed=renewed)
        repository.files |= seal_commit(repository.files, offline, new, repository.now)
        for role, signers in by.items():
            kept = {each.public_key.keyid for each in signers}
            self.revoked += [(role, each) for each in old.every(role) if each.public_key.keyid not in kept]
        repository.signers = new
        return offline

    def _every(self, role: str) -> tuple[Signer, ...]:
        return self.repository.signers.every(role)

    def _after(self, by: Mapping[str, list[Signer]]) -> RoleSigners:
        old = self.repository.signers
        products = {name: by.get(role_name(name), signers) for name, signers in old.products.items()}
        return RoleSigners(
            by.get("root", old.root),
            by.get("targets", old.targets),
            products,
            by["snapshot"][0] if "snapshot" in by else old.snapshot,
            by["timestamp"][0] if "timestamp" in by else old.timestamp,
        )
