"""Which keys of products a host has seen go: none of them comes back. Pure.

Versions of roles are forgotten when the key of the snapshot is exchanged; else a stolen one could end a repository for
good by a version of astronomic height. With them an older list of products would come back, which names a key that was
stolen and exchanged since. So the keys themselves are remembered: one that targets named for a product, and then no
more, is refused wherever it is named for it again. Publishing never does that: each key is used once.

They are remembered under the keys of targets that said so. Other ones, of a newer root, begin anew: whoever stole those
before could have named anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fleetroll_common.durable import DamagedRecord
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import TrustError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

GONE_MAX = 64
"""Keys of a product that are remembered as gone: the newest ones. A role has at most 32 at a time."""


@dataclass(frozen=True, slots=True)
class ProductKeys:
    """What was seen of a product's keys: public values, under one set of keys of targets.

    Attributes:
        by: digest of the keys of targets.
        named: by the newest list.
        gone: named before, and no more; oldest first.
    """

    by: str
    named: tuple[str, ...]
    gone: tuple[str, ...] = ()

    def to_record(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"by": self.by, "named": list(self.named), "gone": list(self.gone)}


def admit_keys(
    seen: Mapping[str, ProductKeys], named: Mapping[str, Collection[str]], by: str
) -> dict[str, ProductKeys]:
    """Return what is remembered once ``named`` was seen.

    Args:
        seen: what was remembered before, by role.
        named: by role, the public values of the keys that targets name for it.
        by: digest of the keys that sign targets.

    Raises:
        TrustError: METADATA_ROLLBACK: a key is named again that was gone.
    """
    after = {role: keys for role, keys in seen.items() if keys.by == by}
    for role, publics in named.items():
        before = seen.get(role)
        if before is None or before.by != by:
            after[role] = ProductKeys(by, tuple(sorted(publics)))
            continue
        back = sorted(set(publics).intersection(before.gone))
        if back:
            raise TrustError(
                f"targets name a key of {role} again that was exchanged: {back[0][:16]}",
                code=Code.METADATA_ROLLBACK,
                remedy="find out why old metadata is served; what runs goes on running",
                role=role,
            )
        gone = (*before.gone, *(public for public in before.named if public not in publics))
        after[role] = ProductKeys(by, tuple(sorted(publics)), gone[-GONE_MAX:])
    return after


def read_keys(record: object) -> dict[str, ProductKeys]:
    """Read the records of all roles; earlier programs wrote none.

    Raises:
        DamagedRecord: they are none.
    """
    try:
        items = record.items()  # type: ignore[attr-defined]
        found = {str(role): ProductKeys(one["by"], tuple(one["named"]), tuple(one["gone"])) for role, one in items}
    except (AttributeError, KeyError, TypeError) as error:
        raise DamagedRecord("a floor with wrong keys", code=Code.STORE_FAILED) from error
    texts = [text for one in found.values() for text in (one.by, *one.named, *one.gone)]
    if not all(type(text) is str for text in texts):
        raise DamagedRecord("a floor with wrong keys", code=Code.STORE_FAILED)
    return found
