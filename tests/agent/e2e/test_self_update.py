"""The agent updates itself, and goes back by itself: real launcher, real slots, real signatures, a real port."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from tests.agent.fake_server.artefacts import DIES_AFTER_HELLO, DIES_AT_START, build
from tests.agent.fake_server.hosts import RealHost
from tests.agent.fake_server.releases import Releases
from tests.agent.fake_server.server import FakeServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

# A machine that is busy with other things makes these slow, never wrong.
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Releases:
    """Return a repository with a first release, a good one, and two that fail as real ones do."""
    folder = tmp_path_factory.mktemp("artefacts")
    known = Releases()
    known.publish("1.0.0", build(folder, "1.0.0"))
    known.publish("1.1.0", build(folder, "1.1.0"), ("beta",))
    known.publish("1.2.0", build(folder, "1.2.0", DIES_AT_START), ("beta",))
    known.publish("1.3.0", build(folder, "1.3.0", DIES_AFTER_HELLO), ("beta",))
    return known


@asynccontextmanager
async def running(releases: Releases, folder: Path) -> AsyncIterator[tuple[FakeServer, RealHost]]:
    """Give a server and an enrolled host whose agent is connected."""
    async with FakeServer(releases) as server:
        host = RealHost(folder / "state")
        code, _out, err = await host.enroll(server.join_string())
        assert code == 0, err
        await host.start()
        try:
            await server.until(lambda: len(server.sessions) == 2)
            yield server, host
        finally:
            await host.stop()


async def test_a_good_release_is_kept(releases: Releases, tmp_path: Path) -> None:
    async with running(releases, tmp_path) as (server, host):
        server.assign("1.1.0", 7)
        await server.until(lambda: "SUCCEEDED" in server.states(7))
        assert list(dict.fromkeys(server.states(7))) == [
            "OFFERED",
            "DOWNLOADING",
            "STAGED",
            "APPLYING self_test",
            "APPLYING arm",
            "APPLYING restart",
            "TRIAL",
            "SUCCEEDED",
        ]
        assert host.boot()["current"]["version"] == "1.1.0"
        assert host.boot()["previous"]["version"] == "1.0.0"
        (product,) = server.session.hello.products
        assert (product.version, product.on_trial) == ("1.1.0", True)
        assert [told.step for told in host.journal()].count("self_test") == 1


async def test_a_release_that_dies_at_every_start_goes_back(releases: Releases, tmp_path: Path) -> None:
    async with running(releases, tmp_path) as (server, host):
        server.assign("1.2.0", 7)
        await server.until(lambda: "ROLLED_BACK" in server.states(7))
        last = server.agent.reports[-1]
        assert last.running_version == "1.0.0"
        assert "no_frobnicator" in last.output_tail
        assert host.boot()["current"]["version"] == "1.0.0"
        assert host.boot()["bad"]
        assert not last.unproven


async def test_a_release_that_dies_after_its_hello_goes_back(releases: Releases, tmp_path: Path) -> None:
    async with running(releases, tmp_path) as (server, host):
        server.assign("1.3.0", 7, soak=5.0)
        await server.until(lambda: "ROLLED_BACK" in server.states(7))
        assert "TRIAL" in server.states(7)
        assert host.boot()["current"]["version"] == "1.0.0"
        server.assign("1.3.0", 8)
        await server.until(lambda: "FAILED" in server.states(8))
        assert server.states(8)[-1] == "FAILED"
        assert "APPLYING self_test" not in server.states(8)


async def test_root_updates_by_a_bundle_without_a_server_and_the_host_keeps_it(
    releases: Releases, tmp_path: Path
) -> None:
    """Nobody can promote it: the self-test and the soak decide, and the server learns of it later."""
    bundle = releases.bundle(tmp_path / "bundle.tar", ("agent", "1.1.0"))
    async with running(releases, tmp_path) as (server, host):
        await server.stop()
        code, out, err = await host.call(
            *("update", "agent", "--version", "1.1.0", "--from", str(bundle), "--soak", "0.5s"),
            *("--state", str(host.state)),
        )
        assert code == 0, out + err
        assert "agent succeeded" in out
        assert host.boot()["current"]["version"] == "1.1.0"
        assert host.boot()["last"]["ended"] == "committed_locally"
        await server.start()
        await server.until(lambda: any(told.committed_locally for told in server.agent.reports))
        code, out, err = await host.call("rollback", "agent", "--soak", "0.5s", "--state", str(host.state))
        assert code == 0, out + err
        assert host.boot()["current"]["version"] == "1.0.0"


async def test_a_bad_one_by_a_bundle_comes_back_too(releases: Releases, tmp_path: Path) -> None:
    bundle = releases.bundle(tmp_path / "bundle.tar", ("agent", "1.2.0"))
    async with running(releases, tmp_path) as (server, host):
        await server.stop()
        words = ("update", "agent", "--version", "1.2.0", "--from", str(bundle), "--soak", "0.5s")
        code, out, err = await host.call(*words, "--state", str(host.state))
        assert code == 22, out + err
        assert host.boot()["current"]["version"] == "1.0.0"
