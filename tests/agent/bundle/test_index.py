"""Files that call themselves bundles: each fault is refused by name, and nothing is unpacked."""

from __future__ import annotations

import io
import os
import tarfile
from typing import TYPE_CHECKING

import pytest

from fleetroll_agent.bundle import open_source
from fleetroll_agent.bundle.index import Extent, read_index
from fleetroll_common.trust import bundle, limits
from fleetroll_common.values import ustar
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError, TrustError
from tests.faults.carried import entry, tar

if TYPE_CHECKING:
    from pathlib import Path

TIMESTAMP, SNAPSHOT = "metadata/timestamp.json", "metadata/3.snapshot.json"
SHOP = "targets/shop/1.0.0/any-any-any.tar.zst"
FILES = {SNAPSHOT: b"a" * 600, TIMESTAMP: b"b", SHOP: b"c" * 1024}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "some.bundle"


def refused(file: Path, data: bytes) -> TrustError:
    file.write_bytes(data)
    with pytest.raises(TrustError) as caught:
        read_index(str(file))
    assert caught.value.code is Code.HOSTILE_ARCHIVE
    assert caught.value.remedy
    assert caught.value.message.isprintable()
    return caught.value


def test_an_honest_bundle_is_read_by_its_headers(file: Path) -> None:
    """Where each file lies and how long it is."""
    file.write_bytes(tar(FILES))
    assert read_index(str(file)) == {SNAPSHOT: Extent(512, 600), TIMESTAMP: Extent(2048, 1), SHOP: Extent(3072, 1024)}


@pytest.mark.parametrize(
    "name",
    [
        "metadata/../../etc/passwd",
        "targets/../x/y/z",
        "targets/shop/../x",
        "targets/shop/1.0.0/..",
        "/metadata/timestamp.json",
        "metadata/timestamp.json/",
        "metadata/0.root.json",
        "metadata/01.root.json",
        "metadata/root.json",
        "metadata/2.products/shop.json",
        "metadata/2.products%2F..json",
        "metadata/2.timestamp.json",
        "targets/shop/1.0.0",
        "targets/shop/1.0.0/a/b",
        "targets/shop//a",
        "targets/shop/1.0.0/nul",
        "etc/passwd",
        "metadata",
        "",
    ],
)
def test_a_name_that_no_bundle_has_is_refused(file: Path, name: str) -> None:
    """Wherever it would lead."""
    head = ustar.file_header(name, 0o644, 1)
    error = refused(file, head + bytes(512).replace(b"\0", b"x", 1) + ustar.END)
    assert not name or repr(name) in error.message or name in error.message


@pytest.mark.parametrize("name", ["metadata/\x1b[2J.json", "metadata/ä.root.json", "targets/shop/1.0.0/a\nb"])
def test_a_name_that_steers_a_terminal_is_not_printed_as_it_is(file: Path, name: str) -> None:
    """The refusal is read by people."""
    head = bytearray(ustar.file_header("x" * len(name.encode()), 0o644, 1))
    head[: len(name.encode())] = name.encode()
    refused(file, bytes(head) + bytes(512) + ustar.END)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_what_is_no_regular_file_is_refused(file: Path, kind: bytes) -> None:
    """Links above all, whatever they point to."""
    member = tarfile.TarInfo(SHOP)
    member.type, member.linkname = kind, "/etc/passwd"
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        archive.addfile(member)
    assert SHOP in refused(file, packed.getvalue()).message


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_extensions_of_the_format_are_refused(file: Path, form: int) -> None:
    """Long names and extended headers say things that a reader would have to obey."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=form) as archive:
        archive.addfile(tarfile.TarInfo("targets/shop/1.0.0/" + "x" * 200))
    refused(file, packed.getvalue())


@pytest.mark.parametrize(
    "change", [{"mode": 0o755}, {"mode": 0o4644}, {"uid": 1}, {"mtime": 1}, {"uname": "root"}, {"size": 1025}]
)
def test_any_other_header_for_the_same_file_is_refused(file: Path, change: dict[str, object]) -> None:
    """There is one that may stand there."""
    member = tarfile.TarInfo(SHOP)
    member.size = 1024
    for field, value in change.items():
        setattr(member, field, value)
    refused(file, member.tobuf(tarfile.USTAR_FORMAT) + bytes(1024) + ustar.END)


@pytest.mark.parametrize("name", [SNAPSHOT, SHOP])
def test_a_name_that_comes_twice_is_refused(file: Path, name: str) -> None:
    """Which of the two would count?"""
    error = refused(file, entry(name, b"a") + entry(name, b"b") + ustar.END)
    assert error.details["file"] == name


def test_metadata_behind_targets_is_refused(file: Path) -> None:
    """The order is a part of the form: the same content is the same file."""
    error = refused(file, entry(SHOP, b"a") + entry(TIMESTAMP, b"b") + ustar.END)
    assert error.details["file"] == TIMESTAMP


@pytest.mark.parametrize(
    ("name", "most"),
    [
        (TIMESTAMP, limits.TIMESTAMP_BYTES_MAX),
        ("metadata/1.root.json", limits.ROOT_BYTES_MAX),
        (SNAPSHOT, limits.SNAPSHOT_BYTES_MAX),
        ("metadata/1.targets.json", limits.TARGETS_BYTES_MAX),
        ("metadata/1.products%2Fshop.json", limits.TARGETS_BYTES_MAX),
        (SHOP, 4 * 1024**3),
    ],
)
def test_a_size_above_the_bound_of_its_kind_is_refused(file: Path, name: str, most: int) -> None:
    """By the header alone: the bytes need not be there, as in a sparse file that costs nothing to make."""
    assert bundle.size_max(name) == most
    with file.open("wb") as made:
        made.write(ustar.file_header(name, 0o644, most + 1))
        made.truncate(most + 10_000)
    with pytest.raises(TrustError) as caught:
        read_index(str(file))
    assert (caught.value.code, caught.value.details["file"]) == (Code.HOSTILE_ARCHIVE, name)


def test_a_bundle_that_ends_anywhere_before_its_end_is_refused(file: Path) -> None:
    """At each block, and within one."""
    whole = tar(FILES)
    for length in sorted({*range(0, len(whole), 512), 1, 511, 513, 1500, len(whole) - 1}):
        refused(file, whole[:length])


def test_what_follows_the_end_is_refused(file: Path) -> None:
    """Nothing hides behind it, not even zeros."""
    for more in (b"x", bytes(512), entry(SHOP, b"a")):
        refused(file, tar(FILES) + more)


def test_what_hides_in_the_rest_of_a_block_is_refused(file: Path) -> None:
    """The same content is the same file."""
    data = bytearray(tar({TIMESTAMP: b"b"}))
    data[512 + 100] = 1
    assert refused(file, bytes(data)).details["file"] == TIMESTAMP


def test_a_bundle_of_very_many_files_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded by their number."""
    monkeypatch.setattr(bundle, "MAX_ENTRIES", 2)
    assert "more than 2 files" in refused(file, tar(FILES)).message


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04" * 1000, os.urandom(4096), ustar.END])
def test_what_is_no_bundle_is_refused(file: Path, data: bytes) -> None:
    """Whatever lay on the stick."""
    refused(file, data)


@pytest.mark.timeout(10)
def test_what_never_ends_is_refused_at_once(tmp_path: Path) -> None:
    """A pipe without a writer, and a device."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(TrustError) as caught:
            open_source(str(path))
        assert "no regular file" in caught.value.message


@pytest.mark.parametrize(
    "text",
    [
        "some.bundle",
        "",
        "/nowhere/some.bundle",
        "/etc/\x1b[2J",
        "http://mirror.example/x",
        "ftp://mirror.example/x",
        "https://user:secret@mirror.example/x",
        "https://",
        "/" + "x" * 5000,
    ],
)
def test_what_names_no_source_is_refused_with_a_remedy(text: str) -> None:
    """As the caller's fault; an address without TLS to another host too."""
    with pytest.raises(RequestError) as caught:
        open_source(text)
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert caught.value.remedy
    assert caught.value.message.isprintable()
