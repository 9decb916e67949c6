"""Metadata stays fresh by itself, also across restarts and beside publishers."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from structlog.testing import capture_logs

from fleetroll_common.values.clock import FakeClock
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_publishing.roles import read_repository
from fleetroll_server.catalogue import catalogue as catalogue_module
from fleetroll_server.catalogue.catalogue import Catalogue, Freshness
from fleetroll_server.catalogue.metadata import current_files

if TYPE_CHECKING:
    import pytest


async def standing(server: Any) -> Any:
    async with server.services.store.read() as connection:
        return read_repository(await current_files(connection))


async def test_nothing_is_signed_before_it_is_due(server: Any) -> None:
    freshness = Freshness(server.services)
    before = await standing(server)
    signed_at = before.timestamp.expires - timedelta(days=1)  # by the session's installation, a while ago
    left = await freshness.sign_if_due()
    assert timedelta(seconds=left) == signed_at + timedelta(hours=1) - server.clock.now()
    assert left > 0
    assert (await standing(server)).timestamp.version == before.timestamp.version


async def test_the_timestamp_is_signed_hourly_and_agents_are_told(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []
    monkeypatch.setattr(
        type(server.running.registry),
        "broadcast",
        lambda _self, message, _wanted: told.append(message.metadata_notice.timestamp_version),
    )
    before = await standing(server)
    server.clock.advance(3601)
    assert await Freshness(server.services).sign_if_due() == 3600
    after = await standing(server)
    assert after.timestamp.version == before.timestamp.version + 1
    assert after.timestamp.expires > before.timestamp.expires
    assert after.snapshot.version == before.snapshot.version
    assert server.services.catalogue.timestamp_version == after.timestamp.version
    assert told == [after.timestamp.version]


async def test_the_snapshot_is_signed_at_half_of_its_life(server: Any) -> None:
    before = await standing(server)
    server.clock.advance(timedelta(days=3, hours=13).total_seconds())
    await Freshness(server.services).sign_if_due()
    after = await standing(server)
    assert after.snapshot.version == before.snapshot.version + 1
    assert after.snapshot.expires - server.clock.now() > timedelta(days=6)


async def test_who_comes_second_looks_again(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    server.clock.advance(3601)
    async with server.services.store.read() as connection:
        old = await current_files(connection)
    await Freshness(server.services).sign_if_due()
    version = server.services.catalogue.timestamp_version

    async def stale(_connection: object) -> dict[str, bytes]:
        return dict(old)

    with monkeypatch.context() as patched:
        patched.setattr(catalogue_module, "current_files", stale)
        assert await Freshness(server.services).sign_if_due() == 0.0
    assert server.services.catalogue.timestamp_version == version


async def test_a_server_that_was_down_signs_when_it_starts(installed: Any, launch: Any) -> None:
    clock = FakeClock(datetime.now(UTC) + timedelta(days=2))
    async with launch(installed, clock) as late:
        async with asyncio.timeout(10):
            while (await standing(late)).timestamp.expires < clock.now():
                await asyncio.sleep(0.01)
        assert late.services.catalogue.timestamp_version == 2


async def test_the_lists_are_signed_also_when_a_role_that_is_due_is_refused(
    server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A product that nobody can sign again any more stops its own installs, and not those of all others in a day."""
    server.clock.advance(timedelta(days=280).total_seconds())
    before = await standing(server)

    def refused(*_args: Any, **_values: Any) -> Any:
        raise RequestError("files: no", code=Code.INVALID_ARGUMENT)

    with monkeypatch.context() as patched, capture_logs() as logs:
        patched.setattr(catalogue_module, "seal_commit", refused)
        await Freshness(server.services).sign_if_due()
    after = await standing(server)
    assert after.snapshot.version == before.snapshot.version + 1
    assert after.timestamp.version == before.timestamp.version + 1
    assert after.targets.version == before.targets.version
    assert [line["code"] for line in logs if line["event"] == "metadata.roles_not_renewed"] == ["INVALID_ARGUMENT"]
    server.clock.advance(3601)
    await Freshness(server.services).sign_if_due()
    assert (await standing(server)).targets.version == before.targets.version + 1


async def test_an_announcement_of_the_past_is_dropped(server: Any) -> None:
    known = await Catalogue.load(server.services.store, server.running.registry)
    before = known.timestamp_version
    known.announce(before)
    known.announce(before - 1)
    assert known.timestamp_version == before
