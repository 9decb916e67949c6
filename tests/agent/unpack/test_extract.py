"""Unpacking honest archives, and a host that fails meanwhile. Hostile archives: tests/attacks/archives."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_agent.unpack import unpack
from fleetroll_common.values.errors import AgentError
from tests.faults.archives import CONTENT, HERE, Archive, honest, snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def into(tmp_path: Path) -> Path:
    folder = tmp_path / "into"
    folder.mkdir()
    return folder


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)


def extract(archive: Archive, into: Path) -> None:
    path = archive.write(into.parent / "archive.tar.zst")
    unpack(path, into, expected=archive.custom(), platform=HERE)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_file_arrives_with_its_content_and_the_manifest_beside_it(into: Path) -> None:
    archive = honest()
    extract(archive, into)
    assert files(into) == CONTENT | {"MANIFEST": archive.members[0].data}


def test_files_are_read_only_and_only_the_marked_ones_executable_whatever_the_umask(into: Path, umask: None) -> None:
    archive = honest({"entry.py": b"x"})
    text = archive.members[0].data.replace(b'"0644"', b'"0755"')
    archive.bend(0, data=text).bend(1, header=_executable_header())
    extract(archive, into)
    assert (into / "entry.py").stat().st_mode & 0o7777 == 0o555
    assert (into / "MANIFEST").stat().st_mode & 0o7777 == 0o444


def _executable_header() -> bytes:
    from fleetroll_common.values import ustar  # noqa: PLC0415 (one use)

    return ustar.file_header("entry.py", 0o755, 1)


def test_folders_are_open_to_their_owner_whatever_the_umask(into: Path, umask: None) -> None:
    extract(honest(), into)
    assert (into / "pkg").stat().st_mode & 0o7777 == 0o755


def test_empty_folders_and_deep_ones_arrive(into: Path) -> None:
    deep = "/".join("abcdefghijklmnopqrstuv")
    extract(honest({"entry.py": b"", f"{deep}/x": b"deep", "b/y": b""}, ("hollow/inner",)), into)
    assert (into / deep / "x").read_bytes() == b"deep"
    assert list((into / "hollow/inner").iterdir()) == []


def open_names() -> list[str]:
    """Return what the handles of this process name; one may be closed meanwhile by what another test left to end."""
    names = []
    for handle in os.listdir("/proc/self/fd"):  # noqa: PTH208 (names are wanted)
        with suppress(FileNotFoundError):
            names.append(os.readlink(f"/proc/self/fd/{handle}"))  # noqa: PTH115 (what it names need not exist)
    return names


def test_many_siblings_in_changing_folders_leave_no_handle_open(into: Path) -> None:
    extract(honest({"entry.py": b""} | {f"d{n % 7}/e{n % 3}/f{n}": bytes([n]) for n in range(200)}), into)
    assert [name for name in open_names() if name.startswith(str(into))] == []
    assert sum(1 for path in into.rglob("f*") if path.is_file()) == 200


@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("call", [0, 1, 2])
def test_a_full_disk_is_named_and_everything_is_cleaned_up(
    into: Path, monkeypatch: pytest.MonkeyPatch, fault: int, call: int
) -> None:
    left = [call]
    real = os.write

    def write(handle: int, data: Any) -> int:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(fault, os.strerror(fault))
        return real(handle, data)

    monkeypatch.setattr("fleetroll_agent.unpack.tree.os.write", write)
    with pytest.raises(AgentError) as caught:
        extract(honest(), into)
    monkeypatch.undo()
    assert caught.value.code == "DISK_FULL"
    assert snapshot(into) == {}


def test_a_disk_that_takes_a_part_at_a_time_gets_all(into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr("fleetroll_agent.unpack.tree.os.write", lambda handle, data: real(handle, data[:100]))
    extract(honest(), into)
    assert files(into).items() >= CONTENT.items()


def test_a_broken_disk_is_the_hosts_fault_and_everything_is_cleaned_up(
    into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mkdir(*_args: Any, **_names: Any) -> None:
        raise OSError(errno.EIO, "input/output error")

    monkeypatch.setattr("fleetroll_agent.unpack.tree.os.mkdir", mkdir)
    with pytest.raises(AgentError) as caught:
        extract(honest(), into)
    assert caught.value.code == "INTERNAL"
    assert caught.value.details == {"errno": "EIO"}
    assert snapshot(into) == {}


def test_an_interruption_leaves_nothing(into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_args: Any) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("fleetroll_agent.unpack.tree.os.write", interrupt)
    with pytest.raises(KeyboardInterrupt):
        extract(honest(), into)
    assert snapshot(into) == {}


def test_a_missing_archive_is_an_error_of_the_host(into: Path) -> None:
    with pytest.raises(AgentError) as caught:
        unpack(into.parent / "absent", into, expected=honest().custom(), platform=HERE)
    assert caught.value.details == {"errno": "ENOENT"}
