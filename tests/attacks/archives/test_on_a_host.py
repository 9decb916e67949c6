"""Hostile archives on the whole way: signed, listed, offered, fetched over the stream, unpacked by a running agent.

The publisher's key has signed each of them. All the same: nothing is installed, nothing stops, the reason names it.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from fleetroll.v1 import agent_stream_pb2 as stream_pb2
from fleetroll.v1 import reasons_pb2, types_pb2
from fleetroll_publishing.artefact import BuiltArtefact
from tests.agent.fake_server.inprocess import InProcessHost
from tests.agent.fake_server.releases import Releases
from tests.agent.fake_server.server import FakeServer
from tests.attacks.archives.shots import shot
from tests.attacks.archives.test_kinds import KINDS
from tests.faults.archives import honest, snapshot

if TYPE_CHECKING:
    from pathlib import Path

    from tests.attacks.archives.shots import Shot

SAMPLE = (
    "absolute path",
    "parent, listed",
    "symlink in place of a folder",
    "hard link",
    "character device",
    "duplicate",
    "reserved: COMPLETE",
    "right-to-left name, listed",
    "control characters",
    "bomb by size",
    "sparse, pax",
    "trailing zstd frame",
    "truncated zstd",
    "set-uid",
    "manifest lists another hash",
    "entry point missing",
)
LEAST = 5


def built(shown: Shot, folder: Path, version: str) -> BuiltArtefact:
    """Return it as what a publisher lists; version and platform are the release's own."""
    path = folder / f"{version}.tar.zst"
    path.write_bytes(shown.raw)
    custom, sha256 = shown.signed.custom(), hashlib.sha256(shown.raw).hexdigest()
    return BuiltArtefact(
        path=path,
        artefact_sha256=sha256,
        artefact_bytes=len(shown.raw),
        tar_sha256=custom.tar_sha256,
        tar_bytes=custom.tar_bytes,
        manifest_sha256=custom.manifest_sha256,
        file_count=custom.file_count,
        entry_point=custom.entry_point,
    )


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    """Return a repository that lists the hostile archives, and one honest release of the same make."""
    folder, known = tmp_path / "published", Releases()
    folder.mkdir()
    for number, kind in enumerate(SAMPLE):
        known.publish(f"1.1.{number}", built(KINDS[kind](tmp_path / "elsewhere"), folder, f"1.1.{number}"))
    archive = honest()
    archive.write(folder / "honest")
    known.publish("1.2.0", built(shot(archive), folder, "1.2.0"))
    return known


async def ended(server: FakeServer, version: str, generation: int) -> stream_pb2.Report:
    """Offer a release; return the report that ended it."""
    server.assign(version, generation)
    await server.until(lambda: server.result(generation))
    result = server.result(generation)
    assert result is not None
    return result


async def test_hostile_archives_end_with_nothing_installed_and_nothing_stopped(
    releases: Releases, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    async with FakeServer(releases) as server:
        host = InProcessHost(tmp_path / "state", server)
        await host.enrol()
        async with host.running():
            await server.until(lambda: server.sessions)
            around = snapshot(tmp_path / "elsewhere"), snapshot(tmp_path / "published")
            for number, kind in enumerate(SAMPLE):
                shown = KINDS[kind](tmp_path / "elsewhere")
                report = await ended(server, f"1.1.{number}", number + 1)
                assert types_pb2.AttemptState.Name(report.state) == "ATTEMPT_STATE_FAILED", kind
                assert reasons_pb2.ReasonCode.Name(report.code) == f"REASON_CODE_{shown.code}", kind
                assert [word for word in shown.words if word not in report.message] == [], (kind, report.message)
                assert snapshot(host.folder / "slots") == {"agent": "folder"}, kind
            assert len(server.fetched) >= len(SAMPLE)
            assert host.launcher is not None
            assert host.launcher.said("arm") == []
            assert not host.work.done()
            assert len(server.sessions) == 1
            assert around == (snapshot(tmp_path / "elsewhere"), snapshot(tmp_path / "published"))
    assert len(SAMPLE) >= LEAST
    print(f"hostile archives on a host: {len(SAMPLE)} kinds fetched, 0 installed, 0 stopped")


async def test_an_honest_archive_of_the_same_make_is_staged_on_the_same_way(releases: Releases, tmp_path: Path) -> None:
    async with FakeServer(releases) as server:
        host = InProcessHost(tmp_path / "state", server)
        await host.enrol()
        server.script.grant = False
        async with host.running():
            await server.until(lambda: server.sessions)
            server.assign("1.2.0", 1)
            await server.until(lambda: "STAGED" in server.states(1))
            (slot,) = (host.folder / "slots" / "agent").iterdir()
            assert (slot / "COMPLETE").is_file()
