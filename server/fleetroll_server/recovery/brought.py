"""What a publisher brings to a server that went back: each file genuine and no step backwards, or nothing of it. Pure.

Other than what hosts show (:mod:`.shown_files`), which is passed over where it proves nothing, a file that can't be
taken is refused by name: who brings it has to know.

1. A root that is here already is the same file; the others follow by one version each, signed as hosts demand it. A
   chain with a gap, or one that leads elsewhere, is refused.
2. Targets count by the newest root, a product's role by the newest targets, brought or here. What is older than the
   server's own changes nothing; another file of the same version is refused.
3. Nothing has vanished without a verb, and nothing is valid for longer than anybody may sign.
4. A version, and the serial of what changes in place, is not further ahead than publishers come in the time between two
   backups: a stolen key runs no number so high that its owner could sign nothing above it.

Who may call is not judged here, and no number counts that no signature stands for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from fleetroll_common.trust.library import Targets
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_publishing.anchored import read_anchors
from fleetroll_publishing.commit_gate import FILES_MAX, follow_roots, parse_name
from fleetroll_publishing.demands import invalid
from fleetroll_publishing.policies import policy_of
from fleetroll_publishing.roles import delegated_roles, file_name, meta_name, read_newest_root, read_repository
from fleetroll_publishing.verifying import untrusted, verified
from fleetroll_server.recovery.shown_files import PRODUCTS, Verified
from fleetroll_server.recovery.shown_files import verified as verified_as_shown

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from fleetroll_publishing.roles import Repository

AHEAD_MAX = 10_000
"""Versions and serials that a role may be ahead: a release an hour, for a year without a backup."""
ROOT = "root"


@dataclass(frozen=True, slots=True)
class Brought:
    """What is taken.

    Attributes:
        before: the repository with the new roots in it.
        roots: those that are new, by name.
        shown: targets and products that are new.
    """

    before: Repository
    roots: Mapping[str, bytes]
    shown: Verified

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of all new files, roots first."""
        roles = sorted(self.shown.roles.items())
        return (*self.roots, *(file_name(role, version) for role, (version, _data) in roles))


def judge(known: Mapping[str, bytes], files: Mapping[str, bytes], now: datetime) -> Brought:
    """Return what of ``files`` the server has to take.

    Args:
        known: the repository as it is here.
        files: brought, by name.
        now: aware; expiries are held to it.

    Raises:
        RequestError: INVALID_ARGUMENT: a name, a number too far ahead; CONFLICT: a gap, another file of the same
            version, something is gone without a verb (caller's fault).
        TrustError: METADATA_ENDLESS, METADATA_INVALID, UNSIGNED: a file is not what its name says, or not genuine.
        StoreError: ``known`` is damaged (our fault).
    """
    if not 1 <= len(files) <= FILES_MAX:
        raise invalid("files", f"{len(files)} files; 1 to {FILES_MAX} are taken")
    roots = _new_roots(known, {name: data for name, data in files.items() if parse_name(name)[1] == ROOT})
    before = read_repository({**known, **roots})
    offered = _by_role({name: data for name, data in files.items() if name.partition(".")[2] != "root.json"})
    shown = verified_as_shown(before, {f"{quote(role, '')}.json": data for role, (_, data) in offered.items()}, now)
    newest = _newest_targets(before, shown)
    for role in sorted(offered, key=lambda each: each != "targets"):
        _check_role(before, newest, role, *offered[role], shown)
    return Brought(before, roots, shown)


def _new_roots(known: Mapping[str, bytes], offered: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the roots that follow those that are here, oldest first."""
    last = read_newest_root(known).version
    new = {}
    for name in sorted(offered, key=lambda each: parse_name(each)[0]):
        version = parse_name(name)[0]
        if version > last:
            new[name] = offered[name]
        elif known.get(name) != offered[name]:
            raise untrusted(Code.UNSIGNED, ROOT, f"of version {version} is another one than this server's")
    if new:
        follow_roots(known, new)
    return new


def _by_role(files: Mapping[str, bytes]) -> dict[str, tuple[int, bytes]]:
    """Return version and file by role; each is a role of targets of the version that its name says."""
    found: dict[str, tuple[int, bytes]] = {}
    for name, data in files.items():
        version, role = parse_name(name)
        if role in found:
            raise invalid("files", f"{role} is among them twice; the newest one is wanted")
        signed = verified(data, role, None)
        if not isinstance(signed, Targets) or signed.version != version:
            raise untrusted(Code.METADATA_INVALID, role, f"of version {version} is another file")
        found[role] = (version, data)
    return found


def _newest_targets(before: Repository, shown: Verified) -> Targets:
    """Return the targets role that names the products' keys from now on."""
    if "targets" not in shown.roles:
        return before.targets
    signed = verified(shown.roles["targets"][1], "targets", before.root)
    assert isinstance(signed, Targets)  # noqa: S101 (it was read as one)
    return signed


def _check_role(before: Repository, newest: Targets, role: str, version: int, data: bytes, shown: Verified) -> None:
    """Refuse a file that is newer than what is here and can't be taken, or another one under a version that is here."""
    if role != "targets" and role not in delegated_roles(newest):
        raise invalid("files", f"{role} {version}: targets do not name such a role")
    here = _version_here(before, role)
    if role in shown.refused:
        raise _conflict(role, f"version {version} is not taken: {shown.refused[role]}")
    if role in shown.roles:
        _check_ahead(before, role, version, here, data)
    elif version > here:
        raise untrusted(Code.UNSIGNED, role, f"of version {version} is not signed by enough of its keys")
    elif version == here and before.files.get(file_name(role, version)) != data:
        raise _conflict(role, f"version {version} is here, and is another file")


def _version_here(before: Repository, role: str) -> int:
    """Return the version that this server lists; 0 where it has no such role."""
    listed = before.snapshot.meta.get(meta_name(role))
    return 0 if listed is None else listed.version


def _check_ahead(before: Repository, role: str, version: int, here: int, data: bytes) -> None:
    """Refuse numbers that no publisher has come to."""
    numbers = [("version", here, version)]
    signed = verified(data, role, None)
    if isinstance(signed, Targets):
        numbers.append(("serial", _serial(role, _here(before, role)), _serial(role, signed)))
    for what, was, number in numbers:
        if number > was + AHEAD_MAX:
            raise invalid("files", f"{role}: {what} {number} is more than {AHEAD_MAX} above {was}, which is here")


def _here(before: Repository, role: str) -> Targets | None:
    """Return the role as it is here."""
    return before.targets if role == "targets" else before.products.get(role.removeprefix(PRODUCTS))


def _serial(role: str, signed: Targets | None) -> int:
    """Return the serial of what changes in place in a role: anchors, or a product's policy; 0 for none."""
    if signed is None:
        return 0
    found = read_anchors(signed) if role == "targets" else policy_of(role.removeprefix(PRODUCTS), signed)
    return 0 if found is None else found.serial


def _conflict(role: str, what: str) -> RequestError:
    """Return the caller's error."""
    remedy = "look at what this server lists: keys status, release list; then sign the role again, above both"
    return RequestError(f"{role}: {what}", code=Code.CONFLICT, remedy=remedy, role=role)
