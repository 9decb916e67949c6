"""What may be listed, and what may sign: refused here before a host would refuse it. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fleetroll_common.trust.library import FormatError, encode_canonical
from fleetroll_common.trust.listing import PATH_PARTS, role_name
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError, TrustError
from fleetroll_common.values.manifest_custom import ManifestCustom, kind_of
from fleetroll_common.values.product_policy import policy_path
from fleetroll_common.values.release import MANIFEST_FILE, TargetKind
from fleetroll_common.values.release import check_product as check_product_name
from fleetroll_common.values.relpath import path_fault

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fleetroll_common.trust.library import Key, Signer, Targets
    from fleetroll_publishing.signers import RoleSigners

ROOT_KEYS_MIN = 3
ROOT_THRESHOLD = 2
"""One root key may be lost, and one stolen, without the fleet being lost."""

ROLE_KEYS_MAX = 32
"""People and devices that sign one role; each signature is read by every host."""

ONLINE_ROLES = ("snapshot", "timestamp")
"""Signed by the server itself, hour by hour."""

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class TargetFile:
    """One file to list.

    Attributes:
        length: bytes of the file, >= 1.
        sha256: 64 small hex digits.
        custom: the description that is signed with it; plain JSON values, no floating point numbers.
    """

    length: int
    sha256: str
    custom: Mapping[str, Any] = field(default_factory=dict)


def check_keys(products: Sequence[str], signers: RoleSigners) -> None:
    """Refuse products and keys that no repository should begin with."""
    for product in products:
        check_product_name(product)
    if len(set(products)) != len(products):
        raise invalid("products", "a name stands there twice")
    roles = ["root", "targets", "snapshot", "timestamp", *map(role_name, products)]
    seen: dict[str, Key] = {}
    for role in roles:
        keys = [signer.public_key for signer in signers.every(role)] or [signers.of(role).public_key]
        check_threshold(role, len(keys), signers.thresholds.get(role, ROOT_THRESHOLD if role == "root" else 1))
        for signer in signers.every(role):
            require_new_key(signer, seen)
            seen[signer.public_key.keyid] = signer.public_key


def check_threshold(role: str, keys: int, threshold: int) -> None:
    """Refuse a number of keys or signatures that a role must not have.

    Raises:
        RequestError: INVALID_ARGUMENT: less than 2 of 3 for the root, and one to spare; more than one online key, which
            one server holds; a threshold that can't be reached (caller's fault).
    """
    if role == "root" and not (keys >= ROOT_KEYS_MIN and ROOT_THRESHOLD <= threshold < keys):
        what = f"{threshold} of {keys} keys; at least {ROOT_THRESHOLD} of {ROOT_KEYS_MIN}, and one to spare, are needed"
        raise invalid("root", what)
    if role in ONLINE_ROLES and (keys, threshold) != (1, 1):
        raise invalid(role, f"{threshold} of {keys} keys; the server signs it, with one key")
    if not 1 <= threshold <= keys <= ROLE_KEYS_MAX:
        raise invalid(role, f"{threshold} of {keys} keys; 1 to {ROLE_KEYS_MAX} keys, and no more signatures than keys")


def require_new_key(signer: Signer, known: Mapping[str, Key]) -> None:
    """Refuse a key that already signs something: one theft would be two."""
    publics = [key.keyval.get("public") for key in known.values()]
    if signer.public_key.keyval.get("public") in publics:
        raise invalid(
            "key", f"{signer.public_key.keyid[:16]} signs another role already; each role has a key of its own"
        )


def check_addition(product: str, role: Targets, path: str, target: TargetFile) -> None:
    """Refuse a new file of ``role`` that hosts would refuse, or that changes what they know.

    Raises:
        RequestError: ALREADY_EXISTS, CONFLICT: the path is listed; INVALID_ARGUMENT (publisher's fault).
    """
    known = role.targets.get(path)
    if known is not None:
        same = (known.length, known.hashes) == (target.length, {"sha256": target.sha256})
        raise RequestError(
            f"path: {path!r} is listed already, with {'the same' if same else 'other'} bytes",
            code=Code.ALREADY_EXISTS if same else Code.CONFLICT,
            remedy="nothing is left to do" if same else "publish under a new version: a path keeps its bytes for ever",
            path=path,
        )
    fault = path_fault(path)
    parts = path.split("/")
    if fault or parts[0] != product or len(parts) != PATH_PARTS or path == policy_path(product):
        raise invalid("path", f"{path[:200]!r} {fault or f'is not {product}/<version>/<file>'}")
    if type(target.length) is not int or target.length < 1:
        raise invalid("length", f"{target.length} bytes; a file has at least one")
    if _SHA256.fullmatch(target.sha256) is None:
        raise invalid("sha256", "is not 64 small hex digits")
    check_kind(path, target.custom)
    _check_custom(product, path.split("/")[1], target.custom)


def check_place(path: str, custom: Mapping[str, Any]) -> None:
    """Refuse a file under another path than its own description gives it: hosts compute the path of that.

    So no two files are for one platform. What a description lacks is refused where it is read.

    Raises:
        RequestError: INVALID_ARGUMENT (publisher's fault).
    """
    said = [str(custom.get(name, "")) for name in ("product", "version", "os", "arch", "abi")]
    if kind_of(custom) is TargetKind.MANIFEST:
        due = f"{said[0]}/{said[1]}/{MANIFEST_FILE}"
    elif all(said):
        due = f"{said[0]}/{said[1]}/{'-'.join(said[2:])}.tar.zst"
    else:
        return
    if path != due:
        raise invalid("path", f"{path[:200]!r} is described as {due[:200]!r}; hosts look for it there")


def check_kind(path: str, custom: Mapping[str, Any]) -> None:
    """Refuse a release manifest under another name, and anything else under its name.

    Hosts compute the path: what stands there is what they do with it.

    Raises:
        RequestError: INVALID_ARGUMENT: name and description do not fit, or a manifest is not described as one
            (publisher's fault).
    """
    is_called = path.rpartition("/")[2] == MANIFEST_FILE
    try:
        is_described = kind_of(custom) is TargetKind.MANIFEST
        if is_described:
            ManifestCustom.from_json(custom)
    except TrustError as error:
        raise invalid(f"custom.{error.details['field']}", error.message) from error
    if is_called != is_described:
        what = f"describes {path[:200]!r} as {kind_of(custom).value}; {MANIFEST_FILE} is the name of release manifests"
        raise invalid("custom.kind", what)


def _check_custom(product: str, version: str, custom: Mapping[str, Any]) -> None:
    """Refuse a description that can't be signed or that is of something else."""
    for name, value in (("product", product), ("version", version)):
        if custom.get(name, value) != value:
            raise invalid(f"custom.{name}", f"is {custom[name]!r}, the path says {value!r}")
    try:
        encode_canonical(dict(custom))
    except FormatError as error:
        raise invalid("custom", "holds something that can't be signed; numbers must be whole") from error


def invalid(name: str, what: str) -> RequestError:
    """Return the caller's error, which names the field."""
    return RequestError(f"{name}: {what}", code=Code.INVALID_ARGUMENT, remedy="correct it and try again", field=name)
