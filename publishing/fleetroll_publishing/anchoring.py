"""Setting the anchors: the files as they are, and the new ones that list other addresses or CAs. Pure.

The rules, in this order:

1. the anchors themselves are sound: 1 to 16 addresses and certificates, each once, each certificate readable (the value
   checks that when it is made);
2. the serial is the listed one + 1, so that of two people one is told to take the newest → CONFLICT; where the newest
   root names other keys of targets than have signed what is listed, any serial begins it anew;
3. nothing else in the top-level role changes but its version and expiry;
4. the whole set passes as a host would take it.

Where the online keys are elsewhere, :func:`sign_anchors` gives the one file that a publisher signs and commits. Not
done here: whether a server shows a certificate of one of the CAs; the server itself looks at that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_common.values.anchors import ANCHORS_PATH
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import TrustError
from fleetroll_publishing.anchored import anchors_target, check_follows, read_anchors
from fleetroll_publishing.roles import file_name, read_newest_root, read_repository, sign_role
from fleetroll_publishing.sealing import DEFAULT_EXPIRIES, Expiries, following, in_utc, seal
from fleetroll_publishing.verifying import verified

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from fleetroll_common.trust.library import Targets
    from fleetroll_common.values.anchors import Anchors
    from fleetroll_publishing.signers import RoleSigners


def listed_anchors(files: Mapping[str, bytes]) -> Anchors | None:
    """Return the anchors that the newest targets role in ``files`` lists; None when there are none yet.

    Raises:
        StoreError: ``files`` are damaged.
        TrustError: METADATA_INVALID: the role lists what no host would take.
    """
    return read_anchors(read_repository(files).targets)


def sign_anchors(
    files: Mapping[str, bytes],
    anchors: Anchors,
    signers: RoleSigners,
    now: datetime,
    expiries: Expiries = DEFAULT_EXPIRIES,
) -> dict[str, bytes]:
    """Return the one new file of the targets role that lists ``anchors``, by its name. Only the targets key is needed.

    Raises:
        RequestError: CONFLICT: the serial does not follow the listed one; NOT_ALLOWED: the key is missing (caller's
            fault).
        StoreError, TrustError: as for :func:`listed_anchors`.
    """
    repository = read_repository(files)
    top = repository.targets
    check_follows(read_anchors(top), anchors, anew=_is_anew(files, top))
    top.targets[ANCHORS_PATH] = anchors_target(anchors)
    top.version, top.expires = top.version + 1, in_utc(now + expiries.targets)
    return {
        file_name("targets", top.version): sign_role(top, signers.enough("targets", repository.root.roles["targets"]))
    }


def _is_anew(files: Mapping[str, bytes], top: Targets) -> bool:
    """Tell whether the newest root does not have the listed targets signed as they are: it names other keys."""
    try:
        verified(files[file_name("targets", top.version)], "targets", read_newest_root(files))
    except TrustError as error:
        return error.code is Code.UNSIGNED
    return False


def set_anchors(
    files: Mapping[str, bytes],
    anchors: Anchors,
    signers: RoleSigners,
    now: datetime,
    expiries: Expiries = DEFAULT_EXPIRIES,
) -> dict[str, bytes]:
    """Return the new files that list ``anchors``; the keys of targets, snapshot and timestamp are needed.

    Args:
        files: the repository.
        anchors: the whole of what is to hold, not a change of it.
        signers: who signs.
        now: aware.
        expiries: of the roles that are signed.

    Raises:
        RequestError, StoreError, TrustError: as for :func:`sign_anchors`; the last also where the set would not pass.
    """
    new = sign_anchors(files, anchors, signers, now, expiries)
    version = read_repository(files).targets.version + 1
    return seal(following(files, signers, now, expiries), new, {"targets": version})
