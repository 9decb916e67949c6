"""Which keys a repository has ever named, and for what. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_common.trust.library import Root, Targets
from fleetroll_publishing.roles import delegated_roles, file_name, read_role, root_versions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from fleetroll_common.trust.library import Key

_TARGETS = ".targets.json"


def named_in_root(root: Root) -> Iterator[tuple[str, Key]]:
    """Yield role and key, for each key that ``root`` names."""
    for role, named in root.roles.items():
        for keyid in named.keyids:
            yield role, root.keys[keyid]


def named_in_targets(targets: Targets) -> Iterator[tuple[str, Key]]:
    """Yield role and key, for each key that the top-level targets role names."""
    keys = targets.delegations.keys if targets.delegations else {}
    for role, named in delegated_roles(targets).items():
        for keyid in named.keyids:
            yield role, keys[keyid]


def public_of(key: Key) -> str:
    """Return what a key is known by: its public value. Ids are names that a file gives."""
    return str(key.keyval.get("public"))


def role_of_every_key(files: Mapping[str, bytes]) -> dict[str, str]:
    """Return the role by public value, of each key that any root or top-level targets role in ``files`` names.

    A key that was taken out was taken out for a reason: it never comes back, for no role.

    Raises:
        StoreError: a file is unreadable (whoever keeps the files).
    """
    found: dict[str, str] = {}
    for version in root_versions(files):
        for role, key in named_in_root(read_role(files, Root, file_name("root", version))):
            found.setdefault(public_of(key), role)
    for version in sorted(_targets_versions(files)):
        for role, key in named_in_targets(read_role(files, Targets, file_name("targets", version))):
            found.setdefault(public_of(key), role)
    return found


def _targets_versions(files: Mapping[str, bytes]) -> list[int]:
    """Return the versions of the top-level targets roles that are there."""
    heads = [name.removesuffix(_TARGETS) for name in files if name.endswith(_TARGETS)]
    return [int(head) for head in heads if head.isdecimal()]
