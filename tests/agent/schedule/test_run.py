"""What a host without a server takes, whole: real signed mirrors, a real product, a clock that is told."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from fleetroll_agent.jobs.events import HoldSet, Suspended
from fleetroll_common.values.errors import RequestError
from tests.agent.schedule.alone import DAY, apart, mirror, moved, nothing_begins, outcomes, until

if TYPE_CHECKING:
    from pathlib import Path

    from fleetroll_common.trust.listing import Offered
    from tests.agent.fake_server.inprocess import InProcessHost
    from tests.agent.fake_server.releases import Releases
    from tests.agent.fake_server.server import FakeServer
    from tests.faults.shop import Shop


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

        def failing(product: str, source: str, *, bundles: bool) -> Offered:
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

        def counted(product: str, source: str, *, bundles: bool = True) -> Offered:
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
