"""The same content gives the same bytes, and only content that hosts take can be built."""

from __future__ import annotations

import hashlib
import io
import os
import socket
import tarfile
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
import zstandard

from fleetroll_agent.unpack import unpack
from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.release import ReleaseCustom
from fleetroll_common.values.version import Version
from fleetroll_publishing.artefact import BuiltArtefact, build_artefact, inspect_artefact
from tests.faults.archives import CONTENT, HERE, compress, honest

if TYPE_CHECKING:
    from pathlib import Path


def plant(folder: Path, *, reverse: bool = False, umask: int = 0o022, seconds: int = 10**9) -> Path:
    """Write the content into ``folder`` as some machine would."""
    before = os.umask(umask)
    try:
        for name, data in sorted(CONTENT.items(), reverse=reverse):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            os.utime(path, (seconds, seconds))
        (folder / "hollow").mkdir()
        (folder / "tool").write_bytes(b"#!/bin/sh\n")
        (folder / "tool").chmod(0o777 & ~umask)
    finally:
        os.umask(before)
    return folder


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return plant(tmp_path / "tree")


def build(tree: Path, out: Path, level: int = 3) -> BuiltArtefact:
    return build_artefact(tree, out, entry_point="entry.py", level=level)


def described(built: BuiltArtefact) -> ReleaseCustom:
    return ReleaseCustom(
        product="agent",
        version=Version.parse("1.1.0"),
        channels=("stable",),
        platform=HERE,
        git_sha="a" * 40,
        tar_sha256=built.tar_sha256,
        tar_bytes=built.tar_bytes,
        manifest_sha256=built.manifest_sha256,
        file_count=built.file_count,
        entry_point=built.entry_point,
        protocol=1,
        migrations_required=False,
        breaking_changes=None,
        released_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def test_two_builds_are_equal_whatever_folder_order_umask_and_times(tmp_path: Path) -> None:
    one = build(plant(tmp_path / "one"), tmp_path / "one.tar.zst")
    (tmp_path / "elsewhere" / "deep").mkdir(parents=True)
    strict = plant(tmp_path / "elsewhere" / "deep" / "two", reverse=True, umask=0o077, seconds=1)
    two = build(strict, tmp_path / "two.tar.zst")
    assert one.path.read_bytes() == two.path.read_bytes()
    assert one.artefact_sha256 == two.artefact_sha256


@pytest.mark.parametrize("level", [1, 3, 19])
def test_every_level_gives_the_same_tar(tree: Path, tmp_path: Path, level: int) -> None:
    assert build(tree, tmp_path / "a", level).tar_sha256 == build(tree, tmp_path / "b").tar_sha256


def test_other_content_gives_other_bytes(tree: Path, tmp_path: Path) -> None:
    one = build(tree, tmp_path / "a")
    (tree / "entry.py").write_bytes(b"print('there')\n")
    two = build(tree, tmp_path / "b")
    assert one.artefact_sha256 != two.artefact_sha256
    assert one.manifest_sha256 != two.manifest_sha256


def test_the_facts_are_those_of_the_bytes(tree: Path, tmp_path: Path) -> None:
    built = build(tree, tmp_path / "out")
    raw = built.path.read_bytes()
    tar = zstandard.ZstdDecompressor().decompress(raw)
    assert (built.artefact_sha256, built.artefact_bytes) == (hashlib.sha256(raw).hexdigest(), len(raw))
    assert (built.tar_sha256, built.tar_bytes) == (hashlib.sha256(tar).hexdigest(), len(tar))
    assert built.file_count == len(CONTENT) + 1


def test_an_independent_reader_sees_the_same_tar(tree: Path, tmp_path: Path) -> None:
    tar = zstandard.ZstdDecompressor().decompress(build(tree, tmp_path / "out").path.read_bytes())
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        members = archive.getmembers()
        content = {m.name: archive.extractfile(m).read() for m in members if m.isfile()}
    assert [m.name for m in members] == ["MANIFEST", "entry.py", "hollow", "pkg", *sorted(CONTENT)[1:], "tool"]
    assert content.keys() == {"MANIFEST", "tool", *CONTENT}
    assert {name: content[name] for name in CONTENT} == CONTENT
    assert {(m.uid, m.gid, m.mtime, m.uname, m.gname) for m in members} == {(0, 0, 0, "", "")}
    assert {m.name: m.mode for m in members if m.isdir()} == {"hollow": 0o755, "pkg": 0o755}
    assert {m.name for m in members if m.isfile() and m.mode == 0o755} == {"tool"}


def test_a_host_takes_what_was_built(tree: Path, tmp_path: Path) -> None:
    built = build(tree, tmp_path / "out")
    into = tmp_path / "into"
    into.mkdir()
    unpack(built.path, into, expected=described(built), platform=HERE)
    assert (into / "hollow").is_dir()
    assert {name: (into / name).read_bytes() for name in CONTENT} == CONTENT


def test_long_paths_survive_the_way(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    deep = tree / ("d" * 70) / ("e" * 70)
    deep.mkdir(parents=True)
    (deep / ("f" * 70)).write_bytes(b"deep")
    (tree / "entry.py").write_bytes(b"")
    built = build(tree, tmp_path / "out")
    into = tmp_path / "into"
    into.mkdir()
    unpack(built.path, into, expected=described(built), platform=HERE)
    assert (into / ("d" * 70) / ("e" * 70) / ("f" * 70)).read_bytes() == b"deep"


def test_a_link_is_refused(tree: Path, tmp_path: Path) -> None:
    (tree / "link").symlink_to("entry.py")
    with pytest.raises(RequestError, match="link is a link or special file"):
        build(tree, tmp_path / "out")


def test_a_link_to_a_folder_is_refused(tree: Path, tmp_path: Path) -> None:
    (tree / "link").symlink_to(tmp_path)
    with pytest.raises(RequestError, match="link is a link or special file"):
        build(tree, tmp_path / "out")


def test_a_fifo_and_a_socket_are_refused(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tree / "fifo")
    with pytest.raises(RequestError, match="fifo is a link or special file"):
        build(tree, tmp_path / "out")
    (tree / "fifo").unlink()
    monkeypatch.chdir(tree)
    with socket.socket(socket.AF_UNIX) as end:
        end.bind("socket")
        with pytest.raises(RequestError, match="socket is a link or special file"):
            build(tree, tmp_path / "out")


@pytest.mark.parametrize("bits", [0o4755, 0o2755])
def test_set_id_bits_are_refused(tree: Path, tmp_path: Path, bits: int) -> None:
    (tree / "tool").chmod(bits)
    with pytest.raises(RequestError, match="tool"):
        build(tree, tmp_path / "out")


@pytest.mark.parametrize("name", ["COMPLETE", "manifest", "ENTRY.py", "CON", "a b ", "ü", "evil\u202e"])
def test_a_name_that_hosts_refuse_cannot_be_built(tree: Path, tmp_path: Path, name: str) -> None:
    (tree / name).write_bytes(b"")
    with pytest.raises(RequestError) as caught:
        build(tree, tmp_path / "out")
    assert caught.value.code == "INVALID_ARGUMENT"
    assert list(tmp_path.glob("*out*")) == []


def test_a_missing_entry_point_is_refused(tree: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError) as caught:
        build_artefact(tree, tmp_path / "out", entry_point="main.py", level=3)
    assert caught.value.code == "ENTRY_MISSING"


@pytest.mark.parametrize("level", [0, 20, -1])
def test_a_level_that_hosts_could_not_unpack_is_refused(tree: Path, tmp_path: Path, level: int) -> None:
    with pytest.raises(RequestError, match="level"):
        build(tree, tmp_path / "out", level)


@pytest.mark.parametrize("what", ["absent", "a file"])
def test_something_that_is_no_folder_is_refused(tmp_path: Path, what: str) -> None:
    if what == "a file":
        (tmp_path / "tree").write_bytes(b"")
    with pytest.raises(RequestError, match="is no folder"):
        build(tmp_path / "tree", tmp_path / "out")


def test_a_failed_build_leaves_the_older_artefact_and_no_rest(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "target" / "out"
    out.parent.mkdir()
    build(tree, out)
    before = out.read_bytes()
    (tree / "entry.py").write_bytes(b"new")

    def fail(_handle: int) -> None:
        raise OSError(5, "broken")

    monkeypatch.setattr("fleetroll_publishing.artefact.build.os.fsync", fail)
    with pytest.raises(OSError, match="broken"):
        build(tree, out)
    assert [path.name for path in out.parent.iterdir()] == ["out"]
    assert out.read_bytes() == before


# --- reading back ----------------------------------------------------------------------------------------------------


def test_reading_an_artefact_back_gives_the_facts_of_its_building(tree: Path, tmp_path: Path) -> None:
    built = build(tree, tmp_path / "out")
    found = inspect_artefact(built.path, "entry.py")
    assert found.artefact == built
    assert found.stamp is None


@pytest.mark.parametrize("at", [0, 1])
def test_an_artefact_that_hosts_would_refuse_cannot_be_signed(tmp_path: Path, at: int) -> None:
    archive = honest()
    member = archive.members[at]
    archive.bend(at, data=member.data[:-2] + b"x" + member.data[-1:])
    with pytest.raises(RequestError) as caught:
        inspect_artefact(archive.write(tmp_path / "a"), "entry.py")
    assert caught.value.code == "INVALID_ARGUMENT"


def test_files_that_are_no_artefact_are_refused_in_words(tmp_path: Path) -> None:
    whole = compress(honest().tar())
    for raw in (b"", b"junk", whole[:-5], whole[: len(whole) // 2], compress(b""), compress(honest().tar() + b"x")):
        (tmp_path / "a").write_bytes(raw)
        with pytest.raises(RequestError, match="can't be used"):
            inspect_artefact(tmp_path / "a", "entry.py")
    with pytest.raises(RequestError, match="can't be used"):
        inspect_artefact(tmp_path / "absent", "entry.py")


def test_an_artefact_without_the_named_entry_point_is_refused(tree: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError) as caught:
        inspect_artefact(build(tree, tmp_path / "out").path, "main.py")
    assert caught.value.code == "ENTRY_MISSING"
