"""What a publisher rules about all releases of a product: floor, required intermediates, what was taken back. Pure.

The document is signed by the product's key: it stands in the ``custom`` part of the target
``<product>/policy/policy.json``, and the file's bytes are its canonical form. So it comes with the list of releases
itself, and nobody can show the list without it. It changes in place; ``serial`` rises by one each time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError, TrustError
from fleetroll_common.values.release import check_product
from fleetroll_common.values.signed_fields import MAX_TEXT_CHARS, name_fault, refuse, take
from fleetroll_common.values.version import Version

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

POLICY_PART = "policy"
"""Stands where a release's path has its version, and is none."""
POLICY_FILE = "policy.json"
POLICY_KIND = "policy"
"""The ``kind`` of its description."""
MAX_RULINGS = 1000
"""Of each sort: about 200 KB in all, of the 4 MiB that a role may have."""
MAX_SERIAL = 2**53
"""What every JSON reader takes as a whole number."""

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


def policy_path(product: str) -> str:
    """Return for example ``shop/policy/policy.json``.

    Raises:
        RequestError: ``product`` is no product name (caller's fault).
    """
    return f"{check_product(product)}/{POLICY_PART}/{POLICY_FILE}"


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """A release that is listed no more.

    Attributes:
        version: of the release.
        reason: in the publisher's words, 1 to 4096 characters.
    """

    version: Version
    reason: str


@dataclass(frozen=True, slots=True)
class Revoked:
    """An artefact that must not run.

    Attributes:
        sha256: of the artefact, 64 small hex digits.
        version: of its release.
        reason: in the publisher's words, 1 to 4096 characters.
    """

    sha256: str
    version: Version
    reason: str


@dataclass(frozen=True, slots=True)
class ProductPolicy:
    """One product's.

    Attributes:
        product: its name.
        serial: 1 for the first one; a host takes none below the highest that it has seen.
        floor: no version below it is installed anew; None = none.
        intermediates: versions that are not jumped over, ascending, each once: a host below one goes there first, also
            where it lies below the floor.
        yanked: taken back as bad; nobody starts it.
        retired: taken off the list as old.
        revoked: digests that must not run.
    """

    product: str
    serial: int
    floor: Version | None = None
    intermediates: tuple[Version, ...] = ()
    yanked: tuple[Withdrawn, ...] = ()
    retired: tuple[Withdrawn, ...] = ()
    revoked: tuple[Revoked, ...] = ()

    def __post_init__(self) -> None:
        """Check every field.

        Raises:
            RequestError: a field is out of bounds; it is named in the details (caller's fault).
        """
        if fault := name_fault(self.product):
            refuse("product", fault)
        if not 1 <= self.serial <= MAX_SERIAL:
            refuse("serial", f"{self.serial} is not between 1 and 2^53")
        for name in ("intermediates", "yanked", "retired", "revoked"):
            if len(getattr(self, name)) > MAX_RULINGS:
                refuse(name, f"holds {len(getattr(self, name))}, at most {MAX_RULINGS}")
        if list(self.intermediates) != sorted(set(self.intermediates)):
            refuse("intermediates", "must be ascending, each once")
        _check_rulings("yanked", [str(one.version) for one in self.yanked], self.yanked)
        _check_rulings("retired", [str(one.version) for one in self.retired], self.retired)
        _check_rulings("revoked", [one.sha256 for one in self.revoked], self.revoked)
        for one in self.revoked:
            if _SHA256.fullmatch(one.sha256) is None:
                refuse("revoked", f"{one.sha256[:80]!r} is not 64 small hex digits")

    def yanked_why(self, version: Version) -> str:
        """Return why ``version`` was yanked; empty = it was not."""
        return next((one.reason for one in self.yanked if one.version == version), "")

    def retired_why(self, version: Version) -> str:
        """Return why ``version`` was retired; empty = it was not."""
        return next((one.reason for one in self.retired if one.version == version), "")

    def revoked_why(self, sha256: str) -> str:
        """Return why the artefact was revoked; empty = it was not."""
        return next((one.reason for one in self.revoked if one.sha256 == sha256), "")

    def next_hop(self, running: Version, wanted: Version) -> Version:
        """Return where a host at ``running`` goes first on its way to ``wanted``: there, or the lowest intermediate."""
        between = (one for one in self.intermediates if running < one < wanted)
        return next(between, wanted)

    def is_below_floor(self, version: Version) -> bool:
        """Tell whether ``version`` is not installed anew: below the floor, and no intermediate that is required."""
        return self.floor is not None and version < self.floor and version not in self.intermediates

    def to_json(self) -> dict[str, Any]:
        """Return the signed form: plain JSON values, every field present."""
        return {
            "kind": POLICY_KIND,
            "product": self.product,
            "serial": self.serial,
            "floor": None if self.floor is None else str(self.floor),
            "intermediates": [str(version) for version in self.intermediates],
            "yanked": [_withdrawn(one) for one in self.yanked],
            "retired": [_withdrawn(one) for one in self.retired],
            "revoked": [
                {"sha256": one.sha256, "version": str(one.version), "reason": one.reason} for one in self.revoked
            ],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> ProductPolicy:
        """Read the signed form; fields of later programs are passed over.

        Raises:
            TrustError: a field is missing, of another type or out of bounds: METADATA_INVALID, named in the details.
        """
        try:
            return _read(document)
        except RequestError as error:
            details = {"field": "custom", **error.details}
            remedy = "publish the product's policy again"
            raise TrustError(
                f"policy: {error.message}", code=Code.METADATA_INVALID, remedy=remedy, **details
            ) from error


def _read(document: Mapping[str, Any]) -> ProductPolicy:
    """Take the fields, each with its type."""
    if take(document, "kind", str) != POLICY_KIND:
        refuse("kind", f"is {document['kind'][:40]!a}, not {POLICY_KIND}")
    floor = take(document, "floor", str, type(None))
    intermediates = take(document, "intermediates", list)
    if not all(type(version) is str for version in intermediates):
        refuse("intermediates", "holds something that is not text")
    return ProductPolicy(
        product=take(document, "product", str),
        serial=take(document, "serial", int),
        floor=None if floor is None else Version.parse(floor, field="floor"),
        intermediates=tuple(Version.parse(version, field="intermediates") for version in intermediates),
        yanked=_each(document, "yanked", _read_withdrawn),
        retired=_each(document, "retired", _read_withdrawn),
        revoked=_each(document, "revoked", _read_revoked),
    )


def _each(document: Mapping[str, Any], name: str, read: Callable[[Mapping[str, Any]], Any]) -> tuple[Any, ...]:
    """Read a list of objects."""
    listed = take(document, name, list)
    if not all(type(one) is dict for one in listed):
        refuse(name, "holds something that is no object")
    return tuple(read(one) for one in listed)


def _read_withdrawn(one: Mapping[str, Any]) -> Withdrawn:
    return Withdrawn(Version.parse(take(one, "version", str)), take(one, "reason", str))


def _read_revoked(one: Mapping[str, Any]) -> Revoked:
    return Revoked(take(one, "sha256", str), Version.parse(take(one, "version", str)), take(one, "reason", str))


def _withdrawn(one: Withdrawn) -> dict[str, str]:
    return {"version": str(one.version), "reason": one.reason}


def _check_rulings(name: str, keys: list[str], rulings: tuple[Withdrawn, ...] | tuple[Revoked, ...]) -> None:
    """Refuse what stands there twice or without a reason."""
    if len(set(keys)) != len(keys):
        refuse(name, "names the same one twice")
    for one in rulings:
        if not 1 <= len(one.reason) <= MAX_TEXT_CHARS:
            refuse(name, f"reason: must have 1 to {MAX_TEXT_CHARS} characters")
