"""How a host's version stands to the one that it should run."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.standing import VersionStanding, version_standing
from fleetroll_common.values.version import Version

if TYPE_CHECKING:
    from fleetroll_tui.model.values import Host


@lru_cache(maxsize=4096)
def parsed(text: str) -> Version | None:
    """Return a version; None for text that is none."""
    try:
        return Version.parse(text)
    except RequestError:
        return None


def is_behind(host: Host) -> bool:
    """Tell whether any product runs a version below the one that is desired.

    Unknown, equal, newer and development versions are never behind.
    """
    if host.revoked:
        return False
    return any(
        version_standing(product.current, product.target) is VersionStanding.BEHIND
        for product in host.products
        if product.target
    )


def versions_behind(current: str, known: list[str]) -> int:
    """Return how many of the known versions are above the one that runs; 0 for one that is none, or a dev build."""
    have = parsed(current)
    if have is None or have.is_dev:
        return 0
    return len({want for text in known if (want := parsed(text)) is not None and have < want})


def order_key(text: str) -> tuple[int, Version, str]:
    """Return what versions are sorted by: what is no version first."""
    version = parsed(text)
    return (0, _LOWEST, text) if version is None else (1, version, text)


_LOWEST = Version(0, 0, 0, pre=("0",))
