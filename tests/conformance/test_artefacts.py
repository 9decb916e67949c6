"""Files of targets: found by path, held against length and hash, kept whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conformance.simulator import LISTS, Repository, Served, sha256

if TYPE_CHECKING:
    from tests.conformance.conftest import Client

DATA = b"what was published\n"
PATHS = [
    "file",
    "file.txt",
    "path/to/a/file.txt",
    "a-very/" * 20 + "deep/file",
    "dir/.hidden",
    "a+b~c,d;e=f",
    "user@host:1",
    "with(parens)",
    "100%25",
    "../outside",
    "a/../../outside",
    "/absolute",
    "a//b",
    "with space",
    "sm\u00f6rg\u00e5s",
    "what?",
    "num#ber",
    "x" * 220,
]


@pytest.mark.parametrize("consistent", [True, False])
@pytest.mark.parametrize("path", PATHS)
def test_a_target_is_found_under_its_path_and_kept_inside_of_the_folder(
    repository: Repository, client: Client, path: str, consistent: bool
) -> None:
    repository.root.consistent_snapshot = consistent
    repository.add_target("targets", path, DATA)
    repository.publish("root", *LISTS)
    outside = {file for file in client.folder.parent.rglob("*") if client.targets not in file.parents}
    assert client.download(path)
    assert client.files() == [DATA]
    (asked,) = repository.fetched
    folder, slash, name = path.rpartition("/")
    prefix = f"{sha256(DATA)}." if consistent else ""
    assert asked.replace("%25", "%") == f"{folder}{slash}{prefix}{name}".replace("%25", "%")
    now = {file for file in client.folder.parent.rglob("*") if client.targets not in file.parents}
    assert {file for file in now - outside if client.metadata not in file.parents} == set()


def test_nothing_is_downloaded_by_a_refresh(repository: Repository, client: Client) -> None:
    repository.add_target("targets", "file", DATA)
    repository.publish(*LISTS)
    assert client.refresh()
    assert repository.fetched == []
    assert client.files() == []


def test_what_is_here_already_is_not_fetched_again(repository: Repository, client: Client) -> None:
    repository.add_target("targets", "file", DATA)
    repository.publish(*LISTS)
    assert client.download("file")
    assert client.download("file")
    assert len(repository.fetched) == 1


def test_a_file_that_was_changed_here_is_fetched_again(repository: Repository, client: Client) -> None:
    repository.add_target("targets", "file", DATA)
    repository.publish(*LISTS)
    assert client.download("file")
    (kept,) = client.targets.iterdir()
    kept.write_bytes(b"changed")
    assert client.download("file")
    assert client.files() == [DATA]


def test_a_new_content_takes_the_place_of_the_old(repository: Repository, client: Client) -> None:
    for number in range(4):
        repository.add_target("targets", "file", b"content %d" % number)
        repository.add_target("targets", f"other-{number}", b"other %d" % number)
        repository.publish(*LISTS)
        assert client.download("file")
        assert client.download(f"other-{number}")
    assert client.files() == sorted([b"content 3", *(b"other %d" % number for number in range(4))])


WRONG = {
    "other bytes of the same length": DATA[::-1],
    "a byte more": DATA + b"x",
    "a byte less": DATA[:-1],
    "nothing": b"",
    "very many bytes": DATA * 100_000,
}


@pytest.mark.parametrize("kind", WRONG)
def test_other_bytes_than_the_signed_ones_are_not_kept(repository: Repository, client: Client, kind: str) -> None:
    repository.add_target("targets", "file", DATA)
    repository.publish(*LISTS)
    for name in list(repository.targets):
        repository.targets[name] = WRONG[kind]
    assert client.misses("file", "WRONG_HASH")


def test_other_bytes_do_not_replace_the_right_ones(repository: Repository, client: Client) -> None:
    repository.add_target("targets", "file", DATA)
    repository.publish(*LISTS)
    assert client.download("file")
    repository.add_target("targets", "file", b"a new content")
    repository.publish(*LISTS)
    for name in list(repository.targets):
        repository.targets[name] = b"bad content  "
    assert client.misses("file", "WRONG_HASH")
    assert client.files() == [DATA]


def test_a_file_that_is_not_there_is_a_failed_download(repository: Repository, client: Client) -> None:
    repository.add_target("targets", "file", DATA)
    repository.publish(*LISTS)
    repository.targets.clear()
    assert client.misses("file", "DOWNLOAD_FAILED")


@pytest.mark.parametrize("hashes", [("sha256",), ("sha512",), ("sha256", "sha512"), ("sha384",)])
def test_a_target_with_these_hashes(repository: Repository, client: Client, hashes: tuple[str, ...]) -> None:
    repository.add_target("targets", "file", DATA, *hashes)
    repository.publish(*LISTS)
    assert client.download("file")
    assert client.files() == [DATA]


@pytest.mark.parametrize("keeps", [True, False])
def test_a_hash_that_nobody_can_compute_is_no_hash(repository: Repository, client: Client, keeps: bool) -> None:
    target = repository.add_target("targets", "file", DATA)
    target.hashes = {"unknown": sha256(DATA), **({"sha256": sha256(DATA)} if keeps else {})}
    repository.publish(*LISTS)
    assert client.misses("file", "WRONG_HASH")


@pytest.mark.parametrize("changed", ["sha256", "sha512", "length"])
def test_every_number_that_is_signed_has_to_fit(repository: Repository, client: Client, changed: str) -> None:
    target = repository.add_target("targets", "file", DATA, "sha256", "sha512")
    if changed == "length":
        target.length += 1
    else:
        target.hashes[changed] = "0" * len(target.hashes[changed])
    for digest in target.hashes.values():
        repository.targets[f"{digest}.file"] = DATA
    repository.publish(*LISTS)
    assert client.misses("file", "WRONG_HASH")


def test_a_refused_refresh_downloads_nothing(repository: Repository, client: Client) -> None:
    repository.add_target("targets", "file", DATA)
    repository.publish(*LISTS)
    assert client.refresh()
    repository.keys["timestamp"] = []
    repository.publish("timestamp")
    assert client.misses("file", "UNSIGNED")
    assert repository.fetched == []


def test_the_executable_has_the_interface_of_the_public_suite(repository: Repository, tmp_path: Path) -> None:
    """The same commands in processes of their own, with the system's clock."""
    repository.add_target("targets", "path/file", DATA)
    repository.publish(*LISTS)
    metadata, targets = tmp_path / "metadata", tmp_path / "targets"
    for folder in (metadata, targets):
        folder.mkdir()
    (tmp_path / "root").write_bytes(repository.files["1.root.json"])
    program = Path(__file__).with_name("client")
    environment = {**os.environ, "FLEETROLL_PYTHON": sys.executable}

    def run(*arguments: str) -> int:
        command = [str(program), "--metadata-dir", str(metadata), *arguments]
        return subprocess.run(command, cwd=tmp_path, env=environment, check=False, capture_output=True).returncode

    with Served(repository) as served:
        url = ("--metadata-url", f"{served.url}/metadata/")
        place = ("--target-dir", str(targets), "--target-base-url", f"{served.url}/targets/")
        assert run("init", str(tmp_path / "root")) == 0
        assert repository.asked == []
        assert run(*url, "refresh") == 0
        assert sorted(path.name for path in metadata.glob("*.json")) == [
            "root.json",
            "snapshot.json",
            "targets.json",
            "timestamp.json",
        ]
        assert run(*url, "--target-name", "path/file", *place, "download") == 0
        assert [path.read_bytes() for path in targets.iterdir()] == [DATA]
        assert run(*url, "--target-name", "path/none", *place, "download") == 1
        repository.files["timestamp.json"] = b"damaged"
        assert run(*url, "refresh") == 1
