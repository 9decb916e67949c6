"""Manifest, names and headers. What must be refused: tests/attacks/archives."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetroll_common.values import ustar
from fleetroll_common.values.errors import TrustError
from fleetroll_common.values.manifest import FileEntry, Manifest, manifest_header
from fleetroll_common.values.relpath import collision, path_fault

parts = st.from_regex(r"[a-z0-9_][A-Za-z0-9_.+=@-]{0,8}[a-z0-9_]", fullmatch=True).filter(
    lambda part: not path_fault(part)
)
paths = st.lists(parts, min_size=1, max_size=4).map("/".join)
rows = st.builds(
    FileEntry,
    paths,
    st.sampled_from([0o644, 0o755]),
    st.integers(0, 10**6),
    st.text("0123456789abcdef", min_size=64, max_size=64),
)


def usable(entries: list[FileEntry]) -> bool:
    """Tell whether no path is another's folder or double."""
    names = {entry.path.casefold() for entry in entries}
    folders = {"/".join(path.split("/")[:n]).casefold() for path in names for n in range(1, path.count("/") + 1)}
    cased = {"/".join(e.path.split("/")[:n]) for e in entries for n in range(1, e.path.count("/") + 1)}
    return len(names) == len(entries) and not names & folders and len(cased) == len(folders)


@given(st.lists(rows, min_size=1, max_size=8).filter(usable))
def test_a_manifest_is_read_as_it_was_written_whatever_the_order_of_building(entries: list[FileEntry]) -> None:
    manifest = Manifest.of(entries, [])
    assert manifest == Manifest.of(entries[::-1], [])
    assert Manifest.parse(manifest.dump()) == manifest


@given(st.lists(rows, min_size=1, max_size=8).filter(usable))
def test_members_come_sorted_and_folders_before_what_is_in_them(entries: list[FileEntry]) -> None:
    order = [item if isinstance(item, str) else item.path for item in Manifest.of(entries, []).members()]
    assert order == sorted(order)
    for at, path in enumerate(order):
        folder = path.rpartition("/")[0]
        assert not folder or folder in order[:at]


@given(st.lists(rows.filter(lambda row: row.size < 3000), min_size=1, max_size=5).filter(usable))
def test_the_length_of_the_tar_follows_from_the_manifest(entries: list[FileEntry]) -> None:
    manifest = Manifest.of(entries, ["hollow-folder"])
    text = manifest.dump()
    tar = manifest_header(len(text)) + text + bytes(ustar.padded(len(text)) - len(text))
    for item in manifest.members():
        if isinstance(item, str):
            tar += ustar.directory_header(item)
        else:
            tar += ustar.file_header(item.path, item.mode, item.size) + bytes(ustar.padded(item.size))
    tar += ustar.END
    assert manifest.tar_bytes() == len(tar)
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        assert [member.name for member in archive][1:] == [
            item if isinstance(item, str) else item.path for item in manifest.members()
        ]


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 8**11 - 1])
def test_a_header_says_its_size_and_an_independent_reader_agrees(size: int) -> None:
    header = ustar.file_header("a/b", 0o755, size)
    assert ustar.size_of(header) == size
    info = tarfile.TarInfo.frombuf(header, "utf-8", "strict")
    assert (info.name, info.size, info.mode, info.mtime, info.isreg()) == ("a/b", size, 0o755, 0, True)


@pytest.mark.parametrize("size", [-1, 8**11])
def test_a_size_that_no_header_holds_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        ustar.file_header("a", 0o644, size)


@given(st.lists(st.integers(1, 100), min_size=1, max_size=3))
def test_long_paths_are_split_as_an_independent_reader_expects(lengths: list[int]) -> None:
    path = "/".join("abc"[place] * length for place, length in enumerate(lengths))
    if not ustar.fits(path):
        assert len(path) > 100
        with pytest.raises(ValueError, match="does not fit"):
            ustar.file_header(path, 0o644, 0)
    else:
        assert tarfile.TarInfo.frombuf(ustar.file_header(path, 0o644, 0), "utf-8", "strict").name == path


@pytest.mark.parametrize("path", ["entry.py", "a/b/c", ".hidden", "a b", "x+y=z@1,2~", "_", "a.b-c", "con1", "lpt"])
def test_harmless_names_are_allowed(path: str) -> None:
    assert path_fault(path) == ""


@given(st.text(max_size=30))
def test_an_allowed_path_stays_below_its_folder_on_every_system(path: str) -> None:
    if not path_fault(path):
        assert path.isascii()
        assert path.isprintable()
        assert not set(path) & set('\\:*?"<>|')
        assert not {"", ".", ".."} & set(path.split("/"))


def test_collisions_are_found_whatever_the_case() -> None:
    assert collision(["a", "b", "A"]) == "A"
    assert collision(["a", "b", "c"]) == ""


def test_a_manifest_refuses_at_building_what_hosts_refuse_at_reading() -> None:
    with pytest.raises(TrustError):
        Manifest.of([FileEntry("../x", 0o644, 0, "a" * 64)], [])
    with pytest.raises(TrustError):
        Manifest.of([FileEntry("x", 0o600, 0, "a" * 64)], [])


@given(st.binary(max_size=512))
def test_any_block_can_be_described_in_printable_words(noise: bytes) -> None:
    text = ustar.describe(noise.ljust(512, b"\0"))
    assert text.isascii()
    assert text.isprintable()
