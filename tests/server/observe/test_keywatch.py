"""Keys that get old and signatures that end are said in time, each step once, whatever process looks."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import sqlalchemy as sa
import structlog

from fleetroll_publishing.roles import read_repository
from fleetroll_server.catalogue.catalogue import Freshness
from fleetroll_server.catalogue.metadata import current_files
from fleetroll_server.observe.keywatch import KeyWatch
from fleetroll_server.store.tables import EventRow, MetaRow, table_of

DAY = 86400.0
EVENT, META = table_of(EventRow), table_of(MetaRow)


async def told(server: Any, kind: str) -> list[tuple[str, str]]:
    """Return role and severity of each alarm of one kind, oldest first."""
    query = sa.select(EVENT).where(EVENT.c.fleet_id == "", EVENT.c.kind == f"alert.{kind}").order_by(EVENT.c.sequence)
    async with server.services.store.read() as connection:
        rows = (await connection.execute(query)).mappings().all()
    return [(row["facts"]["role"], row["facts"]["severity"]) for row in rows]


async def rows(server: Any) -> dict[str, str]:
    async with server.services.store.read() as connection:
        found = await connection.execute(sa.select(META).where(META.c.key.startswith("key_alarm/")))
        return {row.key: row.value for row in found}


async def look(server: Any, days: float) -> tuple[Any, ...]:
    """Let days pass and look, as another process than the last one."""
    server.clock.advance(days * DAY)
    return await KeyWatch(server.services).look()


async def test_nothing_is_said_of_a_new_installation(server: Any) -> None:
    assert await look(server, 0) == ()
    assert await rows(server) == {}


async def test_a_key_is_alarmed_at_each_step_once(server: Any) -> None:
    """180 days for what the server holds; the root's keys are good for two years."""
    steps = ((119, 0), (2, 1), (1, 1), (30, 2), (22, 3), (1, 3), (7, 4), (30, 4))
    for days, times in steps:
        await look(server, days)
        await Freshness(server.services).sign_if_due()  # ends another alarm: what is written then says nothing twice
        await look(server, 0)
        found = await told(server, "key_old")
        for role in ("targets", "products/agent", "snapshot", "timestamp"):
            severities = [severity for each, severity in found if each == role]
            assert severities == ["info", "critical", "critical", "critical"][:times], f"{role} after {days} more days"
        assert not [each for each, _ in found if each == "root"]


async def test_metadata_that_expires_is_alarmed_and_forgotten_when_it_was_signed_again(server: Any) -> None:
    """What the server signs by itself is signed again long before; the root is for its owner."""
    lines: list[Any] = []
    for days in (276, 30, 30, 24, 4):
        await Freshness(server.services).sign_if_due()
        with structlog.testing.capture_logs() as logs:
            await look(server, days)
        lines += [line for line in logs if line["event"] == "metadata_expiring" and line["role"] == "root"]
    found = await told(server, "metadata_expiring")
    assert [severity for role, severity in found if role == "root"] == ["info", "critical", "critical"]
    assert {role for role, _ in found} <= {"root", "timestamp", "snapshot"}
    assert [line["remedy"] for line in lines] == ["fleetroll keys renew"] * 3
    assert "key_alarm/metadata_expiring/root 1" in await rows(server)


async def test_an_alarm_that_is_over_may_come_again(server: Any) -> None:
    await look(server, 2)
    assert [role for role, _ in await told(server, "metadata_expiring")] == ["timestamp"]
    await Freshness(server.services).sign_if_due()
    await look(server, 0)
    assert await rows(server) == {}
    await look(server, 2)
    assert [role for role, _ in await told(server, "metadata_expiring")] == ["timestamp"] * 2


async def test_a_managed_server_signs_targets_and_products_again_before_they_end(server: Any) -> None:
    """Nobody else could: a repository that nothing is published to must not stop after a year."""
    server.clock.advance(274 * DAY)
    await Freshness(server.services).sign_if_due()
    assert (await standing(server)).targets.version == 1
    server.clock.advance(3 * DAY)
    await Freshness(server.services).sign_if_due()
    after = await standing(server)
    assert (after.targets.version, after.products["agent"].version, after.root.version) == (2, 2, 1)
    for role in (after.targets, after.products["agent"]):
        assert role.expires - server.clock.now() > timedelta(days=364)
    server.clock.advance(3601)
    await Freshness(server.services).sign_if_due()
    assert (await standing(server)).targets.version == 2


async def standing(server: Any) -> Any:
    async with server.services.store.read() as connection:
        return read_repository(await current_files(connection))
