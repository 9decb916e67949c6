"""Which artefacts are taken along. Pure. Metadata is never chosen from: a part of it would be refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.platform import Platform
from fleetroll_common.values.version import Version

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fleetroll_common.trust import ListedTarget


@dataclass(frozen=True, slots=True)
class MirrorWish:
    """What a mirror holds.

    Attributes:
        products: their artefacts; empty = of all.
        channels: releases in one of them; empty = all. What has no channel, such as a policy, is always taken.
    """

    products: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BundleWish:
    """What a bundle holds.

    Attributes:
        releases: pairs of product and version, at least one.
        platforms: of the hosts that it is for; empty = of all. One that is not whole stands for all below it.
    """

    releases: tuple[tuple[str, Version], ...]
    platforms: tuple[Platform, ...] = ()


def of_mirror(listed: Mapping[str, Sequence[ListedTarget]], wish: MirrorWish) -> list[ListedTarget]:
    """Return the targets of a mirror, by path.

    Raises:
        RequestError: NOT_FOUND: there is no such product (caller's fault).
    """
    for product in wish.products:
        _require(listed, product)
    chosen = [target for product in wish.products or listed for target in listed[product] if _is_in(target, wish)]
    return sorted(set(chosen), key=lambda target: target.path)


def of_bundle(listed: Mapping[str, Sequence[ListedTarget]], wish: BundleWish) -> list[ListedTarget]:
    """Return the targets of a bundle, by path.

    Raises:
        RequestError: NOT_FOUND: there is no such product; NOT_LISTED: no such release; NO_ARTIFACT: none of its
            artefacts is for the platforms (caller's fault).
    """
    chosen: dict[str, ListedTarget] = {}
    for product, version in wish.releases:
        targets = _require(listed, product)
        of_release = [target for target in targets if _version_of(target) == str(version)]
        if not of_release:
            text = f"{product} {version} is not among the signed releases"
            raise RequestError(text, code=Code.NOT_LISTED, remedy="publish it, or name one that is listed")
        taken = [target for target in of_release if _fits(target, wish.platforms)]
        if not taken:
            text = f"{product} {version} has no artefact for {', '.join(map(str, wish.platforms))}"
            raise RequestError(text, code=Code.NO_ARTIFACT, remedy="publish one, or name another platform")
        policies = [target for target in targets if not _is_version(_version_of(target))]
        chosen |= {target.path: target for target in (*taken, *policies)}
    return [chosen[path] for path in sorted(chosen)]


def _require(listed: Mapping[str, Sequence[ListedTarget]], product: str) -> Sequence[ListedTarget]:
    """Return what a product lists."""
    if product not in listed:
        text = f"product: the repository has no product {product[:80]!r}"
        raise RequestError(
            text, code=Code.NOT_FOUND, remedy="name one that `release product list` shows", field="product"
        )
    return listed[product]


def _is_in(target: ListedTarget, wish: MirrorWish) -> bool:
    """Tell whether a target is in one of the channels, or in no channel at all."""
    channels = target.custom.get("channels")
    return (
        not wish.channels or not isinstance(channels, list) or bool(set(wish.channels).intersection(map(str, channels)))
    )


def _version_of(target: ListedTarget) -> str:
    """Return the middle part of a target's path."""
    return target.path.split("/")[1]


def _is_version(text: str) -> bool:
    """Tell whether a part of a path is a version; a policy stands under none."""
    try:
        Version.parse(text)
    except RequestError:
        return False
    return True


def _fits(target: ListedTarget, platforms: Sequence[Platform]) -> bool:
    """Tell whether a target runs on one of the platforms; what names none runs everywhere."""
    parts = [target.custom.get(part) for part in ("os", "arch", "abi")]
    if not platforms or not all(isinstance(part, str) for part in parts):
        return True
    artefact = Platform(*map(str, parts))
    return any(artefact.covers(wanted) or wanted.covers(artefact) for wanted in platforms)
