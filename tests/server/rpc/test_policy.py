"""PolicyService over the wire: origins, compare-and-set, history, previews, whose fleets, and every refusal by name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from fleetroll.v1 import options_pb2, policy_pb2, policy_pb2_grpc, tokens_pb2, tokens_pb2_grpc, types_pb2
from fleetroll_server.store.fleets import every_fleet
from fleetroll_server.store.tables import AgentRow, EventRow, FleetRow, PolicyChangeRow, PolicyRow, table_of
from tests.faults.policies import values

FLEET = policy_pb2.PolicyLevel(fleet_id="default")
EVERYWHERE = policy_pb2.PolicyLevel()
HOST = policy_pb2.PolicyLevel(agent_id="agent-1")


async def call(server: Any, name: str, request: Any, token: str | None = None) -> Any:
    return await server.client(token).call(getattr(policy_pb2_grpc.PolicyServiceStub(server.channel), name), request)


async def put(server: Any, level: Any, serial: int, *unset: str, token: str | None = None, **said: Any) -> Any:
    request = policy_pb2.SetPolicyRequest(level=level, serial=serial, set=values(**said), unset=unset, reason="why")
    return (await call(server, "SetPolicy", request, token)).document


async def shown(server: Any, level: Any, token: str | None = None) -> dict[str, Any]:
    answer = await call(server, "GetPolicy", policy_pb2.GetPolicyRequest(level=level), token)
    return {field.name: field for field in answer.fields}


async def bound_token(server: Any, *fleets: str) -> str:
    stub = tokens_pb2_grpc.TokensServiceStub(server.channel)
    request = tokens_pb2.CreateApiTokenRequest(name="b", role=options_pb2.ROLE_ADMIN, fleet_ids=fleets)
    return str((await server.client().call(stub.CreateApiToken, request)).secret)


async def insert(server: Any, model: Any, **row: Any) -> None:
    await server.services.store.writer.command(lambda tx: tx.execute(sa.insert(table_of(model)).values(**row)))


@pytest.fixture
async def host(server: Any) -> None:
    """A host with a zone, and another fleet."""
    keys: dict[str, Any] = {"os": "linux", "arch": "x86_64", "abi": "cp311", "public_key": b"k", "acked": b"a"}
    row = AgentRow(
        id="agent-1", name="web", fleet_id="default", time_zone="Asia/Tokyo", enrolled_at=server.clock.now(), **keys
    )
    await insert(server, AgentRow, **row.model_dump())
    await insert(server, FleetRow, id="eu", name="eu", created_at=server.clock.now())


@pytest.mark.usefixtures("host")
async def test_each_value_is_told_with_its_level_product_and_who_said_it(server: Any) -> None:
    await put(server, EVERYWHERE, 0, pin="major 1", soak=90, channel="stable")
    await put(server, FLEET, 0, pin="minor 1.4", windows=["mon-fri 22:00-05:00 local"])
    await put(server, policy_pb2.PolicyLevel(fleet_id="default", product="shop"), 0, pin="")
    await put(server, HOST, 0, windows=[], expected=600)
    fleet = await shown(server, FLEET)
    assert [(fleet[name].value, fleet[name].origin) for name in ("pin", "soak", "windows", "max_failed")] == [
        ("minor 1.4", policy_pb2.POLICY_ORIGIN_FLEET),
        ("90 s", policy_pb2.POLICY_ORIGIN_GLOBAL),
        ("mon-fri 22:00-05:00 local", policy_pb2.POLICY_ORIGIN_FLEET),
        ("1", policy_pb2.POLICY_ORIGIN_DEFAULT),
    ]
    assert fleet["pin"].set_by.kind == types_pb2.ACTOR_KIND_TOKEN
    assert (fleet["pin"].serial, fleet["max_failed"].serial, fleet["max_failed"].HasField("set_by")) == (1, 0, False)
    of_host = await shown(server, policy_pb2.PolicyLevel(agent_id="agent-1", product="shop"))
    assert [of_host[name].value for name in ("pin", "channel", "windows", "expected")] == [
        "none",
        "stable",
        "none",
        "600 s",
    ]
    assert (of_host["pin"].product, of_host["windows"].origin) == ("shop", policy_pb2.POLICY_ORIGIN_AGENT)
    assert "soak" not in of_host, "a host has no limits"
    answer = await call(server, "GetPolicy", policy_pb2.GetPolicyRequest(level=HOST))
    assert [(one.level.agent_id, one.level.fleet_id, one.serial) for one in answer.documents] == [
        ("agent-1", "default", 1),
        ("", "default", 1),
        ("", "", 1),
    ]
    assert list(answer.effective.windows.texts) == []
    assert answer.effective.HasField("windows")


async def test_a_change_is_compared_and_set_kept_and_told(server: Any) -> None:
    assert (await put(server, FLEET, 0, pin="major 1", max_failed=2)).serial == 1
    made = await put(server, FLEET, 1, "max_failed", pin="major 2", bake=30)
    assert (made.serial, made.values.pin, made.values.limits.HasField("max_failed")) == (2, "major 2", False)
    answer = await call(server, "ListPolicyHistory", policy_pb2.ListPolicyHistoryRequest(level=FLEET))
    newest, oldest = answer.changes
    assert (newest.serial, list(newest.fields), newest.decision.reason) == (2, ["pin", "max_failed", "bake"], "why")
    assert (newest.before.pin, newest.after.pin, newest.before.limits.max_failed) == ("major 1", "major 2", 2)
    assert newest.after.limits.bake.seconds == 30
    assert not newest.before.limits.HasField("bake")
    assert list(oldest.fields) == ["pin", "max_failed"]
    async with server.services.store.read() as connection:
        query = every_fleet(
            sa.select(table_of(EventRow)).where(table_of(EventRow).c.kind == "policy.changed"), "a test"
        )
        events = (await connection.execute(query.order_by("sequence"))).mappings().all()
    assert [(event["fleet_id"], event["facts"]["fields"], event["reason"]) for event in events] == [
        ("default", "max_failed, pin", "why"),
        ("default", "bake_seconds, max_failed, pin", "why"),
    ]


async def test_history_comes_in_pages(server: Any) -> None:
    for serial in range(5):
        await put(server, FLEET, serial, max_failed=serial + 1)
    seen, cursor = [], b""
    while True:
        request = policy_pb2.ListPolicyHistoryRequest(level=FLEET, page=types_pb2.Page(size=2, cursor=cursor))
        page = await call(server, "ListPolicyHistory", request)
        seen += [change.serial for change in page.changes]
        cursor = page.next_cursor
        if not cursor:
            break
    assert seen == [5, 4, 3, 2, 1]


async def test_a_change_on_an_older_serial_is_stale_and_writes_nothing(server: Any, refusal: Any) -> None:
    await put(server, FLEET, 0, pin="major 1")
    for serial in (0, 2, -1):
        why = await refusal(put(server, FLEET, serial, pin="major 2"))
        assert (why.code, why.facts["current"]) == ("STALE_DECISION", "1")
    assert (await shown(server, FLEET))["pin"].value == "major 1"


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no reason": ({"reason": ""}, "reason"),
    "nothing": ({}, "policy"),
    "an unknown field": ({"unset": ["colour"]}, "policy.colour"),
    "set and unset": ({"set": values(pin="major 1"), "unset": ["pin"]}, "policy.pin"),
    "unset twice": ({"unset": ["pin", "pin"]}, "policy.pin"),
    "a pin": ({"set": values(pin="1")}, "policy.pin"),
    "a window": ({"set": values(windows=["nights"])}, "policy.windows"),
    "a zone": ({"set": values(windows=["mon 01:00-02:00 Europe/Atlantis"])}, "policy.windows"),
    "a blackout": ({"set": values(blackouts=["xmas"])}, "policy.blackouts"),
    "a time": ({"set": values(expected=0)}, "policy.expected_seconds"),
    "a limit": ({"set": values(max_concurrent=0)}, "policy.max_concurrent"),
    "what follows from others": ({"set": values(max_out=7)}, "policy.max_out"),
    "limits that contradict": ({"set": values(soak=600)}, "lease_seconds"),
    "a long product": ({"level": policy_pb2.PolicyLevel(product="p" * 64)}, "level.product"),
    "no such fleet": ({"level": policy_pb2.PolicyLevel(fleet_id="mars"), "set": values(pin="")}, "fleet_id"),
    "no such host": ({"level": policy_pb2.PolicyLevel(agent_id="agent-9"), "set": values(pin="")}, "level.agent_id"),
}


@pytest.mark.parametrize("case", BAD)
async def test_what_can_not_be_said_is_refused_by_field_with_a_remedy_and_writes_nothing(
    server: Any, refusal: Any, case: str
) -> None:
    said, field = BAD[case]
    wanted: dict[str, Any] = {"level": FLEET, "reason": "why"} | said
    request = policy_pb2.SetPolicyRequest(**wanted)
    why = await refusal(call(server, "SetPolicy", request))
    assert why.facts["field"] == field
    assert why.remedy
    async with server.services.store.read() as connection:
        for model in (PolicyRow, PolicyChangeRow):
            query = every_fleet(sa.select(table_of(model)), "a test")
            assert (await connection.execute(query)).all() == []


async def test_what_changes_nothing_is_refused(server: Any, refusal: Any) -> None:
    await put(server, FLEET, 0, pin="major 1")
    assert "says this already" in (await refusal(put(server, FLEET, 1, pin="major 1"))).message
    assert "says this already" in (await refusal(put(server, FLEET, 1, "channel"))).message


async def test_a_lease_and_a_longer_soak_are_set_together(server: Any) -> None:
    made = await put(server, FLEET, 0, soak=600, lease=1200)
    assert (made.values.limits.soak.seconds, made.values.limits.lease.seconds) == (600, 1200)


@pytest.mark.usefixtures("host")
async def test_who_is_bound_to_fleets_sees_and_changes_those_alone(server: Any, refusal: Any) -> None:
    token = await bound_token(server, "eu")
    await put(server, EVERYWHERE, 0, pin="major 1")
    assert (await put(server, policy_pb2.PolicyLevel(fleet_id="eu"), 0, token=token, pin="major 2")).serial == 1
    assert (await shown(server, policy_pb2.PolicyLevel(fleet_id="eu"), token))["pin"].value == "major 2"
    assert (await refusal(put(server, EVERYWHERE, 1, token=token, pin="major 3"))).code == "PERMISSION_DENIED"
    assert (await refusal(put(server, FLEET, 0, token=token, pin="major 3"))).code == "NOT_FOUND"
    assert (await refusal(put(server, HOST, 0, token=token, pin="major 3"))).code == "NOT_FOUND"
    assert (await refusal(shown(server, HOST, token))).code == "NOT_FOUND"


# When work may begin.


async def preview(server: Any, **said: Any) -> Any:
    return await call(server, "PreviewPolicy", policy_pb2.PreviewPolicyRequest(**({"level": FLEET} | said)))


def hours(server: Any, answer: Any) -> list[float]:
    now = server.clock.now()
    return [round((one.begins.ToDatetime(UTC) - now) / timedelta(hours=1), 2) for one in answer.openings]


@pytest.mark.usefixtures("host")
async def test_openings_are_calculated_for_the_hosts_zone_as_it_is_or_as_it_would_be(server: Any) -> None:
    server.clock.advance((datetime(2027, 3, 1, 12, tzinfo=UTC) - server.clock.now()).total_seconds())
    always = await preview(server)
    assert (always.open, always.why, hours(server, always), always.openings[0].HasField("ends")) == (
        True,
        "",
        [0],
        False,
    )
    await put(server, FLEET, 0, windows=["mon-sun 22:00-23:00 local"], blackouts=["2027-03-03 local"])
    assert hours(server, await preview(server, count=3)) == [10, 34, 82]
    of_host = await preview(server, level=HOST, count=2)
    assert (of_host.time_zone, hours(server, of_host), of_host.open) == ("Asia/Tokyo", [1, 25], False)
    assert of_host.why == "the next opening begins at 2027-03-01 22:00 Asia/Tokyo (the fleet's policy)"
    drafted = await preview(server, level=HOST, count=1, set=values(windows=["mon 21:00-22:00 local"]))
    assert (drafted.open, hours(server, drafted)) == (True, [0])
    assert (await shown(server, HOST))["windows"].origin == policy_pb2.POLICY_ORIGIN_FLEET, "nothing was written"
    short = await preview(server, set=values(expected=7200))
    assert (short.open, list(short.openings)) == (False, [])
    assert "the longest window of the fleet's policy has 3600 s" in short.why


async def test_a_preview_refuses_what_it_can_not_calculate(server: Any, refusal: Any) -> None:
    assert (await refusal(preview(server, count=51))).facts["field"] == "count"
    assert (await refusal(preview(server, time_zone="Mars/Base"))).facts["field"] == "time_zone"
    assert (await refusal(preview(server, set=values(pin="x")))).facts["field"] == "policy.pin"
