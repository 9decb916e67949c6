"""What releases can be filtered and sorted by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_tui.model.fields import Field, Fields, Kind, Order
from fleetroll_tui.model.listing import Down
from fleetroll_tui.model.releases import RELEASE_STATES, Release
from fleetroll_tui.model.versions import order_key

if TYPE_CHECKING:
    from collections.abc import Iterable

IS_RELEASE = ("used", "unused", "wanted", "migrates", "breaking")


def _is(release: Release) -> Iterable[str]:
    yield "used" if release.runs or release.wanted else "unused"
    for word, holds in (
        ("wanted", release.wanted),
        ("migrates", release.migrations),
        ("breaking", bool(release.breaking)),
    ):
        if holds:
            yield word


def _by_state(release: Release) -> tuple[int, str, Down]:
    at = RELEASE_STATES.index(release.state) if release.state in RELEASE_STATES else len(RELEASE_STATES)
    return at, *_by_product(release)


def _by_product(release: Release) -> tuple[str, Down]:
    return release.product, Down(order_key(release.version))


_FIELDS: tuple[Field[Release], ...] = (
    Field("product", Kind.WORD, lambda release: (release.product,), "product:shop"),
    Field("version", Kind.VERSION, lambda release: (release.version,), "version:<2"),
    Field("state", Kind.CHOICE, lambda release: (release.state,), "state:yanked", RELEASE_STATES),
    Field("channel", Kind.WORD, lambda release: release.channels, "channel:stable"),
    Field("platform", Kind.WORD, lambda release: release.platforms, "platform:linux-*"),
    Field("is", Kind.CHOICE, _is, "is:unused", IS_RELEASE),
    Field("by", Kind.WORD, lambda release: (release.by,), "by:ana"),
    Field("key", Kind.WORD, lambda release: release.keys, "key:3f9c*"),
    Field("digest", Kind.WORD, lambda release: (each.sha256 for each in release.artefacts), "digest:9b1d*"),
    Field("published", Kind.AGE, lambda release: (release.at,) if release.at else (), "published:<7d"),
)
RELEASE_FIELDS: Fields[Release] = Fields(
    {field.name: field for field in _FIELDS},
    lambda release: (release.id, release.product, release.version, release.git_sha, release.reason),
    (
        Order("product", _by_product),
        Order("newest", lambda release: -release.at),
        Order("state", _by_state),
        Order("hosts", lambda release: (-release.runs, -release.wanted, *_by_product(release))),
    ),
)
