"""Archives that are too short, too long, too large, or not what was signed."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
import zstandard

from fleetroll_agent.unpack import Caps, unpack
from fleetroll_agent.unpack.stream import TarStream
from fleetroll_common.values import ustar
from fleetroll_common.values.errors import AgentError
from fleetroll_common.values.manifest import Manifest
from fleetroll_common.values.platform import Platform
from tests.faults.archives import CONTENT, HERE, Arena, Member, compress, entries, honest, signed_manifest, snapshot

if TYPE_CHECKING:
    from pathlib import Path


def test_an_entry_that_the_manifest_does_not_list_is_refused(arena: Arena) -> None:
    archive = honest()
    archive.members.append(Member(ustar.file_header("pkg/evil.py", 0o644, 4), b"evil"))
    arena.refuse(archive, "HOSTILE_ARCHIVE")


def test_an_entry_that_the_manifest_does_not_list_is_refused_in_place_of_the_end(arena: Arena) -> None:
    archive = honest()
    archive.end = ustar.file_header("evil.py", 0o644, 0) + bytes(512)
    assert "more than its manifest lists" in str(arena.refuse(archive, "HOSTILE_ARCHIVE"))


def test_a_listed_file_that_is_missing_is_refused(arena: Arena) -> None:
    archive = honest()
    archive.members.pop(3)
    arena.refuse(archive, "HOSTILE_ARCHIVE")


def test_a_listed_file_that_is_missing_is_refused_when_other_bytes_fill_its_place(arena: Arena) -> None:
    archive = honest()
    archive.members.pop(3)
    archive.end += bytes(512)
    arena.refuse(archive, "HOSTILE_ARCHIVE")


def test_bytes_behind_the_end_of_the_tar_are_refused(arena: Arena) -> None:
    archive = honest()
    archive.end += bytes(512)
    arena.refuse(archive, "HOSTILE_ARCHIVE")


def test_bytes_behind_the_end_of_the_tar_are_refused_when_the_signed_length_leaves_room_for_none(arena: Arena) -> None:
    archive, longer = honest(), honest()
    longer.end += b"evil"
    assert "more than the signed" in str(arena.refuse(compress(longer.tar()), "HOSTILE_ARCHIVE", like=archive))


@pytest.mark.parametrize(
    "behind",
    [b"x", compress(b""), compress(b"evil"), b"\x50\x2a\x4d\x18\x04\0\0\0evil"],
    ids=["a byte", "an empty frame", "a second frame", "a skippable frame"],
)
def test_data_behind_the_compressed_archive_is_refused(arena: Arena, behind: bytes) -> None:
    archive = honest()
    assert "follows" in str(arena.refuse(compress(archive.tar()) + behind, "HOSTILE_ARCHIVE", like=archive))


def test_an_archive_that_is_cut_anywhere_is_refused(arena: Arena) -> None:
    archive = honest()
    whole = compress(archive.tar())
    for length in range(0, len(whole), 7):
        arena.refuse(whole[:length], "HOSTILE_ARCHIVE", like=archive)


def test_a_tar_that_is_cut_anywhere_is_refused(arena: Arena) -> None:
    archive = honest()
    tar = archive.tar()
    for length in range(0, len(tar), 512):
        arena.refuse(compress(tar[:length]), "HOSTILE_ARCHIVE", like=archive)


def test_an_archive_without_its_end_is_refused(arena: Arena) -> None:
    archive = honest()
    archive.end = b"\1" + ustar.END[1:]
    arena.refuse(archive, "HOSTILE_ARCHIVE")


def test_bytes_that_are_no_compressed_archive_are_refused(arena: Arena) -> None:
    for raw in (b"", b"\0" * 4096, b"PK\3\4" + b"x" * 900, honest().tar()):
        arena.refuse(raw, "HOSTILE_ARCHIVE", like=honest())


def test_a_damaged_compression_is_refused(arena: Arena) -> None:
    archive = honest()
    whole = compress(archive.tar())
    arena.refuse(whole[:-1] + bytes([whole[-1] ^ 1]), "HOSTILE_ARCHIVE", like=archive)


def test_a_bomb_that_unpacks_to_more_than_was_signed_is_refused_after_the_signed_bytes(arena: Arena) -> None:
    archive = honest()
    bomb = compress(archive.tar() + bytes(64 * 1024 * 1024))
    assert len(bomb) < 20_000
    assert "more than the signed" in str(arena.refuse(bomb, "HOSTILE_ARCHIVE", like=archive))


def test_a_bomb_is_never_held_in_memory_whole(tmp_path: Path) -> None:
    path = tmp_path / "bomb"
    path.write_bytes(compress(bytes(256 * 1024 * 1024)))
    largest = 0
    with path.open("rb") as source:
        for piece in TarStream(source, 2**30).pieces(256 * 1024 * 1024):
            largest = max(largest, len(piece))
    assert largest <= 9 * 1024 * 1024


def test_a_bomb_that_was_signed_is_refused_by_the_cap_of_the_host(arena: Arena) -> None:
    archive = honest({"entry.py": b"", "zeros": bytes(1024 * 1024)})
    assert "this host takes" in str(arena.refuse(archive, "HOSTILE_ARCHIVE", caps=Caps(tar_bytes=1024 * 1024)))


def test_a_manifest_that_promises_more_bytes_than_were_signed_is_refused_before_anything_is_written(
    arena: Arena,
) -> None:
    text = Manifest.of(entries({"entry.py": bytes(10**6)}), []).dump()
    archive = signed_manifest(text, Member(ustar.file_header("entry.py", 0o644, 10**6), b""))
    assert "the manifest makes a tar of" in str(arena.refuse(archive, "HOSTILE_ARCHIVE"))


def test_more_files_than_the_host_takes_are_refused(arena: Arena) -> None:
    archive = honest({"entry.py": b""} | {f"f{number}": b"" for number in range(100)})
    assert "this host takes 100" in str(arena.refuse(archive, "HOSTILE_ARCHIVE", caps=Caps(files=100)))


def test_more_folders_than_the_host_takes_are_refused(arena: Arena) -> None:
    archive = honest({"entry.py": b""}, tuple(f"d{number}" for number in range(100)))
    arena.refuse(archive, "HOSTILE_ARCHIVE", caps=Caps(files=99))


def test_another_number_of_files_than_was_signed_is_refused(arena: Arena) -> None:
    archive = honest()
    archive.signed = {"file_count": 2}
    assert "2 are signed" in str(arena.refuse(archive, "HOSTILE_ARCHIVE"))


def test_a_manifest_larger_than_the_host_takes_is_refused(arena: Arena) -> None:
    arena.refuse(honest(), "HOSTILE_ARCHIVE", caps=Caps(manifest_bytes=64))


def test_a_frame_that_wants_too_much_memory_is_refused(arena: Arena) -> None:
    archive = honest({"entry.py": os.urandom(4096)})
    packer = zstandard.ZstdCompressor(
        compression_params=zstandard.ZstdCompressionParameters.from_level(3, window_log=27)
    ).compressobj()
    raw = packer.compress(archive.tar()) + packer.flush()
    assert "too much memory" in str(arena.refuse(raw, "HOSTILE_ARCHIVE", like=archive))


def test_a_changed_byte_in_a_file_is_found_by_its_hash(arena: Arena) -> None:
    archive = honest()
    content = archive.members[4].data
    archive.bend(4, data=content[:-1] + bytes([content[-1] ^ 1]))
    error = arena.refuse(archive, "WRONG_HASH")
    assert error.details == {"file": "pkg/data.bin"}


def test_a_changed_byte_anywhere_in_the_manifest_is_found_by_its_hash(arena: Arena) -> None:
    for at in range(0, len(honest().members[0].data), 13):
        archive = honest()
        text = bytearray(archive.members[0].data)
        text[at] ^= 1
        bent = honest()
        bent.bend(0, data=bytes(text))
        bent.signed = {"manifest_sha256": archive.custom().manifest_sha256}
        arena.refuse(bent, "WRONG_HASH")


def test_another_tar_than_the_signed_one_is_refused_at_the_end(arena: Arena) -> None:
    archive = honest()
    archive.signed = {"tar_sha256": "0" * 64}
    arena.refuse(archive, "WRONG_HASH")


def test_an_artefact_without_its_entry_point_is_refused(arena: Arena) -> None:
    archive = honest({"main.py": b"", "pkg/entry.py": b""})
    assert arena.refuse(archive, "ENTRY_MISSING").details == {"entry_point": "entry.py"}


def test_a_folder_is_no_entry_point(arena: Arena) -> None:
    arena.refuse(honest({"entry.py/x": b""}), "ENTRY_MISSING")


@pytest.mark.parametrize("other", ["linux-x86_64-cp312", "linux-aarch64-cp311", "darwin-x86_64-cp311"])
def test_an_artefact_for_another_platform_is_refused(arena: Arena, other: str) -> None:
    archive = honest()
    archive.signed = {"platform": Platform.parse(other)}
    assert arena.refuse(archive, "WRONG_PLATFORM").details["artefact"] == other


def test_a_link_in_place_of_the_target_folder_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (tmp_path / "into").symlink_to(victim)
    archive = honest()
    path = archive.write(tmp_path / "a.tar.zst")
    with pytest.raises(AgentError):
        unpack(path, tmp_path / "into", expected=archive.custom(), platform=HERE)
    assert snapshot(victim) == {}


def test_a_target_folder_that_is_not_empty_is_refused_and_kept_as_it_is(arena: Arena) -> None:
    (arena.into / "pkg").symlink_to(arena.root)
    archive = honest()
    path = archive.write(arena.root / "a.tar.zst")
    before = snapshot(arena.root)
    with pytest.raises(AgentError) as caught:
        unpack(path, arena.into, expected=archive.custom(), platform=HERE)
    assert caught.value.code == "INTERNAL"
    assert snapshot(arena.root) == before


def test_a_folder_that_turns_into_a_link_meanwhile_is_not_followed(
    arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim = arena.root / "victim"
    victim.mkdir()
    real = os.mkdir

    def race(name: str, mode: int, dir_fd: int) -> None:
        if name == "pkg":
            os.symlink(victim, name, dir_fd=dir_fd)
        else:
            real(name, mode, dir_fd=dir_fd)

    monkeypatch.setattr("fleetroll_agent.unpack.tree.os.mkdir", race)
    monkeypatch.setattr("fleetroll_agent.unpack.tree.os.chmod", lambda *_args, **_names: None)
    archive = honest()
    path = archive.write(arena.root / "a.tar.zst")
    with pytest.raises(AgentError):
        unpack(path, arena.into, expected=archive.custom(), platform=HERE)
    assert snapshot(victim) == {}
    assert snapshot(arena.into) == {}


def test_the_honest_archive_that_all_of_these_are_bent_from_is_taken(arena: Arena) -> None:
    archive = honest()
    path = archive.write(arena.root / "a.tar.zst")
    unpack(path, arena.into, expected=archive.custom(), platform=HERE)
    written = {str(p.relative_to(arena.into)): p.read_bytes() for p in arena.into.rglob("*") if p.is_file()}
    assert written.pop("MANIFEST") == archive.members[0].data
    assert written == CONTENT
    assert json.loads(archive.members[0].data)["format"] == 1
