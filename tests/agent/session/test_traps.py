"""Traps that only a whole agent can fall into: nothing that is refused, or full, takes a running one down."""

from __future__ import annotations

import errno
import os
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from fleetroll.v1 import reasons_pb2
from fleetroll_agent.jobs.state import Rules
from fleetroll_agent.unpack import tree
from fleetroll_publishing import repository
from tests.agent.fake_server.inprocess import InProcessHost
from tests.agent.fake_server.releases import PRODUCTS, Releases
from tests.agent.fake_server.server import FakeServer
from tests.faults.jobs import NEW, boot_record, slot, trial

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from fleetroll_agent.launcher.values import Record

FULL = reasons_pb2.REASON_CODE_DISK_FULL
LONG_AGO = timedelta(days=4000)
"""Since the metadata was signed: no role lives for so long."""
TRIED: Record = boot_record(current=slot("0.9.0", NEW), trial=trial(7, "a" * 64), highest_server=7)
"""What runs in the test is the version on trial."""


def stale() -> Releases:
    """Return a repository that nobody has signed for years."""
    made = Releases()
    made.files = repository.create(PRODUCTS, made.signers, datetime.now(UTC) - LONG_AGO)
    return made


async def test_t13_metadata_that_has_expired_stops_an_install_and_no_agent(tmp_path: Path) -> None:
    """The host refuses the release, and goes on speaking with its server as the version that it is."""
    async with FakeServer(stale()) as server:
        host = InProcessHost(tmp_path / "state", server)
        await host.enrol()
        async with host.running():
            await server.until(lambda: server.sessions)
            server.assign("1.1.0", 7)
            await server.until(lambda: server.result(7) is not None)
            assert server.result(7).code == reasons_pb2.REASON_CODE_METADATA_FREEZE
            heard = len(server.session.heard)
            await server.until(lambda: any(said.HasField("heartbeat") for said in server.session.heard[heard:]))
            assert (len(server.sessions), host.work.done()) == (1, False)


async def test_t13_a_trial_is_kept_whatever_the_metadata_says_meanwhile(tmp_path: Path) -> None:
    """What was verified when it was staged needs no metadata to be promoted."""
    async with FakeServer(stale()) as server:
        host = InProcessHost(tmp_path / "state", server)
        await host.enrol()
        async with host.running(TRIED):
            await host.launcher.until_said("promote")
        assert server.states(7) == ["TRIAL"]


async def test_t16_a_disk_that_fills_under_the_unpacking_leaves_nothing_and_is_waited_for(
    server: FakeServer, host: InProcessHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fetched bytes stay, the half slot goes, no try is spent, and with room again the same attempt goes on."""
    full = [True]
    real = tree._write_all

    def write(handle: int, data: bytes) -> None:
        if full[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(handle, data)

    monkeypatch.setattr(tree, "_write_all", write)
    monkeypatch.setattr("fleetroll_agent.parts.Rules", partial(Rules, disk_full=0.3))
    server.script.grant = False
    async with host.running() as daemon:
        await server.until(lambda: server.sessions)
        server.assign("1.1.0", 7)
        await server.until(lambda: [told.code for told in server.agent.reports].count(FULL) == 3)
        assert list((host.folder / "slots" / "agent").iterdir()) == []
        assert daemon.state.record.attempt.tries == 0
        full[0] = False
        await server.until(lambda: "STAGED" in server.states(7))
    assert len(server.sessions) == 1
    assert len(server.fetched) == 1
