"""What may follow a product's listed role, whoever made it: nothing leaves the list without a ruling that stays. Pure.

1. A policy never vanishes; its file is its canonical JSON; its serial is the one before + 1 where anything in it
   changed, and the same where nothing did.
2. Rulings stay, word for word; new ones are about releases that were listed, or taken back already. A revoked digest is
   one of its release. An intermediate is not retired, and a new one is listed.
3. What is gone was yanked or retired by its version, or revoked by its digest; nothing else leaves it.
4. What was taken back is not listed, neither the version nor a revoked digest.
5. What stays keeps its bytes and its description, channels apart: 1 to 16 names, sorted.

A floor may fall: the publisher's key says so, and the event and the command line say it to people.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from fleetroll_common.trust.library import FormatError, encode_canonical
from fleetroll_common.trust.listing import role_name
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError, TrustError
from fleetroll_common.values.product_policy import policy_path
from fleetroll_common.values.signed_fields import FAULTS
from fleetroll_publishing.policies import policy_of, releases_in, version_of, withdrawn_in

if TYPE_CHECKING:
    from fleetroll_common.trust.library import TargetFile, Targets
    from fleetroll_common.values.product_policy import ProductPolicy, Revoked, Withdrawn

_AGAIN = "take the newest metadata and try again"


def check_succession(product: str, listed: Targets, offered: Targets) -> None:
    """Return when ``offered`` may follow ``listed`` by the rules of this module.

    Raises:
        RequestError: CONFLICT, INVALID_ARGUMENT (the publisher's fault).
        TrustError: METADATA_INVALID: the policy can't be read, or its file is not its JSON.
    """
    role, path = role_name(product), policy_path(product)
    before, after = policy_of(product, listed), policy_of(product, offered)
    _check_policy(role, listed.targets.get(path), offered.targets.get(path))
    if after is not None:
        _check_rulings(role, listed, before, after)
        _check_intermediates(role, offered, before, after)
    for target in listed.targets.values():
        if target.path != path:
            _check_kept(role, target, offered.targets.get(target.path), after)
    _check_withdrawn(role, offered, after)


def check_later(product: str, listed: Targets, offered: Targets) -> None:
    """Return when ``offered`` may have followed ``listed`` in any number of steps, each by the rules of this module.

    What was listed and taken back in between is not known here, so that new rulings may be about anything.

    Raises:
        RequestError: CONFLICT (the publisher's fault).
        TrustError: METADATA_INVALID: the policy can't be read.
    """
    role, path = role_name(product), policy_path(product)
    before, after = policy_of(product, listed), policy_of(product, offered)
    if before is not None:
        if after is None:
            raise _conflict(role, "the policy is gone; rulings stay")
        if after.serial < before.serial:
            raise _conflict(role, f"the policy's serial is {after.serial}, and was {before.serial}")
        for name in ("yanked", "retired", "revoked"):
            gone = [one for one in getattr(before, name) if one not in getattr(after, name)]
            if gone:
                raise _conflict(role, f"{gone[0].version} is not {name} any more, or in other words; a ruling stays")
    for target in listed.targets.values():
        if target.path != path:
            _check_kept(role, target, offered.targets.get(target.path), after)
    _check_withdrawn(role, offered, after)


def _check_policy(role: str, before: TargetFile | None, after: TargetFile | None) -> None:
    """Hold the policy's file to its JSON, and its serial to what changed."""
    if after is None:
        if before is not None:
            raise _conflict(role, "the policy is gone; rulings stay")
        return
    custom = after.custom or {}
    try:
        data = str(encode_canonical(custom)).encode()
    except FormatError as error:
        raise _invalid_policy(role, "holds something that can't be signed") from error
    if (after.length, after.hashes) != (len(data), {"sha256": hashlib.sha256(data).hexdigest()}):
        raise _invalid_policy(role, "is not the file that is described")
    stood = None if before is None else before.custom or {}
    serial = 0 if stood is None else stood["serial"]
    wanted = serial if stood is not None and {**stood, "serial": 0} == {**custom, "serial": 0} else serial + 1
    if custom["serial"] != wanted:
        raise _conflict(role, f"the policy's serial is {custom['serial']}, not {wanted}")


def _check_rulings(role: str, listed: Targets, before: ProductPolicy | None, after: ProductPolicy) -> None:
    """Let no ruling vanish or change, and none be about what nobody knows."""
    releases, ruled = releases_in(listed), withdrawn_in(before)
    for name in ("yanked", "retired", "revoked"):
        stood: tuple[Withdrawn | Revoked, ...] = getattr(before, name, ())
        stands: tuple[Withdrawn | Revoked, ...] = getattr(after, name)
        for one in stood:
            if one not in stands:
                raise _conflict(role, f"{one.version} is not {name} any more, or in other words; a ruling stays")
        for one in stands:
            if one not in stood and one.version not in releases and one.version not in ruled:
                raise _invalid(role, f"{name}: {one.version} was never listed")
    for revoked in after.revoked:
        digests = {target.hashes.get("sha256") for target in releases.get(revoked.version, ())}
        if digests and revoked.sha256 not in digests:
            raise _invalid(role, f"revoked: {revoked.sha256[:16]} is no artefact of {revoked.version}")


def _check_intermediates(role: str, offered: Targets, before: ProductPolicy | None, after: ProductPolicy) -> None:
    """Let hosts have to pass nothing that they can't have, unless it turned out bad."""
    known = before.intermediates if before is not None else ()
    retired = before.retired if before is not None else ()
    for one in after.retired:
        if one.version in after.intermediates and one not in retired:
            raise _invalid(role, f"retired: {one.version} is an intermediate that hosts have to pass")
    releases, gone = releases_in(offered), withdrawn_in(after)
    for version in after.intermediates:
        if version not in known and (version not in releases or version in gone):
            raise _invalid(role, f"intermediates: {version} is not listed")


def _check_kept(role: str, listed: TargetFile, offered: TargetFile | None, policy: ProductPolicy | None) -> None:
    """Refuse what would vanish without a ruling, or change under a path that hosts may know."""
    if offered is None:
        if not _is_ruled_out(listed, policy):
            raise _conflict(role, f"{listed.path} is gone; nothing leaves the list without a verb")
        return
    if (offered.length, offered.hashes) != (listed.length, listed.hashes):
        raise _conflict(role, f"{listed.path} has other bytes; a path keeps its bytes for ever")
    if _without_channels(offered) != _without_channels(listed):
        raise _conflict(role, f"{listed.path} is described otherwise; only its channels may change")
    channels = (offered.custom or {}).get("channels")
    if channels != (listed.custom or {}).get("channels"):
        _check_channels(role, listed.path, channels)


def _is_ruled_out(target: TargetFile, policy: ProductPolicy | None) -> bool:
    """Tell whether the policy takes a file off the list."""
    version = version_of(target.path)
    if policy is None or version is None:
        return False
    revoked = policy.revoked_why(target.hashes.get("sha256", ""))
    return bool(policy.yanked_why(version) or policy.retired_why(version) or revoked)


def _check_withdrawn(role: str, offered: Targets, policy: ProductPolicy | None) -> None:
    """Refuse to list what was taken back."""
    if policy is None:
        return
    gone = withdrawn_in(policy)
    for target in offered.targets.values():
        version = version_of(target.path)
        if version is not None and version in gone:
            raise _conflict(role, f"{target.path} is {gone[version].how.value}; what was taken back is not listed")
        if policy.revoked_why(target.hashes.get("sha256", "")):
            raise _conflict(role, f"{target.path} has a revoked digest; what must not run is not listed")


def _check_channels(role: str, path: str, channels: Any) -> None:  # noqa: ANN401 (whatever was signed)
    """Refuse channels that hosts would refuse."""
    is_text = isinstance(channels, list) and all(type(one) is str for one in channels)
    fault = FAULTS["channels"](tuple(channels)) if is_text else "must be a list of names"
    if fault:
        raise _invalid(role, f"{path}: channels: {fault}")


def _without_channels(target: TargetFile) -> dict[str, Any]:
    """Return the description without the one part that may change."""
    return {key: value for key, value in (target.custom or {}).items() if key != "channels"}


def _conflict(role: str, what: str) -> RequestError:
    """Return the publisher's error."""
    return RequestError(f"{role}: {what}", code=Code.CONFLICT, remedy=_AGAIN, role=role)


def _invalid(role: str, what: str) -> RequestError:
    """Return the publisher's error about what the policy or a description says."""
    return RequestError(f"{role}: {what}", code=Code.INVALID_ARGUMENT, remedy="correct it and sign again", role=role)


def _invalid_policy(role: str, what: str) -> TrustError:
    """Return the error about bytes."""
    remedy = "sign it again, with the policy's own JSON"
    return TrustError(f"{role}: the policy {what}", code=Code.METADATA_INVALID, remedy=remedy, role=role)
