"""All that is used of the metadata library and its signature interface, by one name each.

Both packages hand their public names on without saying so to a type checker; saying it once, here, keeps every other
module free of exceptions. Publishing imports from here as well.
"""

from __future__ import annotations

from securesystemslib.exceptions import FormatError, UnverifiedSignatureError
from securesystemslib.formats import encode_canonical
from securesystemslib.signer import (  # type: ignore[attr-defined]
    KEY_FOR_TYPE_AND_SCHEME,
    Key,
    SecretsHandler,
    Signature,
    Signer,
)
from tuf.api.exceptions import (
    BadVersionNumberError,
    DownloadError,
    DownloadHTTPError,
    DownloadLengthMismatchError,
    ExpiredMetadataError,
    LengthOrHashMismatchError,
    RepositoryError,
)
from tuf.api.metadata import (  # type: ignore[attr-defined]
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Role,
    Root,
    Signed,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.api.serialization import DeserializationError

from fleetroll_common.trust.own_fetcher import without_own_fetcher

with without_own_fetcher():
    from tuf.ngclient import FetcherInterface, Updater, UpdaterConfig  # type: ignore[attr-defined]
    from tuf.ngclient._internal.trusted_metadata_set import TrustedMetadataSet
    from tuf.ngclient.config import EnvelopeType

__all__ = [
    "KEY_FOR_TYPE_AND_SCHEME",
    "BadVersionNumberError",
    "DelegatedRole",
    "Delegations",
    "DeserializationError",
    "DownloadError",
    "DownloadHTTPError",
    "DownloadLengthMismatchError",
    "EnvelopeType",
    "ExpiredMetadataError",
    "FetcherInterface",
    "FormatError",
    "Key",
    "LengthOrHashMismatchError",
    "MetaFile",
    "Metadata",
    "RepositoryError",
    "Role",
    "Root",
    "SecretsHandler",
    "Signature",
    "Signed",
    "Signer",
    "Snapshot",
    "TargetFile",
    "Targets",
    "Timestamp",
    "TrustedMetadataSet",
    "UnverifiedSignatureError",
    "Updater",
    "UpdaterConfig",
    "encode_canonical",
]
