"""What a product's role listed before: for verbs about a release that the newest role has no more.

A server shows older files; it does not choose what they say. Each has to be the role of its version, signed by the keys
that the newest targets role names for the product, or that an older one named which the chain of roots verifies. The
newest of them that lists the release is the one that counts; none may be missing on the way there.

Not done here: whether the server holds the same in its rows; it compares by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_common.trust import MetadataAbsent
from fleetroll_common.trust.library import Root, Targets
from fleetroll_common.trust.limits import bytes_max
from fleetroll_common.trust.listing import role_name
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError, TrustError
from fleetroll_publishing.policies import releases_in
from fleetroll_publishing.roles import delegated_roles, file_name, read_role, root_versions
from fleetroll_publishing.verifying import untrusted, verified

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fleetroll_common.trust import MetadataSource
    from fleetroll_common.values.version import Version
    from fleetroll_publishing.roles import Repository


def last_digests(source: MetadataSource, repository: Repository, product: str, version: Version) -> tuple[str, ...]:
    """Return the digests of a release's artefacts, by the last role that listed it. Blocks.

    Args:
        source: where older files are fetched from.
        repository: the newest files, verified.
        product: its name.
        version: of a release that was taken off the list.

    Raises:
        RequestError: NOT_FOUND: no role listed it, or a role on the way there is missing (whoever keeps the files).
        TrustError: a role is signed by nobody who ever might, or is another one (whoever shows it).
        FleetrollError: a file can't be had.
    """
    role = role_name(product)
    delegators = _Delegators(source, repository, role)
    for number in range(repository.product(product).version - 1, 0, -1):
        found = releases_in(delegators.verified(_fetched(source, role, number), number)).get(version)
        if found:
            return tuple(sorted(target.hashes["sha256"] for target in found))
    message = f"version: no signed list of {product} has ever had {version}"
    raise RequestError(message, code=Code.NOT_FOUND, remedy="name a release that was published", field="version")


class _Delegators:
    """The targets roles that named the product's keys, newest first; older ones are fetched when they are needed."""

    def __init__(self, source: MetadataSource, repository: Repository, role: str) -> None:
        self._role = role
        self._known = [repository.targets]
        self._older = self._fetch_older(source, repository)

    def verified(self, data: bytes, number: int) -> Targets:
        """Return the role in ``data``; it was signed by what the newest targets name, or older ones did."""
        tried = 0
        while True:
            for delegator in self._known[tried:]:
                tried += 1
                if self._role not in delegated_roles(delegator):
                    continue
                try:
                    signed = verified(data, self._role, delegator)
                except TrustError as error:
                    if error.code is not Code.UNSIGNED:
                        raise
                    continue
                if not isinstance(signed, Targets) or signed.version != number:
                    raise untrusted(Code.METADATA_MIXED, self._role, f"of version {number} is another file")
                return signed
            if (older := next(self._older, None)) is None:
                raise untrusted(Code.UNSIGNED, self._role, f"of version {number} is signed by nobody who ever might")
            self._known.append(older)

    @staticmethod
    def _fetch_older(source: MetadataSource, repository: Repository) -> Iterator[Targets]:
        """Yield older targets roles, newest first, each signed as one of the roots demands."""
        roots = [
            read_role(repository.files, Root, file_name("root", version))
            for version in sorted(root_versions(repository.files), reverse=True)
        ]
        for number in range(repository.targets.version - 1, 0, -1):
            data = _fetched(source, "targets", number)
            for root in roots:
                try:
                    signed = verified(data, "targets", root)
                except TrustError as error:
                    if error.code is not Code.UNSIGNED:
                        raise
                    continue
                if isinstance(signed, Targets) and signed.version == number:
                    yield signed
                    break
            else:
                raise untrusted(Code.UNSIGNED, "targets", f"of version {number} is signed as no root demands")


def _fetched(source: MetadataSource, role: str, number: int) -> bytes:
    """Return a file that was published."""
    try:
        return source.fetch(file_name(role, number), bytes_max(role))
    except MetadataAbsent as error:
        message = f"{role}: version {number} is not shown, and it may be the one that counts"
        remedy = "find out why the server lacks it; with a copy of the repository, revoke from there"
        raise RequestError(message, code=Code.NOT_FOUND, remedy=remedy, role=role) from error
