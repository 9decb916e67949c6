"""Which of the listed releases a host takes from a bundle or a mirror. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fleetroll_agent.jobs.artefacts import Found, described
from fleetroll_agent.jobs.values import PRODUCT
from fleetroll_common.trust.listing import not_listed
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.release import target_path
from fleetroll_common.values.version import Version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from fleetroll_common.trust import ListedTarget
    from fleetroll_common.values.platform import Platform

STABLE = "stable"
"""The channel whose pre-releases are only ever taken by name."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a host asks for.

    Attributes:
        product: its name.
        version: None = the newest.
        channels: that the newest is looked for in; None = all.
        platform: of the host.
    """

    product: str
    version: Version | None
    channels: tuple[str, ...] | None
    platform: Platform

    def paths(self, version: Version) -> tuple[str, ...]:
        """Return where the host's artefact of a version may be, the narrowest platform first.

        The agent's own is for exactly this platform; another product's may be for a wider one.
        """
        platforms = (self.platform,) if self.product == PRODUCT else self.platform.candidates()
        return tuple(target_path(self.product, version, platform) for platform in platforms)


def choose(listed: Sequence[ListedTarget], wish: Wish, holds: Callable[[str], bool], name: str) -> Found:
    """Return the release to take.

    Args:
        listed: what the verified role lists, newest version first.
        wish: what the host asks for.
        holds: tells whether the source has the bytes of a path.
        name: of the source, for messages.

    Raises:
        TrustError: NOT_LISTED: the version is not among the signed releases; METADATA_INVALID, WRONG_PRODUCT: its
            description is damaged (the publisher's fault).
        RequestError: NO_ARTIFACT: nothing that is listed for this host is there.
    """
    by_path = {target.path: target for target in listed}
    if wish.version is None:
        return _newest(by_path, wish, holds, name)
    paths = [path for path in wish.paths(wish.version) if path in by_path]
    if not paths:
        raise not_listed(wish.paths(wish.version)[-1])
    held = next(filter(holds, paths), None)
    if held is None:
        raise _nothing(f"it does not hold {wish.product} {wish.version} for {wish.platform}", name)
    return described(by_path[held])


def _newest(by_path: dict[str, ListedTarget], wish: Wish, holds: Callable[[str], bool], name: str) -> Found:
    """Return the newest release that the host may look at; what is listed of other kinds is passed over."""
    for version in _versions(by_path):
        held = next((path for path in wish.paths(version) if path in by_path and holds(path)), None)
        found = None if held is None else described(by_path[held])
        if found is not None and _is_open(found, wish.channels):
            return found
    channels = "any channel" if wish.channels is None else f"channel {' or '.join(wish.channels) or '(none)'}"
    raise _nothing(f"it has no release of {wish.product} in {channels} for {wish.platform}", name)


def _versions(paths: dict[str, ListedTarget]) -> Iterator[Version]:
    """Yield the versions that have something listed, in the order of the list."""
    for text in dict.fromkeys(path.split("/")[1] for path in paths):
        version = _version(text)
        if version is not None:
            yield version


def _version(text: str) -> Version | None:
    """Return a part of a path as a version; None for what stands under none, such as a policy."""
    try:
        return Version.parse(text)
    except RequestError:
        return None


def _is_open(found: Found, channels: tuple[str, ...] | None) -> bool:
    """Tell whether a release may be taken without being named."""
    shared = {name for name in found.custom.channels if channels is None or name in channels}
    return bool(shared - {STABLE} if found.custom.version.pre else shared)


def _nothing(fault: str, name: str) -> RequestError:
    """Return the error of a source that lacks it."""
    return RequestError(
        f"{name}: {fault}",
        code=Code.NO_ARTIFACT,
        remedy="make the bundle or the mirror with that release in it, or name another version",
    )
