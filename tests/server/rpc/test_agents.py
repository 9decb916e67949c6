"""The inventory and decisions about single hosts, over the wire."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from fleetroll.v1 import agent_stream_pb2, agents_pb2, agents_pb2_grpc, reasons_pb2, types_pb2
from fleetroll_common.values.ids import attempt_id
from fleetroll_server.store.tables import (
    AgentRow,
    AssignmentRow,
    AttemptHistoryRow,
    BudgetRow,
    ChargeRow,
    EventRow,
    HostProductRow,
    RolloutHostRow,
    RolloutRow,
    table_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

WHO: dict[str, Any] = {"actor_kind": "user", "actor_id": "ann"}


async def insert(server: Any, *rows: Any) -> None:
    async def job(tx: Any) -> None:
        for row in rows:
            await tx.execute(sa.insert(table_of(type(row))).values(row.model_dump()))

    await server.services.store.writer.command(job)


def agent(server: Any, number: int, **values: Any) -> AgentRow:
    base: dict[str, Any] = {
        "id": f"agent-{number}",
        "fleet_id": "default",
        "name": f"host-{number:02}",
        "os": "linux",
        "arch": "x86_64",
        "abi": "cp311",
        "labels": {"site": "north"},
        "public_key": bytes([number]) * 32,
        "acked": b"a" * 32,
        "enrolled_at": server.clock.now(),
    }
    return AgentRow(**(base | values))


async def call(server: Any, name: str, request: Any) -> Any:
    return await server.client().call(getattr(agents_pb2_grpc.AgentsServiceStub(server.channel), name), request)


async def names(server: Any, **values: Any) -> list[str]:
    return [found.name for found in (await call(server, "ListAgents", agents_pb2.ListAgentsRequest(**values))).agents]


async def test_hosts_are_paged_by_name_and_none_is_lost_or_doubled(server: Any) -> None:
    rows = [agent(server, number, name=f"host-{number // 3:02}") for number in range(1, 26)]
    await insert(server, *rows)
    seen: list[str] = []
    page = types_pb2.Page(size=4)
    while True:
        answer = await call(server, "ListAgents", agents_pb2.ListAgentsRequest(page=page))
        seen += [found.id for found in answer.agents]
        assert len(answer.agents) <= 4
        if not answer.next_cursor:
            break
        page.cursor = answer.next_cursor
    assert sorted(seen) == sorted(row.id for row in rows)


@pytest.mark.parametrize("size", [-1, 1001])
async def test_a_page_of_impossible_size_is_refused(server: Any, refusal: Any, size: int) -> None:
    request = agents_pb2.ListAgentsRequest(page=types_pb2.Page(size=size))
    assert (await refusal(call(server, "ListAgents", request))).facts["field"] == "page.size"


async def test_a_cursor_of_another_listing_is_refused(server: Any, refusal: Any) -> None:
    for cursor in (b"\xff", b"[]", b'["releases", "a", "b"]', b'["agents", "a"]', b'["agents", 1, 2]'):
        request = agents_pb2.ListAgentsRequest(page=types_pb2.Page(cursor=cursor))
        assert (await refusal(call(server, "ListAgents", request))).facts["field"] == "page.cursor"


async def test_hosts_are_found_by_part_of_their_name_taken_literally(server: Any) -> None:
    await insert(server, agent(server, 1, name="web-1"), agent(server, 2, name="web%2"), agent(server, 3, revoked=True))
    assert await names(server) == ["web%2", "web-1"]
    assert await names(server, name_contains="b%") == ["web%2"]
    assert await names(server, name_contains="%") == ["web%2"]
    assert await names(server, include_revoked=True) == ["host-03", "web%2", "web-1"]


async def test_a_session_counts_until_it_is_ended_whatever_became_of_its_servers_lease(server: Any) -> None:
    """Who ends those of a server that died is the sweep: tests/server/engine/test_postgresql.py."""
    mine = server.services.server_id
    await insert(server, agent(server, 1, server_id=mine), agent(server, 2, server_id="server-gone"), agent(server, 3))

    async def online() -> list[bool]:
        return [a.online for a in (await call(server, "ListAgents", agents_pb2.ListAgentsRequest())).agents]

    assert await online() == [True, True, False]
    server.clock.advance(server.services.settings.lease_seconds + 1)
    assert await online() == [True, True, False]


def rollout(server: Any, number: int, version: str) -> RolloutRow:
    now = server.clock.now()
    return RolloutRow(
        id=f"rollout-{number}",
        fleet_id="default",
        product="agent",
        version=version,
        release_id="r",
        state="completed",
        state_actor_kind="engine",
        state_actor_id="gate",
        state_changed_at=now,
        created_at=now,
        not_after=now,
        **WHO,
    )


async def test_a_host_shows_current_target_state_and_its_attempts(server: Any) -> None:
    now = server.clock.now()
    shared: dict[str, Any] = {"agent_id": "agent-1", "fleet_id": "default", "product": "agent"}
    host: dict[str, Any] = {**shared, "name": "host-01", "wave": 1, "position": 1, "changed_at": now}
    await insert(
        server,
        agent(server, 1),
        rollout(server, 1, "1.1.0"),
        rollout(server, 2, "1.2.0"),
        HostProductRow(**shared, version="1.1.0", sha256="ab" * 32, healthy=True, last_success_at=now),
        AssignmentRow(**shared, version="1.2.0", generation=3, decided_at=now, **WHO),
        AttemptHistoryRow(
            **shared, rollout_id="rollout-1", generation=1, state="failed", to_version="1.1.0", ended_at=now
        ),
        RolloutHostRow(**host, rollout_id="rollout-1", state="succeeded", generation=2, ended_at=now, granted_at=now),
        RolloutHostRow(**host, rollout_id="rollout-2", state="trial", generation=3, step="", offered_at=now),
    )
    for name in ("agent-1", "host-01"):
        answer = await call(server, "GetAgent", agents_pb2.GetAgentRequest(agent=name))
        product = answer.agent.products[0]
        assert (product.current_version, product.target_version, product.healthy) == ("1.1.0", "1.2.0", True)
        assert product.current_sha256.hex() == "ab" * 32
        assert product.update_state == types_pb2.ATTEMPT_STATE_TRIAL
        assert product.last_attempt.state == types_pb2.ATTEMPT_STATE_SUCCEEDED
        assert product.HasField("last_success_at")
        assert [(found.id, found.to_version) for found in answer.attempts] == [
            (attempt_id("agent-1", "agent", 3), "1.2.0"),
            (attempt_id("agent-1", "agent", 2), "1.1.0"),
            (attempt_id("agent-1", "agent", 1), "1.1.0"),
        ]


async def test_a_host_that_is_not_there_or_not_the_only_one_is_refused(server: Any, refusal: Any) -> None:
    await insert(server, agent(server, 1, name="twin"), agent(server, 2, name="twin"))
    why = await refusal(call(server, "GetAgent", agents_pb2.GetAgentRequest(agent="nobody")))
    assert why.code == "HOST_NOT_FOUND"
    why = await refusal(call(server, "GetAgent", agents_pb2.GetAgentRequest(agent="twin")))
    assert (why.code, why.facts["field"]) == ("INVALID_ARGUMENT", "agent")
    assert "agent-1" in why.remedy
    assert (await call(server, "GetAgent", agents_pb2.GetAgentRequest(agent="agent-2"))).agent.name == "twin"


def charges(*held: tuple[int, str, str]) -> Sequence[ChargeRow]:
    return [
        ChargeRow(agent_id="agent-1", product="agent", generation=number, scope=scope, fleet_id="default", kind=kind)
        for number, scope, kind in held
    ]


async def budgets(server: Any) -> dict[str, tuple[int, int]]:
    table = table_of(BudgetRow)
    fleets = table.c.fleet_id.in_(("", "default"))
    async with server.services.store.read() as connection:
        rows = await connection.execute(sa.select(table.c.scope, table.c.in_use, table.c.broken).where(fleets))
        return {row.scope: (row.in_use, row.broken) for row in rows}


async def broken_host(server: Any) -> None:
    """A host that is broken by two generations and in use by a third."""
    scopes = ("global", "fleet/default")
    held = [(number, scope, "broken") for number in (1, 2) for scope in scopes]
    held += [(3, scope, "in_use") for scope in scopes] + [(2, "rollout/r", "broken")]
    limits = {"max_in_use": 5, "max_out": 5}
    budget = table_of(BudgetRow)

    async def count(tx: Any) -> None:
        where = (budget.c.scope.in_(scopes), budget.c.fleet_id.in_(("", "default")))
        await tx.execute(sa.update(budget).where(*where).values(in_use=1, broken=3))

    await server.services.store.writer.command(count)
    rollout_budget = BudgetRow(scope="rollout/r", fleet_id="default", in_use=0, broken=2, **limits)
    await insert(server, agent(server, 1), rollout_budget, *charges(*held))


async def kinds(server: Any) -> list[str]:
    table = table_of(ChargeRow)
    async with server.services.store.read() as connection:
        return sorted((await connection.scalars(sa.select(table.c.kind).where(table.c.fleet_id == "default"))).all())


async def test_dismissing_gives_back_what_is_broken_and_nothing_else(server: Any, refusal: Any) -> None:
    await broken_host(server)
    request = agents_pb2.DismissAgentRequest(agent_id="agent-1", reason="scrapped")
    answer = await call(server, "DismissAgent", request)
    assert list(answer.scopes) == ["global", "fleet/default", "rollout/r"]
    assert await budgets(server) == {"global": (1, 1), "fleet/default": (1, 1), "rollout/r": (0, 1)}
    assert await kinds(server) == ["in_use", "in_use"]
    again = await refusal(call(server, "DismissAgent", request))
    assert again.code == "ROLLOUT_STATE"


async def test_revoking_ends_session_and_tokens_and_frees_the_budgets_in_one_commit(
    server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[tuple[str, agent_stream_pb2.ConnectResponse]] = []
    monkeypatch.setattr(type(server.running.registry), "close", lambda _self, *told: closed.append(told))
    await broken_host(server)
    request = agents_pb2.RevokeAgentRequest(agent_id="agent-1", reason="stolen")
    answer = await call(server, "RevokeAgent", request)
    assert answer.agent.revoked
    assert [(name, last.refusal.code) for name, last in closed] == [
        ("agent-1", reasons_pb2.REASON_CODE_IDENTITY_REVOKED)
    ]
    assert await budgets(server) == {"global": (1, 1), "fleet/default": (1, 1), "rollout/r": (0, 1)}
    table = table_of(AgentRow)
    async with server.services.store.read() as connection:
        epoch = await connection.scalar(sa.select(table.c.epoch).where(table.c.fleet_id == "default"))
        events = table_of(EventRow)
        query = sa.select(events.c.kind, events.c.reason).where(events.c.fleet_id == "default")
        told = (await connection.execute(query)).all()
    assert epoch == 1
    assert [tuple(event) for event in told] == [("agent.revoked", "stolen")]
    assert (await call(server, "RevokeAgent", request)).agent.revoked


@pytest.mark.parametrize("name", ["RevokeAgent", "ReadmitAgent", "DismissAgent"])
async def test_a_decision_needs_a_reason_and_a_host(server: Any, refusal: Any, name: str) -> None:
    await insert(server, agent(server, 1))
    message = getattr(agents_pb2, f"{name}Request")
    for reason in ("", "r" * 501, "a\x00b"):
        why = await refusal(call(server, name, message(agent_id="agent-1", reason=reason)))
        assert (why.code, why.facts["field"]) == ("INVALID_ARGUMENT", "reason")
    why = await refusal(call(server, name, message(agent_id="agent-9", reason="r")))
    assert why.code == "HOST_NOT_FOUND"


async def test_listing_a_large_fleet_takes_a_few_statements(server: Any) -> None:
    """However many hosts are on a page."""
    await insert(server, *(agent(server, number % 250, id=f"agent-{number}") for number in range(300)))
    statements: list[str] = []

    def watch(_c: Any, _k: Any, statement: str, *_rest: Any) -> None:
        statements.append(statement)

    engine = server.services.store._reading.sync_engine
    sa.event.listen(engine, "before_cursor_execute", watch)
    request = agents_pb2.ListAgentsRequest(page=types_pb2.Page(size=300))
    assert len((await call(server, "ListAgents", request)).agents) == 300
    sa.event.remove(engine, "before_cursor_execute", watch)
    assert len(statements) < 15


async def test_last_seen_and_facts_are_shown(server: Any) -> None:
    seen = server.clock.now() - timedelta(seconds=30)
    values = {
        "last_seen_at": seen,
        "time_zone": "Europe/Berlin",
        "disk_free_bytes": 5,
        "container_marker": "/.dockerenv",
    }
    await insert(server, agent(server, 1, quarantined=True, **values))
    found = (await call(server, "GetAgent", agents_pb2.GetAgentRequest(agent="agent-1"))).agent
    assert found.last_seen_at.ToDatetime(tzinfo=seen.tzinfo) == seen
    assert (found.time_zone, found.disk_free_bytes, found.container_marker) == ("Europe/Berlin", 5, "/.dockerenv")
    assert found.quarantined
    assert dict(found.labels) == {"site": "north"}
    assert not found.products
