"""Who signs which role. A seam: a signer may hold its key in memory, in a file, or one day in a device."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from fleetroll_common.trust.library import Key, Role, SecretsHandler, Signature, Signer
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_publishing.keys import Passphrase, PrivateKey, load_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fleetroll_common.trust.keys import NaClKey

FILE_SCHEME = "fleetroll-key"
"""``fleetroll-key:/folder/root-1.key`` names a key file; its passphrase is asked for."""

_PRODUCTS = "products/"


class NaClSigner(Signer):
    """Signs with a key in memory."""

    def __init__(self, key: PrivateKey) -> None:
        self._key = key

    @property
    def public_key(self) -> NaClKey:
        """Return the public half."""
        return self._key.public

    def sign(self, payload: bytes) -> Signature:
        """Return the signature over ``payload``, under the key's id."""
        return Signature(self.public_key.keyid, self._key.sign(payload).hex())

    @classmethod
    def from_priv_key_uri(
        cls, priv_key_uri: str, public_key: Key, secrets_handler: SecretsHandler | None = None
    ) -> NaClSigner:
        """Return the signer whose key file ``priv_key_uri`` names.

        Raises:
            RequestError: no such file, no passphrase, a wrong one, or a file of another key (caller's fault).
        """
        scheme, _, location = priv_key_uri.partition(":")
        if scheme != FILE_SCHEME or secrets_handler is None:
            raise RequestError(
                f"key: {scheme!r} does not name a key file, or nobody can be asked for its passphrase",
                code=Code.INVALID_ARGUMENT,
                remedy=f"name it as {FILE_SCHEME}:<path>",
            )
        signer = cls(load_key(Path(location), Passphrase(secrets_handler("passphrase"))))
        if signer.public_key != public_key:
            raise RequestError(
                f"the file {Path(location).name!r} holds another key than {public_key.keyid[:16]}",
                code=Code.INVALID_ARGUMENT,
                remedy="name the file of the right key",
            )
        return signer


@dataclass(frozen=True, slots=True)
class RoleSigners:
    """The signers at hand. What an act does not need may be missing; what it needs and is missing is named.

    Attributes:
        root: of the root, offline; at least the threshold to make or change a root.
        targets: of the top-level targets role, one or several.
        products: by product name, one or several.
        snapshot: online.
        timestamp: online.
        thresholds: by role name, how many signatures a role wants that an act makes new; 1 where nothing is said.
    """

    root: Sequence[Signer] = ()
    targets: Signer | Sequence[Signer] | None = None
    products: Mapping[str, Signer | Sequence[Signer]] = field(default_factory=dict)
    snapshot: Signer | None = None
    timestamp: Signer | None = None
    thresholds: Mapping[str, int] = field(default_factory=dict)

    def every(self, role: str) -> tuple[Signer, ...]:
        """Return all signers of a role: ``root``, ``targets``, ``snapshot``, ``timestamp`` or ``products/<name>``."""
        if role.startswith(_PRODUCTS):
            found = self.products.get(role.removeprefix(_PRODUCTS))
        else:
            tops = {"root": self.root, "targets": self.targets, "snapshot": self.snapshot, "timestamp": self.timestamp}
            found = tops[role]
        if found is None:
            return ()
        return (found,) if isinstance(found, Signer) else tuple(found)

    def of(self, role: str) -> Signer:
        """Return the signer of a role, the first where there are several.

        Raises:
            RequestError: it is not at hand: NOT_ALLOWED (caller's fault).
        """
        found = self.every(role)
        if not found:
            raise RequestError(
                f"the key of {role} is not at hand",
                code=Code.NOT_ALLOWED,
                remedy="bring the key's file, or act where it is kept",
                role=role,
            )
        return found[0]

    def enough(self, role: str, named: Role) -> list[Signer]:
        """Return as many signers of ``role`` as ``named`` wants, of those that it names, and not one more.

        One more would let a file with a damaged signature pass for the signed one.

        Raises:
            RequestError: there are fewer at hand: NOT_ALLOWED (caller's fault).
        """
        holders = [signer for signer in self.every(role) if signer.public_key.keyid in named.keyids]
        if len(holders) < named.threshold:
            raise RequestError(
                f"{role}: {len(holders)} of its keys are at hand, {named.threshold} are needed",
                code=Code.NOT_ALLOWED,
                remedy="bring the files of more of its keys, or act where they are kept",
                role=role,
            )
        return holders[: named.threshold]
