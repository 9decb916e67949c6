"""What the top-level targets role itself lists: the anchors, and nothing else. Pure.

The document stands in the description of the target; the file's bytes are its canonical form, which nobody has to
fetch. So hosts need no artefact store to learn where their servers are.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from fleetroll_common.trust.library import TargetFile, encode_canonical
from fleetroll_common.values.anchors import ANCHORS_PATH, Anchors
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError, TrustError

if TYPE_CHECKING:
    from fleetroll_common.trust.library import Targets

_REMEDY = "sign the anchors again, with the program that this fleet has"


def anchors_target(anchors: Anchors) -> TargetFile:
    """Return the entry that lists ``anchors``."""
    document = anchors.to_json()
    data = str(encode_canonical(document)).encode()
    return TargetFile(len(data), {"sha256": hashlib.sha256(data).hexdigest()}, ANCHORS_PATH, {"custom": document})


def read_anchors(targets: Targets) -> Anchors | None:
    """Return the anchors that the top-level role lists; None when it lists none.

    Raises:
        TrustError: METADATA_INVALID: it lists something else, or anchors that no host would take (whoever signed it).
    """
    strays = sorted(path for path in targets.targets if path != ANCHORS_PATH)
    if strays:
        raise _untrusted(f"lists {strays[0][:200]!r}; a release belongs to its product's role")
    found = targets.targets.get(ANCHORS_PATH)
    if found is None:
        return None
    anchors = Anchors.from_json(found.custom if isinstance(found.custom, dict) else {})
    # Fields of later programs are in the signed form as well: the bytes are those of all that is signed.
    data = str(encode_canonical(found.custom)).encode()
    if (found.length, found.hashes.get("sha256")) != (len(data), hashlib.sha256(data).hexdigest()):
        raise _untrusted("lists anchors under the hash of something else")
    return anchors


def check_follows(listed: Anchors | None, anchors: Anchors, *, anew: bool = False) -> None:
    """Refuse anchors whose serial is not the listed one + 1: of two people the second takes the newest and tries again.

    Args:
        listed: what stands; None = nothing.
        anchors: what is to follow it.
        anew: the root names other keys of targets than have signed what stands: hosts forget the serial then, and any
            begins it anew.

    Raises:
        RequestError: CONFLICT (whoever set them).
    """
    due = 1 if listed is None else listed.serial + 1
    if anchors.serial != due and not anew:
        message = f"anchors: serial {anchors.serial} does not follow {due - 1}"
        raise RequestError(message, code=Code.CONFLICT, remedy="take the newest anchors and try again", field="serial")


def _untrusted(what: str) -> TrustError:
    """Return the error about the role."""
    return TrustError(f"targets {what}", code=Code.METADATA_INVALID, remedy=_REMEDY, role="targets")
