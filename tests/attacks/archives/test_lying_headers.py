"""The manifest is honest; a header in the tar says something else. Lengths and hashes fit the hostile archive."""

from __future__ import annotations

import pytest

from fleetroll_common.values import ustar
from tests.faults.archives import CONTENT, Arena, header, honest

ENTRY = 1  # members: MANIFEST, entry.py, pkg, pkg/__init__.py, pkg/data.bin
FOLDER = 2
SIZE = len(CONTENT["entry.py"])

KINDS = {
    "hard link": (b"1", "a hard link"),
    "symbolic link": (b"2", "a symbolic link"),
    "character device": (b"3", "a character device"),
    "block device": (b"4", "a block device"),
    "fifo": (b"6", "a FIFO"),
    "contiguous file": (b"7", "a contiguous file"),
    "sparse file": (b"S", "a sparse file"),
    "pax header": (b"x", "an extended header"),
    "global pax header": (b"g", "a global extended header"),
    "gnu long name": (b"L", "a GNU long name"),
    "gnu long link": (b"K", "a GNU long link name"),
    "gnu dump": (b"D", "a GNU directory dump"),
    "continuation": (b"M", "a GNU continuation"),
    "volume": (b"V", "a volume header"),
    "unknown type": (b"Z", "of unknown type 'Z'"),
    "old regular file": (b"\0", "a file"),
}


@pytest.mark.parametrize(("kind", "named"), KINDS.values(), ids=KINDS.keys())
def test_an_entry_of_another_kind_is_refused_by_its_name(arena: Arena, kind: bytes, named: str) -> None:
    bent = honest().bend(ENTRY, header=header(b"entry.py", kind=kind, size=SIZE, link=b"../witness"))
    assert named in str(arena.refuse(bent, "HOSTILE_ARCHIVE"))


NAMES = {
    "absolute path": b"/etc/cron.d/x",
    "path out of the folder": b"../witness",
    "path out of a sub-folder": b"pkg/../../witness",
    "dot": b"./entry.py",
    "nul inside": b"entry.py\0../../x",
    "direction override": "entry\u202eyp.py".encode(),
    "line break": b"entry\n.py",
    "escape sequence": b"\x1b[2Jentry.py",
    "not utf-8": b"\xff\xfe",
    "no name": b"",
    "slash behind": b"entry.py/",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
def test_another_name_than_the_manifest_lists_is_refused(arena: Arena, name: bytes) -> None:
    error = arena.refuse(honest().bend(ENTRY, header=header(name, size=SIZE)), "HOSTILE_ARCHIVE")
    assert str(error).isascii()
    assert str(error).isprintable()


@pytest.mark.parametrize("mode", [0o4644, 0o2644, 0o6755, 0o1644, 0o666, 0o777, 0o755, 0o000])
def test_another_mode_than_the_manifest_lists_is_refused(arena: Arena, mode: int) -> None:
    arena.refuse(honest().bend(ENTRY, header=header(b"entry.py", mode=mode, size=SIZE)), "HOSTILE_ARCHIVE")


def test_an_owner_is_refused(arena: Arena) -> None:
    arena.refuse(honest().bend(ENTRY, header=header(b"entry.py", size=SIZE, owner=1000)), "HOSTILE_ARCHIVE")


def test_a_time_is_refused(arena: Arena) -> None:
    arena.refuse(honest().bend(ENTRY, header=header(b"entry.py", size=SIZE, seconds=1)), "HOSTILE_ARCHIVE")


def test_a_wrong_header_checksum_is_refused(arena: Arena) -> None:
    arena.refuse(honest().bend(ENTRY, header=header(b"entry.py", size=SIZE, spoil_checksum=True)), "HOSTILE_ARCHIVE")


@pytest.mark.parametrize("size", [SIZE + 1, 0, 8**11 - 1])
def test_another_size_than_the_manifest_lists_is_refused(arena: Arena, size: int) -> None:
    arena.refuse(honest().bend(ENTRY, header=header(b"entry.py", size=size)), "HOSTILE_ARCHIVE")


@pytest.mark.parametrize("size", [b"\x80" + bytes(10) + b"\x0e", b"\xff" * 12, b"-0000000001\0", b"           \0"])
def test_a_size_in_another_notation_is_refused(arena: Arena, size: bytes) -> None:
    arena.refuse(honest().bend(ENTRY, header=header(b"entry.py", size=size)), "HOSTILE_ARCHIVE")


def test_a_size_in_another_notation_is_refused_in_the_manifest_too(arena: Arena) -> None:
    arena.refuse(honest().bend(0, header=header(b"MANIFEST", size=b"\xff" * 12)), "HOSTILE_ARCHIVE")


def test_a_folder_in_place_of_a_file_is_refused(arena: Arena) -> None:
    arena.refuse(honest().bend(ENTRY, header=ustar.directory_header("entry.py")), "HOSTILE_ARCHIVE")


def test_a_file_in_place_of_a_folder_is_refused(arena: Arena) -> None:
    arena.refuse(honest().bend(FOLDER, header=ustar.file_header("pkg", 0o644, 0)), "HOSTILE_ARCHIVE")


def test_a_link_in_place_of_a_folder_is_refused_before_anything_is_written_through_it(arena: Arena) -> None:
    arena.refuse(honest().bend(FOLDER, header=header(b"pkg", kind=b"2", link=b"..")), "HOSTILE_ARCHIVE")


def test_entries_in_another_order_are_refused(arena: Arena) -> None:
    swapped = honest()
    swapped.members[3], swapped.members[4] = swapped.members[4], swapped.members[3]
    arena.refuse(swapped, "HOSTILE_ARCHIVE")


def test_an_archive_that_does_not_begin_with_its_manifest_is_refused(arena: Arena) -> None:
    bent = honest()
    bent.members.append(bent.members.pop(0))
    arena.refuse(bent, "HOSTILE_ARCHIVE")


def test_a_manifest_that_is_a_link_is_refused(arena: Arena) -> None:
    bent = honest()
    bent.bend(0, header=header(b"MANIFEST", kind=b"2", size=len(bent.members[0].data), link=b"/etc/passwd"))
    assert "a symbolic link" in str(arena.refuse(bent, "HOSTILE_ARCHIVE"))


def test_data_that_hides_behind_the_end_of_a_file_is_refused(arena: Arena) -> None:
    arena.refuse(honest().bend(ENTRY, padding=b"\0" * (512 - SIZE - 4) + b"evil"), "HOSTILE_ARCHIVE")


def test_data_that_hides_behind_the_end_of_the_manifest_is_refused(arena: Arena) -> None:
    bent = honest()
    spare = ustar.padded(len(bent.members[0].data)) - len(bent.members[0].data)
    arena.refuse(bent.bend(0, padding=b"\1" * spare), "HOSTILE_ARCHIVE")
