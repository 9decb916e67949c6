"""The certificate while the server runs: renewed by itself, shown to new connections, alarmed where that fails."""

from __future__ import annotations

import asyncio
import shutil
import ssl
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
import sqlalchemy as sa
import structlog

from fleetroll.v1 import events_pb2, events_pb2_grpc, server_info_pb2, server_info_pb2_grpc
from fleetroll_common.values.errors import StoreError
from fleetroll_server.anchoring.watch import CertificateWatch, alarms
from fleetroll_server.certificates import ends_at, issue_leaf, make_ca
from fleetroll_server.store.tables import EventRow, table_of

DAY = 86400


async def events(server: Any) -> list[Any]:
    """Return the alarms that were committed, oldest first; not by a call, for which the clock is too far ahead."""
    table = table_of(EventRow)
    query = sa.select(table).where(table.c.kind == "alert.certificate_expiring").order_by(table.c.sequence)
    async with server.services.store.read() as connection:
        return list((await connection.execute(query)).all())


async def shown_to(server: Any) -> bytes:
    """Return the certificate that a new connection gets."""
    host, _, port = server.running.address.rpartition(":")
    return (await asyncio.to_thread(ssl.get_server_certificate, (host, int(port)))).encode()


async def test_a_leaf_is_renewed_while_the_server_runs_and_open_streams_stay(server: Any) -> None:
    watch = CertificateWatch(server.services)
    await watch.look()
    first = await shown_to(server)
    stub = events_pb2_grpc.EventsServiceStub(server.channel)
    stream = stub.WatchEvents(events_pb2.WatchEventsRequest(), metadata=server.client().metadata)
    assert await stream.read() is not grpc.aio.EOF
    server.clock.advance(59 * DAY)
    await watch.look()
    assert await shown_to(server) == first
    server.clock.advance(2 * DAY)
    await watch.look()
    second = await shown_to(server)
    assert second != first
    assert ends_at(second) - server.clock.now() > timedelta(days=89)
    assert not stream.done(), "a stream that was open stays open"
    info = server_info_pb2_grpc.ServerInfoServiceStub(server.channel)
    assert await info.GetServerInfo(server_info_pb2.GetServerInfoRequest(), timeout=10)
    stream.cancel()
    assert await events(server) == []


async def test_a_leaf_that_can_not_be_renewed_is_an_alarm_at_30_and_at_7_days_once_each(server: Any) -> None:
    tls = server.services.folder.tls
    shutil.move(tls / "ca.key.sealed", tls / "elsewhere")
    watch = CertificateWatch(server.services)
    before = await shown_to(server)
    for days, told in ((59, 0), (2, 1), (1, 1), (22, 2), (1, 2)):
        server.clock.advance(days * DAY)
        if told:
            with pytest.raises(StoreError, match=r"ca\.key\.sealed"):
                await CertificateWatch(server.services).look()  # another process's look says nothing twice
        else:
            await watch.look()
        assert len(await events(server)) == told, f"after {days} more days"
    found = await events(server)
    assert {event.facts["what"] for event in found} == {"server"}
    assert {event.facts["severity"] for event in found} == {"critical"}
    assert await shown_to(server) == before, "the old one is shown as before"
    shutil.move(tls / "elsewhere", tls / "ca.key.sealed")
    await watch.look()
    assert await shown_to(server) != before


async def test_a_ca_that_ends_is_an_alarm_at_60_30_and_7_days(server: Any) -> None:
    steps: tuple[tuple[int, list[str]], ...] = (
        (61, []),
        (59, ["info"]),
        (29, ["info", "critical"]),
        (6, ["info", "critical", "critical"]),
    )
    watch, ends = CertificateWatch(server.services), ends_at(server.services.ca_pem)
    for left, severities in steps:
        server.clock.advance((ends - server.clock.now()).total_seconds() - left * DAY)
        with structlog.testing.capture_logs() as logs:
            await watch.look()
        found = [event for event in await events(server) if event.facts["what"] == "ca"]
        assert [event.facts["severity"] for event in found] == severities
        said = [line for line in logs if line["event"] == "certificate_expiring" and line["what"] == "ca"]
        assert len(said) == (1 if severities else 0)


def test_one_certificate_in_two_places_is_one_alarm() -> None:
    now = datetime(2026, 5, 1, tzinfo=UTC)
    ca = make_ca("Fleetroll CA", now)
    late = now + timedelta(days=20 * 365 - 10)
    assert [alarm.what for alarm in alarms([("ca", ca.certificate), ("anchors", ca.certificate)], late)] == ["ca"]
    leaf = issue_leaf(ca, ["a.example"], now).certificate
    assert alarms([("server", leaf)], now + timedelta(days=45)) == ()
    assert [alarm.days for alarm in alarms([("server", leaf)], now + timedelta(days=61))] == [30]
