"""A host without a server, whole: real signed mirrors, a real product, a clock that is told."""

from __future__ import annotations

import asyncio
import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fleetroll.v1 import agent_stream_pb2 as stream_pb2
from fleetroll.v1 import reasons_pb2
from fleetroll_agent.jobs.events import HoldSet, Suspended
from fleetroll_agent.schedule import run
from fleetroll_agent.schedule.contact import CONTACT_NAME, Contact, ContactFile
from fleetroll_common.durable import dump_record
from fleetroll_common.values.clock import FakeClock, SystemClock
from fleetroll_common.values.errors import RequestError
from fleetroll_publishing.carrying import MirrorWish, update_mirror
from tests.agent.fake_server.inprocess import InProcessHost
from tests.agent.fake_server.releases import Releases
from tests.agent.fake_server.server import FakeServer
from tests.faults.shop import Shop, artefact

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from fleetroll_agent.daemon import Daemon
    from fleetroll_agent.jobs.values import Outcome
    from fleetroll_common.trust.listing import ListedTarget

DAY = 86_400.0


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Releases:
    """Return a repository with the shop's releases."""
    folder, known = tmp_path_factory.mktemp("shop"), Releases()
    for version in ("1.0.0", "1.1.0"):
        known.publish(version, artefact(folder, version), product="shop")
    known.publish("1.2.0", artefact(folder, "1.2.0", fault="unhealthy"), ("beta",), product="shop")
    return known


@pytest.fixture
async def server(releases: Releases) -> AsyncIterator[FakeServer]:
    """Give a running server."""
    async with FakeServer(releases) as running:
        yield running


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """Give a shop that is kept running."""
    home = Shop(tmp_path / "shop")
    home.start()
    yield home
    home.stop()


@pytest.fixture
async def host(server: FakeServer, shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> InProcessHost:
    """Return a host with 1.0.0 of the shop and a schedule of its own; its daemon does not run."""
    monkeypatch.setattr(run, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(run, "SOAK_SECONDS", 0.3)
    enrolled = InProcessHost(tmp_path / "state", server)
    await enrolled.enrol()
    path = enrolled.folder / "agent.toml"
    own = f'[host]\noffline = "local_schedule"\noffline_sources = ["{tmp_path}/other", "{tmp_path}/mirror"]\n'
    path.write_text(path.read_text().replace("[host]\n", own) + shop.settings(auto_update="true"))
    async with enrolled.running():
        server.assign("1.0.0", 1, product="shop", soak=0.2)
        await server.until(lambda: server.result(1, "shop"))
    return enrolled


def mirror(releases: Releases, folder: Path) -> None:
    """Make, or renew, the second of the host's sources."""
    update_mirror(folder / "mirror", releases, MirrorWish(), SystemClock())


def moved(daemon: Daemon, seconds: float = 0.0) -> FakeClock:
    """Let the schedule go by a clock of its own, which has moved on."""
    clock = FakeClock(SystemClock().now())
    schedule = daemon._schedule
    schedule._clock = clock
    schedule._silence = None
    schedule._written = float("-inf")
    clock.advance(seconds)
    return clock


async def until(done: Callable[[], object], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not done():
            await asyncio.sleep(0.02)


def outcomes(daemon: Daemon) -> list[Outcome]:
    return [known for known in daemon._desk.state("shop").record.outcomes if known.local]


async def nothing_begins(daemon: Daemon, clock: FakeClock) -> bool:
    """Let days pass; tell whether no attempt was even begun."""
    for _ in range(5):
        clock.advance(2 * DAY)
        await asyncio.sleep(0.2)
    return daemon._desk.state("shop").record.locals == 0


async def apart(server: FakeServer, daemon: Daemon) -> FakeClock:
    """Take the server away, and let the host notice."""
    await until(lambda: daemon._link.in_touch)
    await until((daemon._parts.folder / CONTACT_NAME).exists)
    await server.stop()
    await until(lambda: not daemon._link.in_touch)
    clock = moved(daemon)
    await until(lambda: daemon._schedule._silence is not None)
    return clock


async def test_after_its_limit_it_takes_the_release_of_a_mirror_and_tells_the_server_later(
    server: FakeServer, host: InProcessHost, shop: Shop, releases: Releases, tmp_path: Path
) -> None:
    mirror(releases, tmp_path)
    async with host.running() as daemon:
        clock = await apart(server, daemon)
        clock.advance(DAY - 1)
        await asyncio.sleep(0.3)
        assert outcomes(daemon) == []
        clock.advance(1)
        await until(lambda: outcomes(daemon))
        (outcome,) = outcomes(daemon)
        assert (outcome.said.value, outcome.version, outcome.actor) == ("SUCCEEDED", "1.1.0", "local schedule")
        assert (await asyncio.to_thread(shop.page))["version"] == "1.1.0"
        assert daemon._desk.state("shop").record.override is None
    assert [told.local for told in host.journal() if told.local] != []


async def test_a_bad_release_is_taken_once_and_then_passed_over(
    server: FakeServer, host: InProcessHost, shop: Shop, releases: Releases, tmp_path: Path
) -> None:
    mirror(releases, tmp_path)
    path = host.folder / "agent.toml"
    channels = 'auto_update = true\nallowed_channels = ["stable", "beta"]'
    path.write_text(path.read_text().replace("auto_update = true", channels))
    async with host.running() as daemon:
        clock = await apart(server, daemon)
        clock.advance(DAY)
        await until(lambda: outcomes(daemon))
        assert [(one.version, one.said.value) for one in outcomes(daemon)] == [("1.2.0", "ROLLED_BACK")]
        clock.advance(2 * 3600)
        await until(lambda: len(outcomes(daemon)) == 2)
        assert [(one.version, one.said.value) for one in outcomes(daemon)][1] == ("1.1.0", "SUCCEEDED")
        for _ in range(10):
            clock.advance(DAY)
            await asyncio.sleep(0.1)
        assert len(outcomes(daemon)) == 2
        assert (await asyncio.to_thread(shop.page))["version"] == "1.1.0"


async def test_a_look_that_fails_ends_nothing_and_the_next_one_comes(
    server: FakeServer, host: InProcessHost, releases: Releases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A defect, or whatever a disk may come to raise, must not end the agent."""
    mirror(releases, tmp_path)
    async with host.running() as daemon:
        clock = await apart(server, daemon)
        targets, asked = daemon._schedule._targets, []
        listed = targets.listed

        def failing(product: str, source: str, *, bundles: bool) -> tuple[ListedTarget, ...]:
            asked.append(source)
            if len(asked) == 1:
                raise OSError(5, "Input/output error")
            return listed(product, source, bundles=bundles)

        monkeypatch.setattr(targets, "listed", failing)
        clock.advance(DAY)
        await until(lambda: asked)
        clock.advance(4400)
        await until(lambda: outcomes(daemon))
        assert outcomes(daemon)[0].said.value == "SUCCEEDED"


async def test_a_bundles_file_is_refused_for_it_is_a_person_who_carries_one(
    server: FakeServer, host: InProcessHost, releases: Releases, tmp_path: Path
) -> None:
    """Its expiry is waived, which nobody would judge here."""
    releases.bundle(tmp_path / "other", ("shop", "1.1.0"))
    releases.bundle(tmp_path / "mirror", ("shop", "1.1.0"))
    async with host.running() as daemon:
        clock = await apart(server, daemon)
        assert await nothing_begins(daemon, clock)
        with pytest.raises(RequestError, match="is a file: a bundle is carried, and started by a person"):
            daemon._schedule._targets.listed("shop", str(tmp_path / "mirror"), bundles=False)


async def test_what_was_altered_in_a_mirror_is_not_installed(
    server: FakeServer, host: InProcessHost, shop: Shop, releases: Releases, tmp_path: Path
) -> None:
    """The same verification as ever: a mirror is believed nothing."""
    mirror(releases, tmp_path)
    for file in (tmp_path / "mirror").rglob("*.tar.zst"):
        file.chmod(0o644)
        file.write_bytes(file.read_bytes()[:-1] + b"\0")
    async with host.running() as daemon:
        clock = await apart(server, daemon)
        clock.advance(DAY)
        await until(lambda: outcomes(daemon))
        assert outcomes(daemon)[0].said.value == "FAILED"
        assert outcomes(daemon)[0].code in {"WRONG_HASH", "DOWNLOAD_FAILED"}
        assert (await asyncio.to_thread(shop.page))["version"] == "1.0.0"


async def test_nothing_is_taken_while_the_kill_switch_was_the_servers_last_word_or_a_person_holds_it(
    server: FakeServer, host: InProcessHost, releases: Releases, tmp_path: Path
) -> None:
    mirror(releases, tmp_path)
    server.script.suspended = {"global"}
    async with host.running() as daemon:
        await apart(server, daemon)
    async with host.running() as daemon:
        clock = moved(daemon)
        await until(lambda: daemon._schedule._silence is not None)
        assert await nothing_begins(daemon, clock)
        await daemon._desk.told("shop", HoldSet("root", 4e9))
        await daemon._desk.told(None, Suspended("global", active=False))
        assert await nothing_begins(daemon, clock)


async def test_sources_that_are_away_are_looked_for_again_and_not_each_minute(
    server: FakeServer, host: InProcessHost, releases: Releases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with host.running() as daemon:
        clock = await apart(server, daemon)
        asked: list[str] = []
        targets = daemon._schedule._targets
        listed = targets.listed

        def counted(product: str, source: str, *, bundles: bool = True) -> tuple[ListedTarget, ...]:
            asked.append(source)
            return listed(product, source, bundles=bundles)

        monkeypatch.setattr(targets, "listed", counted)
        clock.advance(DAY)
        await until(lambda: len(asked) == 2)
        for _ in range(10):
            clock.advance(60)
            await asyncio.sleep(0.06)
        assert len(asked) == 2
        mirror(releases, tmp_path)
        clock.advance(4400)
        await until(lambda: outcomes(daemon))
        assert outcomes(daemon)[0].said.value == "SUCCEEDED"


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
