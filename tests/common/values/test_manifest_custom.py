"""What is signed about a release manifest, and how it is told from an artefact's description."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError, TrustError
from fleetroll_common.values.manifest_custom import ManifestCustom, describe, kind_of
from fleetroll_common.values.platform import Platform
from fleetroll_common.values.release import ReleaseCustom, TargetKind
from fleetroll_common.values.release_manifest import ReleaseManifest
from fleetroll_common.values.version import Version

MANIFEST = ReleaseManifest(
    Version.parse("1.4.0"), "0123456", "beta", migrations_required=True, breaking_changes="all",
    released_at="2026-05-01T14:00:00.5+02:00",
)  # fmt: skip
CUSTOM = ManifestCustom.of("shop", MANIFEST, 1, Version.parse("1.0.0"))
ARTEFACT = ReleaseCustom(
    product="shop",
    version=Version.parse("1.4.0"),
    channels=("beta",),
    platform=Platform.parse("any"),
    git_sha="0123456",
    tar_sha256="a" * 64,
    tar_bytes=10,
    manifest_sha256="b" * 64,
    file_count=1,
    entry_point="run",
    protocol=1,
    migrations_required=False,
    breaking_changes=None,
    released_at=datetime(2026, 5, 1, tzinfo=UTC),
)


def test_it_says_what_the_manifest_says() -> None:
    """The instant in UTC and whole seconds, the commit under the name that descriptions have for it."""
    assert CUSTOM.to_json() == {
        "kind": "manifest",
        "product": "shop",
        "version": "1.4.0",
        "channels": ["beta"],
        "git_sha": "0123456",
        "protocol": 1,
        "migrations_required": True,
        "breaking_changes": "all",
        "released_at": "2026-05-01T12:00:00Z",
        "supported_from": "1.0.0",
    }
    assert CUSTOM.target_path == "shop/1.4.0/manifest.json"


def test_the_two_kinds_are_told_apart_by_the_word_alone() -> None:
    """Descriptions of older releases have no such word: they are of artefacts."""
    assert describe(CUSTOM.to_json()) == CUSTOM
    assert describe(ARTEFACT.to_json()) == ARTEFACT
    assert describe(ARTEFACT.to_json() | {"kind": "artefact"}) == ARTEFACT
    assert (kind_of({}), kind_of({"kind": "manifest"})) == (TargetKind.ARTEFACT, TargetKind.MANIFEST)


@pytest.mark.parametrize("kind", ["pack", "", None, 1, ["manifest"], "Manifest", "\x1b[2J"])
def test_a_kind_that_is_not_known_is_refused(kind: Any) -> None:
    """A newer version may know what to do with it; this one must not guess."""
    with pytest.raises(TrustError) as caught:
        describe(CUSTOM.to_json() | {"kind": kind})
    assert (caught.value.code, caught.value.details["field"]) == (Code.METADATA_INVALID, "kind")
    assert caught.value.message.isprintable()


@pytest.mark.parametrize("field", sorted(set(CUSTOM.to_json()) - {"kind"}))
def test_a_missing_or_wrong_field_is_refused_by_its_name(field: str) -> None:
    """Each has one type, and True is no number."""
    for document in (
        {name: value for name, value in CUSTOM.to_json().items() if name != field},
        CUSTOM.to_json() | {field: {"x": 1}},
    ):
        with pytest.raises(TrustError) as caught:
            describe(document)
        assert (caught.value.code, caught.value.details["field"]) == (Code.METADATA_INVALID, field)


def test_a_description_of_an_artefact_is_no_manifest_s() -> None:
    """Whoever asks for one kind gets no other."""
    with pytest.raises(TrustError):
        ManifestCustom.from_json(ARTEFACT.to_json())
    with pytest.raises(TrustError):
        ReleaseCustom.from_json(CUSTOM.to_json())


def test_what_can_not_be_signed_is_refused_when_it_is_made() -> None:
    """The product's name becomes a part of paths."""
    with pytest.raises(RequestError) as caught:
        ManifestCustom.of("../shop", MANIFEST, 1, None)
    assert caught.value.details == {"field": "product"}
