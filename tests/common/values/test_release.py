"""The signed description of an artefact: strict about what it knows, patient with what it does not."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetroll_common.values.errors import RequestError, TrustError
from fleetroll_common.values.platform import Platform
from fleetroll_common.values.release import ReleaseCustom, check_product, target_path
from fleetroll_common.values.version import Version

SAMPLE = ReleaseCustom(
    product="agent",
    version=Version.parse("1.1.0-rc.1+g12"),
    channels=("beta", "stable"),
    platform=Platform("linux", "x86_64", "cp311"),
    git_sha="0123abc",
    tar_sha256="a" * 64,
    tar_bytes=1024,
    manifest_sha256="b" * 64,
    file_count=3,
    entry_point="entry.py",
    protocol=1,
    migrations_required=False,
    breaking_changes=None,
    released_at=datetime(2026, 5, 1, 12, 30, tzinfo=UTC),
    supported_from=Version.parse("1.0.0"),
)

names = st.from_regex(r"[a-z][a-z0-9-]{0,12}", fullmatch=True)
hashes = st.text("0123456789abcdef", min_size=64, max_size=64)


@given(
    st.builds(
        ReleaseCustom,
        product=names,
        version=st.sampled_from([Version.parse(text) for text in ("1.0.0", "2.0.0-rc.1", "1.0.0+x")]),
        channels=st.sets(names, min_size=1, max_size=16).map(lambda found: tuple(sorted(found))),
        platform=st.just(SAMPLE.platform),
        git_sha=st.sampled_from(["a" * 7, "0" * 64, "a" * 40 + "+dirty"]),
        tar_sha256=hashes,
        tar_bytes=st.integers(1, 4 * 1024**3),
        manifest_sha256=hashes,
        file_count=st.integers(1, 50_000),
        entry_point=st.sampled_from(["entry.py", "bin/tool"]),
        protocol=st.integers(1, 2**31 - 1),
        migrations_required=st.booleans(),
        breaking_changes=st.one_of(st.none(), st.text(min_size=1, max_size=50)),
        released_at=st.datetimes(datetime(2000, 1, 1), datetime(9999, 12, 31)).map(  # noqa: DTZ001 (made aware next)
            lambda naive: naive.replace(microsecond=0, tzinfo=UTC)
        ),
        supported_from=st.one_of(st.none(), st.just(Version.parse("0.9.0"))),
    )
)
def test_what_is_written_is_read_back_also_through_json(custom: ReleaseCustom) -> None:
    read = ReleaseCustom.from_json(json.loads(json.dumps(custom.to_json())))
    assert read == custom
    assert str(read.version) == str(custom.version)


def test_the_signed_form_has_every_field_by_its_name() -> None:
    assert SAMPLE.to_json() == {
        "product": "agent",
        "version": "1.1.0-rc.1+g12",
        "channels": ["beta", "stable"],
        "os": "linux",
        "arch": "x86_64",
        "abi": "cp311",
        "git_sha": "0123abc",
        "tar_sha256": "a" * 64,
        "tar_bytes": 1024,
        "manifest_sha256": "b" * 64,
        "file_count": 3,
        "entry_point": "entry.py",
        "protocol": 1,
        "migrations_required": False,
        "breaking_changes": None,
        "released_at": "2026-05-01T12:30:00Z",
        "supported_from": "1.0.0",
    }


def test_fields_of_a_later_version_are_left_alone() -> None:
    assert ReleaseCustom.from_json(SAMPLE.to_json() | {"delta_bases": ["x"], "requirements": {}}) == SAMPLE


@pytest.mark.parametrize("name", sorted(SAMPLE.to_json()))
def test_a_missing_field_is_refused_by_its_name(name: str) -> None:
    document = SAMPLE.to_json()
    del document[name]
    with pytest.raises(TrustError) as caught:
        ReleaseCustom.from_json(document)
    assert caught.value.code == "METADATA_INVALID"
    assert caught.value.message == f"{name}: is missing"
    assert caught.value.details == {"field": name}


WRONG: list[tuple[str, Any]] = [
    ("product", "Agent"), ("product", ""), ("product", "../x"), ("product", "a" * 64), ("product", 1),
    ("product", "-a"),
    ("version", "1.0"), ("version", None), ("version", 1), ("version", "1.0.0\n"),
    ("channels", []), ("channels", "stable"), ("channels", ["b", "a"]), ("channels", ["a", "a"]), ("channels", ["A"]),
    ("channels", [1]), ("channels", None), ("channels", [f"c{number:02}" for number in range(17)]),
    ("os", "Linux"), ("os", ""), ("os", None), ("arch", "x/y"), ("abi", "cp-311"), ("abi", 311),
    ("git_sha", "abc"), ("git_sha", "A" * 40), ("git_sha", "a" * 65), ("git_sha", "a" * 40 + "-dirty"),
    ("git_sha", None),
    ("tar_sha256", "a" * 63), ("tar_sha256", "A" * 64), ("tar_sha256", "a" * 64 + "\n"), ("tar_sha256", 0),
    ("tar_bytes", 0), ("tar_bytes", -1), ("tar_bytes", 4 * 1024**3 + 1), ("tar_bytes", 1.0), ("tar_bytes", True),
    ("tar_bytes", "1024"), ("tar_bytes", None),
    ("manifest_sha256", "g" * 64), ("manifest_sha256", ""),
    ("file_count", 0), ("file_count", 50_001), ("file_count", False),
    ("entry_point", ""), ("entry_point", "/bin/sh"), ("entry_point", "../x"), ("entry_point", "COMPLETE"),
    ("entry_point", None), ("entry_point", "a\u202eb"),
    ("protocol", 0), ("protocol", 2**31), ("protocol", "1"),
    ("migrations_required", 0), ("migrations_required", None), ("migrations_required", "false"),
    ("breaking_changes", ""), ("breaking_changes", "x" * 4097), ("breaking_changes", False),
    ("released_at", "2026-05-01"), ("released_at", "2026-05-01T12:00:00+00:00"),
    ("released_at", "2026-13-01T12:00:00Z"),
    ("released_at", "2026-05-01T12:00:00.5Z"), ("released_at", "1999-12-31T23:59:59Z"), ("released_at", 0),
    ("released_at", "2026-02-30T12:00:00Z"), ("released_at", "٢٠٢٦-05-01T12:00:00Z"), ("released_at", None),
    ("supported_from", "1"), ("supported_from", 1), ("supported_from", ""),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_field_is_refused_by_its_name(name: str, value: object) -> None:
    with pytest.raises(TrustError) as caught:
        ReleaseCustom.from_json(SAMPLE.to_json() | {name: value})
    assert caught.value.code == "METADATA_INVALID"
    assert caught.value.details == {"field": name}


def test_a_publisher_gets_the_same_refusal_as_a_bad_request() -> None:
    with pytest.raises(RequestError) as caught:
        replace(SAMPLE, tar_bytes=0)
    assert caught.value.details == {"field": "tar_bytes"}


@pytest.mark.parametrize(
    "instant",
    [
        datetime(2026, 1, 1),  # noqa: DTZ001 (that is the fault)
        datetime(2026, 1, 1, microsecond=1, tzinfo=UTC),
        datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=1))),
    ],
)
def test_an_instant_that_could_not_be_read_back_is_refused(instant: datetime) -> None:
    with pytest.raises(RequestError, match="released_at"):
        replace(SAMPLE, released_at=instant)


def test_a_dirty_commit_is_seen() -> None:
    assert not SAMPLE.is_dirty
    assert replace(SAMPLE, git_sha="a" * 40 + "+dirty").is_dirty


def test_the_path_of_a_target_says_product_version_and_platform() -> None:
    assert SAMPLE.target_path == "agent/1.1.0-rc.1+g12/linux-x86_64-cp311.tar.zst"
    path = target_path("my-product", Version.parse("1.1.0"), SAMPLE.platform)
    assert path == "my-product/1.1.0/linux-x86_64-cp311.tar.zst"


@pytest.mark.parametrize("product", ["", "a/b", "..", "A", "a" * 64, "1a", "a\n"])
def test_a_path_of_something_that_is_no_product_is_refused(product: str) -> None:
    with pytest.raises(RequestError) as caught:
        target_path(product, SAMPLE.version, SAMPLE.platform)
    assert caught.value.details == {"field": "product"}


def test_product_names_have_1_to_63_characters() -> None:
    assert check_product("a") == "a"
    assert check_product("a" * 63) == "a" * 63
