"""Publishing: a whole, signed, listed release, or nothing."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import sqlalchemy as sa

from fleetroll.v1 import releases_pb2, releases_pb2_grpc, types_pb2
from fleetroll_common.trust.client import TrustClient
from fleetroll_common.trust.source import MetadataAbsent
from fleetroll_common.values.clock import SystemClock
from fleetroll_publishing.artefact.build import build_artefact
from fleetroll_publishing.artefact.inspect import inspect_artefact
from fleetroll_server.catalogue.catalogue import Freshness
from fleetroll_server.catalogue.metadata import current_files
from fleetroll_server.store.tables import ArtifactRow, MetadataFileRow, ReleaseRow, table_of
from tests.faults.uploads import header, publish

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CHUNK = 256 * 1024


async def listed(server: Any) -> list[releases_pb2.Release]:
    stub = releases_pb2_grpc.ReleasesServiceStub(server.channel)
    return list((await server.client().call(stub.ListReleases, releases_pb2.ListReleasesRequest())).releases)


async def nothing_is_stored(server: Any) -> None:
    async with server.services.store.read() as connection:
        for model in (ReleaseRow, ArtifactRow):
            assert await connection.scalar(sa.select(sa.func.count()).select_from(table_of(model))) == 0
        files = await connection.scalar(sa.select(sa.func.count()).select_from(table_of(MetadataFileRow)))
    assert files == 5
    assert list(server.services.folder.artefacts.iterdir()) == []
    assert list(server.services.folder.spool.iterdir()) == []


async def test_a_release_is_listed_signed_and_served(server: Any, artefact: Callable[..., Any], tmp_path: Path) -> None:
    built = artefact("1.1.0")
    before = server.services.catalogue.timestamp_version
    made = await publish(server, header(built, notes="# New\n", supported_from=">=1.0.0"), built.path.read_bytes())
    assert made.role_version == 2
    assert made.release.version == "1.1.0"
    assert made.release.supported_from == ">=1.0.0"
    found = made.release.artifacts[0]
    assert found.path == "agent/1.1.0/linux-x86_64-cp311.tar.zst"
    assert found.manifest_sha256.hex() == built.manifest_sha256
    assert [release.id for release in await listed(server)] == [made.release.id]
    assert server.services.catalogue.timestamp_version == before + 1
    kept = server.services.folder.artefacts / built.artefact_sha256
    assert hashlib.sha256(kept.read_bytes()).hexdigest() == built.artefact_sha256


async def test_a_host_that_pins_the_first_root_accepts_what_was_published(
    server: Any, artefact: Callable[..., Any], tmp_path: Path
) -> None:
    built = artefact("1.1.0")
    await publish(server, header(built), built.path.read_bytes())
    async with server.services.store.read() as connection:
        files = await current_files(connection)

    class Source:
        def fetch(self, name: str, max_bytes: int) -> bytes:
            if name not in files:
                raise MetadataAbsent(name)
            return files[name][:max_bytes]

    folder = tmp_path / "trust"
    folder.mkdir()
    client = TrustClient(folder, files["1.root.json"], Source(), SystemClock(), server.clock.now() - timedelta(days=1))
    await asyncio.to_thread(client.refresh)
    target = client.targets("agent")[0]
    assert (target.sha256, target.length) == (built.artefact_sha256, built.artefact_bytes)
    assert target.custom["tar_sha256"] == built.tar_sha256
    assert target.custom["file_count"] == built.file_count


REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "bad semver": ({"version": "1.1"}, "INVALID_ARGUMENT", "version"),
    "unknown product": ({"product": "router"}, "NOT_FOUND", "product"),
    "bad product": ({"product": "Agent!"}, "INVALID_ARGUMENT", "product"),
    "no channel": ({"channels": []}, "INVALID_ARGUMENT", "channels"),
    "bad channel": ({"channels": ["St able"]}, "INVALID_ARGUMENT", "channels"),
    "no length": ({"length": 0}, "INVALID_ARGUMENT", "length"),
    "hash of another size": ({"sha256": b"x"}, "INVALID_ARGUMENT", "sha256"),
    "no commit": ({"git_sha": ""}, "INVALID_ARGUMENT", "git_sha"),
    "no platform": ({"platform": None}, "INVALID_ARGUMENT", "os"),
    "development build": ({"version": "0.0.0+dev"}, "INVALID_ARGUMENT", "version"),
    "build metadata": ({"version": "1.1.0+g12"}, "INVALID_ARGUMENT", "version"),
    "another version than built": ({"version": "1.2.0"}, "VERSION_MISMATCH", "version"),
    "another commit than built": ({"git_sha": "1234567"}, "VERSION_MISMATCH", "git_sha"),
    "wrong hash": ({"sha256": bytes(32)}, "WRONG_HASH", "sha256"),
    "too short": ({"length": 10**6}, "INVALID_ARGUMENT", "length"),
    "too long": ({"length": 1000}, "INVALID_ARGUMENT", "length"),
    "unreadable range": ({"supported_from": "1.x"}, "INVALID_ARGUMENT", "supported_from"),
    "long notes": ({"notes": "n" * 20_001}, "INVALID_ARGUMENT", "notes"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_what_can_not_be_listed_is_refused_by_name_and_stores_nothing(
    server: Any, artefact: Callable[..., Any], refusal: Any, case: str
) -> None:
    change, code, field = REFUSED[case]
    built = artefact("1.1.0")
    why = await refusal(publish(server, header(built, **change), built.path.read_bytes()))
    assert (why.code, why.facts.get("field")) == (code, field)
    await nothing_is_stored(server)


async def test_an_artefact_that_is_none_is_refused(server: Any, artefact: Callable[..., Any], refusal: Any) -> None:
    built, data = artefact("1.1.0"), b"not an archive"
    head = header(built, sha256=hashlib.sha256(data).digest(), length=len(data))
    assert (await refusal(publish(server, head, data))).code == "INVALID_ARGUMENT"
    await nothing_is_stored(server)


@pytest.mark.parametrize("position", [100, 2000, 300_000])
async def test_a_flipped_byte_is_refused(
    server: Any, artefact: Callable[..., Any], refusal: Any, position: int
) -> None:
    built = artefact("1.1.0")
    data = bytearray(built.path.read_bytes())
    data[position] ^= 1
    head = header(built, sha256=hashlib.sha256(data).digest())
    assert (await refusal(publish(server, head, bytes(data)))).status is grpc.StatusCode.INVALID_ARGUMENT
    await nothing_is_stored(server)


async def test_an_upload_of_nothing_is_refused(server: Any, artefact: Callable[..., Any], refusal: Any) -> None:
    why = await refusal(publish(server, header(artefact("1.1.0")), b""))
    assert (why.code, why.facts["field"]) == ("INVALID_ARGUMENT", "length")
    await nothing_is_stored(server)


async def test_a_chunk_that_is_too_large_is_refused(server: Any, artefact: Callable[..., Any], refusal: Any) -> None:
    built = artefact("1.1.0")
    why = await refusal(publish(server, header(built), built.path.read_bytes(), chunk=CHUNK + 1))
    assert why.facts["field"] == "chunk"
    await nothing_is_stored(server)


async def test_an_upload_without_a_header_is_refused(server: Any, refusal: Any) -> None:
    stub = releases_pb2_grpc.ReleasesServiceStub(server.channel)
    chunk = releases_pb2.PublishReleaseRequest(chunk=b"x")
    why = await refusal(stub.PublishRelease(iter([chunk]), metadata=server.client().metadata))
    assert why.facts["field"] == "header"
    why = await refusal(stub.PublishRelease(iter([]), metadata=server.client().metadata))
    assert why.facts["field"] == "header"


async def test_a_publisher_who_vanishes_leaves_nothing(server: Any, artefact: Callable[..., Any]) -> None:
    built = artefact("1.1.0")
    stub = releases_pb2_grpc.ReleasesServiceStub(server.channel)
    call = stub.PublishRelease(metadata=server.client().metadata)
    await call.write(releases_pb2.PublishReleaseRequest(header=header(built)))
    await call.write(releases_pb2.PublishReleaseRequest(chunk=built.path.read_bytes()[:CHUNK]))
    async with asyncio.timeout(10):
        while not list(server.services.folder.spool.iterdir()):
            await asyncio.sleep(0.01)
        call.cancel()
        while list(server.services.folder.spool.iterdir()):
            await asyncio.sleep(0.01)
    await nothing_is_stored(server)


async def test_the_same_release_twice_is_told_apart_from_another_one(
    server: Any, artefact: Callable[..., Any], refusal: Any, tmp_path: Path
) -> None:
    built = artefact("1.1.0")
    await publish(server, header(built), built.path.read_bytes())
    again = await refusal(publish(server, header(built), built.path.read_bytes()))
    assert (again.code, again.remedy) == ("ALREADY_EXISTS", "nothing is left to do")
    other = await refusal(publish(server, header(built, sha256=bytes(32)), built.path.read_bytes()))
    assert other.code == "ALREADY_EXISTS"
    assert "other bytes" in other.message
    assert len(await listed(server)) == 1


async def test_a_second_platform_joins_its_release(server: Any, artefact: Callable[..., Any]) -> None:
    built = artefact("1.1.0")
    first = await publish(server, header(built), built.path.read_bytes())
    arm = types_pb2.Platform(os="linux", arch="aarch64", abi="cp311")
    second = await publish(server, header(built, platform=arm), built.path.read_bytes())
    assert second.release.id == first.release.id
    assert [artifact.platform.arch for artifact in second.release.artifacts] == ["aarch64", "x86_64"]
    assert second.role_version == 3


async def test_two_publishers_at_once_are_both_listed(server: Any, artefact: Callable[..., Any]) -> None:
    builds = [artefact(f"1.{n}.0") for n in range(1, 5)]
    made = await asyncio.gather(*(publish(server, header(each), each.path.read_bytes()) for each in builds))
    assert sorted(each.role_version for each in made) == [2, 3, 4, 5]
    assert [release.version for release in await listed(server)] == ["1.4.0", "1.3.0", "1.2.0", "1.1.0"]


async def test_a_publisher_who_signed_from_older_metadata_is_told_to_retry(
    server: Any, artefact: Callable[..., Any], refusal: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when another process published between the reading and the commit."""
    first, second = artefact("1.1.0"), artefact("1.2.0")
    async with server.services.store.read() as connection:
        old = await current_files(connection)
    await publish(server, header(first), first.path.read_bytes())

    async def stale(_connection: object) -> dict[str, bytes]:
        return dict(old)

    monkeypatch.setattr("fleetroll_server.catalogue.signing.current_files", stale)
    why = await refusal(publish(server, header(second), second.path.read_bytes()))
    assert (why.status, why.code) == (grpc.StatusCode.ABORTED, "CONFLICT")
    assert [release.version for release in await listed(server)] == ["1.1.0"]
    assert [path.name for path in server.services.folder.artefacts.iterdir()] == [first.artefact_sha256]


async def test_of_two_uploads_of_the_same_bytes_one_is_listed_and_its_file_stays(
    server: Any, artefact: Callable[..., Any], refusal: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    built, both_checked = artefact("1.1.0"), threading.Barrier(2, timeout=20)

    def inspect(path: Path, entry_point: str) -> Any:
        both_checked.wait()
        return inspect_artefact(path, entry_point)

    monkeypatch.setattr("fleetroll_server.catalogue.publish.inspect_artefact", inspect)
    calls = [publish(server, header(built), built.path.read_bytes()) for _ in range(2)]
    made = await asyncio.gather(*calls, return_exceptions=True)
    (failed,) = (each for each in made if isinstance(each, grpc.RpcError))
    assert failed.code() is grpc.StatusCode.ALREADY_EXISTS
    assert [release.version for release in await listed(server)] == ["1.1.0"]
    assert [path.name for path in server.services.folder.artefacts.iterdir()] == [built.artefact_sha256]


async def test_a_refused_upload_leaves_the_file_that_another_platform_has_listed(
    server: Any, artefact: Callable[..., Any], refusal: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = artefact("1.1.0")
    async with server.services.store.read() as connection:
        old = await current_files(connection)
    await publish(server, header(built), built.path.read_bytes())

    async def stale(_connection: object) -> dict[str, bytes]:
        return dict(old)

    monkeypatch.setattr("fleetroll_server.catalogue.signing.current_files", stale)
    arm = types_pb2.Platform(os="linux", arch="aarch64", abi="cp311")
    assert (await refusal(publish(server, header(built, platform=arm), built.path.read_bytes()))).code == "CONFLICT"
    assert (server.services.folder.artefacts / built.artefact_sha256).read_bytes() == built.path.read_bytes()


async def test_publishing_and_signing_again_take_turns(server: Any, artefact: Callable[..., Any]) -> None:
    built = artefact("1.1.0")
    server.clock.advance(3601)
    async with server.services.catalogue.signing:
        publishing = asyncio.ensure_future(publish(server, header(built), built.path.read_bytes()))
        renewing = asyncio.create_task(Freshness(server.services).sign_if_due())
        done, _ = await asyncio.wait({publishing, renewing}, timeout=1)
        assert not done
    assert (await publishing).role_version == 2
    assert await renewing > 0, "nobody had to look again"


async def test_releases_are_paged_and_filtered(server: Any, artefact: Callable[..., Any], refusal: Any) -> None:
    for version, channel in (("1.0.0", "stable"), ("1.10.0", "beta"), ("1.9.0", "stable")):
        built = artefact(version, filler=1000)
        await publish(server, header(built, channels=[channel]), built.path.read_bytes())
    stub, client = releases_pb2_grpc.ReleasesServiceStub(server.channel), server.client()
    page = types_pb2.Page(size=2)
    first = await client.call(stub.ListReleases, releases_pb2.ListReleasesRequest(product="agent", page=page))
    assert [release.version for release in first.releases] == ["1.10.0", "1.9.0"]
    page.cursor = first.next_cursor
    rest = await client.call(stub.ListReleases, releases_pb2.ListReleasesRequest(product="agent", page=page))
    assert ([release.version for release in rest.releases], rest.next_cursor) == (["1.0.0"], b"")
    beta = await client.call(stub.ListReleases, releases_pb2.ListReleasesRequest(channel="beta"))
    assert [release.version for release in beta.releases] == ["1.10.0"]
    one = await client.call(stub.GetRelease, releases_pb2.GetReleaseRequest(product="agent", version="1.9.0"))
    assert one.release.channels == ["stable"]
    missing = releases_pb2.GetReleaseRequest(product="agent", version="9.9.9")
    assert (await refusal(client.call(stub.GetRelease, missing))).code == "NOT_FOUND"
    page.cursor = b"nonsense"
    wrong = releases_pb2.ListReleasesRequest(page=page)
    assert (await refusal(client.call(stub.ListReleases, wrong))).facts["field"] == "page.cursor"


@pytest.mark.parametrize("demo", [True, False])
async def test_a_dirty_build_is_published_in_demo_repositories_alone(
    server: Any, artefact: Callable[..., Any], refusal: Any, demo: bool
) -> None:
    if not demo:  # what init without --demo writes; the bag is frozen, so it is replaced where it is looked at
        object.__setattr__(server.services, "demo", False)
    built = artefact("1.1.0", git_sha="abcdef0+dirty")
    call = publish(server, header(built, git_sha="abcdef0+dirty"), built.path.read_bytes())
    if demo:
        assert (await call).release.git_sha == "abcdef0+dirty"
    else:
        why = await refusal(call)
        assert (why.code, why.facts["field"]) == ("INVALID_ARGUMENT", "git_sha")
        await nothing_is_stored(server)


async def test_an_artefact_without_a_stamp_is_refused(server: Any, refusal: Any, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "entry.py").write_text("print()\n")
    built = build_artefact(tree, tmp_path / "1.1.0.tar.zst", entry_point="entry.py", level=1)
    why = await refusal(publish(server, header(built), built.path.read_bytes()))
    assert (why.code, why.facts["field"]) == ("VERSION_MISMATCH", "artefact")
    await nothing_is_stored(server)


async def test_an_artefact_without_its_entry_point_is_refused(server: Any, refusal: Any, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "other.py").write_text("print()\n")
    built = build_artefact(tree, tmp_path / "1.1.0.tar.zst", entry_point="other.py", level=1)
    assert (await refusal(publish(server, header(built), built.path.read_bytes()))).code == "ENTRY_MISSING"
    await nothing_is_stored(server)


async def test_platforms_of_one_version_come_from_one_commit(
    server: Any, artefact: Callable[..., Any], refusal: Any
) -> None:
    first = artefact("1.1.0")
    await publish(server, header(first), first.path.read_bytes())
    other = artefact("1.1.0", git_sha="1234567", folder="other")
    arm = types_pb2.Platform(os="linux", arch="aarch64", abi="cp311")
    head = header(other, git_sha="1234567", platform=arm)
    why = await refusal(publish(server, head, other.path.read_bytes()))
    assert (why.code, why.facts["field"]) == ("CONFLICT", "git_sha")
    assert [path.name for path in server.services.folder.artefacts.iterdir()] == [first.artefact_sha256]


async def test_a_disk_that_refuses_the_upload_is_the_server_s_fault(
    server: Any, artefact: Callable[..., Any], refusal: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    built = artefact("1.1.0")
    for place in ("fleetroll_server.catalogue.upload.os.fsync", "fleetroll_server.catalogue.files.sync_dir"):
        with monkeypatch.context() as patched:
            patched.setattr(place, full)
            why = await refusal(publish(server, header(built), built.path.read_bytes()))
        assert (why.status, why.code) == (grpc.StatusCode.UNAVAILABLE, "STORE_FAILED")
        assert await listed(server) == []
    assert (await publish(server, header(built), built.path.read_bytes())).role_version == 2


async def test_an_upload_that_stands_still_is_ended(
    installed: Any, launch: Any, artefact: Callable[..., Any], refusal: Any
) -> None:
    built = artefact("1.1.0")
    async with launch(installed, upload_stall_seconds=1) as server:
        stub = releases_pb2_grpc.ReleasesServiceStub(server.channel)
        call: Any = stub.PublishRelease(metadata=server.client().metadata)
        await call.write(releases_pb2.PublishReleaseRequest(header=header(built)))
        why = await refusal(call)
        assert (why.code, why.facts["field"]) == ("INVALID_ARGUMENT", "chunk")
        await nothing_is_stored(server)
