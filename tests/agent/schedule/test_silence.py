"""When a host is without a server, whole: what counts as its being there, and by which clock."""

from __future__ import annotations

import asyncio
import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

from fleetroll.v1 import agent_stream_pb2 as stream_pb2
from fleetroll.v1 import reasons_pb2
from fleetroll_agent.schedule.contact import CONTACT_NAME, Contact, ContactFile
from fleetroll_common.durable import dump_record
from tests.agent.schedule.alone import DAY, apart, mirror, moved, nothing_begins, outcomes, until

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from fleetroll_common.trust.listing import Offered
    from tests.agent.fake_server.inprocess import InProcessHost
    from tests.agent.fake_server.releases import Releases
    from tests.agent.fake_server.server import FakeServer


async def test_a_server_that_answers_ends_the_silence(
    server: FakeServer, host: InProcessHost, releases: Releases, tmp_path: Path
) -> None:
    mirror(releases, tmp_path)
    async with host.running() as daemon:
        await until(lambda: daemon._link.in_touch)
        clock = moved(daemon)
        assert await nothing_begins(daemon, clock)


async def test_a_server_that_came_and_went_between_two_looks_was_there(
    server: FakeServer, host: InProcessHost, releases: Releases, tmp_path: Path
) -> None:
    mirror(releases, tmp_path)
    async with host.running() as daemon:
        clock = await apart(server, daemon)
        clock.advance(DAY - 60)
        await until(lambda: ContactFile(host.folder).read().silent_seconds)
        daemon._link.heard_at = clock.boottime()
        await until(lambda: ContactFile(host.folder).read().silent_seconds == 0)
        clock.advance(DAY - 60)
        await asyncio.sleep(0.3)
        assert outcomes(daemon) == []
        clock.advance(60)
        await until(lambda: outcomes(daemon))


async def test_a_server_that_speaks_while_a_source_is_read_is_there(
    server: FakeServer, host: InProcessHost, releases: Releases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading a mirror takes minutes, and a refusal opens no session that would be in the way."""
    mirror(releases, tmp_path)
    async with host.running() as daemon:
        clock = await apart(server, daemon)
        targets = daemon._schedule._targets
        listed = targets.listed

        def slow(product: str, source: str, *, bundles: bool) -> Offered:
            daemon._link.heard_at = clock.boottime()
            return listed(product, source, bundles=bundles)

        monkeypatch.setattr(targets, "listed", slow)
        assert await nothing_begins(daemon, clock)


async def test_a_server_that_refuses_in_words_is_there(
    server: FakeServer, host: InProcessHost, releases: Releases, tmp_path: Path
) -> None:
    """A host that was revoked, or is to wait, does not help itself."""
    mirror(releases, tmp_path)
    async with host.running() as daemon:
        await until(lambda: daemon._link.in_touch)
        clock = moved(daemon)
        server.script.refusals = [stream_pb2.Refusal(code=reasons_pb2.REASON_CODE_INTERNAL)] * 10_000
        seen, welcomed_at = server.streams, daemon._link.heard_at
        assert welcomed_at is not None
        server.session.end()
        await until(lambda: server.streams >= seen + 3)
        assert daemon._link._stream is None
        assert daemon._link.heard_at is not None
        assert daemon._link.heard_at > welcomed_at
        assert await nothing_begins(daemon, clock)


async def test_a_host_that_is_in_quarantine_stays_so_without_its_server(
    server: FakeServer, host: InProcessHost, releases: Releases, tmp_path: Path
) -> None:
    """The last word of the server counts, also for the next process."""
    mirror(releases, tmp_path)
    server.script.quarantined = True
    async with host.running() as daemon:
        await until(lambda: ContactFile(host.folder).read().quarantined)
        clock = await apart(server, daemon)
        assert await nothing_begins(daemon, clock)
    async with host.running() as daemon:
        clock = moved(daemon)
        await until(lambda: daemon._schedule._silence is not None)
        assert await nothing_begins(daemon, clock)
        daemon._schedule._quarantined = False
        clock.advance(2 * DAY)
        await until(lambda: outcomes(daemon))


async def test_a_clock_that_is_set_makes_no_silence(
    server: FakeServer, host: InProcessHost, releases: Releases, tmp_path: Path
) -> None:
    """A battery that is flat, or a year that was mistyped."""
    mirror(releases, tmp_path)
    async with host.running() as daemon:
        clock = await apart(server, daemon)
        for days in (1, 400, 4000):
            clock.jump(days * DAY)
            clock.advance(400)
            await asyncio.sleep(0.2)
        assert daemon._desk.state("shop").record.locals == 0


async def test_nothing_begins_by_a_clock_that_shows_what_is_over(
    server: FakeServer, host: InProcessHost, releases: Releases, tmp_path: Path
) -> None:
    """The last refresh of signed metadata was later than what it shows now."""
    mirror(releases, tmp_path)
    async with host.running() as daemon:
        clock = await apart(server, daemon)
        clock.jump(-30 * DAY)
        assert await nothing_begins(daemon, clock)
        assert "is over" in daemon._schedule._doubt
        clock.jump(30 * DAY)
        clock.advance(DAY)
        await until(lambda: outcomes(daemon))


async def test_the_silence_goes_on_in_the_next_process_and_after_the_machine_was_off(
    server: FakeServer, host: InProcessHost, releases: Releases, tmp_path: Path
) -> None:
    file = ContactFile(host.folder)
    async with host.running() as daemon:
        clock = await apart(server, daemon)
        for _ in range(4):
            clock.advance(1800)
            await asyncio.sleep(0.2)
        await until(lambda: file.read().silent_seconds >= 5400)
    file.write(replace(file.read(), boot_id="another boot"))
    mirror(releases, tmp_path)
    async with host.running() as daemon:
        clock = moved(daemon)
        await until(lambda: daemon._schedule._silence is not None)
        clock.advance(DAY - 7200 - 60)
        await asyncio.sleep(0.3)
        assert outcomes(daemon) == []
        clock.advance(7200)
        await until(lambda: outcomes(daemon))


def test_the_contact_of_an_earlier_process_is_read_back_and_damage_is_no_contact(tmp_path: Path) -> None:
    file = ContactFile(tmp_path)
    assert file.read() == Contact()
    file.write(Contact("one", 1234.5, 60.0, quarantined=True))
    assert ContactFile(tmp_path).read() == Contact("one", 1234.5, 60.0, quarantined=True)
    whole = (tmp_path / CONTACT_NAME).read_bytes()
    for damaged in (b"", whole[:-3], json.dumps({"silent_seconds": 9e9}).encode(), b"\xff"):
        (tmp_path / CONTACT_NAME).write_bytes(damaged)
        assert file.read() == Contact()
    for wrong in ({"silent_seconds": -1}, {"boot_seconds": "1"}, {"boot_id": 7}, {"silent_seconds": True}):
        record = {"boot_id": "one", "boot_seconds": 1.0, "silent_seconds": 9e9, "quarantined": True} | wrong
        (tmp_path / CONTACT_NAME).write_bytes(dump_record(record))
        assert file.read() == Contact(quarantined=True)
    shutil.rmtree(tmp_path)
    file.write(Contact())
