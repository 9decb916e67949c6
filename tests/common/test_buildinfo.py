"""What a program calls itself."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from fleetroll_common.buildinfo import BuildInfo, build_info, stamp
from fleetroll_common.values.errors import TrustError
from fleetroll_common.values.version import Version

if TYPE_CHECKING:
    from pathlib import Path

COMMITTED = datetime(2026, 5, 1, 12, 30, tzinfo=UTC)


def test_a_source_tree_calls_itself_unstamped() -> None:
    info = build_info()
    assert (info.shown, info.git_sha, info.is_dirty, info.version.is_dev) == ("0.0.0+dev", "", False, True)


@pytest.mark.parametrize(
    ("version", "sha", "shown"),
    [
        ("1.1.0", "a" * 40, "1.1.0"),
        ("1.1.0", "a" * 40 + "+dirty", "1.1.0+dirty"),
        ("1.1.0-rc.1", "abcdef0+dirty", "1.1.0-rc.1+dirty"),
        ("1.1.0+b7", "abcdef0+dirty", "1.1.0+b7"),
    ],
)
def test_a_stamp_is_read_as_it_was_written(tmp_path: Path, version: str, sha: str, shown: str) -> None:
    info = BuildInfo(Version.parse(version), sha, COMMITTED)
    (tmp_path / "_stamp.json").write_bytes(stamp(info))
    read = build_info(tmp_path)
    assert read == info
    assert str(read.version) == version
    assert read.shown == shown


GOOD = b'{"built_at":1,"git_sha":"abcdef0","version":"1.0.0"}'


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (GOOD, b""),
        (GOOD, b"[]"),
        (b'"1.0.0"', b'"1.0"'),
        (b'"1.0.0"', b"1"),
        (b'"abcdef0"', b'"ABCDEF0"'),
        (b'"abcdef0"', b"7"),
        (b'"abcdef0"', b'""'),
        (b'"built_at":1', b'"built_at":"1"'),
        (b'"built_at":1', b'"built_at":true'),
        (b'"built_at":1', b'"built_at":1e400'),
        (b'"built_at":1', b'"built_at":99999999999999999999'),
        (b'"version"', b'"other"'),
    ],
)
def test_a_damaged_stamp_is_an_error_not_another_version(tmp_path: Path, old: bytes, new: bytes) -> None:
    (tmp_path / "_stamp.json").write_bytes(GOOD)
    assert build_info(tmp_path).shown == "1.0.0"
    (tmp_path / "_stamp.json").write_bytes(GOOD.replace(old, new))
    with pytest.raises(TrustError) as caught:
        build_info(tmp_path)
    assert caught.value.code == "METADATA_INVALID"
