"""From what the metadata library, the source and the disk raise to one error with the code of the attack. Pure.

The library's errors name the check that failed; several attacks fail the same check (a changed byte and an exchanged
file both have the wrong hash). What was refused is therefore looked at once more, in this order:

1. expired → METADATA_FREEZE; longer than its bound → METADATA_ENDLESS; not to be had → DOWNLOAD_FAILED;
2. not readable as the role that was asked for → METADATA_INVALID;
3. not signed by enough of the role's keys → UNSIGNED;
4. genuine, and not the version or content that the signed list names → METADATA_MIXED;
5. genuine, and older than what this host has → METADATA_ROLLBACK.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

from fleetroll_common.trust.library import (
    DeserializationError,
    DownloadError,
    DownloadLengthMismatchError,
    ExpiredMetadataError,
    LengthOrHashMismatchError,
    Metadata,
    RepositoryError,
    Root,
    Targets,
)
from fleetroll_common.trust.updater import require_plain
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError, FleetrollError, TrustError

if TYPE_CHECKING:
    from fleetroll_common.trust.updater import Sight

_BY_KIND: tuple[tuple[type[Exception], Code], ...] = (
    (ExpiredMetadataError, Code.METADATA_FREEZE),
    (DownloadLengthMismatchError, Code.METADATA_ENDLESS),
    (DownloadError, Code.DOWNLOAD_FAILED),
    (DeserializationError, Code.METADATA_INVALID),
)
"""The first that fits decides; what is left is judged by the bytes."""

_SENTENCES = {
    Code.METADATA_FREEZE: (
        "{role} has expired",
        "sign it again, or check this host's clock; new installs wait, what runs goes on running",
    ),
    Code.METADATA_ENDLESS: ("{role} is longer than it may be", "find out who answers in the repository's place"),
    Code.DOWNLOAD_FAILED: ("{role} could not be fetched", "check that the server is reachable; it is tried again"),
    Code.METADATA_INVALID: ("{role} is damaged or no metadata at all", "find out where it was changed on its way"),
    Code.UNSIGNED: ("{role} is not signed by enough of its keys", "find out who answers in the repository's place"),
    Code.METADATA_MIXED: (
        "{role} is not the one that the signed list names",
        "files of different times are served together: publish the repository as one",
    ),
    Code.METADATA_ROLLBACK: (
        "{role} is older than what this host has seen",
        "find out why old metadata is served; what runs goes on running",
    ),
}

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})

CAUSES = (RepositoryError, DownloadError, OSError)
"""What a refresh may raise besides errors that already carry a code."""


def explain(error: Exception, sight: Sight) -> FleetrollError:
    """Return the error that says whose fault ``error`` is.

    TrustError: the repository's, or of who answers in its place. AgentError: the host's disk, or a line over which
    nothing came; that is worth another try.

    Args:
        error: one of :data:`CAUSES`.
        sight: what was being verified.
    """
    if isinstance(error, OSError):
        code = Code.DISK_FULL if error.errno in _FULL else Code.STORE_FAILED
        return AgentError(f"signed metadata could not be kept: {error}", code=code, remedy="check this host's disk")
    code = _code(error, sight)
    sentence, remedy = _SENTENCES[code]
    role = sight.role
    party = AgentError if code is Code.DOWNLOAD_FAILED else TrustError
    return party(f"{sentence.format(role=role)}: {error}", code=code, remedy=remedy, role=role)


def _code(error: Exception, sight: Sight) -> Code:
    """Return the code of the attack."""
    for kind, code in _BY_KIND:
        if isinstance(error, kind):
            return code
    return _judge(error, sight)


def _judge(error: Exception, sight: Sight) -> Code:
    """Return what the bytes themselves say."""
    if sight.data is None:
        return Code.METADATA_MIXED
    try:
        require_plain(sight.data)
        metadata: Metadata[Any] = Metadata.from_bytes(sight.data)
    except RepositoryError:
        return Code.METADATA_INVALID
    if metadata.signed.type != _type_of(sight.role):
        return Code.METADATA_INVALID
    if not _is_signed(metadata, sight):
        return Code.UNSIGNED
    if isinstance(error, LengthOrHashMismatchError):
        return Code.METADATA_MIXED
    return _judge_version(metadata.signed.version, sight)


def _judge_version(version: int, sight: Sight) -> Code:
    """Return what a genuine file of the wrong version means."""
    if sight.role == Root.type:
        newer = sight.version is not None and version > sight.version
        return Code.METADATA_MIXED if newer else Code.METADATA_ROLLBACK
    mixed = sight.version is not None and version != sight.version
    return Code.METADATA_MIXED if mixed else Code.METADATA_ROLLBACK


def _type_of(role: str) -> str:
    """Return the type that the metadata of ``role`` has."""
    return role if role in {"root", "timestamp", "snapshot"} else Targets.type


def _is_signed(metadata: Metadata[Any], sight: Sight) -> bool:
    """Tell whether enough keys signed; a root also needs enough of its own."""
    delegators = [sight.delegator, metadata.signed if sight.role == Root.type else None]
    try:
        for delegator in delegators:
            if delegator is not None:
                delegator.verify_delegate(sight.role, metadata.signed_bytes, metadata.signatures)
    except (RepositoryError, ValueError):
        return False
    return True
